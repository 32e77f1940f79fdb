"""The off-target view of the map: effects of each concept's direction on all, at one layer and strength."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mllm_probe.schema import CONCEPT, LAYER, OFF_TARGET, SCORED_CONCEPT, STRENGTH
from mllm_probe.studies.effect import effect as effect_of
from mllm_probe.widgets.numbers import scale_limit


def has_off_target(grid: xr.Dataset) -> bool:
    """Whether a grid was run with metric ``"off_target"`` and random directions."""
    return OFF_TARGET in grid and f"{OFF_TARGET}_random" in grid


def off_target_of(grid: xr.Dataset, layer: int, strength: float) -> dict[str, object]:
    """Traits of the front-end for one layer and strength.

    Parameters
    ----------
    grid : Dataset
        From `mllm_probe.sweep` with metric ``"off_target"``.
    layer : int
    strength : float

    Returns
    -------
    dict
        ``off_target``: float32, steered × scored × (difference, low, high, clear of the random directions), empty
        where the grid lacks the layer or strength; ``off_target_at``: layer and strength; ``off_target_limit``: the
        end of the colour scale.
    """
    at = {"off_target_at": [float(layer), strength]}
    if layer not in grid[LAYER].values or strength not in grid[STRENGTH].values:
        return at | {"off_target": b"", "off_target_limit": 1.0}
    cell = effect_of(grid.sel({LAYER: [layer], STRENGTH: [strength]}), OFF_TARGET).isel({LAYER: 0, STRENGTH: 0})
    clear = cell["clear_of_controls"].where(cell["difference"].notnull())
    parts = [cell["difference"], cell["low"], cell["high"], clear]
    values = np.stack([part.transpose(CONCEPT, SCORED_CONCEPT).values for part in parts], -1).astype(np.float32)
    return at | {"off_target": values.tobytes(), "off_target_limit": scale_limit(values[..., 0], "nats")}
