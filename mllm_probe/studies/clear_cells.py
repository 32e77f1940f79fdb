"""Clear cells: those whose effect is clear of every kind of control."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mllm_probe.schema import CONCEPT, LAYER, STRENGTH


def clear_cells(effect: xr.Dataset) -> np.ndarray:
    """Cells that were run and are clear of all their controls, those of the largest effect first.

    Parameters
    ----------
    effect : Dataset (concept, layer, strength)
        From :func:`mllm_probe.effect`.

    Returns
    -------
    ndarray of int [cells, 3]
        Indices along concept, layer and strength.
    """
    dims = (CONCEPT, LAYER, STRENGTH)
    difference = effect["difference"].transpose(*dims).values
    clear = effect["clear_of_controls"].transpose(*dims).values.astype(bool) & np.isfinite(difference)
    return np.argwhere(clear)[np.argsort(-np.abs(difference[clear]), kind="stable")]


def strongest_cell(effect: xr.Dataset) -> tuple[str, int, float]:
    """Concept, layer and strength of the largest effect, at positive strengths where there are any.

    Parameters
    ----------
    effect : Dataset (concept, layer, strength)
        From :func:`mllm_probe.effect`.

    Returns
    -------
    tuple of (str, int, float)
        Of the cells that are clear of all their controls where there are any; the first cell where none was run.
    """
    positive = effect[STRENGTH] > 0
    size = abs(effect["difference"]).where(positive | ~positive.any())
    clear = size.where(effect["clear_of_controls"])
    score = clear if clear.notnull().any() else size.fillna(0.0)
    cell = score.isel(score.argmax(dim=(CONCEPT, LAYER, STRENGTH)))
    return str(cell[CONCEPT].values), int(cell[LAYER]), float(cell[STRENGTH])
