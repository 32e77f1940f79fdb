import { expect, it } from "vitest";
import { stepOf } from "../src/lab/steps";

it("keys take the selection back and do it again, with Ctrl or Cmd", () => {
  const none = { ctrlKey: false, metaKey: false, shiftKey: false, altKey: false };
  const step = (key: string, held: Partial<typeof none>) => stepOf({ key, ...none, ...held });
  expect(step("z", { ctrlKey: true })).toBe("undo");
  expect(step("z", { metaKey: true })).toBe("undo");
  expect(step("Z", { ctrlKey: true, shiftKey: true })).toBe("redo");
  expect(step("y", { ctrlKey: true })).toBe("redo");
  expect([step("z", {}), step("x", { ctrlKey: true }), step("z", { ctrlKey: true, altKey: true })]).toEqual([
    "",
    "",
    "",
  ]);
});
