var gt=`.mp {
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
`;function h(t,e={},...r){let n=document.createElement(t);for(let[o,i]of Object.entries(e))i!==void 0&&i!==!1&&n.setAttribute(o,i===!0?"":String(i));return n.append(...r),n}var ft=0;function V(t){return ft+=1,`mp-${t}-${ft}-${Math.random().toString(36).slice(2,8)}`}function bt(t,e,r){let n=h("section",{class:`mp mp-${e}`,"aria-label":r,"data-lm-suppress-shortcuts":"true"});return n.append(h("style",{},t)),n.addEventListener("keydown",o=>o.stopPropagation()),n}function y(t,e){t.hidden=!e}function O(t){return!(t>0)||t>=100?t>=100?0:1:t>2?1:Math.min(5,2-Math.min(0,Math.floor(Math.log10(t))+1))}function G(t){return Number(t.toPrecision(2)).toString().split(".")[1]?.length??0}function et(t,e=1){if(!Number.isFinite(t))return"\u2013";let r=Math.abs(t).toFixed(e);return t<0&&Number(r)!==0?"\u2212"+r:r}function w(t,e=1){let r=et(t,e);return t>0&&Number(r)!==0?`+${r}`:r}function $(t){let e=Math.abs(t),r=e===.5?"\xBD":e===.25?"\xBC":String(Number(e.toFixed(3)));return t<0?"\u2212"+r:r}function E(t){return{residual:"\xD7 residual norm",vector:"\xD7 vector",raw:"\xD7 raw vector"}[t]??t}function L(t){if(!(t>0)||!Number.isFinite(t))return 1;let e=10**Math.floor(Math.log10(t));return([1,1.5,2,3,4,5,6,8,10].find(n=>n*e>=t*(1-1e-9))??10)*e}var K=t=>t.replaceAll("_"," ");var vt=`.mp-row {
  display: flex;
  flex-wrap: wrap;
  align-items: flex-start;
  justify-content: space-between;
  gap: 4px 16px;
  margin: 0 0 8px;
}
.mp-scrubber {
  display: flex;
  flex: 1 1 240px;
  align-items: flex-start;
  gap: 10px;
  max-width: 460px;
  color: var(--mp-soft);
  font-size: 12px;
}
.mp-scrubber label {
  flex: none;
  line-height: 16px;
}
.mp-track {
  flex: 1 1 120px;
  min-width: 0;
}
.mp-track input[type="range"] {
  display: block;
  width: 100%;
  height: 16px;
  margin: 0;
  accent-color: var(--mp-brand);
  cursor: pointer;
}
.mp-stops {
  position: relative;
  height: 17px;
  margin: 0 8px;
  font-size: 11.5px;
}
.mp-stops span {
  position: absolute;
  min-width: 18px;
  padding: 0 3px;
  transform: translateX(-50%);
  color: var(--mp-faint);
  text-align: center;
  cursor: pointer;
}
.mp-stops span[data-current] {
  color: var(--mp-brand);
  font-weight: 600;
}
.mp-choices {
  display: flex;
  flex-wrap: wrap;
  gap: 5px;
}
.mp .mp-choices select {
  max-width: 210px;
  padding: 2px 5px;
  border-color: var(--mp-line);
  color: var(--mp-soft);
  font-size: 12px;
}
.mp-canvas {
  display: block;
  border-radius: 3px;
  cursor: crosshair;
}
.mp-heatmap .mp-canvas:focus-visible {
  outline-offset: 3px;
}
.mp-read {
  /* Fixed, so that the map never moves under the pointer that reads it. */
  height: 51px;
  padding: 6px 10px;
  overflow: hidden;
  border-radius: 5px;
  background: var(--mp-fill);
  font-size: 12.5px;
  overflow-wrap: anywhere;
}
.mp-read b {
  display: inline-block;
  max-width: 40%;
  overflow: hidden;
  font-weight: 650;
  text-overflow: ellipsis;
  vertical-align: bottom;
  white-space: nowrap;
}
@container (max-width: 560px) {
  .mp-read {
    height: 70px;
  }
}
@container (max-width: 420px) {
  .mp-read {
    height: 88px;
  }
}
.mp-read .soft {
  color: var(--mp-soft);
}
.mp-heatmap .mp-progress {
  margin: 6px 0;
}
.mp-heatmap .mp-progress[data-done="true"] {
  opacity: 0;
}
.mp-count {
  color: var(--mp-faint);
  font-size: 12px;
}
.mp-map {
  touch-action: pan-y;
}
.mp-detail {
  margin-top: 12px;
  padding-top: 10px;
  border-top: 1px solid var(--mp-line);
}
.mp-detail .mp-head {
  margin-bottom: 4px;
}
.mp-detail h3 {
  overflow: hidden;
  text-overflow: ellipsis;
  text-transform: none;
  white-space: nowrap;
}
.mp-detail .mp-head button,
.mp-detail .mp-head select {
  padding: 1px 8px;
  font-size: 12px;
}
.mp-curve {
  display: block;
  overflow: visible;
}
.mp-curve text {
  fill: var(--mp-faint);
  font-size: 10.5px;
}
.mp-rule,
.mp-zero {
  fill: none;
  stroke: var(--mp-line);
}
.mp-zero {
  stroke: var(--mp-edge);
}
.mp-band {
  fill: var(--mp-soft);
  fill-opacity: 0.16;
}
.mp-band.mp-shuffled,
.mp-band.mp-other {
  fill-opacity: 0.07;
  stroke: var(--mp-soft);
  stroke-dasharray: 2 3;
}
.mp-mean {
  fill: none;
  stroke: var(--mp-soft);
  stroke-width: 1.3;
}
.mp-mean.mp-shuffled,
.mp-mean.mp-other {
  stroke-dasharray: 2 3;
}
.mp-effect {
  fill: none;
  stroke: var(--mp-brand);
  stroke-width: 1.8;
}
.mp-interval {
  stroke: var(--mp-brand);
  stroke-width: 1.4;
}
.mp-dot {
  fill: var(--mp-brand);
  stroke: var(--mp-brand);
  stroke-width: 1.6;
}
.mp-hollow {
  fill: var(--mp-bg);
}
.mp-here {
  stroke-width: 2.4;
}
.mp-target {
  fill: transparent;
}
.mp-point {
  cursor: pointer;
}
.mp-note {
  margin: 2px 0 0;
  color: var(--mp-faint);
  font-size: 11.5px;
  overflow-wrap: anywhere;
}
.mp-note:empty {
  display: none;
}
.mp-legend {
  display: flex;
  flex-wrap: wrap;
  gap: 2px 14px;
}
.mp-key {
  display: inline-block;
  width: 15px;
  height: 9px;
  margin-right: 5px;
  border-radius: 2px;
  background: color-mix(in srgb, var(--mp-soft) 30%, transparent);
}
.mp-key-effect {
  height: 3px;
  margin-bottom: 3px;
  background: var(--mp-brand);
}
.mp-key-hollow {
  width: 9px;
  border: 1.6px solid var(--mp-brand);
  border-radius: 50%;
  background: none;
}
.mp-key-shuffled {
  border: 1px dashed var(--mp-soft);
  background: none;
}
.mp-copied {
  width: 100%;
  margin-top: 6px;
  padding: 6px 8px;
  border: 1px solid var(--mp-edge);
  border-radius: 5px;
  background: var(--mp-bg);
  color: var(--mp-ink);
  font: 11.5px / 1.45 var(--mp-mono);
  resize: vertical;
}
`;var ee="No kernel is connected. This is the last state that was saved; run the cell to go on from here.",re="The kernel behind this was restarted or shut down. This is its last state; run the cell to go on from here.";function ne(t){let e=t.get("layout");return typeof e?.comm_live=="boolean"&&e.on&&e.off?e:null}function oe(t,e){return t?"":e?re:ee}function ie(t,e){let r=ne(t);if(!r||!e)return()=>{};let n=h("p",{class:"mp-kernel",role:"status","data-testid":"no-kernel"});e.prepend(n);let o=r.comm_live,i=()=>{o||=r.comm_live,n.textContent=oe(r.comm_live,o),y(n,!r.comm_live)};return r.on("comm_live_update",i),i(),()=>r.off("comm_live_update",i)}function xt(t){return e=>{let r=t(e),n=ie(e.model,e.el.firstElementChild);return()=>{n(),r?.()}}}function C(t){if(!t||t.byteLength===0)return new Float32Array(0);let e=t instanceof ArrayBuffer?t:t.buffer.slice(t.byteOffset,t.byteOffset+t.byteLength);return new Float32Array(e)}function M(t,e,r){return(e.concept*t.layers.length+e.layer)*t.strengths.length+r}function g(t,e){return t[e]??Number.NaN}function R(t,e,r,n){let o=t.concepts.length*t.layers.length*t.strengths.length;return g(e,r*o+n)}function yt(t,e,r){return t.layers.map((n,o)=>g(t.value,M(t,{concept:e,layer:o},r)))}function wt(t,e){return t.layers.map((r,n)=>{let o=0,i=0;for(let s=0;s<t.concepts.length;s+=1){let a=g(t.value,M(t,{concept:s,layer:n},e));Number.isFinite(a)&&(o+=a,i+=1)}return i?o/i:Number.NaN})}var se={nats:1,"":.1};function B(t,e,r){let n=t.filter(Number.isFinite).map(Math.abs);if(n.length===0)return 1;n.sort();let o=n[Math.min(n.length-1,Math.floor(.98*n.length))]??1;return r(Math.max(o,se[e]??0))}function kt(t){let e=t.reduce((s,a)=>Math.abs(a)>Math.abs(s)?a:s,0),r=Math.sign(e),n=t.map(s=>Number.isFinite(s)?Math.max(0,r*s):0),o=n.reduce((s,a)=>s+a,0),i=n.reduce((s,a)=>s+a*a,0);return i===0?null:{peak:n.indexOf(Math.max(...n)),effective:o*o/i}}function Mt(t,e){let r=0;return t.forEach((n,o)=>{Math.abs(n-e)<Math.abs((t[r]??0)-e)&&(r=o)}),r}function St(t,e){let o=t.strengths.map((a,l)=>l).sort((a,l)=>(t.strengths[a]??0)-(t.strengths[l]??0)).map(a=>({place:a,index:M(t,e,a)})).filter(({index:a})=>Number.isFinite(g(t.value,a))),i=o.map(({place:a,index:l})=>({strength:t.strengths[a]??0,place:a,value:g(t.value,l),low:g(t.low,l),high:g(t.high,l),n:g(t.n,l),clear:g(t.clear,l)===1})),s=t.controls.map((a,l)=>{let c=m=>o.map(({index:d})=>R(t,m,l,d)-R(t,t.control,t.against,d)),p=i.map(m=>m.strength);return{control:a,strengths:p,mean:c(t.control),low:c(t.controlLow),high:c(t.controlHigh)}});return{points:i,bands:s,...ae(i,s)}}function ae(t,e){let r=t.map(p=>p.strength),o=[...t.flatMap(p=>[p.value,p.low,p.high]),...e.flatMap(p=>[...p.low,...p.high])].filter(Number.isFinite),i=Math.max(0,...o),s=Math.min(0,...o),a=s<0?-L(-s):0,l=i>0?L(i):s<0?0:1,c=r.length?[Math.min(0,...r),Math.max(0,...r)]:[-1,1];return{x:c[0]===c[1]?[c[0]-1,c[1]+1]:c,y:[a,l]}}var rt=([t,e],[r,n])=>o=>r+(o-t)/(e-t)*(n-r);function $t(t,e,r){let n=[[]];t.strengths.forEach((i,s)=>{Number.isFinite(t.low[s])&&Number.isFinite(t.high[s])?n.at(-1)?.push(s):n.push([])});let o=(i,s)=>`${e(t.strengths[i]??0).toFixed(1)} ${r(s[i]??0).toFixed(1)}`;return n.filter(i=>i.length>1).map(i=>{let s=i.map(l=>o(l,t.high)),a=i.map(l=>o(l,t.low)).reverse();return`M${[...s,...a].join("L")}Z`}).join("")}function k(t,e={},...r){let n=document.createElementNS("http://www.w3.org/2000/svg",t);for(let[o,i]of Object.entries(e))n.setAttribute(o,String(i));return n.append(...r),n}var D=172,T={left:46,right:12,top:12,bottom:36},le=["random","shuffled"],F=t=>({random:"random directions",shuffled:"shuffled pairs"})[t]??t;function ce(t,e){let r=t.points.map(n=>`${$(n.strength)}: ${Ct(n,e)}`);return`${e.concept}, effect by strength. ${r.join("; ")}`}function Ct(t,e){let r=O(Math.abs(t.value)||1),n=Number.isFinite(t.low)?` [${w(t.low,r)}, ${w(t.high,r)}]`:"",o=Number.isFinite(t.n)?`, n = ${t.n}`:"",i=t.clear?"clear of the controls":"not clear of the controls";return`${w(t.value,r)} ${e.unit}${n}${o}, ${i}`}function Tt(t,e,r){let n=Math.max(220,e.width),o=rt(t.x,[T.left+8,n-T.right-8]),i=rt(t.y,[D-T.bottom,T.top]),s=k("svg",{class:"mp-curve",width:n,height:D,viewBox:`0 0 ${n} ${D}`,role:"img","aria-label":ce(t,e),"data-testid":"dose-response"});s.append(...me(t,e,n,o,i));for(let l of t.bands){let c=le.includes(l.control)?l.control:"other";s.append(k("path",{class:`mp-band mp-${c}`,"data-control":l.control,d:$t(l,o,i)}));let p=l.strengths.map((m,d)=>({s:m,m:l.mean[d]??Number.NaN})).filter(({m})=>Number.isFinite(m)).map(({s:m,m:d})=>`${o(m).toFixed(1)} ${i(d).toFixed(1)}`);p.length>1&&s.append(k("path",{class:`mp-mean mp-${c}`,d:`M${p.join("L")}`}))}let a=t.points.map(l=>`${o(l.strength).toFixed(1)} ${i(l.value).toFixed(1)}`).join("L");t.points.length>1&&s.append(k("path",{class:"mp-effect",d:`M${a}`}));for(let l of t.points)s.append(pe(l,e,o,i,r));return s}function pe(t,e,r,n,o){let i=r(t.strength),s=k("g",{class:"mp-point","data-strength":t.strength,"data-value":t.value});s.append(k("title",{},`${$(t.strength)} ${E(e.strengthUnit)}: ${Ct(t,e)}`)),s.append(k("circle",{class:"mp-target",cx:i,cy:n(t.value),r:12})),Number.isFinite(t.low)&&s.append(k("path",{class:"mp-interval",d:`M${i} ${n(t.low)}V${n(t.high)}`}));let a=t.place===e.strength?" mp-here":"",l=a?5:3.8;return s.append(k("circle",{class:`mp-dot${t.clear?"":" mp-hollow"}${a}`,cx:i,cy:n(t.value),r:l})),s.addEventListener("click",()=>o(t.place)),s}function me(t,e,r,n,o){let i=r-T.right,s=[],a=[...new Set([t.y[0],0,t.y[1]])],l=Math.max(...a.map(G));for(let m of a){s.push(k("path",{class:m===0?"mp-zero":"mp-rule",d:`M${T.left} ${o(m)}H${i}`}));let d=k("text",{x:T.left-6,y:o(m)+3.5,"text-anchor":"end"},w(m,l));s.push(d)}let c=-100;for(let m of t.points)n(m.strength)-c<22||(c=n(m.strength),s.push(k("text",{x:c,y:D-T.bottom+14,"text-anchor":"middle"},$(m.strength))));let p=`strength ${E(e.strengthUnit)}`;return s.push(k("text",{x:(T.left+i)/2,y:D-6,"text-anchor":"middle"},p)),e.unit&&s.push(k("text",{x:T.left-6,y:T.top+18,"text-anchor":"end"},e.unit)),s}function j(t,e,r){let n=JSON.stringify(e);t.dataset.options!==n&&(t.replaceChildren(...e.map(([o,i])=>h("option",{value:o},i))),t.dataset.options=n),t.value!==r&&(t.value=r),t.disabled=e.length<2}var q=class{constructor(e){this.model=e;this.row=h("div",{class:"mp-choices"},this.against,this.average,this.sample,this.columns),this.listen(this.metric,"metric"),this.listen(this.against,"against"),this.listen(this.average,"average"),this.listen(this.columns,"columns"),this.sample.addEventListener("change",()=>{e.set("sample",Number(this.sample.value)),e.save_changes()})}model;metric=h("select",{"aria-label":"metric","data-testid":"metric"});row;against=h("select",{"aria-label":"control","data-testid":"control"});average=h("select",{"aria-label":"summary of the pictures","data-testid":"average"});sample=h("select",{"aria-label":"picture","data-testid":"sample"});columns=h("select",{"aria-label":"columns","data-testid":"columns"});listen(e,r){e.addEventListener("change",()=>{this.model.set(r,e.value),this.model.save_changes()})}draw(){let{model:e}=this,r=e.get("metric_labels"),n=e.get("metric"),o=e.get("metrics"),i=o.includes(n)?o:[n,...o];j(this.metric,i.map(c=>[c,r[c]??K(c)]),n);let s=e.get("controls");j(this.against,s.map(c=>[c,`beyond ${F(c)}`]),e.get("against"));let a=e.get("samples");j(this.average,Object.entries(e.get("average_labels")),e.get("average")),j(this.sample,a.map((c,p)=>[String(p),c]),String(e.get("sample")));let l=[["layer","by layer"],["relative_depth","by relative depth"]];j(this.columns,l,e.get("columns")),y(this.against,s.length>1),y(this.average,a.length>0),y(this.sample,a.length>0&&e.get("average")==="single"),y(this.columns,e.get("relative_depths").length>0)}};function he(t){let e=new Map;return t.forEach((r,n)=>{e.set(r,[...e.get(r)??[],n])}),[...e]}function de(t){return t<=22?[19,12]:t<=36?[17,11.5]:[14,11]}function ue(t,e){let r=t[0]??0,n=t.at(-1)??1,o=t.slice(1).map((l,c)=>(l+(t[c]??0))/2),i=r-((o[0]??r+.5)-r),s=n+(n-(o.at(-1)??n-.5)),a=[i,...o,s].map(l=>(l-i)/(s-i)*e);return a.every((l,c)=>c===0||l-(a[c-1]??0)>=4)?a:null}function nt(t,e,r){let[n,o]=de(t.length),i=20+Math.min(r.nameWidth,Math.max(60,r.width*.3))+8,s=r.width-i-118>=Math.max(240,e*12),a=r.width-i-(s?118:2),l=Math.max(4,Math.min(96,Math.floor(a/Math.max(1,e)))),c=r.depths?.length===e?ue(r.depths,e*l):null,p=Array.from({length:e+1},(f,v)=>v*l),m=[],d=[],u=18;for(let[f,v]of he(t)){d.push({category:f,top:u,height:v.length*n});for(let A of v)m.push({concept:A,y:u}),u+=n;u+=6}let x=i+e*l,b=u+20+10;return{rows:m,groups:d,left:i,top:18,edges:(c??p).map(f=>i+f),cellWidth:l,rowHeight:n,fontSize:o,layers:e,profileTop:u-2,legendTop:b,margin:s?x+12:null,width:r.width,height:b+44}}function ot(t,e){let r=t.edges.findIndex(n=>e<n);return r<0?t.layers:r-1}function it(t,e,r){let n=ot(t,e);if(n<0||n>=t.layers)return null;let o=t.rows.find(i=>r>=i.y&&r<i.y+t.rowHeight);return o?{concept:o.concept,layer:n}:null}function At(t,e,r){let n=Math.max(0,t.rows.findIndex(s=>s.concept===e.concept)),o=s=>t.rows[Math.max(0,Math.min(t.rows.length-1,n+s))]?.concept??0,i=s=>Math.max(0,Math.min(t.layers-1,s));switch(r){case"ArrowUp":return{...e,concept:o(-1)};case"ArrowDown":return{...e,concept:o(1)};case"PageUp":return{...e,concept:o(-5)};case"PageDown":return{...e,concept:o(5)};case"ArrowLeft":return{...e,layer:i(e.layer-1)};case"ArrowRight":return{...e,layer:i(e.layer+1)};case"Home":return{...e,layer:0};case"End":return{...e,layer:i(t.layers-1)};default:return null}}var S=t=>t.anchor<t.active?[t.anchor,t.active]:[t.active,t.anchor],P=t=>({concept:t.concept,layer:t.active});function Et(t,e,r){if(t.concepts.length===0||t.layers.length===0)return null;let n=Math.max(0,t.concepts.indexOf(e.concept)),o=Math.max(0,t.layers.indexOf(e.layer)),s=e.window[0]===t.layers[o]?t.layers.indexOf(e.window[1]??e.layer):o,a={concept:n,anchor:Math.max(o,s),active:o};return r?.concept===n&&String(S(r))===String(S(a))?r:a}function Nt(t,e){let[r,n]=S(e).map(o=>t.layers[o]??0);return{concept:t.concepts[e.concept]??"",layer:r,window:[r,n]}}function st(t,e,r){return r&&t?{...t,active:e.layer}:{concept:e.concept,anchor:e.layer,active:e.layer}}function _t(t,e,r){return{...e,active:Math.max(0,Math.min(t.layers-1,ot(t,r)))}}function Ft(t,e,r,n){if(r==="Escape")return e.anchor===e.active?null:{...e,anchor:e.active};let o=At(t,P(e),r);return o&&st(e,o,n&&o.concept===e.concept)}function Rt(t,e){let[r,n]=S(e);return t.layers.slice(r,n+1)}function Lt(t){if(typeof t=="number")return Number.isFinite(t)?String(Number(t.toPrecision(7))):"";let e=/^[=+\-@\t\r]/.test(t)?`'${t}`:t;return/[",\n\r]/.test(e)?`"${e.replaceAll('"','""')}"`:e}function Pt(t,e,r){let n=t.controls[t.against]??"random",o=["concept","category","layer","strength","strength_unit","metric","average","against"],i=["difference","low","high","unit","n","clear_of_controls"],s=t.controls.flatMap(l=>[`${l}_mean`,`${l}_low`,`${l}_high`]),a=[[...o,...i,...s].map(Lt).join(",")];for(let l of Rt(t,e))t.strengths.forEach((c,p)=>{let m=M(t,{concept:e.concept,layer:t.layers.indexOf(l)},p),d=g(t.clear,m),u=[t.concepts[e.concept]??"",t.categories[e.concept]??"",l,c,r.strengthUnit,r.metric,r.average,n,g(t.value,m),g(t.low,m),g(t.high,m),r.unit,g(t.n,m),Number.isFinite(d)?d?"true":"false":"",...t.controls.flatMap((x,b)=>[t.control,t.controlLow,t.controlHigh].map(f=>R(t,f,b,m)))];a.push(u.map(Lt).join(","))});return`${a.join(`
`)}
`}var N=t=>JSON.stringify(t),ge=t=>Number.isInteger(t)?t.toFixed(1):String(t);function fe(t){if(t.average==="single")return`mp.effect(grid.isel(sample=[${t.sample}]), ${N(t.metric)})`;let e=t.average==="median"?', average="median"':"";return`mp.effect(grid, ${N(t.metric)}${e})`}function Ot(t,e,r,n){let{told:o}=n,i=N(t.concepts[e.concept]??""),s=Rt(t,e),a=ge(t.strengths[r]??0),l=o.tokens?.length?`(${o.tokens.map(b=>`${N(b)},`).join(" ")})`:"...",c=[`unit=${N(o.unit??n.strengthUnit)}`,`tokens=${l}`];o.operation&&o.operation!=="add"&&c.push(`operation=${N(o.operation)}`),o.to&&c.push(`to=vectors.sel(concept=${N(o.to)})`);let p=typeof o.prompt=="string"?N(o.prompt):"None",m=t.controls[t.against]??"random",d=`effect.sel(concept=${i}, layer=[${s.join(", ")}], strength=${a})`,u=m==="random"?'[["difference", "low", "high"]]':`.sel(control=${N(m)})`;return["import mllm_probe as mp","",(o.bundled?`model = mp.load(${N(o.model)})`:`# model: ${o.model??"the one of the grid"}`).replace(/[\r\n]+/g," "),"# vectors, grid and image are those of this map",`steering = mp.Steering(vectors.sel(concept=${i}), layers=[${s.join(", ")}], strength=${a}, ${c.join(", ")})`,`rows = [None, steering, steering.control("random", seed=${o.seed??0})]`,`print(mp.generate(model, image, ${p}, steering=rows, max_new_tokens=${o.max_new_tokens??16}))`,"",`effect = ${fe(n)}`,`print(${d}${u}.to_dataframe())`,""].join(`
`)}async function Ht(t){try{return await navigator.clipboard.writeText(t),!0}catch{return!1}}var be={zero:[247,248,249],positive:[178,73,10],negative:[31,95,180]},ve={zero:[34,39,46],positive:[255,166,87],negative:[88,166,255]};function xe(t){let e=t.match(/[\d.]+/g)?.map(Number)??[];if(e.length<3||e[3]===0)return 1;let[r=0,n=0,o=0]=e.slice(0,3).map(i=>(i/255)**2.2);return .2126*r+.7152*n+.0722*o}function zt(t){let e=getComputedStyle(t),r=xe(e.backgroundColor)<.25,n=o=>e.getPropertyValue(o).trim()||e.color;return{dark:r,ink:n("--mp-ink"),soft:n("--mp-soft"),faint:n("--mp-faint"),line:n("--mp-line"),brand:n("--mp-brand"),font:e.fontFamily,...r?ve:be}}function Dt(t){let e=()=>setTimeout(t,30),r=new MutationObserver(e),n=["data-jp-theme-name","data-jp-theme-light","data-vscode-theme-id","data-theme","class"];r.observe(document.body,{attributes:!0,attributeFilter:n}),r.observe(document.documentElement,{attributes:!0,attributeFilter:n});let o=matchMedia("(prefers-color-scheme: dark)");return o.addEventListener("change",e),()=>{r.disconnect(),o.removeEventListener("change",e)}}function I(t,e,r){let n=e>0?Math.max(-1,Math.min(1,t/e)):0,o=n>0?r.positive:r.negative,i=s=>Math.round(r.zero[s]+(o[s]-r.zero[s])*Math.abs(n));return[i(0),i(1),i(2)]}var U=t=>`rgb(${t[0]},${t[1]},${t[2]})`;var jt={offset:52,width:44};function It(t,e,r){let{layout:n,cells:o,strength:i}=e;if(n.margin!==null){t.textAlign="left",t.fillStyle=r.faint,t.font=`10.5px ${r.font}`,t.fillText("peak \xB7 spread",n.margin,8),t.font=`${Math.min(11.5,n.fontSize)}px ${r.font}`,t.fillStyle=r.soft,t.strokeStyle=r.brand,t.lineWidth=1.2,t.beginPath();for(let s of n.rows){let a=yt(o,s.concept,i),l=kt(a);if(!l)continue;let c=`${o.layers[l.peak]} \xB7 ${l.effective.toFixed(1)}`;t.fillText(c,n.margin,s.y+n.rowHeight/2);let p=a.map(u=>Number.isFinite(u)?Math.abs(u):0),m=Math.max(...p,1e-9),d=jt.width/Math.max(1,a.length-1);for(let[u,x]of p.entries()){let b=n.margin+jt.offset+u*d,f=s.y+n.rowHeight-4-x/m*(n.rowHeight-7);u?t.lineTo(b,f):t.moveTo(b,f)}}t.stroke(),t.lineWidth=1}}function Ut(t,e,r,n){let{layout:o,cells:i,strength:s,limit:a}=e,l=wt(i,s),c=l.filter(Number.isFinite);if(c.length===0)return;let[p,m]=[Math.min(0,...c),Math.max(0,...c)],d=m-p||1,u=o.profileTop+m/d*20,x=(n.length-1)/2,b=o.cellWidth>8?3:1;l.forEach((v,A)=>{if(!Number.isFinite(v))return;let _=o.edges[A]??0,z=Math.max(1,(o.edges[A+1]??_)-_-b),ut=Math.abs(v)/d*20;t.fillStyle=n[Math.round(x+Math.sign(v)*x*Math.max(.55,Math.min(1,Math.abs(v)/a)))]??"",t.fillRect(_+(b-1)/2,v>0?u-ut:u,z,ut)});let f=o.edges.at(-1)??o.left;t.fillStyle=r.line,t.fillRect(o.left,u,f-o.left,1),t.fillStyle=r.faint,t.font=`10.5px ${r.font}`,t.textAlign="right",t.fillText("mean",o.left-7,o.profileTop+20/2)}var W=128;function ye(t){return Array.from({length:2*W+1},(e,r)=>U(I(r-W,W,t)))}function ct(t,e,r){let n=Math.round(6*r),o=document.createElement("canvas");o.width=n,o.height=n;let i=o.getContext("2d");if(!i)return null;i.strokeStyle=e.dark?"rgba(255,255,255,.22)":"rgba(60,70,84,.26)",i.lineWidth=r*.8,i.beginPath();for(let a of[-n,0,n])i.moveTo(a,n),i.lineTo(a+n,0);i.stroke();let s=t.createPattern(o,"repeat");return s?.setTransform(new DOMMatrix([1/r,0,0,1/r,0,0])),s}function H(t,e,r){if(t.measureText(e).width<=r)return e;let n=e;for(;n.length>1&&t.measureText(`${n}\u2026`).width>r;)n=n.slice(0,-1);return`${n}\u2026`}function X(t,e,r){let n=window.devicePixelRatio||1;(t.width!==Math.round(e*n)||t.height!==Math.round(r*n))&&(t.width=Math.round(e*n),t.height=Math.round(r*n),t.style.width=`${e}px`,t.style.height=`${r}px`);let o=t.getContext("2d");return o?.setTransform(n,0,0,n,0,0),o&&(o.textBaseline="middle"),o}var Y=class{constructor(e){this.canvas=e}canvas;kept=document.createElement("canvas");colours=[];names=new Map;stale=!0;invalidate(){this.stale=!0}paint(e,r){let{width:n,height:o}=e.layout,i=X(this.canvas,n,o);i&&(this.stale&&this.paintKept(e,r),i.clearRect(0,0,n,o),i.drawImage(this.kept,0,0,n,o),this.paintNames(i,e,r),ke(i,e,r),e.hover&&lt(i,e,[e.hover.layer,e.hover.layer],e.hover.concept,r.soft,1),e.selection&&$e(i,e,e.selection,r))}paintKept(e,r){let{width:n,height:o}=e.layout,i=X(this.kept,n,o);i&&(this.stale=!1,this.colours=ye(r),this.names=new Map,i.clearRect(0,0,n,o),we(i,e,r),Me(i,e,r,this.colours),It(i,e,r),Ut(i,e,r,this.colours),Se(i,e,r))}paintNames(e,{layout:r,cells:n,hover:o,selection:i},s){e.textAlign="right",e.fillStyle=s.ink;let a=o?.concept??i?.concept;for(let l of r.rows){e.font=`${l.concept===a?"600 ":""}${r.fontSize}px ${s.font}`;let c=`${e.font} ${l.concept}`,p=this.names.get(c)??H(e,n.concepts[l.concept]??"",r.left-26);this.names.set(c,p),e.fillText(p,r.left-7,l.y+r.rowHeight/2)}}};function we(t,{layout:e},r){for(let n of e.groups)t.save(),t.translate(8,n.top+n.height/2),t.rotate(-Math.PI/2),t.textAlign="center",t.fillStyle=r.faint,t.font=`10px ${r.font}`,t.fillText(H(t,K(n.category),n.height),0,0),t.restore()}var Wt=(t,e)=>((t.edges[e]??0)+(t.edges[e+1]??0))/2;function ke(t,e,r){let{layout:n,cells:o,columns:i,hover:s,selection:a}=e;t.textAlign="center";let l=i==="relative_depth"&&o.depths.length===o.layers.length,[c,p]=s?[s.layer,s.layer]:a?S(a):[-1,-1],m=l?26:18,d=Number.NEGATIVE_INFINITY,u=Wt(n,c);o.layers.forEach((x,b)=>{let f=Wt(n,b),v=b>=c&&b<=p;b!==c&&(f-d<m||Math.abs(f-u)<(c<0?0:m))||(d=f,t.font=`${v?"600 ":""}10.5px ${r.font}`,t.fillStyle=v?r.ink:r.faint,t.fillText(l?(o.depths[b]??0).toFixed(2).replace(/^0(?=\.)/,""):String(x),f,8))}),t.font=`10.5px ${r.font}`,t.fillStyle=r.faint,t.textAlign="right",t.fillText(l?"depth":"layer",n.left-7,8)}function Me(t,e,r,n){let{layout:o,cells:i,strength:s,limit:a}=e,l=o.cellWidth>8?1:0,c=new Path2D,p=new Path2D,m=-1;for(let u of o.rows)for(let x=0;x<o.layers;x+=1){let b=M(i,{concept:u.concept,layer:x},s),f=g(i.value,b),v=o.edges[x]??0,A=(o.edges[x+1]??v)-v-l,_=o.rowHeight-1;if(!Number.isFinite(f)){p.rect(v+.5,u.y+.5,A-1,_-1);continue}let z=Math.round(Math.max(-1,Math.min(1,f/a))*W)+W;z!==m&&(t.fillStyle=n[z]??""),m=z,t.fillRect(v,u.y,A,_),g(i.clear,b)===0&&c.rect(v,u.y,A,_)}let d=ct(t,r,window.devicePixelRatio||1);d&&(t.fillStyle=d,t.fill(c)),t.strokeStyle=r.line,t.globalAlpha=.55,t.stroke(p),t.globalAlpha=1}function Se(t,e,r){let{layout:n,limit:o,unit:i}=e,s=Math.min(n.layers*n.cellWidth,420),a=n.legendTop,l=t.createLinearGradient(n.left,0,n.left+s,0);for(let p=0;p<=8;p+=1)l.addColorStop(p/8,U(I(-o+o*p/4,o,r)));t.fillStyle=l,t.fillRect(n.left,a,s,7);let c=G(o);t.fillStyle=r.faint,t.font=`10.5px ${r.font}`,t.textAlign="left",t.fillText(et(-o,c),n.left,a+15),t.textAlign="center",t.fillText("0",n.left+s/2,a+15),t.textAlign="right",t.fillText(`${w(o,c)} ${i}`.trim(),n.left+s,a+15),t.textAlign="left",t.fillText(H(t,e.note,n.width-n.left),n.left,a+31)}function lt(t,{layout:e},[r,n],o,i,s){let a=e.rows.find(p=>p.concept===o);if(!a)return;let l=e.edges[r]??0,c=e.edges[n+1]??l;t.strokeStyle=i,t.lineWidth=s,t.strokeRect(l-.5,a.y-.5,c-l,e.rowHeight),t.lineWidth=1}function $e(t,e,r,n){let o=S(r);if(lt(t,e,o,r.concept,n.brand,e.focused?3:2),o[0]===o[1])return;let{layer:i,concept:s}=P(r);lt(t,e,[i,i],s,n.brand,1);let a=e.layout.edges[o[0]]??0,l=e.layout.edges[o[1]+1]??a;t.fillStyle=n.brand,t.fillRect(a,e.layout.top-3,l-a-1,2)}var Gt=4,Kt=Math.PI/3.2,Bt=Math.sin(Kt);function Vt(t,e,r){let n=Math.min(r,e*.3)+12,o=Math.max(5,Math.min(22,Math.floor((e-n-30)/Math.max(1,t)))),i=Math.min(r,110)*Bt+14;return{left:n,top:i,cell:o,width:e,height:i+t*o+4}}var pt=({values:t,concepts:e},r,n,o)=>t[(r*e.length+n)*Gt+o]??Number.NaN;function Ce(t,e,r){let[n,o,i,s]=[0,1,2,3].map(m=>pt(t,e,r,m)),a=`${t.concepts[e]} steered, ${t.concepts[r]} scored`;if(!Number.isFinite(n))return`${a}: not run yet`;let l=O(Math.abs(n)||1),c=Number.isFinite(o)?` [${w(o,l)}, ${w(i,l)}]`:"",p=s?"clear of the random directions":"not clear of the random directions";return`${a}: ${w(n,l)} nats${c} \xB7 ${p}`}var J=class{element;canvas=h("canvas",{class:"mp-canvas",tabindex:0,role:"application","data-testid":"off-target"});read=h("p",{class:"mp-note",role:"status","data-testid":"off-target-cell"});matrix={concepts:[],values:new Float32Array(0)};layout=Vt(0,0,0);at=[0,0];again=()=>{};constructor(){this.canvas.setAttribute("aria-label","Effect of each steered concept (rows) on each scored concept (columns)"),this.element=h("div",{class:"mp-off-target"},this.canvas,this.read),this.canvas.addEventListener("pointermove",e=>{let{left:r,top:n,cell:o}=this.layout;this.move(Math.floor((e.offsetY-n)/o),Math.floor((e.offsetX-r)/o))}),this.canvas.addEventListener("keydown",e=>{let r={ArrowUp:[-1,0],ArrowDown:[1,0],ArrowLeft:[0,-1],ArrowRight:[0,1]}[e.key];r&&(e.preventDefault(),this.move(this.at[0]+(r[0]??0),this.at[1]+(r[1]??0)))})}move(e,r){let n=this.matrix.concepts.length;e<0||r<0||e>=n||r>=n||(this.at=[e,r],this.again())}draw(e,r,n,o){e.values!==this.matrix.values&&(this.at=[r,this.at[1]]),(this.at[0]>=e.concepts.length||this.at[1]>=e.concepts.length)&&(this.at=[0,0]),this.matrix=e,this.again=()=>this.draw(e,r,n,o);let i=this.canvas.getContext("2d");i&&(i.font=`11px ${o.font}`);let s=e.concepts.map(l=>i?.measureText(l).width??50);this.layout=Vt(e.concepts.length,n,Math.min(140,Math.max(30,...s)));let a=X(this.canvas,this.layout.width,this.layout.height);a&&(a.clearRect(0,0,this.layout.width,this.layout.height),this.paintNames(a,r,o),this.paintPairs(a,o),this.read.textContent=Ce(e,...this.at))}paintNames(e,r,n){let{left:o,top:i,cell:s}=this.layout,a=Math.ceil(11/s);e.font=`11px ${n.font}`,this.matrix.concepts.forEach((l,c)=>{c%a&&c!==r||(e.fillStyle=c===r||c===this.at[0]?n.ink:n.soft,e.textAlign="right",e.fillText(H(e,l,o-10),o-6,i+(c+.5)*s),e.fillStyle=c===this.at[1]?n.ink:n.soft,e.save(),e.translate(o+(c+.5)*s,i-5),e.rotate(-Kt),e.textAlign="left",e.fillText(H(e,l,(i-10)/Bt),0,0),e.restore())})}paintPairs(e,r){let{left:n,top:o,cell:i}=this.layout,s=this.matrix.concepts.length,a=this.matrix.values.filter((m,d)=>d%Gt===0),l=B(a,"nats",L),c=ct(e,r,window.devicePixelRatio||1),p=new Path2D;for(let m=0;m<s;m+=1)for(let d=0;d<s;d+=1){let u=pt(this.matrix,m,d,0);if(!Number.isFinite(u))continue;e.fillStyle=U(I(u,l,r));let x=[n+d*i,o+m*i,i-1,i-1];e.fillRect(...x),pt(this.matrix,m,d,3)===0&&p.rect(...x)}c&&(e.fillStyle=c,e.fill(p)),e.strokeStyle=r.brand,e.lineWidth=2,e.strokeRect(n+this.at[1]*i-.5,o+this.at[0]*i-.5,i,i),e.lineWidth=1}};var Z=class{constructor(e,r){this.model=e;this.choose=r;let n=h("button",{type:"button","data-testid":"copy-csv"},"Copy CSV"),o=h("button",{type:"button","data-testid":"copy-code"},"Copy code");n.addEventListener("click",()=>this.copy("CSV")),o.addEventListener("click",()=>this.copy("code")),this.view.addEventListener("change",()=>{e.set("detail",this.view.value),e.save_changes()}),y(this.text,!1);let i=h("div",{class:"mp-head"},this.title,this.view,n,o);this.element=h("div",{class:"mp-detail"},i,this.figure,this.legend,this.offTarget.element,this.told,this.text),y(this.element,!1)}model;choose;element;title=h("h3",{"data-testid":"detail-title"});view=h("select",{"aria-label":"view of the selected cell","data-testid":"detail"},h("option",{value:"dose_response"},"dose response"),h("option",{value:"off_target"},"off target"));figure=h("div",{class:"mp-figure"});legend=h("p",{class:"mp-note mp-legend"});offTarget=new J;told=h("p",{class:"mp-note",role:"status","data-testid":"copy-status"});text=h("textarea",{class:"mp-copied",readonly:!0,rows:6,"aria-label":"copied text","data-testid":"copied"});key="";matrix={bytes:null,values:new Float32Array(0)};now=null;shown(){let e=this.model.get("told");return{metric:e.metric??this.model.get("metric"),unit:this.model.get("unit"),strengthUnit:this.model.get("strength_unit"),average:e.average??"mean",sample:e.sample??0,told:e}}async copy(e){if(!this.now)return;let{cells:r,selection:n,strength:o}=this.now,i=e==="CSV"?Pt(r,n,this.shown()):Ot(r,n,o,this.shown());this.model.set("copied",i),this.model.save_changes();let s=await Ht(i);this.told.textContent=s?`Copied as ${e}.`:"The page may not use the clipboard; the text stands below.",this.text.value=i,y(this.text,!s),s||this.text.select()}draw(e,r,n,o,i,s){let a=r!==null&&e.value.some(Number.isFinite);if(y(this.element,a),!r||!a)return;this.now={cells:e,selection:r,strength:n};let l=this.model.get("has_off_target"),c=l?this.model.get("detail"):"dose_response",p=JSON.stringify([r,n,c,o]);if(!s&&p===this.key)return;this.key=p,y(this.view,l),this.view.value=c;let m=c==="off_target";y(this.figure,!m),y(this.legend,!m),y(this.offTarget.element,m),m?this.drawOffTarget(e,r,o,i):this.drawCurve(e,r,n,o)}drawCurve(e,r,n,o){let i=P(r),s=e.concepts[i.concept]??"";this.title.textContent=`Dose response \xB7 ${s} \xB7 layer ${e.layers[i.layer]??""}`;let a=this.model.get("unit"),l={width:o,concept:s,unit:a,strengthUnit:this.model.get("strength_unit"),strength:n};this.figure.replaceChildren(Tt(St(e,i),l,this.choose));let c=[h("span",{},h("i",{class:"mp-key mp-key-effect"}),"beyond the ",F(e.controls[e.against]??"random")),h("span",{},h("i",{class:"mp-key mp-key-hollow"}),"hollow: not clear"),...e.controls.map(d=>h("span",{},h("i",{class:`mp-key mp-key-${d}`}),F(d)))];this.legend.replaceChildren(...c);let[p,m]=S(r);p!==m&&this.legend.append(h("span",{},"the layer in hand; a window steers all its layers at once"))}drawOffTarget(e,r,n,o){let i=this.model.get("off_target");i!==this.matrix.bytes&&(this.matrix={bytes:i,values:C(i)});let[s,a]=this.model.get("off_target_at"),l=`layer ${s??"\u2013"} \xB7 ${$(a??0)} ${E(this.model.get("strength_unit"))}`;this.title.textContent=`Off target \xB7 ${l}`,this.offTarget.draw({concepts:e.concepts,values:this.matrix.values},r.concept,n,o)}};function qt(t,e,r,n){let o=M(t,e,r),i=g(t.value,o),s=O(n.limit),a=n.unit?` ${n.unit}`:"",l=[{text:t.concepts[e.concept]??"",kind:"strong"},{text:`layer ${t.layers[e.layer]??"\u2013"}`,kind:"normal"},...n.byDepth?[{text:`depth ${(t.depths[e.layer]??0).toFixed(2)}`,kind:"soft"}]:[],...n.window?[{text:`window ${n.window.join("\u2013")}`,kind:"soft"}]:[],{text:`${$(t.strengths[r]??0)} ${E(n.strengthUnit)}`,kind:"soft"}];if(!Number.isFinite(i))return[...l,{text:"not run yet, or not defined here",kind:"soft"}];l.push({text:`${w(i,s)}${a}`,kind:"strong"});let c=(f,v)=>`[${w(f,s)}, ${w(v,s)}]`,[p,m]=[g(t.low,o),g(t.high,o)];Number.isFinite(p)&&l.push({text:c(p,m),kind:"soft"});let d=g(t.n,o);Number.isFinite(d)&&l.push({text:`n = ${d} ${d===1?"picture":"pictures"}`,kind:"soft"});let u=f=>R(t,f,t.against,o),x=u(t.control);if(Number.isFinite(x)){let[f,v]=[u(t.controlLow),u(t.controlHigh)],A=Number.isFinite(f)?` ${c(f,v)}`:"",_=F(t.controls[t.against]??"random").replace(/s$/,"");l.push({text:`${_} ${w(x,s)}${A}`,kind:"soft"})}let b=g(t.clear,o);return Number.isFinite(b)&&l.push({text:b?"clear of the controls":"not clear of the controls",kind:"soft"}),l}var Q=class{element=h("div",{class:"mp-read",id:V("cell"),"data-testid":"heatmap-cell",role:"status","aria-live":"polite"});key="";draw(e,r,n,o){if(!r){this.element.textContent="Waiting for the first cells.",this.key="";return}let i=qt(e,r,n,o),s=JSON.stringify(i);if(this.key===s)return;this.key=s;let a=i.flatMap((p,m)=>{let d=p.kind==="strong"?h("b",{},p.text):h("span",{class:p.kind},p.text);return m?[p.text.startsWith("[")?" ":" \xB7 ",d]:[d]});this.element.replaceChildren(...a);let l=g(e.value,M(e,r,n)),c=this.element.dataset;c.concept=e.concepts[r.concept]??"",c.layer=String(e.layers[r.layer]??""),c.strength=String(e.strengths[n]??""),c.value=Number.isFinite(l)?String(l):""}};var tt=class{constructor(e){this.choose=e;this.input.id=V("strength"),this.label.htmlFor=this.input.id,this.element=h("div",{class:"mp-scrubber"},this.label,h("div",{class:"mp-track"},this.input,this.stops)),this.input.addEventListener("input",()=>e(Number(this.input.value)))}choose;element;input=h("input",{type:"range",min:0,step:1,"data-testid":"heatmap-strength"});label=h("label",{});stops=h("div",{class:"mp-stops","aria-hidden":!0});key="";draw(e,r,n){let o=JSON.stringify([e,r]);o!==this.key&&this.fill(e,r),this.key=o,y(this.element,e.length>1),this.input.value!==String(n)&&(this.input.value=String(n));let i=`${$(e[n]??0)} ${E(r)}`;this.input.getAttribute("aria-valuetext")!==i&&(this.input.setAttribute("aria-valuetext",i),this.stops.querySelectorAll("span").forEach((s,a)=>{s.toggleAttribute("data-current",a===n)}))}fill(e,r){this.label.textContent=`strength ${E(r)}`,this.input.max=String(e.length-1),this.input.removeAttribute("aria-valuetext");let n=Math.max(1,e.length-1),o=Math.ceil(e.length/9),i=e.map((s,a)=>{let l=h("span",{style:`left: ${100*a/n}%`},a%o?"":$(s));return l.addEventListener("click",()=>this.choose(a)),l});this.stops.replaceChildren(...i)}};var Xt=["concepts","categories","layers","relative_depths","columns"],Yt=["values","low","high","n","clear","control","control_low","control_high","off_target","strengths","unit","strength_unit","controls","told","has_off_target","off_target_at"],Jt=["metric","metrics","metric_labels","against","controls","average","average_labels","sample","samples","columns","relative_depths","strengths","strength_unit"],Zt=["concept","layer","window","strength","progress","status","message","detail"];function mt(t){let e=t.get("controls");return{concepts:t.get("concepts"),categories:t.get("categories"),layers:t.get("layers"),depths:t.get("relative_depths"),strengths:t.get("strengths"),value:C(t.get("values")),low:C(t.get("low")),high:C(t.get("high")),n:C(t.get("n")),clear:C(t.get("clear")),controls:e,against:Math.max(0,e.indexOf(t.get("told").against??"random")),control:C(t.get("control")),controlLow:C(t.get("control_low")),controlHigh:C(t.get("control_high"))}}var ht="Effect by concept and layer",dt=class{constructor(e,r,n){this.model=e;this.root=bt(gt+vt,"heatmap",ht),this.choices=new q(e),this.detail=new Z(e,a=>this.setStrength(a)),this.canvas.setAttribute("aria-label",`${ht}; arrow keys move, with shift they select a window of layers; values are read above`),this.canvas.setAttribute("aria-describedby",this.reading.element.id);let i=h("div",{class:"mp-head"},h("h3",{},ht),this.count,this.choices.metric),s=h("div",{class:"mp-row"},this.scrubber.element,this.choices.row);this.root.append(i,s,this.reading.element,this.bar,this.canvas,this.error,this.detail.element),r.append(this.root),this.cells=mt(e),this.listen(n),this.redraw()}model;root;choices;scrubber=new tt(e=>this.setStrength(e));detail;count=h("span",{class:"mp-count","data-testid":"heatmap-status"});canvas=h("canvas",{class:"mp-canvas mp-map","data-testid":"heatmap",tabindex:0,role:"application"});reading=new Q;bar=h("div",{class:"mp-progress",role:"progressbar","aria-label":"progress"},h("i"));error=h("p",{class:"mp-error",role:"alert","data-testid":"heatmap-error"});painter=new Y(this.canvas);cells;layout=nt([],0,{width:0,nameWidth:60});theme=null;limit=1;hover=null;selection=null;dragging=!1;width=0;pending=0;drawn=-1;stale={frame:!0,numbers:!0,choices:!0,theme:!0};listen(e){let{model:r,canvas:n}=this,o=[[Xt,()=>this.redraw("frame")],[Yt,()=>this.redraw("numbers")],[Jt,()=>this.redraw("choices")],[Zt,()=>this.redraw()]];for(let[a,l]of o)for(let c of a)r.on(`change:${c}`,l);let i=new ResizeObserver(()=>this.redraw("theme"));i.observe(this.root);let s=Dt(()=>this.redraw("theme"));e.addEventListener("abort",()=>{for(let[a,l]of o)for(let c of a)r.off(`change:${c}`,l);i.disconnect(),s(),cancelAnimationFrame(this.pending)}),n.addEventListener("pointerdown",a=>this.onDown(a)),n.addEventListener("pointermove",a=>this.onMove(a)),n.addEventListener("pointerup",()=>this.onUp()),n.addEventListener("pointercancel",()=>this.onCancel()),n.addEventListener("pointerleave",()=>this.setHover(null)),n.addEventListener("keydown",a=>this.onKey(a)),n.addEventListener("focus",()=>this.redraw()),n.addEventListener("blur",()=>this.redraw())}onDown(e){let r=it(this.layout,e.offsetX,e.offsetY);!r||e.button!==0||(this.selection=st(this.selection,r,e.shiftKey),this.dragging=!0,this.canvas.setPointerCapture(e.pointerId),this.redraw())}onMove(e){if(!this.dragging||!this.selection){this.setHover(it(this.layout,e.offsetX,e.offsetY));return}this.hover=null,this.selection=_t(this.layout,this.selection,e.offsetX),this.redraw()}onUp(){this.dragging&&(this.dragging=!1,this.commit())}onCancel(){this.dragging=!1,this.selection=null,this.redraw()}onKey(e){if(e.ctrlKey||e.metaKey||e.altKey)return;let r=this.selection?Ft(this.layout,this.selection,e.key,e.shiftKey):null;if(r)this.hover=null,this.selection=r,this.commit();else if(e.key==="+"||e.key==="-")this.setStrength(this.strength()+(e.key==="+"?1:-1));else return;e.preventDefault(),e.stopPropagation()}strength(){return Mt(this.cells.strengths,this.model.get("strength"))}setHover(e){e?.concept===this.hover?.concept&&e?.layer===this.hover?.layer||(this.hover=e,this.redraw())}commit(){if(this.selection){for(let[e,r]of Object.entries(Nt(this.cells,this.selection)))this.model.set(e,r);this.model.save_changes(),this.redraw()}}setStrength(e){let r=this.cells.strengths[Math.max(0,Math.min(this.cells.strengths.length-1,e))];r===void 0||r===this.model.get("strength")||(this.model.set("strength",r),this.model.save_changes(),this.redraw())}redraw(e){e&&(this.stale[e]=!0),!this.pending&&(this.pending=requestAnimationFrame(()=>{this.pending=0,this.draw()}))}takeIn(){let{model:e,stale:r}=this;if((r.frame||r.numbers)&&(this.cells=mt(e),this.limit=B(this.cells.value,e.get("unit"),L)),r.choices&&this.choices.draw(),(r.theme||!this.theme)&&(this.theme=zt(this.root)),this.measure(r.frame),!this.dragging){let n={concept:e.get("concept"),layer:e.get("layer"),window:e.get("window")};this.selection=Et(this.cells,n,this.selection)}return this.theme}measure(e){let r=getComputedStyle(this.root),n=Math.floor(this.root.clientWidth-Number.parseFloat(r.paddingLeft)*2);if(n===this.width&&!e||n<=0)return;this.width=n,this.stale.numbers=!0;let o=this.canvas.getContext("2d");o&&(o.font=`600 12px ${r.fontFamily}`);let i=this.cells.concepts.map(c=>o?.measureText(c).width??60),s=Math.min(170,Math.max(40,...i)),a=this.model.get("columns")==="relative_depth",l={width:n,nameWidth:s,...a&&{depths:this.cells.depths}};this.layout=nt(this.cells.categories,this.cells.layers.length,l)}draw(){let e=this.takeIn(),r=this.strength(),n=this.stale.frame||this.stale.numbers||this.stale.theme;(n||r!==this.drawn)&&this.painter.invalidate(),this.drawn=r;let o=F(this.cells.controls[this.cells.against]??"random"),i={cells:this.cells,layout:this.layout,strength:r,limit:this.limit,unit:this.model.get("unit"),columns:this.model.get("columns"),note:`beyond the ${o} \xB7 hatched: not clear of the controls`,selection:this.selection,hover:this.hover,focused:document.activeElement===this.canvas};this.painter.paint(i,e),this.placeCells(),this.drawReadout(r),this.scrubber.draw(this.cells.strengths,this.model.get("strength_unit"),r),this.detail.draw(this.cells,this.selection,r,this.width,e,n),this.drawState(),this.stale={frame:!1,numbers:!1,choices:!1,theme:!1}}placeCells(){let{left:e,top:r,cellWidth:n,rowHeight:o}=this.layout;for(let[i,s]of Object.entries({left:e,top:r,cellWidth:n,rowHeight:o}))this.canvas.dataset[i]!==String(s)&&(this.canvas.dataset[i]=String(s))}drawReadout(e){let{model:r,cells:n}=this,[o,i]=!this.hover&&this.selection?S(this.selection):[0,0];this.reading.draw(n,this.hover??(this.selection&&P(this.selection)),e,{unit:r.get("unit"),strengthUnit:r.get("strength_unit"),limit:this.limit,window:o===i?void 0:[n.layers[o]??0,n.layers[i]??0],byDepth:r.get("columns")==="relative_depth"&&n.depths.length>0})}drawState(){let e=this.model.get("progress"),r=this.model.get("status"),n=r==="running";this.count.textContent=n?`${Math.round(e*100)} %`:r==="idle"?"":r,this.root.dataset.status=r,this.bar.dataset.done=String(!n),this.bar.setAttribute("aria-valuenow",String(Math.round(e*100))),this.bar.firstElementChild.style.width=`${e*100}%`;let o=this.model.get("message");this.error.textContent=o,y(this.error,o!=="")}};function Te({model:t,el:e,signal:r}){let n=new AbortController;return r?.addEventListener("abort",()=>n.abort()),new dt(t,e,n.signal),()=>n.abort()}var Jr={render:xt(Te)};export{Jr as default};
