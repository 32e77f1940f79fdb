/** What the line below the map says about one cell. */
import { digitsFor, dose, layerName, plain, signed, strengthUnit } from "../base/numbers";
import { controlLabel } from "../base/theme";
import { at, type Cell, type Cells, colouredAt, groupRow, indexOf, ofControl } from "./map_cells";
import { controlName, countOf, markLabels, shownControls, verdictOf } from "./verdict";

export interface Piece {
  text: string;
  kind: "strong" | "normal" | "soft";
}

export interface ReadoutUnits {
  unit: string;
  strengthUnit: string;
  limit: number;
  /** First and last layer of the selected window, if there is one. */
  window?: [number, number] | undefined;
  /** Whether the columns are relative depths. */
  byDepth?: boolean;
}

/** Pieces of the readout: concept, layer, strength, value with unit and interval, whether it passes, its marks, n, and the control. */
export function readout(cells: Cells, cell: Cell, strength: number, units: ReadoutUnits): Piece[] {
  const index = indexOf(cells, cell, strength);
  const value = at(cells.value, index);
  const digits = digitsFor(units.limit);
  const unit = units.unit ? ` ${units.unit}` : "";
  const pieces: Piece[] = [
    { text: cells.concepts[cell.concept] ?? cells.groups[groupRow(cell.concept)]?.[0] ?? "", kind: "strong" },
    { text: `layer ${layerName(cells.layers[cell.layer]) || "–"}`, kind: "normal" },
    ...(units.byDepth ? [{ text: `depth ${(cells.depths[cell.layer] ?? 0).toFixed(2)}`, kind: "soft" } as const] : []),
    ...(units.window ? [{ text: `window ${units.window.join("–")}`, kind: "soft" } as const] : []),
    {
      text: `${dose(cells.strengths[strength] ?? 0)} ${strengthUnit(units.strengthUnit)}${units.window ? " at each" : ""}`,
      kind: "soft",
    },
  ];
  const coloured = colouredAt(cells, cell, strength);
  if (cell.concept < 0) return [...pieces, ...meanOf(cells, cell, coloured, digits, unit)];
  const unfit = cells.unfit[cells.concepts[cell.concept] ?? ""];
  if (unfit) pieces.push({ text: unfit, kind: "soft" });
  if (!Number.isFinite(coloured)) return [...pieces, { text: "not run yet, or not defined here", kind: "soft" }];
  const beyond = ` beyond ${controlLabel(cells.controls[cells.against] ?? "random")}`;
  if (cells.scored) pieces.push({ text: `score ${plain(coloured, 2)}`, kind: "strong" });
  if (!Number.isFinite(value)) pieces.push({ text: "its controls are not run yet", kind: "soft" });
  else if (cells.scored) pieces.push({ text: `${signed(value, 2)}${beyond}`, kind: "normal" });
  else pieces.push({ text: `${signed(value, digits)}${unit}`, kind: "strong" });
  const between = (low: number, high: number) => `[${signed(low, digits)}, ${signed(high, digits)}]`;
  const [low, high] = [at(cells.low, index), at(cells.high, index)];
  if (Number.isFinite(low)) pieces.push({ text: between(low, high), kind: "soft" });
  const verdict = verdictOf(cells, index);
  if (verdict) pieces.push({ text: verdict, kind: "normal" });
  pieces.push(...markLabels(cells, index).map((text): Piece => ({ text, kind: "normal" })));
  const count = countOf(cells, index);
  if (count) pieces.push({ text: count, kind: "soft" });
  for (const kind of shownControls(cells, index)) {
    const of = (array: Float32Array) => ofControl(cells, array, kind, index);
    const control = of(cells.control);
    if (!Number.isFinite(control)) continue;
    const [from, to] = [of(cells.controlLow), of(cells.controlHigh)];
    const range = Number.isFinite(from) ? ` ${between(from, to)}` : "";
    const name = controlName(cells.controls[kind] ?? "random");
    pieces.push({ text: `${name} ${signed(control, digits)}${range} over unsteered`, kind: "soft" });
  }
  return pieces;
}

/** What is said of a cell of a folded category. */
function meanOf(cells: Cells, cell: Cell, mean: number, digits: number, unit: string): Piece[] {
  const count = cells.groups[groupRow(cell.concept)]?.[1].length ?? 0;
  const said = cells.scored ? `score ${plain(mean, 2)}` : `${signed(mean, digits)}${unit}`;
  const text = Number.isFinite(mean) ? `${said}, mean of ${count} concepts` : "not run yet, or not defined here";
  return [{ text, kind: "normal" }];
}
