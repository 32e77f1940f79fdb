function l(t,e={},...n){let r=document.createElement(t);for(let[o,s]of Object.entries(e))s!==void 0&&s!==!1&&r.setAttribute(o,s===!0?"":String(s));return r.append(...n),r}var P=0;function T(t){return P+=1,`mp-${t}-${P}-${Math.random().toString(36).slice(2,8)}`}function O(t,e){t.hidden=!e}function k(t){let e=Math.abs(t),n=e===.5?"\xBD":e===.25?"\xBC":String(Number(e.toFixed(3)));return t<0?"\u2212"+n:n}function C(t){return{residual:"\xD7 residual norm",vector:"\xD7 vector",raw:"\xD7 raw vector"}[t]??t}var V=new Set(["but","and","only","just","merely","with"]),h=t=>t.toLowerCase().replace(/[^\p{L}\p{N}]/gu,"");function G(t,e){let n=t.length+1,r=e.length+1,o=Array.from({length:n},()=>new Uint16Array(r)),s=(g,d)=>o[g]?.[d]??0;for(let g=n-2;g>=0;g-=1)for(let d=r-2;d>=0;d-=1){let p=o[g];p&&(p[d]=t[g]===e[d]?s(g+1,d+1)+1:Math.max(s(g+1,d),s(g,d+1)))}let a=t.map(()=>!1),i=0,c=0;for(;i<t.length&&c<e.length;)t[i]===e[c]?(a[i]=!0,i+=1,c+=1):s(i+1,c)>=s(i,c+1)?i+=1:c+=1;return a}function Q(t){let e=t.map(r=>r.replace(/[_\s]+/g," ").trim().toLowerCase()).filter(Boolean),n=r=>/[^aeiou]y$/.test(r)?`${r.slice(0,-1)}ies`:/(?:s|x|z|ch|sh)$/.test(r)?`${r}es`:`${r}s`;return[...new Set([...e,...e.map(n)])]}function X(t,e,n){let r=n.map(o=>o.toLowerCase().replaceAll("\u2019","'"));for(let o=1;o<=4&&e-o>=0;o+=1){let s=(t[e-o]??"").toLowerCase().replaceAll("\u2019","'");if(/[.,;:!?]$/.test(s))return!1;if(r.some(a=>h(s)===h(a)||a.startsWith("n'")&&s.endsWith(a)))return!0;if(V.has(h(s)))return!1}return!1}function B(t,e,n,r=[]){let o=t.split(/\s+/).filter(Boolean),s=e?.split(/\s+/).filter(Boolean)??[],a=e===null?o.map(()=>!0):G(o.map(h),s.map(h)),i=Q(n).map(d=>d.split(/[\s-]+/).map(h).filter(Boolean)).filter(d=>d.length>0),c=o.map(()=>!1),g=o.map(()=>!1);for(let d of i)for(let p=0;p+d.length<=o.length;p+=1){if(!d.every((f,v)=>h(o[p+v]??"")===f))continue;(X(o,p,r)?g:c).fill(!0,p,p+d.length)}return o.map((d,p)=>({text:d,changed:!a[p],named:c[p]??!1,negated:(g[p]??!1)&&!c[p]}))}var b=class{constructor(e,n=()=>{}){this.state=e;this.answer=n}state;answer;widget_manager=null;listeners=new Map;unsaved=new Set;get=e=>this.state[e];has=e=>e in this.state;set=(e,n)=>{let r=typeof e=="string"?{[e]:n}:e;for(let o of this.take(r))this.unsaved.add(o)};save_changes=()=>{let e=[...this.unsaved];this.unsaved.clear(),e.length>0&&this.answer(this,{kind:"saved",names:e})};send=e=>{this.unsaved.clear(),this.answer(this,{kind:"sent",content:e})};on=(e,n)=>{for(let r of e.split(" ")){let o=this.listeners.get(r)??new Set;this.listeners.set(r,o.add(n))}};off=(e,n)=>{e||this.listeners.clear();for(let r of e?.split(" ")??[])n?this.listeners.get(r)?.delete(n):this.listeners.delete(r)};take(e){let n=Object.keys(e).filter(r=>!Object.is(this.state[r],e[r]));Object.assign(this.state,e);for(let r of n)this.emit(`change:${r}`,e[r]);return n.length>0&&this.emit("change"),n}emit(e,...n){for(let r of[...this.listeners.get(e)??[]])r(this,...n)}};function M(t){let e=atob(t);return new DataView(Uint8Array.from(e,n=>n.charCodeAt(0)).buffer)}function j(t,e){for(let[n,r]of e){let o=t;for(let a of n.slice(0,-1))o=o[a];let s=n.at(-1);s!==void 0&&(o[s]=M(r))}return t}function S(t,e){let n=t.toLowerCase();return e.toLowerCase().split(/\s+/).every(r=>n.includes(r))}function H(t){for(let e of t.querySelectorAll("table[data-search]")){let n=[...e.tBodies[0]?.rows??[]],r=l("input",{type:"search","aria-label":`search: ${e.dataset.search??""}`});r.placeholder="search";let o=l("span",{role:"status"}),s=()=>{let a=0;for(let i of n)i.hidden=!S(i.textContent??"",r.value),a+=+!i.hidden;o.textContent=a===n.length?`${a} rows`:`${a} of ${n.length} rows`};r.addEventListener("input",s),e.parentElement?.before(l("div",{class:"page-search"},r,o)),s()}}var $=100,I=t=>new Int32Array(M(t).buffer);function Y(t,{concept:e,layer:n,strength:r,sample:o}){return((e*t.layers.length+n)*t.strengths.length+r)*t.samples.length+o}function Z(t,e){let n=e%t.samples.length,r=Math.floor(e/t.samples.length),o=r%t.strengths.length,s=Math.floor(r/t.strengths.length);return{concept:Math.floor(s/t.layers.length),layer:s%t.layers.length,strength:o,sample:n}}function ee(t,e,n){let r=t.texts.map(o=>S(o,n));return[...e.keys()].filter(o=>r[e[o]??-1])}function w(t,e,n){let r=B(t,e,n).flatMap((o,s)=>{let a=o.named?l("span",{class:"named"},o.text):o.text,i=o.changed?l("mark",{},a):a;return s?[" ",i]:[i]});return l("td",{},...r)}function z(...t){return l("thead",{},l("tr",{},...t.map(e=>l("th",{scope:"col"},e))))}var x=class{constructor(e,n,r){this.sweep=e;this.map=n;this.steered=I(e.steered),this.random=I(e.random),this.fill(this.concept,e.concepts),this.fill(this.layer,e.layers.map(a=>`layer ${a}`)),this.fill(this.strength,e.strengths.map(a=>`${k(a)} ${C(e.unit)}`)),this.field.placeholder="search all answers";let o=l("div",{class:"page-scroll",tabindex:0,role:"region","aria-label":"answers"},this.table),s=l("div",{class:"page-search"},this.concept,this.layer,this.strength,this.field,this.count);r.append(s,o);for(let a of[this.concept,this.layer,this.strength])a.addEventListener("change",()=>this.choose());this.field.addEventListener("input",()=>this.draw());for(let a of["concept","layer","strength"])n.on(`change:${a}`,()=>this.draw());this.draw()}sweep;map;concept=l("select",{"aria-label":"concept","data-testid":"answers-concept"});layer=l("select",{"aria-label":"layer"});strength=l("select",{"aria-label":"strength"});field=l("input",{type:"search","aria-label":"search all answers"});count=l("span",{role:"status","data-testid":"answers-count"});table=l("table",{class:"page-answers","data-testid":"answers"});steered;random;fill(e,n){e.append(...n.map((r,o)=>l("option",{value:o},r)))}choose(){let{concepts:e,layers:n,strengths:r}=this.sweep;this.field.value="",this.map.take({concept:e[Number(this.concept.value)],layer:n[Number(this.layer.value)],strength:r[Number(this.strength.value)]}),this.draw()}draw(){let{concepts:e,layers:n,strengths:r}=this.sweep,o=(a,i)=>Math.max(0,a.indexOf(this.map.get(i))),s={concept:o(e,"concept"),layer:o(n,"layer"),strength:o(r,"strength")};this.concept.value=String(s.concept),this.layer.value=String(s.layer),this.strength.value=String(s.strength),this.field.value.trim()?this.drawFound():this.drawCell(s)}text(e){return this.sweep.texts[e??-1]??null}drawCell(e){let n=this.sweep.words[e.concept]??[],r=this.sweep.samples.map((o,s)=>{let a=Y(this.sweep,{...e,sample:s}),i=this.text(this.sweep.unsteered[s]),[c,g]=[this.text(this.steered[a]),this.text(this.random[a])],d=p=>w(p??"not run",p===null?null:i,n);return l("tr",{},l("th",{scope:"row"},o),w(i??"not run",null,n),d(c),d(g))});this.table.replaceChildren(z("picture","as it is","steered","random direction, same size"),l("tbody",{},...r)),this.count.textContent=`${r.length} ${r.length===1?"picture":"pictures"}`}drawFound(){let e=ee(this.sweep,this.steered,this.field.value),n=e.slice(0,$).map(o=>{let s=Z(this.sweep,o),a=this.text(this.sweep.unsteered[s.sample]),i=[this.sweep.concepts[s.concept]??"",`layer ${this.sweep.layers[s.layer]??""}`,k(this.sweep.strengths[s.strength]??0),this.sweep.samples[s.sample]??""],c=this.sweep.words[s.concept]??[];return l("tr",{},l("th",{scope:"row"},i.join(" \xB7 ")),w(a??"not run",null,c),w(this.text(this.steered[o])??"",a,c))});this.table.replaceChildren(z("concept \xB7 layer \xB7 strength \xB7 picture","as it is","steered"),l("tbody",{},...n));let r=e.length>$?`, the first ${$} shown`:"";this.count.textContent=`${e.length} of ${this.steered.length} answers${r}`}};var te="This is a saved page without a kernel: that needs the notebook.",L=(t,e)=>Object.is(t,e)||JSON.stringify(t)===JSON.stringify(e);function y({keys:t,recordings:e},n){return[...e].reverse().find(({when:r})=>t.every(o=>L(r[o],n(o))))}function W(t){let e=t.window;if(Array.isArray(e)){let n=[...e].sort((r,o)=>r-o);return{...t,window:n,layer:n[0]}}return"layer"in t?{...t,window:[t.layer,t.layer]}:t}function E({recordings:t}){let e=t.filter(({label:o})=>o!=="").length,n=e||t.length;return n===0?"No settings were recorded on this page.":`This setting was not recorded. ${n===1?"One recorded setting is":`${n} recorded settings are`} ${e>1?"listed above":"on this page"}.`}var ne={receipt:[],rate:0,code:"",doses:[],safe_low:0,safe_high:0};function F(t,e){let n=y(e,t.get),r={...n?.shown},o=t.has("answers");if(t.has("message")&&(r.message=n||o?"":E(e)),o){let a={generation:(t.get("answers").generation??0)+1,serial:t.get("serial")??0};r.answers={...n?.shown.answers,...a},n||Object.assign(r,ne)}t.take(r)}function _(t,e,n){let r=W(e);if(y(n,s=>s in r?r[s]:t.get(s)))return e;let o=({when:s})=>Object.entries(r).every(([a,i])=>L(s[a],i));return[...n.recordings].reverse().find(o)?.when??e}function U({recordings:t}){let e=({when:n})=>n.second===""&&L(n.window,[n.layer,n.layer]);return t.filter(e).map(({when:n})=>[n.concept,n.layer,n.strength])}function q(t,e,n){if(e.kind==="saved"){n.keys.some(o=>e.names.includes(o))&&F(t,n);return}let r=e.content;r?.kind==="set"?m(t,r.state??{},n):r?.kind!=="cancel"&&t.has("message")&&t.take({message:te})}function m(t,e,n){let r=Object.entries(W(e)).filter(([o])=>t.has(o));t.take(Object.fromEntries(r)),F(t,n)}var re={concept:"concepts",layer:"layers"};function oe(t,e){return Object.entries(e).every(([n,r])=>{let o=t.get(re[n]??"");return!Array.isArray(o)||o.includes(r)})}function D(t,e,n){let r=!1;for(let{from:o,to:s,names:a}of n){let[i,c,g]=[t[o],t[s],e[s]];if(!i||!c||!g)continue;i.has("answered")&&c.has("answers")&&i.take({answered:U(g)});let d=()=>{let p=Object.fromEntries(a.map(f=>[f,i.get(f)])),u=Object.fromEntries(Object.entries(p).filter(([f,v])=>c.get(f)!==v));if(!(r||Object.keys(u).length===0||!oe(c,u))){r=!0;try{m(c,c.has("answers")?_(c,p,g):u,g)}finally{r=!1}}};for(let p of a)i.on(`change:${p}`,d)}}var N={light:{paper:"#ffffff",ink:"#1c2126",soft:"#5b6570",faint:"#6f7984",line:"#e0e4e8",edge:"#c4cad1",brand:"#1f6feb",warn:"#b3261e",good:"#1a7f4b",hatch:"#8a929b",zero:"#f7f8f9",positive:"#b2490a",negative:"#1f5fb4"},dark:{paper:"#16191e",ink:"#e7ebef",soft:"#a5aeb8",faint:"#a5aeb8",line:"#2a3038",edge:"#46505b",brand:"#5aa2ff",warn:"#ff8a80",good:"#58c48a",hatch:"#5d6670",zero:"#22272e",positive:"#ffa657",negative:"#58a6ff"},controls:{random:{label:"random directions",light:"#7a7a7a",dark:"#a2a9b0"},on_manifold:{label:"on-manifold directions",light:"#5f8a8b",dark:"#7fb3b4"},concepts:{label:"other concepts",light:"#8a7aa8",dark:"#b3a5d0"},shuffled:{label:"shuffled labels",light:"#a8927a",dark:"#c8b297"}},categories:{entity:"#0072b2",visual_style:"#d55e00",emotion:"#a0447f",abstract:"#00795a",relation:"#8a6d00"}};var ae=[["--jp-layout-color0","paper"],["--jp-layout-color1","paper"],["--jp-ui-font-color1","ink"],["--jp-ui-font-color2","soft"],["--jp-border-color1","edge"],["--jp-border-color2","line"],["--jp-brand-color1","brand"],["--jp-error-color1","warn"],["--jp-success-color1","good"],["--mp-positive","positive"],["--mp-negative","negative"]];function R(t){let e=ae.map(([r,o])=>`${r}: ${N[t][o]};`),n=Object.entries(N.controls).map(([r,o])=>`--mp-control-${r}: ${o[t]};`);return[...e,...n].join(" ")}function K(){let t=(e,n)=>`body[data-jp-theme-light="${e}"] { color-scheme: ${n}; ${R(n)} }`;return[`:root { color-scheme: light dark; ${R("light")} }`,`@media (prefers-color-scheme: dark) { :root { ${R("dark")} } }`,t(!0,"light"),t(!1,"dark"),""].join(`
`)}function A(t,e){let n=l("div","model"in t?{class:"mp-place"}:{class:t.classes.join(" ")});for(let[r,o]of Object.entries(t.style))n.style.setProperty(r,o);return"model"in t?e(t.model,n):n.append(...t.children.map(r=>A(r,e))),n}var J=`:root {
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
th.number {
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
`;function le(t,e){let n=e.recordings.filter(({label:o})=>o!=="");if(n.length<2)return null;let r=l("select",{id:T("recorded"),"data-testid":"recorded"});return r.append(l("option",{value:-1},`choose one of ${n.length} recorded settings`)),r.append(...n.map(({label:o},s)=>l("option",{value:s},o))),r.addEventListener("change",()=>{let o=n[Number(r.value)];o&&m(t,o.when,e)}),l("p",{class:"page-recorded"},l("label",{for:r.id},"Recorded answers"),r)}function ce(t,e,n){let r=n.querySelector(".mp-live");if(!t.has("answers")||!r)return;let o=l("p",{class:"page-unrecorded",role:"status","data-testid":"unrecorded"});r.before(o);let s=()=>{let a=y(e,t.get)!==void 0;n.toggleAttribute("data-unrecorded",!a),o.textContent=a?"":E(e),O(o,!a)};t.on("change",s),s()}async function de(t,e,n,r){let o=le(e,t.recorded);o&&r.append(o);let s=l("div");r.append(s);try{let a=n[t.module];await(typeof a=="function"?await a():a)?.render({model:e,el:s,signal:new AbortController().signal}),ce(e,t.recorded,s)}catch(a){console.error(a),s.append(l("p",{class:"page-broken",role:"alert"},"This widget could not be opened in this browser."))}}async function pe(){document.head.append(l("style",{},K()+J));let t=JSON.parse(document.getElementById("mp-page")?.textContent??"{}"),e=globalThis.mpModules??{};for(let{state:i,buffers:c,recorded:g}of t.models){j(i,c);for(let{shown:d,buffers:p}of g.recordings)j(d,p)}let n=t.models.map(i=>i.recorded),r=t.models.map(i=>new b(i.state,(c,g)=>q(c,g,i.recorded))),o=[];for(let{at:i,tree:c}of t.mounts){let g=(d,p)=>{let[u,f]=[t.models[d],r[d]];u&&f&&o.push(de(u,f,e,p))};document.getElementById(i)?.replaceChildren(A(c,g))}D(r,n,t.links);let s=document.getElementById(t.answers?.at??""),a=r[t.answers?.map??-1];t.answers&&s&&a&&new x(t.answers.sweep,a,s),H(document),await Promise.all(o),document.documentElement.dataset.ready="true"}var _e=pe;export{_e as default};
