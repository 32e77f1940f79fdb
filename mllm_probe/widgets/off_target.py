"""The off-target view: what each concept's direction does to every concept, at one layer and strength."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mllm_probe.schema import CONCEPT, CONTROL, DRAW, LAYER, OFF_TARGET, SAMPLE, SCORED_CONCEPT, STRENGTH
from mllm_probe.sweeps import effect as effect_of

_RANDOM = f"{OFF_TARGET}_random"
_METRIC = "logprob"


def has_off_target(grid: xr.Dataset) -> bool:
    """Whether a grid was run with metric ``"off_target"`` and random directions."""
    return OFF_TARGET in grid and _RANDOM in grid


def off_target_effect(grid: xr.Dataset, layer: int, strength: float) -> xr.Dataset:
    """Effect of every concept on every concept, against random directions.

    Parameters
    ----------
    grid : Dataset
        From `mllm_probe.sweep` with metric ``"off_target"``.
    layer : int
    strength : float

    Returns
    -------
    Dataset (concept, scored_concept)
        The variables of `mllm_probe.effect`.
    """
    at = {LAYER: layer, STRENGTH: strength}
    steered = grid[OFF_TARGET].sel(at).transpose(CONCEPT, SCORED_CONCEPT, SAMPLE).values
    random = grid[_RANDOM].sel(at).transpose(SCORED_CONCEPT, DRAW, SAMPLE).values
    unsteered = grid[f"{OFF_TARGET}_unsteered"].transpose(SCORED_CONCEPT, SAMPLE).values
    shape = steered.shape[:2]
    scores = np.full((*shape, 2, *random.shape[1:]), np.nan)
    scores[:, :, 0, 0], scores[:, :, 1] = steered, random
    pairs = scores.reshape(-1, 1, 1, *scores.shape[2:])
    before = np.broadcast_to(unsteered, (shape[0], *unsteered.shape)).reshape(-1, unsteered.shape[-1])
    dims = (CONCEPT, LAYER, STRENGTH, CONTROL, DRAW, SAMPLE)
    made = xr.Dataset(
        {_METRIC: (dims, pairs, grid[OFF_TARGET].attrs), f"{_METRIC}_unsteered": ((CONCEPT, SAMPLE), before)},
        {CONTROL: ["concept", "random"], LAYER: [layer], STRENGTH: [strength]},
        grid.attrs,
    )
    found = effect_of(made, _METRIC).isel({LAYER: 0, STRENGTH: 0}).isel({CONTROL: 0}, drop=True)
    places = {CONCEPT: grid[CONCEPT].values, SCORED_CONCEPT: grid[SCORED_CONCEPT].values}
    both = {name: ((CONCEPT, SCORED_CONCEPT), v.values.reshape(shape), v.attrs) for name, v in found.items()}
    return xr.Dataset(both, places, found.attrs)


def off_target_of(grid: xr.Dataset, layer: int, strength: float) -> bytes:
    """Trait of the front-end: float32, steered × scored × (difference, low, high, clear of the random directions)."""
    if layer not in grid[LAYER].values or strength not in grid[STRENGTH].values:
        return b""
    found = off_target_effect(grid, layer, strength)
    clear = found["clear_of_controls"].where(found["difference"].notnull())
    parts = [found["difference"], found["low"], found["high"], clear]
    return np.stack([part.transpose(CONCEPT, SCORED_CONCEPT).values for part in parts], -1).astype(np.float32).tobytes()
