"""The settings of a sweep, checked before anything runs, the runs that are the same, and a store's identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import Field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mllm_probe import schema
from mllm_probe.activations.device_array import content_hash, dtype_name, parts_of, stacked_on_host
from mllm_probe.activations.hooks import resolve_blocks, resolve_layers
from mllm_probe.metrics.metric import Metric, as_metrics, built_in
from mllm_probe.models.argument_checks import described, finite_number, listed, whole_number
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.models.prompts import answer_ids
from mllm_probe.steering.operations import (
    CONCEPT,
    CONTROLS,
    DEFAULT_CONTROLS,
    OPERATIONS,
    Operation,
    as_operation,
    is_antithetic,
    is_seeded,
    is_shared,
)
from mllm_probe.sweeps.cells import CONCEPTS, Axes
from mllm_probe.sweeps.sweep_arguments import AUTO, Arguments
from mllm_probe.tokens.selection import Scope, parse_scope
from mllm_probe.typing import JsonObject

if TYPE_CHECKING:
    from mllm_probe.sweeps.job import SweepJob


ANSWERS = "tokens"
"""Asked for among the metrics: the answers alone."""
OWN_PROJECTION = "own_projection"
"""Recorded beside ``projection``: along the direction of a row's own edit, which for a control is not the concept's."""

FEWEST_DRAWS = 4
"""Draws of a control in pairs: fewer pairs than two have no spread."""
AUTO_DRAWS = (8, 32)
"""Fewest and most draws of ``"auto"``: fewer than 8 give no verdict, and more than 32 add little to that of a cell."""


class Settings(Arguments):
    """The arguments of ``sweep`` that are not images, in their final form for a model and vectors.

    `vectors`: with dimension ``concept``.
    `axes`: of the grid: layers, strengths, and controls with their draws.
    `answers`: whether answers are asked for by themselves.
    `prefix`: token ids of the answer's beginning.

    Raises ValueError for anything unknown or impossible, with what was expected.
    """

    operation: Operation
    draws: int
    to: xr.Dataset | None
    metrics: tuple[Metric, ...]
    record: tuple[str, ...]
    read_layers: tuple[int, ...]
    given: Arguments
    axes: Axes
    prefix: list[int]

    def __init__(self, given: Arguments, model: ProbeModel, vectors: xr.Dataset) -> None:
        _require_vectors(vectors, model)
        self.given, self.model, self.vectors, self.answers = given, model, vectors, False
        final = vars(self)  # a dataclass that is frozen sets no attribute that is a field
        for field in fields(given):
            checked = field.metadata["checked"]
            final[field.name] = getattr(given, field.name) if checked is None else checked(self)
        concepts = tuple(str(name) for name in vectors[schema.CONCEPT].values)
        draws = {CONCEPT: 1} | {name: self.draws_of(name, self.draws) for name in final["controls"]}
        self.axes = Axes(concepts, final["layers"], final["strengths"], draws)
        self._require_sense()

    def stored(self) -> JsonObject:
        """Values that a store keeps to make `Arguments` again: plain values, those of axes first."""
        ordered = sorted(fields(self.given), key=lambda field: not field.metadata["axis"])
        return {field.name: self._plain(field, "stored") for field in ordered}

    def identity(self) -> JsonObject:
        """Values that a store must match: plain values by the names of the arguments."""
        return {field.name: self._plain(field, "identity") for field in fields(self.given) if field.metadata["decides"]}

    def attributes(self) -> JsonObject:
        """Attributes of the grid."""
        named = [field for field in fields(self.given) if field.metadata["attribute"]]
        return {field.metadata["attribute"]: self._plain(field, "shown") for field in named}

    def _plain(self, field: Field[Any], use: str) -> Any:
        value = field.metadata[use] or field.metadata["stored"]
        return np.asarray(getattr(self, field.name)).tolist() if value is None else value(self)

    @cached_property
    def scope(self) -> Scope:
        """The tokens that are edited."""
        return parse_scope(self.tokens)

    @cached_property
    def read_scope(self) -> Scope:
        """The tokens at which is recorded."""
        return parse_scope(self.read_tokens)

    def name_of_to(self, *, with_hash: bool = False) -> str | None:
        """The concept that takes the place, with a hash of its vectors where that is asked for."""
        name = None if self.to is None else str(self.to[schema.CONCEPT].item())
        return f"{name} ({content_hash(self.to)})" if with_hash and self.to is not None else name

    @property
    def metric_identities(self) -> list[str]:
        """Names of the built-in metrics, and what tells others apart."""
        identities = [
            metric.name if built_in().get(metric.name) is metric else metric.identity for metric in self.metrics
        ]
        return identities + [ANSWERS] * self.answers

    @property
    def most_draws(self) -> int:
        """The argument ``draws`` that gives the draws of every control."""
        counts = (n for name, n in self.axes.controls.items() if name not in (CONCEPT, CONCEPTS))
        return max(counts, default=AUTO_DRAWS[0])

    def draws_of(self, control: str, draws: int) -> int:
        """Number of draws of a control that are run where ``draws`` are asked for."""
        if control == CONCEPTS:
            return self.vectors.sizes[schema.CONCEPT] - 1
        available = CONTROLS[control].available(self.vectors)
        return draws if available is None else min(draws, available)

    def whole_number(self, name: str, at_least: int = 0) -> int:
        """An argument that is a whole number."""
        return whole_number(name, getattr(self.given, name), at_least)

    def number_of_draws(self) -> int:
        """Draws of each control; of ``"auto"``, together no more rows than the concepts' own where all share them."""
        if self.given.draws != AUTO:
            return self.whole_number("draws", 1)
        fewest, most = AUTO_DRAWS
        shared = sum(is_shared(name) and is_seeded(name) for name in self.controls or ())
        if not shared or not self.shares_draws:
            return fewest
        draws = self.vectors.sizes[schema.CONCEPT] // shared
        return min(max(draws - draws % 2, fewest), most)

    def known_names(
        self, given: Any, known: Sequence[str], what: str, offered: Sequence[str] | None = None
    ) -> tuple[str, ...]:
        """An argument that is one or more names, each once; `offered`: names in the error, all if None."""
        if not isinstance(given, Iterable):
            raise ValueError(f"{what}s: expected names out of {', '.join(offered or known)}; got {described(given)}.")
        names = tuple(dict.fromkeys([given] if isinstance(given, str) else given))
        if unknown := [name for name in names if name not in known]:
            raise ValueError(schema.unknown_name(what, unknown[0], offered or known))
        return names

    def known_layers(self) -> tuple[int, ...]:
        """Layers to edit, of those that the vectors have."""
        asked = self.given.layers
        layers = resolve_layers(asked, len(self.model.layers))
        in_vectors = {int(layer) for layer in self.vectors[schema.LAYER].values}
        if isinstance(asked, str) and asked == "all":
            if in_vectors == {schema.INPUT}:
                raise ValueError("the vectors have no block, only the input of block 0: give layers='input'.")
            return tuple(layer for layer in layers if layer in in_vectors)
        if missing := [layer for layer in layers if layer not in in_vectors]:
            known = schema.layer_names(sorted(in_vectors))
            raise ValueError(f"the vectors have no layer {schema.layer_name(missing[0])}; they have {known}.")
        return tuple(layers)

    def blocks_read(self) -> tuple[int, ...]:
        """Blocks at which is recorded."""
        return tuple(resolve_blocks(self.given.read_layers, len(self.model.layers), "what is recorded are outputs"))

    def doses(self) -> tuple[float, ...]:
        """Strengths, each once."""
        asked: Any = self.given.strengths
        several = listed(asked)
        try:
            numbers = tuple(finite_number("strengths", s) for s in ([asked] if several is None else several))
        except ValueError as error:
            finite = "one or more finite numbers" if "finite" in str(error) else "numbers"
            got = described(asked if several is None else several)
            raise ValueError(f"strengths: expected {finite} such as (-1, 0, 1); got {got}.") from error
        if not numbers:
            raise ValueError("strengths: expected one or more finite numbers such as (-1, 0, 1); got none.")
        return tuple(dict.fromkeys(numbers))

    def known_operation(self) -> Operation:
        """The operation."""
        return as_operation(self.given.operation)

    def other_concept(self) -> xr.Dataset | None:
        """Vectors of the concept that takes the place."""
        asked, names = self.given.to, self.vectors[schema.CONCEPT].values
        if not isinstance(asked, str):
            return asked
        if asked not in names:
            raise ValueError(f"to: the vectors have no concept '{asked}'; they have {', '.join(map(str, names[:8]))}.")
        return self.vectors.sel({schema.CONCEPT: asked})

    def known_metrics(self) -> tuple[Metric, ...]:
        """Metrics, with those that they bring; notes whether answers are asked for by themselves."""
        asked: Any = self.given.metrics
        if not isinstance(asked, (str, Metric, Iterable)):
            raise ValueError(f"metrics: expected names or mp.Metric objects; got {described(asked)}.")
        several = [asked] if isinstance(asked, (str, Metric)) else list(asked)
        self.answers = ANSWERS in several
        return as_metrics(metric for metric in several if metric != ANSWERS)

    def available_controls(self) -> tuple[str, ...]:
        """Controls of which the vectors give draws."""
        draws = {name: self.draws_of(name, 1) for name in (*CONTROLS, CONCEPTS)}
        if self.given.controls is None:
            return tuple(name for name in DEFAULT_CONTROLS if draws[name])
        wanted = self.known_names(self.given.controls, (CONCEPT, *draws), "control", tuple(draws))
        for name in wanted:
            if name != CONCEPT and not draws[name]:
                lacking = (
                    f"these vectors have no {name} draws. Make them with {CONTROLS[name].how_to_get}"
                    if name in CONTROLS
                    else "the vectors hold one concept. Give those of several"
                )
                raise ValueError(f"controls: '{name}' was asked for, but {lacking}, or leave '{name}' out.")
        return tuple(name for name in wanted if name != CONCEPT)

    def text_or_ids(self) -> str | list[int]:
        """Beginning of the answer, as text or token ids; notes the ids of both."""
        asked = self.model.default_answer_prefix if self.given.answer_prefix is None else self.given.answer_prefix
        self.prefix = answer_ids(self.model, asked)
        return asked if isinstance(asked, str) else self.prefix

    def _require_sense(self) -> None:
        """Raise unless there is something to compute, and settings fit one another."""
        if not self.metrics and not self.answers and not self.record:
            raise ValueError(f"metrics: expected at least one of {', '.join(built_in())}, or something to record.")
        if self.antithetic and (self.draws % 2 or self.draws < FEWEST_DRAWS):
            raise ValueError(
                f"draws: control '{self.antithetic[0]}' is drawn in pairs of opposite directions, at least two of "
                f"them; expected an even number from {FEWEST_DRAWS} on, got {self.draws}."
            )
        same_size = [
            f"controls: '{CONCEPTS}' compares with the other concepts' rows, whose changes are as large as a concept's "
            "own in unit 'residual' and operation 'add' only"
        ] * (CONCEPTS in self.axes.controls) + [
            f"metrics: '{metric.name}' compares with random directions that are scored against every concept, which "
            "are those of unit 'residual' and operation 'add'"
            for metric in self.metrics
            if metric.every_concept
        ]
        if same_size and not self.shares_draws:
            raise ValueError(f"{same_size[0]}; got unit '{self.unit}' and operation '{self.operation.name}'.")

    @property
    def decodes(self) -> bool:
        """Whether answers are generated."""
        return self.answers or any(metric.reading.decodes for metric in self.metrics)

    @property
    def feeds_answer(self) -> bool:
        """Whether steered rows are fed more than the answer's beginning: their own answer, or the unsteered one."""
        return self.decodes or any(metric.reading.unsteered for metric in self.metrics)

    def reading(self, what: str) -> list[Metric]:
        """Metrics that read one thing, see :data:`mllm_probe.metrics.metric.READS`."""
        return [metric for metric in self.metrics if metric.reads == what]

    @property
    def names(self) -> list[str]:
        """Names of the metrics, and ``"tokens"`` where answers are asked for."""
        return [metric.name for metric in self.metrics] + [ANSWERS] * self.answers

    @property
    def shares_draws(self) -> bool:
        """Whether the size of a change does not depend on the concept, so that shared draws serve all concepts."""
        return self.unit == "residual" and self.operation.fixed_size

    @property
    def shared_controls(self) -> tuple[str, ...]:
        """Controls whose draws are the same edit for every concept, so that they are run once."""
        return tuple(name for name in self.axes.controls if self.shares_draws and is_shared(name))

    @property
    def recorded(self) -> tuple[str, ...]:
        """Names of the recorded variables."""
        both = {"projection": ("projection", OWN_PROJECTION)}
        return tuple(variable for name in self.record for variable in both.get(name, (name,)))

    @property
    def takes_away(self) -> list[bool]:
        """For each strength, whether it is meant to take the concept out of the answer."""
        return [self.operation.takes_away(strength) for strength in self.axes.strengths]

    @property
    def antithetic(self) -> list[str]:
        """Controls whose draws are pairs of opposite directions."""
        return [name for name in self.axes.controls if is_antithetic(name)]


