"""What is found in models whose weights are shuffled, where nothing is to be found.

Which concepts are fit to be studied; and, with that gate forced open, whether categories of concepts differ in where
interchange interventions place them more than under random categories.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache

import numpy as np
import xarray as xr

import mllm_probe as mp
from mllm_probe.concepts import ConceptLibrary
from mllm_probe.models import ProbeModel
from mllm_probe.studies.readout import moved_and_gap

PAIRS = 12
"""Of each concept, for `fitness`."""
CONCEPTS, FEW_PAIRS = 8, 6
"""Of each category, and of each of these, for `contrasts`."""
LARGEST_P = 0.05
CONTRAST = ("abstract", "entity")
_PERMUTATIONS = 4999


@dataclass(frozen=True)
class Contrasts:
    """Differences between categories in the mean depth at which blocks read concepts out of the image tokens.

    Attributes
    ----------
    seed : int
        Of the shuffled weights.
    concepts : int
        That have a depth.
    difference : float
        Mean depth of abstract concepts minus that of entities, in shares of the model's depth.
    p : float
        Of this difference, over random categories.
    largest_p : float
        Of the largest difference of any two categories.
    """

    seed: int
    concepts: int
    difference: float
    p: float
    largest_p: float


def fitness(model: ProbeModel, seed: int, library: ConceptLibrary | None = None) -> xr.Dataset:
    """`mp.check` of all concepts of the drawn world in the model with shuffled weights."""
    return mp.check(mp.randomised(model, seed), library or mp.concepts.scenes(pairs=PAIRS))


def contrasts(model: ProbeModel, seed: int, concepts: int = CONCEPTS, pairs: int = FEW_PAIRS) -> Contrasts:
    """Contrasts between categories in the model with shuffled weights, with every gate forced open.

    Every concept counts, and every pair, whichever way its images differ: shares are those of |source − base|.
    """
    grid = mp.patch(
        mp.randomised(model, seed), _library(concepts, pairs), layers=model.layers[:-1], groups="image",
        direction="insert", controls=(), minimum_gap=0, progress=False,
    )  # fmt: skip
    moved, gap, _ = moved_and_gap(grid, "logprob")
    moved = moved.sel(group="image", direction="insert", control="pair")
    gap = gap.sel(direction="insert")
    shares = (moved * np.sign(gap)).sum("sample") / abs(gap).sum("sample")
    # The share is 1 before block 0, which holds the images, and 0 after the last block, which nothing reads but the
    # last prompt token: the sum over the blocks between is the centre of the read-out profile, its first difference.
    depth = (1 + shares.sum("layer")) / len(model.layers)
    known = np.isfinite(depth.values)
    return Contrasts(seed, int(known.sum()), *permuted(depth.values[known], depth["category"].values[known], seed))


def permuted(values: np.ndarray, categories: np.ndarray, seed: int) -> tuple[float, float, float]:
    """The contrast of two categories, its p, and the p of the largest contrast, by permutation of the categories."""
    names, own = np.unique(categories, return_inverse=True)
    rng, every = np.random.default_rng(seed), np.broadcast_to(own, (_PERMUTATIONS + 1, len(own))).copy()
    every[1:] = rng.permuted(every[1:], axis=1)
    means = {
        str(name): np.where(every == number, values, 0).sum(1) / (own == number).sum()
        for number, name in enumerate(names)
    }
    differences = np.stack([abs(means[one] - means[two]) for one, two in itertools.combinations(means, 2)])
    contrast = means[CONTRAST[0]] - means[CONTRAST[1]]
    return float(contrast[0]), _p(abs(contrast)), _p(differences.max(0))


def _p(statistics: np.ndarray) -> float:
    """Share of permutations, and the labels themselves, that are as far out as these; they are the first."""
    return float((statistics >= statistics[0] - 1e-12).mean())


@cache
def _library(concepts: int, pairs: int) -> ConceptLibrary:
    """So many concepts of each category, at the first places of the list."""
    every = mp.concepts.scenes(pairs=pairs, seed=1)
    by_category = {category: [n for n, c in every.items() if c.category == category] for category in every.categories}
    return every.subset(concepts=[name for names in by_category.values() for name in names[:concepts]])
