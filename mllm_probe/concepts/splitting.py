"""Split of images into fit and held-out sets, so that no image is in both."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from mllm_probe.concepts.concept import Concept
from mllm_probe.concepts.picture import Picture

_MARK = "group "
"""Before the name of a group among the keys of images, which are hexadecimal."""


def fit_keys(concepts: Sequence[Concept], fit: float, seed: int, *, fixed: bool = False) -> set[str]:
    """Return the keys of the images to fit with.

    Pairs, pairs that share an image, and images with one `Picture.group` form groups that go to one side as a
    whole; every class then fills its share with the groups that no class before it has placed, all positives before
    the first negatives. A fixed split places each group by a hash instead, whatever other concepts and images are
    there.

    `fit`: share of each concept's units, at least one and at most all but one. Returns: `Picture.key` of every image on
    the fit side. Raises ValueError if a concept cannot be in both sets.
    """
    group = _joined(concepts)
    placed: dict[str, bool] = _by_hash(concepts, group, fit, seed) if fixed else {}
    classes = [(concept, concept.positive) for concept in concepts]
    classes += [(concept, concept.negative) for concept in concepts if not concept.paired]
    for number, (concept, pictures) in enumerate(classes):
        _place(concept, pictures, group, placed, fit, np.random.default_rng([seed, number]))
    return {key for key, root in group.items() if placed[root]}


def _by_hash(concepts: Sequence[Concept], group: dict[str, str], fit: float, seed: int) -> dict[str, bool]:
    """Side of every group, by the hash of what decides for it."""
    deciding: dict[str, str] = {}
    for concept in concepts:
        for unit in concept.units:
            # Pairs may share the image without the concept, such as one photograph in several styles.
            name = unit[-1].key if unit[-1].group is None else _MARK + unit[-1].group
            root = group[unit[-1].key]
            deciding[root] = min(deciding.get(root, name), name)
    return {root: hash_share(name, seed) < fit for root, name in deciding.items()}


def hash_share(name: str, seed: int) -> float:
    """A number between 0 and 1 that a name and a seed give."""
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _joined(concepts: Sequence[Concept]) -> dict[str, str]:
    """Name of the group of each picture's key: joined by pairs and groups, through any number of them."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = key = parent[parent[key]]
        return key

    for concept in concepts:
        for unit in concept.units:
            first = root(unit[0].key)
            for other in unit[1:]:
                parent[root(other.key)] = first
        for picture in concept.pictures:
            if picture.group is not None:
                parent[root(picture.key)] = root(_MARK + picture.group)
    return {key: root(key) for key in list(parent) if not key.startswith(_MARK)}


def _place(
    concept: Concept,
    pictures: Sequence[Picture],
    group: dict[str, str],
    placed: dict[str, bool],
    fit: float,
    rng: np.random.Generator,
) -> None:
    groups = list(dict.fromkeys(group[picture.key] for picture in pictures))
    target = min(max(round(fit * len(groups)), 1), len(groups) - 1)
    free = [name for name in groups if name not in placed]
    missing = max(target - sum(placed[name] for name in groups if name in placed), 0)
    for rank, index in enumerate(rng.permutation(len(free))):
        placed[free[index]] = rank < missing
    if not 0 < sum(placed[name] for name in groups) < len(groups):
        raise ValueError(
            f"concept {concept.name!r} cannot be split: its {len(pictures)} images of a class form {len(groups)} "
            "independent group(s), and each side needs one. Give more images, smaller groups, or fewer shared "
            "between concepts."
        )
