/** Elements from plain data: text always goes in as text, never as markup. */

export type Attributes = Record<string, string | number | boolean | undefined>;

/** Make an element with attributes and children; strings become text nodes, `true` an empty attribute, `false` none. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children);
  return element;
}

let serial = 0;

/** An id that no other element of the page has, for labels and descriptions. */
export function uniqueId(stem: string): string {
  serial += 1;
  return `mp-${stem}-${serial}-${Math.random().toString(36).slice(2, 8)}`;
}

/** Root of a widget: its style, a name for screen readers, and the notebook's shortcuts switched off inside it. */
export function widgetRoot(css: string, kind: string, label: string): HTMLElement {
  const root = h("section", { class: `mp mp-${kind}`, "aria-label": label, "data-lm-suppress-shortcuts": "true" });
  root.append(h("style", {}, css));
  // The attribute keeps shortcuts away; the notebook also listens itself, e.g. for Escape, and would take the focus.
  root.addEventListener("keydown", (event) => event.stopPropagation());
  return root;
}

/** Show or hide without losing the element's place. */
export function show(element: HTMLElement, visible: boolean): void {
  element.hidden = !visible;
}
