/** Where everything on the map stands: rows grouped by category, one column per layer, margins that give way when it is narrow. */
import type { Cell } from "./cells";

export interface Row {
  concept: number;
  y: number;
}

export interface Group {
  category: string;
  top: number;
  height: number;
}

export interface Layout {
  rows: Row[];
  groups: Group[];
  width: number;
  height: number;
  left: number;
  top: number;
  cellWidth: number;
  rowHeight: number;
  fontSize: number;
  layers: number;
  legendTop: number;
  /** x of the margin with peak, spread and profile; null where there is no room for it. */
  margin: number | null;
}

export interface Space {
  width: number;
  nameWidth: number;
}

const TOP = 18;
const GAP = 6;
const LEGEND = 44;
const CATEGORY = 20;
export const MARGIN = 118;

/** Indices of the concepts, grouped by category in the order in which the categories first appear. */
export function grouped(categories: string[]): [string, number[]][] {
  const groups = new Map<string, number[]>();
  categories.forEach((category, i) => {
    groups.set(category, [...(groups.get(category) ?? []), i]);
  });
  return [...groups];
}

function rowHeightFor(rows: number): [number, number] {
  if (rows <= 22) return [19, 12];
  if (rows <= 36) return [17, 11.5];
  return [14, 11];
}

export function layoutMap(categories: string[], layers: number, space: Space): Layout {
  const [rowHeight, fontSize] = rowHeightFor(categories.length);
  const left = CATEGORY + Math.min(space.nameWidth, Math.max(60, space.width * 0.3)) + 8;
  const roomy = space.width - left - MARGIN >= Math.max(240, layers * 12);
  const room = space.width - left - (roomy ? MARGIN : 2);
  const cellWidth = Math.max(4, Math.min(96, Math.floor(room / Math.max(1, layers))));
  const rows: Row[] = [];
  const groups: Group[] = [];
  let y = TOP;
  for (const [category, members] of grouped(categories)) {
    groups.push({ category, top: y, height: members.length * rowHeight });
    for (const concept of members) {
      rows.push({ concept, y });
      y += rowHeight;
    }
    y += GAP;
  }
  const right = left + layers * cellWidth;
  return {
    rows,
    groups,
    left,
    top: TOP,
    cellWidth,
    rowHeight,
    fontSize,
    layers,
    legendTop: y + 4,
    margin: roomy ? right + 12 : null,
    width: space.width,
    height: y + 4 + LEGEND,
  };
}

/** The cell under a point, or null beside the cells. */
export function cellAt(layout: Layout, x: number, y: number): Cell | null {
  const layer = Math.floor((x - layout.left) / layout.cellWidth);
  if (layer < 0 || layer >= layout.layers) return null;
  const row = layout.rows.find((r) => y >= r.y && y < r.y + layout.rowHeight);
  return row ? { concept: row.concept, layer } : null;
}

/** Where a key moves the cursor: arrows by one, Home and End to the ends of the row, PageUp and PageDown by a group of 5; null for other keys. */
export function move(layout: Layout, cell: Cell, key: string): Cell | null {
  const at = Math.max(
    0,
    layout.rows.findIndex((r) => r.concept === cell.concept),
  );
  const rowBy = (by: number) => layout.rows[Math.max(0, Math.min(layout.rows.length - 1, at + by))]?.concept ?? 0;
  const layerTo = (to: number) => Math.max(0, Math.min(layout.layers - 1, to));
  switch (key) {
    case "ArrowUp":
      return { ...cell, concept: rowBy(-1) };
    case "ArrowDown":
      return { ...cell, concept: rowBy(1) };
    case "PageUp":
      return { ...cell, concept: rowBy(-5) };
    case "PageDown":
      return { ...cell, concept: rowBy(5) };
    case "ArrowLeft":
      return { ...cell, layer: layerTo(cell.layer - 1) };
    case "ArrowRight":
      return { ...cell, layer: layerTo(cell.layer + 1) };
    case "Home":
      return { ...cell, layer: 0 };
    case "End":
      return { ...cell, layer: layerTo(layout.layers - 1) };
    default:
      return null;
  }
}
