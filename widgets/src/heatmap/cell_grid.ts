/** The cells as one small image, a pixel each, drawn at the size of the map; gaps and outlines only where they are. */

import palette from "../../../mllm_probe/plots/palette.json";
import type { Pen } from "../base/canvas";
import type { Rgb, Theme } from "../base/theme";
import { BROKEN, lastMark, marksOf, paintMarks, UNFINISHED } from "./cell_marks";
import { gapOf, type Layout } from "./layout";
import { at, type Cells, colouredAt, indexOf } from "./map_cells";
import { shadeOf } from "./shading";

/** Opacity of a cell that does not pass. */
const FADED = Math.round(255 * palette.faded);

/** The cells of one strength in the order of the rows: 4 bytes each, transparent where nothing was run or answers are broken, faded where a cell does not pass. */
export function pixels(
  cells: Cells,
  layout: Layout,
  strength: number,
  limit: number,
  colours: Rgb[],
): Uint8ClampedArray {
  const found = new Uint8ClampedArray(layout.rows.length * layout.layers * 4);
  let place = 0;
  for (const { concept } of layout.rows) {
    for (let layer = 0; layer < layout.layers; layer += 1, place += 4) {
      const index = indexOf(cells, { concept, layer }, strength);
      const value = colouredAt(cells, { concept, layer }, strength);
      if (!Number.isFinite(value) || isBroken(cells, index)) continue;
      const colour = colours[shadeOf(value, limit, cells.scored)];
      if (!colour) continue;
      found[place] = colour[0];
      found[place + 1] = colour[1];
      found[place + 2] = colour[2];
      found[place + 3] = isFaded(cells, index) ? FADED : 255;
    }
  }
  return found;
}

/** Whether at least half of the answers of a cell are broken. */
const isBroken = (cells: Cells, index: number): boolean => marksOf(at(cells.marks, index)).includes(BROKEN);

/** Whether a cell was tested and does not pass; one with too few images or draws has no verdict. */
const isFaded = (cells: Cells, index: number): boolean =>
  at(cells.clear, index) === 0 && at(cells.unfinished, index) !== 1;

/** Whether a cell has its colour, neither faded nor hollow. */
export const hasFullColour = (cells: Cells, index: number): boolean =>
  !isFaded(cells, index) && !isBroken(cells, index);

/** Stretches of a line in which `holds` is true, each with its first place and the one after its last. */
export function runs(length: number, holds: (i: number) => boolean): [number, number][] {
  const found: [number, number][] = [];
  let start = -1;
  for (let i = 0; i <= length; i += 1) {
    const here = i < length && holds(i);
    if (here && start < 0) start = i;
    if (here || start < 0) continue;
    found.push([start, i]);
    start = -1;
  }
  return found;
}

/** Paints the cells; keeps the small image between frames. */
export class Grid {
  private readonly image = document.createElement("canvas");

  paint(
    pen: Pen,
    cells: Cells,
    layout: Layout,
    shown: { strength: number; limit: number },
    theme: Theme,
    colours: Rgb[],
  ): void {
    if (layout.layers === 0 || layout.rows.length === 0) return;
    this.fill(pixels(cells, layout, shown.strength, shown.limit, colours), layout);
    this.stretch(pen, layout);
    const index = (row: number, layer: number) =>
      indexOf(cells, { concept: layout.rows[row]?.concept ?? 0, layer }, shown.strength);
    const value = (row: number, layer: number) =>
      colouredAt(cells, { concept: layout.rows[row]?.concept ?? 0, layer }, shown.strength);
    const there = (row: number, layer: number) => Number.isFinite(value(row, layer));
    paintEmpty(pen, layout, theme, (row, layer) => !there(row, layer));
    cutGaps(pen, layout);
    paintHollow(pen, layout, theme, (row, layer) => isBroken(cells, index(row, layer)));
    paintCorners(pen, layout, theme, (row, layer) => Math.abs(value(row, layer)) > shown.limit);
    if (cells.marks.length + cells.unfinished.length === 0) return;
    paintMarks(pen, layout, theme, (row, layer) => {
      const place = index(row, layer);
      return at(cells.unfinished, place) === 1 ? UNFINISHED : lastMark(at(cells.marks, place));
    });
  }

  private fill(data: Uint8ClampedArray, { layers, rows }: Layout): void {
    const { image } = this;
    if (image.width !== layers || image.height !== rows.length)
      Object.assign(image, { width: layers, height: rows.length });
    const ink = image.getContext("2d");
    ink?.putImageData(new ImageData(data as Uint8ClampedArray<ArrayBuffer>, layers, rows.length), 0, 0);
  }

