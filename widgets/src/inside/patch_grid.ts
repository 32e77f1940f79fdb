/** The grid of patches over an image: where they are, how a cursor moves, and which are painted. */

export interface Grid {
  rows: number;
  columns: number;
}

export interface Patch {
  row: number;
  column: number;
}

export type Mask = boolean[][];

const within = (value: number, count: number) => Math.max(0, Math.min(count - 1, value));

/** The patch under a point of an image of `width` × `height`, or null beside it. */
export function patchAt(grid: Grid, width: number, height: number, x: number, y: number): Patch | null {
  if (grid.rows === 0 || x < 0 || y < 0 || x >= width || y >= height) return null;
  return { row: Math.floor((y / height) * grid.rows), column: Math.floor((x / width) * grid.columns) };
}

/** Where a key moves the cursor: arrows by one, Home and End to the ends of the row; null for other keys. */
export function moved(grid: Grid, { row, column }: Patch, key: string): Patch | null {
  switch (key) {
    case "ArrowUp":
      return { row: within(row - 1, grid.rows), column };
    case "ArrowDown":
      return { row: within(row + 1, grid.rows), column };
    case "ArrowLeft":
      return { row, column: within(column - 1, grid.columns) };
    case "ArrowRight":
      return { row, column: within(column + 1, grid.columns) };
    case "Home":
      return { row, column: 0 };
    case "End":
      return { row, column: within(grid.columns - 1, grid.columns) };
    default:
      return null;
  }
}

/** A mask that fits the grid: the given one if it does, else nothing painted. */
export function fitting(mask: Mask, { rows, columns }: Grid): Mask {
  const fits = mask.length === rows && mask.every((row) => row.length === columns);
  return fits ? mask : Array.from({ length: rows }, () => Array<boolean>(columns).fill(false));
}

export const isPainted = (mask: Mask, { row, column }: Patch): boolean => mask[row]?.[column] ?? false;

/** A copy of the mask with some patches painted, or cleared. */
export function painted(mask: Mask, patches: Patch[], on: boolean): Mask {
  const made = mask.map((row) => [...row]);
  for (const { row, column } of patches) {
    const line = made[row];
    if (line && column in line) line[column] = on;
  }
  return made;
}

export const inverted = (mask: Mask): Mask => mask.map((row) => row.map((on) => !on));

export const count = (mask: Mask): number => mask.reduce((sum, row) => sum + row.filter(Boolean).length, 0);

/** The patches that a stroke from one patch to another passes, both included, so that a fast one leaves no gaps. */
export function stroke(from: Patch, to: Patch): Patch[] {
  const steps = Math.max(Math.abs(to.row - from.row), Math.abs(to.column - from.column), 1);
  return Array.from({ length: steps + 1 }, (_, i) => ({
    row: Math.round(from.row + ((to.row - from.row) * i) / steps),
    column: Math.round(from.column + ((to.column - from.column) * i) / steps),
  }));
}

/** Edges between what is painted and what is not, [x1, y1, x2, y2] in patches. */
export function outline(mask: Mask): [number, number, number, number][] {
  const edges: [number, number, number, number][] = [];
  mask.forEach((line, row) => {
    line.forEach((on, column) => {
      if (!on) return;
      const open = (r: number, c: number) => !isPainted(mask, { row: r, column: c });
      if (open(row - 1, column)) edges.push([column, row, column + 1, row]);
      if (open(row + 1, column)) edges.push([column, row + 1, column + 1, row + 1]);
      if (open(row, column - 1)) edges.push([column, row, column, row + 1]);
      if (open(row, column + 1)) edges.push([column + 1, row, column + 1, row + 1]);
    });
  });
  return edges;
}

/** Every patch of a grid, or those of a mask if any is painted. */
export function patchesOf({ rows, columns }: Grid, mask: Mask): Patch[] {
  const all = Array.from({ length: rows * columns }, (_, i) => ({
    row: Math.floor(i / columns),
    column: i % columns,
  }));
  const own = all.filter((patch) => isPainted(mask, patch));
  return own.length ? own : all;
}
