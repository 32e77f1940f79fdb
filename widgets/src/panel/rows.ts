/** The three answers, word by word: changed words marked, words that name the concept underlined. */
import { h } from "../dom";
import { type Answers, ROWS, type RowName } from "./stream";
import { mark } from "./words";

const TITLES: Record<RowName, string> = {
  baseline: "baseline (unsteered)",
  steered: "steered",
  random: "random direction, same size",
};

/** What counts as naming the concepts that are steered. */
export interface Naming {
  words: readonly string[];
  negations: readonly string[];
}

/** An answer as nodes; `baseline` null marks nothing as changed. */
export function written(answer: string, baseline: string | null, naming: Naming): Node[] {
  return mark(answer, baseline, naming.words, naming.negations).flatMap((word, i) => {
    const kind = word.named ? "named" : word.negated ? "negated" : "";
    const inner = kind ? h("span", { class: kind }, word.text) : document.createTextNode(word.text);
    const node = word.changed ? h("mark", {}, inner) : inner;
    return i ? [document.createTextNode(" "), node] : [node];
  });
}

/** One answer under its title. */
function answer(name: RowName, text: HTMLElement, ...beside: HTMLElement[]): HTMLElement {
  const title = h("div", { class: "mp-answer-title" }, h("small", {}, TITLES[name]), ...beside);
  return h("div", { class: "mp-answer", "data-row": name }, title, text);
}

/** Answers that do not change any more, for pins. */
export function still(answers: Record<RowName, string>, naming: Naming): HTMLElement[] {
  return ROWS.map((name) =>
    answer(name, h("p", {}, ...written(answers[name], name === "baseline" ? null : answers.baseline, naming))),
  );
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
  private readonly boxes: HTMLElement[];

  constructor(seed: HTMLElement) {
    const text = (name: RowName) => h("p", { "data-testid": `answer-${name}`, "aria-label": TITLES[name] });
    this.texts = { baseline: text("baseline"), steered: text("steered"), random: text("random") };
    this.boxes = ROWS.map((name) => {
      const beside = { baseline: [], steered: [this.reveal], random: [seed] }[name];
      return answer(name, this.texts[name], ...beside);
    });
    this.element = h("div", { class: "mp-live" }, ...this.boxes);
  }

  /**
   * Draw what is known; while `hidden`, the steered answer is not in the page at all; old ones are busy if new ones are
   * `awaited`; `lacking` is why there is nothing to steer with.
   */
  draw(
    answers: Answers,
    naming: Naming,
    { hidden, awaited, lacking }: { hidden: boolean; awaited: boolean; lacking: string },
  ): void {
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
          : written(line.text, comparable ? baseline.text : null, naming);
      this.texts[name].replaceChildren(...nodes);
    });
    this.reveal.hidden = !hidden;
  }
}
