"""The effect of a concept beside its controls: the one summary that heatmaps, plots and studies read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from mllm_probe import schema
from mllm_probe.metrics import statistics
from mllm_probe.metrics.metric import chance, direction_of, signed
from mllm_probe.metrics.statistics import Draws, summarise_draws
from mllm_probe.models.argument_checks import described, finite_number, whole_number
from mllm_probe.schema import CONTROL, SAMPLE, SPLIT
from mllm_probe.studies.cell_scores import (
    CELL,
    SCORE,
    CellScores,
    answer_marks,
    cell_scores,
    difference_of,
    takes_away,
)

AVERAGES: dict[str, Any] = {"mean": statistics.mean, "median": statistics.median}
LARGEST_P = 0.05
"""Of a cell that is clear of a control; also the false discovery rate within a grid."""


def effect(
    grid: xr.Dataset,
    metric: str = "logprob",
    *,
    gaps: Mapping[str, float] | xr.DataArray | xr.Dataset | None = None,
    split: str | None = None,
    average: str = "mean",
    seed: int = 0,
) -> xr.Dataset:
    """Effect of steering with a concept on a score, against its controls.

    Parameters
    ----------
    grid : Dataset
        From :func:`mllm_probe.sweep`, whole or still filling.
    metric : str
        One of its metrics, or ``"score"`` where answers were generated with metrics ``"named"``, ``"kept"`` and
        ``"perplexity"``. Only eligible images count. ``"perplexity"`` and other ratios are given as their binary
        logarithm, in doublings. ``"off_target"`` compares the score of every concept under every concept's vector with
        random directions. Runs whose scope did not fire (the answer ended first) do not count.
    gaps : mapping of str to float, DataArray or Dataset, optional
        For each concept, the unsteered score on images that show it minus that on images that lack it, in the metric's
        unit; or what :func:`mllm_probe.check` or :func:`mllm_probe.patch` gave for this metric. By default those of the
        grid, where it was run on the images of a library.
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
        far out as the concept (``rank_p``, the same by ranks, from 99 draws on; ``n_draws`` is how many there are, a
        pair of opposite ones as one). Of scores in 0 … 1, p says how often a draw wins a cell of the grid by as much as
        the concept wins its own: beats all that compete there, draws and concept. ``clear``: the effect has the
        intended sign, p ≤ .05, and the interval excludes 0.

        ``clear_of_controls``: clear of every kind of control. ``q``: Benjamini–Hochberg over all cells of the grid, of
        the largest p over the kinds. ``clear_in_grid``: clear of controls and q ≤ .05. ``reason``: why the cell passes
        or not, in words. Metrics without a direction (``kl``, ``perplexity``, ``kept``) have intervals only.

        ``gap_share`` with ``gap_share_low``, ``gap_share_high``: the difference as a share of the concept's own gap,
        which compares across concepts, prompts and models; NaN without a gap, and where it is below .5 (.2 of a share).

        Where the grid holds answers: ``never_named`` (no answer names the concept, which the dose should bring) and,
        with ``"perplexity"``, ``broken`` (share of broken answers, see
        :func:`mllm_probe.studies.cell_scores.broken_answers`).

        With fewer images than attribute ``least_images`` (6; 10 for scores that are 0 or 1), intervals, p and q are
        NaN and no cell is clear; with fewer than 8 draws (4 that are not in pairs) so are p and q.

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
        grid = _select_split(grid, split)
    scores = cell_scores(grid, metric)
    against = {kind: _against(scores, kind, average, seed) for kind in scores.draws}
    return _assembled(grid, metric, scores, against, average, gaps_of(grid, metric, scores, gaps))


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
    return xr.DataArray(difference_of(scores.steered, base), coords, dims, attrs=attrs)


