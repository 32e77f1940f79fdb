/** SteeringPanel: a picture and a question, concepts at a dose, and three answers streaming side by side. */
import type { AnyModel, RenderProps } from "@anywidget/types";
import { h, show, uniqueId, widgetRoot } from "./dom";
import { plain } from "./format";
import { withKernelNote } from "./kernel";
import { labelled, segments, setSegment } from "./panel/controls";
import { CodeFold, ReceiptFold, WordsFold } from "./panel/folds";
import { Patience } from "./panel/patience";
import { Gallery } from "./panel/pictures";
import { cards } from "./panel/pins";
import { isReveal, type Naming, Rows } from "./panel/rows";
import { Steer } from "./panel/steer";
import { type Answers, finished, type Message, moved, received, restored } from "./panel/stream";
import { css } from "./panel/style";
import { SETTINGS, type Settings, type Traits } from "./panel/types";
import { bytesOf } from "./panel/upload";

type Name = keyof Traits & string;

const CHOICES: Name[] = [
  "concepts",
  "categories",
  "layers",
  "suggestions",
  "scopes",
  "strength_limit",
  "strength_step",
];
const OUTCOME: Name[] = ["receipt", "code", "status", "message", "rate", "strength_unit"];
const NAMING: Name[] = ["words", "negations", "concept", "second"];
/** A prompt is sent when typing pauses. */
const PAUSE = 600;

