/** Buttons and keys that move the lab's selection: undo, redo, the recommended setting, a surprise. */
import type { AnyModel } from "@anywidget/types";
import { h, show } from "../base/dom";

export interface Steps {
  can_undo: boolean;
  can_redo: boolean;
}

/** Buttons that move the selection: what each sends, its face, and what it does. */
const STEPS = [
  ["undo", "↶", "Undo: go back to the selection before (Ctrl-Z)"],
  ["redo", "↷", "Redo (Ctrl-Shift-Z)"],
  ["recommended", "★", "Recommended setting of this concept"],
  ["surprise", "Surprise", "Recommended setting of another concept"],
] as const;
const TYPED = "textarea, input:not([type=range], [type=radio], [type=checkbox], [type=button])";

/** What a key does to the selection: Ctrl or Cmd with Z, Shift-Z or Y. */
export function stepOf(event: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "shiftKey" | "altKey">): string {
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return "";
  const key = event.key.toLowerCase();
  if (key === "z") return event.shiftKey ? "redo" : "undo";
  return key === "y" && !event.shiftKey ? "redo" : "";
}

/** Undo, redo, the recommended setting and a surprise; keys work anywhere in the lab but where text is typed. */
export function steps(
  model: AnyModel<Steps>,
  root: HTMLElement,
): { element: HTMLElement; draw: () => void; stop: () => void } {
  const made = STEPS.map(([kind, face, does]) => {
    const button = h("button", { type: "button", "data-testid": kind, title: does, "aria-label": does }, face);
    button.addEventListener("click", () => model.send({ kind }));
    return button;
  });
  const element = h("div", { class: "mp-parts", role: "group", "aria-label": "selection" }, ...made);
  const press = (event: KeyboardEvent) => {
    const kind = stepOf(event);
    const at = event.target;
    if (model.widget_manager === null || kind === "") return;
    if (!(at instanceof HTMLElement) || !root.closest(".mp-lab")?.contains(at)) return;
    if (at.isContentEditable || at.matches(TYPED)) return;
    event.preventDefault();
    event.stopPropagation();
    model.send({ kind });
  };
  document.addEventListener("keydown", press, true);
  const draw = () => {
    show(element, model.widget_manager !== null);
    // Not `disabled`, which would lose the focus of a person who presses it again and again.
    made[0]?.setAttribute("aria-disabled", String(!model.get("can_undo")));
    made[1]?.setAttribute("aria-disabled", String(!model.get("can_redo")));
  };
  return { element, draw, stop: () => document.removeEventListener("keydown", press, true) };
}
