import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

/** Selectors of a style sheet, without comments and at-rules. */
function selectors(sheet: string): string[] {
  const plain = sheet.replace(/\/\*[\s\S]*?\*\//g, "");
  const heads = [...plain.matchAll(/([^{}]+)\{/g)].map((match) => (match[1] ?? "").trim());
  return heads.filter((head) => !head.startsWith("@")).flatMap((head) => head.split(",").map((one) => one.trim()));
}

/** How a selector begins that reaches only into the panel: `mp-projector` is a class of the panel's root. */
const OWN = /^(\.mp-panel|\.mp-projector|\.mp\.mp-projector)[ [:]/;

describe("style of the map, the monitor and the study", () => {
  it.each(["heatmap", "monitor", "study"])("%s.css is its own", (name) => {
    const found = selectors(readFileSync(new URL(`../src/${name}/${name}.css`, import.meta.url), "utf8"));
    expect(found.length).toBeGreaterThan(5);
    expect(found.filter((one) => !one.startsWith(`.mp-${name}`))).toEqual([]);
  });
});

describe("style of the panel", () => {
  it.each(["panel/panel.css", "panel/controls.css", "panel/answers.css", "panel/projector.css"])(
    "%s is its own",
    (name) => {
      const found = selectors(readFileSync(new URL(`../src/${name}`, import.meta.url), "utf8"));
      expect(found.length).toBeGreaterThan(5);
      expect(found.filter((one) => !OWN.test(one))).toEqual([]);
    },
  );
});
