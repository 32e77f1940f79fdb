/** Numbers of a small map that can be told by their place. */
import type { Cells, RowGroup } from "../src/heatmap/map_cells";

/** Rows of the small map: its first and third concept share a category. */
export const GROUPS: RowGroup[] = [
  ["entity", [0, 2]],
  ["style", [1]],
];

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
    coloured: value,
    scored: false,
    groupMeans: new Float32Array(0),
    best: new Float32Array(0),
    folded: [],
    low: value.map((v) => v - 1),
    high: value.map((v) => v + 1),
    n: value.map(() => 24),
    clear: value.map((_, i) => i % 2),
    q: value.map((_, i) => (i % 2 ? 0.0125 : 0.5)),
    marks: empty,
    unfinished: empty,
    reason: Uint16Array.from(value, (_, i) => i % 2),
    reasons: ["interval includes 0", "passes", "2 of 6 images", "random reaches as far"],
    controls: [],
    against: 0,
    control: empty,
    controlLow: empty,
    controlHigh: empty,
    meanOverConcepts: empty,
  };
}
