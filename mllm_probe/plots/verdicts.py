"""What every figure says of cells beside their effects: how many pass in the grid, and marks of what was answered."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mllm_probe.plots.palette import MARKS
from mllm_probe.studies.clear_cells import verdict_caption

MOST_BROKEN = 0.5
"""Share of broken answers from which on a cell is marked."""
_LARGEST, _SMALLEST, _OF_HEIGHT, _INSET = 7.0, 3.0, 0.42, 3.0


def grid_caption(effect: xr.Dataset) -> str:
    """How many cells pass, over all concepts, layers and strengths of an effect, and which have too few images.

    `effect`: from :func:`mllm_probe.effect` or :func:`mllm_probe.studies.one_picture.summarised`. Returns: empty where
    nothing was run, or the effect has no ``q``.
    """
    if "q" not in effect or not (effect["n"] > 0).any():
        return ""
    if effect.attrs.get("average") == "single":
        return "one image is not tested: clear cells lie beyond the interval of the draws of every control"
    caption = verdict_caption(effect)
    if not np.isfinite(effect["q"]).any():
        return caption
    least = int(effect.attrs.get("least_images", 0))
    untested = {
        f"with fewer than {least} images": (effect["n"] > 0) & (effect["n"] < least),
        "that do not differ from the controls": (effect["n"] >= least) & effect["q"].isnull(),
    }
    rest = " and ".join(f"{int(cells.sum())} {why}" for why, cells in untested.items() if cells.any())
    return f"whole grid: {caption}; not tested: {rest}" if rest else f"whole grid: {caption}"


def marks_of(effect: xr.Dataset) -> dict[str, xr.DataArray]:
    """Which cells are marked, by the names of `palette.MARKS`.

    `effect`: from :func:`mllm_probe.effect`. Returns: ``never_named``, and ``broken`` where at least half of the
    answers are; without those that the effect lacks.
    """
    found = {name: effect[name] for name in MARKS if name in effect}
    return {name: mark >= MOST_BROKEN if name == "broken" else mark.astype(bool) for name, mark in found.items()}


def mark_box(width: float, height: float) -> tuple[float, float, float]:
    """Place and size of a mark: at the lower left of a cell, in the units of its width and height.

    Returns: from the upper left corner of the cell.
    """
    side = max(_SMALLEST, min(_LARGEST, width - 2, _OF_HEIGHT * height))
    inset = max(0.0, min(_INSET, (width - side) / 2))
    return inset, height - side - inset, side


def mark_weights(side: float) -> tuple[float, float]:
    """Weights of the lines of a mark, and of the paper below them, so that they are seen on every colour."""
    weight = max(1.2, side / 5)
    return weight, weight + 2 * side / 7
