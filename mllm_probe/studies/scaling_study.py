"""Scaling: over a ladder of models, how strongly and over how many blocks concepts of each category are steered."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mllm_probe.concepts import ConceptLibrary
from mllm_probe.metrics.metric import chance, signed
from mllm_probe.metrics.statistics import mean
from mllm_probe.models import ProbeModel, require_model
from mllm_probe.models.argument_checks import described
from mllm_probe.schema import (
    CATEGORY,
    CONCEPT,
    CONTROL,
    INPUT_NAME,
    LAYER,
    RUNG,
    SAMPLE,
    STATISTIC,
    STRENGTH,
    TREND,
    relative_depth,
)
from mllm_probe.studies.baselines import GRIDS as EVERY_WAY
from mllm_probe.studies.baselines import (
    Halves,
    baseline_rows,
    baselines,
    contrast,
    contrast_in_every_way,
    every_way,
    halves_of,
    in_gaps,
)
from mllm_probe.studies.effect import effect, value_by_image
from mllm_probe.studies.multiverse import (
    EVERY_IMAGE,
    HALVES,
    SCALING,
    conclusion,
    found,
    in_half,
    in_words,
    multiverse_rows,
)
from mllm_probe.studies.readout import IMAGE, LAST_PROMPT, read_out_of
from mllm_probe.studies.study_runs import StudyRuns, few_concepts

RESIDUAL, VECTOR = "residual", "vector"
GRIDS = (RESIDUAL, VECTOR, IMAGE)
"""Names under which ``grids=`` takes what was run already: of the last prompt token in both units, of image tokens."""
STRENGTHS = (0.5, 1.0, 2.0)
MATCHED = 1.0
"""Dose in residual norms at which models are compared: the same share of the stream in all of them."""
STATISTICS = ("best", "matched", "natural", "best_depth", "effective_layers", "effective_share", "centre_depth")
FEWEST_MODELS = 5
"""Models with fewer of which no trend is concluded: three points of one family are on some line by chance."""
FEWEST_DEPTHS = 3
"""The same for depths: between two every difference is a trend."""
_IMAGES, _DRAWS, _METRIC = 8, 8, "logprob"


def scaling(
    model: Sequence[ProbeModel],
    library: ConceptLibrary | None = None,
    *,
    vectors: Mapping[str, xr.Dataset] | None = None,
    grids: Mapping[str, Mapping[str, xr.Dataset]] | None = None,
    prompt: str | None = None,
    seed: int = 0,
    store: str | Path | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Ask how steering changes with depth and size, and which trends survive equal doses.

    Parameters
    ----------
    model : sequence of ProbeModel
        The ladder: two models or more, of different names.
    library : ConceptLibrary, optional
        That of a bundled model by default; concepts that are fit in every model are compared.
    vectors : mapping of str to Dataset, optional
        By model name, with scopes ``"last_prompt"`` and ``"image"`` at ``"input"`` and every block.
    grids : mapping of str to (mapping of str to Dataset), optional
        By model name, then by the names in ``GRIDS``: what was run already; besides, those of
        :func:`mllm_probe.studies.multiverse_grids`.
    prompt : str, optional
    seed : int
        Of the split, the random directions and the permutations.
    store : str or Path, optional
        Folder for the grids, by the fingerprint of each model's weights.
    progress : bool

    Returns
    -------
    Dataset, host memory, float64
        By (rung, concept): ``gap``, log-probability of the concept's words on images with it minus that without it in
        this model, nats (:func:`mllm_probe.check`). In shares of it, so that a model that is surer of everything has no
        larger effects for that: ``best``, effect of the best block and dose at the last prompt token, chosen on one
        half of the images and measured on the other; ``best_random``, what random directions do at that cell;
        ``matched``, the same with the dose held at one residual norm; ``natural``, with the vector's own length, which
        differs from model to model. Besides: ``best_depth`` (relative) and ``best_layer``; ``effective_layers``,
        ``effective_share``, ``centre_depth`` of the read-out profile of the image tokens. Per rung: ``blocks``,
        ``parameters``. By (trend, statistic): ``slope``, change per doubling of the blocks of the category's mean,
        and ``monotone``, whether it rises (1) or falls (-1) from each depth to the next, else 0. By (rung, statistic):
        ``difference``, ``low``, ``high``, ``p`` of abstract minus entity, where both are there. ``verdict``
        (specification): growth of the effect per doubling of the blocks, abstract minus entity, in every way of
        :data:`mllm_probe.studies.multiverse.SCALING`, with what :func:`mllm_probe.studies.multiverse.asked` gives
        beside it. Baselines (rung, concept) as :func:`mllm_probe.studies.baselines.baselines` gives them. Attributes
        ``summary``, ``details``, ``n_concepts``.

    Raises
    ------
    TypeError
        If it is no sequence of models.
    ValueError
        For a ladder of one model or of models with one name, and as for the other studies.

    References
    ----------
    Question: Deng et al., arXiv 2605.05593, finding 2. Doses as shares of the residual norm: strengths in raw units
    manufacture trends over scale, since norms grow with depth and width.
    """
    models = _ladder(model)
    runs = [
        _rung(
            model, library, vectors=(vectors or {}).get(model.name), grids=(grids or {}).get(model.name), prompt=prompt,
            seed=seed, store=store, progress=progress,
        )
        for model in models
    ]  # fmt: skip
    shared = [name for name in runs[0].concepts if all(name in run.concepts for run in runs)]
    facts = runs[0].facts | {
        "model": [model.name for model in models],
        "weights": [model.fingerprint for model in models],
    }
    facts |= {"n_concepts": len(shared)}
    if not shared:
        counts = "; ".join(f"{run.model.name}: {len(run.concepts)} fit" for run in runs)
        return xr.Dataset(attrs={**facts, "summary": f"Nothing to study: no concept is fit in every model ({counts})."})
    names = xr.DataArray([model.name for model in models], dims=RUNG, name=RUNG)
    result = xr.concat([_measured(run, shared, seed) for run in runs], names)
    result = result.assign(
        blocks=(RUNG, [len(model.layers) for model in models]),
        parameters=(RUNG, [sum(p.numel() for p in model.hf.parameters()) for model in models]),
    )
    result = result.assign_coords({CATEGORY: (CONCEPT, [str(runs[0].others[name].category) for name in shared])})
    every_way = _in_every_way(runs, seed)
    facts |= {"baseline_cell": f"{LAST_PROMPT}, each model's best block, {MATCHED:+g} residual norm"}
    result = result.merge(_trends(result)).merge(_differences(result, seed)).merge(every_way)
    result = result.assign_attrs(facts | every_way.attrs)
    return result.assign_attrs(words_of(result))


