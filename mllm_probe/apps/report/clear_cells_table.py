"""The cells whose effect clears every kind of control, strongest first."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mllm_probe.schema import CATEGORY, CONCEPT, CONTROL, LAYER, STRENGTH, layer_name
from mllm_probe.studies.clear_cells import clear_cells
from mllm_probe.widgets.base.numbers import digits_for, dose, interval, signed, words
from mllm_probe.widgets.pages.markup import paragraph, table

MOST = 1_000


def clearing_table(effect: xr.Dataset, unit: str) -> str:
    """Table of the cells that are clear of their controls, with those controls, and how many were looked at."""
    ordered = effect.transpose(CONCEPT, LAYER, STRENGTH, ...)
    difference = ordered["difference"].values
    places = clear_cells(ordered)
    kinds = [str(kind) for kind in effect[CONTROL].values]
    in_unit = f" [{unit}]" if unit else ""
    heads = ["concept", "category", "layer", "strength", f"effect{in_unit} [95 %]"]
    heads += [f"{kind} control, mean [one more draw]" for kind in kinds] + ["n"]
    rows = [_row(ordered, place, kinds, difference) for place in places[:MOST]]
    run = int(np.isfinite(difference).sum())
    said = f"{len(places)} of {run} cells that were run are clear of all their controls ({', '.join(kinds)})."
    if len(places) > MOST:
        said += f" The {MOST} strongest are listed."
    said += (
        " The test is made cell by cell and not corrected for how many cells there are: look for neighbours that agree."
    )
    numbers = list(range(2, len(heads)))
    return paragraph(said) + table(heads, rows, numbers=numbers, search="cells clear of controls", name="clear-cells")


def _row(effect: xr.Dataset, place: np.ndarray, kinds: list[str], difference: np.ndarray) -> list[object]:
    concept, layer, strength = (int(one) for one in place)

    def number(name: str, *more: int) -> float:
        return float(effect[name].values[(concept, layer, strength, *more)])

    digits = digits_for(float(np.nanmax(np.abs(difference))))
    unsteered = number("mean") - number("value") if "mean" in effect and "value" in effect else 0.0
    controls = []
    for kind in range(len(kinds)):
        mean, low, high = (number(f"control_{end}", kind) - unsteered for end in ("mean", "low", "high"))
        controls.append(f"{signed(mean, digits)} {interval(low, high, digits)}")
    name = str(effect[CONCEPT].values[concept])
    category = words(str(effect[CATEGORY].values[concept])) if CATEGORY in effect.coords else ""
    value = f"{signed(number('difference'), digits)} {interval(number('low'), number('high'), digits)}"
    at = layer_name(effect[LAYER].values[layer]), dose(float(effect[STRENGTH].values[strength]))
    return [name, category, *at, value, *controls, int(number("n"))]
