/** PatchOverlay: an image under its grid of patches, coloured by a concept at a layer; hover reads, painting chooses patches. */
import type { AnyModel, RenderProps } from "@anywidget/types";
import { h, show, uniqueId } from "../base/dom";
import { withKernelNote } from "../base/kernel";
import { digitsFor, layerName, signed } from "../base/numbers";
import { readTheme, type Theme } from "../base/theme";
import { at, floats } from "../heatmap/map_cells";
import { type InsideTraits, InsideView } from "./inside_view";
import { Brush } from "./patch_brush";
import { count, fitting, type Grid, inverted, isPainted, type Mask, type Patch, patchesOf } from "./patch_grid";
import css from "./patch_overlay.css";
import { paint } from "./patch_paint";
import { paintProfile } from "./profile";

interface Traits extends InsideTraits {
  rows: number;
  columns: number;
  mask: Mask;
  picture: DataView;
}

const WIDEST = 340;
const HELP = "Arrow keys move, Space paints, Shift with arrows paints on, Page up and down change the layer.";

class View extends InsideView<Traits> {
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
  private readonly profileLabel = h("span", { class: "mp-label" });
  private readonly profileBox = h("div", {}, this.profileLabel, this.profile);
  private readonly painted = h("span", { "data-testid": "patch-count" });
  private readonly invert = h("button", { type: "button", "data-testid": "patch-invert" }, "Invert");
  private readonly shade = h("input", { type: "checkbox", checked: true, "data-testid": "patch-shade" });
  private picture: ImageBitmap | null = null;
  private values: Float32Array = new Float32Array(0);
  private limit = 1;
  private readonly brush = new Brush(this.canvas, {
    grid: () => this.grid(),
    redraw: () => this.redraw(),
    finish: (mask) => this.set({ mask }),
    scrub: (by) => this.scrubber.by(by),
  });

  constructor(model: AnyModel<Traits>, el: HTMLElement, signal: AbortSignal) {
    super(model, { root: ["patches", "Concept by patch of the image"], css, prefix: "patch" });
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
    this.root.append(head, h("div", { class: "mp-patches-body" }, left, right), this.error);
    el.append(this.root);
    this.listen(signal, ["rows", "columns"], ["mask"]);
    this.follow(signal, ["picture"], () => void this.load());
    signal.addEventListener("abort", () => this.picture?.close());
    this.shade.addEventListener("change", () => this.redraw());
    this.clear.addEventListener("click", () => this.set({ mask: fitting([], this.grid()) }));
    this.invert.addEventListener("click", () => this.set({ mask: inverted(this.brush.mask) }));
    this.fill();
    void this.load();
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

  protected override fill(): void {
    const { model } = this;
    this.values = floats(model.get("values"));
    this.limit = model.get("limit");
    show(this.conceptBox, model.get("concepts").length > 0);
    this.meaning.textContent = `${model.get("meaning")}.`;
    super.fill();
  }

  protected override take(): void {
    this.brush.take(this.model.get("mask"));
    super.take();
  }

  private valueAt({ row, column }: Patch, layer = this.scrubber.index): number {
    const { rows, columns } = this.grid();
    return at(this.values, (layer * rows + row) * columns + column);
  }

  protected override draw(): void {
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
        h("span", { class: "soft" }, ` of ${model.get("shown").concept ?? ""} at layer ${layerName(layer)}`),
      );
    }
    if (isPainted(this.brush.mask, patch)) words.push(h("span", { class: "soft" }, " · painted"));
    read.replaceChildren(...words);
    Object.assign(read.dataset, { row: patch.row, column: patch.column, value: Number.isFinite(value) ? value : "" });
  }

  private drawState(): void {
    this.canvas.dataset.old = String(this.drawStatus(this.values.length > 0));
    const { rows, columns } = this.grid();
    const many = count(this.brush.mask);
    this.painted.textContent = rows ? `${many} of ${rows} × ${columns} painted` : "";
    this.clear.disabled = many === 0;
    this.invert.disabled = rows === 0;
  }
}

function render({ model, el, signal }: RenderProps<Traits>): () => void {
  const own = new AbortController();
  signal?.addEventListener("abort", () => own.abort());
  new View(model, el, own.signal);
  return () => own.abort();
}

export default { render: withKernelNote(render) };
