"""Where in the decoder a concept acts: the effect by edited layer, at one strength."""

from __future__ import annotations

import xarray as xr
from bokeh.models import FixedTicker
from bokeh.plotting import figure

from mllm_probe import schema
from mllm_probe.plots import theme
from mllm_probe.plots.effects import (
    READING,
    as_effect,
    chosen_concepts,
    counts,
    draw_concepts,
    draw_controls,
    pick,
    value_label,
)


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
        Intervals are 95 % over pictures; filled markers are clear of all controls.

    Raises
    ------
    ValueError
        Without controls, or for a strength or concept that is not there.
    """
    effect = chosen_concepts(as_effect(effect_or_grid, metric), concepts)
    there = [float(one) for one in effect[schema.STRENGTH].values.reshape(-1)]
    effect, dose = pick(effect, schema.STRENGTH, strength, 1.0 if 1.0 in there else max(there))
    unit = effect.attrs.get("unit", "")
    made = theme.new_figure(
        f"Effect by layer at strength {dose:g}" + (f" ({unit} units)" if unit else ""),
        [*theme.caption(effect, counts(effect)), READING],
        "edited layer (decoder block)",
        value_label(effect),
    )
    draw_controls(made, effect, schema.LAYER)
    draw_concepts(made, effect, schema.LAYER)
    made.xaxis.ticker = FixedTicker(ticks=_ticks([int(layer) for layer in effect[schema.LAYER].values]))
    theme.finish_legend(made)
    return made


def _ticks(layers: list[int], at_most: int = 16) -> list[int]:
    return layers[:: -(-len(layers) // at_most)]
