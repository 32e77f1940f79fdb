"""The samples of a sweep: requests, labels and splits of its pictures, words and categories of its concepts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from mllm_probe import schema
from mllm_probe.activations.capturing import picture_coordinates
from mllm_probe.concepts import ConceptLibrary, Picture
from mllm_probe.metrics.kept import slot_of
from mllm_probe.metrics.words import Word
from mllm_probe.models.inputs import Request
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.typing import Images, Inputs


@dataclass(frozen=True)
class Samples:
    """The samples of a sweep, and the words that it scores.

    `requests`: one per sample.
    `labels`: True concepts of each sample, None where they are not known.
    `coordinates`: ``sample``, and ``split`` and ``pair`` where every sample has them.
    `words`: words of each steered concept (text, or token ids), empty where there are none.
    `label_words`: words of every concept that may be a label.
    `categories`: category of every concept that has one.
    `examples`: for a steered concept, a picture that has it.
    `sides` (tuple of two bool arrays [concepts, samples]): images that lack each steered concept and those that have
        it: of a library, its negatives and positives; else by their labels, and both where they have none.
    `of_library`: whether the samples are those of a library, so that each concept runs on its own images alone.
    """

    requests: list[Request]
    labels: list[frozenset[str] | None]
    coordinates: dict[str, list[Any]]
    words: list[tuple[Word, ...]]
    label_words: dict[str, tuple[str, ...]]
    categories: dict[str, str]
    examples: dict[str, Picture]
    sides: tuple[np.ndarray, np.ndarray]
    of_library: bool

    def __len__(self) -> int:
        return len(self.requests)

    def slot(self, name: str) -> set[str]:
        """The concept, and the labels that it replaces in an image."""
        return slot_of(name, self.categories)


def gather(
    model: ProbeModel,
    vectors: xr.Dataset,
    images: Images | ConceptLibrary,
    prompt: str | Sequence[str] | None,
    inputs: Inputs,
) -> Samples:
    """Samples from pictures (or a library) and vectors.

    `vectors`: with dimension ``concept``; variable ``words`` and coordinate ``category`` where they are known.
    `images`: a library stands for all its pictures.
    """
    library = images if isinstance(images, ConceptLibrary) else None
    listed = library.pictures if library is not None else _listed(images)
    requests = model.samples(listed, prompt, inputs)
    known: list[Picture | None] = [_picture(one) for one in listed] if inputs is None else [None] * len(requests)
    names = [str(name) for name in vectors[schema.CONCEPT].values]
    words = _words(model, vectors, library, names)
    categories = _categories(vectors, names) | {name: c.category for name, c in (library or {}).items()}
    return Samples(
        requests=requests,
        labels=[None if picture is None else picture.labels for picture in known],
        coordinates={schema.SAMPLE: [request.id for request in requests], **picture_coordinates(known)},
        words=words,
        label_words={n: tuple(w for w in own if isinstance(w, str)) for n, own in zip(names, words, strict=True)}
        | {name: concept.words for name, concept in (library or {}).items()},
        categories=categories,
        examples=_examples(library, [p for p in known if p is not None], names),
        sides=_sides(library, known, names),
        of_library=library is not None,
    )


def _sides(
    library: ConceptLibrary | None, pictures: Sequence[Picture | None], names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Which pictures lack each concept and which have it, both bool [concepts, samples]."""
    lacking, having = (np.ones((len(names), len(pictures)), bool) for _ in range(2))
    keys = [picture.key if picture is not None and library is not None else "" for picture in pictures]
    for row, name in enumerate(names):
        if library is not None and name in library:
            own = library[name]
            for side, members in ((lacking, own.negative), (having, own.positive)):
                there = {member.key for member in members}
                side[row] = [key in there for key in keys]
            continue
        for column, picture in enumerate(pictures):
            if picture is not None and picture.labels is not None:
                having[row, column] = name in picture.labels
                lacking[row, column] = not having[row, column]
    return lacking, having


def _listed(images: object) -> list[Any]:
    if isinstance(images, (Sequence, Iterator)) and not isinstance(images, (str, bytes)):
        return list(images)
    return [images]


def _picture(one: object) -> Picture | None:
    while isinstance(one, Sequence) and not isinstance(one, (str, bytes)) and len(one) == 1:
        one = one[0]
    return one if isinstance(one, Picture) else None


def _words(
    model: ProbeModel, vectors: xr.Dataset, library: ConceptLibrary | None, names: Sequence[str]
) -> list[tuple[Word, ...]]:
    """Words of the vectors, else of the library; the concept's name where the vectors have no variable ``words``."""
    stored: list[tuple[Word, ...]] = [(name,) if model.tokenizer is not None else () for name in names]
    if "words" in vectors:
        texts = np.atleast_1d(vectors["words"].values)
        stored = [_parsed(name, str(text)) for name, text in zip(names, texts, strict=True)]
    known = {} if library is None else library
    return [
        known[name].words if name in known and (not own or "words" not in vectors) else own
        for name, own in zip(names, stored, strict=True)
    ]


def _parsed(name: str, text: str) -> tuple[Word, ...]:
    """Words of a concept from their JSON."""
    try:
        listed = json.loads(text)
    except json.JSONDecodeError:
        listed = None
    if not isinstance(listed, list):
        raise ValueError(
            f'the words of \'{name}\' cannot be read: expected a JSON list such as ["cat", "kitten"] in the vectors\' '
            f"variable 'words'; got {text!r}."
        )
    return tuple(tuple(word) if isinstance(word, list) else word for word in listed)


def _categories(vectors: xr.Dataset, names: Sequence[str]) -> dict[str, str]:
    if schema.CATEGORY not in vectors.coords:
        return {}
    return dict(zip(names, map(str, vectors[schema.CATEGORY].values), strict=True))


def _examples(library: ConceptLibrary | None, pictures: Sequence[Picture], names: Sequence[str]) -> dict[str, Picture]:
    labelled: Mapping[str, Sequence[Picture]] = {
        name: [picture for picture in pictures if picture.labels and name in picture.labels] for name in names
    }
    if library is not None:
        labelled = {name: library[name].positive if name in library else labelled[name] for name in names}
    return {name: pictures[0] for name, pictures in labelled.items() if pictures}
