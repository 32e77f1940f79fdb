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
`;function u(t,e={},...r){let n=document.createElement(t);for(let[o,i]of Object.entries(e))i!==void 0&&i!==!1&&n.setAttribute(o,i===!0?"":String(i));return n.append(...r),n}var P=0;function H(t){return P+=1,`mp-${t}-${P}-${Math.random().toString(36).slice(2,8)}`}function z(t,e,r){let n=u("section",{class:`mp mp-${e}`,"aria-label":r,"data-lm-suppress-shortcuts":"true"});return n.append(u("style",{},t)),n.addEventListener("keydown",o=>o.stopPropagation()),n}function k(t,e){t.hidden=!e}function W(t){return!(t>0)||t>=100?t>=100?0:1:t>2?1:Math.min(5,2-Math.min(0,Math.floor(Math.log10(t))+1))}function D(t){return Number(t.toPrecision(2)).toString().split(".")[1]?.length??0}function T(t,e=1){if(!Number.isFinite(t))return"\u2013";let r=Math.abs(t).toFixed(e);return t<0&&Number(r)!==0?"\u2212"+r:r}function x(t,e=1){let r=T(t,e);return t>0&&Number(r)!==0?`+${r}`:r}function w(t){let e=Math.abs(t),r=e===.5?"\xBD":e===.25?"\xBC":String(Number(e.toFixed(3)));return t<0?"\u2212"+r:r}function M(t){return{residual:"\xD7 residual norm",vector:"\xD7 vector",raw:"\xD7 raw vector"}[t]??t}function O(t){if(!(t>0)||!Number.isFinite(t))return 1;let e=10**Math.floor(Math.log10(t));return([1,1.5,2,3,4,5,6,8,10].find(n=>n*e>=t*(1-1e-9))??10)*e}var A=t=>t.replaceAll("_"," ");var _=`.mp-chips {
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
  min-height: 51px;
  margin-top: 8px;
  padding: 6px 10px;
  border-radius: 5px;
  background: var(--mp-fill);
  font-size: 12.5px;
  overflow-wrap: anywhere;
}
.mp-read b {
  font-weight: 650;
}
.mp-read .soft {
  color: var(--mp-soft);
}
.mp-heatmap .mp-progress {
  margin-top: 6px;
}
.mp-heatmap .mp-progress[data-done="true"] {
  opacity: 0;
}
.mp-count {
  color: var(--mp-faint);
  font-size: 12px;
}
`;function b(t){if(!t||t.byteLength===0)return new Float32Array(0);let e=t instanceof ArrayBuffer?t:t.buffer.slice(t.byteOffset,t.byteOffset+t.byteLength);return new Float32Array(e)}function v(t,e,r){return(e.concept*t.layers.length+e.layer)*t.strengths.length+r}function p(t,e){return t[e]??Number.NaN}function U(t,e,r){return t.layers.map((n,o)=>p(t.value,v(t,{concept:e,layer:o},r)))}function j(t,e){let r=Array.from(t).filter(Number.isFinite).map(Math.abs);return r.length===0?1:(r.sort((n,o)=>n-o),e(r[Math.min(r.length-1,Math.floor(.98*r.length))]??1))}function G(t){let e=Math.max(...t.map(i=>Number.isFinite(i)?i:0))>0?1:-1,r=t.map(i=>Number.isFinite(i)?Math.max(0,e*i):0),n=r.reduce((i,s)=>i+s,0),o=r.reduce((i,s)=>i+s*s,0);return o===0?null:{peak:r.indexOf(Math.max(...r)),effective:n*n/o}}function I(t,e){let r=0;return t.forEach((n,o)=>{Math.abs(n-e)<Math.abs((t[r]??0)-e)&&(r=o)}),r}function tt(t){let e=new Map;return t.forEach((r,n)=>{e.set(r,[...e.get(r)??[],n])}),[...e]}function et(t){return t<=22?[19,12]:t<=36?[17,11.5]:[14,11]}function C(t,e,r){let[n,o]=et(t.length),i=20+Math.min(r.nameWidth,Math.max(60,r.width*.3))+8,s=r.width-i-118>=Math.max(240,e*12),a=r.width-i-(s?118:2),l=Math.max(4,Math.min(96,Math.floor(a/Math.max(1,e)))),d=[],c=[],h=18;for(let[m,y]of tt(t)){c.push({category:m,top:h,height:y.length*n});for(let f of y)d.push({concept:f,y:h}),h+=n;h+=6}let g=i+e*l;return{rows:d,groups:c,left:i,top:18,cellWidth:l,rowHeight:n,fontSize:o,layers:e,legendTop:h+4,margin:s?g+12:null,width:r.width,height:h+4+44}}function S(t,e,r){let n=Math.floor((e-t.left)/t.cellWidth);if(n<0||n>=t.layers)return null;let o=t.rows.find(i=>r>=i.y&&r<i.y+t.rowHeight);return o?{concept:o.concept,layer:n}:null}function K(t,e,r){let n=Math.max(0,t.rows.findIndex(s=>s.concept===e.concept)),o=s=>t.rows[Math.max(0,Math.min(t.rows.length-1,n+s))]?.concept??0,i=s=>Math.max(0,Math.min(t.layers-1,s));switch(r){case"ArrowUp":return{...e,concept:o(-1)};case"ArrowDown":return{...e,concept:o(1)};case"PageUp":return{...e,concept:o(-5)};case"PageDown":return{...e,concept:o(5)};case"ArrowLeft":return{...e,layer:i(e.layer-1)};case"ArrowRight":return{...e,layer:i(e.layer+1)};case"Home":return{...e,layer:0};case"End":return{...e,layer:i(t.layers-1)};default:return null}}var rt={zero:[247,248,249],positive:[178,73,10],negative:[31,95,180]},nt={zero:[34,39,46],positive:[255,166,87],negative:[88,166,255]};function ot(t){let e=t.match(/[\d.]+/g)?.map(Number)??[];if(e.length<3||e[3]===0)return 1;let[r=0,n=0,o=0]=e.slice(0,3).map(i=>(i/255)**2.2);return .2126*r+.7152*n+.0722*o}function B(t){let e=getComputedStyle(t),r=ot(e.backgroundColor)<.25,n=o=>e.getPropertyValue(o).trim()||e.color;return{dark:r,ink:n("--mp-ink"),soft:n("--mp-soft"),faint:n("--mp-faint"),line:n("--mp-line"),brand:n("--mp-brand"),font:e.fontFamily,...r?nt:rt}}function V(t){let e=()=>setTimeout(t,30),r=new MutationObserver(e),n=["data-jp-theme-name","data-jp-theme-light","data-vscode-theme-id","data-theme","class"];r.observe(document.body,{attributes:!0,attributeFilter:n}),r.observe(document.documentElement,{attributes:!0,attributeFilter:n});let o=matchMedia("(prefers-color-scheme: dark)");return o.addEventListener("change",e),()=>{r.disconnect(),o.removeEventListener("change",e)}}function E(t,e,r){let n=e>0?Math.max(-1,Math.min(1,t/e)):0,o=n>0?r.positive:r.negative,i=s=>Math.round(r.zero[s]+(o[s]-r.zero[s])*Math.abs(n));return[i(0),i(1),i(2)]}var L=t=>`rgb(${t[0]},${t[1]},${t[2]})`;function it(t,e,r){let n=Math.round(6*r),o=document.createElement("canvas");o.width=n,o.height=n;let i=o.getContext("2d");if(!i)return null;i.strokeStyle=e.dark?"rgba(255,255,255,.22)":"rgba(60,70,84,.26)",i.lineWidth=r*.8,i.beginPath();for(let a of[-n,0,n])i.moveTo(a,n),i.lineTo(a+n,0);i.stroke();let s=t.createPattern(o,"repeat");return s?.setTransform(new DOMMatrix([1/r,0,0,1/r,0,0])),s}function $(t,e,r){if(t.measureText(e).width<=r)return e;let n=e;for(;n.length>1&&t.measureText(`${n}\u2026`).width>r;)n=n.slice(0,-1);return`${n}\u2026`}function st(t,e,r){let{layout:n,cells:o}=e;for(let i of n.groups)t.save(),t.translate(8,i.top+i.height/2),t.rotate(-Math.PI/2),t.textAlign="center",t.fillStyle=r.faint,t.font=`10px ${r.font}`,t.fillText($(t,A(i.category),i.height+4),0,0),t.restore();t.textAlign="right";for(let i of n.rows){let s=i.concept===(e.hover??e.cursor)?.concept;t.font=`${s?"600 ":""}${n.fontSize}px ${r.font}`,t.fillStyle=r.ink;let a=o.concepts[i.concept]??"";t.fillText($(t,a,n.left-26),n.left-7,i.y+n.rowHeight/2)}}function at(t,e,r){let{layout:n,cells:o}=e;t.font=`10.5px ${r.font}`,t.textAlign="center";let i=Math.ceil(18/n.cellWidth);o.layers.forEach((s,a)=>{let l=a===(e.hover??e.cursor)?.layer;a%i&&!l||(t.fillStyle=l?r.ink:r.faint,t.fillText(String(s),n.left+(a+.5)*n.cellWidth,8))}),t.fillStyle=r.faint,t.textAlign="right",t.fillText("layer",n.left-7,8),n.margin!==null&&(t.textAlign="left",t.fillText("peak \xB7 spread",n.margin,8))}function lt(t,e,r,n){let{layout:o,cells:i,strength:s,limit:a}=e,l=it(t,r,n),d=o.cellWidth>8?1:0;for(let c of o.rows)for(let h=0;h<o.layers;h+=1){let g=v(i,{concept:c.concept,layer:h},s),m=p(i.value,g),f=[o.left+h*o.cellWidth,c.y,o.cellWidth-d,o.rowHeight-1];if(!Number.isFinite(m)){t.strokeStyle=r.line,t.globalAlpha=.55,t.strokeRect(f[0]+.5,f[1]+.5,f[2]-1,f[3]-1),t.globalAlpha=1;continue}t.fillStyle=L(E(m,a,r)),t.fillRect(...f),p(i.clear,g)===0&&l&&(t.fillStyle=l,t.fillRect(...f))}}function ct(t,e,r){let{layout:n,cells:o,strength:i}=e;if(n.margin!==null){t.textAlign="left",t.font=`${Math.min(11.5,n.fontSize)}px ${r.font}`;for(let s of n.rows){let a=U(o,s.concept,i),l=G(a);if(!l)continue;t.fillStyle=r.soft;let d=`${o.layers[l.peak]} \xB7 ${l.effective.toFixed(1)}`;t.fillText(d,n.margin,s.y+n.rowHeight/2);let c=a.map(m=>Number.isFinite(m)?Math.abs(m):0),h=Math.max(...c,1e-9),g=44/Math.max(1,a.length-1);t.strokeStyle=r.brand,t.lineWidth=1.2,t.beginPath(),c.forEach((m,y)=>{let f=(n.margin??0)+52+y*g,R=s.y+n.rowHeight-4-m/h*(n.rowHeight-7);y?t.lineTo(f,R):t.moveTo(f,R)}),t.stroke(),t.lineWidth=1}}}function ht(t,e,r){let{layout:n,limit:o,unit:i}=e,s=Math.min(n.layers*n.cellWidth,420),a=n.legendTop,l=t.createLinearGradient(n.left,0,n.left+s,0);for(let h=0;h<=8;h+=1)l.addColorStop(h/8,L(E(-o+o*h/4,o,r)));t.fillStyle=l,t.fillRect(n.left,a,s,7);let d=D(o);t.fillStyle=r.faint,t.font=`10.5px ${r.font}`,t.textAlign="left",t.fillText(T(-o,d),n.left,a+15),t.textAlign="center",t.fillText("0",n.left+s/2,a+15),t.textAlign="right",t.fillText(`${x(o,d)} ${i}`.trim(),n.left+s,a+15),t.textAlign="left",t.fillText($(t,"beyond the random direction \xB7 hatched: not clear of the controls",n.width-n.left),n.left,a+31)}function q(t,e,r,n,o){let{layout:i}=e,s=i.rows.find(l=>l.concept===r.concept);if(!s)return;t.strokeStyle=n,t.lineWidth=o;let a=i.left+r.layer*i.cellWidth;t.strokeRect(a-.5,s.y-.5,i.cellWidth,i.rowHeight),t.lineWidth=1}function Y(t,e,r){let n=t.getContext("2d");if(!n)return;let o=window.devicePixelRatio||1,{width:i,height:s}=e.layout;(t.width!==Math.round(i*o)||t.height!==Math.round(s*o))&&(t.width=Math.round(i*o),t.height=Math.round(s*o),t.style.width=`${i}px`,t.style.height=`${s}px`),n.setTransform(o,0,0,o,0,0),n.clearRect(0,0,i,s),n.textBaseline="middle",at(n,e,r),st(n,e,r),lt(n,e,r,o),ct(n,e,r),ht(n,e,r),e.hover&&q(n,e,e.hover,r.soft,1),e.cursor&&q(n,e,e.cursor,r.brand,e.focused?3:2)}function X(t,e,r,n){let o=v(t,e,r),i=p(t.value,o),s=W(n.limit),a=n.unit?` ${n.unit}`:"",l=[{text:t.concepts[e.concept]??"",kind:"strong"},{text:`layer ${t.layers[e.layer]??"\u2013"}`,kind:"normal"},{text:`${w(t.strengths[r]??0)} ${M(n.strengthUnit)}`,kind:"soft"}];if(!Number.isFinite(i))return[...l,{text:"not run yet, or not defined here",kind:"soft"}];l.push({text:`${x(i,s)}${a}`,kind:"strong"});let d=(m,y)=>`[${x(p(m,o),s)}, ${x(p(y,o),s)}]`;Number.isFinite(p(t.low,o))&&(l[l.length-1]={text:`${x(i,s)}${a}`,kind:"strong"},l.push({text:d(t.low,t.high),kind:"soft"}));let c=p(t.n,o);Number.isFinite(c)&&l.push({text:`n = ${c} ${c===1?"picture":"pictures"}`,kind:"soft"});let h=p(t.control,o);if(Number.isFinite(h)){let m=Number.isFinite(p(t.controlLow,o))?` ${d(t.controlLow,t.controlHigh)}`:"";l.push({text:`random direction ${x(h,s)}${m}`,kind:"soft"})}let g=p(t.clear,o);return Number.isFinite(g)&&l.push({text:g?"clear of the controls":"not clear of the controls",kind:"soft"}),l}var ut=["concepts","categories","layers","strengths"],dt=["values","low","high","n","clear","control","control_low","control_high"];function J(t){return{concepts:t.get("concepts"),categories:t.get("categories"),layers:t.get("layers"),strengths:t.get("strengths"),value:b(t.get("values")),low:b(t.get("low")),high:b(t.get("high")),n:b(t.get("n")),clear:b(t.get("clear")),control:b(t.get("control")),controlLow:b(t.get("control_low")),controlHigh:b(t.get("control_high"))}}var F=class{constructor(e,r,n){this.model=e;this.root=z(N+_,"heatmap","Effect by concept and layer");let o=H("cell");this.read.id=o,this.canvas.setAttribute("aria-label","Effect by concept and layer; arrow keys move, values are read below"),this.canvas.setAttribute("aria-describedby",o);let i=u("div",{class:"mp-head"},u("h3",{},"Effect by concept and layer"),this.count,this.metric);this.root.append(i,this.chips,this.canvas,this.bar,this.read,this.error),r.append(this.root),this.cells=J(e),this.layout=C([],0,{width:0,nameWidth:60}),this.listen(n),this.refresh()}model;root;metric=u("select",{"aria-label":"metric","data-testid":"metric"});count=u("span",{class:"mp-count","data-testid":"heatmap-status"});chips=u("div",{class:"mp-chips",role:"radiogroup","aria-label":"strength"});canvas=u("canvas",{class:"mp-canvas","data-testid":"heatmap",tabindex:0,role:"application"});read=u("div",{class:"mp-read","data-testid":"heatmap-cell",role:"status","aria-live":"polite"});bar=u("div",{class:"mp-progress",role:"progressbar","aria-label":"progress"},u("i"));error=u("p",{class:"mp-error",role:"alert","data-testid":"heatmap-error"});cells;layout;limit=1;hover=null;width=0;pending=0;listen(e){let{model:r,canvas:n}=this,o=()=>this.refresh(),i=()=>this.redraw(),s=[...ut,...dt,"metric","metrics","metric_labels","unit","strength_unit"],a=["concept","layer","strength","progress","status","message"];for(let c of s)r.on(`change:${c}`,o);for(let c of a)r.on(`change:${c}`,i);let l=new ResizeObserver(()=>this.redraw());l.observe(this.root);let d=V(()=>this.redraw());e.addEventListener("abort",()=>{for(let c of s)r.off(`change:${c}`,o);for(let c of a)r.off(`change:${c}`,i);l.disconnect(),d(),cancelAnimationFrame(this.pending)}),n.addEventListener("pointermove",c=>this.setHover(S(this.layout,c.offsetX,c.offsetY))),n.addEventListener("pointerleave",()=>this.setHover(null)),n.addEventListener("click",c=>this.select(S(this.layout,c.offsetX,c.offsetY))),n.addEventListener("keydown",c=>this.onKey(c)),n.addEventListener("focus",i),n.addEventListener("blur",i),this.chips.addEventListener("keydown",c=>this.onChipKey(c)),this.metric.addEventListener("change",()=>{r.set("metric",this.metric.value),r.save_changes()})}onKey(e){if(e.ctrlKey||e.metaKey||e.altKey)return;let r=this.cursor(),n=r?K(this.layout,r,e.key):null;if(n)this.hover=null,this.select(n);else if(e.key==="+"||e.key==="-")this.setStrength(this.strength()+(e.key==="+"?1:-1));else return;e.preventDefault(),e.stopPropagation()}onChipKey(e){let r={ArrowRight:1,ArrowDown:1,ArrowLeft:-1,ArrowUp:-1}[e.key];r!==void 0&&(e.preventDefault(),e.stopPropagation(),this.setStrength(this.strength()+r),this.chips.querySelector("[aria-checked=true]")?.focus())}cursor(){if(this.cells.concepts.length===0||this.cells.layers.length===0)return null;let e=Math.max(0,this.cells.concepts.indexOf(this.model.get("concept"))),r=Math.max(0,this.cells.layers.indexOf(this.model.get("layer")));return{concept:e,layer:r}}strength(){return I(this.cells.strengths,this.model.get("strength"))}setHover(e){e?.concept===this.hover?.concept&&e?.layer===this.hover?.layer||(this.hover=e,this.redraw())}select(e){e&&(this.model.set("concept",this.cells.concepts[e.concept]??""),this.model.set("layer",this.cells.layers[e.layer]??0),this.model.save_changes(),this.redraw())}setStrength(e){let r=this.cells.strengths[Math.max(0,Math.min(this.cells.strengths.length-1,e))];r!==void 0&&(this.model.set("strength",r),this.model.save_changes(),this.redraw())}refresh(){this.cells=J(this.model),this.limit=j(this.cells.value,O),this.width=0,this.fillChips(),this.fillMetrics(),this.redraw()}fillChips(){let e=`strength ${M(this.model.get("strength_unit"))}`,r=this.cells.strengths.map((o,i)=>{let s=u("button",{type:"button",role:"radio","data-strength":o},w(o));return s.addEventListener("click",()=>this.setStrength(i)),s}),n=this.chips.contains(document.activeElement);this.chips.replaceChildren(u("span",{},e),...r),k(this.chips,r.length>1),n&&this.chips.querySelector("[aria-checked=true]")?.focus()}fillMetrics(){let e=this.model.get("metric_labels"),r=this.model.get("metric"),n=this.model.get("metrics"),o=n.includes(r)?n:[r,...n];this.metric.replaceChildren(...o.map(i=>u("option",{value:i,selected:i===r},e[i]??A(i)))),this.metric.value=r,this.metric.disabled=o.length<2}redraw(){this.pending||(this.pending=requestAnimationFrame(()=>{this.pending=0,this.draw()}))}measure(){let e=getComputedStyle(this.root),r=Math.floor(this.root.clientWidth-Number.parseFloat(e.paddingLeft)*2);if(r===this.width||r<=0)return;this.width=r;let n=this.canvas.getContext("2d");n&&(n.font=`600 12px ${e.fontFamily}`);let o=this.cells.concepts.map(s=>n?.measureText(s).width??60),i=Math.min(170,Math.max(40,...o));this.layout=C(this.cells.categories,this.cells.layers.length,{width:r,nameWidth:i})}draw(){this.measure();let e=this.cursor(),r=this.strength(),n={cells:this.cells,layout:this.layout,strength:r,limit:this.limit,unit:this.model.get("unit"),cursor:e,hover:this.hover,focused:document.activeElement===this.canvas};Y(this.canvas,n,B(this.root)),this.placeCells(),this.drawReadout(this.hover??e,r),this.drawState(r)}placeCells(){let{left:e,top:r,cellWidth:n,rowHeight:o}=this.layout;for(let[i,s]of Object.entries({left:e,top:r,cellWidth:n,rowHeight:o}))this.canvas.dataset[i]=String(s)}drawReadout(e,r){if(!e){this.read.textContent="Waiting for the first cells.";return}let n={unit:this.model.get("unit"),strengthUnit:this.model.get("strength_unit"),limit:this.limit},i=X(this.cells,e,r,n).flatMap((a,l)=>{let d=a.kind==="strong"?u("b",{},a.text):u("span",{class:a.kind},a.text);return l?[a.text.startsWith("[")?" ":" \xB7 ",d]:[d]});this.read.replaceChildren(...i);let s=p(this.cells.value,v(this.cells,e,r));this.read.dataset.concept=this.cells.concepts[e.concept]??"",this.read.dataset.layer=String(this.cells.layers[e.layer]??""),this.read.dataset.strength=String(this.cells.strengths[r]??""),this.read.dataset.value=Number.isFinite(s)?String(s):""}drawState(e){this.chips.querySelectorAll("button").forEach((s,a)=>{s.setAttribute("aria-checked",String(a===e)),s.tabIndex=a===e?0:-1});let r=this.model.get("progress"),n=this.model.get("status"),o=n==="running";this.count.textContent=o?`${Math.round(r*100)} %`:n==="idle"?"":n,this.root.dataset.status=n,this.bar.dataset.done=String(!o),this.bar.setAttribute("aria-valuenow",String(Math.round(r*100))),this.bar.firstElementChild.style.width=`${r*100}%`;let i=this.model.get("message");this.error.textContent=i,k(this.error,i!=="")}};function pt({model:t,el:e,signal:r}){let n=new AbortController;return r?.addEventListener("abort",()=>n.abort()),new F(t,e,n.signal),()=>n.abort()}var Wt={render:pt};export{Wt as default};
