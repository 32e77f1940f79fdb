import { describe, expect, it } from "vitest";
import type { Rgb } from "../src/base/theme";
import { pixels, runs } from "../src/heatmap/cell_grid";
import { layoutMap } from "../src/heatmap/layout";
import { indexOf } from "../src/heatmap/map_cells";
import { cells } from "./cells";

/** The shade says its own place on the scale, 0 … 256. */
const COLOURS: Rgb[] = Array.from({ length: 257 }, (_, i) => [i % 256, i > 255 ? 1 : 0, 7]);

describe("image of the cells", () => {
  const some = cells();
  some.value[indexOf(some, { concept: 2, layer: 3 }, 1)] = Number.NaN;
  some.value[indexOf(some, { concept: 1, layer: 0 }, 1)] = -99;
  some.clear.fill(1);
  const layout = layoutMap(some.groups, 4, { width: 600, nameWidth: 60 });
  const image = pixels(some, layout, 1, 16, COLOURS);
  const at = (row: number, layer: number) => [...image.slice((row * 4 + layer) * 4, (row * 4 + layer) * 4 + 4)];
  it("has a pixel for each cell, in the order of the rows", () => {
    expect(image.length).toBe(3 * 4 * 4);
    // Value 1 of the first concept, then 17 of the third, which is the second row and beyond the scale's end.
    expect(at(0, 0)).toEqual([136, 0, 7, 255]);
    expect(at(1, 0)).toEqual([0, 1, 7, 255]);
    expect(at(2, 0)).toEqual([0, 0, 7, 255]);
  });
  it("is transparent where nothing was run", () => {
    expect(at(1, 3)).toEqual([0, 0, 0, 0]);
  });
  it("is faded where a cell does not pass, but not where it has no verdict yet", () => {
    const faded = { ...some, clear: some.value.map((_, i) => (i === 1 ? 0 : 1)) };
    expect([...pixels(faded, layout, 1, 16, COLOURS).slice(0, 8)]).toEqual([136, 0, 7, 89, 152, 0, 7, 255]);
    const unfinished = { ...faded, unfinished: some.value.map((_, i) => (i === 1 ? 1 : 0)) };
    expect(pixels(unfinished, layout, 1, 16, COLOURS)[3]).toBe(255);
  });
  it("is transparent where answers are broken", () => {
    const broken = { ...some, marks: some.value.map((_, i) => (i === 1 ? 2 : 1)) };
    expect([...pixels(broken, layout, 1, 16, COLOURS).slice(0, 8)]).toEqual([0, 0, 0, 0, 152, 0, 7, 255]);
  });
  it("is that of the scores on their own scale, and of the mean where a category is folded", () => {
    const score = some.value.map((_, i) => (i === 1 ? 0.25 : 1));
    const groupMeans = Float32Array.from({ length: 16 }, () => 0.5);
    const scored = { ...some, coloured: score, scored: true, groupMeans };
    expect([...pixels(scored, layout, 1, 1, COLOURS).slice(0, 8)]).toEqual([64, 0, 7, 255, 0, 1, 7, 255]);
    const folded = layoutMap(some.groups, 4, { width: 600, nameWidth: 60, folded: ["entity"] });
    const image = pixels(scored, folded, 1, 1, COLOURS);
    expect([image.length, ...image.slice(0, 4)]).toEqual([2 * 4 * 4, 128, 0, 7, 255]);
  });
  it("is that of the strength", () => {
    expect([...pixels(some, layout, 0, 16, COLOURS).slice(0, 4)]).toEqual([128, 0, 7, 255]);
  });
});

describe("stretches", () => {
  const of = (text: string) => runs(text.length, (i) => text[i] === "x");
  it("begin and end where it holds", () => {
    expect(of("xx..x.xxx")).toEqual([
      [0, 2],
      [4, 5],
      [6, 9],
    ]);
    expect(of("...")).toEqual([]);
    expect(of("")).toEqual([]);
  });
});
