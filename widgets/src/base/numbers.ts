/** Numbers as people read them: signs that line up, few digits, always with their unit. */

const MINUS = "−";

/** Digits after the point for values up to `scale`: one for tens, two for ones and tenths, more below. */
export function digitsFor(scale: number): number {
  if (!(scale > 0) || scale >= 100) return scale >= 100 ? 0 : 1;
  if (scale > 2) return 1;
  return Math.min(5, 2 - Math.min(0, Math.floor(Math.log10(scale)) + 1));
}

/** As few digits as give a number of at most two figures exactly, for the ends of a scale. */
export function fewest(value: number): number {
  // Not from toString(), which has no decimals below 1e-6 and from 1e21 on, but an exponent.
  const [figures, power] = value.toExponential(1).split("e");
  return Math.max(0, (figures?.endsWith(".0") ? 0 : 1) - Number(power));
}

/** A number with a proper minus; NaN and infinities as a dash. */
export function plain(value: number, digits = 1): string {
  if (!Number.isFinite(value)) return "–";
  const text = Math.abs(value).toFixed(digits);
  return value < 0 && Number(text) !== 0 ? MINUS + text : text;
}

/** A difference: the sign is always shown, except for what rounds to zero. */
export function signed(value: number, digits = 1): string {
  const text = plain(value, digits);
  return value > 0 && Number(text) !== 0 ? `+${text}` : text;
}

/** A false discovery rate, "q = .013"; below .1 rounded up to three digits, so that .0501 does not seem to pass. */
export function qValue(q: number): string {
  if (!Number.isFinite(q)) return "q = –";
  if (q < 0.001) return "q < .001";
  // Of float32, .05 lies a little above .05.
  const text = q < 0.1 ? (Math.ceil(q * 1000 - 1e-3) / 1000).toFixed(3) : q.toFixed(2);
  return `q = ${text.replace(/^0/, "")}`;
}

/** A strength on a chip or tick: −2, ½, 1.25. */
export function dose(value: number): string {
  const size = Math.abs(value);
  const text = size === 0.5 ? "½" : size === 0.25 ? "¼" : String(Number(size.toFixed(3)));
  return value < 0 ? MINUS + text : text;
}

/** What one unit of strength means, in words. */
export function strengthUnit(unit: string): string {
  return { residual: "× residual norm", vector: "× vector", raw: "× raw vector" }[unit] ?? unit;
}

const NICE = [1, 1.2, 1.4, 1.6, 1.8, 2, 2.2, 2.5, 2.8, 3, 3.5, 4, 4.5, 5, 5.5, 6, 7, 8, 9, 10];

/** The smallest round end, 1, 1.2, 1.4 … 9 × 10ⁿ, that is not below `value`; 1 for 0 and what is not finite. */
export function niceCeiling(value: number): number {
  if (!(value > 0) || !Number.isFinite(value)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = NICE.find((s) => s * power >= value * (1 - 1e-9)) ?? 10;
  return step * power;
}

/** A layer as figures name it: -1 is the input of block 0. */
export const layerName = (layer: number | undefined): string =>
  layer === undefined ? "" : layer < 0 ? "input" : String(layer);

/** Words of an identifier: `visual_style` is “visual style”. */
export const words = (identifier: string): string => identifier.replaceAll("_", " ");

/** Whole percents of a share that is done: 100 only when all is. */
export const percentDone = (share: number): number => Math.floor(share * 100);
