function s(n,t={},...e){let r=document.createElement(n);for(let[i,o]of Object.entries(t))o!==void 0&&o!==!1&&r.setAttribute(i,o===!0?"":String(o));return r.append(...e),r}var U=0;function T(n){return U+=1,`mp-${n}-${U}-${Math.random().toString(36).slice(2,8)}`}function q(n,t,e){let r=s("section",{class:`mp mp-${t}`,"aria-label":e,"data-lm-suppress-shortcuts":"true"});return r.append(s("style",{},n)),r.addEventListener("keydown",i=>i.stopPropagation()),r}function f(n,t){n.hidden=!t}var wt="No kernel is connected. Showing the saved state; rerun the cell to continue.",kt="Kernel restarted or stopped. Showing the last state; rerun the cell to continue.";function Mt(n){let t=n.get("layout");return typeof t?.comm_live=="boolean"&&t.on&&t.off?t:null}function Tt(n,t){return n?"":t?kt:wt}function Et(n,t){let e=Mt(n);if(!e||!t)return()=>{};let r=s("p",{class:"mp-kernel",role:"status","data-testid":"no-kernel"});t.prepend(r);let i=e.comm_live,o=()=>{i||=e.comm_live,r.textContent=Tt(e.comm_live,i),f(r,!e.comm_live)};return e.on("comm_live_update",o),o(),()=>e.off("comm_live_update",o)}function W(n){return t=>{let e=n(t),r=Et(t.model,t.el.firstElementChild);return()=>{r(),e?.()}}}function V(n){return!(n>0)||n>=100?n>=100?0:1:n>2?1:Math.min(5,2-Math.min(0,Math.floor(Math.log10(n))+1))}function E(n){let[t,e]=n.toExponential(1).split("e");return Math.max(0,(t?.endsWith(".0")?0:1)-Number(e))}function L(n,t=1){if(!Number.isFinite(n))return"\u2013";let e=Math.abs(n).toFixed(t);return n<0&&Number(e)!==0?"\u2212"+e:e}function y(n,t=1){let e=L(n,t);return n>0&&Number(e)!==0?`+${e}`:e}var b=n=>n===void 0?"":n<0?"input":String(n),X=n=>n.replaceAll("_"," ");var w={light:{paper:"#ffffff",ink:"#1c2126",soft:"#5b6570",faint:"#6f7984",line:"#e0e4e8",edge:"#c4cad1",brand:"#1f6feb",warn:"#b3261e",good:"#1a7f4b",muted:"#8a929b",zero:"#f7f8f9",positive:"#b2490a",negative:"#1f5fb4"},dark:{paper:"#16191e",ink:"#e7ebef",soft:"#a5aeb8",faint:"#a5aeb8",line:"#2a3038",edge:"#46505b",brand:"#5aa2ff",warn:"#ff8a80",good:"#58c48a",muted:"#5d6670",zero:"#22272e",positive:"#ffa657",negative:"#58a6ff"},sequential:{light:["#f4f5e6","#d5deba","#adcb98","#76b996","#3ca49b","#1b899b","#206c95","#244f8d","#31307f"],dark:["#2b2751","#2e406f","#275c87","#1c7990","#339491","#58ae90","#85c48a","#b5d778","#ede361"]},controls:{random:{label:"random directions",light:"#7a7a7a",dark:"#a2a9b0"},on_manifold:{label:"on-manifold directions",meaning:"in which activations differ",light:"#5f8a8b",dark:"#7fb3b4"},concepts:{label:"other concepts",light:"#8a7aa8",dark:"#b3a5d0"},shuffled:{label:"shuffled labels",light:"#a8927a",dark:"#c8b297"},orthogonal:{label:"orthogonal directions",light:"#8f8aa0",dark:"#b6b2c6"}},marks:{never_named:{label:"no answer names the concept",sign:"\u2013",marker:"dash",strokes:[[[0,.5],[1,.5]]]},broken:{label:"at least half of the answers broken",sign:"hollow:",marker:"x",strokes:[]}},unfinished:{label:"unfinished: too few images or draws for a verdict",sign:"\u2026",strokes:[[[0,.8],[.2,.8]],[[.4,.8],[.6,.8]],[[.8,.8],[1,.8]]]},faded:.35,categories:{entity:"#0072b2",visual_style:"#d55e00",emotion:"#a0447f",abstract:"#00795a",relation:"#8a6d00"},other_categories:["#5b4ea0","#7a3b1e","#00708c","#636300","#8c1d40","#3d5a1f"]};function A(n){let t=e=>Number.parseInt(n.slice(e,e+2),16);return[t(1),t(3),t(5)]}var Y=({zero:n,positive:t,negative:e},r)=>({zero:A(n),positive:A(t),negative:A(e),scale:r.map(A)}),At=Y(w.light,w.sequential.light),Pt=Y(w.dark,w.sequential.dark),Qt=w.controls;function St(n){let t=n.match(/[\d.]+/g)?.map(Number)??[];if(t.length<3||t[3]===0)return 1;let[e=0,r=0,i=0]=t.slice(0,3).map(o=>(o/255)**2.2);return .2126*e+.7152*r+.0722*i}function Q(n){let t=getComputedStyle(n),e=St(t.backgroundColor)<.25,r=i=>t.getPropertyValue(i).trim()||t.color;return{dark:e,paper:r("--mp-bg"),ink:r("--mp-ink"),soft:r("--mp-soft"),faint:r("--mp-faint"),line:r("--mp-line"),brand:r("--mp-brand"),warn:r("--mp-warn"),font:t.fontFamily,...e?Pt:At}}function J(n){let t=()=>setTimeout(n,30),e=new MutationObserver(t),r=["data-jp-theme-name","data-jp-theme-light","data-vscode-theme-id","data-theme","class"];e.observe(document.body,{attributes:!0,attributeFilter:r}),e.observe(document.documentElement,{attributes:!0,attributeFilter:r});let i=matchMedia("(prefers-color-scheme: dark)");return i.addEventListener("change",t),()=>{e.disconnect(),i.removeEventListener("change",t)}}function P(n,t,e){let r=t>0?Math.max(-1,Math.min(1,n/t)):0,i=r>0?e.positive:e.negative;return Ct(e.zero,i,Math.abs(r))}function Ct(n,t,e){let r=i=>Math.round(n[i]+(t[i]-n[i])*e);return[r(0),r(1),r(2)]}var S=n=>`rgb(${n[0]},${n[1]},${n[2]})`;function Ft(n){return n?n instanceof ArrayBuffer?n:n.buffer.slice(n.byteOffset,n.byteOffset+n.byteLength):new ArrayBuffer(0)}var Z=n=>new Float32Array(Ft(n));function tt(n,t){return n[t]??Number.NaN}var et=`.mp {
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
`;function C(n,t){t.id||=T("control");let e=s("b"),r=s("label",{class:"mp-label",for:t.id},n," ",e);return{element:s("div",{},r,t),value:e}}function nt(n,t,e){let r=new Map,i=[];for(let o of t){let a=s("option",{value:o.value,class:o.unfit&&"mp-unfit"},o.label);if(!o.group){i.push(a);continue}let l=r.get(o.group)??s("optgroup",{label:X(o.group)});r.has(o.group)||i.push(l),r.set(o.group,l),l.append(a)}n.replaceChildren(...i),n.value=e}function rt(n,t){let[e,r]=[Number(n.min),Number(n.max)],i=Math.max(0,Math.min(1,(t-e)/Math.max(1e-9,r-e)));return`calc(${(100*i).toFixed(2)}% + ${(8-16*i).toFixed(2)}px)`}function it(n,t,e){n.style.setProperty("--from",rt(n,Math.min(t,e))),n.style.setProperty("--to",rt(n,Math.max(t,e)))}var ot=`.mp-inside .mp-inside-state {
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
`;var Ht=320,Nt=(n,t)=>t>0?(n+1)%t:0,Bt=(n,t,e)=>t>0?(n+Math.floor(e/Ht))%t:0,F=class{constructor(t,e){this.moves=e;this.range=s("input",{type:"range",min:0,max:0,step:1,"data-testid":t}),this.button=s("button",{type:"button","data-testid":`${t}-play`}),this.box=C("Layer",this.range);let r=this.box.element.firstElementChild;this.element=s("div",{class:"mp-scrub"},r,this.button,this.range),this.range.addEventListener("input",()=>{this.halt(),this.index=Number(this.range.value),this.show(),e.draw(this.index),e.settle(this.index)}),this.button.addEventListener("click",()=>this.press()),this.still.addEventListener("change",this.onMotion),this.show()}moves;element;index=0;range;button;box;layers=[];frame=0;still=matchMedia("(prefers-reduced-motion: reduce)");fill(t,e){this.layers=t,this.range.max=String(Math.max(0,t.length-1)),this.range.disabled=t.length<2,this.button.disabled=t.length<2,this.halt(),this.index=Math.max(0,t.indexOf(e)),this.show()}close(){cancelAnimationFrame(this.frame),this.frame=0,this.still.removeEventListener("change",this.onMotion)}by(t){this.halt(),this.index=Math.max(0,Math.min(this.layers.length-1,this.index+t)),this.show(),this.moves.draw(this.index),this.moves.settle(this.index)}onMotion=()=>{this.still.matches&&this.frame&&this.press(),this.show()};press(){if(this.frame)this.halt(),this.moves.settle(this.index);else if(this.still.matches)this.index=Nt(this.index,this.layers.length),this.moves.draw(this.index),this.moves.settle(this.index);else{let t=this.index,e=0,r=i=>{if(!this.element.isConnected)return this.halt();e||=i,this.frame=requestAnimationFrame(r);let o=Bt(t,this.layers.length,i-e);o!==this.index&&(this.index=o,this.show(),this.moves.draw(o))};this.frame=requestAnimationFrame(r)}this.show()}halt(){cancelAnimationFrame(this.frame),this.frame=0}show(){let t=this.layers[this.index];this.range.value=String(this.index),this.range.setAttribute("aria-valuetext",`layer ${b(t)}`);let e=this.layers.at(-1);this.box.value.textContent=t===void 0?"":`${b(t)} (${b(this.layers[0])}\u2013${e})`;let r=this.frame!==0,i=r?"Stop":this.still.matches?"Next layer":"Play the layers";this.button.textContent=r?"\u275A\u275A":this.still.matches?"\u25B8|":"\u25B6",this.button.setAttribute("aria-label",i),this.button.title=i,this.button.setAttribute("aria-pressed",String(r)),it(this.range,0,0)}};var Ot=.85;function z(n,t,e){let r=t>0?Math.min(1,Math.abs(n)/t):0;return{colour:n<0?e.negative:e.positive,alpha:r*Ot}}var $=class{bar=s("i");low=s("span");middle=s("span",{},"0");high=s("span");element=s("div",{class:"mp-legend",role:"img"},this.bar,this.low,this.middle,this.high);show(t,e,r,i){let o=E(t),a=[-1,-.5,0,.5,1].map(l=>{if(i==="page")return S(P(l,1,r));let{colour:p,alpha:d}=z(l,1,r);return`rgba(${p.join(",")},${d})`});this.bar.style.background=`linear-gradient(to right, ${a.join(", ")})`,this.low.textContent=L(-t,o),this.high.textContent=`${y(t,o)} ${e}`,this.element.setAttribute("aria-label",`colours from ${L(-t,o)} to ${this.high.textContent}`)}};var R=class{constructor(t,{root:e,css:r,prefix:i}){this.model=t;let o=a=>({"data-testid":`${i}-${a}`});this.root=q(et+ot+r,...e),this.root.classList.add("mp-inside"),this.concept=s("select",{class:"mp-wide",...o("concept")}),this.conceptBox=C("Concept",this.concept).element,this.scrubber=new F(`${i}-layer`,{draw:()=>this.redraw(),settle:a=>this.set({layer:this.model.get("layers")[a]??0})}),this.clear=s("button",{type:"button",...o("clear")},"Clear"),this.profile=s("canvas",{class:"mp-profile",role:"img",...o("profile")}),this.state=s("span",{class:"mp-inside-state",...o("status")}),this.error=s("p",{class:"mp-error",role:"alert",...o("error")})}model;root;concept;conceptBox;scrubber;clear;legend=new $;meaning=s("p",{class:"mp-note"});profile;state;error;pending=0;listen(t,e,r){this.follow(t,["concepts","categories","layers","values","limit","unit","meaning",...e],()=>this.fill()),this.follow(t,["concept","layer",...r],()=>this.take()),this.follow(t,["shown","status","message"],()=>this.redraw());let i=new ResizeObserver(()=>this.redraw());i.observe(this.root);let o=J(()=>this.redraw());t.addEventListener("abort",()=>{i.disconnect(),o(),this.scrubber.close(),cancelAnimationFrame(this.pending)}),this.concept.addEventListener("change",()=>this.set({concept:this.concept.value}))}follow(t,e,r){for(let i of e)this.model.on(`change:${i}`,r),t.addEventListener("abort",()=>this.model.off(`change:${i}`,r))}set(t){for(let[e,r]of Object.entries(t))this.model.set(e,r);this.model.save_changes(),this.redraw()}fill(){let t=this.model.get("categories"),r=this.model.get("concepts").map((i,o)=>({value:i,label:i,group:t[o]??""}));nt(this.concept,r,this.model.get("concept")),this.take()}take(){let{model:t,scrubber:e}=this,r=t.get("layers");(r[e.index]!==t.get("layer")||e.element.dataset.of!==String(r))&&(e.fill(r,t.get("layer")),e.element.dataset.of=String(r)),this.concept.value=t.get("concept"),this.redraw()}redraw(){this.pending||(this.pending=requestAnimationFrame(()=>{this.pending=0,this.draw()}))}drawStatus(t){let{model:e}=this,r=e.get("status"),i=e.get("message"),o=t&&e.get("shown").concept!==e.get("concept");return this.root.dataset.status=r,this.state.textContent=r==="running"||o&&i===""?"reading \u2026":"",this.error.textContent=i,f(this.error,i!==""),o}};var k=(n,t)=>Math.max(0,Math.min(t-1,n));function at(n,t,e,r,i){return n.rows===0||r<0||i<0||r>=t||i>=e?null:{row:Math.floor(i/e*n.rows),column:Math.floor(r/t*n.columns)}}function st(n,{row:t,column:e},r){switch(r){case"ArrowUp":return{row:k(t-1,n.rows),column:e};case"ArrowDown":return{row:k(t+1,n.rows),column:e};case"ArrowLeft":return{row:t,column:k(e-1,n.columns)};case"ArrowRight":return{row:t,column:k(e+1,n.columns)};case"Home":return{row:t,column:0};case"End":return{row:t,column:k(n.columns-1,n.columns)};default:return null}}function H(n,{rows:t,columns:e}){return n.length===t&&n.every(i=>i.length===e)?n:Array.from({length:t},()=>Array(e).fill(!1))}var v=(n,{row:t,column:e})=>n[t]?.[e]??!1;function N(n,t,e){let r=n.map(i=>[...i]);for(let{row:i,column:o}of t){let a=r[i];a&&o in a&&(a[o]=e)}return r}var lt=n=>n.map(t=>t.map(e=>!e)),I=n=>n.reduce((t,e)=>t+e.filter(Boolean).length,0);function pt(n,t){let e=Math.max(Math.abs(t.row-n.row),Math.abs(t.column-n.column),1);return Array.from({length:e+1},(r,i)=>({row:Math.round(n.row+(t.row-n.row)*i/e),column:Math.round(n.column+(t.column-n.column)*i/e)}))}function dt(n){let t=[];return n.forEach((e,r)=>{e.forEach((i,o)=>{if(!i)return;let a=(l,p)=>!v(n,{row:l,column:p});a(r-1,o)&&t.push([o,r,o+1,r]),a(r+1,o)&&t.push([o,r+1,o+1,r+1]),a(r,o-1)&&t.push([o,r,o,r+1]),a(r,o+1)&&t.push([o+1,r,o+1,r+1])})}),t}function ct({rows:n,columns:t},e){let r=Array.from({length:n*t},(o,a)=>({row:Math.floor(a/t),column:a%t})),i=r.filter(o=>v(e,o));return i.length?i:r}var B=class{constructor(t,e){this.canvas=t;this.strokes=e;t.addEventListener("pointerdown",r=>this.onDown(r)),t.addEventListener("pointermove",r=>this.onMove(r));for(let r of["pointerup","pointercancel"])t.addEventListener(r,()=>this.onUp());t.addEventListener("pointerleave",()=>this.setHover(null)),t.addEventListener("keydown",r=>this.onKey(r));for(let r of["focus","blur"])t.addEventListener(r,e.redraw)}canvas;strokes;mask=[];hover=null;cursor={row:0,column:0};drag=null;get reading(){return this.hover??this.shownCursor}get shownCursor(){return document.activeElement===this.canvas&&this.strokes.grid().rows?this.cursor:null}take(t){let e=this.strokes.grid();this.cursor={row:Math.min(this.cursor.row,Math.max(0,e.rows-1)),column:this.cursor.column},this.cursor.column=Math.min(this.cursor.column,Math.max(0,e.columns-1)),this.drag||(this.mask=H(t,e))}patchUnder(t){let{clientWidth:e,clientHeight:r}=this.canvas;return at(this.strokes.grid(),e,r,t.offsetX,t.offsetY)}onDown(t){let e=this.patchUnder(t);!e||t.button!==0||(this.canvas.setPointerCapture(t.pointerId),this.cursor=e,this.drag={on:!v(this.mask,e),last:e},this.mask=N(this.mask,[e],this.drag.on),this.strokes.redraw())}onMove(t){let e=this.patchUnder(t);this.setHover(e),!(!this.drag||!e)&&(this.mask=N(this.mask,pt(this.drag.last,e),this.drag.on),this.drag.last=e,this.cursor=e,this.strokes.redraw())}onUp(){this.drag&&(this.drag=null,this.strokes.finish(this.mask))}onKey(t){if(!(t.ctrlKey||t.metaKey||t.altKey)){if(t.key==="PageUp"||t.key==="PageDown")this.strokes.scrub(t.key==="PageUp"?1:-1);else if(!this.strokes.grid().rows||!this.onGridKey(t))return;t.preventDefault(),t.stopPropagation()}}onGridKey(t){let e=v(this.mask,this.cursor);if(t.key===" ")return this.hover=null,this.paint(this.cursor,!e),!0;let r=st(this.strokes.grid(),this.cursor,t.key);return r?(this.hover=null,this.cursor=r,t.shiftKey&&v(this.mask,r)!==e&&this.paint(r,e),this.strokes.redraw(),!0):!1}paint(t,e){this.mask=N(this.mask,[t],e),this.strokes.finish(this.mask)}setHover(t){t?.row===this.hover?.row&&t?.column===this.hover?.column||(this.hover=t,this.strokes.redraw())}};var mt=`.mp-patches-body {
  display: grid;
  grid-template-columns: minmax(0, 1fr);
  gap: 12px 24px;
}
@container (min-width: 560px) {
  .mp-patches-body {
    grid-template-columns: minmax(0, 340px) minmax(0, 1fr);
  }
}
.mp-patches .mp-canvas {
  max-width: 100%;
  border-radius: 5px;
  touch-action: none;
}
.mp-patches .mp-canvas:focus-visible {
  outline-offset: 3px;
}
.mp-patches .mp-read {
  min-height: 68px;
  margin-top: 8px;
}
.mp-paint {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px 8px;
  margin-top: 10px;
  color: var(--mp-soft);
  font-size: 12px;
}
.mp-paint > span {
  flex: 1 1 auto;
}
.mp-paint label {
  display: inline-flex;
  align-items: center;
  gap: 5px;
}
.mp-paint input {
  margin: 0;
}
`;function ht(n,t,e){let r=window.devicePixelRatio||1;(n.width!==Math.round(t*r)||n.height!==Math.round(e*r))&&(n.width=Math.round(t*r),n.height=Math.round(e*r),n.style.width=`${t}px`,n.style.height=`${e}px`);let i=n.getContext("2d");return i?.setTransform(r,0,0,r,0,0),i&&(i.textBaseline="middle"),i}function It(n,t,e,r,i){t.picture&&(n.imageSmoothingQuality="high",n.drawImage(t.picture,0,0,r,i),t.shaded&&(n.globalCompositeOperation="saturation",n.fillStyle="#888",n.fillRect(0,0,r,i),n.globalCompositeOperation="source-over",n.fillStyle=e.dark?"rgba(20,24,28,.5)":"rgba(255,255,255,.55)",n.fillRect(0,0,r,i)))}function _t(n,t,e,r,i){let{rows:o,columns:a}=t.grid;for(let l=0;l<o;l+=1)for(let p=0;p<a;p+=1){let d=t.value({row:l,column:p});if(!Number.isFinite(d))continue;let{colour:c,alpha:g}=z(d,t.limit,e);n.fillStyle=`rgba(${c.join(",")},${g.toFixed(3)})`,n.fillRect(p*r,l*i,r,i)}}function Gt(n,{rows:t,columns:e},r,i,o){if(!(Math.min(i,o)<7)){n.strokeStyle=r.dark?"rgba(255,255,255,.14)":"rgba(255,255,255,.5)",n.lineWidth=1,n.beginPath();for(let a=1;a<t;a+=1)n.moveTo(0,a*o),n.lineTo(e*i,a*o);for(let a=1;a<e;a+=1)n.moveTo(a*i,0),n.lineTo(a*i,t*o);n.stroke()}}function ut(n,t,e,r){for(let[i,o]of[["rgba(255,255,255,.9)",e+2.5],[t,e]])n.strokeStyle=i,n.lineWidth=o,n.beginPath(),r(),n.stroke()}function jt(n,t,e,r){let i=dt(t);i.length!==0&&(n.lineCap="square",ut(n,"#111",2,()=>{for(let[o,a,l,p]of i)n.moveTo(o*e,a*r),n.lineTo(l*e,p*r)}))}function ft(n,t,e,r,i){let o=ht(n,r,i);if(!o||(o.clearRect(0,0,r,i),It(o,t,e,r,i),t.grid.rows===0))return;let[a,l]=[r/t.grid.columns,i/t.grid.rows];t.shaded&&_t(o,t,e,a,l),Gt(o,t.grid,e,a,l),jt(o,t.mask,a,l);let p=(d,c)=>{o.setLineDash(c),ut(o,e.brand,2,()=>o.rect(d.column*a+1,d.row*l+1,a-2,l-2)),o.setLineDash([])};t.hover&&p(t.hover,[]),t.cursor&&p(t.cursor,[4,3])}function Kt(n,t,e){let r=n.filter(Number.isFinite),i=Math.max(0,...r),o=Math.min(0,...r),a=e/(i-o||1),l=i===o?e:i*a,p=t/Math.max(1,n.length),d=n.map((c,g)=>{let M=Number.isFinite(c)?Math.abs(c)*a:0;return{x:g*p,y:c>0?l-M:l,width:Math.max(1,p-1),height:M}});return{zero:l,bars:d}}var m=34,x=8,gt=14,bt=10;function vt(n,t,e){let r=n.getContext("2d"),i=window.devicePixelRatio||1,[o,a]=[n.clientWidth,n.clientHeight];if(!r||o<=m||(n.width=Math.round(o*i),n.height=Math.round(a*i),r.setTransform(i,0,0,i,0,0),!t))return;let{layers:l,values:p,index:d,limit:c}=t,{zero:g,bars:M}=Kt(p,o-m,a-x-gt);r.font=`10px ${e.font}`,r.textBaseline="middle",r.fillStyle=e.faint,r.textAlign="right";let j=p.filter(Number.isFinite),K=Math.max(1,E(c)),D=a-x-gt-1;g>bt&&r.fillText(y(Math.max(...j),K),m-6,x),D-g>bt&&r.fillText(y(Math.min(...j),K),m-6,x+D),r.fillText("0",m-6,x+g),M.forEach((h,u)=>{r.fillStyle=S(P(p[u]??0,c,e)),r.fillRect(m+h.x,x+h.y,h.width,h.height),r.strokeStyle=u===d?e.brand:e.line,r.lineWidth=u===d?2:1,r.strokeRect(m+h.x+.5,x+h.y,h.width-1,h.height)}),r.fillStyle=e.faint,r.fillRect(m,x+g-.5,o-m,1),r.textAlign="center";let O=(o-m)/Math.max(1,l.length),yt=Math.ceil(20/O);l.forEach((h,u)=>{u!==d&&(u%yt||Math.abs(u-d)*O<18)||(r.fillStyle=u===d?e.ink:e.faint,r.fillText(b(h),m+(u+.5)*O,a-6))})}var _=340,xt="Arrow keys move, Space paints, Shift with arrows paints on, Page up and down change the layer.",G=class extends R{canvas=s("canvas",{class:"mp-canvas","data-testid":"patches",tabindex:0,role:"application"});read=s("div",{class:"mp-read","data-testid":"patch-read",role:"status","aria-live":"polite"});profileLabel=s("span",{class:"mp-label"});profileBox=s("div",{},this.profileLabel,this.profile);painted=s("span",{"data-testid":"patch-count"});invert=s("button",{type:"button","data-testid":"patch-invert"},"Invert");shade=s("input",{type:"checkbox",checked:!0,"data-testid":"patch-shade"});picture=null;values=new Float32Array(0);limit=1;brush=new B(this.canvas,{grid:()=>this.grid(),redraw:()=>this.redraw(),finish:t=>this.set({mask:t}),scrub:t=>this.scrubber.by(t)});constructor(t,e,r){super(t,{root:["patches","Concept by patch of the image"],css:mt,prefix:"patch"}),this.read.id=T("patch"),this.canvas.setAttribute("aria-describedby",this.read.id),this.canvas.setAttribute("aria-label",`Patches of the image. ${xt}`);let i=s("div",{class:"mp-paint"},this.painted,s("label",{},this.shade,"shade"),this.invert,this.clear),o=s("div",{},this.canvas,this.read,i),a=s("div",{},this.conceptBox,this.scrubber.element,this.legend.element,this.meaning,this.profileBox),l=s("div",{class:"mp-head"},s("h3",{},"Concept by patch"),this.state);this.root.append(l,s("div",{class:"mp-patches-body"},o,a),this.error),e.append(this.root),this.listen(r,["rows","columns"],["mask"]),this.follow(r,["picture"],()=>{this.load()}),r.addEventListener("abort",()=>this.picture?.close()),this.shade.addEventListener("change",()=>this.redraw()),this.clear.addEventListener("click",()=>this.set({mask:H([],this.grid())})),this.invert.addEventListener("click",()=>this.set({mask:lt(this.brush.mask)})),this.fill(),this.load()}grid(){return{rows:this.model.get("rows"),columns:this.model.get("columns")}}async load(){let t=this.model.get("picture");if(!t?.byteLength)return;let e=await createImageBitmap(new Blob([t],{type:"image/png"}));if(t!==this.model.get("picture"))return e.close();this.picture?.close(),this.picture=e,this.redraw()}fill(){let{model:t}=this;this.values=Z(t.get("values")),this.limit=t.get("limit"),f(this.conceptBox,t.get("concepts").length>0),this.meaning.textContent=`${t.get("meaning")}.`,super.fill()}take(){this.brush.take(this.model.get("mask")),super.take()}valueAt({row:t,column:e},r=this.scrubber.index){let{rows:i,columns:o}=this.grid();return tt(this.values,(r*i+t)*o+e)}draw(){let t=Q(this.root),e=this.grid(),r=this.canvas.parentElement?.clientWidth??_,i=this.picture?this.picture.height/this.picture.width:1,o=Math.max(80,Math.min(_,r,_*1.25/i)),a={picture:this.picture,grid:e,value:d=>this.valueAt(d),limit:this.limit,mask:this.brush.mask,cursor:this.brush.shownCursor,hover:this.brush.hover,shaded:this.shade.checked&&this.values.length>0};ft(this.canvas,a,t,Math.round(o),Math.round(o*i));let l=this.values.length>0;f(this.legend.element,l),f(this.meaning,l),this.legend.show(this.limit,this.model.get("unit"),t,"picture");let p=this.brush.reading;this.drawReadout(p),f(this.profileBox,l),this.drawProfile(p,t),this.drawState()}drawProfile(t,e){let r=this.model.get("layers"),i=t?[t]:ct(this.grid(),this.brush.mask),o=r.map((l,p)=>i.reduce((d,c)=>d+this.valueAt(c,p),0)/i.length);vt(this.profile,{layers:r,values:o,index:this.scrubber.index,limit:this.limit},e);let a=I(this.brush.mask)?"Mean of the painted patches":"Mean of all patches";this.profileLabel.textContent=`${t?"This patch":a}, layer by layer`,this.profile.setAttribute("aria-label",this.profileLabel.textContent)}drawReadout(t){let{model:e,read:r}=this,i=e.get("layers")[this.scrubber.index];if(!t){let l=this.model.get("rows")>0;r.textContent=l?"Hover a patch to read it, drag to paint. ":"",l&&r.append(s("span",{class:"soft"},xt));for(let p of["row","column","value"])delete r.dataset[p];return}let o=this.valueAt(t),a=["row ",s("b",{},String(t.row)),", column ",s("b",{},String(t.column))];if(Number.isFinite(o)){let l=`${y(o,V(this.limit))} ${e.get("unit")}`;a.push(" \xB7 ",s("b",{},l),s("span",{class:"soft"},` of ${e.get("shown").concept??""} at layer ${b(i)}`))}v(this.brush.mask,t)&&a.push(s("span",{class:"soft"}," \xB7 painted")),r.replaceChildren(...a),Object.assign(r.dataset,{row:t.row,column:t.column,value:Number.isFinite(o)?o:""})}drawState(){this.canvas.dataset.old=String(this.drawStatus(this.values.length>0));let{rows:t,columns:e}=this.grid(),r=I(this.brush.mask);this.painted.textContent=t?`${r} of ${t} \xD7 ${e} painted`:"",this.clear.disabled=r===0,this.invert.disabled=t===0}};function Dt({model:n,el:t,signal:e}){let r=new AbortController;return e?.addEventListener("abort",()=>r.abort()),new G(n,t,r.signal),()=>r.abort()}var Ue={render:W(Dt)};export{Ue as default};
