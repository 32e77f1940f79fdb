/** The selected cells as text to take along: CSV of their numbers, and the kernel's Python with these cells filled in. */
import { layerName } from "../base/numbers";
import type { Cells } from "./map_cells";
import { at, indexOf, ofControl } from "./map_cells";
import { type Selection, span } from "./selection";
import { markLabels } from "./verdict";

export interface Shown {
  metric: string;
  unit: string;
  strengthUnit: string;
  average: string;
}

function layersOf(cells: Cells, selection: Selection): number[] {
  const [first, last] = span(selection);
  return cells.layers.slice(first, last + 1);
}

/** One field; quoted where it must be. A leading sign of a formula in text gets an apostrophe, as spreadsheets would run it. */
function field(value: string | number): string {
  if (typeof value === "number") return Number.isFinite(value) ? String(Number(value.toPrecision(7))) : "";
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** A header and one line for each selected layer and every strength. */
export function csvOf(cells: Cells, selection: Selection, shown: Shown): string {
  const against = cells.controls[cells.against] ?? "random";
  const head = ["concept", "category", "layer", "strength", "strength_unit", "metric", "average", "against"];
  const numbers = [
    "difference",
    "low",
    "high",
    "unit",
    "n",
    "q",
    cells.q.length ? "clear_in_grid" : "clear_of_controls",
    "reason",
    "answers",
    ...(cells.scored ? ["score"] : []),
  ];
  const bands = cells.controls.flatMap((kind) => [`${kind}_mean`, `${kind}_low`, `${kind}_high`]);
  const lines = [[...head, ...numbers, ...bands].map(field).join(",")];
  for (const layer of layersOf(cells, selection)) {
    cells.strengths.forEach((strength, s) => {
      const index = indexOf(cells, { concept: selection.concept, layer: cells.layers.indexOf(layer) }, s);
      const clear = at(cells.clear, index);
      const line = [
        ...[cells.concepts[selection.concept] ?? "", cells.categories[selection.concept] ?? "", layer, strength],
        ...[shown.strengthUnit, shown.metric, shown.average, against],
        ...[at(cells.value, index), at(cells.low, index), at(cells.high, index), shown.unit, at(cells.n, index)],
        at(cells.q, index),
        Number.isFinite(clear) ? (clear ? "true" : "false") : "",
        cells.reasons[at(cells.reason, index)] ?? "",
        markLabels(cells, index).join("; "),
        ...(cells.scored ? [at(cells.coloured, index)] : []),
        ...cells.controls.flatMap((_, kind) =>
          [cells.control, cells.controlLow, cells.controlHigh].map((array) => ofControl(cells, array, kind, index)),
        ),
      ];
      lines.push(line.map(field).join(","));
    });
  }
  return `${lines.join("\n")}\n`;
}

/** The kernel's recipe with the selected cells filled in; JSON's escapes are Python's too. */
export function codeOf(recipe: readonly string[], cells: Cells, selection: Selection, strength: number): string {
  const dose = cells.strengths[strength] ?? 0;
  const filled: Record<string, string> = {
    concept: JSON.stringify(cells.concepts[selection.concept] ?? ""),
    layers: layersOf(cells, selection).join(", "),
    sites: layersOf(cells, selection)
      .map((layer) => (layer < 0 ? JSON.stringify(layerName(layer)) : layer))
      .join(", "),
    strength: Number.isInteger(dose) ? dose.toFixed(1) : String(dose),
  };
  return recipe.map((piece, i) => (i % 2 ? (filled[piece] ?? "") : piece)).join("");
}

/** Put text on the clipboard; false where the page may not. */
export async function toClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
