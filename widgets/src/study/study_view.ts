/** StudyView: a study's summary, its charts and its multiverse; concept and layer are selected here or follow others. */
import type { AnyModel, RenderProps } from "@anywidget/types";
import base from "../base/base.css";
import { h, show, widgetRoot } from "../base/dom";
import { withKernelNote } from "../base/kernel";
import { layerName, words } from "../base/numbers";
import { onThemeChange, readTheme, type Theme } from "../base/theme";
import { fillSelect, labelled, type Option } from "../panel/controls";
import type { ChartData, Painted, Target } from "./chart_data";
import { lineChart } from "./line_chart";
import { matrixChart } from "./matrix_chart";
import { multiverseChart } from "./multiverse_chart";
import { Stage } from "./stage";
import css from "./study.css";

interface Traits {
  study: string;
  about: string;
  summary: string[];
  details?: string[][];
  charts: ChartData[];
  chart: string;
  multiverse: ChartData | Record<string, never>;
  concepts: string[];
  categories: string[];
  layers: number[];
  concept: string;
  layer: number;
  message: string;
}

const SHOWN: (keyof Traits)[] = [
  ...(["study", "about", "summary", "details", "charts", "chart", "multiverse"] as const),
  ...(["concepts", "categories", "layers", "concept", "layer", "message"] as const),
];
const NARROWEST = 280;

function select(testId: string, text: string): { box: HTMLElement; control: HTMLSelectElement } {
  const control = h("select", { class: "mp-wide", "data-testid": testId });
  return { box: labelled(text, control).element, control };
}

/** Fill a select anew only where its options changed, so that an open list stays. */
function offer(control: HTMLSelectElement, options: Option[], value: string): void {
  const key = JSON.stringify(options);
  if (control.dataset.options !== key) fillSelect(control, options, value);
  control.dataset.options = key;
  control.value = value;
}

class View {
  private readonly root = widgetRoot(base + css, "study", "Study");
  private readonly name = h("b");
  private readonly about = h("span", { class: "mp-note" });
  private readonly summary = h("ul", { class: "mp-summary", "data-testid": "study-summary" });
  private readonly rows = h("tbody");
  private readonly details = h(
    "details",
    { class: "mp-details", "data-testid": "study-details" },
    h("summary", {}, "Details"),
    h("table", {}, this.rows),
  );
  private readonly chart = select("study-charts", "Chart");
  private readonly concept = select("study-concept", "Concept");
  private readonly layer = select("study-layer", "Layer");
  private readonly title = h("h4");
  private readonly caption = h("div", { class: "mp-note mp-caption" });
  private readonly nothing = h("p", { "data-testid": "study-nothing" });
  private readonly legend = h("ul", { class: "mp-legend", "data-testid": "study-legend" });
  private readonly none = h("p", { class: "mp-note" }, "This study has no chart.");
  private readonly stage: Stage;
  private readonly figure: HTMLElement;
  private readonly ways = new Stage("study-multiverse-ways", "Point at a way to read it.", () => {});
  private readonly waysTitle = h("h4");
  private readonly waysCaption = h("div", { class: "mp-note mp-caption" });
  private readonly multiverse: HTMLElement;
  private readonly error = h("p", { class: "mp-error", role: "alert", "data-testid": "study-error" });
  private pending = 0;

  constructor(
    private readonly model: AnyModel<Traits>,
    el: HTMLElement,
    signal: AbortSignal,
  ) {
    this.root.dataset.testid = "study";
    this.stage = new Stage("study-chart", "Point at the chart to read it, click to select.", (target) =>
      this.take(target),
    );
    this.figure = h(
      "div",
      { class: "mp-figure" },
      this.title,
      this.nothing,
      this.caption,
      this.stage.element,
      this.legend,
    );
    const ways = [this.waysTitle, this.waysCaption, this.ways.element];
    this.multiverse = h("div", { class: "mp-figure", "data-testid": "study-multiverse" }, ...ways);
    const head = h("div", { class: "mp-head" }, h("h3", {}, "Study"), this.name, this.about);
    const choices = h("div", { class: "mp-choices" }, this.chart.box, this.concept.box, this.layer.box);
    this.root.append(head, this.summary, choices, this.error, this.none, this.figure, this.multiverse);
    el.append(this.root);
    this.chart.control.addEventListener("change", () => this.set({ chart: this.chart.control.value }));
    this.concept.control.addEventListener("change", () => this.set({ concept: this.concept.control.value }));
    this.layer.control.addEventListener("change", () => this.set({ layer: Number(this.layer.control.value) }));
    this.listen(signal);
    this.draw();
  }

  private listen(signal: AbortSignal): void {
    const later = () => this.redraw();
    for (const name of SHOWN) this.model.on(`change:${name}`, later);
    const resize = new ResizeObserver(later);
    resize.observe(this.root);
    const stopTheme = onThemeChange(later);
    signal.addEventListener("abort", () => {
      for (const name of SHOWN) this.model.off(`change:${name}`, later);
      resize.disconnect();
      stopTheme();
      cancelAnimationFrame(this.pending);
    });
  }

