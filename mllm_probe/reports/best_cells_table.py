"""The table of best cells, with how they were chosen."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mllm_probe.plots.palette import control_label
from mllm_probe.schema import CATEGORY, CONCEPT, CONTROL, LAYER, STRENGTH, layer_name
from mllm_probe.studies.answer_score import content_checked
from mllm_probe.studies.best_cell import BestCells
from mllm_probe.studies.layer_spread import spread_over_layers
from mllm_probe.widgets.base.numbers import chance, digits_for, dose, interval, plain, signed, words
from mllm_probe.widgets.pages.markup import paragraph, table

_SCORE = "mean score of the answers"
_HELD_OUT = "on fit images and evaluated on held-out ones, so that the selection does not bias the numbers."
_SAME = (
    "and evaluated on the same images, so these numbers are optimistic; give sweep() both halves of library.split() to "
    "select on one and evaluate on the other."
)
_UNCHECKED = " Without labels of the images, the score does not check what an answer keeps of their content."


def choice_of(best: BestCells, data: xr.Dataset) -> str:
    """Say how the cells were chosen, and on which images they are reported."""
    unchecked = _UNCHECKED if best.by_score and not content_checked(data) else ""
    by = f"the {_SCORE}" if best.by_score else "the largest effect"
    return f"Selected by {by} {_HELD_OUT if best.held_out else _SAME}{unchecked}"


def best_table(best: BestCells, data: xr.Dataset, unit: str) -> str:
    """Table of the best cells, each with its controls and whether it passes in the grid.

    `data`: the grid or effect that they were chosen in. `unit`: of the effect that they are reported with.
    """
    kinds = [str(kind) for kind in best.reported[CONTROL].values]
    score = [_SCORE + (", fit images" if best.held_out else "")] if best.by_score else []
    heads = ["concept", "category", "layer", "strength", *score, f"steered [{unit}]" if unit else "steered"]
    heads += ["beyond random [95 %]", *map(control_label, kinds), "peak layer", "spread [layers]"]
    heads += [*["content kept"] * (best.kept is not None), "n", "q", "passes in the grid"]
    spread = spread_over_layers(best.reported)
    rows = [
        _row(best, spread, name, kinds, bool(score))
        if name in best.cells
        else [*_names(best, name), *["–"] * (len(heads) - 4), 0, "not run"]
        for name in map(str, best.reported[CONCEPT].values)
    ]
    numbers = list(range(2, len(heads) - 1))
    said = paragraph(choice_of(best, data))
    return said + table(heads, rows, numbers=numbers, search="best cells", name="best-cells")


def verdict(cell: xr.Dataset, least: int) -> str:
    """Whether a cell of an effect passes in the grid, or why that is not known."""
    if int(cell["n"]) < least:
        return f"no verdict: {int(cell['n'])} of {least} images"
    if "q" not in cell:
        return "yes" if bool(cell["clear_of_controls"]) else "no"
    return ("yes" if bool(cell["clear_in_grid"]) else "no") if np.isfinite(cell["q"]) else "not tested"


def _names(best: BestCells, name: str) -> list[str]:
    concept = best.reported.sel({CONCEPT: name})
    return [name, words(str(concept[CATEGORY].values)) if CATEGORY in concept.coords else ""]


def _row(best: BestCells, spread: xr.Dataset, name: str, kinds: list[str], scored: bool) -> list[object]:
    layer, strength = best.cells[name].layer, best.cells[name].strength
    cell = best.reported.sel({CONCEPT: name, LAYER: layer, STRENGTH: strength})
    over = spread.sel({CONCEPT: name, STRENGTH: strength})
    digits = digits_for(max(abs(float(cell["difference"])), 1e-9))
    values: list[object] = [
        *[plain(best.cells[name].score, 2)] * scored,
        plain(float(cell["mean"]), digits) if "mean" in cell else "–",
        f"{signed(float(cell['difference']), digits)} {interval(float(cell['low']), float(cell['high']), digits)}",
        *(_around(cell.sel({CONTROL: kind}), digits) for kind in kinds),
        str(layer_name(int(over["peak_layer"]))) if np.isfinite(over["peak_layer"]) else "–",
        plain(float(over["participation_ratio"])),
    ]
    if best.kept is not None:
        values.append(plain(float(best.kept.sel({CONCEPT: name, LAYER: layer, STRENGTH: strength})), 2))
    values += [int(cell["n"]), chance(float(cell["q"])) if "q" in cell else "–"]
    least = int(best.reported.attrs.get("least_images", 0))
    return [*_names(best, name), layer_name(layer), dose(strength), *values, verdict(cell, least)]


def _around(control: xr.Dataset, digits: int) -> str:
    low, high = float(control["control_low"]), float(control["control_high"])
    return f"{plain(float(control['control_mean']), digits)} [{plain(low, digits)}, {plain(high, digits)}]"
