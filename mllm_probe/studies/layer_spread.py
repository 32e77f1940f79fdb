"""Layer spread: at which layer the effect of a concept is largest, and over how many layers it extends: its onset."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mllm_probe.schema import CONCEPT, CONTROL, LAYER, require


def spread_over_layers(effect: xr.Dataset, control: str | None = None) -> xr.Dataset:
    r"""Summarise each concept's effect over the edited layers.

    The participation ratio is :math:`(\sum_l v_l)^2 / \sum_l v_l^2` of the effect v at layer l, over the layers where
    v has the sign of its peak: 1 where a single layer carries the effect, L where L layers carry it equally.

    These numbers describe the *cumulative* profile and measure onset only: up to which block an edit of the image
    tokens still has an effect, or from which block on one of the last prompt token does. They do not tell a concept
    that one block moves (the ratio for the image tokens is that block's number) from one that all L blocks move alike
    (three quarters of L), and the peak is neither's block. :func:`mllm_probe.studies.readout.read_out` tells them
    apart, and gives the effective number of layers. They are computed from means over images, so that measurement noise
    at weak layers raises the ratio.

    `effect`: from :func:`mllm_probe.effect`, at all strengths or one of them. `control`: the kind of control that the
    effect is a difference from; ``difference`` (random directions) without it. Returns: float64: ``peak_layer``
    (concept, …), the decoder block of the largest absolute effect, the first of equal ones; ``participation_ratio``
    (concept, …), in layers; ``mean_over_concepts`` (layer, …), in the effect's unit. Cells that are not finite do not
    count; NaN where nothing is left, or every effect is 0. Raises ValueError if the dataset is no effect, or has no
    such control.
    """
    require(effect, "difference", dims=(CONCEPT, LAYER), what="the effect whose layers are summarised")
    values = effect["difference"] if control is None else _from(effect, control)
    # Without companions of the layers: a profile's relative depth would clash with that of its peak.
    finite = values.where(np.isfinite(values)).reset_coords(drop=True).drop_attrs()
    filled = finite.fillna(0.0).pad({LAYER: (0, 1)}, constant_values=0.0)  # without any layer, there is a peak of 0
    place = abs(filled).argmax(LAYER)
    peak = filled.isel({LAYER: place}, drop=True)
    part = (filled * np.sign(peak)).clip(min=0)
    known = peak != 0
    summary = xr.Dataset(
        {
            "peak_layer": place.copy(data=np.append(effect[LAYER].values, -1)[place.values]).where(known),
            "participation_ratio": _ratio(part).assign_attrs(units="layers"),
            "mean_over_concepts": finite.mean(CONCEPT).assign_attrs(values.attrs),
        }
    )
    return summary.assign_coords(effect.drop_dims(CONTROL, errors="ignore").coords)


def participation_ratio(values: xr.DataArray) -> xr.DataArray:
    """Participation ratio over layers of a profile, of its values that have the sign of the largest, in layers.

    `values`: NaN does not count.
    """
    filled = values.fillna(0.0)
    peak = filled.isel({LAYER: abs(filled).argmax(LAYER)}, drop=True)
    return _ratio((filled * np.sign(peak)).clip(min=0))


def _ratio(part: xr.DataArray) -> xr.DataArray:
    return part.sum(LAYER) ** 2 / (part**2).sum(LAYER)


def _from(effect: xr.Dataset, control: str) -> xr.DataArray:
    kinds = [str(kind) for kind in effect[CONTROL].values] if CONTROL in effect.dims else []
    if control not in kinds:
        raise ValueError(f"the effect has no control '{control}'; it has {', '.join(kinds) or 'none'}.")
    return effect["difference_from"].isel({CONTROL: kinds.index(control)}, drop=True)
