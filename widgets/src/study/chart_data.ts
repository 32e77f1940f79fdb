/** Charts as the kernel describes them (`widgets/study/chart_state.py`); what is empty is left out. */

export type Numbers = (number | null)[];

export interface AxisData {
  label?: string;
  /** Dimension whose coordinates lie along it. */
  dim?: string;
  ticks?: number[];
  log?: boolean;
}

export interface LineData {
  /** Number of its positions among those of the chart. */
  at: number;
  y?: Numbers;
  low?: Numbers;
  high?: Numbers;
  colour?: string;
  /** Kind of control, whose colour goes before. */
  control?: string;
  dashed?: boolean;
  /** Of a line of a single concept; others have a label. */
  concept?: string;
  label?: string;
  /** Block that was edited, where lines differ in that. */
  layer?: number;
}

export interface PointsData {
  label: string;
  colour: string;
  concepts: string[];
  x: Numbers;
  y: Numbers;
  low: Numbers;
  high: Numbers;
}

export interface MatrixData {
  rows: string[];
  columns: string[];
  values: Numbers[];
  limit: number;
  units: string;
  concepts: boolean;
}

export interface SpecificationsData {
  values: Numbers;
  headline: number;
  aspects: [name: string, values: string[]][];
  chosen: number[][];
  units: string;
}

export interface ChartData {
  key: string;
  title: string;
  /** In the list of charts. */
  label: string;
  caption?: string[];
  /** Why nothing is drawn. */
  nothing?: string;
  x: AxisData;
  y: AxisData;
  lines?: LineData[];
  places?: Numbers[];
  points?: PointsData[];
  levels?: number[];
  matrix?: MatrixData;
  specifications?: SpecificationsData;
}

/** What is selected in every part. */
export interface Selection {
  concept: string;
  layer: number;
}

/** A place of a chart that can be pointed at: where it is, what is read there, and what a click on it selects. */
export interface Target {
  x: number;
  y: number;
  /** Its line, and its place on it, for the arrow keys. */
  row: number;
  column: number;
  text: string;
  concept?: string;
  layer?: number;
}

/** A chart that was painted. */
export interface Painted {
  element: SVGElement;
  targets: Target[];
  /** What the marks mean: colour, dashes, words. */
  legend: { label: string; colour: string; dashed: boolean }[];
}

/** A number that may be unknown. */
export const known = (value: number | null | undefined): number => value ?? Number.NaN;
