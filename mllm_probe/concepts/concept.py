"""One visual concept: its name and words, its images with and without it, and their metadata."""

from __future__ import annotations

import hashlib
import io
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mllm_probe import schema
from mllm_probe.models.argument_checks import described, listed, whole_number
from mllm_probe.models.images import as_image, content_hash, read_file

MOST_WORDS = 256
"""Forms that may count as naming one concept; each is scored in some eight spellings."""
LONGEST_WORD = 100
"""Characters of the longest word."""
LONGEST_NAME = 255
"""Characters of the longest name of a concept, a category or a group: that of a folder."""

_INVISIBLE = {"Cc", "Cs", "Zl", "Zp"}
_DIRECTION = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def checked_name(what: str, name: Any) -> str:
    """Return a name without blanks around it.

    Raises ValueError if it is no text, empty, too long, or holds control characters, which could rewrite what a
    terminal shows.
    """
    if not isinstance(name, str):
        raise ValueError(f"{what}: expected text; got {type(name).__name__} {name!r}.")
    plain = name.strip()
    if not plain:
        raise ValueError(f"{what}: expected at least one visible character; got {name!r}.")
    if len(plain) > LONGEST_NAME:
        raise ValueError(f"{what}: {plain[:20]!r}… has {len(plain)} characters; at most {LONGEST_NAME} are allowed.")
    _refuse_invisible(what, plain)
    return plain


def checked_words(owner: str, words: Any) -> tuple[str, ...]:
    """Return the forms that count as naming a concept, without blanks around them.

    `owner`: whose they are, for errors. Raises ValueError if they are none, one string, too many, empty, too long, or
    hold control characters.
    """
    if isinstance(words, (str, bytes)):
        raise ValueError(f"{owner}: words is a list, not one string: write [{words!r}] for one word.")
    if not isinstance(words, Iterable):
        raise ValueError(f"{owner}: words is a list of text; got {type(words).__name__}.")
    listed = tuple(words)
    if not listed or not all(isinstance(word, str) and word.strip() for word in listed):
        shown = listed if len(listed) <= 8 else f"{len(listed)} with an empty one among them"
        raise ValueError(f"{owner} needs at least one word, and none of them empty; got {shown}.")
    if len(listed) > MOST_WORDS:
        raise ValueError(
            f"{owner} has {len(listed)} words; at most {MOST_WORDS} are allowed, since each is scored in every run. "
            "Keep the words that an answer would use."
        )
    for word in listed:
        if len(word) > LONGEST_WORD:
            raise ValueError(
                f"{owner}: the word {word[:20]!r}… has {len(word)} characters; at most {LONGEST_WORD} are allowed. "
                "Write one word or short phrase a line."
            )
        _refuse_invisible(f"{owner}: the word", word.strip())
    return tuple(word.strip() for word in listed)


