"""Localization: at which blocks each concept is read out of the image, over how many, and whether categories differ."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mllm_probe.concepts import ConceptLibrary
from mllm_probe.metrics.metric import chance, signed
from mllm_probe.models import ProbeModel
from mllm_probe.patching import patch
from mllm_probe.schema import (
    CATEGORY,
    CONCEPT,
    CONTRAST,
    CONTROL,
    DIRECTION,
    DIRECTIONS,
    GROUP,
    INPUT_NAME,
    LAYER,
    MEASURE,
    PROFILES,
    READ_LAYER,
    SAMPLE,
    SCOPE,
    STATISTIC,
    STRENGTH,
    TOKEN,
)
from mllm_probe.studies.baselines import (
    FEWEST_ON_A_SIDE,
    baseline_rows,
    baselines,
    contrast,
    contrast_in_every_way,
    halves_of,
)
from mllm_probe.studies.baselines import GRIDS as EVERY_WAY
from mllm_probe.studies.baselines import every_way as multiverse_runs
from mllm_probe.studies.effect import value_by_image
from mllm_probe.studies.multiverse import LOCALIZATION, conclusion, found, in_words, multiverse_rows
from mllm_probe.studies.readout import (
    FEWEST,
    IMAGE,
    LAST_PROMPT,
    effective_tokens,
    read_out_of,
    read_out_of_patches,
    recovered,
)
from mllm_probe.studies.study_runs import StudyRuns, few_concepts, mean_text
from mllm_probe.sweeps import sweep
from mllm_probe.vectors import vectors_from


def lens_gap(
    model: ProbeModel, library: ConceptLibrary, prompt: str | None = None, progress: bool = False
) -> xr.DataArray:
    """Log-probability of each concept's words that the logit lens reads, on images with it minus images without.

    Returns: in nats, at the last prompt token.

    nostalgebraist, "interpreting GPT: the logit lens" (2020): the final norm and the head applied to every layer.
    """
    directions = {name: np.ones(model.hidden_size, np.float32) for name in library}
    vectors = vectors_from(model, directions, words={name: concept.words for name, concept in library.items()})
    grid = sweep(
        model, vectors, library.pictures, prompt, layers=[0], strengths=(0,), unit="raw", controls=(),
        metrics=("logprob",), record="logit_lens", read_tokens="last_prompt", progress=progress,
    )  # fmt: skip
    read = grid["logit_lens_unsteered"].isel({TOKEN: 0}).transpose(CONCEPT, SAMPLE, READ_LAYER)
    place = {str(name): number for number, name in enumerate(grid[SAMPLE].values)}
    gaps = []
    for number, concept in enumerate(library.values()):
        sides = [[place[image.id] for image in side] for side in (concept.positive, concept.negative)]
        positive, negative = (read.values[number, side].astype(np.float64).mean(0) for side in sides)
        gaps.append(positive - negative)
    coords = {CONCEPT: list(library), LAYER: read[READ_LAYER].values}
    return xr.DataArray(
        np.stack(gaps), coords, (CONCEPT, LAYER), attrs={"units": "nats", "long_name": "logit-lens gap"}
    )


INTERCHANGE, PATCHES, VECTOR, RESIDUAL = "interchange", "patches", "vector", "residual"
SWEEPS = (VECTOR, RESIDUAL, LAST_PROMPT)
GRIDS = (INTERCHANGE, PATCHES, *SWEEPS)
"""Names under which ``grids=`` takes what was run already: two patches, and three sweeps; besides, those of
:func:`mllm_probe.studies.multiverse_grids`."""
MEASURES = ("interchange, insert", "interchange, remove", "steering, vector", "steering, residual")
STATISTICS = ("effective_layers", "effective_share", "centre_depth", "onset")
STRENGTHS = (0.25, 0.5, 1.0, 2.0)
"""In residual norms; the profile is that of strength 1, the others give the dose for half of the effect."""
_IMAGES, _DRAWS, _METRIC = 8, 8, "logprob"
_LENS_PAIRS = 6
_PAIRS_BY_TOKEN = 3
"""Pairs whose image tokens are exchanged one by one, each of which is a run."""
_HEADLINE = ("interchange, insert", "effective_layers")
_NO_VOTE = "steering, residual"
_LEAST_HALVED = 2
"""Images that have two halves."""


def localization(
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
    """Ask at which blocks each concept is read out of the image tokens, and whether categories differ in that.

    The read-out profile is what every block moves from the image to the answer: minus the first difference over blocks
    of the effect of editing the image tokens, by interchange with the counterfactual image and by steering. What is
    *steerable* at a layer, what is *stored* there and what is *readable* there are three things; the study has all
    three, and how far they agree.

    Parameters
    ----------
    model : ProbeModel
    library : ConceptLibrary, optional
        Of paired concepts; that of a bundled model by default. Concepts that the model does not tell apart are left
        out (:func:`mllm_probe.check`).
    vectors : Dataset, optional
        From :func:`mllm_probe.concept_vectors` with scopes ``"image"`` at ``"input"`` and every block; made of half of
        the library's images by default.
    grids : mapping of str to Dataset, optional
        What was run already, by name: ``"interchange"`` and ``"patches"`` (:func:`mllm_probe.patch`), and of
        :func:`mllm_probe.sweep` ``"vector"``, ``"residual"`` (image tokens, in these units) and ``"last_prompt"`` (unit
        ``vector``); besides, those of :func:`mllm_probe.studies.multiverse_grids`.
    prompt : str, optional
    seed : int
        Of the split, controls, halvings and permutations.
    store : str or Path, optional
        Folder for the grids, from which a stopped study goes on.
    progress : bool

    Returns
    -------
    Dataset, host memory, float64
        ``read_out`` (measure, concept, layer), shares of the effect; per (measure, concept): ``effective_layers`` (of
        two halves of the images, so that noise does not widen it), ``effective_share`` (of the blocks),
        ``centre_depth``, ``peak_layer``, ``agreement`` of the halves, ``n`` images, ``last_block`` (share of the effect
        that the last block reads, after which nothing but norm and head follow) and ``onset`` (participation ratio of
        the cumulative profile, in layers: how late an edit still works, not how many blocks read).
        ``difference`` (contrast, measure, statistic) with ``low``, ``high``, ``p`` (permutation of the categories over
        concepts) and, after the number of changed image tokens, ``adjusted``, ``adjusted_low``, ``adjusted_high``,
        ``adjusted_p``. By (concept, layer): ``steerable`` (effect at the last prompt token in unit ``vector``),
        ``stored`` (recovered by the last prompt token), ``probe`` (accuracy at the last prompt token), ``readable``
        (logit-lens gap at the last prompt token), and ``r2`` (profiles, concept) of each pair of these.
        ``half_dose`` (concept, layer): dose in residual norms at which half of the largest effect on the image tokens
        is reached. ``changed_tokens`` (concept), image tokens that differ between a pair's images, and
        ``effective_tokens`` (concept) with ``token_agreement``, how many image tokens carry the concept, by interchange
        of single ones (:func:`mllm_probe.studies.readout.effective_tokens`). ``verdict`` (specification): abstract
        minus entity in blocks, in every way of :data:`mllm_probe.studies.multiverse.LOCALIZATION`, with what
        :func:`mllm_probe.studies.multiverse.asked` gives beside it. Baselines (concept) as
        :func:`mllm_probe.studies.baselines.baselines` gives them. Attributes ``summary``: what was asked, what was
        found and what cannot be concluded; ``details``: a table of the rest; ``n_concepts``: how many concepts are fit.

    Raises
    ------
    ValueError
        If the model is not bundled and no library is given, vectors or grids are of another model, or concepts are
        unpaired.

    References
    ----------
    Read-out profiles: :func:`mllm_probe.studies.read_out_of`. Interchange: Geiger et al., "Causal Abstractions of
    Neural Networks" (NeurIPS 2021). Question: Deng et al., arXiv 2605.05593, finding 1.
    """
    run = StudyRuns(
        "localization", (*GRIDS, *EVERY_WAY), model, library, vectors=vectors, grids=grids, prompt=prompt, seed=seed,
        store=store, progress=progress,
    )  # fmt: skip
    nothing = run.nothing()
    if nothing is not None:
        return nothing
    patched, swept = _patched(run), {name: _swept(run, name) for name in SWEEPS}
    parts = [_read_outs(patched, swept, seed), _three_things(run, patched, swept), _half_doses(swept[RESIDUAL])]
    parts.append(effective_tokens(_patched_by_token(run), _METRIC))
    result = xr.merge(parts, combine_attrs="drop", join="outer")
    sizes = patched["group_size"].sel({GROUP: "changed"}, drop=True)
    result = result.sel({CONCEPT: run.concepts}).assign(changed_tokens=sizes.mean(SAMPLE).astype(np.float64))
    result = result.assign_coords({CATEGORY: (CONCEPT, run.categories)})
    every_way, beside = _in_every_way(run, seed), _baselines(run, swept[RESIDUAL])
    result = result.merge(_contrasts(result, seed), combine_attrs="drop").merge(every_way).merge(beside)
    result = result.assign_attrs(run.facts | every_way.attrs | beside.attrs)
    return result.assign_attrs(words_of(result))


def _baselines(run: StudyRuns, grid: xr.Dataset) -> xr.Dataset:
    """Baselines at the block where an edit of the image tokens by one residual norm does most."""
    values = value_by_image(grid, _METRIC).sel({STRENGTH: 1.0}, drop=True).mean((CONCEPT, SAMPLE))
    layer = int(values.where(values[LAYER] >= 0, drop=True).idxmax(LAYER))
    return baselines(run, run.vectors(IMAGE, layers=[INPUT_NAME, *run.model.layers]), (IMAGE,), layer)


def _patched(run: StudyRuns) -> xr.Dataset:
    """Interchange of each image with its counterfactual."""
    library = run.pairs(_IMAGES)
    return run.grid(
        INTERCHANGE,
        lambda store: patch(
            run.model, library, prompt=run.prompt, groups=("changed", IMAGE, LAST_PROMPT), metrics=_METRIC,
            controls=("identity",), seed=run.seed, store=store, progress=run.progress,
        ),
    )  # fmt: skip


def _patched_by_token(run: StudyRuns) -> xr.Dataset:
    """Interchange of single image tokens at the input of block 0."""
    library = run.pairs(_PAIRS_BY_TOKEN)
    return run.grid(
        PATCHES,
        lambda store: patch(
            run.model, library, prompt=run.prompt, layers=[INPUT_NAME], groups="patches", metrics=_METRIC, controls=(),
            seed=run.seed, store=store, progress=run.progress,
        ),
    )  # fmt: skip


def _swept(run: StudyRuns, name: str) -> xr.Dataset:
    """One of the sweeps, on images without the concepts."""
    last, every = name == LAST_PROMPT, [INPUT_NAME, *run.model.layers]
    vectors = _last_vectors(run) if last else run.vectors(IMAGE, layers=every)
    return run.swept(
        name, vectors, run.images_without(_IMAGES), layers="all" if last else every,
        strengths=STRENGTHS if name == RESIDUAL else (1.0,), unit=RESIDUAL if name == RESIDUAL else VECTOR,
        tokens=(LAST_PROMPT,) if last else (IMAGE,), metrics=(_METRIC,), controls=("random",), draws=_DRAWS,
    )  # fmt: skip


def _last_vectors(run: StudyRuns) -> xr.Dataset:
    """Vectors at the last prompt token, with the accuracy of probes."""
    return run.vectors(LAST_PROMPT, probe_accuracy=True)


def _read_outs(grid: xr.Dataset, swept: Mapping[str, xr.Dataset], seed: int) -> xr.Dataset:
    """Profiles and their numbers, of every measure."""
    patched = read_out_of_patches(grid, seed=seed)
    shares = recovered(grid, seed=seed)["recovered"]
    measures = {}
    for direction in DIRECTIONS:
        cumulative = shares.sel({GROUP: IMAGE, CONTROL: "pair", DIRECTION: direction}, drop=True)
        measures[f"{INTERCHANGE}, {direction}"] = _read_out_numbers(
            patched.sel({DIRECTION: direction}, drop=True), cumulative
        )
    for unit in (VECTOR, RESIDUAL):
        values = value_by_image(swept[unit], _METRIC).sel({STRENGTH: 1.0}, drop=True)
        profile = read_out_of(values, IMAGE, seed=seed)
        measures[f"steering, {unit}"] = _read_out_numbers(profile, values.mean(SAMPLE))
    return xr.concat(list(measures.values()), xr.DataArray(list(measures), dims=MEASURE, name=MEASURE))


def _read_out_numbers(profile: xr.Dataset, cumulative: xr.DataArray) -> xr.Dataset:
    names = ["effective_layers", "effective_share", "centre_depth", "peak_layer", "agreement", "n"]
    shares = profile["read_out"] / profile["read_out"].sum(LAYER)
    numbers = profile[names].assign(read_out=shares, last_block=shares.isel({LAYER: -1}, drop=True))
    blocks = cumulative.where(cumulative[LAYER] >= 0, drop=True)
    return numbers.assign(onset=_participation_ratio(blocks)).reset_coords(drop=True)


def _participation_ratio(values: xr.DataArray) -> xr.DataArray:
    r"""Participation ratio over layers of a profile, of its values that have the sign of the largest, in layers.

    :math:`(\sum_l v_l)^2 / \sum_l v_l^2`: 1 where a single layer carries the effect, L where L layers carry it
    equally. Of a cumulative profile it measures onset only: it does not tell a concept that one block moves (the ratio
    for the image tokens is that block's number) from one that all L blocks move alike (three quarters of L).
    `read_out` does. `values`: NaN does not count.
    """
    filled = values.fillna(0.0)
    peak = filled.isel({LAYER: abs(filled).argmax(LAYER)}, drop=True)
    part = (filled * np.sign(peak)).clip(min=0)
    return part.sum(LAYER) ** 2 / (part**2).sum(LAYER)


def _three_things(run: StudyRuns, grid: xr.Dataset, swept: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Steerable, stored and readable profiles at the last prompt token over layers, and their agreement."""
    steered = value_by_image(swept[LAST_PROMPT], _METRIC).sel({STRENGTH: 1.0}, drop=True).mean(SAMPLE)
    shares = recovered(grid, seed=run.seed)["recovered"]
    stored = shares.sel({GROUP: LAST_PROMPT, CONTROL: "pair", DIRECTION: "insert"}, drop=True)
    stored = stored.where(stored[LAYER] >= 0, drop=True)
    probe = _last_vectors(run)["probe_accuracy"].sel({SCOPE: LAST_PROMPT}, drop=True)
    lens = lens_gap(run.model, run.pairs(_LENS_PAIRS), run.prompt)
    named = {"steerable": steered, "stored": stored, "probe": probe, "readable": lens}
    named = {name: values.reset_coords(drop=True).sel({CONCEPT: run.concepts}) for name, values in named.items()}
    pairs = {f"{a}, {b}": _squared_correlation(named[a], named[b]) for a, b in itertools.combinations(named, 2)}
    r2 = xr.concat(list(pairs.values()), xr.DataArray(list(pairs), dims=PROFILES, name=PROFILES))
    return xr.Dataset({name: values.transpose(CONCEPT, LAYER) for name, values in named.items()} | {"r2": r2})


def _squared_correlation(first: xr.DataArray, other: xr.DataArray) -> xr.DataArray:
    """R² over layers, of the sign of the correlation (concept)."""
    r = xr.corr(first, other, LAYER)
    return r * abs(r)


def _half_doses(grid: xr.Dataset) -> xr.Dataset:
    """Dose at which half of the largest effect of a concept is reached, by layer; NaN where it never is."""
    values = value_by_image(grid, _METRIC).mean(SAMPLE).transpose(CONCEPT, LAYER, STRENGTH)
    values = values.where(values[LAYER] >= 0, drop=True)
    doses = np.concatenate([[0.0], values[STRENGTH].values])
    half = values.max((LAYER, STRENGTH)).values / 2
    half_doses = np.full(values.shape[:2], np.nan)
    for place in np.ndindex(*half_doses.shape):
        curve = np.concatenate([[0.0], values.values[place]])
        above = np.flatnonzero(curve >= half[place[0]])
        if len(above) and half[place[0]] > 0:
            upper = above[0]
            share = (half[place[0]] - curve[upper - 1]) / (curve[upper] - curve[upper - 1])
            half_doses[place] = doses[upper - 1] + share * (doses[upper] - doses[upper - 1])
    dose = xr.DataArray(half_doses, {CONCEPT: values[CONCEPT].values, LAYER: values[LAYER].values}, (CONCEPT, LAYER))
    return xr.Dataset({"half_dose": dose.assign_attrs(units="residual norms", long_name="dose for half of the effect")})


def _in_every_way(run: StudyRuns, seed: int) -> xr.Dataset:
    """Number of blocks of abstract concepts minus that of entities, in every way."""
    grids = multiverse_runs(run, (VECTOR,))
    halves = halves_of(grids, seed)

    def blocks(*, scope: str, half: str, **cell: Any) -> xr.DataArray:
        place = IMAGE if scope == IMAGE else LAST_PROMPT
        return read_out_of(halves(half, scope=scope, unit=VECTOR, **cell), place, seed=seed)["effective_layers"]

    return contrast_in_every_way(LOCALIZATION, grids, blocks, seed)


def _contrasts(result: xr.Dataset, seed: int) -> xr.Dataset:
    """Every two categories compared, by every measure and statistic: the multiverse of the finding."""
    categories = result[CATEGORY].values.astype(str)
    pairs = _pairs(categories)
    shape = (len(pairs), result.sizes[MEASURE], len(STATISTICS))
    names = ("difference", "low", "high", "p", "adjusted", "adjusted_low", "adjusted_high", "adjusted_p")
    tables = {name: np.full(shape, np.nan) for name in names}
    for place in np.ndindex(*shape):
        first, other = pairs[place[0]]
        values = result[STATISTICS[place[2]]].isel({MEASURE: place[1]}).values
        for start, covariate in ((0, None), (4, result["changed_tokens"].values)):
            got = contrast(values, categories, first, other, covariate=covariate, seed=seed)
            for name, value in zip(names[start : start + 4], (got.difference, got.low, got.high, got.p), strict=True):
                tables[name][place] = value
    coords = {
        CONTRAST: [f"{first} - {other}" for first, other in pairs],
        MEASURE: result[MEASURE].values,
        STATISTIC: list(STATISTICS),
    }
    return xr.Dataset({name: ((CONTRAST, MEASURE, STATISTIC), part) for name, part in tables.items()}, coords)


def _pairs(categories: np.ndarray) -> list[tuple[str, str]]:
    """Every two categories, the later one minus the earlier one."""
    return [(later, earlier) for earlier, later in itertools.combinations(dict.fromkeys(categories), 2)]


def words_of(study: xr.Dataset) -> dict[str, str]:
    """Attributes ``summary`` and ``details``: what a localization study asks, shows and cannot conclude.

    `study`: from :func:`localization`.
    """
    categories = study[CATEGORY].values.astype(str)
    names = list(dict.fromkeys(categories))
    blocks = study.sizes[LAYER] if LAYER in study.dims else 0
    by_category = [_category_row(study.isel({CONCEPT: np.flatnonzero(categories == name)}), name) for name in names]
    known = bool(np.isfinite(study["verdict"]).any())
    sentences = [
        f"Asked of {study.attrs['n_concepts']} concepts that the model tells apart: by how many of {blocks} blocks is "
        "each read out of the image, and by how many more abstract concepts than entities?",
        found(study) if known else "; ".join(f"{name}: {text}" for name, text in by_category) + ".",
        conclusion(study),
    ]
    rows = [*by_category, *(row for pair in _pairs(categories) for row in _contrast_rows(study, *pair))]
    rows += [*multiverse_rows(study), *_over_the_image(study), *baseline_rows(study), *few_concepts(list(categories))]
    return in_words(sentences, rows)


def _category_row(some: xr.Dataset, name: str) -> tuple[str, str]:
    """Over how many blocks a category is read out, or why that is not known."""
    values = some.sel({MEASURE: _HEADLINE[0]})["effective_layers"].values
    if np.isfinite(values).any():
        text = f"read out by {mean_text(values, 'blocks')} ({_HEADLINE[0]})"
    else:
        text = f"not known by {_HEADLINE[0]}: {why_unknown(some, _HEADLINE[0])}"
    return f"{name} ({len(values)})", text


def why_unknown(some: xr.Dataset, measure: str) -> str:
    """Why concepts of a localization study have no number of blocks by a measure, in words.

    `some`: from :func:`localization`, of one concept or more. `measure`: one of `MEASURES`.
    """
    here = some.sel({MEASURE: measure})
    unknown = ~np.isfinite(here["effective_layers"].values)
    few = unknown & (here["n"].values < _LEAST_HALVED)
    needed = f"{FEWEST} pairs whose images change the answer" if measure in MEASURES[:2] else f"{_LEAST_HALVED} images"
    reasons = {
        f"have fewer than {needed}": int(few.sum()),
        "have halves of the images that do not agree on a profile": int((unknown & ~few).sum()),
    }
    return " and ".join(f"{count} of {len(unknown)} concepts {why}" for why, count in reasons.items() if count)


def _over_the_image(study: xr.Dataset) -> list[tuple[str, str]]:
    """Rows: effective number of image tokens that carry a concept, by category."""
    categories = study[CATEGORY].values.astype(str)
    rows = []
    for name in dict.fromkeys(categories):
        here = study.isel({CONCEPT: np.flatnonzero(categories == name)})
        number = mean_text(here["effective_tokens"].values, "image tokens, each exchanged by itself")
        differ = float(here["changed_tokens"].mean())
        rows.append((f"{name}, carried by", f"{number}; a pair's images differ in {differ:.1f}"))
    return rows


def _contrast_rows(study: xr.Dataset, first: str, other: str) -> list[tuple[str, str]]:
    """Rows of two categories: their difference by every measure, and beside the number of changed image tokens."""
    of_pair = study.sel({CONTRAST: f"{first} - {other}", STATISTIC: _HEADLINE[1]})
    rows = []
    for measure in of_pair[MEASURE].values:
        cell = of_pair.sel({MEASURE: measure})
        if not np.isfinite(cell["difference"]):
            text = (
                f"not known: {_how_many_are_known(study, str(measure), first, other)} have a number of blocks, and "
                f"{FEWEST_ON_A_SIDE} of each are needed"
            )
        else:
            text = (
                f"{float(cell['difference']):+.1f} blocks [{float(cell['low']):.1f}, {float(cell['high']):.1f}], "
                f"p {chance(float(cell['p']))}; beside the number of changed image tokens "
                f"{signed(float(cell['adjusted']), 1)}"
            )
            adjusted = float(cell["adjusted_p"])
            text += f", p {chance(adjusted)}" if np.isfinite(adjusted) else ""
        text += "; no vote: the dose grows with the stream" if measure == _NO_VOTE else ""
        rows.append((f"{first} - {other}, {measure}", text))
    return rows


def _how_many_are_known(study: xr.Dataset, measure: str, *names: str) -> str:
    """Of how many concepts of each category a measure's number is known."""
    known = np.isfinite(study[_HEADLINE[1]].sel({MEASURE: measure}).values)
    of = {name: study[CATEGORY].values == name for name in names}
    return " and ".join(
        f"{int((known & members).sum())} of {int(members.sum())} {name} concepts" for name, members in of.items()
    )
