"""The best cell of each concept: where the answers do what is intended, stay fluent and keep the true content."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from mllm_probe import schema
from mllm_probe.schema import CONCEPT, CONTROL, DRAW, LAYER, SAMPLE, SPLIT, STRENGTH
from mllm_probe.studies.answer_score import SCORE, answer_score, has_score
from mllm_probe.studies.cell_scores import takes_away, unedited_rows
from mllm_probe.studies.effect import effect as effect_of

_NEIGHBOURS = 1e-4
"""Weight of the neighbouring strengths: it decides between equal cells and outweighs no picture."""


@dataclass(frozen=True)
class BestCell:
    """A cell of a grid and its score."""

    layer: int
    strength: float
    score: float


@dataclass(frozen=True)
class BestCells:
    """Best cells of a grid and what steering does on the images that they are reported on.

    `cells`: by concept; concepts without any finite score are left out.
    `reported`: effect on the reported images: on ``named``, or the effect that the cells were chosen by.
    `kept`: mean ``kept`` over the eligible reported images; None where it was not run, or an effect chose.
    `held_out`: whether the cells were chosen on images of split ``"fit"`` and are reported on those of ``"held_out"``.
    `by_score`: whether the score of the answers decided; else the largest effect did.
    """

    cells: dict[str, BestCell]
    reported: xr.Dataset
    kept: xr.DataArray | None
    held_out: bool
    by_score: bool


def mean_score(grid: xr.Dataset) -> xr.DataArray:
    """Mean `answer_score` over the eligible images (concept, layer, strength)."""
    score, _ = answer_score(grid, takes_away(grid))
    return mean_over_eligible(grid.assign({SCORE: score}), SCORE)


def mean_over_eligible(grid: xr.Dataset, metric: str) -> xr.DataArray:
    """Mean of a metric over eligible images that were edited, of the concept's rows (concept, layer, strength)."""
    rows = {CONTROL: "concept"}
    values = grid[metric].sel(rows).isel({DRAW: 0}).astype(np.float64)
    counted = grid["eligible"]
    if "edited" in grid:
        counted = counted & ~unedited_rows(grid).sel(rows).isel({DRAW: 0})
    mean = values.where(counted).mean(SAMPLE).drop_vars([CONTROL, DRAW], errors="ignore")
    return mean.transpose(CONCEPT, LAYER, STRENGTH)


def best_places(score: xr.DataArray) -> dict[str, BestCell]:
    """Choose the cell of each concept with the largest score.

    `score`: from `mean_score`, or any other score of which more is better. Returns: positive strengths only, where
    there are any. Of equal cells, the one whose neighbouring strengths score best. Concepts without any finite score
    are left out.
    """
    score = score.transpose(CONCEPT, LAYER, STRENGTH).sortby(STRENGTH)
    if (score[STRENGTH] > 0).any():
        score = score.isel({STRENGTH: np.flatnonzero(score[STRENGTH].values > 0)})
    best = {}
    for name, values in zip(map(str, score[CONCEPT].values), score.values, strict=True):
        if np.isfinite(values).any():
            layer, strength = steadiest(values)
            place = int(score[LAYER].values[layer]), float(score[STRENGTH].values[strength])
            best[name] = BestCell(*place, float(values[layer, strength]))
    return best


def steadiest(values: np.ndarray) -> tuple[int, int]:
    """Row and column of the largest finite value [layer, strength]; of equal ones, that with the best neighbours.

    Neighbours are the next lower and higher strength at the same layer; where one is missing or was not run, the cell
    itself counts in its place.
    """
    padded = np.pad(values, ((0, 0), (1, 1)), constant_values=np.nan)
    lower, higher = (np.where(np.isfinite(side), side, values) for side in (padded[:, :-2], padded[:, 2:]))
    ranked = np.where(np.isfinite(values), values + _NEIGHBOURS * (lower + higher) / 2, -np.inf)
    layer, strength = np.unravel_index(int(ranked.argmax()), values.shape)
    return int(layer), int(strength)


def best_cells(data: xr.Dataset, effect: xr.Dataset) -> BestCells:
    """Choose the best cell of every concept and report it, on other images than it was chosen on where there are any.

    `data`: the grid of a sweep, or an effect. `effect`: the effect whose ``difference`` decides where ``data`` lacks
    what a score is made of.
    """
    if not has_score(data) or not {CONTROL, DRAW, SAMPLE} <= set(data["named"].dims):
        return BestCells(best_places(effect["difference"]), effect, None, held_out=False, by_score=False)
    splits = data[SPLIT].values.astype(str) if SPLIT in data.coords else np.array([], str)
    held_out = set(schema.SPLITS) <= set(splits)
    fit, reported = (
        (data.isel({SAMPLE: np.flatnonzero(splits == one)}) for one in schema.SPLITS) if held_out else (data, data)
    )
    kept = mean_over_eligible(reported, "kept") if "kept" in reported else None
    return BestCells(best_places(mean_score(fit)), effect_of(reported, "named"), kept, held_out, by_score=True)
