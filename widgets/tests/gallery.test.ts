import { describe, expect, it } from "vitest";
import { average, bar, column } from "../src/inside/separation";

describe("separations", () => {
  const values = new Float32Array([1, 2, 3, 4, 5, 6]);
  it("are those of one layer", () => {
    expect(column(values, 3, 1)).toEqual([4, 5, 6]);
    expect(column(values, 3, 2)).toEqual([]);
    expect(column(values, 3, -1)).toEqual([]);
  });
  it("have a mean over what is known", () => {
    expect(average([1, Number.NaN, 3])).toBe(2);
    expect(average([])).toBeNaN();
  });
  it("are bars from the middle", () => {
    expect(bar(1, 2)).toEqual({ left: 50, width: 25 });
    expect(bar(-1, 2)).toEqual({ left: 25, width: 25 });
    expect(bar(9, 2)).toEqual({ left: 50, width: 50 });
    expect(bar(Number.NaN, 2)).toEqual({ left: 50, width: 0 });
  });
});
