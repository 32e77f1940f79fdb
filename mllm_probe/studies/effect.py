"""The effect of a concept beside its controls: the one summary that heatmaps, plots and studies read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from mllm_probe import schema
from mllm_probe.metrics.registry import is_ratio, metrics_of
from mllm_probe.metrics.statistics import bootstrap_interval, median_interval, null_interval
from mllm_probe.models.argument_checks import whole_number

_CELL = (schema.CONCEPT, schema.LAYER, schema.STRENGTH)

_ROUNDING = 1e-6


@dataclass(frozen=True)
class _Scores:
    """Scores of one metric, as float64: what an effect is computed from, whatever the dimensions of its cells.

    Attributes
    ----------
    cell : tuple of str
        Dimensions of a cell.
    own : ndarray [*cell, sample]
        Of the concept's own rows.
    draws : dict of str to ndarray [*cell, draw, sample]
        Of the rows of each kind of control.
    unsteered : ndarray, broadcasts to the shape of ``own``
    attrs : dict
        ``long_name`` and ``units`` of the score.
    """

    cell: tuple[str, ...]
    own: np.ndarray
    draws: dict[str, np.ndarray]
    unsteered: np.ndarray
    attrs: dict[str, Any]

    def in_doublings(self) -> _Scores:
        """Return the binary logarithm of ratios, so that halving and doubling weigh the same."""
        attrs = {"long_name": f"log2 of {self.attrs.get('long_name', 'the ratio')}", "units": "doublings"}
        with np.errstate(divide="ignore", invalid="ignore"):
            draws = {kind: np.log2(values) for kind, values in self.draws.items()}
            return replace(self, own=np.log2(self.own), draws=draws, unsteered=np.log2(self.unsteered), attrs=attrs)


def effect(
    grid: xr.Dataset, metric: str = "logprob", *, split: str | None = None, average: str = "mean", seed: int = 0
) -> xr.Dataset:
    """What steering with a concept does to a score, against what its controls do.

    Parameters
    ----------
    grid : Dataset
        From :func:`mllm_probe.sweep`, whole or still filling.
    metric : str
        One of its metrics. ``"named"`` counts only eligible images. ``"perplexity"`` and other ratios are given as
        their binary logarithm, in doublings. ``"off_target"`` compares the score of every concept under every concept's
        vector with random directions. Runs whose scope did not fire (the answer ended first) do not count.
    split : {"fit", "held_out"}, optional
        Use only the images of one split.
    average : {"mean", "median"}
        How images are summarised. The interval of a median is that of the sign test, which needs six images.
    seed : int
        Of the bootstrap (2,000 resamples).

    Returns
    -------
    Dataset (concept, layer, strength), host memory, float64
        For ``"off_target"`` (concept, layer, strength, scored_concept): ``concept`` is the steered one. With
        ``difference``: concept minus the mean of the random draws, averaged over images, in the metric's units;
        ``low``, ``high``: its 95 % paired bootstrap interval over images; ``value``: concept minus unsteered;
        ``mean``: the steered score itself; ``n``: images that count; ``clear_of_controls``: whether it is clear of
        every kind of control. By ``control`` too: ``control_mean`` with ``control_low``, ``control_high`` (where one
        more draw would fall, mean ± t(D-1) · sd · √(1 + 1/D)), ``difference_from``, ``difference_low``,
        ``difference_high`` (paired, concept minus that control's mean) and ``clear``: the concept's mean lies beyond
        the former interval and the latter excludes 0.

    Raises
    ------
    TypeError
        If it is no dataset.
    ValueError
        If the grid has no such metric or no pictures, or was run without random controls: an effect is never reported
        without them.
    """
    if average not in AVERAGES:
        raise ValueError(f"average: expected one of {', '.join(AVERAGES)}, got '{average}'.")
    _require(grid, metric)
    seed = whole_number("seed", seed)
    if split is not None:
        grid = _one_split(grid, split)
    scores = _off_target_scores(grid) if metric == schema.OFF_TARGET else _own_scores(grid, metric)
    if is_ratio(grid, metric):
        scores = scores.in_doublings()
    against = {kind: _against(scores.own, draws, average, seed) for kind, draws in scores.draws.items()}
    return _assembled(grid, metric, scores, against, average)


def value_by_image(grid: xr.Dataset, metric: str = "logprob") -> xr.DataArray:
    """Steered minus unsteered score of every image: ``value`` of :func:`effect` before images are averaged.

    Parameters
    ----------
    grid, metric
        As for :func:`effect`; not ``"off_target"``.

    Returns
    -------
    DataArray (concept, layer, strength, sample), host memory, float64
        NaN where an image does not count; 0 where the difference is rounding. Ratios in doublings.

    Raises
    ------
    ValueError
        As :func:`effect`, without random controls too.
    """
    _require(grid, metric)
    if metric == schema.OFF_TARGET:
        raise ValueError("expected a score of the steered concept itself; 'off_target' scores every concept.")
    scores = _own_scores(grid, metric)
    if is_ratio(grid, metric):
        scores = scores.in_doublings()
    dims = (*scores.cell, schema.SAMPLE)
    coords = {name: coord for name, coord in grid.coords.items() if set(coord.dims) <= set(dims)}
    attrs = {"units": scores.attrs.get("units", "1"), "metric": metric}
    return xr.DataArray(_difference(scores.own, scores.unsteered), coords, dims, attrs=attrs)


def _own_scores(grid: xr.Dataset, metric: str) -> _Scores:
    """Scores of every row for the concept that it is steered with."""
    rows = (*_CELL, schema.CONTROL, schema.DRAW, schema.SAMPLE)
    values = np.where(_unedited(grid, rows), np.nan, grid[metric].transpose(*rows).values.astype(np.float64))
    if grid[metric].attrs.get("images") == "eligible" or metric == "named":
        counts = grid["eligible"].transpose(schema.CONCEPT, schema.STRENGTH, schema.SAMPLE).values
        values = np.where(counts[:, None, :, None, None, :], values, np.nan)
    controls = [str(c) for c in grid[schema.CONTROL].values]
    unsteered = grid[f"{metric}_unsteered"].transpose(schema.CONCEPT, schema.SAMPLE).values.astype(np.float64)
    return _Scores(
        cell=_CELL,
        own=values[:, :, :, controls.index("concept"), 0],
        draws={kind: values[:, :, :, i] for i, kind in enumerate(controls) if kind != "concept"},
        unsteered=unsteered[:, None, None],
        attrs=dict(grid[metric].attrs),
    )


def _off_target_scores(grid: xr.Dataset) -> _Scores:
    """Scores of every row for every concept; the random rows are the same whatever concept is steered."""
    name, cell = schema.OFF_TARGET, (*_CELL, schema.SCORED_CONCEPT)
    own = grid[name].transpose(*cell, schema.SAMPLE).values.astype(np.float64)
    random = grid[f"{name}_random"].transpose(
        schema.LAYER, schema.STRENGTH, schema.SCORED_CONCEPT, schema.DRAW, schema.SAMPLE
    )
    draws = random.values.astype(np.float64)
    missed = _unedited(grid, (schema.CONTROL, *_CELL, schema.DRAW, schema.SAMPLE))
    if missed.any():
        controls = [str(c) for c in grid[schema.CONTROL].values]
        own = np.where(missed[controls.index("concept"), ..., 0, :][..., None, :], np.nan, own)
        draws = np.where(missed[controls.index("random")].any(0)[:, :, None], np.nan, draws)
    unsteered = grid[f"{name}_unsteered"].transpose(schema.SCORED_CONCEPT, schema.SAMPLE).values.astype(np.float64)
    return _Scores(
        cell=cell,
        own=own,
        draws={"random": np.broadcast_to(draws, (len(own), *draws.shape))},
        unsteered=unsteered,
        attrs=dict(grid[name].attrs),
    )


def unedited_rows(grid: xr.Dataset) -> xr.DataArray:
    """Rows of a grid with ``edited`` that should have been edited and were not, since the answer ended first."""
    return (grid["edited"] == 0) & (grid[schema.STRENGTH] != 0)


def _unedited(grid: xr.Dataset, dims: tuple[str, ...]) -> np.ndarray:
    """`unedited_rows` in an order of dimensions; broadcasts to the scores."""
    if "edited" not in grid:
        return np.zeros((1,) * len(dims), bool)
    return np.asarray(unedited_rows(grid).transpose(*dims).values)


def _require(grid: xr.Dataset, metric: str) -> None:
    dims = (*_CELL, schema.CONTROL, schema.DRAW, schema.SAMPLE)
    schema.require(grid, dims=dims, what="the grid of a sweep")
    metrics = [*metrics_of(grid), *([schema.OFF_TARGET] if schema.OFF_TARGET in grid else [])]
    if metric not in metrics:
        raise ValueError(
            f"this grid has no metric '{metric}'; it has {', '.join(metrics) or 'none'}. "
            f"Run the sweep with metrics=({metric!r}, …)."
        )
    schema.require(grid, f"{metric}_unsteered", what="the grid of a sweep")
    if not grid.sizes[schema.SAMPLE]:
        raise ValueError("the grid has no images, so there is no effect to average: select at least one.")
    if grid[metric].dtype.kind not in "fiub":
        raise ValueError(f"metric '{metric}' of this grid holds text or objects ({grid[metric].dtype}), not numbers.")
    random = "random" in grid[schema.CONTROL].values
    if not random or (metric == schema.OFF_TARGET and f"{metric}_random" not in grid):
        raise ValueError(
            "an effect is never reported without its controls, and this grid was run without random directions "
            f"(controls: {', '.join(map(str, grid[schema.CONTROL].values))}). Run the sweep with controls=None or "
            "controls=('random', …)."
        )


def _one_split(grid: xr.Dataset, split: str) -> xr.Dataset:
    if schema.SPLIT not in grid.coords or not (grid[schema.SPLIT].values == split).any():
        raise ValueError(
            f"no image of this grid is in split '{split}'. Give sweep() the images of library.split(), "
            "which carry their split."
        )
    return grid.isel({schema.SAMPLE: np.flatnonzero(grid[schema.SPLIT].values == split)})


def _against(own: np.ndarray, draws: np.ndarray, average: str, seed: int) -> dict[str, np.ndarray]:
    """Compare scores [*cell, sample] with draws [*cell, draw, sample]."""
    both = np.where(np.isfinite(own)[..., None, :], draws, np.nan)
    centre = AVERAGES[average]
    mean, low, high = null_interval(centre(both), axis=-1)
    paired = _difference(own, _mean(np.swapaxes(draws, -1, -2)))
    interval = median_interval(paired) if average == "median" else bootstrap_interval(paired, axis=-1, seed=seed)
    difference_low, difference_high = interval
    value = centre(own)
    beyond = (_difference(value, low) < 0) | (_difference(value, high) > 0)
    excludes = (difference_low > 0) | (difference_high < 0)
    return {
        "control_mean": mean,
        "control_low": low,
        "control_high": high,
        "difference_from": centre(paired),
        "difference_low": difference_low,
        "difference_high": difference_high,
        "clear": beyond & excludes,
    }


def _difference(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Difference of scores that are known to float32 only: 0 where it is rounding."""
    difference = left - right
    return np.where(np.abs(difference) <= _ROUNDING * np.maximum(1.0, np.abs(left)), 0.0, difference)


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis without NaN; NaN where nothing is left, without a warning."""
    there = np.isfinite(values)
    count = there.sum(-1)
    return np.where(count > 0, np.where(there, values, 0.0).sum(-1) / np.maximum(count, 1), np.nan)


def _median(values: np.ndarray) -> np.ndarray:
    """Median over the last axis without NaN; NaN where nothing is left, without a warning."""
    ordered = np.sort(values, -1)  # NaN last
    count = np.isfinite(values).sum(-1)[..., None]
    ends = [np.take_along_axis(ordered, np.maximum(place, 0), -1)[..., 0] for place in ((count - 1) // 2, count // 2)]
    found: np.ndarray = (ends[0] + ends[1]) / 2
    return found


AVERAGES: dict[str, Any] = {"mean": _mean, "median": _median}


def _assembled(
    grid: xr.Dataset, metric: str, scores: _Scores, against: dict[str, dict[str, np.ndarray]], average: str
) -> xr.Dataset:
    centre, of = AVERAGES[average], "paired bootstrap" if average == "mean" else "sign test"
    cell, units, name = scores.cell, scores.attrs.get("units", "1"), scores.attrs.get("long_name", metric)
    value = centre(scores.own - scores.unsteered)
    random = against["random"]
    variables: dict[str, Any] = {
        "difference": (cell, random["difference_from"], {"long_name": f"{name}: concept minus random", "units": units}),
        "low": (cell, random["difference_low"], {"long_name": "lower end of the 95 % interval", "units": units}),
        "high": (cell, random["difference_high"], {"long_name": "upper end of the 95 % interval", "units": units}),
        "value": (cell, value, {"long_name": f"{name}: steered minus unsteered", "units": units}),
        "mean": (cell, centre(scores.own), scores.attrs),
        "n": (cell, np.isfinite(scores.own).sum(-1), {"long_name": "images that count", "units": "1"}),
        "clear_of_controls": (cell, np.all([a["clear"] for a in against.values()], axis=0), _CLEAR),
    }
    for key in random:
        stacked = np.stack([a[key] for a in against.values()], axis=-1)
        variables[key] = ((*cell, schema.CONTROL), stacked, {} if key == "clear" else {"units": units})
    coords = {n: c for n, c in grid.coords.items() if set(c.dims) <= set(cell)} | {schema.CONTROL: list(against)}
    summary = {"metric": metric, "average": average, "interval": f"95 % {of} over images"}
    return xr.Dataset(variables, coords, {**grid.attrs, **summary})


_CLEAR = {
    "long_name": "clear of controls: for every kind, beyond the interval of its draws and paired difference excludes 0"
}
