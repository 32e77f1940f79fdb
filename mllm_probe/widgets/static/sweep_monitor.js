var L=`.mp {
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
`;function a(e,t={},...r){let o=document.createElement(e);for(let[s,i]of Object.entries(t))i!==void 0&&i!==!1&&o.setAttribute(s,i===!0?"":String(i));return o.append(...r),o}function j(e,t,r){let o=a("section",{class:`mp mp-${t}`,"aria-label":r,"data-lm-suppress-shortcuts":"true"});return o.append(a("style",{},e)),o.addEventListener("keydown",s=>s.stopPropagation()),o}function d(e,t){e.hidden=!t}var H="No kernel is connected. Showing the saved state; rerun the cell to continue.",I="Kernel restarted or stopped. Showing the last state; rerun the cell to continue.";function B(e){let t=e.get("layout");return typeof t?.comm_live=="boolean"&&t.on&&t.off?t:null}function O(e,t){return e?"":t?I:H}function D(e,t){let r=B(e);if(!r||!t)return()=>{};let o=a("p",{class:"mp-kernel",role:"status","data-testid":"no-kernel"});t.prepend(o);let s=r.comm_live,i=()=>{s||=r.comm_live,o.textContent=O(r.comm_live,s),d(o,!r.comm_live)};return r.on("comm_live_update",i),i(),()=>r.off("comm_live_update",i)}function F(e){return t=>{let r=e(t),o=D(t.model,t.el.firstElementChild);return()=>{o(),r?.()}}}var q=new Intl.NumberFormat("en-GB",{maximumFractionDigits:0}),w=e=>q.format(e).replaceAll(",","\u202F");function R(e){let t=Math.max(0,Math.round(e)),r=[[86400,"d"],[3600,"h"],[60,"min"],[1,"s"]],o=r.findIndex(([u])=>t>=u);if(o<0)return"0 s";let[s,i]=r[o],p=r[o+1],m=`${Math.floor(t/s)} ${i}`;if(!p)return m;let c=Math.floor(t%s/p[0]);return c?`${m} ${c} ${p[1]}`:m}function T(e){return e>=1e9?`${(e/1e9).toFixed(1)} GB`:`${Math.round(e/1e6)} MB`}function G(e){return e>0?e>=1?`${e>=10?w(Math.round(e)):e.toFixed(1)} per s`:`${(e*60).toFixed(1)} per min`:"\u2013"}var X={idle:"nothing to watch",pausing:"pausing after the current step",cancelled:"stopped",error:"failed"};function y(e){let t=X[e.status]??e.status;return e.status==="idle"?t:`${t} \xB7 ${Math.floor(e.progress*100)} %`}function A(e){let t=e.status==="running"||e.status==="pausing"||e.status==="paused",r=[];e.total>0&&r.push(["runs",`${w(e.done)} of ${w(e.total)}`]);let o=e.total>0?G(e.rate):e.rate>0?`${(e.rate*100).toPrecision(2)} % per s`:"\u2013";return r.push(["rate",o]),t&&r.push(["time left",e.seconds_left===null?"\u2013":R(e.seconds_left)]),r.push(["so far",R(e.seconds)]),e.memory>0&&r.push(["memory",`${T(e.memory)}, ${T(e.memory_free)} free`]),r}var P=`.mp-monitor .mp-head h3 {
  flex: 0 0 auto;
}
.mp-monitor .mp-state {
  flex: 1 1 auto;
  color: var(--mp-soft);
  font-size: 12.5px;
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
  font-size: 11.5px;
  font-weight: 400;
}
.mp-monitor .mp-facts dd {
  margin: 0;
  font-size: 12.5px;
  white-space: nowrap;
}
.mp-monitor-note {
  margin: 8px 0 0;
  color: var(--mp-soft);
  font-size: 12px;
  overflow-wrap: anywhere;
}
`;var k=["status","message","note","done","total","progress","rate","seconds","seconds_left","memory","memory_free","controllable"];function U({model:e,el:t,signal:r}){let o=j(L+P,"monitor","Sweep"),s=a("span",{class:"mp-state",role:"status","data-testid":"monitor-status"}),i=(n,g)=>{let f=a("button",{type:"button","data-testid":`monitor-${n}`},g);return f.addEventListener("click",()=>e.send({kind:n})),f},[p,m,c]=[i("pause","Pause"),i("resume","Resume"),i("stop","Stop")],u=a("span",{class:"mp-buttons"},p,m,c),$=a("i"),S=a("div",{class:"mp-progress",role:"progressbar","aria-label":"progress of the sweep"},$),M=a("dl",{class:"mp-facts"}),b=a("p",{class:"mp-monitor-note","data-testid":"monitor-note"}),x=a("p",{class:"mp-error",role:"alert","data-testid":"monitor-error"}),C=a("div",{class:"mp-head"},a("h3",{},"Sweep"),s,u);o.append(C,S,M,b,x),t.append(o);let _=()=>{let n=Object.fromEntries(k.map(l=>[l,e.get(l)]));o.dataset.status=n.status,s.textContent!==y(n)&&(s.textContent=y(n));let g=Math.round(n.progress*1e3)/10;$.style.transform=`scaleX(${g/100})`,S.setAttribute("aria-valuenow",String(g)),M.replaceChildren(...A(n).map(([l,K])=>a("div",{},a("dt",{},l),a("dd",{"data-fact":l},K)))),b.textContent=n.note,d(b,n.note!==""),x.textContent=n.message,d(x,n.message!=="");let f=[p,m,c].find(l=>l===document.activeElement),v=n.status==="running";d(u,n.controllable),d(p,v),d(m,!v),f?.hidden&&(v?p:m).focus()},h=0,z=()=>{h||=requestAnimationFrame(()=>{h=0,_()})};for(let n of k)e.on(`change:${n}`,z);_();let E=()=>{cancelAnimationFrame(h);for(let n of k)e.off(`change:${n}`,z)};return r?.addEventListener("abort",E),E}var ie={render:F(U)};export{ie as default};
