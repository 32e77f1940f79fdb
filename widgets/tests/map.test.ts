import { describe, expect, it, vi } from "vitest";
import type { Pen } from "../src/base/canvas";
import { diverging, luminance, type Rgb, sequential, type Theme } from "../src/base/theme";
import { lastMark, paintMarks, UNFINISHED } from "../src/heatmap/cell_marks";
import { Names } from "../src/heatmap/labels";
import { cellAt, edgesAt, layerAt, layoutMap, move } from "../src/heatmap/layout";
import {
  type Cells,
  colouredAt,
  findConcept,
  floats,
  groupRow,
  indexOf,
  nearest,
  profile,
} from "../src/heatmap/map_cells";
import { heightOn, paintColumnProfile, paintMargin } from "../src/heatmap/margins";
import { readout } from "../src/heatmap/readout";
import type { Scene } from "../src/heatmap/scene";
import { dragTo, fromTraits, onKey, select, span, toTraits } from "../src/heatmap/selection";
import { shadeOf } from "../src/heatmap/shading";
import { cells, GROUPS } from "./cells";

describe("cells", () => {
  it("are read from buffers that start anywhere", () => {
    const bytes = new Uint8Array(11);
    bytes.set(new Uint8Array(new Float32Array([1.5, -2]).buffer), 3);
    expect([...floats(new DataView(bytes.buffer, 3, 8))]).toEqual([1.5, -2]);
    expect(floats(null).length).toBe(0);
  });
  it("are indexed as concept × layer × strength", () => {
    expect(indexOf(cells(), { concept: 2, layer: 1 }, 1)).toBe(19);
    expect(profile(cells(), 1, 0)).toEqual([8, 10, 12, 14]);
  });
  it("find the nearest strength", () => {
    expect(nearest([-2, -1, 1, 2], 1.25)).toBe(2);
    expect(nearest([], 1)).toBe(0);
  });
});

describe("layout", () => {
  const layout = layoutMap(GROUPS, 4, { width: 600, nameWidth: 60 });
  it("has its rows in the order of the groups", () => {
    expect(layout.rows.map((r) => r.concept)).toEqual([0, 2, 1]);
  });
  it("finds the cell at the middle of every cell, and none beside them", () => {
    for (const row of layout.rows) {
      for (let layer = 0; layer < 4; layer += 1) {
        const x = layout.left + (layer + 0.5) * layout.cellWidth;
        expect(cellAt(layout, x, row.y + layout.rowHeight / 2)).toEqual({ concept: row.concept, layer });
      }
    }
    expect(cellAt(layout, layout.left - 1, 30)).toBeNull();
    expect(cellAt(layout, layout.left + 4 * layout.cellWidth + 1, 30)).toBeNull();
    expect(cellAt(layout, layout.left + 5, layout.height)).toBeNull();
  });
  it("never gets wider than its space, and gives its margin up first", () => {
    for (const width of [320, 480, 640, 900, 1600]) {
      for (const layers of [4, 8, 40]) {
        const made = layoutMap(GROUPS, layers, { width, nameWidth: 150 });
        expect(made.left + layers * made.cellWidth).toBeLessThanOrEqual(width);
        if (made.margin !== null) expect(made.margin + 80).toBeLessThanOrEqual(width);
      }
    }
    expect(layoutMap(GROUPS, 40, { width: 480, nameWidth: 60 }).margin).toBeNull();
    expect(layoutMap(GROUPS, 8, { width: 700, nameWidth: 60 }).margin).not.toBeNull();
  });
  it("gives each category a line of its own, but those without a name", () => {
    const headed = layoutMap([...GROUPS, ["", [3]]], 4, { width: 600, nameWidth: 60 });
    // None of the lines stands on the rows of another group.
    const ends = headed.groups.map((group) => group.top + group.height);
    expect(headed.groups.map((group, i) => group.top - (ends[i - 1] ?? headed.top))).toEqual([16, 22, 6]);
  });
  it("folds a category to one row, which has no concept and is passed over by keys", () => {
    const folded = layoutMap(GROUPS, 4, { width: 600, nameWidth: 60, folded: ["entity"] });
    expect(folded.rows.map((r) => r.concept)).toEqual([groupRow(0), 1]);
    expect(folded.groups.map((g) => [g.folded, g.count, g.height / folded.rowHeight])).toEqual([
      [true, 2, 1],
      [false, 1, 1],
    ]);
    expect(folded.height).toBeLessThan(layout.height);
    const { y = 0 } = folded.rows[0] ?? {};
    expect(cellAt(folded, folded.left + 1, y + 1)).toEqual({ concept: groupRow(0), layer: 0 });
    for (const key of ["ArrowUp", "ArrowDown"]) {
      expect(move(folded, { concept: 1, layer: 2 }, key)).toEqual({ concept: 1, layer: 2 });
      expect(move(folded, { concept: 2, layer: 2 }, key)).toEqual({ concept: 1, layer: 2 });
    }
  });
  it("keeps a column for the best layers longer than the margin", () => {
    const at = (width: number) => layoutMap(GROUPS, 8, { width, nameWidth: 60 });
    expect([at(700).best !== null, at(700).margin !== null]).toEqual([true, true]);
    expect([at(380).best !== null, at(380).margin !== null]).toEqual([true, false]);
    expect(at(220).best).toBeNull();
  });
  it("moves the cursor in the order that is seen, and stops at the edges", () => {
    const from = { concept: 0, layer: 0 };
    expect(move(layout, from, "ArrowDown")).toEqual({ concept: 2, layer: 0 });
    expect(move(layout, from, "ArrowUp")).toEqual(from);
    expect(move(layout, from, "ArrowLeft")).toEqual(from);
    expect(move(layout, from, "ArrowRight")).toEqual({ concept: 0, layer: 1 });
    expect(move(layout, from, "End")).toEqual({ concept: 0, layer: 3 });
    expect(move(layout, from, "PageDown")).toEqual({ concept: 1, layer: 0 });
    expect(move(layout, from, "a")).toBeNull();
  });
});

