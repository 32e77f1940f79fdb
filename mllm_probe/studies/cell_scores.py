"""Scores of a grid as an effect needs them: of each cell's own rows and of its controls, image by image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from mllm_probe import schema
from mllm_probe.metrics.registry import direction_of, metrics_of, scale_of
from mllm_probe.steering.operations import OPERATIONS
from mllm_probe.studies.answer_score import SCORE, answer_score, has_score

CELL = (schema.CONCEPT, schema.LAYER, schema.STRENGTH)


@dataclass(frozen=True)
class CellScores:
    """Scores of one metric, as float64, whatever the dimensions of its cells.

    `cell`: dimensions of a cell.
    `own` (ndarray [*cell, sample]): of the concept's own rows; NaN where an image does not count.
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
    own: np.ndarray
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
            return replace(self, own=np.log2(self.own), draws=draws, unsteered=np.log2(self.unsteered), attrs=attrs)


def cell_scores(grid: xr.Dataset, metric: str) -> CellScores:
    """Scores of a metric, of images that count.

    `grid`: from :func:`mllm_probe.sweep`, whole or still filling. `metric`: one of its metrics, ``"off_target"``, or
    ``"score"`` where it holds answers. Raises ValueError if the grid has no such metric or no images, or was run
    without random controls.
    """
    _require(grid, metric)
    scores = _off_target(grid) if metric == schema.OFF_TARGET else _own(grid, metric)
    return scores.in_doublings() if scores.scale == "ratio" else scores


def unedited_rows(grid: xr.Dataset) -> xr.DataArray:
    """Rows of a grid with ``edited`` that should have been edited and were not, since the answer ended first."""
    return (grid["edited"] == 0) & (grid[schema.STRENGTH] != 0)


def takes_away(grid: xr.Dataset) -> np.ndarray:
    """Which strengths are meant to take the concept away, bool [strength]."""
    if schema.TAKES_AWAY in grid.coords:
        return np.asarray(grid[schema.TAKES_AWAY].values, bool)
    operation = OPERATIONS.get(str(grid.attrs.get("operation")), OPERATIONS["add"])
    return np.array([operation.takes_away(float(strength)) for strength in grid[schema.STRENGTH].values])


def _own(grid: xr.Dataset, metric: str) -> CellScores:
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
        own=values[:, :, :, controls.index("concept"), 0],
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
    own = grid[name].transpose(*cell, schema.SAMPLE).values.astype(np.float64)
    random = grid[f"{name}_random"].transpose(
        schema.LAYER, schema.STRENGTH, schema.SCORED_CONCEPT, schema.DRAW, schema.SAMPLE
    )
    draws = random.values.astype(np.float64)
    missed = _unedited(grid, (schema.CONTROL, *CELL, schema.DRAW, schema.SAMPLE))
    if missed.any():
        controls = [str(c) for c in grid[schema.CONTROL].values]
        # missed [control, concept, layer, strength, draw, sample]: the concept's only draw, for all scored concepts; a
        # random row, which all concepts share, where it is missed for any of them.
        own = np.where(missed[controls.index("concept"), ..., 0, :][..., None, :], np.nan, own)
        draws = np.where(missed[controls.index("random")].any(0)[:, :, None], np.nan, draws)
    if "eligible" in grid:  # for the concept that is steered with
        counts = grid["eligible"].transpose(schema.CONCEPT, schema.STRENGTH, schema.SAMPLE).values
        own = np.where(counts[:, None, :, None], own, np.nan)
    unsteered = grid[f"{name}_unsteered"].transpose(schema.SCORED_CONCEPT, schema.SAMPLE).values.astype(np.float64)
    itself = grid[schema.CONCEPT].values[:, None] == grid[schema.SCORED_CONCEPT].values
    sense = np.where(takes_away(grid), -1, 1)
    return CellScores(
        cell=cell,
        own=own,
        draws={"random": np.broadcast_to(draws, (len(own), *draws.shape))},
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
