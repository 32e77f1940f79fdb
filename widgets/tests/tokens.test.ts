import { describe, expect, it } from "vitest";
import {
  itemsOf,
  joined,
  positionsOf,
  spanned,
  stepped,
  type Token,
  toggled,
  visible,
} from "../src/inside/token_items";
import { guesses, type Reading, summary, valueAt } from "../src/inside/token_reading";

const special = (position: number): Token => ["<s>", "special", position, -1, -1, ""];
const image = (position: number, row: number, column: number): Token => ["", "image", position, row, column, ""];
const text = (word: string, position: number, role = "text"): Token => [word, role, position, -1, -1, ""];
/** Two rows of two patches, each closed by a special token, as some families write them. */
const tokens: Token[] = [
  special(0),
  image(1, 0, 0),
  image(2, 0, 1),
  special(3),
  image(4, 1, 0),
  image(5, 1, 1),
  special(6),
  text("what", 7),
  text("cat", 8, "answer"),
];

describe("items", () => {
  it("hold a picture as one block, ends of its rows included", () => {
    const items = itemsOf(tokens, false);
    expect(items).toEqual([
      { kind: "token", index: 0 },
      { kind: "block", indices: [1, 2, 4, 5] },
      { kind: "token", index: 6 },
      { kind: "token", index: 7 },
      { kind: "token", index: 8 },
    ]);
  });
  it("show it token by token behind its block when it is opened", () => {
    const items = itemsOf(tokens, true);
    expect(items).toHaveLength(5 + 5);
    expect(items.slice(1, 4)).toEqual([
      { kind: "block", indices: [1, 2, 4, 5] },
      { kind: "token", index: 1 },
      { kind: "token", index: 2 },
    ]);
  });
  it("keep pictures apart that have words between them", () => {
    const two = [image(0, 0, 0), text("and", 1), image(2, 0, 0)];
    expect(itemsOf(two, false).map((item) => item.kind)).toEqual(["block", "token", "block"]);
    expect(itemsOf([], true)).toEqual([]);
  });
});

describe("a selection", () => {
  const items = itemsOf(tokens, false);
  it("has positions of the prompt only", () => {
    expect(positionsOf(tokens, items[1])).toEqual([1, 2, 4, 5]);
    expect(positionsOf(tokens, items[4])).toEqual([]);
    expect(positionsOf(tokens, undefined)).toEqual([]);
    expect(spanned(tokens, items, 4, 2)).toEqual([6, 7]);
  });
  it("turns over whole: in if any is out, else out", () => {
    expect(toggled([7], [1, 2])).toEqual([1, 2, 7]);
    expect(toggled([1, 7], [1, 2])).toEqual([1, 2, 7]);
    expect(toggled([1, 2, 7], [1, 2])).toEqual([7]);
    expect(joined([7, 10], [2, 7])).toEqual([2, 7, 10]);
  });
  it("moves by keys inside the strip", () => {
    expect([stepped(0, 5, "ArrowLeft"), stepped(4, 5, "ArrowRight"), stepped(1, 5, "ArrowRight")]).toEqual([0, 4, 2]);
    expect([stepped(2, 5, "Home"), stepped(2, 5, "End"), stepped(2, 5, "x")]).toEqual([0, 4, null]);
  });
});

describe("text", () => {
  it("of a token can always be seen", () => {
    expect([visible(" cat"), visible("\n"), visible(" "), visible("")]).toEqual(["cat", "⏎", "␣", "␣"]);
    expect(visible("<b>x</b>")).toBe("<b>x</b>");
  });
});

describe("a reading", () => {
  const none = Number.NaN;
  const reading: Reading = {
    tokens: 2,
    values: new Float32Array([1, 2, 3, none]),
    words: ["cat", "dog"],
    lens: new Float32Array([...[0, 0.75, 1, 0.25, none, none], ...Array(6).fill(none)]),
  };
  it("gives values by layer and token", () => {
    expect([valueAt(reading, 0, 1), valueAt(reading, 1, 0)]).toEqual([2, 3]);
    expect(valueAt(reading, 5, 0)).toBeNaN();
  });
  it("gives the words that were read, and none where nothing was", () => {
    expect(guesses(reading, 0, 0)).toEqual([
      { word: "cat", probability: 0.75 },
      { word: "dog", probability: 0.25 },
    ]);
    expect(guesses(reading, 0, 1)).toEqual([]);
    expect(guesses(reading, 1, 0)).toEqual([]);
  });
  it("sums a block up over what is known", () => {
    expect(summary(reading, 0, [0, 1])).toEqual({ mean: 1.5, most: 1, value: 2 });
    expect(summary(reading, 1, [0, 1])).toEqual({ mean: 3, most: 0, value: 3 });
    expect(summary(reading, 1, [1])).toBeNull();
  });
});
