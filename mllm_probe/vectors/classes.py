"""Positive and negative pictures of each concept, and the weights of the sums that vectors and controls are."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mllm_probe.models.images import content_hash
from mllm_probe.typing import Library

POSITIVE, NEGATIVE, HALF_A, HALF_B = range(4)
"""Rows of ``weights``: mean of each class, and the difference of classes in each half of the pictures."""


@dataclass(frozen=True)
class Classes:
    """The pictures of one concept, as numbers in the list of distinct pictures.

    `positive`, `negative`: paired concepts: element i of both is a pair. `groups` (int array [positive + negative]):
    pictures that must not be torn apart have the same number. `half` (bool array [positive + negative]): True for the
    first half; whole groups.
    """

    name: str
    positive: np.ndarray
    negative: np.ndarray
    paired: bool
    groups: np.ndarray
    half: np.ndarray

    @property
    def pictures(self) -> np.ndarray:
        """Positives, then negatives."""
        return np.concatenate([self.positive, self.negative])

    @property
    def labels(self) -> np.ndarray:
        """True for positives, bool [positive + negative]."""
        return np.arange(len(self.groups)) < len(self.positive)

    @property
    def halves(self) -> bool:
        """True if both halves hold both classes."""
        sides = [(self.half[self.labels == c] == h).any() for c in (True, False) for h in (True, False)]
        return all(sides)


def distinct_pictures(library: Library) -> tuple[list[Any], dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Every picture of a library once, and the numbers of each concept's positives and negatives.

    `library`: pictures are images, objects with ``.image``, or dicts of processed tensors.
    """
    pictures: list[Any] = []
    numbers: dict[Hashable, int] = {}

    def number(picture: object) -> int:
        key = _key(picture)
        if key not in numbers:
            numbers[key] = len(pictures)
            pictures.append(picture)
        return numbers[key]

    members = {}
    for name, concept in library.items():
        sides = [np.array([number(p) for p in side], dtype=int) for side in (concept.positive, concept.negative)]
        if not len(sides[0]) or not len(sides[1]):
            raise ValueError(
                f"concept '{name}' has {len(sides[0])} positive and {len(sides[1])} negative images: "
                "a vector is the difference of two classes, so give at least one of each."
            )
        members[name] = (sides[0], sides[1])
    return pictures, members


def classes_of(
    name: str,
    positive: np.ndarray,
    negative: np.ndarray,
    paired: bool,
    seed: int,
    duplicates: Sequence[str | None] = (),
) -> Classes:
    """A concept's classes, with its pictures divided into halves that keep pairs and groups together.

    `positive`, `negative`: numbers of its pictures in the list of distinct pictures. `duplicates`: group of each
    distinct picture, the same for near-duplicates.
    """
    if paired and len(positive) != len(negative):
        raise ValueError(
            f"concept '{name}' is paired but has {len(positive)} positive and {len(negative)} negative images."
        )
    groups = _groups(positive, negative, paired, duplicates)
    return Classes(name, positive, negative, paired, groups, _first_half(groups, positive, paired, seed, name))


def joined_groups(classes: Sequence[Classes], pictures: int) -> np.ndarray:
    """Number of each distinct picture's group over all concepts, int [pictures]: pairs and near-duplicates together."""
    members = np.concatenate([one.pictures for one in classes])
    leaders = np.concatenate([one.groups for one in classes])
    edges = coo_array((np.ones(len(members)), (members, leaders)), shape=(pictures, pictures))
    groups: np.ndarray = connected_components(edges, directed=False)[1]
    return groups


def weights(classes: Classes, pictures: int, draws: Sequence[np.ndarray]) -> np.ndarray:
    """Weights of each picture in the sums of one concept.

    `pictures`: number of distinct pictures. `draws` (sequence of float array [positive + negative]): from
    ``shuffled_weights``. Returns float array [4 + draws, pictures]: ``POSITIVE`` and ``NEGATIVE`` sum to 1; all others
    to 0.
    """
    labels, half = classes.labels, classes.half
    rows = [_mean(labels), _mean(~labels)]
    rows += [_mean(labels & side) - _mean(~labels & side) for side in (half, ~half)]
    result = np.zeros((4 + len(draws), pictures))
    for k, row in enumerate([*rows, *draws]):
        np.add.at(result[k], classes.pictures, row)
    return result


def shuffled_weights(classes: Classes, draw: int, seed: int) -> np.ndarray:
    """Weights of one shuffled draw, float [positive + negative]; they sum to 0 in each half of the labels.

    Exactly half of the pairs are swapped; of an odd number one is left out. In unpaired sets half of each class changes
    sides, one picture of an odd class being left out.
    """
    rng = np.random.default_rng([seed, draw, *classes.name.encode()])
    n, m = len(classes.positive), len(classes.negative)
    # Equal shares of either sign cancel the true class difference exactly, so that a draw is no diluted concept vector.
    side = np.zeros(n + m)
    if classes.paired:
        signs = _balanced_signs(n, rng, classes.name)
        side[:n], side[n:] = signs, -signs
    else:
        side[:n], side[n:] = _balanced_signs(n, rng, classes.name), _balanced_signs(m, rng, classes.name)
    return _mean(side > 0) - _mean(side < 0)


def _balanced_signs(n: int, rng: np.random.Generator, name: str) -> np.ndarray:
    """As many +1 as −1 in random order, and one 0 if n is odd."""
    if n < 2:
        raise ValueError(
            f"concept '{name}' has too few images for a shuffled control: half of the pairs (or of each class) is "
            "exchanged, so at least two are needed. Give more images or shuffled_draws=0."
        )
    return rng.permutation(np.repeat([1.0, -1.0, 0.0], [n // 2, n // 2, n % 2]))


def _mean(chosen: np.ndarray) -> np.ndarray:
    return chosen / max(chosen.sum(), 1)


def _key(picture: Any) -> Hashable:
    if isinstance(picture, Mapping):
        return id(picture)
    for name in ("key", "id"):
        value = getattr(picture, name, None)
        if isinstance(value, str):
            return value
    return content_hash(picture)


def _groups(positive: np.ndarray, negative: np.ndarray, paired: bool, duplicates: Sequence[str | None]) -> np.ndarray:
    """Number of each picture's group: pairs, pairs that share a picture, and near-duplicates."""
    pictures = np.concatenate([positive, negative]).tolist()
    joined = list(zip(positive.tolist(), negative.tolist(), strict=True)) if paired else []
    first: dict[str, int] = {}
    for picture in pictures if len(duplicates) else ():
        name = duplicates[picture]
        if name is not None:
            joined.append((first.setdefault(name, picture), picture))
    group = {p: p for p in pictures}
    for a, b in joined:
        old, new = group[b], group[a]
        group = {p: new if g == old else g for p, g in group.items()}
    return np.array([group[p] for p in pictures])


def _first_half(groups: np.ndarray, positive: np.ndarray, paired: bool, seed: int, name: str) -> np.ndarray:
    rng = np.random.default_rng([seed, *name.encode()])
    placed: dict[int, bool] = {}
    sides = [groups] if paired else [groups[: len(positive)], groups[len(positive) :]]
    for side in sides:
        # A group of both classes is placed with the positives; the negatives then fill up with what is free.
        distinct = rng.permutation(np.unique(side)).tolist()
        missing = len(distinct) // 2 - sum(placed.get(group, False) for group in distinct)
        free = [group for group in distinct if group not in placed]
        placed |= {group: rank < missing for rank, group in enumerate(free)}
    return np.array([placed[group] for group in groups.tolist()])
