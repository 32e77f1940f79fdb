/** Colours of the host page for canvases, and a call back whenever the host changes its theme. */
import palette from "../../../mllm_probe/plots/palette.json";

export type Rgb = readonly [number, number, number];

export interface Theme {
  dark: boolean;
  paper: string;
  ink: string;
  soft: string;
  faint: string;
  line: string;
  brand: string;
  warn: string;
  font: string;
  zero: Rgb;
  positive: Rgb;
  negative: Rgb;
  /** Colours of scores from 0 to 1, in equal steps. */
  scale: readonly Rgb[];
}

/** Parts, 0 … 255, of a colour like `#1f6feb`. */
export function hexRgb(colour: string): Rgb {
  const part = (at: number) => Number.parseInt(colour.slice(at, at + 2), 16);
  return [part(1), part(3), part(5)];
}

/** Ends of the scale keep their order of lightness for the common kinds of colour blindness (orange against blue). */
const scaleOf = ({ zero, positive, negative }: typeof palette.light, stops: string[]) => ({
  zero: hexRgb(zero),
  positive: hexRgb(positive),
  negative: hexRgb(negative),
  scale: stops.map(hexRgb),
});
const LIGHT = scaleOf(palette.light, palette.sequential.light);
const DARK = scaleOf(palette.dark, palette.sequential.dark);

const CONTROLS: Record<string, { label: string; meaning?: string; light: string; dark: string }> = palette.controls;

/** Words for a kind of control: "random directions". */
export const controlLabel = (kind: string): string => CONTROLS[kind]?.label ?? kind.replaceAll("_", " ");

/** The same with what it means, where the label does not say it: "on-manifold directions (in which activations differ)". */
export function controlInWords(kind: string): string {
  const meaning = CONTROLS[kind]?.meaning;
  return meaning ? `${controlLabel(kind)} (${meaning})` : controlLabel(kind);
}

/** Colour of a kind of control; one without a colour of its own takes that of random directions. */
export const controlColour = (kind: string, dark: boolean): string =>
  (CONTROLS[kind] ?? palette.controls.random)[dark ? "dark" : "light"];

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
    paper: colour("--mp-bg"),
    ink: colour("--mp-ink"),
    soft: colour("--mp-soft"),
    faint: colour("--mp-faint"),
    line: colour("--mp-line"),
    brand: colour("--mp-brand"),
    warn: colour("--mp-warn"),
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
  return mixed(theme.zero, end, Math.abs(share));
}

function mixed(start: Rgb, end: Rgb, share: number): Rgb {
  const mix = (i: 0 | 1 | 2) => Math.round(start[i] + (end[i] - start[i]) * share);
  return [mix(0), mix(1), mix(2)];
}

/** Colour of a score in 0 … 1. */
export function sequential(score: number, { scale, zero }: Theme): Rgb {
  const place = Math.max(0, Math.min(1, score)) * (scale.length - 1);
  const below = Math.max(0, Math.min(Math.floor(place), scale.length - 2));
  return mixed(scale[below] ?? zero, scale[below + 1] ?? zero, place - below);
}

export const rgb = (colour: Rgb): string => `rgb(${colour[0]},${colour[1]},${colour[2]})`;
