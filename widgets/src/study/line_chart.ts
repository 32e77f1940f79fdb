/** Lines and points of a chart as SVG: means with intervals, single concepts as thin lines, and the selection. */

import { uniqueId } from "../base/dom";
import { digitsFor, plain } from "../base/numbers";
import { svg } from "../base/svg";
import { controlColour } from "../base/theme";
import { scale } from "../heatmap/response";
import { across, axes, type Frame, heights, type Place, positionName } from "./axes";
import {
  type ChartData,
  known,
  type LineData,
  type Painted,
  type PointsData,
  type Selection,
  type Target,
} from "./chart_data";

const HEIGHT = 320;
const EDGES = { left: 52, right: 14, top: 24, bottom: 40 };

interface Pen {
  chart: ChartData;
  x: Place;
  y: Place;
  digits: number;
  dark: boolean;
}

/** A number with its interval. */
function measured(value: number, low: number, high: number, digits: number): string {
  const between =
    Number.isFinite(low) && Number.isFinite(high) ? ` [${plain(low, digits)}, ${plain(high, digits)}]` : "";
  return plain(value, digits) + between;
}

/** A line as a path, in pieces where a point is not known. */
export function linePath(xs: readonly number[], ys: readonly number[]): string {
  let open = false;
  const steps = xs.map((x, i) => {
    const y = ys[i] ?? Number.NaN;
    const step = Number.isFinite(x) && Number.isFinite(y) ? `${open ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}` : "";
    open = step !== "";
    return step;
  });
  return steps.join("");
}

function colourOf(line: { control?: string; colour?: string }, dark: boolean): string {
  return line.control ? controlColour(line.control, dark) : (line.colour ?? "");
}

function style(line: LineData, dark: boolean): string {
  return `${line.control ? "--own" : "--of"}: ${colourOf(line, dark)}`;
}

function intervals(line: LineData, xs: number[], { y }: Pen): SVGElement[] {
  return xs.flatMap((x, i) => {
    const [low, high] = [known(line.low?.[i]), known(line.high?.[i])];
    if (!Number.isFinite(low) || !Number.isFinite(high)) return [];
    return svg("path", { class: "mp-interval", d: `M${x.toFixed(1)} ${y(low).toFixed(1)}V${y(high).toFixed(1)}` });
  });
}

function paintLine(line: LineData, pen: Pen, selection: Selection): SVGElement {
  const xs = (pen.chart.places?.[line.at] ?? []).map((value) => pen.x(known(value)));
  const ys = (line.y ?? []).map((value) => pen.y(known(value)));
  const chosen = line.concept === undefined ? line.layer === selection.layer : line.concept === selection.concept;
  const kind = line.concept === undefined ? "mp-mean-line" : "mp-concept-line";
  const group = svg("g", {
    class: `${kind}${line.dashed ? " mp-dashed" : ""}${chosen ? " mp-chosen" : ""}`,
    style: style(line, pen.dark),
    "data-concept": line.concept,
  });
  group.append(svg("path", { class: "mp-line", d: linePath(xs, ys) }), ...intervals(line, xs, pen));
  if (line.concept !== undefined || line.dashed) return group;
  ys.forEach((y, i) => {
    if (Number.isFinite(y)) group.append(svg("circle", { class: "mp-dot", cx: xs[i] ?? 0, cy: y, r: 3.2 }));
  });
  return group;
}

function lineTargets(line: LineData, row: number, pen: Pen): Target[] {
  const { chart, x, y, digits } = pen;
  return (line.y ?? []).flatMap((value, column) => {
    const [at, height] = [known(chart.places?.[line.at]?.[column]), known(value)];
    if (!Number.isFinite(at) || !Number.isFinite(height)) return [];
    const layer = chart.x.dim === "layer" ? at : line.layer;
    const edited = line.concept !== undefined && line.layer !== undefined ? `, edited: block ${line.layer}` : "";
    const number = measured(height, known(line.low?.[column]), known(line.high?.[column]), digits);
    return {
      ...{ x: x(at), y: y(height), row, column },
      text: `${line.concept ?? line.label ?? ""}${edited} · ${positionName(chart.x, at)} · ${number}`,
      ...(line.concept === undefined ? {} : { concept: line.concept }),
      ...(layer === undefined ? {} : { layer }),
    };
  });
}

