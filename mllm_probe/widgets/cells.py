"""From an effect dataset to the traits of the heatmap: flat float32 numbers and their coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from mllm_probe.schema import CATEGORY, CONCEPT, CONTROL, LAYER, METRICS, STRENGTH, require

_UNITLESS = {"1": "", "dimensionless": ""}
_DIMS = (CONCEPT, LAYER, STRENGTH)
NUMBERS = ("values", "low", "high", "n", "clear", "control", "control_low", "control_high")
METRIC_LABELS = {
    "logprob": "Δ log-probability of the concept's words",
    "logit": "Δ logit of the concept's first token",
    "named": "Δ share of answers that name the concept",
    "kept": "Δ share of the true content kept",
    "kl": "Δ KL from the unsteered answer",
    "perplexity": "Δ perplexity ratio of the answer",
    "repetition": "Δ share of repeated words",
}


def is_effect(dataset: xr.Dataset) -> bool:
    """Whether ``dataset`` came from `mllm_probe.effect`."""
    return "difference" in dataset


def metrics_of(grid: xr.Dataset) -> list[str]:
    """Metrics that a grid holds, in the order of the schema."""
    return [name for name in METRICS if name in grid]


def cells_of(effect: xr.Dataset) -> dict[str, Any]:
    """Turn an effect into the traits that the front-end draws.

    Parameters
    ----------
    effect : xarray.Dataset
        ``difference`` (concept, layer, strength), and where it has them ``low``, ``high``, ``n``,
        ``clear_of_controls`` and, for the random control, ``control_mean``, ``control_low``, ``control_high``.

    Returns
    -------
    dict
        Coordinates as lists and one ``bytes`` per name in `NUMBERS`: float32, C order, concept × layer ×
        strength; empty where the effect lacks it. ``clear`` is 1, 0, or NaN where nothing was run.
    """
    require(effect, "difference", dims=_DIMS, what="the effect given to the heatmap")
    difference = effect["difference"]
    units = str(difference.attrs.get("units", ""))
    clear = effect["clear_of_controls"].where(difference.notnull()) if "clear_of_controls" in effect else None
    arrays = {
        "values": difference,
        "low": effect.get("low"),
        "high": effect.get("high"),
        "n": effect.get("n"),
        "clear": clear,
        **_random(effect),
    }
    categories = effect[CATEGORY].values if CATEGORY in effect.coords else [""] * effect.sizes[CONCEPT]
    return {
        "concepts": [str(name) for name in effect[CONCEPT].values],
        "categories": [str(name) for name in categories],
        "layers": [int(layer) for layer in effect[LAYER].values],
        "strengths": [float(strength) for strength in effect[STRENGTH].values],
        "unit": _UNITLESS.get(units, units),
        "strength_unit": str(effect.attrs.get("unit", effect[STRENGTH].attrs.get("units", "residual"))),
        **{name: _bytes(array, difference) for name, array in arrays.items()},
    }


def _random(effect: xr.Dataset) -> dict[str, xr.DataArray | None]:
    """Return what the random directions do, as differences from unsteered where the effect says what that is."""
    if CONTROL not in effect.coords or "random" not in effect[CONTROL].values:
        return dict.fromkeys(("control", "control_low", "control_high"))
    random = effect.sel({CONTROL: "random"})
    unsteered = effect["mean"] - effect["value"] if "mean" in effect and "value" in effect else 0.0
    names = {"control": "control_mean", "control_low": "control_low", "control_high": "control_high"}
    return {name: random[source] - unsteered if source in random else None for name, source in names.items()}


def _bytes(array: xr.DataArray | None, like: xr.DataArray) -> bytes:
    if array is None:
        return b""
    whole = array.broadcast_like(like).transpose(*_DIMS) if set(array.dims) != set(_DIMS) else array.transpose(*_DIMS)
    return np.ascontiguousarray(whole.values, dtype=np.float32).tobytes()
