/** TokenStrip: prompt and answer token by token, with a concept's projection or the logit lens's words at every layer. */
import type { AnyModel, RenderProps } from "@anywidget/types";
import base from "../base/base.css";
import { h, show, widgetRoot } from "../base/dom";
import { withKernelNote } from "../base/kernel";
import { digitsFor, niceCeiling, plain, signed, words } from "../base/numbers";
import { onThemeChange, readTheme, type Theme } from "../base/theme";
import { floats, scaleLimit } from "../heatmap/map_cells";
import { fillSelect, labelled, segments, setSegment } from "../panel/controls";
import inside from "./inside.css";
import { Scrubber } from "./layer_scrubber";
import { Legend } from "./legend";
import { paintProfile } from "./profile";
import { type Item, type Token, visible } from "./token_items";
import { guesses, measured, type Reading, summary, valueAt } from "./token_reading";
import { Strip } from "./token_row";
import css from "./token_strip.css";

type Mode = "projection" | "lens";

interface Traits {
  concepts: string[];
  categories: string[];
  layers: number[];
  concept: string;
  layer: number;
  mode: Mode;
  opened: boolean;
  tokens: Token[];
  values: DataView;
  lens_words: string[];
  lens: DataView;
  positions: number[];
  unit: string;
  meaning: string;
  shown: { concept?: string };
  status: string;
  message: string;
}

const DATA = [
  "concepts",
  "categories",
  "layers",
  "tokens",
  "values",
  "lens_words",
  "lens",
  "unit",
  "meaning",
  "opened",
];
const MODES = [
  { value: "projection", label: "concept" },
  { value: "lens", label: "logit lens" },
];
const FADED = "faded tokens use the vector of another scope";
const LENS = "The word that the model would say next if it stopped at this layer, and its probability.";
const HELP = "click tokens of the prompt to steer at them";

class View {
  private readonly root = widgetRoot(base + inside + css, "tokens", "Prompt and answer, token by token");
  private readonly mode = segments("token-mode", "what is shown", MODES, (value) => this.set({ mode: value as Mode }));
  private readonly state = h("span", { class: "mp-inside-state", "data-testid": "token-status" });
  private readonly concept = h("select", { class: "mp-wide", "data-testid": "token-concept" });
  private readonly conceptBox = labelled("Concept", this.concept).element;
  private readonly scrubber = new Scrubber("token-layer", {
    draw: () => this.redraw(),
    settle: (index) => this.set({ layer: this.model.get("layers")[index] ?? 0 }),
  });
  private readonly strip = new Strip({
    select: (positions) => this.set({ positions }),
    open: () => this.set({ opened: !this.model.get("opened") }),
    read: () => this.redraw(),
  });
  private readonly legend = new Legend();
  private readonly meaning = h("p", { class: "mp-note" });
  private readonly read = h("div", { class: "mp-read", "data-testid": "token-read", role: "status" });
  private readonly profile = h("canvas", { class: "mp-profile", "data-testid": "token-profile", role: "img" });
  private readonly words = h("div", { class: "mp-lens-layers", "data-testid": "token-words", tabindex: 0 });
  private readonly picked = h("span", { "data-testid": "token-count" });
  private readonly clear = h("button", { type: "button", "data-testid": "token-clear" }, "Clear");
  private readonly error = h("p", { class: "mp-error", role: "alert", "data-testid": "token-error" });
  private reading: Reading = { tokens: 0, values: new Float32Array(0), words: [], lens: new Float32Array(0) };
  private limit = 1;
  private built = "";
  private pending = 0;

  constructor(
    private readonly model: AnyModel<Traits>,
    el: HTMLElement,
    signal: AbortSignal,
  ) {
    this.read.setAttribute("aria-live", "polite");
    this.words.setAttribute("aria-label", "Most probable next word at every layer");
    const head = h("div", { class: "mp-head" }, h("h3", {}, "Tokens"), this.state, this.mode);
    const top = h("div", { class: "mp-tokens-top" }, this.conceptBox, this.scrubber.element);
    const foot = h("div", { class: "mp-tokens-foot" }, this.read, h("div", {}, this.profile, this.words));
    const pick = h("div", { class: "mp-pick" }, this.picked, this.clear);
    this.root.classList.add("mp-inside");
    this.root.append(head, top, this.strip.element, pick, foot, this.legend.element, this.meaning, this.error);
    el.append(this.root);
    this.listen(signal);
    this.fill();
  }

