"""Recordings of a heatmap for a saved page: the numbers of every metric, control and average that fit into it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

import xarray as xr

from mllm_probe.studies.one_picture import summarised
from mllm_probe.widgets.base.recipe import map_recipe
from mllm_probe.widgets.heatmap.map_cells import NUMBERS, cells_of, is_effect
from mllm_probe.widgets.heatmap.map_metrics import shown_metrics
from mllm_probe.widgets.pages.recording import LARGEST, Recording, Recordings, recorded_within

if TYPE_CHECKING:
    from mllm_probe.widgets.heatmap.layer_concept_heatmap import LayerConceptHeatmap

_KEYS = ("metric", "against", "average")
_SHOWN = (*NUMBERS, "unit", "controls", "limit", "note", "caption", "least_images")


def map_recordings(widget: LayerConceptHeatmap, largest: int = LARGEST) -> Recordings:
    """Record the maps for the menus of a heatmap.

    `largest`: limit in bytes of numbers; maps beyond it are left out, medians first.
    """
    if widget.grid is None or is_effect(widget.grid):
        return Recordings(_KEYS)
    return recorded_within(_KEYS, _each(widget, widget.grid), largest)


def _each(widget: LayerConceptHeatmap, grid: xr.Dataset) -> Iterator[Recording]:
    metrics = dict.fromkeys((widget.metric, *shown_metrics(grid)))
    controls = dict.fromkeys((widget.against, *widget.controls))
    for average, metric in product(("mean", "median"), metrics):
        effect = summarised(grid, metric, average)
        for against in controls:
            cells, when = cells_of(effect, against), dict(zip(_KEYS, (metric, against, average), strict=True))
            provenance = widget.provenance | when
            how = {"provenance": provenance, "recipe": map_recipe(provenance, widget.strength_unit)}
            yield Recording(when, {name: cells[name] for name in _SHOWN} | how)
