"""How an effect grows with the dose, at one layer."""

from __future__ import annotations

import numpy as np
import xarray as xr
from bokeh.models import Span
from bokeh.plotting import figure

from mllm_probe import schema
from mllm_probe.plots.curves import strength_label
from mllm_probe.plots.effects import describe, pick
from mllm_probe.plots.painting import paint
from mllm_probe.plots.palette import LIGHT


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
    made = paint(curves, schema.STRENGTH, effect[schema.STRENGTH].values.tolist())
    made.add_layout(Span(location=0, dimension="height", line_color=LIGHT["soft"], line_dash="dotted", line_width=1))
    return made


def _strongest(effect: xr.Dataset) -> float:
    largest = effect["difference"].sel(strength=effect[schema.STRENGTH].max()).mean(schema.CONCEPT).values
    return float(effect[schema.LAYER].values[int(np.nanargmax(largest)) if np.isfinite(largest).any() else 0])
