/** The controls of the panel: labelled inputs that know how to show a value and say when a person moved them. */
import { h, uniqueId } from "../base/dom";
import { dose, words } from "../base/numbers";

export interface Option {
  value: string;
  label: string;
  group?: string;
  /** Grey, and chosen as every other. */
  unfit?: boolean;
}

/** A label above a control, with a place for the current value in bold. */
export function labelled(text: string, control: HTMLElement): { element: HTMLElement; value: HTMLElement } {
  control.id ||= uniqueId("control");
  const value = h("b");
  const label = h("label", { class: "mp-label", for: control.id }, text, " ", value);
  return { element: h("div", {}, label, control), value };
}

/** Fill a select; options that name a group are gathered under it. */
export function fillSelect(select: HTMLSelectElement, options: Option[], value: string): void {
  const groups = new Map<string, HTMLOptGroupElement>();
  const nodes: HTMLElement[] = [];
  for (const option of options) {
    const node = h("option", { value: option.value, class: option.unfit && "mp-unfit" }, option.label);
    if (!option.group) {
      nodes.push(node);
      continue;
    }
    const group = groups.get(option.group) ?? h("optgroup", { label: words(option.group) });
    if (!groups.has(option.group)) nodes.push(group);
    groups.set(option.group, group);
    group.append(node);
  }
  select.replaceChildren(...nodes);
  select.value = value;
}

/** A row of choices of which one holds: native radio buttons in a fieldset. */
export function segments(testId: string, label: string, options: Option[], pick: (value: string) => void): HTMLElement {
  const name = uniqueId(testId);
  const items = options.map((option) => {
    const input = h("input", { type: "radio", name, value: option.value });
    input.addEventListener("change", () => pick(option.value));
    return h("label", {}, input, option.label);
  });
  return h("fieldset", { class: "mp-seg", "data-testid": testId, "aria-label": label }, ...items);
}

export function setSegment(fieldset: HTMLElement, value: string): void {
  for (const input of fieldset.querySelectorAll("input")) input.checked = input.value === value;
}

/** Tick labels below a range, as many as fit. */
export function ticks(low: number, high: number, step: number): HTMLElement {
  const row = h("div", { class: "mp-ticks", "aria-hidden": "true" });
  for (let value = low; value <= high + 1e-9; value += step) {
    const tick = h("span", {}, dose(value));
    tick.style.left = `${(100 * (value - low)) / Math.max(1e-9, high - low)}%`;
    row.append(tick);
  }
  return row;
}

/** Where a value stands on a range, as a CSS length from the left: both ends sit at the middle of the handle. */
export function place(range: HTMLInputElement, value: number): string {
  const [low, high] = [Number(range.min), Number(range.max)];
  const share = Math.max(0, Math.min(1, (value - low) / Math.max(1e-9, high - low)));
  return `calc(${(100 * share).toFixed(2)}% + ${(8 - 16 * share).toFixed(2)}px)`;
}

/** Colour the part of a range's track between two values. */
export function fillTrack(range: HTMLInputElement, from: number, to: number): void {
  range.style.setProperty("--from", place(range, Math.min(from, to)));
  range.style.setProperty("--to", place(range, Math.max(from, to)));
}
