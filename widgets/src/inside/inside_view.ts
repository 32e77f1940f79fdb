/** What the views of one reading share: the choice of concept and layer, the legend, the state, and how they listen. */
import type { AnyModel } from "@anywidget/types";
import base from "../base/base.css";
import { h, show, widgetRoot } from "../base/dom";
import { onThemeChange } from "../base/theme";
import { fillSelect, labelled } from "../panel/controls";
import inside from "./inside.css";
import { Scrubber } from "./layer_scrubber";
import { Legend } from "./legend";

export interface InsideTraits {
  concepts: string[];
  categories: string[];
  layers: number[];
  concept: string;
  layer: number;
  values: DataView;
  /** End of the colour scale. */
  limit: number;
  unit: string;
  meaning: string;
  shown: { concept?: string };
  status: string;
  message: string;
}

export interface Named {
  /** Of the root: its kind and its label. */
  root: [kind: string, label: string];
  css: string;
  /** Prefix of the test ids. */
  prefix: string;
}

export abstract class InsideView<T extends InsideTraits> {
  protected readonly root: HTMLElement;
  protected readonly concept: HTMLSelectElement;
  protected readonly conceptBox: HTMLElement;
  protected readonly scrubber: Scrubber;
  protected readonly clear: HTMLButtonElement;
  protected readonly legend = new Legend();
  protected readonly meaning = h("p", { class: "mp-note" });
  protected readonly profile: HTMLCanvasElement;
  protected readonly state: HTMLElement;
  protected readonly error: HTMLElement;
  private pending = 0;

  constructor(
    protected readonly model: AnyModel<T>,
    { root, css, prefix }: Named,
  ) {
    const id = (name: string) => ({ "data-testid": `${prefix}-${name}` });
    this.root = widgetRoot(base + inside + css, ...root);
    this.root.classList.add("mp-inside");
    this.concept = h("select", { class: "mp-wide", ...id("concept") });
    this.conceptBox = labelled("Concept", this.concept).element;
    this.scrubber = new Scrubber(`${prefix}-layer`, {
      draw: () => this.redraw(),
      settle: (index) => this.set({ layer: this.model.get("layers")[index] ?? 0 } as Partial<T>),
    });
    this.clear = h("button", { type: "button", ...id("clear") }, "Clear");
    this.profile = h("canvas", { class: "mp-profile", role: "img", ...id("profile") });
    this.state = h("span", { class: "mp-inside-state", ...id("status") });
    this.error = h("p", { class: "mp-error", role: "alert", ...id("error") });
  }

  /** Follow the model, the size and the theme until the view is gone; `numbers` fill it anew, `choices` are taken. */
  protected listen(signal: AbortSignal, numbers: string[], choices: string[]): void {
    this.follow(signal, ["concepts", "categories", "layers", "values", "limit", "unit", "meaning", ...numbers], () =>
      this.fill(),
    );
    this.follow(signal, ["concept", "layer", ...choices], () => this.take());
    this.follow(signal, ["shown", "status", "message"], () => this.redraw());
    const resize = new ResizeObserver(() => this.redraw());
    resize.observe(this.root);
    const stopTheme = onThemeChange(() => this.redraw());
    signal.addEventListener("abort", () => {
      resize.disconnect();
      stopTheme();
      this.scrubber.close();
      cancelAnimationFrame(this.pending);
    });
    this.concept.addEventListener("change", () => this.set({ concept: this.concept.value } as Partial<T>));
  }

  protected follow(signal: AbortSignal, names: string[], call: () => void): void {
    for (const name of names) {
      this.model.on(`change:${name}` as `change:${keyof T & string}`, call);
      signal.addEventListener("abort", () => this.model.off(`change:${name}` as `change:${keyof T & string}`, call));
    }
  }

  protected set(state: Partial<T>): void {
    for (const [name, value] of Object.entries(state)) this.model.set(name as keyof T & string, value as never);
    this.model.save_changes();
    this.redraw();
  }

  /** New numbers, another grid or other choices. */
  protected fill(): void {
    const categories = this.model.get("categories");
    const concepts = this.model.get("concepts");
    const options = concepts.map((name, i) => ({ value: name, label: name, group: categories[i] ?? "" }));
    fillSelect(this.concept, options, this.model.get("concept"));
    this.take();
  }

  /** Choices that were made elsewhere, or just now. */
  protected take(): void {
    const { model, scrubber } = this;
    const layers = model.get("layers");
    if (layers[scrubber.index] !== model.get("layer") || scrubber.element.dataset.of !== String(layers)) {
      scrubber.fill(layers, model.get("layer"));
      scrubber.element.dataset.of = String(layers);
    }
    this.concept.value = model.get("concept");
    this.redraw();
  }

  protected redraw(): void {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.draw();
    });
  }

  protected abstract draw(): void;

  /** Say what the kernel does; `known` is whether numbers are shown. Returns whether these are of another concept. */
  protected drawStatus(known: boolean): boolean {
    const { model } = this;
    const status = model.get("status");
    const message = model.get("message");
    const old = known && model.get("shown").concept !== model.get("concept");
    this.root.dataset.status = status;
    this.state.textContent = status === "running" || (old && message === "") ? "reading …" : "";
    this.error.textContent = message;
    show(this.error, message !== "");
    return old;
  }
}
