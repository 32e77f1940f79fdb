/** What a sweep knows of a strength: whether answers stay fluent there, or nobody has tried. */
import { plain } from "../base/numbers";

export type Fluency = { state: "fluent" | "broken" | "untested"; text: string };

/** Perplexity ratio up to which an answer passes for fluent; as in `mllm_probe.widgets.panel.tested_doses`. */
export const MOST = 2;

const ratioText = (ratio: number) => `perplexity × ${ratio < 10 ? plain(ratio, 1) : plain(ratio, 0)}`;

/** Say it of `strength`; `doses` are [strength, perplexity ratio] that were run, `low` … `high` is the fluent range. */
export function fluency(strength: number, doses: readonly [number, number][], low: number, high: number): Fluency {
  const tried = doses.map(([dose]) => dose);
  const inside = strength >= Math.min(0, ...tried) && strength <= Math.max(0, ...tried);
  if (tried.length === 0 || !inside) return { state: "untested", text: "untested" };
  const run = doses.find(([dose]) => Math.abs(dose - strength) < 1e-9);
  const fluent = strength >= low && strength <= high;
  if (run) return { state: fluent ? "fluent" : "broken", text: ratioText(run[1]) };
  if (fluent) return { state: "fluent", text: `perplexity under × ${MOST}` };
  return { state: "broken", text: `perplexity over × ${MOST}` };
}
