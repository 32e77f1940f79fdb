"""How often directions that mean nothing for a word are called clear of controls, on a bundled model.

Null "concepts" take the place of real ones, in a sweep at the settings of the lab's map: isotropic directions; sums of
deviations of activations (as on-manifold controls, from other seeds); vectors from exchanged labels; vectors between
random halves of one class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass

import numpy as np
import torch
import xarray as xr

import mllm_probe as mp
from mllm_probe import schema
from mllm_probe.concepts import Concept, ConceptLibrary, Picture, neutral_images
from mllm_probe.metrics.statistics import wilson_interval
from mllm_probe.models import ProbeModel
from mllm_probe.steering.operations import random_direction
from mllm_probe.studies.effect import LARGEST_P

STRENGTHS = (0.5, 1.0, 2.0)
METRICS = ("logprob", "named", "score")
RUN = ("logprob", "named", "kept", "perplexity")
"""What these are made of."""
OWN_SEED = 1_000_000
"""Seeds of null directions begin here: those of the controls are small."""


@dataclass(frozen=True)
class Called:
    """Cells that were called clear.

    Attributes
    ----------
    cells, tested, clear, in_grid : int
        All cells, those with a test, those clear of controls, and those that pass in the grid.
    promised : int
        False cells that captions of figures expect at most.
    """

    cells: int
    tested: int
    clear: int
    in_grid: int
    promised: int

    @property
    def share(self) -> float:
        """Share of the cells that are clear."""
        return self.clear / self.cells

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the share, as if cells were independent."""
        low, high = wilson_interval(self.clear, self.cells)
        return float(low), float(high)

    def __add__(self, other: Called) -> Called:
        return Called(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class Ground:
    """What nulls are made of.

    Attributes
    ----------
    model : ProbeModel
    fit : ConceptLibrary
        Whose images make vectors.
    vectors : Dataset
        Of the real concepts.
    images : list of Picture
        Neutral ones, which are steered.
    """

    model: ProbeModel
    fit: ConceptLibrary
    vectors: xr.Dataset
    images: list[Picture]


def ground(name: str = "scenes-8l", pairs: int = 24) -> Ground:
    """The real concepts of a bundled model."""
    model, library = mp.load(name), mp.concepts.scenes(pairs=pairs)
    fit, held_out = library.split(seed=0)
    vectors = mp.concept_vectors(model, fit, probe_accuracy=False)
    return Ground(model, fit, vectors, neutral_images(held_out, 14))


def called(on: Ground, vectors: xr.Dataset, **settings: object) -> tuple[dict[str, Called], dict[str, xr.Dataset]]:
    """Verdicts of a sweep with these vectors by each of `METRICS`, and its effects."""
    options: dict[str, object] = {"strengths": STRENGTHS, "metrics": RUN, "progress": False} | settings
    grid = mp.sweep(on.model, vectors, on.images, **options)
    effects = {metric: mp.effect(grid, metric) for metric in METRICS}
    return {metric: counted(effect) for metric, effect in effects.items()}, effects


def counted(effect: xr.Dataset) -> Called:
    """Verdicts of the cells of an effect."""
    passing = int(effect["clear_in_grid"].sum())
    return Called(
        cells=int((effect["n"] > 0).sum()),
        tested=int(np.isfinite(effect["q"]).sum()),
        clear=int(effect["clear_of_controls"].sum()),
        in_grid=passing,
        promised=math.ceil(LARGEST_P * passing),
    )


def answered(on: Ground, concepts: int | None = None) -> xr.Dataset:
    """Cells of real concepts by what their answers are worth.

    Parameters
    ----------
    on : Ground
    concepts : int, optional
        How many concepts, evenly over the categories; all by default.

    Returns
    -------
    Dataset (concept, layer, strength) of bool
        ``screened``, ``scored``: pass in the grid by log-probability, by score; ``never``: never named; ``useful``:
        named in half of the images or more, and keeping .8 of what unsteered answers keep.
    """
    step = 1 if concepts is None else on.vectors.sizes["concept"] // concepts
    vectors = on.vectors.isel(concept=slice(None, None, step))
    metrics = ("logprob", "named", "kept", "perplexity")
    grid = mp.sweep(on.model, vectors, on.images, strengths=STRENGTHS, metrics=metrics, progress=False)
    own = grid.sel(control="concept").isel(draw=0).where(grid.eligible)
    kept = (own.kept / grid.kept_unsteered.where(grid.kept_unsteered > 0)).mean("sample")
    screen, score = mp.effect(grid, "logprob"), mp.effect(grid, "score")
    return xr.Dataset(
        {
            "screened": screen.clear_in_grid,
            "scored": score.clear_in_grid,
            "never": score.never_named,
            "useful": ((own.named.mean("sample") >= 0.5) & (kept >= 0.8)).transpose(*score.never_named.dims),
        }
    )


def isotropic(on: Ground, seed: int) -> xr.Dataset:
    """Isotropic unit vectors."""
    shape = on.vectors["vector"].shape
    drawn = [random_direction(OWN_SEED + seed, 2 * number, shape[-1]) for number in range(shape[0])]
    return _with(on.vectors, torch.stack(drawn)[:, None, None].expand(shape))


def covariance(on: Ground, seed: int) -> xr.Dataset:
    """Sums of deviations of activations with random weights, of the covariance that activations have."""
    kept = torch.from_numpy(on.vectors["manifold"].transpose("manifold_sample", "scope", "layer", "hidden").values)
    rng = np.random.default_rng([OWN_SEED, seed])
    weights = torch.from_numpy(rng.standard_normal((on.vectors.sizes["concept"], len(kept)))).float()
    return _with(on.vectors, torch.einsum("cm,msld->csld", weights, kept.float()))


def reshuffled(on: Ground, seed: int) -> xr.Dataset:
    """Vectors of the concepts' own pairs with half of the labels exchanged."""
    drawn = mp.concept_vectors(on.model, on.fit, shuffled_draws=1, seed=OWN_SEED + seed, probe_accuracy=False)
    return _with(on.vectors, torch.from_numpy(drawn["shuffled"].isel(draw=0).values))


def half_class(on: Ground, seed: int) -> xr.Dataset:
    """Vectors between random halves of the images that lack a concept."""
    rng = np.random.default_rng([OWN_SEED, seed])
    halves = []
    for name, concept in on.fit.items():
        order = [concept.negative[place] for place in rng.permutation(len(concept.negative))]
        middle = len(order) // 2
        sides = order[:middle], order[middle:]
        halves.append(Concept(name, concept.category, concept.words, *sides, paired=False))
    made = mp.concept_vectors(on.model, ConceptLibrary(halves), shuffled_draws=0, probe_accuracy=False)
    return _with(on.vectors, torch.from_numpy(made["vector"].values))


NULLS: Mapping[str, Callable[[Ground, int], xr.Dataset]] = {
    "isotropic": isotropic,
    "covariance-drawn": covariance,
    "reshuffled": reshuffled,
    "half-class": half_class,
}


def _with(vectors: xr.Dataset, directions: torch.Tensor) -> xr.Dataset:
    """The vectors' words, norms and controls, with other directions."""
    dims = ("concept", "scope", "layer", "hidden")
    return vectors.assign(vector=(dims, directions.numpy().astype(np.float32)))


def some(vectors: xr.Dataset, concepts: int) -> xr.Dataset:
    """So many of the concepts, evenly over the categories."""
    chosen = np.linspace(0, vectors.sizes[schema.CONCEPT], concepts, endpoint=False).astype(int)
    return vectors.isel({schema.CONCEPT: chosen})
