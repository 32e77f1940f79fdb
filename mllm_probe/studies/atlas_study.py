"""Atlas: how concept vectors lie to each other, whether they cause one thing alone, and how images and words agree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from mllm_probe.concepts import ConceptLibrary
from mllm_probe.concepts.concept import Sentence
from mllm_probe.concepts.sentences import from_text
from mllm_probe.metrics.metric import chance
from mllm_probe.metrics.statistics import mean
from mllm_probe.models import ProbeModel
from mllm_probe.schema import (
    CATEGORY,
    CONCEPT,
    DEPTH,
    DRAW,
    HIDDEN,
    LAYER,
    OFF_TARGET,
    SAMPLE,
    SCOPE,
    SCORED_CATEGORY,
    SCORED_CONCEPT,
    STEERED_CATEGORY,
    STRENGTH,
)
from mllm_probe.studies.baselines import baseline_rows, baselines, in_gaps, knows_the_words
from mllm_probe.studies.effect import effect
from mllm_probe.studies.multiverse import (
    ATLAS,
    PERMUTATIONS,
    asked,
    conclusion,
    found,
    in_half,
    in_words,
    multiverse_rows,
)
from mllm_probe.studies.readout import LAST_PROMPT
from mllm_probe.studies.study_runs import StudyRuns, few_concepts, mean_text
from mllm_probe.vectors import concept_vectors

GRIDS = (OFF_TARGET,)
"""Names under which ``grids=`` takes what was run already."""
DEPTHS = tuple(ATLAS.aspects[DEPTH])
"""Relative depths of the blocks that are steered; the headline is the one with the largest mean effect."""
_IMAGES, _DRAWS = 18, 8
_CHOOSING = 3
"""Share of the images on which that block is chosen, one of so many; the others report on it."""


def atlas(
    model: ProbeModel,
    library: ConceptLibrary | None = None,
    *,
    vectors: xr.Dataset | None = None,
    grids: Mapping[str, xr.Dataset] | None = None,
    prompt: str | None = None,
    seed: int = 0,
    store: str | Path | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Ask how concept vectors lie to each other, and whether steering with one changes that concept alone.

    Parameters
    ----------
    model : ProbeModel
    library : ConceptLibrary, optional
        That of a bundled model by default. Concepts that the model does not tell apart are left out.
    vectors : Dataset, optional
        From :func:`mllm_probe.concept_vectors` with scope ``"last_prompt"``; made of half of the library's images by
        default.
    grids : mapping of str to Dataset, optional
        What was run already: ``"off_target"``, of :func:`mllm_probe.sweep` with that metric.
    prompt : str, optional
    seed : int
        Of the split, the random directions and the permutations.
    store : str or Path, optional
        Folder for the grid, from which a stopped study goes on.
    progress : bool

    Returns
    -------
    Dataset, host memory, float64
        ``cosine`` (concept, scored_concept, layer) of the vectors at the last prompt token. Per layer: ``within`` and
        ``across``, mean cosine of two concepts of one category and of two categories, and ``p`` (permutation of the
        categories over concepts, two-sided, of their difference). ``effect`` (concept, scored_concept), against random
        directions at the ``headline_layer`` and one residual norm, in shares of the gap of the scored concept: its
        log-probability on images with it minus that without (:func:`mllm_probe.check`). The diagonal is what a vector
        causes, the rest what it changes besides, with ``low`` and ``high``; on other images than those on which the
        layer was chosen. ``caused`` (concept) and ``besides`` (steered_category, scored_category): mean effect on other
        concepts, which is negative where one concept takes the place of another. ``told`` (concept, layer): cosine of
        the vector of images with that of sentences about the same concept, ``told_others`` (concept, layer) with those
        about other concepts of its category, which is its control; NaN where the tokenizer does not know the words of
        the sentences. ``verdict`` (specification): effect on the own concept minus that on others of its category, in
        every way of :data:`mllm_probe.studies.multiverse.ATLAS`, with what :func:`mllm_probe.studies.multiverse.asked`
        gives beside it. Attributes ``headline_layer``, ``summary``, ``details``, ``n_concepts``. Baselines (concept) as
        :func:`mllm_probe.studies.baselines.baselines` gives them.

    Raises
    ------
    ValueError
        If the model is not bundled and no library is given, or vectors or grids are of another model.

    References
    ----------
    Cosine geometry of concept directions: arXiv 2602.07025. Off-target checks: arXiv 2501.03012. Directions from text:
    arXiv 2505.14071.
    """
    run = StudyRuns(
        "atlas", GRIDS, model, library, vectors=vectors, grids=grids, prompt=prompt, seed=seed, store=store,
        progress=progress,
    )  # fmt: skip
    nothing = run.nothing()
    if nothing is not None:
        return nothing
    vectors = run.vectors(LAST_PROMPT)
    grid = run.swept(
        OFF_TARGET, vectors, run.images_without(_IMAGES), layers=run.blocks_at(DEPTHS), strengths=(1.0,),
        tokens=(LAST_PROMPT,), metrics=(OFF_TARGET,), controls=("random",), draws=_DRAWS,
    )  # fmt: skip
    directions = unit_vectors(vectors)
    isolation = _isolation(grid, run)
    result = xr.merge([_geometry(directions, run.categories, seed), isolation, _against_sentences(run, directions)])
    result = result.assign_coords({CATEGORY: (CONCEPT, run.categories)})
    layer = isolation.attrs["headline_layer"]
    beside = baselines(run, vectors, (LAST_PROMPT,), layer)
    ways = _in_every_way(run, grid)
    result = result.merge(beside).merge(ways)
    result = result.assign_attrs(run.facts | beside.attrs | ways.attrs, headline_layer=layer)
    return result.assign_attrs(words_of(result))


