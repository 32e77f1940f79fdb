"""A prepared sweep: checked settings, its cells, the words and labels that metrics need, and the chosen path."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

import numpy as np
import torch
import xarray as xr

from mllm_probe import schema
from mllm_probe.decoding.depth import DepthPrefix
from mllm_probe.decoding.paths import DecodingPath, OnOpened
from mllm_probe.decoding.prefix import SharedPrefix
from mllm_probe.decoding.shared_prompt import UNEDITED_NONE, Shared, SharedPrefixSpan
from mllm_probe.metrics.statistics import LEAST_IMAGES, LEAST_SHARES
from mllm_probe.metrics.words import Word, word_table, word_variants
from mllm_probe.models.argument_checks import warn_caller
from mllm_probe.models.inputs import Encoded
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.steering.editor import Editor
from mllm_probe.steering.intervention import Steering
from mllm_probe.steering.tables import require_doses
from mllm_probe.steering.tensors import path_of
from mllm_probe.sweeps.cells import CONCEPTS, Cell, other_concepts, plan_cells, scored_pairs
from mllm_probe.sweeps.grid import Grid, Samples
from mllm_probe.sweeps.reference_scorer import ReferenceScorer
from mllm_probe.sweeps.scoring import AnswerReader, Scorer
from mllm_probe.sweeps.settings import Settings, find_duplicates, opposite_controls
from mllm_probe.typing import Attributes, Coordinates
from mllm_probe.vectors.directions import measure_together

READ_WORDS = ("logit_lens",)
"""Recordings that read a concept's words."""
_SHOWN = 8


def check_requirements(
    model: ProbeModel, settings: Settings, samples: Samples, *, by_default: Sequence[str] = ()
) -> None:
    """Raise for a metric that cannot be computed, or warn once where it is a default or fails for some concepts only.

    `by_default`: metrics that nobody asked for by name. Raises ValueError if no concept of the sweep has a word that
    the model knows, or no image a label, and a metric that was asked for by name needs one.
    """
    problems = []
    of_words = _needing(settings, "words") + [name for name in settings.record if name in READ_WORDS]
    if of_words:
        reasons = [_why_unusable(model, forms) for forms in samples.words]
        lacking = {name: why for name, why in zip(settings.axes.concepts, reasons, strict=True) if why}
        if lacking:
            _raise_if(len(lacking) == len(reasons), of_words, by_default, _words_text(lacking))
            problems.append(_words_text(lacking) + f" For them {_in_words(of_words)} cannot be computed.")
    of_labels = _needing(settings, "labels")
    if of_labels and all(labels is None for labels in samples.labels):
        text = "None of the images has labels, which say what it truly shows; those of mp.concepts.scenes have them."
        _raise_if(True, of_labels, by_default, text)
        problems.append(text + f" {_in_words(of_labels).capitalize()} is NaN.")
    if problems:
        warn_caller(" ".join(problems))


def warn_of_too_few(settings: Settings, may_count: np.ndarray, eligible: np.ndarray) -> None:
    """Warn once, with their names, of concepts for which too few images count.

    `may_count`, `eligible` (bool array [concepts, strengths, samples]): images that count by their labels, and by their
    unsteered answers too.
    """
    parts, least = [], least_images(settings)
    for takes_away, (doses, reason) in _DOSES.items():
        here = [
            place
            for place, strength in enumerate(settings.axes.strengths)
            if strength and settings.takes_away[place] == takes_away
        ]
        if not here:
            continue
        counts = eligible[:, here[0]].sum(-1)
        by_labels = may_count[:, here[0]].sum(-1)
        short = [
            f"'{name}' ({count} of {may_count.shape[-1]}: {reason.format(labelled - count, labelled)})"
            for name, count, labelled in zip(settings.axes.concepts, counts, by_labels, strict=True)
            if count < least
        ]
        if short:
            more = f", and {len(short) - _SHOWN} more concepts" * (len(short) > _SHOWN)
            parts.append(f"for {doses}: {', '.join(short[:_SHOWN])}{more}")
    if parts:
        warn_caller(
            f"Too few images count {'; '.join(parts)}. With fewer than {least} their cells have no interval and no "
            "verdict. Give more images of the kind that is missing (mp.concepts.neutral_images chooses some that lack "
            "most concepts), leave these concepts or doses out, or give a library in place of images: each of its "
            "concepts is then steered on its own negatives or positives."
        )


