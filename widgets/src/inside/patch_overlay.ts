/** PatchOverlay: an image under its grid of patches, coloured by a concept at a layer; hover reads, painting chooses patches. */
import type { AnyModel, RenderProps } from "@anywidget/types";
import base from "../base/base.css";
import { h, show, uniqueId, widgetRoot } from "../base/dom";
import { withKernelNote } from "../base/kernel";
import { digitsFor, niceCeiling, signed } from "../base/numbers";
import { onThemeChange, readTheme, type Theme } from "../base/theme";
import { at, floats, scaleLimit } from "../heatmap/map_cells";
import { fillSelect, labelled } from "../panel/controls";
import inside from "./inside.css";
import { Scrubber } from "./layer_scrubber";
import { Legend } from "./legend";
import { Brush } from "./patch_brush";
import { count, fitting, type Grid, inverted, isPainted, type Mask, type Patch, patchesOf } from "./patch_grid";
import css from "./patch_overlay.css";
import { paint } from "./patch_paint";
import { paintProfile } from "./profile";

interface Traits {
  concepts: string[];
  categories: string[];
  layers: number[];
  concept: string;
  layer: number;
  values: DataView;
  rows: number;
  columns: number;
  mask: Mask;
  picture: DataView;
  unit: string;
  meaning: string;
  shown: { concept?: string };
  status: string;
  message: string;
}

const WIDEST = 340;
const HELP = "Arrow keys move, Space paints, Shift with arrows paints on, Page up and down change the layer.";

class View {
  private readonly root = widgetRoot(base + inside + css, "patches", "Concept by patch of the image");
  private readonly canvas = h("canvas", {
    class: "mp-canvas",
    "data-testid": "patches",
    tabindex: 0,
    role: "application",
  });
  private readonly read = h("div", {
    class: "mp-read",
    "data-testid": "patch-read",
    role: "status",
    "aria-live": "polite",
  });
  private readonly concept = h("select", { class: "mp-wide", "data-testid": "patch-concept" });
  private readonly conceptBox = labelled("Concept", this.concept).element;
  private readonly scrubber = new Scrubber("patch-layer", {
    draw: () => this.redraw(),
    settle: (index) => this.set({ layer: this.model.get("layers")[index] ?? 0 }),
  });
  private readonly legend = new Legend();
  private readonly meaning = h("p", { class: "mp-note" });
  private readonly profile = h("canvas", { class: "mp-profile", "data-testid": "patch-profile", role: "img" });
  private readonly profileLabel = h("span", { class: "mp-label" });
  private readonly profileBox = h("div", {}, this.profileLabel, this.profile);
  private readonly painted = h("span", { "data-testid": "patch-count" });
  private readonly clear = h("button", { type: "button", "data-testid": "patch-clear" }, "Clear");
  private readonly invert = h("button", { type: "button", "data-testid": "patch-invert" }, "Invert");
  private readonly shade = h("input", { type: "checkbox", checked: true, "data-testid": "patch-shade" });
  private readonly state = h("span", { class: "mp-inside-state", "data-testid": "patch-status" });
  private readonly error = h("p", { class: "mp-error", role: "alert", "data-testid": "patch-error" });
  private picture: ImageBitmap | null = null;
  private values: Float32Array = new Float32Array(0);
  private limit = 1;
  private readonly brush = new Brush(this.canvas, {
    grid: () => this.grid(),
    redraw: () => this.redraw(),
    finish: (mask) => this.set({ mask }),
    scrub: (by) => this.scrubber.by(by),
  });
  private pending = 0;