def _in_every_way(run: StudyRuns, grid: xr.Dataset) -> xr.Dataset:
    """Effect of every vector on its own concept minus that on the others of its category, in every way."""
    names, kinds = grid[CONCEPT].values, np.array(run.categories)
    others = (kinds[:, None] == kinds) & ~np.eye(len(names), dtype=bool)
    steered = grid[OFF_TARGET].isel({STRENGTH: 0}, drop=True).sel({SCORED_CONCEPT: names})
    base = {
        "random": grid[f"{OFF_TARGET}_random"].isel({STRENGTH: 0}, drop=True).mean(DRAW),
        "unsteered": grid[f"{OFF_TARGET}_unsteered"],
    }

    gaps = run.subject.seen["gap"]

    def over(depth: float, against: str, half: str) -> np.ndarray:
        change = in_gaps(steered - base[against].sel({SCORED_CONCEPT: names}), gaps, SCORED_CONCEPT)
        change = change.where(grid["eligible"].isel({STRENGTH: 0}, drop=True)).sel({LAYER: run.blocks_at((depth,))[0]})
        chosen = in_half(change.sizes[SAMPLE], half, run.seed)
        table = change.isel({SAMPLE: chosen}).mean(SAMPLE).transpose(CONCEPT, SCORED_CONCEPT).values
        return np.asarray(np.diagonal(table) - mean(np.where(others, table, np.nan)))

    return asked(ATLAS, over, seed=run.seed)


def unit_vectors(vectors: xr.Dataset) -> xr.DataArray:
    """Concept vectors at the last prompt token, of length 1 (concept, layer, hidden), float64 on the host."""
    vector = vectors["vector"].sel({SCOPE: LAST_PROMPT}, drop=True).transpose(CONCEPT, LAYER, HIDDEN)
    values = np.asarray(vector.values, np.float64)
    values = values / np.linalg.norm(values, axis=-1, keepdims=True)
    coords = {CONCEPT: vector[CONCEPT].values, LAYER: vector[LAYER].values}
    return xr.DataArray(values, coords, (CONCEPT, LAYER, HIDDEN))


