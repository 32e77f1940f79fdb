/** A painted chart that can be pointed at: hover and arrow keys read it, a click and Enter select. */
import { html, render } from "lit-html";
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
  /** Where the chart and its readout stand. */
  readonly element = h("div");
  private readonly id = uniqueId("readout");
  private readonly mark = svg("circle", { class: "mp-cursor", r: 7 });
  private painted: Painted | null = null;
  private label = "";
  private cursor: Target | null = null;

  constructor(
    private readonly testId: string,
    private readonly hint: string,
    private readonly choose: (target: Target) => void,
  ) {}

  /** Show a chart; the place that was pointed at stays where it is the same. */
  show(painted: Painted, label: string): HTMLElement {
    const before = this.cursor;
    this.painted = painted;
    this.label = `${label}. Arrow keys read it, Enter selects.`;
    painted.element.setAttribute("aria-hidden", "true");
    painted.element.append(this.mark);
    this.point(painted.targets.find((one) => one.row === before?.row && one.column === before.column) ?? null);
    return this.element;
  }

  private under(event: MouseEvent): Target | null {
    const box = this.painted?.element.getBoundingClientRect();
    return box ? nearest(this.painted?.targets ?? [], event.clientX - box.left, event.clientY - box.top) : null;
  }

  private point = (target: Target | null): void => {
    this.cursor = target;
    this.mark.setAttribute("cx", String(target?.x ?? -20));
    this.mark.setAttribute("cy", String(target?.y ?? -20));
    render(
      html`<div class="mp-stage" tabindex="0" role="application" data-testid=${this.testId}
          aria-label=${this.label} aria-describedby=${this.id}
          @pointermove=${(event: PointerEvent) => this.point(this.under(event))} @pointerleave=${() => this.point(null)}
          @click=${(event: MouseEvent) => this.take(this.under(event))}
          @keydown=${this.press} @blur=${() => this.point(null)}>${this.painted?.element}</div>
        <p class="mp-readout" role="status" id=${this.id}
          data-testid="${this.testId}-readout">${target?.text ?? this.hint}</p>`,
      this.element,
    );
  };

  private take(target: Target | null): void {
    if (target) this.choose(target);
  }

  private press = (event: KeyboardEvent): void => {
    if (event.key in STEPS) {
      event.preventDefault();
      this.point(stepped(this.painted?.targets ?? [], this.cursor, event.key));
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.take(this.cursor);
    } else if (event.key === "Escape") this.point(null);
  };
}
