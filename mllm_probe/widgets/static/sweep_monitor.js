var j=`.mp {
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
`;function o(e,r={},...t){let a=document.createElement(e);for(let[s,i]of Object.entries(r))i!==void 0&&i!==!1&&a.setAttribute(s,i===!0?"":String(i));return a.append(...t),a}function A(e,r,t){let a=o("section",{class:`mp mp-${r}`,"aria-label":t,"data-lm-suppress-shortcuts":"true"});return a.append(o("style",{},e)),a.addEventListener("keydown",s=>s.stopPropagation()),a}function p(e,r){e.hidden=!r}var G="No kernel is connected. Showing the saved state; rerun the cell to continue.",q="Kernel restarted or stopped. Showing the last state; rerun the cell to continue.";function V(e){let r=e.get("layout");return typeof r?.comm_live=="boolean"&&r.on&&r.off?r:null}function X(e,r){return e?"":r?q:G}function J(e,r){let t=V(e);if(!t||!r)return()=>{};let a=o("p",{class:"mp-kernel",role:"status","data-testid":"no-kernel"});r.prepend(a);let s=t.comm_live,i=()=>{s||=t.comm_live,a.textContent=X(t.comm_live,s),p(a,!t.comm_live)};return t.on("comm_live_update",i),i(),()=>t.off("comm_live_update",i)}function I(e){return r=>{let t=e(r),a=J(r.model,r.el.firstElementChild);return()=>{a(),t?.()}}}var C=e=>Math.floor(e*100);var Q=new Intl.NumberFormat("en-GB",{maximumFractionDigits:0}),u=e=>Q.format(e).replaceAll(",","\u202F");function y(e){let r=Math.max(0,Math.round(e)),t=[[86400,"d"],[3600,"h"],[60,"min"],[1,"s"]],a=t.findIndex(([g])=>r>=g);if(a<0)return"0 s";let[s,i]=t[a],d=t[a+1],l=`${Math.floor(r/s)} ${i}`;if(!d)return l;let c=Math.floor(r%s/d[0]);return c?`${l} ${c} ${d[1]}`:l}function T(e){return e>=1e9?`${(e/1e9).toFixed(1)} GB`:`${Math.round(e/1e6)} MB`}function K(e){return e>0?e>=1?`${e>=10?u(Math.round(e)):e.toFixed(1)} per s`:`${(e*60).toFixed(1)} per min`:"\u2013"}var Y={idle:"nothing to watch",pausing:"pausing after the current step",cancelled:"stopped",error:"failed"};function M(e){let r=Y[e.status]??e.status;return e.status==="idle"?r:`${r} \xB7 ${C(e.progress)} %`}function P(e){let r=e.status==="running"||e.status==="pausing"||e.status==="paused",t=[];e.total>0&&t.push(["runs",`${u(e.done)} of ${u(e.total)}`]);let a=e.total>0?K(e.rate):e.rate>0?`${(e.rate*100).toPrecision(2)} % per s`:"\u2013";return t.push(["rate",a]),r&&t.push(["time left",e.seconds_left===null?"\u2013":y(e.seconds_left)]),t.push(["so far",y(e.seconds)]),e.memory>0&&t.push(["memory",`${T(e.memory)}, ${T(e.memory_free)} free`]),t}var D=e=>e.map(r=>[r.host,`${r.device}, ${r.dtype}`,u(r.processes),u(r.runs),K(r.rate),`${y(r.silent)} ago`]),H=["host","device","processes","runs","rate of each","last unit"];var W=`.mp-monitor .mp-head h3 {
  flex: 0 0 auto;
}
.mp-monitor .mp-state {
  flex: 1 1 auto;
  color: var(--mp-soft);
  font-size: 13px;
}
.mp-monitor .mp-state::before {
  display: inline-block;
  width: 7px;
  height: 7px;
  margin-right: 6px;
  border-radius: 50%;
  background: var(--mp-edge);
  content: "";
  vertical-align: 1px;
}
.mp-monitor[data-status="running"] .mp-state::before {
  background: var(--mp-brand);
}
.mp-monitor[data-status="finished"] .mp-state::before {
  background: var(--mp-good);
}
.mp-monitor[data-status="error"] .mp-state::before {
  background: var(--mp-warn);
}
.mp-monitor .mp-buttons {
  display: inline-flex;
  gap: 6px;
}
.mp-monitor .mp-progress {
  height: 6px;
}
.mp-monitor[data-status="paused"] .mp-progress > i {
  opacity: 0.5;
}
.mp-monitor .mp-facts {
  display: flex;
  flex-wrap: wrap;
  gap: 4px 22px;
  margin: 8px 0 0;
}
.mp-monitor .mp-facts > div {
  display: flex;
  gap: 6px;
  align-items: baseline;
}
/* JupyterLab gives the terms and descriptions of an output a share of the line each. */
.mp-monitor .mp-facts > div > * {
  width: auto;
  float: none;
}
.mp-monitor .mp-facts dt {
  color: var(--mp-faint);
  font-size: 12px;
  font-weight: 400;
}
.mp-monitor .mp-facts dd {
  margin: 0;
  font-size: 13px;
  white-space: nowrap;
}
.mp-monitor .mp-workers {
  margin: 8px 0 0;
  border-collapse: collapse;
  font-size: 12px;
}
.mp-monitor .mp-workers th,
.mp-monitor .mp-workers td {
  padding: 2px 18px 2px 0;
  border: 0;
  background: none;
  text-align: left;
  white-space: nowrap;
}
.mp-monitor .mp-workers th {
  color: var(--mp-faint);
  font-size: 12px;
  font-weight: 400;
}
.mp-monitor-note {
  margin: 8px 0 0;
  color: var(--mp-soft);
  font-size: 12px;
  overflow-wrap: anywhere;
}
`;var $=["status","message","note","done","total","progress","rate","seconds","seconds_left","memory","memory_free","controllable","resumable","workers"];function ee({model:e,el:r,signal:t}){let a=A(j+W,"monitor","Sweep"),s=o("span",{class:"mp-state",role:"status","data-testid":"monitor-status"}),i=(n,f)=>{let b=o("button",{type:"button","data-testid":`monitor-${n}`},f);return b.addEventListener("click",()=>e.send({kind:n})),b},[d,l,c]=[i("pause","Pause"),i("resume","Resume"),i("stop","Stop")],g=o("span",{class:"mp-buttons"},d,l,c),S=o("i"),z=o("div",{class:"mp-progress",role:"progressbar","aria-label":"progress of the sweep"},S),E=o("dl",{class:"mp-facts"}),O=o("tr",{},...H.map(n=>o("th",{scope:"col"},n))),N=o("tbody"),_=o("table",{class:"mp-workers","data-testid":"monitor-workers"},o("thead",{},O),N),x=o("p",{class:"mp-monitor-note","data-testid":"monitor-note"}),h=o("p",{class:"mp-error",role:"alert","data-testid":"monitor-error"}),U=o("div",{class:"mp-head"},o("h3",{},"Sweep"),s,g);a.append(U,z,E,_,x,h),r.append(a);let F=()=>{let n=Object.fromEntries($.map(m=>[m,e.get(m)]));a.dataset.status=n.status,s.textContent!==M(n)&&(s.textContent=M(n));let f=Math.round(n.progress*1e3)/10;S.style.transform=`scaleX(${f/100})`,z.setAttribute("aria-valuenow",String(f)),E.replaceChildren(...P(n).map(([m,k])=>o("div",{},o("dt",{},m),o("dd",{"data-fact":m},k)))),N.replaceChildren(...D(n.workers).map(m=>o("tr",{},...m.map(k=>o("td",{},k))))),p(_,n.workers.length>0),x.textContent=n.note,p(x,n.note!==""),h.textContent=n.message,p(h,n.message!=="");let b=[d,l,c].find(m=>m===document.activeElement),w=n.status==="running";p(g,n.controllable||n.resumable),p(d,w),p(l,!w),p(c,n.controllable),b?.hidden&&(w?d:l).focus()},v=0,R=()=>{v||=requestAnimationFrame(()=>{v=0,F()})};for(let n of $)e.on(`change:${n}`,R);F();let L=()=>{cancelAnimationFrame(v);for(let n of $)e.off(`change:${n}`,R)};return t?.addEventListener("abort",L),L}var ge={render:I(ee)};export{ge as default};
