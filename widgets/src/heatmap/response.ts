/** A cell's dose-response curve: effect against strength over the bands of its controls, by the rules of `mllm_probe.plots.effects`. */
import { niceCeiling } from "../base/numbers";
import { at, type Cell, type Cells, indexOf, ofControl } from "./map_cells";
import { countOf, markLabels, verdictOf } from "./verdict";

export interface Point {
  strength: number;
  /** Place of the strength on its axis of the grid. */
  place: number;
  value: number;
  low: number;
  high: number;
  n: number;
  clear: boolean;
  /** Whether it passes, what is marked on it, and of how many images, in words. */
  said: string[];
}

export interface Band {
  control: string;
  strengths: number[];
  mean: number[];
  low: number[];
  high: number[];
}

export interface Response {
  points: Point[];
  bands: Band[];
  /** Ends of the axes. */
  x: [number, number];
  y: [number, number];
}

/** The curve of one cell, in the order of the strengths, seen from the mean of the control that effects are differences from. */
export function responseOf(cells: Cells, cell: Cell): Response {
  const order = cells.strengths.map((_, i) => i).sort((a, b) => (cells.strengths[a] ?? 0) - (cells.strengths[b] ?? 0));
  const places = order.map((place) => ({ place, index: indexOf(cells, cell, place) }));
  const there = places.filter(({ index }) => Number.isFinite(at(cells.value, index)));
  const points = there.map(({ place, index }) => ({
    strength: cells.strengths[place] ?? 0,
    place,
    value: at(cells.value, index),
    low: at(cells.low, index),
    high: at(cells.high, index),
    n: at(cells.n, index),
    clear: at(cells.clear, index) === 1,
    said: [countOf(cells, index), verdictOf(cells, index), ...markLabels(cells, index)].filter(Boolean),
  }));
  const bands = cells.controls.map((control, kind) => {
    const seen = (array: Float32Array) =>
      there.map(
        ({ index }) => ofControl(cells, array, kind, index) - ofControl(cells, cells.control, cells.against, index),
      );
    const strengths = points.map((point) => point.strength);
    return {
      control,
      strengths,
      mean: seen(cells.control),
      low: seen(cells.controlLow),
      high: seen(cells.controlHigh),
    };
  });
  return { points, bands, ...axesOf(points, bands) };
}

function axesOf(points: Point[], bands: Band[]): Pick<Response, "x" | "y"> {
  const xs = points.map((p) => p.strength);
  const ys = [...points.flatMap((p) => [p.value, p.low, p.high]), ...bands.flatMap((b) => [...b.low, ...b.high])];
  const ends: [number, number] = xs.length ? [Math.min(0, ...xs), Math.max(0, ...xs)] : [-1, 1];
  return { x: ends[0] === ends[1] ? [ends[0] - 1, ends[1] + 1] : ends, y: axisLimits(ys.filter(Number.isFinite)) };
}

/** Round ends of an axis that hold 0 and all `values`. */
export function axisLimits(values: readonly number[]): [number, number] {
  const top = Math.max(0, ...values);
  const bottom = Math.min(0, ...values);
  const low = bottom < 0 ? -niceCeiling(-bottom) : 0;
  return [low, top > 0 ? niceCeiling(top) : bottom < 0 ? 0 : 1];
}

/** Maps values of an axis to pixels. */
export const scale =
  ([low, high]: [number, number], [start, end]: [number, number]) =>
  (value: number): number =>
    start + ((value - low) / (high - low)) * (end - start);

/** Outline of a band as an SVG path, in pieces where a bound is not known. */
export function bandPath(band: Band, x: (v: number) => number, y: (v: number) => number): string {
  const pieces: number[][] = [[]];
  band.strengths.forEach((_, i) => {
    if (Number.isFinite(band.low[i]) && Number.isFinite(band.high[i])) pieces.at(-1)?.push(i);
    else pieces.push([]);
  });
  const corner = (i: number, side: number[]) => `${x(band.strengths[i] ?? 0).toFixed(1)} ${y(side[i] ?? 0).toFixed(1)}`;
  return pieces
    .filter((piece) => piece.length > 1)
    .map((piece) => {
      const up = piece.map((i) => corner(i, band.high));
      const back = piece.map((i) => corner(i, band.low)).reverse();
      return `M${[...up, ...back].join("L")}Z`;
    })
    .join("");
}
