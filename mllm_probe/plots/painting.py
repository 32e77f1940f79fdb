"""Drawing effects along one dimension: concept minus random directions, with intervals and all controls."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import xarray as xr
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure

from mllm_probe import schema
from mllm_probe.plots import theme
from mllm_probe.sweeps.effect import effect as effect_of

_LEGEND_ROOM = 10


def as_effect(data: xr.Dataset, metric: str) -> xr.Dataset:
    """Return an effect dataset: the one given, or that of a sweep's grid.

    Raises
    ------
    ValueError
        If it is neither, or holds no controls: an effect is not drawn without them.
    """
    if "difference" not in data and schema.DRAW in data.dims:
        data = effect_of(data, metric)
    schema.require(
        data,
        "difference",
        "low",
        "high",
        "n",
        "clear_of_controls",
        dims=(schema.CONCEPT, schema.LAYER),
        what="the effect",
    )
    controls = [] if schema.CONTROL not in data.dims else [str(name) for name in data[schema.CONTROL].values]
    if "control_mean" not in data or "random" not in controls:
        raise ValueError(
            "an effect is not drawn without its controls: expected 'control_mean', 'control_low' and 'control_high' "
            f"for control 'random', got controls {controls}. Run the sweep with controls=None (all) or ('random', …)."
        )
    return data


def value_label(effect: xr.Dataset) -> str:
    """Return the name of the drawn quantity with its unit: "log-probability: concept minus random [nats]"."""
    attributes = effect["difference"].attrs
    name, unit = attributes.get("long_name", "concept minus random"), attributes.get("units", "1")
    return name if unit in ("", "1") else f"{name} [{unit}]"


def counts(effect: xr.Dataset) -> str:
    """Return the number of pictures behind the points, "n 24 pictures" or "n 3 to 24 pictures"."""
    low, high = int(effect["n"].min()), int(effect["n"].max())
    return f"n {high} pictures" if low == high else f"n {low} to {high} pictures"


READING = (
    "effect: concept minus the mean of random directions, 95 % intervals over pictures; filled: clear of all controls"
)


def draw_controls(made: figure, effect: xr.Dataset, dim: Hashable) -> None:
    """Draw a band and a mean line for each control, seen from the mean of the random directions.

    With several concepts the band reaches over the controls of all of them.
    """
    reference = effect["control_mean"].sel(control="random")
    shown = effect[["control_mean", "control_low", "control_high"]] - reference
    for name in (str(control) for control in effect[schema.CONTROL].values):
        one = shown.sel(control=name).transpose(schema.CONCEPT, dim)
        source = ColumnDataSource(
            {
                "x": one[dim].values.astype(float),
                "low": one["control_low"].min(schema.CONCEPT).values,
                "high": one["control_high"].max(schema.CONCEPT).values,
                "mean": one["control_mean"].mean(schema.CONCEPT).values,
            }
        )
        colour = theme.CONTROL_COLOURS.get(name, "#c08a8a")
        label = f"control: {name}"
        made.varea("x", "low", "high", source=source, color=colour, alpha=0.22, legend_label=label, name=f"band {name}")
        made.line(
            "x", "mean", source=source, color=colour, dash="dashed", width=2, legend_label=label, name=f"mean {name}"
        )


def draw_concepts(made: figure, effect: xr.Dataset, dim: Hashable) -> None:
    """Draw each concept with 95 % intervals; filled markers are clear of the controls, hollow ones are not."""
    tips = [("", "@concept (@category)"), (str(dim), "@x"), ("effect", "@y{0.000} (@low{0.000} … @high{0.000})")]
    tips += [("n", "@n"), ("clear of controls", "@clear")]
    if schema.RELATIVE_DEPTH in effect.coords and dim == schema.LAYER:
        tips.insert(2, ("relative depth", "@depth{0.00}"))
    points = []
    names = [str(name) for name in effect[schema.CONCEPT].values]
    for number, name in enumerate(names):
        source = _source(effect.sel(concept=name), dim, name)
        category = source.data["category"][0] if len(source.data["category"]) else ""
        style = {
            "color": theme.category_colour(category),
            "legend_label": name if len(names) <= _LEGEND_ROOM else category or "concept",
        }
        dash = theme.DASHES[number % len(theme.DASHES)]
        made.segment("x", "low", "x", "high", source=source, width=1.5, alpha=0.6, name=f"interval {name}", **style)
        made.line("x", "y", source=source, width=2, dash=dash, name=f"effect {name}", **style)
        points.append(
            made.scatter(
                "x",
                "y",
                source=source,
                size=8,
                marker=theme.MARKERS[number % len(theme.MARKERS)],
                fill_color="fill",
                line_color=style["color"],
                legend_label=style["legend_label"],
                name=f"points {name}",
            )
        )
    theme.add_hover(made, points, tips)


def _source(one: xr.Dataset, dim: Hashable, name: str) -> ColumnDataSource:
    along = one[dim].values.astype(float)
    category = str(one[schema.CATEGORY].values) if schema.CATEGORY in one.coords else ""
    clear = one["clear_of_controls"].values.astype(bool)
    data = {
        "x": along,
        "y": one["difference"].values,
        "low": one["low"].values,
        "high": one["high"].values,
        "n": one["n"].values,
        "clear": np.where(clear, "yes", "no"),
        "fill": np.where(clear, theme.category_colour(category), "#ffffff"),
        "concept": [name] * len(along),
        "category": [category] * len(along),
    }
    if schema.RELATIVE_DEPTH in one.coords and dim == schema.LAYER:
        data["depth"] = one[schema.RELATIVE_DEPTH].values
    return ColumnDataSource(data)


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
    return effect.sel(concept=names)
