"""Off-target effects: what each concept's vector does to every concept, at one layer and strength."""

from __future__ import annotations

import xarray as xr

from mllm_probe.schema import LAYER, OFF_TARGET, STRENGTH
from mllm_probe.studies.effect import effect as effect_of


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
