/** Numbers of a gallery: one layer's separations, their mean, and bars around zero. */

/** Values of one layer, of layer × pair; empty where there is none. */
export function column(values: Float32Array, pairs: number, layer: number): number[] {
  if (layer < 0 || values.length < pairs * (layer + 1)) return [];
  return [...values.subarray(layer * pairs, (layer + 1) * pairs)];
}

/** Mean of what is finite; NaN where nothing is. */
export function average(values: number[]): number {
  const finite = values.filter(Number.isFinite);
  return finite.reduce((sum, value) => sum + value, 0) / finite.length;
}

/** Place of a bar that grows from the middle, in percent of the whole width. */
export function bar(value: number, limit: number): { left: number; width: number } {
  const share = Number.isFinite(value) && limit > 0 ? Math.max(-1, Math.min(1, value / limit)) : 0;
  return { left: share < 0 ? 50 + 50 * share : 50, width: 50 * Math.abs(share) };
}
