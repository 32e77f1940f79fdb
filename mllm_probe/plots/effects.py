"""From an effect dataset to the description of a figure along one dimension, with curves, marks and verdicts.

The front-end describes the curve of the cell under the pointer by the same rules (``heatmap/response.ts``); one table
of cases holds both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import xarray as xr

from mllm_probe import schema
from mllm_probe.metrics.statistics import LEAST_UNITS
from mllm_probe.plots.palette import MARKS
from mllm_probe.schema import CONTROL
from mllm_probe.studies.clear_cells import verdict_caption
from mllm_probe.studies.effect import effect as effect_of

MOST_BROKEN = 0.5
"""Share of broken answers from which on a cell is marked."""
_LARGEST, _SMALLEST, _OF_HEIGHT, _INSET = 7.0, 3.0, 0.42, 3.0


def grid_caption(effect: xr.Dataset) -> str:
    """Number of cells that pass, over all concepts, layers and strengths of an effect, and those with too few images.

    `effect`: from :func:`mllm_probe.effect` or :func:`mllm_probe.studies.effect.summarised`. Returns: empty where
    nothing was run, or the effect has no ``q``.
    """
    if "q" not in effect or not (effect["n"] > 0).any():
        return ""
    if effect.attrs.get("average") == "single":
        return "one image is not tested: clear cells lie beyond the interval of the draws of every control"
    unfinished, known = unfinished_cells(effect), np.isfinite(effect["q"])
    if not known.any():
        enough = (effect["n"] >= int(effect.attrs.get("least_images", 0))) & unfinished
        return f"no verdict: {_unfinished_text(effect, unfinished)}" if enough.any() else verdict_caption(effect)
    caption = f"whole grid: {verdict_caption(effect)}"
    if unfinished.any():
        caption += f"; unfinished: {_unfinished_text(effect, unfinished)}"
    return caption


def unfinished_cells(effect: xr.Dataset) -> xr.DataArray:
    """Cells that were run on too few images or with too few draws: they have a score, and no interval of its effect."""
    difference = effect["difference"]
    measured = difference.notnull() | effect["mean"].notnull() if "mean" in effect else difference.notnull()
    if "low" not in effect or effect.attrs.get("average", "mean") != "mean":
        return xr.zeros_like(difference, bool)
    few = effect["low"].isnull()
    if "n_draws" in effect:
        few = few | (effect["n_draws"] < LEAST_UNITS).any(CONTROL)
    return measured & few


def _unfinished_text(effect: xr.Dataset, unfinished: xr.DataArray) -> str:
    """How many cells are unfinished for want of images, and of draws."""
    least = int(effect.attrs.get("least_images", 0))
    few = effect["n"] < least
    counts = {f"fewer than {least} images": unfinished & few, "too few draws of the controls": unfinished & ~few}
    return " and ".join(f"{int(cells.sum())} with {why}" for why, cells in counts.items() if cells.any())


def marks_of(effect: xr.Dataset) -> dict[str, xr.DataArray]:
    """Masks of marked cells, by the names of `palette.MARKS`.

    `effect`: from :func:`mllm_probe.effect`. Returns: ``never_named``, and ``broken`` where at least half of the
    answers are; without those that the effect lacks.
    """
    marks = {name: effect[name] for name in MARKS if name in effect}
    return {name: mark >= MOST_BROKEN if name == "broken" else mark.astype(bool) for name, mark in marks.items()}


def mark_box(width: float, height: float) -> tuple[float, float, float]:
    """Place and size of a mark: at the lower left of a cell, in the units of its width and height.

    Returns: from the upper left corner of the cell.
    """
    side = max(_SMALLEST, min(_LARGEST, width - 2, _OF_HEIGHT * height))
    inset = max(0.0, min(_INSET, (width - side) / 2))
    return inset, height - side - inset, side


def mark_weights(side: float) -> tuple[float, float]:
    """Weights of the lines of a mark, and of the paper below them, so that they are seen on every colour."""
    weight = max(1.2, side / 5)
    return weight, weight + 2 * side / 7


_NICE = (1, 1.2, 1.4, 1.6, 1.8, 2, 2.2, 2.5, 2.8, 3, 3.5, 4, 4.5, 5, 5.5, 6, 7, 8, 9, 10)
"""Round ends of a scale, at most one sixth above what it must hold."""
_STRENGTH_UNITS = {"residual": "× residual norm", "vector": "× vector", "raw": "× raw vector"}


@dataclass(frozen=True)
class Series:
    """The effect of one concept.

    `x`: ndarray [point].
    `value`, `low`, `high` (ndarray [point]): concept minus control, with its 95 % interval over images; NaN where
        nothing was run.
    `n` (ndarray [point]): images that count.
    `clear` (ndarray of bool [point]): passes in the grid: clear of every kind of control, at a false discovery rate of
        .05 over the grid.
    `depth` (ndarray [point]): relative depth, where ``x`` are layers.
    `q` (ndarray [point]): the false discovery rate at which a point passes.
    `marks` (dict of str to ndarray of bool [point]): by the names of `palette.MARKS`.
    `reason` (ndarray of str [point]): why a point passes or does not, where the effect says so.
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
    q: np.ndarray | None = None
    marks: dict[str, np.ndarray] = field(default_factory=dict)
    reason: np.ndarray | None = None


