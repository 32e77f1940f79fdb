/** What every canvas of the map needs: text that fits, and shades. */
import type { Pen } from "../base/canvas";
import { diverging, type Rgb, sequential, type Theme } from "../base/theme";

export const SHADES = 128;

/** Colours of the scale from one end to the other, made once per theme: a map has thousands of cells and few colours. */
export function shades(theme: Theme, scored: boolean): Rgb[] {
  return Array.from({ length: 2 * SHADES + 1 }, (_, i) =>
    scored ? sequential(i / (2 * SHADES), theme) : diverging(i - SHADES, SHADES, theme),
  );
}

/** Place among the shades of a score in 0 … 1, or of an effect on −limit … limit. */
export function shadeOf(value: number, limit: number, scored: boolean): number {
  const share = scored ? 2 * value - 1 : value / limit;
  return Math.round(Math.max(-1, Math.min(1, share)) * SHADES) + SHADES;
}

/** Text cut with an ellipsis to a width. */
export function clip(pen: Pen, text: string, width: number): string {
  if (pen.measureText(text).width <= width) return text;
  let cut = text;
  while (cut.length > 1 && pen.measureText(`${cut}…`).width > width) cut = cut.slice(0, -1);
  return `${cut}…`;
}
