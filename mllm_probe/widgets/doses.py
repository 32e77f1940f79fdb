"""How fluent the answers of a sweep stay at each strength: which doses have been tried, and at what cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from mllm_probe import schema
from mllm_probe.tokens.selection import parse_scope
from mllm_probe.widgets.panel.setting import Setting

MOST = 2.0
"""Perplexity ratio up to which an answer passes for fluent."""
PERPLEXITY = "perplexity"


def tried(grid: xr.Dataset | None, setting: Setting, unit: str) -> list[list[float]]:
    """Strengths that a grid has run for a setting, with the perplexity ratio of their answers.

    Parameters
    ----------
    grid : Dataset or None
        From `mllm_probe.sweep`, whole or still filling; one without perplexity says nothing.
    setting : Setting
        A window of several layers, a second concept, another prompt or another scope than the grid's was not run.
    unit : str
        Of the setting's strength.

    Returns
    -------
    list of [strength, ratio]
        In the order of the strengths; the geometric mean over pictures, since one broken answer has a ratio of
        thousands. Empty where the grid does not have this setting.
    """
    if grid is None or PERPLEXITY not in grid or not _same(grid, setting, unit):
        return []
    cell = grid[PERPLEXITY].sel({schema.CONCEPT: setting.concept, schema.LAYER: setting.layer})
    values = cell.sel({schema.CONTROL: "concept"}).isel({schema.DRAW: 0}).transpose(schema.STRENGTH, schema.SAMPLE)
    found = []
    for strength, row in sorted(zip(grid[schema.STRENGTH].values, values.values, strict=True), key=lambda p: p[0]):
        there = row[np.isfinite(row)]
        if there.size:
            found.append([float(strength), float(np.exp(np.log(there).mean()))])
    return found


def fluent_range(doses: list[list[float]]) -> tuple[float, float]:
    """The strengths around 0 up to which every one that was tried stays under twice the unsteered perplexity."""
    low = high = 0.0
    for strength, ratio in sorted(doses, key=lambda pair: abs(pair[0])):
        if strength > 0 and not _blocked(doses, high, strength) and ratio < MOST:
            high = strength
        if strength < 0 and not _blocked(doses, low, strength) and ratio < MOST:
            low = strength
    return low, high


def _blocked(doses: list[list[float]], reached: float, strength: float) -> bool:
    """Whether a dose between those two, on the way out from 0, is not fluent."""
    low, high = sorted((reached, strength))
    return any(low < other < high and ratio >= MOST for other, ratio in doses)


def _same(grid: xr.Dataset, setting: Setting, unit: str) -> bool:
    first, last = setting.window
    told = grid.attrs
    return (
        first == last
        and not setting.second
        and setting.concept in grid[schema.CONCEPT].values
        and setting.layer in grid[schema.LAYER].values
        and told.get("prompt", setting.prompt) == setting.prompt
        and told.get("scope") == str(parse_scope(setting.tokens))
        and told.get("unit") == unit
        and told.get("operation", "add") == "add"
    )


def weighed(grid: xr.Dataset | None, setting: Setting, unit: str) -> dict[str, Any]:
    """Traits of a panel that say how fluent answers stay: the doses that were tried and the fluent range."""
    doses = tried(grid, setting, unit)
    low, high = fluent_range(doses)
    return {"doses": doses, "safe_low": low, "safe_high": high}
