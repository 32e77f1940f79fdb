/** The bar above the lab: which model this is, what is being computed, and what can be opened below. */
import type { AnyModel, RenderProps } from "@anywidget/types";
import sweep from "./bar/sweep.css";
import css from "./bar.css";
import base from "./base.css";
import { h, show, uniqueId, widgetRoot } from "./dom";
import { withKernelNote } from "./kernel";
import { toClipboard } from "./map/copying";

interface Traits {
  title: string;
  step: string;
  status: string;
  progress: number;
  message: string;
  parts: [string, string][];
  opened: string[];
  code: string;
}

const CODE = "code";
const SWEEP = "sweep";

/** A button for each part, pressed while the part is open; on a saved page only for what it holds. */
function buttons(model: AnyModel<Traits>, codeId: string): { element: HTMLElement; draw: () => void } {
  const element = h("div", { class: "mp-parts", role: "group", "aria-label": "open below" });
  const made = new Map<string, HTMLButtonElement>();
  const toggle = (name: string) => {
    const opened = model.get("opened");
    model.set("opened", opened.includes(name) ? opened.filter((other) => other !== name) : [...opened, name]);
    model.save_changes();
  };
  for (const [name, label] of model.get("parts")) {
    const button = h("button", { type: "button", "data-testid": `open-${name}` }, label);
    if (name === CODE) button.setAttribute("aria-controls", codeId);
    button.addEventListener("click", () => toggle(name));
    const saved = model.widget_manager === null;
    if (saved && name !== CODE) continue;
    made.set(name, button);
    element.append(button);
  }
  const draw = () => {
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
    said.textContent = done ? "copied" : "The page may not use the clipboard; select the text.";
  });
  const head = h("div", {}, "Python that makes what is on the screen", copy, said);
  return { element: h("div", { class: "mp-code", id }, head, text), text };
}

function render({ model, el }: RenderProps<Traits>): () => void {
  const root = widgetRoot(base + css + sweep, "bar", "mllm_probe");
  const title = h("code");
  const step = h("span", { class: "mp-step", role: "status", "data-testid": "lab-status" });
  const fill = h("i");
  const bar = h("div", { class: "mp-progress", role: "progressbar", "aria-label": "progress" }, fill);
  const error = h("p", { class: "mp-error", role: "alert" });
  const codeId = uniqueId("code");
  const parts = buttons(model, codeId);
  const code = listing(codeId);
  root.append(h("b", {}, "mllm_probe"), title, step, bar, parts.element, error, code.element);
  el.append(root);
  const draw = () => {
    title.textContent = model.get("title");
    step.textContent = model.get("step");
    const progress = Math.round(model.get("progress") * 100);
    fill.style.transform = `scaleX(${progress / 100})`;
    bar.setAttribute("aria-valuenow", String(progress));
    // The monitor, while it is open, has a line of its own.
    show(bar, model.get("status") === "running" && !model.get("opened").includes(SWEEP));
    error.textContent = model.get("message");
    show(error, model.get("message") !== "");
    parts.draw();
    show(code.element, model.get("opened").includes(CODE));
    code.text.textContent = model.get("code") || "# nothing is on the screen yet";
  };
  const names = ["title", "step", "status", "progress", "message", "opened", "code"].map((name) => `change:${name}`);
  for (const name of names) model.on(name, draw);
  draw();
  return () => {
    for (const name of names) model.off(name as `change:${string}`, draw);
  };
}

export default { render: withKernelNote(render) };
