/** SteeringPanel: an image and a prompt, concepts at a dose, and three answers streaming side by side. */
import type { AnyModel, RenderProps } from "@anywidget/types";
import { h, show, uniqueId, widgetRoot } from "../base/dom";
import { liveness, withKernelNote } from "../base/kernel";
import { popover } from "../base/popover";
import { type Answers, finished, type Message, moved, received, restored } from "./answer_stream";
import { labelled, segments, setSegment } from "./controls";
import { Notices } from "./notices";
import { Outcome } from "./outcome";
import { Patience } from "./patience";
import { Gallery } from "./pictures";
import { cards } from "./pins";
import { isReveal, Rows } from "./rows";
import { WordsFold } from "./sections";
import { SETTINGS, type Settings, type Traits } from "./setting";
import { Steer } from "./steer";
import { css } from "./style";
import { Together } from "./together";
import { bytesOf } from "./upload";

type Name = keyof Traits & string;

const CHOICES: Name[] = [
  "concepts",
  "categories",
  "unfit",
  "layers",
  "suggestions",
  "scopes",
  "strength_limit",
  "strength_step",
];
const OUTCOME: Name[] = ["receipt", "code", "status", "rate", "strength_unit", "activity"];
const NOTICES: Name[] = [
  "message",
  "cause",
  "prompt_note",
  "scope_note",
  "picture_note",
  "advice",
  "image_note",
  "other_image",
];
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
  private readonly tokens = h("span");
  private readonly pinned = h("span");
  private readonly verdict = h("span", { class: "mp-verdict", role: "status", "data-testid": "verdict" });
  private readonly why = h("button", { type: "button", "data-testid": "why" }, "why?");
  private readonly projector = h("button", { type: "button", "data-testid": "projector" }, "Projector");
  private readonly outcome = new Outcome();
  private readonly notices = new Notices();
  private readonly naming: WordsFold;
  private readonly pins = h("div", { class: "mp-pins", "data-testid": "pins" });
  private answers: Answers;
  private readonly patience = new Patience((text) => this.drawBusy(text));
  private typing: ReturnType<typeof setTimeout> | undefined;
  private readonly kernel: ReturnType<typeof liveness>;
  private readonly parts: Together<"choices" | "settings" | "fluency" | "outcome" | "notices" | "answers" | "pins">;
  /** Whether the kernel has not reacted yet to what a person did here. */
  private waiting = false;

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
      outcome: () => this.drawOutcome(),
      notices: () => this.drawNotices(),
      answers: () => this.drawAnswers(),
      pins: () => this.drawPins(),
    });
    const asks = {
      pick: (picture: number) => this.move({ picture }),
      draw: (seed: number) => this.ask("scene", { seed }),
      bring: (file: File) => void this.onFile(file),
    };
    const compact = model.get("compact");
    this.gallery = new Gallery(asks, this.notices.place("picture"), compact);
    this.steer = new Steer(
      model,
      (state) => this.move(state),
      (...controls) => this.notices.place(...controls),
    );
    this.naming = new WordsFold({
      words: (found) => this.count({ words: { ...model.get("words"), [model.get("concept")]: found } }),
      negations: (found) => this.count({ negations: found }),
    });
    this.seed.id = uniqueId("seed");
    this.rows = new Rows(h("span", { class: "mp-pair" }, h("label", { for: this.seed.id }, "seed"), this.seed));
    this.prompt.setAttribute("list", this.suggestions.id);
    if (compact) this.root.append(...this.compact(signal));
    else this.root.append(h("div", { class: "mp-panes" }, this.left(), this.right()));
    this.root.classList.toggle("mp-compact", compact);
    el.append(this.root);
    this.listen(signal);
    this.onControls();
    this.fillChoices();
    this.drawSettings();
    this.drawOutcome();
    this.drawNotices();
    this.drawAnswers();
    this.drawPins();
  }

  private left(): HTMLElement {
    const head = h("div", { class: "mp-head" }, h("h3", {}, "Image"));
    const { notices } = this;
    const left = h("div", { class: "mp-left" }, head, this.gallery.element, notices.image, notices.picture);
    left.append(labelled("Prompt", this.prompt).element, this.suggestions, notices.prompt, notices.place("prompt"));
    left.append(h("span", { class: "mp-label" }, "Steer at"), this.scopeBox, notices.scope, notices.place("scope"));
    return left;
  }

  private right(): HTMLElement {
    const { rate, pill, stop, pin, receipt, code } = this.outcome;
    const head = h("div", { class: "mp-head" }, h("h3", {}, "Steer"), rate, pill, stop);
    const answers = h("div", { class: "mp-head mp-answers-head" }, h("h3", {}, "Answers"), pin, this.projector);
    const compared = h("div", { class: "mp-compare" }, this.rows.element, this.pins);
    const wrong = this.notices.place("", "pin", "seed");
    const right = h(
      "div",
      { class: "mp-right" },
      head,
      this.steer.element,
      this.notices.advice,
      answers,
      wrong,
      compared,
    );
    right.append(this.naming.element, receipt.element, code.element);
    return right;
  }

  /** The form of the lab: everything at a fixed place, what is rare behind a button. */
  private compact(signal: AbortSignal): HTMLElement[] {
    const { notices, outcome, gallery, steer, rows } = this;
    const call = (name: string, text: string, title: string) => {
      const button = h("button", { type: "button", "data-testid": name, title, "aria-label": title }, text);
      button.addEventListener("click", () => this.model.send({ kind: "call", name }));
      return button;
    };
    const tokens = popover("tokens", h("span", {}, "at ", this.tokens), signal, h("b", {}, "Steer at"), this.scopeBox);
    const line = h("div", { class: "mp-line" }, ...steer.line, tokens);
    line.append(call("recommended", "★", "go to the recommended setting of this concept"));
    line.append(call("surprise", "surprise", "go to the recommended setting of another concept"));
    const more = popover("more", "more", signal, ...steer.more, this.naming.element, outcome.receipt.element);
    more.lastElementChild?.append(outcome.code.element, this.projector);
    const pins = popover("pinned", this.pinned, signal, this.pins);
    const image = popover("image", "image", signal, gallery.tools);
    this.prompt.setAttribute("aria-label", "prompt");
    const { pill, rate, stop, pin } = outcome;
    const ask = h("div", { class: "mp-ask" }, this.prompt, this.suggestions, rate, pill, stop, pin, pins, more);
    this.why.addEventListener("click", () => this.model.send({ kind: "call", name: "why" }));
    const verdict = h("div", { class: "mp-verdict-line" }, this.verdict, this.why);
    const errors = notices.place("", "pin", "seed", "picture", "prompt", "scope", "concept", "layer", "strength");
    const notes = h("div", { class: "mp-notes" }, errors, notices.image, notices.picture, notices.prompt);
    notes.append(notices.scope, steer.unfit, notices.advice);
    const answers = h("div", { class: "mp-said" }, ask, rows.element, verdict, notes);
    const picture = h("div", { class: "mp-seen" }, gallery.element, image);
    return [line, h("div", { class: "mp-body" }, picture, answers)];
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
    bind(NOTICES, () => parts.ask("notices"));
    bind(["message"], () => this.onComplaint());
    bind(["concepts", "activity", ...NAMING, "projector", "revealed"], () => parts.ask("answers"));
    bind(["pins"], () => parts.ask("pins"));
    bind(["verdict"], () => parts.ask("outcome"));
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
      this.tell("show", { projector: !this.model.get("projector"), revealed: false }),
    );
    this.notices.other.addEventListener("click", () => this.ask("eligible", {}));
    this.rows.reveal.addEventListener("click", () => this.tell("show", { revealed: true }));
    this.root.addEventListener("keydown", (event) => {
      if (isReveal(event) && this.hidden()) this.tell("show", { revealed: true });
    });
  }

  /**
   * The one way to change a trait from here: a message, which is sent at once, not throttled as trait updates are.
   * `save_changes` must not be called: it sends every value that was ever set here, also those that the kernel has
   * changed since.
   */
  private tell(kind: "set" | "show", state: Partial<Traits>, more: Record<string, unknown> = {}): void {
    for (const [name, value] of Object.entries({ ...state, ...more })) this.model.set(name as Name, value as never);
    this.model.send({ kind, state, ...more });
  }

  /** Ask for what only the kernel can do, and wait for its reaction. */
  private ask(kind: string, content: Record<string, unknown>, buffers?: ArrayBuffer[]): void {
    this.model.send({ kind, ...content }, undefined, buffers);
    this.wait();
  }

  private wait(): void {
    if (!this.alive()) return;
    this.waiting = true;
    this.patience.begin();
  }

  /** What counts as naming is the kernel's to say: it sends the words back, and the spans that they give. */
  private count(state: Partial<Pick<Traits, "words" | "negations">>): void {
    this.model.send({ kind: "naming", state });
  }

  /** A person moved controls, which starts a generation. */
  private move(state: Partial<Settings>): void {
    clearTimeout(this.typing);
    const changed = Object.entries(state).filter(
      ([name, value]) => JSON.stringify(this.model.get(name as Name)) !== JSON.stringify(value),
    );
    if (changed.length === 0) return;
    this.run(state);
  }

  private run(state: Partial<Settings>): void {
    this.model.set("revealed", false);
    this.tell("set", state, { serial: this.model.get("serial") + 1 });
  }

  private async onFile(file: File): Promise<void> {
    try {
      this.ask("picture", { name: file.name }, [await bytesOf(file)]);
    } catch {
      this.notices.complain(`${file.name} could not be read as an image.`, "picture", true);
    }
  }

  private onStop(): void {
    if (this.model.get("status") === "running") this.model.send({ kind: "cancel" });
    else this.run({});
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
    this.wait();
    this.parts.ask("answers");
  }

  /** The kernel refused something: it has reacted, and what it says is drawn. */
  private onComplaint(): void {
    if (this.model.get("message") !== "") this.endWaiting();
  }

  private drawBusy(text: string): void {
    if (!this.waiting) return;
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
    this.waiting = false;
    delete this.root.dataset.busy;
    this.outcome.rate.textContent = "";
    this.parts.ask("outcome");
  }

  private drawOutcome(): void {
    this.outcome.draw(this.model, this.alive());
    const verdict = this.model.get("verdict");
    if (this.verdict.textContent !== verdict) this.verdict.textContent = verdict;
    this.verdict.title = verdict;
    show(this.why, verdict !== "");
  }

  private drawNotices(): void {
    const { model } = this;
    this.notices.complain(model.get("message"), model.get("cause"), this.root.contains(document.activeElement));
    this.notices.note({
      prompt: model.get("prompt_note"),
      scope: model.get("scope_note"),
      picture: model.get("picture_note"),
      advice: model.get("advice"),
    });
    this.notices.suit(model.get("image_note"), this.alive() ? model.get("other_image") : -1);
  }

  /** Why there is nothing to steer with. */
  private lacking(): string {
    if (this.model.get("activity") !== "") return "Waiting for the concept vectors.";
    return this.model.get("concepts").length === 0 ? "There are no concept vectors yet: set panel.vectors." : "";
  }

  private fillChoices(): void {
    const { model } = this;
    this.steer.fill();
    const scopes = model.get("scopes").map(([value, label]) => ({ value, label }));
    this.scope = segments("scope", "steer at", scopes, (value) => this.move({ scope: value })) as HTMLFieldSetElement;
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
    const label = model.get("scopes").find(([value]) => value === model.get("scope"))?.[1];
    this.tokens.textContent = label ?? model.get("scope");
    this.steer.draw();
  }

  private drawAnswers(): void {
    const { model } = this;
    const concept = model.get("concept");
    const lacking = this.lacking();
    this.rows.draw(this.answers, { hidden: this.hidden(), awaited: this.alive(), lacking });
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
    this.pinned.textContent = `pins (${model.get("pins").length})`;
  }
}

function render({ model, el, signal }: RenderProps<Traits>): () => void {
  const own = new AbortController();
  signal?.addEventListener("abort", () => own.abort());
  new View(model, el, own.signal);
  return () => own.abort();
}

export default { render: withKernelNote(render) };
