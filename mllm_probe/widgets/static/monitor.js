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
`;function a(e,t={},...r){let n=document.createElement(e);for(let[s,i]of Object.entries(t))i!==void 0&&i!==!1&&n.setAttribute(s,i===!0?"":String(i));return n.append(...r),n}function L(e,t,r){let n=a("section",{class:`mp mp-${t}`,"aria-label":r,"data-lm-suppress-shortcuts":"true"});return n.append(a("style",{},e)),n.addEventListener("keydown",s=>s.stopPropagation()),n}function p(e,t){e.hidden=!t}var H="No kernel is connected. This is the last state that was saved; run the cell to go on from here.",I="The kernel behind this was restarted or shut down. This is its last state; run the cell to go on from here.";function B(e){let t=e.get("layout");return typeof t?.comm_live=="boolean"&&t.on&&t.off?t:null}function O(e,t){return e?"":t?I:H}function D(e,t){let r=B(e);if(!r||!t)return()=>{};let n=a("p",{class:"mp-kernel",role:"status","data-testid":"no-kernel"});t.prepend(n);let s=r.comm_live,i=()=>{s||=r.comm_live,n.textContent=O(r.comm_live,s),p(n,!r.comm_live)};return r.on("comm_live_update",i),i(),()=>r.off("comm_live_update",i)}function T(e){return t=>{let r=e(t),n=D(t.model,t.el.firstElementChild);return()=>{n(),r?.()}}}var q=new Intl.NumberFormat("en-GB",{maximumFractionDigits:0}),w=e=>q.format(e).replaceAll(",","\u202F");function F(e){let t=Math.max(0,Math.round(e)),r=[[86400,"d"],[3600,"h"],[60,"min"],[1,"s"]],n=r.findIndex(([l])=>t>=l);if(n<0)return"0 s";let[s,i]=r[n],m=r[n+1],d=`${Math.floor(t/s)} ${i}`;if(!m)return d;let u=Math.floor(t%s/m[0]);return u?`${d} ${u} ${m[1]}`:d}function R(e){return e>=1e9?`${(e/1e9).toFixed(1)} GB`:`${Math.round(e/1e6)} MB`}function G(e){return e>0?e>=1?`${e>=10?w(Math.round(e)):e.toFixed(1)} per s`:`${(e*60).toFixed(1)} per min`:"\u2013"}var U={idle:"nothing to watch",pausing:"pausing after the step in flight",cancelled:"stopped",error:"failed"};function k(e){let t=U[e.status]??e.status;return e.status==="idle"?t:`${t} \xB7 ${Math.floor(e.progress*100)} %`}function A(e){let t=e.status==="running"||e.status==="pausing"||e.status==="paused",r=[];e.total>0&&r.push(["runs",`${w(e.done)} of ${w(e.total)}`]);let n=e.total>0?G(e.rate):e.rate>0?`${(e.rate*100).toPrecision(2)} % per s`:"\u2013";return r.push(["rate",n]),t&&r.push(["time left",e.seconds_left===null?"\u2013":F(e.seconds_left)]),r.push(["so far",F(e.seconds)]),e.memory>0&&r.push(["memory",`${R(e.memory)}, ${R(e.memory_free)} free`]),r}var P=`.mp-monitor .mp-head h3 {
  flex: 0 0 auto;
}
.mp-state {
  flex: 1 1 auto;
  color: var(--mp-soft);
  font-size: 12.5px;
}
.mp-state::before {
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
.mp-buttons {
  display: inline-flex;
  gap: 6px;
}
.mp-monitor .mp-progress {
  height: 6px;
}
.mp-monitor[data-status="paused"] .mp-progress > i {
  opacity: 0.5;
}
.mp-facts {
  display: flex;
  flex-wrap: wrap;
  gap: 4px 22px;
  margin: 8px 0 0;
}
.mp-facts > div {
  display: flex;
  gap: 6px;
  align-items: baseline;
}
.mp-facts dt {
  color: var(--mp-faint);
  font-size: 11.5px;
  font-weight: 400;
}
.mp-facts dd {
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
`;var y=["status","message","note","done","total","progress","rate","seconds","seconds_left","memory","memory_free","controllable"];function W({model:e,el:t,signal:r}){let n=L(j+P,"monitor","Sweep"),s=a("span",{class:"mp-state",role:"status","data-testid":"monitor-status"}),i=(o,g)=>{let f=a("button",{type:"button","data-testid":`monitor-${o}`},g);return f.addEventListener("click",()=>e.send({kind:o})),f},[m,d,u]=[i("pause","Pause"),i("resume","Resume"),i("stop","Stop")],l=a("span",{class:"mp-buttons"},m,d,u),$=a("i"),M=a("div",{class:"mp-progress",role:"progressbar","aria-label":"progress of the sweep"},$),S=a("dl",{class:"mp-facts"}),b=a("p",{class:"mp-monitor-note","data-testid":"monitor-note"}),h=a("p",{class:"mp-error",role:"alert","data-testid":"monitor-error"}),C=a("div",{class:"mp-head"},a("h3",{},"Sweep"),s,l);n.append(C,M,S,b,h),t.append(n);let E=()=>{let o=Object.fromEntries(y.map(c=>[c,e.get(c)]));n.dataset.status=o.status,s.textContent!==k(o)&&(s.textContent=k(o));let g=Math.round(o.progress*1e3)/10;$.style.width=`${g}%`,M.setAttribute("aria-valuenow",String(g)),S.replaceChildren(...A(o).map(([c,N])=>a("div",{},a("dt",{},c),a("dd",{"data-fact":c},N)))),b.textContent=o.note,p(b,o.note!==""),h.textContent=o.message,p(h,o.message!=="");let f=l.contains(document.activeElement),v=o.status==="running";p(l,o.controllable),p(m,v),p(d,!v),f&&(document.activeElement===null||!l.contains(document.activeElement))&&(v?m:d).focus()},x=0,_=()=>{x||=requestAnimationFrame(()=>{x=0,E()})};for(let o of y)e.on(`change:${o}`,_);E();let z=()=>{cancelAnimationFrame(x);for(let o of y)e.off(`change:${o}`,_)};return r?.addEventListener("abort",z),z}var ie={render:T(W)};export{ie as default};