  private listen(signal: AbortSignal): void {
    const { model } = this;
    const bind = (names: string[], call: () => void) => {
      for (const name of names) {
        model.on(`change:${name}` as `change:${keyof Traits}`, call);
        signal.addEventListener("abort", () => model.off(`change:${name}` as `change:${keyof Traits}`, call));
      }
    };
    bind(DATA, () => this.fill());
    bind(["concept", "layer", "mode", "positions"], () => this.take());
    bind(["shown", "status", "message"], () => this.redraw());
    const resize = new ResizeObserver(() => this.redraw());
    resize.observe(this.root);
    const stopTheme = onThemeChange(() => this.redraw());
    signal.addEventListener("abort", () => {
      resize.disconnect();
      stopTheme();
      this.scrubber.close();
      cancelAnimationFrame(this.pending);
    });
    this.concept.addEventListener("change", () => this.set({ concept: this.concept.value }));
    this.clear.addEventListener("click", () => this.set({ positions: [] }));
  }

  private set(state: Partial<Traits>): void {
    for (const [name, value] of Object.entries(state)) this.model.set(name as keyof Traits, value as never);
    this.model.save_changes();
    this.redraw();
  }

  /** New numbers, other tokens or other choices. */
  private fill(): void {
    const { model } = this;
    const tokens = model.get("tokens");
    const values = floats(model.get("values"));
    this.reading = { tokens: tokens.length, values, words: model.get("lens_words"), lens: floats(model.get("lens")) };
    const borrows = tokens.map(([, , , , , scope]) => scope !== "");
    this.limit = scaleLimit(measured(this.reading, borrows), model.get("unit"), niceCeiling);
    const categories = model.get("categories");
    const options = model.get("concepts").map((name, i) => ({ value: name, label: name, group: categories[i] ?? "" }));
    fillSelect(this.concept, options, model.get("concept"));
    const built = `${model.get("opened")} ${JSON.stringify(tokens)}`;
    if (built !== this.built) this.strip.build(tokens, model.get("opened"));
    this.built = built;
    this.take();
  }

  /** Choices that were made elsewhere, or just now. */
  private take(): void {
    const { model, scrubber } = this;
    const layers = model.get("layers");
    if (layers[scrubber.index] !== model.get("layer") || scrubber.element.dataset.of !== String(layers)) {
      scrubber.fill(layers, model.get("layer"));
      scrubber.element.dataset.of = String(layers);
    }
    this.concept.value = model.get("concept");
    setSegment(this.mode, model.get("mode"));
    this.strip.select(model.get("positions"));
    this.redraw();
  }

