/** Draw the map on its canvas. */
import { fewest, plain, signed, words } from "../format";
import { diverging, rgb, type Theme } from "../theme";
import { at, type Cell, type Cells, indexOf, profile, spread } from "./cells";
import type { Layout } from "./layout";

export interface Scene {
  cells: Cells;
  layout: Layout;
  strength: number;
  limit: number;
  unit: string;
  cursor: Cell | null;
  hover: Cell | null;
  focused: boolean;
}

type Pen = CanvasRenderingContext2D;

/** Diagonal lines one device pixel sharp, as a pattern, so that thousands of cells cost one fill each. */
function hatching(pen: Pen, theme: Theme, ratio: number): CanvasPattern | null {
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
function clip(pen: Pen, text: string, width: number): string {
  if (pen.measureText(text).width <= width) return text;
  let cut = text;
  while (cut.length > 1 && pen.measureText(`${cut}…`).width > width) cut = cut.slice(0, -1);
  return `${cut}…`;
}

function paintNames(pen: Pen, scene: Scene, theme: Theme): void {
  const { layout, cells } = scene;
  for (const group of layout.groups) {
    pen.save();
    pen.translate(8, group.top + group.height / 2);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "center";
    pen.fillStyle = theme.faint;
    pen.font = `10px ${theme.font}`;
    pen.fillText(clip(pen, words(group.category), group.height + 4), 0, 0);
    pen.restore();
  }
  pen.textAlign = "right";
  for (const row of layout.rows) {
    const current = row.concept === (scene.hover ?? scene.cursor)?.concept;
    pen.font = `${current ? "600 " : ""}${layout.fontSize}px ${theme.font}`;
    pen.fillStyle = theme.ink;
    const name = cells.concepts[row.concept] ?? "";
    pen.fillText(clip(pen, name, layout.left - 26), layout.left - 7, row.y + layout.rowHeight / 2);
  }
}

function paintColumns(pen: Pen, scene: Scene, theme: Theme): void {
  const { layout, cells } = scene;
  pen.font = `10.5px ${theme.font}`;
  pen.textAlign = "center";
  const every = Math.ceil(18 / layout.cellWidth);
  cells.layers.forEach((layer, i) => {
    const current = i === (scene.hover ?? scene.cursor)?.layer;
    if (i % every && !current) return;
    pen.fillStyle = current ? theme.ink : theme.faint;
    pen.fillText(String(layer), layout.left + (i + 0.5) * layout.cellWidth, 8);
  });
  pen.fillStyle = theme.faint;
  pen.textAlign = "right";
  pen.fillText("layer", layout.left - 7, 8);
  if (layout.margin !== null) {
    pen.textAlign = "left";
    pen.fillText("peak · spread", layout.margin, 8);
  }
}

function paintCells(pen: Pen, scene: Scene, theme: Theme, ratio: number): void {
  const { layout, cells, strength, limit } = scene;
  const hatch = hatching(pen, theme, ratio);
  const gap = layout.cellWidth > 8 ? 1 : 0;
  for (const row of layout.rows) {
    for (let layer = 0; layer < layout.layers; layer += 1) {
      const index = indexOf(cells, { concept: row.concept, layer }, strength);
      const value = at(cells.value, index);
      const x = layout.left + layer * layout.cellWidth;
      const box = [x, row.y, layout.cellWidth - gap, layout.rowHeight - 1] as const;
      if (!Number.isFinite(value)) {
        pen.strokeStyle = theme.line;
        pen.globalAlpha = 0.55;
        pen.strokeRect(box[0] + 0.5, box[1] + 0.5, box[2] - 1, box[3] - 1);
        pen.globalAlpha = 1;
        continue;
      }
      pen.fillStyle = rgb(diverging(value, limit, theme));
      pen.fillRect(...box);
      if (at(cells.clear, index) === 0 && hatch) {
        pen.fillStyle = hatch;
        pen.fillRect(...box);
      }
    }
  }
}

function paintMargin(pen: Pen, scene: Scene, theme: Theme): void {
  const { layout, cells, strength } = scene;
  if (layout.margin === null) return;
  pen.textAlign = "left";
  pen.font = `${Math.min(11.5, layout.fontSize)}px ${theme.font}`;
  for (const row of layout.rows) {
    const values = profile(cells, row.concept, strength);
    const shape = spread(values);
    if (!shape) continue;
    pen.fillStyle = theme.soft;
    const text = `${cells.layers[shape.peak]} · ${shape.effective.toFixed(1)}`;
    pen.fillText(text, layout.margin, row.y + layout.rowHeight / 2);
    const sizes = values.map((v) => (Number.isFinite(v) ? Math.abs(v) : 0));
    const top = Math.max(...sizes, 1e-9);
    const step = 44 / Math.max(1, values.length - 1);
    pen.strokeStyle = theme.brand;
    pen.lineWidth = 1.2;
    pen.beginPath();
    sizes.forEach((size, i) => {
      const x = (layout.margin ?? 0) + 52 + i * step;
      const y = row.y + layout.rowHeight - 4 - (size / top) * (layout.rowHeight - 7);
      if (i) pen.lineTo(x, y);
      else pen.moveTo(x, y);
    });
    pen.stroke();
    pen.lineWidth = 1;
  }
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
  const note = "beyond the random direction · hatched: not clear of the controls";
  pen.fillText(clip(pen, note, layout.width - layout.left), layout.left, y + 31);
}

function paintFrame(pen: Pen, scene: Scene, cell: Cell, colour: string, weight: number): void {
  const { layout } = scene;
  const row = layout.rows.find((r) => r.concept === cell.concept);
  if (!row) return;
  pen.strokeStyle = colour;
  pen.lineWidth = weight;
  const x = layout.left + cell.layer * layout.cellWidth;
  pen.strokeRect(x - 0.5, row.y - 0.5, layout.cellWidth, layout.rowHeight);
  pen.lineWidth = 1;
}

/** Paint everything; the canvas is sized to the layout at the screen's own resolution. */
export function paint(canvas: HTMLCanvasElement, scene: Scene, theme: Theme): void {
  const pen = canvas.getContext("2d");
  if (!pen) return;
  const ratio = window.devicePixelRatio || 1;
  const { width, height } = scene.layout;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.textBaseline = "middle";
  paintColumns(pen, scene, theme);
  paintNames(pen, scene, theme);
  paintCells(pen, scene, theme, ratio);
  paintMargin(pen, scene, theme);
  paintLegend(pen, scene, theme);
  if (scene.hover) paintFrame(pen, scene, scene.hover, theme.soft, 1);
  if (scene.cursor) paintFrame(pen, scene, scene.cursor, theme.brand, scene.focused ? 3 : 2);
}
