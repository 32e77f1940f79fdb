/** The strength scrubber: a slider whose stops are the strengths that were run, named below it. */
import { h, show, uniqueId } from "../base/dom";
import { dose, strengthUnit } from "../base/numbers";

export class Scrubber {
  readonly element: HTMLElement;
  private readonly input = h("input", { type: "range", min: 0, step: 1, "data-testid": "heatmap-strength" });
  private readonly label = h("label", {});
  private readonly stops = h("div", { class: "mp-stops", "aria-hidden": true });
  private key = "";

  constructor(private readonly choose: (place: number) => void) {
    this.input.id = uniqueId("strength");
    this.label.htmlFor = this.input.id;
    this.element = h(
      "div",
      { class: "mp-scrubber" },
      this.label,
      h("div", { class: "mp-track" }, this.input, this.stops),
    );
    this.input.addEventListener("input", () => choose(Number(this.input.value)));
  }

  draw(strengths: number[], unit: string, current: number): void {
    const key = JSON.stringify([strengths, unit]);
    if (key !== this.key) this.fill(strengths, unit);
    this.key = key;
    show(this.element, strengths.length > 1);
    if (this.input.value !== String(current)) this.input.value = String(current);
    const said = `${dose(strengths[current] ?? 0)} ${strengthUnit(unit)}`;
    if (this.input.getAttribute("aria-valuetext") === said) return;
    this.input.setAttribute("aria-valuetext", said);
    this.stops.querySelectorAll("span").forEach((stop, i) => {
      stop.toggleAttribute("data-current", i === current);
    });
  }

  private fill(strengths: number[], unit: string): void {
    this.label.textContent = `strength ${strengthUnit(unit)}`;
    this.input.max = String(strengths.length - 1);
    this.input.removeAttribute("aria-valuetext");
    const places = Math.max(1, strengths.length - 1);
    const every = Math.ceil(strengths.length / 9);
    const stops = strengths.map((strength, i) => {
      const stop = h("span", { style: `left: ${(100 * i) / places}%` }, i % every ? "" : dose(strength));
      stop.addEventListener("click", () => this.choose(i));
      return stop;
    });
    this.stops.replaceChildren(...stops);
  }
}
