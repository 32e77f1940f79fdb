/** The controls that steer: concept and second concept, their strengths, the layers. */
import type { AnyModel } from "@anywidget/types";
import { h, show, uniqueId } from "../base/dom";
import { dose, strengthUnit } from "../base/numbers";
import { fillSelect, fillTrack, labelled, type Option, place, ticks } from "./controls";
import type { Settings, Traits } from "./setting";

export type Move = (state: Partial<Settings>) => void;

/** The window that starts at `first` and is as long as before, as far as there are layers. */
export function shifted(first: number, window: readonly [number, number], layers: readonly number[]): [number, number] {
  return [first, Math.max(first, Math.min(Math.max(...layers), first + window[1] - window[0]))];
}

const signed = (value: number) => (value > 0 ? "+" : "") + dose(value);

export class Steer {
  readonly element: HTMLElement;
  /** The same controls in one line, and those of a second concept. */
  readonly line: HTMLElement[] = [];
  readonly more: HTMLElement[] = [];
  private readonly find = h("input", { type: "search", placeholder: "find", "data-testid": "find" });
  private readonly found = h("datalist", { id: uniqueId("concepts") });
  private readonly number = h("input", { type: "number", "data-testid": "dose", "aria-label": "dose as a number" });
  private readonly concept = h("select", { class: "mp-wide", "data-testid": "concept" });
  private readonly second = h("select", { class: "mp-wide", "data-testid": "second" });
  /** Why the chosen concept is grey. */
  readonly unfit = h("p", { class: "mp-note", "data-testid": "unfit" });
  private readonly layer = h("input", { type: "range", step: 1, "data-testid": "layer" });
  private readonly last = h("select", { "data-testid": "window", "aria-label": "last layer of the window" });
  private readonly strength = h("input", { type: "range", "data-testid": "strength" });
  private readonly secondStrength = h("input", { type: "range", "data-testid": "second-strength" });
  private readonly layerBox = labelled("Layer", this.layer);
  private readonly strengthBox = labelled("Strength", this.strength);
  private readonly secondBox = labelled("Strength of second concept", this.secondStrength);
  private readonly layerTicks = h("div");
  private readonly strengthTicks = h("div");
  private readonly safe = h("div", { class: "mp-safe", "data-testid": "safe" });

  constructor(
    private readonly model: AnyModel<Traits>,
    private readonly move: Move,
    place: (...controls: string[]) => HTMLElement,
  ) {
    this.listen();
    this.find.setAttribute("list", this.found.id);
    this.find.setAttribute("aria-label", "find a concept");
    if (model.get("compact")) {
      this.element = h("div", { class: "mp-steer" });
      this.inLine();
      return;
    }
    const concepts = h("div", { class: "mp-two" });
    concepts.append(labelled("Concept", this.concept).element, labelled("Second concept", this.second).element);
    const through = h("label", { class: "mp-through" }, "to layer", this.last);
    const layers = h("div", { class: "mp-over" }, this.layerBox.element, through);
    const doses = h("div", { class: "mp-over" }, this.strengthBox.element);
    this.element = h("div", { class: "mp-steer" }, concepts, this.unfit, place("concept", "second"));
    this.element.append(layers, this.layerTicks, place("layer", "window"), doses, this.safe, this.strengthTicks);
    this.element.append(place("strength"), this.secondBox.element, place("second_strength"));
  }

  private inLine(): void {
    this.concept.setAttribute("aria-label", "concept");
    this.layer.setAttribute("aria-label", "layer");
    this.strength.setAttribute("aria-label", "strength");
    this.line.push(
      h("span", { class: "mp-concepts" }, this.concept, this.find, this.found),
      h("span", { class: "mp-layer" }, this.layerBox.element, h("label", {}, "to ", this.last)),
      h("span", { class: "mp-dose" }, this.strengthBox.element, this.safe),
      this.number,
    );
    this.more.push(labelled("Second concept", this.second).element, this.secondBox.element);
  }

  private listen(): void {
    const { model, move } = this;
    this.concept.addEventListener("change", () => move({ concept: this.concept.value }));
    this.second.addEventListener("change", () => move({ second: this.second.value }));
    this.strength.addEventListener("input", () => move({ strength: Number(this.strength.value) }));
    this.secondStrength.addEventListener("input", () => move({ second_strength: Number(this.secondStrength.value) }));
    this.number.addEventListener("change", () => {
      const limit = model.get("strength_limit");
      move({ strength: Math.max(-limit, Math.min(limit, Number(this.number.value) || 0)) });
    });
    this.find.addEventListener("change", () => {
      const typed = this.find.value.trim().toLowerCase();
      const names = model.get("concepts");
      const concept = names.find((name) => name === typed) ?? names.find((name) => typed && name.includes(typed));
      if (concept) move({ concept });
      this.find.value = "";
    });
    this.layer.addEventListener("input", () => {
      const layer = Number(this.layer.value);
      move({ layer, window: shifted(layer, model.get("window"), model.get("layers")) });
    });
    this.last.addEventListener("change", () => {
      const layer = model.get("layer");
      move({ layer, window: [layer, Number(this.last.value)] });
    });
  }

