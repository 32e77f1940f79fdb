function l(t,e={},...n){let r=document.createElement(t);for(let[o,s]of Object.entries(e))s!==void 0&&s!==!1&&r.setAttribute(o,s===!0?"":String(s));return r.append(...n),r}var E=0;function N(t){return E+=1,`mp-${t}-${E}-${Math.random().toString(36).slice(2,8)}`}function v(t){let e=Math.abs(t),n=e===.5?"\xBD":e===.25?"\xBC":String(Number(e.toFixed(3)));return t<0?"\u2212"+n:n}function A(t){return{residual:"\xD7 residual norm",vector:"\xD7 vector",raw:"\xD7 raw vector"}[t]??t}var I=new Set(["but","and","only","just","merely","with"]),h=t=>t.toLowerCase().replace(/[^\p{L}\p{N}]/gu,"");function z(t,e){let n=t.length+1,r=e.length+1,o=Array.from({length:n},()=>new Uint16Array(r)),s=(f,c)=>o[f]?.[c]??0;for(let f=n-2;f>=0;f-=1)for(let c=r-2;c>=0;c-=1){let d=o[f];d&&(d[c]=t[f]===e[c]?s(f+1,c+1)+1:Math.max(s(f+1,c),s(f,c+1)))}let a=t.map(()=>!1),i=0,p=0;for(;i<t.length&&p<e.length;)t[i]===e[p]?(a[i]=!0,i+=1,p+=1):s(i+1,p)>=s(i,p+1)?i+=1:p+=1;return a}function F(t){let e=t.map(r=>r.replace(/[_\s]+/g," ").trim().toLowerCase()).filter(Boolean),n=r=>/[^aeiou]y$/.test(r)?`${r.slice(0,-1)}ies`:/(?:s|x|z|ch|sh)$/.test(r)?`${r}es`:`${r}s`;return[...new Set([...e,...e.map(n)])]}function U(t,e,n){let r=n.map(o=>o.toLowerCase().replaceAll("\u2019","'"));for(let o=1;o<=4&&e-o>=0;o+=1){let s=(t[e-o]??"").toLowerCase().replaceAll("\u2019","'");if(/[.,;:!?]$/.test(s))return!1;if(r.some(a=>h(s)===h(a)||a.startsWith("n'")&&s.endsWith(a)))return!0;if(I.has(h(s)))return!1}return!1}function $(t,e,n,r=[]){let o=t.split(/\s+/).filter(Boolean),s=e?.split(/\s+/).filter(Boolean)??[],a=e===null?o.map(()=>!0):z(o.map(h),s.map(h)),i=F(n).map(c=>c.split(/[\s-]+/).map(h).filter(Boolean)).filter(c=>c.length>0),p=o.map(()=>!1),f=o.map(()=>!1);for(let c of i)for(let d=0;d+c.length<=o.length;d+=1){if(!c.every((g,x)=>h(o[d+x]??"")===g))continue;(U(o,d,r)?f:p).fill(!0,d,d+c.length)}return o.map((c,d)=>({text:c,changed:!a[d],named:p[d]??!1,negated:(f[d]??!1)&&!p[d]}))}var b=class{constructor(e,n=()=>{}){this.state=e;this.answer=n}state;answer;widget_manager=null;listeners=new Map;unsaved=new Set;get=e=>this.state[e];has=e=>e in this.state;set=(e,n)=>{let r=typeof e=="string"?{[e]:n}:e;for(let o of this.take(r))this.unsaved.add(o)};save_changes=()=>{let e=[...this.unsaved];this.unsaved.clear(),e.length>0&&this.answer(this,{kind:"saved",names:e})};send=e=>{this.unsaved.clear(),this.answer(this,{kind:"sent",content:e})};on=(e,n)=>{for(let r of e.split(" ")){let o=this.listeners.get(r)??new Set;this.listeners.set(r,o.add(n))}};off=(e,n)=>{e||this.listeners.clear();for(let r of e?.split(" ")??[])n?this.listeners.get(r)?.delete(n):this.listeners.delete(r)};take(e){let n=Object.keys(e).filter(r=>!Object.is(this.state[r],e[r]));Object.assign(this.state,e);for(let r of n)this.emit(`change:${r}`,e[r]);return n.length>0&&this.emit("change"),n}emit(e,...n){for(let r of[...this.listeners.get(e)??[]])r(this,...n)}};function j(t){let e=atob(t);return new DataView(Uint8Array.from(e,n=>n.charCodeAt(0)).buffer)}function k(t,e){for(let[n,r]of e){let o=t;for(let a of n.slice(0,-1))o=o[a];let s=n.at(-1);s!==void 0&&(o[s]=j(r))}return t}function M(t,e){let n=t.toLowerCase();return e.toLowerCase().split(/\s+/).every(r=>n.includes(r))}function R(t){for(let e of t.querySelectorAll("table[data-search]")){let n=[...e.tBodies[0]?.rows??[]],r=l("input",{type:"search","aria-label":`search: ${e.dataset.search??""}`});r.placeholder="search";let o=l("span",{role:"status"}),s=()=>{let a=0;for(let i of n)i.hidden=!M(i.textContent??"",r.value),a+=+!i.hidden;o.textContent=a===n.length?`${a} rows`:`${a} of ${n.length} rows`};r.addEventListener("input",s),e.parentElement?.before(l("div",{class:"page-search"},r,o)),s()}}var S=100,P=t=>new Int32Array(j(t).buffer);function W(t,{concept:e,layer:n,strength:r,sample:o}){return((e*t.layers.length+n)*t.strengths.length+r)*t.samples.length+o}function _(t,e){let n=e%t.samples.length,r=Math.floor(e/t.samples.length),o=r%t.strengths.length,s=Math.floor(r/t.strengths.length);return{concept:Math.floor(s/t.layers.length),layer:s%t.layers.length,strength:o,sample:n}}function D(t,e,n){let r=t.texts.map(o=>M(o,n));return[...e.keys()].filter(o=>r[e[o]??-1])}function w(t,e,n){let r=$(t,e,n).flatMap((o,s)=>{let a=o.named?l("span",{class:"named"},o.text):o.text,i=o.changed?l("mark",{},a):a;return s?[" ",i]:[i]});return l("td",{},...r)}function T(...t){return l("thead",{},l("tr",{},...t.map(e=>l("th",{scope:"col"},e))))}var y=class{constructor(e,n,r){this.sweep=e;this.map=n;this.steered=P(e.steered),this.random=P(e.random),this.fill(this.concept,e.concepts),this.fill(this.layer,e.layers.map(a=>`layer ${a}`)),this.fill(this.strength,e.strengths.map(a=>`${v(a)} ${A(e.unit)}`)),this.field.placeholder="search all answers";let o=l("div",{class:"page-scroll",tabindex:0,role:"region","aria-label":"answers"},this.table),s=l("div",{class:"page-search"},this.concept,this.layer,this.strength,this.field,this.count);r.append(s,o);for(let a of[this.concept,this.layer,this.strength])a.addEventListener("change",()=>this.choose());this.field.addEventListener("input",()=>this.draw());for(let a of["concept","layer","strength"])n.on(`change:${a}`,()=>this.draw());this.draw()}sweep;map;concept=l("select",{"aria-label":"concept","data-testid":"answers-concept"});layer=l("select",{"aria-label":"layer"});strength=l("select",{"aria-label":"strength"});field=l("input",{type:"search","aria-label":"search all answers"});count=l("span",{role:"status","data-testid":"answers-count"});table=l("table",{class:"page-answers","data-testid":"answers"});steered;random;fill(e,n){e.append(...n.map((r,o)=>l("option",{value:o},r)))}choose(){let{concepts:e,layers:n,strengths:r}=this.sweep;this.field.value="",this.map.take({concept:e[Number(this.concept.value)],layer:n[Number(this.layer.value)],strength:r[Number(this.strength.value)]}),this.draw()}draw(){let{concepts:e,layers:n,strengths:r}=this.sweep,o=(a,i)=>Math.max(0,a.indexOf(this.map.get(i))),s={concept:o(e,"concept"),layer:o(n,"layer"),strength:o(r,"strength")};this.concept.value=String(s.concept),this.layer.value=String(s.layer),this.strength.value=String(s.strength),this.field.value.trim()?this.drawFound():this.drawCell(s)}text(e){return this.sweep.texts[e??-1]??null}drawCell(e){let n=this.sweep.words[e.concept]??[],r=this.sweep.samples.map((o,s)=>{let a=W(this.sweep,{...e,sample:s}),i=this.text(this.sweep.unsteered[s]),[p,f]=[this.text(this.steered[a]),this.text(this.random[a])],c=d=>w(d??"not run",d===null?null:i,n);return l("tr",{},l("th",{scope:"row"},o),w(i??"not run",null,n),c(p),c(f))});this.table.replaceChildren(T("picture","as it is","steered","random direction, same size"),l("tbody",{},...r)),this.count.textContent=`${r.length} ${r.length===1?"picture":"pictures"}`}drawFound(){let e=D(this.sweep,this.steered,this.field.value),n=e.slice(0,S).map(o=>{let s=_(this.sweep,o),a=this.text(this.sweep.unsteered[s.sample]),i=[this.sweep.concepts[s.concept]??"",`layer ${this.sweep.layers[s.layer]??""}`,v(this.sweep.strengths[s.strength]??0),this.sweep.samples[s.sample]??""],p=this.sweep.words[s.concept]??[];return l("tr",{},l("th",{scope:"row"},i.join(" \xB7 ")),w(a??"not run",null,p),w(this.text(this.steered[o])??"",a,p))});this.table.replaceChildren(T("concept \xB7 layer \xB7 strength \xB7 picture","as it is","steered"),l("tbody",{},...n));let r=e.length>S?`, the first ${S} shown`:"";this.count.textContent=`${e.length} of ${this.steered.length} answers${r}`}};var K="This is a saved page without a kernel: that needs the notebook.",q=(t,e)=>Object.is(t,e)||JSON.stringify(t)===JSON.stringify(e);function J({keys:t,recordings:e},n){return[...e].reverse().find(({when:r})=>t.every(o=>q(r[o],n(o))))}function V(t){let e=t.window;if(Array.isArray(e)){let n=[...e].sort((r,o)=>r-o);return{...t,window:n,layer:n[0]}}return"layer"in t?{...t,window:[t.layer,t.layer]}:t}function G({recordings:t}){let e=t.length;return e===0?"This is a saved page without a kernel, and it holds no other setting.":`This is a saved page without a kernel: this setting was not run; ${e===1?"one that was is":`${e} that were are`} in it.`}function O(t,e){let n=J(e,t.get),r={...n?.shown};if(t.has("message")&&(r.message=n?"":G(e)),t.has("answers")){let s={generation:(t.get("answers").generation??0)+1,serial:t.get("serial")??0};r.answers={...n?.shown.answers,...s},n||Object.assign(r,{receipt:[],rate:0,code:""})}t.take(r)}function C(t,e,n){if(e.kind==="saved"){n.keys.some(o=>e.names.includes(o))&&O(t,n);return}let r=e.content;r?.kind==="set"?m(t,r.state??{},n):r?.kind!=="cancel"&&t.has("message")&&t.take({message:K})}function m(t,e,n){let r=Object.entries(V(e)).filter(([o])=>t.has(o));t.take(Object.fromEntries(r)),O(t,n)}var Q={concept:"concepts",layer:"layers"};function X(t,e){return Object.entries(e).every(([n,r])=>{let o=t.get(Q[n]??"");return!Array.isArray(o)||o.includes(r)})}function B(t,e,n){let r=!1;for(let{from:o,to:s,names:a}of n){let[i,p,f]=[t[o],t[s],e[s]];if(!i||!p||!f)continue;let c=()=>{let d=Object.fromEntries(a.map(g=>[g,i.get(g)])),u=Object.fromEntries(Object.entries(d).filter(([g,x])=>p.get(g)!==x));if(!(r||Object.keys(u).length===0||!X(p,u))){r=!0;try{m(p,u,f)}finally{r=!1}}};for(let d of a)i.on(`change:${d}`,c)}}function L(t,e){let n=l("div","model"in t?{class:"mp-place"}:{class:t.classes.join(" ")});for(let[r,o]of Object.entries(t.style))n.style.setProperty(r,o);return"model"in t?e(t.model,n):n.append(...t.children.map(r=>L(r,e))),n}var H=`:root {
  color-scheme: light dark;
  --page-wide: 1240px;
  --jp-layout-color0: #fff;
  --jp-layout-color1: #fff;
  --jp-ui-font-color1: #1c2126;
  --jp-ui-font-color2: #5b6570;
  --jp-border-color1: #c4cad1;
  --jp-border-color2: #e0e4e8;
  --jp-brand-color1: #1f6feb;
  --jp-error-color1: #b3261e;
  --jp-success-color1: #1a7f4b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --jp-layout-color0: #16191e;
    --jp-layout-color1: #16191e;
    --jp-ui-font-color1: #e7ebef;
    --jp-ui-font-color2: #a5aeb8;
    --jp-border-color1: #46505b;
    --jp-border-color2: #2a3038;
    --jp-brand-color1: #5aa2ff;
    --jp-error-color1: #ff8a80;
    --jp-success-color1: #58c48a;
    --mp-positive: #ffa657;
    --mp-negative: #58a6ff;
  }
}
/* A host that says which theme it has goes before the system. */
body[data-jp-theme-light="true"] {
  color-scheme: light;
  --jp-layout-color0: #fff;
  --jp-layout-color1: #fff;
  --jp-ui-font-color1: #1c2126;
  --jp-ui-font-color2: #5b6570;
  --jp-border-color1: #c4cad1;
  --jp-border-color2: #e0e4e8;
  --jp-brand-color1: #1f6feb;
  --jp-error-color1: #b3261e;
  --jp-success-color1: #1a7f4b;
  --mp-positive: #b2490a;
  --mp-negative: #1f5fb4;
}
body[data-jp-theme-light="false"] {
  color-scheme: dark;
  --jp-layout-color0: #16191e;
  --jp-layout-color1: #16191e;
  --jp-ui-font-color1: #e7ebef;
  --jp-ui-font-color2: #a5aeb8;
  --jp-border-color1: #46505b;
  --jp-border-color2: #2a3038;
  --jp-brand-color1: #5aa2ff;
  --jp-error-color1: #ff8a80;
  --jp-success-color1: #58c48a;
  --mp-positive: #ffa657;
  --mp-negative: #58a6ff;
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
`;function Z(t,e){let n=e.recordings.filter(({label:o})=>o!=="");if(n.length<2)return null;let r=l("select",{id:N("recorded"),"data-testid":"recorded"});return r.append(l("option",{value:-1},`${n.length} settings were run`)),r.append(...n.map(({label:o},s)=>l("option",{value:s},o))),r.addEventListener("change",()=>{let o=n[Number(r.value)];o&&m(t,o.when,e)}),l("p",{class:"page-recorded"},l("label",{for:r.id},"Recorded answers"),r)}async function ee(t,e,n,r){let o=Z(e,t.recorded);o&&r.append(o);let s=l("div");r.append(s);try{let a=n[t.module];await(typeof a=="function"?await a():a)?.render({model:e,el:s,signal:new AbortController().signal})}catch(a){console.error(a),s.append(l("p",{class:"page-broken",role:"alert"},"This widget could not be opened in this browser."))}}async function te(){document.head.append(l("style",{},H));let t=JSON.parse(document.getElementById("mp-page")?.textContent??"{}"),e=globalThis.mpModules??{};for(let{state:i,buffers:p,recorded:f}of t.models){k(i,p);for(let{shown:c,buffers:d}of f.recordings)k(c,d)}let n=t.models.map(i=>i.recorded),r=t.models.map(i=>new b(i.state,(p,f)=>C(p,f,i.recorded))),o=[];for(let{at:i,tree:p}of t.mounts){let f=(c,d)=>{let[u,g]=[t.models[c],r[c]];u&&g&&o.push(ee(u,g,e,d))};document.getElementById(i)?.replaceChildren(L(p,f))}B(r,n,t.links);let s=document.getElementById(t.answers?.at??""),a=r[t.answers?.map??-1];t.answers&&s&&a&&new y(t.answers.sweep,a,s),R(document),await Promise.all(o),document.documentElement.dataset.ready="true"}var Ne=te;export{Ne as default};