def _require_vectors(vectors: xr.Dataset, model: ProbeModel) -> None:
    schema.require(vectors, "vector", dims=(schema.CONCEPT, schema.LAYER, schema.HIDDEN), what="the vectors")
    schema.require_same_model(vectors, model)
    schema.require_width(vectors, model)
    names = [str(name) for name in vectors[schema.CONCEPT].values]
    if not names:
        raise ValueError("the vectors hold no concept: select one or more, such as vectors.sel(concept=['cat']).")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"the vectors hold '{twice[0]}' twice: concepts of a sweep need different names.")


_OF_CONCEPT = ("vector", "raw_norm", "negative_projection")


def find_duplicates(vectors: xr.Dataset, axes: Axes) -> dict[tuple[str, int, int], tuple[int, int]]:
    """Runs whose edit equals that of an earlier run.

    `vectors`: with dimension ``concept``. Returns: (control, concept, draw) → (concept, draw) of the first with the
    same content, only where it is another one. Concepts are compared by their vectors at every layer and scope,
    shuffled draws of one concept by theirs: few pairs can be swapped in few ways, so that several draws give one
    direction. A concept with the vectors of another shares its random draws too.
    """
    whole = _contents(vectors, _OF_CONCEPT, (schema.CONCEPT,))
    same = _first_alike(whole, _sums(whole))
    known = range(len(same))
    duplicates = {("concept", c, 0): (same[c], 0) for c in known if same[c] != c}
    for name, count in axes.controls.items():
        if name not in CONTROLS:
            continue
        if is_seeded(name):
            duplicates |= {(name, c, d): (same[c], d) for c in known if same[c] != c for d in range(count)}
            continue
        drawn = _contents(vectors, CONTROLS[name].variables, (schema.CONCEPT, schema.DRAW))
        if not drawn:
            continue
        sums = _sums(drawn)
        for concept in known:
            begin = concept * vectors.sizes[schema.DRAW]
            rows = slice(begin, begin + count)
            alike = _first_alike(drawn[rows], sums[rows])
            duplicates |= {(name, concept, d): (concept, alike[d]) for d in range(count) if alike[d] != d}
    return duplicates


