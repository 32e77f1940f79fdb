"""Which cells pass, as a table, the best ones, and those of several models side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from mllm_probe import schema
from mllm_probe.models.argument_checks import described
from mllm_probe.schema import (
    CATEGORY,
    CONCEPT,
    CONTROL,
    DEPTH,
    DRAW,
    LAYER,
    OFF_TARGET,
    RELATIVE_DEPTH,
    RUNG,
    SAMPLE,
    SCORED_CONCEPT,
    SPLIT,
    STRENGTH,
    WORDS,
    provenance,
    require,
)
from mllm_probe.studies.cell_scores import CELL, SCORE, answer_score, has_score, takes_away, unedited_rows
from mllm_probe.studies.effect import LARGEST_P
from mllm_probe.studies.effect import effect as effect_of


def clear_cells(effect: xr.Dataset) -> np.ndarray:
    """Cells that were run and pass in the grid, those of the largest effect first.

    `effect`: from :func:`mllm_probe.effect`. Returns ndarray of int [cells, 3]: indices along concept, layer and
    strength.
    """
    dims = (CONCEPT, LAYER, STRENGTH)
    difference = effect["difference"].transpose(*dims).values
    clear = effect["clear_in_grid"].transpose(*dims).values.astype(bool) & np.isfinite(difference)
    return np.argwhere(clear)[np.argsort(-np.abs(difference[clear]), kind="stable")]


def strongest_cell(effect: xr.Dataset) -> tuple[str, int, float]:
    """Concept, layer and strength of the largest effect, at positive strengths where there are any.

    `effect`: from :func:`mllm_probe.effect`. Returns: of the cells that pass in the grid where there are any; the first
    cell where none was run.
    """
    positive = effect[STRENGTH] > 0
    size = abs(effect["difference"]).where(positive | ~positive.any())
    clear = size.where(effect["clear_in_grid"])
    score = clear if clear.notnull().any() else size.fillna(0.0)
    cell = score.isel(score.argmax(dim=(CONCEPT, LAYER, STRENGTH)))
    return str(cell[CONCEPT].values), int(cell[LAYER]), float(cell[STRENGTH])


def verdict_caption(effect: xr.Dataset) -> str:
    """Sentence for figures: the number of cells of an effect that pass, and the number that pass by chance alone.

    `effect`: from :func:`mllm_probe.effect`, whole or one strength of it.
    """
    if effect.attrs.get("average") == "median":
        return "medians have no test against controls"
    tested = int(np.isfinite(effect["q"]).sum())
    if not tested:
        least, most = effect.attrs.get("least_images", 0), int(effect["n"].max()) if effect["n"].size else 0
        if most < least:
            return f"no verdict: {most} of {least} images"
        return "no test against controls: this metric has no direction"
    passing, by_chance = int(effect["clear_in_grid"].sum()), round(LARGEST_P * tested)
    false = math.ceil(LARGEST_P * passing)
    return (
        f"{passing} of {tested} cells pass (expected false: at most {false}); p alone would let {by_chance} through by "
        "chance"
    )


def has_off_target(grid: xr.Dataset) -> bool:
    """Whether a grid was run with metric ``"off_target"`` and random directions."""
    return OFF_TARGET in grid and f"{OFF_TARGET}_random" in grid


def off_target_at(grid: xr.Dataset, layer: int, strength: float) -> xr.Dataset | None:
    """Effect of steering with each concept on the score of every concept, at one layer and strength.

    `grid`: from :func:`mllm_probe.sweep` with metric ``"off_target"``. Returns: as from :func:`mllm_probe.effect`,
    whose errors apply; None where the grid lacks the layer or strength.
    """
    if layer not in grid[LAYER].values or strength not in grid[STRENGTH].values:
        return None
    return effect_of(grid.sel({LAYER: [layer], STRENGTH: [strength]}), OFF_TARGET).isel({LAYER: 0, STRENGTH: 0})


_NEIGHBOURS = 1e-4
"""Weight of the neighbouring strengths: it decides between equal cells and outweighs no image."""


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
        (data.isel({SAMPLE: np.flatnonzero(splits == half)}) for half in schema.SPLITS) if held_out else (data, data)
    )
    kept = mean_over_eligible(reported, "kept") if "kept" in reported else None
    return BestCells(best_places(mean_score(fit)), effect_of(reported, "named"), kept, held_out, by_score=True)


_VERDICT = ("q", "clear_in_grid", "reason")
_FIRST = (*CELL, SCORED_CONCEPT, SCORE, "kept", "value", "difference", "low", "high", "n", *_VERDICT)
_OF_CONTROLS = ("control_mean", "p")
"""What the short table shows of each kind of control."""


def cell_table(effect: xr.Dataset) -> pd.DataFrame:
    """Cells of an effect that were run, beside their controls.

    `effect` (Dataset (concept, layer, strength[, scored_concept])): from :func:`mllm_probe.effect`. Returns a row for
    each cell; cells that were not run, or whose controls were not, are left out. Columns are those dimensions with
    their companions (``category``, ``relative_depth``), and the effect's variables; those by control have a column for
    each kind, such as ``control_mean_random``.
    """
    cell = [dim for dim in (*CELL, SCORED_CONCEPT) if dim in effect.dims]
    effect = effect.drop_vars(WORDS, errors="ignore")
    columns = effect.drop_dims(CONTROL)
    for name in (name for name, variable in effect.data_vars.items() if CONTROL in variable.dims):
        by_kind = {f"{name}_{kind}": effect[name].sel({CONTROL: kind}, drop=True) for kind in effect[CONTROL].values}
        columns = columns.assign(by_kind)
    rows = columns.to_dataframe(dim_order=cell).reset_index()
    return rows[np.isfinite(rows["difference"])].reset_index(drop=True)


def best_cell_table(best: BestCells) -> pd.DataFrame:
    """The best cell of each concept, beside its controls.

    `best`: from :func:`best_cells`. Returns: as `cell_table` of the images that the cells
    are reported on, a row for each concept, with ``score``: what its cell was chosen by; and ``kept`` where that was
    run. Concepts without a cell are left out.
    """
    rows = cell_table(best.reported if best.kept is None else best.reported.assign(kept=best.kept))
    places = zip(rows[CONCEPT], rows[LAYER], rows[STRENGTH], strict=True)
    here = [(layer, strength) == _place(best, concept) for concept, layer, strength in places]
    rows = rows[here].reset_index(drop=True)
    rows.insert(len(CELL), SCORE, [best.cells[name].score for name in rows[CONCEPT]])
    return rows


def short_columns(columns: Iterable[str]) -> list[str]:
    """Columns of such a table that fit on a screen: the cell, its effect, and the mean and p of every control."""
    known = list(columns)
    controls = [name for name in known if name.startswith(tuple(f"{control}_" for control in _OF_CONTROLS))]
    return [name for name in _FIRST if name in known] + controls


def _place(best: BestCells, concept: str) -> tuple[int, float] | None:
    cell = best.cells.get(concept)
    return None if cell is None else (cell.layer, cell.strength)


_KEPT = ("difference", "low", "high", "gap_share", "n", "clear_in_grid", "reason")
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
        ``difference``, ``low``, ``high``, ``gap_share``, ``n``, ``clear_in_grid``, ``reason`` as
        :func:`mllm_probe.effect` has them, of the block whose relative depth is nearest: nothing is interpolated.
        ``layer`` (rung, depth) says which block that is. ``depth`` are the relative depths of the shallowest model.

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
    effects = [effect_of(grid, metric).sel({STRENGTH: dose, CONCEPT: concepts}, drop=True) for grid in grids]
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
