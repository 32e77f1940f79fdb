/** The bar above the lab: which model this is, and what is being computed in the background. */
import type { RenderProps } from "@anywidget/types";
import css from "./bar.css";
import base from "./base.css";
import { h, show, widgetRoot } from "./dom";
import { withKernelNote } from "./kernel";

interface Traits {
  title: string;
  step: string;
  status: string;
  progress: number;
  message: string;
}

function render({ model, el }: RenderProps<Traits>): () => void {
  const root = widgetRoot(base + css, "bar", "mllm_probe");
  const title = h("code");
  const step = h("span", { class: "mp-step", role: "status", "data-testid": "lab-status" });
  const fill = h("i");
  const bar = h("div", { class: "mp-progress", role: "progressbar", "aria-label": "progress" }, fill);
  const error = h("p", { class: "mp-error", role: "alert" });
  root.append(h("b", {}, "mllm_probe"), title, step, bar, error);
  el.append(root);
  const draw = () => {
    title.textContent = model.get("title");
    step.textContent = model.get("step");
    const progress = Math.round(model.get("progress") * 100);
    fill.style.width = `${progress}%`;
    bar.setAttribute("aria-valuenow", String(progress));
    show(bar, model.get("status") === "running");
    error.textContent = model.get("message");
    show(error, model.get("message") !== "");
  };
  const names = ["title", "step", "status", "progress", "message"].map((name) => `change:${name}`);
  for (const name of names) model.on(name, draw);
  draw();
  return () => {
    for (const name of names) model.off(name as `change:${string}`, draw);
  };
}

export default { render: withKernelNote(render) };
