"""Recovered share: how much of the difference between a pair's runs the patched positions bring along."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy import stats

from mllm_probe import schema
from mllm_probe.metrics.ratio_interval import ratio_interval
from mllm_probe.metrics.statistics import LEVEL
from mllm_probe.models.argument_checks import finite_number, require_one_of, whole_number
from mllm_probe.typing import DataVariables

FEWEST = 6
"""With fewer pairs (or concepts of a category for an interval, 3) nothing is concluded."""
_FEWEST_CONCEPTS = 3
_CELL = (schema.LAYER, schema.GROUP, schema.CONTROL)


def recovered(
    grid: xr.Dataset,
    metric: str = "logprob",
    *,
    by: str = schema.CONCEPT,
    minimum_gap: float | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Share of the difference between source and base that a patch recovers: Σ(patched − base) / Σ(source − base).

    Parameters
    ----------
    grid : Dataset
        From :func:`mllm_probe.patch`.
    metric : str
        One of its metrics.
    by : {"concept", "category"}
        One ratio per concept, or the mean over the concepts of each category.
    minimum_gap : float, optional
        Pairs whose source and base differ by less than this, in the metric's unit and in the direction of the patch,
        are left out and counted; the grid's own by default.
    seed : int
        Of the resampling.

    Returns
    -------
    Dataset
        ``recovered``, ``low`` and ``high`` (concept or category, layer, group, direction, control), float64: 0 where
        the patch changes nothing, 1 where it brings the whole difference. ``n`` and ``below_gap`` (concept or
        category, direction): pairs that count and that do not; with fewer than 6, the ratio is NaN. Of a category,
        ``concepts`` says how many concepts have a ratio.

    Raises
    ------
    ValueError
        If the dataset is no patch, or lacks the metric.

    Notes
    -----
    Intervals of 95 %. Of a concept: studentised bootstrap over its pairs, both sums resampled together. Of a category:
    t interval of the mean over its concepts, whose spread holds the noise of their pairs too (a bootstrap over few
    concepts is too short); NaN with fewer than 3.
    """
    require_one_of("by", by, (schema.CONCEPT, schema.CATEGORY))
    moved, gap, least = moved_and_gap(grid, metric, minimum_gap)
    result = _by_concept(moved, gap, least, whole_number("seed", seed))
    if by == schema.CATEGORY:
        result = _by_category(result, [str(name) for name in grid[schema.CATEGORY].values])
    label = grid[metric].attrs.get("long_name", metric)
    result["recovered"].attrs |= {"long_name": f"recovered share of the {label}", "units": "1"}
    return result.assign_attrs(
        {**grid.attrs, "metric": metric, "minimum_gap": least, "by": by, "interval": _INTERVALS[by], "level": LEVEL}
    )


def moved_and_gap(
    grid: xr.Dataset, metric: str, minimum_gap: float | None = None
) -> tuple[xr.DataArray, xr.DataArray, float]:
    """What a recovered share is made of: patched − base, source − base, and how large the latter has to be.

    `grid`, `metric`, `minimum_gap`: as for :func:`recovered`. Returns `gap`: both positive where the score goes the way
    that the patch is meant to move it. Returns `least`: pairs with a smaller gap do not count.
    """
    names = (metric, f"{metric}_base", f"{metric}_source")
    schema.require(grid, *names, dims=(schema.CONCEPT, schema.GROUP, schema.DIRECTION), what="the grid of mp.patch")
    schema.require_values(grid, schema.DIRECTION, "the grid of mp.patch")
    least = finite_number("minimum_gap", grid.attrs.get("minimum_gap", 0.5) if minimum_gap is None else minimum_gap)
    towards = _sign(grid, metric)
    base = grid[names[1]].mean([dim for dim in _CELL if dim in grid[names[1]].dims])
    gap = ((grid[names[2]] - base) * towards).transpose(schema.CONCEPT, schema.DIRECTION, schema.SAMPLE)
    return (grid[names[0]] - grid[names[1]]) * towards, gap, least


_INTERVALS = {
    schema.CONCEPT: "studentised bootstrap over pairs, both sums resampled together",
    schema.CATEGORY: "t over concepts",
}


def _sign(grid: xr.Dataset, metric: str) -> xr.DataArray:
    """1 where the patch is meant to raise the score, -1 where it is meant to lower it."""
    raises = -1 if grid[metric].attrs.get("direction") == -1 else 1
    signs = [raises if str(name) == schema.DIRECTIONS[0] else -raises for name in grid[schema.DIRECTION].values]
    return xr.DataArray(signs, dims=schema.DIRECTION, coords={schema.DIRECTION: grid[schema.DIRECTION]})


def _by_concept(moved: xr.DataArray, gap: xr.DataArray, least: float, seed: int) -> xr.Dataset:
    dims = (schema.CONCEPT, schema.DIRECTION, *_CELL)
    values = moved.transpose(*dims, schema.SAMPLE).values
    found = np.full((3, *values.shape[:-1]), np.nan)
    counts = np.zeros((2, *gap.shape[:2]), np.int64)
    for place in np.ndindex(*gap.shape[:2]):
        own = gap.values[place]
        there = np.isfinite(own)
        counted = there & (own >= least)
        counts[(0, *place)], counts[(1, *place)] = counted.sum(), (there & ~counted).sum()
        if counted.sum() >= FEWEST and own[counted].sum() > 0:
            cells = values[place].reshape(-1, values.shape[-1])[:, counted].T
            parts = ratio_interval(cells, own[counted], seed=seed)
            found[(slice(None), *place)] = np.stack(parts).reshape(3, *values.shape[2:-1])
    coords = moved.drop_vars([n for n, c in moved.coords.items() if schema.SAMPLE in c.dims]).coords
    variables: DataVariables = {
        name: (dims, part) for name, part in zip(("recovered", "low", "high"), found, strict=True)
    }
    counted_dims = (schema.CONCEPT, schema.DIRECTION)
    variables |= {name: (counted_dims, part) for name, part in zip(("n", "below_gap"), counts, strict=True)}
    order = (schema.CONCEPT, schema.LAYER, schema.GROUP, schema.DIRECTION, schema.CONTROL)
    return xr.Dataset(variables, coords).transpose(*order)


def _by_category(by_concept: xr.Dataset, categories: Sequence[str]) -> xr.Dataset:
    names = list(dict.fromkeys(categories))
    parts = []
    for name in names:
        own = by_concept.isel({schema.CONCEPT: [i for i, one in enumerate(categories) if one == name]})
        values = own["recovered"]
        count = values.notnull().sum(schema.CONCEPT)
        mean = values.mean(schema.CONCEPT)
        spread = values.std(schema.CONCEPT, ddof=1) / np.sqrt(count)
        half = spread * stats.t.ppf((1 + LEVEL) / 2, np.maximum(count - 1, 1))
        half = half.where(count >= _FEWEST_CONCEPTS)
        sums = own[["n", "below_gap"]].sum(schema.CONCEPT)
        parts.append(sums.assign(recovered=mean, low=mean - half, high=mean + half, concepts=count))
    return xr.concat(parts, xr.Variable(schema.CATEGORY, names))[
        ["recovered", "low", "high", "n", "below_gap", "concepts"]
    ]
