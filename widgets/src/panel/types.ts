/** What a panel says and hears: the traits of SteeringPanel. */
import type { Span } from "../marks";
import type { Picture } from "./pictures";
import type { Finished, RowName } from "./stream";

export interface Settings {
  picture: number;
  prompt: string;
  concept: string;
  second: string;
  second_strength: number;
  layer: number;
  window: [number, number];
  strength: number;
  scope: string;
  patches: boolean[][];
  seed: number;
}

export interface Pin {
  id: number;
  setting: Settings;
  picture: string;
  answers: Record<RowName, string>;
  spans: Record<RowName, Span[]>;
  code: string;
}

export interface Traits extends Settings {
  concepts: string[];
  categories: string[];
  words: Record<string, string[]>;
  negations: string[];
  layers: number[];
  pictures: Picture[];
  scene_seed: number;
  suggestions: string[];
  scopes: [string, string][];
  strength_limit: number;
  strength_step: number;
  strength_unit: string;
  answers: Finished;
  receipt: string[];
  code: string;
  rate: number;
  doses: [number, number][];
  safe_low: number;
  safe_high: number;
  pins: Pin[];
  projector: boolean;
  revealed: boolean;
  status: string;
  message: string;
  serial: number;
}

export const SETTINGS = [
  "picture",
  "prompt",
  "concept",
  "second",
  "second_strength",
  "layer",
  "window",
  "strength",
  "scope",
  "patches",
  "seed",
] as const satisfies readonly (keyof Settings)[];
