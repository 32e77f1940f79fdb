/** Profiles at the margins: each concept over the layers at the right, the mean of the concepts at each layer below. */

import type { Pen } from "../base/canvas";
import { plain } from "../base/numbers";
import { type Rgb, rgb, type Theme } from "../base/theme";
import { PROFILE } from "./layout";
import { at, profile } from "./map_cells";
import type { Scene } from "./scene";

const LINE = { offset: 52, width: 44 };

export function paintMargin(pen: Pen, scene: Scene, theme: Theme): void {
  const { layout, cells, strength, limit } = scene;
  if (layout.margin === null || !cells.value.some(Number.isFinite)) return;
  pen.textAlign = "left";
  pen.fillStyle = theme.faint;
  pen.font = `10.5px ${theme.font}`;
  pen.fillText("peak · spread", layout.margin, 8);
  pen.font = `${Math.min(11.5, layout.fontSize)}px ${theme.font}`;
  pen.fillStyle = theme.soft;
  pen.strokeStyle = theme.brand;
  pen.lineWidth = 1.2;
  pen.beginPath();
  for (const row of layout.rows) {
    const place = row.concept * cells.strengths.length + strength;
    const peak = at(cells.peakLayer, place);
    if (!Number.isFinite(peak)) continue;
    const values = profile(cells, row.concept, strength);
    const text = `${peak} · ${plain(at(cells.participationRatio, place), 1)}`;
    pen.fillText(text, layout.margin, row.y + layout.rowHeight / 2);
    const sizes = values.map((v) => (Number.isFinite(v) ? Math.min(limit, Math.abs(v)) : 0));
    const top = Math.max(...sizes, 1e-9);
    const step = LINE.width / Math.max(1, values.length - 1);
    for (const [i, size] of sizes.entries()) {
      const x = layout.margin + LINE.offset + i * step;
      const y = row.y + layout.rowHeight - 4 - (size / top) * (layout.rowHeight - 7);
      if (i) pen.lineTo(x, y);
      else pen.moveTo(x, y);
    }
  }
  pen.stroke();
  pen.lineWidth = 1;
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
  const middle = (colours.length - 1) / 2;
  const gap = layout.cellWidth > 8 ? 3 : 1;
  means.forEach((mean, layer) => {
    if (!Number.isFinite(mean)) return;
    const x = layout.edges[layer] ?? 0;
    const width = Math.max(1, (layout.edges[layer + 1] ?? x) - x - gap);
    const height = (Math.abs(mean) / range) * PROFILE;
    // The extremes of the scale, so that short bars are seen on the page's own colour.
    const share = Math.max(0.55, Math.min(1, Math.abs(mean) / limit));
    const colour = colours[Math.round(middle + Math.sign(mean) * middle * share)];
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
