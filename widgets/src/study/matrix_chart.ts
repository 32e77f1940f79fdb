/** A matrix in diverging colours as SVG, with the row and the column of the selected concept framed. */
import { digitsFor, fewest, signed } from "../base/numbers";
import { svg } from "../base/svg";
import { diverging, rgb, type Theme } from "../base/theme";
import { type ChartData, known, type MatrixData, type Painted, type Selection, type Target } from "./chart_data";

const LETTER = 6.8;
const LEGEND = 34;
const CELL = { least: 9, most: 34, widest: 120 };

export interface MatrixLayout {
  left: number;
  top: number;
  cellWidth: number;
  cellHeight: number;
  /** Whether the names of the columns are turned. */
  turned: boolean;
}

/** Where the cells stand: names to the left and above, cells as wide as there is room. */
export function layoutMatrix(matrix: MatrixData, width: number): MatrixLayout {
  const longest = (names: string[]) => Math.max(1, ...names.map((name) => name.length)) * LETTER + 10;
  const left = Math.min(longest(matrix.rows), width / 3);
  const room = (width - left - 10) / Math.max(1, matrix.columns.length);
  const cellWidth = Math.max(CELL.least, Math.min(matrix.concepts ? CELL.most : CELL.widest, room));
  const turned = longest(matrix.columns) > cellWidth;
  const cellHeight = matrix.concepts ? Math.max(CELL.least, Math.min(20, cellWidth)) : 28;
  return { left, top: turned ? longest(matrix.columns) + 16 : 38, cellWidth, cellHeight, turned };
}

function names(matrix: MatrixData, place: MatrixLayout, selection: Selection): SVGElement[] {
  const { left, top, cellWidth, cellHeight, turned } = place;
  const size = Math.max(8, Math.min(11, cellHeight - 1));
  const look = (name: string) => ({
    class: matrix.concepts && name === selection.concept ? "mp-name mp-chosen" : "mp-name",
    style: `font-size: ${size}px`,
  });
  const rows = matrix.rows.map((name, i) => {
    const y = top + (i + 0.5) * cellHeight + size / 3;
    return svg("text", { ...look(name), x: left - 5, y, "text-anchor": "end" }, name);
  });
  const columns = matrix.columns.map((name, i) => {
    const x = left + (i + 0.5) * cellWidth;
    if (!turned) return svg("text", { ...look(name), x, y: top - 6, "text-anchor": "middle" }, name);
    const at = `translate(${(x + size / 3).toFixed(1)} ${top - 5}) rotate(-90)`;
    return svg("text", { ...look(name), transform: at, "text-anchor": "start" }, name);
  });
  return [...rows, ...columns];
}

/** The scale of colours with its ends. */
function legend(matrix: MatrixData, place: MatrixLayout, y: number, theme: Theme): SVGElement[] {
  const width = 120;
  const steps = 24;
  const cells = Array.from({ length: steps }, (_, i) => {
    const fill = rgb(diverging((2 * (i + 0.5)) / steps - 1, 1, theme));
    return svg("rect", { x: place.left + (i * width) / steps, y, width: width / steps + 0.5, height: 8, fill });
  });
  const digits = fewest(matrix.limit);
  const text = (at: number, words: string, anchor: string) =>
    svg("text", { x: place.left + at, y: y + 20, "text-anchor": anchor }, words);
  const end = `${signed(matrix.limit, digits)} ${matrix.units}`.trim();
  return [
    ...cells,
    text(0, signed(-matrix.limit, digits), "start"),
    text(width / 2, "0", "middle"),
    text(width, end, "end"),
  ];
}

function frames(matrix: MatrixData, place: MatrixLayout, selection: Selection): SVGElement[] {
  const row = matrix.concepts ? matrix.rows.indexOf(selection.concept) : -1;
  if (row < 0) return [];
  const { left, top, cellWidth, cellHeight } = place;
  const box = (x: number, y: number, width: number, height: number) =>
    svg("rect", { class: "mp-frame", x, y, width, height });
  return [
    box(left, top + row * cellHeight, cellWidth * matrix.columns.length, cellHeight),
    box(left + row * cellWidth, top, cellWidth, cellHeight * matrix.rows.length),
  ];
}

/** Paint the matrix of a chart in a given width. */
export function matrixChart(
  chart: ChartData,
  matrix: MatrixData,
  selection: Selection,
  width: number,
  theme: Theme,
): Painted {
  const place = layoutMatrix(matrix, width);
  const { left, top, cellWidth, cellHeight } = place;
  const digits = digitsFor(matrix.limit);
  const below = top + cellHeight * matrix.rows.length;
  const size = { width: Math.max(width, left + cellWidth * matrix.columns.length), height: below + LEGEND };
  const root = svg("svg", { ...size, viewBox: `0 0 ${size.width} ${size.height}` });
  const targets: Target[] = [];
  matrix.values.forEach((values, row) => {
    values.forEach((one, column) => {
      const value = known(one);
      const [x, y] = [left + column * cellWidth, top + row * cellHeight];
      const look = Number.isFinite(value)
        ? { fill: rgb(diverging(value, matrix.limit, theme)) }
        : { class: "mp-unknown" };
      root.append(svg("rect", { ...look, x, y, width: cellWidth - 0.5, height: cellHeight - 0.5 }));
      const [from, to] = [matrix.rows[row] ?? "", matrix.columns[column] ?? ""];
      const number = Number.isFinite(value) ? `${signed(value, digits)} ${matrix.units}`.trim() : "not known";
      targets.push({
        ...{ x: x + cellWidth / 2, y: y + cellHeight / 2, row, column, text: `${from} × ${to} · ${number}` },
        ...(matrix.concepts ? { concept: from } : {}),
      });
    });
  });
  const heading = [chart.y.label, chart.x.label].filter(Boolean).join(" (rows), ");
  const head = svg("text", { class: "mp-axis", x: 4, y: 11 }, heading ? `${heading} (columns)` : "");
  root.append(head, ...names(matrix, place, selection), ...frames(matrix, place, selection));
  root.append(...legend(matrix, place, below + 8, theme));
  return { element: root, targets, legend: [] };
}