  /** What there is to choose from. */
  fill(): void {
    const { model } = this;
    const [categories, unfit] = [model.get("categories"), model.get("unfit")];
    const options: Option[] = model.get("concepts").map((name, i) => ({
      value: name,
      label: name,
      group: unfit[name] ?? categories[i] ?? "",
      unfit: name in unfit,
    }));
    options.sort((one, other) => Number(one.unfit) - Number(other.unfit));
    fillSelect(this.concept, options, model.get("concept"));
    fillSelect(this.second, [{ value: "", label: "none" }, ...options], model.get("second"));
    const layers = model.get("layers");
    const known = layers.length > 0;
    const [low, high] = known ? [Math.min(...layers), Math.max(...layers)] : [0, 0];
    Object.assign(this.layer, { min: String(low), max: String(high), disabled: !known });
    const limit = model.get("strength_limit");
    this.found.replaceChildren(...options.map(({ value }) => h("option", { value })));
    for (const range of [this.strength, this.secondStrength, this.number]) {
      Object.assign(range, { min: String(-limit), max: String(limit), step: String(model.get("strength_step")) });
    }
    this.layerTicks.replaceChildren(known ? ticks(low, high, Math.max(1, Math.ceil((high - low) / 12))) : "");
    this.strengthTicks.replaceChildren(ticks(-limit, limit, limit > 4 ? Math.ceil(limit / 4) : 1));
    for (const select of [this.concept, this.second]) select.disabled = options.length === 0;
  }

  /** The setting as it is now. */
  draw(): void {
    const { model } = this;
    const unit = strengthUnit(model.get("strength_unit"));
    const [strength, other] = [model.get("strength"), model.get("second_strength")];
    this.concept.value = model.get("concept");
    this.second.value = model.get("second");
    const unfit = model.get("unfit");
    for (const select of [this.concept, this.second]) select.classList.toggle("mp-unfit", select.value in unfit);
    this.unfit.textContent = unfit[this.concept.value] ?? "";
    show(this.unfit, this.unfit.textContent !== "");
    const [first, last] = model.get("window");
    const each = first === last ? "" : ` at each of layers ${first}–${last}`;
    this.drawRange(this.strength, strength, this.strengthBox.value, `${signed(strength)} ${unit}${each}`);
    if (document.activeElement !== this.number) this.number.value = String(strength);
    this.strengthBox.element.title = `dose: ${signed(strength)} ${unit}${each}`;
    this.drawRange(this.secondStrength, other, this.secondBox.value, `${signed(other)} ${unit}${each}`);
    show(this.secondBox.element, model.get("second") !== "");
    this.drawLayers();
    this.drawFluency();
  }

  private drawRange(range: HTMLInputElement, value: number, beside: HTMLElement, text: string): void {
    range.value = String(value);
    beside.textContent = text;
    range.setAttribute("aria-valuetext", text);
    fillTrack(range, 0, value);
  }

  private drawLayers(): void {
    const [first, last] = this.model.get("window");
    const ends = this.model.get("layers").filter((layer) => layer >= first);
    this.last.replaceChildren(...ends.map((layer) => h("option", { value: layer }, String(layer))));
    this.last.value = String(last);
    this.last.disabled = ends.length < 2;
    this.layer.value = String(first);
    this.layerBox.value.textContent = first === last ? String(first) : `${first} to ${last}`;
    this.layer.setAttribute(
      "aria-valuetext",
      `${first === last ? "layer" : "layers"} ${this.layerBox.value.textContent}`,
    );
    fillTrack(this.layer, first, last);
  }

  /** How far answers stay fluent, of the doses that were run. */
  drawFluency(): void {
    const { model } = this;
    const [low, high] = [model.get("safe_low"), model.get("safe_high")];
    this.safe.style.setProperty("--safe-from", place(this.strength, low));
    this.safe.style.setProperty("--safe-to", place(this.strength, high));
    this.safe.title = `on the map's images, answers have perplexity under × 2 from ${dose(low)} to ${dose(high)}`;
    this.safe.hidden = low === high;
  }
}
