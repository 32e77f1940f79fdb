/** The scale of a projection: its colours, its ends and its unit. */
import { h } from "../base/dom";
import { fewest, plain, signed } from "../base/numbers";
import { diverging, type Rgb, rgb, type Theme } from "../base/theme";

/** Strongest shade over an image, as opacity, so that the image stays visible below it. */
export const STRONGEST = 0.85;

/** Colour and opacity of a value over an image: the hue of its sign, the more opaque the further from 0. */
export function shade(value: number, limit: number, theme: Theme): { colour: Rgb; alpha: number } {
  const share = limit > 0 ? Math.min(1, Math.abs(value) / limit) : 0;
  return { colour: value < 0 ? theme.negative : theme.positive, alpha: share * STRONGEST };
}

/** Black or white, whichever reads better on a colour. */
export function inkOn([red, green, blue]: Rgb): string {
  const bright = 0.2126 * (red / 255) ** 2.2 + 0.7152 * (green / 255) ** 2.2 + 0.0722 * (blue / 255) ** 2.2;
  return bright > 0.22 ? "#111" : "#fff";
}

export class Legend {
  private readonly bar = h("i");
  private readonly low = h("span");
  private readonly middle = h("span", {}, "0");
  private readonly high = h("span");
  readonly element = h("div", { class: "mp-legend", role: "img" }, this.bar, this.low, this.middle, this.high);

  show(limit: number, unit: string, theme: Theme, over: "picture" | "page"): void {
    const digits = fewest(limit);
    const stops = [-1, -0.5, 0, 0.5, 1].map((share) => {
      if (over === "page") return rgb(diverging(share, 1, theme));
      const { colour, alpha } = shade(share, 1, theme);
      return `rgba(${colour.join(",")},${alpha})`;
    });
    this.bar.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
    this.low.textContent = plain(-limit, digits);
    this.high.textContent = `${signed(limit, digits)} ${unit}`;
    this.element.setAttribute("aria-label", `colours from ${plain(-limit, digits)} to ${this.high.textContent}`);
  }
}
