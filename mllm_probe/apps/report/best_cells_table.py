"""The table of best cells, with how they were chosen."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mllm_probe.schema import CATEGORY, CONCEPT, CONTROL, LAYER, STRENGTH, layer_name
from mllm_probe.studies.best_cell import BestCells
from mllm_probe.studies.layer_spread import spread_over_layers
from mllm_probe.widgets.base.numbers import digits_for, dose, interval, plain, signed, words
from mllm_probe.widgets.pages.markup import paragraph, table

_HELD_OUT = (
    "Selected by naming × kept true content on fit images, evaluated on held-out ones, so that the selection does not "
    "bias the numbers."
)
_SAME = (
    "Selected and evaluated on the same images, so these numbers are optimistic; give sweep() both halves of "
    "library.split() to select on one and evaluate on the other."
)


def choice_of(best: BestCells) -> str:
    """Say how the cells were chosen, and on which pictures they are reported."""
    if best.kept is None:
        return _SAME.replace("Selected and", "Selected by the largest effect and")
    return _HELD_OUT if best.held_out else f"By naming × kept true content. {_SAME}"


def best_table(best: BestCells, unit: str) -> str:
    """Table of the best cells, each with its random directions."""
    steered = f"steered [{unit}]" if unit else "steered"
    heads = ["concept", "category", "layer", "strength", steered, "beyond random [95 %]", "random directions"]
    heads += ["peak layer", "spread [layers]", *(["content kept"] if best.kept is not None else [])]
    heads += ["n", "clear of controls"]
    spread = spread_over_layers(best.reported)
    rows = [_row(best, spread, str(name)) for name in best.reported[CONCEPT].values]
    numbers = list(range(2, len(heads) - 1))
    return paragraph(choice_of(best)) + table(heads, rows, numbers=numbers, search="best cells", name="best-cells")


def _row(best: BestCells, spread: xr.Dataset, name: str) -> list[object]:
    concept = best.reported.sel({CONCEPT: name})
    category = words(str(concept[CATEGORY].values)) if CATEGORY in concept.coords else ""
    if name not in best.cells:
        return [name, category, *["–"] * (7 if best.kept is None else 8), 0, "not run"]
    layer, strength = best.cells[name].layer, best.cells[name].strength
    cell = concept.sel({LAYER: layer, STRENGTH: strength})
    over = spread.sel({CONCEPT: name, STRENGTH: strength})
    digits = digits_for(max(abs(float(cell["difference"])), 1e-9))
    values = [
        plain(float(cell["mean"]), digits) if "mean" in cell else "–",
        f"{signed(float(cell['difference']), digits)} {interval(float(cell['low']), float(cell['high']), digits)}",
        _around(cell.sel({CONTROL: "random"}), digits),
        str(layer_name(int(over["peak_layer"]))) if np.isfinite(over["peak_layer"]) else "–",
        plain(float(over["participation_ratio"])),
    ]
    if best.kept is not None:
        values.append(plain(float(best.kept.sel({CONCEPT: name, LAYER: layer, STRENGTH: strength})), 2))
    clear = "yes" if bool(cell["clear_of_controls"]) else "no"
    return [name, category, layer_name(layer), dose(strength), *values, int(cell["n"]), clear]


def _around(control: xr.Dataset, digits: int) -> str:
    low, high = float(control["control_low"]), float(control["control_high"])
    return f"{plain(float(control['control_mean']), digits)} [{plain(low, digits)}, {plain(high, digits)}]"
