"""The pairs of a library as a patch runs them: images, token layouts, changed patches, and donors of the controls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np

from mllm_probe.models import Encoded, ProbeModel, Request
from mllm_probe.models.argument_checks import described
from mllm_probe.patching.changed_patches import changed_tokens
from mllm_probe.patching.token_groups import TokenLayout
from mllm_probe.typing import Library
from mllm_probe.vectors.pooling import as_requests

SIDES = {"insert": ("negative", "positive"), "remove": ("positive", "negative")}
"""Direction → the side whose run is edited, and the side whose activations it takes."""


@dataclass(frozen=True, eq=False)
class Side:
    """One image of a pair.

    `id`: content hash. `labels`: what it shows, where that is known. `group`: shared with its near-duplicates, where
    these are known.
    """

    request: Request
    id: str
    layout: TokenLayout
    labels: frozenset[str] | None
    group: str | None


@dataclass(eq=False)
class Pair:
    """One counterfactual pair of a concept.

    `number`: in its concept.
    `label`: number that its images carry, else ``number``.
    `changed` (bool array [tokens] or None): image tokens whose pixels differ, where it was asked for.
    `donors`: of the controls.
    `shared`: how many labels the unrelated donor has in common with the pair; -1 where labels are not known.
    `counterpart`: what the negative shows in the concept's place; empty where that is not known.
    """

    number: int
    label: int
    positive: Side
    negative: Side
    changed: np.ndarray | None
    donors: dict[str, Side]
    shared: int = -1
    counterpart: str = ""

    def side(self, name: str) -> Side:
        """``"positive"`` or ``"negative"``."""
        return self.positive if name == "positive" else self.negative


class Counterfactuals:
    """All pairs of a library, read and compared before anything runs.

    `pairs`: filled by :meth:`read`. `first`: the first image of the first pair. Raises ValueError if the library is
    none, or a concept is unpaired.
    """

    def __init__(self, model: ProbeModel, library: Library, prompt: str | None) -> None:
        self.model, self.library, self.prompt = model, _checked(library), prompt
        self._sides: dict[str, Side] = {}
        self._layouts: dict[str, TokenLayout] = {}
        self.first: Encoded = self._encoded(self._requests(next(iter(self.library.values())).positive[:1])[0])
        self.pairs: dict[str, list[Pair]] = {}

    def read(self, *, pixels: bool, controls: Sequence[str], seed: int) -> None:
        """Read and compare all pairs, and choose the donors of the controls.

        `pixels`: whether changed patches are needed. `controls`: whose donors are chosen. `seed`: which pairs controls
        take their donors from. Raises ValueError if the images of a pair give prompts of unequal layout, or a control
        has no donor.
        """
        self.pairs = {name: list(self._read(name, pixels)) for name in self.library}
        for name, own in self.pairs.items():
            for pair in own:
                pair.counterpart = self._counterpart(name, pair)
                for control in controls:
                    self._choose(control, name, pair, seed)

    @property
    def most(self) -> int:
        """Largest number of pairs of a concept."""
        return max(map(len, self.pairs.values()))

    @cached_property
    def counterparts(self) -> list[str]:
        """Names that stand in a concept's place somewhere."""
        return sorted({pair.counterpart for own in self.pairs.values() for pair in own if pair.counterpart})

    def words(self, name: str) -> tuple[Any, ...]:
        """Words of a concept of the library, or of a label outside of it: its name."""
        return tuple(self.library[name].words) if name in self.library else (name,)

    def _requests(self, pictures: Sequence[Any]) -> list[Request]:
        return as_requests(self.model, list(pictures), self.prompt)

    def _encoded(self, request: Request) -> Encoded:
        return self.model.encode_samples([request])

    def _read(self, name: str, pixels: bool) -> Iterator[Pair]:
        concept = self.library[name]
        sides = [self._requests(side) for side in (concept.positive, concept.negative)]
        for number, requests in enumerate(zip(*sides, strict=True)):
            pictures = (concept.positive[number], concept.negative[number])
            both = [self._encoded(request) for request in requests]
            one, other = (self._side(*each) for each in zip(requests, both, pictures, strict=True))
            _require_alike(name, number, one, other)
            changed = changed_tokens(self.model, both[0], both[1], requests) if pixels else None
            label = getattr(pictures[0], "pair", None)
            yield Pair(number, number if label is None else int(label), one, other, changed, {})

    def _side(self, request: Request, encoded: Encoded, picture: object) -> Side:
        name = encoded.sample_ids[0]
        if name not in self._sides:
            layout = TokenLayout.of(encoded)
            layout = self._layouts.setdefault(layout.key, layout)  # nearly all images have the same
            facts = (getattr(picture, fact, None) for fact in ("labels", "group"))
            self._sides[name] = Side(request, name, layout, *facts)
        return self._sides[name]

    def _counterpart(self, name: str, pair: Pair) -> str:
        """The label that only the negative has; of several, the one of the concept's own category."""
        if pair.positive.labels is None or pair.negative.labels is None:
            return ""
        new = sorted(pair.negative.labels - pair.positive.labels)
        own = str(self.library[name].category)
        alike = [one for one in new if one in self.library and str(self.library[one].category) == own]
        among = alike or new
        return among[0] if len(among) == 1 else ""

    def _choose(self, control: str, name: str, pair: Pair, seed: int) -> None:
        """Find the donor of a control, among prompts of the same layout."""
        same = [other for other in self._others(name, pair, seed) if _fits(other, pair)]
        if control == "other_positive":
            found = next((other.positive for other in same if other.positive.id != pair.positive.id), None)
        else:
            elsewhere = (other for own in self.pairs if own != name for other in self.pairs[own])
            among = chain(same, (other for other in elsewhere if _fits(other, pair)))
            found = self._unrelated(name, pair, (other.negative for other in among))
        if found is None:
            raise ValueError(
                f"controls: '{control}' of '{name}' needs another pair whose prompt has the token layout of pair "
                f"{pair.number} ({pair.positive.layout}), and there is none: give more pairs, images of one size, or "
                f"leave '{control}' out."
            )
        pair.donors[control] = found

    def _others(self, name: str, pair: Pair, seed: int) -> list[Pair]:
        """The other pairs of the concept, beginning behind this one so that neighbours share what is in memory."""
        own = self.pairs[name]
        first = pair.number + 1 + seed % max(len(own) - 1, 1)
        order = [own[(first + step) % len(own)] for step in range(len(own))]
        return [other for other in order if other is not pair]

    def _unrelated(self, name: str, pair: Pair, among: Iterable[Side]) -> Side | None:
        """The first image that shares least with the pair, where possible one that lacks the concept."""
        mine = (pair.positive.labels or frozenset()) | (pair.negative.labels or frozenset())
        best: Side | None = None
        fewest = (True, len(mine) + 1)
        for side in among:
            if side.id in (pair.positive.id, pair.negative.id):
                continue
            if not mine:
                return side
            labels = side.labels or frozenset()
            shared = (side.labels is None or name in labels, len(labels & mine))
            if shared < fewest:
                best, fewest = side, shared
                pair.shared = shared[1] if side.labels is not None else -1
            if fewest == (False, 0):
                break
        return best