  private redraw(): void {
    this.pending ||= requestAnimationFrame(() => {
      this.pending = 0;
      this.draw();
    });
  }

  private set(state: Partial<Traits>): void {
    for (const [name, value] of Object.entries(state)) this.model.set(name as keyof Traits, value as never);
    this.model.save_changes();
    this.redraw();
  }

  /** Select what a place stands for, as far as there is a choice of it. */
  private take({ concept, layer }: Target): void {
    const chosen: Partial<Traits> = {};
    if (concept !== undefined && this.model.get("concepts").includes(concept)) chosen.concept = concept;
    if (layer !== undefined && this.model.get("layers").includes(layer)) chosen.layer = layer;
    if (Object.keys(chosen).length > 0) this.set(chosen);
  }

  private draw(): void {
    const { model } = this;
    this.name.textContent = words(model.get("study"));
    this.about.textContent = model.get("about");
    this.summary.replaceChildren(...model.get("summary").map((line) => h("li", {}, line)));
    this.drawDetails(model.get("details") ?? []);
    this.error.textContent = model.get("message");
    show(this.error, model.get("message") !== "");
    this.drawChoices();
    const theme = readTheme(this.root);
    this.root.dataset.dark = String(theme.dark);
    this.drawChart(theme);
    this.drawMultiverse(theme);
  }

  /** Fill the table under the summary, which is there only where it has rows. */
  private drawDetails(rows: string[][]): void {
    const cells = ([name, text]: string[]) =>
      h("tr", {}, h("th", { scope: "row" }, name ?? ""), h("td", {}, text ?? ""));
    this.rows.replaceChildren(...rows.map(cells));
    if (rows.length === 0) this.details.remove();
    else if (this.details.parentNode === null) this.summary.after(this.details);
  }

  private drawChoices(): void {
    const { model } = this;
    const [charts, concepts, layers] = [model.get("charts"), model.get("concepts"), model.get("layers")];
    const categories = model.get("categories");
    const titles = charts.map(({ key, label }) => ({ value: key, label }));
    offer(this.chart.control, titles, model.get("chart"));
    const named = concepts.map((name, i) => ({ value: name, label: name, group: categories[i] ?? "" }));
    offer(this.concept.control, named, model.get("concept"));
    const blocks = layers.map((layer) => ({ value: String(layer), label: layerName(layer) }));
    offer(this.layer.control, blocks, String(model.get("layer")));
    show(this.chart.box, charts.length > 1);
    show(this.concept.box, concepts.length > 0);
    show(this.layer.box, layers.length > 0);
  }

  private width(): number {
    return Math.max(NARROWEST, Math.floor(this.root.clientWidth - 28));
  }

  private drawChart(theme: Theme): void {
    const { model } = this;
    const chart = model.get("charts").find(({ key }) => key === model.get("chart"));
    show(this.figure, chart !== undefined);
    show(this.none, chart === undefined);
    if (!chart) return;
    this.title.textContent = chart.title;
    this.caption.replaceChildren(...(chart.caption ?? []).map((line) => h("p", {}, line)));
    this.nothing.textContent = chart.nothing ?? "";
    const empty = chart.nothing !== undefined;
    show(this.nothing, empty);
    show(this.stage.element, !empty);
    if (empty) {
      show(this.legend, false);
      return;
    }
    const selection = { concept: model.get("concept"), layer: model.get("layer") };
    const painted = chart.matrix
      ? matrixChart(chart, chart.matrix, selection, this.width(), theme)
      : lineChart(chart, selection, this.width(), theme.dark);
    this.stage.show(painted, chart.title);
    this.drawLegend(painted);
  }

  private drawLegend({ legend }: Painted): void {
    const entries = legend.map(({ label, colour, dashed }) => {
      const swatch = h("i", { style: colour, class: dashed ? "mp-dashed" : "" });
      return h("li", {}, swatch, label);
    });
    this.legend.replaceChildren(...entries);
    show(this.legend, entries.length > 0);
  }

  private drawMultiverse(theme: Theme): void {
    const chart = this.model.get("multiverse") as ChartData;
    show(this.multiverse, chart.specifications !== undefined);
    if (!chart.specifications) return;
    this.waysTitle.textContent = `Asked in ${chart.specifications.values.length} ways: ${chart.title}`;
    this.waysCaption.replaceChildren(...(chart.caption ?? []).map((line) => h("p", {}, line)));
    show(this.ways.element, chart.nothing === undefined);
    if (chart.nothing !== undefined) return;
    this.ways.show(multiverseChart(chart, chart.specifications, this.width(), theme), chart.title);
  }
}

function render({ model, el, signal }: RenderProps<Traits>): () => void {
  const own = new AbortController();
  signal?.addEventListener("abort", () => own.abort());
  new View(model, el, own.signal);
  return () => own.abort();
}

export default { render: withKernelNote(render) };
