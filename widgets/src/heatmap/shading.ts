/** What every canvas of the map needs: text that fits, hatching and shades. */
import type { Pen } from "../base/canvas";
import { diverging, type Rgb, type Theme } from "../base/theme";

export const SHADES = 128;

/** Colours of the diverging scale from one end to the other, made once per theme: a map has thousands of cells and few colours. */
export function shades(theme: Theme): Rgb[] {
  return Array.from({ length: 2 * SHADES + 1 }, (_, i) => diverging(i - SHADES, SHADES, theme));
}

/** Diagonal lines one device pixel sharp, as a pattern, so that thousands of cells cost one fill. */
export function hatching(pen: Pen, theme: Theme, ratio: number): CanvasPattern | null {
  const size = Math.round(6 * ratio);
  const tile = document.createElement("canvas");
  tile.width = size;
  tile.height = size;
  const ink = tile.getContext("2d");
  if (!ink) return null;
  ink.strokeStyle = theme.dark ? "rgba(255,255,255,.22)" : "rgba(60,70,84,.26)";
  ink.lineWidth = ratio * 0.8;
  ink.beginPath();
  for (const shift of [-size, 0, size]) {
    ink.moveTo(shift, size);
    ink.lineTo(shift + size, 0);
  }
  ink.stroke();
  const pattern = pen.createPattern(tile, "repeat");
  pattern?.setTransform(new DOMMatrix([1 / ratio, 0, 0, 1 / ratio, 0, 0]));
  return pattern;
}

/** Text cut with an ellipsis to a width. */
export function clip(pen: Pen, text: string, width: number): string {
  if (pen.measureText(text).width <= width) return text;
  let cut = text;
  while (cut.length > 1 && pen.measureText(`${cut}…`).width > width) cut = cut.slice(0, -1);
  return `${cut}…`;
}
