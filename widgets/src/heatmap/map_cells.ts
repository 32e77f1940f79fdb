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
  value: Float32Array;
  low: Float32Array;
  high: Float32Array;
  n: Float32Array;
  /** 1 where a cell passes, 0 where it does not, NaN where nothing was run. */
  clear: Float32Array;
  /** False discovery rate at which a cell passes; empty where nothing is tested in the grid. */
  q: Float32Array;
  /** Marks of each cell as a sum of 2 to the place of each; empty where no cell has one. */
  marks: Float32Array;
  /** Why each cell passes or not: a place among the reasons of the palette. */
  reason: Float32Array;
  /** Place among `controls` of the one that reaches as far as a cell, where that is the reason. */
  reachedBy: Float32Array;
  /** Images below which a cell has no verdict. */
  leastImages: number;
  /** Kinds of control; their numbers stand one kind after the other, as differences from unsteered. */
  controls: string[];
  /** Which of them `value` is the difference from. */
  against: number;
  control: Float32Array;
  controlLow: Float32Array;
  controlHigh: Float32Array;
  /** Concept × strength: where the effect over the layers peaks, and over how many of them it extends. */
  peakLayer: Float32Array;
  participationRatio: Float32Array;
  /** Layer × strength. */
  meanOverConcepts: Float32Array;
}

export type RowGroup = [label: string, concepts: number[]];

export interface Cell {
  concept: number;
  layer: number;
}

/** Float32 numbers of a message buffer; copied, because a buffer may start anywhere. */
export function floats(view: DataView | ArrayBuffer | null | undefined): Float32Array {
  if (!view || view.byteLength === 0) return new Float32Array(0);
  const buffer =
    view instanceof ArrayBuffer ? view : view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
  return new Float32Array(buffer as ArrayBuffer);
}

export function indexOf(cells: Cells, cell: Cell, strength: number): number {
  return (cell.concept * cells.layers.length + cell.layer) * cells.strengths.length + strength;
}

/** Number at a cell; NaN where nothing has arrived. */
export function at(array: Float32Array, index: number): number {
  return array[index] ?? Number.NaN;
}

/** Number of one kind of control at the index of a cell. */
export function ofControl(cells: Cells, array: Float32Array, kind: number, index: number): number {
  const size = cells.concepts.length * cells.layers.length * cells.strengths.length;
  return at(array, kind * size + index);
}

/** Values of one concept over the layers, at one strength. */
export function profile(cells: Cells, concept: number, strength: number): number[] {
  return cells.layers.map((_, layer) => at(cells.value, indexOf(cells, { concept, layer }, strength)));
}

/** Index of the strength nearest to `wanted`; of those equally near, the first. */
export function nearest(strengths: number[], wanted: number): number {
  let best = 0;
  strengths.forEach((s, i) => {
    if (Math.abs(s - wanted) < Math.abs((strengths[best] ?? 0) - wanted)) best = i;
  });
  return best;
}
