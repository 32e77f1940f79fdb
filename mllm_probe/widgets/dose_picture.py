"""The dose-response curve of one concept at one layer as a still picture, always over the bands of its controls."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mllm_probe.widgets.drawing import fonts
from mllm_probe.widgets.drawing.palette import PAPER
from mllm_probe.widgets.drawing.shapes import Area, Box, Dot, Drawing, Line, Text
from mllm_probe.widgets.numbers import MapNumbers, dose, plain, strength_unit

_WIDTH, _HEIGHT = 420.0, 316.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 16.0, 66.0, 86.0


def dose_picture(numbers: MapNumbers, concept: str, layer: int, *, quantity: str, note: str = "") -> Drawing:
    """Draw effect against strength.

    Parameters
    ----------
    numbers : MapNumbers
    concept : str
    layer : int
    quantity : str
        What the numbers are.
    note : str
        How they were made.

    Raises
    ------
    ValueError
        If the concept or layer is none of the map, or it holds no controls.
    """
    if concept not in numbers.concepts or layer not in numbers.layers:
        raise ValueError(
            f"there is no cell '{concept}' at layer {layer}; concepts are {', '.join(numbers.concepts)}, layers "
            f"{', '.join(map(str, numbers.layers))}."
        )
    if not numbers.controls:
        raise ValueError("an effect is not drawn without its controls, and this map has none.")
    order = np.argsort(numbers.strengths)
    here = numbers.concepts.index(concept), numbers.layers.index(layer), order
    x = [numbers.strengths[i] for i in order]
    value, low, high = (array[here] for array in (numbers.values, numbers.low, numbers.high))
    shown = [value, low, high]
    zero = numbers.controls.get(numbers.against, next(iter(numbers.controls.values())))[0][here]
    bands = {kind: [array[here] - zero for array in arrays] for kind, arrays in numbers.controls.items()}
    shown += [one for band in bands.values() for one in band]
    count = [int(one) for one in numbers.n[here] if math.isfinite(one)]
    drawing = Drawing(_WIDTH, _HEIGHT, f"{concept} at layer {layer}: {quantity} by strength")
    frame = _Frame(x, np.concatenate([np.ravel(one) for one in shown]))
    _axes(drawing, frame, numbers, (concept, layer, quantity, _said(count, note)))
    for kind, (mean, below, above) in bands.items():
        _band(drawing, frame, x, (mean, below, above), kind if kind in PAPER else "random")
    _curve(drawing, frame, x, (value, low, high), numbers.clear[here])
    _legend(drawing, list(bands))
    return drawing


def _said(count: list[int], note: str) -> str:
    n = "" if not count else f"n = {max(count)}" if min(count) == max(count) else f"n = {min(count)} to {max(count)}"
    return " · ".join(part for part in (f"{n} pictures" if n else "", "95 % intervals over pictures", note) if part)


class _Frame:
    """Where values stand on the sheet."""

    def __init__(self, x: Sequence[float], values: np.ndarray) -> None:
        found = values[np.isfinite(values)]
        low, high = (float(found.min()), float(found.max())) if found.size else (0.0, 1.0)
        low, high = min(low, 0.0), max(high, 0.0)
        room = (high - low or 1.0) * 0.06
        self.low, self.high = low - room, high + room
        self.first, self.last = min([*x, 0.0]), max([*x, 0.0])
        step = _step(self.high - self.low)
        self.ticks = [step * i for i in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        self.digits = max(0, -math.floor(math.log10(step) + 1e-9))

    def x(self, strength: float) -> float:
        share = (strength - self.first) / (self.last - self.first or 1.0)
        return _LEFT + 8 + share * (_WIDTH - _LEFT - _RIGHT - 16)

    def y(self, value: float) -> float:
        return _TOP + (self.high - value) / (self.high - self.low) * (_HEIGHT - _TOP - _BOTTOM)


def _step(span: float) -> float:
    """A round distance between ticks: 1, 2 or 5 × 10ⁿ, about five of them."""
    rough = span / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(one * power for one in (1, 2, 5, 10) if one * power >= rough)


def _axes(drawing: Drawing, frame: _Frame, numbers: MapNumbers, said: tuple[str, int, str, str]) -> None:
    concept, layer, quantity, note = said
    room = _WIDTH - 20
    drawing.add(Text(10, 15, fonts.clipped(f"{concept}, layer {layer}", 13, room, bold=True), 13, "ink", bold=True))
    drawing.add(Text(10, 33, fonts.clipped(quantity, 11, room), 11, "soft"))
    drawing.add(Text(10, 49, fonts.clipped(note, 10.5, room), 10.5, "soft"))
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    digits = frame.digits
    for tick in frame.ticks:
        y = frame.y(tick)
        drawing.add(Line(((_LEFT, y), (right, y)), "line"))
        drawing.add(Text(_LEFT - 6, y, plain(tick, digits), 10.5, "faint", "end"))
    drawing.add(Line(((_LEFT, frame.y(0)), (right, frame.y(0))), "faint"))
    drawing.add(Line(((frame.x(0), _TOP), (frame.x(0), bottom)), "faint", dash=(2, 3)))
    for strength in sorted({*numbers.strengths, 0.0}):
        drawing.add(Text(frame.x(strength), bottom + 12, dose(strength), 10.5, "faint", "middle"))
    unit = strength_unit(numbers.strength_unit)
    drawing.add(Text((_LEFT + right) / 2, bottom + 29, f"strength [{unit}]", 11, "soft", "middle"))
    label = f"effect [{numbers.unit}]" if numbers.unit else "effect"
    drawing.add(Text(15, (_TOP + bottom) / 2, label, 11, "soft", "middle", turned=True))


def _band(
    drawing: Drawing, frame: _Frame, x: list[float], band: tuple[np.ndarray, np.ndarray, np.ndarray], colour: str
) -> None:
    mean, low, high = band
    known = [i for i in range(len(x)) if np.isfinite(low[i]) and np.isfinite(high[i])]
    if len(known) > 1:
        above = [(frame.x(x[i]), frame.y(float(high[i]))) for i in known]
        below = [(frame.x(x[i]), frame.y(float(low[i]))) for i in reversed(known)]
        drawing.add(Area((*above, *below), colour, 0.22))
    line = [(frame.x(x[i]), frame.y(float(mean[i]))) for i in range(len(x)) if np.isfinite(mean[i])]
    if len(line) > 1:
        drawing.add(Line(tuple(line), colour, 1.5, (5, 3)))


def _curve(
    drawing: Drawing,
    frame: _Frame,
    x: list[float],
    curve: tuple[np.ndarray, np.ndarray, np.ndarray],
    clear: np.ndarray,
) -> None:
    value, low, high = curve
    known = [i for i in range(len(x)) if np.isfinite(value[i])]
    for i in known:
        if np.isfinite(low[i]) and np.isfinite(high[i]):
            ends = (frame.x(x[i]), frame.y(float(low[i]))), (frame.x(x[i]), frame.y(float(high[i])))
            drawing.add(Line(ends, "brand", 1.5, opacity=0.7))
    if len(known) > 1:
        drawing.add(Line(tuple((frame.x(x[i]), frame.y(float(value[i]))) for i in known), "brand", 2))
    for i in known:
        fill = "brand" if clear[i] == 1 else "paper"
        drawing.add(Dot(frame.x(x[i]), frame.y(float(value[i])), 3.6, fill, "brand"))


def _legend(drawing: Drawing, controls: list[str]) -> None:
    y, x = _HEIGHT - 36.0, _LEFT
    entries = [("brand", "concept; filled: clear of the controls"), *((kind, f"{kind} control") for kind in controls)]
    for number, (colour, said) in enumerate(entries):
        if number == 1:
            y, x = y + 18, _LEFT
        if number == 0:
            drawing.add(Line(((x, y), (x + 18, y)), "brand", 2), Dot(x + 9, y, 3.6, "brand", "brand"))
        else:
            fill = colour if colour in PAPER else "random"
            drawing.add(Box(x, y - 5, 18, 10, fill=fill, opacity=0.3))
            drawing.add(Line(((x, y), (x + 18, y)), fill, 1.5, (5, 3)))
        drawing.add(Text(x + 24, y, said, 10.5, "soft"))
        x += 24 + fonts.width(said, 10.5) + 18
