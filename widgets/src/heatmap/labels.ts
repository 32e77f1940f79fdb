/** Words around and in the cells: names of the rows, numbers of the columns and of the selected row, and the legend. */

import type { Pen } from "../base/canvas";
import { fewest, layerName, plain, signed } from "../base/numbers";
import { luminance, type Rgb, rgb, type Theme } from "../base/theme";
import { hasFullColour } from "./cell_grid";
import type { Layout } from "./layout";
import { at, indexOf, profile } from "./map_cells";
import type { Scene } from "./scene";
import { span } from "./selection";
import { clip, shadeOf } from "./shading";

/** The middle of a column. */
export const middleOf = (layout: Layout, layer: number): number =>
  ((layout.edges[layer] ?? 0) + (layout.edges[layer + 1] ?? 0)) / 2;

export function paintColumns(pen: Pen, scene: Scene, theme: Theme): void {
  const { layout, cells, columns, hover, selection } = scene;
  pen.textAlign = "center";
  const byDepth = columns === "relative_depth" && cells.depths.length === cells.layers.length;
  const [first, last] = hover ? [hover.layer, hover.layer] : selection ? span(selection) : [-1, -1];
  const most = byDepth ? 26 : 18;
  let free = Number.NEGATIVE_INFINITY;
  const kept = middleOf(layout, first);
  cells.layers.forEach((layer, i) => {
    const x = middleOf(layout, i);
    const current = i >= first && i <= last;
    if (i !== first && (x - free < most || Math.abs(x - kept) < (first < 0 ? 0 : most))) return;
    free = x;
    pen.font = `${current ? "600 " : ""}10.5px ${theme.font}`;
    pen.fillStyle = current ? theme.ink : theme.faint;
    pen.fillText(byDepth ? (cells.depths[i] ?? 0).toFixed(2).replace(/^0(?=\.)/, "") : layerName(layer), x, 8);
  });
  pen.font = `10.5px ${theme.font}`;
  pen.fillStyle = theme.faint;
  pen.textAlign = "right";
  pen.fillText(byDepth ? "depth" : "layer", layout.left - 7, 8);
}

export function paintLegend(pen: Pen, scene: Scene, theme: Theme, colours: Rgb[]): void {
  const { layout, limit, unit, cells } = scene;
  // A scale without a measured cell would say something that nobody knows yet.
  if (!cells.coloured.some(Number.isFinite)) return;
  const width = Math.min(layout.layers * layout.cellWidth, 420);
  const y = layout.legendTop;
  const bar = pen.createLinearGradient(layout.left, 0, layout.left + width, 0);
  for (let i = 0; i <= 16; i += 1) {
    const colour = colours[Math.round((i / 16) * (colours.length - 1))];
    if (colour) bar.addColorStop(i / 16, rgb(colour));
  }
  pen.fillStyle = bar;
  pen.fillRect(layout.left, y, width, 7);
  const digits = fewest(limit);
  pen.fillStyle = theme.faint;
  pen.font = `10.5px ${theme.font}`;
  const ends = cells.scored
    ? ["0", "0.5", "1"]
    : [plain(-limit, digits), "0", `${signed(limit, digits)} ${unit}`.trim()];
  for (const [i, align] of (["left", "center", "right"] as const).entries()) {
    pen.textAlign = align;
    pen.fillText(ends[i] ?? "", layout.left + (width * i) / 2, y + 15);
  }
}

/** Luminance at which black and white contrast alike with a colour. */
const BETWEEN = 0.18;

/** The numbers of a row in its cells, where all fit. */
export function paintNumbers(pen: Pen, scene: Scene, theme: Theme, colours: Rgb[], concept: number): void {
  const { layout, cells, strength, limit } = scene;
  const row = layout.rows.find((r) => r.concept === concept);
  if (!row) return;
  const digits = limit > 10 ? 0 : 1;
  const texts = profile(cells, concept, strength).map((value) => {
    if (!Number.isFinite(value)) return "";
    return cells.scored ? plain(value, 2).replace(/^0(?=\.)/, "") : signed(value, digits);
  });
  pen.font = `600 10.5px ${theme.font}`;
  if (Math.max(...texts.map((text) => pen.measureText(text).width)) > layout.cellWidth - 5) return;
  pen.textAlign = "center";
  texts.forEach((text, layer) => {
    const index = indexOf(cells, { concept, layer }, strength);
    const colour = colours[shadeOf(at(cells.coloured, index), limit, cells.scored)];
    const own = colour && hasFullColour(cells, index);
    pen.fillStyle = own ? (luminance(rgb(colour)) > BETWEEN ? "#000" : "#fff") : theme.ink;
    pen.fillText(text, middleOf(layout, layer), row.y + layout.rowHeight / 2);
  });
}

/** Names as they fit beside the cells, cut once for a layout and a theme. */
export class Names {
  private readonly cut = new Map<string, string>();

  forget(): void {
    this.cut.clear();
  }

  paint(pen: Pen, { layout, cells, hover, selection }: Scene, theme: Theme): void {
    pen.textAlign = "right";
    const chosen = hover?.concept ?? selection?.concept;
    for (const bold of [false, true]) {
      pen.font = `${bold ? "600 " : ""}${layout.fontSize}px ${theme.font}`;
      for (const row of layout.rows) {
        if ((row.concept === chosen) !== bold) continue;
        const name = cells.concepts[row.concept] ?? "";
        pen.fillStyle = cells.unfit[name] ? theme.faint : theme.ink;
        const cut = this.fitting(pen, bold, row.concept, name, layout.nameRoom);
        pen.fillText(cut, layout.left - 7, row.y + layout.rowHeight / 2);
      }
    }
  }

  private fitting(pen: Pen, bold: boolean, concept: number, name: string, width: number): string {
    const key = `${concept} ${bold}`;
    const known = this.cut.get(key);
    if (known !== undefined) return known;
    const made = clip(pen, name, width);
    this.cut.set(key, made);
    return made;
  }
}
