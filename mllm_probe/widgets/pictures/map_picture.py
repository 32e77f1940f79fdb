"""The map of concepts × layers as a still image for papers: axes, units, hatching, marks, legend and caption."""

from __future__ import annotations

import numpy as np

from mllm_probe.plots.curves import counted
from mllm_probe.plots.palette import MARKS, diverging
from mllm_probe.plots.verdicts import mark_box, mark_weights
from mllm_probe.schema import layer_name
from mllm_probe.widgets.base.numbers import MapNumbers, dose, fewest, plain, signed, strength_unit
from mllm_probe.widgets.pictures import fonts
from mllm_probe.widgets.pictures.drawing import Area, Box, Drawing, Line, Text

_HEAD, _COLUMNS, _GAP, _FOOT = 46, 36, 6, 28
_CATEGORY = 24
_SPREAD = 84
"""Width of the column of peaks and spreads at the right."""
_LONGEST_NAME = 190
_NARROWEST = 640.0
"""As wide as the image of a panel, which a lab draws below its map."""
_HEADING = 16
_LINE = 15


def map_picture(
    numbers: MapNumbers,
    strength: float,
    *,
    quantity: str,
    note: str = "",
    selected: tuple[str, int] | None = None,
) -> Drawing:
    """Draw the map at one strength.

    `strength`: the nearest one that was run is drawn.
    `quantity`: label of the numbers.
    `note`: provenance; a second line of the heading.
    `selected`: a cell to frame.
    """
    index = numbers.strength_index(strength)
    row, size = (18, 12.0) if len(numbers.concepts) <= 36 else (14, 11.0)
    names = [fonts.clipped(name, size, _LONGEST_NAME) for name in numbers.concepts]
    left = _CATEGORY + max([60.0, *(fonts.width(name, size) for name in names)]) + 10
    column = max(11.0, min(120.0, (_NARROWEST - left - _SPREAD) / max(1, len(numbers.layers))))
    # Where a category's name is longer than its rows are high, all stand above their rows instead of beside them.
    headings = any(fonts.width(label, 10) > len(places) * row for label, places in numbers.row_groups)
    lines = sum(_HEADING for label, _ in numbers.row_groups if headings and label)
    at = f"strength {dose(numbers.strengths[index])} {strength_unit(numbers.strength_unit)}"
    right = left + column * len(numbers.layers)
    width = max(right + _SPREAD, _NARROWEST)
    about = " · ".join(part for part in (at, counted(numbers.n[:, :, index]), note) if part)
    lines_above = fonts.wrapped(about, 11, width - 20, 3)
    lines_below = [
        line
        for text in (numbers.note, numbers.caption)
        if text
        for line in fonts.wrapped(text, 10.5, width - left - 8, 3)
    ]
    head = _HEAD + _LINE * (len(lines_above) - 1)
    foot = _FOOT + _LINE * len(lines_below)
    height = head + _COLUMNS + len(names) * row + len(numbers.row_groups) * _GAP + lines + foot
    drawing = Drawing(width, height, f"{quantity}, {at}")
    drawing.add(Text(10, 16, fonts.clipped(quantity, 13, width - 20, bold=True), 13, "ink", bold=True))
    drawing.add(*(Text(10, 34 + _LINE * i, line, 11, "soft") for i, line in enumerate(lines_above)))
    _column_names(drawing, numbers, left, column, head)
    y: float = head + _COLUMNS
    drawing.add(Text(right + 8, head + 26, "peak · spread", 10.5, "faint"))
    for label, places in numbers.row_groups:
        if headings and label:
            drawing.add(Text(10, y + _HEADING / 2, fonts.clipped(label, 10, width - 20), 10, "faint"))
            y += _HEADING
        elif label:
            drawing.add(Text(10, y + len(places) * row / 2, label, 10, "faint", "middle", turned=True))
        for concept in places:
            drawing.add(Text(left - 7, y + row / 2, names[concept], size, "ink", "end"))
            _cells(drawing, numbers, concept, index, (left, y, column, row))
            drawing.add(Text(right + 8, y + row / 2, _spread(numbers, concept, index), 10.5, "soft"))
            if selected and selected[0] == numbers.concepts[concept] and selected[1] in numbers.layers:
                x = left + numbers.layers.index(selected[1]) * column
                drawing.add(Box(x - 0.5, y - 0.5, column, row, stroke="brand", weight=2))
            y += row
        y += _GAP
    _legend(drawing, numbers, left, y + 4, min(column * len(numbers.layers), 360.0))
    drawing.add(*(Text(left, y + 39 + _LINE * i, line, 10.5, "faint") for i, line in enumerate(lines_below)))
    return drawing


