var Q=`.mp {
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
`;function m(e,t={},...n){let r=document.createElement(e);for(let[o,i]of Object.entries(t))i!==void 0&&i!==!1&&r.setAttribute(o,i===!0?"":String(i));return r.append(...n),r}var tt=0;function S(e){return tt+=1,`mp-${e}-${tt}-${Math.random().toString(36).slice(2,8)}`}function et(e,t,n){let r=m("section",{class:`mp mp-${t}`,"aria-label":n,"data-lm-suppress-shortcuts":"true"});return r.append(m("style",{},e)),r.addEventListener("keydown",o=>o.stopPropagation()),r}function k(e,t){e.hidden=!t}var $t="No kernel is connected. Showing the saved state; rerun the cell to continue.",Ft="Kernel restarted or stopped. Showing the last state; rerun the cell to continue.";function Ct(e){let t=e.get("layout");return typeof t?.comm_live=="boolean"&&t.on&&t.off?t:null}function At(e,t){return e?"":t?Ft:$t}function St(e,t){let n=Ct(e);if(!n||!t)return()=>{};let r=m("p",{class:"mp-kernel",role:"status","data-testid":"no-kernel"});t.prepend(r);let o=n.comm_live,i=()=>{o||=n.comm_live,r.textContent=At(n.comm_live,o),k(r,!n.comm_live)};return n.on("comm_live_update",i),i(),()=>n.off("comm_live_update",i)}function nt(e){return t=>{let n=e(t),r=St(t.model,t.el.firstElementChild);return()=>{r(),n?.()}}}function D(e){return!(e>0)||e>=100?e>=100?0:1:e>2?1:Math.min(5,2-Math.min(0,Math.floor(Math.log10(e))+1))}function rt(e){let[t,n]=e.toExponential(1).split("e");return Math.max(0,(t?.endsWith(".0")?0:1)-Number(n))}function N(e,t=1){if(!Number.isFinite(e))return"\u2013";let n=Math.abs(e).toFixed(t);return e<0&&Number(n)!==0?"\u2212"+n:n}function P(e,t=1){let n=N(e,t);return e>0&&Number(n)!==0?`+${n}`:n}var Dt=[1,1.2,1.4,1.6,1.8,2,2.2,2.5,2.8,3,3.5,4,4.5,5,5.5,6,7,8,9,10];function V(e){if(!(e>0)||!Number.isFinite(e))return 1;let t=10**Math.floor(Math.log10(e));return(Dt.find(r=>r*t>=e*(1-1e-9))??10)*t}var H=e=>e===void 0?"":e<0?"input":String(e),I=e=>e.replaceAll("_"," ");var L={light:{paper:"#ffffff",ink:"#1c2126",soft:"#5b6570",faint:"#6f7984",line:"#e0e4e8",edge:"#c4cad1",brand:"#1f6feb",warn:"#b3261e",good:"#1a7f4b",muted:"#8a929b",zero:"#f7f8f9",positive:"#b2490a",negative:"#1f5fb4"},dark:{paper:"#16191e",ink:"#e7ebef",soft:"#a5aeb8",faint:"#a5aeb8",line:"#2a3038",edge:"#46505b",brand:"#5aa2ff",warn:"#ff8a80",good:"#58c48a",muted:"#5d6670",zero:"#22272e",positive:"#ffa657",negative:"#58a6ff"},sequential:{light:["#f4f5e6","#d5deba","#adcb98","#76b996","#3ca49b","#1b899b","#206c95","#244f8d","#31307f"],dark:["#2b2751","#2e406f","#275c87","#1c7990","#339491","#58ae90","#85c48a","#b5d778","#ede361"]},controls:{random:{label:"random directions",light:"#7a7a7a",dark:"#a2a9b0"},on_manifold:{label:"on-manifold directions",meaning:"in which activations differ",light:"#5f8a8b",dark:"#7fb3b4"},concepts:{label:"other concepts",light:"#8a7aa8",dark:"#b3a5d0"},shuffled:{label:"shuffled labels",light:"#a8927a",dark:"#c8b297"},orthogonal:{label:"orthogonal directions",light:"#8f8aa0",dark:"#b6b2c6"}},marks:{never_named:{label:"no answer names the concept",sign:"\u2013",marker:"dash",strokes:[[[0,.5],[1,.5]]]},broken:{label:"at least half of the answers broken",sign:"hollow:",marker:"x",strokes:[]}},unfinished:{label:"unfinished: too few images or draws for a verdict",sign:"\u2026",strokes:[[[0,.8],[.2,.8]],[[.4,.8],[.6,.8]],[[.8,.8],[1,.8]]]},faded:.35,categories:{entity:"#0072b2",visual_style:"#d55e00",emotion:"#a0447f",abstract:"#00795a",relation:"#8a6d00"},other_categories:["#5b4ea0","#7a3b1e","#00708c","#636300","#8c1d40","#3d5a1f"]};function _(e){let t=n=>Number.parseInt(e.slice(n,n+2),16);return[t(1),t(3),t(5)]}var ot=({zero:e,positive:t,negative:n},r)=>({zero:_(e),positive:_(t),negative:_(n),scale:r.map(_)}),Rt=ot(L.light,L.sequential.light),Ht=ot(L.dark,L.sequential.dark),Ot=L.controls;var it=(e,t)=>(Ot[e]??L.controls.random)[t?"dark":"light"];function zt(e){let t=e.match(/[\d.]+/g)?.map(Number)??[];if(t.length<3||t[3]===0)return 1;let[n=0,r=0,o=0]=t.slice(0,3).map(i=>(i/255)**2.2);return .2126*n+.7152*r+.0722*o}function at(e){let t=getComputedStyle(e),n=zt(t.backgroundColor)<.25,r=o=>t.getPropertyValue(o).trim()||t.color;return{dark:n,paper:r("--mp-bg"),ink:r("--mp-ink"),soft:r("--mp-soft"),faint:r("--mp-faint"),line:r("--mp-line"),brand:r("--mp-brand"),warn:r("--mp-warn"),font:t.fontFamily,...n?Ht:Rt}}function st(e){let t=()=>setTimeout(e,30),n=new MutationObserver(t),r=["data-jp-theme-name","data-jp-theme-light","data-vscode-theme-id","data-theme","class"];n.observe(document.body,{attributes:!0,attributeFilter:r}),n.observe(document.documentElement,{attributes:!0,attributeFilter:r});let o=matchMedia("(prefers-color-scheme: dark)");return o.addEventListener("change",t),()=>{n.disconnect(),o.removeEventListener("change",t)}}function q(e,t,n){let r=t>0?Math.max(-1,Math.min(1,e/t)):0,o=r>0?n.positive:n.negative;return Gt(n.zero,o,Math.abs(r))}function Gt(e,t,n){let r=o=>Math.round(e[o]+(t[o]-e[o])*n);return[r(0),r(1),r(2)]}var O=e=>`rgb(${e[0]},${e[1]},${e[2]})`;function pt(e,t){t.id||=S("control");let n=m("b"),r=m("label",{class:"mp-label",for:t.id},e," ",n);return{element:m("div",{},r,t),value:n}}function lt(e,t,n){let r=new Map,o=[];for(let i of t){let a=m("option",{value:i.value,class:i.unfit&&"mp-unfit"},i.label);if(!i.group){o.push(a);continue}let p=r.get(i.group)??m("optgroup",{label:I(i.group)});r.has(i.group)||o.push(p),r.set(i.group,p),p.append(a)}e.replaceChildren(...o),e.value=n}function u(e,t={},...n){let r=document.createElementNS("http://www.w3.org/2000/svg",e);for(let[o,i]of Object.entries(t))i!==void 0&&r.setAttribute(o,String(i));return r.append(...n),r}var Oe=Object.values(L.marks),ze=L.marks.broken,Ge=L.unfinished;function F(e){let t=Math.max(0,...e),n=Math.min(0,...e);return[n<0?-V(-n):0,t>0?V(t):n<0?0:1]}var C=([e,t],[n,r])=>o=>n+(o-e)/(t-e)*(r-n);function ct(e,t){let n=[];for(let r of e)n.every(i=>Math.abs(r.at-i.at)>=(r.size+i.size)/2+t)&&n.push(r);return n}var f=e=>e??Number.NaN;var _t=[1,2,2.5,5,10],jt=6.2,mt=["layer","read_layer"],Bt=.5;function j(e,t,n){let r=(t-e)/Math.max(1,n);if(!(r>0)||!Number.isFinite(r))return[e];let o=10**Math.floor(Math.log10(r)),i=o*(_t.find(s=>s*o>=r*(1-1e-9))??10),a=Math.ceil(e/i-1e-9),p=Math.floor(t/i+1e-9);return Array.from({length:p-a+1},(s,l)=>Number(((a+l)*i).toPrecision(12)))}function B(e){let t=Math.abs((e[1]??1)-(e[0]??0))||1;return Math.max(0,Math.min(5,...[0,1,2,3,4,5].filter(n=>Math.abs(t-Number(t.toFixed(n)))<1e-9)))}function ut(e){let t=e.lines??[],n=c=>c.flatMap(h=>[...h.y??[],...h.low??[],...h.high??[]]).map(f),r=n(t.filter(c=>c.concept)).filter(Number.isFinite),o=(e.points??[]).flatMap(c=>[...c.y,...c.low,...c.high]).map(f),i=[...n(t.filter(c=>!c.concept)),...o,...e.levels??[]].filter(Number.isFinite);if(i.length===0)return F(r);let[a,p]=[Math.min(0,...i),Math.max(0,...i)],s=Bt*(p-a),l=r.map(c=>Math.max(a-s,Math.min(p+s,c)));return F([...i,...l])}function dt(e,t){let n=[...(e.places??[]).flat(),...(e.points??[]).flatMap(s=>s.x)].map(f).filter(Number.isFinite),r=[t.left+12,t.width-t.right-12];if(e.points)return C(F(n),r);let o=e.x.log?Math.log:s=>s,[i,a]=[Math.min(...n),Math.max(...n)];if(!(a>i))return()=>(r[0]+r[1])/2;let p=C([o(i),o(a)],r);return s=>p(o(s))}function U(e,t){return mt.includes(e.dim??"")?`block ${H(t)}`:`${e.label??""} ${N(t,Number.isInteger(t)?0:2)}`.trim()}function Wt(e,t,n){return mt.includes(e.dim??"")?H(t):N(t,n)}function ht(e,t,n,r,o){let{width:i,height:a,left:p,right:s,bottom:l}=t,c=[],h=j(...o,5);for(let b of h){let T=r(b).toFixed(1);c.push(u("path",{class:b===0?"mp-zero":"mp-rule",d:`M${p} ${T}H${i-s}`}));let d=N(b,B(h));c.push(u("text",{x:p-6,y:r(b)+3.5,"text-anchor":"end"},d))}let g=(e.places??[]).flat().map(f).filter(Number.isFinite),[x,y]=e.points?F(e.points.flatMap(b=>b.x.map(f))):[0,0],v=e.x.ticks??(e.points?j(x,y,6):[...new Set(g)].sort((b,T)=>b-T)),w=v.every(Number.isInteger)?0:Math.max(1,B(v)),M=[...new Set([v[0],v.at(-1),...v])].filter(b=>b!==void 0).map(b=>({at:n(b),text:Wt(e.x,b,w)}));for(let{at:b,text:T}of ct(M.map(d=>({...d,size:d.text.length*jt})),8))c.push(u("text",{x:b,y:a-l+15,"text-anchor":"middle"},T));let $=(p+i-s)/2;return c.push(u("text",{class:"mp-axis",x:$,y:a-5,"text-anchor":"middle"},e.x.label??"")),c.push(u("text",{class:"mp-axis",x:4,y:11,"text-anchor":"start"},e.y.label??"")),c}var z=320,Vt={left:52,right:14,top:24,bottom:40};function gt(e,t,n,r){let o=Number.isFinite(t)&&Number.isFinite(n)?` [${N(t,r)}, ${N(n,r)}]`:"";return N(e,r)+o}function qt(e,t){let n=!1;return e.map((o,i)=>{let a=t[i]??Number.NaN,p=Number.isFinite(o)&&Number.isFinite(a)?`${n?"L":"M"}${o.toFixed(1)} ${a.toFixed(1)}`:"";return n=p!=="",p}).join("")}function Ut(e,t){return e.control?it(e.control,t):e.colour??""}function ft(e,t){return`${e.control?"--own":"--of"}: ${Ut(e,t)}`}function Kt(e,t,{y:n}){return t.flatMap((r,o)=>{let[i,a]=[f(e.low?.[o]),f(e.high?.[o])];return!Number.isFinite(i)||!Number.isFinite(a)?[]:u("path",{class:"mp-interval",d:`M${r.toFixed(1)} ${n(i).toFixed(1)}V${n(a).toFixed(1)}`})})}function Xt(e,t,n){let r=(t.chart.places?.[e.at]??[]).map(s=>t.x(f(s))),o=(e.y??[]).map(s=>t.y(f(s))),i=e.concept===void 0?e.layer===n.layer:e.concept===n.concept,a=e.concept===void 0?"mp-mean-line":"mp-concept-line",p=u("g",{class:`${a}${e.dashed?" mp-dashed":""}${i?" mp-chosen":""}`,style:ft(e,t.dark),"data-concept":e.concept});return p.append(u("path",{class:"mp-line",d:qt(r,o)}),...Kt(e,r,t)),e.concept!==void 0||e.dashed||o.forEach((s,l)=>{Number.isFinite(s)&&p.append(u("circle",{class:"mp-dot",cx:r[l]??0,cy:s,r:3.2}))}),p}function Yt(e,t,n){let{chart:r,x:o,y:i,digits:a}=n;return(e.y??[]).flatMap((p,s)=>{let[l,c]=[f(r.places?.[e.at]?.[s]),f(p)];if(!Number.isFinite(l)||!Number.isFinite(c))return[];let h=r.x.dim==="layer"?l:e.layer,g=e.concept!==void 0&&e.layer!==void 0?`, edited: block ${e.layer}`:"",x=gt(c,f(e.low?.[s]),f(e.high?.[s]),a);return{x:o(l),y:i(c),row:t,column:s,text:`${e.concept??e.label??""}${g} \xB7 ${U(r.x,l)} \xB7 ${x}`,...e.concept===void 0?{}:{concept:e.concept},...h===void 0?{}:{layer:h}}})}function Jt(e,t,n){let r=u("g",{class:"mp-points",style:`--of: ${e.colour}`});return e.concepts.forEach((o,i)=>{let[a,p]=[t.x(f(e.x[i])),t.y(f(e.y[i]))];if(!Number.isFinite(a)||!Number.isFinite(p))return;let[s,l]=[t.y(f(e.low[i])),t.y(f(e.high[i]))],c=o===n.concept?" mp-chosen":"",h=u("g",{class:`mp-single${c}`,"data-concept":o});Number.isFinite(s)&&Number.isFinite(l)&&h.append(u("path",{class:"mp-interval",d:`M${a.toFixed(1)} ${s.toFixed(1)}V${l.toFixed(1)}`})),h.append(u("circle",{class:"mp-dot",cx:a,cy:p,r:c?6:4})),r.append(h)}),r}function Zt(e,t,n){return[...e.concepts.keys()].sort((o,i)=>f(e.x[o])-f(e.x[i])).flatMap((o,i)=>{let[a,p,s]=[f(e.x[o]),f(e.y[o]),e.concepts[o]??""];if(!Number.isFinite(a)||!Number.isFinite(p))return[];let l=gt(p,f(e.low[o]),f(e.high[o]),n.digits),c=`${s} (${e.label}) \xB7 ${U(n.chart.x,a)} \xB7 ${l}`;return{x:n.x(a),y:n.y(p),row:t,column:i,text:c,concept:s}})}function Qt(e,t,n,r){if(e.x.dim!=="layer"||!(e.x.ticks??[]).includes(n))return[];let o=`M${t(n).toFixed(1)} ${r.top}V${r.height-r.bottom}`;return[u("path",{class:"mp-here",d:o,"data-layer":n})]}function bt(e,t,n,r){let o={...Vt,width:Math.max(260,n),height:z},i=ut(e),a=C(i,[z-o.bottom,o.top]),p=dt(e,o),s={chart:e,x:p,y:a,dark:r,digits:D(Math.max(...i.map(Math.abs)))},l=S("clip"),c=u("clipPath",{id:l}),h={x:o.left,y:o.top-8,width:o.width-o.left-o.right};c.append(u("rect",{...h,height:z-o.bottom-o.top+16}));let g=u("g",{"clip-path":`url(#${l})`});for(let d of e.levels??[])g.append(u("path",{class:"mp-level",d:`M${o.left} ${a(d).toFixed(1)}H${o.width-o.right}`}));let x=e.lines??[],y=x.filter(d=>d.concept!==void 0),v=x.filter(d=>d.concept===void 0),w=y.filter(d=>d.concept===t.concept),E=[...y.filter(d=>!w.includes(d)),...v,...w];g.append(...E.map(d=>Xt(d,s,t))),g.append(...(e.points??[]).map(d=>Jt(d,s,t)));let M=u("svg",{width:o.width,height:z,viewBox:`0 0 ${o.width} ${z}`});M.append(c,...ht(e,o,p,a,i),...Qt(e,p,t.layer,o),g);let $=[...[...v,...y].flatMap((d,A)=>Yt(d,A,s)),...(e.points??[]).flatMap((d,A)=>Zt(d,A,s))],b=v.map(d=>({label:d.label??"",colour:ft(d,r),dashed:d.dashed===!0})),T=(e.points??[]).map(d=>({label:d.label,colour:`--of: ${d.colour}`,dashed:!1}));return{element:M,targets:$,legend:[...b,...T]}}var te=6.8,ee=34,W={least:9,most:34,widest:120};function ne(e,t){let n=s=>Math.max(1,...s.map(l=>l.length))*te+10,r=Math.min(n(e.rows),t/3),o=(t-r-10)/Math.max(1,e.columns.length),i=Math.max(W.least,Math.min(e.concepts?W.most:W.widest,o)),a=n(e.columns)>i,p=e.concepts?Math.max(W.least,Math.min(20,i)):28;return{left:r,top:a?n(e.columns)+16:38,cellWidth:i,cellHeight:p,turned:a}}function re(e,t,n){let{left:r,top:o,cellWidth:i,cellHeight:a,turned:p}=t,s=Math.max(8,Math.min(11,a-1)),l=g=>({class:e.concepts&&g===n.concept?"mp-name mp-chosen":"mp-name",style:`font-size: ${s}px`}),c=e.rows.map((g,x)=>{let y=o+(x+.5)*a+s/3;return u("text",{...l(g),x:r-5,y,"text-anchor":"end"},g)}),h=e.columns.map((g,x)=>{let y=r+(x+.5)*i;if(!p)return u("text",{...l(g),x:y,y:o-6,"text-anchor":"middle"},g);let v=`translate(${(y+s/3).toFixed(1)} ${o-5}) rotate(-90)`;return u("text",{...l(g),transform:v,"text-anchor":"start"},g)});return[...c,...h]}function oe(e,t,n,r){let a=Array.from({length:24},(c,h)=>{let g=O(q(2*(h+.5)/24-1,1,r));return u("rect",{x:t.left+h*120/24,y:n,width:5.5,height:8,fill:g})}),p=rt(e.limit),s=(c,h,g)=>u("text",{x:t.left+c,y:n+20,"text-anchor":g},h),l=`${P(e.limit,p)} ${e.units}`.trim();return[...a,s(0,P(-e.limit,p),"start"),s(120/2,"0","middle"),s(120,l,"end")]}function ie(e,t,n){let r=e.concepts?e.rows.indexOf(n.concept):-1;if(r<0)return[];let{left:o,top:i,cellWidth:a,cellHeight:p}=t,s=(l,c,h,g)=>u("rect",{class:"mp-frame",x:l,y:c,width:h,height:g});return[s(o,i+r*p,a*e.columns.length,p),s(o+r*a,i,a,p*e.rows.length)]}function xt(e,t,n,r,o){let i=ne(t,r),{left:a,top:p,cellWidth:s,cellHeight:l}=i,c=D(t.limit),h=p+l*t.rows.length,g={width:Math.max(r,a+s*t.columns.length),height:h+ee},x=u("svg",{...g,viewBox:`0 0 ${g.width} ${g.height}`}),y=[];t.values.forEach((E,M)=>{E.forEach(($,b)=>{let T=f($),[d,A]=[a+b*s,p+M*l],Tt=Number.isFinite(T)?{fill:O(q(T,t.limit,o))}:{class:"mp-unknown"};x.append(u("rect",{...Tt,x:d,y:A,width:s-.5,height:l-.5}));let[Z,Et]=[t.rows[M]??"",t.columns[b]??""],Nt=Number.isFinite(T)?`${P(T,c)} ${t.units}`.trim():"not known";y.push({x:d+s/2,y:A+l/2,row:M,column:b,text:`${Z} \xD7 ${Et} \xB7 ${Nt}`,...t.concepts?{concept:Z}:{}})})});let v=[e.y.label,e.x.label].filter(Boolean).join(" (rows), "),w=u("text",{class:"mp-axis",x:4,y:11},v?`${v} (columns)`:"");return x.append(w,...re(t,i,n),...ie(t,i,n)),x.append(...oe(t,i,h+8,o)),{element:x,targets:y,legend:[]}}var K=150,R=24,yt=15,ae=8,se=6;function pe(e){let t=R+K+22;return e.aspects.flatMap(([n,r],o)=>{let i=r.map((a,p)=>({aspect:o,value:p,label:`${n}: ${a}`,y:t+p*yt}));return t+=r.length*yt+ae,i})}function le(e,t){let n=f(e.values[t]),r=D(Math.max(...e.values.map(a=>Math.abs(a??0)))),o=Number.isFinite(n)?`${P(n,r)} ${e.units}`.trim():"not known",i=e.aspects.map(([a,p],s)=>`${a} ${p[e.chosen[t]?.[s]??0]??""}`).join(", ");return`way ${t+1} of ${e.values.length}${t===e.headline?" (headline)":""} \xB7 ${o} \xB7 ${i}`}function ce(e,t,n,r){let o=j(...e,4),i=B(o);return o.flatMap(a=>[u("path",{class:a===0?"mp-zero":"mp-rule",d:`M${n} ${t(a).toFixed(1)}H${r}`}),u("text",{x:n-6,y:t(a)+3.5,"text-anchor":"end"},N(a,i))])}function vt(e,t,n,r){let o=pe(t),i=Math.max(6,...o.map(w=>w.label.length))*se+12,a=Math.min(i,n*.45),p=Math.max(a+60,n-12),s=(p-a)/Math.max(1,t.values.length),l=w=>a+(w+.5)*s,c=F(t.values.map(f).filter(Number.isFinite)),h=C(c,[R+K,R]),g=(o.at(-1)?.y??R+K)+14,x=u("svg",{width:Math.max(n,p),height:g,viewBox:`0 0 ${Math.max(n,p)} ${g}`});x.append(...ce(c,h,a,p),u("text",{class:"mp-axis",x:4,y:11},e.y.label??""));let y=Math.max(1.4,Math.min(4,s/2.4));x.append(u("rect",{class:"mp-headline",x:l(t.headline)-s/2-1,y:R-6,width:s+2,height:g-R}));for(let w of o)x.append(u("text",{class:"mp-name",x:a-6,y:w.y+3.5,"text-anchor":"end"},w.label));let v=t.values.map((w,E)=>{let M=f(w),$=E===t.headline?"mp-main":"",b=$||M===0?void 0:`fill: ${O(M>0?r.positive:r.negative)}`,T={class:`mp-verdict ${$}`,style:b};Number.isFinite(M)&&x.append(u("circle",{...T,cx:l(E),cy:h(M),r:y}));for(let d of o)t.chosen[E]?.[d.aspect]===d.value&&x.append(u("circle",{class:`mp-setting ${$}`,cx:l(E),cy:d.y,r:Math.min(3,y)}));return{x:l(E),y:Number.isFinite(M)?h(M):h(0),row:0,column:E,text:le(t,E)}});return{element:x,targets:v,legend:[]}}var me=26,wt={ArrowLeft:[0,-1],ArrowRight:[0,1],ArrowUp:[-1,0],ArrowDown:[1,0]};function ue(e,t,n,r=me){let o=null,i=r;for(let a of e){let p=Math.hypot(a.x-t,a.y-n);p<i&&([o,i]=[a,p])}return o}function de(e,t,n){let r=wt[n];if(!r||!t)return t??e[0]??null;let[o,i]=r,a=e.filter(s=>o?Math.sign(s.row-t.row)===o:s.row===t.row&&Math.sign(s.column-t.column)===i),p=s=>Math.abs(s.row-t.row)*1e6+Math.abs(s.column-t.column);return a.reduce((s,l)=>p(l)<p(s)?l:s,a[0]??t)}var G=class{constructor(t,n,r){this.hint=n;this.choose=r;let o=S("readout");this.readout=m("p",{class:"mp-readout",id:o,role:"status","data-testid":`${t}-readout`},n),Object.entries({tabindex:"0",role:"application","aria-describedby":o,"data-testid":t}).forEach(([i,a])=>{this.place.setAttribute(i,a)}),this.element=m("div",{},this.place,this.readout),this.place.addEventListener("pointermove",i=>this.point(this.under(i))),this.place.addEventListener("pointerleave",()=>this.point(null)),this.place.addEventListener("click",i=>this.take(this.under(i))),this.place.addEventListener("keydown",i=>this.press(i)),this.place.addEventListener("blur",()=>this.point(null))}hint;choose;element;readout;place=m("div",{class:"mp-stage"});mark=u("circle",{class:"mp-cursor",r:7});targets=[];cursor=null;show(t,n){let r=this.cursor;this.targets=t.targets,t.element.setAttribute("aria-hidden","true"),t.element.append(this.mark),this.place.replaceChildren(t.element),this.place.setAttribute("aria-label",`${n}. Arrow keys read it, Enter selects.`),this.point(this.targets.find(o=>r&&o.row===r.row&&o.column===r.column)??null)}under(t){let n=this.place.firstElementChild?.getBoundingClientRect();return n?ue(this.targets,t.clientX-n.left,t.clientY-n.top):null}point(t){this.cursor=t,this.mark.setAttribute("cx",String(t?.x??-20)),this.mark.setAttribute("cy",String(t?.y??-20));let n=t?.text??this.hint;this.readout.textContent!==n&&(this.readout.textContent=n)}take(t){t&&this.choose(t)}press(t){t.key in wt?(t.preventDefault(),this.point(de(this.targets,this.cursor,t.key))):t.key==="Enter"||t.key===" "?(t.preventDefault(),this.take(this.cursor)):t.key==="Escape"&&this.point(null)}};var Mt=`.mp-study .mp-head h3 {
  flex: 0 0 auto;
}
.mp-study h4 {
  margin: 14px 0 2px;
  font-size: 14px;
  font-weight: 600;
}
.mp-study .mp-summary {
  margin: 0 0 6px;
  padding: 0 0 0 16px;
  list-style: disc;
}
.mp-study .mp-summary li {
  margin: 2px 0;
  overflow-wrap: anywhere;
}
.mp-study .mp-details {
  margin: 0 0 8px;
}
.mp-study .mp-details summary {
  cursor: pointer;
}
.mp-study .mp-details table {
  border-collapse: collapse;
}
.mp-study .mp-details th,
.mp-study .mp-details td {
  padding: 2px 10px 2px 0;
  text-align: left;
  vertical-align: top;
  overflow-wrap: anywhere;
}
.mp-study .mp-details th {
  color: var(--mp-soft);
  font-weight: 400;
}
.mp-study .mp-choices {
  display: flex;
  flex-wrap: wrap;
  gap: 0 12px;
}
.mp-study .mp-choices > div {
  flex: 1 1 130px;
  min-width: 0;
}
.mp-study .mp-choices > div:first-child {
  flex: 3 1 240px;
}
.mp-study .mp-caption p {
  margin: 1px 0;
  overflow-wrap: anywhere;
}
.mp-study .mp-stage {
  max-width: 100%;
  margin-top: 6px;
  overflow-x: auto;
  cursor: crosshair;
}
.mp-study .mp-stage svg {
  display: block;
}
.mp-study .mp-stage text {
  fill: var(--mp-faint);
  font-size: 11px;
}
.mp-study .mp-stage .mp-axis,
.mp-study .mp-stage .mp-name {
  fill: var(--mp-soft);
}
.mp-study .mp-stage .mp-name.mp-chosen {
  fill: var(--mp-ink);
  font-weight: 700;
}
.mp-study .mp-stage .mp-rule,
.mp-study .mp-stage .mp-zero,
.mp-study .mp-stage .mp-level,
.mp-study .mp-stage .mp-here {
  fill: none;
  stroke: var(--mp-line);
  stroke-width: 1;
}
.mp-study .mp-stage .mp-zero {
  stroke: var(--mp-faint);
}
.mp-study .mp-stage .mp-level {
  stroke: var(--mp-soft);
  stroke-dasharray: 5 4;
}
.mp-study .mp-stage .mp-here {
  stroke: var(--mp-brand);
  stroke-width: 2;
}
/* Colours of categories are made for paper; on a dark page they are mixed with white. */
.mp-study {
  --mp-mixed: 100%;
}
.mp-study[data-dark="true"] {
  --mp-mixed: 58%;
}
.mp-study .mp-mean-line,
.mp-study .mp-concept-line,
.mp-study .mp-points,
.mp-study .mp-legend i {
  --mp-colour: var(--own, color-mix(in srgb, var(--of, currentcolor) var(--mp-mixed), white));
}
.mp-study .mp-line {
  fill: none;
  stroke: var(--mp-colour);
  stroke-width: 2;
}
.mp-study .mp-dashed .mp-line {
  stroke-dasharray: 6 4;
  stroke-width: 1.5;
}
.mp-study .mp-concept-line .mp-line {
  stroke-width: 1;
  opacity: 0.28;
}
.mp-study .mp-mean-line.mp-chosen .mp-line {
  stroke-width: 3.5;
}
.mp-study .mp-concept-line.mp-chosen .mp-line {
  stroke-width: 3;
  opacity: 1;
}
.mp-study .mp-interval {
  stroke: var(--mp-colour);
  stroke-width: 1.5;
  opacity: 0.6;
}
.mp-study .mp-dot {
  fill: var(--mp-colour);
}
.mp-study .mp-single.mp-chosen .mp-dot {
  stroke: var(--mp-ink);
  stroke-width: 2;
}
.mp-study .mp-unknown {
  fill: var(--mp-line);
}
.mp-study .mp-frame {
  fill: none;
  stroke: var(--mp-brand);
  stroke-width: 2;
}
.mp-study .mp-cursor {
  fill: none;
  stroke: var(--mp-ink);
  stroke-width: 1.5;
  pointer-events: none;
}
.mp-study .mp-headline {
  fill: color-mix(in srgb, var(--mp-brand) 14%, transparent);
}
.mp-study .mp-verdict,
.mp-study .mp-setting {
  fill: var(--mp-edge);
}
.mp-study .mp-setting:not(.mp-main) {
  fill: var(--mp-faint);
}
.mp-study .mp-main {
  fill: var(--mp-brand);
}
.mp-study .mp-readout {
  min-height: 19px;
  margin: 4px 0 0;
  color: var(--mp-soft);
  font-size: 12.5px;
  overflow-wrap: anywhere;
}
.mp-study .mp-legend {
  display: flex;
  flex-wrap: wrap;
  gap: 2px 16px;
  margin: 6px 0 0;
  padding: 0;
  list-style: none;
  font-size: 12px;
}
.mp-study .mp-legend i {
  display: inline-block;
  width: 18px;
  margin-right: 6px;
  border-top: 3px solid var(--mp-colour);
  vertical-align: 3px;
}
.mp-study .mp-legend i.mp-dashed {
  border-top-style: dashed;
}
`;var kt=["study","about","summary","details","charts","chart","multiverse","concepts","categories","layers","concept","layer","message"],ge=280;function X(e,t){let n=m("select",{class:"mp-wide","data-testid":e});return{box:pt(t,n).element,control:n}}function Y(e,t,n){let r=JSON.stringify(t);e.dataset.options!==r&&lt(e,t,n),e.dataset.options=r,e.value=n}var J=class{constructor(t,n,r){this.model=t;this.root.dataset.testid="study",this.stage=new G("study-chart","Point at the chart to read it, click to select.",p=>this.take(p)),this.figure=m("div",{class:"mp-figure"},this.title,this.nothing,this.caption,this.stage.element,this.legend);let o=[this.waysTitle,this.waysCaption,this.ways.element];this.multiverse=m("div",{class:"mp-figure","data-testid":"study-multiverse"},...o);let i=m("div",{class:"mp-head"},m("h3",{},"Study"),this.name,this.about),a=m("div",{class:"mp-choices"},this.chart.box,this.concept.box,this.layer.box);this.root.append(i,this.summary,a,this.error,this.none,this.figure,this.multiverse),n.append(this.root),this.chart.control.addEventListener("change",()=>this.set({chart:this.chart.control.value})),this.concept.control.addEventListener("change",()=>this.set({concept:this.concept.control.value})),this.layer.control.addEventListener("change",()=>this.set({layer:Number(this.layer.control.value)})),this.listen(r),this.draw()}model;root=et(Q+Mt,"study","Study");name=m("b");about=m("span",{class:"mp-note"});summary=m("ul",{class:"mp-summary","data-testid":"study-summary"});rows=m("tbody");details=m("details",{class:"mp-details","data-testid":"study-details"},m("summary",{},"Details"),m("table",{},this.rows));chart=X("study-charts","Chart");concept=X("study-concept","Concept");layer=X("study-layer","Layer");title=m("h4");caption=m("div",{class:"mp-note mp-caption"});nothing=m("p",{"data-testid":"study-nothing"});legend=m("ul",{class:"mp-legend","data-testid":"study-legend"});none=m("p",{class:"mp-note"},"This study has no chart.");stage;figure;ways=new G("study-multiverse-ways","Point at a way to read it.",()=>{});waysTitle=m("h4");waysCaption=m("div",{class:"mp-note mp-caption"});multiverse;error=m("p",{class:"mp-error",role:"alert","data-testid":"study-error"});pending=0;listen(t){let n=()=>this.redraw();for(let i of kt)this.model.on(`change:${i}`,n);let r=new ResizeObserver(n);r.observe(this.root);let o=st(n);t.addEventListener("abort",()=>{for(let i of kt)this.model.off(`change:${i}`,n);r.disconnect(),o(),cancelAnimationFrame(this.pending)})}redraw(){this.pending||=requestAnimationFrame(()=>{this.pending=0,this.draw()})}set(t){for(let[n,r]of Object.entries(t))this.model.set(n,r);this.model.save_changes(),this.redraw()}take({concept:t,layer:n}){let r={};t!==void 0&&this.model.get("concepts").includes(t)&&(r.concept=t),n!==void 0&&this.model.get("layers").includes(n)&&(r.layer=n),Object.keys(r).length>0&&this.set(r)}draw(){let{model:t}=this;this.name.textContent=I(t.get("study")),this.about.textContent=t.get("about"),this.summary.replaceChildren(...t.get("summary").map(r=>m("li",{},r))),this.drawDetails(t.get("details")??[]),this.error.textContent=t.get("message"),k(this.error,t.get("message")!==""),this.drawChoices();let n=at(this.root);this.root.dataset.dark=String(n.dark),this.drawChart(n),this.drawMultiverse(n)}drawDetails(t){let n=([r,o])=>m("tr",{},m("th",{scope:"row"},r??""),m("td",{},o??""));this.rows.replaceChildren(...t.map(n)),t.length===0?this.details.remove():this.details.parentNode===null&&this.summary.after(this.details)}drawChoices(){let{model:t}=this,[n,r,o]=[t.get("charts"),t.get("concepts"),t.get("layers")],i=t.get("categories"),a=n.map(({key:l,label:c})=>({value:l,label:c}));Y(this.chart.control,a,t.get("chart"));let p=r.map((l,c)=>({value:l,label:l,group:i[c]??""}));Y(this.concept.control,p,t.get("concept"));let s=o.map(l=>({value:String(l),label:H(l)}));Y(this.layer.control,s,String(t.get("layer"))),k(this.chart.box,n.length>1),k(this.concept.box,r.length>0),k(this.layer.box,o.length>0)}width(){return Math.max(ge,Math.floor(this.root.clientWidth-28))}drawChart(t){let{model:n}=this,r=n.get("charts").find(({key:p})=>p===n.get("chart"));if(k(this.figure,r!==void 0),k(this.none,r===void 0),!r)return;this.title.textContent=r.title,this.caption.replaceChildren(...(r.caption??[]).map(p=>m("p",{},p))),this.nothing.textContent=r.nothing??"";let o=r.nothing!==void 0;if(k(this.nothing,o),k(this.stage.element,!o),o){k(this.legend,!1);return}let i={concept:n.get("concept"),layer:n.get("layer")},a=r.matrix?xt(r,r.matrix,i,this.width(),t):bt(r,i,this.width(),t.dark);this.stage.show(a,r.title),this.drawLegend(a)}drawLegend({legend:t}){let n=t.map(({label:r,colour:o,dashed:i})=>{let a=m("i",{style:o,class:i?"mp-dashed":""});return m("li",{},a,r)});this.legend.replaceChildren(...n),k(this.legend,n.length>0)}drawMultiverse(t){let n=this.model.get("multiverse");k(this.multiverse,n.specifications!==void 0),n.specifications&&(this.waysTitle.textContent=`Asked in ${n.specifications.values.length} ways: ${n.title}`,this.waysCaption.replaceChildren(...(n.caption??[]).map(r=>m("p",{},r))),k(this.ways.element,n.nothing===void 0),n.nothing===void 0&&this.ways.show(vt(n,n.specifications,this.width(),t),n.title))}};function fe({model:e,el:t,signal:n}){let r=new AbortController;return n?.addEventListener("abort",()=>r.abort()),new J(e,t,r.signal),()=>r.abort()}var Kn={render:nt(fe)};export{Kn as default};
