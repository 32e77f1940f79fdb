"""Verdicts on planted causes in live decoders, by the number of draws: what passes, what does not, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

import mllm_probe as mp
from mllm_probe.studies.effect import LARGEST_P
from validation.truth.live_plants import LivePlants, live_plants

SEEDS = tuple(range(1, 11))
DRAWS = (4, 8, 16, 32)
QUICK_DRAWS = (4, 8, 16)
COUNTED = ("mlp", "late", "spread")
"""Concepts whose true cells make up the target; decoy and idle are reported beside."""
TARGET = 145 / 170
"""Share of the true cells that should pass in the grid."""
LIMITS = ("random", "on_manifold", "interval", "grid")


@dataclass(frozen=True)
class Verdicts:
    """Cells of planted models.

    `cells` (Dataset (draws, cell)): ``concept``; ``caused``: an edit there reaches the word; ``clear``; ``in_grid``,
    of one grid of all five concepts; ``alone``, of a grid of each concept;
    ``limit``: what keeps the cell out, one of `LIMITS`: p of a control, the interval, or the grid's q; "" if it passes.
    `default`: draws that a sweep takes if it is not told.
    """

    cells: xr.Dataset
    default: int

    def count(self, draws: int, concepts: tuple[str, ...], name: str, *, caused: bool) -> int:
        """How many cells of some concepts pass, with or without a cause; of name ``cells``, how many there are."""
        cells = self.cells.sel(draws=draws)
        chosen = cells["concept"].isin(concepts) & (cells["caused"] == caused)
        return int(chosen.sum() if name == "cells" else (chosen & cells[name]).sum())

    def limited(self, draws: int, limit: str) -> int:
        """How many cells with a cause of the counted concepts are kept out by one limit."""
        cells = self.cells.sel(draws=draws)
        return int((cells["concept"].isin(COUNTED) & cells["caused"] & (cells["limit"] == limit)).sum())


def measure(seeds: tuple[int, ...] = SEEDS, draws: tuple[int, ...] = DRAWS) -> Verdicts:
    """Steer with mean differences in unit ``vector`` on images that did not make them, one grid for each model."""
    parts, default = [], 0
    for seed in seeds:
        plants = live_plants(seed)
        fit, held_out = plants.library.split(seed=0)
        sites = ["input", *range(len(plants.model.layers))]
        vectors = mp.concept_vectors(plants.model, fit, tokens="image", layers=sites, probe_accuracy=False)
        options = {
            "strengths": (1,), "tokens": "image", "unit": "vector", "metrics": ("logprob",), "seed": seed,
            "progress": False,
        }  # fmt: skip
        # Draws have their own seeds: the first eight of thirty-two are those of a sweep with eight.
        grid = mp.sweep(plants.model, vectors, held_out, layers=sites, draws=max(draws), **options)
        parts.append(xr.concat([_cells(plants, grid.isel(draw=slice(count))) for count in draws], "draws"))
        default = default or mp.sweep(plants.model, vectors, held_out, layers=[0], **options).sizes["draw"]
    return Verdicts(xr.concat(parts, "cell").assign_coords(draws=list(draws)), default)


def rows_per_cell(draws: int) -> int:
    """Rows that a cell takes on each image: its own, and the draws of both default controls."""
    return 1 + 2 * draws


def _cells(plants: LivePlants, grid: xr.Dataset) -> xr.Dataset:
    effect = mp.effect(grid, "logprob").sel(strength=1.0).stack(cell=("concept", "layer"))
    concepts, layers = effect["concept"].values, effect["layer"].values
    each = [mp.effect(grid.sel(concept=[name]), "logprob") for name in grid["concept"].values]
    alone = xr.concat(each, "concept")["clear_in_grid"].sel(strength=1.0).stack(cell=("concept", "layer")).astype(bool)
    clear, passes = effect["clear_of_controls"].values.astype(bool), effect["clear_in_grid"].values.astype(bool)
    p = effect["p"].transpose("cell", "control")
    # Of two controls that the cell is not clear of, the one with the larger p.
    worst = p["control"].values[p.fillna(-1).values.argmax(-1)]
    limit = np.where(passes, "", np.where(clear, "grid", np.where((p <= LARGEST_P).all("control"), "interval", worst)))
    columns = {
        "concept": concepts,
        "caused": [plants.caused(str(name), int(layer)) for name, layer in zip(concepts, layers, strict=True)],
        "clear": clear,
        "in_grid": passes,
        "alone": alone.values,
        "limit": limit.astype(str),
    }
    return xr.Dataset({key: ("cell", np.asarray(values)) for key, values in columns.items()})
