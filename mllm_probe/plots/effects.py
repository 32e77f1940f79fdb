"""From an effect dataset to the description of a figure along one of its dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from mllm_probe import schema
from mllm_probe.plots.curves import Band, Curves, Series, counted, effect_label
from mllm_probe.plots.verdicts import grid_caption, marks_of
from mllm_probe.studies.effect import effect as effect_of
from mllm_probe.studies.layer_spread import spread_over_layers

READING = (
    "Lines: concept minus the mean of random directions, with 95 % intervals over images and draws. "
    "Filled: passes in the grid (clear of every control, false discovery rate .05)."
)
_CLEAR_READING = (
    "Lines: concept minus the mean of random directions, with 95 % intervals over images and draws. "
    "Filled: clear of every control."
)
_SPREAD = "peak at layer {}, spread {:.1f} layers"
_SHOWN_PROMPTS = 3


def as_effect(data: xr.Dataset, metric: str) -> xr.Dataset:
    """Return an effect dataset: the one given, or that of a sweep's grid.

    Raises TypeError if it is no dataset. Raises ValueError if it is neither effect nor grid, or holds no controls: an
    effect is not drawn without them.
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


class Picked(NamedTuple):
    """What a figure shows of an effect.

    `effect`: at one layer or strength. `value`: which layer or strength. `caption`: how many cells of the whole effect
    pass.
    """

    effect: xr.Dataset
    value: float
    caption: str


def verdict(effect: xr.Dataset) -> xr.DataArray:
    """Which cells a figure fills: those that pass in the grid; for effects without ``q``, those clear of controls."""
    return effect["clear_in_grid" if "clear_in_grid" in effect else "clear_of_controls"]


def describe(effect: xr.Dataset, dim: str, *, title: str, x_label: str, caption: str = "") -> Curves:
    """Describe the figure of an effect along ``dim``, its only dimension beside ``concept`` and ``control``."""
    attributes = effect["difference"].attrs
    spread = spread_over_layers(effect) if dim == schema.LAYER else None
    reading = READING if "clear_in_grid" in effect else _CLEAR_READING
    return Curves(
        title=title,
        quantity=str(attributes.get("long_name", "concept minus random")),
        caption=[*origin(effect, counted(effect["n"].values)), *[caption] * bool(caption), reading],
        x_label=x_label,
        y_label=effect_label(str(attributes.get("units", ""))),
        series=[
            _series(effect.isel(at), dim, None if spread is None else spread.isel(at))
            for at in ({schema.CONCEPT: place} for place in range(effect.sizes[schema.CONCEPT]))
        ],
        bands=_bands(effect, dim),
    )


def _series(one: xr.Dataset, dim: str, spread: xr.Dataset | None) -> Series:
    values = {name: np.asarray(one[name].values) for name in ("low", "high", "n")}
    has_depth = schema.RELATIVE_DEPTH in one.coords and dim == schema.LAYER
    return Series(
        concept=str(one[schema.CONCEPT].values),
        category=str(one[schema.CATEGORY].values) if schema.CATEGORY in one.coords else "",
        x=one[dim].values.astype(float),
        value=one["difference"].values,
        **values,
        clear=verdict(one).values.astype(bool),
        q=one["q"].values if "q" in one else None,
        marks={name: mark.values for name, mark in marks_of(one).items()},
        depth=one[schema.RELATIVE_DEPTH].values if has_depth else None,
        spread=""
        if spread is None or not np.isfinite(spread["peak_layer"])
        else _SPREAD.format(schema.layer_name(int(spread["peak_layer"])), float(spread["participation_ratio"])),
    )


def _bands(effect: xr.Dataset, dim: str) -> list[Band]:
    """Return a band for each control, over all concepts, seen from the mean of the random directions."""
    names = ["control_mean", "control_low", "control_high"]
    shown = effect[names] - effect["control_mean"].sel({schema.CONTROL: "random"})
    return [
        Band(
            control=name,
            x=one[dim].values.astype(float),
            mean=one["control_mean"].mean(schema.CONCEPT).values,
            low=one["control_low"].min(schema.CONCEPT).values,
            high=one["control_high"].max(schema.CONCEPT).values,
        )
        for name in map(str, effect[schema.CONTROL].values)
        for one in [shown.sel({schema.CONTROL: name}).transpose(schema.CONCEPT, dim)]
    ]


def origin(dataset: xr.Dataset, *more: str) -> list[str]:
    """Lines that say how a dataset was made: model, scope, operation, prompts and answer prefix."""
    attributes = dataset.attrs
    facts = [_listed(attributes["model"])] if attributes.get("model") else []
    facts += [f"{name} {_listed(attributes[name])}" for name in ("scope", "operation") if attributes.get(name)]
    prefix = attributes.get("answer_prefix")
    texts = [prompts_text(attributes.get("prompt")), f"answer prefix “{prefix}”" if isinstance(prefix, str) else ""]
    return [" · ".join(part for part in parts if part) for parts in ([*facts, *more], texts) if any(parts)]


def prompts_text(prompts: str | Sequence[str] | None) -> str:
    """What a model was asked, ``prompt “Where?”``; of several prompts the first ones and how many there are more."""
    if not prompts or isinstance(prompts, str):
        return f"prompt “{prompts}”" if prompts is not None else ""
    shown = ", ".join(f"“{one}”" for one in prompts[:_SHOWN_PROMPTS])
    left = len(prompts) - _SHOWN_PROMPTS
    return f"prompts {shown}" + (f" and {left} more" if left > 0 else "")


def _listed(value: str | Sequence[str]) -> str:
    return value if isinstance(value, str) else " + ".join(map(str, value))


def pick(
    data: xr.Dataset,
    metric: str,
    concepts: Sequence[str] | str | None,
    dim: str,
    value: float | None,
    default: Callable[[xr.Dataset], float],
) -> Picked:
    """Effect of a grid or effect for some of its concepts, at one coordinate of a dimension.

    `metric`: of a grid.
    `concepts`: all of them by default.
    `dim`: ``"layer"`` or ``"strength"``.
    `value`: coordinate on ``dim``.
    `default`: gives the coordinate where ``value`` is None.

    Returns the effect without ``dim``, the coordinate, and the caption of the whole effect. Raises TypeError,
    ValueError: as from `as_effect`; ValueError for a concept or coordinate that is not there, with those that are.
    """
    whole = as_effect(data, metric)
    effect = _of_concepts(whole, concepts)
    there = [float(one) for one in effect[dim].values.ravel()]
    wanted = default(effect) if value is None else float(value)
    if wanted not in there:
        raise ValueError(f"{dim} {wanted:g} is not in the effect; it has {', '.join(f'{one:g}' for one in there)}.")
    at = {dim: there.index(wanted)} if dim in effect.dims else {}
    return Picked(effect.isel(at), wanted, grid_caption(whole))


def _of_concepts(effect: xr.Dataset, concepts: Sequence[str] | str | None) -> xr.Dataset:
    names = [concepts] if isinstance(concepts, str) else concepts
    there = [str(name) for name in effect[schema.CONCEPT].values]
    for name in names or ():
        if name not in there:
            raise ValueError(f"concept '{name}' is not in the effect; it has {', '.join(there)}.")
    return effect if names is None else effect.sel({schema.CONCEPT: list(names)})
