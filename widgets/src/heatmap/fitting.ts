/** Which labels along an axis are written: the most important ones that do not touch each other. */

export interface Label {
  /** Middle of the label on the axis, in pixels. */
  at: number;
  /** Its length along the axis. */
  size: number;
}

/** Those of `labels`, which stand in the order of their importance, that keep `gap` pixels from all before them. */
export function fitting<L extends Label>(labels: readonly L[], gap: number): L[] {
  const kept: L[] = [];
  for (const one of labels) {
    const free = kept.every((other) => Math.abs(one.at - other.at) >= (one.size + other.size) / 2 + gap);
    if (free) kept.push(one);
  }
  return kept;
}