_DOSES = {
    False: ("doses that bring a concept", "unsteered answers name it on {} of {} images without it"),
    True: ("doses that take a concept away", "unsteered answers do not name it on {} of {} images that may show it"),
}


def least_images(settings: Settings) -> int:
    """Images below which no metric of the sweep has an interval."""
    only_shares = bool(settings.metrics) and all(metric.binary for metric in settings.metrics)
    return LEAST_SHARES if only_shares else LEAST_IMAGES


def _needing(settings: Settings, what: str) -> list[str]:
    return [metric.name for metric in settings.metrics if metric.needs == what]


def readable(model: ProbeModel, words: Sequence[Word]) -> tuple[Word, ...]:
    """The words that can be turned into token ids: text needs a tokenizer."""
    return tuple(word for word in words if model.tokenizer is not None or not isinstance(word, str))


def _why_unusable(model: ProbeModel, words: Sequence[Word]) -> str:
    """Why none of a concept's words can be scored; empty if one can."""
    if not words:
        return "no words"
    if not readable(model, words):
        return f"words as text ({_in_words(words)}) and a model without a tokenizer"
    return "" if word_variants(model, readable(model, words)) else f"words unknown to the model ({_in_words(words)})"


def _words_text(lacking: dict[str, str]) -> str:
    named = "; ".join(f"{name!r} has {why}" for name, why in list(lacking.items())[:_SHOWN])
    more = f"; and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
    return (
        f"Concepts without a word that could be scored: {named}{more}. Give words that the model knows, as text or "
        "token ids: in words.txt, mp.vectors_from(…, words={name: ['cat']}), or vectors['words']."
    )


def _raise_if(total: bool, metrics: Sequence[str], by_default: Sequence[str], text: str) -> None:
    asked = [name for name in metrics if name not in by_default]
    if total and asked:
        raise ValueError(f"{_in_words(asked)} cannot be computed. {text} Or leave {_in_words(asked)} out.")


def _in_words(names: Sequence[Word]) -> str:
    return ", ".join(map(repr, names[:_SHOWN])) + ", …" * (len(names) > _SHOWN)


_KEPT_EDITS = 1 << 14
"""Most edits that are kept, to be made once for all images."""


