/** Draw the map: what the data say on one canvas, what follows the pointer on a second one that lies over it. */

import { type Pen, prepare } from "../base/canvas";
import { h } from "../base/dom";
import type { Rgb, Theme } from "../base/theme";
import { Grid, paintDots } from "./cell_grid";
import { Names, paintColumns, paintLegend, paintNumbers } from "./labels";
import { paintBest, paintColumnProfile, paintMargin } from "./margins";
import type { Scene } from "./scene";
import { activeCell, type Selection, span } from "./selection";
import { shades } from "./shading";

const KEPT = 4;

/** Paints scenes on two canvases, each only when what it shows is another. */
export class Painter {
  /** Both canvases, the one of the pointer over the one of the data. */
  readonly element: HTMLElement;
  private readonly over = h("canvas", { class: "mp-over-map", "aria-hidden": "true" });
  private readonly grid = new Grid();
  private readonly names = new Names();
  private colours: Rgb[] = [];
  /** What the colours are of: theme, and whether they are those of scores. */
  private coloured: [Theme, boolean] | null = null;
  private stale = true;
  /** What the upper canvas shows; of these, the first `KEPT` decide how names are cut. */
  private around: unknown[] = [];

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.element = h("div", { class: "mp-layers" }, canvas, this.over);
  }

  /** The data, the layout, the strength or the theme is another one. */
  invalidate(): void {
    this.stale = true;
  }

  paint(scene: Scene, theme: Theme): void {
    const { scored } = scene.cells;
    if (theme !== this.coloured?.[0] || scored !== this.coloured[1]) this.colours = shades(theme, scored);
    this.coloured = [theme, scored];
    if (this.stale) this.paintData(scene, theme);
    this.stale = false;
    const { cells, layout, columns, selection, hover, focused } = scene;
    const { strength } = scene;
    const around = [cells.concepts, cells.layers, layout, theme, columns, selection, hover, focused, cells, strength];
    if (around.every((one, i) => one === this.around[i])) return;
    if (around.slice(0, KEPT).some((one, i) => one !== this.around[i])) this.names.forget();
    this.around = around;
    this.paintOver(scene, theme);
  }

  private paintData(scene: Scene, theme: Theme): void {
    const { width, height } = scene.layout;
    const pen = prepare(this.canvas, width, height);
    if (!pen) return;
    pen.clearRect(0, 0, width, height);
    this.grid.paint(pen, scene.cells, scene.layout, scene, theme, this.colours);
    paintAnswered(pen, scene, theme);
    paintBest(pen, scene, theme);
    paintMargin(pen, scene, theme);
    paintColumnProfile(pen, scene, theme, this.colours);
    paintLegend(pen, scene, theme, this.colours);
  }

  private paintOver(scene: Scene, theme: Theme): void {
    const { width, height } = scene.layout;
    const pen = prepare(this.over, width, height);
    if (!pen) return;
    pen.clearRect(0, 0, width, height);
    this.names.paint(pen, scene, theme);
    paintColumns(pen, scene, theme);
    if (scene.selection) paintNumbers(pen, scene, theme, this.colours, scene.selection.concept);
    if (scene.hover) paintFrame(pen, scene, [scene.hover.layer, scene.hover.layer], scene.hover.concept, theme.soft, 1);
    if (scene.selection) paintSelection(pen, scene, scene.selection, theme);
  }
}

/** Dots on the cells whose answers a saved page holds, at the strength that is shown. */
function paintAnswered(pen: Pen, { cells, layout, answered, strength }: Scene, theme: Theme): void {
  if (answered.length === 0) return;
  const held = new Set(answered.map((one) => JSON.stringify(one)));
  const here = (row: number, layer: number) =>
    held.has(
      JSON.stringify([cells.concepts[layout.rows[row]?.concept ?? 0], cells.layers[layer], cells.strengths[strength]]),
    );
  paintDots(pen, layout, theme, here);
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
