/** The tabs of the lab: which part takes the map's place. */
import type { AnyModel } from "@anywidget/types";
import { h } from "../base/dom";
import type { Traits } from "./lab_bar";

const ALWAYS = ["map", "study", "code"];

export class Tabs {
  readonly element = h("div", { class: "mp-tabs", role: "tablist", "aria-label": "parts of the lab" });
  private readonly made = new Map<string, HTMLButtonElement>();

  constructor(private readonly model: AnyModel<Traits>) {
    this.element.addEventListener("keydown", (event) => this.onKey(event));
  }

  private make(name: string, label: string): HTMLButtonElement {
    const tab = h("button", { type: "button", role: "tab", "data-testid": `tab-${name}`, "data-name": name }, label);
    tab.addEventListener("click", () => this.choose(name));
    this.made.set(name, tab);
    return tab;
  }

  private choose(name: string): void {
    this.model.set("tab", name);
    this.model.save_changes();
  }

  private onKey(event: KeyboardEvent): void {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const tabs = [...this.element.children] as HTMLElement[];
    const at = tabs.indexOf(event.target as HTMLElement);
    if (by === undefined || at < 0) return;
    event.preventDefault();
    const to = tabs[(at + by + tabs.length) % tabs.length];
    this.choose(to?.dataset.name ?? "");
    to?.focus();
  }

  /** The tabs that there are; a saved page has those that it holds. */
  draw(): void {
    const { model } = this;
    const chosen = model.get("tab");
    const saved = model.widget_manager === null;
    const parts = model.get("parts").filter(([name]) => !saved || name === chosen || ALWAYS.includes(name));
    // A part may come later; the tabs that are there stay, one of them may have the focus.
    const wanted = parts.map(([name, label]) => this.made.get(name) ?? this.make(name, label));
    wanted.forEach((tab, i) => {
      if (this.element.children[i] !== tab) this.element.insertBefore(tab, this.element.children[i] ?? null);
    });
    for (const [name, tab] of this.made) {
      tab.setAttribute("aria-selected", String(name === chosen));
      tab.tabIndex = name === chosen ? 0 : -1;
    }
    this.drawSweep(parts.find(([name]) => name === "sweep")?.[1] ?? "Sweep");
  }

  /** How far the work in the background is, and how long it still takes. */
  private drawSweep(label: string): void {
    const tab = this.made.get("sweep");
    if (!tab) return;
    const running = this.model.get("status") === "running";
    const percent = Math.round(100 * this.model.get("progress"));
    const left = this.model.get("left");
    const text = running ? [label, `${percent} %`, left].filter(Boolean).join(" · ") : label;
    if (tab.textContent !== text) tab.textContent = text;
    tab.style.setProperty("--done", running ? `${percent}%` : "0%");
  }
}
