"""Models side by side: the effects of several grids at the same relative depths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from mllm_probe.models.argument_checks import described
from mllm_probe.schema import CATEGORY, CONCEPT, DEPTH, LAYER, RELATIVE_DEPTH, RUNG, STRENGTH, provenance, require
from mllm_probe.studies.effect import effect

_KEPT = ("difference", "low", "high", "n", "clear_in_grid")
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
        ``difference``, ``low``, ``high``, ``n``, ``clear_in_grid`` as :func:`mllm_probe.effect` has them, of the block
        whose relative depth is nearest: nothing is interpolated. ``layer`` (rung, depth) says which block that is.
        ``depth`` are the relative depths of the shallowest model.

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
        there = ", ".join(f"{one:g}" for one in shared) or "there is none"
        got = "none" if strength is None else f"{strength:g}"
        raise ValueError(f"strength: expected a dose that all grids have ({there}); got {got}.")
    dose = shared[-1] if strength is None else strength
    concepts = [name for name in grids[0][CONCEPT].values if all(name in grid[CONCEPT].values for grid in grids)]
    if not concepts:
        raise ValueError("these grids have no concept in common.")
    found = [effect(grid, metric).sel({STRENGTH: dose, CONCEPT: concepts}, drop=True) for grid in grids]
    shallowest = min(found, key=lambda one: one.sizes[LAYER])
    depths = np.unique(shallowest[RELATIVE_DEPTH].values[shallowest[LAYER].values >= 0])
    names = [str(grid.attrs["model"]) for grid in grids]
    rows = [_at_depths(one, depths) for one in found]
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


def _at_depths(one: xr.Dataset, depths: np.ndarray) -> xr.Dataset:
    """Effects of the blocks that are nearest to relative depths."""
    blocks = one.isel({LAYER: one[LAYER].values >= 0})
    there = blocks[RELATIVE_DEPTH].values
    places = [int(np.abs(there - depth).argmin()) for depth in depths]
    kept = blocks[list(_KEPT)].isel({LAYER: places}).transpose(CONCEPT, LAYER)
    numbers = kept[LAYER].values
    data = {name: ((CONCEPT, DEPTH), kept[name].values, kept[name].attrs) for name in _KEPT}
    return xr.Dataset({**data, LAYER: (DEPTH, numbers)}, {CONCEPT: kept[CONCEPT].values, DEPTH: depths})
