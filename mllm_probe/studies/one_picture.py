"""How the pictures of a grid become one number per cell: the mean, the median, or a single picture."""

from __future__ import annotations

import xarray as xr

from mllm_probe.schema import CONTROL, SAMPLE, SPLIT
from mllm_probe.studies.effect import effect as effect_of

AVERAGES = ("mean", "median", "single")
AVERAGE_LABELS = {"mean": "mean over images", "median": "median over images", "single": "one image"}


def summarised(grid: xr.Dataset, metric: str, average: str = "mean", sample: int = 0) -> xr.Dataset:
    """Effect of a grid, over its pictures or on one of them.

    `grid`: from `mllm_probe.sweep`, whole or still filling. `average`: {"mean", "median", "single"}. `sample`: which
    picture, for ``"single"``. Returns: as from `mllm_probe.effect`. One picture has no interval over pictures: there,
    ``clear_of_controls`` says that its score lies beyond the interval of the draws of every kind of control.
    """
    if average != "single":
        return effect_of(grid, metric, average=average)
    count = grid.sizes[SAMPLE]
    if not 0 <= sample < count:
        raise ValueError(f"there is no image {sample}; the grid has {count}, counted from 0.")
    found = effect_of(grid.isel({SAMPLE: [sample]}), metric)
    beyond = ((found["mean"] < found["control_low"]) | (found["mean"] > found["control_high"])).all(CONTROL)
    one = found.assign(clear_of_controls=beyond, clear_in_grid=beyond)
    return one.assign_attrs(average=average, interval="none", least_images=1)


def sample_labels(grid: xr.Dataset) -> list[str]:
    """Name each picture of a grid by its number, its split and the start of its content hash."""
    splits = grid[SPLIT].values if SPLIT in grid.coords else [""] * grid.sizes[SAMPLE]
    return [
        " · ".join(part for part in (f"image {i + 1}", str(split).replace("_", " "), str(name)[:8]) if part)
        for i, (split, name) in enumerate(zip(splits, grid[SAMPLE].values, strict=True))
    ]
