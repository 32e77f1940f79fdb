/** Details of the selected cell, below the map: its dose-response curve or the off-target view, and copies to take along. */
import { h, show } from "../base/dom";
import { dose, layerName, strengthUnit } from "../base/numbers";
import { controlColour, controlLabel, type Theme } from "../base/theme";
import { codeOf, csvOf, type Shown, toClipboard } from "./copying";
import { curve } from "./curve";
import type { Model } from "./heatmap_traits";
import { type Cells, floats } from "./map_cells";
import { OffTarget } from "./off_target";
import { responseOf } from "./response";
import { activeCell, type Selection, span } from "./selection";

export class Detail {
  readonly element: HTMLElement;
  private readonly title = h("h3", { "data-testid": "detail-title" });
  private readonly view = h(
    "select",
    { "aria-label": "view of the selected cell", "data-testid": "detail" },
    h("option", { value: "dose_response" }, "dose response"),
    h("option", { value: "off_target" }, "off target"),
  );
  private readonly figure = h("div", { class: "mp-figure" });
  private readonly legend = h("p", { class: "mp-note mp-legend" });
  private readonly offTarget = new OffTarget();
  private readonly notice = h("p", { class: "mp-note", role: "status", "data-testid": "copy-status" });
  private readonly text = h("textarea", {
    class: "mp-copied",
    readonly: true,
    rows: 6,
    "aria-label": "copied text",
    "data-testid": "copied",
  });
  private key = "";
  private matrix: { bytes: DataView | null; values: Float32Array } = { bytes: null, values: new Float32Array(0) };
  private now: { cells: Cells; selection: Selection; strength: number } | null = null;

  constructor(
    private readonly model: Model,
    private readonly choose: (place: number) => void,
  ) {
    const csv = h("button", { type: "button", "data-testid": "copy-csv" }, "Copy CSV");
    const code = h("button", { type: "button", "data-testid": "copy-code" }, "Copy code");
    csv.addEventListener("click", () => this.copy("CSV"));
    code.addEventListener("click", () => this.copy("code"));
    this.view.addEventListener("change", () => {
      model.set("detail", this.view.value);
      model.save_changes();
    });
    show(this.text, false);
    const head = h("div", { class: "mp-head" }, this.title, this.view, csv, code);
    this.element = h(
      "div",
      { class: "mp-detail" },
      head,
      this.figure,
      this.legend,
      this.offTarget.element,
      this.notice,
      this.text,
    );
    show(this.element, false);
  }

  private shown(): Shown {
    const provenance = this.model.get("provenance");
    return {
      metric: provenance.metric ?? this.model.get("metric"),
      unit: this.model.get("unit"),
      strengthUnit: this.model.get("strength_unit"),
      average: provenance.average ?? "mean",
    };
  }

  private async copy(what: "CSV" | "code"): Promise<void> {
    if (!this.now) return;
    const { cells, selection, strength } = this.now;
    const text =
      what === "CSV"
        ? csvOf(cells, selection, this.shown())
        : codeOf(this.model.get("recipe"), cells, selection, strength);
    this.model.set("copied", text);
    this.model.save_changes();
    const done = await toClipboard(text);
    this.notice.textContent = done
      ? `Copied as ${what}.`
      : "Clipboard access is blocked. Select and copy the text below instead.";
    this.text.value = text;
    show(this.text, !done);
    if (!done) this.text.select();
  }

  /** Draw again; `fresh` where data, theme or width are others, else only if another cell is selected. */
  draw(cells: Cells, selection: Selection | null, strength: number, theme: Theme, fresh: boolean): void {
    const there = selection !== null && cells.value.some(Number.isFinite);
    show(this.element, there);
    if (!selection || !there) return;
    this.now = { cells, selection, strength };
    const width = Math.floor(this.element.clientWidth);
    const off = this.model.get("has_off_target");
    const view = off ? this.model.get("detail") : "dose_response";
    const key = JSON.stringify([selection, strength, view, width]);
    if (!fresh && key === this.key) return;
    this.key = key;
    show(this.view, off);
    this.view.value = view;
    const isOff = view === "off_target";
    show(this.figure, !isOff);
    show(this.legend, !isOff);
    show(this.offTarget.element, isOff);
    if (isOff) this.drawOffTarget(cells, selection, width, theme);
    else this.drawCurve(cells, selection, strength, width, theme);
  }

  private drawCurve(cells: Cells, selection: Selection, strength: number, width: number, theme: Theme): void {
    const cell = activeCell(selection);
    const concept = cells.concepts[cell.concept] ?? "";
    this.title.textContent = `Dose response · ${concept} · layer ${layerName(cells.layers[cell.layer])}`;
    const response = responseOf(cells, cell);
    if (response.points.length === 0) {
      this.figure.replaceChildren(h("p", { class: "mp-note" }, "Not run yet, or not defined here."));
      this.legend.replaceChildren();
      return;
    }
    const unit = this.model.get("unit");
    const setting = { width, concept, unit, strengthUnit: this.model.get("strength_unit"), strength, dark: theme.dark };
    this.figure.replaceChildren(curve(response, setting, this.choose));
    const keys = [
      h(
        "span",
        {},
        h("i", { class: "mp-key mp-key-effect" }),
        "beyond ",
        controlLabel(cells.controls[cells.against] ?? "random"),
      ),
      h(
        "span",
        {},
        h("i", { class: "mp-key mp-key-hollow" }),
        cells.q.length ? "hollow: does not pass in the grid" : "hollow: not clear of the controls",
      ),
      ...cells.controls.map((kind) => {
        const key = h("i", { class: "mp-key", style: `--mp-control: ${controlColour(kind, theme.dark)}` });
        return h("span", {}, key, controlLabel(kind));
      }),
    ];
    this.legend.replaceChildren(...keys);
    const [first, last] = span(selection);
    if (first !== last) {
      const [from, to, here] = [first, last, activeCell(selection).layer].map((at) => layerName(cells.layers[at]));
      const text = `curve for layer ${here} only; steering applies to layers ${from}–${to} together`;
      this.legend.append(h("span", {}, text));
    }
  }

  private drawOffTarget(cells: Cells, selection: Selection, width: number, theme: Theme): void {
    const bytes = this.model.get("off_target");
    if (bytes !== this.matrix.bytes) this.matrix = { bytes, values: floats(bytes) };
    const [layer, strength] = this.model.get("off_target_at");
    const at = `layer ${layer ?? "–"} · ${dose(strength ?? 0)} ${strengthUnit(this.model.get("strength_unit"))}`;
    this.title.textContent = `Off target · ${at}`;
    const matrix = {
      concepts: cells.concepts,
      values: this.matrix.values,
      limit: this.model.get("off_target_limit"),
    };
    this.offTarget.draw(matrix, selection.concept, width, theme);
  }
}
