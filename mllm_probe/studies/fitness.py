"""Which concepts a model tells apart at all, before any steering: those are fit to be studied."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats
from tqdm.auto import tqdm

from mllm_probe.concepts import ConceptLibrary
from mllm_probe.metrics.statistics import LEAST_IMAGES, LEVEL, wilson_interval
from mllm_probe.models import ProbeModel, require_model
from mllm_probe.models.argument_checks import described, finite_number
from mllm_probe.schema import CATEGORY, CONCEPT, SAMPLE, provenance
from mllm_probe.studies.effect import LARGEST_P
from mllm_probe.sweeps import sweep_iter
from mllm_probe.vectors import likeness, vectors_from
from mllm_probe.vectors.pooling import Progress

_SHOWN = 6
MINIMUM_GAP = 0.5
"""Nats by which the images of a concept must raise its word over their counterparts, on average."""
NOT_TOLD_APART = "the model does not tell its images apart"
_NOT_SCORED = "no word for it can be scored in this model"


def check(
    model: ProbeModel,
    library: ConceptLibrary,
    prompt: str | None = None,
    *,
    vectors: xr.Dataset | None = None,
    minimum_gap: float = MINIMUM_GAP,
    progress: Progress = False,
) -> xr.Dataset:
    """How often a model names each concept on the images with and without it, and which are fit to be studied.

    Nothing is steered: a concept that the model does not tell apart has no cause to be found in it.

    Parameters
    ----------
    model : ProbeModel
    library : ConceptLibrary
        All its images are answered once.
    prompt : str, optional
        The model's default prompt if None.
    vectors : Dataset, optional
        Concept vectors that the library's images are to be steered with: says how many of them are unlike the images
        of the vectors (see :func:`mllm_probe.vectors.likeness`).
    minimum_gap : float
        In nats, of the concept's log-probability at the answer's first position.
    progress : bool or callable
        Show a bar, or call this with how many images are answered and how many there are; an error of it ends the run.

    Returns
    -------
    Dataset (concept), host memory
        ``named_positive``, ``named_negative``: share of the images with and without the concept whose answer names it,
        each with ``_low`` and ``_high`` (95 % Wilson); ``gap`` with ``gap_low``, ``gap_high``: log-probability of its
        words on positives minus that on negatives, in nats, with its 95 % t interval, over pairs where the concept is
        paired, else of two samples (Welch); ``positives``, ``negatives``: images; ``fit``: the gap is at least
        ``minimum_gap``, its interval excludes 0, and positives are answered with the concept more often than negatives
        (``named_p`` ≤ .05, one-sided, Fisher's exact test): of many concepts, some are named more often by chance.
        With fewer than 6 images on a side the interval is NaN and the concept is not fit. With vectors, ``unlike``:
        share of the concept's images that are farther from those of the vectors than 95 % of these are themselves.

    Raises
    ------
    TypeError
        If it is no concept library.
    ValueError
        If no concept of the library has a word that the model knows, or the vectors carry too few activations.

    Examples
    --------
    >>> seen = mp.check(model, library)
    >>> library.subset(concepts=seen.concept[seen.fit].values.tolist())
    """
    require_model(model)
    if not isinstance(library, ConceptLibrary):
        raise TypeError(
            f"library: expected a concept library (mp.concepts.scenes, from_folder …); got {described(library)}."
        )
    minimum_gap = finite_number("minimum_gap", minimum_gap)
    grid = _unsteered(model, library, prompt, progress)
    unlike = None if vectors is None else likeness(model, vectors, library.pictures)["unlike"].to_series()
    place = {str(name): number for number, name in enumerate(grid[SAMPLE].values)}
    columns: dict[str, list[Any]] = {}
    for name, concept in library.items():
        one = grid.sel({CONCEPT: name})
        sides = [[place[picture.id] for picture in side] for side in (concept.positive, concept.negative)]
        row = _compared(one["logprob_unsteered"].values, one["named_unsteered"].values, sides, concept.paired)
        row["fit"] = bool(row["gap"] >= minimum_gap and row["gap_low"] > 0 and row["named_p"] <= LARGEST_P)
        if unlike is not None:
            row["unlike"] = float(unlike[[picture.id for picture in concept.pictures]].mean())
        for key, value in row.items():
            columns.setdefault(key, []).append(value)
    coords = {CONCEPT: list(library), CATEGORY: (CONCEPT, [str(c.category) for c in library.values()])}
    facts = {"prompt": grid.attrs.get("prompt"), "minimum_gap": minimum_gap, "concepts": library.fingerprint}
    data = {key: (CONCEPT, np.array(values), _ATTRS.get(key, {})) for key, values in columns.items()}
    return xr.Dataset(data, coords, provenance(model, **facts))


def told_apart(seen: xr.Dataset) -> str:
    """Say of a `check` how many concepts the model tells apart, and which it does not."""
    fit = seen["fit"].values
    unfit = [str(name) for name in seen[CONCEPT].values[~fit]]
    if (seen["positives"] < LEAST_IMAGES).all() or (seen["negatives"] < LEAST_IMAGES).all():
        return f"fewer than {LEAST_IMAGES} images of each concept: not known which the model tells apart"
    listed = f"; not {', '.join(unfit[:_SHOWN])}{', …' if len(unfit) > _SHOWN else ''}" if unfit else ""
    return f"tells {int(fit.sum())} of {fit.size} concepts apart{listed}"


def unfit_concepts(seen: xr.Dataset) -> dict[str, str]:
    """Concepts of a `check` that are not fit to be studied, each with why; none of those with too few images."""
    known = (seen["positives"] >= LEAST_IMAGES) & (seen["negatives"] >= LEAST_IMAGES)
    unfit = seen.sel({CONCEPT: (known & ~seen["fit"]).values})
    reasons = np.where(np.isfinite(unfit["gap"].values), NOT_TOLD_APART, _NOT_SCORED)
    return dict(zip(unfit[CONCEPT].values.tolist(), reasons.tolist(), strict=True))


def scoring_vectors(model: ProbeModel, library: ConceptLibrary) -> xr.Dataset:
    """Vectors that steer nowhere in particular, with the words of a library's concepts: for sweeps of strength 0."""
    directions = {name: np.ones(model.hidden_size, np.float32) for name in library}
    words = {name: concept.words for name, concept in library.items()}
    return vectors_from(model, directions, words=words)


def _unsteered(model: ProbeModel, library: ConceptLibrary, prompt: str | None, progress: Progress) -> xr.Dataset:
    """Every image's log-probability of every concept, and whether its answer names it: a sweep of strength 0 alone."""
    vectors = scoring_vectors(model, library)
    pictures = library.pictures
    grids = sweep_iter(
        model, vectors, pictures, prompt, layers=[0], strengths=(0,), unit="raw", controls=(),
        metrics=("logprob", "named"), progress=False,
    )  # fmt: skip
    with closing(grids), tqdm(total=len(pictures), disable=progress is not True, unit="image", desc="check") as bar:
        for _ in grids:
            done = int(grids.engine.grid.has_unsteered.sum())
            bar.update(done - bar.n)
            if callable(progress):
                progress(done, len(pictures))
        return grids.engine.dataset()


def _compared(logprob: np.ndarray, named: np.ndarray, sides: list[list[int]], paired: bool) -> dict[str, Any]:
    """Numbers of one concept from the scores of all images, and the places of its positives and negatives."""
    row: dict[str, Any] = {}
    counts: list[list[int]] = []
    for side, places in zip(("positive", "negative"), sides, strict=True):
        known = named[places][np.isfinite(named[places])]
        row[f"named_{side}"] = known.mean() if known.size else np.nan
        low, high = wilson_interval(known.sum(), known.size)
        counts.append([int(known.sum()), int(known.size - known.sum())])
        row |= {f"named_{side}_low": float(low), f"named_{side}_high": float(high), f"{side}s": len(places)}
    row["named_p"] = float(stats.fisher_exact(counts, alternative="greater").pvalue)
    positive, negative = (logprob[places].astype(np.float64) for places in sides)
    if paired:
        difference = positive - negative
        difference = difference[np.isfinite(difference)]
        enough = difference.size >= LEAST_IMAGES
        row["gap"] = difference.mean() if difference.size else np.nan
        test = stats.ttest_1samp(difference, 0) if enough else None
    else:
        positive, negative = positive[np.isfinite(positive)], negative[np.isfinite(negative)]
        enough = min(positive.size, negative.size) >= LEAST_IMAGES
        row["gap"] = positive.mean() - negative.mean() if positive.size and negative.size else np.nan
        test = stats.ttest_ind(positive, negative, equal_var=False) if enough else None
    interval = None if test is None else test.confidence_interval(LEVEL)
    row |= {
        "gap_low": np.nan if interval is None else interval.low,
        "gap_high": np.nan if interval is None else interval.high,
    }
    return row


_ATTRS = {
    "named_positive": {"long_name": "share of images with the concept whose answer names it", "units": "1"},
    "named_negative": {"long_name": "share of images without the concept whose answer names it", "units": "1"},
    "named_p": {"long_name": "p: positives are named no more often than negatives, Fisher's exact test", "units": "1"},
    "gap": {"long_name": "log-probability of the concept on images with it minus that without it", "units": "nats"},
    "unlike": {"long_name": "share of images that are unlike those of the vectors", "units": "1"},
    "fit": {"long_name": "the model tells the concept's images apart: fit to be studied"},
}
