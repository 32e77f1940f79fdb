/** One place over all layers, as small bars around zero. */
import { fewest, layerName, signed } from "../base/numbers";
import { diverging, rgb, type Theme } from "../base/theme";

export interface Bars {
  /** y of zero. */
  zero: number;
  bars: { x: number; y: number; width: number; height: number }[];
}

/** Bars of `values` in a box; zero is always inside, heights keep one scale for both signs, and what is not a number has no height. */
export function layoutBars(values: number[], width: number, height: number): Bars {
  const known = values.filter(Number.isFinite);
  const top = Math.max(0, ...known);
  const bottom = Math.min(0, ...known);
  const scale = height / (top - bottom || 1);
  const zero = top === bottom ? height : top * scale;
  const each = width / Math.max(1, values.length);
  const bars = values.map((value, i) => {
    const size = Number.isFinite(value) ? Math.abs(value) * scale : 0;
    return { x: i * each, y: value > 0 ? zero - size : zero, width: Math.max(1, each - 1), height: size };
  });
  return { zero, bars };
}

export interface Profile {
  layers: number[];
  values: number[];
  index: number;
  limit: number;
}

const LEFT = 34;
const TOP = 8;
const BOTTOM = 14;
const LINE = 10;

/** Paint a profile; the canvas takes its size from the page. */
export function paintProfile(canvas: HTMLCanvasElement, profile: Profile | null, theme: Theme): void {
  const pen = canvas.getContext("2d");
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!pen || width <= LEFT) return;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  if (!profile) return;
  const { layers, values, index, limit } = profile;
  const { zero, bars } = layoutBars(values, width - LEFT, height - TOP - BOTTOM);
  pen.font = `10px ${theme.font}`;
  pen.textBaseline = "middle";
  pen.fillStyle = theme.faint;
  pen.textAlign = "right";
  const known = values.filter(Number.isFinite);
  const digits = Math.max(1, fewest(limit));
  const foot = height - TOP - BOTTOM - 1;
  // An end so close to zero that their numbers would touch is left to the bars.
  if (zero > LINE) pen.fillText(signed(Math.max(...known), digits), LEFT - 6, TOP);
  if (foot - zero > LINE) pen.fillText(signed(Math.min(...known), digits), LEFT - 6, TOP + foot);
  pen.fillText("0", LEFT - 6, TOP + zero);
  bars.forEach((bar, i) => {
    pen.fillStyle = rgb(diverging(values[i] ?? 0, limit, theme));
    pen.fillRect(LEFT + bar.x, TOP + bar.y, bar.width, bar.height);
    pen.strokeStyle = i === index ? theme.brand : theme.line;
    pen.lineWidth = i === index ? 2 : 1;
    pen.strokeRect(LEFT + bar.x + 0.5, TOP + bar.y, bar.width - 1, bar.height);
  });
  pen.fillStyle = theme.faint;
  pen.fillRect(LEFT, TOP + zero - 0.5, width - LEFT, 1);
  pen.textAlign = "center";
  const each = (width - LEFT) / Math.max(1, layers.length);
  const every = Math.ceil(20 / each);
  layers.forEach((layer, i) => {
    if (i !== index && (i % every || Math.abs(i - index) * each < 18)) return;
    pen.fillStyle = i === index ? theme.ink : theme.faint;
    pen.fillText(layerName(layer), LEFT + (i + 0.5) * each, height - 6);
  });
}
