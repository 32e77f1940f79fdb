import { describe, expect, it } from "vitest";
import type { Theme } from "../src/base/theme";
import { following, playing } from "../src/inside/layer_scrubber";
import { inkOn, STRONGEST, shade } from "../src/inside/legend";
import {
  count,
  fitting,
  inverted,
  moved,
  outline,
  painted,
  patchAt,
  patchesOf,
  stroke,
} from "../src/inside/patch_grid";
import { layoutBars } from "../src/inside/profile";

const grid = { rows: 3, columns: 4 };

describe("the grid", () => {
  it("finds the patch under a point, and none beside the picture", () => {
    expect(patchAt(grid, 400, 300, 399, 0)).toEqual({ row: 0, column: 3 });
    expect(patchAt(grid, 400, 300, 100, 299)).toEqual({ row: 2, column: 1 });
    expect(patchAt(grid, 400, 300, 400, 10)).toBeNull();
    expect(patchAt(grid, 400, 300, 10, -1)).toBeNull();
    expect(patchAt({ rows: 0, columns: 0 }, 400, 300, 10, 10)).toBeNull();
  });
  it("moves a cursor by keys and stops at its edges", () => {
    const corner = { row: 0, column: 0 };
    expect(moved(grid, corner, "ArrowDown")).toEqual({ row: 1, column: 0 });
    expect(moved(grid, corner, "ArrowUp")).toEqual(corner);
    expect(moved(grid, corner, "ArrowLeft")).toEqual(corner);
    expect(moved(grid, { row: 2, column: 1 }, "End")).toEqual({ row: 2, column: 3 });
    expect(moved(grid, { row: 2, column: 3 }, "ArrowRight")).toEqual({ row: 2, column: 3 });
    expect(moved(grid, corner, "a")).toBeNull();
  });
});

describe("a mask", () => {
  const empty = fitting([], grid);
  it("is empty unless it fits the grid", () => {
    expect(empty).toEqual([0, 1, 2].map(() => [false, false, false, false]));
    const own = painted(empty, [{ row: 1, column: 1 }], true);
    expect(fitting(own, grid)).toBe(own);
    expect(count(fitting(own, { rows: 2, columns: 4 }))).toBe(0);
  });
  it("is copied when it is painted, and what is outside stays outside", () => {
    const own = painted(
      empty,
      [
        { row: 0, column: 3 },
        { row: 7, column: 0 },
        { row: 0, column: 9 },
      ],
      true,
    );
    expect(count(own)).toBe(1);
    expect(count(empty)).toBe(0);
    expect(own.map((row) => row.length)).toEqual([4, 4, 4]);
    expect(count(painted(own, [{ row: 0, column: 3 }], false))).toBe(0);
    expect(count(inverted(own))).toBe(11);
    expect(inverted(inverted(own))).toEqual(own);
  });
  it("gets a stroke without gaps, however fast", () => {
    const path = stroke({ row: 0, column: 0 }, { row: 2, column: 3 });
    expect(path[0]).toEqual({ row: 0, column: 0 });
    expect(path.at(-1)).toEqual({ row: 2, column: 3 });
    path.slice(1).forEach((patch, i) => {
      const before = path[i] ?? patch;
      expect(Math.max(Math.abs(patch.row - before.row), Math.abs(patch.column - before.column))).toBe(1);
    });
    expect(stroke({ row: 1, column: 1 }, { row: 1, column: 1 }).every((p) => p.row === 1 && p.column === 1)).toBe(true);
  });
  it("stands for its painted patches, or for all when none is painted", () => {
    expect(patchesOf(grid, empty)).toHaveLength(12);
    const one = { row: 2, column: 1 };
    expect(patchesOf(grid, painted(empty, [one], true))).toEqual([one]);
  });
  it("is outlined where painted meets unpainted only", () => {
    const two = painted(
      empty,
      [
        { row: 1, column: 1 },
        { row: 1, column: 2 },
      ],
      true,
    );
    expect(outline(two)).toHaveLength(6);
    expect(outline(two)).not.toContainEqual([2, 1, 2, 2]);
    expect(outline(inverted(empty))).toHaveLength(2 * (3 + 4));
  });
});

describe("playing layers", () => {
  it("goes on by time and begins again after the last", () => {
    expect(playing(6, 8, 0)).toBe(6);
    expect(playing(6, 8, 330)).toBe(7);
    expect(playing(6, 8, 650)).toBe(0);
    expect(following(7, 8)).toBe(0);
    expect(following(0, 0)).toBe(0);
  });
});

describe("colours and bars", () => {
  const theme = { zero: [240, 240, 240], positive: [178, 73, 10], negative: [31, 95, 180] } as unknown as Theme;
  it("shade nothing at zero and never hide the picture", () => {
    expect(shade(0, 4, theme).alpha).toBe(0);
    expect(shade(-4, 4, theme)).toEqual({ colour: [31, 95, 180], alpha: STRONGEST });
    expect(shade(99, 4, theme)).toEqual({ colour: [178, 73, 10], alpha: STRONGEST });
    expect(shade(1, 4, theme).alpha).toBeCloseTo(STRONGEST / 4);
    expect(STRONGEST).toBeLessThan(1);
  });
  it("put readable ink on any of them", () => {
    expect(inkOn([240, 240, 240])).toBe("#111");
    expect(inkOn([31, 95, 180])).toBe("#fff");
    expect(inkOn([255, 166, 87])).toBe("#111");
  });
  it("stand on a zero that is always inside, with one scale for both signs", () => {
    const { zero, bars } = layoutBars([3, -1, Number.NaN, 0], 40, 80);
    expect(zero).toBe(60);
    expect(bars.map((bar) => bar.height)).toEqual([60, 20, 0, 0]);
    expect(bars.map((bar) => bar.y)).toEqual([0, 60, 60, 60]);
    expect(layoutBars([0, 0], 40, 80).zero).toBe(80);
    expect(layoutBars([], 40, 80).bars).toEqual([]);
    expect(layoutBars([-2], 40, 80).zero).toBe(0);
  });
});
