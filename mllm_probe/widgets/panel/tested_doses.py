"""Traits of a panel that show how fluent answers stay with its setting."""

from __future__ import annotations

import xarray as xr

from mllm_probe.studies.fluent_doses import fluent_range, perplexity_by_dose
from mllm_probe.tokens.selection import parse_scope
from mllm_probe.typing import Traits
from mllm_probe.widgets.panel.setting import Setting


def weighed(grid: xr.Dataset | None, setting: Setting, unit: str) -> Traits:
    """Doses of a setting that a grid has run, with their perplexity ratio, and the fluent range.

    `grid`: from `mllm_probe.sweep`, whole or still filling. `setting`: a window of several layers, a second concept,
    another prompt or another scope than the grid's was not run. `unit`: of the setting's strength.
    """
    doses = []
    if grid is not None and _same(grid, setting, unit):
        doses = perplexity_by_dose(grid, setting.concept, setting.layer)
    low, high = fluent_range(doses)
    return {"doses": doses, "safe_low": low, "safe_high": high}


def _same(grid: xr.Dataset, setting: Setting, unit: str) -> bool:
    first, last = setting.window
    attrs = grid.attrs
    return (
        first == last
        and not setting.second
        and attrs.get("prompt", setting.prompt) == setting.prompt
        and attrs.get("scope") == str(parse_scope(setting.tokens))
        and attrs.get("unit") == unit
        and attrs.get("operation", "add") == "add"
    )
