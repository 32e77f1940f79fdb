/** What is said of a cell beside its effect: whether it passes in the grid, and what is marked on it. */
import { qValue } from "../base/numbers";
import { marksOf } from "./cell_marks";
import { at, type Cells } from "./map_cells";

/** Whether a cell passes; empty where nothing is known of that. */
export function verdictOf(cells: Cells, index: number): string {
  const clear = at(cells.clear, index);
  if (!Number.isFinite(clear)) return "";
  if (at(cells.n, index) < cells.leastImages) return "too few images for a verdict";
  if (cells.q.length === 0) return clear ? "clear of the controls" : "not clear of the controls";
  const q = at(cells.q, index);
  if (!Number.isFinite(q)) return "not tested";
  return `${clear ? "passes" : "does not pass"} in the grid, ${qValue(q)}`;
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
