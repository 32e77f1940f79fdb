/** The bar above the lab: which model this is, what is being computed, and what can be opened below. */
import type { AnyModel, RenderProps } from "@anywidget/types";
import base from "../base/base.css";
import { h, show, uniqueId, widgetRoot } from "../base/dom";
import { withKernelNote } from "../base/kernel";
import { toClipboard } from "../heatmap/copying";
import css from "./lab_bar.css";
import { type Steps, steps } from "./steps";
import sweep from "./sweep.css";

interface Traits extends Steps {
  title: string;
  step: string;
  /** Label of the button that goes on with what was stopped; empty without any. */
  resume: string;
  status: string;
  progress: number;
  message: string;
  parts: [string, string][];
  opened: string[];
  code: string;
}

const CODE = "code";
const SWEEP = "sweep";
/** Where each part appears in the lab. */
const PLACES: Record<string, string> = {
  patches: ".mp-patches",
  tokens: ".mp-tokens",
  pairs: ".mp-gallery",
  studies: ".mp-study",
  sweep: ".mp-monitor",
  code: ".mp-code",
};
/** Milliseconds in which a part that was opened is expected; later the person is elsewhere. */
const SOON = 10_000;
/** Milliseconds in which it is kept in view while the lab around it still grows. */
const GROWING = 3000;
const MOVES = ["wheel", "touchmove", "pointerdown", "keydown"] as const;

/** Brings a part that was just opened into view, and the focus to it, as soon as it is there. */
class Revealer {
  private stops: (() => void)[] = [];

  /** `button` opened the part called `name`, somewhere in the same lab as `root`. */
  reveal(name: string, root: HTMLElement, button: HTMLElement): void {
    this.stop();
    const lab = root.closest<HTMLElement>(".mp-lab") ?? root;
    const look = () => {
      const part = lab.querySelector<HTMLElement>(PLACES[name] ?? "");
      if (part?.checkVisibility() && part.offsetHeight > 0) this.show(part, lab, button);
    };
    const waiting = new MutationObserver(look);
    waiting.observe(lab, { subtree: true, childList: true, attributes: true, attributeFilter: ["class", "style"] });
    this.stops.push(() => waiting.disconnect());
    this.stopAfter(SOON);
    look();
  }

  private show(part: HTMLElement, lab: HTMLElement, button: HTMLElement): void {
    this.stop();
    if (part.tabIndex < 0) part.tabIndex = -1;
    const { activeElement } = document;
    if (activeElement === null || activeElement === button || activeElement === document.body) {
      part.focus({ preventScroll: true });
    }
    const growing = new ResizeObserver(() => part.scrollIntoView({ block: "nearest" }));
    growing.observe(lab);
    growing.observe(part);
    this.stops.push(() => growing.disconnect());
    const stop = () => this.stop();
    for (const kind of MOVES) addEventListener(kind, stop, { capture: true, passive: true });
    this.stops.push(() => {
      for (const kind of MOVES) removeEventListener(kind, stop, { capture: true });
    });
    this.stopAfter(GROWING);
    part.scrollIntoView({ block: "nearest" });
  }

  private stopAfter(time: number): void {
    const timer = setTimeout(() => this.stop(), time);
    this.stops.push(() => clearTimeout(timer));
  }

  stop(): void {
    for (const stop of this.stops.splice(0)) stop();
  }
}

