import { describe, expect, it } from "vitest";
import { across, heights, niceTicks, positionName, tickDigits } from "../src/study/axes";
import type { ChartData, SpecificationsData, Target } from "../src/study/chart_data";
import { linePath } from "../src/study/line_chart";
import { layoutMatrix } from "../src/study/matrix_chart";
import { settingRows, wayText } from "../src/study/multiverse_chart";
import { nearest, stepped } from "../src/study/stage";

const chart = (more: Partial<ChartData>): ChartData => ({ key: "a", title: "A", label: "A", x: {}, y: {}, ...more });
const frame = { width: 400, height: 300, left: 50, right: 10, top: 20, bottom: 40 };

describe("axes of a study's chart", () => {
  it("have round ticks that are written with the digits in which they differ", () => {
    expect(niceTicks(0, 1, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(niceTicks(-2, 3, 5)).toEqual([-2, -1, 0, 1, 2, 3]);
    expect(niceTicks(3, 3, 5)).toEqual([3]);
    expect([tickDigits([0, 0.2]), tickDigits([0, 0.25]), tickDigits([0, 5])]).toEqual([1, 2, 0]);
  });
  it("hold every mean and interval, and single concepts as far as means stay readable", () => {
    const mean = { at: 0, label: "entity (9)", y: [0.5], low: [0], high: [2] };
    const single = (value: number) => ({ at: 0, concept: "cat", y: [value, null] });
    expect(heights(chart({ lines: [mean, single(2.5)] }))).toEqual([0, 2.5]);
    expect(heights(chart({ lines: [mean, single(500), single(-500)] }))).toEqual([-1, 3]);
    expect(heights(chart({ lines: [{ at: 0, label: "a", y: [null, 3] }], levels: [-1] }))).toEqual([-1, 3]);
    expect(heights(chart({ lines: [single(7)] }))).toEqual([0, 7]);
  });
  it("put positions between their ends, by ratio where the axis is logarithmic", () => {
    const places = [[4, 8, 16]];
    const plain = across(chart({ places }), frame);
    const log = across(chart({ places, x: { log: true } }), frame);
    expect([plain(4), plain(16)]).toEqual([62, 378]);
    expect(log(8)).toBeCloseTo((62 + 378) / 2);
    expect(plain(8)).toBeCloseTo(62 + 316 / 3);
    expect(across(chart({ places: [[4]] }), frame)(4)).toBe(220);
  });
  it("name a block by its number and the input by its name", () => {
    expect(positionName({ dim: "layer" }, -1)).toBe("block input");
    expect(positionName({ label: "relative depth", dim: "depth" }, 0.5)).toBe("relative depth 0.50");
  });
});

describe("a line", () => {
  it("is broken where a point is not known", () => {
    expect(linePath([0, 1, 2, 3], [5, Number.NaN, 6, 7])).toBe("M0.0 5.0M2.0 6.0L3.0 7.0");
  });
});

describe("places of a chart", () => {
  const at = (row: number, column: number): Target => ({ x: column * 10, y: row * 10, row, column, text: "" });
  const targets = [at(0, 0), at(0, 2), at(1, 1), at(3, 2)];
  it("are pointed at from near", () => {
    expect(nearest(targets, 19, 2)).toBe(targets[1]);
    expect(nearest(targets, 90, 90)).toBeNull();
  });
  it("are read with the arrow keys, along a line and from line to line", () => {
    const step = (from: Target | null, key: string) => stepped(targets, from, key);
    expect(step(null, "ArrowRight")).toBe(targets[0]);
    expect(step(targets[0] ?? null, "ArrowRight")).toBe(targets[1]);
    expect(step(targets[1] ?? null, "ArrowRight")).toBe(targets[1]);
    expect(step(targets[1] ?? null, "ArrowDown")).toBe(targets[2]);
    expect(step(targets[2] ?? null, "ArrowDown")).toBe(targets[3]);
    expect(step(targets[3] ?? null, "ArrowUp")).toBe(targets[2]);
    expect(stepped([], null, "ArrowUp")).toBeNull();
  });
});

describe("a matrix", () => {
  const matrix = { limit: 1, units: "", values: [], concepts: true };
  it("turns the names of its columns where they are wider than these", () => {
    const few = layoutMatrix({ ...matrix, rows: ["cat"], columns: ["cat"] }, 600);
    const many = Array.from({ length: 60 }, (_, i) => `concept ${i}`);
    const wide = layoutMatrix({ ...matrix, rows: many, columns: many }, 600);
    expect([few.turned, wide.turned]).toEqual([false, true]);
    expect(wide.cellWidth).toBe(9);
    expect(wide.left).toBeLessThanOrEqual(200);
  });
});

describe("a multiverse", () => {
  const of: SpecificationsData = {
    values: [-1, 1.25, null],
    headline: 1,
    aspects: [
      ["dose", ["0.5", "1.0"]],
      ["scope", ["image"]],
    ],
    chosen: [
      [0, 0],
      [1, 0],
      [1, 0],
    ],
    units: "blocks",
  };
  it("says what a way is and what came of it", () => {
    expect(wayText(of, 1)).toBe("way 2 of 3 (headline) · +1.25 blocks · dose 1.0, scope image");
    expect(wayText(of, 2)).toBe("way 3 of 3 · not known · dose 1.0, scope image");
  });
  it("has a row for each value of an aspect, aspects apart", () => {
    const rows = settingRows(of);
    expect(rows.map((row) => row.label)).toEqual(["dose: 0.5", "dose: 1.0", "scope: image"]);
    expect((rows[2]?.y ?? 0) - (rows[1]?.y ?? 0)).toBeGreaterThan((rows[1]?.y ?? 0) - (rows[0]?.y ?? 0));
  });
});
