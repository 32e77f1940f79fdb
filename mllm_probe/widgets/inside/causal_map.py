"""What each patch of a pair brings along by itself, layer by layer: a grid of `patch` as an overlay shows it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from mllm_probe import schema

UNIT = "of the difference"


@dataclass(frozen=True, eq=False)
class CausalMap:
    """Recovered share of single patches of one pair.

    `values` (float32 array [layer, row, column]): (patched − base) / (source − base); NaN where the grid holds no
    patch. `layers`: coordinates; -1 is the input of block 0. `ids`: content hashes of the pair's images.
    """

    values: np.ndarray
    layers: list[int]
    concept: str
    meaning: str
    prompt: str
    ids: tuple[str, str]


def causal_map(grid: xr.Dataset, concept: str, sample: int, direction: str, metric: str) -> CausalMap:
    """The map of one pair.

    `grid`: from ``mp.patch(…, groups="patches")``. `sample`: number of the pair. `direction`: {"insert", "remove"}.
    Raises ValueError if the grid holds no single patches or not this pair, or its runs differ by less than
    ``minimum_gap``.
    """
    what = "the grid of mp.patch"
    schema.require(grid, metric, f"{metric}_base", f"{metric}_source", dims=(schema.GROUP, schema.DIRECTION), what=what)
    place = {schema.CONCEPT: concept, schema.DIRECTION: direction, schema.SAMPLE: sample}
    for dim, value in place.items():
        if value not in grid[dim].values:
            raise ValueError(f"{dim} {value!r} is not in {what}; it has {', '.join(map(str, grid[dim].values[:12]))}.")
    names = [str(group) for group in grid[schema.GROUP].values]
    single = [i for i, name in enumerate(names) if name.startswith("patch ")]
    if not single:
        raise ValueError(f"{what} holds no single patches: run mp.patch(model, library, groups='patches').")
    one = grid.sel({**place, schema.CONTROL: "pair"}).isel({schema.GROUP: single})
    row, column = one[schema.PATCH_ROW].values, one[schema.PATCH_COLUMN].values
    base = one[f"{metric}_base"].transpose(schema.LAYER, schema.GROUP).values
    gap = float(one[f"{metric}_source"]) - float(base.mean())
    least = float(grid.attrs.get("minimum_gap", 0.0))
    if not abs(gap) >= least:
        raise ValueError(
            f"the runs of pair {sample} of '{concept}' differ by {gap:.2g}, less than {least:g} ('minimum_gap'), so "
            "that shares of it mean nothing: choose another pair."
        )
    values = np.full((one.sizes[schema.LAYER], row.max() + 1, column.max() + 1), np.nan, np.float32)
    values[:, row, column] = (one[metric].transpose(schema.LAYER, schema.GROUP).values - base) / gap
    label = str(grid[metric].attrs.get("long_name", metric))
    meaning = f"1 = this patch alone brings all of the difference ({direction}) in the {label}, 0 = nothing of it"
    layers = [int(layer) for layer in grid[schema.LAYER].values]
    ids = (str(one[schema.POSITIVE].values), str(one[schema.NEGATIVE].values))
    return CausalMap(values, layers, concept, meaning, str(grid.attrs.get("prompt", "")), ids)
