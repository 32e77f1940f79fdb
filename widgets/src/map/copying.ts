/** The selected cells as text to take along: CSV of their numbers, and the Python that gives them again. */
import type { Cells } from "./cells";
import { at, indexOf, ofControl } from "./cells";
import { type Selection, span } from "./selection";
import type { Told } from "./traits";

export interface Shown {
  metric: string;
  unit: string;
  strengthUnit: string;
  average: string;
  sample: number;
  told: Told;
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
  const numbers = ["difference", "low", "high", "unit", "n", "clear_of_controls"];
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
        Number.isFinite(clear) ? (clear ? "true" : "false") : "",
        ...cells.controls.flatMap((_, kind) =>
          [cells.control, cells.controlLow, cells.controlHigh].map((array) => ofControl(cells, array, kind, index)),
        ),
      ];
      lines.push(line.map(field).join(","));
    });
  }
  return `${lines.join("\n")}\n`;
}

/** Text as a Python literal: JSON's escapes are Python's too. */
const literal = (value: unknown): string => JSON.stringify(value);
const float = (value: number): string => (Number.isInteger(value) ? value.toFixed(1) : String(value));

function effectCall(shown: Shown): string {
  if (shown.average === "single") return `mp.effect(grid.isel(sample=[${shown.sample}]), ${literal(shown.metric)})`;
  const average = shown.average === "median" ? ', average="median"' : "";
  return `mp.effect(grid, ${literal(shown.metric)}${average})`;
}

/** Python that steers with the selected cells, and looks their effect up; `vectors`, `grid` and `image` are the user's. */
export function codeOf(cells: Cells, selection: Selection, strength: number, shown: Shown): string {
  const { told } = shown;
  const concept = literal(cells.concepts[selection.concept] ?? "");
  const layers = layersOf(cells, selection);
  const dose = float(cells.strengths[strength] ?? 0);
  const tokens = told.tokens?.length ? `(${told.tokens.map((t) => `${literal(t)},`).join(" ")})` : "...";
  const options = [`unit=${literal(told.unit ?? shown.strengthUnit)}`, `tokens=${tokens}`];
  if (told.operation && told.operation !== "add") options.push(`operation=${literal(told.operation)}`);
  if (told.to) options.push(`to=vectors.sel(concept=${literal(told.to)})`);
  const prompt = typeof told.prompt === "string" ? literal(told.prompt) : "None";
  const against = cells.controls[cells.against] ?? "random";
  const cell = `effect.sel(concept=${concept}, layer=[${layers.join(", ")}], strength=${dose})`;
  const difference = against === "random" ? '[["difference", "low", "high"]]' : `.sel(control=${literal(against)})`;
  const about = told.bundled
    ? `model = mp.load(${literal(told.model)})`
    : `# model: ${told.model ?? "the one of the grid"}`;
  return [
    "import mllm_probe as mp",
    "",
    about.replace(/[\r\n]+/g, " "),
    "# vectors, grid and image are those of this map",
    `steering = mp.Steering(vectors.sel(concept=${concept}), layers=[${layers.join(", ")}], strength=${dose}, ${options.join(", ")})`,
    `rows = [None, steering, steering.control("random", seed=${told.seed ?? 0})]`,
    `print(mp.generate(model, image, ${prompt}, steering=rows, max_new_tokens=${told.max_new_tokens ?? 16}))`,
    "",
    `effect = ${effectCall(shown)}`,
    `print(${cell}${difference}.to_dataframe())`,
    "",
  ].join("\n");
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
