/** SVG elements from plain data: text always goes in as text. */

export type SvgAttributes = Record<string, string | number | undefined>;

/** Make an SVG element with attributes and children. */
export function svg(tag: string, attributes: SvgAttributes = {}, ...children: (Node | string)[]): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}
