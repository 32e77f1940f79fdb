var _t=`.mp {
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
  font-size: 12px;
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
  font-size: 13px;
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
  font-size: 12px;
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
  font-size: 12px;
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
  font-size: 13px;
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
.mp-pop {
  position: relative;
  flex: none;
}
.mp-pop > summary {
  padding: 2px 9px;
  border: 1px solid var(--mp-edge);
  border-radius: 5px;
  font-size: 12px;
  white-space: nowrap;
  cursor: pointer;
  list-style: none;
}
.mp-pop > summary::after {
  content: " \u25BE";
}
.mp-pop > .mp-sheet {
  position: absolute;
  z-index: 20;
  top: calc(100% + 3px);
  left: 0;
  display: flex;
  flex-direction: column;
  gap: 6px;
  width: max-content;
  max-width: min(460px, 80vw);
  max-height: 340px;
  padding: 10px 12px;
  overflow: auto;
  border: 1px solid var(--mp-edge);
  border-radius: 6px;
  background: var(--mp-bg);
  box-shadow: 0 4px 14px rgb(0 0 0 / 18%);
}
`;function h(e,t={},...r){let n=document.createElement(e);for(let[o,i]of Object.entries(t))i!==void 0&&i!==!1&&n.setAttribute(o,i===!0?"":String(i));return n.append(...r),n}var Nt=0;function J(e){return Nt+=1,`mp-${e}-${Nt}-${Math.random().toString(36).slice(2,8)}`}function Rt(e,t,r){let n=h("section",{class:`mp mp-${t}`,"aria-label":r,"data-lm-suppress-shortcuts":"true"});return n.append(h("style",{},e)),n.addEventListener("keydown",o=>o.stopPropagation()),n}function y(e,t){e.hidden=!t}var Le="No kernel is connected. Showing the saved state; rerun the cell to continue.",_e="Kernel restarted or stopped. Showing the last state; rerun the cell to continue.";function Ne(e){let t=e.get("layout");return typeof t?.comm_live=="boolean"&&t.on&&t.off?t:null}function Re(e,t){return e?"":t?_e:Le}function Fe(e,t){let r=Ne(e);if(!r||!t)return()=>{};let n=h("p",{class:"mp-kernel",role:"status","data-testid":"no-kernel"});t.prepend(n);let o=r.comm_live,i=()=>{o||=r.comm_live,n.textContent=Re(r.comm_live,o),y(n,!r.comm_live)};return r.on("comm_live_update",i),i(),()=>r.off("comm_live_update",i)}function Ft(e){return t=>{let r=e(t),n=Fe(t.model,t.el.firstElementChild);return()=>{n(),r?.()}}}function z(e){return!(e>0)||e>=100?e>=100?0:1:e>2?1:Math.min(5,2-Math.min(0,Math.floor(Math.log10(e))+1))}function I(e){let[t,r]=e.toExponential(1).split("e");return Math.max(0,(t?.endsWith(".0")?0:1)-Number(r))}function B(e,t=1){if(!Number.isFinite(e))return"\u2013";let r=Math.abs(e).toFixed(t);return e<0&&Number(r)!==0?"\u2212"+r:r}function M(e,t=1){let r=B(e,t);return e>0&&Number(r)!==0?`+${r}`:r}function Pt(e){return Number.isFinite(e)?e<.001?"q < .001":`q = ${(e<.1?(Math.ceil(e*1e3-.001)/1e3).toFixed(3):e.toFixed(2)).replace(/^0/,"")}`:"q = \u2013"}function A(e){let t=Math.abs(e),r=t===.5?"\xBD":t===.25?"\xBC":String(Number(t.toFixed(3)));return e<0?"\u2212"+r:r}function $(e){return{residual:"\xD7 residual norm",vector:"\xD7 vector",raw:"\xD7 raw vector"}[e]??e}var Pe=[1,1.2,1.4,1.6,1.8,2,2.2,2.5,2.8,3,3.5,4,4.5,5,5.5,6,7,8,9,10];function mt(e){if(!(e>0)||!Number.isFinite(e))return 1;let t=10**Math.floor(Math.log10(e));return(Pe.find(n=>n*t>=e*(1-1e-9))??10)*t}var _=e=>e===void 0?"":e<0?"input":String(e),Ot=e=>e.replaceAll("_"," "),Dt=e=>Math.floor(e*100);var N={light:{paper:"#ffffff",ink:"#1c2126",soft:"#5b6570",faint:"#6f7984",line:"#e0e4e8",edge:"#c4cad1",brand:"#1f6feb",warn:"#b3261e",good:"#1a7f4b",hatch:"#8a929b",zero:"#f7f8f9",positive:"#b2490a",negative:"#1f5fb4"},dark:{paper:"#16191e",ink:"#e7ebef",soft:"#a5aeb8",faint:"#a5aeb8",line:"#2a3038",edge:"#46505b",brand:"#5aa2ff",warn:"#ff8a80",good:"#58c48a",hatch:"#5d6670",zero:"#22272e",positive:"#ffa657",negative:"#58a6ff"},controls:{random:{label:"random directions",light:"#7a7a7a",dark:"#a2a9b0"},on_manifold:{label:"on-manifold directions",meaning:"in which activations differ",light:"#5f8a8b",dark:"#7fb3b4"},concepts:{label:"other concepts",light:"#8a7aa8",dark:"#b3a5d0"},shuffled:{label:"shuffled labels",light:"#a8927a",dark:"#c8b297"},orthogonal:{label:"orthogonal directions",light:"#8f8aa0",dark:"#b6b2c6"}},marks:{never_named:{label:"no answer names the concept",sign:"\u2013",marker:"dash",strokes:[[[0,.5],[1,.5]]]},broken:{label:"at least half of the answers broken",sign:"\xD7",marker:"x",strokes:[[[0,0],[1,1]],[[0,1],[1,0]]]}},faded:.35,categories:{entity:"#0072b2",visual_style:"#d55e00",emotion:"#a0447f",abstract:"#00795a",relation:"#8a6d00"},other_categories:["#5b4ea0","#7a3b1e","#00708c","#636300","#8c1d40","#3d5a1f"]};function ht(e){let t=r=>Number.parseInt(e.slice(r,r+2),16);return[t(1),t(3),t(5)]}var Ht=({zero:e,positive:t,negative:r})=>({zero:ht(e),positive:ht(t),negative:ht(r)}),De=Ht(N.light),He=Ht(N.dark),zt=N.controls,D=e=>zt[e]?.label??e.replaceAll("_"," ");var Y=(e,t)=>(zt[e]??N.controls.random)[t?"dark":"light"];function ze(e){let t=e.match(/[\d.]+/g)?.map(Number)??[];if(t.length<3||t[3]===0)return 1;let[r=0,n=0,o=0]=t.slice(0,3).map(i=>(i/255)**2.2);return .2126*r+.7152*n+.0722*o}function It(e){let t=getComputedStyle(e),r=ze(t.backgroundColor)<.25,n=o=>t.getPropertyValue(o).trim()||t.color;return{dark:r,paper:n("--mp-bg"),ink:n("--mp-ink"),soft:n("--mp-soft"),faint:n("--mp-faint"),line:n("--mp-line"),brand:n("--mp-brand"),font:t.fontFamily,...r?He:De}}function Wt(e){let t=()=>setTimeout(e,30),r=new MutationObserver(t),n=["data-jp-theme-name","data-jp-theme-light","data-vscode-theme-id","data-theme","class"];r.observe(document.body,{attributes:!0,attributeFilter:n}),r.observe(document.documentElement,{attributes:!0,attributeFilter:n});let o=matchMedia("(prefers-color-scheme: dark)");return o.addEventListener("change",t),()=>{r.disconnect(),o.removeEventListener("change",t)}}function W(e,t,r){let n=t>0?Math.max(-1,Math.min(1,e/t)):0,o=n>0?r.positive:r.negative,i=a=>Math.round(r.zero[a]+(o[a]-r.zero[a])*Math.abs(n));return[i(0),i(1),i(2)]}var j=e=>`rgb(${e[0]},${e[1]},${e[2]})`;function K(e,t,r){let n=JSON.stringify(t);e.dataset.options!==n&&(e.replaceChildren(...t.map(([o,i])=>h("option",{value:o},i))),e.dataset.options=n),e.value!==r&&(e.value=r),e.disabled=t.length<2}var Z=class{constructor(t){this.model=t;this.row=h("div",{class:"mp-choices"},this.against,this.average,this.sample,this.columns),this.listen(this.metric,"metric"),this.listen(this.against,"against"),this.listen(this.average,"average"),this.listen(this.columns,"columns"),this.sample.addEventListener("change",()=>{t.set("sample",Number(this.sample.value)),t.save_changes()})}model;metric=h("select",{"aria-label":"metric","data-testid":"metric"});row;against=h("select",{"aria-label":"control","data-testid":"control"});average=h("select",{"aria-label":"summary of the images","data-testid":"average"});sample=h("select",{"aria-label":"image","data-testid":"sample"});columns=h("select",{"aria-label":"columns","data-testid":"columns"});listen(t,r){t.addEventListener("change",()=>{this.model.set(r,t.value),this.model.save_changes()})}draw(){let{model:t}=this,r=t.get("metric_labels"),n=t.get("metric"),o=t.get("metrics"),i=o.includes(n)?o:[n,...o];K(this.metric,i.map(p=>[p,r[p]??Ot(p)]),n);let a=t.get("controls");K(this.against,a.map(p=>[p,`beyond ${D(p)}`]),t.get("against"));let s=t.get("samples");K(this.average,Object.entries(t.get("average_labels")),t.get("average")),K(this.sample,s.map((p,c)=>[String(c),p]),String(t.get("sample")));let l=[["layer","by layer"],["relative_depth","by relative depth"]];K(this.columns,l,t.get("columns")),y(this.against,a.length>1),y(this.average,s.length>0),y(this.sample,s.length>0&&t.get("average")==="single"),y(this.columns,t.get("relative_depths").length>0)}};function jt(e){return e?e instanceof ArrayBuffer?e:e.buffer.slice(e.byteOffset,e.byteOffset+e.byteLength):new ArrayBuffer(0)}var S=e=>new Float32Array(jt(e)),Ut=e=>new Uint16Array(jt(e));function E(e,t,r){return(t.concept*e.layers.length+t.layer)*e.strengths.length+r}function g(e,t){return e[t]??Number.NaN}function H(e,t,r,n){let o=e.concepts.length*e.layers.length*e.strengths.length;return g(t,r*o+n)}function Gt(e,t,r){return e.layers.map((n,o)=>g(e.value,E(e,{concept:t,layer:o},r)))}function Vt(e,t){let r=0;return e.forEach((n,o)=>{Math.abs(n-t)<Math.abs((e[r]??0)-t)&&(r=o)}),r}function Ie(e){return e<=22?[19,12]:e<=36?[17,11.5]:[14,11]}function We(e,t){let r=e[0]??0,n=e.at(-1)??1,o=e.slice(1).map((l,p)=>(l+(e[p]??0))/2),i=r-((o[0]??r+.5)-r),a=n+(n-(o.at(-1)??n-.5)),s=[i,...o,a].map(l=>(l-i)/(a-i)*t);return s.every((l,p)=>p===0||l-(s[p-1]??0)>=4)?s:null}function dt(e,t,r){let[n,o]=Ie(e.flatMap(([,w])=>w).length),i=e.some(([,w],k)=>(r.labelWidths?.[k]??0)>w.length*n),a=i?6:20,s=a+Math.min(r.nameWidth,Math.max(60,r.width*.3))+8,l=r.width-s-92>=Math.max(240,t*12),p=r.width-s-(l?92:2),c=Math.max(4,Math.min(96,Math.floor(p/Math.max(1,t)))),m=r.depths?.length===t?We(r.depths,t*c):null,d=Array.from({length:t+1},(w,k)=>k*c),f=[],b=[],u=18;for(let[w,k]of e){i&&w&&(u+=16),b.push({label:w,top:u,height:k.length*n});for(let R of k)f.push({concept:R,y:u}),u+=n;u+=6}let v=s+t*c,x=u+20+10;return{headings:i,nameRoom:s-a-6,rows:f,groups:b,left:s,top:18,edges:(m??d).map(w=>s+w),cellWidth:c,rowHeight:n,fontSize:o,layers:t,profileTop:u-2,legendTop:x,margin:l?v+12:null,width:r.width,height:x+24}}var F=e=>e.cellWidth>8?1:0;function ut(e,t){let r=e.edges.findIndex(n=>t<n);return r<0?e.layers:r-1}function ft(e,t,r){let n=ut(e,t);if(n<0||n>=e.layers)return null;let o=e.rows.find(i=>r>=i.y&&r<i.y+e.rowHeight);return o?{concept:o.concept,layer:n}:null}function Bt(e,t,r){let n=Math.max(0,e.rows.findIndex(a=>a.concept===t.concept)),o=a=>e.rows[Math.max(0,Math.min(e.rows.length-1,n+a))]?.concept??0,i=a=>Math.max(0,Math.min(e.layers-1,a));switch(r){case"ArrowUp":return{...t,concept:o(-1)};case"ArrowDown":return{...t,concept:o(1)};case"PageUp":return{...t,concept:o(-5)};case"PageDown":return{...t,concept:o(5)};case"ArrowLeft":return{...t,layer:i(t.layer-1)};case"ArrowRight":return{...t,layer:i(t.layer+1)};case"Home":return{...t,layer:0};case"End":return{...t,layer:i(e.layers-1)};default:return null}}var T=e=>e.anchor<e.active?[e.anchor,e.active]:[e.active,e.anchor],P=e=>({concept:e.concept,layer:e.active});function Kt(e,t,r){if(e.concepts.length===0||e.layers.length===0)return null;let n=Math.max(0,e.concepts.indexOf(t.concept)),o=Math.max(0,e.layers.indexOf(t.layer)),a=t.window[0]===e.layers[o]?e.layers.indexOf(t.window[1]??t.layer):o,s={concept:n,anchor:Math.max(o,a),active:o};return r?.concept===n&&String(T(r))===String(T(s))?r:s}function qt(e,t){let[r,n]=T(t).map(o=>e.layers[o]??0);return{concept:e.concepts[t.concept]??"",layer:r,window:[r,n]}}function gt(e,t,r){return r&&e?{...e,active:t.layer}:{concept:t.concept,anchor:t.layer,active:t.layer}}function Xt(e,t,r){return{...t,active:Math.max(0,Math.min(e.layers-1,ut(e,r)))}}function Jt(e,t,r,n){if(r==="Escape")return t.anchor===t.active?null:{...t,anchor:t.active};let o=Bt(e,P(t),r);return o&&gt(t,o,n&&o.concept===t.concept)}var je=Object.values(N.marks),Ue=7,Ge=3,Ve=.42,Be=3,bt=e=>Number.isFinite(e)?je.filter((t,r)=>e>>r&1):[];function Yt(e,t){let r=Math.max(Ge,Math.min(Ue,e-2,Ve*t)),n=Math.max(0,Math.min(Be,(e-r)/2));return[n,t-r-n,r]}function Ke(e){let t=Math.max(1.2,e/5);return[t,t+2*e/7]}function Zt(e,t,r,n){let o=new Path2D;t.rows.forEach(({y:s},l)=>{for(let p=0;p<t.layers;p+=1){let c=bt(n(l,p)).at(-1);if(!c)continue;let m=t.edges[p]??0,d=(t.edges[p+1]??m)-m-F(t),[f,b,u]=Yt(d,t.rowHeight-1);for(let v of c.strokes)v.forEach(([x=0,w=0],k)=>{let[R,O]=[m+f+u*x,s+b+u*w];k?o.lineTo(R,O):o.moveTo(R,O)})}});let[i,a]=Ke(Yt(t.cellWidth-F(t),t.rowHeight-1)[2]);for(let[s,l]of[[r.paper,a],[r.ink,i]])e.strokeStyle=s,e.lineWidth=l,e.stroke(o);e.lineWidth=1}var Q=" reaches as far",vt=e=>D(e).replace(/s$/,"");function tt(e,t){let r=e.reasons[g(e.reason,t)]??"";if(r.endsWith(Q))return vt(r.slice(0,-Q.length))+Q;let n=g(e.q,t);return r==="passes"&&Number.isFinite(n)?`${r}, ${Pt(n)}`:r}function Qt(e,t){let r=e.reasons[g(e.reason,t)],n=e.controls.findIndex(o=>r===o+Q);return[...new Set([e.against,...n<0?[]:[n]])]}function et(e,t){let r=g(e.n,t);return Number.isFinite(r)?`n = ${r} ${r===1?"image":"images"}`:""}var U=(e,t)=>bt(g(e.marks,t)).map(r=>r.label);function xt(e,t){let[r,n]=T(t);return e.layers.slice(r,n+1)}function te(e){if(typeof e=="number")return Number.isFinite(e)?String(Number(e.toPrecision(7))):"";let t=/^[=+\-@\t\r]/.test(e)?`'${e}`:e;return/[",\n\r]/.test(t)?`"${t.replaceAll('"','""')}"`:t}function ee(e,t,r){let n=e.controls[e.against]??"random",o=["concept","category","layer","strength","strength_unit","metric","average","against"],i=["difference","low","high","unit","n","q",e.q.length?"clear_in_grid":"clear_of_controls","reason","answers"],a=e.controls.flatMap(l=>[`${l}_mean`,`${l}_low`,`${l}_high`]),s=[[...o,...i,...a].map(te).join(",")];for(let l of xt(e,t))e.strengths.forEach((p,c)=>{let m=E(e,{concept:t.concept,layer:e.layers.indexOf(l)},c),d=g(e.clear,m),f=[e.concepts[t.concept]??"",e.categories[t.concept]??"",l,p,r.strengthUnit,r.metric,r.average,n,g(e.value,m),g(e.low,m),g(e.high,m),r.unit,g(e.n,m),g(e.q,m),Number.isFinite(d)?d?"true":"false":"",e.reasons[g(e.reason,m)]??"",U(e,m).join("; "),...e.controls.flatMap((b,u)=>[e.control,e.controlLow,e.controlHigh].map(v=>H(e,v,u,m)))];s.push(f.map(te).join(","))});return`${s.join(`
`)}
`}function re(e,t,r,n){let o=t.strengths[n]??0,i={concept:JSON.stringify(t.concepts[r.concept]??""),layers:xt(t,r).join(", "),sites:xt(t,r).map(a=>a<0?JSON.stringify(_(a)):a).join(", "),strength:Number.isInteger(o)?o.toFixed(1):String(o)};return e.map((a,s)=>s%2?i[a]??"":a).join("")}async function ne(e){try{return await navigator.clipboard.writeText(e),!0}catch{return!1}}function C(e,t={},...r){let n=document.createElementNS("http://www.w3.org/2000/svg",e);for(let[o,i]of Object.entries(t))i!==void 0&&n.setAttribute(o,String(i));return n.append(...r),n}function yt(e,t){let r=[];for(let n of e)r.every(i=>Math.abs(n.at-i.at)>=(n.size+i.size)/2+t)&&r.push(n);return r}function oe(e,t){let o=e.strengths.map((s,l)=>l).sort((s,l)=>(e.strengths[s]??0)-(e.strengths[l]??0)).map(s=>({place:s,index:E(e,t,s)})).filter(({index:s})=>Number.isFinite(g(e.value,s))),i=o.map(({place:s,index:l})=>({strength:e.strengths[s]??0,place:s,value:g(e.value,l),low:g(e.low,l),high:g(e.high,l),n:g(e.n,l),clear:g(e.clear,l)===1,said:[et(e,l),tt(e,l),...U(e,l)].filter(Boolean)})),a=e.controls.map((s,l)=>{let p=m=>o.map(({index:d})=>H(e,m,l,d)-H(e,e.control,e.against,d)),c=i.map(m=>m.strength);return{control:s,strengths:c,mean:p(e.control),low:p(e.controlLow),high:p(e.controlHigh)}});return{points:i,bands:a,...qe(i,a)}}function qe(e,t){let r=e.map(i=>i.strength),n=[...e.flatMap(i=>[i.value,i.low,i.high]),...t.flatMap(i=>[...i.low,...i.high])],o=r.length?[Math.min(0,...r),Math.max(0,...r)]:[-1,1];return{x:o[0]===o[1]?[o[0]-1,o[1]+1]:o,y:Xe(n.filter(Number.isFinite))}}function Xe(e){let t=Math.max(0,...e),r=Math.min(0,...e);return[r<0?-mt(-r):0,t>0?mt(t):r<0?0:1]}var wt=([e,t],[r,n])=>o=>r+(o-e)/(t-e)*(n-r);function ie(e,t,r){let n=[[]];e.strengths.forEach((i,a)=>{Number.isFinite(e.low[a])&&Number.isFinite(e.high[a])?n.at(-1)?.push(a):n.push([])});let o=(i,a)=>`${t(e.strengths[i]??0).toFixed(1)} ${r(a[i]??0).toFixed(1)}`;return n.filter(i=>i.length>1).map(i=>{let a=i.map(l=>o(l,e.high)),s=i.map(l=>o(l,e.low)).reverse();return`M${[...a,...s].join("L")}Z`}).join("")}var q=180,L={left:46,right:12,top:20,bottom:36},ae={width:6.2,height:11};function Je(e,t){let r=e.points.map(n=>`${A(n.strength)}: ${se(n,t)}`);return`${t.concept}, effect by strength. ${r.join("; ")}`}function se(e,t){let r=z(Math.abs(e.value)||1),n=Number.isFinite(e.low)?` [${M(e.low,r)}, ${M(e.high,r)}]`:"";return[`${M(e.value,r)} ${t.unit}${n}`,...e.said].join(", ")}function le(e,t,r){let n=Math.max(220,t.width),o=wt(e.x,[L.left+8,n-L.right-8]),i=wt(e.y,[q-L.bottom,L.top]),a=C("svg",{class:"mp-curve",width:n,height:q,viewBox:`0 0 ${n} ${q}`,role:"img","aria-label":Je(e,t),"data-testid":"dose-response"});a.append(...Ze(e,t,n,o,i));for(let l of e.bands){let p=Y(l.control,t.dark),c={class:"mp-band","data-control":l.control,fill:p};a.append(C("path",{...c,d:ie(l,o,i)}));let m=l.strengths.map((d,f)=>({s:d,m:l.mean[f]??Number.NaN})).filter(({m:d})=>Number.isFinite(d)).map(({s:d,m:f})=>`${o(d).toFixed(1)} ${i(f).toFixed(1)}`);m.length>1&&a.append(C("path",{class:"mp-mean",stroke:p,d:`M${m.join("L")}`}))}let s=e.points.map(l=>`${o(l.strength).toFixed(1)} ${i(l.value).toFixed(1)}`).join("L");e.points.length>1&&a.append(C("path",{class:"mp-effect",d:`M${s}`}));for(let l of e.points)a.append(Ye(l,t,o,i,r));return a}function Ye(e,t,r,n,o){let i=r(e.strength),a=C("g",{class:"mp-point","data-strength":e.strength,"data-value":e.value});a.append(C("title",{},`${A(e.strength)} ${$(t.strengthUnit)}: ${se(e,t)}`)),a.append(C("circle",{class:"mp-target",cx:i,cy:n(e.value),r:12})),Number.isFinite(e.low)&&a.append(C("path",{class:"mp-interval",d:`M${i} ${n(e.low)}V${n(e.high)}`}));let s=e.place===t.strength?" mp-here":"",l=s?5:3.8;return a.append(C("circle",{class:`mp-dot${e.clear?"":" mp-hollow"}${s}`,cx:i,cy:n(e.value),r:l})),a.addEventListener("click",()=>o(e.place)),a}function Ze(e,t,r,n,o){let i=r-L.right,a=[];for(let l of new Set([e.y[0],0,e.y[1]]))a.push(C("path",{class:l===0?"mp-zero":"mp-rule",d:`M${L.left} ${o(l)}H${i}`}));for(let{at:l,text:p}of Qe(e,o))a.push(C("text",{x:L.left-6,y:l+3.5,"text-anchor":"end"},p));for(let{at:l,text:p}of tr(e,t.strength,n))a.push(C("text",{x:l,y:q-L.bottom+14,"text-anchor":"middle"},p));let s=`strength ${$(t.strengthUnit)}`;return a.push(C("text",{x:(L.left+i)/2,y:q-6,"text-anchor":"middle"},s)),t.unit&&a.push(C("text",{x:L.left-6,y:9,"text-anchor":"end"},t.unit)),a}function Qe({y:e},t){let[r,n]=e,o=[...new Set(Math.abs(n)>=Math.abs(r)?[n,0,r]:[r,0,n])],i=Math.max(...o.map(I));return yt(o.map(a=>({at:t(a),size:ae.height,text:M(a,i)})),2)}function tr({points:e},t,r){let n=a=>{let s=e[a];return s?.place===t?0:a===0||a===e.length-1?1:s?.strength===0?2:3},i=[...e.keys()].sort((a,s)=>n(a)-n(s)||a-s).map(a=>{let s=e[a]?.strength??0,l=A(s);return{at:r(s),size:l.length*ae.width,text:l}});return yt(i,5)}function X(e,t,r){let n=window.devicePixelRatio||1;(e.width!==Math.round(t*n)||e.height!==Math.round(r*n))&&(e.width=Math.round(t*n),e.height=Math.round(r*n),e.style.width=`${t}px`,e.style.height=`${r}px`);let o=e.getContext("2d");return o?.setTransform(n,0,0,n,0,0),o&&(o.textBaseline="middle"),o}var G=128;function pe(e){return Array.from({length:2*G+1},(t,r)=>W(r-G,G,e))}function rt(e,t,r){let n=Math.round(6*r),o=document.createElement("canvas");o.width=n,o.height=n;let i=o.getContext("2d");if(!i)return null;i.strokeStyle=t.dark?"rgba(255,255,255,.22)":"rgba(60,70,84,.26)",i.lineWidth=r*.8,i.beginPath();for(let s of[-n,0,n])i.moveTo(s,n),i.lineTo(s+n,0);i.stroke();let a=e.createPattern(o,"repeat");return a?.setTransform(new DOMMatrix([1/r,0,0,1/r,0,0])),a}function V(e,t,r){if(e.measureText(t).width<=r)return t;let n=t;for(;n.length>1&&e.measureText(`${n}\u2026`).width>r;)n=n.slice(0,-1);return`${n}\u2026`}var er=4,me=Math.PI/3.2,he=Math.sin(me);function ce(e,t,r){let n=Math.min(r,t*.3)+12,o=Math.max(5,Math.min(22,Math.floor((t-n-30)/Math.max(1,e)))),i=Math.min(r,110)*he+14;return{left:n,top:i,cell:o,width:t,height:i+e*o+4}}var kt=({values:e,concepts:t},r,n,o)=>e[(r*t.length+n)*er+o]??Number.NaN;function rr(e,t,r){let[n,o,i,a]=[0,1,2,3].map(m=>kt(e,t,r,m)),s=`${e.concepts[t]} steered, ${e.concepts[r]} scored`;if(!Number.isFinite(n))return`${s}: not run yet`;let l=z(Math.abs(n)||1),p=Number.isFinite(o)?` [${M(o,l)}, ${M(i,l)}]`:"",c=a?"clear of the random directions":"not clear of the random directions";return`${s}: ${M(n,l)} nats${p} \xB7 ${c}`}var nt=class{element;canvas=h("canvas",{class:"mp-canvas",tabindex:0,role:"application","data-testid":"off-target"});read=h("p",{class:"mp-note",role:"status","data-testid":"off-target-cell"});matrix={concepts:[],values:new Float32Array(0),limit:1};layout=ce(0,0,0);at=[0,0];again=()=>{};constructor(){this.canvas.setAttribute("aria-label","Effect of each steered concept (rows) on each scored concept (columns)"),this.element=h("div",{class:"mp-off-target"},this.canvas,this.read),this.canvas.addEventListener("pointermove",t=>{let{left:r,top:n,cell:o}=this.layout;this.move(Math.floor((t.offsetY-n)/o),Math.floor((t.offsetX-r)/o))}),this.canvas.addEventListener("keydown",t=>{let r={ArrowUp:[-1,0],ArrowDown:[1,0],ArrowLeft:[0,-1],ArrowRight:[0,1]}[t.key];r&&(t.preventDefault(),this.move(this.at[0]+(r[0]??0),this.at[1]+(r[1]??0)))})}move(t,r){let n=this.matrix.concepts.length;t<0||r<0||t>=n||r>=n||(this.at=[t,r],this.again())}draw(t,r,n,o){t.values!==this.matrix.values&&(this.at=[r,this.at[1]]),(this.at[0]>=t.concepts.length||this.at[1]>=t.concepts.length)&&(this.at=[0,0]),this.matrix=t,this.again=()=>this.draw(t,r,n,o);let i=this.canvas.getContext("2d");i&&(i.font=`11px ${o.font}`);let a=t.concepts.map(l=>i?.measureText(l).width??50);this.layout=ce(t.concepts.length,n,Math.min(140,Math.max(30,...a)));let s=X(this.canvas,this.layout.width,this.layout.height);s&&(s.clearRect(0,0,this.layout.width,this.layout.height),this.paintNames(s,r,o),this.paintPairs(s,o),this.read.textContent=rr(t,...this.at))}paintNames(t,r,n){let{left:o,top:i,cell:a}=this.layout,s=Math.ceil(11/a);t.font=`11px ${n.font}`,this.matrix.concepts.forEach((l,p)=>{p%s&&p!==r||(t.fillStyle=p===r||p===this.at[0]?n.ink:n.soft,t.textAlign="right",t.fillText(V(t,l,o-10),o-6,i+(p+.5)*a),t.fillStyle=p===this.at[1]?n.ink:n.soft,t.save(),t.translate(o+(p+.5)*a,i-5),t.rotate(-me),t.textAlign="left",t.fillText(V(t,l,(i-10)/he),0,0),t.restore())})}paintPairs(t,r){let{left:n,top:o,cell:i}=this.layout,a=this.matrix.concepts.length,{limit:s}=this.matrix,l=rt(t,r,window.devicePixelRatio||1),p=new Path2D;for(let c=0;c<a;c+=1)for(let m=0;m<a;m+=1){let d=kt(this.matrix,c,m,0);if(!Number.isFinite(d))continue;t.fillStyle=j(W(d,s,r));let f=[n+m*i,o+c*i,i-1,i-1];t.fillRect(...f),kt(this.matrix,c,m,3)===0&&p.rect(...f)}l&&(t.fillStyle=l,t.fill(p)),t.strokeStyle=r.brand,t.lineWidth=2,t.strokeRect(n+this.at[1]*i-.5,o+this.at[0]*i-.5,i,i),t.lineWidth=1}};var ot=class{constructor(t,r){this.model=t;this.choose=r;let n=h("button",{type:"button","data-testid":"copy-csv"},"Copy CSV"),o=h("button",{type:"button","data-testid":"copy-code"},"Copy code");n.addEventListener("click",()=>this.copy("CSV")),o.addEventListener("click",()=>this.copy("code")),this.view.addEventListener("change",()=>{t.set("detail",this.view.value),t.save_changes()}),y(this.text,!1);let i=h("div",{class:"mp-head"},this.title,this.view,n,o);this.element=h("div",{class:"mp-detail"},i,this.figure,this.legend,this.offTarget.element,this.notice,this.text),y(this.element,!1)}model;choose;element;title=h("h3",{"data-testid":"detail-title"});view=h("select",{"aria-label":"view of the selected cell","data-testid":"detail"},h("option",{value:"dose_response"},"dose response"),h("option",{value:"off_target"},"off target"));figure=h("div",{class:"mp-figure"});legend=h("p",{class:"mp-note mp-legend"});offTarget=new nt;notice=h("p",{class:"mp-note",role:"status","data-testid":"copy-status"});text=h("textarea",{class:"mp-copied",readonly:!0,rows:6,"aria-label":"copied text","data-testid":"copied"});key="";matrix={bytes:null,values:new Float32Array(0)};now=null;shown(){let t=this.model.get("provenance");return{metric:t.metric??this.model.get("metric"),unit:this.model.get("unit"),strengthUnit:this.model.get("strength_unit"),average:t.average??"mean"}}async copy(t){if(!this.now)return;let{cells:r,selection:n,strength:o}=this.now,i=t==="CSV"?ee(r,n,this.shown()):re(this.model.get("recipe"),r,n,o);this.model.set("copied",i),this.model.save_changes();let a=await ne(i);this.notice.textContent=a?`Copied as ${t}.`:"Clipboard access is blocked. Select and copy the text below instead.",this.text.value=i,y(this.text,!a),a||this.text.select()}draw(t,r,n,o,i){let a=r!==null&&t.value.some(Number.isFinite);if(y(this.element,a),!r||!a)return;this.now={cells:t,selection:r,strength:n};let s=Math.floor(this.element.clientWidth),l=this.model.get("has_off_target"),p=l?this.model.get("detail"):"dose_response",c=JSON.stringify([r,n,p,s]);if(!i&&c===this.key)return;this.key=c,y(this.view,l),this.view.value=p;let m=p==="off_target";y(this.figure,!m),y(this.legend,!m),y(this.offTarget.element,m),m?this.drawOffTarget(t,r,s,o):this.drawCurve(t,r,n,s,o)}drawCurve(t,r,n,o,i){let a=P(r),s=t.concepts[a.concept]??"";this.title.textContent=`Dose response \xB7 ${s} \xB7 layer ${_(t.layers[a.layer])}`;let l=oe(t,a);if(l.points.length===0){this.figure.replaceChildren(h("p",{class:"mp-note"},"Not run yet, or not defined here.")),this.legend.replaceChildren();return}let p=this.model.get("unit"),c={width:o,concept:s,unit:p,strengthUnit:this.model.get("strength_unit"),strength:n,dark:i.dark};this.figure.replaceChildren(le(l,c,this.choose));let m=[h("span",{},h("i",{class:"mp-key mp-key-effect"}),"beyond ",D(t.controls[t.against]??"random")),h("span",{},h("i",{class:"mp-key mp-key-hollow"}),t.q.length?"hollow: does not pass in the grid":"hollow: not clear of the controls"),...t.controls.map(b=>{let u=h("i",{class:"mp-key",style:`--mp-control: ${Y(b,i.dark)}`});return h("span",{},u,D(b))})];this.legend.replaceChildren(...m);let[d,f]=T(r);if(d!==f){let[b,u,v]=[d,f,P(r).layer].map(w=>_(t.layers[w])),x=`curve for layer ${v} only; steering applies to layers ${b}\u2013${u} together`;this.legend.append(h("span",{},x))}}drawOffTarget(t,r,n,o){let i=this.model.get("off_target");i!==this.matrix.bytes&&(this.matrix={bytes:i,values:S(i)});let[a,s]=this.model.get("off_target_at"),l=`layer ${a??"\u2013"} \xB7 ${A(s??0)} ${$(this.model.get("strength_unit"))}`;this.title.textContent=`Off target \xB7 ${l}`;let p={concepts:t.concepts,values:this.matrix.values,limit:this.model.get("off_target_limit")};this.offTarget.draw(p,r.concept,n,o)}};var de=`.mp-heatmap .mp-row {
  display: flex;
  flex-wrap: wrap;
  align-items: flex-start;
  justify-content: space-between;
  gap: 4px 16px;
  margin: 0 0 8px;
}
.mp-heatmap .mp-scrubber {
  display: flex;
  flex: 1 1 240px;
  align-items: flex-start;
  gap: 10px;
  max-width: 460px;
  color: var(--mp-soft);
  font-size: 12px;
}
.mp-heatmap .mp-scrubber label {
  flex: none;
  line-height: 16px;
}
.mp-heatmap .mp-track {
  flex: 1 1 120px;
  min-width: 0;
}
.mp-heatmap .mp-track input[type="range"] {
  display: block;
  width: 100%;
  height: 16px;
  margin: 0;
  accent-color: var(--mp-brand);
  cursor: pointer;
}
.mp-heatmap .mp-stops {
  position: relative;
  height: 17px;
  margin: 0 8px;
  font-size: 11.5px;
}
.mp-heatmap .mp-stops span {
  position: absolute;
  min-width: 18px;
  padding: 0 3px;
  transform: translateX(-50%);
  color: var(--mp-faint);
  text-align: center;
  cursor: pointer;
}
.mp-heatmap .mp-stops span[data-current] {
  color: var(--mp-brand);
  font-weight: 600;
}
.mp-heatmap .mp-choices {
  display: flex;
  flex-wrap: wrap;
  gap: 5px;
}
.mp-heatmap .mp-choices select {
  max-width: 210px;
  padding: 2px 5px;
  border-color: var(--mp-line);
  color: var(--mp-soft);
  font-size: 12px;
}
.mp-heatmap .mp-canvas {
  display: block;
  border-radius: 3px;
  cursor: crosshair;
}
.mp-heatmap .mp-canvas:focus-visible {
  outline-offset: 3px;
}
.mp-heatmap .mp-read {
  /* Fixed, so that the map never moves under the pointer that reads it. */
  height: calc(51px + var(--mp-reason, 0px));
  padding: 6px 10px;
  overflow: hidden;
  border-radius: 5px;
  background: var(--mp-fill);
  font-size: 12.5px;
  overflow-wrap: anywhere;
}
/* Room for why a concept is grey. */
.mp-heatmap[data-unfit="true"] {
  --mp-reason: 19px;
}
.mp-heatmap .mp-read b {
  display: inline-block;
  max-width: 40%;
  overflow: hidden;
  font-weight: 650;
  text-overflow: ellipsis;
  vertical-align: bottom;
  white-space: nowrap;
}
@container (max-width: 960px) {
  .mp-heatmap .mp-read {
    height: calc(70px + var(--mp-reason, 0px));
  }
}
@container (max-width: 540px) {
  .mp-heatmap .mp-read {
    height: calc(88px + var(--mp-reason, 0px));
  }
}
@container (max-width: 420px) {
  .mp-heatmap .mp-read {
    height: 107px;
  }
}
.mp-heatmap .mp-read .soft {
  color: var(--mp-soft);
}
.mp-heatmap .mp-progress {
  margin: 6px 0;
}
.mp-heatmap .mp-progress[data-done="true"] {
  opacity: 0;
}
.mp-heatmap .mp-count {
  color: var(--mp-faint);
  font-size: 12px;
}
.mp-heatmap .mp-layers {
  position: relative;
}
.mp-heatmap .mp-over-map {
  position: absolute;
  top: 0;
  left: 0;
  pointer-events: none;
}
.mp-heatmap .mp-map {
  touch-action: pan-y;
}
.mp-heatmap .mp-detail {
  margin-top: 12px;
  padding-top: 10px;
  border-top: 1px solid var(--mp-line);
}
.mp-heatmap .mp-detail .mp-head {
  margin-bottom: 4px;
}
.mp-heatmap .mp-detail h3 {
  overflow: hidden;
  text-overflow: ellipsis;
  text-transform: none;
  white-space: nowrap;
}
.mp-heatmap .mp-detail .mp-head button,
.mp-heatmap .mp-detail .mp-head select {
  padding: 1px 8px;
  font-size: 12px;
}
.mp-heatmap .mp-curve {
  display: block;
  overflow: visible;
}
.mp-heatmap .mp-curve text {
  fill: var(--mp-faint);
  font-size: 10.5px;
}
.mp-heatmap .mp-rule,
.mp-heatmap .mp-zero {
  fill: none;
  stroke: var(--mp-line);
}
.mp-heatmap .mp-zero {
  stroke: var(--mp-edge);
}
.mp-heatmap .mp-band {
  fill-opacity: 0.2;
}
.mp-heatmap .mp-mean {
  fill: none;
  stroke-width: 1.4;
  stroke-dasharray: 5 3;
}
.mp-heatmap .mp-effect {
  fill: none;
  stroke: var(--mp-brand);
  stroke-width: 1.8;
}
.mp-heatmap .mp-interval {
  stroke: var(--mp-brand);
  stroke-width: 1.4;
}
.mp-heatmap .mp-dot {
  fill: var(--mp-brand);
  stroke: var(--mp-brand);
  stroke-width: 1.6;
}
.mp-heatmap .mp-hollow {
  fill: var(--mp-bg);
}
.mp-heatmap .mp-here {
  stroke-width: 2.4;
}
.mp-heatmap .mp-target {
  fill: transparent;
}
.mp-heatmap .mp-point {
  cursor: pointer;
}
.mp-heatmap .mp-note {
  margin: 2px 0 0;
  color: var(--mp-faint);
  font-size: 11.5px;
  overflow-wrap: anywhere;
}
.mp-heatmap .mp-note:empty {
  display: none;
}
.mp-heatmap .mp-legend {
  display: flex;
  flex-wrap: wrap;
  gap: 2px 14px;
}
.mp-heatmap .mp-key {
  display: inline-block;
  width: 15px;
  height: 9px;
  margin-right: 5px;
  border-radius: 2px;
  background: color-mix(in srgb, var(--mp-control, var(--mp-soft)) 40%, transparent);
}
.mp-heatmap .mp-key-effect {
  height: 3px;
  margin-bottom: 3px;
  background: var(--mp-brand);
}
.mp-heatmap .mp-key-hollow {
  width: 9px;
  border: 1.6px solid var(--mp-brand);
  border-radius: 50%;
  background: none;
}
.mp-heatmap .mp-skeleton {
  display: grid;
  gap: 5px;
  padding: 22px 0 10px;
}
.mp-heatmap .mp-skeleton div {
  display: grid;
  grid-template-columns: 96px repeat(8, 1fr);
  gap: 3px;
}
.mp-heatmap .mp-skeleton b,
.mp-heatmap .mp-skeleton i {
  height: 14px;
  border-radius: 3px;
  background: var(--mp-fill);
}
.mp-heatmap .mp-skeleton b {
  width: 70%;
  justify-self: end;
  margin-right: 8px;
}
.mp-heatmap .mp-copied {
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
`;var ue=["concepts","row_groups","layers","relative_depths","columns"],fe=["values","low","high","n","clear","control","control_low","control_high","off_target","q","marks","unfinished","reason","reasons","caption","strengths","unit","strength_unit","controls","provenance","has_off_target","off_target_at","mean_over_concepts","categories","unfit","limit","note","recipe","off_target_limit","answered"],ge=["metric","metrics","metric_labels","against","controls","average","average_labels","sample","samples","columns","relative_depths","strengths","strength_unit"],be=["concept","layer","window","strength","progress","status","message","detail","tokens_label"];function Mt(e){let t=e.get("controls");return{concepts:e.get("concepts"),categories:e.get("categories"),groups:e.get("row_groups"),unfit:e.get("unfit"),layers:e.get("layers"),depths:e.get("relative_depths"),strengths:e.get("strengths"),value:S(e.get("values")),low:S(e.get("low")),high:S(e.get("high")),n:S(e.get("n")),clear:S(e.get("clear")),q:S(e.get("q")),marks:S(e.get("marks")),unfinished:S(e.get("unfinished")),reason:Ut(e.get("reason")),reasons:e.get("reasons"),controls:t,against:Math.max(0,t.indexOf(e.get("provenance").against??"random")),control:S(e.get("control")),controlLow:S(e.get("control_low")),controlHigh:S(e.get("control_high")),meanOverConcepts:S(e.get("mean_over_concepts"))}}var St=e=>`10px ${e}`;function xe(e,{layout:t},r){e.fillStyle=r.faint,e.font=St(r.font);for(let n of t.groups){if(t.headings){e.textAlign="left",e.fillText(V(e,n.label,t.width-2),2,n.top-16/2);continue}e.save(),e.translate(8,n.top+n.height/2),e.rotate(-Math.PI/2),e.textAlign="center",e.fillText(n.label,0,0),e.restore()}}var ve=(e,t)=>((e.edges[t]??0)+(e.edges[t+1]??0))/2;function ye(e,t,r){let{layout:n,cells:o,columns:i,hover:a,selection:s}=t;e.textAlign="center";let l=i==="relative_depth"&&o.depths.length===o.layers.length,[p,c]=a?[a.layer,a.layer]:s?T(s):[-1,-1],m=l?26:18,d=Number.NEGATIVE_INFINITY,f=ve(n,p);o.layers.forEach((b,u)=>{let v=ve(n,u),x=u>=p&&u<=c;u!==p&&(v-d<m||Math.abs(v-f)<(p<0?0:m))||(d=v,e.font=`${x?"600 ":""}10.5px ${r.font}`,e.fillStyle=x?r.ink:r.faint,e.fillText(l?(o.depths[u]??0).toFixed(2).replace(/^0(?=\.)/,""):_(b),v,8))}),e.font=`10.5px ${r.font}`,e.fillStyle=r.faint,e.textAlign="right",e.fillText(l?"depth":"layer",n.left-7,8)}function we(e,t,r){let{layout:n,limit:o,unit:i,cells:a}=t;if(!a.value.some(Number.isFinite))return;let s=Math.min(n.layers*n.cellWidth,420),l=n.legendTop,p=e.createLinearGradient(n.left,0,n.left+s,0);for(let m=0;m<=8;m+=1)p.addColorStop(m/8,j(W(-o+o*m/4,o,r)));e.fillStyle=p,e.fillRect(n.left,l,s,7);let c=I(o);e.fillStyle=r.faint,e.font=`10.5px ${r.font}`,e.textAlign="left",e.fillText(B(-o,c),n.left,l+15),e.textAlign="center",e.fillText("0",n.left+s/2,l+15),e.textAlign="right",e.fillText(`${M(o,c)} ${i}`.trim(),n.left+s,l+15)}var it=class{cut=new Map;forget(){this.cut.clear()}paint(t,{layout:r,cells:n,hover:o,selection:i},a){t.textAlign="right";let s=o?.concept??i?.concept;for(let l of[!1,!0]){t.font=`${l?"600 ":""}${r.fontSize}px ${a.font}`;for(let p of r.rows){if(p.concept===s!==l)continue;let c=n.concepts[p.concept]??"";t.fillStyle=n.unfit[c]?a.faint:a.ink;let m=this.fitting(t,l,p.concept,c,r.nameRoom);t.fillText(m,r.left-7,p.y+r.rowHeight/2)}}}fitting(t,r,n,o,i){let a=`${n} ${r}`,s=this.cut.get(a);if(s!==void 0)return s;let l=V(t,o,i);return this.cut.set(a,l),l}};var ir=Math.round(255*N.faded);function ar(e,t,r,n,o){let i=new Uint8ClampedArray(t.rows.length*t.layers*4),a=0;for(let{concept:s}of t.rows)for(let l=0;l<t.layers;l+=1,a+=4){let p=E(e,{concept:s,layer:l},r),c=g(e.value,p);if(!Number.isFinite(c))continue;let m=o[Math.round(Math.max(-1,Math.min(1,c/n))*G)+G];m&&(i[a]=m[0],i[a+1]=m[1],i[a+2]=m[2],i[a+3]=g(e.unfinished,p)===1?ir:255)}return i}function Ct(e,t){let r=[],n=-1;for(let o=0;o<=e;o+=1){let i=o<e&&t(o);i&&n<0&&(n=o),!(i||n<0)&&(r.push([n,o]),n=-1)}return r}var at=class{image=document.createElement("canvas");hatch=null;paint(t,r,n,o,i,a){if(n.layers===0||n.rows.length===0)return;this.fill(ar(r,n,o.strength,o.limit,a),n),this.stretch(t,n);let s=(c,m)=>E(r,{concept:n.rows[c]?.concept??0,layer:m},o.strength),l=(c,m)=>Number.isFinite(g(r.value,s(c,m)));this.paintHatching(t,n,i,(c,m)=>l(c,m)&&g(r.clear,s(c,m))===0),sr(t,n,i,(c,m)=>!l(c,m)),pr(t,n),lr(t,n,i,(c,m)=>Math.abs(g(r.value,s(c,m)))>o.limit),r.marks.length>0&&Zt(t,n,i,(c,m)=>g(r.marks,s(c,m)))}fill(t,{layers:r,rows:n}){let{image:o}=this;(o.width!==r||o.height!==n.length)&&Object.assign(o,{width:r,height:n.length}),o.getContext("2d")?.putImageData(new ImageData(t,r,n.length),0,0)}stretch(t,{groups:r,rows:n,rowHeight:o,edges:i,cellWidth:a,layers:s}){let p=i.every((m,d)=>d===0||m-(i[d-1]??0)===a)?[[0,s]]:Array.from({length:s},(m,d)=>[d,d+1]);t.imageSmoothingEnabled=!1;let c=0;for(let m of r){let d=m.height/o;for(let[f=0,b=0]of p){let u=i[f]??0,v=[u,n[c]?.y??0,(i[b]??u)-u,m.height];t.drawImage(this.image,f,c,b-f,d,...v)}c+=d}}paintHatching(t,r,n,o){let i=window.devicePixelRatio||1;(this.hatch?.theme!==n||this.hatch.ratio!==i)&&(this.hatch={theme:n,ratio:i,pattern:rt(t,n,i)}),this.hatch.pattern&&(t.fillStyle=this.hatch.pattern,r.rows.forEach(({y:a},s)=>{for(let[l,p]of Ct(r.layers,c=>o(s,c))){let c=r.edges[l]??0;t.fillRect(c,a,(r.edges[p]??c)-c,r.rowHeight)}}))}};function sr(e,t,r,n){let{rows:o,rowHeight:i,edges:a,layers:s,groups:l}=t,p=new Path2D;o.forEach(({y:m},d)=>{for(let[f,b]of Ct(s,u=>n(d,u))){let[u,v]=[a[f]??0,(a[b]??0)-F(t)];p.rect(u,m,v-u,1),p.rect(u,m+i-2,v-u,1)}});let c=0;for(let m of l){let d=m.height/i;for(let f=0;f<s;f+=1)for(let[b,u]of Ct(d,v=>n(c+v,f))){let v=o[c+b]?.y??0,x=(u-b)*i-1;p.rect(a[f]??0,v,1,x),p.rect((a[f+1]??0)-F(t)-1,v,1,x)}c+=d}e.fillStyle=r.line,e.globalAlpha=.55,e.fill(p),e.globalAlpha=1}function lr(e,t,r,n){let{rows:o,edges:i,layers:a,rowHeight:s,cellWidth:l}=t,p=Math.min(6,s/3,l/3),c=new Path2D;o.forEach(({y:m},d)=>{for(let f=0;f<a;f+=1){if(!n(d,f))continue;let b=(i[f+1]??0)-F(t);c.moveTo(b-p,m),c.lineTo(b,m),c.lineTo(b,m+p),c.closePath()}}),e.fillStyle=r.ink,e.fill(c)}function ke(e,t,r,n){let{rows:o,edges:i,layers:a,rowHeight:s}=t;e.lineWidth=1,e.fillStyle=r.paper,e.strokeStyle=r.ink,o.forEach(({y:l},p)=>{for(let c=0;c<a;c+=1)n(p,c)&&(e.beginPath(),e.arc(((i[c]??0)+(i[c+1]??0))/2,l+(s-1)/2,2.6,0,2*Math.PI),e.fill(),e.stroke())})}function pr(e,t){let{rows:r,rowHeight:n,edges:o,left:i,groups:a}=t,s=o.at(-1)??i;for(let{y:c}of r)e.clearRect(i,c+n-1,s-i,1);let l=F(t);if(!l)return;let p=0;for(let c of a){let m=r[p]?.y??0;for(let d of o.slice(1))e.clearRect(d-l,m,l,c.height);p+=c.height/n}}var Me=72;function Se({rowHeight:e},t,r){let n=(e-5)/2;return 2+n-Math.max(-r,Math.min(r,t))/r*n}function Ce(e,t,r){let{layout:n,cells:o,strength:i,limit:a,unit:s}=t,{margin:l}=n;if(!(l===null||!o.value.some(Number.isFinite))){e.textAlign="left",e.fillStyle=r.faint,e.font=`10.5px ${r.font}`,e.fillText(`\xB1 ${B(a,I(a))} ${s}`.trim(),l,8),e.fillStyle=r.line;for(let p of n.rows)e.fillRect(l,p.y+Se(n,0,a)-.5,Me,1);e.strokeStyle=r.brand,e.lineWidth=1.2,e.beginPath();for(let p of n.rows){let c=Gt(o,p.concept,i),m=Me/Math.max(1,c.length-1),d=!1;for(let[f,b]of c.entries()){let u=Number.isFinite(b),[v,x]=[l+f*m,p.y+Se(n,b,a)];u&&d?e.lineTo(v,x):u&&e.moveTo(v,x),d=u}}e.stroke(),e.lineWidth=1}}function Te(e,t,r,n){let{layout:o,cells:i,strength:a,limit:s}=t,l=i.layers.map((x,w)=>{let k=g(i.meanOverConcepts,w*i.strengths.length+a);return Math.max(-s,Math.min(s,k))}),p=l.filter(Number.isFinite);if(p.length===0)return;let[c,m]=[Math.min(0,...p),Math.max(0,...p)],d=m-c||1,f=o.profileTop+m/d*20,b=(n.length-1)/2,u=o.cellWidth>8?3:1;l.forEach((x,w)=>{if(!Number.isFinite(x))return;let k=o.edges[w]??0,R=Math.max(1,(o.edges[w+1]??k)-k-u),O=Math.abs(x)/d*20,ct=Math.max(.55,Math.min(1,Math.abs(x)/s)),Lt=n[Math.round(b+Math.sign(x)*b*ct)];Lt&&(e.fillStyle=j(Lt)),e.fillRect(k+(u-1)/2,x>0?f-O:f,R,O)});let v=o.edges.at(-1)??o.left;e.fillStyle=r.line,e.fillRect(o.left,f,v-o.left,1),e.fillStyle=r.faint,e.font=`10.5px ${r.font}`,e.textAlign="right",e.fillText("mean",o.left-7,o.profileTop+20/2)}var cr=4,st=class{constructor(t){this.canvas=t;this.element=h("div",{class:"mp-layers"},t,this.over)}canvas;element;over=h("canvas",{class:"mp-over-map","aria-hidden":"true"});grid=new at;names=new it;colours=[];theme=null;stale=!0;around=[];invalidate(){this.stale=!0}paint(t,r){r!==this.theme&&(this.colours=pe(r)),this.theme=r,this.stale&&this.paintData(t,r),this.stale=!1;let{cells:n,layout:o,columns:i,selection:a,hover:s,focused:l}=t,p=[n.concepts,n.layers,o,r,i,a,s,l,n.unfit];p.every((c,m)=>c===this.around[m])||(p.slice(0,cr).some((c,m)=>c!==this.around[m])&&this.names.forget(),this.around=p,this.paintOver(t,r))}paintData(t,r){let{width:n,height:o}=t.layout,i=X(this.canvas,n,o);i&&(i.clearRect(0,0,n,o),this.grid.paint(i,t.cells,t.layout,t,r,this.colours),mr(i,t,r),xe(i,t,r),Ce(i,t,r),Te(i,t,r,this.colours),we(i,t,r))}paintOver(t,r){let{width:n,height:o}=t.layout,i=X(this.over,n,o);i&&(i.clearRect(0,0,n,o),this.names.paint(i,t,r),ye(i,t,r),t.hover&&Et(i,t,[t.hover.layer,t.hover.layer],t.hover.concept,r.soft,1),t.selection&&hr(i,t,t.selection,r))}};function mr(e,{cells:t,layout:r,answered:n,strength:o},i){if(n.length===0)return;let a=new Set(n.map(l=>JSON.stringify(l)));ke(e,r,i,(l,p)=>a.has(JSON.stringify([t.concepts[r.rows[l]?.concept??0],t.layers[p],t.strengths[o]])))}function Et(e,{layout:t},[r,n],o,i,a){let s=t.rows.find(c=>c.concept===o);if(!s)return;let l=t.edges[r]??0,p=t.edges[n+1]??l;e.strokeStyle=i,e.lineWidth=a,e.strokeRect(l-.5,s.y-.5,p-l,t.rowHeight),e.lineWidth=1}function hr(e,t,r,n){let o=T(r);if(Et(e,t,o,r.concept,n.brand,t.focused?3:2),o[0]===o[1])return;let{layer:i,concept:a}=P(r);Et(e,t,[i,i],a,n.brand,1);let s=t.layout.edges[o[0]]??0,l=t.layout.edges[o[1]+1]??s;e.fillStyle=n.brand,e.fillRect(s,t.layout.top-3,l-s-1,2)}function Ee(e,t,r,n){let o=E(e,t,r),i=g(e.value,o),a=z(n.limit),s=n.unit?` ${n.unit}`:"",l=[{text:e.concepts[t.concept]??"",kind:"strong"},{text:`layer ${_(e.layers[t.layer])||"\u2013"}`,kind:"normal"},...n.byDepth?[{text:`depth ${(e.depths[t.layer]??0).toFixed(2)}`,kind:"soft"}]:[],...n.window?[{text:`window ${n.window.join("\u2013")}`,kind:"soft"}]:[],{text:`${A(e.strengths[r]??0)} ${$(n.strengthUnit)}${n.window?" at each":""}`,kind:"soft"}],p=e.unfit[e.concepts[t.concept]??""];if(p&&l.push({text:p,kind:"soft"}),!Number.isFinite(i))return[...l,{text:"not run yet, or not defined here",kind:"soft"}];l.push({text:`${M(i,a)}${s}`,kind:"strong"});let c=(u,v)=>`[${M(u,a)}, ${M(v,a)}]`,[m,d]=[g(e.low,o),g(e.high,o)];Number.isFinite(m)&&l.push({text:c(m,d),kind:"soft"});let f=tt(e,o);f&&l.push({text:f,kind:"normal"}),l.push(...U(e,o).map(u=>({text:u,kind:"normal"})));let b=et(e,o);b&&l.push({text:b,kind:"soft"});for(let u of Qt(e,o)){let v=ct=>H(e,ct,u,o),x=v(e.control);if(!Number.isFinite(x))continue;let[w,k]=[v(e.controlLow),v(e.controlHigh)],R=Number.isFinite(w)?` ${c(w,k)}`:"",O=vt(e.controls[u]??"random");l.push({text:`${O} ${M(x,a)}${R} over unsteered`,kind:"soft"})}return l}var dr={cancelled:"Stopped before the first cells were measured.",error:"No cells: what measures them failed."},lt=class{element=h("div",{class:"mp-read",id:J("cell"),"data-testid":"heatmap-cell",role:"status","aria-live":"polite"});key="";draw(t,r,n,o,i){if(!r){this.element.textContent=dr[i]??"Waiting for the first cells.",this.key="";return}let a=Ee(t,r,n,o);this.tell(t,r,n);let s=JSON.stringify(a);if(this.key===s)return;this.key=s;let l=a.flatMap((p,c)=>{let m=p.kind==="strong"?h("b",{},p.text):h("span",{class:p.kind},p.text);return c?[p.text.startsWith("[")?" ":" \xB7 ",m]:[m]});this.element.replaceChildren(...l)}tell(t,r,n){let o=g(t.value,E(t,r,n)),i=this.element.dataset;i.concept=t.concepts[r.concept]??"",i.layer=String(t.layers[r.layer]??""),i.strength=String(t.strengths[n]??""),i.value=Number.isFinite(o)?String(o):""}};var pt=class{constructor(t){this.choose=t;this.input.id=J("strength"),this.label.htmlFor=this.input.id,this.element=h("div",{class:"mp-scrubber"},this.label,h("div",{class:"mp-track"},this.input,this.stops)),this.input.addEventListener("input",()=>t(Number(this.input.value)))}choose;element;input=h("input",{type:"range",min:0,step:1,"data-testid":"heatmap-strength"});label=h("label",{});stops=h("div",{class:"mp-stops","aria-hidden":!0});key="";draw(t,r,n){let o=JSON.stringify([t,r]);o!==this.key&&this.fill(t,r),this.key=o,y(this.element,t.length>1),this.input.value!==String(n)&&(this.input.value=String(n));let i=`${A(t[n]??0)} ${$(r)}`;this.input.getAttribute("aria-valuetext")!==i&&(this.input.setAttribute("aria-valuetext",i),this.stops.querySelectorAll("span").forEach((a,s)=>{a.toggleAttribute("data-current",s===n)}))}fill(t,r){this.label.textContent=`strength ${$(r)}`,this.input.max=String(t.length-1),this.input.removeAttribute("aria-valuetext");let n=Math.max(1,t.length-1),o=Math.ceil(t.length/9),i=t.map((a,s)=>{let l=h("span",{style:`left: ${100*s/n}%`},s%o?"":A(a));return l.addEventListener("click",()=>this.choose(s)),l});this.stops.replaceChildren(...i)}};var At="Effect by concept and layer",Ae={rows:9,columns:8},$t=class{constructor(t,r,n){this.model=t;this.root=Rt(_t+de,"heatmap",At),this.choices=new Z(t),this.detail=new ot(t,s=>this.setStrength(s)),this.canvas.setAttribute("aria-label",`${At}; arrow keys move, with shift they select a window of layers; values are read above`),this.canvas.setAttribute("aria-describedby",this.reading.element.id);let i=h("div",{class:"mp-head"},h("h3",{},At),this.tokens,this.count,this.choices.metric);this.row.append(this.scrubber.element,this.choices.row);let a=[this.skeleton,this.painter.element,this.note,this.caption];for(let s=0;s<Ae.rows;s+=1){let l=Array.from({length:Ae.columns},()=>h("i"));this.skeleton.append(h("div",{},h("b"),...l))}this.main.append(i,this.row,this.reading.element,this.bar,...a,this.error),this.root.append(this.main,this.detail.element),r.append(this.root),this.cells=Mt(t),this.listen(n),this.redraw()}model;root;choices;scrubber=new pt(t=>this.setStrength(t));detail;tokens=h("span",{class:"mp-count","data-testid":"map-tokens"});count=h("span",{class:"mp-count","data-testid":"heatmap-status"});canvas=h("canvas",{class:"mp-canvas mp-map","data-testid":"heatmap",tabindex:0,role:"application"});reading=new lt;note=h("p",{class:"mp-note","data-testid":"map-note"});caption=h("p",{class:"mp-note","data-testid":"map-caption"});bar=h("div",{class:"mp-progress",role:"progressbar","aria-label":"progress"},h("i"));error=h("p",{class:"mp-error",role:"alert","data-testid":"heatmap-error"});painter=new st(this.canvas);row=h("div",{class:"mp-row"});main=h("div",{class:"mp-main"});skeleton=h("div",{class:"mp-skeleton","aria-hidden":!0,"data-testid":"heatmap-skeleton"});cells;layout=dt([],0,{width:0,nameWidth:60});theme=null;limit=1;hover=null;selection=null;dragging=!1;width=0;pending=0;drawn=-1;stale={frame:!0,numbers:!0,choices:!0,theme:!0};listen(t){let{model:r,canvas:n}=this,o=[[ue,()=>this.redraw("frame")],[fe,()=>this.redraw("numbers")],[ge,()=>this.redraw("choices")],[be,()=>this.redraw()]];for(let[s,l]of o)for(let p of s)r.on(`change:${p}`,l);let i=new ResizeObserver(()=>this.redraw("theme"));i.observe(this.main);let a=Wt(()=>this.redraw("theme"));t.addEventListener("abort",()=>{for(let[s,l]of o)for(let p of s)r.off(`change:${p}`,l);i.disconnect(),a(),cancelAnimationFrame(this.pending)}),n.addEventListener("pointerdown",s=>this.onDown(s)),n.addEventListener("pointermove",s=>this.onMove(s)),n.addEventListener("pointerup",()=>this.onUp()),n.addEventListener("pointercancel",()=>this.onCancel()),n.addEventListener("pointerleave",()=>this.setHover(null)),n.addEventListener("keydown",s=>this.onKey(s)),n.addEventListener("focus",()=>this.redraw()),n.addEventListener("blur",()=>this.redraw())}onDown(t){let r=ft(this.layout,t.offsetX,t.offsetY);!r||t.button!==0||(this.selection=gt(this.selection,r,t.shiftKey),this.dragging=!0,this.canvas.setPointerCapture(t.pointerId),this.redraw())}onMove(t){if(!this.dragging||!this.selection){this.setHover(ft(this.layout,t.offsetX,t.offsetY));return}this.hover=null,this.selection=Xt(this.layout,this.selection,t.offsetX),this.redraw()}onUp(){this.dragging&&(this.dragging=!1,this.commit())}onCancel(){this.dragging=!1,this.selection=null,this.redraw()}onKey(t){if(t.ctrlKey||t.metaKey||t.altKey)return;let r=this.selection?Jt(this.layout,this.selection,t.key,t.shiftKey):null;if(r)this.hover=null,this.selection=r,this.commit();else if(t.key==="+"||t.key==="-")this.setStrength(this.strength()+(t.key==="+"?1:-1));else return;t.preventDefault(),t.stopPropagation()}strength(){return Vt(this.cells.strengths,this.model.get("strength"))}setHover(t){t?.concept===this.hover?.concept&&t?.layer===this.hover?.layer||(this.hover=t,this.redraw())}commit(){if(this.selection){for(let[t,r]of Object.entries(qt(this.cells,this.selection)))this.model.set(t,r);this.model.set("picked",this.model.get("picked")+1),this.model.save_changes(),this.redraw()}}setStrength(t){let r=this.cells.strengths[Math.max(0,Math.min(this.cells.strengths.length-1,t))];r===void 0||r===this.model.get("strength")||(this.model.set("strength",r),this.model.save_changes(),this.redraw())}redraw(t){t&&(this.stale[t]=!0),!this.pending&&(this.pending=requestAnimationFrame(()=>{this.pending=0,this.draw()}))}takeIn(){let{model:t,stale:r}=this;if((r.frame||r.numbers)&&(this.cells=Mt(t),this.limit=t.get("limit")),r.choices&&this.choices.draw(),(r.theme||!this.theme)&&(this.theme=It(this.root)),(r.frame||r.theme)&&this.measure(r.frame),!this.dragging){let n={concept:t.get("concept"),layer:t.get("layer"),window:t.get("window")};this.selection=Kt(this.cells,n,this.selection)}return this.theme}measure(t){let r=getComputedStyle(this.root),n=Math.floor(this.main.clientWidth);if(n===this.width&&!t||n<=0)return;this.width=n,this.stale.numbers=!0;let o=this.canvas.getContext("2d");o&&(o.font=`600 12px ${r.fontFamily}`);let i=this.cells.concepts.map(c=>o?.measureText(c).width??60),a=Math.min(170,Math.max(40,...i));o&&(o.font=St(r.fontFamily));let s=this.cells.groups.map(([c])=>o?.measureText(c).width??0),l=this.model.get("columns")==="relative_depth",p={width:n,nameWidth:a,labelWidths:s,...l&&{depths:this.cells.depths}};this.layout=dt(this.cells.groups,this.cells.layers.length,p)}draw(){let t=this.takeIn(),r=this.strength(),n=this.stale.frame||this.stale.numbers||this.stale.theme;(n||r!==this.drawn)&&this.painter.invalidate(),this.drawn=r;let o={cells:this.cells,layout:this.layout,strength:r,limit:this.limit,unit:this.model.get("unit"),columns:this.model.get("columns"),selection:this.selection,hover:this.hover,focused:document.activeElement===this.canvas,answered:this.model.get("answered")};this.painter.paint(o,t),y(this.painter.element,this.cells.concepts.length>0),y(this.row,this.cells.concepts.length>0);let i=["cancelled","error"].includes(this.model.get("status"));y(this.skeleton,this.cells.concepts.length===0&&!i),this.placeCells(),this.drawNotes(),this.drawReadout(r),this.scrubber.draw(this.cells.strengths,this.model.get("strength_unit"),r),this.detail.draw(this.cells,this.selection,r,t,n),this.drawState(),this.stale={frame:!1,numbers:!1,choices:!1,theme:!1}}drawNotes(){let t=this.cells.value.some(Number.isFinite),r=this.model.get("answered").length>0?["dot: has answers"]:[],n=[this.model.get("note"),...r].join(" \xB7 ");for(let[o,i]of[[this.note,n],[this.caption,this.model.get("caption")]])o.textContent!==i&&(o.textContent=i),y(o,t&&i!=="")}placeCells(){let{left:t,cellWidth:r,rowHeight:n,rows:o}=this.layout,i=o[0]?.y??0;for(let[a,s]of Object.entries({left:t,top:i,cellWidth:r,rowHeight:n}))this.canvas.dataset[a]!==String(s)&&(this.canvas.dataset[a]=String(s))}drawReadout(t){let{model:r,cells:n,hover:o,selection:i}=this,[a,s]=i?T(i):[0,0],l=!o||o.concept===i?.concept&&o.layer>=a&&o.layer<=s,p={unit:r.get("unit"),strengthUnit:r.get("strength_unit"),limit:this.limit,window:l&&a!==s?[n.layers[a]??0,n.layers[s]??0]:void 0,byDepth:r.get("columns")==="relative_depth"&&n.depths.length>0};this.reading.draw(n,o??(i&&P(i)),t,p,r.get("status"))}drawState(){let t=this.model.get("tokens_label"),r=t===""?"":`steered at: ${t}`;this.tokens.textContent!==r&&(this.tokens.textContent=r);let n=this.model.get("progress"),o=this.model.get("status"),i=o==="running",a=String(Dt(n)),s=o==="cancelled"?`stopped at ${a} %`:o,l=i?`${a} %`:o==="idle"?"":s;this.count.textContent!==l&&(this.count.textContent=l),this.root.dataset.status=o,this.root.dataset.unfit=String(Object.keys(this.cells.unfit).length>0),this.bar.dataset.done=String(!i),this.bar.setAttribute("aria-valuenow",a),this.bar.firstElementChild.style.transform=`scaleX(${n})`;let p=this.model.get("message");this.error.textContent!==p&&(this.error.textContent=p),y(this.error,p!=="")}};function ur({model:e,el:t,signal:r}){let n=new AbortController;return r?.addEventListener("abort",()=>n.abort()),new $t(e,t,n.signal),()=>n.abort()}var So={render:Ft(ur)};export{So as default};