@dataclass(frozen=True)
class Band:
    """Scores of one kind of control, minus the mean of the control that effects are differences from.

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
        ends = [end for line in self.series for end in (line.value, line.low, line.high)]
        ends += [end for band in self.bands for end in (band.low, band.high)]
        values = np.concatenate([np.ravel(end) for end in ends] or [np.empty(0)])
        return axis_limits(values[np.isfinite(values)])

    @property
    def x_limits(self) -> tuple[float, float]:
        """Ends of the horizontal axis: the points and 0, for doses."""
        x = [float(value) for line in self.series for value in line.x]
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
    """Meaning of one unit of strength, in words."""
    return _STRENGTH_UNITS.get(unit, unit)


def effect_label(unit: str) -> str:
    """Short label of an axis of effects: "effect [nats]"."""
    return "effect" if unit in ("", "1") else f"effect [{unit}]"


def strength_label(unit: str) -> str:
    """Short label of an axis of doses: "strength [× residual norm]"."""
    return f"strength [{strength_unit(unit)}]" if unit else "strength"


def counted(n: np.ndarray) -> str:
    """The number of images that count, "n = 24 images" or "n = 3 to 24 images"; empty where none was run."""
    known = np.asarray(n, dtype=float)
    known = known[np.isfinite(known) & (known > 0)]
    if known.size == 0:
        return ""
    low, high = int(known.min()), int(known.max())
    if low != high:
        return f"n = {low} to {high} images"
    return f"n = {high} {'image' if high == 1 else 'images'}"


READING = (
    "Lines: concept minus the mean of random directions, with 95 % intervals over images and draws. "
    "Filled: passes in the grid (clear of every control, false discovery rate .05)."
)
_CLEAR_READING = (
    "Lines: concept minus the mean of random directions, with 95 % intervals over images and draws. "
    "Filled: clear of every control."
)
_SHOWN_PROMPTS = 3


def as_effect(data: xr.Dataset, metric: str) -> xr.Dataset:
    """Return an effect dataset: the one given, or that of a sweep's grid.

    Raises TypeError if it is no dataset. Raises ValueError if it is neither effect nor grid, or holds no controls: an
    effect is not drawn without them.
    """
    if not isinstance(data, xr.Dataset):
        raise TypeError(
            "expected the effect of mp.effect or the grid of mp.sweep, an xarray.Dataset, got "
            f"{type(data).__name__}. Draw several effects one at a time, or join them along a dimension that they "
            "share: xarray.concat([a, b], 'concept')."
        )
    if "difference" not in data and {schema.DRAW, schema.SAMPLE} <= set(data.dims):
        data = effect_of(data, metric)
    needed = ("difference", "low", "high", "n", "clear_of_controls")
    schema.require(data, *needed, dims=(schema.CONCEPT, schema.LAYER), what="the effect")
    if schema.SCORED_CONCEPT in data.dims:
        names = ", ".join(map(str, data[schema.SCORED_CONCEPT].values))
        raise ValueError(
            "an off-target effect has two dimensions of concepts: choose the scored one first, for example "
            f"effect.sel(scored_concept={str(data[schema.SCORED_CONCEPT].values[0])!r}); it has {names}."
        )
    controls = [] if schema.CONTROL not in data.dims else [str(name) for name in data[schema.CONTROL].values]
    if "control_mean" not in data or "random" not in controls:
        raise ValueError(
            "an effect is not drawn without its controls: expected 'control_mean', 'control_low' and 'control_high' "
            f"for control 'random', got controls {controls}. Run the sweep with controls=None (all) or ('random', …)."
        )
    return data


class Picked(NamedTuple):
    """Part of an effect that a figure shows.

    `effect`: at one layer or strength. `value`: which layer or strength. `caption`: how many cells of the whole effect
    pass.
    """

    effect: xr.Dataset
    value: float
    caption: str


def verdict(effect: xr.Dataset) -> xr.DataArray:
    """Cells that a figure fills: those that pass in the grid; for effects without ``q``, those clear of controls."""
    return effect["clear_in_grid" if "clear_in_grid" in effect else "clear_of_controls"]


def describe(effect: xr.Dataset, dim: str, *, title: str, x_label: str, caption: str = "") -> Curves:
    """Describe the figure of an effect along ``dim``, its only dimension beside ``concept`` and ``control``."""
    attributes = effect["difference"].attrs
    reading = READING if "clear_in_grid" in effect else _CLEAR_READING
    return Curves(
        title=title,
        quantity=str(attributes.get("long_name", "concept minus random")),
        caption=[*origin(effect, counted(effect["n"].values)), *[caption] * bool(caption), reading],
        x_label=x_label,
        y_label=effect_label(str(attributes.get("units", ""))),
        series=[
            _series(effect.isel(at), dim)
            for at in ({schema.CONCEPT: place} for place in range(effect.sizes[schema.CONCEPT]))
        ],
        bands=_bands(effect, dim),
    )


def _series(profile: xr.Dataset, dim: str) -> Series:
    values = {name: np.asarray(profile[name].values) for name in ("low", "high", "n")}
    has_depth = schema.RELATIVE_DEPTH in profile.coords and dim == schema.LAYER
    return Series(
        concept=str(profile[schema.CONCEPT].values),
        category=str(profile[schema.CATEGORY].values) if schema.CATEGORY in profile.coords else "",
        x=profile[dim].values.astype(float),
        value=profile["difference"].values,
        **values,
        clear=verdict(profile).values.astype(bool),
        q=profile["q"].values if "q" in profile else None,
        marks={name: mark.values for name, mark in marks_of(profile).items()},
        depth=profile[schema.RELATIVE_DEPTH].values if has_depth else None,
        reason=profile["reason"].values.astype(str) if "reason" in profile else None,
    )


def _bands(effect: xr.Dataset, dim: str) -> list[Band]:
    """Return a band for each control, over all concepts, seen from the mean of the random directions."""
    names = ["control_mean", "control_low", "control_high"]
    shown = effect[names] - effect["control_mean"].sel({schema.CONTROL: "random"})
    return [
        Band(
            control=name,
            x=profile[dim].values.astype(float),
            mean=profile["control_mean"].mean(schema.CONCEPT).values,
            low=profile["control_low"].min(schema.CONCEPT).values,
            high=profile["control_high"].max(schema.CONCEPT).values,
        )
        for name in map(str, effect[schema.CONTROL].values)
        for profile in [shown.sel({schema.CONTROL: name}).transpose(schema.CONCEPT, dim)]
    ]


def origin(dataset: xr.Dataset, *more: str) -> list[str]:
    """Lines that say how a dataset was made: model, scope, operation, prompts and answer prefix."""
    attributes = dataset.attrs
    facts = [_joined_names(attributes["model"])] if attributes.get("model") else []
    facts += [f"{name} {_joined_names(attributes[name])}" for name in ("scope", "operation") if attributes.get(name)]
    prefix = attributes.get("answer_prefix")
    texts = [prompts_text(attributes.get("prompt")), f"answer prefix “{prefix}”" if isinstance(prefix, str) else ""]
    return [" · ".join(part for part in parts if part) for parts in ([*facts, *more], texts) if any(parts)]


def prompts_text(prompts: str | Sequence[str] | None) -> str:
    """Prompt of a model, ``prompt “Where?”``; of several prompts the first ones and the number of the others."""
    if not prompts or isinstance(prompts, str):
        return f"prompt “{prompts}”" if prompts is not None else ""
    shown = ", ".join(f"“{prompt}”" for prompt in prompts[:_SHOWN_PROMPTS])
    left = len(prompts) - _SHOWN_PROMPTS
    return f"prompts {shown}" + (f" and {left} more" if left > 0 else "")


def _joined_names(value: str | Sequence[str]) -> str:
    return value if isinstance(value, str) else " + ".join(map(str, value))


def pick(
    data: xr.Dataset,
    metric: str,
    concepts: Sequence[str] | str | None,
    dim: str,
    value: float | None,
    default: Callable[[xr.Dataset], float],
) -> Picked:
    """Effect of a grid or effect for some of its concepts, at one coordinate of a dimension.

    `metric`: of a grid.
    `concepts`: all of them by default.
    `dim`: ``"layer"`` or ``"strength"``.
    `value`: coordinate on ``dim``.
    `default`: gives the coordinate where ``value`` is None.

    Returns the effect without ``dim``, the coordinate, and the caption of the whole effect. Raises TypeError,
    ValueError: as from `as_effect`; ValueError for a concept or coordinate that is not there, with those that are.
    """
    whole = as_effect(data, metric)
    effect = _of_concepts(whole, concepts)
    values = [float(value) for value in effect[dim].values.ravel()]
    wanted = default(effect) if value is None else float(value)
    if wanted not in values:
        raise ValueError(
            f"{dim} {wanted:g} is not in the effect; it has {', '.join(f'{value:g}' for value in values)}."
        )
    at = {dim: values.index(wanted)} if dim in effect.dims else {}
    return Picked(effect.isel(at), wanted, grid_caption(whole))


def _of_concepts(effect: xr.Dataset, concepts: Sequence[str] | str | None) -> xr.Dataset:
    names = [concepts] if isinstance(concepts, str) else concepts
    known = [str(name) for name in effect[schema.CONCEPT].values]
    for name in names or ():
        if name not in known:
            raise ValueError(f"concept '{name}' is not in the effect; it has {', '.join(known)}.")
    return effect if names is None else effect.sel({schema.CONCEPT: list(names)})
