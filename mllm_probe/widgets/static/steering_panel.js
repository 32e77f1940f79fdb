function s(r,e={},...t){let n=document.createElement(r);for(let[i,o]of Object.entries(e))o!==void 0&&o!==!1&&n.setAttribute(i,o===!0?"":String(o));return n.append(...t),n}var z=0;function g(r){return z+=1,`mp-${r}-${z}-${Math.random().toString(36).slice(2,8)}`}function I(r,e,t){let n=s("section",{class:`mp mp-${e}`,"aria-label":t,"data-lm-suppress-shortcuts":"true"});return n.append(s("style",{},r)),n.addEventListener("keydown",i=>i.stopPropagation()),n}function m(r,e){r.hidden=!e}var ue="No kernel is connected. Showing the saved state; rerun the cell to continue.",ge="Kernel restarted or stopped. Showing the last state; rerun the cell to continue.";function R(r){let e=r.get("layout");return typeof e?.comm_live=="boolean"&&e.on&&e.off?e:null}function fe(r,e){return r?"":e?ge:ue}function ve(r,e){let t=R(r);if(!t||!e)return()=>{};let n=s("p",{class:"mp-kernel",role:"status","data-testid":"no-kernel"});e.prepend(n);let i=t.comm_live,o=()=>{i||=t.comm_live,n.textContent=fe(t.comm_live,i),m(n,!t.comm_live)};return t.on("comm_live_update",o),o(),()=>t.off("comm_live_update",o)}function B(r){return e=>{let t=r(e),n=ve(e.model,e.el.firstElementChild);return()=>{n(),t?.()}}}var b=["baseline","steered","random"],_=r=>({baseline:r("baseline"),steered:r("steered"),random:r("random")});function A(r){return{generation:r.generation??0,current:!0,lines:_(e=>({text:r[e]??"",spans:r.spans?.[e]??[],facts:r.facts?.[e]??[],old:!1}))}}function K(r){return{...r,current:!1,lines:_(e=>({...r.lines[e],old:!0}))}}function be(r,e,t){if(e.generation<=r.generation)return r;let n=_(i=>({...r.lines[i],old:!0}));return{generation:e.generation,current:e.serial>=t,lines:n}}function D(r,e,t){let n=be(r,e,t);if(e.kind==="start")return n;let i=b[e.row];return!i||e.generation!==n.generation||!n.current?n:{...n,lines:{...n.lines,[i]:{text:e.text,spans:e.spans,facts:[],old:!1}}}}function U(r,e,t){return(e.generation??0)<r.generation||(e.serial??0)<t?r:A(e)}function W(r,e=1){if(!Number.isFinite(r))return"\u2013";let t=Math.abs(r).toFixed(e);return r<0&&Number(t)!==0?"\u2212"+t:t}function f(r){let e=Math.abs(r),t=e===.5?"\xBD":e===.25?"\xBC":String(Number(e.toFixed(3)));return r<0?"\u2212"+t:t}function q(r){return{residual:"\xD7 residual norm",vector:"\xD7 vector",raw:"\xD7 raw vector"}[r]??r}var x=r=>r.replaceAll("_"," ");function u(r,e){e.id||=g("control");let t=s("b"),n=s("label",{class:"mp-label",for:e.id},r," ",t);return{element:s("div",{},n,e),value:t}}function P(r,e,t){let n=new Map,i=[];for(let o of e){let a=s("option",{value:o.value,class:o.unfit&&"mp-unfit"},o.label);if(!o.group){i.push(a);continue}let p=n.get(o.group)??s("optgroup",{label:x(o.group)});n.has(o.group)||i.push(p),n.set(o.group,p),p.append(a)}r.replaceChildren(...i),r.value=t}function G(r,e,t,n){let i=g(r),o=t.map(a=>{let p=s("input",{type:"radio",name:i,value:a.value});return p.addEventListener("change",()=>n(a.value)),s("label",{},p,a.label)});return s("fieldset",{class:"mp-seg","data-testid":r,"aria-label":e},...o)}function V(r,e){for(let t of r.querySelectorAll("input"))t.checked=t.value===e}function H(r,e,t){let n=s("div",{class:"mp-ticks","aria-hidden":"true"});for(let i=r;i<=e+1e-9;i+=t){let o=s("span",{},f(i));o.style.left=`${100*(i-r)/Math.max(1e-9,e-r)}%`,n.append(o)}return n}function w(r,e){let[t,n]=[Number(r.min),Number(r.max)],i=Math.max(0,Math.min(1,(e-t)/Math.max(1e-9,n-t)));return`calc(${(100*i).toFixed(2)}% + ${(8-16*i).toFixed(2)}px)`}function $(r,e,t){r.style.setProperty("--from",w(r,Math.min(e,t))),r.style.setProperty("--to",w(r,Math.max(e,t)))}var y=class{prompt=s("p",{class:"mp-aside",role:"status","data-testid":"prompt-note"});scope=s("p",{class:"mp-aside",role:"status","data-testid":"scope-note"});picture=s("p",{class:"mp-aside",role:"status","data-testid":"picture-note"});image=s("p",{class:"mp-aside",role:"status","data-testid":"image-note"});other=s("button",{type:"button","data-testid":"other-image"},"Another image");imageText=s("span");advice=s("p",{class:"mp-aside mp-advice",role:"status","data-testid":"advice"});error=s("p",{class:"mp-error",role:"alert","data-testid":"error"});places=new Map;said="";constructor(){this.image.append(this.imageText," ",this.other)}place(...e){let t=s("div",{class:"mp-place"});for(let n of e)this.places.set(n,t);return t}complain(e,t,n){let i=this.places.get(t)??this.places.get("");this.error.parentElement!==i&&i?.append(this.error),this.error.textContent=e,m(this.error,e!==""),e!==""&&e!==this.said&&n&&this.error.scrollIntoView({block:"nearest"}),this.said=e}suit(e,t){this.imageText.textContent!==e&&(this.imageText.textContent=e),m(this.image,e!==""),m(this.other,t>=0)}note(e){for(let t of["prompt","scope","picture","advice"]){let[n,i]=[this[t],e[t]];n.textContent!==i&&(n.textContent=i),m(n,i!=="")}}};var Y=r=>[...new Set(r.split(/[,\n]/).map(e=>e.trim()))].filter(Boolean),k=class{element=s("details",{class:"mp-fold","data-testid":"receipt"});title=s("summary",{},"Receipt");text=s("pre");constructor(){this.element.append(this.title,this.text)}draw(e){this.title.textContent=e[0]?`Receipt: ${e[0]}`:"Receipt",this.text.textContent=e.slice(1).join(`
`),m(this.element,e.length>0)}},M=class{element=s("details",{class:"mp-fold","data-testid":"code"});text=s("pre",{tabindex:0,"aria-label":"Python of this setting"});copy=s("button",{type:"button","data-testid":"copy-code"},"Copy");constructor(){this.element.append(s("summary",{},"Code to reproduce"),this.copy,this.text),this.copy.addEventListener("click",()=>{this.onCopy()})}draw(e){this.text.textContent=e,this.copy.textContent="Copy",m(this.element,e!=="")}async onCopy(){try{await navigator.clipboard.writeText(this.text.textContent??""),this.copy.textContent="Copied"}catch{getSelection()?.selectAllChildren(this.text),this.copy.textContent="Selected: press Ctrl+C"}}},E=class{element=s("details",{class:"mp-fold","data-testid":"words-fold"});title=s("summary");words=s("input",{type:"text",class:"mp-wide","data-testid":"words"});negations=s("input",{type:"text",class:"mp-wide","data-testid":"negations"});constructor(e){let t=u("Words that count as this concept (comma-separated)",this.words).element,n=u("Ignore within three words after one of these, or before \u201Cis missing\u201D, \u201Cis not there\u201D and the like",this.negations).element;this.element.append(this.title,t,n),this.words.addEventListener("change",()=>e.words(Y(this.words.value))),this.negations.addEventListener("change",()=>e.negations(Y(this.negations.value)))}draw(e,t,n){this.title.textContent=`What counts as naming ${e||"the concept"}`,document.activeElement!==this.words&&(this.words.value=t.join(", ")),document.activeElement!==this.negations&&(this.negations.value=n.join(", "))}};function xe(r,e,t=""){return e?r==="idle"&&t!==""?"running":r:r==="running"?"cancelled":r}var T=class{status=s("span",{role:"status","data-testid":"status"});activity=s("span",{class:"mp-activity","data-testid":"activity"});pill=s("span",{class:"mp-pill"},this.status,this.activity);rate=s("span",{class:"mp-rate","data-testid":"rate"});stop=s("button",{type:"button","data-testid":"stop"});pin=s("button",{type:"button","data-testid":"pin-setting"},"Pin");receipt=new k;code=new M;draw(e,t){let n=e.get("status")==="running"&&t,i=t?e.get("activity"):"",o=xe(e.get("status"),t,i);this.status.textContent!==o&&(this.status.textContent=o),this.activity.textContent=i,this.pill.dataset.state=o,this.stop.textContent=n?"Stop":"Run again",this.stop.disabled=!t,this.pin.disabled=!t||e.get("status")!=="idle"||e.get("code")==="";let a=e.get("rate");n||(this.rate.textContent=a>0?`${W(a,a<10?1:0)} tokens/s`:""),this.receipt.draw(e.get("receipt")),this.code.draw(e.get("code"))}};var we=[{after:700,text:"the kernel is busy; waiting for it \u2026"},{after:2e4,text:"no answer from the kernel: it is busy, or was restarted (then run the cell again)"}],S=class{constructor(e){this.say=e}say;timers=[];begin(){this.end(),this.timers=we.map(({after:e,text:t})=>setTimeout(()=>this.say(t),e))}end(){this.timers.forEach(clearTimeout),this.timers=[]}};var L=class{constructor(e,t){this.asks=e;this.file.setAttribute("aria-label","open an image file");let n=s("button",{type:"button","data-testid":"open"},"Open\u2026"),i=s("button",{type:"button","data-testid":"new-scene"},"New scene");this.seed.id=g("seed");let o=s("label",{for:this.seed.id,class:"mp-note"},"seed"),a=s("div",{class:"mp-tools"},n,i,s("span",{class:"mp-pair"},o,this.seed));this.figure.append(this.large,s("span",{class:"mp-drop","aria-hidden":"true"},"drop an image")),this.element=s("div",{},this.figure,this.caption,a,t,this.file,this.thumbs),this.thumbs.addEventListener("keydown",p=>this.onKey(p)),n.addEventListener("click",()=>this.file.click()),i.addEventListener("click",()=>this.asks.draw(Math.max(0,Math.round(Number(this.seed.value))||0))),this.file.addEventListener("change",()=>{this.bring(this.file.files),this.file.value=""})}asks;element;large=s("img",{class:"mp-picture","data-testid":"picture"});caption=s("figcaption",{class:"mp-note"});figure=s("figure",{class:"mp-figure",tabindex:0,"data-testid":"drop","aria-label":"Image. Drop or paste another one here."});thumbs=s("div",{class:"mp-thumbs",role:"radiogroup","aria-label":"choose an image"});file=s("input",{type:"file",accept:"image/*","data-testid":"upload",hidden:!0});seed=s("input",{type:"number",min:0,step:1,"data-testid":"scene-seed"});urls=[];pictures=[];listen(e){let t=n=>n.dataTransfer?.types.includes("Files")??!1;e.addEventListener("dragover",n=>{t(n)&&(n.preventDefault(),n.stopPropagation(),this.figure.dataset.over="true")}),e.addEventListener("dragleave",n=>{e.contains(n.relatedTarget)||delete this.figure.dataset.over}),e.addEventListener("drop",n=>{delete this.figure.dataset.over,t(n)&&this.take(n,n.dataTransfer?.files)}),e.addEventListener("paste",n=>{n.clipboardData?.files.length&&this.take(n,n.clipboardData.files)})}take(e,t){e.preventDefault(),e.stopPropagation(),this.bring(t??null)}bring(e){let t=e?.[0];t&&this.asks.bring(t)}fill(e,t){if(document.activeElement!==this.seed&&(this.seed.value=String(t)),e===this.pictures)return;this.close(),this.pictures=e,this.urls=e.map(({png:i})=>URL.createObjectURL(new Blob([i],{type:"image/png"})));let n=e.map((i,o)=>{let a=s("img",{src:this.urls[o],alt:""}),p=s("button",{type:"button",role:"radio","aria-label":i.label,title:i.label},a);return p.addEventListener("click",()=>this.asks.pick(o)),p});this.thumbs.replaceChildren(...n),m(this.thumbs,n.length>1)}choose(e){let t=this.urls[e],n=this.pictures[e]?.label??"";m(this.large,t!==void 0),t!==void 0&&this.large.src!==t&&(this.large.src=t),this.large.alt=n,this.caption.textContent=n,this.caption.title=n,[...this.thumbs.children].forEach((i,o)=>{i.setAttribute("aria-checked",String(o===e)),i.tabIndex=o===e?0:-1}),this.bringIntoView(this.thumbs.children[e])}bringIntoView(e){if(!e)return;let t=e.offsetTop-this.thumbs.offsetTop;(t<this.thumbs.scrollTop||t+e.offsetHeight>this.thumbs.scrollTop+this.thumbs.clientHeight)&&(this.thumbs.scrollTop=t-4)}onKey(e){let t={ArrowRight:1,ArrowDown:1,ArrowLeft:-1,ArrowUp:-1}[e.key],n=[...this.thumbs.children].indexOf(e.target);if(t===void 0||n<0)return;e.preventDefault(),e.stopPropagation();let i=Math.max(0,Math.min(this.urls.length-1,n+t));this.asks.pick(i),this.thumbs.children[i]?.focus()}close(){for(let e of this.urls)URL.revokeObjectURL(e);this.urls=[],this.pictures=[]}};var J=/[^\s\p{Cc}]+/gu,X=r=>r.toLowerCase().replace(/[^\p{L}\p{N}]/gu,"");function ye(r,e){let t=r.length+1,n=e.length+1,i=Array.from({length:t},()=>new Uint16Array(n)),o=(l,c)=>i[l]?.[c]??0;for(let l=t-2;l>=0;l-=1)for(let c=n-2;c>=0;c-=1){let h=i[l];h&&(h[c]=r[l]===e[c]?o(l+1,c+1)+1:Math.max(o(l+1,c),o(l,c+1)))}let a=r.map(()=>!1),p=0,d=0;for(;p<r.length&&d<e.length;)r[p]===e[d]?(a[p]=!0,p+=1,d+=1):o(p+1,d)>=o(p,d+1)?p+=1:d+=1;return a}function ke(r,e){let t=[...new Set([0,...e,r.length])].sort((n,i)=>n-i);return t.slice(1).map((n,i)=>[t[i]??0,n])}function Me(r,e,t){let n=[...r.matchAll(J)].map(l=>({start:l.index,text:l[0]})),i=e?.match(J)??[],o=n.map(({text:l})=>X(l)),a=e===null?n.map(()=>!0):ye(o,i.map(X)),p=n.filter((l,c)=>!a[c]).map(({start:l,text:c})=>[l,l+c.length]),d=[...p,...t.map(([l,c])=>[l,c])].flat();return ke(r,d).map(([l,c])=>{let h=t.find(v=>v[0]<=l&&c<=v[1]);return{text:r.slice(l,c),changed:p.some(v=>v[0]<=l&&c<=v[1]),kind:h?h[2]?"negated":"named":""}})}function F(r,e,t){let n=[],i=null;for(let{text:o,changed:a,kind:p}of Me(r,e,t)){let d=p?s("span",{class:p},o):document.createTextNode(o);a?i?i.append(d):(i=s("mark",{},d),n.push(i)):(i=null,n.push(d))}return n}var Q={baseline:"baseline (unsteered)",steered:"steered",random:"random direction, same size"};function Z(r,e,...t){let n=s("div",{class:"mp-answer-title"},s("small",{},Q[r]),...t);return s("div",{class:"mp-answer","data-row":r},n,e)}var ee=r=>r.map(([e,t])=>s("span",{class:"mp-fact","data-kind":e},t));function te({answers:r,spans:e,facts:t}){return b.map(n=>{let i=n==="baseline"?null:r.baseline,o=s("p",{},...F(r[n],i,e[n]));return Z(n,o,s("span",{class:"mp-facts"},...ee(t?.[n]??[])))})}function ne(r){let t=r.target.matches('select, input[type="text"], input[type="number"]');return r.key.toLowerCase()==="r"&&!(r.ctrlKey||r.metaKey||r.altKey||t)}var N=class{element;reveal=s("button",{type:"button",class:"mp-reveal","data-testid":"reveal"},"Reveal (r)");texts;facts;boxes;constructor(e){let t=i=>s("p",{"data-testid":`answer-${i}`,"aria-label":Q[i]});this.texts={baseline:t("baseline"),steered:t("steered"),random:t("random")};let n=i=>s("span",{class:"mp-facts","data-testid":`facts-${i}`,role:"status"});this.facts={baseline:n("baseline"),steered:n("steered"),random:n("random")},this.boxes=b.map(i=>{let o={baseline:[],steered:[this.reveal],random:[e]}[i];return Z(i,this.texts[i],this.facts[i],...o)}),this.element=s("div",{class:"mp-live"},...this.boxes)}draw(e,{hidden:t,awaited:n,lacking:i}){let o=e.lines.baseline;b.forEach((a,p)=>{let d=e.lines[a],l=a!=="baseline"&&!d.old&&!o.old&&o.text!=="",c=this.boxes[p];c&&(c.dataset.old=String(d.old)),this.texts[a].setAttribute("aria-busy",String(d.old&&n));let h=t&&a==="steered",v=h?[s("span",{class:"mp-covered"},"What will it say?")]:a!=="baseline"&&d.text===""&&i!==""?[s("span",{class:"mp-note"},i)]:F(d.text,l?o.text:null,d.spans);this.texts[a].replaceChildren(...v),this.facts[a].replaceChildren(...h||d.old?[]:ee(d.facts))}),this.reveal.hidden=!t}};var re=r=>(r>0?"+":"")+f(r);function Ee(r,e){let{concept:t,second:n,window:i,scope:o}=r,a=[`${x(t)} ${re(r.strength)}`];n&&a.push(`${x(n)} ${re(r.second_strength)}`);let[p,d]=i,l=p===d?`layer ${p}`:`layers ${p}\u2013${d}`,c=e.find(([h])=>h===o)?.[1]??o;return[a.join(" and "),l,c,`seed ${r.seed}`].join(" \xB7 ")}function ie(r,e,t){return r.map(n=>{let i=Ee(n.setting,e),o=s("button",{type:"button","aria-label":`use the pinned setting ${i}`},"Use"),a=s("button",{type:"button","aria-label":`remove the pinned setting ${i}`},"Remove");o.addEventListener("click",()=>t.use(n.setting)),a.addEventListener("click",()=>t.remove(n.id));let p=s("p",{class:"mp-note"},`${n.picture} \xB7 \u201C${n.setting.prompt}\u201D`),d=s("div",{class:"mp-pin-head"},s("b",{},i),o,a),l={class:"mp-pin","data-testid":"pin",role:"group","aria-label":`pinned: ${i}`};return s("div",l,d,p,...te(n))})}var Te={picture:0,prompt:"",concept:"",second:"",second_strength:1,layer:0,window:[0,0],strength:1,scope:"last_prompt+generated",patches:[],positions:[],seed:0},se=Object.keys(Te);function Se(r,e,t){return[r,Math.max(r,Math.min(Math.max(...t),r+e[1]-e[0]))]}var oe=r=>(r>0?"+":"")+f(r),j=class{constructor(e,t,n){this.model=e;this.move=t;let i=s("div",{class:"mp-two"});i.append(u("Concept",this.concept).element,u("Second concept",this.second).element);let o=s("label",{class:"mp-through"},"to layer",this.last),a=s("div",{class:"mp-over"},this.layerBox.element,o),p=s("div",{class:"mp-over"},this.strengthBox.element);this.element=s("div",{class:"mp-steer"},i,this.unfit,n("concept","second")),this.element.append(a,this.layerTicks,n("layer","window"),p,this.safe,this.strengthTicks),this.element.append(n("strength"),this.secondBox.element,n("second_strength")),this.listen()}model;move;element;concept=s("select",{class:"mp-wide","data-testid":"concept"});second=s("select",{class:"mp-wide","data-testid":"second"});unfit=s("p",{class:"mp-note","data-testid":"unfit"});layer=s("input",{type:"range",step:1,"data-testid":"layer"});last=s("select",{"data-testid":"window","aria-label":"last layer of the window"});strength=s("input",{type:"range","data-testid":"strength"});secondStrength=s("input",{type:"range","data-testid":"second-strength"});layerBox=u("Layer",this.layer);strengthBox=u("Strength",this.strength);secondBox=u("Strength of second concept",this.secondStrength);layerTicks=s("div");strengthTicks=s("div");safe=s("div",{class:"mp-safe","data-testid":"safe"});listen(){let{model:e,move:t}=this;this.concept.addEventListener("change",()=>t({concept:this.concept.value})),this.second.addEventListener("change",()=>t({second:this.second.value})),this.strength.addEventListener("input",()=>t({strength:Number(this.strength.value)})),this.secondStrength.addEventListener("input",()=>t({second_strength:Number(this.secondStrength.value)})),this.layer.addEventListener("input",()=>{let n=Number(this.layer.value);t({layer:n,window:Se(n,e.get("window"),e.get("layers"))})}),this.last.addEventListener("change",()=>{let n=e.get("layer");t({layer:n,window:[n,Number(this.last.value)]})})}fill(){let{model:e}=this,[t,n]=[e.get("categories"),e.get("unfit")],i=e.get("concepts").map((c,h)=>({value:c,label:c,group:n[c]??t[h]??"",unfit:c in n}));i.sort((c,h)=>Number(c.unfit)-Number(h.unfit)),P(this.concept,i,e.get("concept")),P(this.second,[{value:"",label:"none"},...i],e.get("second"));let o=e.get("layers"),a=o.length>0,[p,d]=a?[Math.min(...o),Math.max(...o)]:[0,0];Object.assign(this.layer,{min:String(p),max:String(d),disabled:!a});let l=e.get("strength_limit");for(let c of[this.strength,this.secondStrength])Object.assign(c,{min:String(-l),max:String(l),step:String(e.get("strength_step"))});this.layerTicks.replaceChildren(a?H(p,d,Math.max(1,Math.ceil((d-p)/12))):""),this.strengthTicks.replaceChildren(H(-l,l,l>4?Math.ceil(l/4):1));for(let c of[this.concept,this.second])c.disabled=i.length===0}draw(){let{model:e}=this,t=q(e.get("strength_unit")),[n,i]=[e.get("strength"),e.get("second_strength")];this.concept.value=e.get("concept"),this.second.value=e.get("second");let o=e.get("unfit");for(let l of[this.concept,this.second])l.classList.toggle("mp-unfit",l.value in o);this.unfit.textContent=o[this.concept.value]??"",m(this.unfit,this.unfit.textContent!=="");let[a,p]=e.get("window"),d=a===p?"":` at each of layers ${a}\u2013${p}`;this.drawRange(this.strength,n,this.strengthBox.value,`${oe(n)} ${t}${d}`),this.drawRange(this.secondStrength,i,this.secondBox.value,`${oe(i)} ${t}${d}`),m(this.secondBox.element,e.get("second")!==""),this.drawLayers(),this.drawFluency()}drawRange(e,t,n,i){e.value=String(t),n.textContent=i,e.setAttribute("aria-valuetext",i),$(e,0,t)}drawLayers(){let[e,t]=this.model.get("window"),n=this.model.get("layers").filter(i=>i>=e);this.last.replaceChildren(...n.map(i=>s("option",{value:i},String(i)))),this.last.value=String(t),this.last.disabled=n.length<2,this.layer.value=String(e),this.layerBox.value.textContent=e===t?String(e):`${e} to ${t}`,this.layer.setAttribute("aria-valuetext",`${e===t?"layer":"layers"} ${this.layerBox.value.textContent}`),$(this.layer,e,t)}drawFluency(){let{model:e}=this,[t,n]=[e.get("safe_low"),e.get("safe_high")];this.safe.style.setProperty("--safe-from",w(this.strength,t)),this.safe.style.setProperty("--safe-to",w(this.strength,n)),this.safe.title=`on the map's images, answers have perplexity under \xD7 2 from ${f(t)} to ${f(n)}`,this.safe.hidden=t===n}};var ae=`.mp {
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
`;var pe=`.mp-panel .mp-pill {
  display: inline-flex;
  align-items: center;
  gap: 6px;
  padding: 2px 10px;
  border-radius: 99px;
  background: var(--mp-fill);
  color: var(--mp-soft);
  font-size: 12px;
}
.mp-panel .mp-pill::before {
  width: 7px;
  height: 7px;
  border-radius: 50%;
  background: var(--mp-good);
  content: "";
}
.mp-panel .mp-pill[data-state="running"]::before {
  background: var(--mp-brand);
}
.mp-panel .mp-pill[data-state="cancelled"]::before {
  background: var(--mp-faint);
}
.mp-panel .mp-pill[data-state="error"]::before {
  background: var(--mp-warn);
}
.mp-panel .mp-rate {
  color: var(--mp-faint);
  font-size: 12px;
}
.mp-panel[data-busy] .mp-pill::before {
  background: var(--jp-warn-color1, #b26a00);
}
.mp-panel[data-busy] .mp-rate {
  color: var(--mp-ink);
}
.mp-panel .mp-answers-head {
  margin: 12px 0 4px;
}
.mp-panel .mp-head button[aria-pressed="true"] {
  border-color: var(--mp-brand);
  color: var(--mp-brand);
}
.mp-panel .mp-compare {
  display: grid;
  grid-template-columns: minmax(0, 1fr);
  gap: 8px 20px;
}
@container (min-width: 900px) {
  .mp-panel .mp-compare:has(.mp-pin) {
    grid-template-columns: repeat(2, minmax(0, 1fr));
  }
}
.mp-panel .mp-pin {
  margin-bottom: 8px;
  padding: 8px 12px 2px;
  border-radius: 6px;
  background: var(--mp-fill);
}
.mp-panel .mp-pin-head {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px;
}
.mp-panel .mp-pin-head b {
  flex: 1 1 120px;
  font-size: 12.5px;
  overflow-wrap: anywhere;
}
.mp-panel .mp-pin p.mp-note {
  margin: 2px 0 0;
  overflow-wrap: anywhere;
}
.mp-panel .mp-answer-title {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 4px 10px;
}
.mp-panel .mp-facts {
  display: flex;
  flex-wrap: wrap;
  gap: 2px 10px;
  color: var(--mp-soft);
  font-size: 12px;
}
.mp-panel .mp-fact::before {
  display: inline-block;
  width: 8px;
  height: 8px;
  margin-right: 5px;
  border: 1px solid var(--mp-edge);
  border-radius: 2px;
  content: "";
}
.mp-panel .mp-fact[data-kind="named"]::before {
  background: var(--mp-edge);
}
.mp-panel [data-row="steered"] .mp-fact[data-kind="named"]::before {
  border-color: var(--mp-good);
  background: var(--mp-good);
}
.mp-panel .mp-fact[data-kind="broken"]::before {
  border-color: var(--mp-warn);
  background: var(--mp-warn);
}
.mp-panel .mp-answer {
  min-height: 45px;
  margin: 10px 0;
  padding: 2px 0 2px 10px;
  border-left: 3px solid var(--mp-line);
}
.mp-panel .mp-answer small {
  color: var(--mp-faint);
  font-size: 11px;
}
.mp-panel .mp-answer p {
  min-height: 21px;
  margin: 1px 0 0;
  font-size: 14px;
  line-height: 1.5;
  overflow-wrap: anywhere;
}
.mp-panel .mp-answer[data-row="steered"] {
  border-color: var(--mp-brand);
}
.mp-panel .mp-answer[data-old="true"] p {
  opacity: 0.38;
}
.mp-panel .mp-answer mark {
  padding: 0 2px;
  border-radius: 3px;
  background: color-mix(in srgb, var(--mp-brand) 20%, transparent);
  color: inherit;
}
.mp-panel .mp-answer .named {
  border-bottom: 2px solid var(--mp-brand);
}
.mp-panel .mp-answer .negated {
  border-bottom: 2px dotted var(--mp-faint);
}
.mp-panel .mp-covered {
  color: var(--mp-faint);
  font-style: italic;
}
.mp-panel .mp-reveal {
  padding: 0 8px;
  border-color: var(--mp-brand);
  color: var(--mp-brand);
}
.mp-panel .mp-fold {
  margin-top: 6px;
  color: var(--mp-faint);
  font-size: 11.5px;
}
.mp-panel .mp-fold summary {
  cursor: pointer;
}
.mp-panel .mp-fold button {
  margin-top: 4px;
}
.mp-panel .mp-fold pre {
  max-height: 260px;
  margin: 4px 0 0;
  overflow: auto;
  color: var(--mp-soft);
  font: 11px / 1.5 var(--mp-mono);
  white-space: pre-wrap;
  overflow-wrap: anywhere;
}
`;var le=`.mp-panel .mp-pair {
  display: inline-flex;
  align-items: center;
  gap: 4px;
  color: var(--mp-faint);
  font-size: 11px;
}
.mp-panel .mp-pair input[type="number"] {
  width: 52px;
  padding: 2px 3px 2px 5px;
  border: 1px solid var(--mp-edge);
  border-radius: 5px;
  background: var(--mp-bg);
  color: var(--mp-ink);
  font: inherit;
  font-size: 11.5px;
}
.mp-panel .mp-two {
  display: grid;
  grid-template-columns: repeat(2, minmax(0, 1fr));
  gap: 0 12px;
}
.mp-panel .mp-over {
  position: relative;
}
.mp-panel .mp-through {
  position: absolute;
  top: -4px;
  right: 0;
  display: flex;
  align-items: center;
  gap: 6px;
  color: var(--mp-soft);
  font-size: 12px;
}
.mp-panel .mp-through select {
  padding: 1px 4px;
  font-size: 12px;
}
.mp-panel .mp-over:has(.mp-through) .mp-label {
  padding-right: 122px;
}
.mp-panel .mp-steer > .mp-over {
  margin-top: 11px;
}
.mp-panel .mp-steer > .mp-over .mp-label {
  margin-top: 0;
}
.mp-panel .mp-safe {
  position: relative;
  height: 3px;
  margin: -4px 0 1px;
}
.mp-panel .mp-safe::before {
  position: absolute;
  left: var(--safe-from);
  width: calc(var(--safe-to) - var(--safe-from));
  height: 3px;
  border-radius: 2px;
  background: var(--mp-good);
  content: "";
}
.mp-panel .mp-ticks {
  position: relative;
  height: 14px;
  margin: 0 8px;
  color: var(--mp-faint);
  font-size: 10.5px;
}
.mp-panel .mp-ticks span {
  position: absolute;
  transform: translateX(-50%);
}
.mp-panel select option {
  color: var(--mp-ink);
}
.mp-panel select.mp-unfit,
.mp-panel select option.mp-unfit {
  color: var(--mp-faint);
}
`;var de=`.mp-panel .mp-panes {
  display: grid;
  grid-template-columns: minmax(0, 1fr);
  gap: 12px 28px;
}
@container (min-width: 520px) {
  .mp-panel .mp-panes {
    grid-template-columns: 208px minmax(0, 1fr);
  }
}
.mp-panel .mp-picture {
  display: block;
  width: 208px;
  max-width: 100%;
  aspect-ratio: 1;
  border: 1px solid var(--mp-line);
  border-radius: 6px;
  background: var(--mp-fill);
  object-fit: contain;
}
.mp-panel .mp-figure {
  position: relative;
  width: 208px;
  max-width: 100%;
  margin: 0;
  border-radius: 6px;
}
.mp-panel .mp-figure + figcaption {
  margin-top: 4px;
  max-width: 208px;
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
}
.mp-panel .mp-drop {
  position: absolute;
  inset: 0;
  display: none;
  align-items: center;
  justify-content: center;
  border: 2px dashed var(--mp-brand);
  border-radius: 6px;
  background: color-mix(in srgb, var(--mp-bg) 80%, transparent);
  color: var(--mp-ink);
}
.mp-panel .mp-figure[data-over] .mp-drop {
  display: flex;
}
.mp-panel .mp-tools {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px;
  margin-top: 8px;
}
.mp-panel .mp-thumbs {
  display: flex;
  flex-wrap: wrap;
  gap: 5px;
  width: 208px;
  max-width: 100%;
  max-height: 84px;
  margin-top: 8px;
  padding: 2px;
  overflow-y: auto;
}
.mp-panel .mp-thumbs button {
  width: 36px;
  height: 36px;
  padding: 0;
  border-color: var(--mp-line);
  overflow: hidden;
}
.mp-panel .mp-thumbs img {
  display: block;
  width: 100%;
  height: 100%;
  object-fit: cover;
}
.mp-panel .mp-thumbs button[aria-checked="true"] {
  border-color: var(--mp-brand);
  box-shadow: 0 0 0 1px var(--mp-brand);
}
.mp-panel .mp-place .mp-error {
  margin: 6px 0 2px;
  font-size: 12px;
}
.mp-panel .mp-aside {
  margin: 4px 0 0;
  padding-left: 8px;
  border-left: 3px solid var(--mp-edge);
  color: var(--mp-soft);
  font-size: 11.5px;
  overflow-wrap: anywhere;
}
`;var ce=`.mp-projector .mp-answer p {
  font-size: 26px;
  line-height: 1.35;
}
.mp-projector .mp-answer {
  margin: 16px 0;
  padding-left: 16px;
  border-left-width: 5px;
}
.mp-projector .mp-answer small,
.mp-projector .mp-label,
.mp-projector .mp-fact,
.mp-projector .mp-note {
  font-size: 16px;
}
.mp.mp-projector .mp-head button,
.mp.mp-projector .mp-reveal,
.mp.mp-projector .mp-tools button,
.mp.mp-projector .mp-pin button,
.mp.mp-projector select.mp-wide,
.mp.mp-projector input.mp-wide {
  font-size: 17px;
}
.mp-projector .mp-seg label,
.mp-projector .mp-ticks {
  font-size: 13px;
}
.mp-projector .mp-ticks {
  height: 18px;
}
.mp-projector .mp-fold {
  display: none;
}
@container (min-width: 700px) {
  .mp-projector .mp-panes {
    grid-template-columns: 300px minmax(0, 1fr);
  }
  .mp-projector .mp-picture,
  .mp.mp-projector .mp-figure,
  .mp-projector .mp-thumbs,
  .mp-projector .mp-figure + figcaption {
    width: 300px;
    max-width: 100%;
  }
}
`;var me=[ae,de,le,pe,ce].join(`
`);var C=class{constructor(e,t=n=>queueMicrotask(n)){this.draws=e;this.later=t}draws;later;stale=new Set;ask(...e){let t=this.stale.size>0;for(let n of e)this.stale.add(n);!t&&e.length>0&&this.later(()=>this.draw())}draw(){let e=new Set(this.stale);this.stale.clear();for(let t of Object.keys(this.draws))e.has(t)&&this.draws[t]()}};function _e(r,e,t){let n=Math.min(1,t/Math.max(r,e,1));return[Math.max(1,Math.round(r*n)),Math.max(1,Math.round(e*n))]}async function he(r){if(r.size<=3e6)return r.arrayBuffer();let e=await createImageBitmap(r),[t,n]=_e(e.width,e.height,1568),i=new OffscreenCanvas(t,n),o=i.getContext("2d");if(!o)throw new Error("this browser cannot scale the image");return o.drawImage(e,0,0,t,n),e.close(),(await i.convertToBlob({type:"image/jpeg",quality:.95})).arrayBuffer()}var Ae=["concepts","categories","unfit","layers","suggestions","scopes","strength_limit","strength_step"],Pe=["receipt","code","status","rate","strength_unit","activity"],He=["message","cause","prompt_note","scope_note","picture_note","advice","image_note","other_image"],$e=["words","negations","concept"],Fe=600,O=class{constructor(e,t,n){this.model=e;this.answers=A(e.get("answers")),this.kernel=R(e),this.parts=new C({choices:()=>this.fillChoices(),settings:()=>this.drawSettings(),fluency:()=>this.steer.drawFluency(),outcome:()=>this.outcome.draw(e,this.alive()),notices:()=>this.drawNotices(),answers:()=>this.drawAnswers(),pins:()=>this.drawPins()});let i={pick:o=>this.move({picture:o}),draw:o=>this.ask("scene",{seed:o}),bring:o=>{this.onFile(o)}};this.gallery=new L(i,this.notices.place("picture")),this.steer=new j(e,o=>this.move(o),(...o)=>this.notices.place(...o)),this.naming=new E({words:o=>this.count({words:{...e.get("words"),[e.get("concept")]:o}}),negations:o=>this.count({negations:o})}),this.seed.id=g("seed"),this.rows=new N(s("span",{class:"mp-pair"},s("label",{for:this.seed.id},"seed"),this.seed)),this.prompt.setAttribute("list",this.suggestions.id),this.root.append(s("div",{class:"mp-panes"},this.left(),this.right())),t.append(this.root),this.listen(n),this.onControls(),this.fillChoices(),this.drawSettings(),this.outcome.draw(e,this.alive()),this.drawNotices(),this.drawAnswers(),this.drawPins()}model;root=I(me,"panel","Steering panel");gallery;steer;rows;prompt=s("input",{type:"text",class:"mp-wide","data-testid":"prompt",spellcheck:"false"});suggestions=s("datalist",{id:g("suggestions")});seed=s("input",{type:"number",min:0,step:1,"data-testid":"seed"});scopeBox=s("div");scope=s("fieldset");projector=s("button",{type:"button","data-testid":"projector"},"Projector");outcome=new T;notices=new y;naming;pins=s("div",{class:"mp-pins","data-testid":"pins"});answers;patience=new S(e=>this.drawBusy(e));typing;kernel;parts;waiting=!1;left(){let e=s("div",{class:"mp-head"},s("h3",{},"Image")),{notices:t}=this,n=s("div",{class:"mp-left"},e,this.gallery.element,t.image,t.picture);return n.append(u("Prompt",this.prompt).element,this.suggestions,t.prompt,t.place("prompt")),n.append(s("span",{class:"mp-label"},"Steer at"),this.scopeBox,t.scope,t.place("scope")),n}right(){let{rate:e,pill:t,stop:n,pin:i,receipt:o,code:a}=this.outcome,p=s("div",{class:"mp-head"},s("h3",{},"Steer"),e,t,n),d=s("div",{class:"mp-head mp-answers-head"},s("h3",{},"Answers"),i,this.projector),l=s("div",{class:"mp-compare"},this.rows.element,this.pins),c=this.notices.place("","pin","seed"),h=s("div",{class:"mp-right"},p,this.steer.element,this.notices.advice,d,c,l);return h.append(this.naming.element,o.element,a.element),h}listen(e){let{model:t}=this,n=(p,d)=>{for(let l of p)t.on(`change:${l}`,d),e.addEventListener("abort",()=>t.off(`change:${l}`,d))},{parts:i}=this;n(Ae,()=>i.ask("choices","settings","pins")),n(["pictures","scene_seed",...se],()=>i.ask("settings")),n(["doses","safe_low","safe_high"],()=>i.ask("fluency")),n(Pe,()=>i.ask("outcome")),n(He,()=>i.ask("notices")),n(["message"],()=>this.onComplaint()),n(["concepts","activity",...$e,"projector","revealed"],()=>i.ask("answers")),n(["pins"],()=>i.ask("pins")),n(["serial"],()=>this.onMove()),n(["answers"],()=>{this.answers=U(this.answers,t.get("answers"),t.get("serial")),i.ask("answers")});let o=()=>this.onKernel();this.kernel?.on("comm_live_update",o);let a=p=>this.onMessage(p);t.on("msg:custom",a),e.addEventListener("abort",()=>{t.off("msg:custom",a),this.kernel?.off("comm_live_update",o),this.gallery.close(),this.patience.end(),clearTimeout(this.typing)})}onControls(){this.gallery.listen(this.root),this.prompt.addEventListener("change",()=>this.move({prompt:this.prompt.value})),this.prompt.addEventListener("input",()=>{clearTimeout(this.typing),this.typing=setTimeout(()=>this.move({prompt:this.prompt.value}),Fe)}),this.seed.addEventListener("change",()=>this.move({seed:Math.max(0,Math.round(Number(this.seed.value)))})),this.outcome.stop.addEventListener("click",()=>this.onStop()),this.outcome.pin.addEventListener("click",()=>this.model.send({kind:"pin"})),this.projector.addEventListener("click",()=>this.tell("show",{projector:!this.model.get("projector"),revealed:!1})),this.notices.other.addEventListener("click",()=>this.ask("eligible",{})),this.rows.reveal.addEventListener("click",()=>this.tell("show",{revealed:!0})),this.root.addEventListener("keydown",e=>{ne(e)&&this.hidden()&&this.tell("show",{revealed:!0})})}tell(e,t,n={}){for(let[i,o]of Object.entries({...t,...n}))this.model.set(i,o);this.model.send({kind:e,state:t,...n})}ask(e,t,n){this.model.send({kind:e,...t},void 0,n),this.wait()}wait(){this.alive()&&(this.waiting=!0,this.patience.begin())}count(e){this.model.send({kind:"naming",state:e})}move(e){clearTimeout(this.typing),Object.entries(e).filter(([n,i])=>JSON.stringify(this.model.get(n))!==JSON.stringify(i)).length!==0&&this.run(e)}run(e){this.model.set("revealed",!1),this.tell("set",e,{serial:this.model.get("serial")+1})}async onFile(e){try{this.ask("picture",{name:e.name},[await he(e)])}catch{this.notices.complain(`${e.name} could not be read as an image.`,"picture",!0)}}onStop(){this.model.get("status")==="running"?this.model.send({kind:"cancel"}):this.run({})}hidden(){return this.model.get("projector")&&!this.model.get("revealed")}alive(){return this.kernel?.comm_live??!0}onKernel(){this.alive()||this.endWaiting(),this.parts.ask("outcome","answers")}onMove(){this.answers=K(this.answers),this.wait(),this.parts.ask("answers")}onComplaint(){this.model.get("message")!==""&&this.endWaiting()}drawBusy(e){this.waiting&&(this.outcome.rate.textContent=e,this.root.dataset.busy="true")}onMessage(e){let t=this.answers;this.answers=D(t,e,this.model.get("serial")),this.answers!==t&&(e.kind==="start"&&this.answers.current&&this.endWaiting(),this.drawAnswers())}endWaiting(){this.patience.end(),this.waiting=!1,delete this.root.dataset.busy,this.outcome.rate.textContent="",this.parts.ask("outcome")}drawNotices(){let{model:e}=this;this.notices.complain(e.get("message"),e.get("cause"),this.root.contains(document.activeElement)),this.notices.note({prompt:e.get("prompt_note"),scope:e.get("scope_note"),picture:e.get("picture_note"),advice:e.get("advice")}),this.notices.suit(e.get("image_note"),this.alive()?e.get("other_image"):-1)}lacking(){return this.model.get("activity")!==""?"Waiting for the concept vectors.":this.model.get("concepts").length===0?"There are no concept vectors yet: set panel.vectors.":""}fillChoices(){let{model:e}=this;this.steer.fill();let t=e.get("scopes").map(([n,i])=>({value:n,label:i}));this.scope=G("scope","steer at",t,n=>this.move({scope:n})),this.scopeBox.replaceChildren(this.scope),this.suggestions.replaceChildren(...e.get("suggestions").map(n=>s("option",{value:n})))}drawSettings(){let{model:e}=this;this.gallery.fill(e.get("pictures"),e.get("scene_seed")),this.gallery.choose(e.get("picture")),document.activeElement!==this.prompt&&(this.prompt.value=e.get("prompt")),document.activeElement!==this.seed&&(this.seed.value=String(e.get("seed"))),V(this.scope,e.get("scope")),this.steer.draw()}drawAnswers(){let{model:e}=this,t=e.get("concept"),n=this.lacking();this.rows.draw(this.answers,{hidden:this.hidden(),awaited:this.alive(),lacking:n}),this.naming.draw(t,e.get("words")[t]??[],e.get("negations")),this.projector.setAttribute("aria-pressed",String(e.get("projector"))),this.root.classList.toggle("mp-projector",e.get("projector"))}drawPins(){let{model:e}=this,t={use:n=>this.move(n),remove:n=>e.send({kind:"unpin",id:n})};this.pins.replaceChildren(...ie(e.get("pins"),e.get("scopes"),t)),m(this.pins,e.get("pins").length>0)}};function Oe({model:r,el:e,signal:t}){let n=new AbortController;return t?.addEventListener("abort",()=>n.abort()),new O(r,e,n.signal),()=>n.abort()}var Yt={render:B(Oe)};export{Yt as default};
