/** The last error beside the control that caused it, and notes of the prompt and of the tokens that are steered. */
import { h, show } from "../base/dom";

export class Notices {
  readonly prompt = h("p", { class: "mp-aside", role: "status", "data-testid": "prompt-note" });
  readonly scope = h("p", { class: "mp-aside", role: "status", "data-testid": "scope-note" });
  private readonly error = h("p", { class: "mp-error", role: "alert", "data-testid": "error" });
  private readonly places = new Map<string, HTMLElement>();
  private said = "";

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
    show(this.error, message !== "");
    if (message !== "" && message !== this.said && moved) this.error.scrollIntoView({ block: "nearest" });
    this.said = message;
  }

  note(prompt: string, scope: string): void {
    for (const [element, text] of [[this.prompt, prompt] as const, [this.scope, scope] as const]) {
      if (element.textContent !== text) element.textContent = text;
      show(element, text !== "");
    }
  }
}
