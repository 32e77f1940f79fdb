"""The dose-response curve of one concept at one layer as a still image, always over the bands of its controls."""

from __future__ import annotations

import math

import numpy as np

from mllm_probe.plots.curves import Band, Curves, Series, counted, effect_label, strength_label
from mllm_probe.plots.palette import control_label
from mllm_probe.schema import layer_name
from mllm_probe.widgets.base.numbers import MapNumbers, dose, plain
from mllm_probe.widgets.pictures import fonts
from mllm_probe.widgets.pictures.drawing import Area, Box, Dot, Drawing, Line, Text
from mllm_probe.widgets.pictures.picture_colours import of_control

_WIDTH, _PLOT = 420.0, 146.0
_LEFT, _RIGHT, _TOP = 62.0, 16.0, 66.0
_AXIS, _KEY_ROW = 46.0, 18.0


def dose_curves(numbers: MapNumbers, concept: str, layer: int, *, quantity: str = "", note: str = "") -> Curves:
    """Describe effect against strength for one cell of a map.

    `quantity`: label of the numbers. `note`: Provenance. Returns: of the strengths that were run, in order; bands are
    seen from the mean of the control that effects are differences from. Raises ValueError if the concept or layer is
    none of the map, or it holds no controls.
    """
    if concept not in numbers.concepts or layer not in numbers.layers:
        raise ValueError(
            f"there is no cell '{concept}' at layer {layer}; concepts are {', '.join(numbers.concepts)}, layers "
            f"{', '.join(map(str, numbers.layers))}."
        )
    if not numbers.controls:
        raise ValueError("an effect is not drawn without its controls, and this map has none.")
    row, column = numbers.concepts.index(concept), numbers.layers.index(layer)
    order = [i for i in np.argsort(numbers.strengths) if np.isfinite(numbers.values[row, column, i])]
    cells = row, column, order
    x = np.asarray(numbers.strengths, dtype=float)[order]
    parts = {name: getattr(numbers, name)[cells] for name in ("low", "high", "n")}
    value, clear = numbers.values[cells], numbers.clear[cells] == 1
    reference = numbers.controls.get(numbers.against, next(iter(numbers.controls.values())))[0][cells]
    n = counted(parts["n"])
    return Curves(
        title=f"{concept}, layer {layer_name(layer)}",
        quantity=quantity,
        caption=[" · ".join(part for part in (n, "95 % intervals over images and draws", note) if part)],
        x_label=strength_label(numbers.strength_unit),
        y_label=effect_label(numbers.unit),
        series=[Series(concept, numbers.categories[row], x, value, **parts, clear=clear)],
        bands=[
            Band(kind, x, *(array[cells] - reference for array in arrays)) for kind, arrays in numbers.controls.items()
        ],
    )


def dose_picture(numbers: MapNumbers, concept: str, layer: int, *, quantity: str, note: str = "") -> Drawing:
    """Draw effect against strength; parameters and errors as for `dose_curves`."""
    curves = dose_curves(numbers, concept, layer, quantity=quantity, note=note)
    keys = _keys(curves)
    caption = fonts.wrapped(" · ".join(curves.caption), 10.5, _WIDTH - 20, 3)
    top = _TOP + 14 * (len(caption) - 1)
    foot = top + _PLOT + _AXIS
    height = foot + _KEY_ROW * (keys[-1][1] + 1) + 4
    drawing = Drawing(_WIDTH, height, f"{concept} at layer {layer}: {quantity} by strength")
    frame = _Frame(curves, top, top + _PLOT)
    drawing.add(*(Text(10, 49 + 14 * i, line, 10.5, "soft") for i, line in enumerate(caption)))
    _axes(drawing, frame, curves, numbers.strengths)
    for band in curves.bands:
        _band(drawing, frame, band)
    for one in curves.series:
        _curve(drawing, frame, one)
    for x, row, colour, text in keys:
        _key(drawing, _LEFT + x, foot + _KEY_ROW * row, colour, text)
    return drawing


