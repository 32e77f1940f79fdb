/** What is said of a cell beside its effect: whether it passes in the grid or why not, and what is marked on it. */
import palette from "../../../mllm_probe/plots/palette.json";
import { qValue, signed } from "../base/numbers";
import { controlInWords } from "../base/theme";
import { marksOf } from "./cell_marks";
import { at, type Cells, ofControl } from "./map_cells";

/** In the order of `mllm_probe.studies.clear_cells.REASONS`, where the rule is. */
const REASONS: string[] = Object.values(palette.reasons);

/** Whether a cell passes, or why not; empty where nothing is known of that. */
export function verdictOf(cells: Cells, index: number, digits: number): string {
  const words = REASONS[at(cells.reason, index)];
  if (words === undefined || cells.clear.length === 0) return "";
  const kind = at(cells.reachedBy, index);
  // Beyond the control that the effect is the difference from, as the effect is.
  const from = ofControl(cells, cells.control, cells.against, index);
  const limits = at(cells.value, index) > 0 ? cells.controlHigh : cells.controlLow;
  const beyond = (array: Float32Array) => signed(ofControl(cells, array, kind, index) - from, digits);
  const filled: Record<string, () => string> = {
    q: () => qValue(at(cells.q, index)),
    cells: () => String(cells.q.filter(Number.isFinite).length),
    control: () => controlInWords(cells.controls[kind] ?? ""),
    limit: () => beyond(limits),
    mean: () => (kind === cells.against ? "" : `, mean ${beyond(cells.control)}`),
  };
  return words.replace(/\{(\w+)\}/g, (_, name) => filled[name]?.() ?? "");
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
