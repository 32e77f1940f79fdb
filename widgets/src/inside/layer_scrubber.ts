/** A slider over layers that plays: everything it shows is here already, so that it moves without the kernel. */
import { h } from "../base/dom";
import { layerName } from "../base/numbers";
import { fillTrack, labelled } from "../panel/controls";

/** Milliseconds that a layer stays while the layers play. */
const STAY = 320;

/** The layer after `index` of `count`, from the last back to the first. */
export const following = (index: number, count: number): number => (count > 0 ? (index + 1) % count : 0);

/** Which layer plays after `passed` milliseconds from a start at `index`. */
export const playing = (index: number, count: number, passed: number): number =>
  count > 0 ? (index + Math.floor(passed / STAY)) % count : 0;

export interface Moves {
  /** Show a layer on the screen, in every frame that needs it. */
  draw: (index: number) => void;
  /** A person has settled on a layer. */
  settle: (index: number) => void;
}

export class Scrubber {
  readonly element: HTMLElement;
  index = 0;
  private readonly range: HTMLInputElement;
  private readonly button: HTMLButtonElement;
  private readonly box: { element: HTMLElement; value: HTMLElement };
  private layers: number[] = [];
  private frame = 0;
  private readonly still = matchMedia("(prefers-reduced-motion: reduce)");

  constructor(
    testId: string,
    private readonly moves: Moves,
  ) {
    this.range = h("input", { type: "range", min: 0, max: 0, step: 1, "data-testid": testId });
    this.button = h("button", { type: "button", "data-testid": `${testId}-play` });
    this.box = labelled("Layer", this.range);
    const label = this.box.element.firstElementChild as HTMLElement;
    this.element = h("div", { class: "mp-scrub" }, label, this.button, this.range);
    this.range.addEventListener("input", () => {
      this.halt();
      this.index = Number(this.range.value);
      this.show();
      moves.draw(this.index);
      moves.settle(this.index);
    });
    this.button.addEventListener("click", () => this.press());
    this.still.addEventListener("change", this.onMotion);
    this.show();
  }

  /** Take the layers there are and the one that is chosen; a play stops when another was chosen elsewhere. */
  fill(layers: number[], layer: number): void {
    this.layers = layers;
    this.range.max = String(Math.max(0, layers.length - 1));
    this.range.disabled = layers.length < 2;
    this.button.disabled = layers.length < 2;
    this.halt();
    this.index = Math.max(0, layers.indexOf(layer));
    this.show();
  }

  close(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.still.removeEventListener("change", this.onMotion);
  }

  /** Move by a number of layers, as a person would. */
  by(step: number): void {
    this.halt();
    this.index = Math.max(0, Math.min(this.layers.length - 1, this.index + step));
    this.show();
    this.moves.draw(this.index);
    this.moves.settle(this.index);
  }

  private readonly onMotion = () => {
    if (this.still.matches && this.frame) this.press();
    this.show();
  };

  /** Start or stop; where less motion is wanted, each press goes one layer on. */
  private press(): void {
    if (this.frame) {
      this.halt();
      this.moves.settle(this.index);
    } else if (this.still.matches) {
      this.index = following(this.index, this.layers.length);
      this.moves.draw(this.index);
      this.moves.settle(this.index);
    } else {
      const from = this.index;
      let start = 0;
      const step = (now: number) => {
        if (!this.element.isConnected) return this.halt();
        start ||= now;
        this.frame = requestAnimationFrame(step);
        const index = playing(from, this.layers.length, now - start);
        if (index === this.index) return;
        this.index = index;
        this.show();
        this.moves.draw(index);
      };
      this.frame = requestAnimationFrame(step);
    }
    this.show();
  }

  private halt(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
  }

  private show(): void {
    const layer = this.layers[this.index];
    this.range.value = String(this.index);
    this.range.setAttribute("aria-valuetext", `layer ${layerName(layer)}`);
    const last = this.layers.at(-1);
    this.box.value.textContent =
      layer === undefined ? "" : `${layerName(layer)} (${layerName(this.layers[0])}–${last})`;
    const on = this.frame !== 0;
    const label = on ? "Stop" : this.still.matches ? "Next layer" : "Play the layers";
    this.button.textContent = on ? "❚❚" : this.still.matches ? "▸|" : "▶";
    this.button.setAttribute("aria-label", label);
    this.button.title = label;
    this.button.setAttribute("aria-pressed", String(on));
    fillTrack(this.range, 0, 0);
  }
}
