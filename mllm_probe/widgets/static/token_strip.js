function a(r,e={},...t){let n=document.createElement(r);for(let[o,i]of Object.entries(e))i!==void 0&&i!==!1&&n.setAttribute(o,i===!0?"":String(i));return n.append(...t),n}var Z=0;function G(r){return Z+=1,`mp-${r}-${Z}-${Math.random().toString(36).slice(2,8)}`}function ee(r,e,t){let n=a("section",{class:`mp mp-${e}`,"aria-label":t,"data-lm-suppress-shortcuts":"true"});return n.append(a("style",{},r)),n.addEventListener("keydown",o=>o.stopPropagation()),n}function y(r,e){r.hidden=!e}var Te="No kernel is connected. Showing the saved state; rerun the cell to continue.",Ee="Kernel restarted or stopped. Showing the last state; rerun the cell to continue.";function Ae(r){let e=r.get("layout");return typeof e?.comm_live=="boolean"&&e.on&&e.off?e:null}function Le(r,e){return r?"":e?Ee:Te}function Se(r,e){let t=Ae(r);if(!t||!e)return()=>{};let n=a("p",{class:"mp-kernel",role:"status","data-testid":"no-kernel"});e.prepend(n);let o=t.comm_live,i=()=>{o||=t.comm_live,n.textContent=Le(t.comm_live,o),y(n,!t.comm_live)};return t.on("comm_live_update",i),i(),()=>t.off("comm_live_update",i)}function te(r){return e=>{let t=r(e),n=Se(e.model,e.el.firstElementChild);return()=>{n(),t?.()}}}function V(r){return!(r>0)||r>=100?r>=100?0:1:r>2?1:Math.min(5,2-Math.min(0,Math.floor(Math.log10(r))+1))}function z(r){let[e,t]=r.toExponential(1).split("e");return Math.max(0,(e?.endsWith(".0")?0:1)-Number(t))}function w(r,e=1){if(!Number.isFinite(r))return"\u2013";let t=Math.abs(r).toFixed(e);return r<0&&Number(t)!==0?"\u2212"+t:t}function b(r,e=1){let t=w(r,e);return r>0&&Number(t)!==0?`+${t}`:t}var L=r=>r===void 0?"":r<0?"input":String(r),P=r=>r.replaceAll("_"," ");var S={light:{paper:"#ffffff",ink:"#1c2126",soft:"#5b6570",faint:"#6f7984",line:"#e0e4e8",edge:"#c4cad1",brand:"#1f6feb",warn:"#b3261e",good:"#1a7f4b",muted:"#8a929b",zero:"#f7f8f9",positive:"#b2490a",negative:"#1f5fb4"},dark:{paper:"#16191e",ink:"#e7ebef",soft:"#a5aeb8",faint:"#a5aeb8",line:"#2a3038",edge:"#46505b",brand:"#5aa2ff",warn:"#ff8a80",good:"#58c48a",muted:"#5d6670",zero:"#22272e",positive:"#ffa657",negative:"#58a6ff"},sequential:{light:["#f4f5e6","#d5deba","#adcb98","#76b996","#3ca49b","#1b899b","#206c95","#244f8d","#31307f"],dark:["#2b2751","#2e406f","#275c87","#1c7990","#339491","#58ae90","#85c48a","#b5d778","#ede361"]},controls:{random:{label:"random directions",light:"#7a7a7a",dark:"#a2a9b0"},on_manifold:{label:"on-manifold directions",meaning:"in which activations differ",light:"#5f8a8b",dark:"#7fb3b4"},concepts:{label:"other concepts",light:"#8a7aa8",dark:"#b3a5d0"},shuffled:{label:"shuffled labels",light:"#a8927a",dark:"#c8b297"},orthogonal:{label:"orthogonal directions",light:"#8f8aa0",dark:"#b6b2c6"}},marks:{never_named:{label:"no answer names the concept",sign:"\u2013",marker:"dash",strokes:[[[0,.5],[1,.5]]]},broken:{label:"at least half of the answers broken",sign:"hollow:",marker:"x",strokes:[]}},unfinished:{label:"unfinished: too few images or draws for a verdict",sign:"\u2026",strokes:[[[0,.8],[.2,.8]],[[.4,.8],[.6,.8]],[[.8,.8],[1,.8]]]},faded:.35,categories:{entity:"#0072b2",visual_style:"#d55e00",emotion:"#a0447f",abstract:"#00795a",relation:"#8a6d00"},other_categories:["#5b4ea0","#7a3b1e","#00708c","#636300","#8c1d40","#3d5a1f"]};function _(r){let e=t=>Number.parseInt(r.slice(t,t+2),16);return[e(1),e(3),e(5)]}var ne=({zero:r,positive:e,negative:t},n)=>({zero:_(r),positive:_(e),negative:_(t),scale:n.map(_)}),Ce=ne(S.light,S.sequential.light),Ne=ne(S.dark,S.sequential.dark),it=S.controls;function Fe(r){let e=r.match(/[\d.]+/g)?.map(Number)??[];if(e.length<3||e[3]===0)return 1;let[t=0,n=0,o=0]=e.slice(0,3).map(i=>(i/255)**2.2);return .2126*t+.7152*n+.0722*o}function re(r){let e=getComputedStyle(r),t=Fe(e.backgroundColor)<.25,n=o=>e.getPropertyValue(o).trim()||e.color;return{dark:t,paper:n("--mp-bg"),ink:n("--mp-ink"),soft:n("--mp-soft"),faint:n("--mp-faint"),line:n("--mp-line"),brand:n("--mp-brand"),warn:n("--mp-warn"),font:e.fontFamily,...t?Ne:Ce}}function oe(r){let e=()=>setTimeout(r,30),t=new MutationObserver(e),n=["data-jp-theme-name","data-jp-theme-light","data-vscode-theme-id","data-theme","class"];t.observe(document.body,{attributes:!0,attributeFilter:n}),t.observe(document.documentElement,{attributes:!0,attributeFilter:n});let o=matchMedia("(prefers-color-scheme: dark)");return o.addEventListener("change",e),()=>{t.disconnect(),o.removeEventListener("change",e)}}function $(r,e,t){let n=e>0?Math.max(-1,Math.min(1,r/e)):0,o=n>0?t.positive:t.negative;return Re(t.zero,o,Math.abs(n))}function Re(r,e,t){let n=o=>Math.round(r[o]+(e[o]-r[o])*t);return[n(0),n(1),n(2)]}var E=r=>`rgb(${r[0]},${r[1]},${r[2]})`;function He(r){return r?r instanceof ArrayBuffer?r:r.buffer.slice(r.byteOffset,r.byteOffset+r.byteLength):new ArrayBuffer(0)}var J=r=>new Float32Array(He(r));function B(r,e){return r[e]??Number.NaN}function j(r,e){e.id||=G("control");let t=a("b"),n=a("label",{class:"mp-label",for:e.id},r," ",t);return{element:a("div",{},n,e),value:t}}function se(r,e,t){let n=new Map,o=[];for(let i of e){let s=a("option",{value:i.value,class:i.unfit&&"mp-unfit"},i.label);if(!i.group){o.push(s);continue}let l=n.get(i.group)??a("optgroup",{label:P(i.group)});n.has(i.group)||o.push(l),n.set(i.group,l),l.append(s)}r.replaceChildren(...o),r.value=t}function ae(r,e,t,n){let o=G(r),i=t.map(s=>{let l=a("input",{type:"radio",name:o,value:s.value});return l.addEventListener("change",()=>n(s.value)),a("label",{},l,s.label)});return a("fieldset",{class:"mp-seg","data-testid":r,"aria-label":e},...i)}function le(r,e){for(let t of r.querySelectorAll("input"))t.checked=t.value===e}function ie(r,e){let[t,n]=[Number(r.min),Number(r.max)],o=Math.max(0,Math.min(1,(e-t)/Math.max(1e-9,n-t)));return`calc(${(100*o).toFixed(2)}% + ${(8-16*o).toFixed(2)}px)`}function pe(r,e,t){r.style.setProperty("--from",ie(r,Math.min(e,t))),r.style.setProperty("--to",ie(r,Math.max(e,t)))}var de=`.mp {
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
`;var me=`.mp-inside .mp-inside-state {
  color: var(--mp-faint);
  font-size: 12px;
}
.mp-inside .mp-scrub {
  display: grid;
  grid-template-columns: auto minmax(0, 1fr);
  gap: 0 10px;
  align-items: center;
}
.mp-inside .mp-scrub .mp-label {
  grid-column: 1 / -1;
}
.mp-inside .mp-scrub button {
  width: 30px;
  padding: 3px 0;
  line-height: 1.2;
}
.mp-inside .mp-legend {
  display: grid;
  grid-template-columns: 1fr auto 1fr;
  margin-top: 12px;
  color: var(--mp-faint);
  font-size: 10.5px;
}
.mp-inside .mp-legend > i {
  grid-column: 1 / -1;
  height: 7px;
  margin-bottom: 2px;
  border-radius: 2px;
}
.mp-inside .mp-legend > span:last-of-type {
  text-align: right;
}
.mp-inside .mp-note {
  margin: 4px 0 0;
}
.mp-inside .mp-profile {
  display: block;
  width: 100%;
  height: 66px;
}
.mp-inside .mp-canvas {
  display: block;
  cursor: crosshair;
}
/* Other widgets of the page have places to read as well; here they grow with their text. */
.mp-inside .mp-read {
  height: auto;
  min-height: 33px;
  padding: 6px 10px;
  overflow: visible;
  border-radius: 5px;
  background: var(--mp-fill);
  font-size: 12.5px;
  overflow-wrap: anywhere;
}
.mp-inside .mp-read b {
  display: inline;
  max-width: none;
  font-weight: 650;
  white-space: normal;
}
.mp-inside .soft {
  color: var(--mp-soft);
}
.mp-inside [data-old="true"] {
  opacity: 0.4;
}
`;var ze=320,Pe=(r,e)=>e>0?(r+1)%e:0,_e=(r,e,t)=>e>0?(r+Math.floor(t/ze))%e:0,K=class{constructor(e,t){this.moves=t;this.range=a("input",{type:"range",min:0,max:0,step:1,"data-testid":e}),this.button=a("button",{type:"button","data-testid":`${e}-play`}),this.box=j("Layer",this.range);let n=this.box.element.firstElementChild;this.element=a("div",{class:"mp-scrub"},n,this.button,this.range),this.range.addEventListener("input",()=>{this.halt(),this.index=Number(this.range.value),this.show(),t.draw(this.index),t.settle(this.index)}),this.button.addEventListener("click",()=>this.press()),this.still.addEventListener("change",this.onMotion),this.show()}moves;element;index=0;range;button;box;layers=[];frame=0;still=matchMedia("(prefers-reduced-motion: reduce)");fill(e,t){this.layers=e,this.range.max=String(Math.max(0,e.length-1)),this.range.disabled=e.length<2,this.button.disabled=e.length<2,this.halt(),this.index=Math.max(0,e.indexOf(t)),this.show()}close(){cancelAnimationFrame(this.frame),this.frame=0,this.still.removeEventListener("change",this.onMotion)}by(e){this.halt(),this.index=Math.max(0,Math.min(this.layers.length-1,this.index+e)),this.show(),this.moves.draw(this.index),this.moves.settle(this.index)}onMotion=()=>{this.still.matches&&this.frame&&this.press(),this.show()};press(){if(this.frame)this.halt(),this.moves.settle(this.index);else if(this.still.matches)this.index=Pe(this.index,this.layers.length),this.moves.draw(this.index),this.moves.settle(this.index);else{let e=this.index,t=0,n=o=>{if(!this.element.isConnected)return this.halt();t||=o,this.frame=requestAnimationFrame(n);let i=_e(e,this.layers.length,o-t);i!==this.index&&(this.index=i,this.show(),this.moves.draw(i))};this.frame=requestAnimationFrame(n)}this.show()}halt(){cancelAnimationFrame(this.frame),this.frame=0}show(){let e=this.layers[this.index];this.range.value=String(this.index),this.range.setAttribute("aria-valuetext",`layer ${L(e)}`);let t=this.layers.at(-1);this.box.value.textContent=e===void 0?"":`${L(e)} (${L(this.layers[0])}\u2013${t})`;let n=this.frame!==0,o=n?"Stop":this.still.matches?"Next layer":"Play the layers";this.button.textContent=n?"\u275A\u275A":this.still.matches?"\u25B8|":"\u25B6",this.button.setAttribute("aria-label",o),this.button.title=o,this.button.setAttribute("aria-pressed",String(n)),pe(this.range,0,0)}};var Be=.85;function je(r,e,t){let n=e>0?Math.min(1,Math.abs(r)/e):0;return{colour:r<0?t.negative:t.positive,alpha:n*Be}}function X([r,e,t]){return .2126*(r/255)**2.2+.7152*(e/255)**2.2+.0722*(t/255)**2.2>.22?"#111":"#fff"}var q=class{bar=a("i");low=a("span");middle=a("span",{},"0");high=a("span");element=a("div",{class:"mp-legend",role:"img"},this.bar,this.low,this.middle,this.high);show(e,t,n,o){let i=z(e),s=[-1,-.5,0,.5,1].map(l=>{if(o==="page")return E($(l,1,n));let{colour:d,alpha:p}=je(l,1,n);return`rgba(${d.join(",")},${p})`});this.bar.style.background=`linear-gradient(to right, ${s.join(", ")})`,this.low.textContent=w(-e,i),this.high.textContent=`${b(e,i)} ${t}`,this.element.setAttribute("aria-label",`colours from ${w(-e,i)} to ${this.high.textContent}`)}};var D=class{constructor(e,{root:t,css:n,prefix:o}){this.model=e;let i=s=>({"data-testid":`${o}-${s}`});this.root=ee(de+me+n,...t),this.root.classList.add("mp-inside"),this.concept=a("select",{class:"mp-wide",...i("concept")}),this.conceptBox=j("Concept",this.concept).element,this.scrubber=new K(`${o}-layer`,{draw:()=>this.redraw(),settle:s=>this.set({layer:this.model.get("layers")[s]??0})}),this.clear=a("button",{type:"button",...i("clear")},"Clear"),this.profile=a("canvas",{class:"mp-profile",role:"img",...i("profile")}),this.state=a("span",{class:"mp-inside-state",...i("status")}),this.error=a("p",{class:"mp-error",role:"alert",...i("error")})}model;root;concept;conceptBox;scrubber;clear;legend=new q;meaning=a("p",{class:"mp-note"});profile;state;error;pending=0;listen(e,t,n){this.follow(e,["concepts","categories","layers","values","limit","unit","meaning",...t],()=>this.fill()),this.follow(e,["concept","layer",...n],()=>this.take()),this.follow(e,["shown","status","message"],()=>this.redraw());let o=new ResizeObserver(()=>this.redraw());o.observe(this.root);let i=oe(()=>this.redraw());e.addEventListener("abort",()=>{o.disconnect(),i(),this.scrubber.close(),cancelAnimationFrame(this.pending)}),this.concept.addEventListener("change",()=>this.set({concept:this.concept.value}))}follow(e,t,n){for(let o of t)this.model.on(`change:${o}`,n),e.addEventListener("abort",()=>this.model.off(`change:${o}`,n))}set(e){for(let[t,n]of Object.entries(e))this.model.set(t,n);this.model.save_changes(),this.redraw()}fill(){let e=this.model.get("categories"),n=this.model.get("concepts").map((o,i)=>({value:o,label:o,group:e[i]??""}));se(this.concept,n,this.model.get("concept")),this.take()}take(){let{model:e,scrubber:t}=this,n=e.get("layers");(n[t.index]!==e.get("layer")||t.element.dataset.of!==String(n))&&(t.fill(n,e.get("layer")),t.element.dataset.of=String(n)),this.concept.value=e.get("concept"),this.redraw()}redraw(){this.pending||(this.pending=requestAnimationFrame(()=>{this.pending=0,this.draw()}))}drawStatus(e){let{model:t}=this,n=t.get("status"),o=t.get("message"),i=e&&t.get("shown").concept!==t.get("concept");return this.root.dataset.status=n,this.state.textContent=n==="running"||i&&o===""?"reading \u2026":"",this.error.textContent=o,y(this.error,o!==""),i}};function Ke(r,e,t){let n=r.filter(Number.isFinite),o=Math.max(0,...n),i=Math.min(0,...n),s=t/(o-i||1),l=o===i?t:o*s,d=e/Math.max(1,r.length),p=r.map((m,c)=>{let f=Number.isFinite(m)?Math.abs(m)*s:0;return{x:c*d,y:m>0?l-f:l,width:Math.max(1,d-1),height:f}});return{zero:l,bars:p}}var g=34,M=8,ce=14,ue=10;function he(r,e,t){let n=r.getContext("2d"),o=window.devicePixelRatio||1,[i,s]=[r.clientWidth,r.clientHeight];if(!n||i<=g||(r.width=Math.round(i*o),r.height=Math.round(s*o),n.setTransform(o,0,0,o,0,0),!e))return;let{layers:l,values:d,index:p,limit:m}=e,{zero:c,bars:f}=Ke(d,i-g,s-M-ce);n.font=`10px ${t.font}`,n.textBaseline="middle",n.fillStyle=t.faint,n.textAlign="right";let k=d.filter(Number.isFinite),O=Math.max(1,z(m)),C=s-M-ce-1;c>ue&&n.fillText(b(Math.max(...k),O),g-6,M),C-c>ue&&n.fillText(b(Math.min(...k),O),g-6,M+C),n.fillText("0",g-6,M+c),f.forEach((u,h)=>{n.fillStyle=E($(d[h]??0,m,t)),n.fillRect(g+u.x,M+u.y,u.width,u.height),n.strokeStyle=h===p?t.brand:t.line,n.lineWidth=h===p?2:1,n.strokeRect(g+u.x+.5,M+u.y,u.width-1,u.height)}),n.fillStyle=t.faint,n.fillRect(g,M+c-.5,i-g,1),n.textAlign="center";let N=(i-g)/Math.max(1,l.length),W=Math.ceil(20/N);l.forEach((u,h)=>{h!==p&&(h%W||Math.abs(h-p)*N<18)||(n.fillStyle=h===p?t.ink:t.faint,n.fillText(L(u),g+(h+.5)*N,s-6))})}function fe(r,e){let t=[];for(let n=0;n<r.length;n+=1){if(r[n]?.[1]!=="image"){t.push({kind:"token",index:n});continue}let o=qe(r,n),i=Array.from({length:o-n+1},(s,l)=>n+l);t.push({kind:"block",indices:i.filter(s=>r[s]?.[1]==="image")}),e&&t.push(...i.map(s=>({kind:"token",index:s}))),n=o}return t}function qe(r,e){let t=e;for(let n=e;n<r.length;n+=1){let o=r[n]?.[1];if(o==="image")t=n;else if(o!=="special"||n-t>2)break}return t}function F(r,e){return e?(e.kind==="block"?e.indices:[e.index]).flatMap(n=>r[n]&&r[n][1]!=="answer"?[r[n][2]]:[]):[]}function ge(r,e,t,n){let[o,i]=[Math.min(t,n),Math.max(t,n)];return[...new Set(e.slice(o,i+1).flatMap(s=>F(r,s)))]}var be=r=>[...r].sort((e,t)=>e-t);function xe(r,e){let t=new Set(r),n=e.length>0&&e.every(o=>t.has(o));for(let o of e)n?t.delete(o):t.add(o);return be(t)}var ve=(r,e)=>be(new Set([...r,...e]));function T(r){let e=r.replaceAll(`
`,"\u23CE").replaceAll("	","\u21E5");return e.trim()===""?"\u2423":e.trim()}function ye(r,e,t){let n={ArrowRight:1,ArrowDown:1,ArrowLeft:-1,ArrowUp:-1}[t];return n!==void 0?Math.max(0,Math.min(e-1,r+n)):t==="Home"?0:t==="End"?Math.max(0,e-1):null}var we=3,A=(r,e,t)=>B(r.values,e*r.tokens+t);function R(r,e,t){let n=[];for(let o=0;o<we;o+=1){let i=((e*r.tokens+t)*we+o)*2,s=r.words[B(r.lens,i)];s!==void 0&&n.push({word:s,probability:B(r.lens,i+1)})}return n}function H(r,e,t){let n=t.filter(l=>Number.isFinite(A(r,e,l))),o=n[0];if(o===void 0)return null;let i=l=>A(r,e,l),s=n.reduce((l,d)=>i(d)>i(l)?d:l,o);return{mean:n.reduce((l,d)=>l+i(d),0)/n.length,most:s,value:i(s)}}var De=40;function Ue(r,e){let t=a("div",{class:"mp-tok-grid",role:"presentation"}),n=e.map(s=>r[s]?.[4]??-1),o=(e.at(-1)??0)-(e[0]??0)+1>e.length?1:0,i=Math.max(...n)+1+o;return Math.min(...n)<0||i>De||(t.dataset.columns=String(i),t.style.gridTemplateColumns=`repeat(${i}, 18px)`),t}var U=class{constructor(e){this.acts=e;this.element.addEventListener("click",t=>this.onClick(t)),this.element.addEventListener("keydown",t=>this.onKey(t)),this.element.addEventListener("pointerover",t=>this.setHover(this.indexOf(t.target))),this.element.addEventListener("pointerleave",()=>this.setHover(-1)),this.element.addEventListener("focusin",t=>{let n=this.indexOf(t.target);n>=0&&(this.at=n),e.read()}),this.element.addEventListener("focusout",()=>e.read())}acts;element=a("div",{class:"mp-strip",role:"listbox","aria-multiselectable":"true","aria-label":"Tokens; arrow keys move, Space selects, Shift extends, Enter opens the image","data-testid":"tokens"});tokens=[];cells=[];selected=[];at=0;hover=-1;anchor=0;get reading(){return this.cells[this.hover>=0?this.hover:this.at]?.item??null}build(e,t){let n=this.element.contains(document.activeElement);this.tokens=e,this.hover=-1;let o=e.findIndex(([,p])=>p==="answer");this.cells=fe(e,t).map(p=>this.cell(p,t));let i=[],s=null,l=-1;for(let{item:p,element:m}of this.cells)p.kind==="block"?(i.push(m),s=t?Ue(e,p.indices):null,l=p.indices.at(-1)??-1,s&&i.push(s)):s&&p.index<=l?s.append(m):(p.index===o&&i.push(a("span",{class:"mp-tok-split",role:"presentation"},"answer")),i.push(m));this.element.replaceChildren(...i);let d=this.cells.map(({item:p})=>F(e,p).length>0).lastIndexOf(!0);this.at=n?Math.min(this.at,Math.max(0,this.cells.length-1)):Math.max(0,d),this.rove(),n&&this.cells[this.at]?.element.focus()}cell(e,t){let n=a("span",{class:"mp-tok-value"});if(e.kind==="block"){let f=`${t?"\u25BE":"\u25B8"} image \xD7 ${e.indices.length}`,k=a("div",{class:"mp-tok",role:"option","data-role":"block"},n,a("span",{},f));return k.title=t?"Close the image":"Open the image",{item:e,element:k,value:n}}let[o,i,s,l,d,p]=this.tokens[e.index]??["","",0,-1,-1,""],c=a("div",{class:"mp-tok",role:"option",...{"data-role":i,"data-position":s,"data-borrowed":p!==""}},n);return i==="image"?c.setAttribute("aria-label",`image token, row ${l}, column ${d}`):c.append(a("span",{},T(o))),i==="answer"&&c.setAttribute("aria-disabled","true"),{item:e,element:c,value:n}}draw(e){this.element.dataset.mode=e.mode;for(let{item:t,value:n}of this.cells)e.mode==="lens"?this.drawWord(t,n,e):this.drawValue(t,n,e)}drawValue(e,t,{reading:n,layer:o,limit:i,digits:s,theme:l}){let d=e.kind==="block",p=d?H(n,o,e.indices)?.mean:A(n,o,e.index),m=p!==void 0&&Number.isFinite(p),c=t.closest(".mp-tok-grid")!==null,f=$(m?p:0,i,l);t.textContent=c?"":m?`${d?"mean ":""}${b(p,s)}`:"\u2013",t.style.background=m?E(f):"",t.style.color=m?X(f):"",t.dataset.value=m?String(p):""}drawWord(e,t,{reading:n,layer:o,theme:i}){let s=e.kind==="token"?R(n,o,e.index)[0]:void 0,l=e.kind==="block"||t.closest(".mp-tok-grid")!==null;t.dataset.value=s?T(s.word):"";let d=s?.9*s.probability:0,p=c=>Math.round(i.zero[c]+(i.negative[c]-i.zero[c])*d),m=[p(0),p(1),p(2)];t.style.background=s?E(m):"",t.style.color=s?X(m):"",!s||l?t.textContent=l?"":"\u2013":t.replaceChildren(a("b",{},T(s.word)),a("small",{},w(s.probability,2)))}select(e){this.selected=e;let t=new Set(e);for(let{item:n,element:o}of this.cells){let i=F(this.tokens,n);o.setAttribute("aria-selected",String(i.length>0&&i.every(s=>t.has(s))))}}indexOf(e){let t=e instanceof Element?e.closest(".mp-tok"):null;return t?this.cells.findIndex(n=>n.element===t):-1}setHover(e){e!==this.hover&&(this.hover=e,this.acts.read())}onClick(e){let t=this.indexOf(e.target),n=this.cells[t]?.item;n&&(this.focus(t),e.shiftKey?this.extend(this.anchor,t):n.kind==="block"?this.acts.open():this.toggle(t))}toggle(e){this.anchor=e;let t=F(this.tokens,this.cells[e]?.item);t.length&&this.acts.select(xe(this.selected,t))}extend(e,t){let n=this.cells.map(o=>o.item);this.acts.select(ve(this.selected,ge(this.tokens,n,e,t)))}onKey(e){let t=(e.ctrlKey||e.metaKey)&&e.key==="a";if(!t&&(e.ctrlKey||e.metaKey||e.altKey))return;let n=ye(this.at,this.cells.length,e.key);if(t)this.extend(0,this.cells.length-1);else if(n!==null)e.shiftKey&&this.extend(this.at,n),this.focus(n);else if(e.key===" ")this.toggle(this.at);else if(e.key==="Enter"&&this.cells[this.at]?.item.kind==="block")this.acts.open();else if(e.key==="Enter")this.toggle(this.at);else if(e.key==="Escape")this.acts.select([]);else return;e.preventDefault(),e.stopPropagation()}focus(e){this.at=e,this.rove(),this.cells[e]?.element.focus()}rove(){this.cells.forEach((e,t)=>{e.element.tabIndex=t===this.at?0:-1})}};var ke=`.mp-tokens-top {
  display: flex;
  flex-wrap: wrap;
  gap: 0 24px;
}
.mp-tokens-top > :first-child {
  flex: 1 1 180px;
  max-width: 240px;
}
.mp-tokens-top > .mp-scrub {
  flex: 3 1 260px;
}
@container (min-width: 560px) {
  .mp-tokens-foot {
    grid-template-columns: minmax(0, 1fr) minmax(0, 320px);
  }
}
.mp-tokens .mp-head .mp-seg {
  flex: none;
}
.mp-strip {
  display: flex;
  flex-wrap: wrap;
  gap: 6px 3px;
  align-items: flex-start;
  max-height: 360px;
  margin-top: 12px;
  padding: 3px;
  overflow-y: auto;
}
.mp-tok {
  display: flex;
  flex-direction: column;
  min-width: 42px;
  max-width: 140px;
  border-radius: 4px;
  cursor: pointer;
}
.mp-tok > span:last-child {
  padding: 1px 6px;
  overflow: hidden;
  border-radius: 0 0 4px 4px;
  background: var(--mp-fill);
  font: 12px / 1.5 var(--mp-mono);
  text-align: center;
  text-overflow: ellipsis;
  white-space: nowrap;
}
.mp-tok > .mp-tok-value {
  width: 0;
  min-width: 100%;
  height: 19px;
  overflow: hidden;
  border-radius: 4px 4px 0 0;
  color: var(--mp-faint);
  font: 10.5px / 19px var(--jp-ui-font-family, system-ui, sans-serif);
  text-align: center;
  white-space: nowrap;
}
.mp-tok[data-role="block"] {
  min-width: 104px;
}
.mp-tok[data-role="block"] > span:last-child {
  color: var(--mp-soft);
  font-family: inherit;
}
.mp-tok[data-role="special"] > span:last-child {
  color: var(--mp-faint);
}
.mp-tok[data-role="answer"] {
  cursor: default;
}
.mp-tok[data-role="answer"] > span:last-child {
  background: color-mix(in srgb, var(--mp-brand) 12%, transparent);
}
.mp-tok-grid {
  display: flex;
  flex: 1 0 100%;
  flex-wrap: wrap;
  gap: 2px;
  padding: 2px 0;
}
.mp-tok-grid[data-columns] {
  display: grid;
}
.mp-tok-grid > .mp-tok {
  width: 18px;
  min-width: 18px;
}
.mp-tok-grid > .mp-tok > .mp-tok-value {
  height: 18px;
  border-radius: 3px;
  background: var(--mp-fill);
}
.mp-tok-grid > .mp-tok > span:last-child:not(.mp-tok-value) {
  display: none;
}
.mp-strip[data-mode="lens"] > .mp-tok {
  min-width: 66px;
}
.mp-strip[data-mode="lens"] > .mp-tok > .mp-tok-value {
  height: 32px;
}
.mp-strip[data-mode="lens"] > .mp-tok[data-role="block"] > .mp-tok-value {
  display: none;
}
.mp-tok-value b,
.mp-tok-value small {
  display: block;
  overflow: hidden;
  font-size: 11px;
  font-weight: 600;
  line-height: 16px;
  text-overflow: ellipsis;
}
.mp-tok-value b {
  padding: 0 3px;
}
.mp-tok-value small {
  font-size: 10px;
  font-weight: 400;
  line-height: 13px;
}
.mp-tok[aria-selected="true"] {
  outline: 2px solid var(--mp-ink);
  outline-offset: 0;
}
.mp .mp-tok:focus-visible {
  outline: 2px solid var(--mp-brand);
  outline-offset: 2px;
}
.mp-tok-split {
  align-self: stretch;
  display: flex;
  align-items: center;
  margin: 0 5px 0 9px;
  padding: 0 0 0 9px;
  border-left: 2px solid var(--mp-line);
  color: var(--mp-faint);
  font-size: 11px;
}
.mp-tokens-foot {
  display: grid;
  gap: 6px 16px;
  align-items: start;
  margin-top: 8px;
}
.mp-tokens .mp-read {
  min-height: 66px;
}
.mp-lens-layers {
  display: flex;
  flex-wrap: wrap;
  gap: 3px;
  height: 66px;
  overflow-y: auto;
}
.mp-lens-layers > span {
  max-width: 110px;
  padding: 0 6px;
  overflow: hidden;
  border-radius: 4px;
  background: var(--mp-fill);
  font-size: 11px;
  line-height: 20px;
  text-overflow: ellipsis;
  white-space: nowrap;
}
.mp-lens-layers > span[data-now="true"] {
  outline: 1px solid var(--mp-brand);
  outline-offset: -1px;
}
.mp-lens-layers i {
  color: var(--mp-faint);
  font-style: normal;
}
.mp-tokens .mp-pick {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px 8px;
  margin-top: 8px;
  color: var(--mp-soft);
  font-size: 12px;
}
.mp-tokens .mp-pick > span {
  flex: 1 1 auto;
}
.mp-strip[data-mode="projection"] > .mp-tok[data-borrowed] > .mp-tok-value {
  opacity: 0.5;
}
`;var Ge=[{value:"projection",label:"concept"},{value:"lens",label:"logit lens"}],Ve="faded tokens use the vector of another scope",Je="The word that the model would say next if it stopped at this layer, and its probability.",Xe="click tokens of the prompt to steer at them",Y=class extends D{mode=ae("token-mode","what is shown",Ge,e=>this.set({mode:e}));strip=new U({select:e=>this.set({positions:e}),open:()=>this.set({opened:!this.model.get("opened")}),read:()=>this.redraw()});read=a("div",{class:"mp-read","data-testid":"token-read",role:"status"});words=a("div",{class:"mp-lens-layers","data-testid":"token-words",tabindex:0});picked=a("span",{"data-testid":"token-count"});reading={tokens:0,values:new Float32Array(0),words:[],lens:new Float32Array(0)};limit=1;built="";constructor(e,t,n){super(e,{root:["tokens","Prompt and answer, token by token"],css:ke,prefix:"token"}),this.read.setAttribute("aria-live","polite"),this.words.setAttribute("aria-label","Most probable next word at every layer");let o=a("div",{class:"mp-head"},a("h3",{},"Tokens"),this.state,this.mode),i=a("div",{class:"mp-tokens-top"},this.conceptBox,this.scrubber.element),s=a("div",{class:"mp-tokens-foot"},this.read,a("div",{},this.profile,this.words)),l=a("div",{class:"mp-pick"},this.picked,this.clear);this.root.append(o,i,this.strip.element,l,s,this.legend.element,this.meaning,this.error),t.append(this.root),this.listen(n,["tokens","lens_words","lens","opened"],["mode","positions"]),this.clear.addEventListener("click",()=>this.set({positions:[]})),this.fill()}fill(){let{model:e}=this,t=e.get("tokens"),n=J(e.get("values"));this.reading={tokens:t.length,values:n,words:e.get("lens_words"),lens:J(e.get("lens"))},this.limit=e.get("limit");let o=`${e.get("opened")} ${JSON.stringify(t)}`;o!==this.built&&this.strip.build(t,e.get("opened")),this.built=o,super.fill()}take(){le(this.mode,this.model.get("mode")),this.strip.select(this.model.get("positions")),super.take()}draw(){let{model:e,reading:t}=this,n=re(this.root),o=e.get("mode"),i=o==="projection",s=this.scrubber.index;this.strip.draw({reading:t,layer:s,limit:this.limit,digits:V(this.limit),mode:o,theme:n}),y(this.conceptBox,i&&e.get("concepts").length>0),y(this.legend.element,i&&t.values.length>0),this.legend.show(this.limit,e.get("unit"),n,"page"),this.meaning.textContent=i?`${e.get("meaning")}; each token uses the vector of its own scope; ${Ve}.`:Je;let l=this.strip.reading;this.drawReadout(l,i,s),this.drawProfile(l,i,n),this.drawState(i)}drawReadout(e,t,n){let{model:o,reading:i}=this,s=o.get("tokens"),l=V(this.limit),d=x=>a("b",{},`${b(x,l)} ${o.get("unit")}`),p=a("span",{class:"soft"},` \xB7 layer ${o.get("layers")[n]??""}`);if(!e){this.read.replaceChildren();return}if(e.kind==="block"){let x=[a("b",{},`${e.indices.length} image tokens`),p],v=t?H(i,n,e.indices):null,[,,,I,Me]=s[v?.most??-1]??["","",0,-1,-1];v&&x.push(" \xB7 mean ",d(v.mean)," \xB7 most ",a("b",{},b(v.value,l))),v&&I>=0&&x.push(a("span",{class:"soft"},` at row ${I}, column ${Me}`)),this.read.replaceChildren(...x);return}let[m,c,f,k,O,C]=s[e.index]??["","",0,-1,-1,""],N=c==="image"&&k>=0?`row ${k}, column ${O} \xB7 `:"",W=a("span",{class:"soft"},` \xB7 ${N}${c} \xB7 position ${f}`),u=[a("b",{},c==="image"?"image token":T(m)),W,p],h=A(i,n,e.index);t&&Number.isFinite(h)&&u.push(" \xB7 ",d(h)),t&&C&&u.push(a("span",{class:"soft"},` \xB7 vector and zero point of scope ${P(C)}`));let Q=t?[]:R(i,n,e.index);Q.filter(({probability:x},v)=>v===0||x>=.005).forEach(({word:x,probability:v},I)=>{u.push(I?", ":" \xB7 next: ",a("b",{},T(x)),` ${w(v,2)}`)}),!t&&!Q.length&&u.push(a("span",{class:"soft"}," \xB7 not read yet")),c==="answer"&&u.push(a("span",{class:"soft"}," \xB7 steered by the scope \u201Cgenerated\u201D")),this.read.replaceChildren(...u)}drawProfile(e,t,n){let o=this.model.get("layers"),{index:i}=this.scrubber;if(y(this.profile,t&&this.reading.values.length>0),y(this.words,!t),t){let l=p=>e?e.kind==="token"?A(this.reading,p,e.index):H(this.reading,p,e.indices)?.mean??Number.NaN:Number.NaN,d=o.map((p,m)=>l(m));he(this.profile,e&&{layers:o,values:d,index:i,limit:this.limit},n),this.profile.setAttribute("aria-label",e?"Values of this token at every layer":"No token is chosen");return}let s=o.flatMap((l,d)=>{let p=e?.kind==="token"?R(this.reading,d,e.index)[0]:void 0;if(!p)return[];let m=a("span",{},a("i",{},`${l} `),T(p.word),a("i",{},` ${w(p.probability,2)}`));return m.dataset.now=String(d===i),[m]});this.words.replaceChildren(...s)}drawState(e){let{model:t}=this;this.strip.element.dataset.old=String(this.drawStatus(e&&this.reading.values.length>0));let n=t.get("positions").length;this.picked.textContent=n===1?"1 token selected":`${n} tokens selected${n?"":` \xB7 ${Xe}`}`,this.clear.disabled=n===0;let o=this.mode.querySelectorAll("input");for(let i of o)i.disabled=i.value==="projection"&&t.get("concepts").length===0}};function Ye({model:r,el:e,signal:t}){let n=new AbortController;return t?.addEventListener("abort",()=>n.abort()),new Y(r,e,n.signal),()=>n.abort()}var nn={render:te(Ye)};export{nn as default};
