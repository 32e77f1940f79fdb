var D=`.mp {
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
`;function l(n,t={},...r){let e=document.createElement(n);for(let[i,o]of Object.entries(t))o!==void 0&&o!==!1&&e.setAttribute(i,o===!0?"":String(o));return e.append(...r),e}var K=0;function M(n){return K+=1,`mp-${n}-${K}-${Math.random().toString(36).slice(2,8)}`}function U(n,t,r){let e=l("section",{class:`mp mp-${t}`,"aria-label":r,"data-lm-suppress-shortcuts":"true"});return e.append(l("style",{},n)),e.addEventListener("keydown",i=>i.stopPropagation()),e}function x(n,t){n.hidden=!t}function q(n){return!(n>0)||n>=100?n>=100?0:1:n>2?1:Math.min(5,2-Math.min(0,Math.floor(Math.log10(n))+1))}function T(n){return Number(n.toPrecision(2)).toString().split(".")[1]?.length??0}function P(n,t=1){if(!Number.isFinite(n))return"\u2013";let r=Math.abs(n).toFixed(t);return n<0&&Number(r)!==0?"\u2212"+r:r}function b(n,t=1){let r=P(n,t);return n>0&&Number(r)!==0?`+${r}`:r}function W(n){if(!(n>0)||!Number.isFinite(n))return 1;let t=10**Math.floor(Math.log10(n));return([1,1.5,2,3,4,5,6,8,10].find(e=>e*t>=n*(1-1e-9))??10)*t}var _=n=>n.replaceAll("_"," ");var V=`.mp-label {
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
  padding-right: 130px;
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
`;var X=`.mp-inside-state {
  color: var(--mp-faint);
  font-size: 12px;
}
.mp-scrub {
  display: grid;
  grid-template-columns: auto minmax(0, 1fr);
  gap: 0 10px;
  align-items: center;
}
.mp-scrub .mp-label {
  grid-column: 1 / -1;
}
.mp .mp-scrub button {
  width: 30px;
  padding: 3px 0;
  line-height: 1.2;
}
.mp-legend {
  display: grid;
  grid-template-columns: 1fr auto 1fr;
  margin-top: 12px;
  color: var(--mp-faint);
  font-size: 10.5px;
}
.mp-legend > i {
  grid-column: 1 / -1;
  height: 7px;
  margin-bottom: 2px;
  border-radius: 2px;
}
.mp-legend > span:last-of-type {
  text-align: right;
}
.mp-note {
  margin: 4px 0 0;
  color: var(--mp-faint);
  font-size: 11.5px;
}
.mp-profile {
  display: block;
  width: 100%;
  height: 66px;
}
.mp-inside .mp-canvas {
  display: block;
  cursor: crosshair;
}
.mp-inside .mp-read {
  min-height: 33px;
  padding: 6px 10px;
  border-radius: 5px;
  background: var(--mp-fill);
  font-size: 12.5px;
  overflow-wrap: anywhere;
}
.mp-inside .mp-read b {
  font-weight: 650;
}
.mp-inside .soft {
  color: var(--mp-soft);
}
[data-old="true"] {
  opacity: 0.4;
}
`;var xt={zero:[247,248,249],positive:[178,73,10],negative:[31,95,180]},yt={zero:[34,39,46],positive:[255,166,87],negative:[88,166,255]};function wt(n){let t=n.match(/[\d.]+/g)?.map(Number)??[];if(t.length<3||t[3]===0)return 1;let[r=0,e=0,i=0]=t.slice(0,3).map(o=>(o/255)**2.2);return .2126*r+.7152*e+.0722*i}function Y(n){let t=getComputedStyle(n),r=wt(t.backgroundColor)<.25,e=i=>t.getPropertyValue(i).trim()||t.color;return{dark:r,ink:e("--mp-ink"),soft:e("--mp-soft"),faint:e("--mp-faint"),line:e("--mp-line"),brand:e("--mp-brand"),font:t.fontFamily,...r?yt:xt}}function Q(n){let t=()=>setTimeout(n,30),r=new MutationObserver(t),e=["data-jp-theme-name","data-jp-theme-light","data-vscode-theme-id","data-theme","class"];r.observe(document.body,{attributes:!0,attributeFilter:e}),r.observe(document.documentElement,{attributes:!0,attributeFilter:e});let i=matchMedia("(prefers-color-scheme: dark)");return i.addEventListener("change",t),()=>{r.disconnect(),i.removeEventListener("change",t)}}function E(n,t,r){let e=t>0?Math.max(-1,Math.min(1,n/t)):0,i=e>0?r.positive:r.negative,o=a=>Math.round(r.zero[a]+(i[a]-r.zero[a])*Math.abs(e));return[o(0),o(1),o(2)]}var L=n=>`rgb(${n[0]},${n[1]},${n[2]})`;var kt=.85;function R(n,t,r){let e=t>0?Math.min(1,Math.abs(n)/t):0;return{colour:n<0?r.negative:r.positive,alpha:e*kt}}var A=class{bar=l("i");low=l("span");middle=l("span",{},"0");high=l("span");element=l("div",{class:"mp-legend",role:"img"},this.bar,this.low,this.middle,this.high);show(t,r,e,i){let o=T(t),a=[-1,-.5,0,.5,1].map(s=>{if(i==="page")return L(E(s,1,e));let{colour:p,alpha:m}=R(s,1,e);return`rgba(${p.join(",")},${m})`});this.bar.style.background=`linear-gradient(to right, ${a.join(", ")})`,this.low.textContent=P(-t,o),this.high.textContent=`${b(t,o)} ${r}`,this.element.setAttribute("aria-label",`colours from ${P(-t,o)} to ${this.high.textContent}`)}};function Mt(n,t,r){let e=n.filter(Number.isFinite),i=Math.max(0,...e),o=Math.min(0,...e),a=r/(i-o||1),s=i===o?r:i*a,p=t/Math.max(1,n.length),m=n.map((d,c)=>{let w=Number.isFinite(d)?Math.abs(d)*a:0;return{x:c*p,y:d>0?s-w:s,width:Math.max(1,p-1),height:w}});return{zero:s,bars:m}}var h=34,v=8,z=14;function J(n,t,r){let e=n.getContext("2d"),i=window.devicePixelRatio||1,[o,a]=[n.clientWidth,n.clientHeight];if(!e||o<=h||(n.width=Math.round(o*i),n.height=Math.round(a*i),e.setTransform(i,0,0,i,0,0),!t))return;let{layers:s,values:p,index:m,limit:d}=t,{zero:c,bars:w}=Mt(p,o-h,a-v-z);e.font=`10px ${r.font}`,e.textBaseline="middle",e.fillStyle=r.faint,e.textAlign="right";let G=p.filter(Number.isFinite),k=[Math.max(0,...G),Math.min(0,...G)],I=Math.max(1,T(d));(k[0]??0)>0&&e.fillText(b(k[0]??0,I),h-6,v),(k[1]??0)<0&&e.fillText(b(k[1]??0,I),h-6,a-z-1),c>8&&c<a-v-z-7&&e.fillText("0",h-6,v+c),w.forEach((u,g)=>{e.fillStyle=L(E(p[g]??0,d,r)),e.fillRect(h+u.x,v+u.y,u.width,u.height),e.strokeStyle=g===m?r.brand:r.line,e.lineWidth=g===m?2:1,e.strokeRect(h+u.x+.5,v+u.y,u.width-1,u.height)}),e.fillStyle=r.faint,e.fillRect(h,v+c-.5,o-h,1),e.textAlign="center";let N=(o-h)/Math.max(1,s.length),gt=Math.ceil(20/N);s.forEach((u,g)=>{g!==m&&(g%gt||Math.abs(g-m)*N<18)||(e.fillStyle=g===m?r.ink:r.faint,e.fillText(String(u),h+(g+.5)*N,a-6))})}function S(n,t){t.id||=M("control");let r=l("b"),e=l("label",{class:"mp-label",for:t.id},n," ",r);return{element:l("div",{},e,t),value:r}}function tt(n,t,r){let e=new Map,i=[];for(let o of t){let a=l("option",{value:o.value},o.label);if(!o.group){i.push(a);continue}let s=e.get(o.group)??l("optgroup",{label:_(o.group)});e.has(o.group)||i.push(s),e.set(o.group,s),s.append(a)}n.replaceChildren(...i),n.value=r}function Z(n,t){let[r,e]=[Number(n.min),Number(n.max)],i=Math.max(0,Math.min(1,(t-r)/Math.max(1e-9,e-r)));return`calc(${(100*i).toFixed(2)}% + ${(8-16*i).toFixed(2)}px)`}function et(n,t,r){n.style.setProperty("--from",Z(n,Math.min(t,r))),n.style.setProperty("--to",Z(n,Math.max(t,r)))}var Tt=320,Pt=(n,t)=>t>0?(n+1)%t:0,Et=(n,t,r)=>t>0?(n+Math.floor(r/Tt))%t:0,C=class{constructor(t,r){this.moves=r;this.range=l("input",{type:"range",min:0,max:0,step:1,"data-testid":t}),this.button=l("button",{type:"button","data-testid":`${t}-play`}),this.box=S("Layer",this.range);let e=this.box.element.firstElementChild;this.element=l("div",{class:"mp-scrub"},e,this.button,this.range),this.range.addEventListener("input",()=>{this.halt(),this.index=Number(this.range.value),this.show(),r.draw(this.index),r.settle(this.index)}),this.button.addEventListener("click",()=>this.press()),this.still.addEventListener("change",this.onMotion),this.show()}moves;element;index=0;range;button;box;layers=[];frame=0;still=matchMedia("(prefers-reduced-motion: reduce)");fill(t,r){this.layers=t,this.range.max=String(Math.max(0,t.length-1)),this.range.disabled=t.length<2,this.button.disabled=t.length<2,this.halt(),this.index=Math.max(0,t.indexOf(r)),this.show()}close(){cancelAnimationFrame(this.frame),this.frame=0,this.still.removeEventListener("change",this.onMotion)}by(t){this.halt(),this.index=Math.max(0,Math.min(this.layers.length-1,this.index+t)),this.show(),this.moves.draw(this.index),this.moves.settle(this.index)}onMotion=()=>{this.still.matches&&this.frame&&this.press(),this.show()};press(){if(this.frame)this.halt(),this.moves.settle(this.index);else if(this.still.matches)this.index=Pt(this.index,this.layers.length),this.moves.draw(this.index),this.moves.settle(this.index);else{let t=this.index,r=0,e=i=>{if(!this.element.isConnected)return this.halt();r||=i,this.frame=requestAnimationFrame(e);let o=Et(t,this.layers.length,i-r);o!==this.index&&(this.index=o,this.show(),this.moves.draw(o))};this.frame=requestAnimationFrame(e)}this.show()}halt(){cancelAnimationFrame(this.frame),this.frame=0}show(){let t=this.layers[this.index];this.range.value=String(this.index),this.range.setAttribute("aria-valuetext",`layer ${t??""}`);let r=this.layers.at(-1);this.box.value.textContent=t===void 0?"":`${t} of ${this.layers[0]} \u2026 ${r}`;let e=this.frame!==0,i=e?"Stop":this.still.matches?"Next layer":"Play the layers";this.button.textContent=e?"\u275A\u275A":this.still.matches?"\u25B8|":"\u25B6",this.button.setAttribute("aria-label",i),this.button.title=i,this.button.setAttribute("aria-pressed",String(e)),et(this.range,0,0)}};function rt(n){if(!n||n.byteLength===0)return new Float32Array(0);let t=n instanceof ArrayBuffer?n:n.buffer.slice(n.byteOffset,n.byteOffset+n.byteLength);return new Float32Array(t)}function nt(n,t){return n[t]??Number.NaN}var Lt={nats:1,"":.1};function it(n,t,r){let e=n.filter(Number.isFinite).map(Math.abs);if(e.length===0)return 1;e.sort();let i=e[Math.min(e.length-1,Math.floor(.98*e.length))]??1;return r(Math.max(i,Lt[t]??0))}var y=(n,t)=>Math.max(0,Math.min(t-1,n));function ot(n,t,r,e,i){return n.rows===0||e<0||i<0||e>=t||i>=r?null:{row:Math.floor(i/r*n.rows),column:Math.floor(e/t*n.columns)}}function at(n,{row:t,column:r},e){switch(e){case"ArrowUp":return{row:y(t-1,n.rows),column:r};case"ArrowDown":return{row:y(t+1,n.rows),column:r};case"ArrowLeft":return{row:t,column:y(r-1,n.columns)};case"ArrowRight":return{row:t,column:y(r+1,n.columns)};case"Home":return{row:t,column:0};case"End":return{row:t,column:y(n.columns-1,n.columns)};default:return null}}function F(n,{rows:t,columns:r}){return n.length===t&&n.every(i=>i.length===r)?n:Array.from({length:t},()=>Array(r).fill(!1))}var f=(n,{row:t,column:r})=>n[t]?.[r]??!1;function $(n,t,r){let e=n.map(i=>[...i]);for(let{row:i,column:o}of t){let a=e[i];a&&o in a&&(a[o]=r)}return e}var st=n=>n.map(t=>t.map(r=>!r)),O=n=>n.reduce((t,r)=>t+r.filter(Boolean).length,0);function lt(n,t){let r=Math.max(Math.abs(t.row-n.row),Math.abs(t.column-n.column),1);return Array.from({length:r+1},(e,i)=>({row:Math.round(n.row+(t.row-n.row)*i/r),column:Math.round(n.column+(t.column-n.column)*i/r)}))}function pt(n){let t=[];return n.forEach((r,e)=>{r.forEach((i,o)=>{if(!i)return;let a=(s,p)=>!f(n,{row:s,column:p});a(e-1,o)&&t.push([o,e,o+1,e]),a(e+1,o)&&t.push([o,e+1,o+1,e+1]),a(e,o-1)&&t.push([o,e,o,e+1]),a(e,o+1)&&t.push([o+1,e,o+1,e+1])})}),t}function mt({rows:n,columns:t},r){let e=Array.from({length:n*t},(o,a)=>({row:Math.floor(a/t),column:a%t})),i=e.filter(o=>f(r,o));return i.length?i:e}var H=class{constructor(t,r){this.canvas=t;this.strokes=r;t.addEventListener("pointerdown",e=>this.onDown(e)),t.addEventListener("pointermove",e=>this.onMove(e));for(let e of["pointerup","pointercancel"])t.addEventListener(e,()=>this.onUp());t.addEventListener("pointerleave",()=>this.setHover(null)),t.addEventListener("keydown",e=>this.onKey(e));for(let e of["focus","blur"])t.addEventListener(e,r.redraw)}canvas;strokes;mask=[];hover=null;cursor={row:0,column:0};drag=null;get reading(){return this.hover??this.shownCursor}get shownCursor(){return document.activeElement===this.canvas&&this.strokes.grid().rows?this.cursor:null}take(t){let r=this.strokes.grid();this.cursor={row:Math.min(this.cursor.row,Math.max(0,r.rows-1)),column:this.cursor.column},this.cursor.column=Math.min(this.cursor.column,Math.max(0,r.columns-1)),this.drag||(this.mask=F(t,r))}patchUnder(t){let{clientWidth:r,clientHeight:e}=this.canvas;return ot(this.strokes.grid(),r,e,t.offsetX,t.offsetY)}onDown(t){let r=this.patchUnder(t);!r||t.button!==0||(this.canvas.setPointerCapture(t.pointerId),this.cursor=r,this.drag={on:!f(this.mask,r),last:r},this.mask=$(this.mask,[r],this.drag.on),this.strokes.redraw())}onMove(t){let r=this.patchUnder(t);this.setHover(r),!(!this.drag||!r)&&(this.mask=$(this.mask,lt(this.drag.last,r),this.drag.on),this.drag.last=r,this.cursor=r,this.strokes.redraw())}onUp(){this.drag&&(this.drag=null,this.strokes.finish(this.mask))}onKey(t){if(!(t.ctrlKey||t.metaKey||t.altKey)){if(t.key==="PageUp"||t.key==="PageDown")this.strokes.scrub(t.key==="PageUp"?1:-1);else if(!this.strokes.grid().rows||!this.onGridKey(t))return;t.preventDefault(),t.stopPropagation()}}onGridKey(t){let r=f(this.mask,this.cursor);if(t.key===" ")return this.hover=null,this.paint(this.cursor,!r),!0;let e=at(this.strokes.grid(),this.cursor,t.key);return e?(this.hover=null,this.cursor=e,t.shiftKey&&f(this.mask,e)!==r&&this.paint(e,r),this.strokes.redraw(),!0):!1}paint(t,r){this.mask=$(this.mask,[t],r),this.strokes.finish(this.mask)}setHover(t){t?.row===this.hover?.row&&t?.column===this.hover?.column||(this.hover=t,this.strokes.redraw())}};function At(n,t,r,e,i){t.picture&&(n.imageSmoothingQuality="high",n.drawImage(t.picture,0,0,e,i),t.shaded&&(n.globalCompositeOperation="saturation",n.fillStyle="#888",n.fillRect(0,0,e,i),n.globalCompositeOperation="source-over",n.fillStyle=r.dark?"rgba(20,24,28,.5)":"rgba(255,255,255,.55)",n.fillRect(0,0,e,i)))}function St(n,t,r,e,i){let{rows:o,columns:a}=t.grid;for(let s=0;s<o;s+=1)for(let p=0;p<a;p+=1){let m=t.value({row:s,column:p});if(!Number.isFinite(m))continue;let{colour:d,alpha:c}=R(m,t.limit,r);n.fillStyle=`rgba(${d.join(",")},${c.toFixed(3)})`,n.fillRect(p*e,s*i,e,i)}}function Ct(n,{rows:t,columns:r},e,i,o){if(!(Math.min(i,o)<7)){n.strokeStyle=e.dark?"rgba(255,255,255,.14)":"rgba(255,255,255,.5)",n.lineWidth=1,n.beginPath();for(let a=1;a<t;a+=1)n.moveTo(0,a*o),n.lineTo(r*i,a*o);for(let a=1;a<r;a+=1)n.moveTo(a*i,0),n.lineTo(a*i,t*o);n.stroke()}}function dt(n,t,r,e){for(let[i,o]of[["rgba(255,255,255,.9)",r+2.5],[t,r]])n.strokeStyle=i,n.lineWidth=o,n.beginPath(),e(),n.stroke()}function Ft(n,t,r,e){let i=pt(t);i.length!==0&&(n.lineCap="square",dt(n,"#111",2,()=>{for(let[o,a,s,p]of i)n.moveTo(o*r,a*e),n.lineTo(s*r,p*e)}))}function ht(n,t,r,e,i){let o=n.getContext("2d");if(!o)return;let a=window.devicePixelRatio||1;if((n.width!==Math.round(e*a)||n.height!==Math.round(i*a))&&(n.width=Math.round(e*a),n.height=Math.round(i*a),n.style.width=`${e}px`,n.style.height=`${i}px`),o.setTransform(a,0,0,a,0,0),o.clearRect(0,0,e,i),At(o,t,r,e,i),t.grid.rows===0)return;let[s,p]=[e/t.grid.columns,i/t.grid.rows];t.shaded&&St(o,t,r,s,p),Ct(o,t.grid,r,s,p),Ft(o,t.mask,s,p);let m=(d,c)=>{o.setLineDash(c),dt(o,r.brand,2,()=>o.rect(d.column*s+1,d.row*p+1,s-2,p-2)),o.setLineDash([])};t.hover&&m(t.hover,[]),t.cursor&&m(t.cursor,[4,3])}var ct=`.mp-patches-body {
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
`;var B=340,ut="Arrow keys move, Space paints, Shift with arrows paints on, Page up and down change the layer.",j=class{constructor(t,r,e){this.model=t;this.read.id=M("patch"),this.canvas.setAttribute("aria-describedby",this.read.id),this.canvas.setAttribute("aria-label",`Patches of the picture. ${ut}`);let i=l("div",{class:"mp-paint"},this.painted,l("label",{},this.shade,"shade"),this.invert,this.clear),o=l("div",{},this.canvas,this.read,i),a=l("div",{},this.conceptBox,this.scrubber.element,this.legend.element,this.meaning,this.profileBox),s=l("div",{class:"mp-head"},l("h3",{},"Concept by patch"),this.state);this.root.classList.add("mp-inside"),this.root.append(s,l("div",{class:"mp-patches-body"},o,a),this.error),r.append(this.root),this.listen(e),this.fill(),this.load()}model;root=U(D+V+X+ct,"patches","Concept by patch of the picture");canvas=l("canvas",{class:"mp-canvas","data-testid":"patches",tabindex:0,role:"application"});read=l("div",{class:"mp-read","data-testid":"patch-read",role:"status","aria-live":"polite"});concept=l("select",{class:"mp-wide","data-testid":"patch-concept"});conceptBox=S("Concept",this.concept).element;scrubber=new C("patch-layer",{draw:()=>this.redraw(),settle:t=>this.set({layer:this.model.get("layers")[t]??0})});legend=new A;meaning=l("p",{class:"mp-note"});profile=l("canvas",{class:"mp-profile","data-testid":"patch-profile",role:"img"});profileLabel=l("span",{class:"mp-label"});profileBox=l("div",{},this.profileLabel,this.profile);painted=l("span",{"data-testid":"patch-count"});clear=l("button",{type:"button","data-testid":"patch-clear"},"Clear");invert=l("button",{type:"button","data-testid":"patch-invert"},"Invert");shade=l("input",{type:"checkbox",checked:!0,"data-testid":"patch-shade"});state=l("span",{class:"mp-inside-state","data-testid":"patch-status"});error=l("p",{class:"mp-error",role:"alert","data-testid":"patch-error"});picture=null;values=new Float32Array(0);limit=1;brush=new H(this.canvas,{grid:()=>this.grid(),redraw:()=>this.redraw(),finish:t=>this.set({mask:t}),scrub:t=>this.scrubber.by(t)});pending=0;listen(t){let{model:r}=this,e=(a,s)=>{for(let p of a)r.on(`change:${p}`,s),t.addEventListener("abort",()=>r.off(`change:${p}`,s))};e(["concepts","categories","layers","values","rows","columns","unit","meaning"],()=>this.fill()),e(["concept","layer","mask"],()=>this.take()),e(["shown","status","message"],()=>this.redraw()),e(["picture"],()=>{this.load()});let i=new ResizeObserver(()=>this.redraw());i.observe(this.root);let o=Q(()=>this.redraw());t.addEventListener("abort",()=>{i.disconnect(),o(),this.scrubber.close(),cancelAnimationFrame(this.pending),this.picture?.close()}),this.concept.addEventListener("change",()=>this.set({concept:this.concept.value})),this.shade.addEventListener("change",()=>this.redraw()),this.clear.addEventListener("click",()=>this.set({mask:F([],this.grid())})),this.invert.addEventListener("click",()=>this.set({mask:st(this.brush.mask)}))}set(t){for(let[r,e]of Object.entries(t))this.model.set(r,e);this.model.save_changes(),this.redraw()}grid(){return{rows:this.model.get("rows"),columns:this.model.get("columns")}}async load(){let t=this.model.get("picture");if(!t?.byteLength)return;let r=await createImageBitmap(new Blob([t],{type:"image/png"}));if(t!==this.model.get("picture"))return r.close();this.picture?.close(),this.picture=r,this.redraw()}fill(){let{model:t}=this;this.values=rt(t.get("values")),this.limit=it(this.values,t.get("unit"),W);let r=t.get("categories"),e=t.get("concepts").map((i,o)=>({value:i,label:i,group:r[o]??""}));tt(this.concept,e,t.get("concept")),x(this.conceptBox,e.length>0),this.meaning.textContent=`${t.get("meaning")}.`,this.take()}take(){let{model:t}=this,r=t.get("layer");(t.get("layers")[this.scrubber.index]!==r||this.scrubber.element.dataset.of!==String(t.get("layers")))&&(this.scrubber.fill(t.get("layers"),r),this.scrubber.element.dataset.of=String(t.get("layers"))),this.concept.value=t.get("concept"),this.brush.take(t.get("mask")),this.redraw()}valueAt({row:t,column:r},e=this.scrubber.index){let{rows:i,columns:o}=this.grid();return nt(this.values,(e*i+t)*o+r)}redraw(){this.pending||(this.pending=requestAnimationFrame(()=>{this.pending=0,this.draw()}))}draw(){let t=Y(this.root),r=this.grid(),e=this.canvas.parentElement?.clientWidth??B,i=this.picture?this.picture.height/this.picture.width:1,o=Math.max(80,Math.min(B,e,B*1.25/i)),a={picture:this.picture,grid:r,value:m=>this.valueAt(m),limit:this.limit,mask:this.brush.mask,cursor:this.brush.shownCursor,hover:this.brush.hover,shaded:this.shade.checked&&this.values.length>0};ht(this.canvas,a,t,Math.round(o),Math.round(o*i));let s=this.values.length>0;x(this.legend.element,s),x(this.meaning,s),this.legend.show(this.limit,this.model.get("unit"),t,"picture");let p=this.brush.reading;this.drawReadout(p),x(this.profileBox,s),this.drawProfile(p,t),this.drawState()}drawProfile(t,r){let e=this.model.get("layers"),i=t?[t]:mt(this.grid(),this.brush.mask),o=e.map((s,p)=>i.reduce((m,d)=>m+this.valueAt(d,p),0)/i.length);J(this.profile,{layers:e,values:o,index:this.scrubber.index,limit:this.limit},r);let a=O(this.brush.mask)?"Mean of the painted patches":"Mean of all patches";this.profileLabel.textContent=`${t?"This patch":a}, layer by layer`,this.profile.setAttribute("aria-label",this.profileLabel.textContent)}drawReadout(t){let{model:r,read:e}=this,i=r.get("layers")[this.scrubber.index];if(!t){let s=this.model.get("rows")>0;e.textContent=s?"Hover a patch to read it, drag to paint. ":"",s&&e.append(l("span",{class:"soft"},ut));for(let p of["row","column","value"])delete e.dataset[p];return}let o=this.valueAt(t),a=["row ",l("b",{},String(t.row)),", column ",l("b",{},String(t.column))];if(Number.isFinite(o)){let s=`${b(o,q(this.limit))} ${r.get("unit")}`;a.push(" \xB7 ",l("b",{},s),l("span",{class:"soft"},` of ${r.get("shown").concept??""} at layer ${i}`))}f(this.brush.mask,t)&&a.push(l("span",{class:"soft"}," \xB7 painted")),e.replaceChildren(...a),Object.assign(e.dataset,{row:t.row,column:t.column,value:Number.isFinite(o)?o:""})}drawState(){let{model:t}=this,r=t.get("status"),e=this.values.length>0&&t.get("shown").concept!==t.get("concept");this.canvas.dataset.old=String(e),this.root.dataset.status=r,this.state.textContent=r==="running"||e?"reading \u2026":"";let{rows:i,columns:o}=this.grid(),a=O(this.brush.mask);this.painted.textContent=i?`${a} of ${i} \xD7 ${o} painted`:"",this.clear.disabled=a===0,this.invert.disabled=i===0;let s=t.get("message");this.error.textContent=s,x(this.error,s!=="")}};function Ht({model:n,el:t,signal:r}){let e=new AbortController;return r?.addEventListener("abort",()=>e.abort()),new j(n,t,e.signal),()=>e.abort()}var Me={render:Ht};export{Me as default};