class SweepJob:
    """A prepared sweep, as its engine, its plan and benchmarks use it.

    `cells`: steered runs of each sample, coarse ones first; without strength 0.
    """

    def __init__(self, model: ProbeModel, vectors: xr.Dataset, settings: Settings, samples: Samples) -> None:
        model.lock.require_unedited()
        self.model, self.vectors, self.settings, self.samples = model, vectors, settings, samples
        duplicates = find_duplicates(vectors, settings.axes)
        self.cells = plan_cells(
            settings.axes,
            shared=settings.shared_controls,
            duplicates=duplicates,
            opposite=opposite_controls(settings),
        )
        self.prefix, self.scope = settings.prefix, settings.scope
        self._concept_vectors = [vectors.sel({schema.CONCEPT: name}) for name in settings.axes.concepts]
        measure_together(self._concept_vectors)
        self._edits: dict[tuple[int, int, int, str, int], Steering] = {}
        for strength in settings.axes.strengths:
            self._steering(0, settings.axes.layers[:1], strength)
        self._require_doses()

    @cached_property
    def places(self) -> tuple[np.ndarray, ...]:
        """Index of the grid, without its samples, of the first place that each cell fills."""
        pairs = scored_pairs(self.settings.axes, self.cells)
        return tuple(axis[np.unique(pairs.row, return_index=True)[1]] for axis in pairs.index)

    def steering(self, cell: Cell) -> Steering:
        """The edit of one cell, which is the same for every image."""
        place = cell.concept, cell.layer, cell.strength, cell.control, cell.draw
        if place not in self._edits:
            axes = self.settings.axes
            steering = self._steering(cell.concept, [axes.layers[cell.layer]], axes.strengths[cell.strength])
            edit = (
                steering if cell.control == "concept" else steering.control(cell.control, self.settings.seed, cell.draw)
            )
            if len(self._edits) >= _KEPT_EDITS:
                self._edits.clear()
            self._edits[place] = edit
        return self._edits[place]

    def concept_vectors(self, concept: int) -> xr.Dataset:
        """Vectors of one concept, always the same object."""
        return self._concept_vectors[concept]

    def _require_doses(self) -> None:
        """Raise unless every concept has a direction and a possible dose at every layer."""
        largest = max(self.settings.axes.strengths, key=abs)
        for concept in range(len(self._concept_vectors)) if largest else ():
            require_doses(self._steering(concept, self.settings.axes.layers, largest), self.model.dtype)

    def _steering(self, concept: int, layers: Sequence[int], strength: float) -> Steering:
        s = self.settings
        return Steering(
            self._concept_vectors[concept],
            schema.layer_names(layers),
            strength,
            unit=s.unit,
            tokens=s.tokens,
            operation=s.operation,
            to=s.to,
        )

    def encoded(self, sample: int) -> Encoded:
        """Model inputs of one sample."""
        return self.model.encode_samples([self.samples.requests[sample]])

    @cached_property
    def path(self) -> DecodingPath:
        """The cheapest exact way for this scope and the first sample; found by running it once per kind of sample.

        Raises ValueError if the scope can never fire on the first sample.
        """
        encoded = self.encoded(0)
        if self.cells:
            Editor(self.model, [self.steering(self.cells[0])], encoded, steps=self.scorer.steps_fed)
        return self._path(encoded)

    @cached_property
    def unsteered_in_chunks(self) -> bool:
        """Whether the unsteered row runs in every chunk: where rows share the prompt, and nothing is recorded."""
        return issubclass(self.path.kind, SharedPrefix) and not self.settings.record

    @property
    def answers_first(self) -> bool:
        """Whether the unsteered answers of all images are read first, to warn of concepts with too few that count.

        Images of a library are chosen for their concepts, and without controls no verdict is to be had.
        """
        alone = len(self.settings.axes.controls) == 1
        few = len(self.samples) < least_images(self.settings)
        return bool(self.cells) and not (alone or few or self.samples.of_library)

    @property
    def packs(self) -> bool:
        """Whether rows of several samples may run in one batch."""
        affine = self.settings.operation.affine is not None
        return self.unsteered_in_chunks and affine and issubclass(self.path.kind, DepthPrefix)

    def _path(self, encoded: Encoded, on_opened: OnOpened = lambda _: None) -> DecodingPath:
        input_edited, touches = schema.INPUT in self.settings.axes.layers, self.scope.touches_prompt
        return path_of(self.model, encoded, prompt_edited=touches, input_edited=input_edited, on_opened=on_opened)

    @cached_property
    def scorer(self) -> Scorer:
        """Computes the metrics."""
        model, settings, samples = self.model, self.settings, self.samples
        table = word_table(model, [readable(model, forms) for forms in samples.words]).to(model.device)
        names = settings.axes.concepts
        reader = AnswerReader(model, samples, names, table.variants)
        reference = None
        if settings.reading("reference"):
            reference = ReferenceScorer(model, samples, names, self.prefix, settings.max_new_tokens)
        touches = self.scope.touches_prompt
        return Scorer(model, settings, table, self.prefix, reader, reference, touches_prompt=touches)

    def open(self, encoded: Encoded) -> Shared:
        """The shared prompt of one sample."""
        opened: list[Shared] = []
        path = self._path(encoded, opened.append)
        if opened and not self.settings.record:
            return opened[0]  # trying the way has prefilled this very prompt
        return path.open(self.model, encoded, self.settings.read_layers if self.settings.record else ())

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Hold the model's lock, without gradients."""
        with self.model.lock.held(), torch.no_grad():
            yield

    def row_bytes(self, encoded: Encoded, unedited_part: SharedPrefixSpan = UNEDITED_NONE) -> int:
        """Memory that one more row of a chunk takes, on the safe side."""
        steps = len(self.prefix) + (self.settings.max_new_tokens if self.settings.feeds_answer else 1)
        return self.path.kind.planned_row_bytes(self.model, encoded, steps, unedited_part)

    def grid(self) -> Grid:
        """The empty grid."""
        settings = self.settings
        return Grid(
            settings.axes,
            self.samples.coordinates,
            settings.metrics,
            steps=settings.max_new_tokens,
            answers=settings.decodes,
            eligible=self.may_count,
            skips=self.samples.of_library,
        )

    @cached_property
    def may_count(self) -> np.ndarray:
        """Images that may count for a concept and dose, by what they show, bool (concept, strength, sample)."""
        lacking, having = self.samples.sides
        return np.where(np.array(self.settings.takes_away)[None, :, None], having[:, None], lacking[:, None])

    @cached_property
    def skipped(self) -> np.ndarray:
        """Runs that no concept needs, bool [cells, samples]: images of a library are run for their own concepts."""
        if not self.samples.of_library:
            return np.zeros((len(self.cells), len(self.samples)), bool)
        places = [tuple(zip(*cell.places, strict=True)) for cell in self.cells]
        wanted = [self.may_count[concepts, strengths].any(0) for _, concepts, _, strengths in places]
        return ~np.array(wanted, bool).reshape(len(self.cells), len(self.samples))

    def coordinates(self) -> Coordinates:
        """Coordinates of concept (its words as JSON) and layer."""
        axes = self.settings.axes
        coords = schema.layer_coordinates(axes.layers, len(self.model.layers))
        coords[schema.CONCEPT] = list(axes.concepts)
        coords[schema.WORDS] = (schema.CONCEPT, [json.dumps(words) for words in self.samples.words])
        if any(metric.every_concept for metric in self.settings.metrics):
            coords[schema.SCORED_CONCEPT] = list(axes.concepts)
        coords[schema.TAKES_AWAY] = (schema.STRENGTH, self.settings.takes_away)
        if self.samples.of_library:
            lacking, having = self.samples.sides
            shown = schema.SHOWS * having.astype(np.int8) + schema.LACKS * lacking.astype(np.int8)
            coords[schema.SHOWN] = ((schema.CONCEPT, schema.SAMPLE), shown)
        if CONCEPTS in axes.controls:
            others = [
                [axes.concepts[o] for o in other_concepts(c, len(axes.concepts))] for c in range(len(axes.concepts))
            ]
            blank = [""] * (axes.draws - len(axes.concepts) + 1)
            coords[schema.OTHER_CONCEPT] = ((schema.CONCEPT, schema.DRAW), [[*names, *blank] for names in others])
        if self.samples.categories:
            categories = [self.samples.categories.get(name, "") for name in axes.concepts]
            coords[schema.CATEGORY] = (schema.CONCEPT, categories)
        return coords

    def attributes(self) -> Attributes:
        """Attributes of the grid."""
        settings = self.settings
        prompts = list(dict.fromkeys(r.prompt for r in self.samples.requests if r.prompt is not None))
        return schema.provenance(
            self.model,
            concepts=self.vectors.attrs.get("concepts"),
            prompt=prompts[0] if len(prompts) == 1 else prompts or None,
            site=schema.SITE,
            antithetic=settings.antithetic,
            **settings.attributes(),
            perplexity_picture=None if self.scorer.reference is None else self.scorer.reference.pictures,
            path=str(self.path),
            refused_paths=[f"{name}: {why}" for name, why in self.path.tried.items()] or None,
        )
