var dt=globalThis,_t=e=>e,et=dt.trustedTypes,Tt=et?et.createPolicy("lit-html",{createHTML:e=>e}):void 0,ht="$lit$",E=`lit$${Math.random().toFixed(9).slice(2)}$`,gt="?"+E,fe=`<${gt}>`,R=document,K=()=>R.createComment(""),q=e=>e===null||typeof e!="object"&&typeof e!="function",ft=Array.isArray,Ft=e=>ft(e)||typeof e?.[Symbol.iterator]=="function",ut=`[ 	
\f\r]`,V=/<(?:(!--|\/[^a-zA-Z])|(\/?[a-zA-Z][^>\s]*)|(\/?$))/g,Nt=/-->/g,Et=/>/g,S=RegExp(`>|${ut}(?:([^\\s"'>=/]+)(${ut}*=${ut}*(?:[^ 	
\f\r"'\`<>=]|("|')|))|$)`,"g"),St=/'/g,Ct=/"/g,Pt=/^(?:script|style|textarea|title)$/i,bt=e=>(t,...n)=>({_$litType$:e,strings:t,values:n}),v=bt(1),mn=bt(2),un=bt(3),T=Symbol.for("lit-noChange"),b=Symbol.for("lit-nothing"),Rt=new WeakMap,C=R.createTreeWalker(R,129);function Lt(e,t){if(!ft(e)||!e.hasOwnProperty("raw"))throw Error("invalid template strings array");return Tt!==void 0?Tt.createHTML(t):t}var Dt=(e,t)=>{let n=e.length-1,r=[],o,s=t===2?"<svg>":t===3?"<math>":"",i=V;for(let l=0;l<n;l++){let a=e[l],p,c,m=-1,u=0;for(;u<a.length&&(i.lastIndex=u,c=i.exec(a),c!==null);)u=i.lastIndex,i===V?c[1]==="!--"?i=Nt:c[1]!==void 0?i=Et:c[2]!==void 0?(Pt.test(c[2])&&(o=RegExp("</"+c[2],"g")),i=S):c[3]!==void 0&&(i=S):i===S?c[0]===">"?(i=o??V,m=-1):c[1]===void 0?m=-2:(m=i.lastIndex-c[2].length,p=c[1],i=c[3]===void 0?S:c[3]==='"'?Ct:St):i===Ct||i===St?i=S:i===Nt||i===Et?i=V:(i=S,o=void 0);let g=i===S&&e[l+1].startsWith("/>")?" ":"";s+=i===V?a+fe:m>=0?(r.push(p),a.slice(0,m)+ht+a.slice(m)+E+g):a+E+(m===-2?l:g)}return[Lt(e,s+(e[n]||"<?>")+(t===2?"</svg>":t===3?"</math>":"")),r]},Y=class e{constructor({strings:t,_$litType$:n},r){let o;this.parts=[];let s=0,i=0,l=t.length-1,a=this.parts,[p,c]=Dt(t,n);if(this.el=e.createElement(p,r),C.currentNode=this.el.content,n===2||n===3){let m=this.el.content.firstChild;m.replaceWith(...m.childNodes)}for(;(o=C.nextNode())!==null&&a.length<l;){if(o.nodeType===1){if(o.hasAttributes())for(let m of o.getAttributeNames())if(m.endsWith(ht)){let u=c[i++],g=o.getAttribute(m).split(E),y=/([.?@])?(.*)/.exec(u);a.push({type:1,index:s,name:y[2],strings:g,ctor:y[1]==="."?rt:y[1]==="?"?ot:y[1]==="@"?st:P}),o.removeAttribute(m)}else m.startsWith(E)&&(a.push({type:6,index:s}),o.removeAttribute(m));if(Pt.test(o.tagName)){let m=o.textContent.split(E),u=m.length-1;if(u>0){o.textContent=et?et.emptyScript:"";for(let g=0;g<u;g++)o.append(m[g],K()),C.nextNode(),a.push({type:2,index:++s});o.append(m[u],K())}}}else if(o.nodeType===8)if(o.data===gt)a.push({type:2,index:s});else{let m=-1;for(;(m=o.data.indexOf(E,m+1))!==-1;)a.push({type:7,index:s}),m+=E.length-1}s++}}static createElement(t,n){let r=R.createElement("template");return r.innerHTML=t,r}};function F(e,t,n=e,r){if(t===T)return t;let o=r!==void 0?n._$Co?.[r]:n._$Cl,s=q(t)?void 0:t._$litDirective$;return o?.constructor!==s&&(o?._$AO?.(!1),s===void 0?o=void 0:(o=new s(e),o._$AT(e,n,r)),r!==void 0?(n._$Co??=[])[r]=o:n._$Cl=o),o!==void 0&&(t=F(e,o._$AS(e,t.values),o,r)),t}var nt=class{constructor(t,n){this._$AV=[],this._$AN=void 0,this._$AD=t,this._$AM=n}get parentNode(){return this._$AM.parentNode}get _$AU(){return this._$AM._$AU}u(t){let{el:{content:n},parts:r}=this._$AD,o=(t?.creationScope??R).importNode(n,!0);C.currentNode=o;let s=C.nextNode(),i=0,l=0,a=r[0];for(;a!==void 0;){if(i===a.index){let p;a.type===2?p=new B(s,s.nextSibling,this,t):a.type===1?p=new a.ctor(s,a.name,a.strings,this,t):a.type===6&&(p=new it(s,this,t)),this._$AV.push(p),a=r[++l]}i!==a?.index&&(s=C.nextNode(),i++)}return C.currentNode=R,o}p(t){let n=0;for(let r of this._$AV)r!==void 0&&(r.strings!==void 0?(r._$AI(t,r,n),n+=r.strings.length-2):r._$AI(t[n])),n++}},B=class e{get _$AU(){return this._$AM?._$AU??this._$Cv}constructor(t,n,r,o){this.type=2,this._$AH=b,this._$AN=void 0,this._$AA=t,this._$AB=n,this._$AM=r,this.options=o,this._$Cv=o?.isConnected??!0}get parentNode(){let t=this._$AA.parentNode,n=this._$AM;return n!==void 0&&t?.nodeType===11&&(t=n.parentNode),t}get startNode(){return this._$AA}get endNode(){return this._$AB}_$AI(t,n=this){t=F(this,t,n),q(t)?t===b||t==null||t===""?(this._$AH!==b&&this._$AR(),this._$AH=b):t!==this._$AH&&t!==T&&this._(t):t._$litType$!==void 0?this.$(t):t.nodeType!==void 0?this.T(t):Ft(t)?this.k(t):this._(t)}O(t){return this._$AA.parentNode.insertBefore(t,this._$AB)}T(t){this._$AH!==t&&(this._$AR(),this._$AH=this.O(t))}_(t){this._$AH!==b&&q(this._$AH)?this._$AA.nextSibling.data=t:this.T(R.createTextNode(t)),this._$AH=t}$(t){let{values:n,_$litType$:r}=t,o=typeof r=="number"?this._$AC(t):(r.el===void 0&&(r.el=Y.createElement(Lt(r.h,r.h[0]),this.options)),r);if(this._$AH?._$AD===o)this._$AH.p(n);else{let s=new nt(o,this),i=s.u(this.options);s.p(n),this.T(i),this._$AH=s}}_$AC(t){let n=Rt.get(t.strings);return n===void 0&&Rt.set(t.strings,n=new Y(t)),n}k(t){ft(this._$AH)||(this._$AH=[],this._$AR());let n=this._$AH,r,o=0;for(let s of t)o===n.length?n.push(r=new e(this.O(K()),this.O(K()),this,this.options)):r=n[o],r._$AI(s),o++;o<n.length&&(this._$AR(r&&r._$AB.nextSibling,o),n.length=o)}_$AR(t=this._$AA.nextSibling,n){for(this._$AP?.(!1,!0,n);t!==this._$AB;){let r=_t(t).nextSibling;_t(t).remove(),t=r}}setConnected(t){this._$AM===void 0&&(this._$Cv=t,this._$AP?.(t))}},P=class{get tagName(){return this.element.tagName}get _$AU(){return this._$AM._$AU}constructor(t,n,r,o,s){this.type=1,this._$AH=b,this._$AN=void 0,this.element=t,this.name=n,this._$AM=o,this.options=s,r.length>2||r[0]!==""||r[1]!==""?(this._$AH=Array(r.length-1).fill(new String),this.strings=r):this._$AH=b}_$AI(t,n=this,r,o){let s=this.strings,i=!1;if(s===void 0)t=F(this,t,n,0),i=!q(t)||t!==this._$AH&&t!==T,i&&(this._$AH=t);else{let l=t,a,p;for(t=s[0],a=0;a<s.length-1;a++)p=F(this,l[r+a],n,a),p===T&&(p=this._$AH[a]),i||=!q(p)||p!==this._$AH[a],p===b?t=b:t!==b&&(t+=(p??"")+s[a+1]),this._$AH[a]=p}i&&!o&&this.j(t)}j(t){t===b?this.element.removeAttribute(this.name):this.element.setAttribute(this.name,t??"")}},rt=class extends P{constructor(){super(...arguments),this.type=3}j(t){this.element[this.name]=t===b?void 0:t}},ot=class extends P{constructor(){super(...arguments),this.type=4}j(t){this.element.toggleAttribute(this.name,!!t&&t!==b)}},st=class extends P{constructor(t,n,r,o,s){super(t,n,r,o,s),this.type=5}_$AI(t,n=this){if((t=F(this,t,n,0)??b)===T)return;let r=this._$AH,o=t===b&&r!==b||t.capture!==r.capture||t.once!==r.once||t.passive!==r.passive,s=t!==b&&(r===b||o);o&&this.element.removeEventListener(this.name,this,r),s&&this.element.addEventListener(this.name,this,t),this._$AH=t}handleEvent(t){typeof this._$AH=="function"?this._$AH.call(this.options?.host??this.element,t):this._$AH.handleEvent(t)}},it=class{constructor(t,n,r){this.element=t,this.type=6,this._$AN=void 0,this._$AM=n,this.options=r}get _$AU(){return this._$AM._$AU}_$AI(t){F(this,t)}},Ht={M:ht,P:E,A:gt,C:1,L:Dt,R:nt,D:Ft,V:F,I:B,H:P,N:ot,U:st,B:rt,F:it},be=dt.litHtmlPolyfillSupport;be?.(Y,B),(dt.litHtmlVersions??=[]).push("3.3.3");var at=(e,t,n)=>{let r=n?.renderBefore??t,o=r._$litPart$;if(o===void 0){let s=n?.renderBefore??null;r._$litPart$=o=new B(t.insertBefore(K(),s),s,void 0,n??{})}return o._$AI(e),o};var L={ATTRIBUTE:1,CHILD:2,PROPERTY:3,BOOLEAN_ATTRIBUTE:4,EVENT:5,ELEMENT:6},Ot=e=>(...t)=>({_$litDirective$:e,values:t}),lt=class{constructor(t){}get _$AU(){return this._$AM._$AU}_$AT(t,n,r){this._$Ct=t,this._$AM=n,this._$Ci=r}_$AS(t,n){return this.update(t,n)}update(t,n){return this.render(...n)}};var{I:fn}=Ht;var It=e=>e.strings===void 0;var xe={},Bt=(e,t=xe)=>e._$AH=t;var zt=Ot(class extends lt{constructor(e){if(super(e),e.type!==L.PROPERTY&&e.type!==L.ATTRIBUTE&&e.type!==L.BOOLEAN_ATTRIBUTE)throw Error("The `live` directive is not allowed on child or event bindings");if(!It(e))throw Error("`live` bindings can only contain a single expression")}render(e){return e}update(e,[t]){if(t===T||t===b)return t;let n=e.element,r=e.name;if(e.type===L.PROPERTY){if(t===n[r])return T}else if(e.type===L.BOOLEAN_ATTRIBUTE){if(!!t===n.hasAttribute(r))return T}else if(e.type===L.ATTRIBUTE&&n.getAttribute(r)===t+"")return T;return Bt(e),t}});var Gt=`.mp {
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
`;function z(e,t={},...n){let r=document.createElement(e);for(let[o,s]of Object.entries(t))s!==void 0&&s!==!1&&r.setAttribute(o,s===!0?"":String(s));return r.append(...n),r}var Wt=0;function G(e){return Wt+=1,`mp-${e}-${Wt}-${Math.random().toString(36).slice(2,8)}`}function Ut(e,t,n){let r=z("section",{class:`mp mp-${t}`,"aria-label":n,"data-lm-suppress-shortcuts":"true"});return r.append(z("style",{},e)),r.addEventListener("keydown",o=>o.stopPropagation()),r}function jt(e,t){e.hidden=!t}var ve="No kernel is connected. Showing the saved state; rerun the cell to continue.",$e="Kernel restarted or stopped. Showing the last state; rerun the cell to continue.";function we(e){let t=e.get("layout");return typeof t?.comm_live=="boolean"&&t.on&&t.off?t:null}function Ae(e,t){return e?"":t?$e:ve}function Me(e,t){let n=we(e);if(!n||!t)return()=>{};let r=z("p",{class:"mp-kernel",role:"status","data-testid":"no-kernel"});t.prepend(r);let o=n.comm_live,s=()=>{o||=n.comm_live,r.textContent=Ae(n.comm_live,o),jt(r,!n.comm_live)};return n.on("comm_live_update",s),s(),()=>n.off("comm_live_update",s)}function Vt(e){return t=>{let n=e(t),r=Me(t.model,t.el.firstElementChild);return()=>{r(),n?.()}}}function W(e){return!(e>0)||e>=100?e>=100?0:1:e>2?1:Math.min(5,2-Math.min(0,Math.floor(Math.log10(e))+1))}function Kt(e){let[t,n]=e.toExponential(1).split("e");return Math.max(0,(t?.endsWith(".0")?0:1)-Number(n))}function _(e,t=1){if(!Number.isFinite(e))return"\u2013";let n=Math.abs(e).toFixed(t);return e<0&&Number(n)!==0?"\u2212"+n:n}function U(e,t=1){let n=_(e,t);return e>0&&Number(n)!==0?`+${n}`:n}var ke=[1,1.2,1.4,1.6,1.8,2,2.2,2.5,2.8,3,3.5,4,4.5,5,5.5,6,7,8,9,10];function xt(e){if(!(e>0)||!Number.isFinite(e))return 1;let t=10**Math.floor(Math.log10(e));return(ke.find(r=>r*t>=e*(1-1e-9))??10)*t}var X=e=>e===void 0?"":e<0?"input":String(e),yt=e=>e.replaceAll("_"," ");var D={light:{paper:"#ffffff",ink:"#1c2126",soft:"#5b6570",faint:"#6f7984",line:"#e0e4e8",edge:"#c4cad1",brand:"#1f6feb",warn:"#b3261e",good:"#1a7f4b",hatch:"#8a929b",zero:"#f7f8f9",positive:"#b2490a",negative:"#1f5fb4"},dark:{paper:"#16191e",ink:"#e7ebef",soft:"#a5aeb8",faint:"#a5aeb8",line:"#2a3038",edge:"#46505b",brand:"#5aa2ff",warn:"#ff8a80",good:"#58c48a",hatch:"#5d6670",zero:"#22272e",positive:"#ffa657",negative:"#58a6ff"},controls:{random:{label:"random directions",light:"#7a7a7a",dark:"#a2a9b0"},on_manifold:{label:"on-manifold directions",meaning:"in which activations differ",light:"#5f8a8b",dark:"#7fb3b4"},concepts:{label:"other concepts",light:"#8a7aa8",dark:"#b3a5d0"},shuffled:{label:"shuffled labels",light:"#a8927a",dark:"#c8b297"},orthogonal:{label:"orthogonal directions",light:"#8f8aa0",dark:"#b6b2c6"}},marks:{never_named:{label:"no answer names the concept",sign:"\u2013",marker:"dash",strokes:[[[0,.5],[1,.5]]]},broken:{label:"at least half of the answers broken",sign:"\xD7",marker:"x",strokes:[[[0,0],[1,1]],[[0,1],[1,0]]]}},faded:.35,categories:{entity:"#0072b2",visual_style:"#d55e00",emotion:"#a0447f",abstract:"#00795a",relation:"#8a6d00"},other_categories:["#5b4ea0","#7a3b1e","#00708c","#636300","#8c1d40","#3d5a1f"]};function vt(e){let t=n=>Number.parseInt(e.slice(n,n+2),16);return[t(1),t(3),t(5)]}var qt=({zero:e,positive:t,negative:n})=>({zero:vt(e),positive:vt(t),negative:vt(n)}),Te=qt(D.light),Ne=qt(D.dark),Ee=D.controls;var Yt=(e,t)=>(Ee[e]??D.controls.random)[t?"dark":"light"];function Se(e){let t=e.match(/[\d.]+/g)?.map(Number)??[];if(t.length<3||t[3]===0)return 1;let[n=0,r=0,o=0]=t.slice(0,3).map(s=>(s/255)**2.2);return .2126*n+.7152*r+.0722*o}function Xt(e){let t=getComputedStyle(e),n=Se(t.backgroundColor)<.25,r=o=>t.getPropertyValue(o).trim()||t.color;return{dark:n,paper:r("--mp-bg"),ink:r("--mp-ink"),soft:r("--mp-soft"),faint:r("--mp-faint"),line:r("--mp-line"),brand:r("--mp-brand"),font:t.fontFamily,...n?Ne:Te}}function Zt(e){let t=()=>setTimeout(e,30),n=new MutationObserver(t),r=["data-jp-theme-name","data-jp-theme-light","data-vscode-theme-id","data-theme","class"];n.observe(document.body,{attributes:!0,attributeFilter:r}),n.observe(document.documentElement,{attributes:!0,attributeFilter:r});let o=matchMedia("(prefers-color-scheme: dark)");return o.addEventListener("change",t),()=>{n.disconnect(),o.removeEventListener("change",t)}}function $t(e,t,n){let r=t>0?Math.max(-1,Math.min(1,e/t)):0,o=r>0?n.positive:n.negative,s=i=>Math.round(n.zero[i]+(o[i]-n.zero[i])*Math.abs(r));return[s(0),s(1),s(2)]}var Z=e=>`rgb(${e[0]},${e[1]},${e[2]})`;function d(e,t={},...n){let r=document.createElementNS("http://www.w3.org/2000/svg",e);for(let[o,s]of Object.entries(t))s!==void 0&&r.setAttribute(o,String(s));return r.append(...n),r}var Hn=Object.values(D.marks);function H(e){let t=Math.max(0,...e),n=Math.min(0,...e);return[n<0?-xt(-n):0,t>0?xt(t):n<0?0:1]}var O=([e,t],[n,r])=>o=>n+(o-e)/(t-e)*(r-n);function Qt(e,t){let n=[];for(let r of e)n.every(s=>Math.abs(r.at-s.at)>=(r.size+s.size)/2+t)&&n.push(r);return n}var f=e=>e??Number.NaN;var Re=[1,2,2.5,5,10],Fe=6.2,Jt=["layer","read_layer"],Pe=.5;function pt(e,t,n){let r=(t-e)/Math.max(1,n);if(!(r>0)||!Number.isFinite(r))return[e];let o=10**Math.floor(Math.log10(r)),s=o*(Re.find(a=>a*o>=r*(1-1e-9))??10),i=Math.ceil(e/s-1e-9),l=Math.floor(t/s+1e-9);return Array.from({length:l-i+1},(a,p)=>Number(((i+p)*s).toPrecision(12)))}function ct(e){let t=Math.abs((e[1]??1)-(e[0]??0))||1;return Math.max(0,Math.min(5,...[0,1,2,3,4,5].filter(n=>Math.abs(t-Number(t.toFixed(n)))<1e-9)))}function te(e){let t=e.lines??[],n=c=>c.flatMap(m=>[...m.y??[],...m.low??[],...m.high??[]]).map(f),r=n(t.filter(c=>c.concept)).filter(Number.isFinite),o=(e.points??[]).flatMap(c=>[...c.y,...c.low,...c.high]).map(f),s=[...n(t.filter(c=>!c.concept)),...o,...e.levels??[]].filter(Number.isFinite);if(s.length===0)return H(r);let[i,l]=[Math.min(0,...s),Math.max(0,...s)],a=Pe*(l-i),p=r.map(c=>Math.max(i-a,Math.min(l+a,c)));return H([...s,...p])}function ee(e,t){let n=[...(e.places??[]).flat(),...(e.points??[]).flatMap(a=>a.x)].map(f).filter(Number.isFinite),r=[t.left+12,t.width-t.right-12];if(e.points)return O(H(n),r);let o=e.x.log?Math.log:a=>a,[s,i]=[Math.min(...n),Math.max(...n)];if(!(i>s))return()=>(r[0]+r[1])/2;let l=O([o(s),o(i)],r);return a=>l(o(a))}function wt(e,t){return Jt.includes(e.dim??"")?`block ${X(t)}`:`${e.label??""} ${_(t,Number.isInteger(t)?0:2)}`.trim()}function Le(e,t,n){return Jt.includes(e.dim??"")?X(t):_(t,n)}function ne(e,t,n,r,o){let{width:s,height:i,left:l,right:a,bottom:p}=t,c=[],m=pt(...o,5);for(let x of m){let M=r(x).toFixed(1);c.push(d("path",{class:x===0?"mp-zero":"mp-rule",d:`M${l} ${M}H${s-a}`}));let h=_(x,ct(m));c.push(d("text",{x:l-6,y:r(x)+3.5,"text-anchor":"end"},h))}let u=(e.places??[]).flat().map(f).filter(Number.isFinite),[g,y]=e.points?H(e.points.flatMap(x=>x.x.map(f))):[0,0],$=e.x.ticks??(e.points?pt(g,y,6):[...new Set(u)].sort((x,M)=>x-M)),w=$.every(Number.isInteger)?0:Math.max(1,ct($)),A=[...new Set([$[0],$.at(-1),...$])].filter(x=>x!==void 0).map(x=>({at:n(x),text:Le(e.x,x,w)}));for(let{at:x,text:M}of Qt(A.map(h=>({...h,size:h.text.length*Fe})),8))c.push(d("text",{x,y:i-p+15,"text-anchor":"middle"},M));let N=(l+s-a)/2;return c.push(d("text",{class:"mp-axis",x:N,y:i-5,"text-anchor":"middle"},e.x.label??"")),c.push(d("text",{class:"mp-axis",x:4,y:11,"text-anchor":"start"},e.y.label??"")),c}var Q=320,De={left:52,right:14,top:24,bottom:40};function re(e,t,n,r){let o=Number.isFinite(t)&&Number.isFinite(n)?` [${_(t,r)}, ${_(n,r)}]`:"";return _(e,r)+o}function He(e,t){let n=!1;return e.map((o,s)=>{let i=t[s]??Number.NaN,l=Number.isFinite(o)&&Number.isFinite(i)?`${n?"L":"M"}${o.toFixed(1)} ${i.toFixed(1)}`:"";return n=l!=="",l}).join("")}function Oe(e,t){return e.control?Yt(e.control,t):e.colour??""}function oe(e,t){return`${e.control?"--own":"--of"}: ${Oe(e,t)}`}function Ie(e,t,{y:n}){return t.flatMap((r,o)=>{let[s,i]=[f(e.low?.[o]),f(e.high?.[o])];return!Number.isFinite(s)||!Number.isFinite(i)?[]:d("path",{class:"mp-interval",d:`M${r.toFixed(1)} ${n(s).toFixed(1)}V${n(i).toFixed(1)}`})})}function Be(e,t,n){let r=(t.chart.places?.[e.at]??[]).map(a=>t.x(f(a))),o=(e.y??[]).map(a=>t.y(f(a))),s=e.concept===void 0?e.layer===n.layer:e.concept===n.concept,i=e.concept===void 0?"mp-mean-line":"mp-concept-line",l=d("g",{class:`${i}${e.dashed?" mp-dashed":""}${s?" mp-chosen":""}`,style:oe(e,t.dark),"data-concept":e.concept});return l.append(d("path",{class:"mp-line",d:He(r,o)}),...Ie(e,r,t)),e.concept!==void 0||e.dashed||o.forEach((a,p)=>{Number.isFinite(a)&&l.append(d("circle",{class:"mp-dot",cx:r[p]??0,cy:a,r:3.2}))}),l}function ze(e,t,n){let{chart:r,x:o,y:s,digits:i}=n;return(e.y??[]).flatMap((l,a)=>{let[p,c]=[f(r.places?.[e.at]?.[a]),f(l)];if(!Number.isFinite(p)||!Number.isFinite(c))return[];let m=r.x.dim==="layer"?p:e.layer,u=e.concept!==void 0&&e.layer!==void 0?`, edited: block ${e.layer}`:"",g=re(c,f(e.low?.[a]),f(e.high?.[a]),i);return{x:o(p),y:s(c),row:t,column:a,text:`${e.concept??e.label??""}${u} \xB7 ${wt(r.x,p)} \xB7 ${g}`,...e.concept===void 0?{}:{concept:e.concept},...m===void 0?{}:{layer:m}}})}function Ge(e,t,n){let r=d("g",{class:"mp-points",style:`--of: ${e.colour}`});return e.concepts.forEach((o,s)=>{let[i,l]=[t.x(f(e.x[s])),t.y(f(e.y[s]))];if(!Number.isFinite(i)||!Number.isFinite(l))return;let[a,p]=[t.y(f(e.low[s])),t.y(f(e.high[s]))],c=o===n.concept?" mp-chosen":"",m=d("g",{class:`mp-single${c}`,"data-concept":o});Number.isFinite(a)&&Number.isFinite(p)&&m.append(d("path",{class:"mp-interval",d:`M${i.toFixed(1)} ${a.toFixed(1)}V${p.toFixed(1)}`})),m.append(d("circle",{class:"mp-dot",cx:i,cy:l,r:c?6:4})),r.append(m)}),r}function We(e,t,n){return[...e.concepts.keys()].sort((o,s)=>f(e.x[o])-f(e.x[s])).flatMap((o,s)=>{let[i,l,a]=[f(e.x[o]),f(e.y[o]),e.concepts[o]??""];if(!Number.isFinite(i)||!Number.isFinite(l))return[];let p=re(l,f(e.low[o]),f(e.high[o]),n.digits),c=`${a} (${e.label}) \xB7 ${wt(n.chart.x,i)} \xB7 ${p}`;return{x:n.x(i),y:n.y(l),row:t,column:s,text:c,concept:a}})}function Ue(e,t,n,r){if(e.x.dim!=="layer"||!(e.x.ticks??[]).includes(n))return[];let o=`M${t(n).toFixed(1)} ${r.top}V${r.height-r.bottom}`;return[d("path",{class:"mp-here",d:o,"data-layer":n})]}function se(e,t,n,r){let o={...De,width:Math.max(260,n),height:Q},s=te(e),i=O(s,[Q-o.bottom,o.top]),l=ee(e,o),a={chart:e,x:l,y:i,dark:r,digits:W(Math.max(...s.map(Math.abs)))},p=G("clip"),c=d("clipPath",{id:p}),m={x:o.left,y:o.top-8,width:o.width-o.left-o.right};c.append(d("rect",{...m,height:Q-o.bottom-o.top+16}));let u=d("g",{"clip-path":`url(#${p})`});for(let h of e.levels??[])u.append(d("path",{class:"mp-level",d:`M${o.left} ${i(h).toFixed(1)}H${o.width-o.right}`}));let g=e.lines??[],y=g.filter(h=>h.concept!==void 0),$=g.filter(h=>h.concept===void 0),w=y.filter(h=>h.concept===t.concept),k=[...y.filter(h=>!w.includes(h)),...$,...w];u.append(...k.map(h=>Be(h,a,t))),u.append(...(e.points??[]).map(h=>Ge(h,a,t)));let A=d("svg",{width:o.width,height:Q,viewBox:`0 0 ${o.width} ${Q}`});A.append(c,...ne(e,o,l,i,s),...Ue(e,l,t.layer,o),u);let N=[...[...$,...y].flatMap((h,I)=>ze(h,I,a)),...(e.points??[]).flatMap((h,I)=>We(h,I,a))],x=$.map(h=>({label:h.label??"",colour:oe(h,r),dashed:h.dashed===!0})),M=(e.points??[]).map(h=>({label:h.label,colour:`--of: ${h.colour}`,dashed:!1}));return{element:A,targets:N,legend:[...x,...M]}}var je=6.8,Ve=34,mt={least:9,most:34,widest:120};function Ke(e,t){let n=a=>Math.max(1,...a.map(p=>p.length))*je+10,r=Math.min(n(e.rows),t/3),o=(t-r-10)/Math.max(1,e.columns.length),s=Math.max(mt.least,Math.min(e.concepts?mt.most:mt.widest,o)),i=n(e.columns)>s,l=e.concepts?Math.max(mt.least,Math.min(20,s)):28;return{left:r,top:i?n(e.columns)+16:38,cellWidth:s,cellHeight:l,turned:i}}function qe(e,t,n){let{left:r,top:o,cellWidth:s,cellHeight:i,turned:l}=t,a=Math.max(8,Math.min(11,i-1)),p=u=>({class:e.concepts&&u===n.concept?"mp-name mp-chosen":"mp-name",style:`font-size: ${a}px`}),c=e.rows.map((u,g)=>{let y=o+(g+.5)*i+a/3;return d("text",{...p(u),x:r-5,y,"text-anchor":"end"},u)}),m=e.columns.map((u,g)=>{let y=r+(g+.5)*s;if(!l)return d("text",{...p(u),x:y,y:o-6,"text-anchor":"middle"},u);let $=`translate(${(y+a/3).toFixed(1)} ${o-5}) rotate(-90)`;return d("text",{...p(u),transform:$,"text-anchor":"start"},u)});return[...c,...m]}function Ye(e,t,n,r){let i=Array.from({length:24},(c,m)=>{let u=Z($t(2*(m+.5)/24-1,1,r));return d("rect",{x:t.left+m*120/24,y:n,width:5.5,height:8,fill:u})}),l=Kt(e.limit),a=(c,m,u)=>d("text",{x:t.left+c,y:n+20,"text-anchor":u},m),p=`${U(e.limit,l)} ${e.units}`.trim();return[...i,a(0,U(-e.limit,l),"start"),a(120/2,"0","middle"),a(120,p,"end")]}function Xe(e,t,n){let r=e.concepts?e.rows.indexOf(n.concept):-1;if(r<0)return[];let{left:o,top:s,cellWidth:i,cellHeight:l}=t,a=(p,c,m,u)=>d("rect",{class:"mp-frame",x:p,y:c,width:m,height:u});return[a(o,s+r*l,i*e.columns.length,l),a(o+r*i,s,i,l*e.rows.length)]}function ie(e,t,n,r,o){let s=Ke(t,r),{left:i,top:l,cellWidth:a,cellHeight:p}=s,c=W(t.limit),m=l+p*t.rows.length,u={width:Math.max(r,i+a*t.columns.length),height:m+Ve},g=d("svg",{...u,viewBox:`0 0 ${u.width} ${u.height}`}),y=[];t.values.forEach((k,A)=>{k.forEach((N,x)=>{let M=f(N),[h,I]=[i+x*a,l+A*p],de=Number.isFinite(M)?{fill:Z($t(M,t.limit,o))}:{class:"mp-unknown"};g.append(d("rect",{...de,x:h,y:I,width:a-.5,height:p-.5}));let[kt,he]=[t.rows[A]??"",t.columns[x]??""],ge=Number.isFinite(M)?`${U(M,c)} ${t.units}`.trim():"not known";y.push({x:h+a/2,y:I+p/2,row:A,column:x,text:`${kt} \xD7 ${he} \xB7 ${ge}`,...t.concepts?{concept:kt}:{}})})});let $=[e.y.label,e.x.label].filter(Boolean).join(" (rows), "),w=d("text",{class:"mp-axis",x:4,y:11},$?`${$} (columns)`:"");return g.append(w,...qe(t,s,n),...Xe(t,s,n)),g.append(...Ye(t,s,m+8,o)),{element:g,targets:y,legend:[]}}var At=150,j=24,ae=15,Ze=8,Qe=6;function Je(e){let t=j+At+22;return e.aspects.flatMap(([n,r],o)=>{let s=r.map((i,l)=>({aspect:o,value:l,label:`${n}: ${i}`,y:t+l*ae}));return t+=r.length*ae+Ze,s})}function tn(e,t){let n=f(e.values[t]),r=W(Math.max(...e.values.map(i=>Math.abs(i??0)))),o=Number.isFinite(n)?`${U(n,r)} ${e.units}`.trim():"not known",s=e.aspects.map(([i,l],a)=>`${i} ${l[e.chosen[t]?.[a]??0]??""}`).join(", ");return`way ${t+1} of ${e.values.length}${t===e.headline?" (headline)":""} \xB7 ${o} \xB7 ${s}`}function en(e,t,n,r){let o=pt(...e,4),s=ct(o);return o.flatMap(i=>[d("path",{class:i===0?"mp-zero":"mp-rule",d:`M${n} ${t(i).toFixed(1)}H${r}`}),d("text",{x:n-6,y:t(i)+3.5,"text-anchor":"end"},_(i,s))])}function le(e,t,n,r){let o=Je(t),s=Math.max(6,...o.map(w=>w.label.length))*Qe+12,i=Math.min(s,n*.45),l=Math.max(i+60,n-12),a=(l-i)/Math.max(1,t.values.length),p=w=>i+(w+.5)*a,c=H(t.values.map(f).filter(Number.isFinite)),m=O(c,[j+At,j]),u=(o.at(-1)?.y??j+At)+14,g=d("svg",{width:Math.max(n,l),height:u,viewBox:`0 0 ${Math.max(n,l)} ${u}`});g.append(...en(c,m,i,l),d("text",{class:"mp-axis",x:4,y:11},e.y.label??""));let y=Math.max(1.4,Math.min(4,a/2.4));g.append(d("rect",{class:"mp-headline",x:p(t.headline)-a/2-1,y:j-6,width:a+2,height:u-j}));for(let w of o)g.append(d("text",{class:"mp-name",x:i-6,y:w.y+3.5,"text-anchor":"end"},w.label));let $=t.values.map((w,k)=>{let A=f(w),N=k===t.headline?"mp-main":"",x=N||A===0?void 0:`fill: ${Z(A>0?r.positive:r.negative)}`,M={class:`mp-verdict ${N}`,style:x};Number.isFinite(A)&&g.append(d("circle",{...M,cx:p(k),cy:m(A),r:y}));for(let h of o)t.chosen[k]?.[h.aspect]===h.value&&g.append(d("circle",{class:`mp-setting ${N}`,cx:p(k),cy:h.y,r:Math.min(3,y)}));return{x:p(k),y:Number.isFinite(A)?m(A):m(0),row:0,column:k,text:tn(t,k)}});return{element:g,targets:$,legend:[]}}var nn=26,pe={ArrowLeft:[0,-1],ArrowRight:[0,1],ArrowUp:[-1,0],ArrowDown:[1,0]};function rn(e,t,n,r=nn){let o=null,s=r;for(let i of e){let l=Math.hypot(i.x-t,i.y-n);l<s&&([o,s]=[i,l])}return o}function on(e,t,n){let r=pe[n];if(!r||!t)return t??e[0]??null;let[o,s]=r,i=e.filter(a=>o?Math.sign(a.row-t.row)===o:a.row===t.row&&Math.sign(a.column-t.column)===s),l=a=>Math.abs(a.row-t.row)*1e6+Math.abs(a.column-t.column);return i.reduce((a,p)=>l(p)<l(a)?p:a,i[0]??t)}var J=class{constructor(t,n,r){this.testId=t;this.hint=n;this.choose=r}testId;hint;choose;element=z("div");id=G("readout");mark=d("circle",{class:"mp-cursor",r:7});painted=null;label="";cursor=null;show(t,n){let r=this.cursor;return this.painted=t,this.label=`${n}. Arrow keys read it, Enter selects.`,t.element.setAttribute("aria-hidden","true"),t.element.append(this.mark),this.point(t.targets.find(o=>o.row===r?.row&&o.column===r.column)??null),this.element}under(t){let n=this.painted?.element.getBoundingClientRect();return n?rn(this.painted?.targets??[],t.clientX-n.left,t.clientY-n.top):null}point=t=>{this.cursor=t,this.mark.setAttribute("cx",String(t?.x??-20)),this.mark.setAttribute("cy",String(t?.y??-20)),at(v`<div class="mp-stage" tabindex="0" role="application" data-testid=${this.testId}
          aria-label=${this.label} aria-describedby=${this.id}
          @pointermove=${n=>this.point(this.under(n))} @pointerleave=${()=>this.point(null)}
          @click=${n=>this.take(this.under(n))}
          @keydown=${this.press} @blur=${()=>this.point(null)}>${this.painted?.element}</div>
        <p class="mp-readout" role="status" id=${this.id}
          data-testid="${this.testId}-readout">${t?.text??this.hint}</p>`,this.element)};take(t){t&&this.choose(t)}press=t=>{t.key in pe?(t.preventDefault(),this.point(on(this.painted?.targets??[],this.cursor,t.key))):t.key==="Enter"||t.key===" "?(t.preventDefault(),this.take(this.cursor)):t.key==="Escape"&&this.point(null)}};var ce=`.mp-study .mp-head h3 {
  flex: 0 0 auto;
}
.mp-study h4 {
  margin: 14px 0 2px;
  font-size: 14px;
  font-weight: 600;
}
.mp-study .mp-summary {
  margin: 0 0 6px;
  padding: 0 0 0 16px;
  list-style: disc;
}
.mp-study .mp-summary li {
  margin: 2px 0;
  overflow-wrap: anywhere;
}
.mp-study .mp-details {
  margin: 0 0 8px;
}
.mp-study .mp-details summary {
  cursor: pointer;
}
.mp-study .mp-details table {
  border-collapse: collapse;
}
.mp-study .mp-details th,
.mp-study .mp-details td {
  padding: 2px 10px 2px 0;
  text-align: left;
  vertical-align: top;
  overflow-wrap: anywhere;
}
.mp-study .mp-details th {
  color: var(--mp-soft);
  font-weight: 400;
}
.mp-study .mp-choices {
  display: flex;
  flex-wrap: wrap;
  gap: 0 12px;
}
.mp-study .mp-choices > div {
  flex: 1 1 130px;
  min-width: 0;
}
.mp-study .mp-choices > div:first-child {
  flex: 3 1 240px;
}
.mp-study .mp-caption p {
  margin: 1px 0;
  overflow-wrap: anywhere;
}
.mp-study .mp-stage {
  max-width: 100%;
  margin-top: 6px;
  overflow-x: auto;
  cursor: crosshair;
}
.mp-study .mp-stage svg {
  display: block;
}
.mp-study .mp-stage text {
  fill: var(--mp-faint);
  font-size: 11px;
}
.mp-study .mp-stage .mp-axis,
.mp-study .mp-stage .mp-name {
  fill: var(--mp-soft);
}
.mp-study .mp-stage .mp-name.mp-chosen {
  fill: var(--mp-ink);
  font-weight: 700;
}
.mp-study .mp-stage .mp-rule,
.mp-study .mp-stage .mp-zero,
.mp-study .mp-stage .mp-level,
.mp-study .mp-stage .mp-here {
  fill: none;
  stroke: var(--mp-line);
  stroke-width: 1;
}
.mp-study .mp-stage .mp-zero {
  stroke: var(--mp-faint);
}
.mp-study .mp-stage .mp-level {
  stroke: var(--mp-soft);
  stroke-dasharray: 5 4;
}
.mp-study .mp-stage .mp-here {
  stroke: var(--mp-brand);
  stroke-width: 2;
}
/* Colours of categories are made for paper; on a dark page they are mixed with white. */
.mp-study {
  --mp-mixed: 100%;
}
.mp-study[data-dark="true"] {
  --mp-mixed: 58%;
}
.mp-study .mp-mean-line,
.mp-study .mp-concept-line,
.mp-study .mp-points,
.mp-study .mp-legend i {
  --mp-colour: var(--own, color-mix(in srgb, var(--of, currentcolor) var(--mp-mixed), white));
}
.mp-study .mp-line {
  fill: none;
  stroke: var(--mp-colour);
  stroke-width: 2;
}
.mp-study .mp-dashed .mp-line {
  stroke-dasharray: 6 4;
  stroke-width: 1.5;
}
.mp-study .mp-concept-line .mp-line {
  stroke-width: 1;
  opacity: 0.28;
}
.mp-study .mp-mean-line.mp-chosen .mp-line {
  stroke-width: 3.5;
}
.mp-study .mp-concept-line.mp-chosen .mp-line {
  stroke-width: 3;
  opacity: 1;
}
.mp-study .mp-interval {
  stroke: var(--mp-colour);
  stroke-width: 1.5;
  opacity: 0.6;
}
.mp-study .mp-dot {
  fill: var(--mp-colour);
}
.mp-study .mp-single.mp-chosen .mp-dot {
  stroke: var(--mp-ink);
  stroke-width: 2;
}
.mp-study .mp-unknown {
  fill: var(--mp-line);
}
.mp-study .mp-frame {
  fill: none;
  stroke: var(--mp-brand);
  stroke-width: 2;
}
.mp-study .mp-cursor {
  fill: none;
  stroke: var(--mp-ink);
  stroke-width: 1.5;
  pointer-events: none;
}
.mp-study .mp-headline {
  fill: color-mix(in srgb, var(--mp-brand) 14%, transparent);
}
.mp-study .mp-verdict,
.mp-study .mp-setting {
  fill: var(--mp-edge);
}
.mp-study .mp-setting:not(.mp-main) {
  fill: var(--mp-faint);
}
.mp-study .mp-main {
  fill: var(--mp-brand);
}
.mp-study .mp-readout {
  min-height: 19px;
  margin: 4px 0 0;
  color: var(--mp-soft);
  font-size: 12.5px;
  overflow-wrap: anywhere;
}
.mp-study .mp-legend {
  display: flex;
  flex-wrap: wrap;
  gap: 2px 16px;
  margin: 6px 0 0;
  padding: 0;
  list-style: none;
  font-size: 12px;
}
.mp-study .mp-legend i {
  display: inline-block;
  width: 18px;
  margin-right: 6px;
  border-top: 3px solid var(--mp-colour);
  vertical-align: 3px;
}
.mp-study .mp-legend i.mp-dashed {
  border-top-style: dashed;
}
`;var me=["study","about","summary","details","charts","chart","multiverse","concepts","categories","layers","concept","layer","message"],an=280,tt=class{constructor(t,n,r){this.testId=t;this.label=n;this.take=r}testId;label;take;id=G("control");of(t,n,r=1){let o=l=>v`<option value=${l.value} .selected=${zt(l.value===n)}>${l.label}</option>`,s=[...new Set(t.map(({group:l})=>l))].map(l=>{let a=t.filter(p=>p.group===l).map(o);return l?v`<optgroup label=${yt(l)}>${a}</optgroup>`:a}),i=l=>this.take(l.target.value);return v`<div ?hidden=${t.length<r}>
      <label class="mp-label" for=${this.id}>${this.label}</label>
      <select class="mp-wide" id=${this.id} data-testid=${this.testId} @change=${i}>${s}</select>
    </div>`}},ue=(e=[])=>e.map(t=>v`<p>${t}</p>`);function ln(e){let t=e.map(([n,r])=>v`<tr><th scope="row">${n}</th><td>${r}</td></tr>`);return v`<details class="mp-details" data-testid="study-details">
    <summary>Details</summary><table><tbody>${t}</tbody></table>
  </details>`}function pn({legend:e}){let t=e.map(({label:n,colour:r,dashed:o})=>v`<li><i style=${r} class=${o?"mp-dashed":""}></i>${n}</li>`);return v`<ul class="mp-legend" data-testid="study-legend">${t}</ul>`}var Mt=class{constructor(t,n,r){this.model=t;this.root.dataset.testid="study",n.append(this.root),this.listen(r),this.draw()}model;root=Ut(Gt+ce,"study","Study");chart=new tt("study-charts","Chart",t=>this.set({chart:t}));concept=new tt("study-concept","Concept",t=>this.set({concept:t}));layer=new tt("study-layer","Layer",t=>this.set({layer:Number(t)}));stage=new J("study-chart","Point at the chart to read it, click to select.",t=>this.take(t));ways=new J("study-multiverse-ways","Point at a way to read it.",()=>{});pending=0;listen(t){let n=()=>this.redraw();for(let s of me)this.model.on(`change:${s}`,n);let r=new ResizeObserver(n);r.observe(this.root);let o=Zt(n);t.addEventListener("abort",()=>{for(let s of me)this.model.off(`change:${s}`,n);r.disconnect(),o(),cancelAnimationFrame(this.pending)})}redraw(){this.pending||=requestAnimationFrame(()=>{this.pending=0,this.draw()})}set(t){for(let[n,r]of Object.entries(t))this.model.set(n,r);this.model.save_changes(),this.redraw()}take({concept:t,layer:n}){let r={};t!==void 0&&this.model.get("concepts").includes(t)&&(r.concept=t),n!==void 0&&this.model.get("layers").includes(n)&&(r.layer=n),Object.keys(r).length>0&&this.set(r)}draw(){let{model:t}=this,n=Xt(this.root);this.root.dataset.dark=String(n.dark);let[r,o]=[t.get("details")??[],t.get("message")];at(v`<div class="mp-head">
          <h3>Study</h3><b>${yt(t.get("study"))}</b><span class="mp-note">${t.get("about")}</span>
        </div>
        <ul class="mp-summary" data-testid="study-summary">${t.get("summary").map(s=>v`<li>${s}</li>`)}</ul>
        ${r.length>0?ln(r):b}
        ${this.choices()}
        <p class="mp-error" role="alert" data-testid="study-error" ?hidden=${o===""}>${o}</p>
        ${this.figure(n)}
        ${this.multiverse(n)}`,this.root)}choices(){let{model:t}=this,n=t.get("charts").map(({key:i,label:l})=>({value:i,label:l})),r=t.get("categories"),o=t.get("concepts").map((i,l)=>({value:i,label:i,group:r[l]??""})),s=t.get("layers").map(i=>({value:String(i),label:X(i)}));return v`<div class="mp-choices">
      ${this.chart.of(n,t.get("chart"),2)}
      ${this.concept.of(o,t.get("concept"))}
      ${this.layer.of(s,String(t.get("layer")))}
    </div>`}width(){return Math.max(an,Math.floor(this.root.clientWidth-28))}figure(t){let{model:n}=this,r=n.get("charts").find(({key:o})=>o===n.get("chart"));return r?v`<div class="mp-figure">
      <h4>${r.title}</h4>
      ${r.nothing===void 0?b:v`<p data-testid="study-nothing">${r.nothing}</p>`}
      <div class="mp-note mp-caption">${ue(r.caption)}</div>
      ${r.nothing===void 0?this.painted(r,t):b}
    </div>`:v`<p class="mp-note">This study has no chart.</p>`}painted(t,n){let r={concept:this.model.get("concept"),layer:this.model.get("layer")},o=t.matrix?ie(t,t.matrix,r,this.width(),n):se(t,r,this.width(),n.dark);return v`${this.stage.show(o,t.title)}${o.legend.length>0?pn(o):b}`}multiverse(t){let n=this.model.get("multiverse"),r=n.specifications;if(!r)return b;let o=()=>this.ways.show(le(n,r,this.width(),t),n.title);return v`<div class="mp-figure" data-testid="study-multiverse">
      <h4>Asked in ${r.values.length} ways: ${n.title}</h4>
      <div class="mp-note mp-caption">${ue(n.caption)}</div>
      ${n.nothing===void 0?o():b}
    </div>`}};function cn({model:e,el:t,signal:n}){let r=new AbortController;return n?.addEventListener("abort",()=>r.abort()),new Mt(e,t,r.signal),()=>r.abort()}var Kr={render:Vt(cn)};export{Kr as default};