def scaling_grids(
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
    """Run what :func:`scaling` needs of one model, so that models can be run side by side or on other machines.

    `library`, `vectors`, `grids`, `prompt`, `seed`, `store`, `progress`: as for :func:`scaling`, of this model alone;
    with its ``store``, it finds them there. Returns: for ``grids={model.name: …}`` of :func:`scaling`, without those of
    :func:`mllm_probe.studies.multiverse_grids`; empty if the model tells no concept apart. Raises ValueError: as the
    studies.
    """
    run = _rung(
        model, library, vectors=vectors, grids=grids, prompt=prompt, seed=seed, store=store, progress=progress
    )  # fmt: skip
    return {} if run.subject.fitted is None else _grids(run)


def _rung(model: ProbeModel, library: ConceptLibrary | None, *, store: str | Path | None, **given: Any) -> StudyRuns:
    """The runs of one model of the ladder."""
    folder = None if store is None else Path(store) / model.fingerprint
    return StudyRuns("scaling", (*GRIDS, *EVERY_WAY), model, library, store=folder, **given)


def _ladder(models: Sequence[ProbeModel]) -> list[ProbeModel]:
    if isinstance(models, str) or not isinstance(models, Sequence):
        raise TypeError(f"model: expected a list of models, such as [mp.load('scenes-4l'), …]; got {described(models)}")
    for model in models:
        require_model(model)
    names = [model.name for model in models]
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError(
            f"a ladder has two models or more, each with a name of its own; got {', '.join(names) or 'none'}."
        )
    return sorted(models, key=lambda model: (len(model.layers), model.name))


def _grids(run: StudyRuns) -> dict[str, xr.Dataset]:
    """Grids of one model by the names in ``GRIDS``."""
    every: list[int | str] = [INPUT_NAME, *run.model.layers]
    images, last = run.images_without(_IMAGES), run.vectors(LAST_PROMPT)
    common: dict[str, Any] = {"metrics": (_METRIC,), "controls": ("random",), "draws": _DRAWS}
    return {
        RESIDUAL: run.swept(RESIDUAL, last, images, strengths=STRENGTHS, tokens=(LAST_PROMPT,), **common),
        VECTOR: run.swept(VECTOR, last, images, strengths=(1.0,), unit="vector", tokens=(LAST_PROMPT,), **common),
        IMAGE: run.swept(
            IMAGE, run.vectors(IMAGE, layers=every), images, layers=every, strengths=(1.0,), unit="vector",
            tokens=(IMAGE,), **common,
        ),
    }  # fmt: skip


def _measured(run: StudyRuns, concepts: Sequence[str], seed: int) -> xr.Dataset:
    """Numbers of every concept in one model (concept)."""
    grids = _grids(run)
    residual, natural, shown = (grids[name] for name in GRIDS)
    profile = read_out_of(value_by_image(shown, _METRIC).sel({STRENGTH: 1.0}, drop=True), IMAGE, seed=seed)
    best = best_held_out(residual, seed=seed)
    best = best.assign(
        matched=best_held_out(residual.sel({STRENGTH: [MATCHED]}), seed=seed)["best"],
        natural=best_held_out(natural, seed=seed)["best"],
    )
    gaps = run.subject.seen["gap"]
    best = best.assign({name: in_gaps(best[name], gaps) for name in ("best", "best_random", "matched", "natural")})
    best = best.assign(
        gap=gaps.sel({CONCEPT: best[CONCEPT].values}),
        best_depth=relative_depth_of(best["best_layer"], len(run.model.layers)),
        effective_layers=profile["effective_layers"],
        effective_share=profile["effective_share"],
        centre_depth=profile["centre_depth"],
    )
    matched = value_by_image(residual, _METRIC).sel({STRENGTH: MATCHED}, drop=True).mean((CONCEPT, SAMPLE))
    beside = baselines(run, run.vectors(LAST_PROMPT), (LAST_PROMPT,), int(matched.idxmax(LAYER)), strength=MATCHED)
    best = best.merge(beside.drop_attrs())
    return best.reset_coords(drop=True).sel({CONCEPT: list(concepts)}).astype(np.float64)


def relative_depth_of(layer: xr.DataArray, blocks: int) -> xr.DataArray:
    """Return layers as shares of the decoder's depth."""
    return xr.apply_ufunc(lambda values: relative_depth(values, blocks), layer)


def best_held_out(grid: xr.Dataset, metric: str = _METRIC, *, seed: int = 0) -> xr.Dataset:
    """Effect at the best layer and strength, chosen on one half of the images and measured on the other, both ways.

    `grid`: of a sweep with random controls. `seed`: of the halves. Returns: ``best`` and ``best_random``, means of the
    two ways; ``best_layer`` and ``best_strength``, of all images.
    """
    values = value_by_image(grid, metric).transpose(CONCEPT, LAYER, STRENGTH, SAMPLE)
    controls = effect(grid, metric)["control_mean"].sel({CONTROL: "random"}, drop=True)
    unsteered = grid[f"{metric}_unsteered"].mean(SAMPLE)
    random = (controls - unsteered).transpose(CONCEPT, LAYER, STRENGTH).values.reshape(values.sizes[CONCEPT], -1)
    scores = values.values.reshape(values.sizes[CONCEPT], -1, values.sizes[SAMPLE])
    halves = [in_half(scores.shape[-1], half, seed) for half in _OTHER]
    means = [mean(scores[..., half]) for half in halves]
    best, beside = np.zeros(len(scores)), np.zeros(len(scores))
    rows = np.arange(len(scores))
    # The best of many noisy cells is too large on the images that it was chosen on (winner's curse), not on others. The
    # control is read at the same cell.
    for chosen_on, measured_on in itertools.permutations(means, 2):
        place = _largest(chosen_on)
        best += measured_on[rows, place] / 2
        beside += random[rows, place] / 2
    place = _largest(mean(scores))
    layer, strength = np.unravel_index(place, values.shape[1:3])
    data = {
        "best": best,
        "best_random": beside,
        "best_layer": values[LAYER].values[layer].astype(np.float64),
        "best_strength": values[STRENGTH].values[strength],
    }
    return xr.Dataset({name: (CONCEPT, column) for name, column in data.items()}, {CONCEPT: values[CONCEPT].values})


def _largest(values: np.ndarray) -> np.ndarray:
    """Place of the largest value along the last axis, of those that are known."""
    return np.where(np.isfinite(values), values, -np.inf).argmax(-1)


def _in_every_way(runs: Sequence[StudyRuns], seed: int) -> xr.Dataset:
    """Growth of the effect of abstract concepts minus that of entities, in every way."""
    several = [every_way(run, (RESIDUAL,)) for run in runs]
    blocks = [len(run.model.layers) for run in runs]
    doublings = np.log2(np.array(blocks, np.float64))
    known = {} if not all(several) or not np.ptp(doublings) else several[0]
    readers = [halves_of(grids, seed, run.subject.seen["gap"]) for grids, run in zip(several, runs, strict=True)]

    def growth(*, layers: str, half: str, **cell: Any) -> xr.DataArray:
        rungs = [_at_blocks(halves, layers, half, **cell) for halves in readers]
        joined = xr.concat(rungs, RUNG, join="inner", coords="minimal", compat="override")
        values = joined.transpose(RUNG, CONCEPT).values
        slope = np.full(values.shape[1], np.nan)
        complete = np.isfinite(values).all(0)
        slope[complete] = np.polyfit(doublings, values[:, complete], 1)[0]
        return joined.isel({RUNG: 0}, drop=True).copy(data=slope)

    return contrast_in_every_way(SCALING, known, growth, seed, few_models(blocks))


def few_models(blocks: Sequence[int]) -> str:
    """Why a ladder shows no trend, as a clause; empty where it has enough models and depths.

    `blocks`: of each model.
    """
    depths = len(set(blocks))
    if len(blocks) < FEWEST_MODELS:
        coin = ", and between two depths whether something rises is a coin toss" if depths < FEWEST_DEPTHS else ""
        return f"a trend needs {FEWEST_MODELS} models or more, and this ladder has {len(blocks)}{coin}"
    if depths < FEWEST_DEPTHS:
        return f"a trend needs {FEWEST_DEPTHS} depths or more, and this ladder has {depths}: a coin toss"
    return ""


_OTHER = dict(zip(HALVES[1:], HALVES[:0:-1], strict=True))
"""For each half of the images the one on which its best block is chosen."""


def _at_blocks(halves: Halves, layers: str, half: str, **cell: Any) -> xr.DataArray:
    """Effect of one model by concept: the mean over blocks, or at the block that is best on the other half.

    On all images, the mean of the two halves, each at the block that is best on the other.
    """
    scores = halves(half, unit=RESIDUAL, **cell)
    if layers == "mean":
        numbers = mean(mean(_by_block(scores)))
    else:
        means = {name: mean(_by_block(halves(name, unit=RESIDUAL, **cell))) for name in _OTHER}
        reported = [name for name in _OTHER if half in (name, EVERY_IMAGE)]
        rows = np.arange(len(means[reported[0]]))
        numbers = mean(np.stack([means[name][rows, _largest(means[_OTHER[name]])] for name in reported], -1))
    return xr.DataArray(
        numbers, {CONCEPT: scores[CONCEPT].values, CATEGORY: (CONCEPT, scores[CATEGORY].values)}, (CONCEPT,)
    )


def _by_block(scores: xr.DataArray) -> np.ndarray:
    return scores.transpose(CONCEPT, LAYER, SAMPLE).values


def _trends(result: xr.Dataset) -> xr.Dataset:
    """Change of every category's mean per doubling of the blocks, and whether all steps have one sign."""
    categories = list(dict.fromkeys(result[CATEGORY].values.astype(str)))
    doublings = np.log2(result["blocks"].values.astype(np.float64))
    slope = np.full((len(categories), len(STATISTICS)), np.nan)
    monotone = np.zeros_like(slope)
    for place in np.ndindex(*slope.shape):
        chosen = result[CATEGORY].values == categories[place[0]]
        means = result[STATISTICS[place[1]]].transpose(RUNG, CONCEPT).values[:, chosen]
        means = mean(means)
        if np.isfinite(means).all() and np.ptp(doublings) > 0:
            slope[place] = np.polyfit(doublings, means, 1)[0]
            # Models of one depth, such as two seeds, are one step of the ladder.
            steps = np.sign(np.diff([means[doublings == depth].mean() for depth in np.unique(doublings)]))
            monotone[place] = steps[0] if (steps == steps[0]).all() else 0
    dims = (TREND, STATISTIC)
    coords = {TREND: categories, STATISTIC: list(STATISTICS)}
    return xr.Dataset({"slope": (dims, slope), "monotone": (dims, monotone)}, coords)


def _differences(result: xr.Dataset, seed: int) -> xr.Dataset:
    """Abstract minus entity in every model, with concepts as the sampling unit."""
    names = ("difference", "low", "high", "p")
    tables = {name: np.full((result.sizes[RUNG], len(STATISTICS)), np.nan) for name in names}
    categories = result[CATEGORY].values.astype(str)
    for place in np.ndindex(*tables["p"].shape):
        values = result[STATISTICS[place[1]]].isel({RUNG: place[0]}).values
        compared = contrast(values, categories, "abstract", "entity", seed=seed)
        for name, value in zip(names, (compared.difference, compared.low, compared.high, compared.p), strict=True):
            tables[name][place] = value
    return xr.Dataset({name: ((RUNG, STATISTIC), values) for name, values in tables.items()})


def words_of(study: xr.Dataset) -> dict[str, str]:
    """Attributes ``summary`` and ``details``: what a ladder was asked, what it shows, and what it cannot show.

    `study`: from :func:`scaling`.
    """
    rungs = list(zip(study[RUNG].values, study["blocks"].values, study["parameters"].values, strict=True))
    sentences = [
        f"Asked of {study.attrs['n_concepts']} concepts in {len(rungs)} models of {int(study['blocks'].min())} to "
        f"{int(study['blocks'].max())} blocks: how steering changes with depth, and whether abstract concepts gain "
        "more than entities.",
        found(study),
        conclusion(study),
    ]
    rows = [(str(name), f"{int(blocks)} blocks, {size / 1e6:.1f} M parameters") for name, blocks, size in rungs]
    depths = len(np.unique(study["blocks"].values))
    for category in study[TREND].values:
        rows += _trend_rows(study.sel({TREND: category}), str(category), depths)
    for rung in study[RUNG].values:
        here = study.sel({RUNG: rung, STATISTIC: "effective_share"})
        if np.isfinite(here["difference"]):
            text = (
                f"share of the blocks that read it out {float(here['difference']):+.2f} [{float(here['low']):+.2f}, "
                f"{float(here['high']):+.2f}], p {chance(float(here['p']))}"
            )
            rows.append((f"{rung}, abstract - entity", text))
    rows += [("permutation", "of categories over concepts, within these models: it says nothing of other models")]
    rows += [*multiverse_rows(study), *baseline_rows(study)]
    return in_words(sentences, rows + few_concepts(list(study[CATEGORY].values.astype(str))))


_SHOWN = {
    "matched": "of the gap, dose of 1 residual norm",
    "natural": "of the gap, the vector's own length",
    "effective_layers": "blocks that read it out",
    "best_depth": "relative depth of the best block",
}


def _trend_rows(some: xr.Dataset, category: str, depths: int) -> list[tuple[str, str]]:
    """Change of a category's means per doubling of the blocks, and how often chance alone makes such steps."""
    by_chance = f", as one random ladder in {math.factorial(depths)} does"
    rows = []
    for name, unit in _SHOWN.items():
        cell = some.sel({STATISTIC: name})
        way = {1.0: "rises" + by_chance, -1.0: "falls" + by_chance, 0.0: "no steady trend"}[float(cell["monotone"])]
        known = f" ({way})" if np.isfinite(cell["slope"]) else ""
        rows.append((f"{category}, per doubling", f"{signed(float(cell['slope']), 2, unit)}{known}"))
    return rows