  /** Draw the image under its edges: a category at a time, and a column at a time where they are not equally wide. */
  private stretch(pen: Pen, { groups, rows, rowHeight, edges, cellWidth, layers }: Layout): void {
    const even = edges.every((edge, i) => i === 0 || edge - (edges[i - 1] ?? 0) === cellWidth);
    const columns = even ? [[0, layers]] : Array.from({ length: layers }, (_, i) => [i, i + 1]);
    pen.imageSmoothingEnabled = false;
    let row = 0;
    for (const group of groups) {
      const count = group.height / rowHeight;
      for (const [first = 0, end = 0] of columns) {
        const left = edges[first] ?? 0;
        const box = [left, rows[row]?.y ?? 0, (edges[end] ?? left) - left, group.height] as const;
        pen.drawImage(this.image, first, row, end - first, count, ...box);
      }
      row += count;
    }
  }
}

/** Outlines in the place of the colour of cells whose answers are broken. */
function paintHollow(pen: Pen, layout: Layout, theme: Theme, hollow: (row: number, layer: number) => boolean): void {
  const { rows, rowHeight, edges, layers } = layout;
  const lines = new Path2D();
  rows.forEach(({ y }, row) => {
    for (let layer = 0; layer < layers; layer += 1) {
      if (!hollow(row, layer)) continue;
      const left = edges[layer] ?? 0;
      lines.rect(left + 1, y + 1, (edges[layer + 1] ?? left) - left - gapOf(layout) - 2, rowHeight - 3);
    }
  });
  pen.strokeStyle = theme.warn;
  pen.lineWidth = 1.2;
  pen.stroke(lines);
  pen.lineWidth = 1;
}

/** Outlines of the cells where nothing was run: lines along whole stretches of them, not four a cell. */
function paintEmpty(pen: Pen, layout: Layout, theme: Theme, empty: (row: number, layer: number) => boolean): void {
  const { rows, rowHeight, edges, layers, groups } = layout;
  const lines = new Path2D();
  rows.forEach(({ y }, row) => {
    for (const [first, end] of runs(layers, (layer) => empty(row, layer))) {
      const [left, right] = [edges[first] ?? 0, (edges[end] ?? 0) - gapOf(layout)];
      lines.rect(left, y, right - left, 1);
      lines.rect(left, y + rowHeight - 2, right - left, 1);
    }
  });
  let from = 0;
  for (const group of groups) {
    const count = group.height / rowHeight;
    for (let layer = 0; layer < layers; layer += 1) {
      for (const [first, end] of runs(count, (i) => empty(from + i, layer))) {
        const top = rows[from + first]?.y ?? 0;
        const height = (end - first) * rowHeight - 1;
        lines.rect(edges[layer] ?? 0, top, 1, height);
        lines.rect((edges[layer + 1] ?? 0) - gapOf(layout) - 1, top, 1, height);
      }
    }
    from += count;
  }
  pen.fillStyle = theme.line;
  pen.globalAlpha = 0.55;
  pen.fill(lines);
  pen.globalAlpha = 1;
}

/** Mark cells whose value is beyond the ends of the scale in their upper right corner. */
function paintCorners(pen: Pen, layout: Layout, theme: Theme, marked: (row: number, layer: number) => boolean): void {
  const { rows, edges, layers, rowHeight, cellWidth } = layout;
  const size = Math.min(6, rowHeight / 3, cellWidth / 3);
  const corners = new Path2D();
  rows.forEach(({ y }, row) => {
    for (let layer = 0; layer < layers; layer += 1) {
      if (!marked(row, layer)) continue;
      const right = (edges[layer + 1] ?? 0) - gapOf(layout);
      corners.moveTo(right - size, y);
      corners.lineTo(right, y);
      corners.lineTo(right, y + size);
      corners.closePath();
    }
  });
  pen.fillStyle = theme.ink;
  pen.fill(corners);
}

/** Dots in the middle of cells. */
export function paintDots(
  pen: Pen,
  layout: Layout,
  theme: Theme,
  marked: (row: number, layer: number) => boolean,
): void {
  const { rows, edges, layers, rowHeight } = layout;
  pen.lineWidth = 1;
  pen.fillStyle = theme.paper;
  pen.strokeStyle = theme.ink;
  rows.forEach(({ y }, row) => {
    for (let layer = 0; layer < layers; layer += 1) {
      if (!marked(row, layer)) continue;
      pen.beginPath();
      pen.arc(((edges[layer] ?? 0) + (edges[layer + 1] ?? 0)) / 2, y + (rowHeight - 1) / 2, 2.6, 0, 2 * Math.PI);
      pen.fill();
      pen.stroke();
    }
  });
}

/** Take out the lines between the cells, so that the page shows through. */
function cutGaps(pen: Pen, layout: Layout): void {
  const { rows, rowHeight, edges, left, groups } = layout;
  const right = edges.at(-1) ?? left;
  for (const { y } of rows) pen.clearRect(left, y + rowHeight - 1, right - left, 1);
  const gap = gapOf(layout);
  if (!gap) return;
  let row = 0;
  for (const group of groups) {
    const top = rows[row]?.y ?? 0;
    for (const edge of edges.slice(1)) pen.clearRect(edge - gap, top, gap, group.height);
    row += group.height / rowHeight;
  }
}