class _Frame:
    """Coordinates of values on the sheet."""

    def __init__(self, curves: Curves, top: float, bottom: float) -> None:
        self.low, self.high = curves.y_limits
        self.first, self.last = curves.x_limits
        self.top, self.bottom = top, bottom
        step = _step(self.high - self.low)
        self.ticks = [step * i for i in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        self.digits = max(0, -math.floor(math.log10(step) + 1e-9))

    def x(self, strength: float) -> float:
        share = (strength - self.first) / (self.last - self.first)
        return _LEFT + 8 + share * (_WIDTH - _LEFT - _RIGHT - 16)

    def y(self, value: float) -> float:
        return self.top + (self.high - value) / (self.high - self.low) * (self.bottom - self.top)

    def points(self, x: np.ndarray, y: np.ndarray) -> list[tuple[float, float]]:
        """Places of the points whose value is known."""
        return [(self.x(float(a)), self.y(float(b))) for a, b in zip(x, y, strict=True) if np.isfinite(b)]


def _step(span: float) -> float:
    """A round distance between ticks: 1, 2 or 5 × 10ⁿ, about five of them."""
    rough = span / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(one * power for one in (1, 2, 5, 10) if one * power >= rough)


def _axes(drawing: Drawing, frame: _Frame, curves: Curves, strengths: list[float]) -> None:
    room, right, bottom = _WIDTH - 20, _WIDTH - _RIGHT, frame.bottom
    drawing.add(Text(10, 15, fonts.clipped(curves.title, 13, room, bold=True), 13, "ink", bold=True))
    drawing.add(Text(10, 33, fonts.clipped(curves.quantity, 11, room), 11, "soft"))
    for tick in frame.ticks:
        y = frame.y(tick)
        drawing.add(Line(((_LEFT, y), (right, y)), "line"))
        drawing.add(Text(_LEFT - 6, y, plain(tick, frame.digits), 10.5, "faint", "end"))
    drawing.add(Line(((_LEFT, frame.y(0)), (right, frame.y(0))), "faint"))
    drawing.add(Line(((frame.x(0), frame.top), (frame.x(0), bottom)), "faint", dash=(2, 3)))
    inside = [one for one in sorted({*strengths, 0.0}) if frame.first <= one <= frame.last]
    for strength in inside:
        drawing.add(Text(frame.x(strength), bottom + 12, dose(strength), 10.5, "faint", "middle"))
    drawing.add(Text((_LEFT + right) / 2, bottom + 29, curves.x_label, 11, "soft", "middle"))
    drawing.add(Text(15, (frame.top + bottom) / 2, curves.y_label, 11, "soft", "middle", turned=True))


def _band(drawing: Drawing, frame: _Frame, band: Band) -> None:
    colour = of_control(band.control)
    known = np.isfinite(band.low) & np.isfinite(band.high)
    if known.sum() > 1:
        above = frame.points(band.x[known], band.high[known])
        below = frame.points(band.x[known], band.low[known])[::-1]
        drawing.add(Area((*above, *below), colour, 0.22))
    line = frame.points(band.x, band.mean)
    if len(line) > 1:
        drawing.add(Line(tuple(line), colour, 1.5, (5, 3)))


def _curve(drawing: Drawing, frame: _Frame, one: Series) -> None:
    for x, low, high in zip(one.x, one.low, one.high, strict=True):
        if np.isfinite(low) and np.isfinite(high):
            at = frame.x(float(x))
            drawing.add(Line(((at, frame.y(float(low))), (at, frame.y(float(high)))), "brand", 1.5, opacity=0.7))
    points = frame.points(one.x, one.value)
    if len(points) > 1:
        drawing.add(Line(tuple(points), "brand", 2))
    for (x, y), clear in zip(points, one.clear, strict=True):
        drawing.add(Dot(x, y, 3.6, "brand" if clear else "paper", "brand"))


Key = tuple[float, int, str, str]
"""Place in its row, row, colour and words of an entry of the legend."""


def _keys(curves: Curves) -> list[Key]:
    """Entries of the legend: the concept in a row of its own, and as many controls in a row as it has room for."""
    keys: list[Key] = [(0.0, 0, "brand", "concept; filled: passes in the grid")]
    for band in curves.bands:
        x, row, _, before = keys[-1]
        x, label = x + 42 + fonts.width(before, 10.5), control_label(band.control)
        begins = row == 0 or x + 42 + fonts.width(label, 10.5) > _WIDTH - _LEFT
        keys.append((0.0 if begins else x, row + begins, of_control(band.control), label))
    return keys


def _key(drawing: Drawing, x: float, y: float, colour: str, text: str) -> None:
    if colour == "brand":
        drawing.add(Line(((x, y), (x + 18, y)), "brand", 2), Dot(x + 9, y, 3.6, "brand", "brand"))
    else:
        drawing.add(Box(x, y - 5, 18, 10, fill=colour, opacity=0.3), Line(((x, y), (x + 18, y)), colour, 1.5, (5, 3)))
    drawing.add(Text(x + 24, y, text, 10.5, "soft"))
