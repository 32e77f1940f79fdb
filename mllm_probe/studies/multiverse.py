"""The multiverse: each study's question in every way that is valid, one p for all ways, and what may be concluded.

A way is a combination of settings that changes what is asked. Other halves of the images and other kinds of control ask
the same again: they are replications, which are shown beside the ways and not counted.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import xarray as xr
from scipy import stats

from mllm_probe.metrics.metric import chance, signed
from mllm_probe.metrics.statistics import mean, median
from mllm_probe.schema import (
    ASPECT,
    CONTROL,
    DEPTH,
    EDIT,
    HALF,
    PREDICTOR,
    REPLICATION,
    SCOPE,
    SPECIFICATION,
    STRENGTH,
    package_version,
)
from mllm_probe.studies.effect import LARGEST_P

FEWEST_CONCEPTS = 8
"""Concepts that a question compares, of each category, with fewer of which nothing is concluded: 4 against 4 cannot
have a p under .029."""
PERMUTATIONS = 9999
LEAST_DIFFERENCE = 0.2
"""Difference of the shares of positive ways from which the table of a study names the aspect that makes it."""
ANSWERING = "last_prompt+generated"
PLACES = ("image", ANSWERING)
"""Tokens that studies of answers edit: those of the image, or the last of the prompt and what is generated."""
EVERY_IMAGE, _HALVES = "all", ("first", "second")
HALVES = (EVERY_IMAGE, *_HALVES)
"""Images on which a way is asked, and the two halves of them on which it is asked again."""


@dataclass(frozen=True)
class Multiverse:
    """Ways in which one question is asked, and the one that is the headline.

    `question`: what a positive verdict means.
    `units`: of the verdicts.
    `aspects`: what the ways differ in, each with its values; every combination is one way.
    `headline`: one value of each aspect.
    `again`: what a way can be asked again with, each with its values; the first is that of the ways.
    `compares`: what the verdicts are over, in the plural; `fewest` of them are needed to conclude anything.
    """

    question: str
    units: str
    aspects: Mapping[str, Sequence[Any]]
    headline: Mapping[str, Any]
    again: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    compares: str = "concepts"
    fewest: int = FEWEST_CONCEPTS

    def ways(self) -> list[dict[str, Any]]:
        """Every combination of the aspects, the last one changing fastest."""
        return [dict(zip(self.aspects, values, strict=True)) for values in itertools.product(*self.aspects.values())]

    def replications(self) -> dict[str, dict[str, Any]]:
        """By its name, what each replication has instead of the settings of the ways."""
        return {
            f"{name} {value}": {name: value} for name, values in self.again.items() for value in values[1:]
        }  # fmt: skip

    @property
    def usual(self) -> dict[str, Any]:
        """Settings of the ways that are no aspect of them."""
        return {name: values[0] for name, values in self.again.items()}

    @property
    def fixed(self) -> str:
        """Version of the package, and the hash of the list of ways, their headline and their replications."""
        listed = [self.question, *(list(part.items()) for part in (self.aspects, self.headline, self.again))]
        digest = hashlib.sha256(json.dumps(listed, default=str).encode()).hexdigest()
        return f"mllm_probe {package_version()}, list {digest[:8]}"


class Exchange(Protocol):
    """What makes a verdict of the values of units, and what is exchanged where there is nothing to be found."""

    def drawn(self, table: np.ndarray, count: int, seed: int) -> np.ndarray:
        """Verdicts as they are, then under every exchange [1 + exchange, way]; NaN where one cannot be computed.

        `table`: float array [way, …, unit]. `count`: random exchanges, or all where there are no more than that.
        """

    def units(self, values: np.ndarray) -> int:
        """Units that the verdict of one way rests on, of the smaller side where there are two."""


class Signs:
    """Mean over units; the signs of units are exchanged. Of two things that every unit has, such as own and others.

    Units are taken to lie symmetrically about 0 where there is nothing: of exponential ones 7.5 % have p ≤ .05.
    """

    def drawn(self, table: np.ndarray, count: int, seed: int) -> np.ndarray:
        """Verdicts under every pattern of signs [1 + exchange, way]; see :class:`Exchange`."""
        units = table.shape[-1]
        if 2**units <= 1 + count:
            signs = 1.0 - 2 * ((np.arange(2**units)[:, None] >> np.arange(units)) & 1)
        else:
            drawn = np.random.default_rng(seed).choice((-1.0, 1.0), (count, units))
            signs = np.concatenate([np.ones((1, units)), drawn])
        finite = np.isfinite(table)
        known = finite.sum(-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(known > 0, signs @ np.where(finite, table, 0.0).T / known, np.nan)

    def units(self, values: np.ndarray) -> int:
        """Units with a value."""
        return int(np.isfinite(values).sum())


@dataclass(frozen=True)
class Labels:
    """Mean over the units of one category minus that over the others; the labels are exchanged.

    `first` (bool array [unit]): units of the first category; the others are those of the second.
    """

    first: np.ndarray
    fewest: int = 2

    def drawn(self, table: np.ndarray, count: int, seed: int) -> np.ndarray:
        """Verdicts under every labelling [1 + exchange, way]; see :class:`Exchange`."""
        rng = np.random.default_rng(seed)
        labels = np.concatenate([self.first[None], rng.permuted(np.tile(self.first, (count, 1)), axis=1)]) * 1.0
        finite = np.isfinite(table)
        values, known = np.where(finite, table, 0.0).T, finite.T * 1.0
        counts = labels @ known, (1 - labels) @ known
        with np.errstate(invalid="ignore", divide="ignore"):
            difference = labels @ values / counts[0] - (1 - labels) @ values / counts[1]
        return np.where(np.minimum(*counts) >= self.fewest, difference, np.nan)

    def units(self, values: np.ndarray) -> int:
        """Units with a value of the smaller category."""
        known = np.isfinite(values)
        return int(min((known & self.first).sum(), (known & ~self.first).sum()))


@dataclass(frozen=True)
class Pairing:
    """Rank correlation over units of two values that each has; which two belong together is exchanged.

    Ranks are those among the known values of each side.
    """

    fewest: int = 4

    def drawn(self, table: np.ndarray, count: int, seed: int) -> np.ndarray:
        """Rank correlations under every pairing [1 + exchange, way]; see :class:`Exchange`. `table`: [way, 2, unit]."""
        rng, units = np.random.default_rng(seed), np.arange(table.shape[-1])
        orders = np.concatenate([units[None], rng.permuted(np.tile(units, (count, 1)), axis=1)])
        ranks = stats.rankdata(table, axis=-1, nan_policy="omit")
        return np.stack([_correlation(way[0][orders], way[1][None], self.fewest) for way in ranks], -1)

    def units(self, values: np.ndarray) -> int:
        """Units with both values."""
        return int(np.isfinite(values).all(0).sum())


def _correlation(first: np.ndarray, other: np.ndarray, fewest: int) -> np.ndarray:
    """Correlation along the last axis over pairs that are known; NaN with few of them, or where a side is constant."""
    known = np.isfinite(first) & np.isfinite(other)
    sides = [np.where(known, side, np.nan) for side in (first, other)]
    sides = [side - mean(side)[..., None] for side in sides]
    product, *squares = (mean(a * b) for a, b in ((sides[0], sides[1]), (sides[0],) * 2, (sides[1],) * 2))
    size = np.sqrt(squares[0] * squares[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((known.sum(-1) >= fewest) & (size > 0), product / size, np.nan)


def curve_p(drawn: np.ndarray) -> float:
    """Two-sided p of a whole curve of verdicts, by exchange.

    `drawn` (float array [1 + exchange, way]): verdicts as they are, then under every exchange. Returns: NaN where no
    verdict is known.

    The statistic is the median over the known ways of the verdict in standard deviations that it has under exchange:
    ways differ in their units. Its sign is that of most ways. A count of positive ways alone has no power: ways that go
    together have one sign under most exchanges too. (Simulated, eight ways that share .9 of their variance, effects of
    .7 standard deviations in 16 concepts: the count finds none, the median 27 to 91 %; ``make validate ARGS=ways``.)
    Simonsohn, Simmons and Nelson, "Specification curve analysis", Nature Human Behaviour 4 (2020).
    """
    middle = middle_of(drawn)
    if not np.isfinite(middle[0]):
        return float("nan")
    # The curve as it is is among those drawn, so that p is never 0; 1e-9: the same numbers summed in another order.
    known = middle[np.isfinite(middle)]
    return float((np.abs(known) >= abs(middle[0]) - 1e-9).mean())


def middle_of(drawn: np.ndarray) -> np.ndarray:
    """Median over the known ways of verdicts in their standard deviations under exchange [1 + exchange]."""
    size = np.sqrt(mean(drawn.T**2))
    known = drawn[:, size > 0] / size[size > 0]
    constant = np.where(np.isfinite(drawn[:, ~(size > 0)]), 0.0, np.nan)
    return median(np.concatenate([known, constant], 1))


def asked(
    multiverse: Multiverse,
    by_unit: Callable[..., Any],
    exchange: Exchange | None = None,
    *,
    seed: int = 0,
    lacking: str = "",
) -> xr.Dataset:
    """Ask a question in every way, and again in every replication.

    `by_unit`: takes the values of the aspects and of what is asked again by name, and returns the values of the units,
    float array [unit] (of `Pairing`, [2, unit]); NaN where one cannot be computed. The units are the same in all ways.
    `exchange`: what is exchanged, `Signs` by default. `seed`: of the exchanges. `lacking`: why nothing can be concluded
    whatever comes out, as a clause without full stop.

    Returns: ``verdict`` (specification), float64; ``setting`` (specification, aspect), the values as text; ``again``
    (replication, specification), the verdicts of the replications. Attributes: ``headline``, its place; ``curve_p`` and
    ``headline_p``, by exchange; ``n_units`` that the headline rests on, what they are in ``compares``, ``fewest`` that
    are needed; ``fixed``, in which version the list is this one; ``lacking``.
    """
    exchange = Signs() if exchange is None else exchange
    ways, place = multiverse.ways(), multiverse.ways().index(dict(multiverse.headline))

    def table(**settings: Any) -> np.ndarray:
        rows = [np.atleast_1d(np.asarray(by_unit(**way, **settings), np.float64)) for way in ways]
        return np.stack(rows)

    values = table(**multiverse.usual)
    drawn = exchange.drawn(values, PERMUTATIONS, seed)
    replications = multiverse.replications()
    again = [exchange.drawn(table(**multiverse.usual | other), 0, seed)[0] for other in replications.values()]
    about = {"long_name": multiverse.question, "units": multiverse.units}
    data = {
        "verdict": (SPECIFICATION, drawn[0], about),
        "setting": ((SPECIFICATION, ASPECT), np.array([[str(value) for value in way.values()] for way in ways])),
        "again": ((REPLICATION, SPECIFICATION), np.array(again).reshape(-1, len(ways)), about),
    }
    coords = {ASPECT: list(multiverse.aspects), REPLICATION: np.array(list(replications), dtype=str)}
    facts = {
        "headline": place,
        "curve_p": curve_p(drawn),
        "headline_p": curve_p(drawn[:, [place]]),
        "n_units": exchange.units(values[place]),
        "compares": multiverse.compares,
        "fewest": multiverse.fewest,
        "fixed": multiverse.fixed,
        "lacking": lacking,
    }
    return xr.Dataset(data, coords, facts)


def in_half(count: int, half: str, seed: int = 0) -> np.ndarray:
    """Mask of the images of one half, or of all of them, bool [image].

    `half`: one of `HALVES`. `seed`: of the order in which images are dealt to the halves: images come in the order of
    their categories, so that every other one would be a half of one category.
    """
    if half == EVERY_IMAGE:
        return np.ones(count, bool)
    return np.random.default_rng(seed).permutation(count) % len(_HALVES) == _HALVES.index(half)


def agreement(study: xr.Dataset) -> tuple[int, int, int]:
    """Numbers of positive ways, of negative ways, and of all.

    `study`: with ``verdict``.
    """
    values = study["verdict"].values
    return int((values > 0).sum()), int((values < 0).sum()), len(values)


def concluded(study: xr.Dataset) -> int:
    """Sign of a finding: that of the curve and of the headline, where the curve's p is at most .05; 0 for none.

    `study`: from :func:`asked`, or a study that holds it.
    """
    return 0 if why_not(study) else int(np.sign(study["verdict"].values[int(study.attrs["headline"])]))


def why_not(study: xr.Dataset) -> str:
    """Why nothing is concluded from a study's ways, as a clause without full stop; empty where something is.

    `study`: from :func:`asked`, or a study that holds it.
    """
    more, less, total = agreement(study)
    about = study.attrs
    headline = float(study["verdict"].values[int(about["headline"])])
    if not np.isfinite(study["verdict"].values).any():
        return f"it cannot be computed in any of {total} ways"
    if about.get("lacking"):
        return str(about["lacking"])
    if not np.isfinite(headline):
        return "the headline is not known"
    if int(about["n_units"]) < int(about["fewest"]):
        return f"it compares {int(about['n_units'])} {about['compares']}, and {int(about['fewest'])} are needed"
    if not float(about["curve_p"]) <= LARGEST_P:
        return f"the ways together do not differ from chance (p {chance(float(about['curve_p']))})"
    if more == less or np.sign(headline) != np.sign(more - less):
        return "the headline does not have the sign of most ways"
    return ""


_OPEN = "Concluded for what was run here; other models, pictures and prompts are open."


def counted(study: xr.Dataset) -> str:
    """Say how many ways are positive, with the headline and the p of the whole curve, and whether that is a finding.

    `study`: from :func:`asked`, or a study that holds it.
    """
    return f"{found(study)} {conclusion(study)}"


def found(study: xr.Dataset, *, capital: bool = True) -> str:
    """One sentence: how many ways are positive, the headline, and the p of all ways together.

    `study`: from :func:`asked`, or a study that holds it. `capital`: of the first letter.
    """
    more, less, total = agreement(study)
    about, p = study["verdict"].attrs, float(study.attrs["curve_p"])
    question = str(about["long_name"])
    question = question[:1].upper() + question[1:] if capital else question
    known = int(np.isfinite(study["verdict"].values).sum())
    if not known:
        return f"{question}: not known in any of {total} ways."
    unknown = f", not known in {total - known}" if known < total else ""
    headline = float(study["verdict"].values[int(study.attrs["headline"])])
    tested = f", p {chance(p)} for all ways together" if np.isfinite(p) else ""
    return (
        f"{question}: positive in {more} of {total} ways, negative in {less}{unknown}; headline "
        f"{signed(headline, 2, about['units'])}{tested}."
    )


def conclusion(study: xr.Dataset) -> str:
    """One sentence: why nothing is concluded, or what stays open where something is.

    `study`: from :func:`asked`, or a study that holds it.
    """
    why = why_not(study)
    return f"Nothing is concluded: {why}." if why else _OPEN


def multiverse_rows(study: xr.Dataset) -> list[tuple[str, str]]:
    """Rows of a study's table of details about its ways: the list, its aspects, its replications.

    `study`: from :func:`asked`, or a study that holds it.
    """
    rows = [("ways to ask", f"{study.sizes[SPECIFICATION]}, fixed in {study.attrs['fixed']}")]
    rows += [("headline alone", f"p {chance(float(study.attrs['headline_p']))}")]
    telling = _most_telling(study)
    rows += [("the sign depends most on", telling)] if telling else []
    signs = np.sign(study["verdict"].values)
    for name, values in zip(study[REPLICATION].values, study["again"].values, strict=True):
        both = np.isfinite(values) & np.isfinite(signs)
        same = int((np.sign(values[both]) == signs[both]).sum())
        rows.append((f"asked again, {name}", f"the same sign in {same} of {int(both.sum())} ways"))
    return rows


def _most_telling(study: xr.Dataset) -> str:
    """The aspect on which the sign depends most, where it does, with the share of positive ways at each value."""
    signs, settings = np.sign(study["verdict"].values), study["setting"].values
    known = np.isfinite(signs)
    best, words = 0.0, ""
    for column, name in enumerate(study[ASPECT].values):
        members = {value: known & (settings[:, column] == value) for value in dict.fromkeys(settings[:, column])}
        shares = {value: float((signs[chosen] > 0).mean()) for value, chosen in members.items() if chosen.any()}
        if len(shares) > 1 and max(shares.values()) - min(shares.values()) > best:
            best = max(shares.values()) - min(shares.values())
            words = f"{name}: positive in {', '.join(f'{share:.0%} at {value}' for value, share in shares.items())}"
    return words if best >= LEAST_DIFFERENCE else ""


def in_words(sentences: Iterable[str], details: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Attributes ``summary`` and ``details`` of a study.

    `sentences`: what was asked, what was found with its figure, what cannot be concluded. `details`: rows of the table
    beside them, each what it is about and what is known of it. Returns: plain text, a line each; of ``details`` with a
    tab between the two columns.
    """
    lines = [f"{_on_one_line(name)}\t{_on_one_line(text)}" for name, text in details]
    return {"summary": "\n".join(sentences), "details": "\n".join(lines)}


