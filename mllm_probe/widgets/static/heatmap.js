var N=`.mp {
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
`;function d(t,e={},...n){let r=document.createElement(t);for(let[o,i]of Object.entries(e))i!==void 0&&i!==!1&&r.setAttribute(o,i===!0?"":String(i));return r.append(...n),r}var P=0;function H(t){return P+=1,`mp-${t}-${P}-${Math.random().toString(36).slice(2,8)}`}function z(t,e,n){let r=d("section",{class:`mp mp-${e}`,"aria-label":n,"data-lm-suppress-shortcuts":"true"});return r.append(d("style",{},t)),r.addEventListener("keydown",o=>o.stopPropagation()),r}function A(t,e){t.hidden=!e}function W(t){return!(t>0)||t>=100?t>=100?0:1:t>2?1:Math.min(5,2-Math.min(0,Math.floor(Math.log10(t))+1))}function D(t){return Number(t.toPrecision(2)).toString().split(".")[1]?.length??0}function T(t,e=1){if(!Number.isFinite(t))return"\u2013";let n=Math.abs(t).toFixed(e);return t<0&&Number(n)!==0?"\u2212"+n:n}function x(t,e=1){let n=T(t,e);return t>0&&Number(n)!==0?`+${n}`:n}function w(t){let e=Math.abs(t),n=e===.5?"\xBD":e===.25?"\xBC":String(Number(e.toFixed(3)));return t<0?"\u2212"+n:n}function M(t){return{residual:"\xD7 residual norm",vector:"\xD7 vector",raw:"\xD7 raw vector"}[t]??t}function O(t){if(!(t>0)||!Number.isFinite(t))return 1;let e=10**Math.floor(Math.log10(t));return([1,1.5,2,3,4,5,6,8,10].find(r=>r*e>=t*(1-1e-9))??10)*e}var k=t=>t.replaceAll("_"," ");var _=`.mp-chips {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 4px;
  margin: 0 0 8px;
}
.mp-chips > span {
  margin-right: 4px;
  color: var(--mp-faint);
  font-size: 12px;
}
.mp .mp-chips button {
  min-width: 30px;
  padding: 1px 8px;
  border-color: var(--mp-line);
  border-radius: 99px;
  color: var(--mp-soft);
  font-size: 12px;
}
.mp .mp-chips button[aria-checked="true"] {
  border-color: var(--mp-brand);
  color: var(--mp-brand);
  font-weight: 600;
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
`;function b(t){if(!t||t.byteLength===0)return new Float32Array(0);let e=t instanceof ArrayBuffer?t:t.buffer.slice(t.byteOffset,t.byteOffset+t.byteLength);return new Float32Array(e)}function v(t,e,n){return(e.concept*t.layers.length+e.layer)*t.strengths.length+n}function p(t,e){return t[e]??Number.NaN}function U(t,e,n){return t.layers.map((r,o)=>p(t.value,v(t,{concept:e,layer:o},n)))}var tt={nats:1,"":.1};function j(t,e,n){let r=Array.from(t).filter(Number.isFinite).map(Math.abs);if(r.length===0)return 1;r.sort((i,s)=>i-s);let o=r[Math.min(r.length-1,Math.floor(.98*r.length))]??1;return n(Math.max(o,tt[e]??0))}function G(t){let e=t.reduce((s,a)=>Math.abs(a)>Math.abs(s)?a:s,0),n=Math.sign(e),r=t.map(s=>Number.isFinite(s)?Math.max(0,n*s):0),o=r.reduce((s,a)=>s+a,0),i=r.reduce((s,a)=>s+a*a,0);return i===0?null:{peak:r.indexOf(Math.max(...r)),effective:o*o/i}}function I(t,e){let n=0;return t.forEach((r,o)=>{Math.abs(r-e)<Math.abs((t[n]??0)-e)&&(n=o)}),n}function et(t){let e=new Map;return t.forEach((n,r)=>{e.set(n,[...e.get(n)??[],r])}),[...e]}function rt(t){return t<=22?[19,12]:t<=36?[17,11.5]:[14,11]}function S(t,e,n){let[r,o]=rt(t.length),i=20+Math.min(n.nameWidth,Math.max(60,n.width*.3))+8,s=n.width-i-118>=Math.max(240,e*12),a=n.width-i-(s?118:2),l=Math.max(4,Math.min(96,Math.floor(a/Math.max(1,e)))),u=[],c=[],h=18;for(let[m,y]of et(t)){c.push({category:m,top:h,height:y.length*r});for(let f of y)u.push({concept:f,y:h}),h+=r;h+=6}let g=i+e*l;return{rows:u,groups:c,left:i,top:18,cellWidth:l,rowHeight:r,fontSize:o,layers:e,legendTop:h+4,margin:s?g+12:null,width:n.width,height:h+4+44}}function C(t,e,n){let r=Math.floor((e-t.left)/t.cellWidth);if(r<0||r>=t.layers)return null;let o=t.rows.find(i=>n>=i.y&&n<i.y+t.rowHeight);return o?{concept:o.concept,layer:r}:null}function K(t,e,n){let r=Math.max(0,t.rows.findIndex(s=>s.concept===e.concept)),o=s=>t.rows[Math.max(0,Math.min(t.rows.length-1,r+s))]?.concept??0,i=s=>Math.max(0,Math.min(t.layers-1,s));switch(n){case"ArrowUp":return{...e,concept:o(-1)};case"ArrowDown":return{...e,concept:o(1)};case"PageUp":return{...e,concept:o(-5)};case"PageDown":return{...e,concept:o(5)};case"ArrowLeft":return{...e,layer:i(e.layer-1)};case"ArrowRight":return{...e,layer:i(e.layer+1)};case"Home":return{...e,layer:0};case"End":return{...e,layer:i(t.layers-1)};default:return null}}var nt={zero:[247,248,249],positive:[178,73,10],negative:[31,95,180]},ot={zero:[34,39,46],positive:[255,166,87],negative:[88,166,255]};function it(t){let e=t.match(/[\d.]+/g)?.map(Number)??[];if(e.length<3||e[3]===0)return 1;let[n=0,r=0,o=0]=e.slice(0,3).map(i=>(i/255)**2.2);return .2126*n+.7152*r+.0722*o}function B(t){let e=getComputedStyle(t),n=it(e.backgroundColor)<.25,r=o=>e.getPropertyValue(o).trim()||e.color;return{dark:n,ink:r("--mp-ink"),soft:r("--mp-soft"),faint:r("--mp-faint"),line:r("--mp-line"),brand:r("--mp-brand"),font:e.fontFamily,...n?ot:nt}}function V(t){let e=()=>setTimeout(t,30),n=new MutationObserver(e),r=["data-jp-theme-name","data-jp-theme-light","data-vscode-theme-id","data-theme","class"];n.observe(document.body,{attributes:!0,attributeFilter:r}),n.observe(document.documentElement,{attributes:!0,attributeFilter:r});let o=matchMedia("(prefers-color-scheme: dark)");return o.addEventListener("change",e),()=>{n.disconnect(),o.removeEventListener("change",e)}}function E(t,e,n){let r=e>0?Math.max(-1,Math.min(1,t/e)):0,o=r>0?n.positive:n.negative,i=s=>Math.round(n.zero[s]+(o[s]-n.zero[s])*Math.abs(r));return[i(0),i(1),i(2)]}var L=t=>`rgb(${t[0]},${t[1]},${t[2]})`;function st(t,e,n){let r=Math.round(6*n),o=document.createElement("canvas");o.width=r,o.height=r;let i=o.getContext("2d");if(!i)return null;i.strokeStyle=e.dark?"rgba(255,255,255,.22)":"rgba(60,70,84,.26)",i.lineWidth=n*.8,i.beginPath();for(let a of[-r,0,r])i.moveTo(a,r),i.lineTo(a+r,0);i.stroke();let s=t.createPattern(o,"repeat");return s?.setTransform(new DOMMatrix([1/n,0,0,1/n,0,0])),s}function $(t,e,n){if(t.measureText(e).width<=n)return e;let r=e;for(;r.length>1&&t.measureText(`${r}\u2026`).width>n;)r=r.slice(0,-1);return`${r}\u2026`}function at(t,e,n){let{layout:r,cells:o}=e;for(let i of r.groups)t.save(),t.translate(8,i.top+i.height/2),t.rotate(-Math.PI/2),t.textAlign="center",t.fillStyle=n.faint,t.font=`10px ${n.font}`,t.fillText($(t,k(i.category),i.height+4),0,0),t.restore();t.textAlign="right";for(let i of r.rows){let s=i.concept===(e.hover??e.cursor)?.concept;t.font=`${s?"600 ":""}${r.fontSize}px ${n.font}`,t.fillStyle=n.ink;let a=o.concepts[i.concept]??"";t.fillText($(t,a,r.left-26),r.left-7,i.y+r.rowHeight/2)}}function lt(t,e,n){let{layout:r,cells:o}=e;t.font=`10.5px ${n.font}`,t.textAlign="center";let i=Math.ceil(18/r.cellWidth);o.layers.forEach((s,a)=>{let l=a===(e.hover??e.cursor)?.layer;a%i&&!l||(t.fillStyle=l?n.ink:n.faint,t.fillText(String(s),r.left+(a+.5)*r.cellWidth,8))}),t.fillStyle=n.faint,t.textAlign="right",t.fillText("layer",r.left-7,8),r.margin!==null&&(t.textAlign="left",t.fillText("peak \xB7 spread",r.margin,8))}function ct(t,e,n,r){let{layout:o,cells:i,strength:s,limit:a}=e,l=st(t,n,r),u=o.cellWidth>8?1:0;for(let c of o.rows)for(let h=0;h<o.layers;h+=1){let g=v(i,{concept:c.concept,layer:h},s),m=p(i.value,g),f=[o.left+h*o.cellWidth,c.y,o.cellWidth-u,o.rowHeight-1];if(!Number.isFinite(m)){t.strokeStyle=n.line,t.globalAlpha=.55,t.strokeRect(f[0]+.5,f[1]+.5,f[2]-1,f[3]-1),t.globalAlpha=1;continue}t.fillStyle=L(E(m,a,n)),t.fillRect(...f),p(i.clear,g)===0&&l&&(t.fillStyle=l,t.fillRect(...f))}}function ht(t,e,n){let{layout:r,cells:o,strength:i}=e;if(r.margin!==null){t.textAlign="left",t.font=`${Math.min(11.5,r.fontSize)}px ${n.font}`;for(let s of r.rows){let a=U(o,s.concept,i),l=G(a);if(!l)continue;t.fillStyle=n.soft;let u=`${o.layers[l.peak]} \xB7 ${l.effective.toFixed(1)}`;t.fillText(u,r.margin,s.y+r.rowHeight/2);let c=a.map(m=>Number.isFinite(m)?Math.abs(m):0),h=Math.max(...c,1e-9),g=44/Math.max(1,a.length-1);t.strokeStyle=n.brand,t.lineWidth=1.2,t.beginPath(),c.forEach((m,y)=>{let f=(r.margin??0)+52+y*g,R=s.y+r.rowHeight-4-m/h*(r.rowHeight-7);y?t.lineTo(f,R):t.moveTo(f,R)}),t.stroke(),t.lineWidth=1}}}function dt(t,e,n){let{layout:r,limit:o,unit:i}=e,s=Math.min(r.layers*r.cellWidth,420),a=r.legendTop,l=t.createLinearGradient(r.left,0,r.left+s,0);for(let h=0;h<=8;h+=1)l.addColorStop(h/8,L(E(-o+o*h/4,o,n)));t.fillStyle=l,t.fillRect(r.left,a,s,7);let u=D(o);t.fillStyle=n.faint,t.font=`10.5px ${n.font}`,t.textAlign="left",t.fillText(T(-o,u),r.left,a+15),t.textAlign="center",t.fillText("0",r.left+s/2,a+15),t.textAlign="right",t.fillText(`${x(o,u)} ${i}`.trim(),r.left+s,a+15),t.textAlign="left",t.fillText($(t,"beyond the random direction \xB7 hatched: not clear of the controls",r.width-r.left),r.left,a+31)}function q(t,e,n,r,o){let{layout:i}=e,s=i.rows.find(l=>l.concept===n.concept);if(!s)return;t.strokeStyle=r,t.lineWidth=o;let a=i.left+n.layer*i.cellWidth;t.strokeRect(a-.5,s.y-.5,i.cellWidth,i.rowHeight),t.lineWidth=1}function Y(t,e,n){let r=t.getContext("2d");if(!r)return;let o=window.devicePixelRatio||1,{width:i,height:s}=e.layout;(t.width!==Math.round(i*o)||t.height!==Math.round(s*o))&&(t.width=Math.round(i*o),t.height=Math.round(s*o),t.style.width=`${i}px`,t.style.height=`${s}px`),r.setTransform(o,0,0,o,0,0),r.clearRect(0,0,i,s),r.textBaseline="middle",lt(r,e,n),at(r,e,n),ct(r,e,n,o),ht(r,e,n),dt(r,e,n),e.hover&&q(r,e,e.hover,n.soft,1),e.cursor&&q(r,e,e.cursor,n.brand,e.focused?3:2)}function X(t,e,n,r){let o=v(t,e,n),i=p(t.value,o),s=W(r.limit),a=r.unit?` ${r.unit}`:"",l=[{text:t.concepts[e.concept]??"",kind:"strong"},{text:`layer ${t.layers[e.layer]??"\u2013"}`,kind:"normal"},{text:`${w(t.strengths[n]??0)} ${M(r.strengthUnit)}`,kind:"soft"}];if(!Number.isFinite(i))return[...l,{text:"not run yet, or not defined here",kind:"soft"}];l.push({text:`${x(i,s)}${a}`,kind:"strong"});let u=(m,y)=>`[${x(p(m,o),s)}, ${x(p(y,o),s)}]`;Number.isFinite(p(t.low,o))&&(l[l.length-1]={text:`${x(i,s)}${a}`,kind:"strong"},l.push({text:u(t.low,t.high),kind:"soft"}));let c=p(t.n,o);Number.isFinite(c)&&l.push({text:`n = ${c} ${c===1?"picture":"pictures"}`,kind:"soft"});let h=p(t.control,o);if(Number.isFinite(h)){let m=Number.isFinite(p(t.controlLow,o))?` ${u(t.controlLow,t.controlHigh)}`:"";l.push({text:`random direction ${x(h,s)}${m}`,kind:"soft"})}let g=p(t.clear,o);return Number.isFinite(g)&&l.push({text:g?"clear of the controls":"not clear of the controls",kind:"soft"}),l}var ut=["concepts","categories","layers","strengths"],pt=["values","low","high","n","clear","control","control_low","control_high"];function J(t){return{concepts:t.get("concepts"),categories:t.get("categories"),layers:t.get("layers"),strengths:t.get("strengths"),value:b(t.get("values")),low:b(t.get("low")),high:b(t.get("high")),n:b(t.get("n")),clear:b(t.get("clear")),control:b(t.get("control")),controlLow:b(t.get("control_low")),controlHigh:b(t.get("control_high"))}}var F=class{constructor(e,n,r){this.model=e;this.root=z(N+_,"heatmap","Effect by concept and layer");let o=H("cell");this.read.id=o,this.canvas.setAttribute("aria-label","Effect by concept and layer; arrow keys move, values are read below"),this.canvas.setAttribute("aria-describedby",o);let i=d("div",{class:"mp-head"},d("h3",{},"Effect by concept and layer"),this.count,this.metric);this.root.append(i,this.chips,this.read,this.bar,this.canvas,this.error),n.append(this.root),this.cells=J(e),this.layout=S([],0,{width:0,nameWidth:60}),this.listen(r),this.refresh()}model;root;metric=d("select",{"aria-label":"metric","data-testid":"metric"});count=d("span",{class:"mp-count","data-testid":"heatmap-status"});chips=d("div",{class:"mp-chips",role:"radiogroup","aria-label":"strength"});canvas=d("canvas",{class:"mp-canvas","data-testid":"heatmap",tabindex:0,role:"application"});read=d("div",{class:"mp-read","data-testid":"heatmap-cell",role:"status","aria-live":"polite"});bar=d("div",{class:"mp-progress",role:"progressbar","aria-label":"progress"},d("i"));error=d("p",{class:"mp-error",role:"alert","data-testid":"heatmap-error"});cells;layout;limit=1;hover=null;width=0;pending=0;listen(e){let{model:n,canvas:r}=this,o=()=>this.refresh(),i=()=>this.redraw(),s=[...ut,...pt,"metric","metrics","metric_labels","unit","strength_unit"],a=["concept","layer","strength","progress","status","message"];for(let c of s)n.on(`change:${c}`,o);for(let c of a)n.on(`change:${c}`,i);let l=new ResizeObserver(()=>this.redraw());l.observe(this.root);let u=V(()=>this.redraw());e.addEventListener("abort",()=>{for(let c of s)n.off(`change:${c}`,o);for(let c of a)n.off(`change:${c}`,i);l.disconnect(),u(),cancelAnimationFrame(this.pending)}),r.addEventListener("pointermove",c=>this.setHover(C(this.layout,c.offsetX,c.offsetY))),r.addEventListener("pointerleave",()=>this.setHover(null)),r.addEventListener("click",c=>this.select(C(this.layout,c.offsetX,c.offsetY))),r.addEventListener("keydown",c=>this.onKey(c)),r.addEventListener("focus",i),r.addEventListener("blur",i),this.chips.addEventListener("keydown",c=>this.onChipKey(c)),this.metric.addEventListener("change",()=>{n.set("metric",this.metric.value),n.save_changes()})}onKey(e){if(e.ctrlKey||e.metaKey||e.altKey)return;let n=this.cursor(),r=n?K(this.layout,n,e.key):null;if(r)this.hover=null,this.select(r);else if(e.key==="+"||e.key==="-")this.setStrength(this.strength()+(e.key==="+"?1:-1));else return;e.preventDefault(),e.stopPropagation()}onChipKey(e){let n={ArrowRight:1,ArrowDown:1,ArrowLeft:-1,ArrowUp:-1}[e.key];n!==void 0&&(e.preventDefault(),e.stopPropagation(),this.setStrength(this.strength()+n),this.chips.querySelector("[aria-checked=true]")?.focus())}cursor(){if(this.cells.concepts.length===0||this.cells.layers.length===0)return null;let e=Math.max(0,this.cells.concepts.indexOf(this.model.get("concept"))),n=Math.max(0,this.cells.layers.indexOf(this.model.get("layer")));return{concept:e,layer:n}}strength(){return I(this.cells.strengths,this.model.get("strength"))}setHover(e){e?.concept===this.hover?.concept&&e?.layer===this.hover?.layer||(this.hover=e,this.redraw())}select(e){e&&(this.model.set("concept",this.cells.concepts[e.concept]??""),this.model.set("layer",this.cells.layers[e.layer]??0),this.model.save_changes(),this.redraw())}setStrength(e){let n=this.cells.strengths[Math.max(0,Math.min(this.cells.strengths.length-1,e))];n!==void 0&&(this.model.set("strength",n),this.model.save_changes(),this.redraw())}refresh(){this.cells=J(this.model),this.limit=j(this.cells.value,this.model.get("unit"),O),this.width=0,this.fillChips(),this.fillMetrics(),this.redraw()}fillChips(){let e=`strength ${M(this.model.get("strength_unit"))}`,n=this.cells.strengths.map((o,i)=>{let s=d("button",{type:"button",role:"radio","data-strength":o},w(o));return s.addEventListener("click",()=>this.setStrength(i)),s}),r=this.chips.contains(document.activeElement);this.chips.replaceChildren(d("span",{},e),...n),A(this.chips,n.length>1),r&&this.chips.querySelector("[aria-checked=true]")?.focus()}fillMetrics(){let e=this.model.get("metric_labels"),n=this.model.get("metric"),r=this.model.get("metrics"),o=r.includes(n)?r:[n,...r];this.metric.replaceChildren(...o.map(i=>d("option",{value:i,selected:i===n},e[i]??k(i)))),this.metric.value=n,this.metric.disabled=o.length<2}redraw(){this.pending||(this.pending=requestAnimationFrame(()=>{this.pending=0,this.draw()}))}measure(){let e=getComputedStyle(this.root),n=Math.floor(this.root.clientWidth-Number.parseFloat(e.paddingLeft)*2);if(n===this.width||n<=0)return;this.width=n;let r=this.canvas.getContext("2d");r&&(r.font=`600 12px ${e.fontFamily}`);let o=this.cells.concepts.map(s=>r?.measureText(s).width??60),i=Math.min(170,Math.max(40,...o));this.layout=S(this.cells.categories,this.cells.layers.length,{width:n,nameWidth:i})}draw(){this.measure();let e=this.cursor(),n=this.strength(),r={cells:this.cells,layout:this.layout,strength:n,limit:this.limit,unit:this.model.get("unit"),cursor:e,hover:this.hover,focused:document.activeElement===this.canvas};Y(this.canvas,r,B(this.root)),this.placeCells(),this.drawReadout(this.hover??e,n),this.drawState(n)}placeCells(){let{left:e,top:n,cellWidth:r,rowHeight:o}=this.layout;for(let[i,s]of Object.entries({left:e,top:n,cellWidth:r,rowHeight:o}))this.canvas.dataset[i]=String(s)}drawReadout(e,n){if(!e){this.read.textContent="Waiting for the first cells.";return}let r={unit:this.model.get("unit"),strengthUnit:this.model.get("strength_unit"),limit:this.limit},i=X(this.cells,e,n,r).flatMap((a,l)=>{let u=a.kind==="strong"?d("b",{},a.text):d("span",{class:a.kind},a.text);return l?[a.text.startsWith("[")?" ":" \xB7 ",u]:[u]});this.read.replaceChildren(...i);let s=p(this.cells.value,v(this.cells,e,n));this.read.dataset.concept=this.cells.concepts[e.concept]??"",this.read.dataset.layer=String(this.cells.layers[e.layer]??""),this.read.dataset.strength=String(this.cells.strengths[n]??""),this.read.dataset.value=Number.isFinite(s)?String(s):""}drawState(e){this.chips.querySelectorAll("button").forEach((s,a)=>{s.setAttribute("aria-checked",String(a===e)),s.tabIndex=a===e?0:-1});let n=this.model.get("progress"),r=this.model.get("status"),o=r==="running";this.count.textContent=o?`${Math.round(n*100)} %`:r==="idle"?"":r,this.root.dataset.status=r,this.bar.dataset.done=String(!o),this.bar.setAttribute("aria-valuenow",String(Math.round(n*100))),this.bar.firstElementChild.style.width=`${n*100}%`;let i=this.model.get("message");this.error.textContent=i,A(this.error,i!=="")}};function mt({model:t,el:e,signal:n}){let r=new AbortController;return n?.addEventListener("abort",()=>r.abort()),new F(t,e,r.signal),()=>r.abort()}var Dt={render:mt};export{Dt as default};
