var g=`.mp.mp-bar {
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
`;var b=`.mp {
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
`;function o(r,n={},...a){let e=document.createElement(r);for(let[s,p]of Object.entries(n))p!==void 0&&p!==!1&&e.setAttribute(s,p===!0?"":String(p));return e.append(...a),e}function f(r,n,a){let e=o("section",{class:`mp mp-${n}`,"aria-label":a,"data-lm-suppress-shortcuts":"true"});return e.append(o("style",{},r)),e.addEventListener("keydown",s=>s.stopPropagation()),e}function l(r,n){r.hidden=!n}function v({model:r,el:n}){let a=f(b+g,"bar","mllm_probe"),e=o("code"),s=o("span",{class:"mp-step",role:"status","data-testid":"lab-status"}),p=o("i"),i=o("div",{class:"mp-progress",role:"progressbar","aria-label":"progress"},p),d=o("p",{class:"mp-error",role:"alert"});a.append(o("b",{},"mllm_probe"),e,s,i,d),n.append(a);let m=()=>{e.textContent=r.get("title"),s.textContent=r.get("step");let t=Math.round(r.get("progress")*100);p.style.width=`${t}%`,i.setAttribute("aria-valuenow",String(t)),l(i,r.get("status")==="running"),d.textContent=r.get("message"),l(d,r.get("message")!=="")},c=["title","step","status","progress","message"].map(t=>`change:${t}`);for(let t of c)r.on(t,m);return m(),()=>{for(let t of c)r.off(t,m)}}var T={render:v};export{T as default};
