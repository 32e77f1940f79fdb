function i(r,e={},...t){let n=document.createElement(r);for(let[s,o]of Object.entries(e))o!==void 0&&o!==!1&&n.setAttribute(s,o===!0?"":String(o));return n.append(...t),n}var F=0;function g(r){return F+=1,`mp-${r}-${F}-${Math.random().toString(36).slice(2,8)}`}function B(r,e,t){let n=i("section",{class:`mp mp-${e}`,"aria-label":t,"data-lm-suppress-shortcuts":"true"});return n.append(i("style",{},r)),n.addEventListener("keydown",s=>s.stopPropagation()),n}function c(r,e){r.hidden=!e}var he="No kernel is connected. This is the last state that was saved; run the cell to go on from here.",ue="The kernel behind this was restarted or shut down. This is its last state; run the cell to go on from here.";function R(r){let e=r.get("layout");return typeof e?.comm_live=="boolean"&&e.on&&e.off?e:null}function ge(r,e){return r?"":e?ue:he}function fe(r,e){let t=R(r);if(!t||!e)return()=>{};let n=i("p",{class:"mp-kernel",role:"status","data-testid":"no-kernel"});e.prepend(n);let s=t.comm_live,o=()=>{s||=t.comm_live,n.textContent=ge(t.comm_live,s),c(n,!t.comm_live)};return t.on("comm_live_update",o),o(),()=>t.off("comm_live_update",o)}function I(r){return e=>{let t=r(e),n=fe(e.model,e.el.firstElementChild);return()=>{n(),t?.()}}}function v(r,e=1){if(!Number.isFinite(r))return"\u2013";let t=Math.abs(r).toFixed(e);return r<0&&Number(t)!==0?"\u2212"+t:t}function f(r){let e=Math.abs(r),t=e===.5?"\xBD":e===.25?"\xBC":String(Number(e.toFixed(3)));return r<0?"\u2212"+t:t}function K(r){return{residual:"\xD7 residual norm",vector:"\xD7 vector",raw:"\xD7 raw vector"}[r]??r}var x=r=>r.replaceAll("_"," ");function u(r,e){e.id||=g("control");let t=i("b"),n=i("label",{class:"mp-label",for:e.id},r," ",t);return{element:i("div",{},n,e),value:t}}function C(r,e,t){let n=new Map,s=[];for(let o of e){let l=i("option",{value:o.value},o.label);if(!o.group){s.push(l);continue}let a=n.get(o.group)??i("optgroup",{label:x(o.group)});n.has(o.group)||s.push(a),n.set(o.group,a),a.append(l)}r.replaceChildren(...s),r.value=t}function U(r,e,t,n){let s=g(r),o=t.map(l=>{let a=i("input",{type:"radio",name:s,value:l.value});return a.addEventListener("change",()=>n(l.value)),i("label",{},a,l.label)});return i("fieldset",{class:"mp-seg","data-testid":r,"aria-label":e},...o)}function D(r,e){for(let t of r.querySelectorAll("input"))t.checked=t.value===e}function P(r,e,t){let n=i("div",{class:"mp-ticks","aria-hidden":"true"});for(let s=r;s<=e+1e-9;s+=t){let o=i("span",{},f(s));o.style.left=`${100*(s-r)/Math.max(1e-9,e-r)}%`,n.append(o)}return n}function w(r,e){let[t,n]=[Number(r.min),Number(r.max)],s=Math.max(0,Math.min(1,(e-t)/Math.max(1e-9,n-t)));return`calc(${(100*s).toFixed(2)}% + ${(8-16*s).toFixed(2)}px)`}function _(r,e,t){r.style.setProperty("--from",w(r,Math.min(e,t))),r.style.setProperty("--to",w(r,Math.max(e,t)))}var W=r=>[...new Set(r.split(/[,\n]/).map(e=>e.trim()))].filter(Boolean),k=class{element=i("details",{class:"mp-fold","data-testid":"receipt"});title=i("summary",{},"Receipt");text=i("pre");constructor(){this.element.append(this.title,this.text)}draw(e){this.title.textContent=e[0]?`Receipt: ${e[0]}`:"Receipt",this.text.textContent=e.slice(1).join(`
`),c(this.element,e.length>0)}},M=class{element=i("details",{class:"mp-fold","data-testid":"code"});text=i("pre",{tabindex:0,"aria-label":"Python of this setting"});copy=i("button",{type:"button","data-testid":"copy-code"},"Copy");constructor(){this.element.append(i("summary",{},"Python that gives these answers"),this.copy,this.text),this.copy.addEventListener("click",()=>{this.onCopy()})}draw(e){this.text.textContent=e,this.copy.textContent="Copy",c(this.element,e!=="")}async onCopy(){try{await navigator.clipboard.writeText(this.text.textContent??""),this.copy.textContent="Copied"}catch{getSelection()?.selectAllChildren(this.text),this.copy.textContent="Selected: press Ctrl+C"}}},S=class{element=i("details",{class:"mp-fold","data-testid":"words-fold"});title=i("summary");words=i("input",{type:"text",class:"mp-wide","data-testid":"words"});negations=i("input",{type:"text",class:"mp-wide","data-testid":"negations"});constructor(e){let t=u("Words that name it, with commas between them",this.words).element,n=u("Not within three words after one of these, nor before \u201Cis missing\u201D, \u201Cis not there\u201D and the like",this.negations).element;this.element.append(this.title,t,n),this.words.addEventListener("change",()=>e.words(W(this.words.value))),this.negations.addEventListener("change",()=>e.negations(W(this.negations.value)))}draw(e,t,n){this.title.textContent=`What counts as naming ${e||"the concept"}`,document.activeElement!==this.words&&(this.words.value=t.join(", ")),document.activeElement!==this.negations&&(this.negations.value=n.join(", "))}};var be=(r,e)=>r==="running"&&!e?"cancelled":r,E=class{status=i("span",{class:"mp-pill",role:"status","data-testid":"status"});rate=i("span",{class:"mp-rate","data-testid":"rate"});stop=i("button",{type:"button","data-testid":"stop"});pin=i("button",{type:"button","data-testid":"pin-setting"},"Pin");error=i("p",{class:"mp-error",role:"alert","data-testid":"error"});receipt=new k;code=new M;draw(e,t){let n=be(e.get("status"),t),s=n==="running";this.status.textContent=n,this.status.dataset.state=n,this.stop.textContent=s?"Stop":"Run again",this.stop.disabled=!t||e.get("concepts").length===0,this.pin.disabled=!t||n!=="idle"||e.get("code")==="";let o=e.get("rate");s||(this.rate.textContent=o>0?`${v(o,o<10?1:0)} tokens/s`:""),this.complain(e.get("message")),this.receipt.draw(e.get("receipt")),this.code.draw(e.get("code"))}complain(e){this.error.textContent=e,c(this.error,e!=="")}};var ve=[{after:700,text:"the kernel is busy; waiting for it \u2026"},{after:2e4,text:"no answer from the kernel: it is busy, or was restarted (then run the cell again)"}],T=class{constructor(e){this.say=e}say;timers=[];begin(){this.end(),this.timers=ve.map(({after:e,text:t})=>setTimeout(()=>this.say(t),e))}end(){this.timers.forEach(clearTimeout),this.timers=[]}};var L=class{constructor(e){this.asks=e;this.file.setAttribute("aria-label","open a picture file");let t=i("button",{type:"button","data-testid":"open"},"Open\u2026"),n=i("button",{type:"button","data-testid":"new-scene"},"New scene");this.seed.id=g("seed");let s=i("label",{for:this.seed.id,class:"mp-note"},"seed"),o=i("div",{class:"mp-tools"},t,n,i("span",{class:"mp-pair"},s,this.seed));this.figure.append(this.large,i("span",{class:"mp-drop","aria-hidden":"true"},"drop a picture")),this.element=i("div",{},this.figure,this.caption,o,this.file,this.thumbs),this.thumbs.addEventListener("keydown",l=>this.onKey(l)),t.addEventListener("click",()=>this.file.click()),n.addEventListener("click",()=>this.asks.draw(Math.max(0,Math.round(Number(this.seed.value))||0))),this.file.addEventListener("change",()=>{this.bring(this.file.files),this.file.value=""})}asks;element;large=i("img",{class:"mp-picture","data-testid":"picture"});caption=i("figcaption",{class:"mp-note"});figure=i("figure",{class:"mp-figure",tabindex:0,"data-testid":"drop","aria-label":"Picture. Drop or paste another one here."});thumbs=i("div",{class:"mp-thumbs",role:"radiogroup","aria-label":"choose a picture"});file=i("input",{type:"file",accept:"image/*","data-testid":"upload",hidden:!0});seed=i("input",{type:"number",min:0,step:1,"data-testid":"scene-seed"});urls=[];pictures=[];listen(e){let t=n=>n.dataTransfer?.types.includes("Files")??!1;e.addEventListener("dragover",n=>{t(n)&&(n.preventDefault(),n.stopPropagation(),this.figure.dataset.over="true")}),e.addEventListener("dragleave",n=>{e.contains(n.relatedTarget)||delete this.figure.dataset.over}),e.addEventListener("drop",n=>{delete this.figure.dataset.over,t(n)&&this.take(n,n.dataTransfer?.files)}),e.addEventListener("paste",n=>{n.clipboardData?.files.length&&this.take(n,n.clipboardData.files)})}take(e,t){e.preventDefault(),e.stopPropagation(),this.bring(t??null)}bring(e){let t=e?.[0];t&&this.asks.bring(t)}fill(e,t){if(document.activeElement!==this.seed&&(this.seed.value=String(t)),e===this.pictures)return;this.close(),this.pictures=e,this.urls=e.map(({png:s})=>URL.createObjectURL(new Blob([s],{type:"image/png"})));let n=e.map((s,o)=>{let l=i("img",{src:this.urls[o],alt:""}),a=i("button",{type:"button",role:"radio","aria-label":s.label,title:s.label},l);return a.addEventListener("click",()=>this.asks.pick(o)),a});this.thumbs.replaceChildren(...n),c(this.thumbs,n.length>1)}choose(e){let t=this.urls[e],n=this.pictures[e]?.label??"";c(this.large,t!==void 0),t!==void 0&&this.large.src!==t&&(this.large.src=t),this.large.alt=n,this.caption.textContent=n,this.caption.title=n,[...this.thumbs.children].forEach((s,o)=>{s.setAttribute("aria-checked",String(o===e)),s.tabIndex=o===e?0:-1}),this.bringIntoView(this.thumbs.children[e])}bringIntoView(e){if(!e)return;let t=e.offsetTop-this.thumbs.offsetTop;(t<this.thumbs.scrollTop||t+e.offsetHeight>this.thumbs.scrollTop+this.thumbs.clientHeight)&&(this.thumbs.scrollTop=t-4)}onKey(e){let t={ArrowRight:1,ArrowDown:1,ArrowLeft:-1,ArrowUp:-1}[e.key],n=[...this.thumbs.children].indexOf(e.target);if(t===void 0||n<0)return;e.preventDefault(),e.stopPropagation();let s=Math.max(0,Math.min(this.urls.length-1,n+t));this.asks.pick(s),this.thumbs.children[s]?.focus()}close(){for(let e of this.urls)URL.revokeObjectURL(e);this.urls=[],this.pictures=[]}};var q=r=>r.toLowerCase().replace(/[^\p{L}\p{N}]/gu,"");function xe(r,e){let t=r.length+1,n=e.length+1,s=Array.from({length:t},()=>new Uint16Array(n)),o=(p,m)=>s[p]?.[m]??0;for(let p=t-2;p>=0;p-=1)for(let m=n-2;m>=0;m-=1){let h=s[p];h&&(h[m]=r[p]===e[m]?o(p+1,m+1)+1:Math.max(o(p+1,m),o(p,m+1)))}let l=r.map(()=>!1),a=0,d=0;for(;a<r.length&&d<e.length;)r[a]===e[d]?(l[a]=!0,a+=1,d+=1):o(a+1,d)>=o(a,d+1)?a+=1:d+=1;return l}function we(r,e){let t=[...new Set([0,...e,r.length])].sort((n,s)=>n-s);return t.slice(1).map((n,s)=>[t[s]??0,n])}function ye(r,e,t){let n=[...r.matchAll(/\S+/g)].map(p=>({start:p.index,text:p[0]})),s=e?.split(/\s+/).filter(Boolean)??[],o=n.map(({text:p})=>q(p)),l=e===null?n.map(()=>!0):xe(o,s.map(q)),a=n.filter((p,m)=>!l[m]).map(({start:p,text:m})=>[p,p+m.length]),d=[...a,...t.map(([p,m])=>[p,m])].flat();return we(r,d).map(([p,m])=>{let h=t.find(b=>b[0]<=p&&m<=b[1]);return{text:r.slice(p,m),changed:a.some(b=>b[0]<=p&&m<=b[1]),kind:h?h[2]?"negated":"named":""}})}function H(r,e,t){let n=[],s=null;for(let{text:o,changed:l,kind:a}of ye(r,e,t)){let d=a?i("span",{class:a},o):document.createTextNode(o);l?s?s.append(d):(s=i("mark",{},d),n.push(s)):(s=null,n.push(d))}return n}var y=["baseline","steered","random"],$=r=>({baseline:r("baseline"),steered:r("steered"),random:r("random")});function O(r){return{generation:r.generation??0,current:!0,lines:$(e=>({text:r[e]??"",spans:r.spans?.[e]??[],old:!1}))}}function G(r){return{...r,current:!1,lines:$(e=>({...r.lines[e],old:!0}))}}function ke(r,e,t){if(e.generation<=r.generation)return r;let n=$(s=>({...r.lines[s],old:!0}));return{generation:e.generation,current:e.serial>=t,lines:n}}function V(r,e,t){let n=ke(r,e,t);if(e.kind==="start")return n;let s=y[e.row];return!s||e.generation!==n.generation||!n.current?n:{...n,lines:{...n.lines,[s]:{text:e.text,spans:e.spans,old:!1}}}}function Y(r,e,t){return(e.generation??0)<r.generation||(e.serial??0)<t?r:O(e)}var J={baseline:"as it is",steered:"steered",random:"random direction, same size"};function X(r,e,...t){let n=i("div",{class:"mp-answer-title"},i("small",{},J[r]),...t);return i("div",{class:"mp-answer","data-row":r},n,e)}function Q(r,e){return y.map(t=>{let n=t==="baseline"?null:r.baseline;return X(t,i("p",{},...H(r[t],n,e[t])))})}function Z(r){let t=r.target.matches('select, input[type="text"], input[type="number"]');return r.key.toLowerCase()==="r"&&!(r.ctrlKey||r.metaKey||r.altKey||t)}var j=class{element;reveal=i("button",{type:"button",class:"mp-reveal","data-testid":"reveal"},"Reveal (r)");texts;boxes;constructor(e){let t=n=>i("p",{"data-testid":`answer-${n}`,"aria-label":J[n]});this.texts={baseline:t("baseline"),steered:t("steered"),random:t("random")},this.boxes=y.map(n=>{let s={baseline:[],steered:[this.reveal],random:[e]}[n];return X(n,this.texts[n],...s)}),this.element=i("div",{class:"mp-live"},...this.boxes)}draw(e,{hidden:t,awaited:n}){let s=e.lines.baseline;y.forEach((o,l)=>{let a=e.lines[o],d=o!=="baseline"&&!a.old&&!s.old&&s.text!=="",p=this.boxes[l];p&&(p.dataset.old=String(a.old)),this.texts[o].setAttribute("aria-busy",String(a.old&&n));let h=t&&o==="steered"?[i("span",{class:"mp-covered"},"What will it say?")]:H(a.text,d?s.text:null,a.spans);this.texts[o].replaceChildren(...h)}),this.reveal.hidden=!t}};var ee=r=>(r>0?"+":"")+f(r);function Me(r,e){let{concept:t,second:n,window:s,scope:o}=r,l=[`${x(t)} ${ee(r.strength)}`];n&&l.push(`${x(n)} ${ee(r.second_strength)}`);let[a,d]=s,p=a===d?`layer ${a}`:`layers ${a}\u2013${d}`,m=e.find(([h])=>h===o)?.[1]??o;return[l.join(" and "),p,m,`seed ${r.seed}`].join(" \xB7 ")}function te(r,e,t){return r.map(n=>{let s=Me(n.setting,e),o=i("button",{type:"button","aria-label":`use the pinned setting ${s}`},"Use"),l=i("button",{type:"button","aria-label":`remove the pinned setting ${s}`},"Remove");o.addEventListener("click",()=>t.use(n.setting)),l.addEventListener("click",()=>t.remove(n.id));let a=i("p",{class:"mp-note"},`${n.picture} \xB7 \u201C${n.setting.prompt}\u201D`),d=i("div",{class:"mp-pin-head"},i("b",{},s),o,l),p={class:"mp-pin","data-testid":"pin",role:"group","aria-label":`pinned: ${s}`};return i("div",p,d,a,...Q(n.answers,n.spans))})}var ne=2,Se=r=>`perplexity \xD7 ${r<10?v(r,1):v(r,0)}`;function re(r,e,t,n){let s=e.map(([d])=>d),o=r>=Math.min(0,...s)&&r<=Math.max(0,...s);if(s.length===0||!o)return{state:"untested",text:"untested"};let l=e.find(([d])=>Math.abs(d-r)<1e-9),a=r>=t&&r<=n;return l?{state:a?"fluent":"broken",text:Se(l[1])}:a?{state:"fluent",text:`perplexity under \xD7 ${ne}`}:{state:"broken",text:`perplexity over \xD7 ${ne}`}}function Ee(r,e,t){return[r,Math.max(r,Math.min(Math.max(...t),r+e[1]-e[0]))]}var se=r=>(r>0?"+":"")+f(r),N=class{constructor(e,t){this.model=e;this.move=t;let n=i("div",{class:"mp-two"});n.append(u("Concept",this.concept).element,u("and",this.second).element);let s=i("label",{class:"mp-through"},"through",this.last),o=i("div",{class:"mp-over"},this.layerBox.element,s),l=i("div",{class:"mp-over"},this.strengthBox.element,this.note);this.element=i("div",{class:"mp-steer"},n,o,this.layerTicks,l,this.safe),this.element.append(this.strengthTicks,this.secondBox.element),this.listen()}model;move;element;concept=i("select",{class:"mp-wide","data-testid":"concept"});second=i("select",{class:"mp-wide","data-testid":"second"});layer=i("input",{type:"range",step:1,"data-testid":"layer"});last=i("select",{"data-testid":"window","aria-label":"last layer of the window"});strength=i("input",{type:"range","data-testid":"strength"});secondStrength=i("input",{type:"range","data-testid":"second-strength"});layerBox=u("Layer",this.layer);strengthBox=u("Strength",this.strength);secondBox=u("Strength of the second",this.secondStrength);layerTicks=i("div");strengthTicks=i("div");note=i("span",{class:"mp-fluency","data-testid":"fluency"});safe=i("div",{class:"mp-safe","data-testid":"safe"});listen(){let{model:e,move:t}=this;this.concept.addEventListener("change",()=>t({concept:this.concept.value})),this.second.addEventListener("change",()=>t({second:this.second.value})),this.strength.addEventListener("input",()=>t({strength:Number(this.strength.value)})),this.secondStrength.addEventListener("input",()=>t({second_strength:Number(this.secondStrength.value)})),this.layer.addEventListener("input",()=>{let n=Number(this.layer.value);t({layer:n,window:Ee(n,e.get("window"),e.get("layers"))})}),this.last.addEventListener("change",()=>{let n=e.get("layer");t({layer:n,window:[n,Number(this.last.value)]})})}fill(){let{model:e}=this,t=e.get("categories"),n=e.get("concepts").map((p,m)=>({value:p,label:p,group:t[m]??""}));C(this.concept,n,e.get("concept")),C(this.second,[{value:"",label:"nothing else"},...n],e.get("second"));let s=e.get("layers"),o=s.length>0,[l,a]=o?[Math.min(...s),Math.max(...s)]:[0,0];Object.assign(this.layer,{min:String(l),max:String(a),disabled:!o});let d=e.get("strength_limit");for(let p of[this.strength,this.secondStrength])Object.assign(p,{min:String(-d),max:String(d),step:String(e.get("strength_step"))});this.layerTicks.replaceChildren(o?P(l,a,Math.max(1,Math.ceil((a-l)/12))):""),this.strengthTicks.replaceChildren(P(-d,d,d>4?Math.ceil(d/4):1));for(let p of[this.concept,this.second])p.disabled=n.length===0}draw(){let{model:e}=this,t=K(e.get("strength_unit")),[n,s]=[e.get("strength"),e.get("second_strength")];this.concept.value=e.get("concept"),this.second.value=e.get("second"),this.drawRange(this.strength,n,this.strengthBox.value,`${se(n)} ${t}`),this.drawRange(this.secondStrength,s,this.secondBox.value,`${se(s)} ${t}`),c(this.secondBox.element,e.get("second")!==""),this.drawLayers(),this.drawFluency()}drawRange(e,t,n,s){e.value=String(t),n.textContent=s,e.setAttribute("aria-valuetext",s),_(e,0,t)}drawLayers(){let[e,t]=this.model.get("window"),n=this.model.get("layers").filter(s=>s>=e);this.last.replaceChildren(...n.map(s=>i("option",{value:s},String(s)))),this.last.value=String(t),this.last.disabled=n.length<2,this.layer.value=String(e),this.layerBox.value.textContent=e===t?String(e):`${e} to ${t}`,this.layer.setAttribute("aria-valuetext",`${e===t?"layer":"layers"} ${this.layerBox.value.textContent}`),_(this.layer,e,t)}drawFluency(){let{model:e}=this,[t,n]=[e.get("safe_low"),e.get("safe_high")],s=re(e.get("strength"),e.get("doses"),t,n);this.note.textContent=s.text,this.note.dataset.state=s.state,this.safe.style.setProperty("--safe-from",w(this.strength,t)),this.safe.style.setProperty("--safe-to",w(this.strength,n)),this.safe.title=`perplexity under \xD7 2 from ${f(t)} to ${f(n)}; outside of what was swept: untested`,this.safe.hidden=t===n}};var ie=`.mp {
  --mp-bg: var(--jp-layout-color0, var(--vscode-editor-background, #fff));
  --mp-ink: var(--jp-ui-font-color1, var(--vscode-editor-foreground, #1c2126));
  --mp-soft: var(--jp-ui-font-color2, var(--vscode-descriptionForeground, #5b6570));
  --mp-faint: var(--jp-ui-font-color2, var(--vscode-descriptionForeground, #6f7984));
  --mp-line: var(--jp-border-color2, var(--vscode-widget-border, #e0e4e8));
  --mp-edge: var(--jp-border-color1, var(--vscode-input-border, #c4cad1));
  --mp-brand: var(--jp-brand-color1, var(--vscode-focusBorder, #1f6feb));
  --mp-warn: var(--jp-error-color1, #b3261e);
  --mp-good: var(--jp-success-color1, #1a7f4b);
  --mp-fill: color-mix(in srgb, var(--mp-ink) 5%, transparent);
  --mp-mono: var(--jp-code-font-family, ui-monospace, SFMono-Regular, Menlo, monospace);
  box-sizing: border-box;
  container-type: inline-size;
  width: 100%;
  padding: 12px 14px;
  background: var(--mp-bg);
  color: var(--mp-ink);
  font: 13px / 1.45 var(--jp-ui-font-family, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif);
  font-variant-numeric: tabular-nums;
}
.mp *,
.mp *::before {
  box-sizing: border-box;
}
.mp.mp [hidden][hidden] {
  display: none;
}
.mp h3 {
  margin: 0;
  color: var(--mp-faint);
  font-size: 11px;
  font-weight: 600;
  letter-spacing: 0.04em;
  line-height: 1.45;
  text-transform: uppercase;
}
.mp-head {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px 10px;
  min-height: 27px;
  margin-bottom: 8px;
}
.mp-head h3 {
  flex: 1 1 auto;
}
.mp button,
.mp select,
.mp input[type="text"] {
  min-width: 0;
  margin: 0;
  padding: 3px 9px;
  border: 1px solid var(--mp-edge);
  border-radius: 5px;
  background: var(--mp-bg);
  color: var(--mp-ink);
  font: inherit;
  font-size: 12.5px;
  line-height: 1.45;
}
.mp button {
  cursor: pointer;
}
.mp :is(button, select, input):disabled {
  opacity: 0.5;
  cursor: default;
}
.mp button:not(:disabled):hover {
  background: var(--mp-fill);
}
.mp :focus-visible {
  outline: 2px solid var(--mp-brand);
  outline-offset: 1px;
}
.mp-label {
  display: block;
  margin: 11px 0 3px;
  color: var(--mp-soft);
  font-size: 12px;
}
.mp-label b {
  color: var(--mp-ink);
  font-weight: 600;
}
.mp select.mp-wide,
.mp input.mp-wide {
  display: block;
  width: 100%;
  padding: 5px 8px;
}
.mp-seg {
  display: flex;
  flex-wrap: wrap;
  gap: 1px;
  background: var(--mp-line);
  min-width: 0;
  margin: 0;
  padding: 0;
  border: 1px solid var(--mp-edge);
  border-radius: 5px;
  overflow: hidden;
}
.mp-seg label {
  position: relative;
  flex: 1 1 auto;
  padding: 3px 5px;
  background: var(--mp-bg);
  color: var(--mp-soft);
  font-size: 11.5px;
  text-align: center;
  white-space: nowrap;
  cursor: pointer;
}
.mp-seg label:has(:checked) {
  background: var(--mp-brand);
  color: var(--mp-bg);
}
.mp-seg label:has(:focus-visible) {
  outline: 2px solid var(--mp-brand);
  outline-offset: -2px;
}
.mp-seg input {
  position: absolute;
  inset: 0;
  margin: 0;
  opacity: 0;
  cursor: pointer;
}
:where(.mp) input[type="range"] {
  --mp-track: linear-gradient(
    to right,
    var(--mp-line) var(--from, 0%),
    var(--mp-brand) var(--from, 0%),
    var(--mp-brand) var(--to, 0%),
    var(--mp-line) var(--to, 0%)
  );
  display: block;
  width: 100%;
  height: 22px;
  margin: 0;
  background: none;
  appearance: none;
  cursor: pointer;
}
.mp input[type="range"]::-webkit-slider-runnable-track {
  height: 4px;
  border-radius: 3px;
  background: var(--mp-track);
}
.mp input[type="range"]::-moz-range-track {
  height: 4px;
  border-radius: 3px;
  background: var(--mp-track);
}
.mp input[type="range"]::-webkit-slider-thumb {
  width: 16px;
  height: 16px;
  margin-top: -6px;
  border: 2px solid var(--mp-brand);
  border-radius: 50%;
  background: var(--mp-bg);
  appearance: none;
}
.mp input[type="range"]::-moz-range-thumb {
  width: 12px;
  height: 12px;
  border: 2px solid var(--mp-brand);
  border-radius: 50%;
  background: var(--mp-bg);
}
.mp-note {
  color: var(--mp-faint);
  font-size: 11.5px;
}
.mp-error {
  margin: 8px 0 0;
  padding: 6px 10px;
  border-left: 3px solid var(--mp-warn);
  border-radius: 3px;
  background: color-mix(in srgb, var(--mp-warn) 8%, transparent);
  overflow-wrap: anywhere;
}
.mp-kernel {
  flex: 1 0 100%;
  margin: 0 0 8px;
  padding: 6px 10px;
  border-left: 3px solid var(--mp-brand);
  border-radius: 3px;
  background: var(--mp-fill);
  color: var(--mp-soft);
  font-size: 12.5px;
}
/* In the lab the bar says it for all. */
.mp-lab .mp:not(.mp-bar) > .mp-kernel {
  display: none;
}
.mp-progress {
  height: 3px;
  border-radius: 3px;
  background: var(--mp-line);
  overflow: hidden;
}
/* Moved by the compositor alone: a width that is animated would lay the page out 60 times a second. */
.mp-progress > i {
  display: block;
  height: 100%;
  background: var(--mp-brand);
  transform: scaleX(0);
  transform-origin: left;
}
`;var oe=`.mp-panel .mp-panes {
  display: grid;
  grid-template-columns: minmax(0, 1fr);
  gap: 12px 28px;
}
@container (min-width: 520px) {
  .mp-panel .mp-panes {
    grid-template-columns: 208px minmax(0, 1fr);
  }
}
.mp-panel .mp-picture {
  display: block;
  width: 208px;
  max-width: 100%;
  aspect-ratio: 1;
  border: 1px solid var(--mp-line);
  border-radius: 6px;
  background: var(--mp-fill);
  object-fit: contain;
}
.mp-panel .mp-figure {
  position: relative;
  width: 208px;
  max-width: 100%;
  margin: 0;
  border-radius: 6px;
}
.mp-panel .mp-figure + figcaption {
  margin-top: 4px;
  max-width: 208px;
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
}
.mp-panel .mp-drop {
  position: absolute;
  inset: 0;
  display: none;
  align-items: center;
  justify-content: center;
  border: 2px dashed var(--mp-brand);
  border-radius: 6px;
  background: color-mix(in srgb, var(--mp-bg) 80%, transparent);
  color: var(--mp-ink);
}
.mp-panel .mp-figure[data-over] .mp-drop {
  display: flex;
}
.mp-panel .mp-tools {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px;
  margin-top: 8px;
}
.mp-panel .mp-thumbs {
  display: flex;
  flex-wrap: wrap;
  gap: 5px;
  width: 208px;
  max-width: 100%;
  max-height: 84px;
  margin-top: 8px;
  padding: 2px;
  overflow-y: auto;
}
.mp-panel .mp-thumbs button {
  width: 36px;
  height: 36px;
  padding: 0;
  border-color: var(--mp-line);
  overflow: hidden;
}
.mp-panel .mp-thumbs img {
  display: block;
  width: 100%;
  height: 100%;
  object-fit: cover;
}
.mp-panel .mp-thumbs button[aria-checked="true"] {
  border-color: var(--mp-brand);
  box-shadow: 0 0 0 1px var(--mp-brand);
}
`;var ae=`.mp-panel .mp-pill {
  display: inline-flex;
  align-items: center;
  gap: 6px;
  padding: 2px 10px;
  border-radius: 99px;
  background: var(--mp-fill);
  color: var(--mp-soft);
  font-size: 12px;
}
.mp-panel .mp-pill::before {
  width: 7px;
  height: 7px;
  border-radius: 50%;
  background: var(--mp-good);
  content: "";
}
.mp-panel .mp-pill[data-state="running"]::before {
  background: var(--mp-brand);
}
.mp-panel .mp-pill[data-state="cancelled"]::before {
  background: var(--mp-faint);
}
.mp-panel .mp-pill[data-state="error"]::before {
  background: var(--mp-warn);
}
.mp-panel .mp-rate {
  color: var(--mp-faint);
  font-size: 12px;
}
.mp-panel[data-busy] .mp-pill::before {
  background: var(--jp-warn-color1, #b26a00);
}
.mp-panel[data-busy] .mp-rate {
  color: var(--mp-ink);
}
.mp-panel .mp-answers-head {
  margin: 12px 0 4px;
}
.mp-panel .mp-head button[aria-pressed="true"] {
  border-color: var(--mp-brand);
  color: var(--mp-brand);
}
.mp-panel .mp-compare {
  display: grid;
  grid-template-columns: minmax(0, 1fr);
  gap: 8px 20px;
}
@container (min-width: 900px) {
  .mp-panel .mp-compare:has(.mp-pin) {
    grid-template-columns: repeat(2, minmax(0, 1fr));
  }
}
.mp-panel .mp-pin {
  margin-bottom: 8px;
  padding: 8px 12px 2px;
  border-radius: 6px;
  background: var(--mp-fill);
}
.mp-panel .mp-pin-head {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px;
}
.mp-panel .mp-pin-head b {
  flex: 1 1 120px;
  font-size: 12.5px;
  overflow-wrap: anywhere;
}
.mp-panel .mp-pin p.mp-note {
  margin: 2px 0 0;
  overflow-wrap: anywhere;
}
.mp-panel .mp-answer-title {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 4px 10px;
}
.mp-panel .mp-answer {
  min-height: 45px;
  margin: 10px 0;
  padding: 2px 0 2px 10px;
  border-left: 3px solid var(--mp-line);
}
.mp-panel .mp-answer small {
  color: var(--mp-faint);
  font-size: 11px;
}
.mp-panel .mp-answer p {
  min-height: 21px;
  margin: 1px 0 0;
  font-size: 14px;
  line-height: 1.5;
  overflow-wrap: anywhere;
}
.mp-panel .mp-answer[data-row="steered"] {
  border-color: var(--mp-brand);
}
.mp-panel .mp-answer[data-old="true"] p {
  opacity: 0.38;
}
.mp-panel .mp-answer mark {
  padding: 0 2px;
  border-radius: 3px;
  background: color-mix(in srgb, var(--mp-brand) 20%, transparent);
  color: inherit;
}
.mp-panel .mp-answer .named {
  border-bottom: 2px solid var(--mp-brand);
}
.mp-panel .mp-answer .negated {
  border-bottom: 2px dotted var(--mp-faint);
}
.mp-panel .mp-covered {
  color: var(--mp-faint);
  font-style: italic;
}
.mp-panel .mp-reveal {
  padding: 0 8px;
  border-color: var(--mp-brand);
  color: var(--mp-brand);
}
.mp-panel .mp-fold {
  margin-top: 6px;
  color: var(--mp-faint);
  font-size: 11.5px;
}
.mp-panel .mp-fold summary {
  cursor: pointer;
}
.mp-panel .mp-fold button {
  margin-top: 4px;
}
.mp-panel .mp-fold pre {
  max-height: 260px;
  margin: 4px 0 0;
  overflow: auto;
  color: var(--mp-soft);
  font: 11px / 1.5 var(--mp-mono);
  white-space: pre-wrap;
  overflow-wrap: anywhere;
}
`;var pe=`.mp-panel .mp-pair {
  display: inline-flex;
  align-items: center;
  gap: 4px;
  color: var(--mp-faint);
  font-size: 11px;
}
.mp-panel .mp-pair input[type="number"] {
  width: 52px;
  padding: 2px 3px 2px 5px;
  border: 1px solid var(--mp-edge);
  border-radius: 5px;
  background: var(--mp-bg);
  color: var(--mp-ink);
  font: inherit;
  font-size: 11.5px;
}
.mp-panel .mp-two {
  display: grid;
  grid-template-columns: repeat(2, minmax(0, 1fr));
  gap: 0 12px;
}
.mp-panel .mp-over {
  position: relative;
}
.mp-panel .mp-through,
.mp-panel .mp-fluency {
  position: absolute;
  top: 0;
  right: 0;
  color: var(--mp-soft);
  font-size: 12px;
}
.mp-panel .mp-through {
  display: flex;
  align-items: center;
  gap: 6px;
  top: -4px;
}
.mp-panel .mp-through select {
  padding: 1px 4px;
  font-size: 12px;
}
.mp-panel .mp-over .mp-label {
  padding-right: 122px;
}
.mp-panel .mp-steer > .mp-over {
  margin-top: 11px;
}
.mp-panel .mp-steer > .mp-over .mp-label {
  margin-top: 0;
}
.mp-panel .mp-fluency::before {
  display: inline-block;
  width: 8px;
  height: 8px;
  margin-right: 5px;
  border-radius: 2px;
  background: var(--mp-good);
  content: "";
}
.mp-panel .mp-fluency[data-state="untested"]::before {
  border: 1px solid var(--mp-edge);
  background: none;
}
.mp-panel .mp-fluency[data-state="broken"]::before {
  background: var(--mp-warn);
}
.mp-panel .mp-safe {
  position: relative;
  height: 3px;
  margin: -4px 0 1px;
}
.mp-panel .mp-safe::before {
  position: absolute;
  left: var(--safe-from);
  width: calc(var(--safe-to) - var(--safe-from));
  height: 3px;
  border-radius: 2px;
  background: var(--mp-good);
  content: "";
}
.mp-panel .mp-ticks {
  position: relative;
  height: 14px;
  margin: 0 8px;
  color: var(--mp-faint);
  font-size: 10.5px;
}
.mp-panel .mp-ticks span {
  position: absolute;
  transform: translateX(-50%);
}
`;var le=`.mp-projector .mp-answer p {
  font-size: 26px;
  line-height: 1.35;
}
.mp-projector .mp-answer {
  margin: 16px 0;
  padding-left: 16px;
  border-left-width: 5px;
}
.mp-projector .mp-answer small,
.mp-projector .mp-label,
.mp-projector .mp-fluency,
.mp-projector .mp-note {
  font-size: 16px;
}
.mp.mp-projector .mp-head button,
.mp.mp-projector .mp-reveal,
.mp.mp-projector .mp-tools button,
.mp.mp-projector .mp-pin button,
.mp.mp-projector select.mp-wide,
.mp.mp-projector input.mp-wide {
  font-size: 17px;
}
.mp-projector .mp-seg label,
.mp-projector .mp-ticks {
  font-size: 13px;
}
.mp-projector .mp-ticks {
  height: 18px;
}
.mp-projector .mp-fold {
  display: none;
}
@container (min-width: 700px) {
  .mp-projector .mp-panes {
    grid-template-columns: 300px minmax(0, 1fr);
  }
  .mp-projector .mp-picture,
  .mp.mp-projector .mp-figure,
  .mp-projector .mp-thumbs,
  .mp-projector .mp-figure + figcaption {
    width: 300px;
    max-width: 100%;
  }
}
`;var de=[ie,oe,pe,ae,le].join(`
`);var A=class{constructor(e,t=n=>queueMicrotask(n)){this.draws=e;this.later=t}draws;later;stale=new Set;ask(...e){let t=this.stale.size>0;for(let n of e)this.stale.add(n);!t&&e.length>0&&this.later(()=>this.draw())}draw(){let e=new Set(this.stale);this.stale.clear();for(let t of Object.keys(this.draws))e.has(t)&&this.draws[t]()}};var me=["picture","prompt","concept","second","second_strength","layer","window","strength","scope","patches","seed"];function Re(r,e,t){let n=Math.min(1,t/Math.max(r,e,1));return[Math.max(1,Math.round(r*n)),Math.max(1,Math.round(e*n))]}async function ce(r){if(r.size<=3e6)return r.arrayBuffer();let e=await createImageBitmap(r),[t,n]=Re(e.width,e.height,1568),s=new OffscreenCanvas(t,n),o=s.getContext("2d");if(!o)throw new Error("this browser cannot scale the picture");return o.drawImage(e,0,0,t,n),e.close(),(await s.convertToBlob({type:"image/jpeg",quality:.95})).arrayBuffer()}var Ce=["concepts","categories","layers","suggestions","scopes","strength_limit","strength_step"],Pe=["receipt","code","status","message","rate","strength_unit"],_e=["words","negations","concept"],He=600,z=class{constructor(e,t,n){this.model=e;this.answers=O(e.get("answers")),this.kernel=R(e),this.parts=new A({choices:()=>this.fillChoices(),settings:()=>this.drawSettings(),fluency:()=>this.steer.drawFluency(),outcome:()=>this.outcome.draw(e,this.alive()),answers:()=>this.drawAnswers(),pins:()=>this.drawPins()}),this.gallery=new L({pick:s=>this.move({picture:s}),draw:s=>this.ask("scene",{seed:s}),bring:s=>{this.onFile(s)}}),this.steer=new N(e,s=>this.move(s)),this.naming=new S({words:s=>this.count({words:{...e.get("words"),[e.get("concept")]:s}}),negations:s=>this.count({negations:s})}),this.seed.id=g("seed"),this.rows=new j(i("span",{class:"mp-pair"},i("label",{for:this.seed.id},"seed"),this.seed)),this.prompt.setAttribute("list",this.suggestions.id),this.root.append(i("div",{class:"mp-panes"},this.left(),this.right())),t.append(this.root),this.listen(n),this.onControls(),this.fillChoices(),this.drawSettings(),this.outcome.draw(e,this.alive()),this.drawAnswers(),this.drawPins()}model;root=B(de,"panel","Steering panel");gallery;steer;rows;prompt=i("input",{type:"text",class:"mp-wide","data-testid":"prompt",spellcheck:"false"});suggestions=i("datalist",{id:g("suggestions")});seed=i("input",{type:"number",min:0,step:1,"data-testid":"seed"});scopeBox=i("div");scope=i("fieldset");projector=i("button",{type:"button","data-testid":"projector"},"Projector");outcome=new E;naming;pins=i("div",{class:"mp-pins","data-testid":"pins"});answers;patience=new T(e=>this.drawBusy(e));typing;kernel;parts;left(){let e=i("div",{class:"mp-head"},i("h3",{},"Picture")),t=i("div",{class:"mp-left"},e,this.gallery.element);return t.append(u("Question",this.prompt).element,this.suggestions),t.append(i("span",{class:"mp-label"},"Edit these tokens"),this.scopeBox),t}right(){let{rate:e,status:t,stop:n,pin:s,error:o,receipt:l,code:a}=this.outcome,d=i("div",{class:"mp-head"},i("h3",{},"Steer"),e,t,n),p=i("div",{class:"mp-head mp-answers-head"},i("h3",{},"Answers"),s,this.projector),m=i("div",{class:"mp-compare"},this.rows.element,this.pins),h=i("div",{class:"mp-right"},d,this.steer.element,p,m,o);return h.append(this.naming.element,l.element,a.element),h}listen(e){let{model:t}=this,n=(a,d)=>{for(let p of a)t.on(`change:${p}`,d),e.addEventListener("abort",()=>t.off(`change:${p}`,d))},{parts:s}=this;n(Ce,()=>s.ask("choices","settings","pins")),n(["pictures","scene_seed",...me],()=>s.ask("settings")),n(["doses","safe_low","safe_high"],()=>s.ask("fluency")),n(Pe,()=>s.ask("outcome")),n([..._e,"projector","revealed"],()=>s.ask("answers")),n(["pins"],()=>s.ask("pins")),n(["serial"],()=>this.onMove()),n(["answers"],()=>{this.answers=Y(this.answers,t.get("answers"),t.get("serial")),s.ask("answers")});let o=()=>this.onKernel();this.kernel?.on("comm_live_update",o);let l=a=>this.onMessage(a);t.on("msg:custom",l),e.addEventListener("abort",()=>{t.off("msg:custom",l),this.kernel?.off("comm_live_update",o),this.gallery.close(),this.patience.end(),clearTimeout(this.typing)})}onControls(){this.gallery.listen(this.root),this.prompt.addEventListener("change",()=>this.move({prompt:this.prompt.value})),this.prompt.addEventListener("input",()=>{clearTimeout(this.typing),this.typing=setTimeout(()=>this.move({prompt:this.prompt.value}),He)}),this.seed.addEventListener("change",()=>this.move({seed:Math.max(0,Math.round(Number(this.seed.value)))})),this.outcome.stop.addEventListener("click",()=>this.onStop()),this.outcome.pin.addEventListener("click",()=>this.model.send({kind:"pin"})),this.projector.addEventListener("click",()=>this.save({projector:!this.model.get("projector"),revealed:!1})),this.rows.reveal.addEventListener("click",()=>this.save({revealed:!0})),this.root.addEventListener("keydown",e=>{Z(e)&&this.hidden()&&this.save({revealed:!0})})}save(e){for(let[t,n]of Object.entries(e))this.model.set(t,n);this.model.save_changes()}count(e){this.model.send({kind:"naming",state:e})}move(e){clearTimeout(this.typing);let t=Object.entries(e).filter(([n,s])=>JSON.stringify(this.model.get(n))!==JSON.stringify(s));if(t.length!==0){for(let[n,s]of t)this.model.set(n,s);this.ask("set",{state:e})}}ask(e,t,n){let s=this.model.get("serial")+1;this.model.set("revealed",!1),this.model.set("serial",s),this.model.send({kind:e,serial:s,...t},void 0,n)}async onFile(e){try{this.ask("picture",{name:e.name},[await ce(e)])}catch{this.outcome.complain(`${e.name} could not be read as a picture.`)}}onStop(){this.model.get("status")==="running"?this.model.send({kind:"cancel"}):this.ask("set",{state:{}})}hidden(){return this.model.get("projector")&&!this.model.get("revealed")}alive(){return this.kernel?.comm_live??!0}onKernel(){this.alive()||this.endWaiting(),this.parts.ask("outcome","answers")}onMove(){this.answers=G(this.answers),this.alive()&&this.patience.begin(),this.parts.ask("answers")}drawBusy(e){this.answers.current||(this.outcome.rate.textContent=e,this.root.dataset.busy="true")}onMessage(e){let t=this.answers;this.answers=V(t,e,this.model.get("serial")),this.answers!==t&&(e.kind==="start"&&this.answers.current&&this.endWaiting(),this.drawAnswers())}endWaiting(){this.patience.end(),delete this.root.dataset.busy,this.outcome.rate.textContent=""}fillChoices(){let{model:e}=this;this.steer.fill();let t=e.get("scopes").map(([n,s])=>({value:n,label:s}));this.scope=U("scope","edit these tokens",t,n=>this.move({scope:n})),this.scopeBox.replaceChildren(this.scope),this.suggestions.replaceChildren(...e.get("suggestions").map(n=>i("option",{value:n})))}drawSettings(){let{model:e}=this;this.gallery.fill(e.get("pictures"),e.get("scene_seed")),this.gallery.choose(e.get("picture")),document.activeElement!==this.prompt&&(this.prompt.value=e.get("prompt")),document.activeElement!==this.seed&&(this.seed.value=String(e.get("seed"))),D(this.scope,e.get("scope")),this.steer.draw()}drawAnswers(){let{model:e}=this,t=e.get("concept");this.rows.draw(this.answers,{hidden:this.hidden(),awaited:this.alive()}),this.naming.draw(t,e.get("words")[t]??[],e.get("negations")),this.projector.setAttribute("aria-pressed",String(e.get("projector"))),this.root.classList.toggle("mp-projector",e.get("projector"))}drawPins(){let{model:e}=this,t={use:n=>this.move(n),remove:n=>e.send({kind:"unpin",id:n})};this.pins.replaceChildren(...te(e.get("pins"),e.get("scopes"),t)),c(this.pins,e.get("pins").length>0)}};function $e({model:r,el:e,signal:t}){let n=new AbortController;return t?.addEventListener("abort",()=>n.abort()),new z(r,e,n.signal),()=>n.abort()}var Gt={render:I($e)};export{Gt as default};
