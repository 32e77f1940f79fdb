var F=`.mp {
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
`;function s(e,o={},...n){let r=document.createElement(e);for(let[a,i]of Object.entries(o))i!==void 0&&i!==!1&&r.setAttribute(a,i===!0?"":String(i));return r.append(...n),r}function R(e,o,n){let r=s("section",{class:`mp mp-${o}`,"aria-label":n,"data-lm-suppress-shortcuts":"true"});return r.append(s("style",{},e)),r.addEventListener("keydown",a=>a.stopPropagation()),r}function c(e,o){e.hidden=!o}var H=new Intl.NumberFormat("en-GB",{maximumFractionDigits:0}),w=e=>H.format(e).replaceAll(",","\u202F");function A(e){let o=Math.max(0,Math.round(e)),n=[[86400,"d"],[3600,"h"],[60,"min"],[1,"s"]],r=n.findIndex(([d])=>o>=d);if(r<0)return"0 s";let[a,i]=n[r],p=n[r+1],m=`${Math.floor(o/a)} ${i}`;if(!p)return m;let l=Math.floor(o%a/p[0]);return l?`${m} ${l} ${p[1]}`:m}function T(e){return e>=1e9?`${(e/1e9).toFixed(1)} GB`:`${Math.round(e/1e6)} MB`}function I(e){return e>0?e>=1?`${e>=10?w(Math.round(e)):e.toFixed(1)} per s`:`${(e*60).toFixed(1)} per min`:"\u2013"}var N={idle:"nothing to watch",pausing:"pausing after the step in flight",cancelled:"stopped",error:"failed"};function y(e){let o=N[e.status]??e.status;return e.status==="idle"?o:`${o} \xB7 ${Math.floor(e.progress*100)} %`}function L(e){let o=e.status==="running"||e.status==="pausing"||e.status==="paused",n=[];e.total>0&&n.push(["runs",`${w(e.done)} of ${w(e.total)}`]);let r=e.total>0?I(e.rate):e.rate>0?`${(e.rate*100).toPrecision(2)} % per s`:"\u2013";return n.push(["rate",r]),o&&n.push(["time left",e.seconds_left===null?"\u2013":A(e.seconds_left)]),n.push(["so far",A(e.seconds)]),e.memory>0&&n.push(["memory",`${T(e.memory)}, ${T(e.memory_free)} free`]),n}var _=`.mp-monitor .mp-head h3 {
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
`;var $=["status","message","note","done","total","progress","rate","seconds","seconds_left","memory","memory_free","controllable"];function O({model:e,el:o,signal:n}){let r=R(F+_,"monitor","Sweep"),a=s("span",{class:"mp-state",role:"status","data-testid":"monitor-status"}),i=(t,f)=>{let g=s("button",{type:"button","data-testid":`monitor-${t}`},f);return g.addEventListener("click",()=>e.send({kind:t})),g},[p,m,l]=[i("pause","Pause"),i("resume","Resume"),i("stop","Stop")],d=s("span",{class:"mp-buttons"},p,m,l),k=s("i"),M=s("div",{class:"mp-progress",role:"progressbar","aria-label":"progress of the sweep"},k),S=s("dl",{class:"mp-facts"}),b=s("p",{class:"mp-monitor-note","data-testid":"monitor-note"}),x=s("p",{class:"mp-error",role:"alert","data-testid":"monitor-error"}),C=s("div",{class:"mp-head"},s("h3",{},"Sweep"),a,d);r.append(C,M,S,b,x),o.append(r);let j=()=>{let t=Object.fromEntries($.map(u=>[u,e.get(u)]));r.dataset.status=t.status,a.textContent!==y(t)&&(a.textContent=y(t));let f=Math.round(t.progress*1e3)/10;k.style.width=`${f}%`,M.setAttribute("aria-valuenow",String(f)),S.replaceChildren(...L(t).map(([u,P])=>s("div",{},s("dt",{},u),s("dd",{"data-fact":u},P)))),b.textContent=t.note,c(b,t.note!==""),x.textContent=t.message,c(x,t.message!=="");let g=d.contains(document.activeElement),v=t.status==="running";c(d,t.controllable),c(p,v),c(m,!v),g&&(document.activeElement===null||!d.contains(document.activeElement))&&(v?p:m).focus()},h=0,E=()=>{h||=requestAnimationFrame(()=>{h=0,j()})};for(let t of $)e.on(`change:${t}`,E);j();let z=()=>{cancelAnimationFrame(h);for(let t of $)e.off(`change:${t}`,E)};return n?.addEventListener("abort",z),z}var X={render:O};export{X as default};
