"""A prepared patch: settings, pairs, token groups, words, and how rows share a prompt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import torch

from mllm_probe import schema
from mllm_probe.activations.device_array import dtype_name
from mllm_probe.activations.free_memory import free_bytes
from mllm_probe.decoding.paths import Path
from mllm_probe.decoding.shared import Shared, UneditedPart
from mllm_probe.metrics.metric import Metric
from mllm_probe.metrics.registry import built_in
from mllm_probe.metrics.words import word_table
from mllm_probe.models import Encoded, ProbeModel
from mllm_probe.models.caller_warnings import warn_caller
from mllm_probe.patching.counterfactuals import Counterfactuals, Pair
from mllm_probe.patching.first_position import LOGIT_DIFFERENCE, FirstPosition
from mllm_probe.patching.patch_grid import CELL, PatchGrid
from mllm_probe.patching.patch_settings import PatchSettings
from mllm_probe.patching.token_groups import ALL_BUT, PATCHES, Group, resolve_groups
from mllm_probe.steering.trials import path_of
from mllm_probe.sweeps.requirements import readable
from mllm_probe.sweeps.sweep_plan import MOST_RUNS
from mllm_probe.typing import Attributes, Coordinates, JsonObject, Library

_CELL_BYTES = 13
"""Bytes of a cell without its scores: ``done``, ``edited``, and their share of a copy."""
_GRID_SHARE = 0.9
OPERATION = "interchange"


class PatchJob:
    """Everything that a patch is, before it runs.

    `pairs`: by concept.
    """

    def __init__(self, model: ProbeModel, library: Library, prompt: str | None, settings: PatchSettings) -> None:
        model.lock.require_unedited()
        self.model, self.settings, self.prompt = model, settings, prompt
        controls = [name for name in settings.donors if name not in ("pair", "identity")]
        self.found = Counterfactuals(model, library, prompt)
        self.groups: list[Group] = resolve_groups(model, self.found.first, settings.groups)
        self._require_size()
        self.found.read(pixels=settings.pixels, controls=controls, seed=settings.seed)
        self.concepts = list(self.found.pairs)
        self.pairs: list[list[Pair]] = list(self.found.pairs.values())
        self._require_grid()
        self.named = [*self.concepts, *(n for n in self.found.counterparts if n not in self.concepts)]
        self._require_words()

    def columns(self, pair: Pair, group: Group) -> np.ndarray:
        """Positions of a group in the prompts of a pair, int [positions]."""
        return np.flatnonzero(group.columns(pair.positive.layout, pair.changed))

    def _require_size(self) -> None:
        """Raise unless a grid of this size can be planned and held."""
        settings, library = self.settings, self.found.library
        samples = max(len(concept.positive) for concept in library.values())
        per_image = len(settings.layers) * len(self.groups) * len(settings.donors)
        cells = per_image * len(settings.directions) * len(library) * samples
        size = (
            f"{len(library)} concepts × {samples} pairs × {len(settings.layers)} layers × {len(self.groups)} groups × "
            f"{len(settings.directions)} directions × {len(settings.donors)} donors"
        )
        if per_image > MOST_RUNS:
            raise ValueError(f"{size} are {per_image:,} runs on each image; a patch takes at most {MOST_RUNS:,}.")
        needed, free = cells * (_CELL_BYTES + 16 * len(settings.metrics)), free_bytes(torch.device("cpu"))
        if needed > _GRID_SHARE * free:
            raise MemoryError(
                f"{size} take {needed / 1e9:.3g} GB, and {free / 1e9:.3g} GB are free: ask for fewer groups or layers, "
                "or share the concepts out among several calls with a store= each."
            )

    def _require_grid(self) -> None:
        """Raise if single patches are asked for and the pairs have not one grid."""
        asked = [name for name in (PATCHES, ALL_BUT) if name in self.settings.groups]
        grids = {pair.positive.layout.grid for own in self.pairs for pair in own}
        if asked and len(grids) > 1:
            there = ", ".join(f"{rows}×{columns}" for rows, columns in sorted(grids))
            raise ValueError(
                f"groups: '{asked[0]}' needs images with one grid of patches; the pairs have {there}. Give all images "
                "one size, or use the groups 'changed' and 'image'."
            )

    def _require_words(self) -> None:
        """Raise if no concept can be scored; warn of those that cannot."""
        lacking = [n for n, own in zip(self.concepts, self.scorer.table.variants, strict=False) if not own]
        needing = [metric.name for metric in self.settings.metrics if metric.needs == "words"]
        text = (
            f"concepts without a word that {self.model.name} knows: {', '.join(map(repr, lacking[:8]))}. Give words as "
            "text, or as token ids for a model without a tokenizer."
        )
        if needing and len(lacking) == len(self.concepts):
            raise ValueError(f"{needing[0]} cannot be computed: {text}")
        if needing and lacking:
            warn_caller(f"{text} For them {', '.join(needing)} are NaN.")
        if LOGIT_DIFFERENCE in self.settings.metrics and not self.found.counterparts:
            raise ValueError(
                f"{LOGIT_DIFFERENCE.name} needs to know what the negative shows in the concept's place, from the "
                "labels of both images: use a library such as mp.concepts.scenes(negative='replace'), or 'logprob'."
            )

    @cached_property
    def scorer(self) -> FirstPosition:
        """Scores the answer's first position."""
        words = [readable(self.model, self.found.words(name)) for name in self.named]
        table = word_table(self.model, words).to(self.model.device)
        return FirstPosition(self.model, self.settings.metrics, table, list(self.settings.prefix))

    def counterpart(self, pair: Pair) -> int | None:
        """Place of a pair's counterpart among the words, None without a known one that has words."""
        place = self.named.index(pair.counterpart) if pair.counterpart else None
        return place if place is not None and self.scorer.table.variants[place] else None

    def path(self, encoded: Encoded) -> Path:
        """The cheapest exact way for rows that edit this prompt; found by running it once per kind of prompt."""
        return path_of(self.model, encoded, prompt_edited=True, input_edited=schema.INPUT in self.settings.layers)

    def open(self, encoded: Encoded) -> Shared:
        """The shared prompt of one image."""
        return self.path(encoded).open(self.model, encoded, self.settings.layers)

    def row_bytes(self, encoded: Encoded) -> int:
        """Memory that one more row of a batch takes, on the safe side."""
        first = UneditedPart(layer=min(self.settings.layers))
        return self.path(encoded).kind.planned_row_bytes(self.model, encoded, max(self.scorer.fed, 1), first)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Hold the model's lock, without gradients."""
        with self.model.lock.held(), torch.no_grad():
            yield

    def grid(self) -> PatchGrid:
        """The empty grid."""
        settings, samples = self.settings, self.found.most
        lengths = (
            len(self.concepts), len(settings.layers), len(self.groups), len(settings.directions), len(settings.donors),
            samples,
        )  # fmt: skip
        group_size = np.zeros((len(self.concepts), len(self.groups), samples), np.int32)
        for concept, own in enumerate(self.pairs):
            for pair in own:
                counts = [len(self.columns(pair, group)) for group in self.groups]
                group_size[concept, :, pair.number] = counts
        sizes = dict(zip(CELL, lengths, strict=True))
        return PatchGrid(settings.metrics, self.coordinates(), sizes, [len(own) for own in self.pairs], group_size)

    def coordinates(self) -> Coordinates:
        """Coordinates of the dataset."""
        settings, library = self.settings, self.found.library
        words = [json.dumps(self.found.words(name)) for name in self.concepts]
        coords: Coordinates = schema.layer_coordinates(settings.layers, len(self.model.layers))
        coords |= {
            schema.CONCEPT: self.concepts,
            schema.CATEGORY: (schema.CONCEPT, [str(library[name].category) for name in self.concepts]),
            schema.WORDS: (schema.CONCEPT, words),
            schema.GROUP: [group.name for group in self.groups],
            schema.DIRECTION: list(settings.directions),
            schema.CONTROL: list(settings.donors),
            schema.SAMPLE: np.arange(self.found.most),
            schema.PAIR: self._of_pairs(lambda pair: pair.label, -1),
            schema.POSITIVE: self._of_pairs(lambda pair: pair.positive.id, ""),
            schema.NEGATIVE: self._of_pairs(lambda pair: pair.negative.id, ""),
            schema.COUNTERPART: self._of_pairs(lambda pair: pair.counterpart, ""),
            schema.SHARED_LABELS: self._of_pairs(lambda pair: pair.shared, -1),
        }
        if any(group.patch for group in self.groups):
            places = [group.patch or (-1, -1) for group in self.groups]
            coords[schema.PATCH_ROW] = (schema.GROUP, [row for row, _ in places])
            coords[schema.PATCH_COLUMN] = (schema.GROUP, [column for _, column in places])
        return coords

    def _of_pairs(self, value: Any, missing: Any) -> tuple[tuple[str, str], np.ndarray]:
        table = [[missing] * self.found.most for _ in self.pairs]
        for concept, own in enumerate(self.pairs):
            for pair in own:
                table[concept][pair.number] = value(pair)
        return (schema.CONCEPT, schema.SAMPLE), np.array(table)

    def attributes(self, path: Path) -> Attributes:
        """Attributes of the dataset."""
        settings = self.settings
        return schema.provenance(
            self.model,
            concepts=getattr(self.found.library, "fingerprint", None),
            prompt=self.model.default_prompt if self.prompt is None else self.prompt,
            answer_prefix=settings.answer_prefix,
            operation=OPERATION,
            site=schema.SITE,
            window=settings.window,
            minimum_gap=settings.minimum_gap,
            seed=settings.seed,
            controls=[name for name in settings.donors if name != "pair"],
            metrics=[metric.name for metric in settings.metrics],
            path=str(path),
            refused_paths=[f"{name}: {why}" for name, why in path.tried.items()] or None,
        )

    def identity(self) -> JsonObject:
        """All that decides the numbers, as plain values, by the names of ``patch``'s parameters."""
        settings = self.settings
        fields: dict[str, Any] = {
            "operation": OPERATION,
            "model": self.model.name,
            "weights": self.model.fingerprint,
            "dtype": dtype_name(self.model.dtype),
            "library": {name: [_images(pair) for pair in own] for name, own in self.found.pairs.items()},
            "words": {name: [list(own) for own in self.scorer.table.variants[i]] for i, name in enumerate(self.named)},
            "prompt": self.model.default_prompt if self.prompt is None else self.prompt,
            "layers": list(settings.layers),
            "groups": [group.name for group in self.groups],
            "direction": list(settings.directions),
            "metrics": [_named(metric) for metric in settings.metrics],
            "controls": list(settings.donors),
            "window": settings.window,
            "answer_prefix": list(settings.prefix),
        }
        return json.loads(json.dumps(fields))


def _images(pair: Pair) -> list[str]:
    return [pair.positive.id, pair.negative.id, *(side.id for side in pair.donors.values())]


def _named(metric: Metric) -> str:
    known = metric is LOGIT_DIFFERENCE or built_in().get(metric.name) is metric
    return metric.name if known else metric.identity
