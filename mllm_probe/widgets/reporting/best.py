"""The best cell of every concept, chosen on other pictures than it is reported on wherever the grid allows that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from mllm_probe.schema import CATEGORY, CONCEPT, CONTROL, LAYER, SPLIT, STRENGTH
from mllm_probe.studies.effect import effect as effect_of
from mllm_probe.widgets.numbers import digits_for, dose, interval, plain, signed, words
from mllm_probe.widgets.reporting.markup import paragraph, table

_HELD_OUT = (
    "Chosen by naming × kept true content on fit pictures, reported on held-out ones, so that the choice does not "
    "flatter the number."
)
_SAME = (
    "Chosen on the very pictures that it is reported on, which flatters the numbers; give sweep() both halves of "
    "library.split() to have them chosen on one and reported on the other."
)


@dataclass(frozen=True)
class Best:
    """Where every concept acts best.

    Attributes
    ----------
    places : dict of str to (layer, strength)
        Concepts without any finite score are left out.
    reported : Dataset
        Effect on the pictures that count.
    kept : Dataset or None
        Effect on the kept content, on the same pictures.
    how : str
        How the cells were chosen.
    """

    places: dict[str, tuple[int, float]]
    reported: xr.Dataset
    kept: xr.Dataset | None
    how: str


def best_cells(data: xr.Dataset, effect: xr.Dataset) -> Best:
    """Choose the best cell of every concept.

    Parameters
    ----------
    data : Dataset
        A grid, or an effect.
    effect : Dataset
        The effect that is chosen by where the grid does not hold ``named`` and ``kept``.
    """
    if not {"named", "kept"} <= set(data) or CONTROL not in data.dims or "difference" in data:
        score = effect["difference"].transpose(CONCEPT, LAYER, STRENGTH)
        return Best(_places(score), effect, None, _SAME.replace("Chosen on", "Chosen by the largest effect, on"))
    splits = set(map(str, data[SPLIT].values)) if SPLIT in data.coords else set()
    both = {"fit", "held_out"} <= splits
    chosen_on, reported_on = ("fit", "held_out") if both else (None, None)
    score = effect_of(data, "named", split=chosen_on)["mean"] * effect_of(data, "kept", split=chosen_on)["mean"]
    named, kept = (effect_of(data, name, split=reported_on) for name in ("named", "kept"))
    return Best(_places(score), named, kept, _HELD_OUT if both else f"By naming × kept true content. {_SAME}")


def _places(score: xr.DataArray) -> dict[str, tuple[int, float]]:
    """Largest finite score of each concept, among positive strengths where there are any."""
    if (score[STRENGTH] > 0).any():
        score = score.sel({STRENGTH: score[STRENGTH] > 0})
    found: dict[str, tuple[int, float]] = {}
    for name in score[CONCEPT].values:
        own = score.sel({CONCEPT: name}).transpose(LAYER, STRENGTH)
        values = own.values
        if np.isfinite(values).any():
            layer, strength = np.unravel_index(int(np.nanargmax(values)), values.shape)
            found[str(name)] = int(own[LAYER].values[layer]), float(own[STRENGTH].values[strength])
    return found


def best_table(best: Best, unit: str) -> str:
    """Table of the best cells, each with its random directions."""
    names = ["concept", "category", "layer", "strength", "steered", "beyond random [95 %]", "random directions"]
    if best.kept is not None:
        names.append("content kept")
    heads = [*(f"{name} [{unit}]" if unit and name == "steered" else name for name in names), "n", "clear of controls"]
    rows = [_row(best, str(name)) for name in best.reported[CONCEPT].values]
    numbers = range(2, len(heads) - 1)
    return paragraph(best.how) + table(heads, rows, numbers=list(numbers), search="best cells", name="best-cells")


def _row(best: Best, name: str) -> list[Any]:
    concept = best.reported.sel({CONCEPT: name})
    category = words(str(concept[CATEGORY].values)) if CATEGORY in concept.coords else ""
    empty = ["–"] * (3 if best.kept is None else 4)
    if name not in best.places:
        return [name, category, "–", "–", *empty, 0, "not run"]
    layer, strength = best.places[name]
    cell = concept.sel({LAYER: layer, STRENGTH: strength})
    digits = digits_for(max(abs(float(cell["difference"])), 1e-9))
    random = cell.sel({CONTROL: "random"})
    said = [
        plain(float(cell["mean"]), digits) if "mean" in cell else "–",
        f"{signed(float(cell['difference']), digits)} {interval(float(cell['low']), float(cell['high']), digits)}",
        _around(random, digits),
    ]
    if best.kept is not None:
        kept = float(best.kept["mean"].sel({CONCEPT: name, LAYER: layer, STRENGTH: strength}))
        said.append(plain(kept, 2))
    clear = "yes" if bool(cell["clear_of_controls"]) else "no"
    return [name, category, layer, dose(strength), *said, int(cell["n"]), clear]


def _around(control: xr.Dataset, digits: int) -> str:
    low, high = float(control["control_low"]), float(control["control_high"])
    return f"{plain(float(control['control_mean']), digits)} [{plain(low, digits)}, {plain(high, digits)}]"
