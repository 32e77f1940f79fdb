/** Profiles at the margins: each concept over the layers at the right, the mean of the concepts at each layer below. */

import type { Pen } from "../base/canvas";
import { fewest, layerName, plain } from "../base/numbers";
import { type Rgb, rgb, type Theme } from "../base/theme";
import { type Layout, PROFILE } from "./layout";
import { at, profile } from "./map_cells";
import type { Scene } from "./scene";
import { shadeOf } from "./shading";

const WIDTH = 72;

/** Height of a value on the line of a row, from its top: the ends of the colour scale at the edges, so that 0 of an effect is in the middle and of a score below. */
export function heightOn({ rowHeight }: Layout, value: number, limit: number, scored: boolean): number {
  const reach = rowHeight - 5;
  const low = scored ? 0 : -limit;
  return 2 + reach * (1 - (Math.max(low, Math.min(limit, value)) - low) / (limit - low));
}

/** What the colours say of each row over the layers, on one scale for all rows. */
export function paintMargin(pen: Pen, scene: Scene, theme: Theme): void {
  const { layout, cells, strength, limit, unit } = scene;
  const { margin } = layout;
  if (margin === null || !cells.coloured.some(Number.isFinite)) return;
  pen.textAlign = "left";
  pen.fillStyle = theme.faint;
  pen.font = `10.5px ${theme.font}`;
  pen.fillText(cells.scored ? "0 … 1" : `± ${plain(limit, fewest(limit))} ${unit}`.trim(), margin, 8);
  pen.fillStyle = theme.line;
  for (const row of layout.rows) pen.fillRect(margin, row.y + heightOn(layout, 0, limit, cells.scored) - 0.5, WIDTH, 1);
  pen.strokeStyle = theme.brand;
  pen.lineWidth = 1.2;
  pen.beginPath();
  for (const row of layout.rows) {
    const values = profile(cells, row.concept, strength);
    const step = WIDTH / Math.max(1, values.length - 1);
    let open = false;
    for (const [i, value] of values.entries()) {
      const known = Number.isFinite(value);
      const [x, y] = [margin + i * step, row.y + heightOn(layout, value, limit, cells.scored)];
      if (known && open) pen.lineTo(x, y);
      else if (known) pen.moveTo(x, y);
      open = known;
    }
  }
  pen.stroke();
  pen.lineWidth = 1;
}

/** The layer of the best cell of each concept at the shown strength. */
export function paintBest(pen: Pen, { layout, cells, strength }: Scene, theme: Theme): void {
  const { best, rows, rowHeight } = layout;
  if (best === null || !cells.best.some(Number.isFinite)) return;
  pen.textAlign = "center";
  pen.fillStyle = theme.faint;
  pen.font = `10.5px ${theme.font}`;
  pen.fillText("best", best, 8);
  pen.fillStyle = theme.soft;
  for (const { concept, y } of rows) {
    const layer = at(cells.best, concept * cells.strengths.length + strength);
    if (Number.isFinite(layer)) pen.fillText(layerName(layer), best, y + rowHeight / 2);
  }
}

/** Bars from a common zero line, in the colours of the map. */
export function paintColumnProfile(pen: Pen, scene: Scene, theme: Theme, colours: Rgb[]): void {
  const { layout, cells, strength, limit } = scene;
  // A cell beyond the scale would make every other bar vanish.
  const means = cells.layers.map((_, layer) => {
    const mean = at(cells.meanOverConcepts, layer * cells.strengths.length + strength);
    return Math.max(-limit, Math.min(limit, mean));
  });
  const sizes = means.filter(Number.isFinite);
  if (sizes.length === 0) return;
  const [low, high] = [Math.min(0, ...sizes), Math.max(0, ...sizes)];
  const range = high - low || 1;
  const zero = layout.profileTop + (high / range) * PROFILE;
  const gap = layout.cellWidth > 8 ? 3 : 1;
  means.forEach((mean, layer) => {
    if (!Number.isFinite(mean)) return;
    const x = layout.edges[layer] ?? 0;
    const width = Math.max(1, (layout.edges[layer + 1] ?? x) - x - gap);
    const height = (Math.abs(mean) / range) * PROFILE;
    // The extremes of the scale, so that short bars are seen on the page's own colour.
    const share = Math.max(0.55, Math.min(1, Math.abs(mean) / limit));
    const colour = colours[shadeOf(Math.sign(mean) * share * limit, limit, cells.scored)];
    if (colour) pen.fillStyle = rgb(colour);
    pen.fillRect(x + (gap - 1) / 2, mean > 0 ? zero - height : zero, width, height);
  });
  const right = layout.edges.at(-1) ?? layout.left;
  pen.fillStyle = theme.line;
  pen.fillRect(layout.left, zero, right - layout.left, 1);
  pen.fillStyle = theme.faint;
  pen.font = `10.5px ${theme.font}`;
  pen.textAlign = "right";
  pen.fillText("mean", layout.left - 7, layout.profileTop + PROFILE / 2);
}
