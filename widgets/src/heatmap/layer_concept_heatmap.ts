/** LayerConceptHeatmap: concepts × layers on a canvas, filled live; hover reads, click, drag and keys select cells and windows. */
import type { RenderProps } from "@anywidget/types";
import base from "../base/base.css";
import { h, show, widgetRoot } from "../base/dom";
import { withKernelNote } from "../base/kernel";
import { percentDone } from "../base/numbers";
import { onThemeChange, readTheme, type Theme } from "../base/theme";
import { Choices } from "./choices";
import { Detail } from "./detail";
import css from "./heatmap.css";
import { CHOICES, FRAME, type Model, NUMBERS, readCells, STATE, type Traits } from "./heatmap_traits";
import { cellAt, HEADING, type Layout, layoutMap } from "./layout";
import { type Cell, type Cells, findConcept, groupRow, nearest, type RowGroup } from "./map_cells";
import { Painter } from "./paint";
import { Reading } from "./reading";
import { activeCell, dragTo, fromTraits, onKey, type Selection, select, span, toTraits } from "./selection";
import { Scrubber } from "./strength_scrubber";

const NAME = "Effect by concept and layer";
const SKELETON = { rows: 9, columns: 8 };

/** Name of a category with the sign of whether its concepts are shown; folded, how many it has. */
const headText = ([label, concepts]: RowGroup, folded: boolean): string =>
  folded ? `▸ ${label} (${concepts.length})` : `▾ ${label}`;

class View {
  private readonly root: HTMLElement;
  private readonly choices: Choices;
  private readonly scrubber = new Scrubber((place) => this.setStrength(place));
  private readonly detail: Detail;
  private readonly tokens = h("span", { class: "mp-count", "data-testid": "map-tokens" });
  private readonly count = h("span", { class: "mp-count", "data-testid": "heatmap-status" });
  private readonly canvas = h("canvas", {
    class: "mp-canvas mp-map",
    "data-testid": "heatmap",
    tabindex: 0,
    role: "application",
  });
  private readonly reading = new Reading();
  private readonly note = h("p", { class: "mp-note", "data-testid": "map-note" });
  private readonly caption = h("p", { class: "mp-note", "data-testid": "map-caption" });
  private readonly bar = h("div", { class: "mp-progress", role: "progressbar", "aria-label": "progress" }, h("i"));
  private readonly error = h("p", { class: "mp-error", role: "alert", "data-testid": "heatmap-error" });
  private readonly painter = new Painter(this.canvas);
  private readonly row = h("div", { class: "mp-row" });
  private readonly find = h("input", {
    type: "search",
    class: "mp-find",
    placeholder: "find a concept",
    "aria-label": "find a concept",
    "data-testid": "find",
  });
  /** Names of the categories over the canvas, each a button that folds it; the key f does the same. */
  private readonly heads = h("div", { class: "mp-heads" });
  private headed: Layout | null = null;
  /** In the place of the map until its concepts are known. */
  private readonly skeleton = h("div", {
    class: "mp-skeleton",
    "aria-hidden": true,
    "data-testid": "heatmap-skeleton",
  });
  private cells: Cells;
  private layout: Layout = layoutMap([], 0, { width: 0, nameWidth: 60 });
  private theme: Theme | null = null;
  private limit = 1;
  private hover: Cell | null = null;
  private selection: Selection | null = null;
  private dragging = false;
  private width = 0;
  private pending = 0;
  /** Place of the strength that is drawn. */
  private drawn = -1;
  private stale = { frame: true, numbers: true, choices: true, theme: true };

  constructor(
    private readonly model: Model,
    el: HTMLElement,
    signal: AbortSignal,
  ) {
    this.root = widgetRoot(base + css, "heatmap", NAME);
    this.choices = new Choices(model);
    this.detail = new Detail(model, (place) => this.setStrength(place));
    const keys =
      "arrow keys move, with shift they select a window of layers, f folds the category, / finds a concept; values are read above";
    this.canvas.setAttribute("aria-label", `${NAME}; ${keys}`);
    this.canvas.setAttribute("aria-describedby", this.reading.element.id);
    const head = h("div", { class: "mp-head" }, h("h3", {}, NAME), this.tokens, this.count, this.choices.metric);
    this.row.append(this.scrubber.element, this.find, this.choices.row);
    this.painter.element.append(this.heads);
    const map = [this.skeleton, this.painter.element, this.note, this.caption];
    for (let row = 0; row < SKELETON.rows; row += 1) {
      const cells = Array.from({ length: SKELETON.columns }, () => h("i"));
      this.skeleton.append(h("div", {}, h("b"), ...cells));
    }
    this.root.append(head, this.row, this.reading.element, this.bar, ...map, this.error, this.detail.element);
    el.append(this.root);
    this.cells = readCells(model);
    this.listen(signal);
    this.redraw();
  }

