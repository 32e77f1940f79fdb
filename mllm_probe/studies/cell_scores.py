"""Scores of cells: of steered answers (intended, true to the image, fluent), and of any metric beside its controls."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from mllm_probe import schema
from mllm_probe.metrics.metric import direction_of, metrics_of, scale_of
from mllm_probe.schema import CONCEPT, CONTROL, DRAW, LAYER, SAMPLE, STRENGTH
from mllm_probe.steering.operations import OPERATIONS

SCORE = "score"
NAMED, KEPT, PERPLEXITY, REPETITION = "named", "kept", "perplexity", "repetition"
LARGEST_PERPLEXITY = 10.0
"""Ratio to the unsteered answer's perplexity beyond which an answer is broken."""
MOST_REPETITION = 0.3
"""Share of repeated words, above the unsteered answer's, beyond which an answer is broken."""


def has_score(grid: xr.Dataset) -> bool:
    """Whether a grid was run with the metrics that a score is made of: ``"named"`` and ``"perplexity"``."""
    return all(name in grid and f"{name}_unsteered" in grid for name in (NAMED, PERPLEXITY, REPETITION))


def broken_answers(grid: xr.Dataset) -> xr.DataArray:
    """Rows whose answer is broken: perplexity ratio over 10, or repetition more than .3 above the unsteered answer's.

    `grid`: from :func:`mllm_probe.sweep` with metric ``"perplexity"``. Returns an empty answer is broken too. False
    where nothing was run.
    """
    repeats, improbable = broken_by(grid[PERPLEXITY], grid[REPETITION], grid[f"{REPETITION}_unsteered"])
    return grid[NAMED].notnull() & (improbable | repeats)


def broken_by(perplexity: Any, repetition: Any, unsteered_repetition: Any) -> tuple[Any, Any]:
    """Whether answers are broken because they repeat words, and because they are improbable; floats or arrays.

    Perplexity is the ratio to the unsteered answer's; that of an answer without words that count is NaN, and too large.
    """
    repeats = repetition > unsteered_repetition + MOST_REPETITION
    return repeats, np.logical_not(perplexity <= LARGEST_PERPLEXITY)


def answer_marks(grid: xr.Dataset, takes_away: np.ndarray) -> dict[str, xr.DataArray]:
    """Marks of a cell's answers (such as broken ones), over the eligible images, to be read before its effect.

    `grid`: from :func:`mllm_probe.sweep`, whole or still filling. `takes_away` (bool array [strength]): which doses are
    meant to take the concept away. Returns: ``never_named``: no answer names the concept, at doses that should bring
    it; where the grid has ``"named"``. ``broken``: share of broken answers; where it has ``"perplexity"`` too.
    """
    if NAMED not in grid:
        return {}
    cells = (
        grid[[name for name in (NAMED, PERPLEXITY, REPETITION) if name in grid]]
        .sel({CONTROL: "concept"})
        .isel({DRAW: 0})
    )
    cells = cells.assign({name: grid[name] for name in (f"{REPETITION}_unsteered",) if name in grid})
    counted = cells[NAMED].notnull() & grid.get("eligible", True)
    brings = xr.DataArray(~np.asarray(takes_away, bool), dims=STRENGTH) & (grid[STRENGTH] != 0)
    named = cells[NAMED].where(counted).max(SAMPLE)
    marks = {"never_named": brings & (named == 0)}
    if has_score(grid):
        marks["broken"] = broken_answers(cells).where(counted).mean(SAMPLE)
    return {
        name: mark.transpose(CONCEPT, LAYER, STRENGTH)
        .drop_vars([CONTROL, DRAW], errors="ignore")
        .assign_attrs(_MARKS[name])
        for name, mark in marks.items()
    }


_MARKS = {
    "never_named": {"long_name": "no answer names the concept, which the dose should bring"},
    "broken": {"long_name": "share of broken answers", "units": "1"},
}


def content_checked(grid: xr.Dataset) -> bool:
    """Whether the images have labels, so that a score counts what an answer keeps of them."""
    return f"{KEPT}_unsteered" in grid and bool(grid[f"{KEPT}_unsteered"].notnull().any())


