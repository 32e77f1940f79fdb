"""What a figure of effects shows along one dimension, described once; Bokeh, SVG and PNG painters draw it.

The front-end describes the curve of the cell under the pointer by the same rules (``heatmap/response.ts``); one table
of cases holds both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

_NICE = (1, 1.2, 1.4, 1.6, 1.8, 2, 2.2, 2.5, 2.8, 3, 3.5, 4, 4.5, 5, 5.5, 6, 7, 8, 9, 10)
"""Round ends of a scale, at most one sixth above what it must hold."""
_STRENGTH_UNITS = {"residual": "× residual norm", "vector": "× vector", "raw": "× raw vector"}


@dataclass(frozen=True)
class Series:
    """The effect of one concept.

    `x`: ndarray [point].
    `value`, `low`, `high` (ndarray [point]): concept minus control, with its 95 % interval over pictures; NaN where
        nothing was run.
    `n` (ndarray [point]): pictures that count.
    `clear` (ndarray of bool [point]): passes in the grid: clear of every kind of control, at a false discovery rate of
        .05 over the grid.
    `depth` (ndarray [point]): relative depth, where ``x`` are layers.
    `spread`: peak layer and spread in words, where ``x`` are layers.
    `q` (ndarray [point]): the false discovery rate at which a point passes.
    `marks` (dict of str to ndarray of bool [point]): by the names of `palette.MARKS`.
    """

    concept: str
    category: str
    x: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray
    clear: np.ndarray
    depth: np.ndarray | None = None
    spread: str = ""
    q: np.ndarray | None = None
    marks: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Band:
    """What one kind of control does, seen from the mean of the control that effects are differences from.

    `x`, `mean`, `low`, `high` (ndarray [point]): ``low`` and ``high`` are where one more draw would fall.
    """

    control: str
    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Curves:
    """A figure of effects over the bands of their controls.

    `quantity`: what is drawn, in full. `caption`: how it was made. `x_label`, `y_label`: short, with units in brackets.
    """

    title: str
    quantity: str
    caption: list[str]
    x_label: str
    y_label: str
    series: list[Series] = field(default_factory=list)
    bands: list[Band] = field(default_factory=list)

    @property
    def y_limits(self) -> tuple[float, float]:
        """Ends of the upright axis: round, with 0 and every interval and band inside."""
        ends = [end for one in self.series for end in (one.value, one.low, one.high)]
        ends += [end for band in self.bands for end in (band.low, band.high)]
        values = np.concatenate([np.ravel(end) for end in ends] or [np.empty(0)])
        return axis_limits(values[np.isfinite(values)])

    @property
    def x_limits(self) -> tuple[float, float]:
        """Ends of the horizontal axis: the points and 0, for doses."""
        x = [float(value) for one in self.series for value in one.x]
        low, high = (min(0.0, *x), max(0.0, *x)) if x else (-1.0, 1.0)
        return (low - 1, high + 1) if low == high else (low, high)


def axis_limits(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Round ends of an axis that hold 0 and all finite ``values``."""
    top, bottom = max(0.0, *values, 0.0), min(0.0, *values, 0.0)
    low = -nice_ceiling(-bottom) if bottom < 0 else 0.0
    high = nice_ceiling(top) if top > 0 else 0.0 if bottom < 0 else 1.0
    return low, high


def nice_ceiling(value: float) -> float:
    """The smallest round end, 1, 1.2, 1.4 … 9 × 10ⁿ, that is not below ``value``; 1 for 0 and what is not finite."""
    if not value > 0 or not math.isfinite(value):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next((step for step in _NICE if step * power >= value * (1 - 1e-9)), 10) * power


def strength_unit(unit: str) -> str:
    """What one unit of strength means, in words."""
    return _STRENGTH_UNITS.get(unit, unit)


def effect_label(unit: str) -> str:
    """Short label of an axis of effects: "effect [nats]"."""
    return "effect" if unit in ("", "1") else f"effect [{unit}]"


def strength_label(unit: str) -> str:
    """Short label of an axis of doses: "strength [× residual norm]"."""
    return f"strength [{strength_unit(unit)}]" if unit else "strength"


def counted(n: np.ndarray) -> str:
    """The number of pictures that count, "n = 24 pictures" or "n = 3 to 24 pictures"; empty where none was run."""
    known = np.asarray(n, dtype=float)
    known = known[np.isfinite(known) & (known > 0)]
    if known.size == 0:
        return ""
    low, high = int(known.min()), int(known.max())
    if low != high:
        return f"n = {low} to {high} images"
    return f"n = {high} {'image' if high == 1 else 'images'}"
