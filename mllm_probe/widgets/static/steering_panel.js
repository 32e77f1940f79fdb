function i(r,e={},...n){let t=document.createElement(r);for(let[s,o]of Object.entries(e))o!==void 0&&o!==!1&&t.setAttribute(s,o===!0?"":String(o));return t.append(...n),t}var W=0;function g(r){return W+=1,`mp-${r}-${W}-${Math.random().toString(36).slice(2,8)}`}function q(r,e,n){let t=i("section",{class:`mp mp-${e}`,"aria-label":n,"data-lm-suppress-shortcuts":"true"});return t.append(i("style",{},r)),t.addEventListener("keydown",s=>s.stopPropagation()),t}function h(r,e){r.hidden=!e}var je="No kernel is connected. Showing the saved state; rerun the cell to continue.",Ae="Kernel restarted or stopped. Showing the last state; rerun the cell to continue.";function R(r){let e=r.get("layout");return typeof e?.comm_live=="boolean"&&e.on&&e.off?e:null}function Re(r,e){return r?"":e?Ae:je}function _e(r,e){let n=R(r);if(!n||!e)return()=>{};let t=i("p",{class:"mp-kernel",role:"status","data-testid":"no-kernel"});e.prepend(t);let s=n.comm_live,o=()=>{s||=n.comm_live,t.textContent=Re(n.comm_live,s),h(t,!n.comm_live)};return n.on("comm_live_update",o),o(),()=>n.off("comm_live_update",o)}function G(r){return e=>{let n=r(e),t=_e(e.model,e.el.firstElementChild);return()=>{t(),n?.()}}}function x(r,e,n,...t){let s=i("summary",{"data-testid":r},e),o=i("details",{class:"mp-pop"},s,i("div",{class:"mp-sheet"},...t)),a=()=>{o.open=!1};o.addEventListener("keydown",d=>{d.key!=="Escape"||!o.open||(a(),s.focus(),d.stopPropagation())});let p=d=>{d.composedPath().includes(o)||a()};return document.addEventListener("pointerdown",p,{capture:!0,signal:n}),o}var b=["baseline","steered","random"],_=r=>({baseline:r("baseline"),steered:r("steered"),random:r("random")});function P(r){return{generation:r.generation??0,current:!0,lines:_(e=>({text:r[e]??"",spans:r.spans?.[e]??[],facts:r.facts?.[e]??[],old:!1}))}}function V(r){return{...r,current:!1,lines:_(e=>({...r.lines[e],old:!0}))}}function Pe(r,e,n){if(e.generation<=r.generation)return r;let t=_(s=>({...r.lines[s],old:!0}));return{generation:e.generation,current:e.serial>=n,lines:t}}function Y(r,e,n){let t=Pe(r,e,n);if(e.kind==="start")return t;let s=b[e.row];return!s||e.generation!==t.generation||!t.current?t:{...t,lines:{...t.lines,[s]:{text:e.text,spans:e.spans,facts:[],old:!1}}}}function J(r,e,n){return(e.generation??0)<r.generation||(e.serial??0)<n?r:P(e)}function X(r,e=1){if(!Number.isFinite(r))return"\u2013";let n=Math.abs(r).toFixed(e);return r<0&&Number(n)!==0?"\u2212"+n:n}function v(r){let e=Math.abs(r),n=e===.5?"\xBD":e===.25?"\xBC":String(Number(e.toFixed(3)));return r<0?"\u2212"+n:n}function Q(r){return{residual:"\xD7 residual norm",vector:"\xD7 vector",raw:"\xD7 raw vector"}[r]??r}var w=r=>r.replaceAll("_"," ");function u(r,e){e.id||=g("control");let n=i("b"),t=i("label",{class:"mp-label",for:e.id},r," ",n);return{element:i("div",{},t,e),value:n}}function H(r,e,n){let t=new Map,s=[];for(let o of e){let a=i("option",{value:o.value,class:o.unfit&&"mp-unfit"},o.label);if(!o.group){s.push(a);continue}let p=t.get(o.group)??i("optgroup",{label:w(o.group)});t.has(o.group)||s.push(p),t.set(o.group,p),p.append(a)}r.replaceChildren(...s),r.value=n}function Z(r,e,n,t){let s=g(r),o=n.map(a=>{let p=i("input",{type:"radio",name:s,value:a.value});return p.addEventListener("change",()=>t(a.value)),i("label",{},p,a.label)});return i("fieldset",{class:"mp-seg","data-testid":r,"aria-label":e},...o)}function ee(r,e){for(let n of r.querySelectorAll("input"))n.checked=n.value===e}function $(r,e,n){let t=i("div",{class:"mp-ticks","aria-hidden":"true"});for(let s=r;s<=e+1e-9;s+=n){let o=i("span",{},v(s));o.style.left=`${100*(s-r)/Math.max(1e-9,e-r)}%`,t.append(o)}return t}function y(r,e){let[n,t]=[Number(r.min),Number(r.max)],s=Math.max(0,Math.min(1,(e-n)/Math.max(1e-9,t-n)));return`calc(${(100*s).toFixed(2)}% + ${(8-16*s).toFixed(2)}px)`}function z(r,e,n){r.style.setProperty("--from",y(r,Math.min(e,n))),r.style.setProperty("--to",y(r,Math.max(e,n)))}var k=class{prompt=i("p",{class:"mp-aside",role:"status","data-testid":"prompt-note"});scope=i("p",{class:"mp-aside",role:"status","data-testid":"scope-note"});picture=i("p",{class:"mp-aside",role:"status","data-testid":"picture-note"});image=i("p",{class:"mp-aside",role:"status","data-testid":"image-note"});other=i("button",{type:"button","data-testid":"other-image"},"Another image");imageText=i("span");advice=i("p",{class:"mp-aside mp-advice",role:"status","data-testid":"advice"});error=i("p",{class:"mp-error",role:"alert","data-testid":"error"});places=new Map;said="";constructor(){this.image.append(this.imageText," ",this.other)}place(...e){let n=i("div",{class:"mp-place"});for(let t of e)this.places.set(t,n);return n}complain(e,n,t){let s=this.places.get(n)??this.places.get("");this.error.parentElement!==s&&s?.append(this.error),this.error.textContent=e,this.error.title=e,h(this.error,e!==""),e!==""&&e!==this.said&&t&&this.error.scrollIntoView({block:"nearest"}),this.said=e}suit(e,n){this.imageText.textContent!==e&&(this.imageText.textContent=e),this.imageText.title=e,h(this.image,e!==""),h(this.other,n>=0)}note(e){for(let n of["prompt","scope","picture","advice"]){let[t,s]=[this[n],e[n]];t.textContent!==s&&(t.textContent=s),t.title=s,h(t,s!=="")}}};var te=r=>[...new Set(r.split(/[,\n]/).map(e=>e.trim()))].filter(Boolean),E=class{element=i("details",{class:"mp-fold","data-testid":"receipt"});title=i("summary",{},"Receipt");text=i("pre");constructor(){this.element.append(this.title,this.text)}draw(e){this.title.textContent=e[0]?`Receipt: ${e[0]}`:"Receipt",this.text.textContent=e.slice(1).join(`
`),h(this.element,e.length>0)}},M=class{element=i("details",{class:"mp-fold","data-testid":"code"});text=i("pre",{tabindex:0,"aria-label":"Python of this setting"});copy=i("button",{type:"button","data-testid":"copy-code"},"Copy");constructor(){this.element.append(i("summary",{},"Code to reproduce"),this.copy,this.text),this.copy.addEventListener("click",()=>{this.onCopy()})}draw(e){this.text.textContent=e,this.copy.textContent="Copy",h(this.element,e!=="")}async onCopy(){try{await navigator.clipboard.writeText(this.text.textContent??""),this.copy.textContent="Copied"}catch{getSelection()?.selectAllChildren(this.text),this.copy.textContent="Selected: press Ctrl+C"}}},L=class{element=i("details",{class:"mp-fold","data-testid":"words-fold"});title=i("summary");words=i("input",{type:"text",class:"mp-wide","data-testid":"words"});negations=i("input",{type:"text",class:"mp-wide","data-testid":"negations"});constructor(e){let n=u("Words that count as this concept (comma-separated)",this.words).element,t=u("Ignore within three words after one of these, or before \u201Cis missing\u201D, \u201Cis not there\u201D and the like",this.negations).element;this.element.append(this.title,n,t),this.words.addEventListener("change",()=>e.words(te(this.words.value))),this.negations.addEventListener("change",()=>e.negations(te(this.negations.value)))}draw(e,n,t){this.title.textContent=`What counts as naming ${e||"the concept"}`,document.activeElement!==this.words&&(this.words.value=n.join(", ")),document.activeElement!==this.negations&&(this.negations.value=t.join(", "))}};function He(r,e,n=""){return e?r==="idle"&&n!==""?"running":r:r==="running"?"cancelled":r}var T=class{status=i("span",{role:"status","data-testid":"status"});activity=i("span",{class:"mp-activity","data-testid":"activity"});pill=i("span",{class:"mp-pill"},this.status,this.activity);rate=i("span",{class:"mp-rate","data-testid":"rate"});stop=i("button",{type:"button","data-testid":"stop"});pin=i("button",{type:"button","data-testid":"pin-setting"},"Pin");receipt=new E;code=new M;draw(e,n){let t=e.get("status")==="running"&&n,s=n?e.get("activity"):"",o=He(e.get("status"),n,s);this.status.textContent!==o&&(this.status.textContent=o),this.activity.textContent=s,this.pill.dataset.state=o,this.stop.textContent=t?"Stop":"Run again",this.stop.disabled=!n,this.pin.disabled=!n||e.get("status")!=="idle"||e.get("code")==="";let a=e.get("rate");t||(this.rate.textContent=a>0?`${X(a,a<10?1:0)} tokens/s`:""),this.receipt.draw(e.get("receipt")),this.code.draw(e.get("code"))}};var $e=[{after:700,text:"the kernel is busy; waiting for it \u2026"},{after:2e4,text:"no answer from the kernel: it is busy, or was restarted (then run the cell again)"}],S=class{constructor(e){this.say=e}say;timers=[];begin(){this.end(),this.timers=$e.map(({after:e,text:n})=>setTimeout(()=>this.say(n),e))}end(){this.timers.forEach(clearTimeout),this.timers=[]}};var C=class{constructor(e,n,t=!1){this.asks=e;this.file.setAttribute("aria-label","open an image file");let s=i("button",{type:"button","data-testid":"open"},"Open\u2026"),o=i("button",{type:"button","data-testid":"new-scene"},"New scene");this.seed.id=g("seed");let a=i("label",{for:this.seed.id,class:"mp-note"},"seed");this.tools=i("div",{class:"mp-tools"},s,o,i("span",{class:"mp-pair"},a,this.seed)),this.figure.append(this.large,i("span",{class:"mp-drop","aria-hidden":"true"},"drop an image")),this.element=i("div",{},this.figure,this.caption,this.file),t?this.element.append(this.thumbs):this.element.append(this.tools,n,this.thumbs),this.thumbs.addEventListener("keydown",p=>this.onKey(p)),s.addEventListener("click",()=>this.file.click()),o.addEventListener("click",()=>this.asks.draw(Math.max(0,Math.round(Number(this.seed.value))||0))),this.file.addEventListener("change",()=>{this.bring(this.file.files),this.file.value=""})}asks;element;large=i("img",{class:"mp-picture","data-testid":"picture"});caption=i("figcaption",{class:"mp-note"});figure=i("figure",{class:"mp-figure",tabindex:0,"data-testid":"drop","aria-label":"Image. Drop or paste another one here."});thumbs=i("div",{class:"mp-thumbs",role:"radiogroup","aria-label":"choose an image"});file=i("input",{type:"file",accept:"image/*","data-testid":"upload",hidden:!0});seed=i("input",{type:"number",min:0,step:1,"data-testid":"scene-seed"});urls=[];pictures=[];tools;listen(e){let n=t=>t.dataTransfer?.types.includes("Files")??!1;e.addEventListener("dragover",t=>{n(t)&&(t.preventDefault(),t.stopPropagation(),this.figure.dataset.over="true")}),e.addEventListener("dragleave",t=>{e.contains(t.relatedTarget)||delete this.figure.dataset.over}),e.addEventListener("drop",t=>{delete this.figure.dataset.over,n(t)&&this.take(t,t.dataTransfer?.files)}),e.addEventListener("paste",t=>{t.clipboardData?.files.length&&this.take(t,t.clipboardData.files)})}take(e,n){e.preventDefault(),e.stopPropagation(),this.bring(n??null)}bring(e){let n=e?.[0];n&&this.asks.bring(n)}fill(e,n){if(document.activeElement!==this.seed&&(this.seed.value=String(n)),e===this.pictures)return;this.close(),this.pictures=e,this.urls=e.map(({png:s})=>URL.createObjectURL(new Blob([s],{type:"image/png"})));let t=e.map((s,o)=>{let a=i("img",{src:this.urls[o],alt:""}),p=i("button",{type:"button",role:"radio","aria-label":s.label,title:s.label},a);return p.addEventListener("click",()=>this.asks.pick(o)),p});this.thumbs.replaceChildren(...t),h(this.thumbs,t.length>1)}choose(e){let n=this.urls[e],t=this.pictures[e]?.label??"";h(this.large,n!==void 0),n!==void 0&&this.large.src!==n&&(this.large.src=n),this.large.alt=t,this.caption.textContent=t,this.caption.title=t,[...this.thumbs.children].forEach((s,o)=>{s.setAttribute("aria-checked",String(o===e)),s.tabIndex=o===e?0:-1}),this.bringIntoView(this.thumbs.children[e])}bringIntoView(e){if(!e)return;let n=e.offsetTop-this.thumbs.offsetTop;(n<this.thumbs.scrollTop||n+e.offsetHeight>this.thumbs.scrollTop+this.thumbs.clientHeight)&&(this.thumbs.scrollTop=n-4)}onKey(e){let n={ArrowRight:1,ArrowDown:1,ArrowLeft:-1,ArrowUp:-1}[e.key],t=[...this.thumbs.children].indexOf(e.target);if(n===void 0||t<0)return;e.preventDefault(),e.stopPropagation();let s=Math.max(0,Math.min(this.urls.length-1,t+n));this.asks.pick(s),this.thumbs.children[s]?.focus()}close(){for(let e of this.urls)URL.revokeObjectURL(e);this.urls=[],this.pictures=[]}};var ne=/[^\s\p{Cc}]+/gu,ie=r=>r.toLowerCase().replace(/[^\p{L}\p{N}]/gu,"");function ze(r,e){let n=r.length+1,t=e.length+1,s=Array.from({length:n},()=>new Uint16Array(t)),o=(l,m)=>s[l]?.[m]??0;for(let l=n-2;l>=0;l-=1)for(let m=t-2;m>=0;m-=1){let c=s[l];c&&(c[m]=r[l]===e[m]?o(l+1,m+1)+1:Math.max(o(l+1,m),o(l,m+1)))}let a=r.map(()=>!1),p=0,d=0;for(;p<r.length&&d<e.length;)r[p]===e[d]?(a[p]=!0,p+=1,d+=1):o(p+1,d)>=o(p,d+1)?p+=1:d+=1;return a}function Fe(r,e){let n=[...new Set([0,...e,r.length])].sort((t,s)=>t-s);return n.slice(1).map((t,s)=>[n[s]??0,t])}function Oe(r,e,n){let t=[...r.matchAll(ne)].map(l=>({start:l.index,text:l[0]})),s=e?.match(ne)??[],o=t.map(({text:l})=>ie(l)),a=e===null?t.map(()=>!0):ze(o,s.map(ie)),p=t.filter((l,m)=>!a[m]).map(({start:l,text:m})=>[l,l+m.length]),d=[...p,...n.map(([l,m])=>[l,m])].flat();return Fe(r,d).map(([l,m])=>{let c=n.find(f=>f[0]<=l&&m<=f[1]);return{text:r.slice(l,m),changed:p.some(f=>f[0]<=l&&m<=f[1]),kind:c?c[2]?"negated":"named":""}})}function F(r,e,n){let t=[],s=null;for(let{text:o,changed:a,kind:p}of Oe(r,e,n)){let d=p?i("span",{class:p},o):document.createTextNode(o);a?s?s.append(d):(s=i("mark",{},d),t.push(s)):(s=null,t.push(d))}return t}var re={baseline:"baseline (unsteered)",steered:"steered",random:"random direction, same size"};function se(r,e,...n){let t=i("div",{class:"mp-answer-title"},i("small",{},re[r]),...n);return i("div",{class:"mp-answer","data-row":r},t,e)}var oe=r=>r.map(([e,n])=>i("span",{class:"mp-fact","data-kind":e},n));function ae({answers:r,spans:e,facts:n}){return b.map(t=>{let s=t==="baseline"?null:r.baseline,o=i("p",{},...F(r[t],s,e[t]));return se(t,o,i("span",{class:"mp-facts"},...oe(n?.[t]??[])))})}function pe(r){let n=r.target.matches('select, input[type="text"], input[type="number"]');return r.key.toLowerCase()==="r"&&!(r.ctrlKey||r.metaKey||r.altKey||n)}var N=class{element;reveal=i("button",{type:"button",class:"mp-reveal","data-testid":"reveal"},"Reveal (r)");texts;facts;boxes;constructor(e){let n=s=>i("p",{"data-testid":`answer-${s}`,"aria-label":re[s]});this.texts={baseline:n("baseline"),steered:n("steered"),random:n("random")};let t=s=>i("span",{class:"mp-facts","data-testid":`facts-${s}`,role:"status"});this.facts={baseline:t("baseline"),steered:t("steered"),random:t("random")},this.boxes=b.map(s=>{let o={baseline:[],steered:[this.reveal],random:[e]}[s];return se(s,this.texts[s],this.facts[s],...o)}),this.element=i("div",{class:"mp-live"},...this.boxes)}draw(e,{hidden:n,awaited:t,lacking:s}){let o=e.lines.baseline;b.forEach((a,p)=>{let d=e.lines[a],l=a!=="baseline"&&!d.old&&!o.old&&o.text!=="",m=this.boxes[p];m&&(m.dataset.old=String(d.old)),this.texts[a].setAttribute("aria-busy",String(d.old&&t));let c=n&&a==="steered",f=c?[i("span",{class:"mp-covered"},"What will it say?")]:a!=="baseline"&&d.text===""&&s!==""?[i("span",{class:"mp-note"},s)]:F(d.text,l?o.text:null,d.spans);this.texts[a].replaceChildren(...f),this.facts[a].replaceChildren(...c||d.old?[]:oe(d.facts))}),this.reveal.hidden=!n}};var le=r=>(r>0?"+":"")+v(r);function Be(r,e){let{concept:n,second:t,window:s,scope:o}=r,a=[`${w(n)} ${le(r.strength)}`];t&&a.push(`${w(t)} ${le(r.second_strength)}`);let[p,d]=s,l=p===d?`layer ${p}`:`layers ${p}\u2013${d}`,m=e.find(([c])=>c===o)?.[1]??o;return[a.join(" and "),l,m,`seed ${r.seed}`].join(" \xB7 ")}function de(r,e,n){return r.map(t=>{let s=Be(t.setting,e),o=i("button",{type:"button","aria-label":`use the pinned setting ${s}`},"Use"),a=i("button",{type:"button","aria-label":`remove the pinned setting ${s}`},"Remove");o.addEventListener("click",()=>n.use(t.setting)),a.addEventListener("click",()=>n.remove(t.id));let p=i("p",{class:"mp-note"},`${t.picture} \xB7 \u201C${t.setting.prompt}\u201D`),d=i("div",{class:"mp-pin-head"},i("b",{},s),o,a),l={class:"mp-pin","data-testid":"pin",role:"group","aria-label":`pinned: ${s}`};return i("div",l,d,p,...ae(t))})}var Ie={picture:0,prompt:"",concept:"",second:"",second_strength:1,layer:0,window:[0,0],strength:1,scope:"last_prompt+generated",patches:[],positions:[],seed:0},me=Object.keys(Ie);function Ke(r,e,n){return[r,Math.max(r,Math.min(Math.max(...n),r+e[1]-e[0]))]}var O=r=>(r>0?"+":"")+v(r),j=class{constructor(e,n,t){this.model=e;this.move=n;if(this.listen(),this.find.setAttribute("list",this.found.id),this.find.setAttribute("aria-label","find a concept"),e.get("compact")){this.element=i("div",{class:"mp-steer"}),this.inLine();return}let s=i("div",{class:"mp-two"});s.append(u("Concept",this.concept).element,u("Second concept",this.second).element);let o=i("label",{class:"mp-through"},"to layer",this.last),a=i("div",{class:"mp-over"},this.layerBox.element,o),p=i("div",{class:"mp-over"},this.strengthBox.element);this.element=i("div",{class:"mp-steer"},s,this.unfit,t("concept","second")),this.element.append(a,this.layerTicks,t("layer","window"),p,this.safe,this.strengthTicks),this.element.append(t("strength"),this.secondBox.element,t("second_strength"))}model;move;element;line=[];more=[];find=i("input",{type:"search",placeholder:"find","data-testid":"find"});found=i("datalist",{id:g("concepts")});number=i("input",{type:"number","data-testid":"dose","aria-label":"dose as a number"});concept=i("select",{class:"mp-wide","data-testid":"concept"});second=i("select",{class:"mp-wide","data-testid":"second"});unfit=i("p",{class:"mp-note","data-testid":"unfit"});layer=i("input",{type:"range",step:1,"data-testid":"layer"});last=i("select",{"data-testid":"window","aria-label":"last layer of the window"});strength=i("input",{type:"range","data-testid":"strength"});secondStrength=i("input",{type:"range","data-testid":"second-strength"});layerBox=u("Layer",this.layer);strengthBox=u("Strength",this.strength);secondBox=u("Strength of second concept",this.secondStrength);layerTicks=i("div");strengthTicks=i("div");safe=i("div",{class:"mp-safe","data-testid":"safe"});inLine(){this.concept.setAttribute("aria-label","concept"),this.layer.setAttribute("aria-label","layer"),this.strength.setAttribute("aria-label","strength"),this.line.push(i("span",{class:"mp-concepts"},this.concept,this.find,this.found),i("span",{class:"mp-layer"},this.layerBox.element,i("label",{},"to ",this.last)),i("span",{class:"mp-dose"},this.strengthBox.element,this.safe),this.number),this.more.push(u("Second concept",this.second).element,this.secondBox.element)}listen(){let{model:e,move:n}=this;this.concept.addEventListener("change",()=>n({concept:this.concept.value})),this.second.addEventListener("change",()=>n({second:this.second.value})),this.strength.addEventListener("input",()=>n({strength:Number(this.strength.value)})),this.secondStrength.addEventListener("input",()=>n({second_strength:Number(this.secondStrength.value)})),this.number.addEventListener("change",()=>{let t=e.get("strength_limit");n({strength:Math.max(-t,Math.min(t,Number(this.number.value)||0))})}),this.find.addEventListener("change",()=>{let t=this.find.value.trim().toLowerCase(),s=e.get("concepts"),o=s.find(a=>a===t)??s.find(a=>t&&a.includes(t));o&&n({concept:o}),this.find.value=""}),this.layer.addEventListener("input",()=>{let t=Number(this.layer.value);n({layer:t,window:Ke(t,e.get("window"),e.get("layers"))})}),this.last.addEventListener("change",()=>{let t=e.get("layer");n({layer:t,window:[t,Number(this.last.value)]})})}fill(){let{model:e}=this,[n,t]=[e.get("categories"),e.get("unfit")],s=e.get("concepts").map((m,c)=>({value:m,label:m,group:t[m]??n[c]??"",unfit:m in t}));s.sort((m,c)=>Number(m.unfit)-Number(c.unfit)),H(this.concept,s,e.get("concept")),H(this.second,[{value:"",label:"none"},...s],e.get("second"));let o=e.get("layers"),a=o.length>0,[p,d]=a?[Math.min(...o),Math.max(...o)]:[0,0];Object.assign(this.layer,{min:String(p),max:String(d),disabled:!a});let l=e.get("strength_limit");this.found.replaceChildren(...s.map(({value:m})=>i("option",{value:m})));for(let m of[this.strength,this.secondStrength,this.number])Object.assign(m,{min:String(-l),max:String(l),step:String(e.get("strength_step"))});this.layerTicks.replaceChildren(a?$(p,d,Math.max(1,Math.ceil((d-p)/12))):""),this.strengthTicks.replaceChildren($(-l,l,l>4?Math.ceil(l/4):1));for(let m of[this.concept,this.second])m.disabled=s.length===0}draw(){let{model:e}=this,n=Q(e.get("strength_unit")),[t,s]=[e.get("strength"),e.get("second_strength")];this.concept.value=e.get("concept"),this.second.value=e.get("second");let o=e.get("unfit");for(let l of[this.concept,this.second])l.classList.toggle("mp-unfit",l.value in o);this.unfit.textContent=o[this.concept.value]??"",h(this.unfit,this.unfit.textContent!=="");let[a,p]=e.get("window"),d=a===p?"":` at each of layers ${a}\u2013${p}`;this.drawRange(this.strength,t,this.strengthBox.value,`${O(t)} ${n}${d}`),document.activeElement!==this.number&&(this.number.value=String(t)),this.strengthBox.element.title=`dose: ${O(t)} ${n}${d}`,this.drawRange(this.secondStrength,s,this.secondBox.value,`${O(s)} ${n}${d}`),h(this.secondBox.element,e.get("second")!==""),this.drawLayers(),this.drawFluency()}drawRange(e,n,t,s){e.value=String(n),t.textContent=s,e.setAttribute("aria-valuetext",s),z(e,0,n)}drawLayers(){let[e,n]=this.model.get("window"),t=this.model.get("layers").filter(s=>s>=e);this.last.replaceChildren(...t.map(s=>i("option",{value:s},String(s)))),this.last.value=String(n),this.last.disabled=t.length<2,this.layer.value=String(e),this.layerBox.value.textContent=e===n?String(e):`${e} to ${n}`,this.layer.setAttribute("aria-valuetext",`${e===n?"layer":"layers"} ${this.layerBox.value.textContent}`),z(this.layer,e,n)}drawFluency(){let{model:e}=this,[n,t]=[e.get("safe_low"),e.get("safe_high")];this.safe.style.setProperty("--safe-from",y(this.strength,n)),this.safe.style.setProperty("--safe-to",y(this.strength,t)),this.safe.title=`on the map's images, answers have perplexity under \xD7 2 from ${v(n)} to ${v(t)}`,this.safe.hidden=n===t}};var ce=`.mp {
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
`;var he=`.mp-panel .mp-pill {
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
  font-size: 13px;
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
  font-size: 12px;
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
  font-size: 12px;
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
  font: 12px / 1.5 var(--mp-mono);
  white-space: pre-wrap;
  overflow-wrap: anywhere;
}
`;var ue=`/* The panel of the lab: a line of controls, the image beside the answers, nothing that pushes what is below. */
.mp.mp-compact {
  padding: 0 10px 4px;
}
.mp-compact .mp-line {
  display: flex;
  align-items: center;
  gap: 10px;
  height: 40px;
}
.mp-compact .mp-line > * {
  flex: none;
}
.mp-compact .mp-concepts {
  display: flex;
  gap: 4px;
}
.mp-compact .mp-concepts select {
  width: 118px;
  padding: 3px 4px;
}
.mp-compact input:is([type="search"], [type="number"]) {
  width: 58px;
  padding: 3px 5px;
  border: 1px solid var(--mp-edge);
  border-radius: 5px;
  background: var(--mp-bg);
  color: var(--mp-ink);
  font: inherit;
  font-size: 12px;
}
.mp-compact .mp-layer {
  display: flex;
  align-items: center;
  gap: 6px;
  font-size: 12px;
}
.mp-compact .mp-layer select {
  padding: 2px 3px;
}
.mp-compact .mp-layer > div,
.mp-compact .mp-dose > div:first-child {
  display: flex;
  align-items: center;
  gap: 6px;
}
.mp-compact .mp-line .mp-label {
  flex: none;
  margin: 0;
}
.mp-compact .mp-line .mp-dose .mp-label b {
  display: none;
}
.mp-compact .mp-layer input[type="range"] {
  width: 64px;
}
.mp-compact .mp-line .mp-dose {
  position: relative;
  flex: 1 1 120px;
  min-width: 100px;
  max-width: 420px;
}
.mp-compact .mp-dose input[type="range"] {
  flex: 1 1 60px;
  min-width: 60px;
}
.mp-compact .mp-dose .mp-safe {
  position: absolute;
  right: 0;
  bottom: 0;
  left: 58px;
  margin: 0;
}
.mp-compact .mp-body {
  display: grid;
  grid-template-columns: 122px minmax(0, 1fr);
  gap: 12px;
  height: 190px;
}
.mp-compact .mp-seen,
.mp-compact .mp-said {
  display: flex;
  flex-direction: column;
  min-width: 0;
  min-height: 0;
}
.mp.mp-compact .mp-figure,
.mp.mp-compact .mp-picture {
  width: 118px;
}
.mp.mp-compact .mp-figure + figcaption {
  max-width: 118px;
  margin: 0;
  font-size: 12px;
}
.mp.mp-compact .mp-thumbs {
  flex-wrap: nowrap;
  width: 122px;
  max-height: none;
  margin: 0;
  overflow: auto hidden;
  scrollbar-width: thin;
}
.mp.mp-compact .mp-thumbs button {
  flex: none;
  width: 24px;
  height: 24px;
}
.mp-compact .mp-ask {
  display: flex;
  flex: none;
  align-items: center;
  gap: 6px;
  height: 30px;
}
.mp.mp-compact .mp-ask > input {
  flex: 1 1 120px;
  width: 0;
  padding: 3px 8px;
}
.mp.mp-compact .mp-ask > button {
  padding: 2px 8px;
  font-size: 12px;
}
.mp-compact .mp-ask .mp-pill {
  max-width: 190px;
  overflow: hidden;
  white-space: nowrap;
}
.mp-compact .mp-rate {
  max-width: 200px;
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
}
.mp-compact .mp-live {
  display: grid;
  flex: 1 1 0;
  grid-template-columns: repeat(3, minmax(0, 1fr));
  gap: 10px;
  min-height: 0;
}
.mp.mp-compact .mp-live .mp-answer {
  position: relative;
  display: flex;
  flex-direction: column;
  min-height: 0;
  margin: 2px 0;
}
.mp.mp-compact .mp-live .mp-answer p {
  order: 1;
  flex: 1 1 auto;
  min-height: 21px;
  overflow: auto;
}
/* Title above, facts below the answer. */
.mp.mp-compact .mp-live .mp-answer-title {
  display: contents;
}
.mp.mp-compact .mp-live .mp-answer-title small {
  flex: none;
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
}
.mp.mp-compact .mp-live :is(.mp-pair, .mp-reveal) {
  position: absolute;
  top: 0;
  right: 0;
  background: var(--mp-bg);
}
.mp.mp-compact .mp-live .mp-pair input {
  width: 44px;
  padding: 0 3px;
}
.mp.mp-compact .mp-live .mp-facts {
  flex: none;
  order: 2;
  max-height: 38px;
  overflow: hidden auto;
}
.mp-compact .mp-verdict-line {
  display: flex;
  flex: none;
  align-items: center;
  gap: 8px;
  height: 24px;
  font-weight: 600;
}
.mp-compact .mp-verdict {
  min-width: 0;
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
}
.mp.mp-compact .mp-verdict-line button {
  flex: none;
  padding: 0 8px;
  font-size: 12px;
}
/* One line, whatever there is to say. */
.mp-compact .mp-notes {
  display: flex;
  flex: none;
  gap: 10px;
  align-items: center;
  height: 22px;
  overflow: hidden;
}
.mp-compact .mp-notes > :not(.mp-place) {
  flex: 0 1 auto;
  min-width: 60px;
  margin: 0;
  overflow: hidden;
  font-size: 12px;
  text-overflow: ellipsis;
  white-space: nowrap;
}
.mp-compact .mp-notes .mp-place {
  min-width: 0;
}
.mp.mp-compact .mp-notes .mp-error {
  margin: 0;
  padding: 1px 8px;
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
}
.mp.mp-compact :is(.mp-answer small, .mp-note, .mp-seg label, .mp-fold, .mp-fold pre, .mp-pair) {
  font-size: 12px;
}
.mp-projector.mp-compact .mp-answer p {
  font-size: 20px;
}
.mp-ask .mp-pop > .mp-sheet,
.mp-line .mp-pop > .mp-sheet {
  right: 0;
  left: auto;
}
@container (max-width: 760px) {
  .mp-compact .mp-line {
    flex-wrap: wrap;
    gap: 4px 10px;
    height: auto;
    padding: 5px 0;
  }
}
@container (max-width: 600px) {
  .mp-compact .mp-body {
    grid-template-rows: 196px 122px;
    grid-template-columns: minmax(0, 1fr);
    gap: 4px;
    height: auto;
  }
  .mp-compact .mp-said {
    order: -1;
  }
  .mp-compact .mp-seen,
  .mp-compact .mp-seen > div {
    display: grid;
    grid-template-rows: 22px 32px max-content;
    grid-template-columns: 118px minmax(0, 1fr);
    gap: 2px 12px;
  }
  .mp-compact .mp-seen > div {
    grid-row: 1 / 4;
    grid-column: 1 / -1;
  }
  .mp-compact .mp-seen .mp-figure {
    grid-row: 1 / 4;
  }
  .mp.mp-compact .mp-figure + figcaption,
  .mp.mp-compact .mp-thumbs {
    grid-column: 2;
    width: auto;
    max-width: none;
  }
  .mp-compact .mp-seen > details {
    grid-row: 3;
    grid-column: 2;
    justify-self: start;
  }
}
`;var ge=`.mp-panel .mp-pair {
  display: inline-flex;
  align-items: center;
  gap: 4px;
  color: var(--mp-faint);
  font-size: 12px;
}
.mp-panel .mp-pair input[type="number"] {
  width: 52px;
  padding: 2px 3px 2px 5px;
  border: 1px solid var(--mp-edge);
  border-radius: 5px;
  background: var(--mp-bg);
  color: var(--mp-ink);
  font: inherit;
  font-size: 12px;
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
  font-size: 12px;
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
`;var fe=`.mp-panel .mp-panes {
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
  font-size: 12px;
  overflow-wrap: anywhere;
}
`;var ve=`.mp-projector .mp-answer p {
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
`;var xe=[ce,fe,ge,he,ve,ue].join(`
`);var A=class{constructor(e,n=t=>queueMicrotask(t)){this.draws=e;this.later=n}draws;later;stale=new Set;ask(...e){let n=this.stale.size>0;for(let t of e)this.stale.add(t);!n&&e.length>0&&this.later(()=>this.draw())}draw(){let e=new Set(this.stale);this.stale.clear();for(let n of Object.keys(this.draws))e.has(n)&&this.draws[n]()}};function Ye(r,e,n){let t=Math.min(1,n/Math.max(r,e,1));return[Math.max(1,Math.round(r*t)),Math.max(1,Math.round(e*t))]}async function be(r){if(r.size<=3e6)return r.arrayBuffer();let e=await createImageBitmap(r),[n,t]=Ye(e.width,e.height,1568),s=new OffscreenCanvas(n,t),o=s.getContext("2d");if(!o)throw new Error("this browser cannot scale the image");return o.drawImage(e,0,0,n,t),e.close(),(await s.convertToBlob({type:"image/jpeg",quality:.95})).arrayBuffer()}var Je=["concepts","categories","unfit","layers","suggestions","scopes","strength_limit","strength_step"],Xe=["receipt","code","status","rate","strength_unit","activity"],Qe=["message","cause","prompt_note","scope_note","picture_note","advice","image_note","other_image"],Ze=["words","negations","concept"],et=600,B=class{constructor(e,n,t){this.model=e;this.answers=P(e.get("answers")),this.kernel=R(e),this.parts=new A({choices:()=>this.fillChoices(),settings:()=>this.drawSettings(),fluency:()=>this.steer.drawFluency(),outcome:()=>this.drawOutcome(),notices:()=>this.drawNotices(),answers:()=>this.drawAnswers(),pins:()=>this.drawPins()});let s={pick:a=>this.move({picture:a}),draw:a=>this.ask("scene",{seed:a}),bring:a=>{this.onFile(a)}},o=e.get("compact");this.gallery=new C(s,this.notices.place("picture"),o),this.steer=new j(e,a=>this.move(a),(...a)=>this.notices.place(...a)),this.naming=new L({words:a=>this.count({words:{...e.get("words"),[e.get("concept")]:a}}),negations:a=>this.count({negations:a})}),this.seed.id=g("seed"),this.rows=new N(i("span",{class:"mp-pair"},i("label",{for:this.seed.id},"seed"),this.seed)),this.prompt.setAttribute("list",this.suggestions.id),o?this.root.append(...this.compact(t)):this.root.append(i("div",{class:"mp-panes"},this.left(),this.right())),this.root.classList.toggle("mp-compact",o),n.append(this.root),this.listen(t),this.onControls(),this.fillChoices(),this.drawSettings(),this.drawOutcome(),this.drawNotices(),this.drawAnswers(),this.drawPins()}model;root=q(xe,"panel","Steering panel");gallery;steer;rows;prompt=i("input",{type:"text",class:"mp-wide","data-testid":"prompt",spellcheck:"false"});suggestions=i("datalist",{id:g("suggestions")});seed=i("input",{type:"number",min:0,step:1,"data-testid":"seed"});scopeBox=i("div");scope=i("fieldset");tokens=i("span");pinned=i("span");verdict=i("span",{class:"mp-verdict",role:"status","data-testid":"verdict"});why=i("button",{type:"button","data-testid":"why"},"why?");projector=i("button",{type:"button","data-testid":"projector"},"Projector");outcome=new T;notices=new k;naming;pins=i("div",{class:"mp-pins","data-testid":"pins"});answers;patience=new S(e=>this.drawBusy(e));typing;kernel;parts;waiting=!1;left(){let e=i("div",{class:"mp-head"},i("h3",{},"Image")),{notices:n}=this,t=i("div",{class:"mp-left"},e,this.gallery.element,n.image,n.picture);return t.append(u("Prompt",this.prompt).element,this.suggestions,n.prompt,n.place("prompt")),t.append(i("span",{class:"mp-label"},"Steer at"),this.scopeBox,n.scope,n.place("scope")),t}right(){let{rate:e,pill:n,stop:t,pin:s,receipt:o,code:a}=this.outcome,p=i("div",{class:"mp-head"},i("h3",{},"Steer"),e,n,t),d=i("div",{class:"mp-head mp-answers-head"},i("h3",{},"Answers"),s,this.projector),l=i("div",{class:"mp-compare"},this.rows.element,this.pins),m=this.notices.place("","pin","seed"),c=i("div",{class:"mp-right"},p,this.steer.element,this.notices.advice,d,m,l);return c.append(this.naming.element,o.element,a.element),c}compact(e){let{notices:n,outcome:t,gallery:s,steer:o,rows:a}=this,p=(K,Ne,D)=>{let U=i("button",{type:"button","data-testid":K,title:D,"aria-label":D},Ne);return U.addEventListener("click",()=>this.model.send({kind:"call",name:K})),U},d=x("tokens",i("span",{},"at ",this.tokens),e,i("b",{},"Steer at"),this.scopeBox),l=i("div",{class:"mp-line"},...o.line,d);l.append(p("recommended","\u2605","go to the recommended setting of this concept")),l.append(p("surprise","surprise","go to the recommended setting of another concept"));let m=x("more","more",e,...o.more,this.naming.element,t.receipt.element);m.lastElementChild?.append(t.code.element,this.projector);let c=x("pinned",this.pinned,e,this.pins),f=x("image","image",e,s.tools);this.prompt.setAttribute("aria-label","prompt");let{pill:we,rate:ye,stop:ke,pin:Ee}=t,Me=i("div",{class:"mp-ask"},this.prompt,this.suggestions,ye,we,ke,Ee,c,m);this.why.addEventListener("click",()=>this.model.send({kind:"call",name:"why"}));let Le=i("div",{class:"mp-verdict-line"},this.verdict,this.why),Te=n.place("","pin","seed","picture","prompt","scope","concept","layer","strength"),I=i("div",{class:"mp-notes"},Te,n.image,n.picture,n.prompt);I.append(n.scope,o.unfit,n.advice);let Se=i("div",{class:"mp-said"},Me,a.element,Le,I),Ce=i("div",{class:"mp-seen"},s.element,f);return[l,i("div",{class:"mp-body"},Ce,Se)]}listen(e){let{model:n}=this,t=(p,d)=>{for(let l of p)n.on(`change:${l}`,d),e.addEventListener("abort",()=>n.off(`change:${l}`,d))},{parts:s}=this;t(Je,()=>s.ask("choices","settings","pins")),t(["pictures","scene_seed",...me],()=>s.ask("settings")),t(["doses","safe_low","safe_high"],()=>s.ask("fluency")),t(Xe,()=>s.ask("outcome")),t(Qe,()=>s.ask("notices")),t(["message"],()=>this.onComplaint()),t(["concepts","activity",...Ze,"projector","revealed"],()=>s.ask("answers")),t(["pins"],()=>s.ask("pins")),t(["verdict"],()=>s.ask("outcome")),t(["serial"],()=>this.onMove()),t(["answers"],()=>{this.answers=J(this.answers,n.get("answers"),n.get("serial")),s.ask("answers")});let o=()=>this.onKernel();this.kernel?.on("comm_live_update",o);let a=p=>this.onMessage(p);n.on("msg:custom",a),e.addEventListener("abort",()=>{n.off("msg:custom",a),this.kernel?.off("comm_live_update",o),this.gallery.close(),this.patience.end(),clearTimeout(this.typing)})}onControls(){this.gallery.listen(this.root),this.prompt.addEventListener("change",()=>this.move({prompt:this.prompt.value})),this.prompt.addEventListener("input",()=>{clearTimeout(this.typing),this.typing=setTimeout(()=>this.move({prompt:this.prompt.value}),et)}),this.seed.addEventListener("change",()=>this.move({seed:Math.max(0,Math.round(Number(this.seed.value)))})),this.outcome.stop.addEventListener("click",()=>this.onStop()),this.outcome.pin.addEventListener("click",()=>this.model.send({kind:"pin"})),this.projector.addEventListener("click",()=>this.tell("show",{projector:!this.model.get("projector"),revealed:!1})),this.notices.other.addEventListener("click",()=>this.ask("eligible",{})),this.rows.reveal.addEventListener("click",()=>this.tell("show",{revealed:!0})),this.root.addEventListener("keydown",e=>{pe(e)&&this.hidden()&&this.tell("show",{revealed:!0})})}tell(e,n,t={}){for(let[s,o]of Object.entries({...n,...t}))this.model.set(s,o);this.model.send({kind:e,state:n,...t})}ask(e,n,t){this.model.send({kind:e,...n},void 0,t),this.wait()}wait(){this.alive()&&(this.waiting=!0,this.patience.begin())}count(e){this.model.send({kind:"naming",state:e})}move(e){clearTimeout(this.typing),Object.entries(e).filter(([t,s])=>JSON.stringify(this.model.get(t))!==JSON.stringify(s)).length!==0&&this.run(e)}run(e){this.model.set("revealed",!1),this.tell("set",e,{serial:this.model.get("serial")+1})}async onFile(e){try{this.ask("picture",{name:e.name},[await be(e)])}catch{this.notices.complain(`${e.name} could not be read as an image.`,"picture",!0)}}onStop(){this.model.get("status")==="running"?this.model.send({kind:"cancel"}):this.run({})}hidden(){return this.model.get("projector")&&!this.model.get("revealed")}alive(){return this.kernel?.comm_live??!0}onKernel(){this.alive()||this.endWaiting(),this.parts.ask("outcome","answers")}onMove(){this.answers=V(this.answers),this.wait(),this.parts.ask("answers")}onComplaint(){this.model.get("message")!==""&&this.endWaiting()}drawBusy(e){this.waiting&&(this.outcome.rate.textContent=e,this.root.dataset.busy="true")}onMessage(e){let n=this.answers;this.answers=Y(n,e,this.model.get("serial")),this.answers!==n&&(e.kind==="start"&&this.answers.current&&this.endWaiting(),this.drawAnswers())}endWaiting(){this.patience.end(),this.waiting=!1,delete this.root.dataset.busy,this.outcome.rate.textContent="",this.parts.ask("outcome")}drawOutcome(){this.outcome.draw(this.model,this.alive());let e=this.model.get("verdict");this.verdict.textContent!==e&&(this.verdict.textContent=e),this.verdict.title=e,h(this.why,e!=="")}drawNotices(){let{model:e}=this;this.notices.complain(e.get("message"),e.get("cause"),this.root.contains(document.activeElement)),this.notices.note({prompt:e.get("prompt_note"),scope:e.get("scope_note"),picture:e.get("picture_note"),advice:e.get("advice")}),this.notices.suit(e.get("image_note"),this.alive()?e.get("other_image"):-1)}lacking(){return this.model.get("activity")!==""?"Waiting for the concept vectors.":this.model.get("concepts").length===0?"There are no concept vectors yet: set panel.vectors.":""}fillChoices(){let{model:e}=this;this.steer.fill();let n=e.get("scopes").map(([t,s])=>({value:t,label:s}));this.scope=Z("scope","steer at",n,t=>this.move({scope:t})),this.scopeBox.replaceChildren(this.scope),this.suggestions.replaceChildren(...e.get("suggestions").map(t=>i("option",{value:t})))}drawSettings(){let{model:e}=this;this.gallery.fill(e.get("pictures"),e.get("scene_seed")),this.gallery.choose(e.get("picture")),document.activeElement!==this.prompt&&(this.prompt.value=e.get("prompt")),document.activeElement!==this.seed&&(this.seed.value=String(e.get("seed"))),ee(this.scope,e.get("scope"));let n=e.get("scopes").find(([t])=>t===e.get("scope"))?.[1];this.tokens.textContent=n??e.get("scope"),this.steer.draw()}drawAnswers(){let{model:e}=this,n=e.get("concept"),t=this.lacking();this.rows.draw(this.answers,{hidden:this.hidden(),awaited:this.alive(),lacking:t}),this.naming.draw(n,e.get("words")[n]??[],e.get("negations")),this.projector.setAttribute("aria-pressed",String(e.get("projector"))),this.root.classList.toggle("mp-projector",e.get("projector"))}drawPins(){let{model:e}=this,n={use:t=>this.move(t),remove:t=>e.send({kind:"unpin",id:t})};this.pins.replaceChildren(...de(e.get("pins"),e.get("scopes"),n)),h(this.pins,e.get("pins").length>0),this.pinned.textContent=`pins (${e.get("pins").length})`}};function tt({model:r,el:e,signal:n}){let t=new AbortController;return n?.addEventListener("abort",()=>t.abort()),new B(r,e,t.signal),()=>t.abort()}var xn={render:G(tt)};export{xn as default};