def _select_split(grid: xr.Dataset, split: str) -> xr.Dataset:
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
    steered, centre = scores.steered, AVERAGES[average]
    # Only images that count for the concept: a control averaged over other images would compare images, not directions.
    drawn = np.where(np.isfinite(steered)[..., None, :], scores.draws[kind], np.nan)
    means = centre(drawn)
    draws = summarise_draws(means, antithetic=kind in scores.antithetic)
    control = statistics.mean(np.swapaxes(drawn, -1, -2))
    paired = difference_of(steered, control)
    if average == "median":
        low, high = statistics.median_interval(paired)
    elif scores.counted:
        low, high = statistics.share_interval(steered, control, draws, graded=scores.scale == "bounded")
    else:
        low, high = statistics.difference_interval(paired, draws, seed=seed)
    difference, count = centre(paired), np.isfinite(steered).sum(-1)
    p, rank_p, units = _p_values(scores, kind, means, draws, average)
    intended = np.where(scores.intended == 0, np.sign(difference), scores.intended)
    clear = (np.sign(difference) == intended) & (p <= LARGEST_P) & ((low > 0) | (high < 0))
    least = statistics.least_share_variance(draws.mean, count) if scores.counted else 0.0
    control_low, control_high = statistics.draw_interval(draws, least_variance=least)
    if scores.counted:
        control_low, control_high = np.clip(control_low, 0.0, 1.0), np.clip(control_high, 0.0, 1.0)
    return {
        "control_mean": draws.mean,
        "control_low": control_low,
        "control_high": control_high,
        "difference_from": difference,
        "difference_low": low,
        "difference_high": high,
        "p": p,
        "rank_p": rank_p,
        "n_draws": units,
        "clear": clear,
    }


def _p_values(
    scores: CellScores, kind: str, means: np.ndarray, draws: Draws, average: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """P, p by ranks, and draws that count; no p for medians, metrics without direction, strength 0 and too few."""
    value, antithetic = statistics.mean(scores.steered), kind in scores.antithetic
    known = np.isfinite(scores.steered).sum(-1) >= least_images(scores.scale)
    known = known & (average == "mean") & scores.tested & scores.steers
    if scores.counted:
        sense = np.where(scores.intended == 0, 1, scores.intended)
        before = statistics.mean(np.where(np.isfinite(scores.steered), scores.unsteered, np.nan))
        moved = np.where(known, sense * (value - before), np.nan)
        p, units = statistics.win_test(moved, sense[..., None] * (means - before[..., None]), antithetic=antithetic)
    else:
        p = statistics.draw_test(draws.mean + difference_of(value, draws.mean), draws)
        units = np.nan_to_num(draws.spread_df + 1)
    rank_p = np.where(known, statistics.rank_test(value, means), np.nan)
    return np.where(known & (units >= statistics.LEAST_UNITS), p, np.nan), rank_p, units


def gaps_of(
    grid: xr.Dataset, metric: str, scores: CellScores, given: Mapping[str, float] | xr.DataArray | xr.Dataset | None
) -> np.ndarray:
    """Unsteered score on images with each concept minus that on images without it, float64 [concept].

    NaN where none is known, or it is too small to divide by.
    """
    names = [str(name) for name in grid[schema.CONCEPT].values]
    gaps = np.full(len(names), np.nan)
    metric = "named" if metric == SCORE else metric
    if scores.scale == "ratio" or not scores.tested or metric == schema.OFF_TARGET:
        return gaps
    if given is not None:
        known = _given_gaps(given, metric)
        gaps = np.array([known.get(name, np.nan) for name in names], np.float64)
    elif schema.SHOWN in grid.coords:
        unsteered = grid[f"{metric}_unsteered"].transpose(schema.CONCEPT, schema.SAMPLE).values.astype(np.float64)
        shown = grid[schema.SHOWN].transpose(schema.CONCEPT, schema.SAMPLE).values
        sides = [statistics.mean(np.where(shown == side, unsteered, np.nan)) for side in (schema.SHOWS, schema.LACKS)]
        gaps = sides[0] - sides[1]
    towards = direction_of(grid, metric)
    return np.where(gaps * towards >= (_LEAST_SHARE_GAP if scores.counted else _LEAST_GAP), gaps, np.nan)


def _given_gaps(given: Mapping[str, float] | xr.DataArray | xr.Dataset, metric: str) -> dict[str, float]:
    """Gaps by concept, from whatever gives them."""
    if isinstance(given, xr.Dataset) and f"{metric}_source" in given:
        inserted = given.sel({schema.DIRECTION: schema.DIRECTIONS[0]})
        base = inserted[f"{metric}_base"]
        base = base.mean([dim for dim in base.dims if dim not in (schema.CONCEPT, schema.SAMPLE)])
        given = (inserted[f"{metric}_source"] - base).mean(schema.SAMPLE)
    elif isinstance(given, xr.Dataset) and "gap" in given and metric == "logprob":
        given = given["gap"]
    if isinstance(given, xr.DataArray) and given.dims == (schema.CONCEPT,):
        return dict(zip(map(str, given[schema.CONCEPT].values), given.values.astype(np.float64), strict=True))
    if isinstance(given, Mapping) and not isinstance(given, xr.Dataset):
        return {str(name): finite_number(f"gaps[{name!r}]", value) for name, value in given.items()}
    raise ValueError(
        f"gaps: expected numbers by concept, or what mp.check (of logprob) or mp.patch (with metric '{metric}') gave; "
        f"got {described(given)}."
    )


def _assembled(
    grid: xr.Dataset,
    metric: str,
    scores: CellScores,
    against: dict[str, dict[str, np.ndarray]],
    average: str,
    gaps: np.ndarray,
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
            centre(scores.change),
            {"long_name": f"{name}: steered minus unsteered", "units": units},
        ),
        "mean": (cell, centre(scores.steered), scores.attrs),
        "n": (cell, np.isfinite(scores.steered).sum(-1), {"long_name": "images that count", "units": "1"}),
        "q": (cell, q, {"long_name": "false discovery rate at which the cell passes", "units": "1"}),
        "clear_of_controls": (cell, clear, _CLEAR),
        "clear_in_grid": (cell, clear & (q <= LARGEST_P), _CLEAR_IN_GRID),
    }
    by_concept = gaps.reshape(-1, *[1] * (len(cell) - 1))
    for share, key in (("gap_share", "difference"), ("gap_share_low", "low"), ("gap_share_high", "high")):
        variables[share] = (cell, variables[key][1] / by_concept, {"long_name": "share of the concept's own gap"})
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
        "least_images": least_images(scores.scale),
    }
    result = xr.Dataset(variables, coords, {**grid.attrs, **summary})
    return result.assign(reason=(cell, _reasons(result, scores, average), _REASON))


