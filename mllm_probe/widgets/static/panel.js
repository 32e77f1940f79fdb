function i(n,e={},...t){let r=document.createElement(n);for(let[s,o]of Object.entries(e))o!==void 0&&o!==!1&&r.setAttribute(s,o===!0?"":String(o));return r.append(...t),r}var _=0;function g(n){return _+=1,`mp-${n}-${_}-${Math.random().toString(36).slice(2,8)}`}function O(n,e,t){let r=i("section",{class:`mp mp-${e}`,"aria-label":t,"data-lm-suppress-shortcuts":"true"});return r.append(i("style",{},n)),r.addEventListener("keydown",s=>s.stopPropagation()),r}function h(n,e){n.hidden=!e}function v(n,e=1){if(!Number.isFinite(n))return"\u2013";let t=Math.abs(n).toFixed(e);return n<0&&Number(t)!==0?"\u2212"+t:t}function f(n){let e=Math.abs(n),t=e===.5?"\xBD":e===.25?"\xBC":String(Number(e.toFixed(3)));return n<0?"\u2212"+t:t}function B(n){return{residual:"\xD7 residual norm",vector:"\xD7 vector",raw:"\xD7 raw vector"}[n]??n}var x=n=>n.replaceAll("_"," ");var ce="No kernel is connected. This is the last state that was saved; run the cell to go on from here.",he="The kernel behind this was restarted or shut down. This is its last state; run the cell to go on from here.";function ue(n){let e=n.get("layout");return typeof e?.comm_live=="boolean"&&e.on&&e.off?e:null}function ge(n,e){return n?"":e?he:ce}function fe(n,e){let t=ue(n);if(!t||!e)return()=>{};let r=i("p",{class:"mp-kernel",role:"status","data-testid":"no-kernel"});e.prepend(r);let s=t.comm_live,o=()=>{s||=t.comm_live,r.textContent=ge(t.comm_live,s),h(r,!t.comm_live)};return t.on("comm_live_update",o),o(),()=>t.off("comm_live_update",o)}function z(n){return e=>{let t=n(e),r=fe(e.model,e.el.firstElementChild);return()=>{r(),t?.()}}}function u(n,e){e.id||=g("control");let t=i("b"),r=i("label",{class:"mp-label",for:e.id},n," ",t);return{element:i("div",{},r,e),value:t}}function N(n,e,t){let r=new Map,s=[];for(let o of e){let p=i("option",{value:o.value},o.label);if(!o.group){s.push(p);continue}let a=r.get(o.group)??i("optgroup",{label:x(o.group)});r.has(o.group)||s.push(a),r.set(o.group,a),a.append(p)}n.replaceChildren(...s),n.value=t}function F(n,e,t,r){let s=g(n),o=t.map(p=>{let a=i("input",{type:"radio",name:s,value:p.value});return a.addEventListener("change",()=>r(p.value)),i("label",{},a,p.label)});return i("fieldset",{class:"mp-seg","data-testid":n,"aria-label":e},...o)}function I(n,e){for(let t of n.querySelectorAll("input"))t.checked=t.value===e}function A(n,e,t){let r=i("div",{class:"mp-ticks","aria-hidden":"true"});for(let s=n;s<=e+1e-9;s+=t){let o=i("span",{},f(s));o.style.left=`${100*(s-n)/Math.max(1e-9,e-n)}%`,r.append(o)}return r}function w(n,e){let[t,r]=[Number(n.min),Number(n.max)],s=Math.max(0,Math.min(1,(e-t)/Math.max(1e-9,r-t)));return`calc(${(100*s).toFixed(2)}% + ${(8-16*s).toFixed(2)}px)`}function C(n,e,t){n.style.setProperty("--from",w(n,Math.min(e,t))),n.style.setProperty("--to",w(n,Math.max(e,t)))}var be=new Set(["but","and","only","just","merely","with"]),b=n=>n.toLowerCase().replace(/[^\p{L}\p{N}]/gu,"");function ve(n,e){let t=n.length+1,r=e.length+1,s=Array.from({length:t},()=>new Uint16Array(r)),o=(d,m)=>s[d]?.[m]??0;for(let d=t-2;d>=0;d-=1)for(let m=r-2;m>=0;m-=1){let c=s[d];c&&(c[m]=n[d]===e[m]?o(d+1,m+1)+1:Math.max(o(d+1,m),o(d,m+1)))}let p=n.map(()=>!1),a=0,l=0;for(;a<n.length&&l<e.length;)n[a]===e[l]?(p[a]=!0,a+=1,l+=1):o(a+1,l)>=o(a,l+1)?a+=1:l+=1;return p}function xe(n){let e=n.map(r=>r.replace(/[_\s]+/g," ").trim().toLowerCase()).filter(Boolean),t=r=>/[^aeiou]y$/.test(r)?`${r.slice(0,-1)}ies`:/(?:s|x|z|ch|sh)$/.test(r)?`${r}es`:`${r}s`;return[...new Set([...e,...e.map(t)])]}function we(n,e,t){let r=t.map(s=>s.toLowerCase().replaceAll("\u2019","'"));for(let s=1;s<=4&&e-s>=0;s+=1){let o=(n[e-s]??"").toLowerCase().replaceAll("\u2019","'");if(/[.,;:!?]$/.test(o))return!1;if(r.some(p=>b(o)===b(p)||p.startsWith("n'")&&o.endsWith(p)))return!0;if(be.has(b(o)))return!1}return!1}function U(n,e,t,r=[]){let s=n.split(/\s+/).filter(Boolean),o=e?.split(/\s+/).filter(Boolean)??[],p=e===null?s.map(()=>!0):ve(s.map(b),o.map(b)),a=xe(t).map(m=>m.split(/[\s-]+/).map(b).filter(Boolean)).filter(m=>m.length>0),l=s.map(()=>!1),d=s.map(()=>!1);for(let m of a)for(let c=0;c+m.length<=s.length;c+=1){if(!m.every((de,me)=>b(s[c+me]??"")===de))continue;(we(s,c,r)?d:l).fill(!0,c,c+m.length)}return s.map((m,c)=>({text:m,changed:!p[c],named:l[c]??!1,negated:(d[c]??!1)&&!l[c]}))}var R=n=>[...new Set(n.split(/[,\n]/).map(e=>e.trim()))].filter(Boolean);var k=class{element=i("details",{class:"mp-fold","data-testid":"receipt"});title=i("summary",{},"Receipt");text=i("pre");constructor(){this.element.append(this.title,this.text)}draw(e){this.title.textContent=e[0]?`Receipt: ${e[0]}`:"Receipt",this.text.textContent=e.slice(1).join(`
`),h(this.element,e.length>0)}},M=class{element=i("details",{class:"mp-fold","data-testid":"code"});text=i("pre",{tabindex:0,"aria-label":"Python of this setting"});copy=i("button",{type:"button","data-testid":"copy-code"},"Copy");constructor(){this.element.append(i("summary",{},"Python that gives these answers"),this.copy,this.text),this.copy.addEventListener("click",()=>{this.onCopy()})}draw(e){this.text.textContent=e,this.copy.textContent="Copy",h(this.element,e!=="")}async onCopy(){try{await navigator.clipboard.writeText(this.text.textContent??""),this.copy.textContent="Copied"}catch{getSelection()?.selectAllChildren(this.text),this.copy.textContent="Selected: press Ctrl+C"}}},E=class{element=i("details",{class:"mp-fold","data-testid":"words-fold"});title=i("summary");words=i("input",{type:"text",class:"mp-wide","data-testid":"words"});negations=i("input",{type:"text",class:"mp-wide","data-testid":"negations"});constructor(e){let t=u("Words that name it, with commas between them",this.words).element,r=u("Not if one of these stands before them",this.negations).element;this.element.append(this.title,t,r),this.words.addEventListener("change",()=>e.words(R(this.words.value))),this.negations.addEventListener("change",()=>e.negations(R(this.negations.value)))}draw(e,t,r){this.title.textContent=`What counts as naming ${e||"the concept"}`,document.activeElement!==this.words&&(this.words.value=t.join(", ")),document.activeElement!==this.negations&&(this.negations.value=r.join(", "))}};var ye=[{after:700,text:"the kernel is busy; waiting for it \u2026"},{after:2e4,text:"no answer from the kernel: it is busy, or was restarted (then run the cell again)"}],L=class{constructor(e){this.say=e}say;timers=[];begin(){this.end(),this.timers=ye.map(({after:e,text:t})=>setTimeout(()=>this.say(t),e))}end(){this.timers.forEach(clearTimeout),this.timers=[]}};var T=class{constructor(e){this.asks=e;this.file.setAttribute("aria-label","open a picture file");let t=i("button",{type:"button","data-testid":"open"},"Open\u2026"),r=i("button",{type:"button","data-testid":"new-scene"},"New scene");this.seed.id=g("seed");let s=i("label",{for:this.seed.id,class:"mp-note"},"seed"),o=i("div",{class:"mp-tools"},t,r,i("span",{class:"mp-pair"},s,this.seed));this.figure.append(this.large,i("span",{class:"mp-drop","aria-hidden":"true"},"drop a picture")),this.element=i("div",{},this.figure,this.caption,o,this.file,this.thumbs),this.thumbs.addEventListener("keydown",p=>this.onKey(p)),t.addEventListener("click",()=>this.file.click()),r.addEventListener("click",()=>this.asks.draw(Math.max(0,Math.round(Number(this.seed.value))||0))),this.file.addEventListener("change",()=>{this.bring(this.file.files),this.file.value=""})}asks;element;large=i("img",{class:"mp-picture","data-testid":"picture"});caption=i("figcaption",{class:"mp-note"});figure=i("figure",{class:"mp-figure",tabindex:0,"data-testid":"drop","aria-label":"Picture. Drop or paste another one here."});thumbs=i("div",{class:"mp-thumbs",role:"radiogroup","aria-label":"choose a picture"});file=i("input",{type:"file",accept:"image/*","data-testid":"upload",hidden:!0});seed=i("input",{type:"number",min:0,step:1,"data-testid":"scene-seed"});urls=[];pictures=[];listen(e){let t=r=>r.dataTransfer?.types.includes("Files")??!1;e.addEventListener("dragover",r=>{t(r)&&(r.preventDefault(),r.stopPropagation(),this.figure.dataset.over="true")}),e.addEventListener("dragleave",r=>{e.contains(r.relatedTarget)||delete this.figure.dataset.over}),e.addEventListener("drop",r=>{delete this.figure.dataset.over,t(r)&&this.take(r,r.dataTransfer?.files)}),e.addEventListener("paste",r=>{r.clipboardData?.files.length&&this.take(r,r.clipboardData.files)})}take(e,t){e.preventDefault(),e.stopPropagation(),this.bring(t??null)}bring(e){let t=e?.[0];t&&this.asks.bring(t)}fill(e,t){if(document.activeElement!==this.seed&&(this.seed.value=String(t)),e===this.pictures)return;this.close(),this.pictures=e,this.urls=e.map(({png:s})=>URL.createObjectURL(new Blob([s],{type:"image/png"})));let r=e.map((s,o)=>{let p=i("img",{src:this.urls[o],alt:""}),a=i("button",{type:"button",role:"radio","aria-label":s.label,title:s.label},p);return a.addEventListener("click",()=>this.asks.pick(o)),a});this.thumbs.replaceChildren(...r),h(this.thumbs,r.length>1)}choose(e){let t=this.urls[e],r=this.pictures[e]?.label??"";h(this.large,t!==void 0),t!==void 0&&this.large.src!==t&&(this.large.src=t),this.large.alt=r,this.caption.textContent=r,this.caption.title=r,[...this.thumbs.children].forEach((s,o)=>{s.setAttribute("aria-checked",String(o===e)),s.tabIndex=o===e?0:-1}),this.bringIntoView(this.thumbs.children[e])}bringIntoView(e){if(!e)return;let t=e.offsetTop-this.thumbs.offsetTop;(t<this.thumbs.scrollTop||t+e.offsetHeight>this.thumbs.scrollTop+this.thumbs.clientHeight)&&(this.thumbs.scrollTop=t-4)}onKey(e){let t={ArrowRight:1,ArrowDown:1,ArrowLeft:-1,ArrowUp:-1}[e.key],r=[...this.thumbs.children].indexOf(e.target);if(t===void 0||r<0)return;e.preventDefault(),e.stopPropagation();let s=Math.max(0,Math.min(this.urls.length-1,r+t));this.asks.pick(s),this.thumbs.children[s]?.focus()}close(){for(let e of this.urls)URL.revokeObjectURL(e);this.urls=[],this.pictures=[]}};var y=["baseline","steered","random"],$=n=>({baseline:n("baseline"),steered:n("steered"),random:n("random")});function H(n){return{generation:n.generation??0,current:!0,lines:$(e=>({text:n[e]??"",old:!1}))}}function D(n){return{...n,current:!1,lines:$(e=>({...n.lines[e],old:!0}))}}function ke(n,e,t){if(e.generation<=n.generation)return n;let r=$(s=>({...n.lines[s],old:!0}));return{generation:e.generation,current:e.serial>=t,lines:r}}function K(n,e,t){let r=ke(n,e,t);if(e.kind==="start")return r;let s=y[e.row];return!s||e.generation!==r.generation||!r.current?r:{...r,lines:{...r.lines,[s]:{text:e.text,old:!1}}}}function W(n,e,t){return(e.generation??0)<n.generation||(e.serial??0)<t?n:H(e)}var q={baseline:"as it is",steered:"steered",random:"random direction, same size"};function G(n,e,t){return U(n,e,t.words,t.negations).flatMap((r,s)=>{let o=r.named?"named":r.negated?"negated":"",p=o?i("span",{class:o},r.text):document.createTextNode(r.text),a=r.changed?i("mark",{},p):p;return s?[document.createTextNode(" "),a]:[a]})}function V(n,e,...t){let r=i("div",{class:"mp-answer-title"},i("small",{},q[n]),...t);return i("div",{class:"mp-answer","data-row":n},r,e)}function Y(n,e){return y.map(t=>V(t,i("p",{},...G(n[t],t==="baseline"?null:n.baseline,e))))}function J(n){let t=n.target.matches('select, input[type="text"], input[type="number"]');return n.key.toLowerCase()==="r"&&!(n.ctrlKey||n.metaKey||n.altKey||t)}var S=class{element;reveal=i("button",{type:"button",class:"mp-reveal","data-testid":"reveal"},"Reveal (r)");texts;boxes;constructor(e){let t=r=>i("p",{"data-testid":`answer-${r}`,"aria-label":q[r]});this.texts={baseline:t("baseline"),steered:t("steered"),random:t("random")},this.boxes=y.map(r=>{let s={baseline:[],steered:[this.reveal],random:[e]}[r];return V(r,this.texts[r],...s)}),this.element=i("div",{class:"mp-live"},...this.boxes)}draw(e,t,r){let s=e.lines.baseline;y.forEach((o,p)=>{let a=e.lines[o],l=o!=="baseline"&&!a.old&&!s.old&&s.text!=="",d=this.boxes[p];d&&(d.dataset.old=String(a.old)),this.texts[o].setAttribute("aria-busy",String(a.old));let c=r&&o==="steered"?[i("span",{class:"mp-covered"},"What will it say?")]:G(a.text,l?s.text:null,t);this.texts[o].replaceChildren(...c)}),this.reveal.hidden=!r}};var Q=n=>(n>0?"+":"")+f(n);function Me(n,e){let{concept:t,second:r,window:s,scope:o}=n,p=[`${x(t)} ${Q(n.strength)}`];r&&p.push(`${x(r)} ${Q(n.second_strength)}`);let[a,l]=s,d=a===l?`layer ${a}`:`layers ${a}\u2013${l}`,m=e.find(([c])=>c===o)?.[1]??o;return[p.join(" and "),d,m,`seed ${n.seed}`].join(" \xB7 ")}function X(n,e,t,r){return n.map(s=>{let o=Me(s.setting,e),p=i("button",{type:"button","aria-label":`use the pinned setting ${o}`},"Use"),a=i("button",{type:"button","aria-label":`remove the pinned setting ${o}`},"Remove");p.addEventListener("click",()=>r.use(s.setting)),a.addEventListener("click",()=>r.remove(s.id));let l=i("p",{class:"mp-note"},`${s.picture} \xB7 \u201C${s.setting.prompt}\u201D`),d=i("div",{class:"mp-pin-head"},i("b",{},o),p,a),m={class:"mp-pin","data-testid":"pin",role:"group","aria-label":`pinned: ${o}`};return i("div",m,d,l,...Y(s.answers,t(s.setting)))})}var Z=2,Ee=n=>`perplexity \xD7 ${n<10?v(n,1):v(n,0)}`;function ee(n,e,t,r){let s=e.map(([l])=>l),o=n>=Math.min(0,...s)&&n<=Math.max(0,...s);if(s.length===0||!o)return{state:"untested",text:"untested"};let p=e.find(([l])=>Math.abs(l-n)<1e-9),a=n>=t&&n<=r;return p?{state:a?"fluent":"broken",text:Ee(p[1])}:a?{state:"fluent",text:`perplexity under \xD7 ${Z}`}:{state:"broken",text:`perplexity over \xD7 ${Z}`}}function Le(n,e,t){return[n,Math.max(n,Math.min(Math.max(...t),n+e[1]-e[0]))]}var te=n=>(n>0?"+":"")+f(n),j=class{constructor(e,t){this.model=e;this.move=t;let r=i("div",{class:"mp-two"});r.append(u("Concept",this.concept).element,u("and",this.second).element);let s=i("label",{class:"mp-through"},"through",this.last),o=i("div",{class:"mp-over"},this.layerBox.element,s),p=i("div",{class:"mp-over"},this.strengthBox.element,this.note);this.element=i("div",{class:"mp-steer"},r,o,this.layerTicks,p,this.safe),this.element.append(this.strengthTicks,this.secondBox.element),this.listen()}model;move;element;concept=i("select",{class:"mp-wide","data-testid":"concept"});second=i("select",{class:"mp-wide","data-testid":"second"});layer=i("input",{type:"range",step:1,"data-testid":"layer"});last=i("select",{"data-testid":"window","aria-label":"last layer of the window"});strength=i("input",{type:"range","data-testid":"strength"});secondStrength=i("input",{type:"range","data-testid":"second-strength"});layerBox=u("Layer",this.layer);strengthBox=u("Strength",this.strength);secondBox=u("Strength of the second",this.secondStrength);layerTicks=i("div");strengthTicks=i("div");note=i("span",{class:"mp-fluency","data-testid":"fluency"});safe=i("div",{class:"mp-safe","data-testid":"safe"});listen(){let{model:e,move:t}=this;this.concept.addEventListener("change",()=>t({concept:this.concept.value})),this.second.addEventListener("change",()=>t({second:this.second.value})),this.strength.addEventListener("input",()=>t({strength:Number(this.strength.value)})),this.secondStrength.addEventListener("input",()=>t({second_strength:Number(this.secondStrength.value)})),this.layer.addEventListener("input",()=>{let r=Number(this.layer.value);t({layer:r,window:Le(r,e.get("window"),e.get("layers"))})}),this.last.addEventListener("change",()=>{let r=e.get("layer");t({layer:r,window:[r,Number(this.last.value)]})})}fill(){let{model:e}=this,t=e.get("categories"),r=e.get("concepts").map((d,m)=>({value:d,label:d,group:t[m]??""}));N(this.concept,r,e.get("concept")),N(this.second,[{value:"",label:"nothing else"},...r],e.get("second"));let s=e.get("layers"),o=s.length>0,[p,a]=o?[Math.min(...s),Math.max(...s)]:[0,0];Object.assign(this.layer,{min:String(p),max:String(a),disabled:!o});let l=e.get("strength_limit");for(let d of[this.strength,this.secondStrength])Object.assign(d,{min:String(-l),max:String(l),step:String(e.get("strength_step"))});this.layerTicks.replaceChildren(o?A(p,a,Math.max(1,Math.ceil((a-p)/12))):""),this.strengthTicks.replaceChildren(A(-l,l,l>4?Math.ceil(l/4):1));for(let d of[this.concept,this.second])d.disabled=r.length===0}draw(){let{model:e}=this,t=B(e.get("strength_unit")),[r,s]=[e.get("strength"),e.get("second_strength")];this.concept.value=e.get("concept"),this.second.value=e.get("second"),this.drawRange(this.strength,r,this.strengthBox.value,`${te(r)} ${t}`),this.drawRange(this.secondStrength,s,this.secondBox.value,`${te(s)} ${t}`),h(this.secondBox.element,e.get("second")!==""),this.drawLayers(),this.drawFluency()}drawRange(e,t,r,s){e.value=String(t),r.textContent=s,e.setAttribute("aria-valuetext",s),C(e,0,t)}drawLayers(){let[e,t]=this.model.get("window"),r=this.model.get("layers").filter(s=>s>=e);this.last.replaceChildren(...r.map(s=>i("option",{value:s},String(s)))),this.last.value=String(t),this.last.disabled=r.length<2,this.layer.value=String(e),this.layerBox.value.textContent=e===t?String(e):`${e} to ${t}`,this.layer.setAttribute("aria-valuetext",`${e===t?"layer":"layers"} ${this.layerBox.value.textContent}`),C(this.layer,e,t)}drawFluency(){let{model:e}=this,[t,r]=[e.get("safe_low"),e.get("safe_high")],s=ee(e.get("strength"),e.get("doses"),t,r);this.note.textContent=s.text,this.note.dataset.state=s.state,this.safe.style.setProperty("--safe-from",w(this.strength,t)),this.safe.style.setProperty("--safe-to",w(this.strength,r)),this.safe.title=`perplexity under \xD7 2 from ${f(t)} to ${f(r)}; outside of what was swept: untested`,this.safe.hidden=t===r}};var re=`.mp {
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
.mp button:hover {
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
.mp-progress > i {
  display: block;
  width: 0;
  height: 100%;
  background: var(--mp-brand);
}
@media (prefers-reduced-motion: no-preference) {
  .mp-progress > i {
    transition: width 0.15s linear;
  }
}
`;var ne=`.mp-panes {
  display: grid;
  grid-template-columns: minmax(0, 1fr);
  gap: 12px 28px;
}
@container (min-width: 520px) {
  .mp-panes {
    grid-template-columns: 208px minmax(0, 1fr);
  }
}
.mp-picture {
  display: block;
  width: 208px;
  max-width: 100%;
  aspect-ratio: 1;
  border: 1px solid var(--mp-line);
  border-radius: 6px;
  background: var(--mp-fill);
  object-fit: contain;
}
.mp .mp-figure {
  position: relative;
  width: 208px;
  max-width: 100%;
  margin: 0;
  border-radius: 6px;
}
.mp-figure + figcaption {
  margin-top: 4px;
  max-width: 208px;
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
}
.mp-drop {
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
.mp-figure[data-over] .mp-drop {
  display: flex;
}
.mp-tools {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px;
  margin-top: 8px;
}
.mp-thumbs {
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
.mp .mp-thumbs button {
  width: 36px;
  height: 36px;
  padding: 0;
  border-color: var(--mp-line);
  overflow: hidden;
}
.mp .mp-thumbs img {
  display: block;
  width: 100%;
  height: 100%;
  object-fit: cover;
}
.mp .mp-thumbs button[aria-checked="true"] {
  border-color: var(--mp-brand);
  box-shadow: 0 0 0 1px var(--mp-brand);
}
`;var se=`.mp-pill {
  display: inline-flex;
  align-items: center;
  gap: 6px;
  padding: 2px 10px;
  border-radius: 99px;
  background: var(--mp-fill);
  color: var(--mp-soft);
  font-size: 12px;
}
.mp-pill::before {
  width: 7px;
  height: 7px;
  border-radius: 50%;
  background: var(--mp-good);
  content: "";
}
.mp-pill[data-state="running"]::before {
  background: var(--mp-brand);
}
.mp-pill[data-state="cancelled"]::before {
  background: var(--mp-faint);
}
.mp-pill[data-state="error"]::before {
  background: var(--mp-warn);
}
.mp-rate {
  color: var(--mp-faint);
  font-size: 12px;
}
.mp[data-busy] .mp-pill::before {
  background: var(--jp-warn-color1, #b26a00);
}
.mp[data-busy] .mp-rate {
  color: var(--mp-ink);
}
.mp-answers-head {
  margin: 12px 0 4px;
}
.mp .mp-head button[aria-pressed="true"] {
  border-color: var(--mp-brand);
  color: var(--mp-brand);
}
.mp-compare {
  display: grid;
  grid-template-columns: minmax(0, 1fr);
  gap: 8px 20px;
}
@container (min-width: 900px) {
  .mp-compare:has(.mp-pin) {
    grid-template-columns: repeat(2, minmax(0, 1fr));
  }
}
.mp-pin {
  margin-bottom: 8px;
  padding: 8px 12px 2px;
  border-radius: 6px;
  background: var(--mp-fill);
}
.mp-pin-head {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px;
}
.mp-pin-head b {
  flex: 1 1 120px;
  font-size: 12.5px;
  overflow-wrap: anywhere;
}
.mp-pin p.mp-note {
  margin: 2px 0 0;
  overflow-wrap: anywhere;
}
.mp-answer-title {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 4px 10px;
}
.mp-answer {
  min-height: 45px;
  margin: 10px 0;
  padding: 2px 0 2px 10px;
  border-left: 3px solid var(--mp-line);
}
.mp-answer small {
  color: var(--mp-faint);
  font-size: 11px;
}
.mp-answer p {
  min-height: 21px;
  margin: 1px 0 0;
  font-size: 14px;
  line-height: 1.5;
  overflow-wrap: anywhere;
}
.mp-answer[data-row="steered"] {
  border-color: var(--mp-brand);
}
.mp-answer[data-old="true"] p {
  opacity: 0.38;
}
.mp-answer mark {
  padding: 0 2px;
  border-radius: 3px;
  background: color-mix(in srgb, var(--mp-brand) 20%, transparent);
  color: inherit;
}
.mp-answer .named {
  border-bottom: 2px solid var(--mp-brand);
}
.mp-answer .negated {
  border-bottom: 2px dotted var(--mp-faint);
}
.mp-covered {
  color: var(--mp-faint);
  font-style: italic;
}
.mp .mp-reveal {
  padding: 0 8px;
  border-color: var(--mp-brand);
  color: var(--mp-brand);
}
.mp-fold {
  margin-top: 6px;
  color: var(--mp-faint);
  font-size: 11.5px;
}
.mp-fold summary {
  cursor: pointer;
}
.mp-fold button {
  margin-top: 4px;
}
.mp-fold pre {
  max-height: 260px;
  margin: 4px 0 0;
  overflow: auto;
  color: var(--mp-soft);
  font: 11px / 1.5 var(--mp-mono);
  white-space: pre-wrap;
  overflow-wrap: anywhere;
}
`;var ie=`.mp-pair {
  display: inline-flex;
  align-items: center;
  gap: 4px;
  color: var(--mp-faint);
  font-size: 11px;
}
.mp .mp-pair input[type="number"] {
  width: 52px;
  padding: 2px 3px 2px 5px;
  border: 1px solid var(--mp-edge);
  border-radius: 5px;
  background: var(--mp-bg);
  color: var(--mp-ink);
  font: inherit;
  font-size: 11.5px;
}
.mp-two {
  display: grid;
  grid-template-columns: repeat(2, minmax(0, 1fr));
  gap: 0 12px;
}
.mp-over {
  position: relative;
}
.mp-through,
.mp-fluency {
  position: absolute;
  top: 0;
  right: 0;
  color: var(--mp-soft);
  font-size: 12px;
}
.mp-through {
  display: flex;
  align-items: center;
  gap: 6px;
  top: -4px;
}
.mp .mp-through select {
  padding: 1px 4px;
  font-size: 12px;
}
.mp-over .mp-label {
  padding-right: 122px;
}
.mp-steer > .mp-over {
  margin-top: 11px;
}
.mp-steer > .mp-over .mp-label {
  margin-top: 0;
}
.mp-fluency::before {
  display: inline-block;
  width: 8px;
  height: 8px;
  margin-right: 5px;
  border-radius: 2px;
  background: var(--mp-good);
  content: "";
}
.mp-fluency[data-state="untested"]::before {
  border: 1px solid var(--mp-edge);
  background: none;
}
.mp-fluency[data-state="broken"]::before {
  background: var(--mp-warn);
}
.mp-safe {
  position: relative;
  height: 3px;
  margin: -4px 0 1px;
}
.mp-safe::before {
  position: absolute;
  left: var(--safe-from);
  width: calc(var(--safe-to) - var(--safe-from));
  height: 3px;
  border-radius: 2px;
  background: var(--mp-good);
  content: "";
}
.mp-ticks {
  position: relative;
  height: 14px;
  margin: 0 8px;
  color: var(--mp-faint);
  font-size: 10.5px;
}
.mp-ticks span {
  position: absolute;
  transform: translateX(-50%);
}
`;var oe=`.mp-projector .mp-answer p {
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
`;var ae=[re,ne,ie,se,oe].join(`
`);var pe=["picture","prompt","concept","second","second_strength","layer","window","strength","scope","patches","seed"];function Ce(n,e,t){let r=Math.min(1,t/Math.max(n,e,1));return[Math.max(1,Math.round(n*r)),Math.max(1,Math.round(e*r))]}async function le(n){if(n.size<=3e6)return n.arrayBuffer();let e=await createImageBitmap(n),[t,r]=Ce(e.width,e.height,1568),s=new OffscreenCanvas(t,r),o=s.getContext("2d");if(!o)throw new Error("this browser cannot scale the picture");return o.drawImage(e,0,0,t,r),e.close(),(await s.convertToBlob({type:"image/jpeg",quality:.95})).arrayBuffer()}var Re=["concepts","categories","layers","suggestions","scopes","strength_limit","strength_step"],$e=["receipt","code","status","message","rate","strength_unit"],He=["words","negations","concept","second"],Pe=600,P=class{constructor(e,t,r){this.model=e;this.answers=H(e.get("answers")),this.gallery=new T({pick:s=>this.move({picture:s}),draw:s=>this.ask("scene",{seed:s}),bring:s=>{this.onFile(s)}}),this.steer=new j(e,s=>this.move(s)),this.naming=new E({words:s=>this.save({words:{...e.get("words"),[e.get("concept")]:s}}),negations:s=>this.save({negations:s})}),this.seed.id=g("seed"),this.rows=new S(i("span",{class:"mp-pair"},i("label",{for:this.seed.id},"seed"),this.seed)),this.prompt.setAttribute("list",this.suggestions.id),this.root.append(i("div",{class:"mp-panes"},this.left(),this.right())),t.append(this.root),this.listen(r),this.onControls(),this.fillChoices(),this.drawOutcome(),this.drawAnswers()}model;root=O(ae,"panel","Steering panel");gallery;steer;rows;prompt=i("input",{type:"text",class:"mp-wide","data-testid":"prompt",spellcheck:"false"});suggestions=i("datalist",{id:g("suggestions")});seed=i("input",{type:"number",min:0,step:1,"data-testid":"seed"});scopeBox=i("div");scope=i("fieldset");status=i("span",{class:"mp-pill",role:"status","data-testid":"status"});rate=i("span",{class:"mp-rate","data-testid":"rate"});stop=i("button",{type:"button","data-testid":"stop"});pin=i("button",{type:"button","data-testid":"pin-setting"},"Pin");projector=i("button",{type:"button","data-testid":"projector"},"Projector");error=i("p",{class:"mp-error",role:"alert","data-testid":"error"});receipt=new k;code=new M;naming;pins=i("div",{class:"mp-pins","data-testid":"pins"});answers;patience=new L(e=>this.drawBusy(e));typing;left(){let e=i("div",{class:"mp-head"},i("h3",{},"Picture")),t=i("div",{class:"mp-left"},e,this.gallery.element);return t.append(u("Question",this.prompt).element,this.suggestions),t.append(i("span",{class:"mp-label"},"Edit these tokens"),this.scopeBox),t}right(){let e=i("div",{class:"mp-head"},i("h3",{},"Steer"),this.rate,this.status,this.stop),t=i("div",{class:"mp-head mp-answers-head"},i("h3",{},"Answers"),this.pin,this.projector),r=i("div",{class:"mp-compare"},this.rows.element,this.pins),s=i("div",{class:"mp-right"},e,this.steer.element,t,r,this.error);return s.append(this.naming.element,this.receipt.element,this.code.element),s}listen(e){let{model:t}=this,r=(o,p)=>{for(let a of o)t.on(`change:${a}`,p),e.addEventListener("abort",()=>t.off(`change:${a}`,p))};r(Re,()=>this.fillChoices()),r(["pictures","scene_seed"],()=>this.drawSettings()),r(pe,()=>this.drawSettings()),r(["doses","safe_low","safe_high"],()=>this.steer.drawFluency()),r($e,()=>this.drawOutcome()),r([...He,"projector","revealed"],()=>this.drawAnswers()),r(["pins","words","negations","scopes"],()=>this.drawPins()),r(["serial"],()=>this.drawMove()),r(["answers"],()=>{this.answers=W(this.answers,t.get("answers"),t.get("serial")),this.drawAnswers()});let s=o=>this.onMessage(o);t.on("msg:custom",s),e.addEventListener("abort",()=>{t.off("msg:custom",s),this.gallery.close(),this.patience.end(),clearTimeout(this.typing)})}onControls(){this.gallery.listen(this.root),this.prompt.addEventListener("change",()=>this.move({prompt:this.prompt.value})),this.prompt.addEventListener("input",()=>{clearTimeout(this.typing),this.typing=setTimeout(()=>this.move({prompt:this.prompt.value}),Pe)}),this.seed.addEventListener("change",()=>this.move({seed:Math.max(0,Math.round(Number(this.seed.value)))})),this.stop.addEventListener("click",()=>this.onStop()),this.pin.addEventListener("click",()=>this.model.send({kind:"pin"})),this.projector.addEventListener("click",()=>this.save({projector:!this.model.get("projector"),revealed:!1})),this.rows.reveal.addEventListener("click",()=>this.save({revealed:!0})),this.root.addEventListener("keydown",e=>{J(e)&&this.hidden()&&this.save({revealed:!0})})}save(e){for(let[t,r]of Object.entries(e))this.model.set(t,r);this.model.save_changes()}move(e){clearTimeout(this.typing);let t=Object.entries(e).filter(([r,s])=>JSON.stringify(this.model.get(r))!==JSON.stringify(s));if(t.length!==0){for(let[r,s]of t)this.model.set(r,s);this.ask("set",{state:e})}}ask(e,t,r){let s=this.model.get("serial")+1;this.model.set("revealed",!1),this.model.set("serial",s),this.model.send({kind:e,serial:s,...t},void 0,r)}async onFile(e){try{this.ask("picture",{name:e.name},[await le(e)])}catch{this.error.textContent=`${e.name} could not be read as a picture.`,h(this.error,!0)}}onStop(){this.model.get("status")==="running"?this.model.send({kind:"cancel"}):this.ask("set",{state:{}})}hidden(){return this.model.get("projector")&&!this.model.get("revealed")}drawMove(){this.answers=D(this.answers),this.patience.begin(),this.drawAnswers()}drawBusy(e){this.answers.current||(this.rate.textContent=e,this.root.dataset.busy="true")}onMessage(e){let t=this.answers;this.answers=K(t,e,this.model.get("serial")),this.answers!==t&&(e.kind==="start"&&this.answers.current&&this.drawAnswering(),this.drawAnswers())}drawAnswering(){this.patience.end(),delete this.root.dataset.busy,this.rate.textContent=""}fillChoices(){let{model:e}=this;this.steer.fill();let t=e.get("scopes").map(([r,s])=>({value:r,label:s}));this.scope=F("scope","edit these tokens",t,r=>this.move({scope:r})),this.scopeBox.replaceChildren(this.scope),this.suggestions.replaceChildren(...e.get("suggestions").map(r=>i("option",{value:r}))),this.drawSettings(),this.drawPins()}drawSettings(){let{model:e}=this;this.gallery.fill(e.get("pictures"),e.get("scene_seed")),this.gallery.choose(e.get("picture")),document.activeElement!==this.prompt&&(this.prompt.value=e.get("prompt")),document.activeElement!==this.seed&&(this.seed.value=String(e.get("seed"))),I(this.scope,e.get("scope")),this.steer.draw()}drawOutcome(){let{model:e}=this,t=e.get("status"),r=t==="running";this.status.textContent=t,this.status.dataset.state=t,this.stop.textContent=r?"Stop":"Run again",this.stop.disabled=e.get("concepts").length===0,this.pin.disabled=t!=="idle"||e.get("code")==="";let s=e.get("rate");r||(this.rate.textContent=s>0?`${v(s,s<10?1:0)} tokens/s`:"");let o=e.get("message");this.error.textContent=o,h(this.error,o!==""),this.receipt.draw(e.get("receipt")),this.code.draw(e.get("code"))}namingOf=e=>{let t=this.model.get("words");return{words:[e.concept,e.second].flatMap(s=>t[s]??[]),negations:this.model.get("negations")}};drawAnswers(){let{model:e}=this,t=e.get("concept");this.rows.draw(this.answers,this.namingOf({concept:t,second:e.get("second")}),this.hidden()),this.naming.draw(t,e.get("words")[t]??[],e.get("negations")),this.projector.setAttribute("aria-pressed",String(e.get("projector"))),this.root.classList.toggle("mp-projector",e.get("projector"))}drawPins(){let{model:e}=this,t={use:r=>this.move(r),remove:r=>e.send({kind:"unpin",id:r})};this.pins.replaceChildren(...X(e.get("pins"),e.get("scopes"),this.namingOf,t)),h(this.pins,e.get("pins").length>0)}};function _e({model:n,el:e,signal:t}){let r=new AbortController;return t?.addEventListener("abort",()=>r.abort()),new P(n,e,r.signal),()=>r.abort()}var Ut={render:z(_e)};export{Ut as default};
