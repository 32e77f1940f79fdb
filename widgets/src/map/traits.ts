/** The traits of the heatmap as the front-end reads them. */
import type { AnyModel } from "@anywidget/types";
import { type Cells, floats } from "./cells";

export interface Traits {
  concepts: string[];
  categories: string[];
  layers: number[];
  relative_depths: number[];
  strengths: number[];
  values: DataView;
  low: DataView;
  high: DataView;
  n: DataView;
  clear: DataView;
  control: DataView;
  control_low: DataView;
  control_high: DataView;
  unit: string;
  strength_unit: string;
  told: Told;
  progress: number;
  metric: string;
  metrics: string[];
  metric_labels: Record<string, string>;
  against: string;
  controls: string[];
  average: string;
  average_labels: Record<string, string>;
  sample: number;
  samples: string[];
  columns: string;
  concept: string;
  layer: number;
  window: number[];
  strength: number;
  detail: string;
  has_off_target: boolean;
  off_target: DataView;
  off_target_at: number[];
  copied: string;
  status: string;
  message: string;
}

/** What the numbers are, which a choice that was just made is not yet, and how their grid was made. */
export interface Told {
  metric?: string;
  average?: string;
  sample?: number;
  against?: string;
  model?: string;
  bundled?: boolean;
  prompt?: string | string[];
  tokens?: string[];
  scope?: string;
  operation?: string;
  unit?: string;
  seed?: number;
  max_new_tokens?: number;
  to?: string;
}

export type Model = AnyModel<Traits>;

/** Traits whose change alters the layout of the map. */
export const FRAME = ["concepts", "categories", "layers", "relative_depths", "columns"] as const;
/** Traits that hold numbers or say what they are. */
export const NUMBERS = [
  ...["values", "low", "high", "n", "clear", "control", "control_low", "control_high", "off_target"],
  ...["strengths", "unit", "strength_unit", "controls", "told", "has_off_target", "off_target_at"],
];
/** Traits that say what can be chosen, and what is. */
export const CHOICES = [
  ...["metric", "metrics", "metric_labels", "against", "controls", "average", "average_labels"],
  ...["sample", "samples", "columns", "relative_depths", "strengths", "strength_unit"],
];
export const STATE = ["concept", "layer", "window", "strength", "progress", "status", "message", "detail"];

export function readCells(model: Model): Cells {
  const controls = model.get("controls");
  return {
    concepts: model.get("concepts"),
    categories: model.get("categories"),
    layers: model.get("layers"),
    depths: model.get("relative_depths"),
    strengths: model.get("strengths"),
    value: floats(model.get("values")),
    low: floats(model.get("low")),
    high: floats(model.get("high")),
    n: floats(model.get("n")),
    clear: floats(model.get("clear")),
    controls,
    against: Math.max(0, controls.indexOf(model.get("told").against ?? "random")),
    control: floats(model.get("control")),
    controlLow: floats(model.get("control_low")),
    controlHigh: floats(model.get("control_high")),
  };
}
