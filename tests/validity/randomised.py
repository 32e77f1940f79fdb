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

PAIRS = 8
"""Of each concept, for `fitness`."""
LARGEST_P = 0.05
CONTRAST = ("abstract", "entity")
_CONCEPTS, _MANY_PAIRS = 6, 16
_PERMUTATIONS = 4999


@dataclass(frozen=True)
class Contrasts:
    """Differences between categories in the depth at which the last prompt token has taken concepts over.

    Attributes
    ----------
    seed : int
        Of the shuffled weights.
    concepts : int
        That have a depth: 6 pairs or more differ in the right direction.
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


def contrasts(model: ProbeModel, seed: int, pairs: int = _MANY_PAIRS, concepts: int = _CONCEPTS) -> Contrasts:
    """Contrasts between categories in the model with shuffled weights, every pair counting that can."""
    grid = mp.patch(
        mp.randomised(model, seed), _library(pairs, concepts), groups="image", direction="insert", controls=(),
        minimum_gap=0, progress=False,
    )  # fmt: skip
    shares = mp.recovered(grid)["recovered"].sel(group="image", direction="insert", control="pair")
    # The share is 1 before block 0 and 0 after the last one: its sum over the sites between is the mean of the
    # read-out profile, minus its first difference.
    depth = shares.isel(layer=slice(1, None)).sum("layer", skipna=False) / (shares.sizes["layer"] - 1)
    known = depth.values[np.isfinite(depth.values)], depth["category"].values[np.isfinite(depth.values)]
    return Contrasts(seed, len(known[0]), *permuted(*known, seed))


def permuted(values: np.ndarray, categories: np.ndarray, seed: int) -> tuple[float, float, float]:
    """The contrast of two categories, its p, and the p of the largest contrast, by permutation of the categories."""
    rng = np.random.default_rng(seed)
    names = np.unique(categories)
    labels = np.stack([categories, *(rng.permutation(categories) for _ in range(_PERMUTATIONS))])
    means = {name: np.where(labels == name, values, 0).sum(1) / (categories == name).sum() for name in names}
    differences = np.stack([abs(means[one] - means[two]) for one, two in itertools.combinations(names, 2)])
    own = means[CONTRAST[0]] - means[CONTRAST[1]]
    return float(own[0]), _p(abs(own)), _p(differences.max(0))


def _p(statistics: np.ndarray) -> float:
    """Share of permutations, and the labels themselves, that are as far out as these; they are the first."""
    return float((statistics >= statistics[0] - 1e-12).mean())


@cache
def _library(pairs: int, concepts: int) -> ConceptLibrary:
    """So many concepts of each category, at the first places of the list."""
    every = mp.concepts.scenes(pairs=pairs, seed=1)
    by_category = {category: [n for n, c in every.items() if c.category == category] for category in every.categories}
    return every.subset(concepts=[name for names in by_category.values() for name in names[:concepts]])
