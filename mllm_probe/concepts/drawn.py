"""Concepts of the drawn world, with exact counterfactual pairs: the same scene with one thing changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mllm_probe.concepts.concept import Concept
from mllm_probe.concepts.library import ConceptLibrary, unknown_name
from mllm_probe.concepts.limits import checked_count
from mllm_probe.concepts.picture import Picture
from mllm_probe.scenes import CONCEPTS, Scene, draw, pair, true_concepts

MOST_PAIRS = 50_000
"""Most pairs of one library; some thousands of pairs are sampled per second."""
SMALLEST, LARGEST = 16, 4096
"""Sides of a drawing in pixels."""


@dataclass(frozen=True)
class Drawing:
    """A scene and a size: called, it draws the image."""

    scene: Scene
    size: int

    def __call__(self) -> Image.Image:
        """Draw it."""
        return draw(self.scene, self.size)


def scenes(
    negative: str = "replace",
    concepts: Iterable[str] | None = None,
    pairs: int = 48,
    seed: int = 0,
    size: int = 224,
) -> ConceptLibrary:
    """Draw a concept library: for every concept, pairs of one scene with it and the same scene without it.

    Parameters
    ----------
    negative : {"replace", "remove"}
        Replacement of the concept in the negative image: another value of the same slot (a bird for
        a cat, another style), or nothing.
    concepts : iterable of str, optional
        Names of the drawn world's concepts; all of them by default.
    pairs : int
        Pairs of each concept, at most `MOST_PAIRS` of all together.
    seed : int
        Decides the scenes. Images of one seed are never those of another.
    size : int
        Side of the images in pixels, 16 … 4096.

    Returns
    -------
    ConceptLibrary
        Images are drawn when they are looked at; their ``labels`` list everything that they show.

    Raises
    ------
    ValueError
        If a concept is unknown, a number is out of range or ``negative`` is neither "replace" nor "remove".

    Examples
    --------
    >>> library = scenes(concepts=["cat", "neon"], pairs=4)
    >>> library["cat"].category, len(library["cat"].positive)
    ('entity', 4)
    """
    if isinstance(concepts, str):
        raise ValueError("concepts is a list of names, not one string: write concepts=['cat'] for one.")
    chosen = list(CONCEPTS) if concepts is None else list(concepts)
    most = MOST_PAIRS // max(len(chosen), 1)
    why = f"{MOST_PAIRS:,} pairs of all concepts together take many seconds to lay out, and vectors need some hundreds"
    pairs = checked_count("pairs of each concept", pairs, most, why)
    seed = checked_count("seed", seed, least=0)
    size = checked_count(
        "size in pixels", size, LARGEST, "models see drawings of 224 pixels or a few times that", SMALLEST
    )
    for name in chosen:
        if name not in CONCEPTS:
            raise ValueError(unknown_name("concept", name, CONCEPTS))
    return ConceptLibrary((_concept(name, negative, pairs, seed, size) for name in chosen), source="drawn scenes")


def _concept(name: str, negative: str, pairs: int, seed: int, size: int) -> Concept:
    sides: tuple[list[Picture], list[Picture]] = ([], [])
    for number in range(pairs):
        rng = np.random.default_rng([seed, number, *name.encode()])
        for side, scene in zip(sides, pair(name, rng, negative), strict=True):
            side.append(Picture(Drawing(scene, size), labels=frozenset(true_concepts(scene)), pair=number))
    known = CONCEPTS[name]
    return Concept(name, known.category, known.words, *sides, paired=True)
