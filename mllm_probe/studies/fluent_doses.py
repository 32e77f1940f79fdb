"""Fluent doses: up to which strength the answers of a sweep keep their perplexity."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mllm_probe.schema import CONCEPT, CONTROL, DRAW, LAYER, SAMPLE, STRENGTH

PERPLEXITY = "perplexity"
LARGEST_RATIO = 2.0
"""Perplexity ratio below which an answer passes for fluent."""


def perplexity_by_dose(grid: xr.Dataset, concept: str, layer: int) -> list[list[float]]:
    """Perplexity ratio of the answers at every strength that was run.

    `grid`: from :func:`mllm_probe.sweep` with metric ``"perplexity"``, whole or still filling. Returns list of
    [strength, ratio]: by strength; the ratio to the unsteered answer's, its geometric mean over images, since one
    broken answer has a ratio of thousands. Strengths without any finite ratio are left out; empty where the grid lacks
    the concept, layer or metric.
    """
    if PERPLEXITY not in grid or concept not in grid[CONCEPT].values or layer not in grid[LAYER].values:
        return []
    cell = grid[PERPLEXITY].sel({CONCEPT: concept, LAYER: layer, CONTROL: "concept"}).isel({DRAW: 0})
    ratios = []
    for strength, row in zip(grid[STRENGTH].values, cell.transpose(STRENGTH, SAMPLE).values, strict=True):
        finite = row[np.isfinite(row)]
        if finite.size:
            ratios.append([float(strength), float(np.exp(np.log(finite).mean()))])
    return sorted(ratios, key=lambda pair: pair[0])


def fluent_range(doses: list[list[float]]) -> tuple[float, float]:
    """Lowest and highest strength around 0 up to which every dose that was run stays below `LARGEST_RATIO`.

    `doses` (list of [strength, ratio]): from `perplexity_by_dose`.
    """
    low = high = 0.0
    for strength, ratio in sorted(doses, key=lambda pair: abs(pair[0])):
        if strength > 0 and not _blocked(doses, high, strength) and ratio < LARGEST_RATIO:
            high = strength
        if strength < 0 and not _blocked(doses, low, strength) and ratio < LARGEST_RATIO:
            low = strength
    return low, high


def _blocked(doses: list[list[float]], reached: float, strength: float) -> bool:
    """Whether a dose between those two, on the way out from 0, is not fluent."""
    low, high = sorted((reached, strength))
    return any(low < other < high and ratio >= LARGEST_RATIO for other, ratio in doses)
