import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { pieces, type Span } from "../src/base/marks";

interface Case {
  answer: string;
  spans: [number, number, boolean][];
  utf16: Span[];
}

const CASES = JSON.parse(readFileSync(new URL("../../tests/naming.json", import.meta.url), "utf8")) as Case[];

/** What is painted as one span or several, with its kind: neighbouring pieces of one kind belong together. */
function marked(answer: string, baseline: string | null, spans: readonly Span[]): string[] {
  const found: string[] = [];
  let before = "";
  for (const { text, kind } of pieces(answer, baseline, spans)) {
    if (kind && kind === before) found[found.length - 1] += text;
    else if (kind) found.push(`${kind}: ${text}`);
    before = kind;
  }
  return found;
}

/** The mentions of a case by code points, as Python counts. */
const mentions = ({ answer, spans }: Case) =>
  spans.map(([start, stop, no]) => `${no ? "negated" : "named"}: ${[...answer].slice(start, stop).join("")}`);

describe("mentions", () => {
  it.each(CASES.map((one) => [one.answer, one] as const))("are painted where the kernel found them: %j", (_, one) => {
    for (const baseline of [null, "a plain picture", one.answer]) {
      expect(marked(one.answer, baseline, one.utf16)).toEqual(mentions(one));
      expect(
        pieces(one.answer, baseline, one.utf16)
          .map(({ text }) => text)
          .join(""),
      ).toBe(one.answer);
    }
  });
  it("are nowhere else, whatever an answer says", () => {
    for (const { answer } of CASES) {
      expect(marked(answer, null, [])).toEqual([]);
      for (let start = 0; start < answer.length; start += 1) {
        const span: Span = [start, start + 1, start % 2];
        expect(marked(answer, "a cat", [span])).toEqual([`${start % 2 ? "negated" : "named"}: ${answer[start]}`]);
      }
    }
  });
});

describe("changed words", () => {
  const changed = (answer: string, baseline: string | null, spans: Span[] = []) =>
    pieces(answer, baseline, spans).filter((one) => one.changed);
  it("are those that a longest common subsequence leaves over", () => {
    const found = changed("a picture of a cat and a tree", "a picture of two stars and a tree");
    expect(found.map(({ text }) => text)).toEqual(["a", "cat"]);
    expect(changed("same words", "same words")).toEqual([]);
    expect(changed("Same, words.", "same words")).toEqual([]);
  });
  it("are not marked without a baseline", () => {
    expect(changed("a cat", null)).toEqual([]);
  });
  it("are cut where a mention ends, and a mention where they end", () => {
    expect(changed("two cats, here", "here", [[4, 8, 0]])).toEqual([
      { text: "two", changed: true, kind: "" },
      { text: "cats", changed: true, kind: "named" },
      { text: ",", changed: true, kind: "" },
    ]);
    expect(marked("the left of it", "the left", [[4, 11, 0]])).toEqual(["named: left of"]);
  });
});

interface Marking {
  answer: string;
  baseline: string | null;
  spans: Span[];
  pieces: [text: string, changed: boolean, kind: string][];
}

const MARKING = JSON.parse(readFileSync(new URL("../../tests/marking.json", import.meta.url), "utf8")) as Marking[];

describe("an answer", () => {
  it.each(MARKING.map((one) => [one.answer, one] as const))("is cut as still pictures cut it: %j", (_, one) => {
    const found = pieces(one.answer, one.baseline, one.spans);
    expect(found.map(({ text, changed, kind }) => [text, changed, kind])).toEqual(one.pieces);
  });
});
