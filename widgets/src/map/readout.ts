/** What the line below the map says about one cell. */
import { digitsFor, dose, signed, strengthUnit } from "../format";
import { at, type Cell, type Cells, indexOf } from "./cells";

export interface Piece {
  text: string;
  kind: "strong" | "normal" | "soft";
}

export interface ReadoutUnits {
  unit: string;
  strengthUnit: string;
  limit: number;
}

/** Pieces of the readout: concept, layer, strength, value with unit and interval, n, the random direction, and whether it is clear. */
export function readout(cells: Cells, cell: Cell, strength: number, units: ReadoutUnits): Piece[] {
  const index = indexOf(cells, cell, strength);
  const value = at(cells.value, index);
  const digits = digitsFor(units.limit);
  const unit = units.unit ? ` ${units.unit}` : "";
  const pieces: Piece[] = [
    { text: cells.concepts[cell.concept] ?? "", kind: "strong" },
    { text: `layer ${cells.layers[cell.layer] ?? "–"}`, kind: "normal" },
    { text: `${dose(cells.strengths[strength] ?? 0)} ${strengthUnit(units.strengthUnit)}`, kind: "soft" },
  ];
  if (!Number.isFinite(value)) return [...pieces, { text: "not run yet, or not defined here", kind: "soft" }];
  pieces.push({ text: `${signed(value, digits)}${unit}`, kind: "strong" });
  const interval = (low: Float32Array, high: Float32Array) =>
    `[${signed(at(low, index), digits)}, ${signed(at(high, index), digits)}]`;
  if (Number.isFinite(at(cells.low, index))) {
    pieces[pieces.length - 1] = { text: `${signed(value, digits)}${unit}`, kind: "strong" };
    pieces.push({ text: interval(cells.low, cells.high), kind: "soft" });
  }
  const n = at(cells.n, index);
  if (Number.isFinite(n)) pieces.push({ text: `n = ${n} ${n === 1 ? "picture" : "pictures"}`, kind: "soft" });
  const control = at(cells.control, index);
  if (Number.isFinite(control)) {
    const range = Number.isFinite(at(cells.controlLow, index))
      ? ` ${interval(cells.controlLow, cells.controlHigh)}`
      : "";
    pieces.push({ text: `random direction ${signed(control, digits)}${range}`, kind: "soft" });
  }
  const clear = at(cells.clear, index);
  if (Number.isFinite(clear)) {
    pieces.push({ text: clear ? "clear of the controls" : "not clear of the controls", kind: "soft" });
  }
  return pieces;
}