def opposite_controls(settings: Settings) -> tuple[str, ...]:
    """Controls of which draw 2j at a strength is the same edit as draw 2j + 1 at the opposite one, to the bit.

    So it is where the change is the strength times a length times the direction that was drawn, as for ``add`` in every
    unit: of a product of numbers the sign is exact. What is recorded along a row's own direction has another sign for
    each of the two, so that both are run then.
    """
    if settings.operation is not OPERATIONS["add"] or OWN_PROJECTION in settings.recorded:
        return ()
    return tuple(name for name in settings.axes.controls if is_antithetic(name))


def _contents(vectors: xr.Dataset, names: Iterable[str], dims: tuple[str, ...]) -> list[list[Tensor]]:
    """For each element along ``dims``, its part of every variable."""
    parts: list[Tensor] = []
    for array in (vectors[name] for name in names if name in vectors and set(dims) <= set(vectors[name].dims)):
        ordered = array.transpose(*dims, ...)
        parts += [part.flatten(0, len(dims) - 1) for part in parts_of(ordered)]
    return [list(part) for part in zip(*parts, strict=True)]


def _sums(contents: list[list[Tensor]]) -> np.ndarray:
    """Sums [element, variable and part] of all tensors, in one copy for each device."""
    sums = stacked_on_host([torch.nansum(t.double()) for tensors in contents for t in tensors])
    return sums.reshape(len(contents), -1)


