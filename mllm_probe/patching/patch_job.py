"""A prepared patch: checked settings, pairs, words, how rows share a prompt, its grid and first-position scores."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mllm_probe import schema
from mllm_probe.activations.device_array import dtype_name
from mllm_probe.activations.device_memory import free_bytes
from mllm_probe.activations.hooks import resolve_layers
from mllm_probe.decoding.paths import DecodingPath
from mllm_probe.decoding.rows import Rows
from mllm_probe.decoding.shared_prompt import Shared, SharedPrefixSpan
from mllm_probe.metrics.metric import Metric, as_metrics, built_in
from mllm_probe.metrics.words import WordTable, first_token_logit, single_token_logprob, word_table
from mllm_probe.models import Encoded, ProbeModel
from mllm_probe.models.argument_checks import described, finite_number, listed, warn_caller, whole_number
from mllm_probe.models.prompts import answer_ids
from mllm_probe.patching.counterfactuals import (
    ALL_BUT,
    PATCHES,
    Counterfactuals,
    Group,
    Pair,
    asked_groups,
    resolve_groups,
)
from mllm_probe.steering.tensors import path_of
from mllm_probe.sweeps.grid import Variables
from mllm_probe.sweeps.job import readable
from mllm_probe.sweeps.sweep_plan import MOST_RUNS
from mllm_probe.typing import Attributes, Coordinates, JsonObject, Layers, Library

LOGIT_DIFFERENCE = Metric(
    name="logit_difference",
    reads="logits",
    score=first_token_logit,
    label="logit of the concept minus its counterpart's",
    long_name="logit of the concept's first sub-token minus that of what the counterfactual shows in its place",
    unit="logits",
    direction=1,
    needs="words",
)
"""A metric of ``patch`` alone: the counterpart is that of a pair."""


class FirstPosition:
    """Scores rows that stand at the end of the prompt.

    `metrics`: that read ``"words"`` or ``"logits"``. `table`: of the concepts, then of the counterparts; on the model's
    device. `prefix`: beginning of the answer that is fed.

    Nothing is brought to the host, and what is fed is uploaded once per concept.
    """

    def __init__(self, model: ProbeModel, metrics: Sequence[Metric], table: WordTable, prefix: list[int]) -> None:
        self.model, self.metrics, self.table = model, tuple(metrics), table
        self._prefix = self._ids(prefix)
        self._longer: dict[int, list[tuple[tuple[int, ...], Tensor, Tensor]]] = {}

    @property
    def fed(self) -> int:
        """Most tokens that are fed to a row."""
        return len(self._prefix) + max(self.table.longest - 1, 0)

    def __call__(self, rows: Rows, concept: int, counterpart: int | None) -> Tensor:
        """Raw scores [metrics, rows] float32: of metrics that read words, the log-probability that they are given."""
        if len(self._prefix):
            rows.feed(self._prefix.expand(len(rows.logits), -1))
        logprob = self._logprob(rows, concept) if any(m.reads == "words" for m in self.metrics) else None
        return torch.stack([self._score(metric, rows, logprob, concept, counterpart) for metric in self.metrics])

    def _score(
        self, metric: Metric, rows: Rows, logprob: Tensor | None, concept: int, counterpart: int | None
    ) -> Tensor:
        if metric.reads == "words":
            assert logprob is not None
            return logprob
        values = metric.score(rows.logits, self.table)
        if metric is not LOGIT_DIFFERENCE:
            return (values[:, concept] if values.ndim > 1 else values).float()
        if counterpart is None:
            return torch.full_like(values[:, 0], torch.nan)
        return values[:, concept] - values[:, counterpart]

    def _logprob(self, rows: Rows, concept: int) -> Tensor:
        """Log-probability [rows] that the answer begins with a word of the concept."""
        # log Σ over words of P(t₁) · Π P(tᵢ | t₁ … tᵢ₋₁), as in `Scorer._with_longer_words`, for one concept on all
        # rows: all rows are fed the same word, so that nothing is padded.
        total = single_token_logprob(rows.logits, self.table)[:, concept]
        first = torch.log_softmax(rows.logits.float(), -1) if self._words(concept) else None
        for begin, fed, ends in self._words(concept):
            assert first is not None
            scores = torch.log_softmax(rows.fork().feed(fed.expand(len(total), -1)).float(), -1)
            path = first[:, begin[0]]
            for place, token in enumerate(begin[1:]):
                path = path + scores[:, place, token]
            total = torch.logaddexp(total, path + scores[:, -1].index_select(-1, ends).logsumexp(-1))
        return total

    def _words(self, concept: int) -> list[tuple[tuple[int, ...], Tensor, Tensor]]:
        """Words of several sub-tokens: what is fed, as numbers and on the device, and the tokens that are read then."""
        if concept not in self._longer:
            words = self.table.continuations(concept).items()
            self._longer[concept] = [(begin, self._ids(begin), self._ids(ends)) for begin, ends in words]
        return self._longer[concept]

    def _ids(self, tokens: Sequence[int]) -> Tensor:
        return torch.tensor(list(tokens), dtype=torch.long, device=self.model.device)


CONTROLS = tuple(name for name in schema.DONORS if name != "pair")
_READS = ("words", "logits")


@dataclass(frozen=True)
class PatchSettings:
    """The arguments of ``patch`` that are no images, in their final form.

    `layers`: Coordinates.
    `groups`: as asked for.
    `donors`: ``"pair"``, then the controls.
    `prefix`: its token ids.
    """

    layers: tuple[int, ...]
    groups: tuple[str, ...]
    directions: tuple[str, ...]
    metrics: tuple[Metric, ...]
    donors: tuple[str, ...]
    window: int
    minimum_gap: float
    seed: int
    answer_prefix: str | list[int]
    prefix: tuple[int, ...]

    @property
    def pixels(self) -> bool:
        """Whether changed patches are needed."""
        return any(name in ("changed", "unchanged") for name in self.groups)

    def window_at(self, layer: int, total: int) -> list[int]:
        """Layers that are patched together."""
        return list(range(layer, min(layer + self.window, total)))


def checked_settings(
    model: ProbeModel,
    *,
    layers: Layers,
    groups: Sequence[str] | str,
    direction: Sequence[str] | str,
    metrics: Sequence[str | Metric] | str | Metric,
    controls: Sequence[str] | str,
    window: int,
    minimum_gap: float,
    seed: int,
    answer_prefix: str | Sequence[int] | None,
) -> PatchSettings:
    """The settings that arguments of ``patch`` mean, or a ValueError for the first one that is impossible."""
    every = isinstance(layers, str) and layers == "all"
    prefix = model.default_answer_prefix if answer_prefix is None else answer_prefix
    ids = answer_ids(model, prefix)
    gap = finite_number("minimum_gap", minimum_gap)
    if gap < 0:
        raise ValueError(f"minimum_gap: expected 0 or more; got {described(minimum_gap)}.")
    return PatchSettings(
        layers=tuple([schema.INPUT, *model.layers] if every else resolve_layers(layers, len(model.layers))),
        groups=asked_groups(groups),
        directions=_names("direction", direction, schema.DIRECTIONS),
        metrics=_metrics(metrics),
        donors=("pair", *_names("controls", controls, CONTROLS, empty=True)),
        window=whole_number("window", window, 1),
        minimum_gap=gap,
        seed=whole_number("seed", seed),
        answer_prefix=prefix if isinstance(prefix, str) else ids,
        prefix=tuple(ids),
    )


def _metrics(metrics: Any) -> tuple[Metric, ...]:
    given = [metrics] if isinstance(metrics, (str, Metric)) else listed(metrics)
    if not given:
        raise ValueError(f"metrics: expected one or more names or mp.Metric objects; got {described(metrics)}.")
    chosen = as_metrics(LOGIT_DIFFERENCE if metric == LOGIT_DIFFERENCE.name else metric for metric in given)
    wrong = [metric for metric in chosen if metric.reads not in _READS or metric.every_concept]
    if wrong:
        raise ValueError(
            f"metrics: '{wrong[0].name}' reads more than the answer's first position, which is all that patch computes:"
            " use 'logprob', 'logit', 'logit_difference', or an mp.Metric that reads 'words' or 'logits'."
        )
    return chosen


def _names(argument: str, given: Any, known: Sequence[str], *, empty: bool = False) -> tuple[str, ...]:
    names = [given] if isinstance(given, str) else listed(given)
    wrong = [name for name in names or [] if name not in known]
    if names is None or wrong or (not names and not empty):
        got = described(wrong[0] if wrong else given)
        raise ValueError(f"{argument}: expected one or more of {', '.join(known)}; got {got}.")
    return tuple(dict.fromkeys(names))


CELL = (schema.CONCEPT, schema.LAYER, schema.GROUP, schema.DIRECTION, schema.CONTROL, schema.SAMPLE)
SOURCE = (schema.CONCEPT, schema.DIRECTION, schema.SAMPLE)
SIZE = (schema.CONCEPT, schema.GROUP, schema.SAMPLE)
GROUP_SIZE = "group_size"


class PatchGrid:
    """Arrays that fill while a patch runs.

    `coordinates`: of the dataset.
    `sizes`: lengths of the dimensions of ``CELL``.
    `pairs`: how many pairs each concept has; the others' samples stay NaN.
    `done`: bool array CELL.
    """

    def __init__(
        self,
        metrics: Sequence[Metric],
        coordinates: Coordinates,
        sizes: Mapping[str, int],
        pairs: Sequence[int],
        group_size: np.ndarray,
    ) -> None:
        self.metrics, self.coordinates, self.pairs = tuple(metrics), coordinates, list(pairs)
        shape = tuple(sizes[dim] for dim in CELL)
        self.patched, self.base = ({m.name: np.full(shape, np.nan, np.float32) for m in metrics} for _ in range(2))
        of_source = tuple(sizes[dim] for dim in SOURCE)
        self.source = {m.name: np.full(of_source, np.nan, np.float32) for m in metrics}
        self.edited, self.group_size = np.zeros(shape, np.int32), group_size
        self.done: np.ndarray = np.zeros(shape, dtype=bool)

    def put(self, place: tuple[np.ndarray, ...], patched: np.ndarray, base: np.ndarray, edited: np.ndarray) -> None:
        """Write scores [metrics, cells] of cells, an index into ``CELL``, with the score of their base run."""
        for number, metric in enumerate(self.metrics):
            self.patched[metric.name][place] = patched[number]
            self.base[metric.name][place] = base[number]
        self.edited[place] = edited
        self.done[place] = True

    def put_source(self, place: tuple[int, int, int], scores: np.ndarray) -> None:
        """Write scores [metrics] of the run that activations are taken from, an index into ``SOURCE``."""
        for number, metric in enumerate(self.metrics):
            self.source[metric.name][place] = scores[number]

    @property
    def progress(self) -> float:
        """Share of the cells that are done, 0 … 1."""
        shape = self.done.shape
        cells = int(np.prod(shape[1:-1])) * sum(self.pairs)
        return float(self.done.sum() / cells)

    def variables(self) -> Variables:
        """Dimensions, array (not a copy) and attributes of every variable."""
        variables: Variables = {}
        for metric in self.metrics:
            attributes = metric.attributes
            name, text = metric.name, attributes["long_name"]
            variables[name] = (CELL, self.patched[name], attributes)
            base = "the same row of the batch without the patch"
            variables[f"{name}_base"] = (
                CELL,
                self.base[name],
                {"long_name": f"{text}, {base}", "units": attributes["units"]},
            )
            source = "run on the counterfactual"
            variables[f"{name}_source"] = (
                SOURCE, self.source[name], {"long_name": f"{text}, {source}", "units": attributes["units"]},
            )  # fmt: skip
        variables["edited"] = (CELL, self.edited, {"long_name": "patched positions, over the layers of the window"})
        variables[GROUP_SIZE] = (SIZE, self.group_size, {"long_name": "positions of the token group"})
        return variables

    def dataset(self, attrs: Attributes) -> xr.Dataset:
        """A copy of the grid, which later writes do not change."""
        variables = {
            name: (dims, values.copy(), attributes) for name, (dims, values, attributes) in self.variables().items()
        }
        return xr.Dataset(variables, self.coordinates, {**attrs, "progress": self.progress})


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
        self.counterfactuals = Counterfactuals(model, library, prompt)
        self.groups: list[Group] = resolve_groups(model, self.counterfactuals.first, settings.groups)
        self._require_size()
        self.counterfactuals.read(pixels=settings.pixels, controls=controls, seed=settings.seed)
        self.concepts = list(self.counterfactuals.pairs)
        self.pairs: list[list[Pair]] = list(self.counterfactuals.pairs.values())
        self._require_grid()
        self.named = [*self.concepts, *(n for n in self.counterfactuals.counterparts if n not in self.concepts)]
        self._require_words()

    def columns(self, pair: Pair, group: Group) -> np.ndarray:
        """Positions of a group in the prompts of a pair, int [positions]."""
        return np.flatnonzero(group.columns(pair.positive.layout, pair.changed))

    def _require_size(self) -> None:
        """Raise unless a grid of this size can be planned and held."""
        settings, library = self.settings, self.counterfactuals.library
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
        grids = {pair.positive.layout.grid for pairs in self.pairs for pair in pairs}
        if asked and len(grids) > 1:
            shapes = ", ".join(f"{rows}×{columns}" for rows, columns in sorted(grids))
            raise ValueError(
                f"groups: '{asked[0]}' needs images with one grid of patches; the pairs have {shapes}. Give all images "
                "one size, or use the groups 'changed' and 'image'."
            )

    def _require_words(self) -> None:
        """Raise if no concept can be scored; warn of those that cannot."""
        lacking = [n for n, variants in zip(self.concepts, self.scorer.table.variants, strict=False) if not variants]
        needing = [metric.name for metric in self.settings.metrics if metric.needs == "words"]
        text = (
            f"concepts without a word that {self.model.name} knows: {', '.join(map(repr, lacking[:8]))}. Give words as "
            "text, or as token ids for a model without a tokenizer."
        )
        if needing and len(lacking) == len(self.concepts):
            raise ValueError(f"{needing[0]} cannot be computed: {text}")
        if needing and lacking:
            warn_caller(f"{text} For them {', '.join(needing)} are NaN.")
        if LOGIT_DIFFERENCE in self.settings.metrics and not self.counterfactuals.counterparts:
            raise ValueError(
                f"{LOGIT_DIFFERENCE.name} needs to know what the negative shows in the concept's place, from the "
                "labels of both images: use a library such as mp.concepts.scenes(negative='replace'), or 'logprob'."
            )

    @cached_property
    def scorer(self) -> FirstPosition:
        """Scores the answer's first position."""
        words = [readable(self.model, self.counterfactuals.words(name)) for name in self.named]
        table = word_table(self.model, words).to(self.model.device)
        return FirstPosition(self.model, self.settings.metrics, table, list(self.settings.prefix))

    def counterpart(self, pair: Pair) -> int | None:
        """Place of a pair's counterpart among the words, None without a known one that has words."""
        place = self.named.index(pair.counterpart) if pair.counterpart else None
        return place if place is not None and self.scorer.table.variants[place] else None

    def path(self, encoded: Encoded) -> DecodingPath:
        """The cheapest exact way for rows that edit this prompt; found by running it once per kind of prompt."""
        return path_of(self.model, encoded, prompt_edited=True, input_edited=schema.INPUT in self.settings.layers)

    def open(self, encoded: Encoded) -> Shared:
        """The shared prompt of one image."""
        return self.path(encoded).open(self.model, encoded, self.settings.layers)

    def row_bytes(self, encoded: Encoded) -> int:
        """Memory that one more row of a batch takes, on the safe side."""
        first = SharedPrefixSpan(layer=min(self.settings.layers))
        return self.path(encoded).kind.planned_row_bytes(self.model, encoded, max(self.scorer.fed, 1), first)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Hold the model's lock, without gradients."""
        with self.model.lock.held(), torch.no_grad():
            yield

    def grid(self) -> PatchGrid:
        """The empty grid."""
        settings, samples = self.settings, self.counterfactuals.most
        lengths = (
            len(self.concepts), len(settings.layers), len(self.groups), len(settings.directions), len(settings.donors),
            samples,
        )  # fmt: skip
        group_size = np.zeros((len(self.concepts), len(self.groups), samples), np.int32)
        for concept, pairs in enumerate(self.pairs):
            for pair in pairs:
                counts = [len(self.columns(pair, group)) for group in self.groups]
                group_size[concept, :, pair.number] = counts
        sizes = dict(zip(CELL, lengths, strict=True))
        return PatchGrid(settings.metrics, self.coordinates(), sizes, [len(pairs) for pairs in self.pairs], group_size)

    def coordinates(self) -> Coordinates:
        """Coordinates of the dataset."""
        settings, library = self.settings, self.counterfactuals.library
        words = [json.dumps(self.counterfactuals.words(name)) for name in self.concepts]
        coords: Coordinates = schema.layer_coordinates(settings.layers, len(self.model.layers))
        coords |= {
            schema.CONCEPT: self.concepts,
            schema.CATEGORY: (schema.CONCEPT, [str(library[name].category) for name in self.concepts]),
            schema.WORDS: (schema.CONCEPT, words),
            schema.GROUP: [group.name for group in self.groups],
            schema.DIRECTION: list(settings.directions),
            schema.CONTROL: list(settings.donors),
            schema.SAMPLE: np.arange(self.counterfactuals.most),
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
        table = [[missing] * self.counterfactuals.most for _ in self.pairs]
        for concept, pairs in enumerate(self.pairs):
            for pair in pairs:
                table[concept][pair.number] = value(pair)
        return (schema.CONCEPT, schema.SAMPLE), np.array(table)

    def attributes(self, path: DecodingPath) -> Attributes:
        """Attributes of the dataset."""
        settings = self.settings
        return schema.provenance(
            self.model,
            concepts=getattr(self.counterfactuals.library, "fingerprint", None),
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
            "library": {name: [_images(pair) for pair in pairs] for name, pairs in self.counterfactuals.pairs.items()},
            "words": {
                name: [list(spelled) for spelled in self.scorer.table.variants[i]] for i, name in enumerate(self.named)
            },
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
