/** LayerConceptHeatmap: concepts × layers on a canvas, filled live; hover reads, a click or the arrow keys select. */
import type { AnyModel, RenderProps } from "@anywidget/types";
import base from "./base.css";
import { h, show, uniqueId, widgetRoot } from "./dom";
import { dose, niceCeiling, strengthUnit, words } from "./format";
import css from "./heatmap.css";
import { at, type Cell, type Cells, floats, indexOf, nearest, scaleLimit } from "./map/cells";
import { cellAt, type Layout, layoutMap, move } from "./map/layout";
import { paint } from "./map/paint";
import { readout } from "./map/readout";
import { onThemeChange, readTheme } from "./theme";

interface Traits {
  concepts: string[];
  categories: string[];
  layers: number[];
  strengths: number[];
  values: DataView;
  low: DataView;
  high: DataView;
  n: DataView;
  clear: DataView;
  control: DataView;
  control_low: DataView;
  control_high: DataView;
  metric: string;
  metrics: string[];
  metric_labels: Record<string, string>;
  unit: string;
  strength_unit: string;
  concept: string;
  layer: number;
  strength: number;
  progress: number;
  status: string;
  message: string;
}

const DATA = ["concepts", "categories", "layers", "strengths"] as const;
const NUMBERS = ["values", "low", "high", "n", "clear", "control", "control_low", "control_high"] as const;

function readCells(model: AnyModel<Traits>): Cells {
  return {
    concepts: model.get("concepts"),
    categories: model.get("categories"),
    layers: model.get("layers"),
    strengths: model.get("strengths"),
    value: floats(model.get("values")),
    low: floats(model.get("low")),
    high: floats(model.get("high")),
    n: floats(model.get("n")),
    clear: floats(model.get("clear")),
    control: floats(model.get("control")),
    controlLow: floats(model.get("control_low")),
    controlHigh: floats(model.get("control_high")),
  };
}

class View {
  private readonly root: HTMLElement;
  private readonly metric = h("select", { "aria-label": "metric", "data-testid": "metric" });
  private readonly count = h("span", { class: "mp-count", "data-testid": "heatmap-status" });
  private readonly chips = h("div", { class: "mp-chips", role: "radiogroup", "aria-label": "strength" });
  private readonly canvas = h("canvas", {
    class: "mp-canvas",
    "data-testid": "heatmap",
    tabindex: 0,
    role: "application",
  });
  private readonly read = h("div", {
    class: "mp-read",
    "data-testid": "heatmap-cell",
    role: "status",
    "aria-live": "polite",
  });
  private readonly bar = h("div", { class: "mp-progress", role: "progressbar", "aria-label": "progress" }, h("i"));
  private readonly error = h("p", { class: "mp-error", role: "alert", "data-testid": "heatmap-error" });
  private cells: Cells;
  private layout: Layout;
  private limit = 1;
  private hover: Cell | null = null;
  private width = 0;
  private pending = 0;

  constructor(
    private readonly model: AnyModel<Traits>,
    el: HTMLElement,
    signal: AbortSignal,
  ) {
    this.root = widgetRoot(base + css, "heatmap", "Effect by concept and layer");
    const description = uniqueId("cell");
    this.read.id = description;
    this.canvas.setAttribute("aria-label", "Effect by concept and layer; arrow keys move, values are read below");
    this.canvas.setAttribute("aria-describedby", description);
    const head = h("div", { class: "mp-head" }, h("h3", {}, "Effect by concept and layer"), this.count, this.metric);
    this.root.append(head, this.chips, this.read, this.bar, this.canvas, this.error);
    el.append(this.root);
    this.cells = readCells(model);
    this.layout = layoutMap([], 0, { width: 0, nameWidth: 60 });
    this.listen(signal);
    this.refresh();
  }