def _reasons(effect: xr.Dataset, scores: CellScores, average: str) -> np.ndarray:
    """Why each cell passes or not, in words: of all reasons the first that applies."""
    at = {str(name): variable.values for name, variable in effect.data_vars.items()}
    n, low, high, q = at["n"], at["low"], at["high"], at["q"]
    shape = n.shape
    steers, intended = (np.broadcast_to(values, shape) for values in (scores.steers, scores.intended))
    least = int(effect.attrs["least_images"])
    needed = _draws_needed(effect, scores, np.full(shape, LARGEST_P))
    # q is p times what the grid tests: so small must p be for q ≤ .05 beside the same cells.
    in_grid = _draws_needed(effect, scores, LARGEST_P * at["p"].max(-1) / q)
    failing = np.isfinite(at["p"]) & ~at["clear"].astype(bool)
    worst = np.where(failing, at["p"], -np.inf).argmax(-1)
    untested = average == "median" or not scores.tested
    conditions = {
        "": ~np.isfinite(at["difference"]),
        NOT_TESTED: ~steers | untested,
        "images": n < least,
        "draws": needed > 0,
        PASSES: at["clear_in_grid"].astype(bool),
        "against the intended sign": (intended != 0) & (np.sign(at["difference"]) == -intended),
        "interval includes 0": (low <= 0) & (high >= 0),
        "control": failing.any(-1),
        "grid": np.ones(shape, bool),
    }
    reason = np.select(list(conditions.values()), list(conditions), NOT_TESTED).astype(object)
    before = at["mean"] - at["value"]
    for place in map(tuple, np.argwhere(np.isin(reason, ("images", "draws", "control", "grid")))):
        match reason[place]:
            case "images":
                reason[place] = f"{n[place]} of {least} images"
            case "draws":
                reason[place] = f"needs {needed[place]} draws"
            case "control":
                reason[place] = _reached(effect, at, before[place], (*place, int(worst[place])))
            case "grid":
                more = f"; needs {in_grid[place]} draws" if in_grid[place] else ""
                reason[place] = f"clear, not in the grid (q {chance(float(q[place]))}{more})"
    return reason.astype(str)


def _kinds(effect: xr.Dataset) -> list[str]:
    """Kinds of control of an effect."""
    return [str(kind) for kind in effect[schema.CONTROL].values]


