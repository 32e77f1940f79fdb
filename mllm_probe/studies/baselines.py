"""What studies share: the concept in words, a related concept, contrasts of categories, runs of a multiverse."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import xarray as xr
from scipy import stats

from mllm_probe.concepts import Concept, ConceptLibrary
from mllm_probe.concepts.sentences import sentences_about
from mllm_probe.metrics.statistics import LEVEL, mean
from mllm_probe.models import ProbeModel
from mllm_probe.models.prompts import unknown_words
from mllm_probe.schema import CATEGORY, CONCEPT, CONTROL, DRAW, INPUT_NAME, LAYER, SAMPLE, STRENGTH, WORDS, layer_name
from mllm_probe.studies.effect import value_by_image
from mllm_probe.studies.multiverse import FEWEST_CONCEPTS, PERMUTATIONS, PLACES, Labels, Multiverse, asked, in_half
from mllm_probe.studies.readout import IMAGE, LAST_PROMPT
from mllm_probe.studies.study_runs import MINIMUM_GAP, StudyRuns, scoring_vectors
from mllm_probe.sweeps import sweep

IMAGES = 4
"""Of each concept: baselines are means over concepts, and each costs a prompt of its own."""
_RELATED = " (related)"
_METRIC = "logprob"


def baselines(
    run: StudyRuns, vectors: xr.Dataset, tokens: Sequence[str], layer: int, *, strength: float = 1.0
) -> xr.Dataset:
    """Effects of words in place of steering, and of a related concept's vector in place of the concept's own.

    `vectors`: of the concepts that are fit, at the scopes of ``tokens``.
    `tokens`: which are edited.
    `layer`: block that is edited.
    `strength`: in residual norms. Where it is negative, images show the concept and the sentence denies it; else they
        lack it and the sentence says that it is there.

    Returns: ``told_named``: share of answers that name the concept after the sentence, with ``plain_named`` without it;
    ``told_logprob``: change of the log-probability of its words by the sentence, in nats; NaN where the tokenizer knows
    no sentence about it. ``related``: change of the same words by the vector of the next concept of its category, in
    nats, with ``own``, that by its own; NaN where its category has no other. Attribute ``baseline_cell``: where, in
    words.
    """
    library = _few(run.others)
    result = _in_words(run, library, denied=strength < 0)
    result = result.merge(_beside_related(run, library, vectors, tokens, layer, strength))
    cell = f"{'+'.join(tokens)}, block {layer_name(layer)}, {strength:+g} residual norm"
    return result.assign_attrs(baseline_cell=cell)


def baseline_rows(study: xr.Dataset) -> list[tuple[str, str]]:
    """Rows of a study's table of details: what the baselines show.

    `study`: with the variables and the attribute of :func:`baselines`, by concept and perhaps others.
    """
    named = {name: study[name].where(study["told_named"].notnull()) for name in ("told_named", "plain_named")}
    unknown = study["told_named"].isnull()
    unknown = unknown.any([dim for dim in unknown.dims if dim != CONCEPT])
    lacking = [str(name) for name in study[CONCEPT].values[unknown.values]]
    known = f"; not known for {', '.join(lacking)}: the tokenizer lacks words of the sentences" if lacking else ""
    words = (
        "no sentence is known"
        if unknown.all()
        else f"answers name the concept in {float(named['told_named'].mean()):.2f} (plain prompt "
        f"{float(named['plain_named'].mean()):.2f}), log-probability {float(study['told_logprob'].mean()):+.1f} nats"
    )
    with_related = study["related"].notnull()
    related = (
        "no category has two concepts"
        if not with_related.any()
        else f"changes the concept's words by {float(study['related'].mean()):+.1f} nats, the concept's own vector by "
        f"{float(study['own'].where(with_related).mean()):+.1f} ({study.attrs['baseline_cell']})"
    )
    return [("told in words in place of steering", words + known), ("vector of a related concept", related)]


def knows_the_words(model: ProbeModel, texts: Sequence[str]) -> bool:
    """Whether the tokenizer has a token for every word of some texts."""
    return not unknown_words(model.tokenizer, texts)


def prompt_sentence(model: ProbeModel, concept: Concept, *, denied: bool = False) -> str | None:
    """First sentence about a concept whose words the tokenizer knows; None if it knows none.

    `denied`: whether the sentence says that the concept is not there.
    """
    if model.tokenizer is None:
        return None
    sentences = sentences_about(concept.name, concept.category, denied=denied)
    return next((text for text in sentences if knows_the_words(model, [text])), None)


def _few(library: ConceptLibrary) -> ConceptLibrary:
    return ConceptLibrary(
        replace(concept, positive=concept.positive[:IMAGES], negative=concept.negative[:IMAGES])
        for concept in library.values()
    )


def _in_words(run: StudyRuns, library: ConceptLibrary, *, denied: bool) -> xr.Dataset:
    """Answers after a sentence about each concept, on its images, against those without (concept)."""
    plain = run.model.default_prompt if run.prompt is None else run.prompt
    sentences = {name: prompt_sentence(run.model, concept, denied=denied) for name, concept in library.items()}
    rows = [
        (name, image, text)
        for name, sentence in sentences.items()
        for image in (library[name].positive if denied else library[name].negative)
        for text in (plain, *([] if sentence is None else [f"{sentence} {plain}"]))
    ]
    rows.sort(key=lambda row: row[2])  # prompts of one length run in one batch where they follow each other
    grid = sweep(
        run.model, scoring_vectors(run.model, library), [image for _, image, _ in rows],
        [text for _, _, text in rows], layers=[0], strengths=(0,), unit="raw", controls=(), metrics=(_METRIC, "named"),
        progress=False,
    )  # fmt: skip
    columns: dict[str, list[float]] = {name: [] for name in ("told_named", "plain_named", "told_logprob")}
    for name in library:
        scores = grid.sel({CONCEPT: name})
        sides = [[p for p, row in enumerate(rows) if row[0] == name and (row[2] == plain) == side] for side in (1, 0)]
        before, after = (scores.isel({SAMPLE: places}) for places in sides)
        columns["plain_named"].append(float(mean(before["named_unsteered"].values)))
        columns["told_named"].append(float(mean(after["named_unsteered"].values)) if sides[1] else np.nan)
        change = after[f"{_METRIC}_unsteered"].values - before[f"{_METRIC}_unsteered"].values if sides[1] else [np.nan]
        columns["told_logprob"].append(float(mean(np.asarray(change, np.float64))))
    return xr.Dataset({name: (CONCEPT, values) for name, values in columns.items()}, {CONCEPT: list(library)})


def related_concepts(library: ConceptLibrary) -> dict[str, str]:
    """For each concept the next one of its category, the first after the last; without those that are alone in it."""
    members = {
        kind: [name for name, concept in library.items() if concept.category == kind] for kind in library.categories
    }
    return {
        name: names[(place + 1) % len(names)]
        for names in members.values()
        if len(names) > 1
        for place, name in enumerate(names)
    }


def _beside_related(
    run: StudyRuns, library: ConceptLibrary, vectors: xr.Dataset, tokens: Sequence[str], layer: int, strength: float
) -> xr.Dataset:
    """Change of each concept's words by its own vector and by that of a related concept (concept)."""
    others = related_concepts(library)
    whole = xr.Dataset(
        {name: (CONCEPT, np.full(len(library), np.nan)) for name in ("own", "related")}, {CONCEPT: list(library)}
    )
    if not others:
        return whole
    both = xr.concat(
        [vectors.sel({CONCEPT: list(others)}), _under(vectors.sel({CONCEPT: list(others.values())}), library, others)],
        CONCEPT, data_vars="minimal", coords="minimal", compat="override", join="override", combine_attrs="override",
    )  # fmt: skip
    images = [library[name] for name in others]
    images += [replace(image, name=image.name + _RELATED) for image in images]
    grid = sweep(
        run.model, both, ConceptLibrary(images), run.prompt, layers=[layer_name(layer)], strengths=(strength,),
        tokens=tuple(tokens), metrics=(_METRIC,), controls=(), seed=run.seed, progress=False,
    )  # fmt: skip
    change = grid[_METRIC].isel({LAYER: 0, STRENGTH: 0, CONTROL: 0, DRAW: 0}, drop=True) - grid[f"{_METRIC}_unsteered"]
    for place, name in enumerate(library):
        if name in others:
            # A vector that stands under two names is run once, on the images of both.
            ids = [image.id for image in (library[name].positive if strength < 0 else library[name].negative)]
            here = change.sel({SAMPLE: ids}).mean(SAMPLE)
            whole["own"][place] = here.sel({CONCEPT: name})
            whole["related"][place] = here.sel({CONCEPT: name + _RELATED})
    return whole


