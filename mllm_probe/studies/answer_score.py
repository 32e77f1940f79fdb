"""The score of a steered answer: it does what the dose intends, keeps the true content, and is fluent."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from mllm_probe.schema import CONCEPT, CONTROL, DRAW, LAYER, SAMPLE, STRENGTH

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
