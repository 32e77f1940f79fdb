/** SteeringPanel: a picture and a question, a concept at a dose, and three answers streaming side by side. */
import type { AnyModel, RenderProps } from "@anywidget/types";
import base from "./base.css";
import { h, show, widgetRoot } from "./dom";
import { dose, plain, strengthUnit } from "./format";
import { fillSelect, fillTrack, labelled, segments, setSegment, ticks } from "./panel/controls";
import { Gallery, type Picture } from "./panel/pictures";
import { type Answers, type Finished, finished, type Message, moved, ROWS, received, restored } from "./panel/stream";
import { mark } from "./panel/words";
import css from "./panel.css";

interface Settings {
  picture: number;
  prompt: string;
  concept: string;
  layer: number;
  strength: number;
  scope: string;
}

interface Traits extends Settings {
  concepts: string[];
  categories: string[];
  layers: number[];
  pictures: Picture[];
  suggestions: string[];
  scopes: [string, string][];
  concept_words: Record<string, string[]>;
  strength_limit: number;
  strength_step: number;
  strength_unit: string;
  answers: Finished;
  receipt: string[];
  status: string;
  message: string;
  rate: number;
  serial: number;
}

const SETTINGS = ["picture", "prompt", "concept", "layer", "strength", "scope"] as const;
const CHOICES = [
  "concepts",
  "categories",
  "layers",
  "pictures",
  "suggestions",
  "scopes",
  "strength_limit",
  "strength_step",
];
const OUTCOME = ["receipt", "status", "message", "rate", "concept_words", "strength_unit"];
const TITLES = { baseline: "as it is", steered: "steered", random: "random direction, same size" };
/** A kernel that has not answered a move for so long is shown as busy. */
const PATIENCE = 700;
/** A prompt is sent when typing pauses. */
const PAUSE = 600;

interface Row {
  element: HTMLElement;
  note: HTMLElement;
  text: HTMLElement;
}

function answerRow(name: (typeof ROWS)[number]): Row {
  const note = h("small", {}, TITLES[name]);
  const text = h("p", { "data-testid": `answer-${name}`, "aria-label": TITLES[name] });
  return { element: h("div", { class: "mp-answer", "data-row": name }, note, text), note, text };
}

class View {
  private readonly root = widgetRoot(base + css, "panel", "Steering panel");
  private readonly gallery = new Gallery((index) => this.moveTo("picture", index));
  private readonly prompt = h("input", {
    type: "text",
    class: "mp-wide",
    "data-testid": "prompt",
    spellcheck: "false",
  });
  private readonly suggestions = h("datalist");
  private readonly concept = h("select", { class: "mp-wide", "data-testid": "concept" });
  private readonly layer = h("input", { type: "range", step: 1, "data-testid": "layer" });
  private readonly strength = h("input", { type: "range", "data-testid": "strength" });
  private readonly layerBox = labelled("Layer", this.layer);
  private readonly strengthBox = labelled("Strength", this.strength);
  private readonly layerTicks = h("div");
  private readonly strengthTicks = h("div");
  private readonly scopeBox = h("div");
  private scope = h("fieldset");
  private readonly status = h("span", { class: "mp-pill", role: "status", "data-testid": "status" });
  private readonly rate = h("span", { class: "mp-rate" });
  private readonly stop = h("button", { type: "button", "data-testid": "stop" });
  private readonly rows = {
    baseline: answerRow("baseline"),
    steered: answerRow("steered"),
    random: answerRow("random"),
  };
  private readonly error = h("p", { class: "mp-error", role: "alert", "data-testid": "error" });
  private readonly receiptTitle = h("summary", {}, "Receipt");
  private readonly receiptText = h("pre");
  private readonly receipt = h("details", { class: "mp-receipt", "data-testid": "receipt" });
  private answers: Answers;
  private waiting = 0;
  private typing = 0;

