/** Draw the map on its canvas: the cells once per change of data, what follows the pointer on top of them. */
import { fewest, plain, signed, words } from "../format";
import { diverging, rgb, type Theme } from "../theme";
import { at, type Cell, type Cells, indexOf } from "./cells";
import type { Layout } from "./layout";
import { paintColumnProfile, paintMargin } from "./margins";
import { activeCell, type Selection, span } from "./selection";

export interface Scene {
  cells: Cells;
  layout: Layout;
  strength: number;
  limit: number;
  unit: string;
  columns: string;
  /** What the legend says below its scale. */
  note: string;
  selection: Selection | null;
  hover: Cell | null;
  focused: boolean;
}

export type Pen = CanvasRenderingContext2D;

const SHADES = 128;

/** Colours of the diverging scale as text, made once per theme: a map has thousands of cells and few colours. */
function shades(theme: Theme): string[] {
  return Array.from({ length: 2 * SHADES + 1 }, (_, i) => rgb(diverging(i - SHADES, SHADES, theme)));
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

/** Size a canvas in page pixels at the screen's own resolution; gives its pen, or null. */
export function prepare(canvas: HTMLCanvasElement, width: number, height: number): Pen | null {
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const pen = canvas.getContext("2d");
  pen?.setTransform(ratio, 0, 0, ratio, 0, 0);
  if (pen) pen.textBaseline = "middle";
  return pen;
}

/** Paints scenes on one canvas; what does not follow the pointer is kept between frames. */
export class Painter {
  private readonly kept = document.createElement("canvas");
  private colours: string[] = [];
  private names = new Map<string, string>();
  private stale = true;

  constructor(private readonly canvas: HTMLCanvasElement) {}

  /** The data, the layout, the strength or the theme is another one. */
  invalidate(): void {
    this.stale = true;
  }

  paint(scene: Scene, theme: Theme): void {
    const { width, height } = scene.layout;
    const pen = prepare(this.canvas, width, height);
    if (!pen) return;
    if (this.stale) this.paintKept(scene, theme);
    pen.clearRect(0, 0, width, height);
    pen.drawImage(this.kept, 0, 0, width, height);
    this.paintNames(pen, scene, theme);
    paintColumns(pen, scene, theme);
    if (scene.hover) paintFrame(pen, scene, [scene.hover.layer, scene.hover.layer], scene.hover.concept, theme.soft, 1);
    if (scene.selection) paintSelection(pen, scene, scene.selection, theme);
  }

  private paintKept(scene: Scene, theme: Theme): void {
    const { width, height } = scene.layout;
    const pen = prepare(this.kept, width, height);
    if (!pen) return;
    this.stale = false;
    this.colours = shades(theme);
    this.names = new Map();
    pen.clearRect(0, 0, width, height);
    paintCategories(pen, scene, theme);
    paintCells(pen, scene, theme, this.colours);
    paintMargin(pen, scene, theme);
    paintColumnProfile(pen, scene, theme, this.colours);
    paintLegend(pen, scene, theme);
  }

  private paintNames(pen: Pen, { layout, cells, hover, selection }: Scene, theme: Theme): void {
    pen.textAlign = "right";
    pen.fillStyle = theme.ink;
    const chosen = hover?.concept ?? selection?.concept;
    for (const row of layout.rows) {
      pen.font = `${row.concept === chosen ? "600 " : ""}${layout.fontSize}px ${theme.font}`;
      const key = `${pen.font} ${row.concept}`;
      const name = this.names.get(key) ?? clip(pen, cells.concepts[row.concept] ?? "", layout.left - 26);
      this.names.set(key, name);
      pen.fillText(name, layout.left - 7, row.y + layout.rowHeight / 2);
    }
  }
}

function paintCategories(pen: Pen, { layout }: Scene, theme: Theme): void {
  for (const group of layout.groups) {
    pen.save();
    pen.translate(8, group.top + group.height / 2);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "center";
    pen.fillStyle = theme.faint;
    pen.font = `10px ${theme.font}`;
    pen.fillText(clip(pen, words(group.category), group.height), 0, 0);
    pen.restore();
  }
}

/** The middle of a column. */
export const middleOf = (layout: Layout, layer: number): number =>
  ((layout.edges[layer] ?? 0) + (layout.edges[layer + 1] ?? 0)) / 2;

function paintColumns(pen: Pen, scene: Scene, theme: Theme): void {
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
    pen.fillText(byDepth ? (cells.depths[i] ?? 0).toFixed(2).replace(/^0(?=\.)/, "") : String(layer), x, 8);
  });
  pen.font = `10.5px ${theme.font}`;
  pen.fillStyle = theme.faint;
  pen.textAlign = "right";
  pen.fillText(byDepth ? "depth" : "layer", layout.left - 7, 8);
}