def _fits(other: Pair, pair: Pair) -> bool:
    """Whether images of another pair may be donors: of one token layout, and no near-duplicates of the pair's."""
    groups = [{side.group for side in (one.positive, one.negative)} - {None} for one in (other, pair)]
    return other.positive.layout.key == pair.positive.layout.key and groups[0].isdisjoint(groups[1])


def _checked(library: object) -> Library:
    expected = "library: expected a library of counterfactual pairs, such as mp.concepts.scenes(negative='replace')"
    if not isinstance(library, Mapping) or not len(library):
        raise ValueError(f"{expected}; got {described(library)}.")
    for name, concept in library.items():
        lacking = [part for part in ("positive", "negative", "words", "paired") if not hasattr(concept, part)]
        if lacking:
            raise ValueError(f"{expected}; '{name}' is a {type(concept).__name__} without '{lacking[0]}'.")
        if not concept.paired or len(concept.positive) != len(concept.negative):
            raise ValueError(
                f"{expected}; the images of '{name}' are not paired, so that no run has a counterfactual. For unpaired "
                "images, steer with a vector instead: mp.sweep(model, mp.concept_vectors(model, library), …)."
            )
    return library


def _require_alike(name: str, number: int, one: Side, other: Side) -> None:
    if one.layout.key != other.layout.key:
        raise ValueError(
            f"the images of pair {number} of '{name}' give prompts of unequal token layout: {one.layout} and "
            f"{other.layout}. Activations can be exchanged position by position only: give both images of a pair one "
            "size, or steer with a vector instead (mp.sweep), which needs no pairs."
        )
