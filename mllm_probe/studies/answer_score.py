"""The score of a steered answer: it does what the dose intends, keeps the image's true content, and is fluent."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mllm_probe.schema import CONCEPT, SAMPLE, STRENGTH

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

    Parameters
    ----------
    grid : Dataset
        From :func:`mllm_probe.sweep` with metric ``"perplexity"``.

    Returns
    -------
    DataArray of bool (concept, layer, strength, control, draw, sample)
        An empty answer is broken too. False where nothing was run.
    """
    run = grid[NAMED].notnull()
    repeated = grid[REPETITION] > grid[f"{REPETITION}_unsteered"] + MOST_REPETITION
    return run & (~(grid[PERPLEXITY] <= LARGEST_PERPLEXITY) | repeated)


def content_checked(grid: xr.Dataset) -> bool:
    """Whether the images have labels, so that a score counts what an answer keeps of them."""
    return f"{KEPT}_unsteered" in grid and bool(grid[f"{KEPT}_unsteered"].notnull().any())


def answer_score(grid: xr.Dataset, takes_away: np.ndarray) -> tuple[xr.DataArray, xr.DataArray]:
    """Score of every row, and of the unsteered answers.

    Parameters
    ----------
    grid : Dataset
        From :func:`mllm_probe.sweep` with metrics ``"named"``, ``"perplexity"`` and, where the images have labels,
        ``"kept"``.
    takes_away : bool array [strength]
        Which doses are meant to take the concept away.

    Returns
    -------
    score : DataArray (concept, layer, strength, control, draw, sample)
        0 where the answer is broken, else s · min(1, kept / kept of the unsteered answer); s is ``named`` for doses
        that bring the concept and 1 − ``named`` for those that take it away. NaN where the unsteered answer keeps
        nothing. Without labels the second factor is 1, and attribute ``content`` is ``"not checked"``.
    unsteered : DataArray (concept, strength, sample)
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
