/** The widgets of a page as they were laid out: boxes in boxes, each with a place for a widget. */
import { h } from "../base/dom";

export interface Leaf {
  model: number;
  style: Record<string, string>;
}

export interface Branch {
  classes: string[];
  style: Record<string, string>;
  children: Node[];
}

export type Node = Leaf | Branch;

/** Elements of a node; `fill` puts a widget into its place. */
export function grow(node: Node, fill: (model: number, place: HTMLElement) => void): HTMLElement {
  const element = h("div", "model" in node ? { class: "mp-place" } : { class: node.classes.join(" ") });
  for (const [name, value] of Object.entries(node.style)) element.style.setProperty(name, value);
  if ("model" in node) fill(node.model, element);
  else element.append(...node.children.map((child) => grow(child, fill)));
  return element;
}
