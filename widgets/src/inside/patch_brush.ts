/** A mouse, a finger or a keyboard that paints patches on a canvas. */
import { fitting, type Grid, isPainted, type Mask, moved, type Patch, painted, patchAt, stroke } from "./patch_grid";

export interface Strokes {
  grid: () => Grid;
  redraw: () => void;
  /** A stroke has ended: one stroke is one setting. */
  finish: (mask: Mask) => void;
  /** Move by layers. */
  scrub: (by: number) => void;
}

export class Brush {
  mask: Mask = [];
  hover: Patch | null = null;
  cursor: Patch = { row: 0, column: 0 };
  private drag: { on: boolean; last: Patch } | null = null;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly strokes: Strokes,
  ) {
    canvas.addEventListener("pointerdown", (event) => this.onDown(event));
    canvas.addEventListener("pointermove", (event) => this.onMove(event));
    for (const name of ["pointerup", "pointercancel"] as const) canvas.addEventListener(name, () => this.onUp());
    canvas.addEventListener("pointerleave", () => this.setHover(null));
    canvas.addEventListener("keydown", (event) => this.onKey(event));
    for (const name of ["focus", "blur"] as const) canvas.addEventListener(name, strokes.redraw);
  }

  /** The patch that is being read: under the pointer, else under the cursor of a focused canvas. */
  get reading(): Patch | null {
    return this.hover ?? this.shownCursor;
  }

  get shownCursor(): Patch | null {
    return document.activeElement === this.canvas && this.strokes.grid().rows ? this.cursor : null;
  }

  /** Take a mask from elsewhere, unless a stroke is under way. */
  take(mask: Mask): void {
    const grid = this.strokes.grid();
    this.cursor = { row: Math.min(this.cursor.row, Math.max(0, grid.rows - 1)), column: this.cursor.column };
    this.cursor.column = Math.min(this.cursor.column, Math.max(0, grid.columns - 1));
    if (!this.drag) this.mask = fitting(mask, grid);
  }

  private patchUnder(event: PointerEvent): Patch | null {
    const { clientWidth, clientHeight } = this.canvas;
    return patchAt(this.strokes.grid(), clientWidth, clientHeight, event.offsetX, event.offsetY);
  }

  private onDown(event: PointerEvent): void {
    const patch = this.patchUnder(event);
    if (!patch || event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.cursor = patch;
    this.drag = { on: !isPainted(this.mask, patch), last: patch };
    this.mask = painted(this.mask, [patch], this.drag.on);
    this.strokes.redraw();
  }

  private onMove(event: PointerEvent): void {
    const patch = this.patchUnder(event);
    this.setHover(patch);
    if (!this.drag || !patch) return;
    this.mask = painted(this.mask, stroke(this.drag.last, patch), this.drag.on);
    this.drag.last = patch;
    this.cursor = patch;
    this.strokes.redraw();
  }

  private onUp(): void {
    if (!this.drag) return;
    this.drag = null;
    this.strokes.finish(this.mask);
  }

  private onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "PageUp" || event.key === "PageDown") this.strokes.scrub(event.key === "PageUp" ? 1 : -1);
    else if (!this.strokes.grid().rows || !this.onGridKey(event)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Arrows move, with Shift they carry the cursor's paint along; Space turns it over. */
  private onGridKey(event: KeyboardEvent): boolean {
    const on = isPainted(this.mask, this.cursor);
    if (event.key === " ") {
      this.hover = null;
      this.paint(this.cursor, !on);
      return true;
    }
    const to = moved(this.strokes.grid(), this.cursor, event.key);
    if (!to) return false;
    this.hover = null;
    this.cursor = to;
    if (event.shiftKey && isPainted(this.mask, to) !== on) this.paint(to, on);
    this.strokes.redraw();
    return true;
  }

  private paint(patch: Patch, on: boolean): void {
    this.mask = painted(this.mask, [patch], on);
    this.strokes.finish(this.mask);
  }

  private setHover(patch: Patch | null): void {
    if (patch?.row === this.hover?.row && patch?.column === this.hover?.column) return;
    this.hover = patch;
    this.strokes.redraw();
  }
}
