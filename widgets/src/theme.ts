/** Colours of the host page for canvases, and a call back whenever the host changes its theme. */

export type Rgb = readonly [number, number, number];

export interface Theme {
  dark: boolean;
  ink: string;
  soft: string;
  faint: string;
  line: string;
  brand: string;
  font: string;
  zero: Rgb;
  positive: Rgb;
  negative: Rgb;
}

/** Both ends keep their order of lightness for the common kinds of colour blindness (orange against blue). */
const LIGHT = { zero: [247, 248, 249], positive: [178, 73, 10], negative: [31, 95, 180] } as const;
const DARK = { zero: [34, 39, 46], positive: [255, 166, 87], negative: [88, 166, 255] } as const;

/** Relative luminance, 0 … 1, of an `rgb(…)` colour; 1 where there is none (transparent). */
export function luminance(colour: string): number {
  const parts = colour.match(/[\d.]+/g)?.map(Number) ?? [];
  if (parts.length < 3 || parts[3] === 0) return 1;
  const [red = 0, green = 0, blue = 0] = parts.slice(0, 3).map((c) => (c / 255) ** 2.2);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Read the theme as it is resolved on a widget's root. */
export function readTheme(root: HTMLElement): Theme {
  const style = getComputedStyle(root);
  const dark = luminance(style.backgroundColor) < 0.25;
  const colour = (name: string) => style.getPropertyValue(name).trim() || style.color;
  return {
    dark,
    ink: colour("--mp-ink"),
    soft: colour("--mp-soft"),
    faint: colour("--mp-faint"),
    line: colour("--mp-line"),
    brand: colour("--mp-brand"),
    font: style.fontFamily,
    ...(dark ? DARK : LIGHT),
  };
}

/** Call `redraw` when the notebook or the system changes its theme; returns the way to stop. */
export function onThemeChange(redraw: () => void): () => void {
  const later = () => setTimeout(redraw, 30);
  const observer = new MutationObserver(later);
  const attributeFilter = ["data-jp-theme-name", "data-jp-theme-light", "data-vscode-theme-id", "data-theme", "class"];
  observer.observe(document.body, { attributes: true, attributeFilter });
  observer.observe(document.documentElement, { attributes: true, attributeFilter });
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", later);
  return () => {
    observer.disconnect();
    system.removeEventListener("change", later);
  };
}

/** Colour of `value` on the diverging scale −limit … limit, centred on 0 (the control). */
export function diverging(value: number, limit: number, theme: Theme): Rgb {
  const share = limit > 0 ? Math.max(-1, Math.min(1, value / limit)) : 0;
  const end = share > 0 ? theme.positive : theme.negative;
  const mix = (i: 0 | 1 | 2) => Math.round(theme.zero[i] + (end[i] - theme.zero[i]) * Math.abs(share));
  return [mix(0), mix(1), mix(2)];
}

export const rgb = (colour: Rgb): string => `rgb(${colour[0]},${colour[1]},${colour[2]})`;
