"""Concepts of the drawn and the emoji world, with exact counterfactual pairs, and which world suits a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from mllm_probe.concepts.concept import Concept, Picture, checked_count
from mllm_probe.concepts.library import ConceptLibrary
from mllm_probe.emoji import CONCEPTS as EMOJI_CONCEPTS
from mllm_probe.emoji import EmojiConcept, EmojiScene
from mllm_probe.emoji import draw as draw_emoji
from mllm_probe.emoji import pair as emoji_pair
from mllm_probe.emoji import sample as sample_emoji
from mllm_probe.emoji import true_concepts as true_emoji_concepts
from mllm_probe.emoji.lexicon import FIRST_CONCEPTS
from mllm_probe.models.bundled import bundled_names
from mllm_probe.scenes import CONCEPTS, Scene, SceneConcept, draw, pair, true_concepts
from mllm_probe.scenes import sample as sample_scene
from mllm_probe.schema import unknown_name

MOST_PAIRS = 50_000
"""Most pairs of one library; some thousands of pairs are sampled per second."""
SMALLEST, LARGEST = 16, 4096
"""Sides of a drawing in pixels."""


@dataclass(frozen=True)
class Drawing:
    """A scene and a size: called, it draws the image."""

    scene: Scene | EmojiScene
    size: int

    def __call__(self) -> Image.Image:
        """Draw it."""
        if isinstance(self.scene, EmojiScene):
            return draw_emoji(self.scene, self.size)
        return draw(self.scene, self.size)

    @property
    def labels(self) -> frozenset[str]:
        """Concepts that it shows."""
        if isinstance(self.scene, EmojiScene):
            return frozenset(true_emoji_concepts(self.scene))
        return frozenset(true_concepts(self.scene))

    @property
    def code(self) -> str:
        """Lines of Python that put the image into the name ``image``."""
        if isinstance(self.scene, EmojiScene):
            return f"from mllm_probe.emoji import EmojiScene, Item\nimage = mp.emoji.draw({self.scene!r}, {self.size})"
        parts = "Entity, Face, Pattern, Row, Scene"
        return f"from mllm_probe.scenes.scene import {parts}\nimage = mp.scenes.draw({self.scene!r}, {self.size})"


@dataclass(frozen=True)
class _World:
    """A world of scenes: its concepts, its pairs and what a scene truly shows."""

    source: str
    concepts: Mapping[str, SceneConcept] | Mapping[str, EmojiConcept]
    pair: Callable[[str, np.random.Generator, str], tuple[Any, Any]]
    true_concepts: Callable[[Any], tuple[str, ...]]


def sampled(world: str, seed: int, size: int = 224) -> tuple[Drawing, str]:
    """Sample a scene, the same for the same seed.

    `world`: {"scenes", "emoji"}. `size`: side of the image in pixels. Returns `code`: lines of Python that put the
    image into the name ``image``.
    """
    samplers: dict[str, Callable[[np.random.Generator], Scene | EmojiScene]]
    samplers = {"scenes": sample_scene, "emoji": sample_emoji}
    scene = samplers[world](np.random.default_rng(seed))
    code = f"image = mp.{world}.draw(mp.{world}.sample(np.random.default_rng({seed})), {size})"
    return Drawing(scene, size), f"import numpy as np\n{code}"


_DRAWN = _World("drawn scenes", CONCEPTS, pair, true_concepts)
_EMOJI = _World("emoji", EMOJI_CONCEPTS, emoji_pair, true_emoji_concepts)


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
    return _library(_DRAWN, negative, concepts, pairs, seed, size)


def emoji(
    negative: str = "replace",
    concepts: Iterable[str] | None = None,
    pairs: int = 48,
    seed: int = 0,
    size: int = 224,
) -> ConceptLibrary:
    """Compose a concept library of emoji: for every concept, pairs of one scene with it and the same scene without it.

    Entities are things that people know, in eight visual styles: four artists' sets ("glossy", "flat", "rounded",
    "stencil") and four made of them ("pixelated", "outline", "blueprint", "neon"). Emotions are shown by faces;
    arrangements ("symmetry", "crowding" …) and relations ("left", "inside" …) are those of the drawn world.

    Parameters
    ----------
    negative : {"replace", "remove"}
        Replacement of the concept in the negative image: another value of the same slot (an owl for
        a cat, another style), or nothing. Every image is in some style, so that a style is replaced in both cases.
    concepts : iterable of str, optional
        Names of the emoji world's concepts (``mllm_probe.emoji.CONCEPTS``); all of them by default.
    pairs : int
        Pairs of each concept, at most 50,000 of all together.
    seed : int
        Decides the scenes. Images of one seed are never those of another.
    size : int
        Side of the images in pixels, 16 … 4096. Their sprites have 96 pixels.

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
    >>> library = emoji(concepts=["octopus", "neon", "sleepy"], pairs=4)
    >>> library["sleepy"].category, len(library["sleepy"].positive)
    ('emotion', 4)
    """
    return _library(_EMOJI, negative, concepts, pairs, seed, size)


def _library(
    world: _World, negative: str, concepts: Iterable[str] | None, pairs: int, seed: int, size: int
) -> ConceptLibrary:
    if isinstance(concepts, str):
        raise ValueError("concepts is a list of names, not one string: write concepts=['cat'] for one.")
    chosen = list(world.concepts) if concepts is None else list(concepts)
    most = MOST_PAIRS // max(len(chosen), 1)
    why = f"{MOST_PAIRS:,} pairs of all concepts together take many seconds to lay out, and vectors need some hundreds"
    pairs = checked_count("pairs of each concept", pairs, most, why)
    seed = checked_count("seed", seed, least=0)
    size = checked_count(
        "size in pixels", size, LARGEST, "models see drawings of 224 pixels or a few times that", SMALLEST
    )
    for name in chosen:
        if name not in world.concepts:
            raise ValueError(unknown_name("concept", name, world.concepts))
    return ConceptLibrary((_concept(world, name, negative, pairs, seed, size) for name in chosen), world.source)


def _concept(world: _World, name: str, negative: str, pairs: int, seed: int, size: int) -> Concept:
    sides: tuple[list[Picture], list[Picture]] = ([], [])
    for number in range(pairs):
        rng = np.random.default_rng([seed, number, *name.encode()])
        for side, scene in zip(sides, world.pair(name, rng, negative), strict=True):
            side.append(Picture(Drawing(scene, size), labels=frozenset(world.true_concepts(scene)), pair=number))
    known = world.concepts[name]
    return Concept(name, known.category, known.words, *sides, paired=True)


PAIRS = 24
"""Pairs of each concept: half make the vectors, half are steered and reported on."""
FIRST_LOOK_PAIRS = 12
"""The same for a model that is not bundled, which may be large; `check` needs six held-out ones for its verdict."""
_FUNCTIONS = {"scenes": scenes, "emoji": emoji}


@dataclass(frozen=True)
class MapSettings:
    """Settings of the lab's map where nothing else is asked for.

    `tokens`: scopes of `Steering`.
    `strengths`: in residual norms.
    `first`: the strength that is shown first.
    `neutral`: images that lack each concept.
    """

    tokens: tuple[str, ...] = ("last_prompt", "generated")
    strengths: tuple[float, ...] = (0.5, 1.0, 2.0)
    first: float = 1.0
    neutral: int = 14


_MAPS = {"scenes": MapSettings(tokens=("last_prompt",), first=2.0)}
"""By world. The drawn scenes are steered at the last prompt token, where a push may be large: pushed at every new token
too, their answers repeat the word at late blocks (``make validate ARGS=doses``)."""


def map_settings(model: str) -> MapSettings:
    """Return how the lab's map steers a model of this name."""
    return _MAPS.get(world_of(model), MapSettings())


def world_of(model: str) -> str:
    """Return the world whose images suit a model of this name.

    "scenes" for bundled models and those of another seed, whose names begin alike; "emoji", artwork that models of the
    Hub have seen, for all others.
    """
    return "scenes" if model.startswith(tuple(bundled_names())) else "emoji"


@dataclass(frozen=True)
class LibraryCall:
    """A call that makes a library.

    `function` ({"scenes", "emoji"}): in `mllm_probe.concepts`. `arguments`: keyword arguments.
    """

    function: str
    arguments: dict[str, Any]

    def __call__(self) -> ConceptLibrary:
        """Make the library."""
        return _FUNCTIONS[self.function](**self.arguments)


def library_call(model: str, pairs: int | None = None) -> LibraryCall:
    """Call that makes the library with which a model is shown, and for which a bundled one's settings are recommended.

    `model`: name of a model. `pairs`: of each concept. Returns: all concepts of the drawn world for a model that was
    trained on it, else two dozen of all categories of the emoji world.
    """
    if world_of(model) == "emoji":
        return LibraryCall("emoji", {"concepts": list(FIRST_CONCEPTS), "pairs": pairs or FIRST_LOOK_PAIRS})
    return LibraryCall("scenes", {"pairs": pairs or PAIRS})
