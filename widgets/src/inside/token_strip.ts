/** TokenStrip: prompt and answer token by token, with a concept's projection or the logit lens's words at every layer. */
import type { AnyModel, RenderProps } from "@anywidget/types";
import { h, show } from "../base/dom";
import { withKernelNote } from "../base/kernel";
import { digitsFor, plain, signed, words } from "../base/numbers";
import { readTheme, type Theme } from "../base/theme";
import { floats } from "../heatmap/map_cells";
import { segments, setSegment } from "../panel/controls";
import { type InsideTraits, InsideView } from "./inside_view";
import { paintProfile } from "./profile";
import { type Item, type Token, visible } from "./token_items";
import { guesses, type Reading, summary, valueAt } from "./token_reading";
import { Strip } from "./token_row";
import css from "./token_strip.css";

type Mode = "projection" | "lens";

interface Traits extends InsideTraits {
  mode: Mode;
  opened: boolean;
  tokens: Token[];
  lens_words: string[];
  lens: DataView;
  positions: number[];
}

const MODES = [
  { value: "projection", label: "concept" },
  { value: "lens", label: "logit lens" },
];
const FADED = "faded tokens use the vector of another scope";
const LENS = "The word that the model would say next if it stopped at this layer, and its probability.";
const HELP = "click tokens of the prompt to steer at them";

class View extends InsideView<Traits> {
  private readonly mode = segments("token-mode", "what is shown", MODES, (value) => this.set({ mode: value as Mode }));
  private readonly strip = new Strip({
    select: (positions) => this.set({ positions }),
    open: () => this.set({ opened: !this.model.get("opened") }),
    read: () => this.redraw(),
  });
  private readonly read = h("div", { class: "mp-read", "data-testid": "token-read", role: "status" });
  private readonly words = h("div", { class: "mp-lens-layers", "data-testid": "token-words", tabindex: 0 });
  private readonly picked = h("span", { "data-testid": "token-count" });
  private reading: Reading = { tokens: 0, values: new Float32Array(0), words: [], lens: new Float32Array(0) };
  private limit = 1;
  private built = "";

  constructor(model: AnyModel<Traits>, el: HTMLElement, signal: AbortSignal) {
    super(model, { root: ["tokens", "Prompt and answer, token by token"], css, prefix: "token" });
    this.read.setAttribute("aria-live", "polite");
    this.words.setAttribute("aria-label", "Most probable next word at every layer");
    const head = h("div", { class: "mp-head" }, h("h3", {}, "Tokens"), this.state, this.mode);
    const top = h("div", { class: "mp-tokens-top" }, this.conceptBox, this.scrubber.element);
    const foot = h("div", { class: "mp-tokens-foot" }, this.read, h("div", {}, this.profile, this.words));
    const pick = h("div", { class: "mp-pick" }, this.picked, this.clear);
    this.root.append(head, top, this.strip.element, pick, foot, this.legend.element, this.meaning, this.error);
    el.append(this.root);
    this.listen(signal, ["tokens", "lens_words", "lens", "opened"], ["mode", "positions"]);
    this.clear.addEventListener("click", () => this.set({ positions: [] }));
    this.fill();
  }

  protected override fill(): void {
    const { model } = this;
    const tokens = model.get("tokens");
    const values = floats(model.get("values"));
    this.reading = { tokens: tokens.length, values, words: model.get("lens_words"), lens: floats(model.get("lens")) };
    this.limit = model.get("limit");
    const built = `${model.get("opened")} ${JSON.stringify(tokens)}`;
    if (built !== this.built) this.strip.build(tokens, model.get("opened"));
    this.built = built;
    super.fill();
  }

  protected override take(): void {
    setSegment(this.mode, this.model.get("mode"));
    this.strip.select(this.model.get("positions"));
    super.take();
  }

  protected override draw(): void {
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
    this.strip.element.dataset.old = String(this.drawStatus(projected && this.reading.values.length > 0));
    const many = model.get("positions").length;
    this.picked.textContent = many === 1 ? "1 token selected" : `${many} tokens selected${many ? "" : ` · ${HELP}`}`;
    this.clear.disabled = many === 0;
    const inputs = this.mode.querySelectorAll("input");
    for (const input of inputs) input.disabled = input.value === "projection" && model.get("concepts").length === 0;
  }
}

function render({ model, el, signal }: RenderProps<Traits>): () => void {
  const own = new AbortController();
  signal?.addEventListener("abort", () => own.abort());
  new View(model, el, own.signal);
  return () => own.abort();
}

export default { render: withKernelNote(render) };
