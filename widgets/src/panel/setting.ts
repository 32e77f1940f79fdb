/** The traits of SteeringPanel. */
import type { Span } from "../base/marks";
import type { Fact, Finished, RowName } from "./answer_stream";
import type { Picture } from "./pictures";

/** The setting of the panel with the values it starts from; `Setting` of the kernel has the same names and values. */
const SETTING = {
  picture: 0,
  prompt: "",
  concept: "",
  second: "",
  second_strength: 1,
  layer: 0,
  window: [0, 0] as [number, number],
  strength: 1,
  scope: "last_prompt+generated",
  patches: [] as boolean[][],
  positions: [] as number[],
  seed: 0,
};

export type Settings = typeof SETTING;
export const SETTINGS = Object.keys(SETTING) as (keyof Settings)[];

export interface Pin {
  id: number;
  setting: Settings;
  picture: string;
  answers: Record<RowName, string>;
  spans: Record<RowName, Span[]>;
  facts: Record<RowName, Fact[]>;
  code: string;
}

export interface Traits extends Settings {
  concepts: string[];
  categories: string[];
  unfit: Record<string, string>;
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
  cause: string;
  prompt_note: string;
  scope_note: string;
  picture_note: string;
  /** Why the doses can show little on the image, and the number of another that suits them, or −1. */
  image_note: string;
  other_image: number;
  advice: string;
  activity: string;
  /** A line of controls above the image and the answers; everything rare behind a button. */
  compact: boolean;
  /** What the lab's map says of the setting. */
  verdict: string;
  serial: number;
}
