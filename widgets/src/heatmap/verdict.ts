/** What is said of a cell beside its effect: whether it passes in the grid, and what is marked on it. */
import { qValue } from "../base/numbers";
import { marksOf } from "./cell_marks";
import { at, type Cells } from "./map_cells";

/** False discovery rate of cells that pass, as in `mllm_probe.studies.effect`; float32 of .05 lies a little above it. */
const LARGEST_Q = Math.fround(0.05);

/** Whether a cell passes; empty where nothing is known of that. */
export function verdictOf(cells: Cells, index: number): string {
  const clear = at(cells.clear, index);
  if (!Number.isFinite(clear)) return "";
  if (at(cells.n, index) < cells.leastImages) return "too few images for a verdict";
  if (cells.q.length === 0) return clear ? "clear of the controls" : "not clear of the controls";
  const q = at(cells.q, index);
  if (!Number.isFinite(q)) return at(cells.value, index) === 0 ? "as the controls, not tested" : "not tested";
  if (clear) return `passes in the grid, ${qValue(q)}`;
  // A small q is not enough: the interval may include 0, or the effect have the wrong sign.
  return `does not pass ${q <= LARGEST_Q ? "(not clear of the controls)" : "in the grid"}, ${qValue(q)}`;
}

/** The number of images that count, "n = 24 images"; of how many, where they are too few. */
export function countOf(cells: Cells, index: number): string {
  const n = at(cells.n, index);
  if (!Number.isFinite(n)) return "";
  if (n < cells.leastImages) return `n = ${n} of ${cells.leastImages} images`;
  return `n = ${n} ${n === 1 ? "image" : "images"}`;
}

/** What is marked on a cell, in words. */
export const markLabels = (cells: Cells, index: number): string[] =>
  marksOf(at(cells.marks, index)).map((mark) => mark.label);
