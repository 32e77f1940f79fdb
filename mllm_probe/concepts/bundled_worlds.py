"""Concept libraries that suit the bundled models: the world that each was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mllm_probe.concepts.drawn import emoji, scenes
from mllm_probe.concepts.library import ConceptLibrary
from mllm_probe.emoji.lexicon import FIRST_CONCEPTS
from mllm_probe.models.bundled import ASSEMBLED, bundled_folder

PAIRS = 24
"""Pairs of each concept: half make the vectors, half are steered and reported on."""
_MADE_BY = {"scenes": scenes, "emoji": emoji}


@dataclass(frozen=True)
class MapSettings:
    """How the lab's map steers where nothing else is asked for.

    Attributes
    ----------
    tokens : tuple of str
        Scopes of `Steering`.
    strengths : tuple of float
        In residual norms.
    neutral : int
        Images that lack each concept.
    """

    tokens: tuple[str, ...] = ("last_prompt", "generated")
    strengths: tuple[float, ...] = (0.5, 1.0, 2.0)
    neutral: int = 14


_MAPS = {
    "scenes": MapSettings(tokens=("last_prompt",)),
    "emoji": MapSettings(tokens=("image",), strengths=(0.5, 1.0), neutral=8),
}
"""The drawn scenes are steered at the last prompt token: pushed at every new token too, their answers repeat the word
at late blocks (16 concepts × 5 images, strength 1, layer 7: named without repetition .99 at the last token, .19 at
both). A language model that sees is steered at its image tokens: a push of the last token breaks its sentences."""


def map_settings(model: str) -> MapSettings:
    """Return how the lab's map steers a model of this name."""
    trained_on = world_of(model) if model in ASSEMBLED or bundled_folder(model) is not None else ""
    return _MAPS.get(trained_on, MapSettings())


def world_of(model: str) -> str:
    """Return the world whose images suit a model of this name: "emoji" or, as for all others, "scenes"."""
    return "emoji" if model in ASSEMBLED else "scenes"


@dataclass(frozen=True)
class LibraryCall:
    """A call that makes a library.

    Attributes
    ----------
    function : {"scenes", "emoji"}
        In `mllm_probe.concepts`.
    arguments : dict
        Keyword arguments.
    """

    function: str
    arguments: dict[str, Any]

    def __call__(self) -> ConceptLibrary:
        """Make the library."""
        return _MADE_BY[self.function](**self.arguments)


def library_call(model: str, pairs: int = PAIRS) -> LibraryCall | None:
    """Call that makes the library with which a bundled model is shown, and for which its settings are recommended.

    Parameters
    ----------
    model : str
        Name of a model.
    pairs : int
        Of each concept.

    Returns
    -------
    LibraryCall or None
        All concepts of the drawn world, or two dozen of all categories of the emoji world; None for a model that is
        not bundled.
    """
    if world_of(model) == "emoji":
        return LibraryCall("emoji", {"concepts": list(FIRST_CONCEPTS), "pairs": pairs})
    return None if bundled_folder(model) is None else LibraryCall("scenes", {"pairs": pairs})
