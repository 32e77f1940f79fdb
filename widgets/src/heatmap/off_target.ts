/** The off-target view: steered concept × scored concept on a small canvas of its own, at the selected layer and strength. */

import palette from "../../../mllm_probe/plots/palette.json";
import { prepare } from "../base/canvas";
import { h } from "../base/dom";
import { digitsFor, signed } from "../base/numbers";
import { diverging, rgb, type Theme } from "../base/theme";
import { clip } from "./shading";

/** Numbers of each pair: difference, low, high, clear. */
const EACH = 4;
/** Slant of the names of the columns. */
const ANGLE = Math.PI / 3.2;
const STEEP = Math.sin(ANGLE);

export interface Matrix {
  concepts: string[];
  /** float32, steered × scored × (difference, low, high, clear). */
  values: Float32Array;
  /** End of the colour scale. */
  limit: number;
}

export interface MatrixLayout {
  left: number;
  top: number;
  cell: number;
  width: number;
  height: number;
}

export function layoutMatrix(count: number, width: number, nameWidth: number): MatrixLayout {
  const left = Math.min(nameWidth, width * 0.3) + 12;
  const cell = Math.max(5, Math.min(22, Math.floor((width - left - 30) / Math.max(1, count))));
  const top = Math.min(nameWidth, 110) * STEEP + 14;
  return { left, top, cell, width, height: top + count * cell + 4 };
}

/** Number of a pair: 0 its difference, 1 and 2 the interval, 3 whether it is clear. */
export const ofPair = ({ values, concepts }: Matrix, steered: number, scored: number, which: number): number =>
  values[(steered * concepts.length + scored) * EACH + which] ?? Number.NaN;

/** What the line below says about a pair. */
export function pairText(matrix: Matrix, steered: number, scored: number): string {
  const [value, low, high, clear] = [0, 1, 2, 3].map((which) => ofPair(matrix, steered, scored, which)) as [
    number,
    number,
    number,
    number,
  ];
  const names = `${matrix.concepts[steered]} steered, ${matrix.concepts[scored]} scored`;
  if (!Number.isFinite(value)) return `${names}: not run yet`;
  const digits = digitsFor(Math.abs(value) || 1);
  const interval = Number.isFinite(low) ? ` [${signed(low, digits)}, ${signed(high, digits)}]` : "";
  const said = clear ? "clear of the random directions" : "not clear of the random directions";
  return `${names}: ${signed(value, digits)} nats${interval} · ${said}`;
}

export class OffTarget {
  readonly element: HTMLElement;
  private readonly canvas = h("canvas", {
    class: "mp-canvas",
    tabindex: 0,
    role: "application",
    "data-testid": "off-target",
  });
  private readonly read = h("p", { class: "mp-note", role: "status", "data-testid": "off-target-cell" });
  private matrix: Matrix = { concepts: [], values: new Float32Array(0), limit: 1 };
  private layout = layoutMatrix(0, 0, 0);
  private at: [number, number] = [0, 0];
  private again = () => {};

  constructor() {
    this.canvas.setAttribute("aria-label", "Effect of each steered concept (rows) on each scored concept (columns)");
    this.element = h("div", { class: "mp-off-target" }, this.canvas, this.read);
    this.canvas.addEventListener("pointermove", (event) => {
      const { left, top, cell } = this.layout;
      this.move(Math.floor((event.offsetY - top) / cell), Math.floor((event.offsetX - left) / cell));
    });
    this.canvas.addEventListener("keydown", (event) => {
      const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!by) return;
      event.preventDefault();
      this.move(this.at[0] + (by[0] ?? 0), this.at[1] + (by[1] ?? 0));
    });
  }

  private move(steered: number, scored: number): void {
    const count = this.matrix.concepts.length;
    if (steered < 0 || scored < 0 || steered >= count || scored >= count) return;
    this.at = [steered, scored];
    this.again();
  }

  draw(matrix: Matrix, steered: number, width: number, theme: Theme): void {
    if (matrix.values !== this.matrix.values) this.at = [steered, this.at[1]];
    if (this.at[0] >= matrix.concepts.length || this.at[1] >= matrix.concepts.length) this.at = [0, 0];
    this.matrix = matrix;
    this.again = () => this.draw(matrix, steered, width, theme);
    const probe = this.canvas.getContext("2d");
    if (probe) probe.font = `11px ${theme.font}`;
    const names = matrix.concepts.map((name) => probe?.measureText(name).width ?? 50);
    this.layout = layoutMatrix(matrix.concepts.length, width, Math.min(140, Math.max(30, ...names)));
    const pen = prepare(this.canvas, this.layout.width, this.layout.height);
    if (!pen) return;
    pen.clearRect(0, 0, this.layout.width, this.layout.height);
    this.paintNames(pen, steered, theme);
    this.paintPairs(pen, theme);
    this.read.textContent = pairText(matrix, ...this.at);
  }

  private paintNames(pen: CanvasRenderingContext2D, steered: number, theme: Theme): void {
    const { left, top, cell } = this.layout;
    const every = Math.ceil(11 / cell);
    pen.font = `11px ${theme.font}`;
    this.matrix.concepts.forEach((name, i) => {
      if (i % every && i !== steered) return;
      pen.fillStyle = i === steered || i === this.at[0] ? theme.ink : theme.soft;
      pen.textAlign = "right";
      pen.fillText(clip(pen, name, left - 10), left - 6, top + (i + 0.5) * cell);
      pen.fillStyle = i === this.at[1] ? theme.ink : theme.soft;
      pen.save();
      pen.translate(left + (i + 0.5) * cell, top - 5);
      pen.rotate(-ANGLE);
      pen.textAlign = "left";
      pen.fillText(clip(pen, name, (top - 10) / STEEP), 0, 0);
      pen.restore();
    });
  }

  private paintPairs(pen: CanvasRenderingContext2D, theme: Theme): void {
    const { left, top, cell } = this.layout;
    const count = this.matrix.concepts.length;
    const { limit } = this.matrix;
    for (let steered = 0; steered < count; steered += 1) {
      for (let scored = 0; scored < count; scored += 1) {
        const value = ofPair(this.matrix, steered, scored, 0);
        if (!Number.isFinite(value)) continue;
        pen.fillStyle = rgb(diverging(value, limit, theme));
        pen.globalAlpha = ofPair(this.matrix, steered, scored, 3) === 0 ? palette.faded : 1;
        pen.fillRect(left + scored * cell, top + steered * cell, cell - 1, cell - 1);
      }
    }
    pen.globalAlpha = 1;
    pen.strokeStyle = theme.brand;
    pen.lineWidth = 2;
    pen.strokeRect(left + this.at[1] * cell - 0.5, top + this.at[0] * cell - 0.5, cell, cell);
    pen.lineWidth = 1;
  }
}
