"""The effect of a concept beside its controls: the one summary that heatmaps, plots and studies read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from mllm_probe import schema
from mllm_probe.metrics import statistics
from mllm_probe.metrics.metric import direction_of, metrics_of, scale_of
from mllm_probe.metrics.statistics import Draws, summarise_draws
from mllm_probe.models.argument_checks import described, whole_number
from mllm_probe.schema import (
    CATEGORY,
    CONCEPT,
    CONTROL,
    DEPTH,
    LAYER,
    RELATIVE_DEPTH,
    RUNG,
    SAMPLE,
    SPLIT,
    STRENGTH,
    provenance,
    require,
)
from mllm_probe.steering.operations import OPERATIONS
from mllm_probe.studies.answer_score import SCORE, answer_marks, answer_score, has_score

CELL = (schema.CONCEPT, schema.LAYER, schema.STRENGTH)


@dataclass(frozen=True)
class CellScores:
    """Scores of one metric, as float64, whatever the dimensions of its cells.

    `cell`: dimensions of a cell.
    `steered` (ndarray [*cell, sample]): of the concept's own rows; NaN where an image does not count.
    `draws` (dict of str to ndarray [*cell, draw, sample]): of the rows of each kind of control.
    `antithetic`: kinds whose draws 2j and 2j + 1 are a direction and its opposite.
    `unsteered`: ndarray, broadcasts to the shape of own.
    `intended` (int array, broadcasts to the shape of a cell): sign of an effect as the dose intends it; 0 where none is
        intended.
    `tested`: whether the metric has a direction, so that effects are tested against controls.
    `scale`: {"difference", "ratio", "share", "bounded"}.
    `attrs`: ``long_name`` and ``units`` of the score.
    """

    cell: tuple[str, ...]
    steered: np.ndarray
    draws: dict[str, np.ndarray]
    antithetic: frozenset[str]
    unsteered: np.ndarray
    intended: np.ndarray
    tested: bool
    scale: str
    attrs: dict[str, Any]

    def in_doublings(self) -> CellScores:
        """Return the binary logarithm of ratios, so that halving and doubling weigh the same."""
        attrs = {"long_name": f"log2 of {self.attrs.get('long_name', 'the ratio')}", "units": "doublings"}
        with np.errstate(divide="ignore", invalid="ignore"):
            draws = {kind: np.log2(values) for kind, values in self.draws.items()}
            return replace(
                self, steered=np.log2(self.steered), draws=draws, unsteered=np.log2(self.unsteered), attrs=attrs
            )


def cell_scores(grid: xr.Dataset, metric: str) -> CellScores:
    """Scores of a metric, of images that count.

    `grid`: from :func:`mllm_probe.sweep`, whole or still filling. `metric`: one of its metrics, ``"off_target"``, or
    ``"score"`` where it holds answers. Raises ValueError if the grid has no such metric or no images, or was run
    without random controls.
    """
    _require(grid, metric)
    scores = _off_target(grid) if metric == schema.OFF_TARGET else _concept_scores(grid, metric)
    return scores.in_doublings() if scores.scale == "ratio" else scores


def unedited_rows(grid: xr.Dataset) -> xr.DataArray:
    """Rows of a grid with ``edited`` that should have been edited and were not, since the answer ended first."""
    return (grid["edited"] == 0) & (grid[schema.STRENGTH] != 0)


def takes_away(grid: xr.Dataset) -> np.ndarray:
    """Mask of strengths that are meant to suppress the concept, bool [strength]."""
    if schema.TAKES_AWAY in grid.coords:
        return np.asarray(grid[schema.TAKES_AWAY].values, bool)
    operation = OPERATIONS.get(str(grid.attrs.get("operation")), OPERATIONS["add"])
    return np.array([operation.takes_away(float(strength)) for strength in grid[schema.STRENGTH].values])


def _concept_scores(grid: xr.Dataset, metric: str) -> CellScores:
    """Scores of every row for the concept that it is steered with."""
    rows = (*CELL, schema.CONTROL, schema.DRAW, schema.SAMPLE)
    if metric == SCORE:
        score, unsteered = answer_score(grid, takes_away(grid))
    else:
        score, unsteered = grid[metric], grid[f"{metric}_unsteered"].expand_dims({schema.STRENGTH: 1})
    values = np.where(_unedited(grid, rows), np.nan, score.transpose(*rows).values.astype(np.float64))
    if "eligible" in grid:
        counts = grid["eligible"].transpose(schema.CONCEPT, schema.STRENGTH, schema.SAMPLE).values
        values = np.where(counts[:, None, :, None, None, :], values, np.nan)
    controls = [str(c) for c in grid[schema.CONTROL].values]
    before = unsteered.transpose(schema.CONCEPT, schema.STRENGTH, schema.SAMPLE).values.astype(np.float64)
    direction = 1 if metric == SCORE else direction_of(grid, metric)
    # A score counts what the dose intends; of other metrics, a dose that takes the concept away intends less.
    sense = 1 if metric == SCORE else np.where(takes_away(grid), -1, 1)
    return CellScores(
        cell=CELL,
        steered=values[:, :, :, controls.index("concept"), 0],
        draws={kind: values[:, :, :, i] for i, kind in enumerate(controls) if kind != "concept"},
        antithetic=_antithetic(grid),
        unsteered=before[:, None],
        intended=np.broadcast_to(direction * sense, grid.sizes[schema.STRENGTH]),
        tested=direction != 0,
        scale="bounded" if metric == SCORE else scale_of(grid, metric),
        attrs=dict(score.attrs),
    )


def _off_target(grid: xr.Dataset) -> CellScores:
    """Scores of every row for every concept; the random rows are the same whatever concept is steered."""
    name, cell = schema.OFF_TARGET, (*CELL, schema.SCORED_CONCEPT)
    steered = grid[name].transpose(*cell, schema.SAMPLE).values.astype(np.float64)
    random = grid[f"{name}_random"].transpose(
        schema.LAYER, schema.STRENGTH, schema.SCORED_CONCEPT, schema.DRAW, schema.SAMPLE
    )
    draws = random.values.astype(np.float64)
    missed = _unedited(grid, (schema.CONTROL, *CELL, schema.DRAW, schema.SAMPLE))
    if missed.any():
        controls = [str(c) for c in grid[schema.CONTROL].values]
        # missed [control, concept, layer, strength, draw, sample]: the concept's only draw, for all scored concepts; a
        # random row, which all concepts share, where it is missed for any of them.
        steered = np.where(missed[controls.index("concept"), ..., 0, :][..., None, :], np.nan, steered)
        draws = np.where(missed[controls.index("random")].any(0)[:, :, None], np.nan, draws)
    if "eligible" in grid:  # for the concept that is steered with
        counts = grid["eligible"].transpose(schema.CONCEPT, schema.STRENGTH, schema.SAMPLE).values
        steered = np.where(counts[:, None, :, None], steered, np.nan)
    unsteered = grid[f"{name}_unsteered"].transpose(schema.SCORED_CONCEPT, schema.SAMPLE).values.astype(np.float64)
    itself = grid[schema.CONCEPT].values[:, None] == grid[schema.SCORED_CONCEPT].values
    sense = np.where(takes_away(grid), -1, 1)
    return CellScores(
        cell=cell,
        steered=steered,
        draws={"random": np.broadcast_to(draws, (len(steered), *draws.shape))},
        antithetic=_antithetic(grid),
        unsteered=unsteered,
        intended=itself[:, None, None] * sense[:, None],
        tested=True,
        scale=scale_of(grid, name),
        attrs=dict(grid[name].attrs),
    )


def _antithetic(grid: xr.Dataset) -> frozenset[str]:
    return frozenset(map(str, np.atleast_1d(grid.attrs.get(schema.ANTITHETIC, []))))


def _unedited(grid: xr.Dataset, dims: tuple[str, ...]) -> np.ndarray:
    """`unedited_rows` in an order of dimensions; broadcasts to the scores."""
    if "edited" not in grid:
        return np.zeros((1,) * len(dims), bool)
    return np.asarray(unedited_rows(grid).transpose(*dims).values)


def _require(grid: xr.Dataset, metric: str) -> None:
    dims = (*CELL, schema.CONTROL, schema.DRAW, schema.SAMPLE)
    schema.require(grid, dims=dims, what="the grid of a sweep")
    metrics = [*metrics_of(grid), *[schema.OFF_TARGET] * (schema.OFF_TARGET in grid), *[SCORE] * has_score(grid)]
    if metric not in metrics:
        needed = "('named', 'kept', 'perplexity')" if metric == SCORE else f"({metric!r}, …)"
        raise ValueError(
            f"this grid has no metric '{metric}'; it has {', '.join(metrics) or 'none'}. "
            f"Run the sweep with metrics={needed}."
        )
    if metric != SCORE:
        schema.require(grid, f"{metric}_unsteered", what="the grid of a sweep")
    if not grid.sizes[schema.SAMPLE]:
        raise ValueError("the grid has no images, so there is no effect to average: select at least one.")
    if metric != SCORE and grid[metric].dtype.kind not in "fiub":
        raise ValueError(f"metric '{metric}' of this grid holds text or objects ({grid[metric].dtype}), not numbers.")
    random = "random" in grid[schema.CONTROL].values
    if not random or (metric == schema.OFF_TARGET and f"{metric}_random" not in grid):
        raise ValueError(
            "an effect is never reported without its controls, and this grid was run without random directions "
            f"(controls: {', '.join(map(str, grid[schema.CONTROL].values))}). Run the sweep with controls=None or "
            "controls=('random', …)."
        )


AVERAGES: dict[str, Any] = {"mean": statistics.mean, "median": statistics.median}
LARGEST_P = 0.05
"""Of a cell that is clear of a control; also the false discovery rate within a grid."""

_ROUNDING = 1e-6


def effect(
    grid: xr.Dataset, metric: str = "logprob", *, split: str | None = None, average: str = "mean", seed: int = 0
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
        grid = _select_split(grid, split)
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
    return xr.DataArray(_difference(scores.steered, base), coords, dims, attrs=attrs)


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
    paired = _difference(steered, control)
    if average == "median":
        low, high = statistics.median_interval(paired)
    elif scores.scale == "share":
        low, high = statistics.share_interval(steered, control, draws)
    else:
        low, high = statistics.difference_interval(paired, draws, bounded=scores.scale == "bounded", seed=seed)
    value, difference = centre(steered), centre(paired)
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
    count = np.isfinite(scores.steered).sum(-1)
    known = (count >= least_images(scores.scale)) & (average == "mean") & scores.tested
    exact = _difference(value, draws.mean)
    # Where nothing differs at all, as at strength 0, there is nothing to test.
    known &= ~((exact == 0) & (draws.next_draw == 0))
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
            centre(_difference(scores.steered, scores.unsteered)),
            {"long_name": f"{name}: steered minus unsteered", "units": units},
        ),
        "mean": (cell, centre(scores.steered), scores.attrs),
        "n": (cell, np.isfinite(scores.steered).sum(-1), {"long_name": "images that count", "units": "1"}),
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
    marked = result.assign(clear_of_controls=beyond, clear_in_grid=beyond)
    return marked.assign_attrs(average=average, interval="none", least_images=1)


def sample_labels(grid: xr.Dataset) -> list[str]:
    """Name each image of a grid by its number, its split and the start of its content hash."""
    splits = grid[SPLIT].values if SPLIT in grid.coords else [""] * grid.sizes[SAMPLE]
    return [
        " · ".join(part for part in (f"image {i + 1}", str(split).replace("_", " "), str(name)[:8]) if part)
        for i, (split, name) in enumerate(zip(splits, grid[SAMPLE].values, strict=True))
    ]


_KEPT = ("difference", "low", "high", "n", "clear_in_grid")
_SAME = ("prompt", "answer_prefix", "scope", "operation", "unit")
"""Settings without which effects are not comparable."""


def compare(grids: Sequence[xr.Dataset], metric: str = "logprob", *, strength: float | None = None) -> xr.Dataset:
    """Put the effects of several models side by side, at the same relative depths.

    Parameters
    ----------
    grids : sequence of Dataset
        From :func:`mllm_probe.sweep`, each of another model, with random controls; concepts that all of them have are
        compared.
    metric : str
    strength : float, optional
        The dose; by default the largest that all of them have.

    Returns
    -------
    Dataset (rung, concept, depth), host memory, float64
        ``difference``, ``low``, ``high``, ``n``, ``clear_in_grid`` as :func:`mllm_probe.effect` has them, of the block
        whose relative depth is nearest: nothing is interpolated. ``layer`` (rung, depth) says which block that is.
        ``depth`` are the relative depths of the shallowest model.

    Raises
    ------
    TypeError
        If it is no sequence of datasets.
    ValueError
        For fewer than two models, two grids of one model, other prompts, scopes, units or operations, or no concept or
        dose in common; the message names them.

    Examples
    --------
    >>> both = mp.compare([grid_4l, grid_8l])
    >>> both.difference.sel(concept="cat")
    """
    grids = _checked(grids)
    doses = [set(grid[STRENGTH].values.tolist()) for grid in grids]
    shared = sorted(set.intersection(*doses) - {0.0})
    if not shared or (strength is not None and strength not in shared):
        shared_doses = ", ".join(f"{value:g}" for value in shared) or "there is none"
        got = "none" if strength is None else f"{strength:g}"
        raise ValueError(f"strength: expected a dose that all grids have ({shared_doses}); got {got}.")
    dose = shared[-1] if strength is None else strength
    concepts = [name for name in grids[0][CONCEPT].values if all(name in grid[CONCEPT].values for grid in grids)]
    if not concepts:
        raise ValueError("these grids have no concept in common.")
    effects = [effect(grid, metric).sel({STRENGTH: dose, CONCEPT: concepts}, drop=True) for grid in grids]
    shallowest = min(effects, key=lambda profile: profile.sizes[LAYER])
    depths = np.unique(shallowest[RELATIVE_DEPTH].values[shallowest[LAYER].values >= 0])
    names = [str(grid.attrs["model"]) for grid in grids]
    rows = [_at_depths(profile, depths) for profile in effects]
    result = xr.concat(rows, xr.DataArray(names, dims=RUNG, name=RUNG), coords="minimal", compat="override")
    if CATEGORY in grids[0].coords:
        result = result.assign_coords({CATEGORY: (CONCEPT, grids[0][CATEGORY].sel({CONCEPT: concepts}).values)})
    settings = {name: grids[0].attrs[name] for name in _SAME if name in grids[0].attrs}
    return result.assign_attrs(
        provenance(model=None, **settings), model=names, metric=metric, strength=float(dose), study="comparison",
        n_concepts=len(concepts),
    )  # fmt: skip


def _checked(grids: Sequence[xr.Dataset]) -> list[xr.Dataset]:
    if isinstance(grids, xr.Dataset) or not isinstance(grids, Sequence):
        raise TypeError(f"expected a list of grids, such as mp.compare([grid_4l, grid_8l]); got {described(grids)}.")
    for grid in grids:
        require(grid, dims=(CONCEPT, LAYER, STRENGTH), what="a grid to compare")
    names = [str(grid.attrs.get("model", "")) for grid in grids]
    if len(set(names)) < max(2, len(names)):
        raise ValueError(f"expected grids of two or more different models; got {', '.join(names) or 'none'}.")
    for setting in _SAME:
        values = {str(grid.attrs.get(setting)) for grid in grids}
        if len(values) > 1:
            raise ValueError(
                f"these grids were run with different settings of {setting}: {', '.join(sorted(values))}. "
                f"Run them with the same {setting}."
            )
    return list(grids)


def _at_depths(profile: xr.Dataset, depths: np.ndarray) -> xr.Dataset:
    """Effects of the blocks that are nearest to relative depths."""
    blocks = profile.isel({LAYER: profile[LAYER].values >= 0})
    block_depths = blocks[RELATIVE_DEPTH].values
    places = [int(np.abs(block_depths - depth).argmin()) for depth in depths]
    kept = blocks[list(_KEPT)].isel({LAYER: places}).transpose(CONCEPT, LAYER)
    numbers = kept[LAYER].values
    data = {name: ((CONCEPT, DEPTH), kept[name].values, kept[name].attrs) for name in _KEPT}
    return xr.Dataset({**data, LAYER: (DEPTH, numbers)}, {CONCEPT: kept[CONCEPT].values, DEPTH: depths})
