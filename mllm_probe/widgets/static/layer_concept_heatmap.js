var It=`.mp {
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
`;function d(e,t={},...r){let n=document.createElement(e);for(let[o,i]of Object.entries(t))i!==void 0&&i!==!1&&n.setAttribute(o,i===!0?"":String(i));return n.append(...r),n}var zt=0;function rt(e){return zt+=1,`mp-${e}-${zt}-${Math.random().toString(36).slice(2,8)}`}function Ut(e,t,r){let n=d("section",{class:`mp mp-${t}`,"aria-label":r,"data-lm-suppress-shortcuts":"true"});return n.append(d("style",{},e)),n.addEventListener("keydown",o=>o.stopPropagation()),n}function w(e,t){e.hidden=!t}var Ye="No kernel is connected. Showing the saved state; rerun the cell to continue.",Ze="Kernel restarted or stopped. Showing the last state; rerun the cell to continue.";function Qe(e){let t=e.get("layout");return typeof t?.comm_live=="boolean"&&t.on&&t.off?t:null}function tr(e,t){return e?"":t?Ze:Ye}function er(e,t){let r=Qe(e);if(!r||!t)return()=>{};let n=d("p",{class:"mp-kernel",role:"status","data-testid":"no-kernel"});t.prepend(n);let o=r.comm_live,i=()=>{o||=r.comm_live,n.textContent=tr(r.comm_live,o),w(n,!r.comm_live)};return r.on("comm_live_update",i),i(),()=>r.off("comm_live_update",i)}function jt(e){return t=>{let r=e(t),n=er(t.model,t.el.firstElementChild);return()=>{n(),r?.()}}}function V(e){return!(e>0)||e>=100?e>=100?0:1:e>2?1:Math.min(5,2-Math.min(0,Math.floor(Math.log10(e))+1))}function B(e){let[t,r]=e.toExponential(1).split("e");return Math.max(0,(t?.endsWith(".0")?0:1)-Number(r))}function P(e,t=1){if(!Number.isFinite(e))return"\u2013";let r=Math.abs(e).toFixed(t);return e<0&&Number(r)!==0?"\u2212"+r:r}function k(e,t=1){let r=P(e,t);return e>0&&Number(r)!==0?`+${r}`:r}function Wt(e){return Number.isFinite(e)?e<.001?"q < .001":`q = ${(e<.1?(Math.ceil(e*1e3-.001)/1e3).toFixed(3):e.toFixed(2)).replace(/^0/,"")}`:"q = \u2013"}function L(e){let t=Math.abs(e),r=t===.5?"\xBD":t===.25?"\xBC":String(Number(t.toFixed(3)));return e<0?"\u2212"+r:r}function R(e){return{residual:"\xD7 residual norm",vector:"\xD7 vector",raw:"\xD7 raw vector"}[e]??e}var rr=[1,1.2,1.4,1.6,1.8,2,2.2,2.5,2.8,3,3.5,4,4.5,5,5.5,6,7,8,9,10];function xt(e){if(!(e>0)||!Number.isFinite(e))return 1;let t=10**Math.floor(Math.log10(e));return(rr.find(n=>n*t>=e*(1-1e-9))??10)*t}var N=e=>e===void 0?"":e<0?"input":String(e),Vt=e=>e.replaceAll("_"," "),Bt=e=>Math.floor(e*100);var S={light:{paper:"#ffffff",ink:"#1c2126",soft:"#5b6570",faint:"#6f7984",line:"#e0e4e8",edge:"#c4cad1",brand:"#1f6feb",warn:"#b3261e",good:"#1a7f4b",muted:"#8a929b",zero:"#f7f8f9",positive:"#b2490a",negative:"#1f5fb4"},dark:{paper:"#16191e",ink:"#e7ebef",soft:"#a5aeb8",faint:"#a5aeb8",line:"#2a3038",edge:"#46505b",brand:"#5aa2ff",warn:"#ff8a80",good:"#58c48a",muted:"#5d6670",zero:"#22272e",positive:"#ffa657",negative:"#58a6ff"},sequential:{light:["#f4f5e6","#d5deba","#adcb98","#76b996","#3ca49b","#1b899b","#206c95","#244f8d","#31307f"],dark:["#2b2751","#2e406f","#275c87","#1c7990","#339491","#58ae90","#85c48a","#b5d778","#ede361"]},controls:{random:{label:"random directions",light:"#7a7a7a",dark:"#a2a9b0"},on_manifold:{label:"on-manifold directions",meaning:"in which activations differ",light:"#5f8a8b",dark:"#7fb3b4"},concepts:{label:"other concepts",light:"#8a7aa8",dark:"#b3a5d0"},shuffled:{label:"shuffled labels",light:"#a8927a",dark:"#c8b297"},orthogonal:{label:"orthogonal directions",light:"#8f8aa0",dark:"#b6b2c6"}},marks:{never_named:{label:"no answer names the concept",sign:"\u2013",marker:"dash",strokes:[[[0,.5],[1,.5]]]},broken:{label:"at least half of the answers broken",sign:"hollow:",marker:"x",strokes:[]}},unfinished:{label:"unfinished: too few images or draws for a verdict",sign:"\u2026",strokes:[[[0,.8],[.2,.8]],[[.4,.8],[.6,.8]],[[.8,.8],[1,.8]]]},faded:.35,categories:{entity:"#0072b2",visual_style:"#d55e00",emotion:"#a0447f",abstract:"#00795a",relation:"#8a6d00"},other_categories:["#5b4ea0","#7a3b1e","#00708c","#636300","#8c1d40","#3d5a1f"]};function nt(e){let t=r=>Number.parseInt(e.slice(r,r+2),16);return[t(1),t(3),t(5)]}var Gt=({zero:e,positive:t,negative:r},n)=>({zero:nt(e),positive:nt(t),negative:nt(r),scale:n.map(nt)}),or=Gt(S.light,S.sequential.light),ir=Gt(S.dark,S.sequential.dark),Kt=S.controls,H=e=>Kt[e]?.label??e.replaceAll("_"," ");var ot=(e,t)=>(Kt[e]??S.controls.random)[t?"dark":"light"];function wt(e){let t=e.match(/[\d.]+/g)?.map(Number)??[];if(t.length<3||t[3]===0)return 1;let[r=0,n=0,o=0]=t.slice(0,3).map(i=>(i/255)**2.2);return .2126*r+.7152*n+.0722*o}function qt(e){let t=getComputedStyle(e),r=wt(t.backgroundColor)<.25,n=o=>t.getPropertyValue(o).trim()||t.color;return{dark:r,paper:n("--mp-bg"),ink:n("--mp-ink"),soft:n("--mp-soft"),faint:n("--mp-faint"),line:n("--mp-line"),brand:n("--mp-brand"),warn:n("--mp-warn"),font:t.fontFamily,...r?ir:or}}function Xt(e){let t=()=>setTimeout(e,30),r=new MutationObserver(t),n=["data-jp-theme-name","data-jp-theme-light","data-vscode-theme-id","data-theme","class"];r.observe(document.body,{attributes:!0,attributeFilter:n}),r.observe(document.documentElement,{attributes:!0,attributeFilter:n});let o=matchMedia("(prefers-color-scheme: dark)");return o.addEventListener("change",t),()=>{r.disconnect(),o.removeEventListener("change",t)}}function it(e,t,r){let n=t>0?Math.max(-1,Math.min(1,e/t)):0,o=n>0?r.positive:r.negative;return Jt(r.zero,o,Math.abs(n))}function Jt(e,t,r){let n=o=>Math.round(e[o]+(t[o]-e[o])*r);return[n(0),n(1),n(2)]}function Yt(e,{scale:t,zero:r}){let n=Math.max(0,Math.min(1,e))*(t.length-1),o=Math.max(0,Math.min(Math.floor(n),t.length-2));return Jt(t[o]??r,t[o+1]??r,n-o)}var U=e=>`rgb(${e[0]},${e[1]},${e[2]})`;function X(e,t,r){let n=JSON.stringify(t);e.dataset.options!==n&&(e.replaceChildren(...t.map(([o,i])=>d("option",{value:o},i))),e.dataset.options=n),e.value!==r&&(e.value=r),e.disabled=t.length<2}var at=class{constructor(t){this.model=t;this.row=d("div",{class:"mp-choices"},this.against,this.average,this.sample,this.columns),this.listen(this.metric,"metric"),this.listen(this.against,"against"),this.listen(this.average,"average"),this.listen(this.columns,"columns"),this.sample.addEventListener("change",()=>{t.set("sample",Number(this.sample.value)),t.save_changes()})}model;metric=d("select",{"aria-label":"metric","data-testid":"metric"});row;against=d("select",{"aria-label":"control","data-testid":"control"});average=d("select",{"aria-label":"summary of the images","data-testid":"average"});sample=d("select",{"aria-label":"image","data-testid":"sample"});columns=d("select",{"aria-label":"columns","data-testid":"columns"});listen(t,r){t.addEventListener("change",()=>{this.model.set(r,t.value),this.model.save_changes()})}draw(){let{model:t}=this,r=t.get("metric_labels"),n=t.get("metric"),o=t.get("metrics"),i=o.includes(n)?o:[n,...o];X(this.metric,i.map(c=>[c,r[c]??Vt(c)]),n);let a=t.get("controls");X(this.against,a.map(c=>[c,`beyond ${H(c)}`]),t.get("against"));let l=t.get("samples");X(this.average,Object.entries(t.get("average_labels")),t.get("average")),X(this.sample,l.map((c,m)=>[String(m),c]),String(t.get("sample")));let s=[["layer","by layer"],["relative_depth","by relative depth"]];X(this.columns,s,t.get("columns")),w(this.against,a.length>1),w(this.average,l.length>0),w(this.sample,l.length>0&&t.get("average")==="single"),w(this.columns,t.get("relative_depths").length>0)}};function Zt(e){return e?e instanceof ArrayBuffer?e:e.buffer.slice(e.byteOffset,e.byteOffset+e.byteLength):new ArrayBuffer(0)}var M=e=>new Float32Array(Zt(e)),Qt=e=>new Uint16Array(Zt(e));function T(e,t,r){return(t.concept*e.layers.length+t.layer)*e.strengths.length+r}function b(e,t){return e[t]??Number.NaN}function j(e,t,r,n){let o=e.concepts.length*e.layers.length*e.strengths.length;return b(t,r*o+n)}var F=e=>-1-e;function I(e,t,r){return t.concept>=0?b(e.coloured,T(e,t,r)):b(e.groupMeans,T(e,{...t,concept:F(t.concept)},r))}function kt(e,t){let r=i=>i.toLowerCase().replaceAll("_"," "),n=r(t.trim());if(!n)return-1;let o=e.findIndex(i=>r(i).startsWith(n));return o>=0?o:e.findIndex(i=>r(i).includes(n))}function st(e,t,r){return e.layers.map((n,o)=>I(e,{concept:t,layer:o},r))}function te(e,t){let r=0;return e.forEach((n,o)=>{Math.abs(n-t)<Math.abs((e[r]??0)-t)&&(r=o)}),r}var ee=18,ar=6,sr=24,J=20,oe=4,re=6,St=16,ne=92,Mt=34;function lr(e){return e<=22?[19,12]:e<=36?[17,11.5]:[14,11]}function cr(e,t){let r=e[0]??0,n=e.at(-1)??1,o=e.slice(1).map((s,c)=>(s+(e[c]??0))/2),i=r-((o[0]??r+.5)-r),a=n+(n-(o.at(-1)??n-.5)),l=[i,...o,a].map(s=>(s-i)/(a-i)*t);return l.every((s,c)=>c===0||s-(l[c-1]??0)>=oe)?l:null}function Ct(e,t,r){let[n,o]=lr(e.flatMap(([,x])=>x).length),i=re+Math.min(r.nameWidth,Math.max(60,r.width*.3))+8,a=r.width-i-Mt>=Math.max(160,t*12),l=a?Mt:2,s=r.width-i-l-ne>=Math.max(240,t*12),c=r.width-i-l-(s?ne:0),m=Math.max(oe,Math.min(96,Math.floor(c/Math.max(1,t)))),p=r.depths?.length===t?cr(r.depths,t*m):null,h=Array.from({length:t+1},(x,E)=>E*m),u=[],g=[],f=ee;e.forEach(([x,E],_)=>{let A=x!==""&&(r.folded??[]).includes(x),W=f;x&&!A&&(f+=St);let et=A?[F(_)]:E,yt=et.length*n;g.push({label:x,count:E.length,nameTop:W,top:f,height:yt,folded:A});for(let Xe of et)u.push({concept:Xe,y:f}),f+=n;f+=A?2:ar});let v=i+t*m,y=f+J+10;return{nameRoom:i-re-6,rows:u,groups:g,left:i,top:ee,edges:(p??h).map(x=>i+x),cellWidth:m,rowHeight:n,fontSize:o,layers:t,profileTop:f-2,legendTop:y,best:a?v+Mt/2:null,margin:s?v+l+8:null,width:r.width,height:y+sr}}var D=e=>e.cellWidth>8?1:0;function Tt(e,t){let r=e.edges.findIndex(n=>t<n);return r<0?e.layers:r-1}function $t(e,t,r){let n=Tt(e,t);if(n<0||n>=e.layers)return null;let o=e.rows.find(i=>r>=i.y&&r<i.y+e.rowHeight);return o?{concept:o.concept,layer:n}:null}function ie(e,t,r){let n=e.rows.filter(l=>l.concept>=0),o=Math.max(0,n.findIndex(l=>l.concept===t.concept)),i=l=>n[Math.max(0,Math.min(n.length-1,o+l))]?.concept??t.concept,a=l=>Math.max(0,Math.min(e.layers-1,l));switch(r){case"ArrowUp":return{...t,concept:i(-1)};case"ArrowDown":return{...t,concept:i(1)};case"PageUp":return{...t,concept:i(-5)};case"PageDown":return{...t,concept:i(5)};case"ArrowLeft":return{...t,layer:a(t.layer-1)};case"ArrowRight":return{...t,layer:a(t.layer+1)};case"Home":return{...t,layer:0};case"End":return{...t,layer:a(e.layers-1)};default:return null}}var $=e=>e.anchor<e.active?[e.anchor,e.active]:[e.active,e.anchor],z=e=>({concept:e.concept,layer:e.active});function ae(e,t,r){if(e.concepts.length===0||e.layers.length===0)return null;let n=Math.max(0,e.concepts.indexOf(t.concept)),o=Math.max(0,e.layers.indexOf(t.layer)),a=t.window[0]===e.layers[o]?e.layers.indexOf(t.window[1]??t.layer):o,l={concept:n,anchor:Math.max(o,a),active:o};return r?.concept===n&&String($(r))===String($(l))?r:l}function se(e,t){let[r,n]=$(t).map(o=>e.layers[o]??0);return{concept:e.concepts[t.concept]??"",layer:r,window:[r,n]}}function lt(e,t,r){return r&&e?{...e,active:t.layer}:{concept:t.concept,anchor:t.layer,active:t.layer}}function le(e,t,r){return{...t,active:Math.max(0,Math.min(e.layers-1,Tt(e,r)))}}function ce(e,t,r,n){if(r==="Escape")return t.anchor===t.active?null:{...t,anchor:t.active};let o=ie(e,z(t),r);return o&&lt(t,o,n&&o.concept===t.concept)}var pr=Object.values(S.marks),me=S.marks.broken,he=S.unfinished,mr=7,hr=3,dr=.42,ur=3,Y=e=>Number.isFinite(e)?pr.filter((t,r)=>e>>r&1):[],de=e=>Y(e).at(-1);function pe(e,t){let r=Math.max(hr,Math.min(mr,e-2,dr*t)),n=Math.max(0,Math.min(ur,(e-r)/2));return[n,t-r-n,r]}function fr(e){let t=Math.max(1.2,e/5);return[t,t+2*e/7]}function ue(e,t,r,n){let o=new Path2D;t.rows.forEach(({y:l},s)=>{for(let c=0;c<t.layers;c+=1){let m=n(s,c);if(!m)continue;let p=t.edges[c]??0,h=(t.edges[c+1]??p)-p-D(t),[u,g,f]=pe(h,t.rowHeight-1);for(let v of m.strokes)v.forEach(([y=0,x=0],E)=>{let[_,A]=[p+u+f*y,l+g+f*x];E?o.lineTo(_,A):o.moveTo(_,A)})}});let[i,a]=fr(pe(t.cellWidth-D(t),t.rowHeight-1)[2]);for(let[l,s]of[[r.paper,a],[r.ink,i]])e.strokeStyle=l,e.lineWidth=s,e.stroke(o);e.lineWidth=1}var ct=" reaches as far",Et=e=>H(e).replace(/s$/,"");function pt(e,t){let r=e.reasons[b(e.reason,t)]??"";if(r.endsWith(ct))return Et(r.slice(0,-ct.length))+ct;let n=b(e.q,t);return r==="passes"&&Number.isFinite(n)?`${r}, ${Wt(n)}`:r}function fe(e,t){let r=e.reasons[b(e.reason,t)],n=e.controls.findIndex(o=>r===o+ct);return[...new Set([e.against,...n<0?[]:[n]])]}function mt(e,t){let r=b(e.n,t);return Number.isFinite(r)?`n = ${r} ${r===1?"image":"images"}`:""}var G=(e,t)=>Y(b(e.marks,t)).map(r=>r.label);function At(e,t){let[r,n]=$(t);return e.layers.slice(r,n+1)}function ge(e){if(typeof e=="number")return Number.isFinite(e)?String(Number(e.toPrecision(7))):"";let t=/^[=+\-@\t\r]/.test(e)?`'${e}`:e;return/[",\n\r]/.test(t)?`"${t.replaceAll('"','""')}"`:t}function be(e,t,r){let n=e.controls[e.against]??"random",o=["concept","category","layer","strength","strength_unit","metric","average","against"],i=["difference","low","high","unit","n","q",e.q.length?"clear_in_grid":"clear_of_controls","reason","answers",...e.scored?["score"]:[]],a=e.controls.flatMap(s=>[`${s}_mean`,`${s}_low`,`${s}_high`]),l=[[...o,...i,...a].map(ge).join(",")];for(let s of At(e,t))e.strengths.forEach((c,m)=>{let p=T(e,{concept:t.concept,layer:e.layers.indexOf(s)},m),h=b(e.clear,p),u=[e.concepts[t.concept]??"",e.categories[t.concept]??"",s,c,r.strengthUnit,r.metric,r.average,n,b(e.value,p),b(e.low,p),b(e.high,p),r.unit,b(e.n,p),b(e.q,p),Number.isFinite(h)?h?"true":"false":"",e.reasons[b(e.reason,p)]??"",G(e,p).join("; "),...e.scored?[b(e.coloured,p)]:[],...e.controls.flatMap((g,f)=>[e.control,e.controlLow,e.controlHigh].map(v=>j(e,v,f,p)))];l.push(u.map(ge).join(","))});return`${l.join(`
`)}
`}function ve(e,t,r,n){let o=t.strengths[n]??0,i={concept:JSON.stringify(t.concepts[r.concept]??""),layers:At(t,r).join(", "),sites:At(t,r).map(a=>a<0?JSON.stringify(N(a)):a).join(", "),strength:Number.isInteger(o)?o.toFixed(1):String(o)};return e.map((a,l)=>l%2?i[a]??"":a).join("")}async function ye(e){try{return await navigator.clipboard.writeText(e),!0}catch{return!1}}function C(e,t={},...r){let n=document.createElementNS("http://www.w3.org/2000/svg",e);for(let[o,i]of Object.entries(t))i!==void 0&&n.setAttribute(o,String(i));return n.append(...r),n}function Lt(e,t){let r=[];for(let n of e)r.every(i=>Math.abs(n.at-i.at)>=(n.size+i.size)/2+t)&&r.push(n);return r}function xe(e,t){let o=e.strengths.map((l,s)=>s).sort((l,s)=>(e.strengths[l]??0)-(e.strengths[s]??0)).map(l=>({place:l,index:T(e,t,l)})).filter(({index:l})=>Number.isFinite(b(e.value,l))),i=o.map(({place:l,index:s})=>({strength:e.strengths[l]??0,place:l,value:b(e.value,s),low:b(e.low,s),high:b(e.high,s),n:b(e.n,s),clear:b(e.clear,s)===1,said:[mt(e,s),pt(e,s),...G(e,s)].filter(Boolean)})),a=e.controls.map((l,s)=>{let c=p=>o.map(({index:h})=>j(e,p,s,h)-j(e,e.control,e.against,h)),m=i.map(p=>p.strength);return{control:l,strengths:m,mean:c(e.control),low:c(e.controlLow),high:c(e.controlHigh)}});return{points:i,bands:a,...gr(i,a)}}function gr(e,t){let r=e.map(i=>i.strength),n=[...e.flatMap(i=>[i.value,i.low,i.high]),...t.flatMap(i=>[...i.low,...i.high])],o=r.length?[Math.min(0,...r),Math.max(0,...r)]:[-1,1];return{x:o[0]===o[1]?[o[0]-1,o[1]+1]:o,y:br(n.filter(Number.isFinite))}}function br(e){let t=Math.max(0,...e),r=Math.min(0,...e);return[r<0?-xt(-r):0,t>0?xt(t):r<0?0:1]}var Nt=([e,t],[r,n])=>o=>r+(o-e)/(t-e)*(n-r);function we(e,t,r){let n=[[]];e.strengths.forEach((i,a)=>{Number.isFinite(e.low[a])&&Number.isFinite(e.high[a])?n.at(-1)?.push(a):n.push([])});let o=(i,a)=>`${t(e.strengths[i]??0).toFixed(1)} ${r(a[i]??0).toFixed(1)}`;return n.filter(i=>i.length>1).map(i=>{let a=i.map(s=>o(s,e.high)),l=i.map(s=>o(s,e.low)).reverse();return`M${[...a,...l].join("L")}Z`}).join("")}var Z=180,O={left:46,right:12,top:20,bottom:36},ke={width:6.2,height:11};function vr(e,t){let r=e.points.map(n=>`${L(n.strength)}: ${Me(n,t)}`);return`${t.concept}, effect by strength. ${r.join("; ")}`}function Me(e,t){let r=V(Math.abs(e.value)||1),n=Number.isFinite(e.low)?` [${k(e.low,r)}, ${k(e.high,r)}]`:"";return[`${k(e.value,r)} ${t.unit}${n}`,...e.said].join(", ")}function Se(e,t,r){let n=Math.max(220,t.width),o=Nt(e.x,[O.left+8,n-O.right-8]),i=Nt(e.y,[Z-O.bottom,O.top]),a=C("svg",{class:"mp-curve",width:n,height:Z,viewBox:`0 0 ${n} ${Z}`,role:"img","aria-label":vr(e,t),"data-testid":"dose-response"});a.append(...xr(e,t,n,o,i));for(let s of e.bands){let c=ot(s.control,t.dark),m={class:"mp-band","data-control":s.control,fill:c};a.append(C("path",{...m,d:we(s,o,i)}));let p=s.strengths.map((h,u)=>({s:h,m:s.mean[u]??Number.NaN})).filter(({m:h})=>Number.isFinite(h)).map(({s:h,m:u})=>`${o(h).toFixed(1)} ${i(u).toFixed(1)}`);p.length>1&&a.append(C("path",{class:"mp-mean",stroke:c,d:`M${p.join("L")}`}))}let l=e.points.map(s=>`${o(s.strength).toFixed(1)} ${i(s.value).toFixed(1)}`).join("L");e.points.length>1&&a.append(C("path",{class:"mp-effect",d:`M${l}`}));for(let s of e.points)a.append(yr(s,t,o,i,r));return a}function yr(e,t,r,n,o){let i=r(e.strength),a=C("g",{class:"mp-point","data-strength":e.strength,"data-value":e.value});a.append(C("title",{},`${L(e.strength)} ${R(t.strengthUnit)}: ${Me(e,t)}`)),a.append(C("circle",{class:"mp-target",cx:i,cy:n(e.value),r:12})),Number.isFinite(e.low)&&a.append(C("path",{class:"mp-interval",d:`M${i} ${n(e.low)}V${n(e.high)}`}));let l=e.place===t.strength?" mp-here":"",s=l?5:3.8;return a.append(C("circle",{class:`mp-dot${e.clear?"":" mp-hollow"}${l}`,cx:i,cy:n(e.value),r:s})),a.addEventListener("click",()=>o(e.place)),a}function xr(e,t,r,n,o){let i=r-O.right,a=[];for(let s of new Set([e.y[0],0,e.y[1]]))a.push(C("path",{class:s===0?"mp-zero":"mp-rule",d:`M${O.left} ${o(s)}H${i}`}));for(let{at:s,text:c}of wr(e,o))a.push(C("text",{x:O.left-6,y:s+3.5,"text-anchor":"end"},c));for(let{at:s,text:c}of kr(e,t.strength,n))a.push(C("text",{x:s,y:Z-O.bottom+14,"text-anchor":"middle"},c));let l=`strength ${R(t.strengthUnit)}`;return a.push(C("text",{x:(O.left+i)/2,y:Z-6,"text-anchor":"middle"},l)),t.unit&&a.push(C("text",{x:O.left-6,y:9,"text-anchor":"end"},t.unit)),a}function wr({y:e},t){let[r,n]=e,o=[...new Set(Math.abs(n)>=Math.abs(r)?[n,0,r]:[r,0,n])],i=Math.max(...o.map(B));return Lt(o.map(a=>({at:t(a),size:ke.height,text:k(a,i)})),2)}function kr({points:e},t,r){let n=a=>{let l=e[a];return l?.place===t?0:a===0||a===e.length-1?1:l?.strength===0?2:3},i=[...e.keys()].sort((a,l)=>n(a)-n(l)||a-l).map(a=>{let l=e[a]?.strength??0,s=L(l);return{at:r(l),size:s.length*ke.width,text:s}});return Lt(i,5)}function Q(e,t,r){let n=window.devicePixelRatio||1;(e.width!==Math.round(t*n)||e.height!==Math.round(r*n))&&(e.width=Math.round(t*n),e.height=Math.round(r*n),e.style.width=`${t}px`,e.style.height=`${r}px`);let o=e.getContext("2d");return o?.setTransform(n,0,0,n,0,0),o&&(o.textBaseline="middle"),o}var K=128;function Ce(e,t){return Array.from({length:2*K+1},(r,n)=>t?Yt(n/(2*K),e):it(n-K,K,e))}function q(e,t,r){let n=r?2*e-1:e/t;return Math.round(Math.max(-1,Math.min(1,n))*K)+K}function tt(e,t,r){if(e.measureText(t).width<=r)return t;let n=t;for(;n.length>1&&e.measureText(`${n}\u2026`).width>r;)n=n.slice(0,-1);return`${n}\u2026`}var Mr=4,$e=Math.PI/3.2,Ee=Math.sin($e);function Te(e,t,r){let n=Math.min(r,t*.3)+12,o=Math.max(5,Math.min(22,Math.floor((t-n-30)/Math.max(1,e)))),i=Math.min(r,110)*Ee+14;return{left:n,top:i,cell:o,width:t,height:i+e*o+4}}var _t=({values:e,concepts:t},r,n,o)=>e[(r*t.length+n)*Mr+o]??Number.NaN;function Sr(e,t,r){let[n,o,i,a]=[0,1,2,3].map(p=>_t(e,t,r,p)),l=`${e.concepts[t]} steered, ${e.concepts[r]} scored`;if(!Number.isFinite(n))return`${l}: not run yet`;let s=V(Math.abs(n)||1),c=Number.isFinite(o)?` [${k(o,s)}, ${k(i,s)}]`:"",m=a?"clear of the random directions":"not clear of the random directions";return`${l}: ${k(n,s)} nats${c} \xB7 ${m}`}var ht=class{element;canvas=d("canvas",{class:"mp-canvas",tabindex:0,role:"application","data-testid":"off-target"});read=d("p",{class:"mp-note",role:"status","data-testid":"off-target-cell"});matrix={concepts:[],values:new Float32Array(0),limit:1};layout=Te(0,0,0);at=[0,0];again=()=>{};constructor(){this.canvas.setAttribute("aria-label","Effect of each steered concept (rows) on each scored concept (columns)"),this.element=d("div",{class:"mp-off-target"},this.canvas,this.read),this.canvas.addEventListener("pointermove",t=>{let{left:r,top:n,cell:o}=this.layout;this.move(Math.floor((t.offsetY-n)/o),Math.floor((t.offsetX-r)/o))}),this.canvas.addEventListener("keydown",t=>{let r={ArrowUp:[-1,0],ArrowDown:[1,0],ArrowLeft:[0,-1],ArrowRight:[0,1]}[t.key];r&&(t.preventDefault(),this.move(this.at[0]+(r[0]??0),this.at[1]+(r[1]??0)))})}move(t,r){let n=this.matrix.concepts.length;t<0||r<0||t>=n||r>=n||(this.at=[t,r],this.again())}draw(t,r,n,o){t.values!==this.matrix.values&&(this.at=[r,this.at[1]]),(this.at[0]>=t.concepts.length||this.at[1]>=t.concepts.length)&&(this.at=[0,0]),this.matrix=t,this.again=()=>this.draw(t,r,n,o);let i=this.canvas.getContext("2d");i&&(i.font=`11px ${o.font}`);let a=t.concepts.map(s=>i?.measureText(s).width??50);this.layout=Te(t.concepts.length,n,Math.min(140,Math.max(30,...a)));let l=Q(this.canvas,this.layout.width,this.layout.height);l&&(l.clearRect(0,0,this.layout.width,this.layout.height),this.paintNames(l,r,o),this.paintPairs(l,o),this.read.textContent=Sr(t,...this.at))}paintNames(t,r,n){let{left:o,top:i,cell:a}=this.layout,l=Math.ceil(11/a);t.font=`11px ${n.font}`,this.matrix.concepts.forEach((s,c)=>{c%l&&c!==r||(t.fillStyle=c===r||c===this.at[0]?n.ink:n.soft,t.textAlign="right",t.fillText(tt(t,s,o-10),o-6,i+(c+.5)*a),t.fillStyle=c===this.at[1]?n.ink:n.soft,t.save(),t.translate(o+(c+.5)*a,i-5),t.rotate(-$e),t.textAlign="left",t.fillText(tt(t,s,(i-10)/Ee),0,0),t.restore())})}paintPairs(t,r){let{left:n,top:o,cell:i}=this.layout,a=this.matrix.concepts.length,{limit:l}=this.matrix;for(let s=0;s<a;s+=1)for(let c=0;c<a;c+=1){let m=_t(this.matrix,s,c,0);Number.isFinite(m)&&(t.fillStyle=U(it(m,l,r)),t.globalAlpha=_t(this.matrix,s,c,3)===0?S.faded:1,t.fillRect(n+c*i,o+s*i,i-1,i-1))}t.globalAlpha=1,t.strokeStyle=r.brand,t.lineWidth=2,t.strokeRect(n+this.at[1]*i-.5,o+this.at[0]*i-.5,i,i),t.lineWidth=1}};var dt=class{constructor(t,r){this.model=t;this.choose=r;let n=d("button",{type:"button","data-testid":"copy-csv"},"Copy CSV"),o=d("button",{type:"button","data-testid":"copy-code"},"Copy code");n.addEventListener("click",()=>this.copy("CSV")),o.addEventListener("click",()=>this.copy("code")),this.view.addEventListener("change",()=>{t.set("detail",this.view.value),t.save_changes()}),w(this.text,!1);let i=d("div",{class:"mp-head"},this.title,this.view,n,o);this.element=d("div",{class:"mp-detail"},i,this.figure,this.legend,this.offTarget.element,this.notice,this.text),w(this.element,!1)}model;choose;element;title=d("h3",{"data-testid":"detail-title"});view=d("select",{"aria-label":"view of the selected cell","data-testid":"detail"},d("option",{value:"dose_response"},"dose response"),d("option",{value:"off_target"},"off target"));figure=d("div",{class:"mp-figure"});legend=d("p",{class:"mp-note mp-legend"});offTarget=new ht;notice=d("p",{class:"mp-note",role:"status","data-testid":"copy-status"});text=d("textarea",{class:"mp-copied",readonly:!0,rows:6,"aria-label":"copied text","data-testid":"copied"});key="";matrix={bytes:null,values:new Float32Array(0)};now=null;shown(){let t=this.model.get("provenance");return{metric:t.metric??this.model.get("metric"),unit:this.model.get("unit"),strengthUnit:this.model.get("strength_unit"),average:t.average??"mean"}}async copy(t){if(!this.now)return;let{cells:r,selection:n,strength:o}=this.now,i=t==="CSV"?be(r,n,this.shown()):ve(this.model.get("recipe"),r,n,o);this.model.set("copied",i),this.model.save_changes();let a=await ye(i);this.notice.textContent=a?`Copied as ${t}.`:"Clipboard access is blocked. Select and copy the text below instead.",this.text.value=i,w(this.text,!a),a||this.text.select()}draw(t,r,n,o,i,a){let l=r!==null&&t.value.some(Number.isFinite);if(w(this.element,l),!r||!l)return;this.now={cells:t,selection:r,strength:n};let s=this.model.get("has_off_target"),c=s?this.model.get("detail"):"dose_response",m=JSON.stringify([r,n,c,o]);if(!a&&m===this.key)return;this.key=m,w(this.view,s),this.view.value=c;let p=c==="off_target";w(this.figure,!p),w(this.legend,!p),w(this.offTarget.element,p),p?this.drawOffTarget(t,r,o,i):this.drawCurve(t,r,n,o,i)}drawCurve(t,r,n,o,i){let a=z(r),l=t.concepts[a.concept]??"";this.title.textContent=`Dose response \xB7 ${l} \xB7 layer ${N(t.layers[a.layer])}`;let s=xe(t,a);if(s.points.length===0){this.figure.replaceChildren(d("p",{class:"mp-note"},"Not run yet, or not defined here.")),this.legend.replaceChildren();return}let c=this.model.get("unit"),m={width:o,concept:l,unit:c,strengthUnit:this.model.get("strength_unit"),strength:n,dark:i.dark};this.figure.replaceChildren(Se(s,m,this.choose));let p=[d("span",{},d("i",{class:"mp-key mp-key-effect"}),"beyond ",H(t.controls[t.against]??"random")),d("span",{},d("i",{class:"mp-key mp-key-hollow"}),t.q.length?"hollow: does not pass in the grid":"hollow: not clear of the controls"),...t.controls.map(g=>{let f=d("i",{class:"mp-key",style:`--mp-control: ${ot(g,i.dark)}`});return d("span",{},f,H(g))})];this.legend.replaceChildren(...p);let[h,u]=$(r);if(h!==u){let[g,f,v]=[h,u,z(r).layer].map(x=>N(t.layers[x])),y=`curve for layer ${v} only; steering applies to layers ${g}\u2013${f} together`;this.legend.append(d("span",{},y))}}drawOffTarget(t,r,n,o){let i=this.model.get("off_target");i!==this.matrix.bytes&&(this.matrix={bytes:i,values:M(i)});let[a,l]=this.model.get("off_target_at"),s=`layer ${a??"\u2013"} \xB7 ${L(l??0)} ${R(this.model.get("strength_unit"))}`;this.title.textContent=`Off target \xB7 ${s}`;let c={concepts:t.concepts,values:this.matrix.values,limit:this.model.get("off_target_limit")};this.offTarget.draw(c,r.concept,n,o)}};var Ae=`.mp-heatmap .mp-row {
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
.mp-heatmap .mp-heads button {
  position: absolute;
  left: 0;
  padding: 0 2px;
  overflow: hidden;
  border: 0;
  background: none;
  color: var(--mp-soft);
  font-size: 11px;
  line-height: 1;
  text-align: left;
  text-overflow: ellipsis;
  white-space: nowrap;
  cursor: pointer;
}
.mp-heatmap .mp-heads button:hover {
  color: var(--mp-brand);
}
.mp-heatmap .mp-find {
  width: 120px;
  padding: 2px 6px;
  border: 1px solid var(--mp-line);
  border-radius: 4px;
  background: var(--mp-bg);
  color: var(--mp-ink);
  font: inherit;
  font-size: 12px;
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
`;var Le=["concepts","row_groups","layers","relative_depths","columns","folded"],Ne=["values","score","low","high","n","clear","control","control_low","control_high","off_target","q","marks","unfinished","reason","reasons","caption","strengths","unit","strength_unit","controls","provenance","has_off_target","off_target_at","mean_over_concepts","group_means","best","categories","unfit","limit","note","recipe","off_target_limit","answered"],_e=["metric","metrics","metric_labels","against","controls","average","average_labels","sample","samples","columns","relative_depths","strengths","strength_unit"],Re=["concept","layer","window","strength","progress","status","message","detail","tokens_label"];function Rt(e){let t=e.get("controls"),[r,n]=[M(e.get("values")),M(e.get("score"))];return{concepts:e.get("concepts"),categories:e.get("categories"),groups:e.get("row_groups"),unfit:e.get("unfit"),layers:e.get("layers"),depths:e.get("relative_depths"),strengths:e.get("strengths"),value:r,coloured:n.length>0?n:r,scored:n.length>0,low:M(e.get("low")),high:M(e.get("high")),n:M(e.get("n")),clear:M(e.get("clear")),q:M(e.get("q")),marks:M(e.get("marks")),unfinished:M(e.get("unfinished")),reason:Qt(e.get("reason")),reasons:e.get("reasons"),controls:t,against:Math.max(0,t.indexOf(e.get("provenance").against??"random")),control:M(e.get("control")),controlLow:M(e.get("control_low")),controlHigh:M(e.get("control_high")),meanOverConcepts:M(e.get("mean_over_concepts")),groupMeans:M(e.get("group_means")),best:M(e.get("best")),folded:e.get("folded")??[]}}var Tr=Math.round(255*S.faded);function $r(e,t,r,n,o){let i=new Uint8ClampedArray(t.rows.length*t.layers*4),a=0;for(let{concept:l}of t.rows)for(let s=0;s<t.layers;s+=1,a+=4){let c=T(e,{concept:l,layer:s},r),m=I(e,{concept:l,layer:s},r);if(!Number.isFinite(m)||Ft(e,c))continue;let p=o[q(m,n,e.scored)];p&&(i[a]=p[0],i[a+1]=p[1],i[a+2]=p[2],i[a+3]=Oe(e,c)?Tr:255)}return i}var Ft=(e,t)=>Y(b(e.marks,t)).includes(me),Oe=(e,t)=>b(e.clear,t)===0&&b(e.unfinished,t)!==1,Pe=(e,t)=>!Oe(e,t)&&!Ft(e,t);function Fe(e,t){let r=[],n=-1;for(let o=0;o<=e;o+=1){let i=o<e&&t(o);i&&n<0&&(n=o),!(i||n<0)&&(r.push([n,o]),n=-1)}return r}var ut=class{image=document.createElement("canvas");paint(t,r,n,o,i,a){if(n.layers===0||n.rows.length===0)return;this.fill($r(r,n,o.strength,o.limit,a),n),this.stretch(t,n);let l=(m,p)=>T(r,{concept:n.rows[m]?.concept??0,layer:p},o.strength),s=(m,p)=>I(r,{concept:n.rows[m]?.concept??0,layer:p},o.strength),c=(m,p)=>Number.isFinite(s(m,p));Ar(t,n,i,(m,p)=>!c(m,p)),Nr(t,n),Er(t,n,i,(m,p)=>Ft(r,l(m,p))),Lr(t,n,i,(m,p)=>Math.abs(s(m,p))>o.limit),r.marks.length+r.unfinished.length!==0&&ue(t,n,i,(m,p)=>{let h=l(m,p);return b(r.unfinished,h)===1?he:de(b(r.marks,h))})}fill(t,{layers:r,rows:n}){let{image:o}=this;(o.width!==r||o.height!==n.length)&&Object.assign(o,{width:r,height:n.length}),o.getContext("2d")?.putImageData(new ImageData(t,r,n.length),0,0)}stretch(t,{groups:r,rows:n,rowHeight:o,edges:i,cellWidth:a,layers:l}){let c=i.every((p,h)=>h===0||p-(i[h-1]??0)===a)?[[0,l]]:Array.from({length:l},(p,h)=>[h,h+1]);t.imageSmoothingEnabled=!1;let m=0;for(let p of r){let h=p.height/o;for(let[u=0,g=0]of c){let f=i[u]??0,v=[f,n[m]?.y??0,(i[g]??f)-f,p.height];t.drawImage(this.image,u,m,g-u,h,...v)}m+=h}}};function Er(e,t,r,n){let{rows:o,rowHeight:i,edges:a,layers:l}=t,s=new Path2D;o.forEach(({y:c},m)=>{for(let p=0;p<l;p+=1){if(!n(m,p))continue;let h=a[p]??0;s.rect(h+1,c+1,(a[p+1]??h)-h-D(t)-2,i-3)}}),e.strokeStyle=r.warn,e.lineWidth=1.2,e.stroke(s),e.lineWidth=1}function Ar(e,t,r,n){let{rows:o,rowHeight:i,edges:a,layers:l,groups:s}=t,c=new Path2D;o.forEach(({y:p},h)=>{for(let[u,g]of Fe(l,f=>n(h,f))){let[f,v]=[a[u]??0,(a[g]??0)-D(t)];c.rect(f,p,v-f,1),c.rect(f,p+i-2,v-f,1)}});let m=0;for(let p of s){let h=p.height/i;for(let u=0;u<l;u+=1)for(let[g,f]of Fe(h,v=>n(m+v,u))){let v=o[m+g]?.y??0,y=(f-g)*i-1;c.rect(a[u]??0,v,1,y),c.rect((a[u+1]??0)-D(t)-1,v,1,y)}m+=h}e.fillStyle=r.line,e.globalAlpha=.55,e.fill(c),e.globalAlpha=1}function Lr(e,t,r,n){let{rows:o,edges:i,layers:a,rowHeight:l,cellWidth:s}=t,c=Math.min(6,l/3,s/3),m=new Path2D;o.forEach(({y:p},h)=>{for(let u=0;u<a;u+=1){if(!n(h,u))continue;let g=(i[u+1]??0)-D(t);m.moveTo(g-c,p),m.lineTo(g,p),m.lineTo(g,p+c),m.closePath()}}),e.fillStyle=r.ink,e.fill(m)}function He(e,t,r,n){let{rows:o,edges:i,layers:a,rowHeight:l}=t;e.lineWidth=1,e.fillStyle=r.paper,e.strokeStyle=r.ink,o.forEach(({y:s},c)=>{for(let m=0;m<a;m+=1)n(c,m)&&(e.beginPath(),e.arc(((i[m]??0)+(i[m+1]??0))/2,s+(l-1)/2,2.6,0,2*Math.PI),e.fill(),e.stroke())})}function Nr(e,t){let{rows:r,rowHeight:n,edges:o,left:i,groups:a}=t,l=o.at(-1)??i;for(let{y:m}of r)e.clearRect(i,m+n-1,l-i,1);let s=D(t);if(!s)return;let c=0;for(let m of a){let p=r[c]?.y??0;for(let h of o.slice(1))e.clearRect(h-s,p,s,m.height);c+=m.height/n}}var Ot=(e,t)=>((e.edges[t]??0)+(e.edges[t+1]??0))/2;function De(e,t,r){let{layout:n,cells:o,columns:i,hover:a,selection:l}=t;e.textAlign="center";let s=i==="relative_depth"&&o.depths.length===o.layers.length,[c,m]=a?[a.layer,a.layer]:l?$(l):[-1,-1],p=s?26:18,h=Number.NEGATIVE_INFINITY,u=Ot(n,c);o.layers.forEach((g,f)=>{let v=Ot(n,f),y=f>=c&&f<=m;f!==c&&(v-h<p||Math.abs(v-u)<(c<0?0:p))||(h=v,e.font=`${y?"600 ":""}10.5px ${r.font}`,e.fillStyle=y?r.ink:r.faint,e.fillText(s?(o.depths[f]??0).toFixed(2).replace(/^0(?=\.)/,""):N(g),v,8))}),e.font=`10.5px ${r.font}`,e.fillStyle=r.faint,e.textAlign="right",e.fillText(s?"depth":"layer",n.left-7,8)}function Ie(e,t,r,n){let{layout:o,limit:i,unit:a,cells:l}=t;if(!l.coloured.some(Number.isFinite))return;let s=Math.min(o.layers*o.cellWidth,420),c=o.legendTop,m=e.createLinearGradient(o.left,0,o.left+s,0);for(let u=0;u<=16;u+=1){let g=n[Math.round(u/16*(n.length-1))];g&&m.addColorStop(u/16,U(g))}e.fillStyle=m,e.fillRect(o.left,c,s,7);let p=B(i);e.fillStyle=r.faint,e.font=`10.5px ${r.font}`;let h=l.scored?["0","0.5","1"]:[P(-i,p),"0",`${k(i,p)} ${a}`.trim()];for(let[u,g]of["left","center","right"].entries())e.textAlign=g,e.fillText(h[u]??"",o.left+s*u/2,c+15)}var _r=.18;function ze(e,t,r,n,o){let{layout:i,cells:a,strength:l,limit:s}=t,c=i.rows.find(h=>h.concept===o);if(!c)return;let m=s>10?0:1,p=st(a,o,l).map(h=>Number.isFinite(h)?a.scored?P(h,2).replace(/^0(?=\.)/,""):k(h,m):"");e.font=`600 10.5px ${r.font}`,!(Math.max(...p.map(h=>e.measureText(h).width))>i.cellWidth-5)&&(e.textAlign="center",p.forEach((h,u)=>{let g=T(a,{concept:o,layer:u},l),f=n[q(b(a.coloured,g),s,a.scored)],v=f&&Pe(a,g);e.fillStyle=v?wt(U(f))>_r?"#000":"#fff":r.ink,e.fillText(h,Ot(i,u),c.y+i.rowHeight/2)}))}var ft=class{cut=new Map;forget(){this.cut.clear()}paint(t,{layout:r,cells:n,hover:o,selection:i},a){t.textAlign="right";let l=o?.concept??i?.concept;for(let s of[!1,!0]){t.font=`${s?"600 ":""}${r.fontSize}px ${a.font}`;for(let c of r.rows){if(c.concept===l!==s)continue;let m=n.concepts[c.concept]??"";t.fillStyle=n.unfit[m]?a.faint:a.ink;let p=this.fitting(t,s,c.concept,m,r.nameRoom);t.fillText(p,r.left-7,c.y+r.rowHeight/2)}}}fitting(t,r,n,o,i){let a=`${n} ${r}`,l=this.cut.get(a);if(l!==void 0)return l;let s=tt(t,o,i);return this.cut.set(a,s),s}};var Ue=72;function je({rowHeight:e},t,r,n){let o=e-5,i=n?0:-r;return 2+o*(1-(Math.max(i,Math.min(r,t))-i)/(r-i))}function We(e,t,r){let{layout:n,cells:o,strength:i,limit:a,unit:l}=t,{margin:s}=n;if(!(s===null||!o.coloured.some(Number.isFinite))){e.textAlign="left",e.fillStyle=r.faint,e.font=`10.5px ${r.font}`,e.fillText(o.scored?"0 \u2026 1":`\xB1 ${P(a,B(a))} ${l}`.trim(),s,8),e.fillStyle=r.line;for(let c of n.rows)e.fillRect(s,c.y+je(n,0,a,o.scored)-.5,Ue,1);e.strokeStyle=r.brand,e.lineWidth=1.2,e.beginPath();for(let c of n.rows){let m=st(o,c.concept,i),p=Ue/Math.max(1,m.length-1),h=!1;for(let[u,g]of m.entries()){let f=Number.isFinite(g),[v,y]=[s+u*p,c.y+je(n,g,a,o.scored)];f&&h?e.lineTo(v,y):f&&e.moveTo(v,y),h=f}}e.stroke(),e.lineWidth=1}}function Ve(e,{layout:t,cells:r,strength:n},o){let{best:i,rows:a,rowHeight:l}=t;if(!(i===null||!r.best.some(Number.isFinite))){e.textAlign="center",e.fillStyle=o.faint,e.font=`10.5px ${o.font}`,e.fillText("best",i,8),e.fillStyle=o.soft;for(let{concept:s,y:c}of a){let m=b(r.best,s*r.strengths.length+n);Number.isFinite(m)&&e.fillText(N(m),i,c+l/2)}}}function Be(e,t,r,n){let{layout:o,cells:i,strength:a,limit:l}=t,s=i.layers.map((v,y)=>{let x=b(i.meanOverConcepts,y*i.strengths.length+a);return Math.max(-l,Math.min(l,x))}),c=s.filter(Number.isFinite);if(c.length===0)return;let[m,p]=[Math.min(0,...c),Math.max(0,...c)],h=p-m||1,u=o.profileTop+p/h*J,g=o.cellWidth>8?3:1;s.forEach((v,y)=>{if(!Number.isFinite(v))return;let x=o.edges[y]??0,E=Math.max(1,(o.edges[y+1]??x)-x-g),_=Math.abs(v)/h*J,A=Math.max(.55,Math.min(1,Math.abs(v)/l)),W=n[q(Math.sign(v)*A*l,l,i.scored)];W&&(e.fillStyle=U(W)),e.fillRect(x+(g-1)/2,v>0?u-_:u,E,_)});let f=o.edges.at(-1)??o.left;e.fillStyle=r.line,e.fillRect(o.left,u,f-o.left,1),e.fillStyle=r.faint,e.font=`10.5px ${r.font}`,e.textAlign="right",e.fillText("mean",o.left-7,o.profileTop+J/2)}var Rr=4,gt=class{constructor(t){this.canvas=t;this.element=d("div",{class:"mp-layers"},t,this.over)}canvas;element;over=d("canvas",{class:"mp-over-map","aria-hidden":"true"});grid=new ut;names=new ft;colours=[];coloured=null;stale=!0;around=[];invalidate(){this.stale=!0}paint(t,r){let{scored:n}=t.cells;(r!==this.coloured?.[0]||n!==this.coloured[1])&&(this.colours=Ce(r,n)),this.coloured=[r,n],this.stale&&this.paintData(t,r),this.stale=!1;let{cells:o,layout:i,columns:a,selection:l,hover:s,focused:c}=t,{strength:m}=t,p=[o.concepts,o.layers,i,r,a,l,s,c,o,m];p.every((h,u)=>h===this.around[u])||(p.slice(0,Rr).some((h,u)=>h!==this.around[u])&&this.names.forget(),this.around=p,this.paintOver(t,r))}paintData(t,r){let{width:n,height:o}=t.layout,i=Q(this.canvas,n,o);i&&(i.clearRect(0,0,n,o),this.grid.paint(i,t.cells,t.layout,t,r,this.colours),Fr(i,t,r),Ve(i,t,r),We(i,t,r),Be(i,t,r,this.colours),Ie(i,t,r,this.colours))}paintOver(t,r){let{width:n,height:o}=t.layout,i=Q(this.over,n,o);i&&(i.clearRect(0,0,n,o),this.names.paint(i,t,r),De(i,t,r),t.selection&&ze(i,t,r,this.colours,t.selection.concept),t.hover&&Pt(i,t,[t.hover.layer,t.hover.layer],t.hover.concept,r.soft,1),t.selection&&Or(i,t,t.selection,r))}};function Fr(e,{cells:t,layout:r,answered:n,strength:o},i){if(n.length===0)return;let a=new Set(n.map(s=>JSON.stringify(s)));He(e,r,i,(s,c)=>a.has(JSON.stringify([t.concepts[r.rows[s]?.concept??0],t.layers[c],t.strengths[o]])))}function Pt(e,{layout:t},[r,n],o,i,a){let l=t.rows.find(m=>m.concept===o);if(!l)return;let s=t.edges[r]??0,c=t.edges[n+1]??s;e.strokeStyle=i,e.lineWidth=a,e.strokeRect(s-.5,l.y-.5,c-s,t.rowHeight),e.lineWidth=1}function Or(e,t,r,n){let o=$(r);if(Pt(e,t,o,r.concept,n.brand,t.focused?3:2),o[0]===o[1])return;let{layer:i,concept:a}=z(r);Pt(e,t,[i,i],a,n.brand,1);let l=t.layout.edges[o[0]]??0,s=t.layout.edges[o[1]+1]??l;e.fillStyle=n.brand,e.fillRect(l,t.layout.top-3,s-l-1,2)}function Ge(e,t,r,n){let o=T(e,t,r),i=b(e.value,o),a=V(n.limit),l=n.unit?` ${n.unit}`:"",s=[{text:e.concepts[t.concept]??e.groups[F(t.concept)]?.[0]??"",kind:"strong"},{text:`layer ${N(e.layers[t.layer])||"\u2013"}`,kind:"normal"},...n.byDepth?[{text:`depth ${(e.depths[t.layer]??0).toFixed(2)}`,kind:"soft"}]:[],...n.window?[{text:`window ${n.window.join("\u2013")}`,kind:"soft"}]:[],{text:`${L(e.strengths[r]??0)} ${R(n.strengthUnit)}${n.window?" at each":""}`,kind:"soft"}],c=I(e,t,r);if(t.concept<0)return[...s,...Pr(e,t,c,a,l)];let m=e.unfit[e.concepts[t.concept]??""];if(m&&s.push({text:m,kind:"soft"}),!Number.isFinite(c))return[...s,{text:"not run yet, or not defined here",kind:"soft"}];let p=` beyond ${H(e.controls[e.against]??"random")}`;e.scored&&s.push({text:`score ${P(c,2)}`,kind:"strong"}),Number.isFinite(i)?e.scored?s.push({text:`${k(i,2)}${p}`,kind:"normal"}):s.push({text:`${k(i,a)}${l}`,kind:"strong"}):s.push({text:"its controls are not run yet",kind:"soft"});let h=(y,x)=>`[${k(y,a)}, ${k(x,a)}]`,[u,g]=[b(e.low,o),b(e.high,o)];Number.isFinite(u)&&s.push({text:h(u,g),kind:"soft"});let f=pt(e,o);f&&s.push({text:f,kind:"normal"}),s.push(...G(e,o).map(y=>({text:y,kind:"normal"})));let v=mt(e,o);v&&s.push({text:v,kind:"soft"});for(let y of fe(e,o)){let x=yt=>j(e,yt,y,o),E=x(e.control);if(!Number.isFinite(E))continue;let[_,A]=[x(e.controlLow),x(e.controlHigh)],W=Number.isFinite(_)?` ${h(_,A)}`:"",et=Et(e.controls[y]??"random");s.push({text:`${et} ${k(E,a)}${W} over unsteered`,kind:"soft"})}return s}function Pr(e,t,r,n,o){let i=e.groups[F(t.concept)]?.[1].length??0,a=e.scored?`score ${P(r,2)}`:`${k(r,n)}${o}`;return[{text:Number.isFinite(r)?`${a}, mean of ${i} concepts`:"not run yet, or not defined here",kind:"normal"}]}var Hr={cancelled:"Stopped before the first cells were measured.",error:"No cells: what measures them failed."},bt=class{element=d("div",{class:"mp-read",id:rt("cell"),"data-testid":"heatmap-cell",role:"status","aria-live":"polite"});key="";draw(t,r,n,o,i){if(!r){this.element.textContent=Hr[i]??"Waiting for the first cells.",this.key="";return}let a=Ge(t,r,n,o);this.tell(t,r,n);let l=JSON.stringify(a);if(this.key===l)return;this.key=l;let s=a.flatMap((c,m)=>{let p=c.kind==="strong"?d("b",{},c.text):d("span",{class:c.kind},c.text);return m?[c.text.startsWith("[")?" ":" \xB7 ",p]:[p]});this.element.replaceChildren(...s)}tell(t,r,n){let o=I(t,r,n),i=this.element.dataset;i.concept=t.concepts[r.concept]??t.groups[F(r.concept)]?.[0]??"",i.layer=String(t.layers[r.layer]??""),i.strength=String(t.strengths[n]??""),i.value=Number.isFinite(o)?String(o):""}};var vt=class{constructor(t){this.choose=t;this.input.id=rt("strength"),this.label.htmlFor=this.input.id,this.element=d("div",{class:"mp-scrubber"},this.label,d("div",{class:"mp-track"},this.input,this.stops)),this.input.addEventListener("input",()=>t(Number(this.input.value)))}choose;element;input=d("input",{type:"range",min:0,step:1,"data-testid":"heatmap-strength"});label=d("label",{});stops=d("div",{class:"mp-stops","aria-hidden":!0});key="";draw(t,r,n){let o=JSON.stringify([t,r]);o!==this.key&&this.fill(t,r),this.key=o,w(this.element,t.length>1),this.input.value!==String(n)&&(this.input.value=String(n));let i=`${L(t[n]??0)} ${R(r)}`;this.input.getAttribute("aria-valuetext")!==i&&(this.input.setAttribute("aria-valuetext",i),this.stops.querySelectorAll("span").forEach((a,l)=>{a.toggleAttribute("data-current",l===n)}))}fill(t,r){this.label.textContent=`strength ${R(r)}`,this.input.max=String(t.length-1),this.input.removeAttribute("aria-valuetext");let n=Math.max(1,t.length-1),o=Math.ceil(t.length/9),i=t.map((a,l)=>{let s=d("span",{style:`left: ${100*l/n}%`},l%o?"":L(a));return s.addEventListener("click",()=>this.choose(l)),s});this.stops.replaceChildren(...i)}};var Ht="Effect by concept and layer",Ke={rows:9,columns:8},qe=([e,t],r)=>r?`\u25B8 ${e} (${t.length})`:`\u25BE ${e}`,Dt=class{constructor(t,r,n){this.model=t;this.root=Ut(It+Ae,"heatmap",Ht),this.choices=new at(t),this.detail=new dt(t,l=>this.setStrength(l)),this.canvas.setAttribute("aria-label",`${Ht}; arrow keys move, with shift they select a window of layers, f folds the category, / finds a concept; values are read above`),this.canvas.setAttribute("aria-describedby",this.reading.element.id);let i=d("div",{class:"mp-head"},d("h3",{},Ht),this.tokens,this.count,this.choices.metric);this.row.append(this.scrubber.element,this.find,this.choices.row),this.painter.element.append(this.heads);let a=[this.skeleton,this.painter.element,this.note,this.caption];for(let l=0;l<Ke.rows;l+=1){let s=Array.from({length:Ke.columns},()=>d("i"));this.skeleton.append(d("div",{},d("b"),...s))}this.root.append(i,this.row,this.reading.element,this.bar,...a,this.error,this.detail.element),r.append(this.root),this.cells=Rt(t),this.listen(n),this.redraw()}model;root;choices;scrubber=new vt(t=>this.setStrength(t));detail;tokens=d("span",{class:"mp-count","data-testid":"map-tokens"});count=d("span",{class:"mp-count","data-testid":"heatmap-status"});canvas=d("canvas",{class:"mp-canvas mp-map","data-testid":"heatmap",tabindex:0,role:"application"});reading=new bt;note=d("p",{class:"mp-note","data-testid":"map-note"});caption=d("p",{class:"mp-note","data-testid":"map-caption"});bar=d("div",{class:"mp-progress",role:"progressbar","aria-label":"progress"},d("i"));error=d("p",{class:"mp-error",role:"alert","data-testid":"heatmap-error"});painter=new gt(this.canvas);row=d("div",{class:"mp-row"});find=d("input",{type:"search",class:"mp-find",placeholder:"find a concept","aria-label":"find a concept","data-testid":"find"});heads=d("div",{class:"mp-heads"});headed=null;skeleton=d("div",{class:"mp-skeleton","aria-hidden":!0,"data-testid":"heatmap-skeleton"});cells;layout=Ct([],0,{width:0,nameWidth:60});theme=null;limit=1;hover=null;selection=null;dragging=!1;width=0;pending=0;drawn=-1;stale={frame:!0,numbers:!0,choices:!0,theme:!0};listen(t){let{model:r,canvas:n}=this,o=[[Le,()=>this.redraw("frame")],[Ne,()=>this.redraw("numbers")],[_e,()=>this.redraw("choices")],[Re,()=>this.redraw()]];for(let[l,s]of o)for(let c of l)r.on(`change:${c}`,s);let i=new ResizeObserver(()=>this.redraw("theme"));i.observe(this.root);let a=Xt(()=>this.redraw("theme"));t.addEventListener("abort",()=>{for(let[l,s]of o)for(let c of l)r.off(`change:${c}`,s);i.disconnect(),a(),cancelAnimationFrame(this.pending)}),n.addEventListener("pointerdown",l=>this.onDown(l)),n.addEventListener("pointermove",l=>this.onMove(l)),n.addEventListener("pointerup",()=>this.onUp()),n.addEventListener("pointercancel",()=>this.onCancel()),n.addEventListener("pointerleave",()=>this.setHover(null)),n.addEventListener("keydown",l=>this.onKey(l)),this.find.addEventListener("input",()=>this.onFind()),this.find.addEventListener("keydown",l=>this.onFindKey(l)),n.addEventListener("focus",()=>this.redraw()),n.addEventListener("blur",()=>this.redraw())}onDown(t){let r=$t(this.layout,t.offsetX,t.offsetY);if(!(!r||t.button!==0)){if(r.concept<0){this.fold(F(r.concept));return}this.selection=lt(this.selection,r,t.shiftKey),this.dragging=!0,this.canvas.setPointerCapture(t.pointerId),this.redraw()}}onMove(t){if(!this.dragging||!this.selection){this.setHover($t(this.layout,t.offsetX,t.offsetY));return}this.hover=null,this.selection=le(this.layout,this.selection,t.offsetX),this.redraw()}onUp(){this.dragging&&(this.dragging=!1,this.commit())}onCancel(){this.dragging=!1,this.selection=null,this.redraw()}onKey(t){if(t.ctrlKey||t.metaKey||t.altKey)return;let r=this.selection?ce(this.layout,this.selection,t.key,t.shiftKey):null;if(r)this.hover=null,this.selection=r,this.commit();else if(t.key==="+"||t.key==="-")this.setStrength(this.strength()+(t.key==="+"?1:-1));else if(t.key==="f"&&this.selection){let{concept:n}=this.selection;this.fold(this.cells.groups.findIndex(([,o])=>o.includes(n)))}else if(t.key==="/")this.find.focus();else return;t.preventDefault(),t.stopPropagation()}fold(t){let r=this.cells.groups[t]?.[0];if(!r)return;let{folded:n}=this.cells;this.model.set("folded",n.includes(r)?n.filter(o=>o!==r):[...n,r]),this.model.save_changes(),this.redraw("frame")}onFind(){let t=kt(this.cells.concepts,this.find.value),r=this.cells.groups.findIndex(([,n])=>n.includes(t));this.cells.folded.includes(this.cells.groups[r]?.[0]??"")&&this.fold(r),this.setHover(t<0?null:{concept:t,layer:this.selection?.active??0}),requestAnimationFrame(()=>{let n=this.layout.rows.find(i=>i.concept===t);if(!n)return;let o=d("i",{style:`position: absolute; top: ${n.y}px; height: ${this.layout.rowHeight}px`});this.painter.element.append(o),o.scrollIntoView({block:"nearest"}),o.remove()})}onFindKey(t){if(t.stopPropagation(),t.key!=="Enter"&&t.key!=="Escape")return;let r=kt(this.cells.concepts,this.find.value);t.key==="Enter"&&r<0||(t.preventDefault(),this.find.value="",this.hover=null,this.canvas.focus({preventScroll:!0}),t.key==="Enter"&&(this.selection=lt(this.selection,{concept:r,layer:this.selection?.active??0},!1),this.commit()),this.redraw())}strength(){return te(this.cells.strengths,this.model.get("strength"))}setHover(t){t?.concept===this.hover?.concept&&t?.layer===this.hover?.layer||(this.hover=t,this.redraw())}commit(){if(this.selection){for(let[t,r]of Object.entries(se(this.cells,this.selection)))this.model.set(t,r);this.model.set("picked",this.model.get("picked")+1),this.model.save_changes(),this.redraw()}}setStrength(t){let r=this.cells.strengths[Math.max(0,Math.min(this.cells.strengths.length-1,t))];r===void 0||r===this.model.get("strength")||(this.model.set("strength",r),this.model.save_changes(),this.redraw())}redraw(t){t&&(this.stale[t]=!0),!this.pending&&(this.pending=requestAnimationFrame(()=>{this.pending=0,this.draw()}))}takeIn(){let{model:t,stale:r}=this;if((r.frame||r.numbers)&&(this.cells=Rt(t),this.limit=t.get("limit")),r.choices&&this.choices.draw(),(r.theme||!this.theme)&&(this.theme=qt(this.root)),(r.frame||r.theme)&&this.measure(r.frame),!this.dragging){let n={concept:t.get("concept"),layer:t.get("layer"),window:t.get("window")};this.selection=ae(this.cells,n,this.selection)}return this.theme}measure(t){let r=getComputedStyle(this.root),n=Math.floor(this.root.clientWidth-Number.parseFloat(r.paddingLeft)*2);if(n===this.width&&!t||n<=0)return;this.width=n,this.stale.numbers=!0;let o=this.canvas.getContext("2d");o&&(o.font=`600 12px ${r.fontFamily}`);let i=this.cells.concepts.map(p=>o?.measureText(p).width??60),a=this.cells.groups.map(p=>o?.measureText(qe(p,!0)).width??60),l=Math.min(170,Math.max(40,...i,...a)),s=this.model.get("columns")==="relative_depth",{folded:c}=this.cells,m={width:n,nameWidth:l,folded:c,...s&&{depths:this.cells.depths}};this.layout=Ct(this.cells.groups,this.cells.layers.length,m)}draw(){let t=this.takeIn(),r=this.strength(),n=this.stale.frame||this.stale.numbers||this.stale.theme;(n||r!==this.drawn)&&this.painter.invalidate(),this.drawn=r;let o={cells:this.cells,layout:this.layout,strength:r,limit:this.limit,unit:this.model.get("unit"),columns:this.model.get("columns"),selection:this.selection,hover:this.hover,focused:document.activeElement===this.canvas,answered:this.model.get("answered")};this.painter.paint(o,t),w(this.painter.element,this.cells.concepts.length>0),w(this.row,this.cells.concepts.length>0);let i=["cancelled","error"].includes(this.model.get("status"));w(this.skeleton,this.cells.concepts.length===0&&!i),this.placeCells(),this.drawHeads(),this.drawNotes(),this.drawReadout(r),this.scrubber.draw(this.cells.strengths,this.model.get("strength_unit"),r),this.detail.draw(this.cells,this.selection,r,this.width,t,n),this.drawState(),this.stale={frame:!1,numbers:!1,choices:!1,theme:!1}}drawNotes(){let t=this.cells.coloured.some(Number.isFinite),r=this.model.get("answered").length>0?["dot: has answers"]:[],n=[this.model.get("note"),...r].join(" \xB7 ");for(let[o,i]of[[this.note,n],[this.caption,this.model.get("caption")]])o.textContent!==i&&(o.textContent=i),w(o,t&&i!=="")}drawHeads(){if(this.headed===this.layout)return;this.headed=this.layout;let{groups:t,left:r,rowHeight:n}=this.layout,o=t.flatMap(({label:i,nameTop:a,folded:l},s)=>{let c=this.cells.groups[s];if(!i||!c)return[];let m=l?r-4:this.layout.width,p=d("button",{type:"button",tabindex:-1,"aria-expanded":!l,"data-testid":"category",style:`top: ${a}px; width: ${m}px; height: ${l?n:St}px`},qe(c,l));return p.addEventListener("click",()=>this.fold(s)),[p]});this.heads.replaceChildren(...o)}placeCells(){let{left:t,cellWidth:r,rowHeight:n,rows:o}=this.layout,i=o[0]?.y??0;for(let[a,l]of Object.entries({left:t,top:i,cellWidth:r,rowHeight:n}))this.canvas.dataset[a]!==String(l)&&(this.canvas.dataset[a]=String(l))}drawReadout(t){let{model:r,cells:n,hover:o,selection:i}=this,[a,l]=i?$(i):[0,0],s=!o||o.concept===i?.concept&&o.layer>=a&&o.layer<=l,c={unit:r.get("unit"),strengthUnit:r.get("strength_unit"),limit:this.limit,window:s&&a!==l?[n.layers[a]??0,n.layers[l]??0]:void 0,byDepth:r.get("columns")==="relative_depth"&&n.depths.length>0};this.reading.draw(n,o??(i&&z(i)),t,c,r.get("status"))}drawState(){let t=this.model.get("tokens_label"),r=t===""?"":`steered at: ${t}`;this.tokens.textContent!==r&&(this.tokens.textContent=r);let n=this.model.get("progress"),o=this.model.get("status"),i=o==="running",a=String(Bt(n)),l=o==="cancelled"?`stopped at ${a} %`:o,s=i?`${a} %`:o==="idle"?"":l;this.count.textContent!==s&&(this.count.textContent=s),this.root.dataset.status=o,this.root.dataset.unfit=String(Object.keys(this.cells.unfit).length>0),this.bar.dataset.done=String(!i),this.bar.setAttribute("aria-valuenow",a),this.bar.firstElementChild.style.transform=`scaleX(${n})`;let c=this.model.get("message");this.error.textContent!==c&&(this.error.textContent=c),w(this.error,c!=="")}};function Dr({model:e,el:t,signal:r}){let n=new AbortController;return r?.addEventListener("abort",()=>n.abort()),new Dt(e,t,n.signal),()=>n.abort()}var Zo={render:jt(Dr)};export{Zo as default};
