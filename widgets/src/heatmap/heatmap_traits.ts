/** The traits of the heatmap as the front-end reads them. */
import type { AnyModel } from "@anywidget/types";
import { type Cells, floats, type RowGroup, wholes } from "./map_cells";

export interface Traits {
  concepts: string[];
  categories: string[];
  row_groups: RowGroup[];
  unfit: Record<string, string>;
  layers: number[];
  relative_depths: number[];
  strengths: number[];
  values: DataView;
  /** Scores of answers, which colours say where there are any. */
  score: DataView;
  low: DataView;
  high: DataView;
  n: DataView;
  clear: DataView;
  q: DataView;
  marks: DataView;
  unfinished: DataView;
  reason: DataView;
  reasons: string[];
  control: DataView;
  control_low: DataView;
  control_high: DataView;
  mean_over_concepts: DataView;
  group_means: DataView;
  best: DataView;
  /** Labels of the groups that are one row. */
  folded: string[];
  unit: string;
  strength_unit: string;
  /** End of the colour scale. */
  limit: number;
  /** What the marks of the map mean. */
  note: string;
  /** How many cells of the whole grid pass. */
  caption: string;
  provenance: Provenance;
  /** Python for the selected cells: every second piece names what the selection fills in. */
  recipe: string[];
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
  /** Selections that were made by hand. */
  picked: number;
  /** Label of the tokens that the grid steered. */
  tokens_label: string;
  detail: string;
  has_off_target: boolean;
  off_target: DataView;
  off_target_at: number[];
  off_target_limit: number;
  /** Cells, as concept, layer and strength, whose answers a saved page holds. */
  answered: [string, number, number][];
  copied: string;
  status: string;
  message: string;
}

/** What the numbers are, which a choice that was just made is not yet. */
export interface Provenance {
  metric?: string;
  average?: string;
  against?: string;
}

export type Model = AnyModel<Traits>;

/** Traits whose change alters the layout of the map. */
export const FRAME = ["concepts", "row_groups", "layers", "relative_depths", "columns", "folded"] as const;
/** Traits that hold numbers or say what they are. */
export const NUMBERS = [
  ...["values", "score", "low", "high", "n", "clear", "control", "control_low", "control_high", "off_target"],
  ...["q", "marks", "unfinished", "reason", "reasons", "caption"],
  ...["strengths", "unit", "strength_unit", "controls", "provenance", "has_off_target", "off_target_at"],
  ...["mean_over_concepts", "group_means", "best", "categories", "unfit"],
  ...["limit", "note", "recipe", "off_target_limit", "answered"],
];
/** Traits that say what can be chosen, and what is. */
export const CHOICES = [
  ...["metric", "metrics", "metric_labels", "against", "controls", "average", "average_labels"],
  ...["sample", "samples", "columns", "relative_depths", "strengths", "strength_unit"],
];
export const STATE = [
  "concept",
  "layer",
  "window",
  "strength",
  "progress",
  "status",
  "message",
  "detail",
  "tokens_label",
];

export function readCells(model: Model): Cells {
  const controls = model.get("controls");
  const [value, score] = [floats(model.get("values")), floats(model.get("score"))];
  return {
    concepts: model.get("concepts"),
    categories: model.get("categories"),
    groups: model.get("row_groups"),
    unfit: model.get("unfit"),
    layers: model.get("layers"),
    depths: model.get("relative_depths"),
    strengths: model.get("strengths"),
    value,
    coloured: score.length > 0 ? score : value,
    scored: score.length > 0,
    low: floats(model.get("low")),
    high: floats(model.get("high")),
    n: floats(model.get("n")),
    clear: floats(model.get("clear")),
    q: floats(model.get("q")),
    marks: floats(model.get("marks")),
    unfinished: floats(model.get("unfinished")),
    reason: wholes(model.get("reason")),
    reasons: model.get("reasons"),
    controls,
    against: Math.max(0, controls.indexOf(model.get("provenance").against ?? "random")),
    control: floats(model.get("control")),
    controlLow: floats(model.get("control_low")),
    controlHigh: floats(model.get("control_high")),
    meanOverConcepts: floats(model.get("mean_over_concepts")),
    groupMeans: floats(model.get("group_means")),
    best: floats(model.get("best")),
    folded: model.get("folded") ?? [],
  };
}
