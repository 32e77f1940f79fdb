/** The selected cells: one concept and a window of layers that grows from an anchor to the cell in hand. */

import { type Layout, layerAt, move } from "./layout";
import type { Cell } from "./map_cells";

export interface Selection {
  concept: number;
  /** Index of the layer where the window was begun. */
  anchor: number;
  /** Index of the layer in hand: the end that moves. */
  active: number;
}

export interface Chosen {
  concept: string;
  layer: number;
  window: number[];
}

interface Axes {
  concepts: string[];
  layers: number[];
}

export const span = (selection: Selection): [number, number] =>
  selection.anchor < selection.active ? [selection.anchor, selection.active] : [selection.active, selection.anchor];

export const activeCell = (selection: Selection): Cell => ({ concept: selection.concept, layer: selection.active });

/** The selection that the traits say; the one before is kept where it says the same, so that its ends keep their roles. */
export function fromTraits(axes: Axes, chosen: Chosen, before: Selection | null): Selection | null {
  if (axes.concepts.length === 0 || axes.layers.length === 0) return null;
  const concept = Math.max(0, axes.concepts.indexOf(chosen.concept));
  const layer = Math.max(0, axes.layers.indexOf(chosen.layer));
  const inside = chosen.window[0] === axes.layers[layer];
  const last = inside ? axes.layers.indexOf(chosen.window[1] ?? chosen.layer) : layer;
  const made = { concept, anchor: Math.max(layer, last), active: layer };
  if (before?.concept === concept && String(span(before)) === String(span(made))) return before;
  return made;
}

/** What the traits become with a selection. */
export function toTraits(axes: Axes, selection: Selection): Chosen {
  const [first, last] = span(selection).map((layer) => axes.layers[layer] ?? 0) as [number, number];
  return { concept: axes.concepts[selection.concept] ?? "", layer: first, window: [first, last] };
}

/** Select a cell; extended, the window reaches to its layer and stays on its concept. */
export function select(before: Selection | null, cell: Cell, extend: boolean): Selection {
  if (extend && before) return { ...before, active: cell.layer };
  return { concept: cell.concept, anchor: cell.layer, active: cell.layer };
}

/** Extend the window to the column under x, as a drag does. */
export function dragTo(layout: Layout, before: Selection, x: number): Selection {
  return { ...before, active: Math.max(0, Math.min(layout.layers - 1, layerAt(layout, x))) };
}

/** What a key does to the selection: arrows move, with shift they extend, Escape falls back to one cell; null for other keys. */
export function onKey(layout: Layout, before: Selection, key: string, extend: boolean): Selection | null {
  if (key === "Escape") return before.anchor === before.active ? null : { ...before, anchor: before.active };
  const to = move(layout, activeCell(before), key);
  return to && select(before, to, extend && to.concept === before.concept);
}