  private listen(signal: AbortSignal): void {
    const { model, canvas } = this;
    const watched: [readonly string[], () => void][] = [
      [FRAME, () => this.redraw("frame")],
      [NUMBERS, () => this.redraw("numbers")],
      [CHOICES, () => this.redraw("choices")],
      [STATE, () => this.redraw()],
    ];
    for (const [names, react] of watched) for (const name of names) model.on(`change:${name}`, react);
    const resize = new ResizeObserver(() => this.redraw("theme"));
    resize.observe(this.root);
    const stopTheme = onThemeChange(() => this.redraw("theme"));
    signal.addEventListener("abort", () => {
      for (const [names, react] of watched) for (const name of names) model.off(`change:${name}` as "change:n", react);
      resize.disconnect();
      stopTheme();
      cancelAnimationFrame(this.pending);
    });
    canvas.addEventListener("pointerdown", (event) => this.onDown(event));
    canvas.addEventListener("pointermove", (event) => this.onMove(event));
    canvas.addEventListener("pointerup", () => this.onUp());
    canvas.addEventListener("pointercancel", () => this.onCancel());
    canvas.addEventListener("pointerleave", () => this.setHover(null));
    canvas.addEventListener("keydown", (event) => this.onKey(event));
    this.find.addEventListener("input", () => this.onFind());
    this.find.addEventListener("keydown", (event) => this.onFindKey(event));
    canvas.addEventListener("focus", () => this.redraw());
    canvas.addEventListener("blur", () => this.redraw());
  }

  private onDown(event: PointerEvent): void {
    const cell = cellAt(this.layout, event.offsetX, event.offsetY);
    if (!cell || event.button !== 0) return;
    if (cell.concept < 0) {
      this.fold(groupRow(cell.concept));
      return;
    }
    this.selection = select(this.selection, cell, event.shiftKey);
    this.dragging = true;
    this.canvas.setPointerCapture(event.pointerId);
    this.redraw();
  }

  private onMove(event: PointerEvent): void {
    if (!this.dragging || !this.selection) {
      this.setHover(cellAt(this.layout, event.offsetX, event.offsetY));
      return;
    }
    this.hover = null;
    this.selection = dragTo(this.layout, this.selection, event.offsetX);
    this.redraw();
  }

  private onUp(): void {
    if (!this.dragging) return;
    this.dragging = false;
    this.commit();
  }

  private onCancel(): void {
    this.dragging = false;
    this.selection = null;
    this.redraw();
  }

