"""The samples of a sweep, the rows of one batch, and the grid of their scores and its size."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from mllm_probe import schema
from mllm_probe.activations.capturing import image_coordinates
from mllm_probe.concepts import ConceptLibrary, Picture
from mllm_probe.metrics.kept import slot_of
from mllm_probe.metrics.metric import Metric
from mllm_probe.metrics.words import Word
from mllm_probe.models.inputs import Request
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.steering.intervention import Steering
from mllm_probe.sweeps.cells import Axes, Pairs, join_pairs, unsteered_pairs
from mllm_probe.sweeps.settings import Settings
from mllm_probe.typing import Attributes, Coordinates, Images, Inputs

_STEERED = (schema.CONCEPT, schema.LAYER, schema.STRENGTH, schema.SAMPLE, schema.SCORED_CONCEPT)
_RANDOM = (schema.LAYER, schema.STRENGTH, schema.DRAW, schema.SAMPLE, schema.SCORED_CONCEPT)


Variables = dict[str, tuple[tuple[str, ...], np.ndarray, Attributes]]
"""Name → dimensions, array and attributes."""


class OffTarget:
    """Arrays of a metric that scores every concept; of random directions once, as they do not depend on the concept."""

    def __init__(self, metric: Metric, axes: Axes, samples: int) -> None:
        self.metric = metric
        names = list(axes.controls)
        concepts, layers, strengths = axes.shape[:3]
        self._concept, self._random = names.index("concept"), names.index("random") if "random" in names else None
        self.steered = np.full((concepts, layers, strengths, samples, concepts), np.nan, np.float32)
        self.random = np.full((layers, strengths, axes.draws, samples, concepts), np.nan, np.float32)
        self._draws, self._zero = axes.controls.get("random", 0), np.array(axes.strengths) == 0
        self.unsteered = np.full((samples, concepts), np.nan, np.float32)

    def put(self, pairs: Pairs, sample: np.ndarray, scores: np.ndarray) -> None:
        """Write the scores [pairs, concepts] of a chunk, with the sample of each pair."""
        on_concept = pairs.control == self._concept
        self.steered[
            pairs.concept[on_concept], pairs.layer[on_concept], pairs.strength[on_concept], sample[on_concept]
        ] = scores[on_concept]
        if self._random is not None:
            r = pairs.control == self._random
            self.random[pairs.layer[r], pairs.strength[r], pairs.draw[r], sample[r]] = scores[r]

    def put_unsteered(self, sample: int, scores: np.ndarray) -> None:
        """Write the unsteered run of one sample, also at strength 0."""
        self.unsteered[sample] = scores
        # NumPy puts the axes of the advanced indices first where a slice lies between them, as in `random`: here only
        # the last axis, the scored concepts, has to fit.
        self.steered[:, :, self._zero, sample] = scores
        self.random[:, self._zero, : self._draws, sample] = scores

    def variables(self) -> Variables:
        """Dimensions, array (not a copy) and attributes of every variable."""
        name, attributes = self.metric.name, {k: self.metric.attributes[k] for k in ("long_name", "units")}
        variables: Variables = {
            name: (_STEERED, self.steered, attributes),
            f"{name}_unsteered": (_STEERED[-2:], self.unsteered, attributes),
        }
        if self._random is not None:
            variables[f"{name}_random"] = (_RANDOM, self.random, attributes)
        return variables


CELL_DIMS = (schema.CONCEPT, schema.LAYER, schema.STRENGTH, schema.CONTROL, schema.DRAW, schema.SAMPLE)


def eligible_doses(may_count: np.ndarray, named: np.ndarray, takes_away: Sequence[bool]) -> np.ndarray:
    """For which concepts and doses an image counts, bool [concepts, strengths].

    `may_count` (bool array [concepts, strengths]): by what the image shows. `named` (bool array [concepts]): whether
    its unsteered answer names the concept. `takes_away`: for each strength, whether it is meant to take the concept
    away.
    """
    eligible: np.ndarray = may_count & (named[:, None] == np.asarray(takes_away, bool)[None])
    return eligible


class Grid:
    """Arrays that fill while a sweep runs.

    `samples`: coordinates along ``sample``: ``sample`` itself, and ``split`` and ``pair`` where they are known.
    `steps`: length of the answers.
    `answers`: whether answers are kept, as ``tokens`` and ``text``.
    `eligible` (bool array (concept, strength, sample)): images that may count for a concept and dose, before their
        unsteered answers are known.
    `skips`: whether other images are left out.
    `done` (bool array (concept, layer, strength, control, draw, sample)): cells that have their scores.
    `skipped` (bool array (concept, layer, strength, control, draw, sample)): cells that are not to be run: their image
        is none for that concept and dose.
    `has_unsteered` (bool array [samples]): samples whose unsteered run is in the grid.
    """

    def __init__(
        self,
        axes: Axes,
        samples: Mapping[str, Sequence[Any]],
        metrics: Sequence[Metric],
        *,
        steps: int,
        answers: bool,
        eligible: np.ndarray,
        skips: bool,
    ) -> None:
        self.axes, self.samples = axes, dict(samples)
        single = [metric for metric in metrics if not metric.every_concept]
        self.metrics = tuple(metric.name for metric in single)
        self.attributes = {metric.name: metric.attributes for metric in single}
        count = len(samples[schema.SAMPLE])
        shape = (*axes.shape, count)
        self.cells: dict[str, np.ndarray] = {name: np.full(shape, np.nan, np.float32) for name in self.metrics}
        concepts = len(axes.concepts)
        self.unsteered: dict[str, np.ndarray] = {
            name: np.full((concepts, count), np.nan, np.float32) for name in self.metrics
        }
        self.eligible = np.zeros((concepts, len(axes.strengths), count), dtype=bool)
        self._may_count = eligible
        # A view that takes no memory and cannot be written to: which cells are skipped is known before the first run.
        self.skipped: np.ndarray = np.broadcast_to(~eligible[:, None, :, None, None] & skips, shape)
        self.done: np.ndarray = np.zeros(shape, dtype=bool)
        self.has_unsteered: np.ndarray = np.zeros(count, dtype=bool)
        self.edited = np.zeros(shape, dtype=np.int32)
        self.every_concept = {metric.name: OffTarget(metric, axes, count) for metric in metrics if metric.every_concept}
        if answers:
            self.cells["tokens"] = np.full((*shape, steps), -1, np.int32)
            self.cells["text"] = np.full(shape, "", dtype=object)
            self.unsteered["tokens"] = np.full((count, steps), -1, np.int32)
            self.unsteered["text"] = np.full(count, "", dtype=object)
        for metric in (metric for metric in single if metric.reads == "forced"):
            name = step_name(metric.name)
            self.cells[name] = np.full((*shape, steps), np.nan, np.float32)
            long_name = f"{metric.long_name or metric.label}, at each of its tokens"
            self.attributes[name] = {"long_name": long_name, "units": metric.unit}

    def put_eligible(self, sample: int, named: np.ndarray, takes_away: Sequence[bool]) -> None:
        """Write for which concepts and doses an image counts, whose unsteered answer names ``named`` [concepts]."""
        self.eligible[:, :, sample] = eligible_doses(self._may_count[:, :, sample], named, takes_away)

    def put(self, pairs: Pairs, sample: int | np.ndarray, scores: Mapping[str, np.ndarray]) -> None:
        """Write the scores of a chunk, one per pair; ``sample`` is one for all pairs, or an array with one each."""
        # One fancy index writes all pairs at once: a row that several places of the grid share has a pair for each.
        place = (*pairs.index, np.broadcast_to(sample, len(pairs)))
        for name, values in scores.items():
            if name == "edited" or name in self.cells:
                (self.edited if name == "edited" else self.cells[name])[place] = values
        for name, off_target in self.every_concept.items() if len(pairs) else ():
            off_target.put(pairs, place[-1], scores[name])
        self.done[place] = True

    def put_unsteered(self, sample: int, scores: Mapping[str, Any]) -> None:
        """Write the unsteered run of one sample: to ``<name>_unsteered``, and to every cell of strength 0."""
        cells = self.unsteered_cells(sample)
        for name, values in scores.items():
            if name in self.unsteered:
                if name in ("tokens", "text"):
                    self.unsteered[name][sample] = values
                else:
                    self.unsteered[name][:, sample] = values
            if name in self.cells:
                # Metrics have one value per concept, `cells[0]` the concept of each cell; answers have one for all.
                self.cells[name][cells] = np.asarray(values)[cells[0]] if name in self.metrics else values
        for name, off_target in self.every_concept.items():
            off_target.put_unsteered(sample, scores[name])
        self.done[cells] = True
        self.has_unsteered[sample] = True

    def unsteered_cells(self, sample: int) -> tuple[np.ndarray, ...]:
        """Index of all cells of strength 0 of a sample, which its unsteered run fills."""
        places = self.axes.unsteered
        return (*places, np.full(len(places[0]), sample))

    @property
    def progress(self) -> float:
        """Share of the cells that are done, 0 … 1."""
        drawn = self.axes.drawn[None, None, None, ..., None]
        return float((self.done | self.skipped).sum(where=drawn) / (self.axes.cells * len(self.has_unsteered)))

    def variables(self) -> Variables:
        """Dimensions, array (not a copy) and attributes of every variable of the dataset."""
        variables: Variables = {}
        for name, values in self.cells.items():
            dims: tuple[str, ...] = (*CELL_DIMS, schema.STEP) if values.ndim > len(CELL_DIMS) else CELL_DIMS
            variables[name] = (dims, values, self.attributes.get(name, {}))
        for name, values in self.unsteered.items():
            dims = (schema.SAMPLE, schema.STEP)[: values.ndim] if name in ("tokens", "text") else _UNSTEERED
            variables[f"{name}_unsteered"] = (dims, values, _of_unsteered(self.attributes.get(name, {})))
        variables["eligible"] = ((schema.CONCEPT, schema.STRENGTH, schema.SAMPLE), self.eligible, _ELIGIBLE)
        for off_target in self.every_concept.values():
            variables |= off_target.variables()
        variables["edited"] = (CELL_DIMS, self.edited, {"long_name": "edited positions of prompt and answer"})
        return variables

    def coordinates(self, others: Coordinates) -> Coordinates:
        """Coordinates of its own dimensions, and others."""
        return {
            schema.STRENGTH: list(self.axes.strengths),
            schema.CONTROL: list(self.axes.controls),
            schema.DRAW: np.arange(self.axes.draws),
            schema.SAMPLE: list(self.samples[schema.SAMPLE]),
            **{name: (schema.SAMPLE, list(values)) for name, values in self.samples.items() if name != schema.SAMPLE},
            **others,
        }

    def dataset(self, coordinates: Coordinates, attrs: Attributes) -> xr.Dataset:
        """A copy of the grid, which later writes do not change."""
        variables = {
            name: (dims, values.copy(), attributes) for name, (dims, values, attributes) in self.variables().items()
        }
        return xr.Dataset(variables, self.coordinates(coordinates), {**attrs, "progress": self.progress})


_UNSTEERED = (schema.CONCEPT, schema.SAMPLE)
_ELIGIBLE = {
    "long_name": "the image counts: doses that bring the concept need one that lacks it and whose unsteered answer "
    "does not name it, doses that take it away one whose unsteered answer names it"
}


def step_name(metric: str) -> str:
    """Variable that holds a metric at each token of the unsteered answer."""
    return f"{metric}_step"


def _of_unsteered(attributes: Attributes) -> Attributes:
    return {name: attributes[name] + (", unsteered" if name == "long_name" else "") for name in ("long_name", "units")
            if name in attributes}  # fmt: skip


def grid_bytes(settings: Settings, samples: int) -> int:
    """Bytes of all arrays of a sweep's grid, those of its texts without the texts themselves."""
    axes, answers = settings.axes, settings.decodes
    # The smallest grid has the same variables with the same dimensions.
    least = Axes(axes.concepts[:1], axes.layers[:1], axes.strengths[:1], dict.fromkeys(axes.controls, 1))
    eligible = np.ones((1, 1, 1), bool)
    grid = Grid(
        least, {schema.SAMPLE: [""]}, settings.metrics, steps=1, answers=answers, eligible=eligible, skips=False
    )
    sizes = dict(zip(CELL_DIMS, (*axes.shape, samples), strict=True))
    sizes |= {schema.STEP: settings.max_new_tokens, schema.SCORED_CONCEPT: len(axes.concepts)}
    arrays = [(CELL_DIMS, grid.done), *((dims, values) for dims, values, _ in grid.variables().values())]
    return sum(math.prod(sizes[dim] for dim in dims) * values.dtype.itemsize for dims, values in arrays)