describe("readout", () => {
  const units = { unit: "nats", strengthUnit: "residual", limit: 20 };
  it("says concept, layer, strength, value with unit and interval, n and controls", () => {
    const text = readout(cells(), { concept: 1, layer: 2 }, 1, units).map((piece) => piece.text);
    expect(text).toEqual([
      "line_art",
      "layer 2",
      "1 × residual norm",
      "+13.0 nats",
      "[+12.0, +14.0]",
      "passes, q = .013",
      "n = 24 images",
    ]);
  });
  it("says of a window that each of its layers has the dose", () => {
    const text = readout(cells(), { concept: 1, layer: 2 }, 1, { ...units, window: [1, 3] }).map((piece) => piece.text);
    expect(text.slice(1, 4)).toEqual(["layer 2", "window 1–3", "1 × residual norm at each"]);
  });
  const verdict = (some: Partial<Cells>, concept = 1) =>
    readout({ ...cells(), ...some }, { concept, layer: 2 }, 1, units)
      .map((piece) => piece.text)
      .slice(5);
  it("says why a cell passes or not in the words of the kernel, of how many images, and what its answers are", () => {
    const all = cells().value;
    const said = (place: number, some: Partial<Cells> = {}) =>
      verdict({ reason: Uint16Array.from(all, () => place), ...some });
    expect(said(1)).toEqual(["passes, q = .013", "n = 24 images"]);
    expect(said(1, { q: new Float32Array(0) })[0]).toBe("passes");
    expect(said(2, { n: all.map(() => 2) })).toEqual(["2 of 6 images", "n = 2 images"]);
    expect(said(3)[0]).toBe("random direction reaches as far");
    expect(verdict({ reason: new Uint16Array(0) })).toEqual(["n = 24 images"]);
    expect(verdict({ n: all.map(() => 1) }).at(-1)).toBe("n = 1 image");
    expect(verdict({ marks: all.map(() => 3) }).slice(1, 3)).toEqual([
      "no answer names the concept",
      "at least half of the answers broken",
    ]);
  });
  it("gives the numbers of the control that it is compared with, and of another one that reaches as far", () => {
    const all = cells().value;
    const both = Float32Array.from([...all.map(() => 1), ...all.map(() => 2)]);
    const with_controls = { controls: ["random", "on_manifold"], control: both, controlLow: both, controlHigh: both };
    const numbers = (reason: string) => verdict({ ...with_controls, reasons: ["", reason] }).slice(2);
    const random = "random direction +1.0 [+1.0, +1.0] over unsteered";
    expect(numbers("passes")).toEqual([random]);
    expect(numbers("random reaches as far")).toEqual([random]);
    expect(numbers("on_manifold reaches as far")).toEqual([
      random,
      "on-manifold direction +2.0 [+2.0, +2.0] over unsteered",
    ]);
  });
  it("says why a concept is grey, measured or not", () => {
    const grey = { ...cells(), unfit: { cat: "not told apart" } };
    for (const some of [grey, { ...grey, coloured: new Float32Array(0) }]) {
      const text = (concept: number) => readout(some, { concept, layer: 0 }, 1, units).map((piece) => piece.text);
      expect(text(0)[3]).toBe("not told apart");
      expect(text(1)).not.toContain("not told apart");
    }
  });
  it("says when a cell has not been run", () => {
    const none = new Float32Array(0);
    const empty = { ...cells(), value: none, coloured: none };
    const text = readout(empty, { concept: 0, layer: 0 }, 0, units).map((piece) => piece.text);
    expect(text.at(-1)).toContain("not run yet");
  });
});

