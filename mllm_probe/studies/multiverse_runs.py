"""The runs behind a multiverse: entities and abstract concepts steered at two places, in two units, at two doses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mllm_probe.concepts import ConceptLibrary
from mllm_probe.models import ProbeModel
from mllm_probe.schema import CATEGORY, CONCEPT, INPUT_NAME, SAMPLE, STRENGTH
from mllm_probe.studies.category_contrast import contrast
from mllm_probe.studies.effect import value_by_image
from mllm_probe.studies.multiverse import FEWEST_CONCEPTS, PLACES, Multiverse, asked, in_half
from mllm_probe.studies.readout import IMAGE, LAST_PROMPT
from mllm_probe.studies.study_runs import StudyRuns

CATEGORIES = ("abstract", "entity")
"""What is contrasted: the first minus the second."""
UNITS = ("residual", "vector")
GRIDS = tuple(f"every way, {place}, {unit}" for place in PLACES for unit in UNITS)
"""Names of the grids."""
STRENGTHS = (1.0, 2.0)
Halves = Callable[..., xr.DataArray]
_IMAGES, _DRAWS = 8, 4
_METRICS = ("logprob", "named", "kept", "perplexity")


def multiverse_grids(
    model: ProbeModel,
    library: ConceptLibrary | None = None,
    *,
    vectors: xr.Dataset | None = None,
    grids: Mapping[str, xr.Dataset] | None = None,
    prompt: str | None = None,
    seed: int = 0,
    store: str | Path | None = None,
    progress: bool = True,
) -> dict[str, xr.Dataset]:
    """Run what the multiverses of localization and scaling need, once for both.

    `model`, `library`, `vectors`, `grids`, `prompt`, `seed`, `store`, `progress`: as for
    :func:`mllm_probe.studies.localization`. Returns: for ``grids=`` of these studies; empty if the model tells fewer
    than two concepts of a category apart. Raises ValueError: as the studies.
    """
    run = StudyRuns(
        "multiverse", GRIDS, model, library, vectors=vectors, grids=grids, prompt=prompt, seed=seed, store=store,
        progress=progress,
    )  # fmt: skip
    return {} if run.subject.fitted is None else every_way(run)


def contrasted(run: StudyRuns) -> list[str]:
    """Entities and abstract concepts that are fit, the first eight of each; none where there are fewer than two."""
    by = {name: [c for c, of in zip(run.concepts, run.categories, strict=True) if of == name] for name in CATEGORIES}
    if min(map(len, by.values())) < 2:
        return []
    return [concept for members in by.values() for concept in members[:FEWEST_CONCEPTS]]


def every_way(run: StudyRuns) -> dict[str, xr.Dataset]:
    """The grids of a study's multiverse by their names; empty without concepts to contrast."""
    concepts = contrasted(run)
    if not concepts:
        return {}
    every: list[int | str] = [INPUT_NAME, *run.model.layers]
    found = {}
    for name in GRIDS:
        _, place, unit = name.split(", ")
        # The last token is the same in the input of block 0, whatever the image.
        image = place == IMAGE
        vectors = run.vectors(IMAGE, layers=every) if image else run.vectors(LAST_PROMPT)
        found[name] = run.swept(
            name, vectors.sel({CONCEPT: concepts}), run.images_without(_IMAGES), layers=every if image else "all",
            strengths=STRENGTHS, unit=unit, tokens=tuple(place.split("+")), metrics=_METRICS,
            controls=("random", "on_manifold"), draws=_DRAWS,
        )  # fmt: skip
    return found


def contrast_in_every_way(
    multiverse: Multiverse, grids: Mapping[str, xr.Dataset], by_concept: Callable[..., xr.DataArray], seed: int
) -> xr.Dataset:
    """Ask for abstract minus entity in every way.

    `grids`: from :func:`every_way`; without any, nothing can be computed in any way. `by_concept`: takes the values of
    the aspects by name and returns a number for each concept (concept), with its category. `seed`: of the permutations.
    Returns: as from :func:`mllm_probe.studies.multiverse.asked`; attributes ``headline``, ``headline_p``, by
    permutation of the categories over concepts, and ``n_compared``, concepts of the smaller category.
    """

    def values(**way: Any) -> tuple[np.ndarray, np.ndarray]:
        found = by_concept(**way)
        return found.values, found[CATEGORY].values.astype(str)

    def difference(**way: Any) -> float:
        if not grids:
            return np.nan
        numbers, categories = values(**way)
        sides = [numbers[(categories == name) & np.isfinite(numbers)] for name in CATEGORIES]
        return float(sides[0].mean() - sides[1].mean()) if min(map(len, sides)) >= 2 else np.nan

    result = asked(multiverse, difference)
    if not grids:
        return result.assign_attrs(headline_p=np.nan, n_compared=0)
    numbers, categories = values(**multiverse.headline)
    fewest = min(int((categories == name).sum()) for name in CATEGORIES)
    return result.assign_attrs(headline_p=contrast(numbers, categories, *CATEGORIES, seed=seed).p, n_compared=fewest)


def halves_of(grids: Mapping[str, xr.Dataset]) -> Halves:
    """How effects are read on half of the images; each score of a grid is made once, for all ways that it is part of.

    `grids`: from :func:`every_way`. Returns: ``halves(half, scope=, unit=, metric=, control=, strength=)``, the values
    of the multiverse's aspects by their names, gives the effect against one kind of control (concept, layer, sample).
    """

    @cache
    def values(scope: str, unit: str, metric: str, control: str) -> xr.DataArray:
        return value_by_image(grids[f"every way, {scope}, {unit}"], metric, against=control)

    def halves(half: str, *, scope: str, unit: str, metric: str, control: str, strength: float) -> xr.DataArray:
        own = values(scope, unit, metric, control).sel({STRENGTH: strength}, drop=True)
        return own.isel({SAMPLE: in_half(own.sizes[SAMPLE], half)})

    return halves
