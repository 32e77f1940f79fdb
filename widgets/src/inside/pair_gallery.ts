/** PairGallery: pairs of images with and without a concept, each with its separation on the direction. */
import type { AnyModel, RenderProps } from "@anywidget/types";
import base from "../base/base.css";
import { h, show, widgetRoot } from "../base/dom";
import { digitsFor, niceCeiling, signed } from "../base/numbers";
import { floats } from "../heatmap/map_cells";
import inside from "./inside.css";
import css from "./pair_gallery.css";
import { average, bar, column } from "./separation";

interface Pair {
  label: string;
  positive: DataView;
  negative: DataView;
}

interface Traits {
  pairs: Pair[];
  values: DataView;
  layers: number[];
  layer: number;
  concept: string;
  unit: string;
  meaning: string;
  shown: { concept?: string };
  status: string;
  message: string;
}

const NAMES = ["values", "layers", "layer", "concept", "unit", "meaning", "shown", "status", "message"] as const;

class View {
  private readonly root = widgetRoot(base + inside + css, "gallery", "Pairs of images and their separation");
  private readonly title = h("h3");
  private readonly state = h("span", { class: "mp-inside-state", role: "status", "data-testid": "gallery-status" });
  private readonly mean = h("span", { class: "mp-gallery-mean", "data-testid": "gallery-mean" });
  private readonly list = h("ul", { class: "mp-gallery-list", "data-testid": "gallery" });
  private readonly meaning = h("p", { class: "mp-note" });
  private readonly error = h("p", { class: "mp-error", role: "alert" });
  private readonly urls: string[] = [];
  private rows: { fill: HTMLElement; number: HTMLElement }[] = [];

  constructor(
    private readonly model: AnyModel<Traits>,
    el: HTMLElement,
  ) {
    this.root.append(
      h("div", { class: "mp-head" }, this.title, this.state, this.mean),
      this.list,
      this.meaning,
      this.error,
    );
    el.append(this.root);
    model.on("change:pairs", this.fill);
    for (const name of NAMES) model.on(`change:${name}`, this.draw);
    this.fill();
  }

  close(): void {
    this.model.off("change:pairs", this.fill);
    for (const name of NAMES) this.model.off(`change:${name}`, this.draw);
    this.forget();
  }

  private readonly fill = (): void => {
    this.forget();
    this.rows = [];
    const of = this.model.get("shown").concept ?? this.model.get("concept");
    const items = this.model.get("pairs").map((pair) => {
      const fill = h("i");
      const number = h("b");
      this.rows.push({ fill, number });
      const pictures = h(
        "div",
        { class: "mp-gallery-pair" },
        this.picture(pair.positive, `${pair.label}: with ${of}`),
        this.picture(pair.negative, `${pair.label}: without ${of}`),
      );
      return h("li", {}, pictures, h("div", { class: "mp-gallery-bar", "aria-hidden": "true" }, fill), number);
    });
    this.list.replaceChildren(...items);
    this.draw();
  };

  private picture(content: DataView, alt: string): HTMLElement {
    const url = URL.createObjectURL(new Blob([content as unknown as BlobPart], { type: "image/png" }));
    this.urls.push(url);
    return h("img", { src: url, alt, title: alt });
  }

  private forget(): void {
    for (const url of this.urls.splice(0)) URL.revokeObjectURL(url);
  }

  private readonly draw = (): void => {
    const { model } = this;
    const values = floats(model.get("values"));
    const pairs = this.rows.length;
    const layer = model.get("layers").indexOf(model.get("layer"));
    const row = column(values, pairs, layer);
    const limit = niceCeiling(values.reduce((most, value) => Math.max(most, Math.abs(value) || 0), 0));
    const digits = digitsFor(limit);
    const unit = model.get("unit");
    this.rows.forEach(({ fill, number }, index) => {
      const value = row[index] ?? Number.NaN;
      const { left, width } = bar(value, limit);
      fill.style.left = `${left}%`;
      fill.style.width = `${width}%`;
      fill.dataset.sign = value < 0 ? "negative" : "positive";
      number.textContent = `${signed(value, digits)} ${unit}`;
    });
    const shown = model.get("shown").concept ?? "";
    this.title.textContent = `Pairs · ${shown || model.get("concept")} · layer ${model.get("layer")}`;
    this.mean.textContent = pairs > 0 ? `mean ${signed(average(row), digits)} ${unit} over ${pairs} pairs` : "";
    this.state.textContent = { running: "reading the images …", cancelled: "stopped" }[model.get("status")] ?? "";
    this.list.dataset.old = String(shown !== "" && shown !== model.get("concept"));
    this.meaning.textContent = pairs > 0 ? `Difference in projection (with − without). ${model.get("meaning")}` : "";
    this.error.textContent = model.get("message");
    show(this.error, model.get("message") !== "");
  };
}

function render({ model, el }: RenderProps<Traits>): () => void {
  const view = new View(model, el);
  return () => view.close();
}

export default { render };
