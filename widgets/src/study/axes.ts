/** Scales and ticks of a chart: where numbers stand, and which of them are written. */
import { layerName, plain } from "../base/numbers";
import { svg } from "../base/svg";
import { fitting } from "../heatmap/fitting";
import { axisLimits, scale } from "../heatmap/response";
import type { AxisData, ChartData } from "./chart_data";
import { known } from "./chart_data";

export interface Frame {
  width: number;
  height: number;
  left: number;
  right: number;
  top: number;
  bottom: number;
}

export type Place = (value: number) => number;

const STEPS = [1, 2, 2.5, 5, 10];
/** Of the letters on the axes, on average. */
const LETTER = 6.2;
const LAYERS = ["layer", "read_layer"];
/** How far single concepts may widen the axis at each end, as a share of what means need. */
const WIDER = 0.5;

/** About `count` round numbers between two ends. */
export function niceTicks(low: number, high: number, count: number): number[] {
  const rough = (high - low) / Math.max(1, count);
  if (!(rough > 0) || !Number.isFinite(rough)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * (STEPS.find((one) => one * power >= rough * (1 - 1e-9)) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Digits after the point with which ticks differ. */
export function tickDigits(ticks: readonly number[]): number {
  const step = Math.abs((ticks[1] ?? 1) - (ticks[0] ?? 0)) || 1;
  return Math.max(0, Math.min(5, ...[0, 1, 2, 3, 4, 5].filter((n) => Math.abs(step - Number(step.toFixed(n))) < 1e-9)));
}

/** Ends of the upright axis: every mean, interval, point and level inside; single concepts as far as means stay readable. */
export function heights(chart: ChartData): [number, number] {
  const lines = chart.lines ?? [];
  const of = (some: typeof lines) =>
    some.flatMap((line) => [...(line.y ?? []), ...(line.low ?? []), ...(line.high ?? [])]).map(known);
  const single = of(lines.filter((line) => line.concept)).filter(Number.isFinite);
  const points = (chart.points ?? []).flatMap((one) => [...one.y, ...one.low, ...one.high]).map(known);
  const needed = [...of(lines.filter((line) => !line.concept)), ...points, ...(chart.levels ?? [])].filter(
    Number.isFinite,
  );
  if (needed.length === 0) return axisLimits(single);
  const [low, high] = [Math.min(0, ...needed), Math.max(0, ...needed)];
  const room = WIDER * (high - low);
  const within = single.map((value) => Math.max(low - room, Math.min(high + room, value)));
  return axisLimits([...needed, ...within]);
}

/** Where the positions of a chart stand from left to right. */
export function across(chart: ChartData, frame: Frame): Place {
  const used = [...(chart.places ?? []).flat(), ...(chart.points ?? []).flatMap((one) => one.x)]
    .map(known)
    .filter(Number.isFinite);
  const ends: [number, number] = [frame.left + 12, frame.width - frame.right - 12];
  if (chart.points) return scale(axisLimits(used), ends);
  const of = chart.x.log ? Math.log : (value: number) => value;
  const [low, high] = [Math.min(...used), Math.max(...used)];
  if (!(high > low)) return () => (ends[0] + ends[1]) / 2;
  const place = scale([of(low), of(high)], ends);
  return (value) => place(of(value));
}

/** A position on the horizontal axis in words: a block by its name. */
export function positionName(axis: AxisData, value: number): string {
  if (LAYERS.includes(axis.dim ?? "")) return `block ${layerName(value)}`;
  return `${axis.label ?? ""} ${plain(value, Number.isInteger(value) ? 0 : 2)}`.trim();
}

function tickName(axis: AxisData, value: number, digits: number): string {
  return LAYERS.includes(axis.dim ?? "") ? layerName(value) : plain(value, digits);
}

/** Rules, numbers and labels of both axes. */
export function axes(chart: ChartData, frame: Frame, x: Place, y: Place, limits: [number, number]): SVGElement[] {
  const { width, height, left, right, bottom } = frame;
  const found: SVGElement[] = [];
  const upright = niceTicks(...limits, 5);
  for (const value of upright) {
    const at = y(value).toFixed(1);
    found.push(svg("path", { class: value === 0 ? "mp-zero" : "mp-rule", d: `M${left} ${at}H${width - right}` }));
    const text = plain(value, tickDigits(upright));
    found.push(svg("text", { x: left - 6, y: y(value) + 3.5, "text-anchor": "end" }, text));
  }
  const used = (chart.places ?? []).flat().map(known).filter(Number.isFinite);
  const [from, to] = chart.points ? axisLimits(chart.points.flatMap((one) => one.x.map(known))) : [0, 0];
  const ticks = chart.x.ticks ?? (chart.points ? niceTicks(from, to, 6) : [...new Set(used)].sort((a, b) => a - b));
  const digits = ticks.every(Number.isInteger) ? 0 : Math.max(1, tickDigits(ticks));
  const order = [...new Set([ticks[0], ticks.at(-1), ...ticks])].filter((tick) => tick !== undefined);
  const labels = order.map((tick) => ({ at: x(tick), text: tickName(chart.x, tick, digits) }));
  for (const { at, text } of fitting(
    labels.map((one) => ({ ...one, size: one.text.length * LETTER })),
    8,
  )) {
    found.push(svg("text", { x: at, y: height - bottom + 15, "text-anchor": "middle" }, text));
  }
  const middle = (left + width - right) / 2;
  found.push(svg("text", { class: "mp-axis", x: middle, y: height - 5, "text-anchor": "middle" }, chart.x.label ?? ""));
  found.push(svg("text", { class: "mp-axis", x: 4, y: 11, "text-anchor": "start" }, chart.y.label ?? ""));
  return found;
}
