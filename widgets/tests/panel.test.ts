import { describe, expect, it } from "vitest";
import type { Span } from "../src/base/marks";
import { type Fact, finished, moved, received, restored } from "../src/panel/answer_stream";
import { statusOf } from "../src/panel/outcome";
import { said } from "../src/panel/pins";
import { listed } from "../src/panel/sections";
import { shifted } from "../src/panel/steer";
import { Together } from "../src/panel/together";
import { fitted } from "../src/panel/upload";

const start = (generation: number, serial: number) => ({ kind: "start" as const, generation, serial });
const token = (generation: number, serial: number, row: number, text: string, spans: Span[] = []) => ({
  kind: "token" as const,
  generation,
  serial,
  row,
  text,
  spans,
});

describe("streaming answers", () => {
  it("show the words of the running generation", () => {
    let answers = received(restored({}), start(1, 0), 0);
    answers = received(answers, token(1, 0, 1, "a cat", [[2, 5, 0]]), 0);
    expect(answers.lines.steered).toEqual({ text: "a cat", spans: [[2, 5, 0]], facts: [], old: false });
    expect(answers.lines.baseline.old).toBe(true);
  });
  it("drop every word of an older generation", () => {
    let answers = received(restored({}), start(2, 0), 0);
    answers = received(answers, token(1, 0, 0, "late"), 0);
    answers = received(answers, start(1, 0), 0);
    expect(answers.generation).toBe(2);
    expect(answers.lines.baseline.text).toBe("");
  });
  it("drop a generation whose setting has been moved since", () => {
    let answers = moved(received(restored({}), start(1, 1), 1));
    answers = received(answers, token(1, 1, 0, "late"), 2);
    answers = received(answers, start(2, 1), 2);
    answers = received(answers, token(2, 1, 0, "late too"), 2);
    expect(answers.lines.baseline.text).toBe("");
    answers = received(answers, start(3, 2), 2);
    answers = received(answers, token(3, 2, 0, "newest"), 2);
    expect(answers.lines.baseline).toEqual({ text: "newest", spans: [], facts: [], old: false });
  });
  it("learn of a generation from its first word when they came too late for its start", () => {
    const answers = received(restored({}), token(4, 0, 2, "a"), 0);
    expect(answers.generation).toBe(4);
    expect(answers.lines.random.text).toBe("a");
  });
  it("keep the old words, marked as old, until new ones come", () => {
    const texts = { baseline: "a tree", steered: "a cat", random: "a tree" };
    const saved = { generation: 1, serial: 0, ...texts, spans: { steered: [[2, 5, 0]] as Span[] } };
    const answers = received(moved(restored(saved)), start(2, 1), 1);
    expect(answers.lines.steered).toEqual({ text: "a cat", spans: [[2, 5, 0]], facts: [], old: true });
  });
  it("take finished answers only of the newest setting", () => {
    const answers = moved(received(restored({}), start(3, 1), 1));
    expect(finished(answers, { generation: 3, serial: 1, steered: "old" }, 2)).toBe(answers);
    expect(finished(answers, { generation: 4, serial: 2, steered: "new" }, 2).lines.steered.text).toBe("new");
  });
});

describe("what an answer is", () => {
  it("comes with the finished answer, and goes when its next words stream", () => {
    const facts = { steered: [["broken", "broken: repeats words"]] as Fact[] };
    let answers = restored({ generation: 1, serial: 0, steered: "a cat cat cat", facts });
    expect(answers.lines.steered.facts).toEqual(facts.steered);
    answers = received(answers, token(2, 0, 1, "a"), 0);
    expect(answers.lines.steered.facts).toEqual([]);
  });
});

describe("spans of the same words", () => {
  it("come again when what counts as naming was edited, while an answer streams and when it is finished", () => {
    let answers = received(restored({}), token(1, 0, 1, "a cat", [[2, 5, 0]]), 0);
    answers = received(answers, token(1, 0, 1, "a cat", []), 0);
    expect(answers.lines.steered).toEqual({ text: "a cat", spans: [], facts: [], old: false });
    const saved = { generation: 1, serial: 0, baseline: "", steered: "a cat", random: "" };
    answers = finished(answers, { ...saved, spans: { steered: [[0, 1, 1]] } }, 0);
    expect(answers.lines.steered.spans).toEqual([[0, 1, 1]]);
    expect(finished(answers, saved, 0).lines.steered.spans).toEqual([]);
  });
});

describe("what counts as naming", () => {
  it("is read from a field with commas", () => {
    expect(listed(" cat, kitten,, cat \n tabby")).toEqual(["cat", "kitten", "tabby"]);
    expect(listed("  ")).toEqual([]);
  });
});

describe("windows and pins", () => {
  it("move as a whole and end at the last layer", () => {
    expect(shifted(2, [4, 6], [0, 1, 2, 3, 4, 5, 6, 7])).toEqual([2, 4]);
    expect(shifted(7, [4, 6], [0, 1, 2, 3, 4, 5, 6, 7])).toEqual([7, 7]);
    expect(shifted(3, [5, 5], [0, 1, 2, 3, 4, 5])).toEqual([3, 3]);
  });
  it("say their setting in a line", () => {
    const setting = { picture: 0, prompt: "?", concept: "left_of", second: "", second_strength: 0.5, layer: 3 };
    const rest = {
      window: [3, 5] as [number, number],
      strength: 1,
      scope: "image",
      patches: [],
      positions: [],
      seed: 2,
    };
    expect(said({ ...setting, ...rest }, [["image", "image"]])).toBe("left of +1 · layers 3–5 · image · seed 2");
    const both = { ...setting, ...rest, second: "neon", window: [3, 3] as [number, number] };
    expect(said(both, [])).toBe("left of +1 and neon +½ · layer 3 · image · seed 2");
  });
});

describe("large photographs", () => {
  it("keep their shape", () => {
    expect(fitted(4000, 3000, 1568)).toEqual([1568, 1176]);
    expect(fitted(100, 50, 1568)).toEqual([100, 50]);
  });
});

describe("the status of a saved notebook", () => {
  it("is not that of a run that nobody makes any more", () => {
    expect([statusOf("running", true), statusOf("running", false)]).toEqual(["running", "cancelled"]);
    expect([statusOf("idle", false), statusOf("error", false)]).toEqual(["idle", "error"]);
  });
});

describe("changes that come together", () => {
  it("are drawn once, in the order of the parts, when all have come", () => {
    const drawn: string[] = [];
    const waiting: (() => void)[] = [];
    const draws = { settings: () => drawn.push("settings"), answers: () => drawn.push("answers") };
    const parts = new Together<"settings" | "answers">(draws, (call) => waiting.push(call));
    parts.ask("answers");
    parts.ask("settings");
    parts.ask("settings", "answers");
    expect([drawn, waiting.length]).toEqual([[], 1]);
    waiting.pop()?.();
    expect(drawn).toEqual(["settings", "answers"]);
    parts.ask("answers");
    waiting.pop()?.();
    expect(drawn).toEqual(["settings", "answers", "answers"]);
  });
  it("are drawn in a next round where drawing itself changes something", () => {
    const waiting: (() => void)[] = [];
    let again = true;
    const parts: Together<"one"> = new Together<"one">(
      {
        one: () => {
          if (again) parts.ask("one");
          again = false;
        },
      },
      (call) => waiting.push(call),
    );
    parts.ask("one");
    waiting.pop()?.();
    expect(waiting.length).toBe(1);
  });
});