  private onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const to = this.selection ? onKey(this.layout, this.selection, event.key, event.shiftKey) : null;
    if (to) {
      this.hover = null;
      this.selection = to;
      this.commit();
    } else if (event.key === "+" || event.key === "-") {
      this.setStrength(this.strength() + (event.key === "+" ? 1 : -1));
    } else if (event.key === "f" && this.selection) {
      const { concept } = this.selection;
      this.fold(this.cells.groups.findIndex(([, concepts]) => concepts.includes(concept)));
    } else if (event.key === "/") {
      this.find.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Fold a category to one row, or show its concepts again. */
  private fold(group: number): void {
    const label = this.cells.groups[group]?.[0];
    if (!label) return;
    const { folded } = this.cells;
    this.model.set("folded", folded.includes(label) ? folded.filter((one) => one !== label) : [...folded, label]);
    this.model.save_changes();
    this.redraw("frame");
  }

  /** Point at the concept that is being typed, in its category, and bring it into view. */
  private onFind(): void {
    const concept = findConcept(this.cells.concepts, this.find.value);
    const group = this.cells.groups.findIndex(([, concepts]) => concepts.includes(concept));
    if (this.cells.folded.includes(this.cells.groups[group]?.[0] ?? "")) this.fold(group);
    this.setHover(concept < 0 ? null : { concept, layer: this.selection?.active ?? 0 });
    requestAnimationFrame(() => {
      const row = this.layout.rows.find((one) => one.concept === concept);
      if (!row) return;
      const mark = h("i", { style: `position: absolute; top: ${row.y}px; height: ${this.layout.rowHeight}px` });
      this.painter.element.append(mark);
      mark.scrollIntoView({ block: "nearest" });
      mark.remove();
    });
  }

  /** Enter selects the concept that was found, Escape leaves the selection as it is; both go back to the map. */
  private onFindKey(event: KeyboardEvent): void {
    event.stopPropagation();
    if (event.key !== "Enter" && event.key !== "Escape") return;
    const concept = findConcept(this.cells.concepts, this.find.value);
    if (event.key === "Enter" && concept < 0) return;
    event.preventDefault();
    this.find.value = "";
    this.hover = null;
    this.canvas.focus({ preventScroll: true });
    if (event.key === "Enter") {
      this.selection = select(this.selection, { concept, layer: this.selection?.active ?? 0 }, false);
      this.commit();
    }
    this.redraw();
  }

  private strength(): number {
    return nearest(this.cells.strengths, this.model.get("strength"));
  }

  private setHover(cell: Cell | null): void {
    if (cell?.concept === this.hover?.concept && cell?.layer === this.hover?.layer) return;
    this.hover = cell;
    this.redraw();
  }

  /** Tell the kernel what is selected, in one message. */
  private commit(): void {
    if (!this.selection) return;
    for (const [name, value] of Object.entries(toTraits(this.cells, this.selection))) {
      this.model.set(name as keyof Traits, value);
    }
    // A cell that is selected already is chosen anew: what is steered may have moved away from it.
    this.model.set("picked", this.model.get("picked") + 1);
    this.model.save_changes();
    this.redraw();
  }

  private setStrength(place: number): void {
    const strength = this.cells.strengths[Math.max(0, Math.min(this.cells.strengths.length - 1, place))];
    if (strength === undefined || strength === this.model.get("strength")) return;
    this.model.set("strength", strength);
    this.model.save_changes();
    this.redraw();
  }

  /** Draw at the next frame, once however often and for whatever it is asked for. */
  private redraw(what?: "frame" | "numbers" | "choices" | "theme"): void {
    if (what) this.stale[what] = true;
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.draw();
    });
  }

  /** Take in what has changed; says whether what is kept of the drawing must be made anew. */
  private takeIn(): Theme {
    const { model, stale } = this;
    if (stale.frame || stale.numbers) {
      this.cells = readCells(model);
      this.limit = model.get("limit");
    }
    if (stale.choices) this.choices.draw();
    if (stale.theme || !this.theme) this.theme = readTheme(this.root);
    if (stale.frame || stale.theme) this.measure(stale.frame);
    if (!this.dragging) {
      const chosen = { concept: model.get("concept"), layer: model.get("layer"), window: model.get("window") };
      this.selection = fromTraits(this.cells, chosen, this.selection);
    }
    return this.theme;
  }

  private measure(again: boolean): void {
    const style = getComputedStyle(this.root);
    const width = Math.floor(this.root.clientWidth - Number.parseFloat(style.paddingLeft) * 2);
    if ((width === this.width && !again) || width <= 0) return;
    this.width = width;
    this.stale.numbers = true;
    const pen = this.canvas.getContext("2d");
    if (pen) pen.font = `600 12px ${style.fontFamily}`;
    const names = this.cells.concepts.map((name) => pen?.measureText(name).width ?? 60);
    const heads = this.cells.groups.map((group) => pen?.measureText(headText(group, true)).width ?? 60);
    const nameWidth = Math.min(170, Math.max(40, ...names, ...heads));
    const byDepth = this.model.get("columns") === "relative_depth";
    const { folded } = this.cells;
    const space = { width, nameWidth, folded, ...(byDepth && { depths: this.cells.depths }) };
    this.layout = layoutMap(this.cells.groups, this.cells.layers.length, space);
  }

  private draw(): void {
    const theme = this.takeIn();
    const strength = this.strength();
    const fresh = this.stale.frame || this.stale.numbers || this.stale.theme;
    if (fresh || strength !== this.drawn) this.painter.invalidate();
    this.drawn = strength;
    const scene = {
      cells: this.cells,
      layout: this.layout,
      strength,
      limit: this.limit,
      unit: this.model.get("unit"),
      columns: this.model.get("columns"),
      selection: this.selection,
      hover: this.hover,
      focused: document.activeElement === this.canvas,
      answered: this.model.get("answered"),
    };
    this.painter.paint(scene, theme);
    show(this.painter.element, this.cells.concepts.length > 0);
    show(this.row, this.cells.concepts.length > 0);
    const ended = ["cancelled", "error"].includes(this.model.get("status"));
    show(this.skeleton, this.cells.concepts.length === 0 && !ended);
    this.placeCells();
    this.drawHeads();
    this.drawNotes();
    this.drawReadout(strength);
    this.scrubber.draw(this.cells.strengths, this.model.get("strength_unit"), strength);
    this.detail.draw(this.cells, this.selection, strength, this.width, theme, fresh);
    this.drawState();
    this.stale = { frame: false, numbers: false, choices: false, theme: false };
  }

  /** What the marks mean, and how many cells of the whole grid pass; nothing before a cell was measured. */
  private drawNotes(): void {
    const there = this.cells.coloured.some(Number.isFinite);
    const dots = this.model.get("answered").length > 0 ? ["dot: has answers"] : [];
    const note = [this.model.get("note"), ...dots].join(" · ");
    for (const [element, text] of [
      [this.note, note],
      [this.caption, this.model.get("caption")],
    ] as const) {
      if (element.textContent !== text) element.textContent = text;
      show(element, there && text !== "");
    }
  }

  private drawHeads(): void {
    if (this.headed === this.layout) return;
    this.headed = this.layout;
    const { groups, left, rowHeight } = this.layout;
    const heads = groups.flatMap(({ label, nameTop, folded }, group) => {
      const named = this.cells.groups[group];
      if (!label || !named) return [];
      const width = folded ? left - 4 : this.layout.width;
      const head = h(
        "button",
        {
          type: "button",
          tabindex: -1,
          "aria-expanded": !folded,
          "data-testid": "category",
          style: `top: ${nameTop}px; width: ${width}px; height: ${folded ? rowHeight : HEADING}px`,
        },
        headText(named, folded),
      );
      head.addEventListener("click", () => this.fold(group));
      return [head];
    });
    this.heads.replaceChildren(...heads);
  }

  /** Where the cells of the first category stand, for scripts that drive the page. */
  private placeCells(): void {
    const { left, cellWidth, rowHeight, rows } = this.layout;
    const top = rows[0]?.y ?? 0;
    for (const [name, value] of Object.entries({ left, top, cellWidth, rowHeight })) {
      if (this.canvas.dataset[name] !== String(value)) this.canvas.dataset[name] = String(value);
    }
  }

  private drawReadout(strength: number): void {
    const { model, cells, hover, selection } = this;
    const [first, last] = selection ? span(selection) : [0, 0];
    // The pointer stays where it selected: a cell of the window is read as part of it.
    const inside = !hover || (hover.concept === selection?.concept && hover.layer >= first && hover.layer <= last);
    const units = {
      unit: model.get("unit"),
      strengthUnit: model.get("strength_unit"),
      limit: this.limit,
      window:
        inside && first !== last
          ? ([cells.layers[first] ?? 0, cells.layers[last] ?? 0] as [number, number])
          : undefined,
      byDepth: model.get("columns") === "relative_depth" && cells.depths.length > 0,
    };
    this.reading.draw(cells, hover ?? (selection && activeCell(selection)), strength, units, model.get("status"));
  }

  private drawState(): void {
    const label = this.model.get("tokens_label");
    const tokens = label === "" ? "" : `steered at: ${label}`;
    if (this.tokens.textContent !== tokens) this.tokens.textContent = tokens;
    const progress = this.model.get("progress");
    const status = this.model.get("status");
    const running = status === "running";
    const percent = String(percentDone(progress));
    const stopped = status === "cancelled" ? `stopped at ${percent} %` : status;
    const count = running ? `${percent} %` : status === "idle" ? "" : stopped;
    if (this.count.textContent !== count) this.count.textContent = count;
    this.root.dataset.status = status;
    this.root.dataset.unfit = String(Object.keys(this.cells.unfit).length > 0);
    this.bar.dataset.done = String(!running);
    this.bar.setAttribute("aria-valuenow", percent);
    (this.bar.firstElementChild as HTMLElement).style.transform = `scaleX(${progress})`;
    const message = this.model.get("message");
    if (this.error.textContent !== message) this.error.textContent = message;
    show(this.error, message !== "");
  }
}

function render({ model, el, signal }: RenderProps<Traits>): (() => void) | undefined {
  const own = new AbortController();
  signal?.addEventListener("abort", () => own.abort());
  new View(model, el, own.signal);
  return () => own.abort();
}

export default { render: withKernelNote(render) };