def answer_score(grid: xr.Dataset, takes_away: np.ndarray) -> tuple[xr.DataArray, xr.DataArray]:
    """Score of every row, and of the unsteered answers.

    `grid`: from :func:`mllm_probe.sweep` with metrics ``"named"``, ``"perplexity"`` and, where the images have labels,
    ``"kept"``. `takes_away` (bool array [strength]): which doses are meant to take the concept away. Returns `score`: 0
    where the answer is broken, else s · min(1, kept / kept of the unsteered answer); s is ``named`` for doses that
    bring the concept and 1 − ``named`` for those that take it away. NaN where the unsteered answer keeps nothing.
    Without labels the second factor is 1, and attribute ``content`` is ``"not checked"``.
    """
    away = xr.DataArray(np.asarray(takes_away, bool), dims=STRENGTH)

    def success(named: xr.DataArray) -> xr.DataArray:
        return xr.where(away, 1 - named, named)

    named, checked = grid[NAMED].astype(np.float64), content_checked(grid)
    factor: xr.DataArray | float = 1.0
    unsteered = success(grid[f"{NAMED}_unsteered"].astype(np.float64))
    if checked:
        before = grid[f"{KEPT}_unsteered"].where(grid[f"{KEPT}_unsteered"] > 0)
        factor = (grid[KEPT] / before).clip(max=1)
        unsteered = unsteered.where(before.notnull())
    score = xr.where(broken_answers(grid), 0.0, success(named)) * factor
    score = score.where(named.notnull())
    content = "" if checked else " (content not checked)"
    score.attrs = {
        "long_name": f"answers that do what is intended, fluent and with the image's content{content}",
        "units": "1",
        "label": f"score of answers{content}",
        "content": "checked" if checked else "not checked",
    }
    return score.transpose(*grid[NAMED].dims), unsteered.transpose(CONCEPT, STRENGTH, SAMPLE)


LARGEST_RATIO = 2.0
"""Perplexity ratio below which an answer passes for fluent."""


def perplexity_by_dose(grid: xr.Dataset, concept: str, layer: int) -> list[list[float]]:
    """Perplexity ratio of the answers at every strength that was run.

    `grid`: from :func:`mllm_probe.sweep` with metric ``"perplexity"``, whole or still filling. Returns list of
    [strength, ratio]: by strength; the ratio to the unsteered answer's, its geometric mean over images, since one
    broken answer has a ratio of thousands. Strengths without any finite ratio are left out; empty where the grid lacks
    the concept, layer or metric.
    """
    if PERPLEXITY not in grid or concept not in grid[CONCEPT].values or layer not in grid[LAYER].values:
        return []
    cell = grid[PERPLEXITY].sel({CONCEPT: concept, LAYER: layer, CONTROL: "concept"}).isel({DRAW: 0})
    ratios = []
    for strength, row in zip(grid[STRENGTH].values, cell.transpose(STRENGTH, SAMPLE).values, strict=True):
        finite = row[np.isfinite(row)]
        if finite.size:
            ratios.append([float(strength), float(np.exp(np.log(finite).mean()))])
    return sorted(ratios, key=lambda pair: pair[0])


def fluent_range(doses: list[list[float]]) -> tuple[float, float]:
    """Lowest and highest strength around 0 up to which every dose that was run stays below `LARGEST_RATIO`.

    `doses` (list of [strength, ratio]): from `perplexity_by_dose`.
    """
    low = high = 0.0
    for strength, ratio in sorted(doses, key=lambda pair: abs(pair[0])):
        if strength > 0 and not _blocked(doses, high, strength) and ratio < LARGEST_RATIO:
            high = strength
        if strength < 0 and not _blocked(doses, low, strength) and ratio < LARGEST_RATIO:
            low = strength
    return low, high


def _blocked(doses: list[list[float]], reached: float, strength: float) -> bool:
    """Whether a dose between those two, on the way out from 0, is not fluent."""
    low, high = sorted((reached, strength))
    return any(low < other < high and ratio >= LARGEST_RATIO for other, ratio in doses)


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
    `steers` (bool array, broadcasts to the shape of a cell): whether the dose is not 0.
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
    steers: np.ndarray
    tested: bool
    scale: str
    attrs: dict[str, Any]

    @property
    def counted(self) -> bool:
        """Whether p counts draws: of scores in 0 … 1, whose variance says little where all are 0."""
        return self.scale in ("share", "bounded")

    @property
    def change(self) -> np.ndarray:
        """Steered minus unsteered [*cell, sample]; 0 where it is rounding."""
        return difference_of(self.steered, self.unsteered)

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
        steers=grid[schema.STRENGTH].values != 0,
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
        steers=(grid[schema.STRENGTH].values != 0)[:, None],
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


_ROUNDING = 1e-6


def difference_of(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Difference of scores that are known to float32 only: 0 where it is rounding."""
    difference = left - right
    return np.where(np.abs(difference) <= _ROUNDING * np.maximum(1.0, np.abs(left)), 0.0, difference)