class View {
  private readonly root = widgetRoot(css, "panel", "Steering panel");
  private readonly gallery: Gallery;
  private readonly steer: Steer;
  private readonly rows: Rows;
  private readonly prompt = h("input", {
    type: "text",
    class: "mp-wide",
    "data-testid": "prompt",
    spellcheck: "false",
  });
  private readonly suggestions = h("datalist", { id: uniqueId("suggestions") });
  private readonly seed = h("input", { type: "number", min: 0, step: 1, "data-testid": "seed" });
  private readonly scopeBox = h("div");
  private scope = h("fieldset");
  private readonly status = h("span", { class: "mp-pill", role: "status", "data-testid": "status" });
  private readonly rate = h("span", { class: "mp-rate", "data-testid": "rate" });
  private readonly stop = h("button", { type: "button", "data-testid": "stop" });
  private readonly pin = h("button", { type: "button", "data-testid": "pin-setting" }, "Pin");
  private readonly projector = h("button", { type: "button", "data-testid": "projector" }, "Projector");
  private readonly error = h("p", { class: "mp-error", role: "alert", "data-testid": "error" });
  private readonly receipt = new ReceiptFold();
  private readonly code = new CodeFold();
  private readonly naming: WordsFold;
  private readonly pins = h("div", { class: "mp-pins", "data-testid": "pins" });
  private answers: Answers;
  private readonly patience = new Patience((text) => this.drawBusy(text));
  private typing: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly model: AnyModel<Traits>,
    el: HTMLElement,
    signal: AbortSignal,
  ) {
    this.answers = restored(model.get("answers"));
    this.gallery = new Gallery({
      pick: (picture) => this.move({ picture }),
      draw: (seed) => this.ask("scene", { seed }),
      bring: (file) => void this.onFile(file),
    });
    this.steer = new Steer(model, (state) => this.move(state));
    this.naming = new WordsFold({
      words: (found) => this.save({ words: { ...model.get("words"), [model.get("concept")]: found } }),
      negations: (found) => this.save({ negations: found }),
    });
    this.seed.id = uniqueId("seed");
    this.rows = new Rows(h("span", { class: "mp-pair" }, h("label", { for: this.seed.id }, "seed"), this.seed));
    this.prompt.setAttribute("list", this.suggestions.id);
    this.root.append(h("div", { class: "mp-panes" }, this.left(), this.right()));
    el.append(this.root);
    this.listen(signal);
    this.onControls();
    this.fillChoices();
    this.drawOutcome();
    this.drawAnswers();
  }

  private left(): HTMLElement {
    const head = h("div", { class: "mp-head" }, h("h3", {}, "Picture"));
    const left = h("div", { class: "mp-left" }, head, this.gallery.element);
    left.append(labelled("Question", this.prompt).element, this.suggestions);
    left.append(h("span", { class: "mp-label" }, "Edit these tokens"), this.scopeBox);
    return left;
  }

  private right(): HTMLElement {
    const head = h("div", { class: "mp-head" }, h("h3", {}, "Steer"), this.rate, this.status, this.stop);
    const answers = h("div", { class: "mp-head mp-answers-head" }, h("h3", {}, "Answers"), this.pin, this.projector);
    const compared = h("div", { class: "mp-compare" }, this.rows.element, this.pins);
    const right = h("div", { class: "mp-right" }, head, this.steer.element, answers, compared, this.error);
    right.append(this.naming.element, this.receipt.element, this.code.element);
    return right;
  }

  private listen(signal: AbortSignal): void {
    const { model } = this;
    const bind = (names: readonly Name[], call: () => void) => {
      for (const name of names) {
        model.on(`change:${name}`, call);
        signal.addEventListener("abort", () => model.off(`change:${name}`, call));
      }
    };
    bind(CHOICES, () => this.fillChoices());
    bind(["pictures", "scene_seed"], () => this.drawSettings());
    bind(SETTINGS, () => this.drawSettings());
    bind(["doses", "safe_low", "safe_high"], () => this.steer.drawFluency());
    bind(OUTCOME, () => this.drawOutcome());
    bind([...NAMING, "projector", "revealed"], () => this.drawAnswers());
    bind(["pins", "words", "negations", "scopes"], () => this.drawPins());
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
      this.patience.end();
      clearTimeout(this.typing);
    });
  }

  private onControls(): void {
    this.gallery.listen(this.root);
    this.prompt.addEventListener("change", () => this.move({ prompt: this.prompt.value }));
    this.prompt.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.move({ prompt: this.prompt.value }), PAUSE);
    });
    this.seed.addEventListener("change", () => this.move({ seed: Math.max(0, Math.round(Number(this.seed.value))) }));
    this.stop.addEventListener("click", () => this.onStop());
    this.pin.addEventListener("click", () => this.model.send({ kind: "pin" }));
    this.projector.addEventListener("click", () =>
      this.save({ projector: !this.model.get("projector"), revealed: false }),
    );
    this.rows.reveal.addEventListener("click", () => this.save({ revealed: true }));
    this.root.addEventListener("keydown", (event) => {
      if (isReveal(event) && this.hidden()) this.save({ revealed: true });
    });
  }

  /** Traits that start no generation. */
  private save(state: Partial<Traits>): void {
    for (const [name, value] of Object.entries(state)) this.model.set(name as Name, value as never);
    this.model.save_changes();
  }

  /** A person moved controls: say so at once, without the throttling of trait updates. */
  private move(state: Partial<Settings>): void {
    clearTimeout(this.typing);
    const changed = Object.entries(state).filter(
      ([name, value]) => JSON.stringify(this.model.get(name as Name)) !== JSON.stringify(value),
    );
    if (changed.length === 0) return;
    for (const [name, value] of changed) this.model.set(name as Name, value as never);
    this.ask("set", { state });
  }

  private ask(kind: string, content: Record<string, unknown>, buffers?: ArrayBuffer[]): void {
    const serial = this.model.get("serial") + 1;
    this.model.set("revealed", false);
    this.model.set("serial", serial);
    this.model.send({ kind, serial, ...content }, undefined, buffers);
  }

  private async onFile(file: File): Promise<void> {
    try {
      this.ask("picture", { name: file.name }, [await bytesOf(file)]);
    } catch {
      this.error.textContent = `${file.name} could not be read as a picture.`;
      show(this.error, true);
    }
  }

  private onStop(): void {
    if (this.model.get("status") === "running") this.model.send({ kind: "cancel" });
    else this.ask("set", { state: {} });
  }

  private hidden(): boolean {
    return this.model.get("projector") && !this.model.get("revealed");
  }

  /** Some view of this panel made a move: what is shown is old until the kernel answers. */
  private drawMove(): void {
    this.answers = moved(this.answers);
    this.patience.begin();
    this.drawAnswers();
  }

  private drawBusy(text: string): void {
    if (this.answers.current) return;
    this.rate.textContent = text;
    this.root.dataset.busy = "true";
  }

  private onMessage(message: Message): void {
    const before = this.answers;
    this.answers = received(before, message, this.model.get("serial"));
    if (this.answers === before) return;
    if (message.kind === "start" && this.answers.current) this.drawAnswering();
    this.drawAnswers();
  }

  private drawAnswering(): void {
    this.patience.end();
    delete this.root.dataset.busy;
    this.rate.textContent = "";
  }

  private fillChoices(): void {
    const { model } = this;
    this.steer.fill();
    const scopes = model.get("scopes").map(([value, label]) => ({ value, label }));
    this.scope = segments("scope", "edit these tokens", scopes, (value) =>
      this.move({ scope: value }),
    ) as HTMLFieldSetElement;
    this.scopeBox.replaceChildren(this.scope);
    this.suggestions.replaceChildren(...model.get("suggestions").map((value) => h("option", { value })));
    this.drawSettings();
    this.drawPins();
  }

  private drawSettings(): void {
    const { model } = this;
    this.gallery.fill(model.get("pictures"), model.get("scene_seed"));
    this.gallery.choose(model.get("picture"));
    if (document.activeElement !== this.prompt) this.prompt.value = model.get("prompt");
    if (document.activeElement !== this.seed) this.seed.value = String(model.get("seed"));
    setSegment(this.scope, model.get("scope"));
    this.steer.draw();
  }

  private drawOutcome(): void {
    const { model } = this;
    const status = model.get("status");
    const running = status === "running";
    this.status.textContent = status;
    this.status.dataset.state = status;
    this.stop.textContent = running ? "Stop" : "Run again";
    this.stop.disabled = model.get("concepts").length === 0;
    this.pin.disabled = status !== "idle" || model.get("code") === "";
    const rate = model.get("rate");
    if (!running) this.rate.textContent = rate > 0 ? `${plain(rate, rate < 10 ? 1 : 0)} tokens/s` : "";
    const message = model.get("message");
    this.error.textContent = message;
    show(this.error, message !== "");
    this.receipt.draw(model.get("receipt"));
    this.code.draw(model.get("code"));
  }

  private namingOf = (setting: Pick<Settings, "concept" | "second">): Naming => {
    const words = this.model.get("words");
    const own = [setting.concept, setting.second].flatMap((name) => words[name] ?? []);
    return { words: own, negations: this.model.get("negations") };
  };

  private drawAnswers(): void {
    const { model } = this;
    const concept = model.get("concept");
    this.rows.draw(this.answers, this.namingOf({ concept, second: model.get("second") }), this.hidden());
    this.naming.draw(concept, model.get("words")[concept] ?? [], model.get("negations"));
    this.projector.setAttribute("aria-pressed", String(model.get("projector")));
    this.root.classList.toggle("mp-projector", model.get("projector"));
  }

  private drawPins(): void {
    const { model } = this;
    const asks = {
      use: (setting: Settings) => this.move(setting),
      remove: (id: number) => model.send({ kind: "unpin", id }),
    };
    this.pins.replaceChildren(...cards(model.get("pins"), model.get("scopes"), this.namingOf, asks));
    show(this.pins, model.get("pins").length > 0);
  }
}

function render({ model, el, signal }: RenderProps<Traits>): () => void {
  const own = new AbortController();
  signal?.addEventListener("abort", () => own.abort());
  new View(model, el, own.signal);
  return () => own.abort();
}

export default { render: withKernelNote(render) };