def _first_alike(contents: list[list[Tensor]], sums: np.ndarray) -> list[int]:
    """For each element, the first one with equal tensors; sums are compared before the tensors themselves."""

    def alike(left: int, right: int) -> bool:
        # NaN, where nothing was measured, is unequal to itself in `torch.equal`.
        pairs = zip(contents[left], contents[right], strict=True)
        return np.array_equal(sums[left], sums[right]) and all(
            torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in pairs
        )

    return [next(i for i in range(number + 1) if i == number or alike(i, number)) for number in range(len(contents))]


def identity(job: SweepJob) -> JsonObject:
    """Everything that decides the numbers of a sweep, as plain values that JSON keeps.

    Returns: by the names of ``sweep``'s parameters. Vectors, words and labels are named by a hash of their content;
    progress and library versions are not among them.
    """
    settings, samples, axes = job.settings, job.samples, job.settings.axes
    fields: dict[str, Any] = {
        "model": job.model.name,
        "weights": job.model.fingerprint,
        "dtype": dtype_name(job.model.dtype),
        "concepts": list(axes.concepts),
        "concept set": job.vectors.attrs.get("concepts"),
        "vectors": content_hash(job.vectors),
        "images": list(samples.coordinates[schema.SAMPLE]),
        "split": list(samples.coordinates.get(schema.SPLIT, [])),
        "pair": list(samples.coordinates.get(schema.PAIR, [])),
        "prompt": [request.prompt for request in samples.requests],
        **settings.identity(),
        "words": _hash_of([samples.words, samples.label_words, samples.categories]),
        "labels": _hash_of([None if labels is None else sorted(labels) for labels in samples.labels]),
        "examples": {name: samples.examples[name].id for name in axes.concepts if name in samples.examples},
    }
    if OWN_PROJECTION in settings.recorded:  # a store that was begun before there were any is refused by this field
        fields["own projections"] = True
    if opposite := opposite_controls(settings):  # so is one whose units ran opposite draws apart
        fields["opposite draws"] = list(opposite)
    return json.loads(json.dumps(fields))


def _hash_of(value: object) -> str:
    return hashlib.blake2b(json.dumps(value).encode(), digest_size=6).hexdigest()