describe("a map of scores", () => {
  const units = { unit: "", strengthUnit: "residual", limit: 1 };
  const score = Float32Array.from({ length: 24 }, (_, i) => i / 24);
  const scored = { ...cells(), coloured: score, scored: true, controls: ["random"] };
  scored.groupMeans = Float32Array.from({ length: 16 }, (_, i) => i / 16);
  const said = (some: Cells, concept = 1) => readout(some, { concept, layer: 2 }, 1, units).map((piece) => piece.text);
  it("reads the score, and the effect beyond the control beside it", () => {
    scored.value[13] = 0.5;
    expect(said(scored).slice(3, 5)).toEqual(["score 0.54", "+0.50 beyond random directions"]);
    const bare = { ...scored, value: scored.value.map(() => Number.NaN) };
    expect(said(bare).slice(3, 5)).toEqual(["score 0.54", "its controls are not run yet"]);
  });
  it("reads the mean of a folded category", () => {
    expect(said(scored, groupRow(0))).toEqual([
      "entity",
      "layer 2",
      "1 × residual norm",
      "score 0.31, mean of 2 concepts",
    ]);
    expect(colouredAt(scored, { concept: groupRow(1), layer: 0 }, 1)).toBeCloseTo(9 / 16, 6);
  });
});

describe("finding a concept", () => {
  const names = ["black cat", "cat", "line_art", "Cartoon"];
  it("takes the first that begins with the text, else one that holds it", () => {
    expect(["ca", "bla", "line a", "ART", "dog", " "].map((text) => findConcept(names, text))).toEqual([
      1, 0, 2, 2, -1, -1,
    ]);
  });
});

describe("palette", () => {
  const theme = { zero: [250, 250, 250], positive: [200, 80, 0], negative: [0, 80, 200] } as unknown as Theme;
  it("is neutral at the control and symmetric around it", () => {
    expect(diverging(0, 8, theme)).toEqual([250, 250, 250]);
    expect(diverging(8, 8, theme)).toEqual([200, 80, 0]);
    expect(diverging(-99, 8, theme)).toEqual([0, 80, 200]);
  });
  const scale: Rgb[] = [
    [0, 0, 0],
    [100, 0, 0],
    [100, 200, 0],
  ];
  it("goes from one colour of the scale to the next for scores", () => {
    const of = (score: number) => sequential(score, { ...theme, scale } as Theme);
    expect([0, 0.25, 0.5, 0.75, 1, 7].map(of)).toEqual([
      [0, 0, 0],
      [50, 0, 0],
      [100, 0, 0],
      [100, 100, 0],
      [100, 200, 0],
      [100, 200, 0],
    ]);
    expect(shadeOf(0, 1, true)).toBe(0);
    expect([shadeOf(1, 1, true), shadeOf(0, 8, false), shadeOf(-9, 8, false)]).toEqual([256, 128, 0]);
  });
  it("tells dark backgrounds from light ones", () => {
    expect(luminance("rgb(17, 17, 17)")).toBeLessThan(0.25);
    expect(luminance("rgb(255, 255, 255)")).toBeCloseTo(1);
    expect(luminance("rgba(0, 0, 0, 0)")).toBe(1);
  });
});

