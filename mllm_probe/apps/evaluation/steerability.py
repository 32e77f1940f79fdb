"""Steerability of a model's answers: cells chosen on fit images, reported on held-out ones."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from scipy import stats

import mllm_probe as mp
from mllm_probe.concepts import Picture
from mllm_probe.concepts.drawn import Drawing
from mllm_probe.metrics.statistics import wilson_interval
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.scenes.pairs import neutral
from mllm_probe.scenes.scene import true_concepts
from mllm_probe.scenes.vocabulary import CATEGORIES, CONCEPTS
from mllm_probe.studies.best_cell import best_places, named_and_kept

SCOPES: dict[str, tuple[str, ...]] = {
    "last": ("last_prompt",),
    "last and new": ("last_prompt", "generated"),
    "image": ("image",),
    "image and last": ("image", "last_prompt"),
}
STRENGTHS: dict[str, tuple[float, ...]] = {
    "last": (1.0, 1.5, 2.0, 3.0),
    "last and new": (0.75, 1.0, 1.5),
    "image": (1.25, 1.5),
    "image and last": (1.0, 1.5),
}
"""By scope, in residual norms: the fewer positions, the larger the dose that leaves the answer whole."""
DRAWS = 16
_SIDE = 224
_FIT, _HELD = 31, 32
_LONGEST = 12


@dataclass(frozen=True)
class Cell:
    """Scope, layer and strength at which a concept is added."""

    scope: str
    layer: int
    strength: float


@dataclass(frozen=True)
class Steered:
    """Result of one concept at its cell on held-out images.

    Parameters
    ----------
    concept : str
    cell : Cell
    named, n : int
        Images in which the steered answer names it, of those that lack it and whose plain answer does not name it.
    kept : float
        Share of the true content that the answer still names.
    random : ndarray [draws]
        Share of images in which the answer names the concept under each random direction at the same cell.
    plain : float
        Share of all neutral images in which the plain answer names it.
    """

    concept: str
    cell: Cell
    named: int
    n: int
    kept: float
    random: np.ndarray
    plain: float

    @property
    def share(self) -> float:
        """Share of images in which the concept is named."""
        return self.named / self.n


def neutral_pictures(count: int, seed: int) -> list[Picture]:
    """Return images of things standing freely, some with a neutral face, labelled with all that they show."""
    names = list(CONCEPTS)
    pictures = []
    for number in range(count):
        scene = neutral(names[(number * 7) % len(names)], np.random.default_rng([seed, number]))
        pictures.append(Picture(Drawing(scene, _SIDE), labels=frozenset(true_concepts(scene))))
    return pictures


def _sweep(model: ProbeModel, vectors: xr.Dataset, pictures: Sequence[Picture], scope: str, layers: Sequence[int],
           strengths: Sequence[float], controls: Sequence[str] = ()) -> xr.Dataset:  # fmt: skip
    return mp.sweep(
        model,
        vectors,
        pictures,
        layers=layers,
        strengths=strengths,
        tokens=SCOPES[scope],
        metrics=("named", "kept"),
        controls=controls,
        draws=DRAWS,
        max_new_tokens=_LONGEST,
        progress=False,
    )


def worth(model: ProbeModel, vectors: xr.Dataset, pictures: Sequence[Picture], scope: str) -> xr.DataArray:
    """Return named times kept of every concept at every layer and strength of a scope, [concept, layer, strength]."""
    return named_and_kept(_sweep(model, vectors, pictures, scope, list(model.layers), STRENGTHS[scope]))


def best_over_scopes(values: dict[str, xr.DataArray]) -> dict[str, Cell]:
    """Return the cell of each concept with the largest product of named and kept, of all scopes.

    Parameters
    ----------
    values : dict
        `worth` by scope, on fit images.

    Returns
    -------
    dict
        Cell by concept.

    Raises
    ------
    ValueError
        If no image is eligible for a concept.
    """
    best: dict[str, tuple[float, Cell]] = {}
    for scope, score in values.items():
        for concept, cell in best_places(score).items():
            if concept not in best or cell.score > best[concept][0]:
                best[concept] = cell.score, Cell(scope, cell.layer, cell.strength)
    missing = {str(name) for score in values.values() for name in score["concept"].values} - set(best)
    if missing:
        raise ValueError(
            f"no cell can be chosen for {', '.join(sorted(missing))}: expected images that lack it and whose "
            "unsteered answer does not name it, got none. Choose on more images (fit=)."
        )
    return {concept: cell for concept, (_, cell) in best.items()}


def at_cells(
    model: ProbeModel, vectors: xr.Dataset, pictures: Sequence[Picture], cells: dict[str, Cell]
) -> list[Steered]:
    """Return the result of each concept at its cell on held-out images, with random directions as controls.

    Parameters
    ----------
    model : ProbeModel
    vectors : Dataset
    pictures : sequence of Picture
        Held-out images.
    cells : dict
        From `best_over_scopes`.

    Returns
    -------
    list of Steered
    """
    together: dict[Cell, list[str]] = defaultdict(list)
    for concept, cell in cells.items():
        together[cell].append(concept)
    results = []
    for cell, concepts in together.items():
        some = vectors.sel(concept=concepts)
        grid = _sweep(model, some, pictures, cell.scope, [cell.layer], [cell.strength], ("random",)).isel(
            layer=0, strength=0
        )
        for concept in concepts:
            one = grid.sel(concept=concept)
            eligible = one["eligible"].values
            named = one["named"].sel(control="concept").isel(draw=0).values[eligible]
            kept = one["kept"].sel(control="concept").isel(draw=0).values[eligible]
            random = one["named"].sel(control="random").transpose("draw", "sample").values[:, eligible].mean(1)
            plain = float(np.nanmean(one["named_unsteered"].values))
            results.append(Steered(concept, cell, int(named.sum()), len(named), float(np.nanmean(kept)), random, plain))
    order = list(CONCEPTS)
    return sorted(results, key=lambda one: order.index(one.concept))


def _category_row(category: str, some: Sequence[Steered]) -> str:
    often = sum(one.share >= 0.9 for one in some)
    draws = np.mean([one.random for one in some], 0)
    half = stats.t.ppf(0.975, len(draws) - 1) * draws.std(ddof=1) / np.sqrt(len(draws))
    plain = np.mean([one.plain for one in some])
    return (
        f"| {category} | {often} of {len(some)} | {np.mean([one.share for one in some]):.3f} "
        f"| {np.mean([one.kept for one in some]):.3f} "
        f"| {draws.mean():.3f} ({max(0, draws.mean() - half):.3f} to {draws.mean() + half:.3f}) | {plain:.3f} |"
    )


def _concept_row(one: Steered) -> str:
    low, high = wilson_interval(one.named, one.n)
    cell = f"{one.cell.scope}, {one.cell.layer}, {one.cell.strength:g}"
    return (
        f"| {one.concept} | {cell} | {one.share:.3f} | {low:.3f} to {high:.3f} | {one.n} | {one.kept:.3f} "
        f"| {one.random.mean():.3f} |"
    )


def steerability_tables(folder: Path, pairs: int = 48, fit: int = 24, held: int = 48) -> list[str]:
    """Return the steerability tables of the model in a folder.

    Parameters
    ----------
    folder : Path
    pairs : int
        Counterfactual pairs per concept for the vectors.
    fit, held : int
        Neutral images on which cells are chosen, and on which they are reported.

    Returns
    -------
    list of str
        Markdown: by category, by concept.
    """
    model, vectors = concept_directions(folder, pairs)
    pictures = neutral_pictures(fit, _FIT)
    cells = best_over_scopes({scope: worth(model, vectors, pictures, scope) for scope in SCOPES})
    return tables_of(at_cells(model, vectors, neutral_pictures(held, _HELD), cells))


def concept_directions(folder: Path, pairs: int) -> tuple[ProbeModel, xr.Dataset]:
    """Return a model and the directions of all concepts, from scenes with the concept and the same scenes without."""
    model = mp.load(Path(folder).resolve())
    library = mp.concepts.scenes(negative="remove", pairs=pairs)
    return model, mp.concept_vectors(model, library, shuffled_draws=0, probe_accuracy=False)


def tables_of(results: Sequence[Steered]) -> list[str]:
    """Return the results as Markdown tables: by category, by concept."""
    by_category = [
        "### Steerability, on held-out neutral images",
        "",
        "Each concept's direction is added at the cell (scope, layer, strength in residual norms) that was best on "
        f"other images. Random: mean of {DRAWS} directions at the same cells, 95 % interval. Plain: unsteered.",
        "",
        "| | concepts named in 90 % of images or more | named | content kept | named, random | named, plain |",
        "|---|---|---|---|---|---|",
    ]
    for category in CATEGORIES:
        by_category.append(_category_row(category, [o for o in results if CONCEPTS[o.concept].category == category]))
    by_category.append(_category_row("all", results))
    by_concept = [
        "### Steerability by concept",
        "",
        "| | scope, layer, strength | named | 95 % interval | n | kept | random |",
        "|---|---|---|---|---|---|---|",
        *map(_concept_row, results),
    ]
    return ["\n".join(by_category), "\n".join(by_concept)]
