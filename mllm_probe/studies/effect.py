"""The effect of a concept beside its controls: the one summary that heatmaps, plots and studies read."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from mllm_probe import schema
from mllm_probe.metrics import statistics
from mllm_probe.metrics.statistics import Draws, summarise_draws
from mllm_probe.models.argument_checks import whole_number
from mllm_probe.studies.answer_score import answer_marks
from mllm_probe.studies.cell_scores import CELL, CellScores, cell_scores, takes_away

AVERAGES: dict[str, Any] = {"mean": statistics.mean, "median": statistics.median}
LARGEST_P = 0.05
"""Of a cell that is clear of a control; also the false discovery rate within a grid."""

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
        One of its metrics, or ``"score"`` where answers were generated with metrics ``"named"``, ``"kept"`` and
        ``"perplexity"``. Only eligible images count. ``"perplexity"`` and other ratios are given as their binary
        logarithm, in doublings. ``"off_target"`` compares the score of every concept under every concept's vector with
        random directions. Runs whose scope did not fire (the answer ended first) do not count.
    split : {"fit", "held_out"}, optional
        Use only the images of one split.
    average : {"mean", "median"}
        How images are summarised. The interval of a median is that of the sign test; medians have no p, so none of
        their cells is clear of controls.
    seed : int
        Of the resamples behind the intervals of skewed scores.

    Returns
    -------
    Dataset (concept, layer, strength), host memory, float64
        For ``"off_target"`` (concept, layer, strength, scored_concept): ``concept`` is the steered one.

        ``value``: concept minus unsteered, which profiles over layers use; ``mean``: the steered score itself;
        ``difference``: concept minus the mean of the random draws, with its 95 % interval ``low``, ``high``, which
        counts the spread over images and that over draws; ``n``: images that count.

        By ``control`` too: ``control_mean`` with ``control_low``, ``control_high`` (where one more draw would fall),
        ``difference_from`` with ``difference_low``, ``difference_high``, and ``p``: whether one more draw would lie as
        far out as the concept (``rank_p``, the same by ranks, from 99 draws on). ``clear``: the effect has the
        intended sign, p ≤ .05, and the interval excludes 0.

        ``clear_of_controls``: clear of every kind of control. ``q``: Benjamini–Hochberg over all cells of the grid, of
        the largest p over the kinds. ``clear_in_grid``: clear of controls and q ≤ .05. Metrics without a direction
        (``kl``, ``perplexity``, ``kept``) have intervals only.

        Where the grid holds answers: ``never_named`` (no answer names the concept, which the dose should bring) and,
        with ``"perplexity"``, ``broken`` (share of broken answers, see
        :func:`mllm_probe.studies.answer_score.broken_answers`).

        With fewer images than attribute ``least_images`` (6; 10 for scores that are 0 or 1), intervals, p and q are
        NaN and no cell is clear.

    Raises
    ------
    TypeError
        If it is no dataset.
    ValueError
        If the grid has no such metric or no images, or was run without random controls: an effect is never reported
        without them.
    """
    if average not in AVERAGES:
        raise ValueError(f"average: expected one of {', '.join(AVERAGES)}, got '{average}'.")
    seed = whole_number("seed", seed)
    if split is not None:
        grid = _one_split(grid, split)
    scores = cell_scores(grid, metric)
    against = {kind: _against(scores, kind, average, seed) for kind in scores.draws}
    return _assembled(grid, metric, scores, against, average)


def value_by_image(grid: xr.Dataset, metric: str = "logprob", *, against: str | None = None) -> xr.DataArray:
    """Steered minus unsteered score of every image: ``value`` of :func:`effect` before images are averaged.

    `grid`, `metric`: as for :func:`effect`; not ``"off_target"``. `against`: a kind of control, the mean of whose draws
    takes the place of the unsteered score. Returns: NaN where an image does not count; 0 where the difference is
    rounding. Ratios in doublings. Raises ValueError: as :func:`effect`.
    """
    if metric == schema.OFF_TARGET:
        raise ValueError("expected a score of the steered concept itself; 'off_target' scores every concept.")
    scores = cell_scores(grid, metric)
    dims = (*scores.cell, schema.SAMPLE)
    coords = {name: coord for name, coord in grid.coords.items() if set(coord.dims) <= set(dims)}
    attrs = {"units": scores.attrs.get("units", "1"), "metric": metric}
    if against is not None and against not in scores.draws:
        raise ValueError(f"against: this grid has no control '{against}'; it has {', '.join(scores.draws)}.")
    base = scores.unsteered if against is None else statistics.mean(np.swapaxes(scores.draws[against], -1, -2))
    return xr.DataArray(_difference(scores.own, base), coords, dims, attrs=attrs)


def _one_split(grid: xr.Dataset, split: str) -> xr.Dataset:
    if schema.SPLIT not in grid.coords or not (grid[schema.SPLIT].values == split).any():
        raise ValueError(
            f"no image of this grid is in split '{split}'. Give sweep() the images of library.split(), "
            "which carry their split."
        )
    return grid.isel({schema.SAMPLE: np.flatnonzero(grid[schema.SPLIT].values == split)})


def least_images(scale: str) -> int:
    """Images without which scores of a scale have no interval and no verdict."""
    return statistics.LEAST_SHARES if scale == "share" else statistics.LEAST_IMAGES


