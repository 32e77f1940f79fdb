/** An answer as it is painted: words that are new against the unsteered answer, and the mentions that the kernel found. */
import { h } from "./dom";

/** A mention of a concept: where it starts and stops in the string, and whether the answer says that it is not there. */
export type Span = readonly [start: number, stop: number, negated: number];

/** A part of an answer that is painted in one way. */
export interface Piece {
  text: string;
  changed: boolean;
  kind: "" | "named" | "negated";
}

/** No space or control character, so that Python (`pictures/answer_pieces.py`) cuts words at the same places. */
const WORD = /[^\s\p{Cc}]+/gu;

const bare = (word: string) => word.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");

/** For each word of `words`, whether it belongs to a longest common subsequence with `reference`. */
function common(words: string[], reference: string[]): boolean[] {
  const rows = words.length + 1;
  const columns = reference.length + 1;
  const length = Array.from({ length: rows }, () => new Uint16Array(columns));
  const cell = (i: number, j: number) => length[i]?.[j] ?? 0;
  for (let i = rows - 2; i >= 0; i -= 1) {
    for (let j = columns - 2; j >= 0; j -= 1) {
      const row = length[i];
      if (row) row[j] = words[i] === reference[j] ? cell(i + 1, j + 1) + 1 : Math.max(cell(i + 1, j), cell(i, j + 1));
    }
  }
  const kept = words.map(() => false);
  let i = 0;
  let j = 0;
  while (i < words.length && j < reference.length) {
    if (words[i] === reference[j]) {
      kept[i] = true;
      i += 1;
      j += 1;
    } else if (cell(i + 1, j) >= cell(i, j + 1)) i += 1;
    else j += 1;
  }
  return kept;
}

/** The stretches of `text` between the `cuts`. */
function stretches(text: string, cuts: number[]): [number, number][] {
  const ends = [...new Set([0, ...cuts, text.length])].sort((a, b) => a - b);
  return ends.slice(1).map((end, i) => [ends[i] ?? 0, end]);
}

/** Cut an answer where a word or a span begins or ends; `baseline` null marks nothing as changed. */
export function pieces(answer: string, baseline: string | null, spans: readonly Span[]): Piece[] {
  const words = [...answer.matchAll(WORD)].map((word) => ({ start: word.index, text: word[0] }));
  const reference = baseline?.match(WORD) ?? [];
  const bared = words.map(({ text }) => bare(text));
  const kept = baseline === null ? words.map(() => true) : common(bared, reference.map(bare));
  const changed = words
    .filter((_, i) => !kept[i])
    .map(({ start, text }): [number, number] => [start, start + text.length]);
  const cuts = [...changed, ...spans.map(([start, stop]) => [start, stop])].flat();
  return stretches(answer, cuts).map(([start, stop]) => {
    const span = spans.find((one) => one[0] <= start && stop <= one[1]);
    return {
      text: answer.slice(start, stop),
      changed: changed.some((one) => one[0] <= start && stop <= one[1]),
      kind: span ? (span[2] ? "negated" : "named") : "",
    };
  });
}

/** An answer as nodes; the pieces of a changed word stand in one mark. */
export function painted(answer: string, baseline: string | null, spans: readonly Span[]): Node[] {
  const nodes: Node[] = [];
  let word: HTMLElement | null = null;
  for (const { text, changed, kind } of pieces(answer, baseline, spans)) {
    const node = kind ? h("span", { class: kind }, text) : document.createTextNode(text);
    if (!changed) {
      word = null;
      nodes.push(node);
    } else if (word) word.append(node);
    else {
      word = h("mark", {}, node);
      nodes.push(word);
    }
  }
  return nodes;
}
