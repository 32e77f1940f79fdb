"""Grids that ``effect`` cannot read."""

from __future__ import annotations

import xarray as xr

import mllm_probe as mp
from tests.hostile.tries import Try

AREA = "effect, report"
TRIES = [
    Try(AREA, "an empty dataset", lambda s: mp.effect(xr.Dataset(), "logprob"), "error", "lacks"),
    Try(AREA, "an unknown metric", lambda s: mp.effect(s.grid, "iq"), "error", "no metric 'iq'"),
]
