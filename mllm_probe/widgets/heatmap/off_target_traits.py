"""Traits of the map's off-target view."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mllm_probe.schema import CONCEPT, SCORED_CONCEPT
from mllm_probe.studies.off_target_effects import off_target_at
from mllm_probe.typing import Traits
from mllm_probe.widgets.base.numbers import scale_limit


def off_target_of(grid: xr.Dataset, layer: int, strength: float) -> Traits:
    """Traits of the front-end for one layer and strength.

    `grid`: from `mllm_probe.sweep` with metric ``"off_target"``. Returns: ``off_target``: float32, steered × scored ×
    (difference, low, high, clear of the random directions), empty where the grid lacks the layer or strength;
    ``off_target_at``: layer and strength; ``off_target_limit``: the end of the colour scale.
    """
    at = {"off_target_at": [float(layer), strength]}
    cell = off_target_at(grid, layer, strength)
    if cell is None:
        return at | {"off_target": b"", "off_target_limit": 1.0}
    clear = cell["clear_in_grid"].where(cell["difference"].notnull())
    parts = [cell["difference"], cell["low"], cell["high"], clear]
    values = np.stack([part.transpose(CONCEPT, SCORED_CONCEPT).values for part in parts], -1).astype(np.float32)
    return at | {"off_target": values.tobytes(), "off_target_limit": scale_limit(values[..., 0], "nats")}