def _spread(numbers: MapNumbers, concept: int, index: int) -> str:
    peak, ratio = numbers.peak_layer[concept, index], numbers.participation_ratio[concept, index]
    return f"{layer_name(int(peak))} · {plain(float(ratio))}" if np.isfinite(peak) else ""


def _column_names(drawing: Drawing, numbers: MapNumbers, left: float, column: float, head: float) -> None:
    every = max(1, int(-(-20 // column)))
    middle = left + column * len(numbers.layers) / 2
    drawing.add(Text(middle, head + 9, "edited layer (decoder block)", 10.5, "faint", "middle"))
    for i, layer in enumerate(numbers.layers):
        if i % every == 0:
            drawing.add(Text(left + (i + 0.5) * column, head + 26, str(layer_name(layer)), 10.5, "faint", "middle"))


def _cells(
    drawing: Drawing, numbers: MapNumbers, concept: int, index: int, place: tuple[float, float, float, float]
) -> None:
    left, y, column, row = place
    for layer in range(len(numbers.layers)):
        value = float(numbers.values[concept, layer, index])
        x = left + layer * column
        if not np.isfinite(value):
            drawing.add(Box(x + 0.5, y + 0.5, column - 2, row - 2, stroke="line"))
            continue
        hatched = numbers.clear[concept, layer, index] == 0
        drawing.add(Box(x, y, column - 1, row - 1, fill=diverging(value, numbers.limit), hatched=bool(hatched)))
        if abs(value) > numbers.limit:
            corner, size = x + column - 1, min(6.0, row / 3, column / 3)
            drawing.add(Area(((corner - size, y), (corner, y), (corner, y + size)), "ink"))
        _mark(drawing, float(numbers.marks[concept, layer, index]), (x, y, column - 1, row - 1))


def _mark(drawing: Drawing, code: float, cell: tuple[float, float, float, float]) -> None:
    """The last mark of a cell; the readout of the widget names all of them."""
    left, top, width, height = cell
    inset, down, side = mark_box(width, height)
    held = [mark for i, mark in enumerate(MARKS.values()) if np.isfinite(code) and int(code) >> i & 1]
    weight, halo = mark_weights(side)
    for stroke, wide in (("paper", halo), ("ink", weight)):
        for line in held[-1]["strokes"] if held else ():
            points = tuple((left + inset + side * px, top + down + side * py) for px, py in line)
            drawing.add(Line(points, stroke, wide))


def _legend(drawing: Drawing, numbers: MapNumbers, left: float, y: float, width: float) -> None:
    limit, steps = numbers.limit, 64
    width = max(width, 160.0)
    for step in range(steps):
        colour = diverging(-limit + 2 * limit * (step + 0.5) / steps, limit)
        drawing.add(Box(left + step * width / steps, y, width / steps + 0.3, 8, fill=colour))
    digits = fewest(limit)
    unit = f" {numbers.unit}" if numbers.unit else ""
    drawing.add(
        Line(((left + width / 2, y), (left + width / 2, y + 11)), "faint"),
        Text(left, y + 18, plain(-limit, digits), 10.5, "faint"),
        Text(left + width / 2, y + 18, "0", 10.5, "faint", "middle"),
        Text(left + width, y + 18, signed(limit, digits) + unit, 10.5, "faint", "end"),
    )