  constructor(
    private readonly model: AnyModel<Traits>,
    el: HTMLElement,
    signal: AbortSignal,
  ) {
    this.answers = restored(model.get("answers"));
    this.receipt.append(this.receiptTitle, this.receiptText);
    this.suggestions.id = `${this.layer.id}-suggestions`;
    this.prompt.setAttribute("list", this.suggestions.id);
    const left = h("div", {}, h("div", { class: "mp-head" }, h("h3", {}, "Picture")), this.gallery.element);
    left.append(labelled("Question", this.prompt).element, this.suggestions);
    left.append(h("span", { class: "mp-label" }, "Edit these tokens"), this.scopeBox);
    const head = h("div", { class: "mp-head" }, h("h3", {}, "Steer"), this.rate, this.status, this.stop);
    const conceptBox = labelled("Concept", this.concept).element;
    const sliders = [this.layerBox.element, this.layerTicks, this.strengthBox.element, this.strengthTicks];
    const answers = ROWS.map((name) => this.rows[name].element);
    const right = h("div", {}, head, conceptBox, ...sliders, ...answers, this.error, this.receipt);
    this.root.append(h("div", { class: "mp-panes" }, left, right));
    el.append(this.root);
    this.listen(signal);
    this.fillChoices();
    this.drawOutcome();
    this.drawAnswers();
  }

