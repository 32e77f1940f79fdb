"""The cells whose effect passes in the grid, strongest first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from mllm_probe.plots.palette import control_label
from mllm_probe.plots.verdicts import grid_caption
from mllm_probe.schema import CATEGORY, CONCEPT, CONTROL, LAYER, STRENGTH, layer_name
from mllm_probe.studies.clear_cells import clear_cells
from mllm_probe.widgets.base.numbers import chance, digits_for, dose, interval, signed, words
from mllm_probe.widgets.pages.markup import paragraph, table

MOST = 1_000
_CHANCES: dict[str, Callable[[np.ndarray], float]] = {"p": np.max, "q": float}
"""The largest p over the kinds of control, and q."""


def clearing_table(effect: xr.Dataset, unit: str) -> str:
    """Table of the cells that pass in the grid, with their controls, and how many would pass by chance."""
    ordered = effect.transpose(CONCEPT, LAYER, STRENGTH, ...)
    difference = ordered["difference"].values
    places = clear_cells(ordered)
    kinds = [str(kind) for kind in effect[CONTROL].values]
    in_unit = f" [{unit}]" if unit else ""
    heads = ["concept", "category", "layer", "strength", f"effect{in_unit} [95 %]"]
    heads += [f"{control_label(kind)}, mean [one more draw]" for kind in kinds]
    heads += [*(name for name in _CHANCES if name in effect), "n"]
    rows = [_row(ordered, place, kinds, difference) for place in places[:MOST]]
    numbers = list(range(2, len(heads)))
    about = paragraph(_about(effect, len(places), kinds))
    return about + table(heads, rows, numbers=numbers, search="cells that pass in the grid", name="clear-cells")


def _about(effect: xr.Dataset, passing: int, kinds: list[str]) -> str:
    caption = grid_caption(effect)
    said = f"{caption[:1].upper()}{caption[1:]}. " if caption else ""
    said += f"Cells that pass are clear of every kind of control ({', '.join(map(control_label, kinds))})"
    said += ", at a false discovery rate of .05 over all cells of the grid."
    return f"{said} The {MOST} strongest are listed." if passing > MOST else said


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
    chances = [_CHANCES[name](effect[name].values[concept, layer, strength]) for name in _CHANCES if name in effect]
    name = str(effect[CONCEPT].values[concept])
    category = words(str(effect[CATEGORY].values[concept])) if CATEGORY in effect.coords else ""
    value = f"{signed(number('difference'), digits)} {interval(number('low'), number('high'), digits)}"
    at = layer_name(effect[LAYER].values[layer]), dose(float(effect[STRENGTH].values[strength]))
    return [name, category, *at, value, *controls, *(chance(float(one)) for one in chances), int(number("n"))]
