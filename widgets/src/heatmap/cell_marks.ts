/** Marks of cells whose answers need a second look, and where they stand, by the rules of `mllm_probe.plots.effects`. */
import palette from "../../../mllm_probe/plots/palette.json";
import type { Pen } from "../base/canvas";
import type { Theme } from "../base/theme";
import { gapOf, type Layout } from "./layout";

export interface Mark {
  label: string;
  /** Lines in a square of side 1, from its upper left corner. */
  strokes: number[][][];
}

const MARKS: Mark[] = Object.values(palette.marks);
export const BROKEN: Mark = palette.marks.broken;
/** Of a cell that has too few images or draws for a verdict. */
export const UNFINISHED: Mark = palette.unfinished;
const LARGEST = 7;
const SMALLEST = 3;
const OF_HEIGHT = 0.42;
const INSET = 3;

/** The marks of a cell, from the sum of 2 to the place of each. */
export const marksOf = (code: number): Mark[] => (Number.isFinite(code) ? MARKS.filter((_, i) => (code >> i) & 1) : []);

/** The mark that is painted; the readout names all. */
export const lastMark = (code: number): Mark | undefined => marksOf(code).at(-1);

/** Left, top and side of a mark in a cell, from the corner of the cell. */
export function markBox(width: number, height: number): [number, number, number] {
  const side = Math.max(SMALLEST, Math.min(LARGEST, width - 2, OF_HEIGHT * height));
  const inset = Math.max(0, Math.min(INSET, (width - side) / 2));
  return [inset, height - side - inset, side];
}

/** Weights of the lines of a mark, and of the paper below them, so that they are seen on every colour. */
export function markWeights(side: number): [number, number] {
  const weight = Math.max(1.2, side / 5);
  return [weight, weight + (2 * side) / 7];
}

/** Paint the mark of each cell that has one. */
export function paintMarks(
  pen: Pen,
  layout: Layout,
  theme: Theme,
  markOf: (row: number, layer: number) => Mark | undefined,
): void {
  const lines = new Path2D();
  layout.rows.forEach(({ y }, row) => {
    for (let layer = 0; layer < layout.layers; layer += 1) {
      const mark = markOf(row, layer);
      if (!mark) continue;
      const x = layout.edges[layer] ?? 0;
      const width = (layout.edges[layer + 1] ?? x) - x - gapOf(layout);
      const [left, top, side] = markBox(width, layout.rowHeight - 1);
      for (const stroke of mark.strokes) {
        stroke.forEach(([px = 0, py = 0], i) => {
          const [toX, toY] = [x + left + side * px, y + top + side * py];
          if (i) lines.lineTo(toX, toY);
          else lines.moveTo(toX, toY);
        });
      }
    }
  });
  const [weight, halo] = markWeights(markBox(layout.cellWidth - gapOf(layout), layout.rowHeight - 1)[2]);
  for (const [colour, wide] of [
    [theme.paper, halo],
    [theme.ink, weight],
  ] as const) {
    pen.strokeStyle = colour;
    pen.lineWidth = wide;
    pen.stroke(lines);
  }
  pen.lineWidth = 1;
}
