/** Where everything on the map stands: rows grouped by category, one column per layer, margins that give way when it is narrow. */
import { type Cell, groupRow, type RowGroup } from "./map_cells";

export interface Row {
  /** Place of the concept; of a folded group, see `groupRow`. */
  concept: number;
  y: number;
}

export interface Group {
  label: string;
  /** Number of its concepts. */
  count: number;
  /** Top of its name: above its rows, or beside the one row of a folded group. */
  nameTop: number;
  /** Top of its rows. */
  top: number;
  height: number;
  folded: boolean;
}

export interface Layout {
  /** Room for the name of a concept. */
  nameRoom: number;
  rows: Row[];
  groups: Group[];
  width: number;
  height: number;
  left: number;
  top: number;
  /** Left edges of the columns, and the right edge of the last. */
  edges: number[];
  /** Width of a column on average. */
  cellWidth: number;
  rowHeight: number;
  fontSize: number;
  layers: number;
  /** Top of the profile over the columns. */
  profileTop: number;
  legendTop: number;
  /** Middle of the column with the layers of the best cells; null where there is no room for it. */
  best: number | null;
  /** x of the margin with the profile of each row; null where there is no room for it. */
  margin: number | null;
}

export interface Space {
  width: number;
  nameWidth: number;
  /** Labels of the groups that are one row. */
  folded?: readonly string[];
  /** Relative depth of each column, to place them by it; without it they are equally wide. */
  depths?: number[];
}

const TOP = 18;
const GAP = 6;
const LEGEND = 24;
export const PROFILE = 20;
const NARROWEST = 4;
const INDENT = 6;
/** Height of a line with the name of a category. */
export const HEADING = 16;
export const MARGIN = 92;
const BEST = 34;

function rowHeightFor(rows: number): [number, number] {
  if (rows <= 22) return [19, 12];
  if (rows <= 36) return [17, 11.5];
  return [14, 11];
}

/** Edges of columns that stand at their relative depth, each reaching half way to its neighbours; null where one would vanish. */
export function edgesAt(depths: number[], width: number): number[] | null {
  const first = depths[0] ?? 0;
  const last = depths.at(-1) ?? 1;
  const middles = depths.slice(1).map((depth, i) => (depth + (depths[i] ?? 0)) / 2);
  const start = first - ((middles[0] ?? first + 0.5) - first);
  const end = last + (last - (middles.at(-1) ?? last - 0.5));
  const edges = [start, ...middles, end].map((depth) => ((depth - start) / (end - start)) * width);
  return edges.every((edge, i) => i === 0 || edge - (edges[i - 1] ?? 0) >= NARROWEST) ? edges : null;
}

export function layoutMap(labelled: RowGroup[], layers: number, space: Space): Layout {
  const [rowHeight, fontSize] = rowHeightFor(labelled.flatMap(([, concepts]) => concepts).length);
  const left = INDENT + Math.min(space.nameWidth, Math.max(60, space.width * 0.3)) + 8;
  const best = space.width - left - BEST >= Math.max(160, layers * 12);
  const beside = best ? BEST : 2;
  const roomy = space.width - left - beside - MARGIN >= Math.max(240, layers * 12);
  const room = space.width - left - beside - (roomy ? MARGIN : 0);
  const cellWidth = Math.max(NARROWEST, Math.min(96, Math.floor(room / Math.max(1, layers))));
  const placed = space.depths?.length === layers ? edgesAt(space.depths, layers * cellWidth) : null;
  const even = Array.from({ length: layers + 1 }, (_, i) => i * cellWidth);
  const rows: Row[] = [];
  const groups: Group[] = [];
  let y = TOP;
  labelled.forEach(([label, concepts], group) => {
    const folded = label !== "" && (space.folded ?? []).includes(label);
    const nameTop = y;
    if (label && !folded) y += HEADING;
    const shown = folded ? [groupRow(group)] : concepts;
    const height = shown.length * rowHeight;
    groups.push({ label, count: concepts.length, nameTop, top: y, height, folded });
    for (const concept of shown) {
      rows.push({ concept, y });
      y += rowHeight;
    }
    y += folded ? 2 : GAP;
  });
  const right = left + layers * cellWidth;
  const legendTop = y + PROFILE + 10;
  return {
    nameRoom: left - INDENT - 6,
    rows,
    groups,
    left,
    top: TOP,
    edges: (placed ?? even).map((edge) => left + edge),
    cellWidth,
    rowHeight,
    fontSize,
    layers,
    profileTop: y - 2,
    legendTop,
    best: best ? right + BEST / 2 : null,
    margin: roomy ? right + beside + 8 : null,
    width: space.width,
    height: legendTop + LEGEND,
  };
}

/** Width of the gap between columns. */
export const gapOf = (layout: Layout): number => (layout.cellWidth > 8 ? 1 : 0);

/** The column under x: −1 left of all, their number right of all. */
export function layerAt(layout: Layout, x: number): number {
  const right = layout.edges.findIndex((edge) => x < edge);
  return right < 0 ? layout.layers : right - 1;
}

/** The cell under a point, or null beside the cells. */
export function cellAt(layout: Layout, x: number, y: number): Cell | null {
  const layer = layerAt(layout, x);
  if (layer < 0 || layer >= layout.layers) return null;
  const row = layout.rows.find((r) => y >= r.y && y < r.y + layout.rowHeight);
  return row ? { concept: row.concept, layer } : null;
}

/** Where a key moves the cursor: arrows by one, Home and End to the ends of the row, PageUp and PageDown by a group of 5; null for other keys. */
export function move(layout: Layout, cell: Cell, key: string): Cell | null {
  const rows = layout.rows.filter((r) => r.concept >= 0);
  const at = Math.max(
    0,
    rows.findIndex((r) => r.concept === cell.concept),
  );
  const rowBy = (by: number) => rows[Math.max(0, Math.min(rows.length - 1, at + by))]?.concept ?? cell.concept;
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
