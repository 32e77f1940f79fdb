/** Draw the image, its shade, the painted patches and the cursor. */
import { prepare } from "../base/canvas";
import type { Theme } from "../base/theme";
import { shade } from "./legend";
import { type Grid, type Mask, outline, type Patch } from "./patch_grid";

export interface Scene {
  picture: ImageBitmap | null;
  grid: Grid;
  /** Value of a patch; NaN where there is none. */
  value: (patch: Patch) => number;
  limit: number;
  mask: Mask;
  cursor: Patch | null;
  hover: Patch | null;
  shaded: boolean;
}

type Pen = CanvasRenderingContext2D;

/** The image; grey and faded below a shade, so that hue says only what the shade says. */
function paintPicture(pen: Pen, scene: Scene, theme: Theme, width: number, height: number): void {
  if (!scene.picture) return;
  pen.imageSmoothingQuality = "high";
  pen.drawImage(scene.picture, 0, 0, width, height);
  if (!scene.shaded) return;
  pen.globalCompositeOperation = "saturation";
  pen.fillStyle = "#888";
  pen.fillRect(0, 0, width, height);
  pen.globalCompositeOperation = "source-over";
  pen.fillStyle = theme.dark ? "rgba(20,24,28,.5)" : "rgba(255,255,255,.55)";
  pen.fillRect(0, 0, width, height);
}

function paintShade(pen: Pen, scene: Scene, theme: Theme, w: number, h: number): void {
  const { rows, columns } = scene.grid;
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const value = scene.value({ row, column });
      if (!Number.isFinite(value)) continue;
      const { colour, alpha } = shade(value, scene.limit, theme);
      pen.fillStyle = `rgba(${colour.join(",")},${alpha.toFixed(3)})`;
      pen.fillRect(column * w, row * h, w, h);
    }
  }
}

function paintGrid(pen: Pen, { rows, columns }: Grid, theme: Theme, w: number, h: number): void {
  if (Math.min(w, h) < 7) return;
  pen.strokeStyle = theme.dark ? "rgba(255,255,255,.14)" : "rgba(255,255,255,.5)";
  pen.lineWidth = 1;
  pen.beginPath();
  for (let row = 1; row < rows; row += 1) {
    pen.moveTo(0, row * h);
    pen.lineTo(columns * w, row * h);
  }
  for (let column = 1; column < columns; column += 1) {
    pen.moveTo(column * w, 0);
    pen.lineTo(column * w, rows * h);
  }
  pen.stroke();
}

/** A line with a halo, so that it shows on any image. */
function stroked(pen: Pen, colour: string, weight: number, trace: () => void): void {
  for (const [style, width] of [["rgba(255,255,255,.9)", weight + 2.5] as const, [colour, weight] as const]) {
    pen.strokeStyle = style;
    pen.lineWidth = width;
    pen.beginPath();
    trace();
    pen.stroke();
  }
}

function paintMask(pen: Pen, mask: Mask, w: number, h: number): void {
  const edges = outline(mask);
  if (edges.length === 0) return;
  pen.lineCap = "square";
  stroked(pen, "#111", 2, () => {
    for (const [x1, y1, x2, y2] of edges) {
      pen.moveTo(x1 * w, y1 * h);
      pen.lineTo(x2 * w, y2 * h);
    }
  });
}

/** Paint everything; the canvas is sized to `width` at the screen's own resolution. */
export function paint(canvas: HTMLCanvasElement, scene: Scene, theme: Theme, width: number, height: number): void {
  const pen = prepare(canvas, width, height);
  if (!pen) return;
  pen.clearRect(0, 0, width, height);
  paintPicture(pen, scene, theme, width, height);
  if (scene.grid.rows === 0) return;
  const [w, h] = [width / scene.grid.columns, height / scene.grid.rows];
  if (scene.shaded) paintShade(pen, scene, theme, w, h);
  paintGrid(pen, scene.grid, theme, w, h);
  paintMask(pen, scene.mask, w, h);
  const framed = (patch: Patch, dash: number[]) => {
    pen.setLineDash(dash);
    stroked(pen, theme.brand, 2, () => pen.rect(patch.column * w + 1, patch.row * h + 1, w - 2, h - 2));
    pen.setLineDash([]);
  };
  if (scene.hover) framed(scene.hover, []);
  if (scene.cursor) framed(scene.cursor, [4, 3]);
}
