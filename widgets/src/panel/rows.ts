/** The three answers: changed words marked, mentions of the concept underlined where the kernel found them. */
import { h } from "../base/dom";
import { painted } from "../base/marks";
import { type Answers, type Fact, ROWS, type RowName } from "./answer_stream";
import type { Pin } from "./setting";

const TITLES: Record<RowName, string> = {
  baseline: "baseline (unsteered)",
  steered: "steered",
  random: "random direction, same size",
};

/** One answer under its title. */
function answer(name: RowName, text: HTMLElement, ...beside: HTMLElement[]): HTMLElement {
  const title = h("div", { class: "mp-answer-title" }, h("small", {}, TITLES[name]), ...beside);
  return h("div", { class: "mp-answer", "data-row": name }, title, text);
}

/** What an answer is, each fact a word or two. */
const chips = (facts: readonly Fact[]): HTMLElement[] =>
  facts.map(([kind, text]) => h("span", { class: "mp-fact", "data-kind": kind }, text));

/** Answers that do not change any more, for pins. */
export function still({ answers, spans, facts }: Pick<Pin, "answers" | "spans" | "facts">): HTMLElement[] {
  return ROWS.map((name) => {
    const baseline = name === "baseline" ? null : answers.baseline;
    const text = h("p", {}, ...painted(answers[name], baseline, spans[name]));
    return answer(name, text, h("span", { class: "mp-facts" }, ...chips(facts?.[name] ?? [])));
  });
}

/** Whether a key asks to reveal the hidden answer: r, where nothing is being typed. */
export function isReveal(event: KeyboardEvent): boolean {
  const at = event.target as HTMLElement;
  const writes = at.matches('select, input[type="text"], input[type="number"]');
  return event.key.toLowerCase() === "r" && !(event.ctrlKey || event.metaKey || event.altKey || writes);
}

export class Rows {
  readonly element: HTMLElement;
  readonly reveal = h("button", { type: "button", class: "mp-reveal", "data-testid": "reveal" }, "Reveal (r)");
  private readonly texts: Record<RowName, HTMLElement>;
  private readonly facts: Record<RowName, HTMLElement>;
  private readonly boxes: HTMLElement[];

  constructor(seed: HTMLElement) {
    const text = (name: RowName) => h("p", { "data-testid": `answer-${name}`, "aria-label": TITLES[name] });
    this.texts = { baseline: text("baseline"), steered: text("steered"), random: text("random") };
    const facts = (name: RowName) => h("span", { class: "mp-facts", "data-testid": `facts-${name}`, role: "status" });
    this.facts = { baseline: facts("baseline"), steered: facts("steered"), random: facts("random") };
    this.boxes = ROWS.map((name) => {
      const beside = { baseline: [], steered: [this.reveal], random: [seed] }[name];
      return answer(name, this.texts[name], this.facts[name], ...beside);
    });
    this.element = h("div", { class: "mp-live" }, ...this.boxes);
  }

  /**
   * Draw what is known; while `hidden`, the steered answer is not in the page at all; old ones are busy if new ones are
   * `awaited`; `lacking` is why there is nothing to steer with.
   */
  draw(answers: Answers, { hidden, awaited, lacking }: { hidden: boolean; awaited: boolean; lacking: string }): void {
    const baseline = answers.lines.baseline;
    ROWS.forEach((name, i) => {
      const line = answers.lines[name];
      const comparable = name !== "baseline" && !line.old && !baseline.old && baseline.text !== "";
      const box = this.boxes[i];
      if (box) box.dataset.old = String(line.old);
      this.texts[name].setAttribute("aria-busy", String(line.old && awaited));
      const covered = hidden && name === "steered";
      const nodes = covered
        ? [h("span", { class: "mp-covered" }, "What will it say?")]
        : name !== "baseline" && line.text === "" && lacking !== ""
          ? [h("span", { class: "mp-note" }, lacking)]
          : painted(line.text, comparable ? baseline.text : null, line.spans);
      this.texts[name].replaceChildren(...nodes);
      this.facts[name].replaceChildren(...(covered || line.old ? [] : chips(line.facts)));
    });
    this.reveal.hidden = !hidden;
  }
}
