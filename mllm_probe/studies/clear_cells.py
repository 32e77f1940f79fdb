"""Clear cells: those that pass against every kind of control, at a false discovery rate of .05 over the grid."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

from mllm_probe.schema import CONCEPT, LAYER, STRENGTH
from mllm_probe.studies.effect import LARGEST_P


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
    """How many cells of an effect pass, and how many chance alone would let through, in a sentence for its figures.

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
