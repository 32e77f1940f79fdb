/** Which words of an answer are new against the unsteered one, and which name the concept. */

export interface Word {
  text: string;
  changed: boolean;
  named: boolean;
}

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

/** Split an answer into words, each marked; `baseline` null marks nothing as changed. */
export function mark(answer: string, baseline: string | null, conceptWords: string[]): Word[] {
  const words = answer.split(/\s+/).filter(Boolean);
  const reference = baseline?.split(/\s+/).filter(Boolean) ?? [];
  const kept = baseline === null ? words.map(() => true) : common(words.map(bare), reference.map(bare));
  const names = conceptWords.map((word) => word.toLowerCase().split(/\s+/).map(bare)).filter((name) => name.length > 0);
  const named = words.map(() => false);
  for (const name of names) {
    for (let i = 0; i + name.length <= words.length; i += 1) {
      if (name.every((part, k) => bare(words[i + k] ?? "") === part)) named.fill(true, i, i + name.length);
    }
  }
  return words.map((text, i) => ({ text, changed: !kept[i], named: named[i] ?? false }));
}