  private listen(signal: AbortSignal): void {
    const { model, canvas } = this;
    const onData = () => this.refresh();
    const onState = () => this.redraw();
    const data = [...DATA, ...NUMBERS, "metric", "metrics", "metric_labels", "unit", "strength_unit"];
    const state = ["concept", "layer", "strength", "progress", "status", "message"];
    for (const name of data) model.on(`change:${name}`, onData);
    for (const name of state) model.on(`change:${name}`, onState);
    const resize = new ResizeObserver(() => this.redraw());
    resize.observe(this.root);
    const stopTheme = onThemeChange(() => this.redraw());
    signal.addEventListener("abort", () => {
      for (const name of data) model.off(`change:${name}`, onData);
      for (const name of state) model.off(`change:${name}`, onState);
      resize.disconnect();
      stopTheme();
      cancelAnimationFrame(this.pending);
    });
    canvas.addEventListener("pointermove", (event) => this.setHover(cellAt(this.layout, event.offsetX, event.offsetY)));
    canvas.addEventListener("pointerleave", () => this.setHover(null));
    canvas.addEventListener("click", (event) => this.select(cellAt(this.layout, event.offsetX, event.offsetY)));
    canvas.addEventListener("keydown", (event) => this.onKey(event));
    canvas.addEventListener("focus", onState);
    canvas.addEventListener("blur", onState);
    this.chips.addEventListener("keydown", (event) => this.onChipKey(event));
    this.metric.addEventListener("change", () => {
      model.set("metric", this.metric.value);
      model.save_changes();
    });
  }

