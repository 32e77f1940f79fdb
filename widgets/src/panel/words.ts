/** Which words of an answer are new against the unsteered one, and which name the concept. */

export interface Word {
  text: string;
  changed: boolean;
  named: boolean;
  /** Names the concept, but to say that it is not there. */
  negated: boolean;
}

/** How many words a negation reaches over: “not a big cat”. */
const REACH = 3;
/** Words that end a negation's reach: “not a dog but a cat”. */
const ENDS = new Set(["but", "and", "only", "just", "merely", "with"]);

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

/** Every spelling that counts as one of the words: as given and its regular plural, as `mllm_probe.metrics` counts. */
export function forms(words: readonly string[]): string[] {
  const given = words
    .map((word) =>
      word
        .replace(/[_\s]+/g, " ")
        .trim()
        .toLowerCase(),
    )
    .filter(Boolean);
  const plural = (word: string) => {
    if (/[^aeiou]y$/.test(word)) return `${word.slice(0, -1)}ies`;
    return /(?:s|x|z|ch|sh)$/.test(word) ? `${word}es` : `${word}s`;
  };
  return [...new Set([...given, ...given.map(plural)])];
}

/** Whether a negation stands before word `at`, close enough and not cut off by punctuation or a contrast. */
function isNegated(words: string[], at: number, negations: readonly string[]): boolean {
  const turned = negations.map((word) => word.toLowerCase().replaceAll("’", "'"));
  for (let back = 1; back <= REACH + 1 && at - back >= 0; back += 1) {
    const word = (words[at - back] ?? "").toLowerCase().replaceAll("’", "'");
    if (/[.,;:!?]$/.test(word)) return false;
    if (turned.some((no) => bare(word) === bare(no) || (no.startsWith("n'") && word.endsWith(no)))) return true;
    if (ENDS.has(bare(word))) return false;
  }
  return false;
}

/** Split an answer into words, each marked; `baseline` null marks nothing as changed. */
export function mark(
  answer: string,
  baseline: string | null,
  conceptWords: readonly string[],
  negations: readonly string[] = [],
): Word[] {
  const words = answer.split(/\s+/).filter(Boolean);
  const reference = baseline?.split(/\s+/).filter(Boolean) ?? [];
  const kept = baseline === null ? words.map(() => true) : common(words.map(bare), reference.map(bare));
  const names = forms(conceptWords)
    .map((word) =>
      word
        .split(/[\s-]+/)
        .map(bare)
        .filter(Boolean),
    )
    .filter((name) => name.length > 0);
  const named = words.map(() => false);
  const negated = words.map(() => false);
  for (const name of names) {
    for (let i = 0; i + name.length <= words.length; i += 1) {
      if (!name.every((part, k) => bare(words[i + k] ?? "") === part)) continue;
      const no = isNegated(words, i, negations);
      (no ? negated : named).fill(true, i, i + name.length);
    }
  }
  return words.map((text, i) => ({
    text,
    changed: !kept[i],
    named: named[i] ?? false,
    negated: (negated[i] ?? false) && !named[i],
  }));
}

/** Words of a text field: separated by commas or line breaks. */
export const listed = (text: string): string[] =>
  [...new Set(text.split(/[,\n]/).map((word) => word.trim()))].filter(Boolean);
