/** StudyView: a study's summary, its charts and its multiverse; concept and layer are selected here or follow others. */
import type { AnyModel, RenderProps } from "@anywidget/types";
import { html, nothing, render as paint, type TemplateResult } from "lit-html";
import { live } from "lit-html/directives/live.js";
import base from "../base/base.css";
import { uniqueId, widgetRoot } from "../base/dom";
import { withKernelNote } from "../base/kernel";
import { layerName, words } from "../base/numbers";
import { onThemeChange, readTheme, type Theme } from "../base/theme";
import type { Option } from "../panel/controls";
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

/** A select with its label, which stays as it is while its options do, open or not; not shown without a choice. */
class Choice {
  private readonly id = uniqueId("control");

  constructor(
    private readonly testId: string,
    private readonly label: string,
    private readonly take: (value: string) => void,
  ) {}

  /** Options that name a group are gathered under it. */
  of(options: Option[], value: string, least = 1): TemplateResult {
    const one = (option: Option) =>
      html`<option value=${option.value} .selected=${live(option.value === value)}>${option.label}</option>`;
    const groups = [...new Set(options.map(({ group }) => group))].map((group) => {
      const found = options.filter((option) => option.group === group).map(one);
      return group ? html`<optgroup label=${words(group)}>${found}</optgroup>` : found;
    });
    const changed = (event: Event) => this.take((event.target as HTMLSelectElement).value);
    return html`<div ?hidden=${options.length < least}>
      <label class="mp-label" for=${this.id}>${this.label}</label>
      <select class="mp-wide" id=${this.id} data-testid=${this.testId} @change=${changed}>${groups}</select>
    </div>`;
  }
}

const paragraphs = (lines: string[] = []) => lines.map((line) => html`<p>${line}</p>`);

function detailsOf(rows: string[][]): TemplateResult {
  const cells = rows.map(([name, text]) => html`<tr><th scope="row">${name}</th><td>${text}</td></tr>`);
  return html`<details class="mp-details" data-testid="study-details">
    <summary>Details</summary><table><tbody>${cells}</tbody></table>
  </details>`;
}

function legendOf({ legend }: Painted): TemplateResult {
  const entries = legend.map(
    ({ label, colour, dashed }) => html`<li><i style=${colour} class=${dashed ? "mp-dashed" : ""}></i>${label}</li>`,
  );
  return html`<ul class="mp-legend" data-testid="study-legend">${entries}</ul>`;
}

class View {
  private readonly root = widgetRoot(base + css, "study", "Study");
  private readonly chart = new Choice("study-charts", "Chart", (chart) => this.set({ chart }));
  private readonly concept = new Choice("study-concept", "Concept", (concept) => this.set({ concept }));
  private readonly layer = new Choice("study-layer", "Layer", (layer) => this.set({ layer: Number(layer) }));
  private readonly stage = new Stage("study-chart", "Point at the chart to read it, click to select.", (target) =>
    this.take(target),
  );
  private readonly ways = new Stage("study-multiverse-ways", "Point at a way to read it.", () => {});
  private pending = 0;

  constructor(
    private readonly model: AnyModel<Traits>,
    el: HTMLElement,
    signal: AbortSignal,
  ) {
    this.root.dataset.testid = "study";
    el.append(this.root);
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
    const theme = readTheme(this.root);
    this.root.dataset.dark = String(theme.dark);
    const [details, message] = [model.get("details") ?? [], model.get("message")];
    paint(
      html`<div class="mp-head">
          <h3>Study</h3><b>${words(model.get("study"))}</b><span class="mp-note">${model.get("about")}</span>
        </div>
        <ul class="mp-summary" data-testid="study-summary">${model.get("summary").map((line) => html`<li>${line}</li>`)}</ul>
        ${details.length > 0 ? detailsOf(details) : nothing}
        ${this.choices()}
        <p class="mp-error" role="alert" data-testid="study-error" ?hidden=${message === ""}>${message}</p>
        ${this.figure(theme)}
        ${this.multiverse(theme)}`,
      this.root,
    );
  }

  private choices(): TemplateResult {
    const { model } = this;
    const charts = model.get("charts").map(({ key, label }) => ({ value: key, label }));
    const categories = model.get("categories");
    const concepts = model.get("concepts").map((name, i) => ({ value: name, label: name, group: categories[i] ?? "" }));
    const layers = model.get("layers").map((layer) => ({ value: String(layer), label: layerName(layer) }));
    return html`<div class="mp-choices">
      ${this.chart.of(charts, model.get("chart"), 2)}
      ${this.concept.of(concepts, model.get("concept"))}
      ${this.layer.of(layers, String(model.get("layer")))}
    </div>`;
  }

  private width(): number {
    return Math.max(NARROWEST, Math.floor(this.root.clientWidth - 28));
  }

  private figure(theme: Theme): TemplateResult {
    const { model } = this;
    const chart = model.get("charts").find(({ key }) => key === model.get("chart"));
    if (!chart) return html`<p class="mp-note">This study has no chart.</p>`;
    return html`<div class="mp-figure">
      <h4>${chart.title}</h4>
      ${chart.nothing === undefined ? nothing : html`<p data-testid="study-nothing">${chart.nothing}</p>`}
      <div class="mp-note mp-caption">${paragraphs(chart.caption)}</div>
      ${chart.nothing === undefined ? this.painted(chart, theme) : nothing}
    </div>`;
  }

  private painted(chart: ChartData, theme: Theme): TemplateResult {
    const selection = { concept: this.model.get("concept"), layer: this.model.get("layer") };
    const painted = chart.matrix
      ? matrixChart(chart, chart.matrix, selection, this.width(), theme)
      : lineChart(chart, selection, this.width(), theme.dark);
    return html`${this.stage.show(painted, chart.title)}${painted.legend.length > 0 ? legendOf(painted) : nothing}`;
  }

  private multiverse(theme: Theme): TemplateResult | typeof nothing {
    const chart = this.model.get("multiverse") as ChartData;
    const ways = chart.specifications;
    if (!ways) return nothing;
    const shown = () => this.ways.show(multiverseChart(chart, ways, this.width(), theme), chart.title);
    return html`<div class="mp-figure" data-testid="study-multiverse">
      <h4>Asked in ${ways.values.length} ways: ${chart.title}</h4>
      <div class="mp-note mp-caption">${paragraphs(chart.caption)}</div>
      ${chart.nothing === undefined ? shown() : nothing}
    </div>`;
  }
}

function render({ model, el, signal }: RenderProps<Traits>): () => void {
  const own = new AbortController();
  signal?.addEventListener("abort", () => own.abort());
  new View(model, el, own.signal);
  return () => own.abort();
}

export default { render: withKernelNote(render) };
