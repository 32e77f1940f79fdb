/** Words around the cells: categories and names of the rows, numbers of the columns, and the legend. */

import type { Pen } from "../base/canvas";
import { fewest, layerName, plain, signed } from "../base/numbers";
import { diverging, rgb, type Theme } from "../base/theme";
import { HEADING, type Layout } from "./layout";
import type { Scene } from "./scene";
import { span } from "./selection";
import { clip } from "./shading";

/** Of the names of categories. */
export const categoryFont = (family: string): string => `10px ${family}`;

export function paintCategories(pen: Pen, { layout }: Scene, theme: Theme): void {
  pen.fillStyle = theme.faint;
  pen.font = categoryFont(theme.font);
  for (const group of layout.groups) {
    if (layout.headings) {
      pen.textAlign = "left";
      pen.fillText(clip(pen, group.label, layout.width - 2), 2, group.top - HEADING / 2);
      continue;
    }
    pen.save();
    pen.translate(8, group.top + group.height / 2);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "center";
    pen.fillText(group.label, 0, 0);
    pen.restore();
  }
}

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

export function paintLegend(pen: Pen, scene: Scene, theme: Theme): void {
  const { layout, limit, unit, cells } = scene;
  // A scale without a measured cell would say something that nobody knows yet.
  if (!cells.value.some(Number.isFinite)) return;
  const width = Math.min(layout.layers * layout.cellWidth, 420);
  const y = layout.legendTop;
  const bar = pen.createLinearGradient(layout.left, 0, layout.left + width, 0);
  for (let i = 0; i <= 8; i += 1) bar.addColorStop(i / 8, rgb(diverging(-limit + (limit * i) / 4, limit, theme)));
  pen.fillStyle = bar;
  pen.fillRect(layout.left, y, width, 7);
  const digits = fewest(limit);
  pen.fillStyle = theme.faint;
  pen.font = `10.5px ${theme.font}`;
  pen.textAlign = "left";
  pen.fillText(plain(-limit, digits), layout.left, y + 15);
  pen.textAlign = "center";
  pen.fillText("0", layout.left + width / 2, y + 15);
  pen.textAlign = "right";
  pen.fillText(`${signed(limit, digits)} ${unit}`.trim(), layout.left + width, y + 15);
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
