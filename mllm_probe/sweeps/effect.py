"""The effect of a concept beside its controls: the one summary that heatmaps, plots and studies read."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from mllm_probe import schema
from mllm_probe.metrics.registry import metrics_of
from mllm_probe.metrics.statistics import bootstrap_interval, median_interval, null_interval
from mllm_probe.models.argument_checks import whole_number

_CELL = (schema.CONCEPT, schema.LAYER, schema.STRENGTH)

_ROUNDING = 1e-6


def effect(
    grid: xr.Dataset, metric: str = "logprob", *, split: str | None = None, average: str = "mean", seed: int = 0
) -> xr.Dataset:
    """What steering with a concept does to a score, against what its controls do.

    Parameters
    ----------
    grid : Dataset
        From :func:`mllm_probe.sweep`, whole or still filling.
    metric : str
        One of its metrics. ``"named"`` counts only eligible images. Runs whose scope did not fire (the answer ended
        first) do not count.
    split : {"fit", "held_out"}, optional
        Use only the images of one split.
    average : {"mean", "median"}
        How images are summarised. The interval of a median is that of the sign test, which needs six images.
    seed : int
        Of the bootstrap (2,000 resamples).

    Returns
    -------
    Dataset (concept, layer, strength), host memory, float64
        ``difference``: concept minus the mean of the random draws, averaged over images, in the metric's units;
        ``low``, ``high``: its 95 % paired bootstrap interval over images; ``value``: concept minus unsteered;
        ``mean``: the steered score itself; ``n``: images that count; ``clear_of_controls``: whether it is clear of
        every kind of control. By ``control`` too: ``control_mean`` with ``control_low``, ``control_high`` (where one
        more draw would fall, mean ± t(D-1) · sd · √(1 + 1/D)), ``difference_from``, ``difference_low``,
        ``difference_high`` (paired, concept minus that control's mean) and ``clear``: the concept's mean lies beyond
        the former interval and the latter excludes 0.

    Raises
    ------
    ValueError
        If the grid has no such metric, or was run without random controls: an effect is never reported without them.
    """
    if average not in AVERAGES:
        raise ValueError(f"average: expected one of {', '.join(AVERAGES)}, got '{average}'.")
    _require(grid, metric)
    seed = whole_number("seed", seed)
    if split is not None:
        grid = _one_split(grid, split)
    scores = grid[metric].transpose(*_CELL, schema.CONTROL, schema.DRAW, schema.SAMPLE).values.astype(np.float64)
    if "edited" in grid:
        edited = grid["edited"].transpose(*_CELL, schema.CONTROL, schema.DRAW, schema.SAMPLE).values
        planned = (grid[schema.STRENGTH].values != 0)[None, None, :, None, None, None]
        scores = np.where(planned & (edited == 0), np.nan, scores)
    if grid[metric].attrs.get("images") == "eligible" or metric == "named":
        counts = grid["eligible"].transpose(schema.CONCEPT, schema.STRENGTH, schema.SAMPLE).values
        scores = np.where(counts[:, None, :, None, None, :], scores, np.nan)
    controls = [str(c) for c in grid[schema.CONTROL].values]
    own = scores[:, :, :, controls.index("concept"), 0, :]
    kinds = [c for c in controls if c != "concept"]
    against = {kind: _against(own, scores[:, :, :, controls.index(kind)], average, seed) for kind in kinds}
    unsteered = grid[f"{metric}_unsteered"].transpose(schema.CONCEPT, schema.SAMPLE).values.astype(np.float64)
    return _assembled(grid, metric, own, own - unsteered[:, None, None, :], against, average)


def _require(grid: xr.Dataset, metric: str) -> None:
    dims = (*_CELL, schema.CONTROL, schema.DRAW, schema.SAMPLE)
    schema.require(grid, dims=dims, what="the grid of a sweep")
    metrics = metrics_of(grid)
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
    if "random" not in grid[schema.CONTROL].values:
        raise ValueError(
            "an effect is never reported without its controls, and this grid was run without random directions "
            f"(controls: {', '.join(map(str, grid[schema.CONTROL].values))}). Run the sweep with controls=None or "
            "controls=('random', …)."
        )


def _one_split(grid: xr.Dataset, split: str) -> xr.Dataset:
    if schema.SPLIT not in grid.coords or not (grid[schema.SPLIT].values == split).any():
        raise ValueError(
            f"no image of this grid is in split '{split}'. Give sweep() the pictures of library.split(), "
            "which carry their split."
        )
    return grid.isel({schema.SAMPLE: np.flatnonzero(grid[schema.SPLIT].values == split)})


def _against(own: np.ndarray, draws: np.ndarray, average: str, seed: int) -> dict[str, np.ndarray]:
    """Compare [concept, layer, strength, sample] with draws [concept, layer, strength, draw, sample]."""
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
    grid: xr.Dataset,
    metric: str,
    own: np.ndarray,
    from_unsteered: np.ndarray,
    against: dict[str, dict[str, np.ndarray]],
    average: str,
) -> xr.Dataset:
    centre, of = AVERAGES[average], "paired bootstrap" if average == "mean" else "sign test"
    attrs = dict(grid[metric].attrs)
    units, name = attrs.get("units", "1"), attrs.get("long_name", metric)
    random = against["random"]
    variables: dict[str, Any] = {
        "difference": (
            _CELL,
            random["difference_from"],
            {"long_name": f"{name}: concept minus random", "units": units},
        ),
        "low": (_CELL, random["difference_low"], {"long_name": "lower end of the 95 % interval", "units": units}),
        "high": (_CELL, random["difference_high"], {"long_name": "upper end of the 95 % interval", "units": units}),
        "value": (_CELL, centre(from_unsteered), {"long_name": f"{name}: steered minus unsteered", "units": units}),
        "mean": (_CELL, centre(own), attrs),
        "n": (_CELL, np.isfinite(own).sum(-1), {"long_name": "images that count", "units": "1"}),
        "clear_of_controls": (_CELL, np.all([a["clear"] for a in against.values()], axis=0), _CLEAR),
    }
    for key in random:
        stacked = np.stack([a[key] for a in against.values()], axis=-1)
        variables[key] = ((*_CELL, schema.CONTROL), stacked, {} if key == "clear" else {"units": units})
    coords = {n: c for n, c in grid.coords.items() if set(c.dims) <= set(_CELL)} | {schema.CONTROL: list(against)}
    told = {"metric": metric, "average": average, "interval": f"95 % {of} over images"}
    return xr.Dataset(variables, coords, {**grid.attrs, **told})


_CLEAR = {
    "long_name": "clear of controls: for every kind, beyond the interval of its draws and paired difference excludes 0"
}
