"""From a chart to plain data for the front-end: three significant digits, null where nothing is known."""

from __future__ import annotations

import math

import numpy as np

from mllm_probe.plots.charts import Axis, Chart, Line, Matrix, Points, Specifications
from mllm_probe.typing import JsonObject

_DIGITS = 3


def state_of(chart: Chart) -> JsonObject:
    """Data of a chart as JSON takes them, without what is empty.

    Returns: ``key``, ``title``, ``label`` (in a list of charts), ``caption``, ``nothing`` (why, where there are no
    numbers), ``x``, ``y`` (label, dim, ticks, log), and what it has of: ``places``, the positions of its lines, each
    set of them once; ``lines`` (``at``, number of its positions, ``y``, ``low``, ``high`` and how it looks);
    ``points``; ``levels``; ``matrix``; ``specifications``.
    """
    places: list[list[float | None]] = []
    state: JsonObject = {
        "key": chart.key,
        "title": chart.title,
        "label": chart.short,
        "caption": list(chart.caption),
        "nothing": chart.nothing,
        "x": _axis(chart.x),
        "y": _axis(chart.y),
        "lines": [_line(line, places) for line in chart.lines],
        "places": places,
        "points": [_points(one) for one in chart.points],
        "levels": [rounded(level) for level in chart.levels],
        "matrix": None if chart.matrix is None else _matrix(chart.matrix),
        "specifications": None if chart.specifications is None else _specifications(chart.specifications),
    }
    return _filled(state)


def rounded(value: float) -> float | None:
    """A number with three significant digits; None for NaN and infinities."""
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None


def _numbers(values: np.ndarray) -> list[float | None]:
    return [rounded(float(value)) for value in values]


def _filled(state: JsonObject) -> JsonObject:
    """What of a state is not empty: the front-end takes what is not there for nothing."""
    return {name: value for name, value in state.items() if isinstance(value, (int, float, dict)) or value}


def _axis(axis: Axis) -> JsonObject:
    ticks = [float(tick) for tick in axis.ticks]
    logarithmic = {"log": True} if axis.logarithmic else {}
    return _filled({"label": axis.label, "dim": axis.dim, "ticks": ticks, **logarithmic})


def _line(line: Line, places: list[list[float | None]]) -> JsonObject:
    x = _numbers(line.x)
    if x not in places:
        places.append(x)
    state = {"at": places.index(x), "y": _numbers(line.y), "low": _numbers(line.low), "high": _numbers(line.high)}
    look: JsonObject = {"colour": line.colour, "control": line.control, "concept": line.concept}
    look |= {} if line.concept else {"label": line.label}
    look |= {"dashed": True} if line.dashed else {}
    return _filled({**state, **look, "layer": line.layer})


def _points(one: Points) -> JsonObject:
    numbers = {name: _numbers(getattr(one, name)) for name in ("x", "y", "low", "high")}
    return {"label": one.name.replace("_", " "), "colour": one.colour, "concepts": list(one.concepts), **numbers}


def _matrix(matrix: Matrix) -> JsonObject:
    return {
        "rows": list(matrix.rows),
        "columns": list(matrix.columns),
        "values": [_numbers(row) for row in matrix.values],
        "limit": rounded(matrix.limit),
        "units": matrix.units,
        "concepts": matrix.concepts,
    }


def _specifications(one: Specifications) -> JsonObject:
    return {
        "values": _numbers(one.values),
        "headline": one.headline,
        "aspects": [[name, list(values)] for name, values in one.aspects],
        "chosen": one.chosen.tolist(),
        "units": one.units,
    }