def checked_count(what: str, value: Any, most: int | None = None, why: str = "", least: int = 1) -> int:
    """Return a whole number of at least ``least`` and at most ``most``; ``why`` gives the reason of the limit."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ValueError(f"{what}: expected a whole number of at least {least}, not {value!r}.")
    if value < least:
        raise ValueError(f"{what}: expected a whole number of at least {least}, not {value}.")
    if most is not None and value > most:
        raise ValueError(f"{what}: at most {most:,}, not {int(value):,}{': ' + why if why else ''}.")
    return int(value)


def _refuse_invisible(what: str, text: str) -> None:
    odd = next((c for c in text if unicodedata.category(c) in _INVISIBLE or c in _DIRECTION), None)
    if odd is not None:
        raise ValueError(
            f"{what} {text!r} holds the control character {odd!r}, which cannot be seen or turns the text around it; "
            "write it without."
        )


@dataclass(frozen=True)
class Sentence:
    """A sentence in place of an image; the prompt comes after it."""

    text: str

    def __call__(self) -> Image.Image:
        """Raise ValueError: there is no image."""
        raise ValueError(
            f"{self.text!r} is a sentence in place of an image: vectors can be made of it, but there is nothing to "
            "show or to steer. Give images."
        )


Source = Image.Image | Path | bytes | Sentence | Callable[[], Image.Image]


@dataclass(frozen=True, eq=False)
class Picture:
    """An image of a concept set.

    Parameters
    ----------
    source : PIL.Image.Image, pathlib.Path, bytes, Sentence or callable
        Where the pixels come from, or a sentence in their place. Everything but an image in memory is read or drawn
        anew each time, so that a library of thousands of images stays small. A callable takes nothing, returns an
        image and has a ``repr`` that determines the drawing.
    labels : frozenset of str or None
        Names of all concepts that the image truly shows; None when that is not known. Any collection of names becomes
        one.
    pair : int or None
        Number of the counterfactual pair, equal for its positive and negative.
    split : {"fit", "held_out"} or None
        Set by `ConceptLibrary.split`.
    group : str or None
        Name that it shares with its near-duplicates (other views of one object), in whatever concept they are: images
        of one group are never divided. Set by `from_folder` and `ConceptLibrary.split`.
    """

    source: Source
    labels: frozenset[str] | None = None
    pair: int | None = None
    split: str | None = None
    group: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", None if self.labels is None else _names(self.labels))
        object.__setattr__(self, "pair", None if self.pair is None else whole_number("pair", self.pair))

    @property
    def image(self) -> Image.Image:
        """The image as an RGB image.

        Raises
        ------
        ValueError
            If the file or the bytes are no readable image.
        """
        return as_image(self.source() if callable(self.source) else self.source)

    @cached_property
    def id(self) -> str:
        """Hash of the pixels, the ``sample`` coordinate of every dataset made with the image."""
        return self.key if isinstance(self.source, Sentence) else content_hash(self.image)

    @cached_property
    def key(self) -> str:
        """Hash of the source, computed without drawing or decoding: equal keys are equal images."""
        if isinstance(self.source, Image.Image):
            return self.id
        if isinstance(self.source, Path):
            encoded = read_file(self.source)
        elif isinstance(self.source, bytes):
            encoded = self.source
        else:
            encoded = repr(self.source).encode()
        return hashlib.sha256(encoded).hexdigest()[:16]

    def marked(self, **facts: str | None) -> Picture:
        """Return the same image with another ``split`` or ``group``."""
        copy = replace(self, **facts)  # type: ignore[arg-type]
        copy.__dict__.update({name: self.__dict__[name] for name in ("id", "key") if name in self.__dict__})
        return copy

    def thumbnail(self, size: int = 64) -> bytes:
        """Return the image as PNG bytes of at most ``size`` pixels a side."""
        image = self.image.copy()
        image.thumbnail((size, size))
        return _png(image)

    def __repr__(self) -> str:
        facts = [type(self.source).__name__.lower()]
        if isinstance(self.source, Path):
            facts = [self.source.name]
        if isinstance(self.source, Sentence):
            facts = [repr(self.source.text)]
        facts += [f"shows {', '.join(sorted(self.labels))}"] if self.labels else []
        facts += [f"pair {self.pair}"] if self.pair is not None else []
        facts += [f"group {self.group}"] if self.group is not None else []
        return f"<Picture: {'; '.join([*facts, self.split] if self.split else facts)}>"

    def _repr_png_(self) -> bytes | None:
        return None if isinstance(self.source, Sentence) else _png(self.image)


def _names(labels: object) -> frozenset[str]:
    names = listed(labels)
    if names is None or not all(isinstance(name, str) for name in names):
        raise ValueError(f"labels: expected names of concepts, such as {{'cat'}}, or None; got {described(labels)}.")
    return frozenset(map(str, names))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


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
        return [(image,) for image in self.pictures]

    def __repr__(self) -> str:
        images = f"{len(self.positive)} images with it, {len(self.negative)} without{', in pairs' * self.paired}"
        words = ", ".join(self.words[:_SHOWN_WORDS]) + ", …" * (len(self.words) > _SHOWN_WORDS)
        return f"<Concept {self.name!r} ({self.category}): {images}; words: {words}>"
