import { describe, expect, it } from "vitest";
import {
  bytes,
  count,
  duration,
  facts,
  heading,
  pace,
  type State,
  WORKER_HEADINGS,
  workerRows,
} from "../src/monitor/facts";

const state: State = {
  status: "running",
  message: "",
  note: "",
  done: 1234,
  total: 10240,
  progress: 0.1205,
  rate: 182.4,
  seconds: 65,
  seconds_left: 49.4,
  memory: 1.24e9,
  memory_free: 9.3e9,
  controllable: true,
  resumable: false,
  workers: [],
};

describe("the monitor's numbers", () => {
  it("have units that fit their size", () => {
    expect([0, 42.4, 185, 3600, 7800, 273600].map(duration)).toEqual([
      "0 s",
      "42 s",
      "3 min 5 s",
      "1 h",
      "2 h 10 min",
      "3 d 4 h",
    ]);
    expect([1.24e9, 5.2e8].map(bytes)).toEqual(["1.2 GB", "520 MB"]);
    expect([0, 0.25, 1.5, 182.4].map(pace)).toEqual(["–", "15.0 per min", "1.5 per s", "182 per s"]);
    expect(count(1234567)).toBe("1\u202f234\u202f567");
  });
  it("are all there while a sweep runs", () => {
    expect(facts(state)).toEqual([
      ["runs", "1\u202f234 of 10\u202f240"],
      ["rate", "182 per s"],
      ["time left", "49 s"],
      ["so far", "1 min 5 s"],
      ["memory", "1.2 GB, 9.3 GB free"],
    ]);
  });
  it("are left out where they are not known", () => {
    const some = { ...state, total: 0, memory: 0, seconds_left: null, rate: 0.02 };
    expect(facts(some)).toEqual([
      ["rate", "2.0 % per s"],
      ["time left", "–"],
      ["so far", "1 min 5 s"],
    ]);
    expect(facts({ ...state, status: "finished" }).map(([name]) => name)).not.toContain("time left");
  });
  it("never say that all is done before it is", () => {
    expect(heading({ ...state, progress: 0.9999 })).toBe("running · 99 %");
    expect(heading({ ...state, status: "pausing" })).toBe("pausing after the current step · 12 %");
    expect(heading({ ...state, status: "idle" })).toBe("nothing to watch");
  });
  it("name who computed, and how fast each process of it is", () => {
    const worker = {
      host: "node-1",
      device: "cuda",
      dtype: "bfloat16",
      processes: 4,
      runs: 12345,
      rate: 0.5,
      silent: 65,
    };
    const [row] = workerRows([worker]);
    expect(row).toEqual(["node-1", "cuda, bfloat16", "4", "12\u202f345", "30.0 per min", "1 min 5 s ago"]);
    expect(row).toHaveLength(WORKER_HEADINGS.length);
  });
});
