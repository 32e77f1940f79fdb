"""Concept libraries that suit a model: the world that a bundled one was trained on, emoji for any other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mllm_probe.concepts.drawn import emoji, scenes
from mllm_probe.concepts.library import ConceptLibrary
from mllm_probe.emoji.lexicon import FIRST_CONCEPTS
from mllm_probe.models.bundled import bundled_names

PAIRS = 24
"""Pairs of each concept: half make the vectors, half are steered and reported on."""
FIRST_LOOK_PAIRS = 12
"""The same for a model that is not bundled, which may be large; `check` needs six held-out ones for its verdict."""
_MADE_BY = {"scenes": scenes, "emoji": emoji}


@dataclass(frozen=True)
class MapSettings:
    """How the lab's map steers where nothing else is asked for.

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
        return _MADE_BY[self.function](**self.arguments)


def library_call(model: str, pairs: int | None = None) -> LibraryCall:
    """Call that makes the library with which a model is shown, and for which a bundled one's settings are recommended.

    `model`: name of a model. `pairs`: of each concept. Returns: all concepts of the drawn world for a model that was
    trained on it, else two dozen of all categories of the emoji world.
    """
    if world_of(model) == "emoji":
        return LibraryCall("emoji", {"concepts": list(FIRST_CONCEPTS), "pairs": pairs or FIRST_LOOK_PAIRS})
    return LibraryCall("scenes", {"pairs": pairs or PAIRS})
