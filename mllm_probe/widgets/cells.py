"""From an effect dataset to the traits of the heatmap: flat float32 numbers and their coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from mllm_probe.schema import CATEGORY, CONCEPT, CONTROL, LAYER, METRICS, RELATIVE_DEPTH, STRENGTH, require

_UNITLESS = {"1": "", "dimensionless": ""}
_DIMS = (CONCEPT, LAYER, STRENGTH)
RANDOM = "random"
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


def cells_of(effect: xr.Dataset, against: str = RANDOM) -> dict[str, Any]:
    """Turn an effect into the traits that the front-end draws.

    Parameters
    ----------
    effect : xarray.Dataset
        ``difference`` (concept, layer, strength), and where it has them ``low``, ``high``, ``n``,
        ``clear_of_controls`` and, by control, ``difference_from`` with its interval and ``control_mean``,
        ``control_low``, ``control_high``.
    against : str
        The kind of control that effects are differences from; random directions where the effect lacks that kind.

    Returns
    -------
    dict
        Coordinates as lists and one ``bytes`` per name in `NUMBERS`: float32, C order, concept × layer ×
        strength, those of the controls one after the other in the order of ``controls``, as differences from
        unsteered; empty where the effect lacks it. ``clear`` is 1, 0, or NaN where nothing was run.
    """
    require(effect, "difference", dims=_DIMS, what="the effect given to the heatmap")
    kinds = [str(kind) for kind in effect[CONTROL].values] if CONTROL in effect.dims else []
    against = against if against in kinds else RANDOM
    difference, low, high = _from(effect, against)
    clear = effect["clear_of_controls"].where(difference.notnull()) if "clear_of_controls" in effect else None
    arrays = {"values": difference, "low": low, "high": high, "n": effect.get("n"), "clear": clear}
    units = str(effect["difference"].attrs.get("units", ""))
    categories = effect[CATEGORY].values if CATEGORY in effect.coords else [""] * effect.sizes[CONCEPT]
    depths = effect[RELATIVE_DEPTH].values.tolist() if RELATIVE_DEPTH in effect.coords else []
    return {
        "concepts": [str(name) for name in effect[CONCEPT].values],
        "categories": [str(name) for name in categories],
        "layers": [int(layer) for layer in effect[LAYER].values],
        "relative_depths": [float(depth) for depth in depths],
        "strengths": [float(strength) for strength in effect[STRENGTH].values],
        "controls": kinds,
        "against": against,
        "unit": _UNITLESS.get(units, units),
        "strength_unit": str(effect.attrs.get("unit", effect[STRENGTH].attrs.get("units", "residual"))),
        **{name: _bytes(array, difference) for name, array in arrays.items()},
        **{name: b"".join(_bytes(one, difference) for one in every) for name, every in _controls(effect, kinds)},
    }


def _from(effect: xr.Dataset, against: str) -> tuple[xr.DataArray, xr.DataArray | None, xr.DataArray | None]:
    """Difference from one kind of control, with its interval."""
    if against == RANDOM:
        return effect["difference"], effect.get("low"), effect.get("high")
    one = effect.sel({CONTROL: against})
    return one["difference_from"], one["difference_low"], one["difference_high"]


def _controls(effect: xr.Dataset, kinds: list[str]) -> list[tuple[str, list[xr.DataArray]]]:
    """Return what each kind of control does, as differences from unsteered where the effect says what that is."""
    unsteered = effect["mean"] - effect["value"] if "mean" in effect and "value" in effect else 0.0
    names = {"control": "control_mean", "control_low": "control_low", "control_high": "control_high"}
    return [
        (name, [effect[source].sel({CONTROL: kind}) - unsteered for kind in kinds] if source in effect else [])
        for name, source in names.items()
    ]


def _bytes(array: xr.DataArray | None, like: xr.DataArray) -> bytes:
    if array is None:
        return b""
    whole = array.broadcast_like(like).transpose(*_DIMS) if set(array.dims) != set(_DIMS) else array.transpose(*_DIMS)
    return np.ascontiguousarray(whole.values, dtype=np.float32).tobytes()