@dataclass(frozen=True)
class Samples:
    """The samples of a sweep, and the words that it scores.

    `requests`: one per sample.
    `labels`: True concepts of each sample, None where they are not known.
    `coordinates`: ``sample``, and ``split`` and ``pair`` where every sample has them.
    `words`: words of each steered concept (text, or token ids), empty where there are none.
    `label_words`: words of every concept that may be a label.
    `categories`: category of every concept that has one.
    `examples`: for a steered concept, an image that has it.
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
    """Samples from images (or a library) and vectors.

    `vectors`: with dimension ``concept``; variable ``words`` and coordinate ``category`` where they are known.
    `images`: a library stands for all its images.
    """
    library = images if isinstance(images, ConceptLibrary) else None
    listed = library.pictures if library is not None else _as_samples(images)
    requests = model.samples(listed, prompt, inputs)
    known: list[Picture | None] = [_as_picture(item) for item in listed] if inputs is None else [None] * len(requests)
    names = [str(name) for name in vectors[schema.CONCEPT].values]
    words = _words(model, vectors, library, names)
    categories = _categories(vectors, names) | {name: c.category for name, c in (library or {}).items()}
    return Samples(
        requests=requests,
        labels=[None if image is None else image.labels for image in known],
        coordinates={schema.SAMPLE: [request.id for request in requests], **image_coordinates(known)},
        words=words,
        label_words={n: tuple(w for w in forms if isinstance(w, str)) for n, forms in zip(names, words, strict=True)}
        | {name: concept.words for name, concept in (library or {}).items()},
        categories=categories,
        examples=_examples(library, [p for p in known if p is not None], names),
        sides=_sides(library, known, names),
        of_library=library is not None,
    )


def _sides(
    library: ConceptLibrary | None, images: Sequence[Picture | None], names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the images that lack each concept and that have it, both bool [concepts, samples]."""
    lacking, having = (np.ones((len(names), len(images)), bool) for _ in range(2))
    keys = [image.key if image is not None and library is not None else "" for image in images]
    for row, name in enumerate(names):
        if library is not None and name in library:
            concept = library[name]
            for side, members in ((lacking, concept.negative), (having, concept.positive)):
                member_keys = {member.key for member in members}
                side[row] = [key in member_keys for key in keys]
            continue
        for column, image in enumerate(images):
            if image is not None and image.labels is not None:
                having[row, column] = name in image.labels
                lacking[row, column] = not having[row, column]
    return lacking, having


