var E=`.mp {
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
`;function s(r,e={},...t){let n=document.createElement(r);for(let[i,o]of Object.entries(e))o!==void 0&&o!==!1&&n.setAttribute(i,o===!0?"":String(o));return n.append(...t),n}var A=0;function v(r){return A+=1,`mp-${r}-${A}-${Math.random().toString(36).slice(2,8)}`}function C(r,e,t){let n=s("section",{class:`mp mp-${e}`,"aria-label":t,"data-lm-suppress-shortcuts":"true"});return n.append(s("style",{},r)),n.addEventListener("keydown",i=>i.stopPropagation()),n}function x(r,e){r.hidden=!e}function R(r,e=1){if(!Number.isFinite(r))return"\u2013";let t=Math.abs(r).toFixed(e);return r<0&&Number(t)!==0?"\u2212"+t:t}function h(r){let e=Math.abs(r),t=e===.5?"\xBD":e===.25?"\xBC":String(Number(e.toFixed(3)));return r<0?"\u2212"+t:t}function N(r){return{residual:"\xD7 residual norm",vector:"\xD7 vector",raw:"\xD7 raw vector"}[r]??r}var H=r=>r.replaceAll("_"," ");function g(r,e){e.id||=v("control");let t=s("b"),n=s("label",{class:"mp-label",for:e.id},r," ",t);return{element:s("div",{},n,e),value:t}}function j(r,e,t){let n=new Map,i=[];for(let o of e){let a=s("option",{value:o.value},o.label);if(!o.group){i.push(a);continue}let p=n.get(o.group)??s("optgroup",{label:H(o.group)});n.has(o.group)||i.push(p),n.set(o.group,p),p.append(a)}r.replaceChildren(...i),r.value=t}function O(r,e,t,n){let i=v(r),o=t.map(a=>{let p=s("input",{type:"radio",name:i,value:a.value});return p.addEventListener("change",()=>n(a.value)),s("label",{},p,a.label)});return s("fieldset",{class:"mp-seg","data-testid":r,"aria-label":e},...o)}function z(r,e){for(let t of r.querySelectorAll("input"))t.checked=t.value===e}function w(r,e,t){let n=s("div",{class:"mp-ticks","aria-hidden":"true"});for(let i=r;i<=e+1e-9;i+=t){let o=s("span",{},h(i));o.style.left=`${100*(i-r)/Math.max(1e-9,e-r)}%`,n.append(o)}return n}function y(r,e,t){let[n,i]=[Number(r.min),Number(r.max)],o=a=>{let p=(a-n)/Math.max(1e-9,i-n);return`calc(${(100*p).toFixed(2)}% + ${(8-16*p).toFixed(2)}px)`};r.style.setProperty("--from",o(Math.min(e,t))),r.style.setProperty("--to",o(Math.max(e,t)))}var u=class{constructor(e){this.pick=e;this.element=s("div",{},this.large,this.thumbs),this.thumbs.addEventListener("keydown",t=>this.onKey(t))}pick;element;large=s("img",{class:"mp-picture","data-testid":"picture"});thumbs=s("div",{class:"mp-thumbs",role:"radiogroup","aria-label":"choose a picture"});urls=[];pictures=[];fill(e){this.close(),this.pictures=e,this.urls=e.map(({png:n})=>URL.createObjectURL(new Blob([n],{type:"image/png"})));let t=e.map((n,i)=>{let o=s("img",{src:this.urls[i],alt:""}),a=s("button",{type:"button",role:"radio","aria-label":n.label,title:n.label},o);return a.addEventListener("click",()=>this.pick(i)),a});this.thumbs.replaceChildren(...t),this.thumbs.hidden=t.length<2}choose(e){let t=this.urls[e];this.large.hidden=t===void 0,t!==void 0&&this.large.src!==t&&(this.large.src=t),this.large.alt=this.pictures[e]?.label??"",[...this.thumbs.children].forEach((n,i)=>{n.setAttribute("aria-checked",String(i===e)),n.tabIndex=i===e?0:-1})}onKey(e){let t={ArrowRight:1,ArrowDown:1,ArrowLeft:-1,ArrowUp:-1}[e.key],n=[...this.thumbs.children].indexOf(e.target);if(t===void 0||n<0)return;e.preventDefault(),e.stopPropagation();let i=Math.max(0,Math.min(this.urls.length-1,n+t));this.pick(i),this.thumbs.children[i]?.focus()}close(){for(let e of this.urls)URL.revokeObjectURL(e);this.urls=[]}};var b=["baseline","steered","random"],k=r=>({baseline:r("baseline"),steered:r("steered"),random:r("random")});function M(r){return{generation:r.generation??0,current:!0,lines:k(e=>({text:r[e]??"",old:!1}))}}function $(r){return{...r,current:!1,lines:k(e=>({...r.lines[e],old:!0}))}}function K(r,e,t){if(e.generation<=r.generation)return r;let n=k(i=>({...r.lines[i],old:!0}));return{generation:e.generation,current:e.serial>=t,lines:n}}function B(r,e,t){let n=K(r,e,t);if(e.kind==="start")return n;let i=b[e.row];return!i||e.generation!==n.generation||!n.current?n:{...n,lines:{...n.lines,[i]:{text:e.text,old:!1}}}}function F(r,e,t){return(e.generation??0)<r.generation||(e.serial??0)<t?r:M(e)}var f=r=>r.toLowerCase().replace(/[^\p{L}\p{N}]/gu,"");function W(r,e){let t=r.length+1,n=e.length+1,i=Array.from({length:t},()=>new Uint16Array(n)),o=(l,c)=>i[l]?.[c]??0;for(let l=t-2;l>=0;l-=1)for(let c=n-2;c>=0;c-=1){let m=i[l];m&&(m[c]=r[l]===e[c]?o(l+1,c+1)+1:Math.max(o(l+1,c),o(l,c+1)))}let a=r.map(()=>!1),p=0,d=0;for(;p<r.length&&d<e.length;)r[p]===e[d]?(a[p]=!0,p+=1,d+=1):o(p+1,d)>=o(p,d+1)?p+=1:d+=1;return a}function P(r,e,t){let n=r.split(/\s+/).filter(Boolean),i=e?.split(/\s+/).filter(Boolean)??[],o=e===null?n.map(()=>!0):W(n.map(f),i.map(f)),a=t.map(d=>d.toLowerCase().split(/\s+/).map(f)).filter(d=>d.length>0),p=n.map(()=>!1);for(let d of a)for(let l=0;l+d.length<=n.length;l+=1)d.every((c,m)=>f(n[l+m]??"")===c)&&p.fill(!0,l,l+d.length);return n.map((d,l)=>({text:d,changed:!o[l],named:p[l]??!1}))}var U=`.mp-panes {
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
  border-left: 1px solid var(--mp-line);
  color: var(--mp-soft);
  font-size: 11.5px;
  text-align: center;
  white-space: nowrap;
  cursor: pointer;
}
.mp-seg label:first-of-type {
  border-left: 0;
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
.mp-slider {
  --from: 50%;
  --to: 50%;
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
.mp-pill {
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
.mp-receipt {
  color: var(--mp-faint);
  font-size: 11.5px;
}
.mp-receipt summary {
  cursor: pointer;
}
.mp-receipt pre {
  margin: 4px 0 0;
  color: var(--mp-soft);
  font: 11px / 1.5 var(--mp-mono);
  white-space: pre-wrap;
  overflow-wrap: anywhere;
}
.mp-note {
  color: var(--mp-faint);
  font-size: 11.5px;
}
`;var q=["picture","prompt","concept","layer","strength","scope"],G=["concepts","categories","layers","pictures","suggestions","scopes","strength_limit","strength_step"],Q=["receipt","status","message","rate","concept_words","strength_unit"],_={baseline:"as it is",steered:"steered",random:"random direction, same size"},V=700,X=600;function T(r){let e=s("small",{},_[r]),t=s("p",{"data-testid":`answer-${r}`,"aria-label":_[r]});return{element:s("div",{class:"mp-answer","data-row":r},e,t),note:e,text:t}}var S=class{constructor(e,t,n){this.model=e;this.answers=M(e.get("answers")),this.receipt.append(this.receiptTitle,this.receiptText),this.suggestions.id=`${this.layer.id}-suggestions`,this.prompt.setAttribute("list",this.suggestions.id);let i=s("div",{},s("div",{class:"mp-head"},s("h3",{},"Picture")),this.gallery.element);i.append(g("Question",this.prompt).element,this.suggestions),i.append(s("span",{class:"mp-label"},"Edit these tokens"),this.scopeBox);let o=s("div",{class:"mp-head"},s("h3",{},"Steer"),this.rate,this.status,this.stop),a=g("Concept",this.concept).element,p=[this.layerBox.element,this.layerTicks,this.strengthBox.element,this.strengthTicks],d=b.map(c=>this.rows[c].element),l=s("div",{},o,a,...p,...d,this.error,this.receipt);this.root.append(s("div",{class:"mp-panes"},i,l)),t.append(this.root),this.listen(n),this.fillChoices(),this.drawOutcome(),this.drawAnswers()}model;root=C(E+U,"panel","Steering panel");gallery=new u(e=>this.moveTo("picture",e));prompt=s("input",{type:"text",class:"mp-wide","data-testid":"prompt",spellcheck:"false"});suggestions=s("datalist");concept=s("select",{class:"mp-wide","data-testid":"concept"});layer=s("input",{type:"range",step:1,"data-testid":"layer"});strength=s("input",{type:"range","data-testid":"strength"});layerBox=g("Layer",this.layer);strengthBox=g("Strength",this.strength);layerTicks=s("div");strengthTicks=s("div");scopeBox=s("div");scope=s("fieldset");status=s("span",{class:"mp-pill",role:"status","data-testid":"status"});rate=s("span",{class:"mp-rate"});stop=s("button",{type:"button","data-testid":"stop"});rows={baseline:T("baseline"),steered:T("steered"),random:T("random")};error=s("p",{class:"mp-error",role:"alert","data-testid":"error"});receiptTitle=s("summary",{},"Receipt");receiptText=s("pre");receipt=s("details",{class:"mp-receipt","data-testid":"receipt"});answers;waiting=0;typing=0;listen(e){let{model:t}=this,n=(o,a)=>{for(let p of o)t.on(`change:${p}`,a),e.addEventListener("abort",()=>t.off(`change:${p}`,a))};n(G,()=>this.fillChoices()),n(q,()=>this.drawSettings()),n(Q,()=>this.drawOutcome()),n(["concept_words"],()=>this.drawAnswers()),n(["serial"],()=>this.drawMove()),n(["answers"],()=>{this.answers=F(this.answers,t.get("answers"),t.get("serial")),this.drawAnswers()});let i=o=>this.onMessage(o);t.on("msg:custom",i),e.addEventListener("abort",()=>{t.off("msg:custom",i),this.gallery.close(),clearTimeout(this.waiting),clearTimeout(this.typing)}),this.concept.addEventListener("change",()=>this.moveTo("concept",this.concept.value)),this.layer.addEventListener("input",()=>this.moveTo("layer",Number(this.layer.value))),this.strength.addEventListener("input",()=>this.moveTo("strength",Number(this.strength.value))),this.prompt.addEventListener("change",()=>this.moveTo("prompt",this.prompt.value)),this.prompt.addEventListener("input",()=>{clearTimeout(this.typing),this.typing=setTimeout(()=>this.moveTo("prompt",this.prompt.value),X)}),this.stop.addEventListener("click",()=>this.onStop())}moveTo(e,t){clearTimeout(this.typing),this.model.get(e)!==t&&(this.model.set(e,t),this.ask({[e]:t}))}ask(e){let t=this.model.get("serial")+1;this.model.set("serial",t),this.model.send({kind:"set",serial:t,state:e})}onStop(){this.model.get("status")==="running"?this.model.send({kind:"cancel"}):this.ask({})}drawMove(){this.answers=$(this.answers),clearTimeout(this.waiting),this.waiting=setTimeout(()=>{this.answers.current||(this.rate.textContent="waiting for the kernel \u2026")},V),this.drawAnswers()}onMessage(e){let t=this.answers;this.answers=B(t,e,this.model.get("serial")),this.answers!==t&&(e.kind==="start"&&this.answers.current&&(clearTimeout(this.waiting),this.rate.textContent=""),this.drawAnswers())}fillChoices(){let{model:e}=this,t=e.get("categories"),n=e.get("concepts").map((c,m)=>({value:c,label:c,group:t[m]??""}));j(this.concept,n,e.get("concept"));let i=e.get("layers"),[o,a]=[Math.min(...i),Math.max(...i)],p=e.get("strength_limit"),d=i.length>0;Object.assign(this.layer,{min:String(d?o:0),max:String(d?a:0),disabled:!d}),Object.assign(this.strength,{min:String(-p),max:String(p),step:String(e.get("strength_step"))}),this.layerTicks.replaceChildren(d?w(o,a,Math.max(1,Math.ceil((a-o)/12))):""),this.strengthTicks.replaceChildren(w(-p,p,p>4?Math.ceil(p/4):1)),this.concept.disabled=n.length===0;let l=e.get("scopes").map(([c,m])=>({value:c,label:m}));this.scope=O("scope","edit these tokens",l,c=>this.moveTo("scope",c)),this.scopeBox.replaceChildren(this.scope),this.suggestions.replaceChildren(...e.get("suggestions").map(c=>s("option",{value:c}))),this.gallery.fill(e.get("pictures")),this.drawSettings()}drawSettings(){let{model:e}=this;this.gallery.choose(e.get("picture")),document.activeElement!==this.prompt&&(this.prompt.value=e.get("prompt")),this.concept.value=e.get("concept"),this.layer.value=String(e.get("layer")),this.strength.value=String(e.get("strength")),z(this.scope,e.get("scope"));let t=e.get("strength"),n=t>0?"+":"";this.layerBox.value.textContent=String(e.get("layer")),this.strengthBox.value.textContent=`${n}${h(t)} ${N(e.get("strength_unit"))}`,this.strength.setAttribute("aria-valuetext",this.strengthBox.value.textContent),y(this.strength,0,t),y(this.layer,Number(this.layer.min),Number(this.layer.min))}drawOutcome(){let{model:e}=this,t=e.get("status");this.status.textContent=t,this.status.dataset.state=t;let n=t==="running";this.stop.textContent=n?"Stop":"Run again",this.stop.disabled=e.get("concepts").length===0;let i=e.get("rate");n||(this.rate.textContent=i>0?`${R(i,i<10?1:0)} tokens/s`:"");let o=e.get("message");this.error.textContent=o,x(this.error,o!=="");let a=e.get("receipt");this.receiptTitle.textContent=a[0]?`Receipt: ${a[0]}`:"Receipt",this.receiptText.textContent=a.slice(1).join(`
`),x(this.receipt,a.length>0)}drawAnswers(){let e=this.model.get("concept_words")[this.model.get("concept")]??[],t=this.answers.lines.baseline;for(let n of b){let{element:i,text:o}=this.rows[n],a=this.answers.lines[n],p=n!=="baseline"&&!a.old&&!t.old&&t.text!=="";i.dataset.old=String(a.old),o.setAttribute("aria-busy",String(a.old));let d=P(a.text,p?t.text:null,e).flatMap((l,c)=>{let m=l.named?s("span",{class:"named"},l.text):l.text,L=l.changed?s("mark",{},m):m;return c?[" ",L]:[L]});o.replaceChildren(...d)}}};function J({model:r,el:e,signal:t}){let n=new AbortController;return t?.addEventListener("abort",()=>n.abort()),new S(r,e,n.signal),()=>n.abort()}var fe={render:J};export{fe as default};
