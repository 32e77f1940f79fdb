/** A specification curve as SVG: verdicts in rising order, and below them dots that say what each way is. */
import { digitsFor, plain, signed } from "../base/numbers";
import { svg } from "../base/svg";
import { rgb, type Theme } from "../base/theme";
import { axisLimits, scale } from "../heatmap/response";
import { niceTicks, tickDigits } from "./axes";
import { type ChartData, known, type Painted, type SpecificationsData, type Target } from "./chart_data";

const CURVE = 150;
const TOP = 24;
const ROW = 15;
const GAP = 8;
const LETTER = 6;

/** Rows of dots from top to bottom: the values of each aspect under its name. */
export function settingRows(of: SpecificationsData): { aspect: number; value: number; label: string; y: number }[] {
  let y = TOP + CURVE + 22;
  return of.aspects.flatMap(([name, values], aspect) => {
    const rows = values.map((value, i) => ({ aspect, value: i, label: `${name}: ${value}`, y: y + i * ROW }));
    y += values.length * ROW + GAP;
    return rows;
  });
}

/** A way in words: its place, its verdict, and the value of each aspect. */
export function wayText(of: SpecificationsData, way: number): string {
  const value = known(of.values[way]);
  const digits = digitsFor(Math.max(...of.values.map((one) => Math.abs(one ?? 0))));
  const verdict = Number.isFinite(value) ? `${signed(value, digits)} ${of.units}`.trim() : "not known";
  const setting = of.aspects.map(([name, values], i) => `${name} ${values[of.chosen[way]?.[i] ?? 0] ?? ""}`).join(", ");
  return `way ${way + 1} of ${of.values.length}${way === of.headline ? " (headline)" : ""} · ${verdict} · ${setting}`;
}

function axis(limits: [number, number], y: (v: number) => number, left: number, right: number) {
  const ticks = niceTicks(...limits, 4);
  const digits = tickDigits(ticks);
  return ticks.flatMap((value) => [
    svg("path", { class: value === 0 ? "mp-zero" : "mp-rule", d: `M${left} ${y(value).toFixed(1)}H${right}` }),
    svg("text", { x: left - 6, y: y(value) + 3.5, "text-anchor": "end" }, plain(value, digits)),
  ]);
}

/** Paint a specification curve in a given width. */
export function multiverseChart(chart: ChartData, of: SpecificationsData, width: number, theme: Theme): Painted {
  const rows = settingRows(of);
  const longest = Math.max(6, ...rows.map((row) => row.label.length)) * LETTER + 12;
  const left = Math.min(longest, width * 0.45);
  const right = Math.max(left + 60, width - 12);
  const each = (right - left) / Math.max(1, of.values.length);
  const x = (way: number) => left + (way + 0.5) * each;
  const limits = axisLimits(of.values.map(known).filter(Number.isFinite));
  const y = scale(limits, [TOP + CURVE, TOP]);
  const height = (rows.at(-1)?.y ?? TOP + CURVE) + 14;
  const root = svg("svg", {
    width: Math.max(width, right),
    height,
    viewBox: `0 0 ${Math.max(width, right)} ${height}`,
  });
  root.append(...axis(limits, y, left, right), svg("text", { class: "mp-axis", x: 4, y: 11 }, chart.y.label ?? ""));
  const r = Math.max(1.4, Math.min(4, each / 2.4));
  root.append(
    svg("rect", {
      class: "mp-headline",
      x: x(of.headline) - each / 2 - 1,
      y: TOP - 6,
      width: each + 2,
      height: height - TOP,
    }),
  );
  for (const row of rows) {
    root.append(svg("text", { class: "mp-name", x: left - 6, y: row.y + 3.5, "text-anchor": "end" }, row.label));
  }
  const targets: Target[] = of.values.map((one, way) => {
    const value = known(one);
    const kind = way === of.headline ? "mp-main" : "";
    const style = kind || value === 0 ? undefined : `fill: ${rgb(value > 0 ? theme.positive : theme.negative)}`;
    const look = { class: `mp-verdict ${kind}`, style };
    if (Number.isFinite(value)) root.append(svg("circle", { ...look, cx: x(way), cy: y(value), r }));
    for (const row of rows) {
      if (of.chosen[way]?.[row.aspect] !== row.value) continue;
      root.append(svg("circle", { class: `mp-setting ${kind}`, cx: x(way), cy: row.y, r: Math.min(3, r) }));
    }
    return { x: x(way), y: Number.isFinite(value) ? y(value) : y(0), row: 0, column: way, text: wayText(of, way) };
  });
  return { element: root, targets, legend: [] };
}
