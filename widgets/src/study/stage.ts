/** A painted chart that can be pointed at: hover and arrow keys read it, a click and Enter select. */
import { h, uniqueId } from "../base/dom";
import { svg } from "../base/svg";
import type { Painted, Target } from "./chart_data";

/** Pixels within which a place is meant. */
const NEAR = 26;
const STEPS: Record<string, [rows: number, columns: number]> = {
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
};

/** The target that is nearest to a point, of those that are near enough. */
export function nearest(targets: readonly Target[], x: number, y: number, near = NEAR): Target | null {
  let found: Target | null = null;
  let least = near;
  for (const target of targets) {
    const distance = Math.hypot(target.x - x, target.y - y);
    if (distance < least) [found, least] = [target, distance];
  }
  return found;
}

/** Where an arrow key goes from a target: along its line, or to the nearest place of the next line that has any. */
export function stepped(targets: readonly Target[], from: Target | null, key: string): Target | null {
  const step = STEPS[key];
  if (!step || !from) return from ?? targets[0] ?? null;
  const [rows, columns] = step;
  const beyond = targets.filter((one) =>
    rows
      ? Math.sign(one.row - from.row) === rows
      : one.row === from.row && Math.sign(one.column - from.column) === columns,
  );
  const away = (one: Target) => Math.abs(one.row - from.row) * 1e6 + Math.abs(one.column - from.column);
  return beyond.reduce((best, one) => (away(one) < away(best) ? one : best), beyond[0] ?? from);
}

export class Stage {
  readonly element: HTMLElement;
  readonly readout: HTMLElement;
  private readonly place = h("div", { class: "mp-stage" });
  private readonly mark = svg("circle", { class: "mp-cursor", r: 7 });
  private targets: Target[] = [];
  private cursor: Target | null = null;

  constructor(
    testId: string,
    private readonly hint: string,
    private readonly choose: (target: Target) => void,
  ) {
    const id = uniqueId("readout");
    this.readout = h("p", { class: "mp-readout", id, role: "status", "data-testid": `${testId}-readout` }, hint);
    Object.entries({ tabindex: "0", role: "application", "aria-describedby": id, "data-testid": testId }).forEach(
      ([name, value]) => {
        this.place.setAttribute(name, value);
      },
    );
    this.element = h("div", {}, this.place, this.readout);
    this.place.addEventListener("pointermove", (event) => this.point(this.under(event)));
    this.place.addEventListener("pointerleave", () => this.point(null));
    this.place.addEventListener("click", (event) => this.take(this.under(event)));
    this.place.addEventListener("keydown", (event) => this.press(event));
    this.place.addEventListener("blur", () => this.point(null));
  }

  /** Show a chart; the place that was pointed at stays where it is the same. */
  show(painted: Painted, label: string): void {
    const before = this.cursor;
    this.targets = painted.targets;
    painted.element.setAttribute("aria-hidden", "true");
    painted.element.append(this.mark);
    this.place.replaceChildren(painted.element);
    this.place.setAttribute("aria-label", `${label}. Arrow keys read it, Enter selects.`);
    this.point(this.targets.find((one) => before && one.row === before.row && one.column === before.column) ?? null);
  }

  private under(event: MouseEvent): Target | null {
    const box = this.place.firstElementChild?.getBoundingClientRect();
    return box ? nearest(this.targets, event.clientX - box.left, event.clientY - box.top) : null;
  }

  private point(target: Target | null): void {
    this.cursor = target;
    this.mark.setAttribute("cx", String(target?.x ?? -20));
    this.mark.setAttribute("cy", String(target?.y ?? -20));
    const text = target?.text ?? this.hint;
    if (this.readout.textContent !== text) this.readout.textContent = text;
  }

  private take(target: Target | null): void {
    if (target) this.choose(target);
  }

  private press(event: KeyboardEvent): void {
    if (event.key in STEPS) {
      event.preventDefault();
      this.point(stepped(this.targets, this.cursor, event.key));
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.take(this.cursor);
    } else if (event.key === "Escape") this.point(null);
  }
}
