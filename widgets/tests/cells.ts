/** Numbers of a small map that can be told by their place. */
import palette from "../../mllm_probe/plots/palette.json";
import type { Cells, RowGroup } from "../src/heatmap/map_cells";

/** Rows of the small map: its first and third concept share a category. */
export const GROUPS: RowGroup[] = [
  ["entity", [0, 2]],
  ["style", [1]],
];

/** Place of a reason by its name. */
export const reason = (name: keyof typeof palette.reasons): number => Object.keys(palette.reasons).indexOf(name);

/** Three concepts, four layers, two strengths; each value is its index. */
export function cells(): Cells {
  const value = Float32Array.from({ length: 3 * 4 * 2 }, (_, i) => i);
  const empty = new Float32Array(0);
  return {
    concepts: ["cat", "line_art", "<b>dog</b>"],
    categories: ["entity", "style", "entity"],
    groups: GROUPS,
    unfit: {},
    layers: [0, 1, 2, 3],
    depths: [0.25, 0.5, 0.75, 1],
    strengths: [-1, 1],
    value,
    low: value.map((v) => v - 1),
    high: value.map((v) => v + 1),
    n: value.map(() => 24),
    clear: value.map((_, i) => i % 2),
    q: value.map((_, i) => (i % 2 ? 0.0125 : 0.5)),
    marks: empty,
    reason: value.map((_, i) => (i % 2 ? reason("passes") : reason("not_clear"))),
    reachedBy: value.map(() => Number.NaN),
    leastImages: 6,
    controls: [],
    against: 0,
    control: empty,
    controlLow: empty,
    controlHigh: empty,
    peakLayer: empty,
    participationRatio: empty,
    meanOverConcepts: empty,
  };
}
