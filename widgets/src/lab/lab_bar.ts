/** The frame of the lab: its title and tools above, its tabs below, the code in the place of the map, and the keys. */
import type { AnyModel, RenderProps } from "@anywidget/types";
import base from "../base/base.css";
import { h, show, uniqueId, widgetRoot } from "../base/dom";
import { withKernelNote } from "../base/kernel";
import { popover } from "../base/popover";
import { toClipboard } from "../heatmap/copying";
import { act, keyOf, sheet } from "./keys";
import frame from "./lab.css";
import css from "./lab_bar.css";
import { Tabs } from "./tabs";

export interface Traits {
  title: string;
  step: string;
  /** Label of the button that goes on with what was stopped; empty without any. */
  resume: string;
  status: string;
  progress: number;
  /** Time that the work still takes, in words. */
  left: string;
  message: string;
  parts: [string, string][];
  tab: string;
  code: string;
  /** What a command of the menu wrote. */
  shared: string;
  can_undo: boolean;
  can_redo: boolean;
  /** The line of Python that restores the selection. */
  selection_code: string;
}

const REPORT = 'mp.report(lab.grid, "report.html")';

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

/** The buttons of the bar: one stop of the Tab key, arrow keys between them. */
function toolbar(...buttons: HTMLElement[]): HTMLElement {
  const element = h("div", { class: "mp-tools", role: "toolbar", "aria-label": "tools of the lab" }, ...buttons);
  const stops = () =>
    [...element.querySelectorAll<HTMLElement>(":scope > button:not(:disabled), :scope > details > summary")].filter(
      (one) => !one.hidden,
    );
  const settle = (chosen: HTMLElement | undefined) => {
    for (const one of element.querySelectorAll<HTMLElement>(":scope > button, :scope > details > summary")) {
      one.tabIndex = one === chosen ? 0 : -1;
    }
  };
  element.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const all = stops();
    const at = all.indexOf(event.target as HTMLElement);
    if (by === undefined || at < 0) return;
    const to = all[(at + by + all.length) % all.length];
    settle(to);
    to?.focus();
    event.preventDefault();
  });
  settle(buttons.at(-1));
  return element;
}

function share(model: AnyModel<Traits>, signal: AbortSignal): HTMLElement {
  const said = h("p", { class: "mp-note", role: "status", "data-testid": "shared" });
  const item = (testId: string, label: string, run: () => unknown) => {
    const button = h("button", { type: "button", "data-testid": testId }, label);
    button.addEventListener("click", run);
    return button;
  };
  const copy = async (text: string) => {
    said.textContent = (await toClipboard(text)) ? `copied: ${text}` : `copy this line: ${text}`;
  };
  const ask = (kind: string) => {
    said.textContent = "saving …";
    model.send({ kind });
  };
  const lines = [item("share-line", "Copy this setting as Python", () => copy(model.get("selection_code")))];
  lines.push(item("share-report", "Copy the line of a report", () => copy(REPORT)));
  const files = [item("share-page", "Save as a page (HTML)", () => ask("page"))];
  files.push(item("share-csv", "Save the map's numbers (CSV)", () => ask("csv")));
  const draw = () => {
    said.textContent = model.get("message") === "" ? model.get("shared") : "";
    show(lines[0] as HTMLElement, model.get("selection_code") !== "");
    for (const file of files) show(file, model.widget_manager !== null);
  };
  for (const name of ["shared", "message", "selection_code"] as const) {
    model.on(`change:${name}`, draw);
    signal.addEventListener("abort", () => model.off(`change:${name}`, draw));
  }
  draw();
  return popover("share", "Share", signal, ...lines, ...files, said);
}

function render({ model, el }: RenderProps<Traits>): () => void {
  const own = new AbortController();
  const { signal } = own;
  const root = widgetRoot(base + css + frame, "bar", "mllm_probe");
  const title = h("code");
  const step = h("span", { class: "mp-step", role: "status", "data-testid": "lab-status" });
  const button = (testId: string, text: string, label: string, run: () => void) => {
    const made = h("button", { type: "button", "data-testid": testId, title: label, "aria-label": label }, text);
    made.addEventListener("click", run);
    return made;
  };
  const resume = button("lab-resume", "Resume", "go on with what was stopped", () => model.send({ kind: "resume" }));
  const undo = button("undo", "↶", "undo (Ctrl-Z)", () => model.send({ kind: "undo" }));
  const redo = button("redo", "↷", "redo (Ctrl-Shift-Z)", () => model.send({ kind: "redo" }));
  const keys = sheet();
  const help = button("help", "?", "keys of the lab", () => keys.showModal());
  const error = h("p", { class: "mp-error", role: "alert" });
  const tabs = new Tabs(model);
  const code = listing(uniqueId("code"));
  const tools = toolbar(undo, redo, share(model, signal), help);
  const head = h("div", { class: "mp-lab-head" }, h("b", {}, "mllm_probe"), title, error, step, resume, tools);
  root.append(head, tabs.element, code.element, keys);
  el.append(root);
  const onKey = (event: KeyboardEvent) => {
    const lab = root.closest(".mp-lab");
    if (!lab || !(event.target instanceof Element) || event.target.closest(".mp-lab") !== lab || keys.open) return;
    const key = keyOf(event);
    if (!key || !act(key, lab)) return;
    event.preventDefault();
    event.stopPropagation();
  };
  document.addEventListener("keydown", onKey, { capture: true, signal });
  const draw = () => {
    title.textContent = model.get("title");
    title.title = model.get("title");
    step.textContent = model.get("step");
    resume.textContent = model.get("resume") || "Resume";
    const alive = model.widget_manager !== null;
    show(resume, model.get("resume") !== "" && alive);
    undo.disabled = !model.get("can_undo") || !alive;
    redo.disabled = !model.get("can_redo") || !alive;
    error.textContent = model.get("message");
    error.title = model.get("message");
    show(error, model.get("message") !== "");
    root.dataset.tab = model.get("tab");
    tabs.draw();
    code.text.textContent = model.get("code") || "# nothing is on the screen yet";
  };
  const names = [
    ...(["title", "step", "resume", "status", "progress", "left", "message", "tab", "code", "parts"] as const),
    ...(["can_undo", "can_redo"] as const),
  ];
  for (const name of names) {
    model.on(`change:${name}`, draw);
    signal.addEventListener("abort", () => model.off(`change:${name}`, draw));
  }
  draw();
  return () => own.abort();
}

export default { render: withKernelNote(render) };
