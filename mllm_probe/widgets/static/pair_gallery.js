var b=`.mp {
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
`;function o(r,e={},...t){let n=document.createElement(r);for(let[a,i]of Object.entries(e))i!==void 0&&i!==!1&&n.setAttribute(a,i===!0?"":String(i));return n.append(...t),n}function h(r,e,t){let n=o("section",{class:`mp mp-${e}`,"aria-label":t,"data-lm-suppress-shortcuts":"true"});return n.append(o("style",{},r)),n.addEventListener("keydown",a=>a.stopPropagation()),n}function x(r,e){r.hidden=!e}function v(r){return!(r>0)||r>=100?r>=100?0:1:r>2?1:Math.min(5,2-Math.min(0,Math.floor(Math.log10(r))+1))}function E(r,e=1){if(!Number.isFinite(r))return"\u2013";let t=Math.abs(r).toFixed(e);return r<0&&Number(t)!==0?"\u2212"+t:t}function u(r,e=1){let t=E(r,e);return r>0&&Number(t)!==0?`+${t}`:t}var R=[1,1.2,1.4,1.6,1.8,2,2.2,2.5,2.8,3,3.5,4,4.5,5,5.5,6,7,8,9,10];function y(r){if(!(r>0)||!Number.isFinite(r))return 1;let e=10**Math.floor(Math.log10(r));return(R.find(n=>n*e>=r*(1-1e-9))??10)*e}function T(r){return r?r instanceof ArrayBuffer?r:r.buffer.slice(r.byteOffset,r.byteOffset+r.byteLength):new ArrayBuffer(0)}var w=r=>new Float32Array(T(r));var k=`.mp-inside .mp-inside-state {
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
`;var M=`.mp-gallery .mp-gallery-mean {
  color: var(--mp-soft);
  font-size: 12px;
}
.mp-gallery h3 {
  overflow-wrap: anywhere;
}
.mp.mp-gallery ul.mp-gallery-list {
  display: grid;
  grid-template-columns: repeat(auto-fill, minmax(158px, 1fr));
  gap: 14px 16px;
  margin: 0 0 10px;
  padding: 0;
  list-style: none;
}
.mp-gallery-list > li {
  margin: 0;
  font-size: 12px;
}
.mp-gallery-list b {
  font-weight: 600;
}
.mp-gallery-pair {
  display: grid;
  grid-template-columns: 1fr 1fr;
  gap: 4px;
}
.mp-gallery-pair img {
  display: block;
  width: 100%;
  max-width: none;
  aspect-ratio: 1;
  margin: 0;
  border-radius: 4px;
  background: var(--mp-fill);
  object-fit: contain;
}
.mp-gallery-bar {
  position: relative;
  height: 6px;
  margin: 6px 0 2px;
  border-radius: 3px;
  background:
    linear-gradient(var(--mp-edge), var(--mp-edge)) center / 1px 100% no-repeat,
    var(--mp-fill);
}
.mp-gallery-bar > i {
  position: absolute;
  top: 0;
  bottom: 0;
  border-radius: 2px;
  background: var(--mp-positive, #b2490a);
}
.mp-gallery-bar > i[data-sign="negative"] {
  background: var(--mp-negative, #1f5fb4);
}
[data-jp-theme-light="false"] .mp-gallery-bar > i {
  background: var(--mp-positive, #ffa657);
}
[data-jp-theme-light="false"] .mp-gallery-bar > i[data-sign="negative"] {
  background: var(--mp-negative, #58a6ff);
}
`;function A(r,e,t){return t<0||r.length<e*(t+1)?[]:[...r.subarray(t*e,(t+1)*e)]}function F(r){let e=r.filter(Number.isFinite);return e.reduce((t,n)=>t+n,0)/e.length}function N(r,e){let t=Number.isFinite(r)&&e>0?Math.max(-1,Math.min(1,r/e)):0;return{left:t<0?50+50*t:50,width:50*Math.abs(t)}}var C=["values","layers","layer","concept","unit","meaning","shown","status","message"],g=class{constructor(e,t){this.model=e;this.root.append(o("div",{class:"mp-head"},this.title,this.state,this.mean),this.list,this.meaning,this.error),t.append(this.root),e.on("change:pairs",this.fill);for(let n of C)e.on(`change:${n}`,this.draw);this.fill()}model;root=h(b+k+M,"gallery","Pairs of images and their separation");title=o("h3");state=o("span",{class:"mp-inside-state",role:"status","data-testid":"gallery-status"});mean=o("span",{class:"mp-gallery-mean","data-testid":"gallery-mean"});list=o("ul",{class:"mp-gallery-list","data-testid":"gallery"});meaning=o("p",{class:"mp-note"});error=o("p",{class:"mp-error",role:"alert"});urls=[];rows=[];close(){this.model.off("change:pairs",this.fill);for(let e of C)this.model.off(`change:${e}`,this.draw);this.forget()}fill=()=>{this.forget(),this.rows=[];let e=this.model.get("shown").concept??this.model.get("concept"),t=this.model.get("pairs").map(n=>{let a=o("i"),i=o("b");this.rows.push({fill:a,number:i});let p=o("div",{class:"mp-gallery-pair"},this.picture(n.positive,`${n.label}: with ${e}`),this.picture(n.negative,`${n.label}: without ${e}`));return o("li",{},p,o("div",{class:"mp-gallery-bar","aria-hidden":"true"},a),i)});this.list.replaceChildren(...t),this.draw()};picture(e,t){let n=URL.createObjectURL(new Blob([e],{type:"image/png"}));return this.urls.push(n),o("img",{src:n,alt:t,title:t})}forget(){for(let e of this.urls.splice(0))URL.revokeObjectURL(e)}draw=()=>{let{model:e}=this,t=w(e.get("values")),n=this.rows.length,a=e.get("layers").indexOf(e.get("layer")),i=A(t,n,a),p=y(t.reduce((s,m)=>Math.max(s,Math.abs(m)||0),0)),c=v(p),f=e.get("unit");this.rows.forEach(({fill:s,number:m},$)=>{let d=i[$]??Number.NaN,{left:j,width:z}=N(d,p);s.style.left=`${j}%`,s.style.width=`${z}%`,s.dataset.sign=d<0?"negative":"positive",m.textContent=`${u(d,c)} ${f}`});let l=e.get("shown").concept??"";this.title.textContent=`Pairs \xB7 ${l||e.get("concept")} \xB7 layer ${e.get("layer")}`,this.mean.textContent=n>0?`mean ${u(F(i),c)} ${f} over ${n} pairs`:"",this.state.textContent={running:"reading the images \u2026",cancelled:"stopped"}[e.get("status")]??"",this.list.dataset.old=String(l!==""&&l!==e.get("concept")),this.meaning.textContent=n>0?`Difference in projection (with \u2212 without). ${e.get("meaning")}`:"",this.error.textContent=e.get("message"),x(this.error,e.get("message")!=="")}};function S({model:r,el:e}){let t=new g(r,e);return()=>t.close()}var Y={render:S};export{Y as default};
