"""Which cells pass against every control and why others do not, as a table, the best ones, over how many layers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from mllm_probe import schema
from mllm_probe.metrics.metric import direction_of
from mllm_probe.schema import (
    CONCEPT,
    CONTROL,
    DRAW,
    LAYER,
    OFF_TARGET,
    SAMPLE,
    SCORED_CONCEPT,
    SPLIT,
    STRENGTH,
    WORDS,
    require,
)
from mllm_probe.studies.answer_score import SCORE, answer_score, has_score
from mllm_probe.studies.effect import CELL, LARGEST_P, takes_away, unedited_rows
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


REASONS = (
    "passes",
    "not_tested",
    "few_images",
    "equals_controls",
    "against_intention",
    "interval_includes_0",
    "control_reaches",
    "control_may_reach",
    "not_clear",
    "not_in_grid",
    "clear_alone",
    "reached_alone",
)
"""Names of the reasons. ``control_may_reach``: one more draw may, by p, though its limits do not show it, as where few
images or equal draws leave it open. ``not_clear``: of an effect without numbers by kind of control. ``clear_alone``,
``reached_alone``: of cells that are not tested in a grid, such as those of a single image."""
_BY_CONTROL = ("control_reaches", "control_may_reach", "reached_alone")


def reasons(effect: xr.Dataset, against: str = "random") -> xr.Dataset:
    """The reason of every cell.

    `effect`: from `mllm_probe.effect` or `mllm_probe.studies.effect.summarised`. `against`: the kind of control
    whose difference and interval are shown with the reason. Returns: ``reason``: place in `REASONS`, NaN where nothing
    was run. ``reached_by``: place along ``control`` of the kind that reaches as far; NaN for the other reasons.
    """
    difference, low, high = _shown(effect, against)
    single = effect.attrs.get("average") == "single"
    alone = single or "q" not in effect
    tested = np.isfinite(_values(effect, "q", np.nan))
    intended = _intended(effect)
    untested = effect.attrs.get("average") == "median" or not (alone or intended.any() or tested.any())
    clear, failing = _values(effect, "clear_in_grid", 0) == 1, _failing(effect, single)
    worst = _worst(effect, failing)
    # In the order in which they are looked for.
    conditions = {
        "clear_alone": alone & clear,
        "passes": clear,
        "not_tested": np.full(difference.shape, untested),
        "few_images": _values(effect, "n", np.inf) < int(effect.attrs.get("least_images", 0)),
        "reached_alone": alone & failing.any(-1),
        "equals_controls": ~tested & (difference == 0),
        "against_intention": tested & (intended != 0) & (np.sign(difference) == -intended),
        "interval_includes_0": (low <= 0) & (high >= 0),
        "control_may_reach": failing.any(-1) & _is_beyond(effect, difference, worst),
        "control_reaches": failing.any(-1),
        "not_in_grid": tested & (_values(effect, "clear_of_controls", 0) == 1),
        "not_clear": tested | alone,
    }
    reason = np.select(
        list(conditions.values()), [REASONS.index(name) for name in conditions], REASONS.index("not_tested")
    )
    by_control = np.isin(reason, [REASONS.index(name) for name in _BY_CONTROL])
    run = np.isfinite(difference)
    variables = {
        "reason": (CELL, np.where(run, reason, np.nan)),
        "reached_by": (CELL, np.where(run & by_control, worst, np.nan)),
    }
    coords = {name: coord for name, coord in effect.coords.items() if set(coord.dims) <= set(CELL)}
    return xr.Dataset(variables, coords)


def _shown(effect: xr.Dataset, against: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The difference from one kind of control and the ends of its interval."""
    names = ["difference", "low", "high"]
    if against != "random":
        effect = effect.sel({schema.CONTROL: against})
        names = ["difference_from", "difference_low", "difference_high"]
    value, low, high = (_values(effect, name, np.nan) for name in names)
    return value, low, high


def _intended(effect: xr.Dataset) -> np.ndarray:
    """Sign of an effect as the metric and the dose intend it [strength]; 0 where none is known."""
    metric, strengths = str(effect.attrs.get("metric", "")), effect.sizes[schema.STRENGTH]
    if metric == SCORE:  # which counts what the dose intends
        return np.ones(strengths)
    scored = effect["mean" if "mean" in effect else "difference"]
    return direction_of(xr.Dataset({metric: scored}), metric) * np.where(takes_away(effect), -1.0, 1.0)


def _failing(effect: xr.Dataset, single: bool) -> np.ndarray:
    """Kinds of control that a cell is not clear of, bool [*cell, control]."""
    mean = _values(effect, "mean", np.nan)[..., None]
    if single:  # lies within the interval of the draws, as in `summarised`
        return (mean >= _by_control(effect, "control_low")) & (mean <= _by_control(effect, "control_high"))
    clear = _by_control(effect, "clear")
    return np.isfinite(clear) & (clear == 0)


def _worst(effect: xr.Dataset, failing: np.ndarray) -> np.ndarray:
    """Of the kinds that a cell is not clear of, the place of the one that it is least far from [*cell]."""
    p = _by_control(effect, "p")
    distance = np.abs(_values(effect, "mean", np.nan)[..., None] - _by_control(effect, "control_mean"))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = distance / (_by_control(effect, "control_high") - _by_control(effect, "control_low"))
    near = np.where(np.isfinite(p), p, -np.nan_to_num(share, nan=np.inf))
    return np.where(failing, near, -np.inf).argmax(-1)