  constructor(
    private readonly model: AnyModel<Traits>,
    el: HTMLElement,
    signal: AbortSignal,
  ) {
    this.read.id = uniqueId("patch");
    this.canvas.setAttribute("aria-describedby", this.read.id);
    this.canvas.setAttribute("aria-label", `Patches of the image. ${HELP}`);
    const bar = h(
      "div",
      { class: "mp-paint" },
      this.painted,
      h("label", {}, this.shade, "shade"),
      this.invert,
      this.clear,
    );
    const left = h("div", {}, this.canvas, this.read, bar);
    const right = h(
      "div",
      {},
      this.conceptBox,
      this.scrubber.element,
      this.legend.element,
      this.meaning,
      this.profileBox,
    );
    const head = h("div", { class: "mp-head" }, h("h3", {}, "Concept by patch"), this.state);
    this.root.classList.add("mp-inside");
    this.root.append(head, h("div", { class: "mp-patches-body" }, left, right), this.error);
    el.append(this.root);
    this.listen(signal);
    this.fill();
    void this.load();
  }

  private listen(signal: AbortSignal): void {
    const { model } = this;
    const bind = (names: string[], call: () => void) => {
      for (const name of names) {
        model.on(`change:${name}` as `change:${keyof Traits}`, call);
        signal.addEventListener("abort", () => model.off(`change:${name}` as `change:${keyof Traits}`, call));
      }
    };
    bind(["concepts", "categories", "layers", "values", "rows", "columns", "unit", "meaning"], () => this.fill());
    bind(["concept", "layer", "mask"], () => this.take());
    bind(["shown", "status", "message"], () => this.redraw());
    bind(["picture"], () => void this.load());
    const resize = new ResizeObserver(() => this.redraw());
    resize.observe(this.root);
    const stopTheme = onThemeChange(() => this.redraw());
    signal.addEventListener("abort", () => {
      resize.disconnect();
      stopTheme();
      this.scrubber.close();
      cancelAnimationFrame(this.pending);
      this.picture?.close();
    });
    this.concept.addEventListener("change", () => this.set({ concept: this.concept.value }));
    this.shade.addEventListener("change", () => this.redraw());
    this.clear.addEventListener("click", () => this.set({ mask: fitting([], this.grid()) }));
    this.invert.addEventListener("click", () => this.set({ mask: inverted(this.brush.mask) }));
  }

  private set(state: Partial<Traits>): void {
    for (const [name, value] of Object.entries(state)) this.model.set(name as keyof Traits, value as never);
    this.model.save_changes();
    this.redraw();
  }

  private grid(): Grid {
    return { rows: this.model.get("rows"), columns: this.model.get("columns") };
  }

  private async load(): Promise<void> {
    const data = this.model.get("picture");
    if (!data?.byteLength) return;
    const picture = await createImageBitmap(new Blob([data as DataView<ArrayBuffer>], { type: "image/png" }));
    if (data !== this.model.get("picture")) return picture.close();
    this.picture?.close();
    this.picture = picture;
    this.redraw();
  }

  /** New numbers, another grid or other choices. */
  private fill(): void {
    const { model } = this;
    this.values = floats(model.get("values"));
    this.limit = scaleLimit(this.values, model.get("unit"), niceCeiling);
    const categories = model.get("categories");
    const options = model.get("concepts").map((name, i) => ({ value: name, label: name, group: categories[i] ?? "" }));
    fillSelect(this.concept, options, model.get("concept"));
    show(this.conceptBox, options.length > 0);
    this.meaning.textContent = `${model.get("meaning")}.`;
    this.take();
  }

  /** Choices that were made elsewhere, or just now. */
  private take(): void {
    const { model } = this;
    const layer = model.get("layer");
    if (
      model.get("layers")[this.scrubber.index] !== layer ||
      this.scrubber.element.dataset.of !== String(model.get("layers"))
    ) {
      this.scrubber.fill(model.get("layers"), layer);
      this.scrubber.element.dataset.of = String(model.get("layers"));
    }
    this.concept.value = model.get("concept");
    this.brush.take(model.get("mask"));
    this.redraw();
  }

  private valueAt({ row, column }: Patch, layer = this.scrubber.index): number {
    const { rows, columns } = this.grid();
    return at(this.values, (layer * rows + row) * columns + column);
  }

