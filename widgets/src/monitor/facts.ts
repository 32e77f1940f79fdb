/** What the monitor says: facts with units, from the numbers of the kernel. */

import { percentDone } from "../base/numbers";

/** What one host computed with one kind of device. */
export interface Worker {
  host: string;
  device: string;
  dtype: string;
  processes: number;
  runs: number;
  /** Runs per second of one process. */
  rate: number;
  /** Seconds since its last unit. */
  silent: number;
}

export interface State {
  status: string;
  message: string;
  note: string;
  done: number;
  total: number;
  progress: number;
  rate: number;
  seconds: number;
  seconds_left: number | null;
  memory: number;
  memory_free: number;
  controllable: boolean;
  /** Whether it was stopped and can go on. */
  resumable: boolean;
  workers: Worker[];
}

const grouped = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });

/** A number of runs, with thin spaces between thousands. */
export const count = (value: number): string => grouped.format(value).replaceAll(",", "\u202f");

/** Time in its two largest units: 42 s, 3 min 5 s, 2 h 10 min, 3 d 4 h. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const units: [number, string][] = [
    [86400, "d"],
    [3600, "h"],
    [60, "min"],
    [1, "s"],
  ];
  const first = units.findIndex(([size]) => whole >= size);
  if (first < 0) return "0 s";
  const [size, name] = units[first] as [number, string];
  const rest = units[first + 1];
  const main = `${Math.floor(whole / size)} ${name}`;
  if (!rest) return main;
  const more = Math.floor((whole % size) / rest[0]);
  return more ? `${main} ${more} ${rest[1]}` : main;
}

/** Bytes as GB or MB (powers of ten). */
export function bytes(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toFixed(1)} GB`;
  return `${Math.round(value / 1e6)} MB`;
}

/** Runs per second, or per minute where that is less than one. */
export function pace(rate: number): string {
  if (!(rate > 0)) return "–";
  if (rate >= 1) return `${rate >= 10 ? count(Math.round(rate)) : rate.toFixed(1)} per s`;
  return `${(rate * 60).toFixed(1)} per min`;
}

const WORDS: Record<string, string> = {
  idle: "nothing to watch",
  pausing: "pausing after the current step",
  cancelled: "stopped",
  error: "failed",
};

/** The state in words, with the share that is done. */
export function heading(state: State): string {
  const word = WORDS[state.status] ?? state.status;
  return state.status === "idle" ? word : `${word} · ${percentDone(state.progress)} %`;
}

/** Name and text of each fact that is known. */
export function facts(state: State): [string, string][] {
  const under = state.status === "running" || state.status === "pausing" || state.status === "paused";
  const found: [string, string][] = [];
  if (state.total > 0) found.push(["runs", `${count(state.done)} of ${count(state.total)}`]);
  const rate =
    state.total > 0 ? pace(state.rate) : state.rate > 0 ? `${(state.rate * 100).toPrecision(2)} % per s` : "–";
  found.push(["rate", rate]);
  if (under) found.push(["time left", state.seconds_left === null ? "–" : duration(state.seconds_left)]);
  found.push(["so far", duration(state.seconds)]);
  if (state.memory > 0) found.push(["memory", `${bytes(state.memory)}, ${bytes(state.memory_free)} free`]);
  return found;
}

/** Cells of the table of workers, one row each. */
export const workerRows = (workers: Worker[]): string[][] =>
  workers.map((one) => [
    one.host,
    `${one.device}, ${one.dtype}`,
    count(one.processes),
    count(one.runs),
    pace(one.rate),
    `${duration(one.silent)} ago`,
  ]);

/** Headings of those cells. */
export const WORKER_HEADINGS = ["host", "device", "processes", "runs", "rate of each", "last unit"];
