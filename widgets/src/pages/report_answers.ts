/** The recorded answers of a sweep: those of one cell beside the unsteered ones, or every cell whose answer holds some words. */
import { h } from "../base/dom";
import { painted, type Span } from "../base/marks";
import { dose, strengthUnit } from "../base/numbers";
import { bytes, type PageModel } from "./page_model";
import { holds } from "./table";

export interface Sweep {
  concepts: string[];
  /** Of each concept: the mentions in its texts, by index of the text. */
  spans: Record<number, Span[]>[];
  layers: number[];
  strengths: number[];
  unit: string;
  samples: string[];
  texts: string[];
  unsteered: number[];
  /** int32, concept × layer × strength × sample, indices of `texts`; −1 where nothing was run. */
  steered: string;
  random: string;
}

export interface Place {
  concept: number;
  layer: number;
  strength: number;
  sample: number;
}

const MOST = 100;

export const numbers = (base64: string): Int32Array => new Int32Array(bytes(base64).buffer as ArrayBuffer);

/** Position of an answer in the flat arrays. */
export function position(sweep: Sweep, { concept, layer, strength, sample }: Place): number {
  return ((concept * sweep.layers.length + layer) * sweep.strengths.length + strength) * sweep.samples.length + sample;
}

/** The place of a position in the flat arrays. */
export function placeOf(sweep: Sweep, at: number): Place {
  const sample = at % sweep.samples.length;
  const cell = Math.floor(at / sweep.samples.length);
  const strength = cell % sweep.strengths.length;
  const row = Math.floor(cell / sweep.strengths.length);
  return { concept: Math.floor(row / sweep.layers.length), layer: row % sweep.layers.length, strength, sample };
}

/** Positions of the steered answers that hold every word that was typed; equal texts are read once. */
export function search(sweep: Sweep, steered: Int32Array, typed: string): number[] {
  const found = sweep.texts.map((text) => holds(text, typed));
  return [...steered.keys()].filter((at) => found[steered[at] ?? -1]);
}

function header(...names: string[]): HTMLElement {
  return h("thead", {}, h("tr", {}, ...names.map((name) => h("th", { scope: "col" }, name))));
}

export class Answers {
  private readonly concept = h("select", { "aria-label": "concept", "data-testid": "answers-concept" });
  private readonly layer = h("select", { "aria-label": "layer" });
  private readonly strength = h("select", { "aria-label": "strength" });
  private readonly field = h("input", { type: "search", "aria-label": "search all answers" });
  private readonly count = h("span", { role: "status", "data-testid": "answers-count" });
  private readonly table = h("table", { class: "page-answers", "data-testid": "answers" });
  private readonly steered: Int32Array;
  private readonly random: Int32Array;

  constructor(
    private readonly sweep: Sweep,
    private readonly map: PageModel,
    place: HTMLElement,
  ) {
    this.steered = numbers(sweep.steered);
    this.random = numbers(sweep.random);
    this.fill(this.concept, sweep.concepts);
    this.fill(
      this.layer,
      sweep.layers.map((layer) => `layer ${layer}`),
    );
    this.fill(
      this.strength,
      sweep.strengths.map((strength) => `${dose(strength)} ${strengthUnit(sweep.unit)}`),
    );
    this.field.placeholder = "search all answers";
    const scroll = h("div", { class: "page-scroll", tabindex: 0, role: "region", "aria-label": "answers" }, this.table);
    const bar = h("div", { class: "page-search" }, this.concept, this.layer, this.strength, this.field, this.count);
    place.append(bar, scroll);
    for (const select of [this.concept, this.layer, this.strength]) {
      select.addEventListener("change", () => this.choose());
    }
    this.field.addEventListener("input", () => this.draw());
    for (const name of ["concept", "layer", "strength"]) map.on(`change:${name}`, () => this.draw());
    this.draw();
  }

  private fill(select: HTMLSelectElement, names: string[]): void {
    select.append(...names.map((name, i) => h("option", { value: i }, name)));
  }

  /** A choice here moves the map's selection, and the other way round. */
  private choose(): void {
    const { concepts, layers, strengths } = this.sweep;
    this.field.value = "";
    this.map.take({
      concept: concepts[Number(this.concept.value)],
      layer: layers[Number(this.layer.value)],
      strength: strengths[Number(this.strength.value)],
    });
    this.draw();
  }

  private draw(): void {
    const { concepts, layers, strengths } = this.sweep;
    const of = <T>(list: T[], name: string) => Math.max(0, list.indexOf(this.map.get(name) as T));
    const cell = {
      concept: of(concepts, "concept"),
      layer: of(layers, "layer"),
      strength: of(strengths, "strength"),
    };
    this.concept.value = String(cell.concept);
    this.layer.value = String(cell.layer);
    this.strength.value = String(cell.strength);
    if (this.field.value.trim()) this.drawFound();
    else this.drawCell(cell);
  }

  /** A cell of the table: an answer, its words that differ from the unsteered one, and where it names the concept. */
  private cell(concept: number, index: number | undefined, baseline?: number): HTMLElement {
    const { texts, spans } = this.sweep;
    const text = texts[index ?? -1];
    if (text === undefined) return h("td", {}, "not run");
    return h("td", {}, ...painted(text, texts[baseline ?? -1] ?? null, spans[concept]?.[index ?? -1] ?? []));
  }

  private drawCell(cell: Omit<Place, "sample">): void {
    const rows = this.sweep.samples.map((name, sample) => {
      const at = position(this.sweep, { ...cell, sample });
      const unsteered = this.sweep.unsteered[sample];
      return h(
        "tr",
        {},
        h("th", { scope: "row" }, name),
        this.cell(cell.concept, unsteered),
        this.cell(cell.concept, this.steered[at], unsteered),
        this.cell(cell.concept, this.random[at], unsteered),
      );
    });
    this.table.replaceChildren(
      header("image", "baseline (unsteered)", "steered", "random direction, same size"),
      h("tbody", {}, ...rows),
    );
    this.count.textContent = `${rows.length} ${rows.length === 1 ? "image" : "images"}`;
  }

  private drawFound(): void {
    const found = search(this.sweep, this.steered, this.field.value);
    const rows = found.slice(0, MOST).map((at) => {
      const place = placeOf(this.sweep, at);
      const unsteered = this.sweep.unsteered[place.sample];
      const cell = [
        this.sweep.concepts[place.concept] ?? "",
        `layer ${this.sweep.layers[place.layer] ?? ""}`,
        dose(this.sweep.strengths[place.strength] ?? 0),
        this.sweep.samples[place.sample] ?? "",
      ];
      return h(
        "tr",
        {},
        h("th", { scope: "row" }, cell.join(" · ")),
        this.cell(place.concept, unsteered),
        this.cell(place.concept, this.steered[at], unsteered),
      );
    });
    this.table.replaceChildren(
      header("concept · layer · strength · image", "baseline (unsteered)", "steered"),
      h("tbody", {}, ...rows),
    );
    const shown = found.length > MOST ? `, the first ${MOST} shown` : "";
    this.count.textContent = `${found.length} of ${this.steered.length} answers${shown}`;
  }
}
