"""Where in the decoder a concept acts: the effect by edited layer, at one strength."""

from __future__ import annotations

import xarray as xr
from bokeh.plotting import figure

from mllm_probe import schema
from mllm_probe.plots import theme
from mllm_probe.plots.curves import strength_unit
from mllm_probe.plots.effects import describe, pick
from mllm_probe.plots.painting import paint


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
    made = paint(curves, schema.LAYER, layers)
    theme.mark_layers(made, layers)
    return made


def _usual(effect: xr.Dataset) -> float:
    there = effect[schema.STRENGTH].values.ravel().tolist()
    return 1.0 if 1.0 in there else max(there)