  private listen(signal: AbortSignal): void {
    const { model } = this;
    const bind = (names: readonly string[], call: () => void) => {
      for (const name of names) {
        model.on(`change:${name}`, call);
        signal.addEventListener("abort", () => model.off(`change:${name}` as `change:${keyof Traits}`, call));
      }
    };
    bind(CHOICES, () => this.fillChoices());
    bind(SETTINGS, () => this.drawSettings());
    bind(OUTCOME, () => this.drawOutcome());
    bind(["concept_words"], () => this.drawAnswers());
    bind(["serial"], () => this.drawMove());
    bind(["answers"], () => {
      this.answers = finished(this.answers, model.get("answers"), model.get("serial"));
      this.drawAnswers();
    });
    const onMessage = (message: Message) => this.onMessage(message);
    model.on("msg:custom", onMessage);
    signal.addEventListener("abort", () => {
      model.off("msg:custom", onMessage);
      this.gallery.close();
      clearTimeout(this.waiting);
      clearTimeout(this.typing);
    });
    this.concept.addEventListener("change", () => this.moveTo("concept", this.concept.value));
    this.layer.addEventListener("input", () => this.moveTo("layer", Number(this.layer.value)));
    this.strength.addEventListener("input", () => this.moveTo("strength", Number(this.strength.value)));
    this.prompt.addEventListener("change", () => this.moveTo("prompt", this.prompt.value));
    this.prompt.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.moveTo("prompt", this.prompt.value), PAUSE);
    });
    this.stop.addEventListener("click", () => this.onStop());
  }

  /** A person moved a control: say so at once, without the throttling of trait updates. */
  private moveTo<K extends keyof Settings>(name: K, value: Settings[K]): void {
    clearTimeout(this.typing);
    if (this.model.get(name) === value) return;
    this.model.set(name, value as Traits[K]);
    this.ask({ [name]: value });
  }

  private ask(state: Partial<Settings>): void {
    const serial = this.model.get("serial") + 1;
    this.model.set("serial", serial);
    this.model.send({ kind: "set", serial, state });
  }

  private onStop(): void {
    if (this.model.get("status") === "running") this.model.send({ kind: "cancel" });
    else this.ask({});
  }

  /** Some view of this panel made a move: what is shown is old until the kernel answers. */
  private drawMove(): void {
    this.answers = moved(this.answers);
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => {
      if (!this.answers.current) this.rate.textContent = "waiting for the kernel …";
    }, PATIENCE);
    this.drawAnswers();
  }

  private onMessage(message: Message): void {
    const before = this.answers;
    this.answers = received(before, message, this.model.get("serial"));
    if (this.answers === before) return;
    if (message.kind === "start" && this.answers.current) {
      clearTimeout(this.waiting);
      this.rate.textContent = "";
    }
    this.drawAnswers();
  }

  private fillChoices(): void {
    const { model } = this;
    const categories = model.get("categories");
    const options = model.get("concepts").map((name, i) => ({ value: name, label: name, group: categories[i] ?? "" }));
    fillSelect(this.concept, options, model.get("concept"));
    const layers = model.get("layers");
    const [low, high] = [Math.min(...layers), Math.max(...layers)];
    const limit = model.get("strength_limit");
    const known = layers.length > 0;
    Object.assign(this.layer, { min: String(known ? low : 0), max: String(known ? high : 0), disabled: !known });
    Object.assign(this.strength, { min: String(-limit), max: String(limit), step: String(model.get("strength_step")) });
    this.layerTicks.replaceChildren(known ? ticks(low, high, Math.max(1, Math.ceil((high - low) / 12))) : "");
    this.strengthTicks.replaceChildren(ticks(-limit, limit, limit > 4 ? Math.ceil(limit / 4) : 1));
    this.concept.disabled = options.length === 0;
    const scopes = model.get("scopes").map(([value, label]) => ({ value, label }));
    this.scope = segments("scope", "edit these tokens", scopes, (value) =>
      this.moveTo("scope", value),
    ) as HTMLFieldSetElement;
    this.scopeBox.replaceChildren(this.scope);
    this.suggestions.replaceChildren(...model.get("suggestions").map((value) => h("option", { value })));
    this.gallery.fill(model.get("pictures"));
    this.drawSettings();
  }

  private drawSettings(): void {
    const { model } = this;
    this.gallery.choose(model.get("picture"));
    if (document.activeElement !== this.prompt) this.prompt.value = model.get("prompt");
    this.concept.value = model.get("concept");
    this.layer.value = String(model.get("layer"));
    this.strength.value = String(model.get("strength"));
    setSegment(this.scope, model.get("scope"));
    const strength = model.get("strength");
    const sign = strength > 0 ? "+" : "";
    this.layerBox.value.textContent = String(model.get("layer"));
    this.strengthBox.value.textContent = `${sign}${dose(strength)} ${strengthUnit(model.get("strength_unit"))}`;
    this.strength.setAttribute("aria-valuetext", this.strengthBox.value.textContent);
    fillTrack(this.strength, 0, strength);
    fillTrack(this.layer, Number(this.layer.min), Number(this.layer.min));
  }

  private drawOutcome(): void {
    const { model } = this;
    const status = model.get("status");
    this.status.textContent = status;
    this.status.dataset.state = status;
    const running = status === "running";
    this.stop.textContent = running ? "Stop" : "Run again";
    this.stop.disabled = model.get("concepts").length === 0;
    const rate = model.get("rate");
    if (!running) this.rate.textContent = rate > 0 ? `${plain(rate, rate < 10 ? 1 : 0)} tokens/s` : "";
    const message = model.get("message");
    this.error.textContent = message;
    show(this.error, message !== "");
    const lines = model.get("receipt");
    this.receiptTitle.textContent = lines[0] ? `Receipt: ${lines[0]}` : "Receipt";
    this.receiptText.textContent = lines.slice(1).join("\n");
    show(this.receipt, lines.length > 0);
  }

  private drawAnswers(): void {
    const names = this.model.get("concept_words")[this.model.get("concept")] ?? [];
    const baseline = this.answers.lines.baseline;
    for (const name of ROWS) {
      const { element, text } = this.rows[name];
      const line = this.answers.lines[name];
      const comparable = name !== "baseline" && !line.old && !baseline.old && baseline.text !== "";
      element.dataset.old = String(line.old);
      text.setAttribute("aria-busy", String(line.old));
      const nodes = mark(line.text, comparable ? baseline.text : null, names).flatMap((word, i) => {
        const inner = word.named ? h("span", { class: "named" }, word.text) : word.text;
        const node = word.changed ? h("mark", {}, inner) : inner;
        return i ? [" ", node] : [node];
      });
      text.replaceChildren(...nodes);
    }
  }
}

function render({ model, el, signal }: RenderProps<Traits>): () => void {
  const own = new AbortController();
  signal?.addEventListener("abort", () => own.abort());
  new View(model, el, own.signal);
  return () => own.abort();
}

export default { render };