describe("columns", () => {
  it("stand at their relative depth, each reaching half way to its neighbours", () => {
    expect(edgesAt([0.25, 0.5, 0.75, 1], 100)).toEqual([0, 25, 50, 75, 100]);
    const uneven = edgesAt([0.1, 0.3, 0.9], 100) ?? [];
    expect(uneven.map(Math.round)).toEqual([0, 17, 50, 100]);
    expect(edgesAt([0.1, 0.101, 0.9], 100)).toBeNull();
  });
  it("are found under the pointer whatever their width", () => {
    const layout = layoutMap(GROUPS, 4, { width: 600, nameWidth: 60, depths: [0.1, 0.3, 0.4, 1] });
    const middles = layout.edges.slice(0, 4).map((edge, i) => (edge + (layout.edges[i + 1] ?? 0)) / 2);
    expect(middles.map((x) => layerAt(layout, x))).toEqual([0, 1, 2, 3]);
    expect([layerAt(layout, layout.left - 1), layerAt(layout, 9999)]).toEqual([-1, 4]);
  });
});

describe("marks", () => {
  it("are painted with a halo, the last one of each cell, inside their cells at every width", () => {
    const points: [string, number, number][] = [];
    class Path {
      moveTo(x: number, y: number) {
        points.push(["move", x, y]);
      }
      lineTo(x: number, y: number) {
        points.push(["line", x, y]);
      }
    }
    vi.stubGlobal("Path2D", Path);
    for (const width of [600, 100]) {
      points.length = 0;
      const layout = layoutMap(GROUPS, 4, { width, nameWidth: 60 });
      const strokes: [unknown, number][] = [];
      const pen = { stroke: () => strokes.push([seen.strokeStyle, seen.lineWidth]), strokeStyle: "", lineWidth: 1 };
      const seen = pen;
      const theme = { paper: "white", ink: "black" } as Theme;
      const marked = [[0, 1, 2, 3].map(lastMark), [UNFINISHED], [lastMark(Number.NaN)]];
      paintMarks(pen as unknown as Pen, layout, theme, (row, layer) => marked[row]?.[layer]);
      // A dash in the second column, nothing on broken answers, which are hollow; a diamond in the second row.
      expect(points.map(([kind]) => kind)).toEqual(["move", "line", "move", "line", "line", "line", "line"]);
      const columns = points.map(([, x]) => layerAt(layout, x));
      expect(columns).toEqual([1, 1, 0, 0, 0, 0, 0]);
      for (const [i, [, , y]] of points.entries()) {
        const top = layout.rows[i < 2 ? 0 : 1]?.y ?? 0;
        expect(y > top && y < top + layout.rowHeight).toBe(true);
      }
      expect(strokes.map(([colour]) => colour)).toEqual(["white", "black"]);
      expect(strokes[0]?.[1]).toBeGreaterThan(strokes[1]?.[1] ?? 9);
    }
    vi.unstubAllGlobals();
  });
});

describe("names", () => {
  it("are grey where the concept is", () => {
    const painted: Record<string, string> = {};
    const pen = { fillStyle: "", fillText: (text: string) => (painted[text] = pen.fillStyle) };
    const measured = Object.assign(pen, { measureText: () => ({ width: 9 }) }) as unknown as Pen;
    const layout = layoutMap(GROUPS, 4, { width: 700, nameWidth: 60 });
    const scene = { cells: { ...cells(), unfit: { line_art: "why" } }, layout, selection: null } as unknown as Scene;
    new Names().paint(measured, scene, { ink: "black", faint: "grey" } as Theme);
    expect(painted).toEqual({ cat: "black", line_art: "grey", "<b>dog</b>": "black" });
  });
});

