/** Figures as the front-end describes them, on the same cases as Python. */
import { describe, expect, it } from "vitest";
import cases from "../../tests/widgets/figure_cases.json";
import * as format from "../src/base/numbers";
import { controlLabel } from "../src/base/theme";
import { markBox, markWeights } from "../src/heatmap/cell_marks";
import { codeOf } from "../src/heatmap/copying";
import type { Cells, RowGroup } from "../src/heatmap/map_cells";
import { axisLimits, responseOf } from "../src/heatmap/response";

const number = (value: unknown) => (value === null ? Number.NaN : value);
const floats = (values: (number | null)[]) => Float32Array.from(values.map((value) => value ?? Number.NaN));

type Says = (...given: never[]) => string | number;
const SAYS: [string, Says][] = [
  ["digits_for", format.digitsFor],
  ["fewest", format.fewest],
  ["plain", format.plain],
  ["signed", format.signed],
  ["dose", format.dose],
  ["q_value", format.qValue],
  ["strength_unit", format.strengthUnit],
  ["words", format.words],
  ["nice_ceiling", format.niceCeiling],
  ["control_label", controlLabel],
];

describe("numbers and labels", () => {
  it.each(SAYS)("%s says the same", (name, says) => {
    for (const row of cases[name as "plain"] as unknown[][]) {
      const said = says(...(row.slice(0, -1).map(number) as never[]));
      const wanted = row.at(-1);
      if (typeof wanted === "number") expect(said, String(row)).toBeCloseTo(wanted, 9);
      else expect(said, String(row)).toBe(wanted);
    }
  });
  it("a number of any size has as few digits", () => {
    const { from, to, decimals } = cases.fewest_at_every_power;
    for (let power = from; power <= to; power++) {
      for (const [figures, after] of decimals as [string, number][]) {
        const number = `${figures}e${power}`;
        expect(format.fewest(Number(number)), number).toBe(Math.max(0, after - power));
      }
    }
  });
  it("marks stand alike", () => {
    for (const [[width = 0, height = 0] = [], wanted] of cases.mark_box as [number[], number[]][]) {
      markBox(width, height).forEach((end, i) => {
        expect(end).toBeCloseTo(wanted[i] ?? Number.NaN, 9);
      });
    }
    for (const [side, wanted] of cases.mark_weights as [number, number[]][]) {
      markWeights(side).forEach((weight, i) => {
        expect(weight).toBeCloseTo(wanted[i] ?? Number.NaN, 9);
      });
    }
  });
  it("axes end alike", () => {
    for (const [values, wanted] of cases.axis_limits as [number[], number[]][]) {
      axisLimits(values).forEach((end, i) => {
        expect(end).toBeCloseTo(wanted[i] ?? Number.NaN, 9);
      });
    }
  });
});

const { curve } = cases;

function cells(): Cells {
  const { cells } = curve;
  return {
    concepts: cells.concepts,
    categories: cells.categories,
    unfit: {},
    groups: cells.row_groups as RowGroup[],
    layers: cells.layers,
    depths: [],
    strengths: cells.strengths,
    value: floats(cells.values),
    coloured: floats(cells.values),
    scored: false,
    groupMeans: new Float32Array(0),
    best: new Float32Array(0),
    folded: [],
    low: floats(cells.low),
    high: floats(cells.high),
    n: floats(cells.n),
    clear: floats(cells.clear),
    q: floats(cells.q),
    marks: floats(cells.marks),
    unfinished: floats(cells.unfinished),
    reason: Uint16Array.from(cells.reason),
    reasons: cells.reasons,
    controls: cells.controls,
    against: cells.controls.indexOf(cells.against),
    control: floats(cells.control),
    controlLow: floats(cells.control_low),
    controlHigh: floats(cells.control_high),
    meanOverConcepts: floats(cells.mean_over_concepts),
  };
}

describe("the dose-response curve", () => {
  it("is described alike", () => {
    const found = responseOf(cells(), { concept: 0, layer: 0 });
    for (const name of ["value", "low", "high", "n", "clear"] as const) {
      expect(found.points.map((point) => point[name])).toEqual(curve[name]);
    }
    expect(found.points.map((point) => point.strength)).toEqual(curve.x);
    expect(found.points.map((point) => point.said)).toEqual(curve.said);
    expect(found.bands.map(({ control, mean, low, high }) => ({ control, mean, low, high }))).toEqual(curve.bands);
    expect([found.x, found.y]).toEqual([curve.x_limits, curve.y_limits]);
  });
});

describe("the recipe", () => {
  it("is filled in with the selected cells", () => {
    const { pieces, concept, layers, strength, code } = cases.recipe;
    const map = { ...cells(), concepts: ["dog", concept], layers: [1, ...layers], strengths: [-1, strength] };
    expect(codeOf(pieces, map, { concept: 1, anchor: 2, active: 1 }, 1)).toBe(code);
  });

  it("names the input of block 0 to a steering, and selects it by its coordinate", () => {
    const map = { ...cells(), layers: [-1, 0, 1, 2] };
    const code = codeOf(cases.recipe.pieces, map, { concept: 0, anchor: 0, active: 1 }, 1);
    expect(code).toContain('layers=["input", 0]');
    expect(code).toContain("layer=[-1, 0]");
    expect([-1, 0, 7, undefined].map(format.layerName)).toEqual(["input", "0", "7", ""]);
  });
});
