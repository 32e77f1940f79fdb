import { describe, expect, it } from "vitest";
import { finished, moved, received, restored } from "../src/panel/stream";
import { mark } from "../src/panel/words";

const start = (generation: number, serial: number) => ({ kind: "start" as const, generation, serial });
const token = (generation: number, serial: number, row: number, text: string) => ({
  kind: "token" as const,
  generation,
  serial,
  row,
  text,
});

describe("streaming answers", () => {
  it("show the words of the running generation", () => {
    let answers = received(restored({}), start(1, 0), 0);
    answers = received(answers, token(1, 0, 1, "a cat"), 0);
    expect(answers.lines.steered).toEqual({ text: "a cat", old: false });
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
    expect(answers.lines.baseline).toEqual({ text: "newest", old: false });
  });
  it("learn of a generation from its first word when they came too late for its start", () => {
    const answers = received(restored({}), token(4, 0, 2, "a"), 0);
    expect(answers.generation).toBe(4);
    expect(answers.lines.random.text).toBe("a");
  });
  it("keep the old words, marked as old, until new ones come", () => {
    const saved = { generation: 1, serial: 0, baseline: "a tree", steered: "a cat", random: "a tree" };
    const answers = received(moved(restored(saved)), start(2, 1), 1);
    expect(answers.lines.steered).toEqual({ text: "a cat", old: true });
  });
  it("take finished answers only of the newest setting", () => {
    const answers = moved(received(restored({}), start(3, 1), 1));
    expect(finished(answers, { generation: 3, serial: 1, steered: "old" }, 2)).toBe(answers);
    expect(finished(answers, { generation: 4, serial: 2, steered: "new" }, 2).lines.steered.text).toBe("new");
  });
});

describe("marked words", () => {
  const changed = (answer: string, baseline: string) => mark(answer, baseline, []).filter((w) => w.changed);
  it("are those that a longest common subsequence leaves over", () => {
    expect(changed("a picture of a cat and a tree", "a picture of two stars and a tree").map((w) => w.text)).toEqual([
      "a",
      "cat",
    ]);
    expect(changed("same words", "same words")).toEqual([]);
    expect(changed("Same, words.", "same words")).toEqual([]);
  });
  it("are not marked without a baseline", () => {
    expect(mark("a cat", null, []).some((w) => w.changed)).toBe(false);
  });
  it("name the concept as whole words, also of several", () => {
    const named = mark("The left of cats, cat!", null, ["cat", "left of"]).filter((w) => w.named);
    expect(named.map((w) => w.text)).toEqual(["left", "of", "cat!"]);
    expect(mark("category", null, ["cat"])[0]?.named).toBe(false);
  });
});