def details_of(study: xr.Dataset) -> list[tuple[str, str]]:
    """Rows of a study's table of details; none of a study without, such as one of an earlier version."""
    rows = [line.partition("\t") for line in str(study.attrs.get("details", "")).splitlines()]
    return [(name, text) for name, _, text in rows]


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


_COMMON: Mapping[str, Sequence[Any]] = {STRENGTH: (1.0, 2.0), SCOPE: PLACES, "metric": ("logprob", "score")}
_AGAIN: Mapping[str, Sequence[Any]] = {CONTROL: ("random", "on_manifold"), HALF: HALVES}
_HEADLINE = {STRENGTH: 1.0, SCOPE: "image", "metric": "logprob"}

LOCALIZATION = Multiverse(
    "abstract minus entity, number of blocks that read the concept",
    "blocks",
    _COMMON,
    _HEADLINE,
    _AGAIN,
    "concepts of the smaller category",
)
"""In unit ``vector``: in ``residual`` the dose grows with the stream, so that differences between blocks show that too
(:func:`mllm_probe.studies.read_out`). Onset is no number of blocks that read, and has no way here."""
SCALING = Multiverse(
    "abstract minus entity, growth of the effect per doubling of the blocks",
    "of the gap",
    {**_COMMON, "layers": ("best", "mean")},
    {**_HEADLINE, "layers": "best"},
    _AGAIN,
    "concepts of the smaller category",
)
"""In unit ``residual``: the natural length of vectors differs from model to model, so that a trend of it may be one of
doses. Log-probabilities in shares of each concept's gap: a model that is surer of everything has larger effects."""
RECOGNITION_OR_REASONING = Multiverse(
    "effect on recognition minus effect on the problem",
    "of interchange",
    {
        STRENGTH: (1.0, 2.0),
        "metric": ("logprob", "named"),
        "unit": ("residual", "vector"),
        "layers": ("mean", "best"),
        "images": ("all", "recognised"),
    },
    {STRENGTH: 1.0, "metric": "logprob", "unit": "residual", "layers": "mean", "images": "recognised"},
    _AGAIN,
    "relations",
)
"""At the image tokens: a push of the last token names a word, and leaves nothing to be worked out. Labels do not say
what the answer to a problem should keep, so that ``named`` takes the place of the score."""

