var k=`.mp {
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
`;function s(e,t={},...r){let n=document.createElement(e);for(let[a,o]of Object.entries(t))o!==void 0&&o!==!1&&n.setAttribute(a,o===!0?"":String(o));return n.append(...r),n}var M=0;function A(e){return M+=1,`mp-${e}-${M}-${Math.random().toString(36).slice(2,8)}`}function E(e,t,r){let n=s("section",{class:`mp mp-${t}`,"aria-label":r,"data-lm-suppress-shortcuts":"true"});return n.append(s("style",{},e)),n.addEventListener("keydown",a=>a.stopPropagation()),n}function f(e,t){e.hidden=!t}var _="No kernel is connected. Showing the saved state; rerun the cell to continue.",H="Kernel restarted or stopped. Showing the last state; rerun the cell to continue.";function j(e){let t=e.get("layout");return typeof t?.comm_live=="boolean"&&t.on&&t.off?t:null}function I(e,t){return e?"":t?H:_}function $(e,t){let r=j(e);if(!r||!t)return()=>{};let n=s("p",{class:"mp-kernel",role:"status","data-testid":"no-kernel"});t.prepend(n);let a=r.comm_live,o=()=>{a||=r.comm_live,n.textContent=I(r.comm_live,a),f(n,!r.comm_live)};return r.on("comm_live_update",o),o(),()=>r.off("comm_live_update",o)}function S(e){return t=>{let r=e(t),n=$(t.model,t.el.firstElementChild);return()=>{n(),r?.()}}}var u={light:{paper:"#ffffff",ink:"#1c2126",soft:"#5b6570",faint:"#6f7984",line:"#e0e4e8",edge:"#c4cad1",brand:"#1f6feb",warn:"#b3261e",good:"#1a7f4b",muted:"#8a929b",zero:"#f7f8f9",positive:"#b2490a",negative:"#1f5fb4"},dark:{paper:"#16191e",ink:"#e7ebef",soft:"#a5aeb8",faint:"#a5aeb8",line:"#2a3038",edge:"#46505b",brand:"#5aa2ff",warn:"#ff8a80",good:"#58c48a",muted:"#5d6670",zero:"#22272e",positive:"#ffa657",negative:"#58a6ff"},sequential:{light:["#f4f5e6","#d5deba","#adcb98","#76b996","#3ca49b","#1b899b","#206c95","#244f8d","#31307f"],dark:["#2b2751","#2e406f","#275c87","#1c7990","#339491","#58ae90","#85c48a","#b5d778","#ede361"]},controls:{random:{label:"random directions",light:"#7a7a7a",dark:"#a2a9b0"},on_manifold:{label:"on-manifold directions",meaning:"in which activations differ",light:"#5f8a8b",dark:"#7fb3b4"},concepts:{label:"other concepts",light:"#8a7aa8",dark:"#b3a5d0"},shuffled:{label:"shuffled labels",light:"#a8927a",dark:"#c8b297"},orthogonal:{label:"orthogonal directions",light:"#8f8aa0",dark:"#b6b2c6"}},marks:{never_named:{label:"no answer names the concept",sign:"\u2013",marker:"dash",strokes:[[[0,.5],[1,.5]]]},broken:{label:"at least half of the answers broken",sign:"hollow:",marker:"x",strokes:[]}},unfinished:{label:"unfinished: too few images or draws for a verdict",sign:"\u2026",strokes:[[[0,.8],[.2,.8]],[[.4,.8],[.6,.8]],[[.8,.8],[1,.8]]]},faded:.35,categories:{entity:"#0072b2",visual_style:"#d55e00",emotion:"#a0447f",abstract:"#00795a",relation:"#8a6d00"},other_categories:["#5b4ea0","#7a3b1e","#00708c","#636300","#8c1d40","#3d5a1f"]};function x(e){let t=r=>Number.parseInt(e.slice(r,r+2),16);return[t(1),t(3),t(5)]}var L=({zero:e,positive:t,negative:r},n)=>({zero:x(e),positive:x(t),negative:x(r),scale:n.map(x)}),le=L(u.light,u.sequential.light),de=L(u.dark,u.sequential.dark),ue=u.controls;var xe=Object.values(u.marks),ve=u.marks.broken,we=u.unfinished;async function T(e){try{return await navigator.clipboard.writeText(e),!0}catch{return!1}}var C=`.mp.mp-bar {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 4px 10px;
  padding: 8px 14px;
}
.mp-bar b {
  font-weight: 650;
}
.mp-bar code {
  color: var(--mp-soft);
  background: none;
  font: 12px var(--mp-mono);
}
.mp-bar .mp-step {
  flex: 1 1 120px;
  color: var(--mp-soft);
  font-size: 12px;
  text-align: right;
}
.mp-bar .mp-progress {
  flex: 0 0 96px;
}
.mp-bar .mp-error {
  flex: 1 0 100%;
}
.mp-lab {
  border: 1px solid var(--jp-border-color2, #e0e4e8);
  border-radius: 8px;
  background: var(--jp-layout-color0, #fff);
  overflow: hidden;
}
.mp-lab > .mp-lab-body {
  gap: 1px;
  border-top: 1px solid var(--jp-border-color2, #e0e4e8);
  background: var(--jp-border-color2, #e0e4e8);
}
.mp-lab-body > *,
.mp-lab-body .mp {
  background: var(--jp-layout-color0, #fff);
}
.mp-lab .mp {
  height: 100%;
}
.mp-lab-beside > * {
  margin: 0;
}
.mp-lab-beside > .mp-lab-folds,
.mp-lab > .mp-lab-folds {
  gap: 1px;
  margin: 0;
  border-top: 1px solid var(--jp-border-color2, #e0e4e8);
  background: var(--jp-border-color2, #e0e4e8);
}
/* The bar says that the kernel is gone; no broken links at every part, and nothing moves. */
.mp-lab.jupyter-widgets-disconnected::before,
.mp-lab .jupyter-widgets-disconnected::before {
  display: none;
}
.mp-lab-folds > *,
.mp-lab-folds .mp {
  background: var(--jp-layout-color0, #fff);
}
.mp-bar .mp-parts {
  display: flex;
  flex-wrap: wrap;
  gap: 4px;
}
.mp.mp-bar .mp-parts button {
  padding: 2px 9px;
  font-size: 12px;
}
.mp.mp-bar .mp-parts button[aria-expanded="true"] {
  border-color: var(--mp-brand);
  background: color-mix(in srgb, var(--mp-brand) 12%, transparent);
}
.mp-bar .mp-code {
  flex: 1 0 100%;
  min-width: 0;
}
.mp-code > div {
  display: flex;
  flex-wrap: wrap;
  gap: 4px 10px;
  align-items: center;
  color: var(--mp-soft);
  font-size: 12px;
}
.mp.mp-bar .mp-code pre {
  max-height: 460px;
  margin: 6px 0 4px;
  padding: 8px 10px;
  overflow: auto;
  border-radius: 5px;
  background: var(--mp-fill);
  color: var(--mp-ink);
  font: 12px / 1.5 var(--mp-mono);
  white-space: pre;
}
`;var R=`.mp-lab > .mp-lab-sweep {
  display: grid;
  grid-template-rows: minmax(0, 1fr);
  margin: 0;
  border-top: 1px solid var(--jp-border-color2, #e0e4e8);
  overflow: hidden;
}
.mp-lab > .mp-lab-sweep.mp-folded {
  grid-template-rows: minmax(0, 0fr);
  border-top-width: 0;
  visibility: hidden;
}
.mp-lab-sweep > * {
  min-width: 0;
  min-height: 0;
  margin: 0;
  overflow: hidden;
}
@media (prefers-reduced-motion: no-preference) {
  .mp-lab > .mp-lab-sweep {
    transition:
      grid-template-rows 0.25s ease,
      visibility 0.25s;
  }
}
/* In the lab the monitor is one line, as far as there is room: state, facts, buttons, and its progress below. */
.mp-lab .mp-lab-sweep .mp-monitor {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px 16px;
  padding: 7px 14px;
}
.mp-lab-sweep .mp-monitor .mp-head {
  display: contents;
}
.mp-lab-sweep .mp-monitor .mp-state {
  flex: none;
}
.mp-lab-sweep .mp-monitor .mp-facts {
  display: flex;
  flex: 1 1 300px;
  flex-wrap: wrap;
  order: 1;
  gap: 2px 16px;
  margin: 0;
}
.mp-lab-sweep .mp-monitor .mp-buttons {
  order: 2;
}
.mp-lab-sweep .mp-monitor .mp-buttons button {
  padding: 2px 9px;
  font-size: 12px;
}
.mp-lab-sweep .mp-monitor .mp-progress {
  flex: 1 0 100%;
  order: 3;
  height: 3px;
}
.mp-lab-sweep .mp-monitor[data-status="finished"] .mp-progress {
  display: none;
}
.mp-lab-sweep .mp-monitor > p {
  flex: 1 0 100%;
  order: 4;
  margin: 0;
}
/* While the monitor is open, the map need not say the same again. */
.mp-lab > .mp-lab-sweep:not(.mp-folded) ~ .mp-lab-body .mp-heatmap[data-status="running"] :is(.mp-progress, .mp-count) {
  visibility: hidden;
}
`;var v="code",G="sweep",q={patches:".mp-patches",tokens:".mp-tokens",pairs:".mp-gallery",studies:".mp-study",sweep:".mp-monitor",code:".mp-code"},U=1e4,D=3e3,N=["wheel","touchmove","pointerdown","keydown"],w=class{stops=[];reveal(t,r,n){this.stop();let a=r.closest(".mp-lab")??r,o=()=>{let p=a.querySelector(q[t]??"");p?.checkVisibility()&&p.offsetHeight>0&&this.show(p,a,n)},l=new MutationObserver(o);l.observe(a,{subtree:!0,childList:!0,attributes:!0,attributeFilter:["class","style"]}),this.stops.push(()=>l.disconnect()),this.stopAfter(U),o()}show(t,r,n){this.stop(),t.tabIndex<0&&(t.tabIndex=-1);let{activeElement:a}=document;(a===null||a===n||a===document.body)&&t.focus({preventScroll:!0});let o=new ResizeObserver(()=>t.scrollIntoView({block:"nearest"}));o.observe(r),o.observe(t),this.stops.push(()=>o.disconnect());let l=()=>this.stop();for(let p of N)addEventListener(p,l,{capture:!0,passive:!0});this.stops.push(()=>{for(let p of N)removeEventListener(p,l,{capture:!0})}),this.stopAfter(D),t.scrollIntoView({block:"nearest"})}stopAfter(t){let r=setTimeout(()=>this.stop(),t);this.stops.push(()=>clearTimeout(r))}stop(){for(let t of this.stops.splice(0))t()}};function K(e,t,r){let n=s("div",{class:"mp-parts",role:"group","aria-label":"parts of the lab"}),a=new Map,o=(c,b)=>{let i=e.get("opened"),m=i.includes(c);e.set("opened",m?i.filter(g=>g!==c):[...i,c]),e.save_changes(),m||r(c,b)},l=(c,b)=>{let i=s("button",{type:"button","data-testid":`open-${c}`},b);return c===v&&i.setAttribute("aria-controls",t),i.addEventListener("click",()=>o(c,i)),a.set(c,i),i},p=e.widget_manager===null;return{element:n,draw:()=>{e.get("parts").filter(([i])=>!p||i===v).map(([i,m])=>a.get(i)??l(i,m)).forEach((i,m)=>{n.children[m]!==i&&n.insertBefore(i,n.children[m]??null)});for(let[i,m]of a)m.setAttribute("aria-expanded",String(e.get("opened").includes(i)))}}}function V(e){let t=s("pre",{tabindex:0,"data-testid":"lab-code","aria-label":"Python of what is on the screen"}),r=s("span",{role:"status"}),n=s("button",{type:"button","data-testid":"copy-code"},"Copy");n.addEventListener("click",async()=>{let o=await T(t.textContent??"");r.textContent=o?"copied":"Clipboard access is blocked. Select and copy the text instead."});let a=s("div",{},"Code for this view",n,r);return{element:s("div",{class:"mp-code",id:e},a,t),text:t}}function X({model:e,el:t}){let r=E(k+C+R,"bar","mllm_probe"),n=s("code"),a=s("span",{class:"mp-step",role:"status","data-testid":"lab-status"}),o=s("button",{type:"button",class:"mp-resume","data-testid":"lab-resume"});o.addEventListener("click",()=>e.send({kind:"resume"}));let l=s("i"),p=s("div",{class:"mp-progress",role:"progressbar","aria-label":"progress"},l),h=s("p",{class:"mp-error",role:"alert"}),c=A("code"),b=new w,i=K(e,c,(d,F)=>b.reveal(d,r,F)),m=V(c);r.append(s("b",{},"mllm_probe"),n,a,o,p,i.element,h,m.element),t.append(r);let g=()=>{n.textContent=e.get("title"),a.textContent=e.get("step"),o.textContent=e.get("resume")||"Resume",f(o,e.get("resume")!==""&&e.widget_manager!==null);let d=Math.round(e.get("progress")*100);l.style.transform=`scaleX(${d/100})`,p.setAttribute("aria-valuenow",String(d)),f(p,e.get("status")==="running"&&!e.get("opened").includes(G)),h.textContent=e.get("message"),f(h,e.get("message")!==""),i.draw(),f(m.element,e.get("opened").includes(v)),m.text.textContent=e.get("code")||"# nothing is on the screen yet"},y=["title","step","resume","status","progress","message","opened","code","parts"].map(d=>`change:${d}`);for(let d of y)e.on(d,g);return g(),()=>{b.stop();for(let d of y)e.off(d,g)}}var Ve={render:S(X)};export{Ve as default};
