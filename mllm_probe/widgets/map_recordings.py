"""What a saved page of a heatmap can show: the numbers of every metric, control and average that fit into it."""

from __future__ import annotations

from typing import Any

import xarray as xr

from mllm_probe.metrics.registry import metrics_of
from mllm_probe.studies.one_picture import summarised
from mllm_probe.widgets.cells import NUMBERS, cells_of, is_effect
from mllm_probe.widgets.recipe import map_recipe
from mllm_probe.widgets.recording import LARGEST, Recording, Recordings

_KEYS = ("metric", "against", "average")
_SHOWN = (*NUMBERS, "unit", "controls", "limit", "note")


def map_recordings(widget: Any, largest: int = LARGEST) -> Recordings:
    """Record what the choosers of a heatmap would show.

    Parameters
    ----------
    widget : LayerConceptHeatmap
    largest : int
        Bytes of numbers; what is beyond is left out, means before medians.
    """
    found = Recordings(_KEYS)
    grid: xr.Dataset | None = widget.grid
    if grid is None or is_effect(grid):
        return found
    left = largest
    first = widget.metric
    metrics = [first, *(name for name in metrics_of(grid) if name != first)]
    for average in ("mean", "median"):
        for metric in metrics:
            effect = summarised(grid, metric, average)
            for against in [widget.against, *(name for name in widget.controls if name != widget.against)]:
                cells = cells_of(effect, against)
                shown = {name: cells[name] for name in _SHOWN}
                left -= sum(len(value) for value in shown.values() if isinstance(value, bytes))
                if left < 0:
                    return found
                when = dict(zip(_KEYS, (metric, against, average), strict=True))
                told = widget.told | when
                recipe = map_recipe(told, widget.strength_unit)
                found.add(Recording(when, shown | {"told": told, "recipe": recipe}))
    return found
