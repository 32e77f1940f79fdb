"""From an effect dataset to the description of a figure along one of its dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from mllm_probe import schema
from mllm_probe.plots.curves import Band, Curves, Series, counted, effect_label
from mllm_probe.studies.effect import effect as effect_of

READING = (
    "Lines: concept minus the mean of random directions, with 95 % intervals over images. "
    "Filled: clear of all controls."
)


def as_effect(data: xr.Dataset, metric: str) -> xr.Dataset:
    """Return an effect dataset: the one given, or that of a sweep's grid.

    Raises
    ------
    TypeError
        If it is no dataset.
    ValueError
        If it is neither effect nor grid, or holds no controls: an effect is not drawn without them.
    """
    if not isinstance(data, xr.Dataset):
        raise TypeError(
            "expected the effect of mp.effect or the grid of mp.sweep, an xarray.Dataset, got "
            f"{type(data).__name__}. Draw several effects one at a time, or join them along a dimension that they "
            "share: xarray.concat([a, b], 'concept')."
        )
    if "difference" not in data and {schema.DRAW, schema.SAMPLE} <= set(data.dims):
        data = effect_of(data, metric)
    needed = ("difference", "low", "high", "n", "clear_of_controls")
    schema.require(data, *needed, dims=(schema.CONCEPT, schema.LAYER), what="the effect")
    if schema.SCORED_CONCEPT in data.dims:
        names = ", ".join(map(str, data[schema.SCORED_CONCEPT].values))
        raise ValueError(
            "an off-target effect has two dimensions of concepts: choose the scored one first, for example "
            f"effect.sel(scored_concept={str(data[schema.SCORED_CONCEPT].values[0])!r}); it has {names}."
        )
    controls = [] if schema.CONTROL not in data.dims else [str(name) for name in data[schema.CONTROL].values]
    if "control_mean" not in data or "random" not in controls:
        raise ValueError(
            "an effect is not drawn without its controls: expected 'control_mean', 'control_low' and 'control_high' "
            f"for control 'random', got controls {controls}. Run the sweep with controls=None (all) or ('random', …)."
        )
    return data


def describe(effect: xr.Dataset, dim: str, *, title: str, x_label: str) -> Curves:
    """Describe the figure of an effect along ``dim``, its only dimension beside ``concept`` and ``control``."""
    attributes = effect["difference"].attrs
    unit = str(attributes.get("units", ""))
    quantity = str(attributes.get("long_name", "concept minus random"))
    return Curves(
        title=title,
        quantity=quantity,
        caption=[*origin(effect, counted(effect["n"].values)), READING],
        x_label=x_label,
        y_label=effect_label(unit),
        series=[_series(effect.sel({schema.CONCEPT: name}), dim) for name in effect[schema.CONCEPT].values],
        bands=_bands(effect, dim),
    )


def _series(one: xr.Dataset, dim: str) -> Series:
    values = {name: np.asarray(one[name].values) for name in ("low", "high", "n")}
    by_layer = schema.RELATIVE_DEPTH in one.coords and dim == schema.LAYER
    return Series(
        concept=str(one[schema.CONCEPT].values),
        category=str(one[schema.CATEGORY].values) if schema.CATEGORY in one.coords else "",
        x=one[dim].values.astype(float),
        value=one["difference"].values,
        **values,
        clear=one["clear_of_controls"].values.astype(bool),
        depth=one[schema.RELATIVE_DEPTH].values if by_layer else None,
    )


def _bands(effect: xr.Dataset, dim: str) -> list[Band]:
    """Return a band for each control, over all concepts, seen from the mean of the random directions."""
    names = ["control_mean", "control_low", "control_high"]
    shown = effect[names] - effect["control_mean"].sel({schema.CONTROL: "random"})
    bands = []
    for name in (str(control) for control in effect[schema.CONTROL].values):
        one = shown.sel({schema.CONTROL: name}).transpose(schema.CONCEPT, dim)
        bands.append(
            Band(
                control=name,
                x=one[dim].values.astype(float),
                mean=one["control_mean"].mean(schema.CONCEPT).values,
                low=one["control_low"].min(schema.CONCEPT).values,
                high=one["control_high"].max(schema.CONCEPT).values,
            )
        )
    return bands


def origin(dataset: xr.Dataset, *more: str) -> list[str]:
    """Lines that say how a dataset was made: model, scope, operation, prompt and answer prefix."""
    attributes = dataset.attrs
    facts = [str(attributes["model"])] if attributes.get("model") else []
    facts += [f"{name} {_listed(attributes[name])}" for name in ("scope", "operation") if attributes.get(name)]
    texts = [
        f"{name.replace('_', ' ')} “{attributes[name]}”"
        for name in ("prompt", "answer_prefix")
        if isinstance(attributes.get(name), str)
    ]
    return [" · ".join(part for part in parts if part) for parts in ([*facts, *more], texts) if any(parts)]


def _listed(value: Any) -> str:
    return value if isinstance(value, str) else " + ".join(map(str, value))


def pick(effect: xr.Dataset, dim: str, value: float | None, default: float) -> tuple[xr.Dataset, float]:
    """Select one coordinate of a dimension, with an error that lists what is there."""
    if dim not in effect.dims:
        return effect, float(effect[dim]) if dim in effect.coords else default
    there = [float(one) for one in effect[dim].values]
    wanted = default if value is None else float(value)
    if wanted not in there:
        raise ValueError(f"{dim} {wanted:g} is not in the effect; it has {', '.join(f'{one:g}' for one in there)}.")
    return effect.isel({dim: there.index(wanted)}), wanted


def chosen_concepts(effect: xr.Dataset, concepts: list[str] | tuple[str, ...] | str | None) -> xr.Dataset:
    """Select concepts by name, with an error that lists what is there."""
    if concepts is None:
        return effect
    names = [concepts] if isinstance(concepts, str) else list(concepts)
    there = [str(name) for name in effect[schema.CONCEPT].values]
    for name in names:
        if name not in there:
            raise ValueError(f"concept '{name}' is not in the effect; it has {', '.join(there)}.")
    return effect.sel({schema.CONCEPT: names})
