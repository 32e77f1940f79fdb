"""Split of images into fit and held-out sets, so that no image is in both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mllm_probe.concepts.concept import Concept
from mllm_probe.concepts.picture import Picture

_MARK = "group "
"""Before the name of a group among the keys of images, which are hexadecimal."""


def fit_keys(concepts: Sequence[Concept], fit: float, seed: int) -> set[str]:
    """Return the keys of the images to fit with.

    Pairs, pairs that share an image, and images with one `Picture.group` form groups that go to one side as a
    whole; every class then fills its share with the groups that no class before it has placed, all positives before
    the first negatives.

    Parameters
    ----------
    concepts : sequence of Concept
    fit : float
        Share of each concept's units, at least one and at most all but one.
    seed : int

    Returns
    -------
    set of str
        `Picture.key` of every image on the fit side.

    Raises
    ------
    ValueError
        If a concept cannot be in both sets.
    """
    group = _joined(concepts)
    placed: dict[str, bool] = {}
    classes = [(concept, concept.positive) for concept in concepts]
    classes += [(concept, concept.negative) for concept in concepts if not concept.paired]
    for number, (concept, pictures) in enumerate(classes):
        _place(concept, pictures, group, placed, fit, np.random.default_rng([seed, number]))
    return {key for key, root in group.items() if placed[root]}


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
