import { describe, expect, it } from "vitest";
import { csvOf } from "../src/heatmap/copying";
import { doseLabels, heightLabels } from "../src/heatmap/curve";
import { fitting } from "../src/heatmap/fitting";
import type { Cells } from "../src/heatmap/map_cells";
import { layoutMatrix, ofPair, pairText } from "../src/heatmap/off_target";
import { bandPath, responseOf, scale } from "../src/heatmap/response";
import { cells } from "./cells";

/** The cells with two kinds of control: random at 1 ± 2, shuffled at 3 ± 1 above unsteered. */
function controlled(): Cells {
  const made = cells();
  const both = (random: number, shuffled: number) =>
    Float32Array.from({ length: 2 * made.value.length }, (_, i) => (i < made.value.length ? random : shuffled));
  return {
    ...made,
    controls: ["random", "shuffled"],
    control: both(1, 3),
    controlLow: both(-1, 2),
    controlHigh: both(3, 4),
  };
}

describe("dose response", () => {
  it("is seen from the control that effects are differences from, beside every control", () => {
    const found = responseOf({ ...controlled(), strengths: [1, -1] }, { concept: 0, layer: 0 });
    expect(found.points.map((p) => [p.strength, p.place, p.value])).toEqual([
      [-1, 1, 1],
      [1, 0, 0],
    ]);
    const bounds = found.bands.map((b) => [b.control, b.low[0], b.mean[0], b.high[0]]);
    expect(bounds).toEqual([
      ["random", -2, 0, 2],
      ["shuffled", 1, 2, 3],
    ]);
    const from = responseOf({ ...controlled(), against: 1 }, { concept: 0, layer: 0 });
    expect(from.bands.map((b) => b.mean[0])).toEqual([-2, 0]);
  });
  it("leaves out what was not run, and its axes hold 0 and every interval", () => {
    const some = controlled();
    some.value[0] = Number.NaN;
    const found = responseOf(some, { concept: 0, layer: 0 });
    expect(found.points.map((p) => p.strength)).toEqual([1]);
    expect(found.y[0]).toBeLessThanOrEqual(-2);
    expect(found.y[1]).toBeGreaterThanOrEqual(3);
    expect(found.x).toEqual([0, 1]);
  });
  it("draws a band around its bounds, in pieces where one is missing", () => {
    const same = (v: number) => v;
    const band = { control: "random", strengths: [0, 1, 2], mean: [0, 0, 0], low: [0, 1, 2], high: [3, 4, 5] };
    expect(bandPath(band, same, same)).toBe("M0.0 3.0L1.0 4.0L2.0 5.0L2.0 2.0L1.0 1.0L0.0 0.0Z");
    expect(bandPath({ ...band, low: [0, Number.NaN, 2] }, same, same)).toBe("");
    expect(scale([-1, 1], [0, 100])(0)).toBe(50);
  });
});

describe("labels of the curve", () => {
  const response = (strengths: number[], y: [number, number]) => ({
    points: strengths.map((strength, place) => ({
      strength,
      place,
      value: 1,
      low: 0,
      high: 2,
      n: 8,
      clear: true,
      said: [],
    })),
    bands: [],
    x: [strengths[0] ?? 0, strengths.at(-1) ?? 0] as [number, number],
    y,
  });
  const texts = (labels: { text: string }[]) => labels.map((label) => label.text);
  it("are the most important of those that would touch", () => {
    const labels = [10, 14, 30, 22].map((at) => ({ at, size: 6 }));
    expect(fitting(labels, 2).map((label) => label.at)).toEqual([10, 30, 22]);
    expect(fitting(labels, 3).map((label) => label.at)).toEqual([10, 30]);
  });
  it("leave the smaller end of the upright axis out where it would touch 0", () => {
    const y = scale([-0.1, 5], [144, 20]);
    expect(texts(heightLabels(response([0, 1], [-0.1, 5]), y))).toEqual(["+5.0", "0.0"]);
    const wide = scale([-5, 5], [144, 20]);
    expect(texts(heightLabels(response([0, 1], [-5, 5]), wide))).toEqual(["+5", "0", "−5"]);
    const low = scale([-5, 0.1], [144, 20]);
    expect(texts(heightLabels(response([0, 1], [-5, 0.1]), low))).toEqual(["−5.0", "0.0"]);
  });
  it("keep the dose that is shown, the ends and 0, and never touch", () => {
    const many = response([-2, -1.875, -0.125, 0, 0.125, 0.25, 1.875, 2], [0, 1]);
    const labels = doseLabels(many, 4, scale([-2, 2], [54, 280]));
    expect(texts(labels)).toEqual(["0.125", "−2", "2"]);
    const wide = doseLabels(many, 3, scale([-2, 2], [54, 1200]));
    expect(texts(wide)).toEqual(["0", "−2", "2", "−1.875", "−0.125", "0.125", "¼", "1.875"]);
  });
});

describe("copies", () => {
  const shown = { metric: "logprob", unit: "nats", strengthUnit: "residual", average: "mean" };
  const window = { concept: 1, anchor: 2, active: 1 };
  it("hold every selected layer and strength as CSV", () => {
    const lines = csvOf(controlled(), window, shown).trim().split("\n");
    expect(lines).toHaveLength(5);
    expect(lines[0]).toBe(
      "concept,category,layer,strength,strength_unit,metric,average,against,difference,low,high,unit,n,q,clear_in_grid,reason,answers," +
        "random_mean,random_low,random_high,shuffled_mean,shuffled_low,shuffled_high",
    );
    expect(lines[1]).toBe(
      "line_art,style,1,-1,residual,logprob,mean,random,10,9,11,nats,24,0.5,false,interval includes 0,,1,-1,3,3,2,4",
    );
  });
  it("say what is marked, and of an effect without q that it is clear of the controls alone", () => {
    const some = cells();
    some.marks = some.value.map((_, i) => (i === 10 ? 3 : 0));
    const lines = csvOf(some, window, shown).split("\n");
    expect(lines[1]).toMatch(
      /,0\.5,false,interval includes 0,no answer names the concept; at least half of the answers broken$/,
    );
    expect(csvOf({ ...some, q: new Float32Array(0) }, window, shown)).toMatch(/n,q,clear_of_controls,reason,answers/);
  });
  it("quote what needs it and let no cell begin a formula", () => {
    const odd = { ...cells(), concepts: ['=1+"2",x'] };
    expect(csvOf(odd, { concept: 0, anchor: 0, active: 0 }, shown).split("\n")[1]).toMatch(/^"'=1\+""2"",x",/);
  });
});

describe("off target", () => {
  const matrix = {
    concepts: ["cat", "tree"],
    limit: 5,
    values: Float32Array.from([3, 2, 4, 1, -1, -2, 0, 0, 0, 0, 0, 0, 5, 4, 6, 1]),
  };
  it("reads steered × scored", () => {
    expect([ofPair(matrix, 0, 1, 0), ofPair(matrix, 1, 1, 2)]).toEqual([-1, 6]);
    expect(pairText(matrix, 0, 1)).toBe(
      "cat steered, tree scored: −1.00 nats [−2.00, 0.00] · not clear of the random directions",
    );
    expect(pairText({ ...matrix, values: new Float32Array(0) }, 0, 0)).toContain("not run yet");
  });
  it("fits its space", () => {
    for (const count of [1, 10, 60]) {
      const made = layoutMatrix(count, 480, 80);
      expect(made.left + count * made.cell).toBeLessThanOrEqual(480);
    }
  });
});