REVERSE = Multiverse(
    "what is left of an edit at the last block beyond that of random directions (positive: grows, negative: shrinks)",
    "of random",
    {EDIT: ("-1 vector", "-1 residual norm", "ablation"), DEPTH: (0.25, 0.5, 0.75)},
    {EDIT: "-1 residual norm", DEPTH: 0.5},
    {CONTROL: ("random", "orthogonal"), HALF: HALVES},
)
"""Of the last prompt token, along the direction of the edit: see :func:`mllm_probe.studies.reverse_steering`. Along
each block's own vector an edit that persists would look as if it faded; one of the image tokens is another question."""
ATLAS = Multiverse(
    "effect on the own concept minus that on the others of its category",
    "of the gap",
    {DEPTH: (0.25, 0.5, 0.75, 1.0)},
    {DEPTH: 0.5},
    {"against": ("random", "unsteered"), HALF: HALVES},
)
"""Whether a vector isolates its concept from its nearest relations."""
RELIABILITY = Multiverse(
    "rank correlation of what is known of a vector with its steerability",
    "ρ",
    {PREDICTOR: ("split_half_cosine", "pair_cosine", "separation", "norm"), DEPTH: (0.25, 0.5, 0.75, 1.0)},
    {PREDICTOR: "separation", DEPTH: 1.0},
    {HALF: HALVES},
)
"""Whether anything known before steering foretells it."""
