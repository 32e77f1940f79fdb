"""Recordings of a heatmap for a saved page: the numbers of every metric, control and average that fit into it."""

from __future__ import annotations

from typing import Any

import xarray as xr

from mllm_probe.metrics.registry import metrics_of
from mllm_probe.studies.one_picture import summarised
from mllm_probe.widgets.base.recipe import map_recipe
from mllm_probe.widgets.heatmap.map_cells import NUMBERS, cells_of, is_effect
from mllm_probe.widgets.pages.recording import LARGEST, Recording, Recordings

_KEYS = ("metric", "against", "average")
_SHOWN = (*NUMBERS, "unit", "controls", "limit", "note")


def map_recordings(widget: Any, largest: int = LARGEST) -> Recordings:
    """Record the maps for the menus of a heatmap.

    Parameters
    ----------
    widget : LayerConceptHeatmap
    largest : int
        Limit in bytes of numbers; maps beyond it are left out, medians first.
    """
    recordings = Recordings(_KEYS)
    grid: xr.Dataset | None = widget.grid
    if grid is None or is_effect(grid):
        return recordings
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
                    return recordings
                when = dict(zip(_KEYS, (metric, against, average), strict=True))
                provenance = widget.provenance | when
                recipe = map_recipe(provenance, widget.strength_unit)
                recordings.add(Recording(when, shown | {"provenance": provenance, "recipe": recipe}))
    return recordings