  private redraw(): void {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.draw();
    });
  }

  private draw(): void {
    const { model, reading } = this;
    const theme = readTheme(this.root);
    const mode = model.get("mode");
    const projected = mode === "projection";
    const layer = this.scrubber.index;
    this.strip.draw({ reading, layer, limit: this.limit, digits: digitsFor(this.limit), mode, theme });
    show(this.conceptBox, projected && model.get("concepts").length > 0);
    show(this.legend.element, projected && reading.values.length > 0);
    this.legend.show(this.limit, model.get("unit"), theme, "page");
    this.meaning.textContent = projected
      ? `${model.get("meaning")}; each token uses the vector of its own scope; ${FADED}.`
      : LENS;
    const item = this.strip.reading;
    this.drawReadout(item, projected, layer);
    this.drawProfile(item, projected, theme);
    this.drawState(projected);
  }

  private drawReadout(item: Item | null, projected: boolean, layer: number): void {
    const { model, reading } = this;
    const tokens = model.get("tokens");
    const digits = digitsFor(this.limit);
    const number = (value: number) => h("b", {}, `${signed(value, digits)} ${model.get("unit")}`);
    const place = h("span", { class: "soft" }, ` · layer ${model.get("layers")[layer] ?? ""}`);
    if (!item) {
      this.read.replaceChildren();
      return;
    }
    if (item.kind === "block") {
      const nodes: (Node | string)[] = [h("b", {}, `${item.indices.length} image tokens`), place];
      const found = projected ? summary(reading, layer, item.indices) : null;
      const [, , , row, column] = tokens[found?.most ?? -1] ?? ["", "", 0, -1, -1];
      if (found) nodes.push(" · mean ", number(found.mean), " · most ", h("b", {}, signed(found.value, digits)));
      if (found && row >= 0) nodes.push(h("span", { class: "soft" }, ` at row ${row}, column ${column}`));
      this.read.replaceChildren(...nodes);
      return;
    }
    const [text, role, position, row, column, scope] = tokens[item.index] ?? ["", "", 0, -1, -1, ""];
    const where = role === "image" && row >= 0 ? `row ${row}, column ${column} · ` : "";
    const about = h("span", { class: "soft" }, ` · ${where}${role} · position ${position}`);
    const nodes: (Node | string)[] = [h("b", {}, role === "image" ? "image token" : visible(text)), about, place];
    const value = valueAt(reading, layer, item.index);
    if (projected && Number.isFinite(value)) nodes.push(" · ", number(value));
    if (projected && scope)
      nodes.push(h("span", { class: "soft" }, ` · vector and zero point of scope ${words(scope)}`));
    const next = projected ? [] : guesses(reading, layer, item.index);
    const likely = next.filter(({ probability }, i) => i === 0 || probability >= 0.005);
    likely.forEach(({ word, probability }, i) => {
      nodes.push(i ? ", " : " · next: ", h("b", {}, visible(word)), ` ${plain(probability, 2)}`);
    });
    if (!projected && !next.length) nodes.push(h("span", { class: "soft" }, " · not read yet"));
    if (role === "answer") nodes.push(h("span", { class: "soft" }, " · steered by the scope “generated”"));
    this.read.replaceChildren(...nodes);
  }

  private drawProfile(item: Item | null, projected: boolean, theme: Theme): void {
    const layers = this.model.get("layers");
    const { index } = this.scrubber;
    show(this.profile, projected && this.reading.values.length > 0);
    show(this.words, !projected);
    if (projected) {
      const own = (layer: number) => {
        if (!item) return Number.NaN;
        if (item.kind === "token") return valueAt(this.reading, layer, item.index);
        return summary(this.reading, layer, item.indices)?.mean ?? Number.NaN;
      };
      const values = layers.map((_, layer) => own(layer));
      paintProfile(this.profile, item && { layers, values, index, limit: this.limit }, theme);
      this.profile.setAttribute("aria-label", item ? "Values of this token at every layer" : "No token is chosen");
      return;
    }
    const chips = layers.flatMap((layer, i) => {
      const best = item?.kind === "token" ? guesses(this.reading, i, item.index)[0] : undefined;
      if (!best) return [];
      const chip = h(
        "span",
        {},
        h("i", {}, `${layer} `),
        visible(best.word),
        h("i", {}, ` ${plain(best.probability, 2)}`),
      );
      chip.dataset.now = String(i === index);
      return [chip];
    });
    this.words.replaceChildren(...chips);
  }

  private drawState(projected: boolean): void {
    const { model } = this;
    const status = model.get("status");
    const old = projected && this.reading.values.length > 0 && model.get("shown").concept !== model.get("concept");
    this.strip.element.dataset.old = String(old);
    this.root.dataset.status = status;
    const waits = status === "running" || (old && model.get("message") === "");
    this.state.textContent = waits ? "reading …" : "";
    const many = model.get("positions").length;
    this.picked.textContent = many === 1 ? "1 token selected" : `${many} tokens selected${many ? "" : ` · ${HELP}`}`;
    this.clear.disabled = many === 0;
    const inputs = this.mode.querySelectorAll("input");
    for (const input of inputs) input.disabled = input.value === "projection" && model.get("concepts").length === 0;
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
