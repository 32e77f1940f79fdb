"""What a chart shows as plain data: lines, points, a matrix or a specification curve, which Bokeh and widgets paint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

NOTHING: np.ndarray = np.empty(0)
"""Ends of intervals where there are none."""


@dataclass(frozen=True)
class Axis:
    """An axis of a chart.

    `label`: short, with units in brackets. `dim`: dimension of the datasets whose coordinates lie along it; empty for
    any other quantity. `ticks`: where it is marked; empty where the painter chooses.
    """

    label: str
    dim: str = ""
    ticks: tuple[float, ...] = ()
    logarithmic: bool = False


@dataclass(frozen=True)
class Line:
    """A line of a chart: a mean over concepts with its interval, a single concept, or what is compared with.

    `name`, `label`: its name, and that with how many concepts it is the mean of.
    `colour`: ``#rrggbb``, in both themes.
    `x`, `y`: float array [point].
    `low`, `high` (float array [point]): ends of the 95 % interval; empty where there is none.
    `control`: kind of control, whose colour (one for each theme) goes before ``colour``.
    `concept`: of a line of a single concept.
    `layer`: block that was edited, where the lines of a chart differ in that.
    """

    name: str
    label: str
    colour: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray = field(default_factory=lambda: NOTHING)
    high: np.ndarray = field(default_factory=lambda: NOTHING)
    control: str = ""
    dashed: bool = False
    concept: str = ""
    layer: int | None = None


@dataclass(frozen=True)
class Points:
    """Concepts of one category as points with upright intervals.

    `x`, `y`, `low`, `high`: float array [concept].
    """

    name: str
    colour: str
    concepts: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Matrix:
    """A matrix in diverging colours.

    `values` (float array [row, column]): NaN where it is not known. `limit`: end of the colour scale −limit … limit.
    `concepts`: whether rows and columns are concepts.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray
    limit: float
    units: str
    concepts: bool = False


@dataclass(frozen=True)
class Specifications:
    """A specification curve: the verdict of each way to ask a question, in rising order.

    `values` (float array [way]): rising; NaN, where a verdict cannot be computed, at the end.
    `headline`: place of the headline in ``values``.
    `aspects`: what the ways differ in, with the values of each.
    `chosen` (int array [way, aspect]): place of each way's value among those of the aspect.
    """

    values: np.ndarray
    headline: int
    aspects: tuple[tuple[str, tuple[str, ...]], ...]
    chosen: np.ndarray
    units: str


@dataclass(frozen=True)
class Chart:
    """One chart of a study.

    `key`: its name among the charts of the study.
    `caption`: paragraphs: what is drawn, and how the numbers were made.
    `levels`: heights of dashed horizontal lines: what the values are compared with.
    `chosen`: what of the study is drawn where it has several of a kind.
    `nothing`: why nothing is drawn, in place of empty axes; empty where something is.
    """

    key: str
    title: str
    caption: tuple[str, ...]
    x: Axis
    y: Axis
    lines: tuple[Line, ...] = ()
    points: tuple[Points, ...] = ()
    levels: tuple[float, ...] = ()
    matrix: Matrix | None = None
    specifications: Specifications | None = None
    chosen: Mapping[str, str] = field(default_factory=dict)
    nothing: str = ""

    @property
    def shows(self) -> bool:
        """Whether any number is known, beside what they are compared with."""
        drawn = [line.y for line in self.lines if not line.dashed] + [one.y for one in self.points]
        drawn += [] if self.matrix is None else [self.matrix.values]
        drawn += [] if self.specifications is None else [self.specifications.values]
        return any(bool(np.isfinite(values).any()) for values in drawn)

    @property
    def short(self) -> str:
        """A label beside the other charts of the study: what was chosen, else its title."""
        return " · ".join(self.chosen.values()) or self.title
