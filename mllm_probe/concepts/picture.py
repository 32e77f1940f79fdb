"""An image and its metadata: a file, encoded bytes, an image in memory or a drawing rendered on demand."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from PIL import Image

from mllm_probe.models.argument_checks import described, listed, whole_number
from mllm_probe.models.images import as_image, content_hash, read_file


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