def _as_samples(images: object) -> list[Any]:
    if isinstance(images, (Sequence, Iterator)) and not isinstance(images, (str, bytes)):
        return list(images)
    return [images]


def _as_picture(value: object) -> Picture | None:
    while isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, Picture) else None


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
        known[name].words if name in known and (not forms or "words" not in vectors) else forms
        for name, forms in zip(names, stored, strict=True)
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


def _examples(library: ConceptLibrary | None, images: Sequence[Picture], names: Sequence[str]) -> dict[str, Picture]:
    labelled: Mapping[str, Sequence[Picture]] = {
        name: [image for image in images if image.labels and name in image.labels] for name in names
    }
    if library is not None:
        labelled = {name: library[name].positive if name in library else labelled[name] for name in names}
    return {name: images[0] for name, images in labelled.items() if images}


Scores = dict[str, Any]
"""Arrays with one value per pair."""


@dataclass(frozen=True)
class Part:
    """Rows of one sample.

    `steerings`: one per row. `pairs`: which rows are scored for which concepts. `answered`: whether the sample's
    unsteered answer is known already.
    """

    sample: int
    steerings: Sequence[Steering]
    pairs: Pairs
    answered: bool = False


@dataclass(frozen=True)
class Batch:
    """Rows of all parts, one part after the other.

    `steerings`: one per row; None for an unsteered one, which is the first of its part.
    `part` (int array [rows]): the part that each row belongs to.
    `unsteered` (int array [parts]): the unsteered row of each part; empty where the unsteered run is known already.
    `pairs`: of all parts; those of a part's unsteered row come first.
    `concepts`: number of concepts that an unsteered row is scored for.
    """

    parts: Sequence[Part]
    steerings: list[Steering | None]
    part: np.ndarray
    unsteered: np.ndarray
    pairs: Pairs
    concepts: int

    @property
    def joined(self) -> bool:
        """Whether unsteered rows are in the batch."""
        return len(self.unsteered) > 0

    @property
    def samples(self) -> np.ndarray:
        """The sample of each pair."""
        return np.array([part.sample for part in self.parts], np.int64)[self.part[self.pairs.row]]

    def split(self, scores: Scores) -> list[tuple[Scores, Scores]]:
        """Scores of each part's unsteered row (nothing where it is not in the batch) and of its other rows."""
        results, start = [], 0
        for part in self.parts:
            middle = start + self.joined * self.concepts
            end = middle + len(part.pairs)
            steered = {name: values[start:middle] for name, values in scores.items()}
            results.append((steered, {name: values[middle:end] for name, values in scores.items()}))
            start = end
        return results


def assemble(parts: Sequence[Part], concepts: int, *, joined: bool) -> Batch:
    """One batch of all parts; ``joined``: with the unsteered row of each."""
    steerings: list[Steering | None] = []
    pairs, owners, unsteered = [], [], []
    for number, part in enumerate(parts):
        start = len(steerings)
        if joined:
            unsteered.append(start)
            pairs.append(unsteered_pairs(concepts, start))
            steerings.append(None)
        pairs.append(replace(part.pairs, row=part.pairs.row + len(steerings)))
        steerings += part.steerings
        owners += [number] * (len(steerings) - start)
    return Batch(parts, steerings, np.array(owners), np.array(unsteered, np.int64), join_pairs(pairs), concepts)
