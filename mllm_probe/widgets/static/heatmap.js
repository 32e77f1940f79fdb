var Mt=`.mp {
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
`;function h(e,t={},...n){let r=document.createElement(e);for(let[o,i]of Object.entries(t))i!==void 0&&i!==!1&&r.setAttribute(o,i===!0?"":String(i));return r.append(...n),r}var St=0;function B(e){return St+=1,`mp-${e}-${St}-${Math.random().toString(36).slice(2,8)}`}function kt(e,t,n){let r=h("section",{class:`mp mp-${t}`,"aria-label":n,"data-lm-suppress-shortcuts":"true"});return r.append(h("style",{},e)),r.addEventListener("keydown",o=>o.stopPropagation()),r}function y(e,t){e.hidden=!t}function z(e){return!(e>0)||e>=100?e>=100?0:1:e>2?1:Math.min(5,2-Math.min(0,Math.floor(Math.log10(e))+1))}function X(e){return Number(e.toPrecision(2)).toString().split(".")[1]?.length??0}function it(e,t=1){if(!Number.isFinite(e))return"\u2013";let n=Math.abs(e).toFixed(t);return e<0&&Number(n)!==0?"\u2212"+n:n}function w(e,t=1){let n=it(e,t);return e>0&&Number(n)!==0?`+${n}`:n}function $(e){let t=Math.abs(e),n=t===.5?"\xBD":t===.25?"\xBC":String(Number(t.toFixed(3)));return e<0?"\u2212"+n:n}function E(e){return{residual:"\xD7 residual norm",vector:"\xD7 vector",raw:"\xD7 raw vector"}[e]??e}function _(e){if(!(e>0)||!Number.isFinite(e))return 1;let t=10**Math.floor(Math.log10(e));return([1,1.5,2,3,4,5,6,8,10].find(r=>r*t>=e*(1-1e-9))??10)*t}var P=e=>e.replaceAll("_"," ");var Ct=`.mp-row {
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
/* Moved by the compositor alone: a width that is animated would lay the page out 60 times a second. */
.mp-heatmap .mp-progress > i {
  width: 100%;
  transform: scaleX(0);
  transform-origin: left;
  transition: none;
}
.mp-count {
  color: var(--mp-faint);
  font-size: 12px;
}
.mp-layers {
  position: relative;
}
.mp-over-map {
  position: absolute;
  top: 0;
  left: 0;
  pointer-events: none;
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
`;var ue="No kernel is connected. This is the last state that was saved; run the cell to go on from here.",fe="The kernel behind this was restarted or shut down. This is its last state; run the cell to go on from here.";function ge(e){let t=e.get("layout");return typeof t?.comm_live=="boolean"&&t.on&&t.off?t:null}function be(e,t){return e?"":t?fe:ue}function ve(e,t){let n=ge(e);if(!n||!t)return()=>{};let r=h("p",{class:"mp-kernel",role:"status","data-testid":"no-kernel"});t.prepend(r);let o=n.comm_live,i=()=>{o||=n.comm_live,r.textContent=be(n.comm_live,o),y(r,!n.comm_live)};return n.on("comm_live_update",i),i(),()=>n.off("comm_live_update",i)}function $t(e){return t=>{let n=e(t),r=ve(t.model,t.el.firstElementChild);return()=>{r(),n?.()}}}function T(e){if(!e||e.byteLength===0)return new Float32Array(0);let t=e instanceof ArrayBuffer?e:e.buffer.slice(e.byteOffset,e.byteOffset+e.byteLength);return new Float32Array(t)}function k(e,t,n){return(t.concept*e.layers.length+t.layer)*e.strengths.length+n}function b(e,t){return e[t]??Number.NaN}function O(e,t,n,r){let o=e.concepts.length*e.layers.length*e.strengths.length;return b(t,n*o+r)}function Tt(e,t,n){return e.layers.map((r,o)=>b(e.value,k(e,{concept:t,layer:o},n)))}function Et(e,t){return e.layers.map((n,r)=>{let o=0,i=0;for(let s=0;s<e.concepts.length;s+=1){let a=b(e.value,k(e,{concept:s,layer:r},t));Number.isFinite(a)&&(o+=a,i+=1)}return i?o/i:Number.NaN})}var ye={nats:1,"":.1};function q(e,t,n){let r=e.filter(Number.isFinite).map(Math.abs);if(r.length===0)return 1;r.sort();let o=r[Math.min(r.length-1,Math.floor(.98*r.length))]??1;return n(Math.max(o,ye[t]??0))}function At(e){let t=e.reduce((s,a)=>Math.abs(a)>Math.abs(s)?a:s,0),n=Math.sign(t),r=e.map(s=>Number.isFinite(s)?Math.max(0,n*s):0),o=r.reduce((s,a)=>s+a,0),i=r.reduce((s,a)=>s+a*a,0);return i===0?null:{peak:r.indexOf(Math.max(...r)),effective:o*o/i}}function Lt(e,t){let n=0;return e.forEach((r,o)=>{Math.abs(r-t)<Math.abs((e[n]??0)-t)&&(n=o)}),n}function st(e,t){let n=[];for(let r of e)n.every(i=>Math.abs(r.at-i.at)>=(r.size+i.size)/2+t)&&n.push(r);return n}function Nt(e,t){let o=e.strengths.map((a,l)=>l).sort((a,l)=>(e.strengths[a]??0)-(e.strengths[l]??0)).map(a=>({place:a,index:k(e,t,a)})).filter(({index:a})=>Number.isFinite(b(e.value,a))),i=o.map(({place:a,index:l})=>({strength:e.strengths[a]??0,place:a,value:b(e.value,l),low:b(e.low,l),high:b(e.high,l),n:b(e.n,l),clear:b(e.clear,l)===1})),s=e.controls.map((a,l)=>{let c=m=>o.map(({index:d})=>O(e,m,l,d)-O(e,e.control,e.against,d)),p=i.map(m=>m.strength);return{control:a,strengths:p,mean:c(e.control),low:c(e.controlLow),high:c(e.controlHigh)}});return{points:i,bands:s,...xe(i,s)}}function xe(e,t){let n=e.map(p=>p.strength),o=[...e.flatMap(p=>[p.value,p.low,p.high]),...t.flatMap(p=>[...p.low,...p.high])].filter(Number.isFinite),i=Math.max(0,...o),s=Math.min(0,...o),a=s<0?-_(-s):0,l=i>0?_(i):s<0?0:1,c=n.length?[Math.min(0,...n),Math.max(0,...n)]:[-1,1];return{x:c[0]===c[1]?[c[0]-1,c[1]+1]:c,y:[a,l]}}var at=([e,t],[n,r])=>o=>n+(o-e)/(t-e)*(r-n);function Ft(e,t,n){let r=[[]];e.strengths.forEach((i,s)=>{Number.isFinite(e.low[s])&&Number.isFinite(e.high[s])?r.at(-1)?.push(s):r.push([])});let o=(i,s)=>`${t(e.strengths[i]??0).toFixed(1)} ${n(s[i]??0).toFixed(1)}`;return r.filter(i=>i.length>1).map(i=>{let s=i.map(l=>o(l,e.high)),a=i.map(l=>o(l,e.low)).reverse();return`M${[...s,...a].join("L")}Z`}).join("")}function M(e,t={},...n){let r=document.createElementNS("http://www.w3.org/2000/svg",e);for(let[o,i]of Object.entries(t))r.setAttribute(o,String(i));return r.append(...n),r}var W=180,A={left:46,right:12,top:20,bottom:36},Rt={width:6.2,height:11},we=["random","shuffled"],N=e=>({random:"random directions",shuffled:"shuffled pairs"})[e]??e;function Me(e,t){let n=e.points.map(r=>`${$(r.strength)}: ${_t(r,t)}`);return`${t.concept}, effect by strength. ${n.join("; ")}`}function _t(e,t){let n=z(Math.abs(e.value)||1),r=Number.isFinite(e.low)?` [${w(e.low,n)}, ${w(e.high,n)}]`:"",o=Number.isFinite(e.n)?`, n = ${e.n}`:"",i=e.clear?"clear of the controls":"not clear of the controls";return`${w(e.value,n)} ${t.unit}${r}${o}, ${i}`}function Pt(e,t,n){let r=Math.max(220,t.width),o=at(e.x,[A.left+8,r-A.right-8]),i=at(e.y,[W-A.bottom,A.top]),s=M("svg",{class:"mp-curve",width:r,height:W,viewBox:`0 0 ${r} ${W}`,role:"img","aria-label":Me(e,t),"data-testid":"dose-response"});s.append(...ke(e,t,r,o,i));for(let l of e.bands){let c=we.includes(l.control)?l.control:"other";s.append(M("path",{class:`mp-band mp-${c}`,"data-control":l.control,d:Ft(l,o,i)}));let p=l.strengths.map((m,d)=>({s:m,m:l.mean[d]??Number.NaN})).filter(({m})=>Number.isFinite(m)).map(({s:m,m:d})=>`${o(m).toFixed(1)} ${i(d).toFixed(1)}`);p.length>1&&s.append(M("path",{class:`mp-mean mp-${c}`,d:`M${p.join("L")}`}))}let a=e.points.map(l=>`${o(l.strength).toFixed(1)} ${i(l.value).toFixed(1)}`).join("L");e.points.length>1&&s.append(M("path",{class:"mp-effect",d:`M${a}`}));for(let l of e.points)s.append(Se(l,t,o,i,n));return s}function Se(e,t,n,r,o){let i=n(e.strength),s=M("g",{class:"mp-point","data-strength":e.strength,"data-value":e.value});s.append(M("title",{},`${$(e.strength)} ${E(t.strengthUnit)}: ${_t(e,t)}`)),s.append(M("circle",{class:"mp-target",cx:i,cy:r(e.value),r:12})),Number.isFinite(e.low)&&s.append(M("path",{class:"mp-interval",d:`M${i} ${r(e.low)}V${r(e.high)}`}));let a=e.place===t.strength?" mp-here":"",l=a?5:3.8;return s.append(M("circle",{class:`mp-dot${e.clear?"":" mp-hollow"}${a}`,cx:i,cy:r(e.value),r:l})),s.addEventListener("click",()=>o(e.place)),s}function ke(e,t,n,r,o){let i=n-A.right,s=[];for(let l of new Set([e.y[0],0,e.y[1]]))s.push(M("path",{class:l===0?"mp-zero":"mp-rule",d:`M${A.left} ${o(l)}H${i}`}));for(let{at:l,text:c}of Ce(e,o))s.push(M("text",{x:A.left-6,y:l+3.5,"text-anchor":"end"},c));for(let{at:l,text:c}of $e(e,t.strength,r))s.push(M("text",{x:l,y:W-A.bottom+14,"text-anchor":"middle"},c));let a=`strength ${E(t.strengthUnit)}`;return s.push(M("text",{x:(A.left+i)/2,y:W-6,"text-anchor":"middle"},a)),t.unit&&s.push(M("text",{x:A.left-6,y:9,"text-anchor":"end"},t.unit)),s}function Ce({y:e},t){let[n,r]=e,o=[...new Set(Math.abs(r)>=Math.abs(n)?[r,0,n]:[n,0,r])],i=Math.max(...o.map(X));return st(o.map(s=>({at:t(s),size:Rt.height,text:w(s,i)})),2)}function $e({points:e},t,n){let r=s=>{let a=e[s];return a?.place===t?0:s===0||s===e.length-1?1:a?.strength===0?2:3},i=[...e.keys()].sort((s,a)=>r(s)-r(a)||s-a).map(s=>{let a=e[s]?.strength??0,l=$(a);return{at:n(a),size:l.length*Rt.width,text:l}});return st(i,5)}function G(e,t,n){let r=JSON.stringify(t);e.dataset.options!==r&&(e.replaceChildren(...t.map(([o,i])=>h("option",{value:o},i))),e.dataset.options=r),e.value!==n&&(e.value=n),e.disabled=t.length<2}var Y=class{constructor(t){this.model=t;this.row=h("div",{class:"mp-choices"},this.against,this.average,this.sample,this.columns),this.listen(this.metric,"metric"),this.listen(this.against,"against"),this.listen(this.average,"average"),this.listen(this.columns,"columns"),this.sample.addEventListener("change",()=>{t.set("sample",Number(this.sample.value)),t.save_changes()})}model;metric=h("select",{"aria-label":"metric","data-testid":"metric"});row;against=h("select",{"aria-label":"control","data-testid":"control"});average=h("select",{"aria-label":"summary of the pictures","data-testid":"average"});sample=h("select",{"aria-label":"picture","data-testid":"sample"});columns=h("select",{"aria-label":"columns","data-testid":"columns"});listen(t,n){t.addEventListener("change",()=>{this.model.set(n,t.value),this.model.save_changes()})}draw(){let{model:t}=this,n=t.get("metric_labels"),r=t.get("metric"),o=t.get("metrics"),i=o.includes(r)?o:[r,...o];G(this.metric,i.map(c=>[c,n[c]??P(c)]),r);let s=t.get("controls");G(this.against,s.map(c=>[c,`beyond ${N(c)}`]),t.get("against"));let a=t.get("samples");G(this.average,Object.entries(t.get("average_labels")),t.get("average")),G(this.sample,a.map((c,p)=>[String(p),c]),String(t.get("sample")));let l=[["layer","by layer"],["relative_depth","by relative depth"]];G(this.columns,l,t.get("columns")),y(this.against,s.length>1),y(this.average,a.length>0),y(this.sample,a.length>0&&t.get("average")==="single"),y(this.columns,t.get("relative_depths").length>0)}};function Te(e){let t=new Map;return e.forEach((n,r)=>{t.set(n,[...t.get(n)??[],r])}),[...t]}function Ee(e){return e<=22?[19,12]:e<=36?[17,11.5]:[14,11]}function Ae(e,t){let n=e[0]??0,r=e.at(-1)??1,o=e.slice(1).map((l,c)=>(l+(e[c]??0))/2),i=n-((o[0]??n+.5)-n),s=r+(r-(o.at(-1)??r-.5)),a=[i,...o,s].map(l=>(l-i)/(s-i)*t);return a.every((l,c)=>c===0||l-(a[c-1]??0)>=4)?a:null}function lt(e,t,n){let[r,o]=Ee(e.length),i=Te(e),s=i.some(([S,F])=>(n.categoryWidths?.get(S)??0)>F.length*r),a=s?6:20,l=a+Math.min(n.nameWidth,Math.max(60,n.width*.3))+8,c=n.width-l-118>=Math.max(240,t*12),p=n.width-l-(c?118:2),m=Math.max(4,Math.min(96,Math.floor(p/Math.max(1,t)))),d=n.depths?.length===t?Ae(n.depths,t*m):null,u=Array.from({length:t+1},(S,F)=>F*m),v=[],g=[],f=18;for(let[S,F]of i){s&&S&&(f+=16),g.push({category:S,top:f,height:F.length*r});for(let K of F)v.push({concept:K,y:f}),f+=r;f+=6}let x=l+t*m,R=f+20+10;return{headings:s,nameRoom:l-a-6,rows:v,groups:g,left:l,top:18,edges:(d??u).map(S=>l+S),cellWidth:m,rowHeight:r,fontSize:o,layers:t,profileTop:f-2,legendTop:R,margin:c?x+12:null,width:n.width,height:R+44}}function ct(e,t){let n=e.edges.findIndex(r=>t<r);return n<0?e.layers:n-1}function pt(e,t,n){let r=ct(e,t);if(r<0||r>=e.layers)return null;let o=e.rows.find(i=>n>=i.y&&n<i.y+e.rowHeight);return o?{concept:o.concept,layer:r}:null}function Ot(e,t,n){let r=Math.max(0,e.rows.findIndex(s=>s.concept===t.concept)),o=s=>e.rows[Math.max(0,Math.min(e.rows.length-1,r+s))]?.concept??0,i=s=>Math.max(0,Math.min(e.layers-1,s));switch(n){case"ArrowUp":return{...t,concept:o(-1)};case"ArrowDown":return{...t,concept:o(1)};case"PageUp":return{...t,concept:o(-5)};case"PageDown":return{...t,concept:o(5)};case"ArrowLeft":return{...t,layer:i(t.layer-1)};case"ArrowRight":return{...t,layer:i(t.layer+1)};case"Home":return{...t,layer:0};case"End":return{...t,layer:i(e.layers-1)};default:return null}}var C=e=>e.anchor<e.active?[e.anchor,e.active]:[e.active,e.anchor],H=e=>({concept:e.concept,layer:e.active});function Ht(e,t,n){if(e.concepts.length===0||e.layers.length===0)return null;let r=Math.max(0,e.concepts.indexOf(t.concept)),o=Math.max(0,e.layers.indexOf(t.layer)),s=t.window[0]===e.layers[o]?e.layers.indexOf(t.window[1]??t.layer):o,a={concept:r,anchor:Math.max(o,s),active:o};return n?.concept===r&&String(C(n))===String(C(a))?n:a}function Dt(e,t){let[n,r]=C(t).map(o=>e.layers[o]??0);return{concept:e.concepts[t.concept]??"",layer:n,window:[n,r]}}function mt(e,t,n){return n&&e?{...e,active:t.layer}:{concept:t.concept,anchor:t.layer,active:t.layer}}function zt(e,t,n){return{...t,active:Math.max(0,Math.min(e.layers-1,ct(e,n)))}}function It(e,t,n,r){if(n==="Escape")return t.anchor===t.active?null:{...t,anchor:t.active};let o=Ot(e,H(t),n);return o&&mt(t,o,r&&o.concept===t.concept)}function jt(e,t){let[n,r]=C(t);return e.layers.slice(n,r+1)}function Ut(e){if(typeof e=="number")return Number.isFinite(e)?String(Number(e.toPrecision(7))):"";let t=/^[=+\-@\t\r]/.test(e)?`'${e}`:e;return/[",\n\r]/.test(t)?`"${t.replaceAll('"','""')}"`:t}function Wt(e,t,n){let r=e.controls[e.against]??"random",o=["concept","category","layer","strength","strength_unit","metric","average","against"],i=["difference","low","high","unit","n","clear_of_controls"],s=e.controls.flatMap(l=>[`${l}_mean`,`${l}_low`,`${l}_high`]),a=[[...o,...i,...s].map(Ut).join(",")];for(let l of jt(e,t))e.strengths.forEach((c,p)=>{let m=k(e,{concept:t.concept,layer:e.layers.indexOf(l)},p),d=b(e.clear,m),u=[e.concepts[t.concept]??"",e.categories[t.concept]??"",l,c,n.strengthUnit,n.metric,n.average,r,b(e.value,m),b(e.low,m),b(e.high,m),n.unit,b(e.n,m),Number.isFinite(d)?d?"true":"false":"",...e.controls.flatMap((v,g)=>[e.control,e.controlLow,e.controlHigh].map(f=>O(e,f,g,m)))];a.push(u.map(Ut).join(","))});return`${a.join(`
`)}
`}var L=e=>JSON.stringify(e),Le=e=>Number.isInteger(e)?e.toFixed(1):String(e);function Ne(e){if(e.average==="single")return`mp.effect(grid.isel(sample=[${e.sample}]), ${L(e.metric)})`;let t=e.average==="median"?', average="median"':"";return`mp.effect(grid, ${L(e.metric)}${t})`}function Gt(e,t,n,r){let{told:o}=r,i=L(e.concepts[t.concept]??""),s=jt(e,t),a=Le(e.strengths[n]??0),l=o.tokens?.length?`(${o.tokens.map(g=>`${L(g)},`).join(" ")})`:"...",c=[`unit=${L(o.unit??r.strengthUnit)}`,`tokens=${l}`];o.operation&&o.operation!=="add"&&c.push(`operation=${L(o.operation)}`),o.to&&c.push(`to=vectors.sel(concept=${L(o.to)})`);let p=typeof o.prompt=="string"?L(o.prompt):"None",m=e.controls[e.against]??"random",d=`effect.sel(concept=${i}, layer=[${s.join(", ")}], strength=${a})`,u=m==="random"?'[["difference", "low", "high"]]':`.sel(control=${L(m)})`;return["import mllm_probe as mp","",(o.bundled?`model = mp.load(${L(o.model)})`:`# model: ${o.model??"the one of the grid"}`).replace(/[\r\n]+/g," "),"# vectors, grid and image are those of this map",`steering = mp.Steering(vectors.sel(concept=${i}), layers=[${s.join(", ")}], strength=${a}, ${c.join(", ")})`,`rows = [None, steering, steering.control("random", seed=${o.seed??0})]`,`print(mp.generate(model, image, ${p}, steering=rows, max_new_tokens=${o.max_new_tokens??16}))`,"",`effect = ${Ne(r)}`,`print(${d}${u}.to_dataframe())`,""].join(`
`)}async function Vt(e){try{return await navigator.clipboard.writeText(e),!0}catch{return!1}}var Fe={zero:[247,248,249],positive:[178,73,10],negative:[31,95,180]},Re={zero:[34,39,46],positive:[255,166,87],negative:[88,166,255]};function _e(e){let t=e.match(/[\d.]+/g)?.map(Number)??[];if(t.length<3||t[3]===0)return 1;let[n=0,r=0,o=0]=t.slice(0,3).map(i=>(i/255)**2.2);return .2126*n+.7152*r+.0722*o}function Kt(e){let t=getComputedStyle(e),n=_e(t.backgroundColor)<.25,r=o=>t.getPropertyValue(o).trim()||t.color;return{dark:n,ink:r("--mp-ink"),soft:r("--mp-soft"),faint:r("--mp-faint"),line:r("--mp-line"),brand:r("--mp-brand"),font:t.fontFamily,...n?Re:Fe}}function Bt(e){let t=()=>setTimeout(e,30),n=new MutationObserver(t),r=["data-jp-theme-name","data-jp-theme-light","data-vscode-theme-id","data-theme","class"];n.observe(document.body,{attributes:!0,attributeFilter:r}),n.observe(document.documentElement,{attributes:!0,attributeFilter:r});let o=matchMedia("(prefers-color-scheme: dark)");return o.addEventListener("change",t),()=>{n.disconnect(),o.removeEventListener("change",t)}}function I(e,t,n){let r=t>0?Math.max(-1,Math.min(1,e/t)):0,o=r>0?n.positive:n.negative,i=s=>Math.round(n.zero[s]+(o[s]-n.zero[s])*Math.abs(r));return[i(0),i(1),i(2)]}var U=e=>`rgb(${e[0]},${e[1]},${e[2]})`;var j=128;function Xt(e){return Array.from({length:2*j+1},(t,n)=>I(n-j,j,e))}function J(e,t,n){let r=Math.round(6*n),o=document.createElement("canvas");o.width=r,o.height=r;let i=o.getContext("2d");if(!i)return null;i.strokeStyle=t.dark?"rgba(255,255,255,.22)":"rgba(60,70,84,.26)",i.lineWidth=n*.8,i.beginPath();for(let a of[-r,0,r])i.moveTo(a,r),i.lineTo(a+r,0);i.stroke();let s=e.createPattern(o,"repeat");return s?.setTransform(new DOMMatrix([1/n,0,0,1/n,0,0])),s}function D(e,t,n){if(e.measureText(t).width<=n)return t;let r=t;for(;r.length>1&&e.measureText(`${r}\u2026`).width>n;)r=r.slice(0,-1);return`${r}\u2026`}function V(e,t,n){let r=window.devicePixelRatio||1;(e.width!==Math.round(t*r)||e.height!==Math.round(n*r))&&(e.width=Math.round(t*r),e.height=Math.round(n*r),e.style.width=`${t}px`,e.style.height=`${n}px`);let o=e.getContext("2d");return o?.setTransform(r,0,0,r,0,0),o&&(o.textBaseline="middle"),o}var Yt=4,Jt=Math.PI/3.2,Zt=Math.sin(Jt);function qt(e,t,n){let r=Math.min(n,t*.3)+12,o=Math.max(5,Math.min(22,Math.floor((t-r-30)/Math.max(1,e)))),i=Math.min(n,110)*Zt+14;return{left:r,top:i,cell:o,width:t,height:i+e*o+4}}var ht=({values:e,concepts:t},n,r,o)=>e[(n*t.length+r)*Yt+o]??Number.NaN;function Pe(e,t,n){let[r,o,i,s]=[0,1,2,3].map(m=>ht(e,t,n,m)),a=`${e.concepts[t]} steered, ${e.concepts[n]} scored`;if(!Number.isFinite(r))return`${a}: not run yet`;let l=z(Math.abs(r)||1),c=Number.isFinite(o)?` [${w(o,l)}, ${w(i,l)}]`:"",p=s?"clear of the random directions":"not clear of the random directions";return`${a}: ${w(r,l)} nats${c} \xB7 ${p}`}var Z=class{element;canvas=h("canvas",{class:"mp-canvas",tabindex:0,role:"application","data-testid":"off-target"});read=h("p",{class:"mp-note",role:"status","data-testid":"off-target-cell"});matrix={concepts:[],values:new Float32Array(0)};layout=qt(0,0,0);at=[0,0];again=()=>{};constructor(){this.canvas.setAttribute("aria-label","Effect of each steered concept (rows) on each scored concept (columns)"),this.element=h("div",{class:"mp-off-target"},this.canvas,this.read),this.canvas.addEventListener("pointermove",t=>{let{left:n,top:r,cell:o}=this.layout;this.move(Math.floor((t.offsetY-r)/o),Math.floor((t.offsetX-n)/o))}),this.canvas.addEventListener("keydown",t=>{let n={ArrowUp:[-1,0],ArrowDown:[1,0],ArrowLeft:[0,-1],ArrowRight:[0,1]}[t.key];n&&(t.preventDefault(),this.move(this.at[0]+(n[0]??0),this.at[1]+(n[1]??0)))})}move(t,n){let r=this.matrix.concepts.length;t<0||n<0||t>=r||n>=r||(this.at=[t,n],this.again())}draw(t,n,r,o){t.values!==this.matrix.values&&(this.at=[n,this.at[1]]),(this.at[0]>=t.concepts.length||this.at[1]>=t.concepts.length)&&(this.at=[0,0]),this.matrix=t,this.again=()=>this.draw(t,n,r,o);let i=this.canvas.getContext("2d");i&&(i.font=`11px ${o.font}`);let s=t.concepts.map(l=>i?.measureText(l).width??50);this.layout=qt(t.concepts.length,r,Math.min(140,Math.max(30,...s)));let a=V(this.canvas,this.layout.width,this.layout.height);a&&(a.clearRect(0,0,this.layout.width,this.layout.height),this.paintNames(a,n,o),this.paintPairs(a,o),this.read.textContent=Pe(t,...this.at))}paintNames(t,n,r){let{left:o,top:i,cell:s}=this.layout,a=Math.ceil(11/s);t.font=`11px ${r.font}`,this.matrix.concepts.forEach((l,c)=>{c%a&&c!==n||(t.fillStyle=c===n||c===this.at[0]?r.ink:r.soft,t.textAlign="right",t.fillText(D(t,l,o-10),o-6,i+(c+.5)*s),t.fillStyle=c===this.at[1]?r.ink:r.soft,t.save(),t.translate(o+(c+.5)*s,i-5),t.rotate(-Jt),t.textAlign="left",t.fillText(D(t,l,(i-10)/Zt),0,0),t.restore())})}paintPairs(t,n){let{left:r,top:o,cell:i}=this.layout,s=this.matrix.concepts.length,a=this.matrix.values.filter((m,d)=>d%Yt===0),l=q(a,"nats",_),c=J(t,n,window.devicePixelRatio||1),p=new Path2D;for(let m=0;m<s;m+=1)for(let d=0;d<s;d+=1){let u=ht(this.matrix,m,d,0);if(!Number.isFinite(u))continue;t.fillStyle=U(I(u,l,n));let v=[r+d*i,o+m*i,i-1,i-1];t.fillRect(...v),ht(this.matrix,m,d,3)===0&&p.rect(...v)}c&&(t.fillStyle=c,t.fill(p)),t.strokeStyle=n.brand,t.lineWidth=2,t.strokeRect(r+this.at[1]*i-.5,o+this.at[0]*i-.5,i,i),t.lineWidth=1}};var Q=class{constructor(t,n){this.model=t;this.choose=n;let r=h("button",{type:"button","data-testid":"copy-csv"},"Copy CSV"),o=h("button",{type:"button","data-testid":"copy-code"},"Copy code");r.addEventListener("click",()=>this.copy("CSV")),o.addEventListener("click",()=>this.copy("code")),this.view.addEventListener("change",()=>{t.set("detail",this.view.value),t.save_changes()}),y(this.text,!1);let i=h("div",{class:"mp-head"},this.title,this.view,r,o);this.element=h("div",{class:"mp-detail"},i,this.figure,this.legend,this.offTarget.element,this.told,this.text),y(this.element,!1)}model;choose;element;title=h("h3",{"data-testid":"detail-title"});view=h("select",{"aria-label":"view of the selected cell","data-testid":"detail"},h("option",{value:"dose_response"},"dose response"),h("option",{value:"off_target"},"off target"));figure=h("div",{class:"mp-figure"});legend=h("p",{class:"mp-note mp-legend"});offTarget=new Z;told=h("p",{class:"mp-note",role:"status","data-testid":"copy-status"});text=h("textarea",{class:"mp-copied",readonly:!0,rows:6,"aria-label":"copied text","data-testid":"copied"});key="";matrix={bytes:null,values:new Float32Array(0)};now=null;shown(){let t=this.model.get("told");return{metric:t.metric??this.model.get("metric"),unit:this.model.get("unit"),strengthUnit:this.model.get("strength_unit"),average:t.average??"mean",sample:t.sample??0,told:t}}async copy(t){if(!this.now)return;let{cells:n,selection:r,strength:o}=this.now,i=t==="CSV"?Wt(n,r,this.shown()):Gt(n,r,o,this.shown());this.model.set("copied",i),this.model.save_changes();let s=await Vt(i);this.told.textContent=s?`Copied as ${t}.`:"The page may not use the clipboard; the text stands below.",this.text.value=i,y(this.text,!s),s||this.text.select()}draw(t,n,r,o,i,s){let a=n!==null&&t.value.some(Number.isFinite);if(y(this.element,a),!n||!a)return;this.now={cells:t,selection:n,strength:r};let l=this.model.get("has_off_target"),c=l?this.model.get("detail"):"dose_response",p=JSON.stringify([n,r,c,o]);if(!s&&p===this.key)return;this.key=p,y(this.view,l),this.view.value=c;let m=c==="off_target";y(this.figure,!m),y(this.legend,!m),y(this.offTarget.element,m),m?this.drawOffTarget(t,n,o,i):this.drawCurve(t,n,r,o)}drawCurve(t,n,r,o){let i=H(n),s=t.concepts[i.concept]??"";this.title.textContent=`Dose response \xB7 ${s} \xB7 layer ${t.layers[i.layer]??""}`;let a=this.model.get("unit"),l={width:o,concept:s,unit:a,strengthUnit:this.model.get("strength_unit"),strength:r};this.figure.replaceChildren(Pt(Nt(t,i),l,this.choose));let c=[h("span",{},h("i",{class:"mp-key mp-key-effect"}),"beyond the ",N(t.controls[t.against]??"random")),h("span",{},h("i",{class:"mp-key mp-key-hollow"}),"hollow: not clear"),...t.controls.map(d=>h("span",{},h("i",{class:`mp-key mp-key-${d}`}),N(d)))];this.legend.replaceChildren(...c);let[p,m]=C(n);p!==m&&this.legend.append(h("span",{},"the layer in hand; a window steers all its layers at once"))}drawOffTarget(t,n,r,o){let i=this.model.get("off_target");i!==this.matrix.bytes&&(this.matrix={bytes:i,values:T(i)});let[s,a]=this.model.get("off_target_at"),l=`layer ${s??"\u2013"} \xB7 ${$(a??0)} ${E(this.model.get("strength_unit"))}`;this.title.textContent=`Off target \xB7 ${l}`,this.offTarget.draw({concepts:t.concepts,values:this.matrix.values},n.concept,r,o)}};var dt=e=>`10px ${e}`;function te(e,{layout:t},n){e.fillStyle=n.faint,e.font=dt(n.font);for(let r of t.groups){if(t.headings){e.textAlign="left",e.fillText(D(e,P(r.category),t.width-2),2,r.top-16/2);continue}e.save(),e.translate(8,r.top+r.height/2),e.rotate(-Math.PI/2),e.textAlign="center",e.fillText(P(r.category),0,0),e.restore()}}var Qt=(e,t)=>((e.edges[t]??0)+(e.edges[t+1]??0))/2;function ee(e,t,n){let{layout:r,cells:o,columns:i,hover:s,selection:a}=t;e.textAlign="center";let l=i==="relative_depth"&&o.depths.length===o.layers.length,[c,p]=s?[s.layer,s.layer]:a?C(a):[-1,-1],m=l?26:18,d=Number.NEGATIVE_INFINITY,u=Qt(r,c);o.layers.forEach((v,g)=>{let f=Qt(r,g),x=g>=c&&g<=p;g!==c&&(f-d<m||Math.abs(f-u)<(c<0?0:m))||(d=f,e.font=`${x?"600 ":""}10.5px ${n.font}`,e.fillStyle=x?n.ink:n.faint,e.fillText(l?(o.depths[g]??0).toFixed(2).replace(/^0(?=\.)/,""):String(v),f,8))}),e.font=`10.5px ${n.font}`,e.fillStyle=n.faint,e.textAlign="right",e.fillText(l?"depth":"layer",r.left-7,8)}function ne(e,t,n){let{layout:r,limit:o,unit:i}=t,s=Math.min(r.layers*r.cellWidth,420),a=r.legendTop,l=e.createLinearGradient(r.left,0,r.left+s,0);for(let p=0;p<=8;p+=1)l.addColorStop(p/8,U(I(-o+o*p/4,o,n)));e.fillStyle=l,e.fillRect(r.left,a,s,7);let c=X(o);e.fillStyle=n.faint,e.font=`10.5px ${n.font}`,e.textAlign="left",e.fillText(it(-o,c),r.left,a+15),e.textAlign="center",e.fillText("0",r.left+s/2,a+15),e.textAlign="right",e.fillText(`${w(o,c)} ${i}`.trim(),r.left+s,a+15),e.textAlign="left",e.fillText(D(e,t.note,r.width-r.left),r.left,a+31)}var tt=class{cut=new Map;forget(){this.cut.clear()}paint(t,{layout:n,cells:r,hover:o,selection:i},s){t.textAlign="right",t.fillStyle=s.ink;let a=o?.concept??i?.concept;for(let l of[!1,!0]){t.font=`${l?"600 ":""}${n.fontSize}px ${s.font}`;for(let c of n.rows){if(c.concept===a!==l)continue;let p=this.fitting(t,l,c.concept,r.concepts[c.concept]??"",n.nameRoom);t.fillText(p,n.left-7,c.y+n.rowHeight/2)}}}fitting(t,n,r,o,i){let s=`${r} ${n}`,a=this.cut.get(s);if(a!==void 0)return a;let l=D(t,o,i);return this.cut.set(s,l),l}};function He(e,t,n,r,o){let i=new Uint8ClampedArray(t.rows.length*t.layers*4),s=0;for(let{concept:a}of t.rows)for(let l=0;l<t.layers;l+=1,s+=4){let c=b(e.value,k(e,{concept:a,layer:l},n));if(!Number.isFinite(c))continue;let p=o[Math.round(Math.max(-1,Math.min(1,c/r))*j)+j];p&&(i[s]=p[0],i[s+1]=p[1],i[s+2]=p[2],i[s+3]=255)}return i}function ut(e,t){let n=[],r=-1;for(let o=0;o<=e;o+=1){let i=o<e&&t(o);i&&r<0&&(r=o),!(i||r<0)&&(n.push([r,o]),r=-1)}return n}var et=class{image=document.createElement("canvas");hatch=null;paint(t,n,r,o,i,s){if(r.layers===0||r.rows.length===0)return;this.fill(He(n,r,o.strength,o.limit,s),r),this.stretch(t,r);let a=(c,p)=>k(n,{concept:r.rows[c]?.concept??0,layer:p},o.strength),l=(c,p)=>Number.isFinite(b(n.value,a(c,p)));this.paintHatching(t,r,i,(c,p)=>l(c,p)&&b(n.clear,a(c,p))===0),De(t,r,i,(c,p)=>!l(c,p)),ze(t,r)}fill(t,{layers:n,rows:r}){let{image:o}=this;(o.width!==n||o.height!==r.length)&&Object.assign(o,{width:n,height:r.length}),o.getContext("2d")?.putImageData(new ImageData(t,n,r.length),0,0)}stretch(t,{groups:n,rows:r,rowHeight:o,edges:i,cellWidth:s,layers:a}){let c=i.every((m,d)=>d===0||m-(i[d-1]??0)===s)?[[0,a]]:Array.from({length:a},(m,d)=>[d,d+1]);t.imageSmoothingEnabled=!1;let p=0;for(let m of n){let d=m.height/o;for(let[u=0,v=0]of c){let g=i[u]??0,f=[g,r[p]?.y??0,(i[v]??g)-g,m.height];t.drawImage(this.image,u,p,v-u,d,...f)}p+=d}}paintHatching(t,n,r,o){let i=window.devicePixelRatio||1;(this.hatch?.theme!==r||this.hatch.ratio!==i)&&(this.hatch={theme:r,ratio:i,pattern:J(t,r,i)}),this.hatch.pattern&&(t.fillStyle=this.hatch.pattern,n.rows.forEach(({y:s},a)=>{for(let[l,c]of ut(n.layers,p=>o(a,p))){let p=n.edges[l]??0;t.fillRect(p,s,(n.edges[c]??p)-p,n.rowHeight)}}))}},ft=e=>e.cellWidth>8?1:0;function De(e,t,n,r){let{rows:o,rowHeight:i,edges:s,layers:a,groups:l}=t,c=new Path2D;o.forEach(({y:m},d)=>{for(let[u,v]of ut(a,g=>r(d,g))){let[g,f]=[s[u]??0,(s[v]??0)-ft(t)];c.rect(g,m,f-g,1),c.rect(g,m+i-2,f-g,1)}});let p=0;for(let m of l){let d=m.height/i;for(let u=0;u<a;u+=1)for(let[v,g]of ut(d,f=>r(p+f,u))){let f=o[p+v]?.y??0,x=(g-v)*i-1;c.rect(s[u]??0,f,1,x),c.rect((s[u+1]??0)-ft(t)-1,f,1,x)}p+=d}e.fillStyle=n.line,e.globalAlpha=.55,e.fill(c),e.globalAlpha=1}function ze(e,t){let{rows:n,rowHeight:r,edges:o,left:i,groups:s}=t,a=o.at(-1)??i;for(let{y:p}of n)e.clearRect(i,p+r-1,a-i,1);let l=ft(t);if(!l)return;let c=0;for(let p of s){let m=n[c]?.y??0;for(let d of o.slice(1))e.clearRect(d-l,m,l,p.height);c+=p.height/r}}var re={offset:52,width:44};function oe(e,t,n){let{layout:r,cells:o,strength:i}=t;if(r.margin!==null){e.textAlign="left",e.fillStyle=n.faint,e.font=`10.5px ${n.font}`,e.fillText("peak \xB7 spread",r.margin,8),e.font=`${Math.min(11.5,r.fontSize)}px ${n.font}`,e.fillStyle=n.soft,e.strokeStyle=n.brand,e.lineWidth=1.2,e.beginPath();for(let s of r.rows){let a=Tt(o,s.concept,i),l=At(a);if(!l)continue;let c=`${o.layers[l.peak]} \xB7 ${l.effective.toFixed(1)}`;e.fillText(c,r.margin,s.y+r.rowHeight/2);let p=a.map(u=>Number.isFinite(u)?Math.abs(u):0),m=Math.max(...p,1e-9),d=re.width/Math.max(1,a.length-1);for(let[u,v]of p.entries()){let g=r.margin+re.offset+u*d,f=s.y+r.rowHeight-4-v/m*(r.rowHeight-7);u?e.lineTo(g,f):e.moveTo(g,f)}}e.stroke(),e.lineWidth=1}}function ie(e,t,n,r){let{layout:o,cells:i,strength:s,limit:a}=t,l=Et(i,s),c=l.filter(Number.isFinite);if(c.length===0)return;let[p,m]=[Math.min(0,...c),Math.max(0,...c)],d=m-p||1,u=o.profileTop+m/d*20,v=(r.length-1)/2,g=o.cellWidth>8?3:1;l.forEach((x,R)=>{if(!Number.isFinite(x))return;let S=o.edges[R]??0,F=Math.max(1,(o.edges[R+1]??S)-S-g),K=Math.abs(x)/d*20,me=Math.max(.55,Math.min(1,Math.abs(x)/a)),wt=r[Math.round(v+Math.sign(x)*v*me)];wt&&(e.fillStyle=U(wt)),e.fillRect(S+(g-1)/2,x>0?u-K:u,F,K)});let f=o.edges.at(-1)??o.left;e.fillStyle=n.line,e.fillRect(o.left,u,f-o.left,1),e.fillStyle=n.faint,e.font=`10.5px ${n.font}`,e.textAlign="right",e.fillText("mean",o.left-7,o.profileTop+20/2)}var Ie=4,nt=class{constructor(t){this.canvas=t;this.element=h("div",{class:"mp-layers"},t,this.over)}canvas;element;over=h("canvas",{class:"mp-over-map","aria-hidden":"true"});grid=new et;names=new tt;colours=[];theme=null;stale=!0;around=[];invalidate(){this.stale=!0}paint(t,n){n!==this.theme&&(this.colours=Xt(n)),this.theme=n,this.stale&&this.paintData(t,n),this.stale=!1;let{cells:r,layout:o,columns:i,selection:s,hover:a,focused:l}=t,c=[r.concepts,r.layers,o,n,i,s,a,l];c.every((p,m)=>p===this.around[m])||(c.slice(0,Ie).some((p,m)=>p!==this.around[m])&&this.names.forget(),this.around=c,this.paintOver(t,n))}paintData(t,n){let{width:r,height:o}=t.layout,i=V(this.canvas,r,o);i&&(i.clearRect(0,0,r,o),this.grid.paint(i,t.cells,t.layout,t,n,this.colours),te(i,t,n),oe(i,t,n),ie(i,t,n,this.colours),ne(i,t,n))}paintOver(t,n){let{width:r,height:o}=t.layout,i=V(this.over,r,o);i&&(i.clearRect(0,0,r,o),this.names.paint(i,t,n),ee(i,t,n),t.hover&&bt(i,t,[t.hover.layer,t.hover.layer],t.hover.concept,n.soft,1),t.selection&&Ue(i,t,t.selection,n))}};function bt(e,{layout:t},[n,r],o,i,s){let a=t.rows.find(p=>p.concept===o);if(!a)return;let l=t.edges[n]??0,c=t.edges[r+1]??l;e.strokeStyle=i,e.lineWidth=s,e.strokeRect(l-.5,a.y-.5,c-l,t.rowHeight),e.lineWidth=1}function Ue(e,t,n,r){let o=C(n);if(bt(e,t,o,n.concept,r.brand,t.focused?3:2),o[0]===o[1])return;let{layer:i,concept:s}=H(n);bt(e,t,[i,i],s,r.brand,1);let a=t.layout.edges[o[0]]??0,l=t.layout.edges[o[1]+1]??a;e.fillStyle=r.brand,e.fillRect(a,t.layout.top-3,l-a-1,2)}function se(e,t,n,r){let o=k(e,t,n),i=b(e.value,o),s=z(r.limit),a=r.unit?` ${r.unit}`:"",l=[{text:e.concepts[t.concept]??"",kind:"strong"},{text:`layer ${e.layers[t.layer]??"\u2013"}`,kind:"normal"},...r.byDepth?[{text:`depth ${(e.depths[t.layer]??0).toFixed(2)}`,kind:"soft"}]:[],...r.window?[{text:`window ${r.window.join("\u2013")}`,kind:"soft"}]:[],{text:`${$(e.strengths[n]??0)} ${E(r.strengthUnit)}`,kind:"soft"}];if(!Number.isFinite(i))return[...l,{text:"not run yet, or not defined here",kind:"soft"}];l.push({text:`${w(i,s)}${a}`,kind:"strong"});let c=(f,x)=>`[${w(f,s)}, ${w(x,s)}]`,[p,m]=[b(e.low,o),b(e.high,o)];Number.isFinite(p)&&l.push({text:c(p,m),kind:"soft"});let d=b(e.n,o);Number.isFinite(d)&&l.push({text:`n = ${d} ${d===1?"picture":"pictures"}`,kind:"soft"});let u=f=>O(e,f,e.against,o),v=u(e.control);if(Number.isFinite(v)){let[f,x]=[u(e.controlLow),u(e.controlHigh)],R=Number.isFinite(f)?` ${c(f,x)}`:"",S=N(e.controls[e.against]??"random").replace(/s$/,"");l.push({text:`${S} ${w(v,s)}${R}`,kind:"soft"})}let g=b(e.clear,o);return Number.isFinite(g)&&l.push({text:g?"clear of the controls":"not clear of the controls",kind:"soft"}),l}var rt=class{element=h("div",{class:"mp-read",id:B("cell"),"data-testid":"heatmap-cell",role:"status","aria-live":"polite"});key="";draw(t,n,r,o){if(!n){this.element.textContent="Waiting for the first cells.",this.key="";return}let i=se(t,n,r,o);this.tell(t,n,r);let s=JSON.stringify(i);if(this.key===s)return;this.key=s;let a=i.flatMap((l,c)=>{let p=l.kind==="strong"?h("b",{},l.text):h("span",{class:l.kind},l.text);return c?[l.text.startsWith("[")?" ":" \xB7 ",p]:[p]});this.element.replaceChildren(...a)}tell(t,n,r){let o=b(t.value,k(t,n,r)),i=this.element.dataset;i.concept=t.concepts[n.concept]??"",i.layer=String(t.layers[n.layer]??""),i.strength=String(t.strengths[r]??""),i.value=Number.isFinite(o)?String(o):""}};var ot=class{constructor(t){this.choose=t;this.input.id=B("strength"),this.label.htmlFor=this.input.id,this.element=h("div",{class:"mp-scrubber"},this.label,h("div",{class:"mp-track"},this.input,this.stops)),this.input.addEventListener("input",()=>t(Number(this.input.value)))}choose;element;input=h("input",{type:"range",min:0,step:1,"data-testid":"heatmap-strength"});label=h("label",{});stops=h("div",{class:"mp-stops","aria-hidden":!0});key="";draw(t,n,r){let o=JSON.stringify([t,n]);o!==this.key&&this.fill(t,n),this.key=o,y(this.element,t.length>1),this.input.value!==String(r)&&(this.input.value=String(r));let i=`${$(t[r]??0)} ${E(n)}`;this.input.getAttribute("aria-valuetext")!==i&&(this.input.setAttribute("aria-valuetext",i),this.stops.querySelectorAll("span").forEach((s,a)=>{s.toggleAttribute("data-current",a===r)}))}fill(t,n){this.label.textContent=`strength ${E(n)}`,this.input.max=String(t.length-1),this.input.removeAttribute("aria-valuetext");let r=Math.max(1,t.length-1),o=Math.ceil(t.length/9),i=t.map((s,a)=>{let l=h("span",{style:`left: ${100*a/r}%`},a%o?"":$(s));return l.addEventListener("click",()=>this.choose(a)),l});this.stops.replaceChildren(...i)}};var ae=["concepts","categories","layers","relative_depths","columns"],le=["values","low","high","n","clear","control","control_low","control_high","off_target","strengths","unit","strength_unit","controls","told","has_off_target","off_target_at"],ce=["metric","metrics","metric_labels","against","controls","average","average_labels","sample","samples","columns","relative_depths","strengths","strength_unit"],pe=["concept","layer","window","strength","progress","status","message","detail"];function vt(e){let t=e.get("controls");return{concepts:e.get("concepts"),categories:e.get("categories"),layers:e.get("layers"),depths:e.get("relative_depths"),strengths:e.get("strengths"),value:T(e.get("values")),low:T(e.get("low")),high:T(e.get("high")),n:T(e.get("n")),clear:T(e.get("clear")),controls:t,against:Math.max(0,t.indexOf(e.get("told").against??"random")),control:T(e.get("control")),controlLow:T(e.get("control_low")),controlHigh:T(e.get("control_high"))}}var yt="Effect by concept and layer",xt=class{constructor(t,n,r){this.model=t;this.root=kt(Mt+Ct,"heatmap",yt),this.choices=new Y(t),this.detail=new Q(t,a=>this.setStrength(a)),this.canvas.setAttribute("aria-label",`${yt}; arrow keys move, with shift they select a window of layers; values are read above`),this.canvas.setAttribute("aria-describedby",this.reading.element.id);let i=h("div",{class:"mp-head"},h("h3",{},yt),this.count,this.choices.metric),s=h("div",{class:"mp-row"},this.scrubber.element,this.choices.row);this.root.append(i,s,this.reading.element,this.bar,this.painter.element,this.error,this.detail.element),n.append(this.root),this.cells=vt(t),this.listen(r),this.redraw()}model;root;choices;scrubber=new ot(t=>this.setStrength(t));detail;count=h("span",{class:"mp-count","data-testid":"heatmap-status"});canvas=h("canvas",{class:"mp-canvas mp-map","data-testid":"heatmap",tabindex:0,role:"application"});reading=new rt;bar=h("div",{class:"mp-progress",role:"progressbar","aria-label":"progress"},h("i"));error=h("p",{class:"mp-error",role:"alert","data-testid":"heatmap-error"});painter=new nt(this.canvas);cells;layout=lt([],0,{width:0,nameWidth:60});theme=null;limit=1;hover=null;selection=null;dragging=!1;width=0;pending=0;drawn=-1;stale={frame:!0,numbers:!0,choices:!0,theme:!0};listen(t){let{model:n,canvas:r}=this,o=[[ae,()=>this.redraw("frame")],[le,()=>this.redraw("numbers")],[ce,()=>this.redraw("choices")],[pe,()=>this.redraw()]];for(let[a,l]of o)for(let c of a)n.on(`change:${c}`,l);let i=new ResizeObserver(()=>this.redraw("theme"));i.observe(this.root);let s=Bt(()=>this.redraw("theme"));t.addEventListener("abort",()=>{for(let[a,l]of o)for(let c of a)n.off(`change:${c}`,l);i.disconnect(),s(),cancelAnimationFrame(this.pending)}),r.addEventListener("pointerdown",a=>this.onDown(a)),r.addEventListener("pointermove",a=>this.onMove(a)),r.addEventListener("pointerup",()=>this.onUp()),r.addEventListener("pointercancel",()=>this.onCancel()),r.addEventListener("pointerleave",()=>this.setHover(null)),r.addEventListener("keydown",a=>this.onKey(a)),r.addEventListener("focus",()=>this.redraw()),r.addEventListener("blur",()=>this.redraw())}onDown(t){let n=pt(this.layout,t.offsetX,t.offsetY);!n||t.button!==0||(this.selection=mt(this.selection,n,t.shiftKey),this.dragging=!0,this.canvas.setPointerCapture(t.pointerId),this.redraw())}onMove(t){if(!this.dragging||!this.selection){this.setHover(pt(this.layout,t.offsetX,t.offsetY));return}this.hover=null,this.selection=zt(this.layout,this.selection,t.offsetX),this.redraw()}onUp(){this.dragging&&(this.dragging=!1,this.commit())}onCancel(){this.dragging=!1,this.selection=null,this.redraw()}onKey(t){if(t.ctrlKey||t.metaKey||t.altKey)return;let n=this.selection?It(this.layout,this.selection,t.key,t.shiftKey):null;if(n)this.hover=null,this.selection=n,this.commit();else if(t.key==="+"||t.key==="-")this.setStrength(this.strength()+(t.key==="+"?1:-1));else return;t.preventDefault(),t.stopPropagation()}strength(){return Lt(this.cells.strengths,this.model.get("strength"))}setHover(t){t?.concept===this.hover?.concept&&t?.layer===this.hover?.layer||(this.hover=t,this.redraw())}commit(){if(this.selection){for(let[t,n]of Object.entries(Dt(this.cells,this.selection)))this.model.set(t,n);this.model.save_changes(),this.redraw()}}setStrength(t){let n=this.cells.strengths[Math.max(0,Math.min(this.cells.strengths.length-1,t))];n===void 0||n===this.model.get("strength")||(this.model.set("strength",n),this.model.save_changes(),this.redraw())}redraw(t){t&&(this.stale[t]=!0),!this.pending&&(this.pending=requestAnimationFrame(()=>{this.pending=0,this.draw()}))}takeIn(){let{model:t,stale:n}=this;if((n.frame||n.numbers)&&(this.cells=vt(t),this.limit=q(this.cells.value,t.get("unit"),_)),n.choices&&this.choices.draw(),(n.theme||!this.theme)&&(this.theme=Kt(this.root)),(n.frame||n.theme)&&this.measure(n.frame),!this.dragging){let r={concept:t.get("concept"),layer:t.get("layer"),window:t.get("window")};this.selection=Ht(this.cells,r,this.selection)}return this.theme}measure(t){let n=getComputedStyle(this.root),r=Math.floor(this.root.clientWidth-Number.parseFloat(n.paddingLeft)*2);if(r===this.width&&!t||r<=0)return;this.width=r,this.stale.numbers=!0;let o=this.canvas.getContext("2d");o&&(o.font=`600 12px ${n.fontFamily}`);let i=this.cells.concepts.map(m=>o?.measureText(m).width??60),s=Math.min(170,Math.max(40,...i));o&&(o.font=dt(n.fontFamily));let a=this.cells.categories.map(m=>[m,o?.measureText(P(m)).width??0]),l=this.model.get("columns")==="relative_depth",c=new Map(a),p={width:r,nameWidth:s,categoryWidths:c,...l&&{depths:this.cells.depths}};this.layout=lt(this.cells.categories,this.cells.layers.length,p)}draw(){let t=this.takeIn(),n=this.strength(),r=this.stale.frame||this.stale.numbers||this.stale.theme;(r||n!==this.drawn)&&this.painter.invalidate(),this.drawn=n;let o=N(this.cells.controls[this.cells.against]??"random"),i={cells:this.cells,layout:this.layout,strength:n,limit:this.limit,unit:this.model.get("unit"),columns:this.model.get("columns"),note:`beyond the ${o} \xB7 hatched: not clear of the controls`,selection:this.selection,hover:this.hover,focused:document.activeElement===this.canvas};this.painter.paint(i,t),this.placeCells(),this.drawReadout(n),this.scrubber.draw(this.cells.strengths,this.model.get("strength_unit"),n),this.detail.draw(this.cells,this.selection,n,this.width,t,r),this.drawState(),this.stale={frame:!1,numbers:!1,choices:!1,theme:!1}}placeCells(){let{left:t,cellWidth:n,rowHeight:r,rows:o}=this.layout,i=o[0]?.y??0;for(let[s,a]of Object.entries({left:t,top:i,cellWidth:n,rowHeight:r}))this.canvas.dataset[s]!==String(a)&&(this.canvas.dataset[s]=String(a))}drawReadout(t){let{model:n,cells:r}=this,[o,i]=!this.hover&&this.selection?C(this.selection):[0,0];this.reading.draw(r,this.hover??(this.selection&&H(this.selection)),t,{unit:n.get("unit"),strengthUnit:n.get("strength_unit"),limit:this.limit,window:o===i?void 0:[r.layers[o]??0,r.layers[i]??0],byDepth:n.get("columns")==="relative_depth"&&r.depths.length>0})}drawState(){let t=this.model.get("progress"),n=this.model.get("status"),r=n==="running",o=String(Math.round(t*100)),i=r?`${o} %`:n==="idle"?"":n;this.count.textContent!==i&&(this.count.textContent=i),this.root.dataset.status=n,this.bar.dataset.done=String(!r),this.bar.setAttribute("aria-valuenow",o),this.bar.firstElementChild.style.transform=`scaleX(${t})`;let s=this.model.get("message");this.error.textContent!==s&&(this.error.textContent=s),y(this.error,s!=="")}};function je({model:e,el:t,signal:n}){let r=new AbortController;return n?.addEventListener("abort",()=>r.abort()),new xt(e,t,r.signal),()=>r.abort()}var Ar={render:$t(je)};export{Ar as default};
