/** What can be chosen of a map: metric, control, how images are summarised, what the columns are. */
import { h, show } from "../base/dom";
import { words } from "../base/numbers";
import { controlLabel } from "../base/theme";
import type { Model } from "./heatmap_traits";

type Option = [value: string, label: string];

/** Fill a select only if it changed, so that an open list is not disturbed while the map fills. */
function fill(select: HTMLSelectElement, options: Option[], current: string): void {
  const key = JSON.stringify(options);
  if (select.dataset.options !== key) {
    select.replaceChildren(...options.map(([value, label]) => h("option", { value }, label)));
    select.dataset.options = key;
  }
  if (select.value !== current) select.value = current;
  select.disabled = options.length < 2;
}

export class Choices {
  readonly metric = h("select", { "aria-label": "metric", "data-testid": "metric" });
  readonly row: HTMLElement;
  private readonly against = h("select", { "aria-label": "control", "data-testid": "control" });
  private readonly average = h("select", { "aria-label": "summary of the images", "data-testid": "average" });
  private readonly sample = h("select", { "aria-label": "image", "data-testid": "sample" });
  private readonly columns = h("select", { "aria-label": "columns", "data-testid": "columns" });

  constructor(private readonly model: Model) {
    this.row = h("div", { class: "mp-choices" }, this.against, this.average, this.sample, this.columns);
    this.listen(this.metric, "metric");
    this.listen(this.against, "against");
    this.listen(this.average, "average");
    this.listen(this.columns, "columns");
    this.sample.addEventListener("change", () => {
      model.set("sample", Number(this.sample.value));
      model.save_changes();
    });
  }

  private listen(select: HTMLSelectElement, trait: "metric" | "against" | "average" | "columns"): void {
    select.addEventListener("change", () => {
      this.model.set(trait, select.value);
      this.model.save_changes();
    });
  }

  draw(): void {
    const { model } = this;
    const labels = model.get("metric_labels");
    const metric = model.get("metric");
    const metrics = model.get("metrics");
    const known = metrics.includes(metric) ? metrics : [metric, ...metrics];
    fill(
      this.metric,
      known.map((name) => [name, labels[name] ?? words(name)]),
      metric,
    );
    const controls = model.get("controls");
    fill(
      this.against,
      controls.map((kind) => [kind, `beyond ${controlLabel(kind)}`]),
      model.get("against"),
    );
    const samples = model.get("samples");
    fill(this.average, Object.entries(model.get("average_labels")), model.get("average"));
    fill(
      this.sample,
      samples.map((label, i) => [String(i), label]),
      String(model.get("sample")),
    );
    const columns: Option[] = [
      ["layer", "by layer"],
      ["relative_depth", "by relative depth"],
    ];
    fill(this.columns, columns, model.get("columns"));
    show(this.against, controls.length > 1);
    show(this.average, samples.length > 0);
    show(this.sample, samples.length > 0 && model.get("average") === "single");
    show(this.columns, model.get("relative_depths").length > 0);
  }
}
