"""One visual concept: its name and words, and pictures with it and without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mllm_probe import schema
from mllm_probe.concepts.picture import Picture

_ALIASES = {
    "visualstyle": "visual_style",
    "style": "visual_style",
    "abstractconcept": "abstract",
    "abstract_concept": "abstract",
    "mood": "emotion",
}


def category_name(name: str) -> str:
    """Return a category by the schema's name; other spellings (``VisualStyle``, ``AbstractConcept``) are understood.

    Raises
    ------
    ValueError
        If the name is none of `schema.CATEGORIES`.
    """
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    plain = _ALIASES.get(plain, plain)
    if plain not in schema.CATEGORIES:
        raise ValueError(f"'{name}' is no category of concepts; use one of {', '.join(schema.CATEGORIES)}.")
    return plain


@dataclass(frozen=True)
class Concept:
    """A concept and its two classes of pictures.

    Parameters
    ----------
    name : str
        How it is called in datasets and plots.
    category : str
        One of `schema.CATEGORIES`.
    words : tuple of str
        Every form that counts as naming it.
    positive, negative : sequence of Picture
        Pictures with and without it.
    paired : bool
        Whether ``positive[i]`` and ``negative[i]`` are the same picture with one thing changed.

    Raises
    ------
    ValueError
        If a class is empty, the category or the words are wrong, or a paired concept has classes of different length.
    """

    name: str
    category: str
    words: tuple[str, ...]
    positive: Sequence[Picture]
    negative: Sequence[Picture]
    paired: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "category", category_name(self.category))
        object.__setattr__(self, "words", tuple(self.words))
        for side in ("positive", "negative"):
            object.__setattr__(self, side, tuple(getattr(self, side)))
            if not getattr(self, side):
                raise ValueError(
                    f"concept '{self.name}' has no {side} pictures; a direction is the difference of two classes, "
                    "so give at least one picture with it and one without it."
                )
        if not self.words or not all(word.strip() for word in self.words):
            raise ValueError(
                f"concept '{self.name}' needs at least one word, and none of them empty; got {self.words}."
            )
        if self.paired and len(self.positive) != len(self.negative):
            raise ValueError(
                f"concept '{self.name}' is paired but has {len(self.positive)} positive and {len(self.negative)} "
                "negative pictures; give pairs of equal number or paired=False."
            )

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All its pictures, positives first."""
        return (*self.positive, *self.negative)

    @property
    def units(self) -> list[tuple[Picture, ...]]:
        """What a split must not tear apart: pairs, or single pictures of an unpaired concept."""
        if self.paired:
            return list(zip(self.positive, self.negative, strict=True))
        return [(picture,) for picture in self.pictures]
