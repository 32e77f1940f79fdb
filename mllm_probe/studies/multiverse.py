"""The multiverse: each study's question under every combination of settings, fixed here before anything runs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from mllm_probe.metrics.metric import chance, signed
from mllm_probe.schema import (
    ASPECT,
    CONTROL,
    DEPTH,
    EDIT,
    HALF,
    PREDICTOR,
    READ_ALONG,
    SCOPE,
    SPECIFICATION,
    STATISTIC,
    STRENGTH,
)
from mllm_probe.studies.effect import LARGEST_P

AGREEING = 0.8
"""Share of all ways that must have one sign before a summary speaks of a finding."""


@dataclass(frozen=True)
class Multiverse:
    """Ways in which one question is asked, and the one that is the headline.

    `question`: what a positive verdict means.
    `units`: of the verdicts.
    `aspects`: what the ways differ in, each with its values; every combination is one way.
    `headline`: one value of each aspect.
    """

    question: str
    units: str
    aspects: Mapping[str, Sequence[Any]]
    headline: Mapping[str, Any]

    def ways(self) -> list[dict[str, Any]]:
        """Every combination, the last aspect changing fastest."""
        return [dict(zip(self.aspects, values, strict=True)) for values in itertools.product(*self.aspects.values())]


LEAST_DIFFERENCE = 0.2
"""Difference of the shares of positive ways from which a summary names the aspect that makes it."""
FEWEST_CONCEPTS = 8
"""Concepts that a question compares, of each category, with fewer of which nothing is concluded: 4 against 4 cannot
have a p under .029."""
ANSWERING = "last_prompt+generated"
PLACES = ("image", ANSWERING)
"""Tokens that studies of answers edit: those of the image, or the last of the prompt and what is generated."""
_HALVES = ("first", "second")
_COMMON: Mapping[str, Sequence[Any]] = {
    STRENGTH: (1.0, 2.0),
    SCOPE: PLACES,
    "metric": ("logprob", "score"),
    "unit": ("residual", "vector"),
}
_CHECKS: Mapping[str, Sequence[Any]] = {CONTROL: ("random", "on_manifold"), HALF: _HALVES}
_HEADLINE = {STRENGTH: 1.0, SCOPE: "image", "metric": "logprob", "unit": "vector"}

LOCALIZATION = Multiverse(
    "abstract minus entity, number of blocks",
    "blocks",
    {**_COMMON, STATISTIC: ("read-out", "onset"), **_CHECKS},
    {**_HEADLINE, STATISTIC: "read-out", CONTROL: "random", HALF: "first"},
)
SCALING = Multiverse(
    "abstract minus entity, growth of the effect per doubling of the blocks",
    "nats or score",
    {**_COMMON, "layers": ("best", "mean"), **_CHECKS},
    {**_HEADLINE, "unit": "residual", "layers": "best", CONTROL: "random", HALF: "first"},
)
"""The headline's doses are matched: the natural length of vectors differs from model to model."""
RECOGNITION_OR_REASONING = Multiverse(
    "effect on recognition minus effect on the problem",
    "nats or share of answers",
    {**_COMMON, "metric": ("logprob", "named"), "layers": ("mean", "best"), **_CHECKS},
    {**_HEADLINE, "unit": "residual", "layers": "mean", CONTROL: "random", HALF: "first"},
)
"""Labels do not say what the answer to a problem should keep, so that ``named`` takes the place of the score."""

REVERSE = Multiverse(
    question="change at the last block over 1.2 times that of its control, log of the ratio (positive: a surge)",
    units="nats",
    aspects={
        SCOPE: PLACES,
        EDIT: ("-1 vector", "-1 residual norm", "ablation"),
        DEPTH: (0.25, 0.5, 0.75),
        READ_ALONG: ("edit", "block"),
        CONTROL: ("random", "orthogonal"),
        HALF: _HALVES,
    },
    headline={
        SCOPE: ANSWERING,
        EDIT: "-1 residual norm",
        DEPTH: 0.5,
        READ_ALONG: "edit",
        CONTROL: "random",
        HALF: "first",
    },
)
"""Whether steering against a concept makes it surge inside: see :func:`mllm_probe.studies.reverse_steering`."""
ATLAS = Multiverse(
    "effect on the own concept minus that on the others of its category",
    "nats",
    {DEPTH: (0.25, 0.5, 0.75, 1.0), "against": ("random", "unsteered"), HALF: _HALVES},
    {DEPTH: 0.5, "against": "random", HALF: "first"},
)
"""Whether a vector isolates its concept from its nearest relations."""
RELIABILITY = Multiverse(
    "rank correlation of what is known of a vector with its steerability",
    "ρ",
    {
        PREDICTOR: ("split_half_cosine", "pair_cosine", "separation", "norm"),
        DEPTH: (0.25, 0.5, 0.75, 1.0),
        HALF: _HALVES,
    },
    {PREDICTOR: "separation", DEPTH: 1.0, HALF: "first"},
)
"""Whether anything known before steering foretells it."""


