/** What the line below the map says about one cell. */
import { digitsFor, dose, layerName, signed, strengthUnit } from "../base/numbers";
import { controlLabel } from "../base/theme";
import { at, type Cell, type Cells, indexOf, ofControl } from "./map_cells";

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

/** Pieces of the readout: concept, layer, strength, value with unit and interval, n, the random direction, and whether it is clear. */
export function readout(cells: Cells, cell: Cell, strength: number, units: ReadoutUnits): Piece[] {
  const index = indexOf(cells, cell, strength);
  const value = at(cells.value, index);
  const digits = digitsFor(units.limit);
  const unit = units.unit ? ` ${units.unit}` : "";
  const pieces: Piece[] = [
    { text: cells.concepts[cell.concept] ?? "", kind: "strong" },
    { text: `layer ${layerName(cells.layers[cell.layer]) || "–"}`, kind: "normal" },
    ...(units.byDepth ? [{ text: `depth ${(cells.depths[cell.layer] ?? 0).toFixed(2)}`, kind: "soft" } as const] : []),
    ...(units.window ? [{ text: `window ${units.window.join("–")}`, kind: "soft" } as const] : []),
    { text: `${dose(cells.strengths[strength] ?? 0)} ${strengthUnit(units.strengthUnit)}`, kind: "soft" },
  ];
  if (!Number.isFinite(value)) return [...pieces, { text: "not run yet, or not defined here", kind: "soft" }];
  pieces.push({ text: `${signed(value, digits)}${unit}`, kind: "strong" });
  const between = (low: number, high: number) => `[${signed(low, digits)}, ${signed(high, digits)}]`;
  const [low, high] = [at(cells.low, index), at(cells.high, index)];
  if (Number.isFinite(low)) pieces.push({ text: between(low, high), kind: "soft" });
  const n = at(cells.n, index);
  if (Number.isFinite(n)) pieces.push({ text: `n = ${n} ${n === 1 ? "image" : "images"}`, kind: "soft" });
  const of = (array: Float32Array) => ofControl(cells, array, cells.against, index);
  const control = of(cells.control);
  if (Number.isFinite(control)) {
    const [from, to] = [of(cells.controlLow), of(cells.controlHigh)];
    const range = Number.isFinite(from) ? ` ${between(from, to)}` : "";
    const name = controlLabel(cells.controls[cells.against] ?? "random").replace(/s$/, "");
    pieces.push({ text: `${name} ${signed(control, digits)}${range}`, kind: "soft" });
  }
  const clear = at(cells.clear, index);
  if (Number.isFinite(clear)) {
    pieces.push({ text: clear ? "clear of the controls" : "not clear of the controls", kind: "soft" });
  }
  return pieces;
}
