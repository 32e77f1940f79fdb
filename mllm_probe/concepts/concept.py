"""One visual concept: its name and words, and images with it and without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mllm_probe import schema
from mllm_probe.concepts.limits import checked_name, checked_words
from mllm_probe.concepts.picture import Picture

_ALIASES = {
    "visualstyle": "visual_style",
    "style": "visual_style",
    "abstractconcept": "abstract",
    "abstract_concept": "abstract",
    "mood": "emotion",
}
_SHOWN_WORDS = 6


def category_name(name: str) -> str:
    """Return the name of a category: one of `schema.CATEGORIES` in any spelling, any other unchanged.

    Other spellings are ``VisualStyle``, ``AbstractConcept``, ``mood`` and the like.

    Raises ValueError if the name is empty or holds control characters.
    """
    given = checked_name("category", name)
    plain = given.lower().replace("-", "_").replace(" ", "_")
    plain = _ALIASES.get(plain, plain)
    return plain if plain in schema.CATEGORIES else given


@dataclass(frozen=True, repr=False)
class Concept:
    """A concept and its two classes of images.

    Parameters
    ----------
    name : str
        How it is called in datasets and plots.
    category : str
        One of `schema.CATEGORIES`, or any other name. Of the categories in `schema.EXCLUSIVE_CATEGORIES` an image
        shows one concept at a time; in all others, such as entities, it may show several.
    words : tuple of str
        Every form that counts as naming it.
    positive, negative : sequence of Picture
        Images with and without it.
    paired : bool
        Whether ``positive[i]`` and ``negative[i]`` are the same image with one thing changed.

    Raises
    ------
    ValueError
        If a class is empty, name, category or words are wrong (see `concepts.limits`), or a paired concept has classes
        of different length.
    """

    name: str
    category: str
    words: tuple[str, ...]
    positive: Sequence[Picture]
    negative: Sequence[Picture]
    paired: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "category", category_name(self.category))
        object.__setattr__(self, "name", checked_name("name of a concept", self.name))
        object.__setattr__(self, "words", checked_words(f"concept {self.name!r}", self.words))
        for side in ("positive", "negative"):
            object.__setattr__(self, side, tuple(getattr(self, side)))
            if not getattr(self, side):
                raise ValueError(
                    f"concept {self.name!r} has no {side} images; a direction is the difference of two classes, "
                    "so give at least one image with it and one without it."
                )
        if self.paired and len(self.positive) != len(self.negative):
            raise ValueError(
                f"concept {self.name!r} is paired but has {len(self.positive)} positive and {len(self.negative)} "
                "negative images; give pairs of equal number or paired=False."
            )

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All its images, positives first."""
        return (*self.positive, *self.negative)

    @property
    def units(self) -> list[tuple[Picture, ...]]:
        """Units that a split keeps together: pairs, or single images of an unpaired concept."""
        if self.paired:
            return list(zip(self.positive, self.negative, strict=True))
        return [(picture,) for picture in self.pictures]

    def __repr__(self) -> str:
        pictures = f"{len(self.positive)} images with it, {len(self.negative)} without{', in pairs' * self.paired}"
        words = ", ".join(self.words[:_SHOWN_WORDS]) + ", …" * (len(self.words) > _SHOWN_WORDS)
        return f"<Concept {self.name!r} ({self.category}): {pictures}; words: {words}>"
