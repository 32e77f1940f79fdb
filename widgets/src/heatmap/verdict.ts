/** What is said of a cell beside its effect: why it passes in the grid or does not, and what is marked on it. */
import { qValue } from "../base/numbers";
import { controlLabel } from "../base/theme";
import { marksOf } from "./cell_marks";
import { at, type Cells } from "./map_cells";

const REACHES = " reaches as far";

/** Name of a kind of control, of one of its draws: "random", "on-manifold direction". */
export const controlName = (kind: string): string => controlLabel(kind).replace(/s$/, "");

/** Why a cell passes or not, in the words of `mllm_probe.effect`; empty where nothing is known of that. */
export function verdictOf(cells: Cells, index: number): string {
  const reason = cells.reasons[at(cells.reason, index)] ?? "";
  if (reason.endsWith(REACHES)) return controlName(reason.slice(0, -REACHES.length)) + REACHES;
  const q = at(cells.q, index);
  return reason === "passes" && Number.isFinite(q) ? `${reason}, ${qValue(q)}` : reason;
}

/** Places of the controls whose numbers stand beside a cell: the one it is compared with, and one that reaches as far. */
export function shownControls(cells: Cells, index: number): number[] {
  const reason = cells.reasons[at(cells.reason, index)];
  const reaching = cells.controls.findIndex((kind) => reason === kind + REACHES);
  return [...new Set([cells.against, ...(reaching < 0 ? [] : [reaching])])];
}

/** The number of images that count, "n = 24 images". */
export function countOf(cells: Cells, index: number): string {
  const n = at(cells.n, index);
  return Number.isFinite(n) ? `n = ${n} ${n === 1 ? "image" : "images"}` : "";
}

/** What is marked on a cell, in words. */
export const markLabels = (cells: Cells, index: number): string[] =>
  marksOf(at(cells.marks, index)).map((mark) => mark.label);
