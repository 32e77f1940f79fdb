"""From an effect dataset to the traits of the heatmap, its metrics, and what a saved page keeps of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from mllm_probe.metrics.metric import label_of, metrics_of
from mllm_probe.plots.effects import grid_caption, marks_of, unfinished_cells
from mllm_probe.plots.palette import MARKS
from mllm_probe.schema import (
    CATEGORY,
    CONCEPT,
    CONTROL,
    LAYER,
    RELATIVE_DEPTH,
    SCORED_CONCEPT,
    STRENGTH,
    require,
)
from mllm_probe.studies.cell_scores import NAMED, SCORE, content_checked, has_score
from mllm_probe.studies.effect import summarised
from mllm_probe.typing import Traits
from mllm_probe.widgets.base.choices import map_recipe
from mllm_probe.widgets.base.numbers import map_note, scale_limit, words
from mllm_probe.widgets.pages.export_pages import LARGEST, Recording, Recordings, recorded_within

if TYPE_CHECKING:
    from mllm_probe.widgets.heatmap.layer_concept_heatmap import LayerConceptHeatmap


_UNITLESS = {"1": "", "dimensionless": ""}
_DIMS = (CONCEPT, LAYER, STRENGTH)
_FROM = (("difference", "low", "high"), ("difference_from", "difference_low", "difference_high"))
_CONTROLS = {"control": "control_mean", "control_low": "control_low", "control_high": "control_high"}
RANDOM = "random"
_DTYPES = {"reason": np.uint16}
NUMBERS = (
    *("values", "score", "low", "high", "n", "clear", "unfinished", "q", "marks", "reason"),
    *("control", "control_low", "control_high", "mean_over_concepts", "group_means", "best"),
)


def is_effect(dataset: xr.Dataset) -> bool:
    """Whether ``dataset`` came from `mllm_probe.effect`."""
    return "difference" in dataset


def cells_of(effect: xr.Dataset, against: str = RANDOM) -> Traits:
    """Turn an effect into the traits that the front-end draws.

    `effect`: ``difference`` (concept, layer, strength), and where it has them ``low``, ``high``, ``n``, ``q``,
    ``clear_in_grid``, ``reason``, ``never_named``, ``broken`` and, by control, ``difference_from`` with its interval
    and ``control_mean``, ``control_low``, ``control_high``. `against`: the kind of control that effects are differences
    from; random directions where the effect lacks that kind. Returns: coordinates as lists and one ``bytes`` per name
    in `NUMBERS`: float32, C order, concept × layer × strength, those of the controls one after the other in the order
    of ``controls``, as differences from unsteered; empty where the effect lacks it. ``score`` is what cells are
    coloured by, in 0 … 1, where the effect is one on the score of answers; empty for other metrics, whose colours are
    ``values``. ``clear`` is 1, 0, or NaN where nothing was run; ``marks`` are sums of 2 to the place of each mark in
    `palette.MARKS`; ``q`` is empty for a single image, which is not tested. ``unfinished`` is 1 where a cell has too few
    images or draws, and empty where none has.
    ``reasons`` are the different ones of the cells, ``reason`` (uint16) the place of each cell's among them.
    ``mean_over_concepts`` (layer × strength) and ``group_means`` (group × layer × strength) are of what is coloured;
    ``best`` (concept × strength) is the layer of its largest value in the sense of the dose. ``limit`` is the end of
    the colour scale, ``note`` the legend of the marks, and ``caption`` how many cells of the whole grid pass.
    """
    if SCORED_CONCEPT in effect.dims:
        raise ValueError(
            "an off-target effect has two dimensions of concepts; a map shows it for one scored concept, for example "
            f"effect.sel(scored_concept={str(effect[SCORED_CONCEPT].values[0])!r}), and for a grid of mp.sweep in its "
            "off-target view."
        )
    require(effect, "difference", dims=_DIMS, what="the effect given to the heatmap")
    kinds = [str(kind) for kind in effect[CONTROL].values] if CONTROL in effect.dims else []
    against = against if against in kinds else RANDOM
    from_kind = None if against == RANDOM else kinds.index(against)
    values, low, high = (_values(effect, name, from_kind) for name in _FROM[from_kind is not None])
    clear = _values(effect, "clear_in_grid")
    scored = effect.attrs.get("metric") == SCORE and "mean" in effect
    coloured = _values(effect, "mean") if scored else values
    arrays = {
        "values": values,
        "score": coloured if scored else np.empty(0),
        "low": low,
        "high": high,
        "n": _values(effect, "n"),
        "marks": _mark_codes(effect),
    }
    arrays["q"] = np.empty(0) if effect.attrs.get("average") == "single" else _values(effect, "q")
    arrays["clear"] = np.where(np.isnan(coloured), np.nan, clear) if clear.size else clear
    unfinished = _values(unfinished_cells(effect).to_dataset(name="unfinished"), "unfinished")
    arrays["unfinished"] = unfinished if unfinished.any() else np.empty(0)
    arrays["reason"], reasons = _reasons(effect)
    categories = effect[CATEGORY].values if CATEGORY in effect.coords else [""] * effect.sizes[CONCEPT]
    categories = [str(name) for name in categories]
    groups = row_groups(categories)
    arrays["mean_over_concepts"] = _mean(coloured)
    arrays["group_means"] = np.array([_mean(coloured[places]) for _, places in groups])
    arrays["best"] = _best_layers(effect, coloured if scored else values * np.sign(effect[STRENGTH].values))
    unit = str(effect["difference"].attrs.get("units", ""))
    unit = _UNITLESS.get(unit, unit)
    limit = 1.0 if scored else scale_limit(values, unit)
    note = map_note(
        against,
        scored=scored,
        tested=arrays["q"].size > 0,
        outliers=bool((np.abs(coloured) > limit).any()),
        unfinished=arrays["unfinished"].size > 0,
        marks=[name for name, mark in marks_of(effect).items() if mark.any()],
    )
    depths = effect[RELATIVE_DEPTH].values.tolist() if RELATIVE_DEPTH in effect.coords else []
    return {
        "concepts": [str(name) for name in effect[CONCEPT].values],
        "categories": categories,
        "row_groups": groups,
        "layers": [int(layer) for layer in effect[LAYER].values],
        "relative_depths": [float(depth) for depth in depths],
        "strengths": [float(strength) for strength in effect[STRENGTH].values],
        "controls": kinds,
        "against": against,
        "unit": unit,
        "limit": limit,
        "note": note,
        "caption": grid_caption(effect),
        "reasons": reasons,
        "strength_unit": str(effect.attrs.get("unit", effect[STRENGTH].attrs.get("units", "residual"))),
        **{name: _bytes(array, dtype=_DTYPES.get(name, np.float32)) for name, array in arrays.items()},
        **_controls(effect, range(len(kinds))),
    }


def row_groups(categories: Sequence[str]) -> list[list[str | list[int]]]:
    """Rows of the map from top to bottom, grouped by category in the order in which the categories first appear.

    `categories`: of each concept. Returns list of [label, places]: ``places`` are those of the concepts in
    ``categories``.
    """
    return [
        [words(category), [place for place, name in enumerate(categories) if name == category]]
        for category in dict.fromkeys(categories)
    ]


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the concepts of what is known."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: np.ndarray = np.where(known, values, 0.0).sum(0) / known.sum(0)
    return mean


def _best_layers(effect: xr.Dataset, values: np.ndarray) -> np.ndarray:
    """Layer of the largest value of each concept and strength, concept × strength; NaN where none was run."""
    known = np.isfinite(values)
    places = np.where(known, values, -np.inf).argmax(1) if values.size else np.empty(0, int)
    return np.where(known.any(1), effect[LAYER].values[places], np.nan) if values.size else np.empty(0)


def _mark_codes(effect: xr.Dataset) -> np.ndarray:
    """Marks of each cell as one number, concept × layer × strength; empty where no cell has one."""
    marks = marks_of(effect)
    codes = [
        _values(mark.to_dataset(name="mark"), "mark") * 2.0**i
        for i, name in enumerate(MARKS)
        if (mark := marks.get(name)) is not None
    ]
    total = np.sum(codes, axis=0) if codes else np.empty(0)
    return total if total.any() else np.empty(0)


def _reasons(effect: xr.Dataset) -> tuple[np.ndarray, list[str]]:
    """Place of each cell's reason among the different ones, concept × layer × strength, and these.

    A control that reaches as far is told without its numbers, which the front-end has.
    """
    words = _values(effect, "reason")
    if not words.size:
        return words, []
    places, different = pd.factorize(pd.Series(words.ravel()).astype(str).str.partition(": ")[0])
    return places.reshape(words.shape), [str(reason) for reason in different]


def _values(effect: xr.Dataset, name: str, kind: int | None = None) -> np.ndarray:
    """Values of a variable as concept × layer × strength, for one kind of control; empty where the effect lacks it."""
    if name not in effect:
        return np.empty(0)
    variable = effect.variables[name]
    if kind is not None:
        variable = variable.isel({CONTROL: kind})
    missing = {dim: effect.sizes[dim] for dim in _DIMS if dim not in variable.dims}
    return np.asarray(variable.set_dims(missing | dict(variable.sizes)).transpose(*_DIMS).values)


def _controls(effect: xr.Dataset, kinds: Iterable[int]) -> dict[str, bytes]:
    """Return what each kind of control does, as differences from unsteered where the effect says what that is."""
    mean, value = _values(effect, "mean"), _values(effect, "value")
    unsteered = mean - value if mean.size and value.size else 0.0
    return {
        name: b"".join(_bytes(_values(effect, source, kind), unsteered) for kind in kinds)
        for name, source in _CONTROLS.items()
    }


def _bytes(array: np.ndarray, less: np.ndarray | float = 0.0, dtype: type = np.float32) -> bytes:
    return np.ascontiguousarray(array - less, dtype=dtype).tobytes() if array.size else b""


SCREEN = "logprob"
_SCREEN_LABEL = "log-probability (fast screen)"


def shown_metrics(grid: xr.Dataset) -> list[str]:
    """Names of the metrics of a grid: the score of its answers first, where it holds what that is made of."""
    return [*[SCORE] * has_score(grid), *metrics_of(grid)]


def first_metric(grid: xr.Dataset) -> str:
    """The metric to look at first: the score of answers, else log-probability, else the first that is there.

    A grid without metrics is given log-probability, whose absence is then reported.
    """
    shown = shown_metrics(grid)
    return SCORE if SCORE in shown else SCREEN if SCREEN in shown or not shown else shown[0]


def metric_label(grid: xr.Dataset, metric: str) -> str:
    """Label of a metric of a grid or effect in the menu of a map.

    A score is shown as it is, other metrics as differences from a control. Log-probability is called a fast screen
    where no answers were generated: it says which cells move the concept's words, not which answers name it.
    """
    if metric == SCORE:
        return "score of answers" if content_checked(grid) else "score of answers (content not checked)"
    answered = NAMED in grid or "never_named" in grid
    return f"Δ {label_of(grid, metric) if answered or metric != SCREEN else _SCREEN_LABEL}"


_KEYS = ("metric", "against", "average")
_SHOWN = (*NUMBERS, "reasons", "unit", "controls", "limit", "note", "caption")


def map_recordings(widget: LayerConceptHeatmap, largest: int = LARGEST) -> Recordings:
    """Record the maps for the menus of a heatmap.

    `largest`: limit in bytes of numbers; maps beyond it are left out, medians first.
    """
    if widget.grid is None or is_effect(widget.grid):
        return Recordings(_KEYS)
    return recorded_within(_KEYS, _each(widget, widget.grid), largest)


def _each(widget: LayerConceptHeatmap, grid: xr.Dataset) -> Iterator[Recording]:
    metrics = dict.fromkeys((widget.metric, *shown_metrics(grid)))
    controls = dict.fromkeys((widget.against, *widget.controls))
    for average, metric in product(("mean", "median"), metrics):
        effect = summarised(grid, metric, average)
        for against in controls:
            cells, when = cells_of(effect, against), dict(zip(_KEYS, (metric, against, average), strict=True))
            provenance = widget.provenance | when
            how = {"provenance": provenance, "recipe": map_recipe(provenance, widget.strength_unit)}
            yield Recording(when, {name: cells[name] for name in _SHOWN} | how)