function paintCells(pen: Pen, scene: Scene, theme: Theme, colours: string[]): void {
  const { layout, cells, strength, limit } = scene;
  const gap = layout.cellWidth > 8 ? 1 : 0;
  const unclear = new Path2D();
  const empty = new Path2D();
  let colour = -1;
  for (const row of layout.rows) {
    for (let layer = 0; layer < layout.layers; layer += 1) {
      const index = indexOf(cells, { concept: row.concept, layer }, strength);
      const value = at(cells.value, index);
      const x = layout.edges[layer] ?? 0;
      const width = (layout.edges[layer + 1] ?? x) - x - gap;
      const height = layout.rowHeight - 1;
      if (!Number.isFinite(value)) {
        empty.rect(x + 0.5, row.y + 0.5, width - 1, height - 1);
        continue;
      }
      const shade = Math.round(Math.max(-1, Math.min(1, value / limit)) * SHADES) + SHADES;
      if (shade !== colour) pen.fillStyle = colours[shade] ?? "";
      colour = shade;
      pen.fillRect(x, row.y, width, height);
      if (at(cells.clear, index) === 0) unclear.rect(x, row.y, width, height);
    }
  }
  const hatch = hatching(pen, theme, window.devicePixelRatio || 1);
  if (hatch) {
    pen.fillStyle = hatch;
    pen.fill(unclear);
  }
  pen.strokeStyle = theme.line;
  pen.globalAlpha = 0.55;
  pen.stroke(empty);
  pen.globalAlpha = 1;
}

function paintLegend(pen: Pen, scene: Scene, theme: Theme): void {
  const { layout, limit, unit } = scene;
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
  pen.textAlign = "left";
  pen.fillText(clip(pen, scene.note, layout.width - layout.left), layout.left, y + 31);
}

function paintFrame(
  pen: Pen,
  { layout }: Scene,
  [first, last]: [number, number],
  concept: number,
  colour: string,
  weight: number,
): void {
  const row = layout.rows.find((r) => r.concept === concept);
  if (!row) return;
  const left = layout.edges[first] ?? 0;
  const right = layout.edges[last + 1] ?? left;
  pen.strokeStyle = colour;
  pen.lineWidth = weight;
  pen.strokeRect(left - 0.5, row.y - 0.5, right - left, layout.rowHeight);
  pen.lineWidth = 1;
}

/** The window as a frame, with a bar over its columns; of several layers, the one in hand is framed apart. */
function paintSelection(pen: Pen, scene: Scene, selection: Selection, theme: Theme): void {
  const ends = span(selection);
  paintFrame(pen, scene, ends, selection.concept, theme.brand, scene.focused ? 3 : 2);
  if (ends[0] === ends[1]) return;
  const { layer, concept } = activeCell(selection);
  paintFrame(pen, scene, [layer, layer], concept, theme.brand, 1);
  const left = scene.layout.edges[ends[0]] ?? 0;
  const right = scene.layout.edges[ends[1] + 1] ?? left;
  pen.fillStyle = theme.brand;
  pen.fillRect(left, scene.layout.top - 3, right - left - 1, 2);
}
