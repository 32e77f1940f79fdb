/** Draw a dose-response curve as SVG. */
import { digitsFor, dose, fewest, signed, strengthUnit } from "../base/numbers";
import { svg } from "../base/svg";
import { controlColour } from "../base/theme";
import { fitting } from "./fitting";
import { bandPath, type Point, type Response, scale } from "./response";

export interface CurveSetting {
  width: number;
  concept: string;
  unit: string;
  strengthUnit: string;
  /** Place of the strength that the map shows. */
  strength: number;
  dark: boolean;
}

const HEIGHT = 180;
/** The unit stands above the axis, so that no number can meet it. */
const BOX = { left: 46, right: 12, top: 20, bottom: 36 };
/** Of the letters on the axes, on average. */
const LETTER = { width: 6.2, height: 11 };

function summary(response: Response, setting: CurveSetting): string {
  const points = response.points.map((p) => `${dose(p.strength)}: ${said(p, setting)}`);
  return `${setting.concept}, effect by strength. ${points.join("; ")}`;
}

function said(point: Point, setting: CurveSetting): string {
  const digits = digitsFor(Math.abs(point.value) || 1);
  const interval = Number.isFinite(point.low) ? ` [${signed(point.low, digits)}, ${signed(point.high, digits)}]` : "";
  return [`${signed(point.value, digits)} ${setting.unit}${interval}`, ...point.said].join(", ");
}

/** The figure; `choose` is called with the place of the strength whose point is clicked. */
export function curve(response: Response, setting: CurveSetting, choose: (place: number) => void): SVGElement {
  const width = Math.max(220, setting.width);
  const x = scale(response.x, [BOX.left + 8, width - BOX.right - 8]);
  const y = scale(response.y, [HEIGHT - BOX.bottom, BOX.top]);
  const root = svg("svg", {
    ...{ class: "mp-curve", width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}` },
    ...{ role: "img", "aria-label": summary(response, setting), "data-testid": "dose-response" },
  });
  root.append(...axes(response, setting, width, x, y));
  for (const band of response.bands) {
    const colour = controlColour(band.control, setting.dark);
    const look = { class: "mp-band", "data-control": band.control, fill: colour };
    root.append(svg("path", { ...look, d: bandPath(band, x, y) }));
    const line = band.strengths
      .map((s, i) => ({ s, m: band.mean[i] ?? Number.NaN }))
      .filter(({ m }) => Number.isFinite(m))
      .map(({ s, m }) => `${x(s).toFixed(1)} ${y(m).toFixed(1)}`);
    if (line.length > 1) root.append(svg("path", { class: "mp-mean", stroke: colour, d: `M${line.join("L")}` }));
  }
  const path = response.points.map((p) => `${x(p.strength).toFixed(1)} ${y(p.value).toFixed(1)}`).join("L");
  if (response.points.length > 1) root.append(svg("path", { class: "mp-effect", d: `M${path}` }));
  for (const point of response.points) root.append(mark(point, setting, x, y, choose));
  return root;
}

function mark(
  point: Point,
  setting: CurveSetting,
  x: (v: number) => number,
  y: (v: number) => number,
  choose: (place: number) => void,
): SVGElement {
  const at = x(point.strength);
  const group = svg("g", { class: "mp-point", "data-strength": point.strength, "data-value": point.value });
  group.append(
    svg("title", {}, `${dose(point.strength)} ${strengthUnit(setting.strengthUnit)}: ${said(point, setting)}`),
  );
  group.append(svg("circle", { class: "mp-target", cx: at, cy: y(point.value), r: 12 }));
  if (Number.isFinite(point.low)) {
    group.append(svg("path", { class: "mp-interval", d: `M${at} ${y(point.low)}V${y(point.high)}` }));
  }
  const here = point.place === setting.strength ? " mp-here" : "";
  const r = here ? 5 : 3.8;
  group.append(
    svg("circle", { class: `mp-dot${point.clear ? "" : " mp-hollow"}${here}`, cx: at, cy: y(point.value), r }),
  );
  group.addEventListener("click", () => choose(point.place));
  return group;
}

function axes(
  response: Response,
  setting: CurveSetting,
  width: number,
  x: (v: number) => number,
  y: (v: number) => number,
): SVGElement[] {
  const right = width - BOX.right;
  const found: SVGElement[] = [];
  for (const value of new Set([response.y[0], 0, response.y[1]])) {
    found.push(svg("path", { class: value === 0 ? "mp-zero" : "mp-rule", d: `M${BOX.left} ${y(value)}H${right}` }));
  }
  for (const { at, text } of heightLabels(response, y)) {
    found.push(svg("text", { x: BOX.left - 6, y: at + 3.5, "text-anchor": "end" }, text));
  }
  for (const { at, text } of doseLabels(response, setting.strength, x)) {
    found.push(svg("text", { x: at, y: HEIGHT - BOX.bottom + 14, "text-anchor": "middle" }, text));
  }
  const label = `strength ${strengthUnit(setting.strengthUnit)}`;
  found.push(svg("text", { x: (BOX.left + right) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, label));
  if (setting.unit) found.push(svg("text", { x: BOX.left - 6, y: 9, "text-anchor": "end" }, setting.unit));
  return found;
}

interface Written {
  at: number;
  size: number;
  text: string;
}

/** Numbers of the upright axis: the end that is farther from 0, then 0, then the other end. */
export function heightLabels({ y: ends }: Response, y: (v: number) => number): Written[] {
  const [low, high] = ends;
  const order = [...new Set(Math.abs(high) >= Math.abs(low) ? [high, 0, low] : [low, 0, high])];
  const digits = Math.max(...order.map(fewest));
  return fitting(
    order.map((value) => ({ at: y(value), size: LETTER.height, text: signed(value, digits) })),
    2,
  );
}

/** Doses below the axis: the one that the map shows, the ends, 0, then the others. */
export function doseLabels({ points }: Response, place: number, x: (v: number) => number): Written[] {
  const importance = (i: number): number => {
    const point = points[i];
    if (point?.place === place) return 0;
    if (i === 0 || i === points.length - 1) return 1;
    return point?.strength === 0 ? 2 : 3;
  };
  const order = [...points.keys()].sort((a, b) => importance(a) - importance(b) || a - b);
  const labels = order.map((i) => {
    const strength = points[i]?.strength ?? 0;
    const text = dose(strength);
    return { at: x(strength), size: text.length * LETTER.width, text };
  });
  return fitting(labels, 5);
}
