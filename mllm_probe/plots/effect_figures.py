"""Figures along one dimension: effect by dose, effect by edited layer, recovered share by patched layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from bokeh.models import ColumnDataSource, GlyphRenderer, Span
from bokeh.plotting import figure

from mllm_probe import schema
from mllm_probe.plots import painting
from mllm_probe.plots.effects import counted, describe, origin, pick, strength_label, strength_unit
from mllm_probe.plots.painting import paint
from mllm_probe.plots.palette import LIGHT, OTHER_COLOURS


def dose_response(
    effect_or_grid: xr.Dataset,
    layer: int | None = None,
    concepts: list[str] | str | None = None,
    metric: str = "logprob",
) -> figure:
    """Draw effect against strength, one line a concept, over the band of every control.

    Parameters
    ----------
    effect_or_grid : xarray.Dataset
        From `mp.effect`, or a grid from `mp.sweep`.
    layer : int, optional
        The edited layer to show; by default the one with the largest mean effect at the largest strength.
    concepts : list of str or str, optional
        All of them by default.
    metric : str
        Which metric of a grid.

    Returns
    -------
    bokeh.plotting.figure
        Intervals are 95 % over images and draws; filled markers pass in the grid. Points of which no answer names the
        concept, or at least half of the answers are broken, are marked.

    Raises
    ------
    TypeError
        If it is no dataset.
    ValueError
        Without controls, or for a layer or concept that is not there.
    """
    effect, shown, caption = pick(effect_or_grid, metric, concepts, schema.LAYER, layer, _strongest)
    effect = effect.sortby(schema.STRENGTH)
    title = f"Effect by dose at layer {shown:g}" + (", the strongest one" if layer is None else "")
    x_label = strength_label(str(effect.attrs.get("unit", "")))
    curves = describe(effect, schema.STRENGTH, title=title, x_label=x_label, caption=caption)
    plot = paint(curves, schema.STRENGTH, effect[schema.STRENGTH].values.tolist())
    plot.add_layout(Span(location=0, dimension="height", line_color=LIGHT["soft"], line_dash="dotted", line_width=1))
    return plot


def _strongest(effect: xr.Dataset) -> float:
    largest = effect["difference"].sel(strength=effect[schema.STRENGTH].max()).mean(schema.CONCEPT).values
    return float(effect[schema.LAYER].values[int(np.nanargmax(largest)) if np.isfinite(largest).any() else 0])


def layer_profile(
    effect_or_grid: xr.Dataset,
    strength: float | None = None,
    concepts: list[str] | str | None = None,
    metric: str = "logprob",
) -> figure:
    """Draw effect against edited layer, one line a concept, over the band of every control.

    Parameters
    ----------
    effect_or_grid : xarray.Dataset
        From `mp.effect`, or a grid from `mp.sweep`.
    strength : float, optional
        The dose to show, in the effect's unit; by default 1 if it is there, else the largest.
    concepts : list of str or str, optional
        All of them by default.
    metric : str
        Which metric of a grid.

    Returns
    -------
    bokeh.plotting.figure
        Intervals are 95 % over images and draws; filled markers pass in the grid. Points of which no answer names the
        concept, or at least half of the answers are broken, are marked.

    Raises
    ------
    TypeError
        If it is no dataset.
    ValueError
        Without controls, or for a strength or concept that is not there.
    """
    effect, dose, caption = pick(effect_or_grid, metric, concepts, schema.STRENGTH, strength, _usual)
    unit = str(effect.attrs.get("unit", ""))
    title = f"Effect by layer at strength {dose:g}" + (f" {strength_unit(unit)}" if unit else "")
    curves = describe(effect, schema.LAYER, title=title, x_label="edited layer (decoder block)", caption=caption)
    layers = effect[schema.LAYER].values.tolist()
    plot = paint(curves, schema.LAYER, layers)
    painting.mark_layers(plot, layers)
    return plot


def _usual(effect: xr.Dataset) -> float:
    strengths = effect[schema.STRENGTH].values.ravel().tolist()
    return 1.0 if 1.0 in strengths else max(strengths)


_READING = (
    "1: the patched positions bring the whole difference between the pair's runs; 0: nothing of it. Dashed: other "
    "donors at the same positions. Intervals are 95 %."
)


def recovery_profile(
    recovered: xr.Dataset,
    name: str | None = None,
    direction: str = "insert",
    controls: Sequence[str] | str | None = None,
    groups: Sequence[str] | None = None,
) -> figure:
    """Draw the recovered share against the patched layer, one line a token group, with other donors dashed.

    Parameters
    ----------
    recovered : xarray.Dataset
        From `mp.recovered`, by concept or by category.
    name : str, optional
        The concept or category; the first by default.
    direction : {"insert", "remove"}
        Of the patch.
    controls : sequence of str, optional
        Donors besides the pair that are drawn; all of the dataset by default, but the identity, which is 0.
    groups : sequence of str, optional
        Token groups; all but single patches by default.

    Returns
    -------
    bokeh.plotting.figure

    Raises
    ------
    TypeError
        If it is no dataset.
    ValueError
        If it is no recovered share, holds no control, or lacks what is asked for.
    """
    if not isinstance(recovered, xr.Dataset):
        raise TypeError(f"expected the dataset of mp.recovered, got {type(recovered).__name__}.")
    schema.require(recovered, "recovered", "low", "high", "n", dims=(schema.GROUP,), what="the recovered share")
    dim = schema.CATEGORY if schema.CATEGORY in recovered.dims else schema.CONCEPT
    name = str(recovered[dim].values[0]) if name is None else name
    place = {dim: _known(recovered, dim, name), schema.DIRECTION: _known(recovered, schema.DIRECTION, direction)}
    selected = recovered.sel(place)
    available = [str(kind) for kind in recovered[schema.CONTROL].values]
    asked = [controls] if isinstance(controls, str) else controls
    shown = [kind for kind in available if kind not in ("pair", "identity")] if asked is None else list(asked)
    if not shown:
        raise ValueError(
            "a recovered share is not drawn without another donor: expected 'unrelated' or 'other_positive' among the "
            f"controls; there are {', '.join(available)}. Run mp.patch(…, controls=('identity', 'unrelated'))."
        )
    kinds = ["pair", *(_known(recovered, schema.CONTROL, kind) for kind in shown)]
    every = [str(group) for group in recovered[schema.GROUP].values]
    drawn = [g for g in every if g in schema.GROUPS] if groups is None else list(groups)
    plot = _empty(recovered, selected, name, direction)
    points = []
    for number, group in enumerate(_known(recovered, schema.GROUP, group) for group in drawn):
        for kind in kinds:
            curve = selected.sel({schema.GROUP: group, schema.CONTROL: kind}).transpose(schema.LAYER)
            points.append(_paint(plot, curve, group, kind, OTHER_COLOURS[number % len(OTHER_COLOURS)]))
    tips = [("", "@group, @donor"), ("layer", "@layer"), ("recovered", "@y{0.00} (@low{0.00} … @high{0.00})")]
    painting.add_hover(plot, points, tips)
    painting.mark_layers(plot, recovered[schema.LAYER].values.tolist())
    painting.finish_legend(plot)
    return plot


def _known(recovered: xr.Dataset, dim: str, name: str) -> str:
    names = [str(value) for value in recovered[dim].values.ravel()]
    if name not in names:
        raise ValueError(f"{dim} '{name}' is not in the recovered share; it has {', '.join(names)}.")
    return name


def _empty(recovered: xr.Dataset, selected: xr.Dataset, name: str, direction: str) -> figure:
    caption = [str(recovered["recovered"].attrs.get("long_name", "recovered share")), _READING]
    pairs = counted(np.atleast_1d(selected["n"].values)).replace("images", "pairs").replace("image", "pair")
    left_out = int(selected["below_gap"].sum()) if "below_gap" in selected else 0
    facts = [pairs, f"{left_out} with a smaller gap left out" if left_out else ""]
    caption += origin(recovered, *(fact for fact in facts if fact))
    title = f"{name}: what patched tokens bring along ({direction})"
    return painting.new_figure(title, caption, "patched layer (decoder block)", "recovered share")


def _paint(plot: figure, curve: xr.Dataset, group: str, kind: str, colour: str) -> GlyphRenderer:
    """Paint one line; intervals of the pair's alone, so that other donors do not cover them."""
    layers = curve[schema.LAYER].values.astype(int)
    source = ColumnDataSource(
        {
            "x": layers,
            "y": curve["recovered"].values,
            "low": curve["low"].values,
            "high": curve["high"].values,
            "layer": [str(layer) for layer in schema.layer_names(layers)],
            "group": [group.replace("_", " ")] * len(layers),
            "donor": [kind.replace("_", " ")] * len(layers),
        }
    )
    look = {"source": source, "color": colour, "legend_label": group.replace("_", " ")}
    if kind == "pair":
        plot.segment("x", "low", "x", "high", width=1.5, alpha=0.6, name=f"interval {group}", **look)
        plot.line("x", "y", width=2, name=f"share {group}", **look)
        return plot.scatter("x", "y", size=7, name=f"points {group}", **look)
    plot.line("x", "y", width=1.2, dash="dashed", alpha=0.7, name=f"{kind} {group}", **look)
    return plot.scatter("x", "y", size=4, alpha=0.7, name=f"{kind} points {group}", **look)