  private redraw(): void {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.draw();
    });
  }

  private draw(): void {
    const theme = readTheme(this.root);
    const grid = this.grid();
    const column = this.canvas.parentElement?.clientWidth ?? WIDEST;
    const shape = this.picture ? this.picture.height / this.picture.width : 1;
    const width = Math.max(80, Math.min(WIDEST, column, (WIDEST * 1.25) / shape));
    const scene = {
      picture: this.picture,
      grid,
      value: (patch: Patch) => this.valueAt(patch),
      limit: this.limit,
      mask: this.brush.mask,
      cursor: this.brush.shownCursor,
      hover: this.brush.hover,
      shaded: this.shade.checked && this.values.length > 0,
    };
    paint(this.canvas, scene, theme, Math.round(width), Math.round(width * shape));
    const known = this.values.length > 0;
    show(this.legend.element, known);
    show(this.meaning, known);
    this.legend.show(this.limit, this.model.get("unit"), theme, "picture");
    const patch = this.brush.reading;
    this.drawReadout(patch);
    show(this.profileBox, known);
    this.drawProfile(patch, theme);
    this.drawState();
  }

  /** The patch that is read; without one, the mean of the painted patches, or of all. */
  private drawProfile(patch: Patch | null, theme: Theme): void {
    const layers = this.model.get("layers");
    const own = patch ? [patch] : patchesOf(this.grid(), this.brush.mask);
    const values = layers.map((_, i) => own.reduce((sum, each) => sum + this.valueAt(each, i), 0) / own.length);
    paintProfile(this.profile, { layers, values, index: this.scrubber.index, limit: this.limit }, theme);
    const mean = count(this.brush.mask) ? "Mean of the painted patches" : "Mean of all patches";
    this.profileLabel.textContent = `${patch ? "This patch" : mean}, layer by layer`;
    this.profile.setAttribute("aria-label", this.profileLabel.textContent);
  }

  private drawReadout(patch: Patch | null): void {
    const { model, read } = this;
    const layer = model.get("layers")[this.scrubber.index];
    if (!patch) {
      const many = this.model.get("rows") > 0;
      read.textContent = many ? "Hover a patch to read it, drag to paint. " : "";
      if (many) read.append(h("span", { class: "soft" }, HELP));
      for (const name of ["row", "column", "value"]) delete read.dataset[name];
      return;
    }
    const value = this.valueAt(patch);
    const words = ["row ", h("b", {}, String(patch.row)), ", column ", h("b", {}, String(patch.column))];
    if (Number.isFinite(value)) {
      const number = `${signed(value, digitsFor(this.limit))} ${model.get("unit")}`;
      words.push(
        " · ",
        h("b", {}, number),
        h("span", { class: "soft" }, ` of ${model.get("shown").concept ?? ""} at layer ${layer}`),
      );
    }
    if (isPainted(this.brush.mask, patch)) words.push(h("span", { class: "soft" }, " · painted"));
    read.replaceChildren(...words);
    Object.assign(read.dataset, { row: patch.row, column: patch.column, value: Number.isFinite(value) ? value : "" });
  }

  private drawState(): void {
    const { model } = this;
    const status = model.get("status");
    const old = this.values.length > 0 && model.get("shown").concept !== model.get("concept");
    this.canvas.dataset.old = String(old);
    this.root.dataset.status = status;
    const waits = status === "running" || (old && model.get("message") === "");
    this.state.textContent = waits ? "reading …" : "";
    const { rows, columns } = this.grid();
    const many = count(this.brush.mask);
    this.painted.textContent = rows ? `${many} of ${rows} × ${columns} painted` : "";
    this.clear.disabled = many === 0;
    this.invert.disabled = rows === 0;
    const message = model.get("message");
    this.error.textContent = message;
    show(this.error, message !== "");
  }
}

function render({ model, el, signal }: RenderProps<Traits>): () => void {
  const own = new AbortController();
  signal?.addEventListener("abort", () => own.abort());
  new View(model, el, own.signal);
  return () => own.abort();
}

export default { render: withKernelNote(render) };
