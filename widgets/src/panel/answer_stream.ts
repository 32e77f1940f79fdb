/** What is on screen while answers stream in: only the newest setting's words, old ones dimmed until theirs arrive. */

import type { Span } from "../base/marks";

export const ROWS = ["baseline", "steered", "random"] as const;
export type RowName = (typeof ROWS)[number];

/** What an answer is, as the kernel judged it: a kind, and the words for it. */
export type Fact = ["named" | "plain" | "broken", string];

export interface Line {
  text: string;
  /** Known once the answer is finished. */
  facts: Fact[];
  /** Mentions of the concepts in it. */
  spans: Span[];
  /** Text of an older setting, still shown until the first word of the new one arrives. */
  old: boolean;
}

export interface Answers {
  generation: number;
  /** False while the running generation belongs to a setting that has been moved since. */
  current: boolean;
  lines: Record<RowName, Line>;
}

export type Message =
  | { kind: "start"; generation: number; serial: number }
  | { kind: "token"; generation: number; serial: number; row: number; text: string; spans: Span[] };

export interface Finished {
  generation?: number;
  serial?: number;
  baseline?: string;
  steered?: string;
  random?: string;
  /** Missing where nothing is answered yet. */
  spans?: Partial<Record<RowName, Span[]>>;
  facts?: Partial<Record<RowName, Fact[]>>;
}

const each = (make: (name: RowName) => Line): Record<RowName, Line> => ({
  baseline: make("baseline"),
  steered: make("steered"),
  random: make("random"),
});

/** Answers as saved with the notebook, or none yet. */
export function restored(saved: Finished): Answers {
  return {
    generation: saved.generation ?? 0,
    current: true,
    lines: each((name) => ({
      text: saved[name] ?? "",
      spans: saved.spans?.[name] ?? [],
      facts: saved.facts?.[name] ?? [],
      old: false,
    })),
  };
}

/** A control moved: what is shown is of an older setting from now on. */
export function moved(answers: Answers): Answers {
  return { ...answers, current: false, lines: each((name) => ({ ...answers.lines[name], old: true })) };
}

/** A newer generation began; a view opened while it runs learns of it from its first word. */
function begun(answers: Answers, message: Message, serial: number): Answers {
  if (message.generation <= answers.generation) return answers;
  const lines = each((name) => ({ ...answers.lines[name], old: true }));
  return { generation: message.generation, current: message.serial >= serial, lines };
}

/** A message from the kernel; `serial` is the number of the newest move made here. */
export function received(answers: Answers, message: Message, serial: number): Answers {
  const now = begun(answers, message, serial);
  if (message.kind === "start") return now;
  const name = ROWS[message.row];
  if (!name || message.generation !== now.generation || !now.current) return now;
  return {
    ...now,
    lines: { ...now.lines, [name]: { text: message.text, spans: message.spans, facts: [], old: false } },
  };
}

/** The finished answers of a generation; ignored unless it is the one on screen and its setting the newest. */
export function finished(answers: Answers, saved: Finished, serial: number): Answers {
  if ((saved.generation ?? 0) < answers.generation || (saved.serial ?? 0) < serial) return answers;
  return restored(saved);
}
