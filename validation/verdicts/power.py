"""How many cells of planted concepts, whose effects are known, are called clear of controls.

Models are planted with three concepts that have a cause and with distractors, other contents that all images bear: the
more of these, the more dimensions activations have. On-manifold controls are drawn from activations, so that in few
dimensions they carry the concept itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

import mllm_probe as mp
from mllm_probe.metrics.statistics import wilson_interval
from mllm_probe.studies.truth import PlantedTruth, plant

KINDS = ("local", "distributed", "decoy")
SCOPES = ("image", "last_prompt")
METRICS = ("logit", "logprob")
LAYERS, WIDTH, PAIRS = 8, 512, 128
IMAGES, DRAWS = 12, 8
DISTRACTORS = (128, 42, 17, 6, 1)
"""Effective ranks of about 64, 32, 16, 7 and 2."""
NAMES = ("clear", "in_grid", "clear_of_random")


@dataclass(frozen=True)
class Power:
    """Verdicts of cells of planted models.

    Attributes
    ----------
    cells : Dataset (cell)
        Of every cell: ``concept``, ``scope``, ``metric``; ``caused``: its true effect is above 0; ``clear``: clear of
        controls, by default random and on-manifold ones; ``in_grid``; ``clear_of_random``: of random ones alone;
        ``rank``: effective rank of the pooled activations that on-manifold controls are drawn from.
    """

    cells: xr.Dataset

    def __add__(self, other: Power) -> Power:
        return Power(xr.concat([self.cells, other.cells], "cell"))

    def of(self, **chosen: object) -> Power:
        """Cells that have one concept, scope or metric."""
        keep = np.all([self.cells[name].values == value for name, value in chosen.items()], axis=0)
        return Power(self.cells.isel(cell=np.flatnonzero(keep)))

    @property
    def size(self) -> int:
        """How many cells there are."""
        return int(self.cells.sizes["cell"])

    def share(self, name: str = "clear") -> float:
        """Share of the cells that pass."""
        return float(self.cells[name].mean())

    def interval(self, name: str = "clear") -> tuple[float, float]:
        """95 % Wilson interval of the share, as if cells were independent."""
        low, high = wilson_interval(int(self.cells[name].sum()), self.size)
        return float(low), float(high)

    @property
    def rank(self) -> float:
        """Median effective rank."""
        return float(self.cells["rank"].median())


def measure(distractors: int, seed: int, *, layers: int = LAYERS, width: int = WIDTH, pairs: int = PAIRS) -> Power:
    """Steer a planted model in unit ``vector`` with its mean differences, on images that did not make them."""
    truth = plant(layers, seed % layers, width=width, kinds=KINDS, distractors=distractors, pairs=pairs, seed=seed)
    fit, held_out = truth.library.split(seed=0)
    vectors = mp.concept_vectors(truth.model, fit, probe_accuracy=False)
    kept = vectors["manifold"].transpose("scope", "layer", "manifold_sample", "hidden").astype(np.float64)
    parts = []
    for name in KINDS:
        for scope in SCOPES:
            grid = mp.sweep(
                truth.model, vectors.sel(concept=[name]), held_out[name].negative[:IMAGES], strengths=(1,),
                tokens=scope, unit="vector", metrics=METRICS, draws=DRAWS, seed=seed, progress=False,
            )  # fmt: skip
            ranks = [effective_rank(one) for one in kept.sel(scope=scope).values]
            parts += [_cells(truth, mp.effect(grid, metric), name, scope, metric, ranks) for metric in METRICS]
    return Power(xr.concat(parts, "cell"))


def effective_rank(activations: np.ndarray) -> float:
    """Participation ratio of the covariance's eigenvalues, (Σλ)²/Σλ², of activations [samples, hidden]."""
    values = np.linalg.svd(activations - activations.mean(0), compute_uv=False) ** 2
    return float(values.sum() ** 2 / (values**2).sum())


def _cells(
    truth: PlantedTruth, effect: xr.Dataset, name: str, scope: str, metric: str, ranks: list[float]
) -> xr.Dataset:
    one = effect.sel(concept=name, strength=1.0)
    planted = truth.truth["effect"].sel(concept=name, scope=scope, layer=one["layer"].values)
    count = one.sizes["layer"]
    columns = {
        "concept": [name] * count,
        "scope": [scope] * count,
        "metric": [metric] * count,
        "caused": planted.values > 1e-9,
        "clear": one["clear_of_controls"].values,
        "in_grid": one["clear_in_grid"].values,
        "clear_of_random": one["clear"].sel(control="random").values,
        "rank": ranks,
    }
    return xr.Dataset({key: ("cell", np.asarray(values)) for key, values in columns.items()})
