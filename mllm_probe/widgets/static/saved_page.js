function l(t,e={},...r){let n=document.createElement(t);for(let[o,s]of Object.entries(e))s!==void 0&&s!==!1&&n.setAttribute(o,s===!0?"":String(s));return n.append(...r),n}var $=0;function R(t){return $+=1,`mp-${t}-${$}-${Math.random().toString(36).slice(2,8)}`}function P(t,e){t.hidden=!e}var J="This is a saved page without a kernel: that needs the notebook.",x=(t,e)=>Object.is(t,e)||JSON.stringify(t)===JSON.stringify(e);function m({keys:t,recordings:e},r){return[...e].reverse().find(({when:n})=>t.every(o=>x(n[o],r(o))))}function A(t){let e=t.window;if(Array.isArray(e)){let r=[...e].sort((n,o)=>n-o);return{...t,window:r,layer:r[0]}}return"layer"in t?{...t,window:[t.layer,t.layer]}:t}function y({recordings:t}){let e=t.filter(({label:o})=>o!=="").length,r=e||t.length;return r===0?"No settings were recorded on this page.":`This setting was not recorded. ${r===1?"One recorded setting is":`${r} recorded settings are`} ${e>1?"listed above":"on this page"}.`}var G={receipt:[],rate:0,code:"",doses:[],safe_low:0,safe_high:0,advice:""};function T(t,e){let r=m(e,t.get),n={...r?.shown},o=t.has("answers");if(t.has("message")&&(n.message=r||o?"":y(e)),o){let a={generation:(t.get("answers").generation??0)+1,serial:t.get("serial")??0};n.answers={...r?.shown.answers,...a},r||Object.assign(n,G)}t.take(n)}function O(t,e,r){let n=A(e);if(m(r,s=>s in n?n[s]:t.get(s)))return e;let o=({when:s})=>Object.entries(n).every(([a,i])=>x(s[a],i));return[...r.recordings].reverse().find(o)?.when??e}function C({recordings:t},e){let r=({when:n})=>n.second===""&&x(n.window,[n.layer,n.layer])&&(!e||n.scope===e);return t.filter(r).map(({when:n})=>[n.concept,n.layer,n.strength])}function H(t,e,r){if(e.kind==="saved"){r.keys.some(o=>e.names.includes(o))&&T(t,r);return}let n=e.content;n?.kind==="set"?h(t,n.state??{},r):n?.kind!=="cancel"&&n?.kind!=="show"&&t.has("message")&&t.take({message:J})}function h(t,e,r){let n=Object.entries(A(e)).filter(([o])=>t.has(o));t.take(Object.fromEntries(n)),n.some(([o])=>r.keys.includes(o))&&T(t,r)}var Q={concept:"concepts",layer:"layers"};function X(t,e){return Object.entries(e).every(([r,n])=>{let o=t.get(Q[r]??"");return!Array.isArray(o)||o.includes(n)})}function I(t,e,r){let n=!1;for(let{from:o,to:s,names:a}of r){let[i,c,d]=[t[o],t[s],e[s]];if(!i||!c||!d)continue;i.has("answered")&&c.has("answers")&&i.take({answered:C(d,i.get("scope"))});let p=()=>{let g=Object.fromEntries(a.map(f=>[f,i.get(f)])),u=Object.fromEntries(Object.entries(g).filter(([f,V])=>c.get(f)!==V));if(!(n||Object.keys(u).length===0||!X(c,u))){n=!0;try{h(c,c.has("answers")?O(c,g,d):u,d)}finally{n=!1}}};for(let g of a)i.on(`change:${g}`,p)}}var b=class{constructor(e,r=()=>{}){this.state=e;this.answer=r}state;answer;widget_manager=null;listeners=new Map;unsaved=new Set;get=e=>this.state[e];has=e=>e in this.state;set=(e,r)=>{let n=typeof e=="string"?{[e]:r}:e;for(let o of this.take(n))this.unsaved.add(o)};save_changes=()=>{let e=[...this.unsaved];this.unsaved.clear(),e.length>0&&this.answer(this,{kind:"saved",names:e})};send=e=>{this.unsaved.clear(),this.answer(this,{kind:"sent",content:e})};on=(e,r)=>{for(let n of e.split(" ")){let o=this.listeners.get(n)??new Set;this.listeners.set(n,o.add(r))}};off=(e,r)=>{e||this.listeners.clear();for(let n of e?.split(" ")??[])r?this.listeners.get(n)?.delete(r):this.listeners.delete(n)};take(e){let r=Object.keys(e).filter(n=>!Object.is(this.state[n],e[n]));Object.assign(this.state,e);for(let n of r)this.emit(`change:${n}`,e[n]);return r.length>0&&this.emit("change"),r}emit(e,...r){for(let n of[...this.listeners.get(e)??[]])n(this,...r)}};function v(t){let e=atob(t);return new DataView(Uint8Array.from(e,r=>r.charCodeAt(0)).buffer)}function k(t,e){for(let[r,n]of e){let o=t;for(let a of r.slice(0,-1))o=o[a];let s=r.at(-1);s!==void 0&&(o[s]=v(n))}return t}var z=/[^\s\p{Cc}]+/gu,B=t=>t.toLowerCase().replace(/[^\p{L}\p{N}]/gu,"");function Y(t,e){let r=t.length+1,n=e.length+1,o=Array.from({length:r},()=>new Uint16Array(n)),s=(d,p)=>o[d]?.[p]??0;for(let d=r-2;d>=0;d-=1)for(let p=n-2;p>=0;p-=1){let g=o[d];g&&(g[p]=t[d]===e[p]?s(d+1,p+1)+1:Math.max(s(d+1,p),s(d,p+1)))}let a=t.map(()=>!1),i=0,c=0;for(;i<t.length&&c<e.length;)t[i]===e[c]?(a[i]=!0,i+=1,c+=1):s(i+1,c)>=s(i,c+1)?i+=1:c+=1;return a}function Z(t,e){let r=[...new Set([0,...e,t.length])].sort((n,o)=>n-o);return r.slice(1).map((n,o)=>[r[o]??0,n])}function ee(t,e,r){let n=[...t.matchAll(z)].map(d=>({start:d.index,text:d[0]})),o=e?.match(z)??[],s=n.map(({text:d})=>B(d)),a=e===null?n.map(()=>!0):Y(s,o.map(B)),i=n.filter((d,p)=>!a[p]).map(({start:d,text:p})=>[d,d+p.length]),c=[...i,...r.map(([d,p])=>[d,p])].flat();return Z(t,c).map(([d,p])=>{let g=r.find(u=>u[0]<=d&&p<=u[1]);return{text:t.slice(d,p),changed:i.some(u=>u[0]<=d&&p<=u[1]),kind:g?g[2]?"negated":"named":""}})}function _(t,e,r){let n=[],o=null;for(let{text:s,changed:a,kind:i}of ee(t,e,r)){let c=i?l("span",{class:i},s):document.createTextNode(s);a?o?o.append(c):(o=l("mark",{},c),n.push(o)):(o=null,n.push(c))}return n}function M(t){let e=Math.abs(t),r=e===.5?"\xBD":e===.25?"\xBC":String(Number(e.toFixed(3)));return t<0?"\u2212"+r:r}function F(t){return{residual:"\xD7 residual norm",vector:"\xD7 vector",raw:"\xD7 raw vector"}[t]??t}function S(t,e){let r=t.toLowerCase();return e.toLowerCase().split(/\s+/).every(n=>r.includes(n))}function U(t){for(let e of t.querySelectorAll("table[data-search]")){let r=[...e.tBodies[0]?.rows??[]],n=l("input",{type:"search","aria-label":`search: ${e.dataset.search??""}`});n.placeholder="search";let o=l("span",{role:"status"}),s=()=>{let a=0;for(let i of r)i.hidden=!S(i.textContent??"",n.value),a+=+!i.hidden;o.textContent=a===r.length?`${a} rows`:`${a} of ${r.length} rows`};n.addEventListener("input",s),e.parentElement?.before(l("div",{class:"page-search"},n,o)),s()}}var j=100,W=t=>new Int32Array(v(t).buffer);function te(t,{concept:e,layer:r,strength:n,sample:o}){return((e*t.layers.length+r)*t.strengths.length+n)*t.samples.length+o}function ne(t,e){let r=e%t.samples.length,n=Math.floor(e/t.samples.length),o=n%t.strengths.length,s=Math.floor(n/t.strengths.length);return{concept:Math.floor(s/t.layers.length),layer:s%t.layers.length,strength:o,sample:r}}function re(t,e,r){let n=t.texts.map(o=>S(o,r));return[...e.keys()].filter(o=>n[e[o]??-1])}function q(...t){return l("thead",{},l("tr",{},...t.map(e=>l("th",{scope:"col"},e))))}var w=class{constructor(e,r,n){this.sweep=e;this.map=r;this.steered=W(e.steered),this.random=W(e.random),this.fill(this.concept,e.concepts),this.fill(this.layer,e.layers.map(a=>`layer ${a}`)),this.fill(this.strength,e.strengths.map(a=>`${M(a)} ${F(e.unit)}`)),this.field.placeholder="search all answers";let o=l("div",{class:"page-scroll",tabindex:0,role:"region","aria-label":"answers"},this.table),s=l("div",{class:"page-search"},this.concept,this.layer,this.strength,this.field,this.count);n.append(s,o);for(let a of[this.concept,this.layer,this.strength])a.addEventListener("change",()=>this.choose());this.field.addEventListener("input",()=>this.draw());for(let a of["concept","layer","strength"])r.on(`change:${a}`,()=>this.draw());this.draw()}sweep;map;concept=l("select",{"aria-label":"concept","data-testid":"answers-concept"});layer=l("select",{"aria-label":"layer"});strength=l("select",{"aria-label":"strength"});field=l("input",{type:"search","aria-label":"search all answers"});count=l("span",{role:"status","data-testid":"answers-count"});table=l("table",{class:"page-answers","data-testid":"answers"});steered;random;fill(e,r){e.append(...r.map((n,o)=>l("option",{value:o},n)))}choose(){let{concepts:e,layers:r,strengths:n}=this.sweep;this.field.value="",this.map.take({concept:e[Number(this.concept.value)],layer:r[Number(this.layer.value)],strength:n[Number(this.strength.value)]}),this.draw()}draw(){let{concepts:e,layers:r,strengths:n}=this.sweep,o=(a,i)=>Math.max(0,a.indexOf(this.map.get(i))),s={concept:o(e,"concept"),layer:o(r,"layer"),strength:o(n,"strength")};this.concept.value=String(s.concept),this.layer.value=String(s.layer),this.strength.value=String(s.strength),this.field.value.trim()?this.drawFound():this.drawCell(s)}cell(e,r,n){let{texts:o,spans:s}=this.sweep,a=o[r??-1];return a===void 0?l("td",{},"not run"):l("td",{},..._(a,o[n??-1]??null,s[e]?.[r??-1]??[]))}drawCell(e){let r=this.sweep.samples.map((n,o)=>{let s=te(this.sweep,{...e,sample:o}),a=this.sweep.unsteered[o];return l("tr",{},l("th",{scope:"row"},n),this.cell(e.concept,a),this.cell(e.concept,this.steered[s],a),this.cell(e.concept,this.random[s],a))});this.table.replaceChildren(q("image","baseline (unsteered)","steered","random direction, same size"),l("tbody",{},...r)),this.count.textContent=`${r.length} ${r.length===1?"image":"images"}`}drawFound(){let e=re(this.sweep,this.steered,this.field.value),r=e.slice(0,j).map(o=>{let s=ne(this.sweep,o),a=this.sweep.unsteered[s.sample],i=[this.sweep.concepts[s.concept]??"",`layer ${this.sweep.layers[s.layer]??""}`,M(this.sweep.strengths[s.strength]??0),this.sweep.samples[s.sample]??""];return l("tr",{},l("th",{scope:"row"},i.join(" \xB7 ")),this.cell(s.concept,a),this.cell(s.concept,this.steered[o],a))});this.table.replaceChildren(q("concept \xB7 layer \xB7 strength \xB7 image","baseline (unsteered)","steered"),l("tbody",{},...r));let n=e.length>j?`, the first ${j} shown`:"";this.count.textContent=`${e.length} of ${this.steered.length} answers${n}`}};var D=`:root {
  --page-wide: 1240px;
}
body {
  margin: 0 auto;
  max-width: var(--page-wide);
  padding: 20px 18px 32px;
  background: var(--jp-layout-color0);
  color: var(--jp-ui-font-color1);
  font:
    14px / 1.55 system-ui,
    -apple-system,
    "Segoe UI",
    Roboto,
    sans-serif;
  font-variant-numeric: tabular-nums;
}
main > section > p,
main > section > ul {
  max-width: 80ch;
}
.page-head > h1 {
  margin: 0 0 4px;
  font-size: 21px;
  font-weight: 650;
  line-height: 1.3;
  overflow-wrap: anywhere;
}
.page-foot,
.page-head > p {
  margin: 0 0 14px;
  color: var(--jp-ui-font-color2);
}
.page-foot {
  margin: 22px 0 0;
  padding-top: 10px;
  border-top: 1px solid var(--jp-border-color2);
  font-size: 12.5px;
}
.page-widgets {
  border: 1px solid var(--jp-border-color2);
  border-radius: 8px;
  overflow: hidden;
}
.page-widgets > .mp-lab {
  border: 0;
}
main details {
  margin: 6px 0;
}
main details + .page-widgets {
  margin-top: 28px;
}
main summary {
  color: var(--jp-ui-font-color2);
  cursor: pointer;
}
h2 {
  margin: 32px 0 8px;
  font-size: 16px;
  font-weight: 650;
}
main li {
  margin: 3px 0;
}
.page-recorded {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 4px 10px;
  max-width: none;
  margin: 0;
  padding: 10px 14px 0;
  color: var(--jp-ui-font-color2);
  font-size: 12.5px;
}
.page-search {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px 10px;
  margin: 8px 0;
  color: var(--jp-ui-font-color2);
  font-size: 12.5px;
}
.page-recorded select,
.page-search select,
.page-search input {
  max-width: 100%;
  padding: 3px 8px;
  border: 1px solid var(--jp-border-color1);
  border-radius: 5px;
  background: var(--jp-layout-color0);
  color: var(--jp-ui-font-color1);
  font: inherit;
}
.page-scroll {
  max-height: 460px;
  border: 1px solid var(--jp-border-color2);
  border-radius: 6px;
  overflow: auto;
}
.page-scroll:focus-visible,
.page-recorded select:focus-visible,
.page-search :focus-visible {
  outline: 2px solid var(--jp-brand-color1);
  outline-offset: 1px;
}
table {
  width: 100%;
  border-collapse: collapse;
  font-size: 13px;
}
th,
td {
  padding: 4px 12px;
  border-bottom: 1px solid var(--jp-border-color2);
  text-align: left;
  vertical-align: top;
  overflow-wrap: break-word;
}
td.number,
th.number,
.page-numbers td {
  text-align: right;
  white-space: nowrap;
}
thead th {
  position: sticky;
  top: 0;
  background: var(--jp-layout-color0);
  box-shadow: 0 1px 0 var(--jp-border-color2);
  color: var(--jp-ui-font-color2);
  font-size: 12px;
  font-weight: 600;
}
tbody th {
  min-width: 9em;
  font-weight: 600;
  overflow-wrap: anywhere;
}
.page-main-facts {
  display: grid;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 270px), 1fr));
  gap: 6px 22px;
  margin: 0 0 16px;
  font-size: 13px;
}
.page-main-facts dt {
  color: var(--jp-ui-font-color2);
  font-size: 12px;
}
.page-main-facts dd {
  margin: 0;
  overflow-wrap: anywhere;
}
.page-facts {
  width: auto;
}
.page-facts td {
  overflow-wrap: anywhere;
}
.page-facts th {
  color: var(--jp-ui-font-color2);
  font-weight: 400;
  white-space: nowrap;
}
.page-answers tbody th {
  color: var(--jp-ui-font-color2);
  font-weight: 400;
  white-space: nowrap;
}
.page-answers mark {
  padding: 0 2px;
  border-radius: 3px;
  background: color-mix(in srgb, var(--jp-brand-color1) 20%, transparent);
  color: inherit;
}
.page-answers .named {
  border-bottom: 2px solid var(--jp-brand-color1);
}
.page-answers .negated {
  border-bottom: 2px dotted var(--jp-ui-font-color2);
}
.page-figures {
  display: grid;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 380px), 1fr));
  gap: 18px 22px;
}
.page-figures figure {
  margin: 0;
}
.page-figures svg {
  display: block;
  width: 100%;
  height: auto;
}
/* What needs a kernel does not exist on a page: other pictures, runs, pins. */
.page-widgets .mp-panel .mp-tools,
.page-widgets .mp-panel .mp-drop,
.page-widgets .mp-panel [data-testid="stop"],
.page-widgets .mp-panel [data-testid="pin-setting"],
.page-widgets .mp-panel .mp-pin-head button:last-child {
  display: none;
}
/* Where a setting was not recorded, nothing is said of it. */
[data-unrecorded] [data-testid="fluency"],
[data-unrecorded] [data-testid="status"],
[data-unrecorded] [data-testid="reveal"],
[data-unrecorded] .mp-covered {
  display: none;
}
.page-unrecorded {
  margin: 0 0 8px;
  padding: 6px 10px;
  border-left: 3px solid var(--jp-brand-color1);
  background: color-mix(in srgb, var(--jp-ui-font-color1) 5%, transparent);
  font-size: 12.5px;
}
.page-broken {
  padding: 12px 14px;
}
@media print {
  .page-scroll {
    max-height: none;
  }
}
/* A saved page runs nothing; its boxes say themselves how they are displayed. */
.page-widgets .mp-lab > .mp-lab-sweep {
  height: 0;
  border-top-width: 0;
  visibility: hidden;
}
`;var N={light:{paper:"#ffffff",ink:"#1c2126",soft:"#5b6570",faint:"#6f7984",line:"#e0e4e8",edge:"#c4cad1",brand:"#1f6feb",warn:"#b3261e",good:"#1a7f4b",muted:"#8a929b",zero:"#f7f8f9",positive:"#b2490a",negative:"#1f5fb4"},dark:{paper:"#16191e",ink:"#e7ebef",soft:"#a5aeb8",faint:"#a5aeb8",line:"#2a3038",edge:"#46505b",brand:"#5aa2ff",warn:"#ff8a80",good:"#58c48a",muted:"#5d6670",zero:"#22272e",positive:"#ffa657",negative:"#58a6ff"},sequential:{light:["#f4f5e6","#d5deba","#adcb98","#76b996","#3ca49b","#1b899b","#206c95","#244f8d","#31307f"],dark:["#2b2751","#2e406f","#275c87","#1c7990","#339491","#58ae90","#85c48a","#b5d778","#ede361"]},controls:{random:{label:"random directions",light:"#7a7a7a",dark:"#a2a9b0"},on_manifold:{label:"on-manifold directions",meaning:"in which activations differ",light:"#5f8a8b",dark:"#7fb3b4"},concepts:{label:"other concepts",light:"#8a7aa8",dark:"#b3a5d0"},shuffled:{label:"shuffled labels",light:"#a8927a",dark:"#c8b297"},orthogonal:{label:"orthogonal directions",light:"#8f8aa0",dark:"#b6b2c6"}},marks:{never_named:{label:"no answer names the concept",sign:"\u2013",marker:"dash",strokes:[[[0,.5],[1,.5]]]},broken:{label:"at least half of the answers broken",sign:"hollow:",marker:"x",strokes:[]}},unfinished:{label:"unfinished: too few images or draws for a verdict",sign:"\u2026",strokes:[[[0,.8],[.2,.8]],[[.4,.8],[.6,.8]],[[.8,.8],[1,.8]]]},faded:.35,categories:{entity:"#0072b2",visual_style:"#d55e00",emotion:"#a0447f",abstract:"#00795a",relation:"#8a6d00"},other_categories:["#5b4ea0","#7a3b1e","#00708c","#636300","#8c1d40","#3d5a1f"]};var ae=[["--jp-layout-color0","paper"],["--jp-layout-color1","paper"],["--jp-ui-font-color1","ink"],["--jp-ui-font-color2","soft"],["--jp-border-color1","edge"],["--jp-border-color2","line"],["--jp-brand-color1","brand"],["--jp-error-color1","warn"],["--jp-success-color1","good"],["--mp-positive","positive"],["--mp-negative","negative"]];function E(t){let e=ae.map(([n,o])=>`${n}: ${N[t][o]};`),r=Object.entries(N.controls).map(([n,o])=>`--mp-control-${n}: ${o[t]};`);return[...e,...r].join(" ")}function K(){let t=(e,r)=>`body[data-jp-theme-light="${e}"] { color-scheme: ${r}; ${E(r)} }`;return[`:root { color-scheme: light dark; ${E("light")} }`,`@media (prefers-color-scheme: dark) { :root { ${E("dark")} } }`,t(!0,"light"),t(!1,"dark"),""].join(`
`)}function L(t,e){let r=l("div","model"in t?{class:"mp-place"}:{class:t.classes.join(" ")});for(let[n,o]of Object.entries(t.style))r.style.setProperty(n,o);return"model"in t?e(t.model,r):r.append(...t.children.map(n=>L(n,e))),r}function ie(t,e){let r=e.recordings.filter(({label:o})=>o!=="");if(r.length<2)return null;let n=l("select",{id:R("recorded"),"data-testid":"recorded"});return n.append(l("option",{value:-1},`choose one of ${r.length} recorded settings`)),n.append(...r.map(({label:o},s)=>l("option",{value:s},o))),n.addEventListener("change",()=>{let o=r[Number(n.value)];o&&h(t,o.when,e)}),l("p",{class:"page-recorded"},l("label",{for:n.id},"Recorded answers"),n)}function le(t,e,r){let n=r.querySelector(".mp-live");if(!t.has("answers")||!n)return;let o=l("p",{class:"page-unrecorded",role:"status","data-testid":"unrecorded"});n.before(o);let s=()=>{let a=m(e,t.get)!==void 0;r.toggleAttribute("data-unrecorded",!a),o.textContent=a?"":y(e),P(o,!a)};t.on("change",s),s()}async function de(t,e,r,n){let o=ie(e,t.recorded);o&&n.append(o);let s=l("div");n.append(s);try{let a=r[t.module];await(typeof a=="function"?await a():a)?.render({model:e,el:s,signal:new AbortController().signal}),le(e,t.recorded,s)}catch(a){console.error(a),s.append(l("p",{class:"page-broken",role:"alert"},"This widget could not be opened in this browser."))}}async function ce(){document.head.append(l("style",{},K()+D));let t=JSON.parse(document.getElementById("mp-page")?.textContent??"{}"),e=globalThis.mpModules??{};for(let{state:i,buffers:c,recorded:d}of t.models){k(i,c);for(let{shown:p,buffers:g}of d.recordings)k(p,g)}let r=t.models.map(i=>i.recorded),n=t.models.map(i=>new b(i.state,(c,d)=>H(c,d,i.recorded))),o=[];for(let{at:i,tree:c}of t.mounts){let d=(p,g)=>{let[u,f]=[t.models[p],n[p]];u&&f&&o.push(de(u,f,e,g))};document.getElementById(i)?.replaceChildren(L(c,d))}I(n,r,t.links);let s=document.getElementById(t.answers?.at??""),a=n[t.answers?.map??-1];t.answers&&s&&a&&new w(t.answers.sweep,a,s),U(document),await Promise.all(o),document.documentElement.dataset.ready="true"}var Ue=ce;export{Ue as default};