def _under(vectors: xr.Dataset, library: ConceptLibrary, others: dict[str, str]) -> xr.Dataset:
    """Vectors of related concepts under the names of those whose words they are to change, with these words."""
    words = [json.dumps(list(library[name].words)) for name in others]
    vectors = vectors.assign_coords({CONCEPT: [name + _RELATED for name in others]})
    return vectors.assign({WORDS: (CONCEPT, words)})


FEWEST_ON_A_SIDE = 2
"""Concepts with a value of each category without which there is no difference."""
_LEAST_LEFT = 1e-9
"""Share of a category's variance that a covariate must leave, for the two to be told apart."""


@dataclass(frozen=True)
class Contrast:
    """Mean of one category of concepts minus that of another.

    `difference`: of the means over concepts, without what the covariate explains.
    `low`, `high`: 95 % t interval over concepts (Welch); with a covariate, of its coefficient in the regression.
    `p`: two-sided, by permutation of the two categories' labels over their concepts.
    `n`: concepts of each that have a value.
    """

    difference: float
    low: float
    high: float
    p: float
    n: tuple[int, int]


def contrast(
    values: np.ndarray,
    categories: np.ndarray,
    category: str,
    other: str,
    *,
    covariate: np.ndarray | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Contrast:
    """Compare two categories.

    `values` (float array [concept]): NaN for a concept without a value, which does not count.
    `categories`: str array [concept].
    `category`, `other`: ``category`` minus ``other``.
    `covariate` (float array [concept]): what the concepts differ in besides, such as the number of changed image
        tokens: the difference is then the coefficient of the category in a linear regression on category and covariate.

    Returns: NaN with fewer than two concepts on a side, or where a covariate tells the two categories apart by itself.

    With a covariate, the residuals of a regression on it alone are permuted (Freedman and Lane, 1983).
    """
    chosen = np.isfinite(values) & np.isin(categories, (category, other))
    if covariate is not None:
        chosen &= np.isfinite(covariate)
    known, first = values[chosen].astype(np.float64), categories[chosen] == category
    n = (int(first.sum()), int((~first).sum()))
    if min(n) < FEWEST_ON_A_SIDE:
        return Contrast(np.nan, np.nan, np.nan, np.nan, n)
    rng = np.random.default_rng(seed)
    if covariate is None:
        labels = np.concatenate([first[None], rng.permuted(np.tile(first, (permutations, 1)), axis=1)])
        difference, half = _welch(known[first], known[~first])
        drawn = _differences(known, labels)
    else:
        difference, half, drawn = _adjusted(known, first, covariate[chosen].astype(np.float64), permutations, rng)
    p = float((np.abs(drawn) >= abs(drawn[0]) - 1e-12).mean()) if np.isfinite(drawn[0]) else np.nan
    return Contrast(difference, difference - half, difference + half, p, n)


def _differences(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Difference of the two means under every labelling [labelling]."""
    first = labels.sum(1)
    return (labels @ values) / first - (~labels @ values) / (labels.shape[1] - first)


def _welch(first: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Difference of the means and half of its 95 % interval."""
    shares = [side.var(ddof=1) / len(side) for side in (first, other)]
    total = sum(shares)
    if total == 0:
        return float(first.mean() - other.mean()), 0.0
    df = total**2 / sum(share**2 / (len(side) - 1) for share, side in zip(shares, (first, other), strict=True))
    return float(first.mean() - other.mean()), float(stats.t.ppf((1 + LEVEL) / 2, df) * np.sqrt(total))


def _adjusted(
    values: np.ndarray, first: np.ndarray, covariate: np.ndarray, permutations: int, rng: np.random.Generator
) -> tuple[float, float, np.ndarray]:
    """Coefficient of the category beside a covariate, half of its interval, and the permuted coefficients."""
    base = np.column_stack([np.ones(len(values)), covariate - covariate.mean()])

    def left(of: np.ndarray) -> np.ndarray:
        """Residuals of the regression on the covariate."""
        return np.asarray(of - base @ np.linalg.lstsq(base, of, rcond=None)[0])

    inside, residuals = left(first.astype(np.float64)), left(values)
    size, df = float(inside @ inside), len(values) - 3
    if size < _LEAST_LEFT * len(values) or df < 1:
        return np.nan, np.nan, np.full(1 + permutations, np.nan)
    every = np.concatenate([residuals[None], rng.permuted(np.tile(residuals, (permutations, 1)), axis=1)])
    drawn = every @ inside / size
    rest = residuals - drawn[0] * inside
    error = np.sqrt(rest @ rest / df / size)
    return float(drawn[0]), float(stats.t.ppf((1 + LEVEL) / 2, df) * error), drawn


CATEGORIES = ("abstract", "entity")
"""What is contrasted: the first minus the second."""
UNITS = ("residual", "vector")
GRIDS = tuple(f"every way, {place}, {unit}" for place in PLACES for unit in UNITS)
"""Names of the grids: those in unit ``vector`` are for localization, those in ``residual`` for scaling."""
STRENGTHS = (1.0, 2.0)
Halves = Callable[..., xr.DataArray]
_IMAGES, _DRAWS = 8, 8
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


def every_way(run: StudyRuns, units: Sequence[str] = UNITS) -> dict[str, xr.Dataset]:
    """The grids of a study's multiverse in some units by their names; empty without concepts to contrast."""
    concepts = contrasted(run)
    if not concepts:
        return {}
    every: list[int | str] = [INPUT_NAME, *run.model.layers]
    grids = {}
    for name in GRIDS:
        _, place, unit = name.split(", ")
        if unit not in units:
            continue
        # The last token is the same in the input of block 0, whatever the image.
        image = place == IMAGE
        vectors = run.vectors(IMAGE, layers=every) if image else run.vectors(LAST_PROMPT)
        grids[name] = run.swept(
            name, vectors.sel({CONCEPT: concepts}), run.images_without(_IMAGES), layers=every if image else "all",
            strengths=STRENGTHS, unit=unit, tokens=tuple(place.split("+")), metrics=_METRICS,
            controls=("random", "on_manifold"), draws=_DRAWS,
        )  # fmt: skip
    return grids


def contrast_in_every_way(
    multiverse: Multiverse,
    grids: Mapping[str, xr.Dataset],
    by_concept: Callable[..., xr.DataArray],
    seed: int,
    lacking: str = "",
) -> xr.Dataset:
    """Ask for abstract minus entity in every way.

    `grids`: from :func:`every_way`; without any, nothing can be computed in any way. `by_concept`: takes the values of
    the aspects by name and returns a number for each concept (concept), with its category, of the same concepts in all
    ways. `seed`: of the permutations of the categories over concepts. `lacking`: see
    :func:`mllm_probe.studies.multiverse.asked`, whose dataset this returns.
    """
    if not grids:
        nothing = np.full(2 * len(CATEGORIES), np.nan)
        labels = Labels(np.arange(len(nothing)) < len(CATEGORIES))
        return asked(multiverse, lambda **way: nothing, labels, seed=seed, lacking=lacking)
    categories = by_concept(**multiverse.headline, **multiverse.usual)[CATEGORY].values.astype(str)
    compared = np.isin(categories, CATEGORIES)
    labels = Labels(categories[compared] == CATEGORIES[0], FEWEST_ON_A_SIDE)
    return asked(multiverse, lambda **way: by_concept(**way).values[compared], labels, seed=seed, lacking=lacking)


def halves_of(grids: Mapping[str, xr.Dataset], seed: int, gaps: xr.DataArray | None = None) -> Halves:
    """Reader of effects on all images or on half of them; each score of a grid is made once, for all its ways.

    `grids`: from :func:`every_way`. `seed`: of the halves. `gaps` (concept): what log-probabilities are divided by, in
    nats; they stay in nats without. Returns: ``halves(half, scope=, unit=, metric=, control=, strength=)``, the values
    of the multiverse's aspects by their names, gives the effect against one kind of control (concept, layer, sample).
    """

    @cache
    def values(scope: str, unit: str, metric: str, control: str) -> xr.DataArray:
        scores = value_by_image(grids[f"every way, {scope}, {unit}"], metric, against=control)
        return scores if gaps is None or metric != _METRIC else in_gaps(scores, gaps)

    def halves(half: str, *, scope: str, unit: str, metric: str, control: str, strength: float) -> xr.DataArray:
        scores = values(scope, unit, metric, control).sel({STRENGTH: strength}, drop=True)
        return scores.isel({SAMPLE: in_half(scores.sizes[SAMPLE], half, seed)})

    return halves


def in_gaps(effects: xr.DataArray, gaps: xr.DataArray, dim: str = CONCEPT) -> xr.DataArray:
    """Effects in nats as shares of each concept's gap; NaN where that is under `MINIMUM_GAP`.

    `effects`: on the words of the concepts of dimension ``dim``. `gaps` (concept): from :func:`mllm_probe.check`, of
    these concepts and others.
    """
    here = gaps.sel({CONCEPT: effects[dim].values}).reset_coords(drop=True)
    here = here.where(here >= MINIMUM_GAP).rename({CONCEPT: dim})
    return (effects / here).transpose(*effects.dims).assign_attrs(units="of the gap")
