/** The line above the map that reads a cell, also aloud. */
import { h, uniqueId } from "../base/dom";
import { type Cell, type Cells, colouredAt, groupRow } from "./map_cells";
import { type ReadoutUnits, readout } from "./readout";

/** What is said without any cell, by the state of the sweep. */
const NO_CELLS: Record<string, string> = {
  cancelled: "Stopped before the first cells were measured.",
  error: "No cells: what measures them failed.",
};

export class Reading {
  readonly element = h("div", {
    class: "mp-read",
    id: uniqueId("cell"),
    "data-testid": "heatmap-cell",
    role: "status",
    "aria-live": "polite",
  });
  private key = "";

  draw(cells: Cells, cell: Cell | null, strength: number, units: ReadoutUnits, status: string): void {
    if (!cell) {
      this.element.textContent = NO_CELLS[status] ?? "Waiting for the first cells.";
      this.key = "";
      return;
    }
    const pieces = readout(cells, cell, strength, units);
    this.tell(cells, cell, strength);
    const key = JSON.stringify(pieces);
    if (this.key === key) return;
    this.key = key;
    const nodes = pieces.flatMap((piece, i) => {
      const node = piece.kind === "strong" ? h("b", {}, piece.text) : h("span", { class: piece.kind }, piece.text);
      return i ? [piece.text.startsWith("[") ? " " : " · ", node] : [node];
    });
    this.element.replaceChildren(...nodes);
  }

  /** The same for scripts, to whom two values that read alike are two. */
  private tell(cells: Cells, cell: Cell, strength: number): void {
    const value = colouredAt(cells, cell, strength);
    const data = this.element.dataset;
    data.concept = cells.concepts[cell.concept] ?? cells.groups[groupRow(cell.concept)]?.[0] ?? "";
    data.layer = String(cells.layers[cell.layer] ?? "");
    data.strength = String(cells.strengths[strength] ?? "");
    data.value = Number.isFinite(value) ? String(value) : "";
  }
}
