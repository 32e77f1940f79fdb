/** Tokens as they stand in the strip: runs of image tokens are one block until it is opened; a selection grows by clicks and keys. */

/** Text, role, position in the prompt, patch row, patch column, and the scope whose vector is borrowed, if any. */
export type Token = [string, string, number, number, number, string];

export type Item = { kind: "token"; index: number } | { kind: "block"; indices: number[] };

/** So many special tokens between image tokens, such as the end of a row of patches, do not part an image. */
const BETWEEN = 2;

/** Items in order. A block holds the image tokens of one image; opened, they follow it one by one. */
export function itemsOf(tokens: Token[], opened: boolean): Item[] {
  const items: Item[] = [];
  for (let i = 0; i < tokens.length; i += 1) {
    if (tokens[i]?.[1] !== "image") {
      items.push({ kind: "token", index: i });
      continue;
    }
    const end = endOfPicture(tokens, i);
    const inside = Array.from({ length: end - i + 1 }, (_, k) => i + k);
    items.push({ kind: "block", indices: inside.filter((k) => tokens[k]?.[1] === "image") });
    if (opened) items.push(...inside.map((index) => ({ kind: "token" as const, index })));
    i = end;
  }
  return items;
}

function endOfPicture(tokens: Token[], start: number): number {
  let end = start;
  for (let i = start; i < tokens.length; i += 1) {
    const role = tokens[i]?.[1];
    if (role === "image") end = i;
    else if (role !== "special" || i - end > BETWEEN) break;
  }
  return end;
}

/** Positions that an item stands for and that can be steered: those of the prompt. */
export function positionsOf(tokens: Token[], item: Item | undefined): number[] {
  if (!item) return [];
  const indices = item.kind === "block" ? item.indices : [item.index];
  return indices.flatMap((i) => (tokens[i] && tokens[i][1] !== "answer" ? [tokens[i][2]] : []));
}

/** Positions of the items between two, both included. */
export function spanned(tokens: Token[], items: Item[], from: number, to: number): number[] {
  const [low, high] = [Math.min(from, to), Math.max(from, to)];
  return [...new Set(items.slice(low, high + 1).flatMap((item) => positionsOf(tokens, item)))];
}

const sorted = (positions: Iterable<number>) => [...positions].sort((a, b) => a - b);

/** Turn positions over: all are taken out if all are in, else all are put in. */
export function toggled(selected: number[], positions: number[]): number[] {
  const set = new Set(selected);
  const all = positions.length > 0 && positions.every((p) => set.has(p));
  for (const position of positions) {
    if (all) set.delete(position);
    else set.add(position);
  }
  return sorted(set);
}

export const joined = (selected: number[], positions: number[]): number[] =>
  sorted(new Set([...selected, ...positions]));

/** Text of a token so that it can be seen: line ends and spaces have signs. */
export function visible(text: string): string {
  const marked = text.replaceAll("\n", "⏎").replaceAll("\t", "⇥");
  return marked.trim() === "" ? "␣" : marked.trim();
}

/** Where a key moves among `count` items; null for other keys. */
export function stepped(at: number, count: number, key: string): number | null {
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[key];
  if (by !== undefined) return Math.max(0, Math.min(count - 1, at + by));
  return key === "Home" ? 0 : key === "End" ? Math.max(0, count - 1) : null;
}