def _geometry(directions: xr.DataArray, categories: list[str], seed: int) -> xr.Dataset:
    cosine = xr.dot(directions, directions.rename({CONCEPT: SCORED_CONCEPT}), dim=HIDDEN).transpose(
        LAYER, CONCEPT, SCORED_CONCEPT
    )
    rows = [within_and_across(layer, np.array(categories), seed) for layer in cosine.values]
    columns = dict(zip(("within", "across", "p"), np.array(rows).T, strict=True))
    return xr.Dataset({"cosine": cosine, **{name: (LAYER, column) for name, column in columns.items()}})


def within_and_across(cosine: np.ndarray, categories: np.ndarray, seed: int = 0) -> tuple[float, float, float]:
    """Mean cosine of two concepts of one category, and of two, and the permutation p of their difference.

    `cosine`: float array [concept, concept]. `categories`: str array [concept]. Returns: NaN where all concepts are of
    one category, or no category has two.
    """
    above = np.triu_indices(len(categories), 1)
    pairs = cosine[above]

    def difference(names: np.ndarray) -> tuple[float, float]:
        same = names[above[0]] == names[above[1]]
        if same.all() or not same.any():
            return np.nan, np.nan
        return float(pairs[same].mean()), float(pairs[~same].mean())

    within, across = difference(categories)
    if not np.isfinite(within):
        return within, across, np.nan
    rng = np.random.default_rng(seed)
    drawn = np.array([np.subtract(*difference(rng.permutation(categories))) for _ in range(PERMUTATIONS)])
    p = (1 + (np.abs(drawn) >= abs(within - across) - 1e-12).sum()) / (1 + PERMUTATIONS)
    return within, across, float(p)


def _layer_of_most(grid: xr.Dataset) -> int:
    """Block at which vectors do most to their own concepts on average, by the images of a grid."""
    changes = effect(grid, OFF_TARGET)["difference"].isel({STRENGTH: 0}, drop=True)
    own = np.stack([changes.sel({CONCEPT: name, SCORED_CONCEPT: name}).values for name in changes[CONCEPT].values])
    return int(changes[LAYER].values[int(np.nanargmax(mean(own.T)))])


def _isolation(grid: xr.Dataset, run: StudyRuns) -> xr.Dataset:
    """Effect of every vector on every concept, at the layer where vectors do most to their own on other images."""
    choosing = np.random.default_rng(run.seed).permutation(grid.sizes[SAMPLE]) % _CHOOSING == 0
    layer = _layer_of_most(grid.isel({SAMPLE: choosing}))
    here = effect(grid.isel({SAMPLE: ~choosing}).sel({LAYER: [layer]}), OFF_TARGET)[["difference", "low", "high"]]
    here = here.isel({STRENGTH: 0, LAYER: 0}, drop=True).transpose(CONCEPT, SCORED_CONCEPT).reset_coords(drop=True)
    names, categories = here[CONCEPT].values, run.categories
    here = here.sel({SCORED_CONCEPT: names})
    gaps = run.subject.seen["gap"]
    here = xr.Dataset({name: in_gaps(values, gaps, SCORED_CONCEPT) for name, values in here.items()})
    diagonal = np.arange(len(names))
    order = list(dict.fromkeys(categories))
    besides = np.full((len(order), len(order)), np.nan)
    values = np.where(np.eye(len(names), dtype=bool), np.nan, here["difference"].values)
    rows = {name: np.array(categories) == name for name in order}
    for place in np.ndindex(*besides.shape):
        some = values[rows[order[place[0]]]][:, rows[order[place[1]]]]
        besides[place] = np.nanmean(some) if np.isfinite(some).any() else np.nan
    data = {
        "effect": here["difference"],
        "low": here["low"],
        "high": here["high"],
        "caused": (CONCEPT, here["difference"].values[diagonal, diagonal]),
        "besides": ((STEERED_CATEGORY, SCORED_CATEGORY), besides),
    }
    coords = {STEERED_CATEGORY: order, SCORED_CATEGORY: order}
    return xr.Dataset(data, coords, {"headline_layer": layer})


