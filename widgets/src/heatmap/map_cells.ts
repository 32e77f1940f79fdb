/** The effect of every (concept, layer, strength) as the kernel sends it: flat float32 arrays and their index. */

export interface Cells {
  concepts: string[];
  categories: string[];
  /** Why a concept is greyed, by its name. */
  unfit: Record<string, string>;
  /** Rows from top to bottom: the words of a category and the places of its concepts. */
  groups: RowGroup[];
  layers: number[];
  /** Relative depth of each layer; empty where it is not known. */
  depths: number[];
  strengths: number[];
  /** Effects beyond the control. */
  value: Float32Array;
  /** What colours say: scores of answers in 0 … 1 where `scored`, else the effects. */
  coloured: Float32Array;
  scored: boolean;
  low: Float32Array;
  high: Float32Array;
  n: Float32Array;
  /** 1 where a cell passes, 0 where it does not, NaN where nothing was run. */
  clear: Float32Array;
  /** False discovery rate at which a cell passes; empty where nothing is tested in the grid. */
  q: Float32Array;
  /** Marks of each cell as a sum of 2 to the place of each; empty where no cell has one. */
  marks: Float32Array;
  /** 1 where a cell has too few images or draws for a verdict; empty where none has. */
  unfinished: Float32Array;
  /** Why each cell passes or not: a place among `reasons`. */
  reason: Uint16Array;
  reasons: string[];
  /** Kinds of control; their numbers stand one kind after the other, as differences from unsteered. */
  controls: string[];
  /** Which of them `value` is the difference from. */
  against: number;
  control: Float32Array;
  controlLow: Float32Array;
  controlHigh: Float32Array;
  /** Layer × strength. */
  meanOverConcepts: Float32Array;
  /** Group × layer × strength. */
  groupMeans: Float32Array;
  /** Concept × strength: the layer of the best cell. */
  best: Float32Array;
  /** Labels of the groups that are one row with their mean. */
  folded: string[];
}

export type RowGroup = [label: string, concepts: number[]];

export interface Cell {
  /** Place of the concept; of the row of a folded group, see `groupRow`. */
  concept: number;
  layer: number;
}

type Buffer = DataView | ArrayBuffer | null | undefined;

/** Bytes of a message buffer; copied, because a buffer may start anywhere. */
function copied(view: Buffer): ArrayBuffer {
  if (!view) return new ArrayBuffer(0);
  if (view instanceof ArrayBuffer) return view;
  return view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) as ArrayBuffer;
}

/** Float32 numbers of a message buffer. */
export const floats = (view: Buffer): Float32Array => new Float32Array(copied(view));

/** Whole numbers of two bytes of a message buffer. */
export const wholes = (view: Buffer): Uint16Array => new Uint16Array(copied(view));

export function indexOf(cells: Cells, cell: Cell, strength: number): number {
  return (cell.concept * cells.layers.length + cell.layer) * cells.strengths.length + strength;
}

/** Number at a cell; NaN where nothing has arrived. */
export function at(array: Float32Array | Uint16Array, index: number): number {
  return array[index] ?? Number.NaN;
}

/** Number of one kind of control at the index of a cell. */
export function ofControl(cells: Cells, array: Float32Array, kind: number, index: number): number {
  const size = cells.concepts.length * cells.layers.length * cells.strengths.length;
  return at(array, kind * size + index);
}

/** What stands for a folded group in the place of a concept: below 0; the same call turns it back. */
export const groupRow = (group: number): number => -1 - group;

/** What the colour of a cell says, or of the mean of a folded group. */
export function colouredAt(cells: Cells, cell: Cell, strength: number): number {
  if (cell.concept >= 0) return at(cells.coloured, indexOf(cells, cell, strength));
  return at(cells.groupMeans, indexOf(cells, { ...cell, concept: groupRow(cell.concept) }, strength));
}

/** First concept whose name begins with a text, else the first that holds it; −1 where none does. */
export function findConcept(concepts: string[], text: string): number {
  const plain = (name: string) => name.toLowerCase().replaceAll("_", " ");
  const wanted = plain(text.trim());
  if (!wanted) return -1;
  const first = concepts.findIndex((name) => plain(name).startsWith(wanted));
  return first >= 0 ? first : concepts.findIndex((name) => plain(name).includes(wanted));
}

/** Coloured values of one concept over the layers, at one strength. */
export function profile(cells: Cells, concept: number, strength: number): number[] {
  return cells.layers.map((_, layer) => colouredAt(cells, { concept, layer }, strength));
}

/** Index of the strength nearest to `wanted`; of those equally near, the first. */
export function nearest(strengths: number[], wanted: number): number {
  let best = 0;
  strengths.forEach((s, i) => {
    if (Math.abs(s - wanted) < Math.abs((strengths[best] ?? 0) - wanted)) best = i;
  });
  return best;
}