def _reached(effect: xr.Dataset, at: Mapping[str, np.ndarray], before: float, place: tuple[int, ...]) -> str:
    """Words for a control that reaches as far as the concept: its mean change, and where one more draw would fall."""
    mean, low, high = (
        signed(float(at[name][place] - before), 2) for name in ("control_mean", "control_low", "control_high")
    )
    return f"{_kinds(effect)[place[-1]]} reaches as far: {mean} [{low}, {high}]"


def _draws_needed(effect: xr.Dataset, scores: CellScores, largest: np.ndarray) -> np.ndarray:
    """Draws of each control without which no p can be as small as ``largest`` [*cell]; 0 where there are enough."""
    units = effect["n_draws"].values
    pairs = np.array([kind in scores.antithetic for kind in _kinds(effect)])
    fewest = np.full(units.shape, statistics.LEAST_UNITS)
    if scores.counted:
        # p is at least 1 / (1 + draws of all cells that are tested).
        cells = np.maximum(np.isfinite(effect["p"].values).sum(tuple(range(units.ndim - 1))), 1)
        least_units = np.ceil((1 / largest[..., None] - 1 - 1e-9) / cells)
        fewest = np.maximum(fewest, np.nan_to_num(least_units)).astype(int)
    return np.where(units < fewest, fewest * np.where(pairs, 2, 1), 0).max(-1)


_INTERVALS = {
    "median": "95 % sign test over images",
    "share": "95 % Newcombe over images and draws",
    "bounded": "95 % t over images and draws",
    "difference": "95 % t over images and draws; bootstrap-t where they are skewed",
    "ratio": "95 % t over images and draws; bootstrap-t where they are skewed",
}
PASSES, NOT_TESTED = "passes", "not tested"
_LEAST_GAP, _LEAST_SHARE_GAP = 0.5, 0.2
"""Gaps (in nats or a metric's own unit; of shares) below which an effect is no share of them."""
_REASON = {"long_name": "why the cell passes or not"}
_CLEAR = {"long_name": "clear of controls: for every kind, the intended sign, p ≤ .05, and an interval that excludes 0"}
_CLEAR_IN_GRID = {"long_name": "clear of controls, at a false discovery rate of .05 over the cells of the grid"}
_CONTROL_ATTRS = {
    "p": {"long_name": "p: one more draw of the control lies as far out", "units": "1"},
    "rank_p": {"long_name": "p by ranks of the draws", "units": "1"},
    "clear": {},
}


AVERAGE_NAMES = ("mean", "median", "single")
AVERAGE_LABELS = {"mean": "mean over images", "median": "median over images", "single": "one image"}


def summarised(grid: xr.Dataset, metric: str, average: str = "mean", sample: int = 0) -> xr.Dataset:
    """Effect of a grid, over its images or on one of them.

    `grid`: from `mllm_probe.sweep`, whole or still filling. `average`: {"mean", "median", "single"}. `sample`: which
    image, for ``"single"``. Returns: as from `mllm_probe.effect`. One image has no interval over images: there,
    ``clear_of_controls`` says that its score lies beyond the interval of the draws of every kind of control.
    """
    if average != "single":
        return effect(grid, metric, average=average)
    count = grid.sizes[SAMPLE]
    if not 0 <= sample < count:
        raise ValueError(f"there is no image {sample}; the grid has {count}, counted from 0.")
    result = effect(grid.isel({SAMPLE: [sample]}), metric)
    beyond = ((result["mean"] < result["control_low"]) | (result["mean"] > result["control_high"])).all(CONTROL)
    words = xr.where(beyond, "beyond every control, on one image", "a control reaches as far, on one image")
    words = words.where(np.isfinite(result["difference"]), "")
    marked = result.assign(clear_of_controls=beyond, clear_in_grid=beyond, reason=words)
    return marked.assign_attrs(average=average, interval="none", least_images=1)


def sample_labels(grid: xr.Dataset) -> list[str]:
    """Name each image of a grid by its number, its split and the start of its content hash."""
    splits = grid[SPLIT].values if SPLIT in grid.coords else [""] * grid.sizes[SAMPLE]
    return [
        " · ".join(part for part in (f"image {i + 1}", str(split).replace("_", " "), str(name)[:8]) if part)
        for i, (split, name) in enumerate(zip(splits, grid[SAMPLE].values, strict=True))
    ]
