/** What is rarely needed, behind one button: it opens over the page, and closes by Escape or a press elsewhere. */
import { h } from "./dom";

/** A button with this text that opens `content`; `signal` ends it. */
export function popover(
  testId: string,
  label: string | HTMLElement,
  signal: AbortSignal,
  ...content: (Node | string)[]
): HTMLDetailsElement {
  const summary = h("summary", { "data-testid": testId }, label);
  const pop = h("details", { class: "mp-pop" }, summary, h("div", { class: "mp-sheet" }, ...content));
  const close = () => {
    pop.open = false;
  };
  pop.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !pop.open) return;
    close();
    summary.focus();
    event.stopPropagation();
  });
  const outside = (event: Event) => {
    if (!event.composedPath().includes(pop)) close();
  };
  document.addEventListener("pointerdown", outside, { capture: true, signal });
  return pop;
}
