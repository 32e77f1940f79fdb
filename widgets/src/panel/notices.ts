/** The last error beside the control that caused it, and notes of the image, the prompt, the tokens and the dose. */
import { h, show } from "../base/dom";

export class Notices {
  readonly prompt = h("p", { class: "mp-aside", role: "status", "data-testid": "prompt-note" });
  readonly scope = h("p", { class: "mp-aside", role: "status", "data-testid": "scope-note" });
  readonly picture = h("p", { class: "mp-aside", role: "status", "data-testid": "picture-note" });
  /** On an image that the doses can show little on, with the way to another. */
  readonly image = h("p", { class: "mp-aside", role: "status", "data-testid": "image-note" });
  readonly other = h("button", { type: "button", "data-testid": "other-image" }, "Another image");
  private readonly imageText = h("span");
  readonly advice = h("p", { class: "mp-aside mp-advice", role: "status", "data-testid": "advice" });
  private readonly error = h("p", { class: "mp-error", role: "alert", "data-testid": "error" });
  private readonly places = new Map<string, HTMLElement>();
  private said = "";

  constructor() {
    this.image.append(this.imageText, " ", this.other);
  }

  /** A place for errors of these controls; the one of "" takes those of every control without a place. */
  place(...controls: string[]): HTMLElement {
    const place = h("div", { class: "mp-place" });
    for (const control of controls) this.places.set(control, place);
    return place;
  }

  /** Show an error; a new one that a person's own move has caused is scrolled to. */
  complain(message: string, cause: string, moved: boolean): void {
    const place = this.places.get(cause) ?? this.places.get("");
    if (this.error.parentElement !== place) place?.append(this.error);
    this.error.textContent = message;
    this.error.title = message;
    show(this.error, message !== "");
    if (message !== "" && message !== this.said && moved) this.error.scrollIntoView({ block: "nearest" });
    this.said = message;
  }

  /** Say why the image shows little, and offer another where there is one. */
  suit(text: string, other: number): void {
    if (this.imageText.textContent !== text) this.imageText.textContent = text;
    this.imageText.title = text;
    show(this.image, text !== "");
    show(this.other, other >= 0);
  }

  note(texts: { prompt: string; scope: string; picture: string; advice: string }): void {
    for (const name of ["prompt", "scope", "picture", "advice"] as const) {
      const [element, text] = [this[name], texts[name]];
      if (element.textContent !== text) element.textContent = text;
      element.title = text;
      show(element, text !== "");
    }
  }
}