/** A button for each part, pressed while the part is open; on a saved page only for what it holds. */
function buttons(
  model: AnyModel<Traits>,
  codeId: string,
  reveal: (name: string, button: HTMLElement) => void,
): { element: HTMLElement; draw: () => void } {
  const element = h("div", { class: "mp-parts", role: "group", "aria-label": "parts of the lab" });
  const made = new Map<string, HTMLButtonElement>();
  const toggle = (name: string, button: HTMLElement) => {
    const opened = model.get("opened");
    const folds = opened.includes(name);
    model.set("opened", folds ? opened.filter((other) => other !== name) : [...opened, name]);
    model.save_changes();
    if (!folds) reveal(name, button);
  };
  const make = (name: string, label: string) => {
    const button = h("button", { type: "button", "data-testid": `open-${name}` }, label);
    if (name === CODE) button.setAttribute("aria-controls", codeId);
    button.addEventListener("click", () => toggle(name, button));
    made.set(name, button);
    return button;
  };
  const saved = model.widget_manager === null;
  const draw = () => {
    // A part may come later; the buttons that are there stay, one of them may have the focus.
    const parts = model.get("parts").filter(([name]) => !saved || name === CODE);
    const wanted = parts.map(([name, label]) => made.get(name) ?? make(name, label));
    wanted.forEach((button, i) => {
      if (element.children[i] !== button) element.insertBefore(button, element.children[i] ?? null);
    });
    for (const [name, button] of made) button.setAttribute("aria-expanded", String(model.get("opened").includes(name)));
  };
  return { element, draw };
}

/** The Python of what is on the screen, with a button that copies it. */
function listing(id: string): { element: HTMLElement; text: HTMLElement } {
  const text = h("pre", { tabindex: 0, "data-testid": "lab-code", "aria-label": "Python of what is on the screen" });
  const said = h("span", { role: "status" });
  const copy = h("button", { type: "button", "data-testid": "copy-code" }, "Copy");
  copy.addEventListener("click", async () => {
    const done = await toClipboard(text.textContent ?? "");
    said.textContent = done ? "copied" : "Clipboard access is blocked. Select and copy the text instead.";
  });
  const head = h("div", {}, "Code for this view", copy, said);
  return { element: h("div", { class: "mp-code", id }, head, text), text };
}

function render({ model, el }: RenderProps<Traits>): () => void {
  const root = widgetRoot(base + css + sweep, "bar", "mllm_probe");
  const title = h("code");
  const step = h("span", { class: "mp-step", role: "status", "data-testid": "lab-status" });
  const resume = h("button", { type: "button", class: "mp-resume", "data-testid": "lab-resume" });
  resume.addEventListener("click", () => model.send({ kind: "resume" }));
  const fill = h("i");
  const bar = h("div", { class: "mp-progress", role: "progressbar", "aria-label": "progress" }, fill);
  const error = h("p", { class: "mp-error", role: "alert" });
  const codeId = uniqueId("code");
  const revealer = new Revealer();
  const parts = buttons(model, codeId, (name, button) => revealer.reveal(name, root, button));
  const code = listing(codeId);
  const selection = steps(model, root);
  root.append(
    h("b", {}, "mllm_probe"),
    title,
    selection.element,
    step,
    resume,
    bar,
    parts.element,
    error,
    code.element,
  );
  el.append(root);
  const draw = () => {
    title.textContent = model.get("title");
    step.textContent = model.get("step");
    resume.textContent = model.get("resume") || "Resume";
    show(resume, model.get("resume") !== "" && model.widget_manager !== null);
    const progress = Math.round(model.get("progress") * 100);
    fill.style.transform = `scaleX(${progress / 100})`;
    bar.setAttribute("aria-valuenow", String(progress));
    // The monitor, while it is open, has a line of its own.
    show(bar, model.get("status") === "running" && !model.get("opened").includes(SWEEP));
    error.textContent = model.get("message");
    show(error, model.get("message") !== "");
    parts.draw();
    selection.draw();
    show(code.element, model.get("opened").includes(CODE));
    code.text.textContent = model.get("code") || "# nothing is on the screen yet";
  };
  const names = ["title", "step", "resume", "status", "progress", "message", "opened", "code", "parts"]
    .concat("can_undo", "can_redo")
    .map((name) => `change:${name}`);
  for (const name of names) model.on(name, draw);
  draw();
  return () => {
    revealer.stop();
    selection.stop();
    for (const name of names) model.off(name as `change:${string}`, draw);
  };
}

export default { render: withKernelNote(render) };