def _is_beyond(effect: xr.Dataset, difference: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Whether a cell lies beyond the limit, on its side, of one more draw of a kind of control [*cell]."""
    value = _values(effect, "mean", np.nan)
    low, high = (
        np.take_along_axis(_by_control(effect, name), kind[..., None], -1)[..., 0]
        for name in ("control_low", "control_high")
    )
    return np.where(difference > 0, value > high, value < low)


def _by_control(effect: xr.Dataset, name: str) -> np.ndarray:
    return _array(effect, name, (*CELL, schema.CONTROL), np.nan)


def _values(effect: xr.Dataset, name: str, otherwise: float) -> np.ndarray:
    return _array(effect, name, CELL, otherwise)


def _array(effect: xr.Dataset, name: str, dims: tuple[str, ...], otherwise: float) -> np.ndarray:
    """A variable as float, repeated along the dimensions that it lacks; ``otherwise`` where the effect has none."""
    sizes = {dim: effect.sizes.get(dim, 1) for dim in dims}
    if name not in effect:
        return np.full(list(sizes.values()), otherwise)
    variable = effect.variables[name]
    missing = {dim: size for dim, size in sizes.items() if dim not in variable.dims}
    return np.asarray(variable.set_dims(missing | dict(variable.sizes)).transpose(*dims).values, np.float64)


def spread_over_layers(effect: xr.Dataset, control: str | None = None) -> xr.Dataset:
    r"""Summarise each concept's effect over the edited layers.

    The participation ratio is :math:`(\sum_l v_l)^2 / \sum_l v_l^2` of the effect v at layer l, over the layers where
    v has the sign of its peak: 1 where a single layer carries the effect, L where L layers carry it equally.

    These numbers describe the *cumulative* profile and measure onset only: up to which block an edit of the image
    tokens still has an effect, or from which block on one of the last prompt token does. They do not tell a concept
    that one block moves (the ratio for the image tokens is that block's number) from one that all L blocks move alike
    (three quarters of L), and the peak is neither's block. :func:`mllm_probe.studies.readout.read_out` tells them
    apart, and gives the effective number of layers. They are computed from means over images, so that measurement noise
    at weak layers raises the ratio.

    `effect`: from :func:`mllm_probe.effect`, at all strengths or one of them. `control`: the kind of control that the
    effect is a difference from; ``difference`` (random directions) without it. Returns: float64: ``peak_layer``
    (concept, …), the decoder block of the largest absolute effect, the first of equal ones; ``participation_ratio``
    (concept, …), in layers; ``mean_over_concepts`` (layer, …), in the effect's unit. Cells that are not finite do not
    count; NaN where nothing is left, or every effect is 0. Raises ValueError if the dataset is no effect, or has no
    such control.
    """
    require(effect, "difference", dims=(CONCEPT, LAYER), what="the effect whose layers are summarised")
    values = effect["difference"] if control is None else _from(effect, control)
    # Without companions of the layers: a profile's relative depth would clash with that of its peak.
    finite = values.where(np.isfinite(values)).reset_coords(drop=True).drop_attrs()
    filled = finite.fillna(0.0).pad({LAYER: (0, 1)}, constant_values=0.0)  # without any layer, there is a peak of 0
    place = abs(filled).argmax(LAYER)
    peak = filled.isel({LAYER: place}, drop=True)
    part = (filled * np.sign(peak)).clip(min=0)
    known = peak != 0
    summary = xr.Dataset(
        {
            "peak_layer": place.copy(data=np.append(effect[LAYER].values, -1)[place.values]).where(known),
            "participation_ratio": _ratio(part).assign_attrs(units="layers"),
            "mean_over_concepts": finite.mean(CONCEPT).assign_attrs(values.attrs),
        }
    )
    return summary.assign_coords(effect.drop_dims(CONTROL, errors="ignore").coords)


def participation_ratio(values: xr.DataArray) -> xr.DataArray:
    """Participation ratio over layers of a profile, of its values that have the sign of the largest, in layers.

    `values`: NaN does not count.
    """
    filled = values.fillna(0.0)
    peak = filled.isel({LAYER: abs(filled).argmax(LAYER)}, drop=True)
    return _ratio((filled * np.sign(peak)).clip(min=0))


def _ratio(part: xr.DataArray) -> xr.DataArray:
    return part.sum(LAYER) ** 2 / (part**2).sum(LAYER)


def _from(effect: xr.Dataset, control: str) -> xr.DataArray:
    kinds = [str(kind) for kind in effect[CONTROL].values] if CONTROL in effect.dims else []
    if control not in kinds:
        raise ValueError(f"the effect has no control '{control}'; it has {', '.join(kinds) or 'none'}.")
    return effect["difference_from"].isel({CONTROL: kinds.index(control)}, drop=True)


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


_FIRST = (*CELL, SCORED_CONCEPT, SCORE, "kept", "value", "difference", "low", "high", "n", "q", "clear_in_grid")
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
