"""Which concepts a model tells apart at all, before any steering: those are fit to be studied."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from mllm_probe.concepts import ConceptLibrary
from mllm_probe.metrics.statistics import LEAST_IMAGES, LEVEL, wilson_interval
from mllm_probe.models import ProbeModel, require_model
from mllm_probe.models.argument_checks import described, finite_number
from mllm_probe.schema import CATEGORY, CONCEPT, SAMPLE, provenance
from mllm_probe.sweeps import sweep
from mllm_probe.vectors import vectors_from

MINIMUM_GAP = 0.5
"""Nats by which the images of a concept must raise its word over their counterparts, on average."""


def check(
    model: ProbeModel, library: ConceptLibrary, prompt: str | None = None, *, minimum_gap: float = MINIMUM_GAP
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
    minimum_gap : float
        In nats, of the concept's log-probability at the answer's first position.

    Returns
    -------
    Dataset (concept), host memory
        ``named_positive``, ``named_negative``: share of the images with and without the concept whose answer names it,
        each with ``_low`` and ``_high`` (95 % Wilson); ``gap`` with ``gap_low``, ``gap_high``: log-probability of its
        words on positives minus that on negatives, in nats, with its 95 % t interval, over pairs where the concept is
        paired, else of two samples (Welch); ``positives``, ``negatives``: images; ``fit``: the gap is at least
        ``minimum_gap``, its interval excludes 0, and positives are answered with the concept more often than negatives.
        With fewer than 6 images on a side the interval is NaN and the concept is not fit.

    Raises
    ------
    TypeError
        If it is no concept library.
    ValueError
        If no concept of the library has a word that the model knows.

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
    grid = _unsteered(model, library, prompt)
    place = {str(name): number for number, name in enumerate(grid[SAMPLE].values)}
    columns: dict[str, list[Any]] = {}
    for name, concept in library.items():
        one = grid.sel({CONCEPT: name})
        sides = [[place[picture.id] for picture in side] for side in (concept.positive, concept.negative)]
        row = _compared(one["logprob_unsteered"].values, one["named_unsteered"].values, sides, concept.paired)
        row["fit"] = bool(
            row["gap"] >= minimum_gap and row["gap_low"] > 0 and row["named_positive"] > row["named_negative"]
        )
        for key, value in row.items():
            columns.setdefault(key, []).append(value)
    coords = {CONCEPT: list(library), CATEGORY: (CONCEPT, [str(c.category) for c in library.values()])}
    facts = {"prompt": grid.attrs.get("prompt"), "minimum_gap": minimum_gap, "concepts": library.fingerprint}
    data = {key: (CONCEPT, np.array(values), _ATTRS.get(key, {})) for key, values in columns.items()}
    return xr.Dataset(data, coords, provenance(model, **facts))


def _unsteered(model: ProbeModel, library: ConceptLibrary, prompt: str | None) -> xr.Dataset:
    """Every image's log-probability of every concept, and whether its answer names it: a sweep of strength 0 alone."""
    directions = {name: np.ones(model.hidden_size, np.float32) for name in library}
    words = {name: concept.words for name, concept in library.items()}
    vectors = vectors_from(model, directions, words=words)
    return sweep(
        model, vectors, library.pictures, prompt, layers=[0], strengths=(0,), unit="raw", controls=(),
        metrics=("logprob", "named"), progress=False,
    )  # fmt: skip


def _compared(logprob: np.ndarray, named: np.ndarray, sides: list[list[int]], paired: bool) -> dict[str, Any]:
    """Numbers of one concept from the scores of all images, and the places of its positives and negatives."""
    row: dict[str, Any] = {}
    for side, places in zip(("positive", "negative"), sides, strict=True):
        known = named[places][np.isfinite(named[places])]
        row[f"named_{side}"] = known.mean() if known.size else np.nan
        low, high = wilson_interval(known.sum(), known.size)
        row |= {f"named_{side}_low": float(low), f"named_{side}_high": float(high), f"{side}s": len(places)}
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
    "gap": {"long_name": "log-probability of the concept on images with it minus that without it", "units": "nats"},
    "fit": {"long_name": "the model tells the concept's images apart: fit to be studied"},
}
