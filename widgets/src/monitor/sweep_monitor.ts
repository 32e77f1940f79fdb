/** SweepMonitor: how far a sweep is, how fast it goes, what it holds, and the buttons that pause, resume and stop it. */
import type { RenderProps } from "@anywidget/types";
import base from "../base/base.css";
import { h, show, widgetRoot } from "../base/dom";
import { withKernelNote } from "../base/kernel";
import { facts, heading, type State, WORKER_HEADINGS, workerRows } from "./facts";
import css from "./monitor.css";

const STATE: (keyof State)[] = [
  ...(["status", "message", "note", "done", "total", "progress", "rate"] as const),
  ...(["seconds", "seconds_left", "memory", "memory_free", "controllable", "resumable", "workers"] as const),
];

function render({ model, el, signal }: RenderProps<State>): () => void {
  const root = widgetRoot(base + css, "monitor", "Sweep");
  const status = h("span", { class: "mp-state", role: "status", "data-testid": "monitor-status" });
  const button = (kind: string, label: string) => {
    const made = h("button", { type: "button", "data-testid": `monitor-${kind}` }, label);
    made.addEventListener("click", () => model.send({ kind }));
    return made;
  };
  const [pause, resume, stop] = [button("pause", "Pause"), button("resume", "Resume"), button("stop", "Stop")];
  const buttons = h("span", { class: "mp-buttons" }, pause, resume, stop);
  const fill = h("i");
  const bar = h("div", { class: "mp-progress", role: "progressbar", "aria-label": "progress of the sweep" }, fill);
  const list = h("dl", { class: "mp-facts" });
  const headings = h("tr", {}, ...WORKER_HEADINGS.map((name) => h("th", { scope: "col" }, name)));
  const rows = h("tbody");
  const workers = h("table", { class: "mp-workers", "data-testid": "monitor-workers" }, h("thead", {}, headings), rows);
  const note = h("p", { class: "mp-monitor-note", "data-testid": "monitor-note" });
  const error = h("p", { class: "mp-error", role: "alert", "data-testid": "monitor-error" });
  const head = h("div", { class: "mp-head" }, h("h3", {}, "Sweep"), status, buttons);
  root.append(head, bar, list, workers, note, error);
  el.append(root);

  const draw = () => {
    const state = Object.fromEntries(STATE.map((name) => [name, model.get(name)])) as unknown as State;
    root.dataset.status = state.status;
    if (status.textContent !== heading(state)) status.textContent = heading(state);
    const share = Math.round(state.progress * 1000) / 10;
    fill.style.transform = `scaleX(${share / 100})`;
    bar.setAttribute("aria-valuenow", String(share));
    list.replaceChildren(
      ...facts(state).map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", { "data-fact": name }, text))),
    );
    rows.replaceChildren(
      ...workerRows(state.workers).map((cells) => h("tr", {}, ...cells.map((text) => h("td", {}, text)))),
    );
    show(workers, state.workers.length > 0);
    note.textContent = state.note;
    show(note, state.note !== "");
    error.textContent = state.message;
    show(error, state.message !== "");
    const held = [pause, resume, stop].find((one) => one === document.activeElement);
    const running = state.status === "running";
    show(buttons, state.controllable || state.resumable);
    show(pause, running);
    show(resume, !running);
    show(stop, state.controllable);
    // The button in hand gives way to its opposite, Stop to Resume; the focus stays in its place. A hidden button keeps it until the next frame.
    if (held?.hidden) (running ? pause : resume).focus();
  };
  let pending = 0;
  const later = () => {
    pending ||= requestAnimationFrame(() => {
      pending = 0;
      draw();
    });
  };
  for (const name of STATE) model.on(`change:${name}`, later);
  draw();
  const leave = () => {
    cancelAnimationFrame(pending);
    for (const name of STATE) model.off(`change:${name}`, later);
  };
  signal?.addEventListener("abort", leave);
  return leave;
}

export default { render: withKernelNote(render) };