function paintPoints(one: PointsData, pen: Pen, selection: Selection): SVGElement {
  const group = svg("g", { class: "mp-points", style: `--of: ${one.colour}` });
  one.concepts.forEach((concept, i) => {
    const [x, y] = [pen.x(known(one.x[i])), pen.y(known(one.y[i]))];
    if (!Number.isFinite(x) || !Number.isFinite(y)) return;
    const [low, high] = [pen.y(known(one.low[i])), pen.y(known(one.high[i]))];
    const chosen = concept === selection.concept ? " mp-chosen" : "";
    const point = svg("g", { class: `mp-single${chosen}`, "data-concept": concept });
    if (Number.isFinite(low) && Number.isFinite(high)) {
      point.append(svg("path", { class: "mp-interval", d: `M${x.toFixed(1)} ${low.toFixed(1)}V${high.toFixed(1)}` }));
    }
    point.append(svg("circle", { class: "mp-dot", cx: x, cy: y, r: chosen ? 6 : 4 }));
    group.append(point);
  });
  return group;
}

function pointTargets(one: PointsData, row: number, pen: Pen): Target[] {
  const order = [...one.concepts.keys()].sort((a, b) => known(one.x[a]) - known(one.x[b]));
  return order.flatMap((i, column) => {
    const [x, y, concept] = [known(one.x[i]), known(one.y[i]), one.concepts[i] ?? ""];
    if (!Number.isFinite(x) || !Number.isFinite(y)) return [];
    const number = measured(y, known(one.low[i]), known(one.high[i]), pen.digits);
    const text = `${concept} (${one.label}) · ${positionName(pen.chart.x, x)} · ${number}`;
    return { x: pen.x(x), y: pen.y(y), row, column, text, concept };
  });
}

/** A rule at the selected layer, where layers lie along the axis and it is among them. */
function layerRule(chart: ChartData, x: Place, layer: number, frame: Frame): SVGElement[] {
  if (chart.x.dim !== "layer" || !(chart.x.ticks ?? []).includes(layer)) return [];
  const d = `M${x(layer).toFixed(1)} ${frame.top}V${frame.height - frame.bottom}`;
  return [svg("path", { class: "mp-here", d, "data-layer": layer })];
}

/** Paint the lines or points of a chart in a given width. */
export function lineChart(chart: ChartData, selection: Selection, width: number, dark: boolean): Painted {
  const frame = { ...EDGES, width: Math.max(260, width), height: HEIGHT };
  const limits = heights(chart);
  const y = scale(limits, [HEIGHT - frame.bottom, frame.top]);
  const x = across(chart, frame);
  const pen = { chart, x, y, dark, digits: digitsFor(Math.max(...limits.map(Math.abs))) };
  const id = uniqueId("clip");
  const clip = svg("clipPath", { id });
  const box = { x: frame.left, y: frame.top - 8, width: frame.width - frame.left - frame.right };
  clip.append(svg("rect", { ...box, height: HEIGHT - frame.bottom - frame.top + 16 }));
  const inside = svg("g", { "clip-path": `url(#${id})` });
  for (const level of chart.levels ?? []) {
    inside.append(
      svg("path", { class: "mp-level", d: `M${frame.left} ${y(level).toFixed(1)}H${frame.width - frame.right}` }),
    );
  }
  const lines = chart.lines ?? [];
  const single = lines.filter((line) => line.concept !== undefined);
  const means = lines.filter((line) => line.concept === undefined);
  const chosen = single.filter((line) => line.concept === selection.concept);
  const order = [...single.filter((line) => !chosen.includes(line)), ...means, ...chosen];
  inside.append(...order.map((line) => paintLine(line, pen, selection)));
  inside.append(...(chart.points ?? []).map((one) => paintPoints(one, pen, selection)));
  const root = svg("svg", { width: frame.width, height: HEIGHT, viewBox: `0 0 ${frame.width} ${HEIGHT}` });
  root.append(clip, ...axes(chart, frame, x, y, limits), ...layerRule(chart, x, selection.layer, frame), inside);
  const targets = [
    ...[...means, ...single].flatMap((line, row) => lineTargets(line, row, pen)),
    ...(chart.points ?? []).flatMap((one, row) => pointTargets(one, row, pen)),
  ];
  const named = means.map((line) => ({
    label: line.label ?? "",
    colour: style(line, dark),
    dashed: line.dashed === true,
  }));
  const groups = (chart.points ?? []).map((one) => ({
    label: one.label,
    colour: `--of: ${one.colour}`,
    dashed: false,
  }));
  return { element: root, targets, legend: [...named, ...groups] };
}
