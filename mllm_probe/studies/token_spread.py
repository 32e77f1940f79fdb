"""Spread over the image: how many image tokens carry a concept, by interchange of single ones."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mllm_probe.schema import CONTROL, DIRECTION, DIRECTIONS, GROUP, LAYER, SAMPLE
from mllm_probe.studies.readout import LEAST_AGREEMENT
from mllm_probe.studies.recovery import moved_and_gap


def effective_tokens(grid: xr.Dataset, metric: str = "logprob") -> xr.Dataset:
    r"""Effective number of image tokens that bring a concept along.

    `grid`: from :func:`mllm_probe.patch` with ``groups="patches"``, both directions, at one layer. `metric`: one of its
    metrics. Returns: ``effective_tokens``: :math:`(\sum a)(\sum b) / \sum ab` over image tokens, of the recovered
    shares a and b of each when the pair's concept is inserted and when it is removed, numerator and denominator
    averaged over pairs: 1 where one token carries it, n where n carry equal shares. The two directions are runs on
    different images, so that their noise is independent and does not widen it, as halves do for
    :func:`mllm_probe.studies.read_out`; halves of the pairs cannot, since each pair has its concept elsewhere.
    ``token_agreement``: :math:`\sum ab / \sqrt{\sum a^2 \sum b^2}`; below .5 the number is NaN. Raises ValueError if it
    is no such grid.
    """
    moved, gap, least = moved_and_gap(grid, metric)
    single = [name for name in grid[GROUP].values.tolist() if name.startswith("patch ")]
    if not single or set(grid[DIRECTION].values.tolist()) != set(DIRECTIONS) or grid.sizes[LAYER] != 1:
        raise ValueError(
            "expected a patch of single image tokens at one layer in both directions; it has groups "
            f"{', '.join(map(str, grid[GROUP].values[:3]))} …, directions {', '.join(grid[DIRECTION].values)} and "
            f"{grid.sizes[LAYER]} layers. Run mp.patch(…, groups='patches', layers=['input'])."
        )
    counted = (gap >= least).all(DIRECTION)
    share = (moved.sel({GROUP: single, CONTROL: "pair"}, drop=True).isel({LAYER: 0}, drop=True) / gap).where(counted)
    a, b = (share.sel({DIRECTION: way}, drop=True).astype(np.float64) for way in DIRECTIONS)
    shared, sizes = (a * b).sum(GROUP, skipna=False), [(one**2).sum(GROUP, skipna=False) for one in (a, b)]
    agreement = shared.mean(SAMPLE) / (sizes[0].mean(SAMPLE) * sizes[1].mean(SAMPLE)) ** 0.5
    total = a.sum(GROUP, skipna=False) * b.sum(GROUP, skipna=False)
    number = (total.mean(SAMPLE) / shared.mean(SAMPLE)).where(agreement >= LEAST_AGREEMENT)
    found = {"effective_tokens": number.assign_attrs(units="image tokens"), "token_agreement": agreement}
    return xr.Dataset({name: one.reset_coords(drop=True) for name, one in found.items()})
