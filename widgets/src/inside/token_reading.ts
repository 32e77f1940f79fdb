/** What a token holds at a layer: its projection, and the words that the logit lens reads there. */
import { at } from "../heatmap/map_cells";

export const WORDS = 3;

export interface Reading {
  tokens: number;
  values: Float32Array;
  words: string[];
  lens: Float32Array;
}

export interface Guess {
  word: string;
  probability: number;
}

export const valueAt = (reading: Reading, layer: number, token: number): number =>
  at(reading.values, layer * reading.tokens + token);

/** The most probable next words at a token and layer; empty where they were not read. */
export function guesses(reading: Reading, layer: number, token: number): Guess[] {
  const found: Guess[] = [];
  for (let k = 0; k < WORDS; k += 1) {
    const place = ((layer * reading.tokens + token) * WORDS + k) * 2;
    const word = reading.words[at(reading.lens, place)];
    if (word !== undefined) found.push({ word, probability: at(reading.lens, place + 1) });
  }
  return found;
}

export interface Summary {
  mean: number;
  /** Token with the largest value. */
  most: number;
  value: number;
}

/** Mean and largest value of several tokens at a layer; null where there is none. */
export function summary(reading: Reading, layer: number, tokens: number[]): Summary | null {
  const known = tokens.filter((token) => Number.isFinite(valueAt(reading, layer, token)));
  const first = known[0];
  if (first === undefined) return null;
  const value = (token: number) => valueAt(reading, layer, token);
  const most = known.reduce((best, token) => (value(token) > value(best) ? token : best), first);
  return { mean: known.reduce((sum, token) => sum + value(token), 0) / known.length, most, value: value(most) };
}