def asked(multiverse: Multiverse, verdict: Callable[..., float]) -> xr.Dataset:
    """Ask a question in every way.

    `verdict`: takes the values of the aspects by name and returns a number; NaN where it cannot be computed. Returns:
    ``verdict`` (specification), float64, and ``setting`` (specification, aspect), the values as text. Attribute
    ``headline``: place of the headline.
    """
    ways = multiverse.ways()
    values = np.array([verdict(**way) for way in ways], np.float64)
    settings = np.array([[str(value) for value in way.values()] for way in ways])
    about = {"long_name": multiverse.question, "units": multiverse.units}
    return xr.Dataset(
        {"verdict": (SPECIFICATION, values, about), "setting": ((SPECIFICATION, ASPECT), settings)},
        {ASPECT: list(multiverse.aspects)},
        {"headline": ways.index(dict(multiverse.headline))},
    )


def in_half(count: int, half: str) -> np.ndarray:
    """Mask of the images of one half, bool [image]: every other one, the first among the first half."""
    return np.arange(count) % len(_HALVES) == _HALVES.index(half)


def agreement(study: xr.Dataset) -> tuple[int, int, int]:
    """Numbers of positive ways, of negative ways, and of all.

    `study`: with ``verdict``.
    """
    values = study["verdict"].values
    return int((values > 0).sum()), int((values < 0).sum()), len(values)


def concluded(study: xr.Dataset) -> int:
    """Sign of a finding: most ways have it, and the headline with a p that holds, over enough concepts; 0 for none.

    `study`: with ``verdict`` and attributes ``headline``, ``headline_p`` and ``n_concepts`` or, where the question
    compares categories, ``n_compared``, concepts of the smallest of them.
    """
    more, less, total = agreement(study)
    headline = np.sign(study["verdict"].values[study.attrs["headline"]])
    agree = max(more, less) >= AGREEING * total and _enough(study)
    holds = float(study.attrs["headline_p"]) <= LARGEST_P and headline == np.sign(more - less)
    return int(np.sign(more - less)) if agree and holds else 0


def counted(study: xr.Dataset) -> str:
    """Say how many ways agree, and whether that makes a finding.

    `study`: with ``verdict`` and attributes ``headline`` and ``headline_p``, which is by permutation of what the
    question compares.
    """
    more, less, total = agreement(study)
    about, p = study["verdict"].attrs, float(study.attrs["headline_p"])
    if not more + less:
        return f"{about['long_name']}: cannot be computed in any of {total} ways."
    headline = float(study["verdict"].values[study.attrs["headline"]])
    tested = f" (p {chance(p)})" if np.isfinite(headline) else ""
    if concluded(study):
        conclusion = "most ways agree and the headline holds."
    elif not _enough(study):
        conclusion = f"it compares fewer than {FEWEST_CONCEPTS} concepts: nothing is concluded."
    elif max(more, less) >= AGREEING * total:
        conclusion = "most ways agree, but the headline does not hold: nothing is concluded."
    else:
        conclusion = "the ways disagree: nothing is concluded."
    conclusion += _most_telling(study)
    known = f", neither or not known in {total - more - less}" if more + less < total else ""
    return (
        f"{about['long_name']}: positive in {more} of {total}, negative in {less}{known}; headline "
        f"{signed(headline, 2, about['units'])}{tested}; {conclusion}"
    )


def _enough(study: xr.Dataset) -> bool:
    return int(study.attrs.get("n_compared", study.attrs["n_concepts"])) >= FEWEST_CONCEPTS


def _most_telling(study: xr.Dataset) -> str:
    """Say which aspect the sign depends on most, where it does."""
    signs, settings = np.sign(study["verdict"].values), study["setting"].values
    best, words = 0.0, ""
    for column, name in enumerate(study[ASPECT].values):
        values = list(dict.fromkeys(settings[:, column]))
        shares = [(signs[settings[:, column] == value] > 0).mean() for value in values]
        if len(values) > 1 and max(shares) - min(shares) > best:
            best = max(shares) - min(shares)
            counts = [f"{share:.0%} at {value}" for share, value in zip(shares, values, strict=True)]
            words = f" The sign depends most on {name}: positive in {', '.join(counts)}."
    return words if best >= LEAST_DIFFERENCE else ""
