/** SteeringPanel: a picture and a question, concepts at a dose, and three answers streaming side by side. */
import type { AnyModel, RenderProps } from "@anywidget/types";
import { h, show, uniqueId, widgetRoot } from "./dom";
import { liveness, withKernelNote } from "./kernel";
import { labelled, segments, setSegment } from "./panel/controls";
import { WordsFold } from "./panel/folds";
import { Outcome } from "./panel/outcome";
import { Patience } from "./panel/patience";
import { Gallery } from "./panel/pictures";
import { cards } from "./panel/pins";
import { isReveal, Rows } from "./panel/rows";
import { Steer } from "./panel/steer";
import { type Answers, finished, type Message, moved, received, restored } from "./panel/stream";
import { css } from "./panel/style";
import { Together } from "./panel/together";
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
const NAMING: Name[] = ["words", "negations", "concept"];
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
  private readonly projector = h("button", { type: "button", "data-testid": "projector" }, "Projector");
  private readonly outcome = new Outcome();
  private readonly naming: WordsFold;
  private readonly pins = h("div", { class: "mp-pins", "data-testid": "pins" });
  private answers: Answers;
  private readonly patience = new Patience((text) => this.drawBusy(text));
  private typing: ReturnType<typeof setTimeout> | undefined;
  private readonly kernel: ReturnType<typeof liveness>;
  private readonly parts: Together<"choices" | "settings" | "fluency" | "outcome" | "answers" | "pins">;

  constructor(
    private readonly model: AnyModel<Traits>,
    el: HTMLElement,
    signal: AbortSignal,
  ) {
    this.answers = restored(model.get("answers"));
    this.kernel = liveness(model);
    this.parts = new Together({
      choices: () => this.fillChoices(),
      settings: () => this.drawSettings(),
      fluency: () => this.steer.drawFluency(),
      outcome: () => this.outcome.draw(model, this.alive()),
      answers: () => this.drawAnswers(),
      pins: () => this.drawPins(),
    });
    this.gallery = new Gallery({
      pick: (picture) => this.move({ picture }),
      draw: (seed) => this.ask("scene", { seed }),
      bring: (file) => void this.onFile(file),
    });
    this.steer = new Steer(model, (state) => this.move(state));
    this.naming = new WordsFold({
      words: (found) => this.count({ words: { ...model.get("words"), [model.get("concept")]: found } }),
      negations: (found) => this.count({ negations: found }),
    });
    this.seed.id = uniqueId("seed");
    this.rows = new Rows(h("span", { class: "mp-pair" }, h("label", { for: this.seed.id }, "seed"), this.seed));
    this.prompt.setAttribute("list", this.suggestions.id);
    this.root.append(h("div", { class: "mp-panes" }, this.left(), this.right()));
    el.append(this.root);
    this.listen(signal);
    this.onControls();
    this.fillChoices();
    this.drawSettings();
    this.outcome.draw(model, this.alive());
    this.drawAnswers();
    this.drawPins();
  }

  private left(): HTMLElement {
    const head = h("div", { class: "mp-head" }, h("h3", {}, "Picture"));
    const left = h("div", { class: "mp-left" }, head, this.gallery.element);
    left.append(labelled("Question", this.prompt).element, this.suggestions);
    left.append(h("span", { class: "mp-label" }, "Edit these tokens"), this.scopeBox);
    return left;
  }

  private right(): HTMLElement {
    const { rate, status, stop, pin, error, receipt, code } = this.outcome;
    const head = h("div", { class: "mp-head" }, h("h3", {}, "Steer"), rate, status, stop);
    const answers = h("div", { class: "mp-head mp-answers-head" }, h("h3", {}, "Answers"), pin, this.projector);
    const compared = h("div", { class: "mp-compare" }, this.rows.element, this.pins);
    const right = h("div", { class: "mp-right" }, head, this.steer.element, answers, compared, error);
    right.append(this.naming.element, receipt.element, code.element);
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
    const { parts } = this;
    bind(CHOICES, () => parts.ask("choices", "settings", "pins"));
    bind(["pictures", "scene_seed", ...SETTINGS], () => parts.ask("settings"));
    bind(["doses", "safe_low", "safe_high"], () => parts.ask("fluency"));
    bind(OUTCOME, () => parts.ask("outcome"));
    bind([...NAMING, "projector", "revealed"], () => parts.ask("answers"));
    bind(["pins"], () => parts.ask("pins"));
    bind(["serial"], () => this.onMove());
    bind(["answers"], () => {
      this.answers = finished(this.answers, model.get("answers"), model.get("serial"));
      parts.ask("answers");
    });
    const onKernel = () => this.onKernel();
    this.kernel?.on("comm_live_update", onKernel);
    const onMessage = (message: Message) => this.onMessage(message);
    model.on("msg:custom", onMessage);
    signal.addEventListener("abort", () => {
      model.off("msg:custom", onMessage);
      this.kernel?.off("comm_live_update", onKernel);
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
    this.outcome.stop.addEventListener("click", () => this.onStop());
    this.outcome.pin.addEventListener("click", () => this.model.send({ kind: "pin" }));
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

  /** What counts as naming is the kernel's to say: it sends the words back, and the spans that they give. */
  private count(state: Partial<Pick<Traits, "words" | "negations">>): void {
    this.model.send({ kind: "naming", state });
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
      this.outcome.complain(`${file.name} could not be read as a picture.`);
    }
  }

  private onStop(): void {
    if (this.model.get("status") === "running") this.model.send({ kind: "cancel" });
    else this.ask("set", { state: {} });
  }

  private hidden(): boolean {
    return this.model.get("projector") && !this.model.get("revealed");
  }

  /** Whether somebody can answer: a kernel, or the page that holds recorded answers. */
  private alive(): boolean {
    return this.kernel?.comm_live ?? true;
  }

  private onKernel(): void {
    if (!this.alive()) this.endWaiting();
    this.parts.ask("outcome", "answers");
  }

  /** Some view of this panel made a move: what is shown is old until the kernel answers. */
  private onMove(): void {
    this.answers = moved(this.answers);
    if (this.alive()) this.patience.begin();
    this.parts.ask("answers");
  }

  private drawBusy(text: string): void {
    if (this.answers.current) return;
    this.outcome.rate.textContent = text;
    this.root.dataset.busy = "true";
  }

  private onMessage(message: Message): void {
    const before = this.answers;
    this.answers = received(before, message, this.model.get("serial"));
    if (this.answers === before) return;
    if (message.kind === "start" && this.answers.current) this.endWaiting();
    this.drawAnswers();
  }

  private endWaiting(): void {
    this.patience.end();
    delete this.root.dataset.busy;
    this.outcome.rate.textContent = "";
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

  private drawAnswers(): void {
    const { model } = this;
    const concept = model.get("concept");
    this.rows.draw(this.answers, { hidden: this.hidden(), awaited: this.alive() });
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
    this.pins.replaceChildren(...cards(model.get("pins"), model.get("scopes"), asks));
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