def _against_sentences(run: StudyRuns, directions: xr.DataArray) -> xr.Dataset:
    """Cosine of vectors of images with those of sentences about the same concept, and about others of its category."""
    shape = (directions.sizes[CONCEPT], directions.sizes[LAYER])
    same, other = np.full(shape, np.nan), np.full(shape, np.nan)
    several = [name for name, concept in run.others.items() if run.categories.count(str(concept.category)) > 1]
    worded = from_text(run.others.subset(concepts=several)) if several else None
    if worded is not None and knows_the_words(run.model, _texts(worded)):
        sentences = concept_vectors(
            run.model, worded, run.prompt, tokens=(LAST_PROMPT,), probe_accuracy=False, seed=run.seed,
            progress=run.progress,
        )  # fmt: skip
        cosine = xr.dot(directions, unit_vectors(sentences).rename({CONCEPT: SCORED_CONCEPT}), dim=HIDDEN)
        for row, (name, category) in enumerate(zip(directions[CONCEPT].values, run.categories, strict=True)):
            if name not in several:
                continue
            same[row] = cosine.sel({CONCEPT: name, SCORED_CONCEPT: name}).values
            others = [n for n in several if n != name and str(run.others[n].category) == category]
            other[row] = cosine.sel({CONCEPT: name, SCORED_CONCEPT: others}).mean(SCORED_CONCEPT).values
    dims = (CONCEPT, LAYER)
    return xr.Dataset({"told": (dims, same), "told_others": (dims, other)})


def _texts(library: ConceptLibrary) -> list[str]:
    return [image.source.text for image in library.pictures if isinstance(image.source, Sentence)]


def words_of(study: xr.Dataset) -> dict[str, str]:
    """Attributes ``summary`` and ``details``: how vectors lie to each other, what they change besides, what is open.

    `study`: from :func:`atlas`.
    """
    layer = study.attrs["headline_layer"]
    sentences = [
        f"Asked of {study.attrs['n_concepts']} concepts that the model tells apart, last prompt token: how their "
        "vectors lie to each other, and whether each changes its own concept alone.",
        found(study),
        conclusion(study),
    ]
    here, names = study.sel({LAYER: layer}), study[CONCEPT].values
    rows = [("block", f"{layer}, the one with the largest mean effect on other images")]
    if np.isfinite(here["p"]):
        rows.append(
            ("cosine of two vectors", f"{float(here['within']):+.2f} within a category, {float(here['across']):+.2f} "
             f"across (p {chance(float(here['p']))})")
        )  # fmt: skip
    rows.append(("own concept", mean_text(study["caused"].values, "of the gap, against random directions", 2)))
    if len(names) > 1:
        others = np.where(np.eye(len(names), dtype=bool), np.nan, study["effect"].values)
        stronger = int((np.nanmax(others, axis=1) >= study["caused"].values).sum())
        text = f"{mean_text(mean(others), 'of the gap', 2)}; {stronger} of {len(names)} vectors raise another as much"
        rows.append(("other concepts", text))
    else:
        rows.append(("other concepts", "there is none to compare with"))
    same, control = here["told"], here["told_others"]
    rows.append(
        ("sentences", f"cosine of vectors of images and of sentences {float(same.mean()):+.2f} about the same concept, "
         f"{float(control.mean()):+.2f} about others of its category"
         if np.isfinite(same).any()
         else "not compared: the tokenizer does not know their words, or no category has two concepts")
    )  # fmt: skip
    rows += [*multiverse_rows(study), *baseline_rows(study)]
    return in_words(sentences, rows + few_concepts(list(study[CATEGORY].values.astype(str))))
