var T=`.mp {
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
`;function i(e,t={},...n){let r=document.createElement(e);for(let[a,o]of Object.entries(t))o!==void 0&&o!==!1&&r.setAttribute(a,o===!0?"":String(o));return r.append(...n),r}var C=0;function R(e){return C+=1,`mp-${e}-${C}-${Math.random().toString(36).slice(2,8)}`}function N(e,t,n){let r=i("section",{class:`mp mp-${t}`,"aria-label":n,"data-lm-suppress-shortcuts":"true"});return r.append(i("style",{},e)),r.addEventListener("keydown",a=>a.stopPropagation()),r}function u(e,t){e.hidden=!t}var q="No kernel is connected. Showing the saved state; rerun the cell to continue.",V="Kernel restarted or stopped. Showing the last state; rerun the cell to continue.";function Y(e){let t=e.get("layout");return typeof t?.comm_live=="boolean"&&t.on&&t.off?t:null}function J(e,t){return e?"":t?V:q}function X(e,t){let n=Y(e);if(!n||!t)return()=>{};let r=i("p",{class:"mp-kernel",role:"status","data-testid":"no-kernel"});t.prepend(r);let a=n.comm_live,o=()=>{a||=n.comm_live,r.textContent=J(n.comm_live,a),u(r,!n.comm_live)};return n.on("comm_live_update",o),o(),()=>n.off("comm_live_update",o)}function _(e){return t=>{let n=e(t),r=X(t.model,t.el.firstElementChild);return()=>{r(),n?.()}}}function O(e,t,n,...r){let a=i("summary",{"data-testid":e},t),o=i("details",{class:"mp-pop"},a,i("div",{class:"mp-sheet"},...r)),s=()=>{o.open=!1};o.addEventListener("keydown",c=>{c.key!=="Escape"||!o.open||(s(),a.focus(),c.stopPropagation())});let p=c=>{c.composedPath().includes(o)||s()};return document.addEventListener("pointerdown",p,{capture:!0,signal:n}),o}var g={light:{paper:"#ffffff",ink:"#1c2126",soft:"#5b6570",faint:"#6f7984",line:"#e0e4e8",edge:"#c4cad1",brand:"#1f6feb",warn:"#b3261e",good:"#1a7f4b",hatch:"#8a929b",zero:"#f7f8f9",positive:"#b2490a",negative:"#1f5fb4"},dark:{paper:"#16191e",ink:"#e7ebef",soft:"#a5aeb8",faint:"#a5aeb8",line:"#2a3038",edge:"#46505b",brand:"#5aa2ff",warn:"#ff8a80",good:"#58c48a",hatch:"#5d6670",zero:"#22272e",positive:"#ffa657",negative:"#58a6ff"},controls:{random:{label:"random directions",light:"#7a7a7a",dark:"#a2a9b0"},on_manifold:{label:"on-manifold directions",meaning:"in which activations differ",light:"#5f8a8b",dark:"#7fb3b4"},concepts:{label:"other concepts",light:"#8a7aa8",dark:"#b3a5d0"},shuffled:{label:"shuffled labels",light:"#a8927a",dark:"#c8b297"},orthogonal:{label:"orthogonal directions",light:"#8f8aa0",dark:"#b6b2c6"}},marks:{never_named:{label:"no answer names the concept",sign:"\u2013",marker:"dash",strokes:[[[0,.5],[1,.5]]]},broken:{label:"at least half of the answers broken",sign:"\xD7",marker:"x",strokes:[[[0,0],[1,1]],[[0,1],[1,0]]]}},faded:.35,categories:{entity:"#0072b2",visual_style:"#d55e00",emotion:"#a0447f",abstract:"#00795a",relation:"#8a6d00"},other_categories:["#5b4ea0","#7a3b1e","#00708c","#636300","#8c1d40","#3d5a1f"]};function M(e){let t=n=>Number.parseInt(e.slice(n,n+2),16);return[t(1),t(3),t(5)]}var H=({zero:e,positive:t,negative:n})=>({zero:M(e),positive:M(t),negative:M(n)}),Ae=H(g.light),Le=H(g.dark),Se=g.controls;var _e=Object.values(g.marks);async function E(e){try{return await navigator.clipboard.writeText(e),!0}catch{return!1}}var m=e=>`[data-testid="${e}"]`,F=[{key:"z",ctrl:!0,says:"undo",at:m("undo")},{key:"z",ctrl:!0,shift:!0,says:"redo",at:m("redo")},{key:"/",says:"find a concept",at:m("find")},{key:"l",says:"to the layer",at:m("layer")},{key:"d",says:"to the dose",at:m("strength")},{key:"t",says:"tokens that are steered",at:m("tokens")},{key:"*",says:"recommended setting of the concept",at:m("recommended")},{key:"s",says:"surprise: the recommended setting of another concept",at:m("surprise")},{key:"q",says:"to the prompt",at:m("prompt")},{key:"i",says:"open or draw an image",at:m("image")},{key:"p",says:"pin the answers",at:m("pin-setting")},{key:"m",says:"second concept, words that count, receipt, code, projector",at:m("more")},{key:"w",says:"why this verdict",at:m("why")},{key:"h",says:"to the map",at:m("heatmap")},...["map","pairs","tokens","patches","study","sweep","code"].map((e,t)=>({key:String(t+1),says:`tab: ${e}`,at:m(`tab-${e}`)})),{key:"?",says:"this sheet",at:m("help")}],ee=[["r","reveal the steered answer (projector)"],["arrows, Home, End, Page up, Page down","on the map: move; with Shift a window of layers"],["+ \u2212","on the map: dose"],["Escape","close what is open; on the map back to one cell"]],te=e=>e.matches('select, textarea, input:not([type="range"], [type="radio"], [type="checkbox"])');function $(e){let t=e.ctrlKey||e.metaKey;if(e.altKey||e.target instanceof Element&&te(e.target))return;let n=e.key.toLowerCase();return F.find(r=>r.key===n&&!!r.ctrl===t&&(!r.ctrl||!!r.shift===e.shiftKey))}function z(e,t){let n=[...t.querySelectorAll(e.at)].find(r=>r.checkVisibility());return n?(n.matches("input, canvas, select")?n.focus():n.click(),!0):!1}function j(){let e=({key:o,ctrl:s,shift:p})=>`${s?"Ctrl-":""}${p?"Shift-":""}${o.toUpperCase()}`,t=[...F.map(o=>[e(o),o.says]),...ee],n=i("dl",{},...t.flatMap(([o,s])=>[i("dt",{},o),i("dd",{},s)])),r=i("button",{type:"button"},"Close"),a=i("dialog",{class:"mp-keys","data-testid":"keys","aria-label":"keys of the lab"});return a.append(i("b",{},"Keys, while the lab has the focus"),n,r),r.addEventListener("click",()=>a.close()),a}var P=`/* One instrument of fixed height: rows for the title, the panel, the part whose tab is chosen, and the tabs. */
.mp-lab.mp-lab {
  display: grid;
  box-sizing: border-box;
  grid-template-rows: 32px auto minmax(0, 1fr) 28px;
  grid-template-columns: minmax(0, 1fr);
  grid-template-areas: "head" "panel" "stage" "tabs";
  container: mp-lab / inline-size;
  width: 100%;
  max-width: 1640px;
  border: 1px solid var(--jp-border-color2, #e0e4e8);
  border-radius: 8px;
  background: var(--jp-layout-color0, #fff);
  overflow: hidden;
}
/* The bar's own boxes vanish, so that its parts are those of the grid. */
.mp-lab > :has(.mp-bar),
.mp-lab :has(> .mp-bar),
.mp-lab .mp-bar {
  display: contents;
}
.mp-lab .mp-bar > .mp-kernel {
  z-index: 2;
  grid-area: head;
  margin: 2px;
  overflow: hidden;
  background: var(--jp-layout-color0, #fff);
  text-overflow: ellipsis;
  white-space: nowrap;
}
.mp-lab .mp-lab-head {
  position: relative;
  z-index: 2;
  grid-area: head;
}
.mp-lab .mp-tabs {
  grid-area: tabs;
  border-top: 1px solid var(--mp-line);
}
.mp-lab > :has(.mp-panel) {
  position: relative;
  z-index: 1;
  grid-area: panel;
  min-width: 0;
  margin: 0;
  overflow: visible;
  border-top: 1px solid var(--jp-border-color2, #e0e4e8);
}
.mp-lab > .mp-stage,
.mp-lab .mp-code {
  display: none;
  grid-area: stage;
  min-height: 0;
  margin: 0;
  overflow: auto;
  border-top: 1px solid var(--jp-border-color2, #e0e4e8);
}
.mp-lab:has(.mp-bar[data-tab="map"]) > .mp-stage-map,
.mp-lab:has(.mp-bar[data-tab="pairs"]) > .mp-stage-pairs,
.mp-lab:has(.mp-bar[data-tab="tokens"]) > .mp-stage-tokens,
.mp-lab:has(.mp-bar[data-tab="patches"]) > .mp-stage-patches,
.mp-lab:has(.mp-bar[data-tab="study"]) > .mp-stage-study,
.mp-lab:has(.mp-bar[data-tab="sweep"]) > .mp-stage-sweep,
.mp-lab:has(.mp-bar[data-tab="code"]) .mp-code {
  display: block;
}
.mp-stage > * {
  width: 100%;
  margin: 0;
}
/* Map and dose curve beside each other, each scrolling by itself. */
.mp-lab > .mp-stage-map {
  overflow: hidden;
}
.mp-stage-map > *,
.mp-stage-map > * > :has(> .mp-heatmap) {
  height: 100%;
}
.mp-stage-map .mp-heatmap {
  display: grid;
  grid-template-columns: minmax(0, 1fr) minmax(290px, 34%);
  gap: 0 14px;
  height: 100%;
  padding: 6px 10px 0;
}
.mp-stage-map .mp-main,
.mp-stage-map .mp-detail {
  min-width: 0;
  min-height: 0;
  overflow: hidden auto;
  scrollbar-gutter: stable;
}
.mp-stage-map .mp-main:only-child,
.mp-stage-map .mp-main:has(+ [hidden]) {
  grid-column: 1 / -1;
}
/* Menus in one line, what is read of a cell in the next: the rest is the map's. */
.mp-stage-map .mp-main {
  display: flex;
  flex-flow: row wrap;
  gap: 0 12px;
  align-content: flex-start;
}
.mp-stage-map .mp-main > * {
  flex: 1 0 100%;
}
.mp-stage-map .mp-main > .mp-head {
  flex: none;
  margin: 0;
}
.mp-stage-map .mp-main > .mp-row {
  flex: 1 1 300px;
  margin: 0;
}
.mp-stage-map .mp-main .mp-head h3 {
  display: none;
}
.mp-stage-map .mp-heatmap .mp-read {
  height: auto;
  max-height: 44px;
  padding: 1px 8px;
  font-size: 12px;
}
.mp-stage-map .mp-heatmap .mp-progress {
  margin: 2px 0;
}
.mp-stage-map .mp-heatmap :is(h3, .mp-note, .mp-stops) {
  font-size: 12px;
}
.mp-stage-map .mp-detail {
  min-width: 0;
  min-height: 0;
  overflow: hidden auto;
  scrollbar-gutter: stable;
}
.mp-stage-map .mp-main:only-child,
.mp-stage-map .mp-main:has(+ [hidden]) {
  grid-column: 1 / -1;
}
.mp.mp-heatmap .mp-main .mp-head,
.mp.mp-heatmap .mp-main .mp-row {
  margin-bottom: 4px;
}
.mp-stage-map .mp-detail {
  margin: 0;
  padding: 0 0 0 10px;
  border-top: 0;
  border-left: 1px solid var(--mp-line);
}
/* The bar says that the kernel is gone; no broken links at every part, and nothing moves. */
.mp-lab.jupyter-widgets-disconnected::before,
.mp-lab .jupyter-widgets-disconnected::before {
  display: none;
}
@media (max-width: 760px) {
  .mp-lab.mp-lab {
    min-height: 690px;
  }
}
@container mp-lab (max-width: 620px) {
  .mp-stage-map .mp-heatmap {
    grid-template-rows: max-content max-content;
    grid-template-columns: minmax(0, 1fr);
    overflow: hidden auto;
  }
  .mp-stage-map .mp-main,
  .mp-stage-map .mp-detail {
    overflow: visible;
  }
  .mp-stage-map .mp-detail {
    padding: 8px 0 0;
    border-left: 0;
  }
}
`;var K=`/* The bar lends its parts to the frame: head above, tabs below, code in the map's place. */
.mp-bar .mp-lab-head {
  display: flex;
  align-items: center;
  gap: 10px;
  min-width: 0;
  padding: 0 10px;
}
.mp-lab-head b {
  font-weight: 650;
}
.mp-lab-head code {
  flex: 0 1 auto;
  min-width: 0;
  overflow: hidden;
  background: none;
  color: var(--mp-soft);
  font: 12px var(--mp-mono);
  text-overflow: ellipsis;
  white-space: nowrap;
}
.mp-lab-head .mp-step {
  flex: 1 1 0;
  min-width: 0;
  overflow: hidden;
  color: var(--mp-soft);
  font-size: 12px;
  text-align: right;
  text-overflow: ellipsis;
  white-space: nowrap;
}
.mp.mp-bar .mp-error {
  flex: 1 1 40%;
  min-width: 0;
  margin: 0;
  padding: 1px 8px;
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
}
.mp-bar .mp-tools {
  display: flex;
  flex: none;
  gap: 4px;
}
.mp.mp-bar .mp-tools > button,
.mp.mp-bar .mp-tabs button {
  padding: 1px 8px;
  font-size: 12px;
}
.mp-bar .mp-pop .mp-sheet {
  right: 0;
  left: auto;
}
.mp-bar .mp-tabs {
  display: flex;
  align-items: stretch;
  gap: 2px;
  padding: 0 6px;
  overflow-x: auto;
}
.mp.mp-bar .mp-tabs button {
  flex: none;
  border-color: transparent;
  border-top: 2px solid transparent;
  border-radius: 0;
  background: linear-gradient(
    to right,
    color-mix(in srgb, var(--mp-brand) 18%, transparent) var(--done, 0%),
    transparent var(--done, 0%)
  );
}
.mp.mp-bar .mp-tabs button[aria-selected="true"] {
  border-top-color: var(--mp-brand);
  font-weight: 600;
}
.mp-bar .mp-code {
  min-width: 0;
  padding: 8px 12px;
  overflow: auto;
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
  margin: 6px 0 4px;
  padding: 8px 10px;
  overflow: auto;
  border-radius: 5px;
  background: var(--mp-fill);
  color: var(--mp-ink);
  font: 12px / 1.5 var(--mp-mono);
  white-space: pre;
}
.mp-bar .mp-keys {
  max-height: 90vh;
  padding: 14px 18px;
  border: 1px solid var(--mp-edge);
  border-radius: 8px;
  background: var(--mp-bg);
  color: var(--mp-ink);
  font: 13px / 1.45 var(--jp-ui-font-family, system-ui, sans-serif);
}
.mp-keys dl {
  display: grid;
  grid-template-columns: max-content minmax(0, 1fr);
  gap: 3px 14px;
  margin: 8px 0;
}
.mp-keys dt {
  font-family: var(--mp-mono);
}
.mp-keys dd {
  margin: 0;
}
`;var oe=["map","study","code"],v=class{constructor(t){this.model=t;this.element.addEventListener("keydown",n=>this.onKey(n))}model;element=i("div",{class:"mp-tabs",role:"tablist","aria-label":"parts of the lab"});made=new Map;make(t,n){let r=i("button",{type:"button",role:"tab","data-testid":`tab-${t}`,"data-name":t},n);return r.addEventListener("click",()=>this.choose(t)),this.made.set(t,r),r}choose(t){this.model.set("tab",t),this.model.save_changes()}onKey(t){let n={ArrowRight:1,ArrowLeft:-1}[t.key],r=[...this.element.children],a=r.indexOf(t.target);if(n===void 0||a<0)return;t.preventDefault();let o=r[(a+n+r.length)%r.length];this.choose(o?.dataset.name??""),o?.focus()}draw(){let{model:t}=this,n=t.get("tab"),r=t.widget_manager===null,a=t.get("parts").filter(([s])=>!r||s===n||oe.includes(s));a.map(([s,p])=>this.made.get(s)??this.make(s,p)).forEach((s,p)=>{this.element.children[p]!==s&&this.element.insertBefore(s,this.element.children[p]??null)});for(let[s,p]of this.made)p.setAttribute("aria-selected",String(s===n)),p.tabIndex=s===n?0:-1;this.drawSweep(a.find(([s])=>s==="sweep")?.[1]??"Sweep")}drawSweep(t){let n=this.made.get("sweep");if(!n)return;let r=this.model.get("status")==="running",a=Math.round(100*this.model.get("progress")),o=this.model.get("left"),s=r?[t,`${a} %`,o].filter(Boolean).join(" \xB7 "):t;n.textContent!==s&&(n.textContent=s),n.style.setProperty("--done",r?`${a}%`:"0%")}};var ae='mp.report(lab.grid, "report.html")';function se(e){let t=i("pre",{tabindex:0,"data-testid":"lab-code","aria-label":"Python of what is on the screen"}),n=i("span",{role:"status"}),r=i("button",{type:"button","data-testid":"copy-code"},"Copy");r.addEventListener("click",async()=>{let o=await E(t.textContent??"");n.textContent=o?"copied":"Clipboard access is blocked. Select and copy the text instead."});let a=i("div",{},"Code for this view",r,n);return{element:i("div",{class:"mp-code",id:e},a,t),text:t}}function ie(...e){let t=i("div",{class:"mp-tools",role:"toolbar","aria-label":"tools of the lab"},...e),n=()=>[...t.querySelectorAll(":scope > button:not(:disabled), :scope > details > summary")].filter(a=>!a.hidden),r=a=>{for(let o of t.querySelectorAll(":scope > button, :scope > details > summary"))o.tabIndex=o===a?0:-1};return t.addEventListener("keydown",a=>{let o={ArrowRight:1,ArrowLeft:-1}[a.key],s=n(),p=s.indexOf(a.target);if(o===void 0||p<0)return;let c=s[(p+o+s.length)%s.length];r(c),c?.focus(),a.preventDefault()}),r(e.at(-1)),t}function pe(e,t){let n=i("p",{class:"mp-note",role:"status","data-testid":"shared"}),r=(l,x,b)=>{let y=i("button",{type:"button","data-testid":l},x);return y.addEventListener("click",b),y},a=async l=>{n.textContent=await E(l)?`copied: ${l}`:`copy this line: ${l}`},o=l=>{n.textContent="saving \u2026",e.send({kind:l})},s=[r("share-line","Copy this setting as Python",()=>a(e.get("selection_code")))];s.push(r("share-report","Copy the line of a report",()=>a(ae)));let p=[r("share-page","Save as a page (HTML)",()=>o("page"))];p.push(r("share-csv","Save the map's numbers (CSV)",()=>o("csv")));let c=()=>{n.textContent=e.get("message")===""?e.get("shared"):"",u(s[0],e.get("selection_code")!=="");for(let l of p)u(l,e.widget_manager!==null)};for(let l of["shared","message","selection_code"])e.on(`change:${l}`,c),t.addEventListener("abort",()=>e.off(`change:${l}`,c));return c(),O("share","Share",t,...s,...p,n)}function me({model:e,el:t}){let n=new AbortController,{signal:r}=n,a=N(T+K+P,"bar","mllm_probe"),o=i("code"),s=i("span",{class:"mp-step",role:"status","data-testid":"lab-status"}),p=(d,f,h,B)=>{let S=i("button",{type:"button","data-testid":d,title:h,"aria-label":h},f);return S.addEventListener("click",B),S},c=p("lab-resume","Resume","go on with what was stopped",()=>e.send({kind:"resume"})),l=p("undo","\u21B6","undo (Ctrl-Z)",()=>e.send({kind:"undo"})),x=p("redo","\u21B7","redo (Ctrl-Shift-Z)",()=>e.send({kind:"redo"})),b=j(),y=p("help","?","keys of the lab",()=>b.showModal()),w=i("p",{class:"mp-error",role:"alert"}),A=new v(e),L=se(R("code")),I=ie(l,x,pe(e,r),y),G=i("div",{class:"mp-lab-head"},i("b",{},"mllm_probe"),o,w,s,c,I);a.append(G,A.element,L.element,b),t.append(a);let D=d=>{let f=a.closest(".mp-lab");if(!f||!(d.target instanceof Element)||d.target.closest(".mp-lab")!==f||b.open)return;let h=$(d);!h||!z(h,f)||(d.preventDefault(),d.stopPropagation())};document.addEventListener("keydown",D,{capture:!0,signal:r});let k=()=>{o.textContent=e.get("title"),o.title=e.get("title"),s.textContent=e.get("step"),c.textContent=e.get("resume")||"Resume";let d=e.widget_manager!==null;u(c,e.get("resume")!==""&&d),l.disabled=!e.get("can_undo")||!d,x.disabled=!e.get("can_redo")||!d,w.textContent=e.get("message"),w.title=e.get("message"),u(w,e.get("message")!==""),a.dataset.tab=e.get("tab"),A.draw(),L.text.textContent=e.get("code")||"# nothing is on the screen yet"},W=["title","step","resume","status","progress","left","message","tab","code","parts","can_undo","can_redo"];for(let d of W)e.on(`change:${d}`,k),r.addEventListener("abort",()=>e.off(`change:${d}`,k));return k(),()=>n.abort()}var ut={render:_(me)};export{ut as default};
