/** Collapsible sections: the receipt, the Python of the setting, and what counts as naming the concept. */
import { h, show } from "../base/dom";
import { labelled } from "./controls";

/** Words of a text field: separated by commas or line breaks. */
export const listed = (text: string): string[] =>
  [...new Set(text.split(/[,\n]/).map((word) => word.trim()))].filter(Boolean);

export class ReceiptFold {
  readonly element = h("details", { class: "mp-fold", "data-testid": "receipt" });
  private readonly title = h("summary", {}, "Receipt");
  private readonly text = h("pre");

  constructor() {
    this.element.append(this.title, this.text);
  }

  draw(lines: readonly string[]): void {
    this.title.textContent = lines[0] ? `Receipt: ${lines[0]}` : "Receipt";
    this.text.textContent = lines.slice(1).join("\n");
    show(this.element, lines.length > 0);
  }
}

export class CodeFold {
  readonly element = h("details", { class: "mp-fold", "data-testid": "code" });
  private readonly text = h("pre", { tabindex: 0, "aria-label": "Python of this setting" });
  private readonly copy = h("button", { type: "button", "data-testid": "copy-code" }, "Copy");

  constructor() {
    this.element.append(h("summary", {}, "Code to reproduce"), this.copy, this.text);
    this.copy.addEventListener("click", () => void this.onCopy());
  }

  draw(code: string): void {
    this.text.textContent = code;
    this.copy.textContent = "Copy";
    show(this.element, code !== "");
  }

  /** Copy; where the host forbids that, select the text so that a person can. */
  private async onCopy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(this.text.textContent ?? "");
      this.copy.textContent = "Copied";
    } catch {
      getSelection()?.selectAllChildren(this.text);
      this.copy.textContent = "Selected: press Ctrl+C";
    }
  }
}

export class WordsFold {
  readonly element = h("details", { class: "mp-fold", "data-testid": "words-fold" });
  private readonly title = h("summary");
  private readonly words = h("input", { type: "text", class: "mp-wide", "data-testid": "words" });
  private readonly negations = h("input", { type: "text", class: "mp-wide", "data-testid": "negations" });

  constructor(edit: { words(found: string[]): void; negations(found: string[]): void }) {
    const words = labelled("Words that count as this concept (comma-separated)", this.words).element;
    const negations = labelled(
      "Ignore within three words after one of these, or before “is missing”, “is not there” and the like",
      this.negations,
    ).element;
    this.element.append(this.title, words, negations);
    this.words.addEventListener("change", () => edit.words(listed(this.words.value)));
    this.negations.addEventListener("change", () => edit.negations(listed(this.negations.value)));
  }

  draw(concept: string, words: readonly string[], negations: readonly string[]): void {
    this.title.textContent = `What counts as naming ${concept || "the concept"}`;
    if (document.activeElement !== this.words) this.words.value = words.join(", ");
    if (document.activeElement !== this.negations) this.negations.value = negations.join(", ");
  }
}
