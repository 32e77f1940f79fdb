/** What a map shows at one moment. */

import type { Layout } from "./layout";
import type { Cell, Cells } from "./map_cells";
import type { Selection } from "./selection";

export interface Scene {
  cells: Cells;
  layout: Layout;
  strength: number;
  limit: number;
  unit: string;
  columns: string;
  selection: Selection | null;
  hover: Cell | null;
  focused: boolean;
  /** Cells with recorded answers, as concept, layer and strength. */
  answered: [string, number, number][];
}