def _against(scores: CellScores, kind: str, average: str, seed: int) -> dict[str, np.ndarray]:
    """Compare the concept's scores with one kind of control."""
    own, centre = scores.own, AVERAGES[average]
    # Only images that count for the concept: a control averaged over other images would compare images, not directions.
    drawn = np.where(np.isfinite(own)[..., None, :], scores.draws[kind], np.nan)
    means = centre(drawn)
    draws = summarise_draws(means, antithetic=kind in scores.antithetic)
    control = statistics.mean(np.swapaxes(drawn, -1, -2))
    paired = _difference(own, control)
    if average == "median":
        low, high = statistics.median_interval(paired)
    elif scores.scale == "share":
        low, high = statistics.share_interval(own, control, draws)
    else:
        low, high = statistics.difference_interval(paired, draws, bounded=scores.scale == "bounded", seed=seed)
    value, difference = centre(own), centre(paired)
    p, rank_p = _p_values(scores, value, means, draws, average)
    intended = np.where(scores.intended == 0, np.sign(difference), scores.intended)
    clear = (np.sign(difference) == intended) & (p <= LARGEST_P) & ((low > 0) | (high < 0))
    control_low, control_high = statistics.draw_interval(draws)
    return {
        "control_mean": draws.mean,
        "control_low": control_low,
        "control_high": control_high,
        "difference_from": difference,
        "difference_low": low,
        "difference_high": high,
        "p": p,
        "rank_p": rank_p,
        "clear": clear,
    }


def _p_values(
    scores: CellScores, value: np.ndarray, means: np.ndarray, draws: Draws, average: str
) -> tuple[np.ndarray, np.ndarray]:
    """P by the t test and by ranks; NaN for medians, metrics without direction, too few images, and at strength 0."""
    count = np.isfinite(scores.own).sum(-1)
    known = (count >= least_images(scores.scale)) & (average == "mean") & scores.tested
    exact = _difference(value, draws.mean)
    # Where nothing differs at all, as at strength 0, there is nothing to test.
    known &= ~((exact == 0) & (draws.one_more == 0))
    least = _least_variance(scores.scale, draws.mean, count)
    p = statistics.draw_test(draws.mean + exact, draws, least_variance=least)
    return np.where(known, p, np.nan), np.where(known, statistics.rank_test(value, means), np.nan)


def _least_variance(scale: str, mean: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Variance of one more draw that must be allowed for, however equal the draws that were run."""
    if scale == "share":
        return statistics.least_share_variance(mean, images)
    # Graded scores vary less than shares of the same mean; at the ends of their scale both may happen to be equal.
    return statistics.least_share_variance(np.round(mean), images) if scale == "bounded" else np.zeros_like(mean)


def _difference(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Difference of scores that are known to float32 only: 0 where it is rounding."""
    difference = left - right
    return np.where(np.abs(difference) <= _ROUNDING * np.maximum(1.0, np.abs(left)), 0.0, difference)


def _assembled(
    grid: xr.Dataset, metric: str, scores: CellScores, against: dict[str, dict[str, np.ndarray]], average: str
) -> xr.Dataset:
    centre, cell = AVERAGES[average], scores.cell
    units, name = scores.attrs.get("units", "1"), scores.attrs.get("long_name", metric)
    random = against["random"]
    clear = np.all([a["clear"] for a in against.values()], axis=0)
    # A cell has to differ from every control, each of whose tests must reject: the p of that is the largest of theirs.
    q = statistics.false_discovery_rate(np.max([a["p"] for a in against.values()], axis=0))
    variables: dict[str, Any] = {
        "difference": (cell, random["difference_from"], {"long_name": f"{name}: concept minus random", "units": units}),
        "low": (cell, random["difference_low"], {"long_name": "lower end of the 95 % interval", "units": units}),
        "high": (cell, random["difference_high"], {"long_name": "upper end of the 95 % interval", "units": units}),
        "value": (
            cell,
            centre(_difference(scores.own, scores.unsteered)),
            {"long_name": f"{name}: steered minus unsteered", "units": units},
        ),
        "mean": (cell, centre(scores.own), scores.attrs),
        "n": (cell, np.isfinite(scores.own).sum(-1), {"long_name": "images that count", "units": "1"}),
        "q": (cell, q, {"long_name": "false discovery rate at which the cell passes", "units": "1"}),
        "clear_of_controls": (cell, clear, _CLEAR),
        "clear_in_grid": (cell, clear & (q <= LARGEST_P), _CLEAR_IN_GRID),
    }
    for key in random:
        stacked = np.stack([a[key] for a in against.values()], axis=-1)
        if key != "rank_p" or np.isfinite(stacked).any():
            variables[key] = ((*cell, schema.CONTROL), stacked, _CONTROL_ATTRS.get(key, {"units": units}))
    if cell == CELL:
        marks = answer_marks(grid, takes_away(grid))
        variables |= {key: (cell, mark.values, mark.attrs) for key, mark in marks.items()}
    coords = {n: c for n, c in grid.coords.items() if set(c.dims) <= set(cell)} | {schema.CONTROL: list(against)}
    summary = {
        "metric": metric,
        "average": average,
        "interval": _INTERVALS[average if average == "median" else scores.scale],
    }
    return xr.Dataset(variables, coords, {**grid.attrs, **summary, "least_images": least_images(scores.scale)})


_INTERVALS = {
    "median": "95 % sign test over images",
    "share": "95 % Newcombe over images and draws",
    "bounded": "95 % t over images and draws",
    "difference": "95 % t over images and draws; bootstrap-t where they are skewed",
    "ratio": "95 % t over images and draws; bootstrap-t where they are skewed",
}
_CLEAR = {"long_name": "clear of controls: for every kind, the intended sign, p ≤ .05, and an interval that excludes 0"}
_CLEAR_IN_GRID = {"long_name": "clear of controls, at a false discovery rate of .05 over the cells of the grid"}
_CONTROL_ATTRS = {
    "p": {"long_name": "p: one more draw of the control lies as far out", "units": "1"},
    "rank_p": {"long_name": "p by ranks of the draws", "units": "1"},
    "clear": {},
}
