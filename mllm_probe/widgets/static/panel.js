function i(n,e={},...r){let t=document.createElement(n);for(let[s,o]of Object.entries(e))o!==void 0&&o!==!1&&t.setAttribute(s,o===!0?"":String(o));return t.append(...r),t}var O=0;function g(n){return O+=1,`mp-${n}-${O}-${Math.random().toString(36).slice(2,8)}`}function B(n,e,r){let t=i("section",{class:`mp mp-${e}`,"aria-label":r,"data-lm-suppress-shortcuts":"true"});return t.append(i("style",{},n)),t.addEventListener("keydown",s=>s.stopPropagation()),t}function h(n,e){n.hidden=!e}function v(n,e=1){if(!Number.isFinite(n))return"\u2013";let r=Math.abs(n).toFixed(e);return n<0&&Number(r)!==0?"\u2212"+r:r}function f(n){let e=Math.abs(n),r=e===.5?"\xBD":e===.25?"\xBC":String(Number(e.toFixed(3)));return n<0?"\u2212"+r:r}function _(n){return{residual:"\xD7 residual norm",vector:"\xD7 vector",raw:"\xD7 raw vector"}[n]??n}var x=n=>n.replaceAll("_"," ");function u(n,e){e.id||=g("control");let r=i("b"),t=i("label",{class:"mp-label",for:e.id},n," ",r);return{element:i("div",{},t,e),value:r}}function A(n,e,r){let t=new Map,s=[];for(let o of e){let p=i("option",{value:o.value},o.label);if(!o.group){s.push(p);continue}let a=t.get(o.group)??i("optgroup",{label:x(o.group)});t.has(o.group)||s.push(a),t.set(o.group,a),a.append(p)}n.replaceChildren(...s),n.value=r}function F(n,e,r,t){let s=g(n),o=r.map(p=>{let a=i("input",{type:"radio",name:s,value:p.value});return a.addEventListener("change",()=>t(p.value)),i("label",{},a,p.label)});return i("fieldset",{class:"mp-seg","data-testid":n,"aria-label":e},...o)}function z(n,e){for(let r of n.querySelectorAll("input"))r.checked=r.value===e}function N(n,e,r){let t=i("div",{class:"mp-ticks","aria-hidden":"true"});for(let s=n;s<=e+1e-9;s+=r){let o=i("span",{},f(s));o.style.left=`${100*(s-n)/Math.max(1e-9,e-n)}%`,t.append(o)}return t}function w(n,e){let[r,t]=[Number(n.min),Number(n.max)],s=Math.max(0,Math.min(1,(e-r)/Math.max(1e-9,t-r)));return`calc(${(100*s).toFixed(2)}% + ${(8-16*s).toFixed(2)}px)`}function C(n,e,r){n.style.setProperty("--from",w(n,Math.min(e,r))),n.style.setProperty("--to",w(n,Math.max(e,r)))}var me=new Set(["but","and","only","just","merely","with"]),b=n=>n.toLowerCase().replace(/[^\p{L}\p{N}]/gu,"");function ce(n,e){let r=n.length+1,t=e.length+1,s=Array.from({length:r},()=>new Uint16Array(t)),o=(d,m)=>s[d]?.[m]??0;for(let d=r-2;d>=0;d-=1)for(let m=t-2;m>=0;m-=1){let c=s[d];c&&(c[m]=n[d]===e[m]?o(d+1,m+1)+1:Math.max(o(d+1,m),o(d,m+1)))}let p=n.map(()=>!1),a=0,l=0;for(;a<n.length&&l<e.length;)n[a]===e[l]?(p[a]=!0,a+=1,l+=1):o(a+1,l)>=o(a,l+1)?a+=1:l+=1;return p}function he(n){let e=n.map(t=>t.replace(/[_\s]+/g," ").trim().toLowerCase()).filter(Boolean),r=t=>/[^aeiou]y$/.test(t)?`${t.slice(0,-1)}ies`:/(?:s|x|z|ch|sh)$/.test(t)?`${t}es`:`${t}s`;return[...new Set([...e,...e.map(r)])]}function ue(n,e,r){let t=r.map(s=>s.toLowerCase().replaceAll("\u2019","'"));for(let s=1;s<=4&&e-s>=0;s+=1){let o=(n[e-s]??"").toLowerCase().replaceAll("\u2019","'");if(/[.,;:!?]$/.test(o))return!1;if(t.some(p=>b(o)===b(p)||p.startsWith("n'")&&o.endsWith(p)))return!0;if(me.has(b(o)))return!1}return!1}function I(n,e,r,t=[]){let s=n.split(/\s+/).filter(Boolean),o=e?.split(/\s+/).filter(Boolean)??[],p=e===null?s.map(()=>!0):ce(s.map(b),o.map(b)),a=he(r).map(m=>m.split(/[\s-]+/).map(b).filter(Boolean)).filter(m=>m.length>0),l=s.map(()=>!1),d=s.map(()=>!1);for(let m of a)for(let c=0;c+m.length<=s.length;c+=1){if(!m.every((le,de)=>b(s[c+de]??"")===le))continue;(ue(s,c,t)?d:l).fill(!0,c,c+m.length)}return s.map((m,c)=>({text:m,changed:!p[c],named:l[c]??!1,negated:(d[c]??!1)&&!l[c]}))}var R=n=>[...new Set(n.split(/[,\n]/).map(e=>e.trim()))].filter(Boolean);var k=class{element=i("details",{class:"mp-fold","data-testid":"receipt"});title=i("summary",{},"Receipt");text=i("pre");constructor(){this.element.append(this.title,this.text)}draw(e){this.title.textContent=e[0]?`Receipt: ${e[0]}`:"Receipt",this.text.textContent=e.slice(1).join(`
`),h(this.element,e.length>0)}},M=class{element=i("details",{class:"mp-fold","data-testid":"code"});text=i("pre",{tabindex:0,"aria-label":"Python of this setting"});copy=i("button",{type:"button","data-testid":"copy-code"},"Copy");constructor(){this.element.append(i("summary",{},"Python that gives these answers"),this.copy,this.text),this.copy.addEventListener("click",()=>{this.onCopy()})}draw(e){this.text.textContent=e,this.copy.textContent="Copy",h(this.element,e!=="")}async onCopy(){try{await navigator.clipboard.writeText(this.text.textContent??""),this.copy.textContent="Copied"}catch{getSelection()?.selectAllChildren(this.text),this.copy.textContent="Selected: press Ctrl+C"}}},E=class{element=i("details",{class:"mp-fold","data-testid":"words-fold"});title=i("summary");words=i("input",{type:"text",class:"mp-wide","data-testid":"words"});negations=i("input",{type:"text",class:"mp-wide","data-testid":"negations"});constructor(e){let r=u("Words that name it, with commas between them",this.words).element,t=u("Not if one of these stands before them",this.negations).element;this.element.append(this.title,r,t),this.words.addEventListener("change",()=>e.words(R(this.words.value))),this.negations.addEventListener("change",()=>e.negations(R(this.negations.value)))}draw(e,r,t){this.title.textContent=`What counts as naming ${e||"the concept"}`,document.activeElement!==this.words&&(this.words.value=r.join(", ")),document.activeElement!==this.negations&&(this.negations.value=t.join(", "))}};var ge=[{after:700,text:"the kernel is busy; waiting for it \u2026"},{after:2e4,text:"no answer from the kernel: it is busy, or was restarted (then run the cell again)"}],L=class{constructor(e){this.say=e}say;timers=[];begin(){this.end(),this.timers=ge.map(({after:e,text:r})=>setTimeout(()=>this.say(r),e))}end(){this.timers.forEach(clearTimeout),this.timers=[]}};var S=class{constructor(e){this.asks=e;this.file.setAttribute("aria-label","open a picture file");let r=i("button",{type:"button","data-testid":"open"},"Open\u2026"),t=i("button",{type:"button","data-testid":"new-scene"},"New scene");this.seed.id=g("seed");let s=i("label",{for:this.seed.id,class:"mp-note"},"seed"),o=i("div",{class:"mp-tools"},r,t,i("span",{class:"mp-pair"},s,this.seed));this.figure.append(this.large,i("span",{class:"mp-drop","aria-hidden":"true"},"drop a picture")),this.element=i("div",{},this.figure,this.caption,o,this.file,this.thumbs),this.thumbs.addEventListener("keydown",p=>this.onKey(p)),r.addEventListener("click",()=>this.file.click()),t.addEventListener("click",()=>this.asks.draw(Math.max(0,Math.round(Number(this.seed.value))||0))),this.file.addEventListener("change",()=>{this.bring(this.file.files),this.file.value=""})}asks;element;large=i("img",{class:"mp-picture","data-testid":"picture"});caption=i("figcaption",{class:"mp-note"});figure=i("figure",{class:"mp-figure",tabindex:0,"data-testid":"drop","aria-label":"Picture. Drop or paste another one here."});thumbs=i("div",{class:"mp-thumbs",role:"radiogroup","aria-label":"choose a picture"});file=i("input",{type:"file",accept:"image/*","data-testid":"upload",hidden:!0});seed=i("input",{type:"number",min:0,step:1,"data-testid":"scene-seed"});urls=[];pictures=[];listen(e){let r=t=>t.dataTransfer?.types.includes("Files")??!1;e.addEventListener("dragover",t=>{r(t)&&(t.preventDefault(),t.stopPropagation(),this.figure.dataset.over="true")}),e.addEventListener("dragleave",t=>{e.contains(t.relatedTarget)||delete this.figure.dataset.over}),e.addEventListener("drop",t=>{delete this.figure.dataset.over,r(t)&&this.take(t,t.dataTransfer?.files)}),e.addEventListener("paste",t=>{t.clipboardData?.files.length&&this.take(t,t.clipboardData.files)})}take(e,r){e.preventDefault(),e.stopPropagation(),this.bring(r??null)}bring(e){let r=e?.[0];r&&this.asks.bring(r)}fill(e,r){if(document.activeElement!==this.seed&&(this.seed.value=String(r)),e===this.pictures)return;this.close(),this.pictures=e,this.urls=e.map(({png:s})=>URL.createObjectURL(new Blob([s],{type:"image/png"})));let t=e.map((s,o)=>{let p=i("img",{src:this.urls[o],alt:""}),a=i("button",{type:"button",role:"radio","aria-label":s.label,title:s.label},p);return a.addEventListener("click",()=>this.asks.pick(o)),a});this.thumbs.replaceChildren(...t),h(this.thumbs,t.length>1)}choose(e){let r=this.urls[e],t=this.pictures[e]?.label??"";h(this.large,r!==void 0),r!==void 0&&this.large.src!==r&&(this.large.src=r),this.large.alt=t,this.caption.textContent=t,this.caption.title=t,[...this.thumbs.children].forEach((s,o)=>{s.setAttribute("aria-checked",String(o===e)),s.tabIndex=o===e?0:-1}),this.bringIntoView(this.thumbs.children[e])}bringIntoView(e){if(!e)return;let r=e.offsetTop-this.thumbs.offsetTop;(r<this.thumbs.scrollTop||r+e.offsetHeight>this.thumbs.scrollTop+this.thumbs.clientHeight)&&(this.thumbs.scrollTop=r-4)}onKey(e){let r={ArrowRight:1,ArrowDown:1,ArrowLeft:-1,ArrowUp:-1}[e.key],t=[...this.thumbs.children].indexOf(e.target);if(r===void 0||t<0)return;e.preventDefault(),e.stopPropagation();let s=Math.max(0,Math.min(this.urls.length-1,t+r));this.asks.pick(s),this.thumbs.children[s]?.focus()}close(){for(let e of this.urls)URL.revokeObjectURL(e);this.urls=[],this.pictures=[]}};var y=["baseline","steered","random"],$=n=>({baseline:n("baseline"),steered:n("steered"),random:n("random")});function H(n){return{generation:n.generation??0,current:!0,lines:$(e=>({text:n[e]??"",old:!1}))}}function U(n){return{...n,current:!1,lines:$(e=>({...n.lines[e],old:!0}))}}function fe(n,e,r){if(e.generation<=n.generation)return n;let t=$(s=>({...n.lines[s],old:!0}));return{generation:e.generation,current:e.serial>=r,lines:t}}function D(n,e,r){let t=fe(n,e,r);if(e.kind==="start")return t;let s=y[e.row];return!s||e.generation!==t.generation||!t.current?t:{...t,lines:{...t.lines,[s]:{text:e.text,old:!1}}}}function W(n,e,r){return(e.generation??0)<n.generation||(e.serial??0)<r?n:H(e)}var K={baseline:"as it is",steered:"steered",random:"random direction, same size"};function q(n,e,r){return I(n,e,r.words,r.negations).flatMap((t,s)=>{let o=t.named?"named":t.negated?"negated":"",p=o?i("span",{class:o},t.text):document.createTextNode(t.text),a=t.changed?i("mark",{},p):p;return s?[document.createTextNode(" "),a]:[a]})}function G(n,e,...r){let t=i("div",{class:"mp-answer-title"},i("small",{},K[n]),...r);return i("div",{class:"mp-answer","data-row":n},t,e)}function V(n,e){return y.map(r=>G(r,i("p",{},...q(n[r],r==="baseline"?null:n.baseline,e))))}function Y(n){let r=n.target.matches('select, input[type="text"], input[type="number"]');return n.key.toLowerCase()==="r"&&!(n.ctrlKey||n.metaKey||n.altKey||r)}var T=class{element;reveal=i("button",{type:"button",class:"mp-reveal","data-testid":"reveal"},"Reveal (r)");texts;boxes;constructor(e){let r=t=>i("p",{"data-testid":`answer-${t}`,"aria-label":K[t]});this.texts={baseline:r("baseline"),steered:r("steered"),random:r("random")},this.boxes=y.map(t=>{let s={baseline:[],steered:[this.reveal],random:[e]}[t];return G(t,this.texts[t],...s)}),this.element=i("div",{class:"mp-live"},...this.boxes)}draw(e,r,t){let s=e.lines.baseline;y.forEach((o,p)=>{let a=e.lines[o],l=o!=="baseline"&&!a.old&&!s.old&&s.text!=="",d=this.boxes[p];d&&(d.dataset.old=String(a.old)),this.texts[o].setAttribute("aria-busy",String(a.old));let c=t&&o==="steered"?[i("span",{class:"mp-covered"},"What will it say?")]:q(a.text,l?s.text:null,r);this.texts[o].replaceChildren(...c)}),this.reveal.hidden=!t}};var J=n=>(n>0?"+":"")+f(n);function be(n,e){let{concept:r,second:t,window:s,scope:o}=n,p=[`${x(r)} ${J(n.strength)}`];t&&p.push(`${x(t)} ${J(n.second_strength)}`);let[a,l]=s,d=a===l?`layer ${a}`:`layers ${a}\u2013${l}`,m=e.find(([c])=>c===o)?.[1]??o;return[p.join(" and "),d,m,`seed ${n.seed}`].join(" \xB7 ")}function Q(n,e,r,t){return n.map(s=>{let o=be(s.setting,e),p=i("button",{type:"button","aria-label":`use the pinned setting ${o}`},"Use"),a=i("button",{type:"button","aria-label":`remove the pinned setting ${o}`},"Remove");p.addEventListener("click",()=>t.use(s.setting)),a.addEventListener("click",()=>t.remove(s.id));let l=i("p",{class:"mp-note"},`${s.picture} \xB7 \u201C${s.setting.prompt}\u201D`),d=i("div",{class:"mp-pin-head"},i("b",{},o),p,a),m={class:"mp-pin","data-testid":"pin",role:"group","aria-label":`pinned: ${o}`};return i("div",m,d,l,...V(s.answers,r(s.setting)))})}var X=2,ve=n=>`perplexity \xD7 ${n<10?v(n,1):v(n,0)}`;function Z(n,e,r,t){let s=e.map(([l])=>l),o=n>=Math.min(0,...s)&&n<=Math.max(0,...s);if(s.length===0||!o)return{state:"untested",text:"untested"};let p=e.find(([l])=>Math.abs(l-n)<1e-9),a=n>=r&&n<=t;return p?{state:a?"fluent":"broken",text:ve(p[1])}:a?{state:"fluent",text:`perplexity under \xD7 ${X}`}:{state:"broken",text:`perplexity over \xD7 ${X}`}}function xe(n,e,r){return[n,Math.max(n,Math.min(Math.max(...r),n+e[1]-e[0]))]}var ee=n=>(n>0?"+":"")+f(n),j=class{constructor(e,r){this.model=e;this.move=r;let t=i("div",{class:"mp-two"});t.append(u("Concept",this.concept).element,u("and",this.second).element);let s=i("label",{class:"mp-through"},"through",this.last),o=i("div",{class:"mp-over"},this.layerBox.element,s),p=i("div",{class:"mp-over"},this.strengthBox.element,this.note);this.element=i("div",{class:"mp-steer"},t,o,this.layerTicks,p,this.safe),this.element.append(this.strengthTicks,this.secondBox.element),this.listen()}model;move;element;concept=i("select",{class:"mp-wide","data-testid":"concept"});second=i("select",{class:"mp-wide","data-testid":"second"});layer=i("input",{type:"range",step:1,"data-testid":"layer"});last=i("select",{"data-testid":"window","aria-label":"last layer of the window"});strength=i("input",{type:"range","data-testid":"strength"});secondStrength=i("input",{type:"range","data-testid":"second-strength"});layerBox=u("Layer",this.layer);strengthBox=u("Strength",this.strength);secondBox=u("Strength of the second",this.secondStrength);layerTicks=i("div");strengthTicks=i("div");note=i("span",{class:"mp-fluency","data-testid":"fluency"});safe=i("div",{class:"mp-safe","data-testid":"safe"});listen(){let{model:e,move:r}=this;this.concept.addEventListener("change",()=>r({concept:this.concept.value})),this.second.addEventListener("change",()=>r({second:this.second.value})),this.strength.addEventListener("input",()=>r({strength:Number(this.strength.value)})),this.secondStrength.addEventListener("input",()=>r({second_strength:Number(this.secondStrength.value)})),this.layer.addEventListener("input",()=>{let t=Number(this.layer.value);r({layer:t,window:xe(t,e.get("window"),e.get("layers"))})}),this.last.addEventListener("change",()=>{let t=e.get("layer");r({layer:t,window:[t,Number(this.last.value)]})})}fill(){let{model:e}=this,r=e.get("categories"),t=e.get("concepts").map((d,m)=>({value:d,label:d,group:r[m]??""}));A(this.concept,t,e.get("concept")),A(this.second,[{value:"",label:"nothing else"},...t],e.get("second"));let s=e.get("layers"),o=s.length>0,[p,a]=o?[Math.min(...s),Math.max(...s)]:[0,0];Object.assign(this.layer,{min:String(p),max:String(a),disabled:!o});let l=e.get("strength_limit");for(let d of[this.strength,this.secondStrength])Object.assign(d,{min:String(-l),max:String(l),step:String(e.get("strength_step"))});this.layerTicks.replaceChildren(o?N(p,a,Math.max(1,Math.ceil((a-p)/12))):""),this.strengthTicks.replaceChildren(N(-l,l,l>4?Math.ceil(l/4):1));for(let d of[this.concept,this.second])d.disabled=t.length===0}draw(){let{model:e}=this,r=_(e.get("strength_unit")),[t,s]=[e.get("strength"),e.get("second_strength")];this.concept.value=e.get("concept"),this.second.value=e.get("second"),this.drawRange(this.strength,t,this.strengthBox.value,`${ee(t)} ${r}`),this.drawRange(this.secondStrength,s,this.secondBox.value,`${ee(s)} ${r}`),h(this.secondBox.element,e.get("second")!==""),this.drawLayers(),this.drawFluency()}drawRange(e,r,t,s){e.value=String(r),t.textContent=s,e.setAttribute("aria-valuetext",s),C(e,0,r)}drawLayers(){let[e,r]=this.model.get("window"),t=this.model.get("layers").filter(s=>s>=e);this.last.replaceChildren(...t.map(s=>i("option",{value:s},String(s)))),this.last.value=String(r),this.last.disabled=t.length<2,this.layer.value=String(e),this.layerBox.value.textContent=e===r?String(e):`${e} to ${r}`,this.layer.setAttribute("aria-valuetext",`${e===r?"layer":"layers"} ${this.layerBox.value.textContent}`),C(this.layer,e,r)}drawFluency(){let{model:e}=this,[r,t]=[e.get("safe_low"),e.get("safe_high")],s=Z(e.get("strength"),e.get("doses"),r,t);this.note.textContent=s.text,this.note.dataset.state=s.state,this.safe.style.setProperty("--safe-from",w(this.strength,r)),this.safe.style.setProperty("--safe-to",w(this.strength,t)),this.safe.title=`perplexity under \xD7 2 from ${f(r)} to ${f(t)}; outside of what was swept: untested`,this.safe.hidden=r===t}};var te=`.mp {
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
.mp-error {
  margin: 8px 0 0;
  padding: 6px 10px;
  border-left: 3px solid var(--mp-warn);
  border-radius: 3px;
  background: color-mix(in srgb, var(--mp-warn) 8%, transparent);
  overflow-wrap: anywhere;
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
`;var re=`.mp-panes {
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
`;var ne=`.mp-pill {
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
`;var se=`.mp-pair {
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
.mp input[type="range"] {
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
  background: linear-gradient(
    to right,
    var(--mp-line) var(--from),
    var(--mp-brand) var(--from),
    var(--mp-brand) var(--to),
    var(--mp-line) var(--to)
  );
}
.mp input[type="range"]::-moz-range-track {
  height: 4px;
  border-radius: 3px;
  background: linear-gradient(
    to right,
    var(--mp-line) var(--from),
    var(--mp-brand) var(--from),
    var(--mp-brand) var(--to),
    var(--mp-line) var(--to)
  );
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
  padding-right: 140px;
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
.mp-note {
  color: var(--mp-faint);
  font-size: 11.5px;
}
`;var ie=`.mp-projector .mp-answer p {
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
`;var oe=[te,re,se,ne,ie].join(`
`);var ae=["picture","prompt","concept","second","second_strength","layer","window","strength","scope","patches","seed"];function Le(n,e,r){let t=Math.min(1,r/Math.max(n,e,1));return[Math.max(1,Math.round(n*t)),Math.max(1,Math.round(e*t))]}async function pe(n){if(n.size<=3e6)return n.arrayBuffer();let e=await createImageBitmap(n),[r,t]=Le(e.width,e.height,1568),s=new OffscreenCanvas(r,t),o=s.getContext("2d");if(!o)throw new Error("this browser cannot scale the picture");return o.drawImage(e,0,0,r,t),e.close(),(await s.convertToBlob({type:"image/jpeg",quality:.95})).arrayBuffer()}var Se=["concepts","categories","layers","suggestions","scopes","strength_limit","strength_step"],Te=["receipt","code","status","message","rate","strength_unit"],je=["words","negations","concept","second"],Ae=600,P=class{constructor(e,r,t){this.model=e;this.answers=H(e.get("answers")),this.gallery=new S({pick:s=>this.move({picture:s}),draw:s=>this.ask("scene",{seed:s}),bring:s=>{this.onFile(s)}}),this.steer=new j(e,s=>this.move(s)),this.naming=new E({words:s=>this.save({words:{...e.get("words"),[e.get("concept")]:s}}),negations:s=>this.save({negations:s})}),this.seed.id=g("seed"),this.rows=new T(i("span",{class:"mp-pair"},i("label",{for:this.seed.id},"seed"),this.seed)),this.prompt.setAttribute("list",this.suggestions.id),this.root.append(i("div",{class:"mp-panes"},this.left(),this.right())),r.append(this.root),this.listen(t),this.onControls(),this.fillChoices(),this.drawOutcome(),this.drawAnswers()}model;root=B(oe,"panel","Steering panel");gallery;steer;rows;prompt=i("input",{type:"text",class:"mp-wide","data-testid":"prompt",spellcheck:"false"});suggestions=i("datalist",{id:g("suggestions")});seed=i("input",{type:"number",min:0,step:1,"data-testid":"seed"});scopeBox=i("div");scope=i("fieldset");status=i("span",{class:"mp-pill",role:"status","data-testid":"status"});rate=i("span",{class:"mp-rate","data-testid":"rate"});stop=i("button",{type:"button","data-testid":"stop"});pin=i("button",{type:"button","data-testid":"pin-setting"},"Pin");projector=i("button",{type:"button","data-testid":"projector"},"Projector");error=i("p",{class:"mp-error",role:"alert","data-testid":"error"});receipt=new k;code=new M;naming;pins=i("div",{class:"mp-pins","data-testid":"pins"});answers;patience=new L(e=>this.drawBusy(e));typing;left(){let e=i("div",{class:"mp-head"},i("h3",{},"Picture")),r=i("div",{class:"mp-left"},e,this.gallery.element);return r.append(u("Question",this.prompt).element,this.suggestions),r.append(i("span",{class:"mp-label"},"Edit these tokens"),this.scopeBox),r}right(){let e=i("div",{class:"mp-head"},i("h3",{},"Steer"),this.rate,this.status,this.stop),r=i("div",{class:"mp-head mp-answers-head"},i("h3",{},"Answers"),this.pin,this.projector),t=i("div",{class:"mp-compare"},this.rows.element,this.pins),s=i("div",{class:"mp-right"},e,this.steer.element,r,t,this.error);return s.append(this.naming.element,this.receipt.element,this.code.element),s}listen(e){let{model:r}=this,t=(o,p)=>{for(let a of o)r.on(`change:${a}`,p),e.addEventListener("abort",()=>r.off(`change:${a}`,p))};t(Se,()=>this.fillChoices()),t(["pictures","scene_seed"],()=>this.drawSettings()),t(ae,()=>this.drawSettings()),t(["doses","safe_low","safe_high"],()=>this.steer.drawFluency()),t(Te,()=>this.drawOutcome()),t([...je,"projector","revealed"],()=>this.drawAnswers()),t(["pins","words","negations","scopes"],()=>this.drawPins()),t(["serial"],()=>this.drawMove()),t(["answers"],()=>{this.answers=W(this.answers,r.get("answers"),r.get("serial")),this.drawAnswers()});let s=o=>this.onMessage(o);r.on("msg:custom",s),e.addEventListener("abort",()=>{r.off("msg:custom",s),this.gallery.close(),this.patience.end(),clearTimeout(this.typing)})}onControls(){this.gallery.listen(this.root),this.prompt.addEventListener("change",()=>this.move({prompt:this.prompt.value})),this.prompt.addEventListener("input",()=>{clearTimeout(this.typing),this.typing=setTimeout(()=>this.move({prompt:this.prompt.value}),Ae)}),this.seed.addEventListener("change",()=>this.move({seed:Math.max(0,Math.round(Number(this.seed.value)))})),this.stop.addEventListener("click",()=>this.onStop()),this.pin.addEventListener("click",()=>this.model.send({kind:"pin"})),this.projector.addEventListener("click",()=>this.save({projector:!this.model.get("projector"),revealed:!1})),this.rows.reveal.addEventListener("click",()=>this.save({revealed:!0})),this.root.addEventListener("keydown",e=>{Y(e)&&this.hidden()&&this.save({revealed:!0})})}save(e){for(let[r,t]of Object.entries(e))this.model.set(r,t);this.model.save_changes()}move(e){clearTimeout(this.typing);let r=Object.entries(e).filter(([t,s])=>JSON.stringify(this.model.get(t))!==JSON.stringify(s));if(r.length!==0){for(let[t,s]of r)this.model.set(t,s);this.ask("set",{state:e})}}ask(e,r,t){let s=this.model.get("serial")+1;this.model.set("revealed",!1),this.model.set("serial",s),this.model.send({kind:e,serial:s,...r},void 0,t)}async onFile(e){try{this.ask("picture",{name:e.name},[await pe(e)])}catch{this.error.textContent=`${e.name} could not be read as a picture.`,h(this.error,!0)}}onStop(){this.model.get("status")==="running"?this.model.send({kind:"cancel"}):this.ask("set",{state:{}})}hidden(){return this.model.get("projector")&&!this.model.get("revealed")}drawMove(){this.answers=U(this.answers),this.patience.begin(),this.drawAnswers()}drawBusy(e){this.answers.current||(this.rate.textContent=e,this.root.dataset.busy="true")}onMessage(e){let r=this.answers;this.answers=D(r,e,this.model.get("serial")),this.answers!==r&&(e.kind==="start"&&this.answers.current&&this.drawAnswering(),this.drawAnswers())}drawAnswering(){this.patience.end(),delete this.root.dataset.busy,this.rate.textContent=""}fillChoices(){let{model:e}=this;this.steer.fill();let r=e.get("scopes").map(([t,s])=>({value:t,label:s}));this.scope=F("scope","edit these tokens",r,t=>this.move({scope:t})),this.scopeBox.replaceChildren(this.scope),this.suggestions.replaceChildren(...e.get("suggestions").map(t=>i("option",{value:t}))),this.drawSettings(),this.drawPins()}drawSettings(){let{model:e}=this;this.gallery.fill(e.get("pictures"),e.get("scene_seed")),this.gallery.choose(e.get("picture")),document.activeElement!==this.prompt&&(this.prompt.value=e.get("prompt")),document.activeElement!==this.seed&&(this.seed.value=String(e.get("seed"))),z(this.scope,e.get("scope")),this.steer.draw()}drawOutcome(){let{model:e}=this,r=e.get("status"),t=r==="running";this.status.textContent=r,this.status.dataset.state=r,this.stop.textContent=t?"Stop":"Run again",this.stop.disabled=e.get("concepts").length===0,this.pin.disabled=r!=="idle"||e.get("code")==="";let s=e.get("rate");t||(this.rate.textContent=s>0?`${v(s,s<10?1:0)} tokens/s`:"");let o=e.get("message");this.error.textContent=o,h(this.error,o!==""),this.receipt.draw(e.get("receipt")),this.code.draw(e.get("code"))}namingOf=e=>{let r=this.model.get("words");return{words:[e.concept,e.second].flatMap(s=>r[s]??[]),negations:this.model.get("negations")}};drawAnswers(){let{model:e}=this,r=e.get("concept");this.rows.draw(this.answers,this.namingOf({concept:r,second:e.get("second")}),this.hidden()),this.naming.draw(r,e.get("words")[r]??[],e.get("negations")),this.projector.setAttribute("aria-pressed",String(e.get("projector"))),this.root.classList.toggle("mp-projector",e.get("projector"))}drawPins(){let{model:e}=this,r={use:t=>this.move(t),remove:t=>e.send({kind:"unpin",id:t})};this.pins.replaceChildren(...Q(e.get("pins"),e.get("scopes"),this.namingOf,r)),h(this.pins,e.get("pins").length>0)}};function Ne({model:n,el:e,signal:r}){let t=new AbortController;return r?.addEventListener("abort",()=>t.abort()),new P(n,e,t.signal),()=>t.abort()}var $t={render:Ne};export{$t as default};