  private onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const cursor = this.cursor();
    const to = cursor ? move(this.layout, cursor, event.key) : null;
    if (to) {
      this.hover = null;
      this.select(to);
    } else if (event.key === "+" || event.key === "-") {
      this.setStrength(this.strength() + (event.key === "+" ? 1 : -1));
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  private onChipKey(event: KeyboardEvent): void {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.setStrength(this.strength() + by);
    this.chips.querySelector<HTMLButtonElement>("[aria-checked=true]")?.focus();
  }

  private cursor(): Cell | null {
    if (this.cells.concepts.length === 0 || this.cells.layers.length === 0) return null;
    const concept = Math.max(0, this.cells.concepts.indexOf(this.model.get("concept")));
    const layer = Math.max(0, this.cells.layers.indexOf(this.model.get("layer")));
    return { concept, layer };
  }

  private strength(): number {
    return nearest(this.cells.strengths, this.model.get("strength"));
  }

  private setHover(cell: Cell | null): void {
    if (cell?.concept === this.hover?.concept && cell?.layer === this.hover?.layer) return;
    this.hover = cell;
    this.redraw();
  }

  private select(cell: Cell | null): void {
    if (!cell) return;
    this.model.set("concept", this.cells.concepts[cell.concept] ?? "");
    this.model.set("layer", this.cells.layers[cell.layer] ?? 0);
    this.model.save_changes();
    this.redraw();
  }

  private setStrength(index: number): void {
    const strength = this.cells.strengths[Math.max(0, Math.min(this.cells.strengths.length - 1, index))];
    if (strength === undefined) return;
    this.model.set("strength", strength);
    this.model.save_changes();
    this.redraw();
  }

  /** Take new data in, then draw. */
  private refresh(): void {
    this.cells = readCells(this.model);
    this.limit = scaleLimit(this.cells.value, this.model.get("unit"), niceCeiling);
    this.width = 0;
    this.fillChips();
    this.fillMetrics();
    this.redraw();
  }

  private fillChips(): void {
    const label = `strength ${strengthUnit(this.model.get("strength_unit"))}`;
    const buttons = this.cells.strengths.map((strength, i) => {
      const chip = h("button", { type: "button", role: "radio", "data-strength": strength }, dose(strength));
      chip.addEventListener("click", () => this.setStrength(i));
      return chip;
    });
    const had = this.chips.contains(document.activeElement);
    this.chips.replaceChildren(h("span", {}, label), ...buttons);
    show(this.chips, buttons.length > 1);
    if (had) this.chips.querySelector<HTMLButtonElement>("[aria-checked=true]")?.focus();
  }

  private fillMetrics(): void {
    const labels = this.model.get("metric_labels");
    const current = this.model.get("metric");
    const names = this.model.get("metrics");
    const shown = names.includes(current) ? names : [current, ...names];
    this.metric.replaceChildren(
      ...shown.map((name) => h("option", { value: name, selected: name === current }, labels[name] ?? words(name))),
    );
    this.metric.value = current;
    this.metric.disabled = shown.length < 2;
  }

  /** Draw at the next frame, once however often it is asked for. */
  private redraw(): void {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.draw();
    });
  }

  private measure(): void {
    const style = getComputedStyle(this.root);
    const width = Math.floor(this.root.clientWidth - Number.parseFloat(style.paddingLeft) * 2);
    if (width === this.width || width <= 0) return;
    this.width = width;
    const pen = this.canvas.getContext("2d");
    if (pen) pen.font = `600 12px ${style.fontFamily}`;
    const names = this.cells.concepts.map((name) => pen?.measureText(name).width ?? 60);
    const nameWidth = Math.min(170, Math.max(40, ...names));
    this.layout = layoutMap(this.cells.categories, this.cells.layers.length, { width, nameWidth });
  }

  private draw(): void {
    this.measure();
    const cursor = this.cursor();
    const strength = this.strength();
    const scene = {
      cells: this.cells,
      layout: this.layout,
      strength,
      limit: this.limit,
      unit: this.model.get("unit"),
      cursor,
      hover: this.hover,
      focused: document.activeElement === this.canvas,
    };
    paint(this.canvas, scene, readTheme(this.root));
    this.placeCells();
    this.drawReadout(this.hover ?? cursor, strength);
    this.drawState(strength);
  }

  /** Where the cells of the first category stand, for scripts that drive the page. */
  private placeCells(): void {
    const { left, top, cellWidth, rowHeight } = this.layout;
    for (const [name, value] of Object.entries({ left, top, cellWidth, rowHeight })) {
      this.canvas.dataset[name] = String(value);
    }
  }

  private drawReadout(cell: Cell | null, strength: number): void {
    if (!cell) {
      this.read.textContent = "Waiting for the first cells.";
      return;
    }
    const units = { unit: this.model.get("unit"), strengthUnit: this.model.get("strength_unit"), limit: this.limit };
    const pieces = readout(this.cells, cell, strength, units);
    const nodes = pieces.flatMap((piece, i) => {
      const node = piece.kind === "strong" ? h("b", {}, piece.text) : h("span", { class: piece.kind }, piece.text);
      return i ? [piece.text.startsWith("[") ? " " : " · ", node] : [node];
    });
    this.read.replaceChildren(...nodes);
    const value = at(this.cells.value, indexOf(this.cells, cell, strength));
    this.read.dataset.concept = this.cells.concepts[cell.concept] ?? "";
    this.read.dataset.layer = String(this.cells.layers[cell.layer] ?? "");
    this.read.dataset.strength = String(this.cells.strengths[strength] ?? "");
    this.read.dataset.value = Number.isFinite(value) ? String(value) : "";
  }

  private drawState(strength: number): void {
    this.chips.querySelectorAll<HTMLButtonElement>("button").forEach((chip, i) => {
      chip.setAttribute("aria-checked", String(i === strength));
      chip.tabIndex = i === strength ? 0 : -1;
    });
    const progress = this.model.get("progress");
    const status = this.model.get("status");
    const running = status === "running";
    this.count.textContent = running ? `${Math.round(progress * 100)} %` : status === "idle" ? "" : status;
    this.root.dataset.status = status;
    this.bar.dataset.done = String(!running);
    this.bar.setAttribute("aria-valuenow", String(Math.round(progress * 100)));
    (this.bar.firstElementChild as HTMLElement).style.width = `${progress * 100}%`;
    const message = this.model.get("message");
    this.error.textContent = message;
    show(this.error, message !== "");
  }
}

function render({ model, el, signal }: RenderProps<Traits>): (() => void) | undefined {
  const own = new AbortController();
  signal?.addEventListener("abort", () => own.abort());
  new View(model, el, own.signal);
  return () => own.abort();
}

export default { render };