describe("margins", () => {
  const layout = layoutMap(GROUPS, 4, { width: 700, nameWidth: 60 });
  const pen = () => {
    const written: string[] = [];
    const bars: number[][] = [];
    const quiet = () => {};
    const paths = { beginPath: quiet, moveTo: quiet, lineTo: quiet, stroke: quiet };
    const fillText = (text: string) => written.push(text);
    const fillRect = (...box: number[]) => bars.push(box);
    return { written, bars, pen: { ...paths, fillText, fillRect } as unknown as Pen };
  };
  const scene = (some: Cells) => ({ cells: some, layout, strength: 1, limit: 24 }) as Scene;
  const theme = { font: "serif" } as Theme;
  it("draw the effect of each row with its sign, on one scale for all rows", () => {
    const some = cells();
    some.value = some.value.map((_, i) => (i < 8 ? 12 : i < 16 ? -12 : 3));
    some.value[17] = Number.NaN;
    some.coloured = some.value;
    const steps: [string, number, number][] = [];
    const { written, pen: seen } = pen();
    const recording = Object.assign(seen, {
      moveTo: (x: number, y: number) => steps.push(["move", x, y]),
      lineTo: (x: number, y: number) => steps.push(["line", x, y]),
    });
    paintMargin(recording, { ...scene(some), unit: "nats" }, theme);
    expect(written).toEqual(["± 24 nats"]);
    const rows = layout.rows.map(({ concept, y }) => ({ concept, zero: y + heightOn(layout, 0, 24, false) }));
    const above = (concept: number) => {
      const { zero = 0 } = rows.find((row) => row.concept === concept) ?? {};
      return steps.filter(([, , y]) => Math.abs(y - zero) < layout.rowHeight / 2).map(([, , y]) => zero - y);
    };
    const half = (layout.rowHeight - 5) / 4;
    expect(above(0)).toEqual([half, half, half, half].map((y) => expect.closeTo(y, 6)));
    expect(above(1)).toEqual([half, half, half, half].map((y) => expect.closeTo(-y, 6)));
    expect(above(2)).toEqual([half, half, half].map((y) => expect.closeTo(y / 4, 6)));
    expect(steps.filter(([kind]) => kind === "move").length).toBe(3);
    expect(heightOn(layout, 99, 24, false)).toBe(heightOn(layout, 24, 24, false));
    const [top, bottom] = [heightOn(layout, 1, 1, true), heightOn(layout, 0, 1, true)];
    expect(bottom - top).toBeCloseTo(layout.rowHeight - 5, 6);
  });
  it("draw a bar for each of the kernel's means", () => {
    const some = cells();
    some.meanOverConcepts = Float32Array.from([9, 2, 9, Number.NaN, 9, -1, 9, 99]);
    const { bars, pen: seen } = pen();
    paintColumnProfile(seen, scene(some), theme, Array(257).fill([0, 0, 0]));
    const heights = bars.slice(0, -1).map(([, , , height = 0]) => height);
    expect(heights.map((height) => height * (25 / 20))).toEqual([2, 1, 24].map((v) => expect.closeTo(v, 6)));
  });
});

describe("selection", () => {
  const axes = { concepts: ["cat", "tree"], layers: [2, 4, 6, 8] };
  const layout = layoutMap([["entity", [0, 1]]], 4, { width: 600, nameWidth: 60 });
  it("is what the traits say", () => {
    const chosen = { concept: "tree", layer: 4, window: [4, 8] };
    const made = fromTraits(axes, chosen, null);
    expect(made && span(made)).toEqual([1, 3]);
    expect(made && toTraits(axes, made)).toEqual(chosen);
    expect(fromTraits(axes, { concept: "gone", layer: 99, window: [0, 0] }, null)).toEqual({
      concept: 0,
      anchor: 0,
      active: 0,
    });
    expect(fromTraits({ concepts: [], layers: [] }, chosen, null)).toBeNull();
  });
  it("keeps the roles of its ends while the traits say the same", () => {
    const before = { concept: 1, anchor: 3, active: 1 };
    expect(fromTraits(axes, toTraits(axes, before), before)).toBe(before);
    expect(fromTraits(axes, { concept: "tree", layer: 4, window: [4, 4] }, before)).toEqual({
      concept: 1,
      anchor: 1,
      active: 1,
    });
  });
  it("grows from its anchor by shift and by a drag, and falls back by Escape", () => {
    let now = select(null, { concept: 0, layer: 2 }, false);
    now = onKey(layout, now, "ArrowLeft", true) ?? now;
    now = onKey(layout, now, "ArrowLeft", true) ?? now;
    expect([span(now), now.active]).toEqual([[0, 2], 0]);
    now = onKey(layout, now, "ArrowRight", true) ?? now;
    expect(span(now)).toEqual([1, 2]);
    expect(span(dragTo(layout, now, 9999))).toEqual([2, 3]);
    expect(span(select(now, { concept: 1, layer: 0 }, true))).toEqual([0, 2]);
    const one = onKey(layout, now, "Escape", false);
    expect(one && span(one)).toEqual([1, 1]);
    expect(one && onKey(layout, one, "Escape", false)).toBeNull();
    const moved = onKey(layout, now, "ArrowDown", true);
    expect(moved).toEqual({ concept: 1, anchor: 1, active: 1 });
  });
});
