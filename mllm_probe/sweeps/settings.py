"""The settings of a sweep: its arguments, checked before anything runs, and in their final form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import Field, fields
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from mllm_probe import schema
from mllm_probe.activations.dataset_hash import content_hash
from mllm_probe.activations.hooks import resolve_blocks, resolve_layers
from mllm_probe.metrics.metric import Metric
from mllm_probe.metrics.registry import as_metrics, built_in
from mllm_probe.models.argument_checks import described, finite_number, listed, whole_number
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.models.prompts import answer_ids
from mllm_probe.steering.controls import CONCEPT, CONTROLS, DEFAULT_CONTROLS, is_antithetic, is_shared
from mllm_probe.steering.operations import Operation, as_operation
from mllm_probe.sweeps.cells import CONCEPTS, Axes
from mllm_probe.sweeps.sweep_arguments import Arguments
from mllm_probe.tokens.selection import Scope, parse_scope
from mllm_probe.typing import JsonObject

ANSWERS = "tokens"
"""Asked for among the metrics: the answers alone."""
OWN_PROJECTION = "own_projection"
"""Recorded beside ``projection``: along the direction of a row's own edit, which for a control is not the concept's."""

FEWEST_DRAWS = 4
"""Draws of a control in pairs: fewer pairs than two have no spread."""


class Settings(Arguments):
    """The arguments of ``sweep`` that are not images, in their final form for a model and vectors.

    `vectors`: with dimension ``concept``.
    `axes`: of the grid: layers, strengths, and controls with their draws.
    `answers`: whether answers are asked for by themselves.
    `prefix`: token ids of the answer's beginning.

    Raises ValueError for anything unknown or impossible, with what was expected.
    """

    operation: Operation
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
        for one in fields(given):
            checked = one.metadata["checked"]
            final[one.name] = getattr(given, one.name) if checked is None else checked(self)
        concepts = tuple(str(name) for name in vectors[schema.CONCEPT].values)
        draws = {CONCEPT: 1} | {name: self.draws_of(name, self.draws) for name in final["controls"]}
        self.axes = Axes(concepts, final["layers"], final["strengths"], draws)
        self._require_sense()

    def stored(self) -> JsonObject:
        """What a store keeps, so that `Arguments` are made again: plain values, those of axes first."""
        ordered = sorted(fields(self.given), key=lambda one: not one.metadata["axis"])
        return {one.name: self._plain(one, "stored") for one in ordered}

    def identity(self) -> JsonObject:
        """What a store must match: plain values by the names of the arguments."""
        return {one.name: self._plain(one, "identity") for one in fields(self.given) if one.metadata["decides"]}

    def attributes(self) -> JsonObject:
        """Attributes of the grid."""
        named = [one for one in fields(self.given) if one.metadata["attribute"]]
        return {one.metadata["attribute"]: self._plain(one, "shown") for one in named}

    def _plain(self, one: Field[Any], use: str) -> Any:
        value = one.metadata[use] or one.metadata["stored"]
        return np.asarray(getattr(self, one.name)).tolist() if value is None else value(self)

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
        own = [one.name if built_in().get(one.name) is one else one.identity for one in self.metrics]
        return own + [ANSWERS] * self.answers

    @property
    def most_draws(self) -> int:
        """The argument ``draws`` that gives the draws of every control."""
        counts = (n for name, n in self.axes.controls.items() if name not in (CONCEPT, CONCEPTS))
        return max(counts, default=Arguments.draws)

    def draws_of(self, control: str, draws: int) -> int:
        """How many draws of a control are run where so many are asked for."""
        if control == CONCEPTS:
            return self.vectors.sizes[schema.CONCEPT] - 1
        there = CONTROLS[control].available(self.vectors)
        return draws if there is None else min(draws, there)

    def whole_number(self, name: str, at_least: int = 0) -> int:
        """An argument that is a whole number."""
        return whole_number(name, getattr(self.given, name), at_least)

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
        there = {int(layer) for layer in self.vectors[schema.LAYER].values}
        if isinstance(asked, str) and asked == "all":
            if there == {schema.INPUT}:
                raise ValueError("the vectors have no block, only the input of block 0: give layers='input'.")
            return tuple(layer for layer in layers if layer in there)
        if missing := [layer for layer in layers if layer not in there]:
            known = schema.layer_names(sorted(there))
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
        there = {name: self.draws_of(name, 1) for name in (*CONTROLS, CONCEPTS)}
        if self.given.controls is None:
            return tuple(name for name in DEFAULT_CONTROLS if there[name])
        wanted = self.known_names(self.given.controls, (CONCEPT, *there), "control", tuple(there))
        for name in wanted:
            if name != CONCEPT and not there[name]:
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
        of_one_size = [
            f"controls: '{CONCEPTS}' compares with the other concepts' rows, whose changes are as large as a concept's "
            "own in unit 'residual' and operation 'add' only"
        ] * (CONCEPTS in self.axes.controls) + [
            f"metrics: '{metric.name}' compares with random directions that are scored against every concept, which "
            "are those of unit 'residual' and operation 'add'"
            for metric in self.metrics
            if metric.every_concept
        ]
        if of_one_size and not self.shares_draws:
            raise ValueError(f"{of_one_size[0]}; got unit '{self.unit}' and operation '{self.operation.name}'.")

    @property
    def decodes(self) -> bool:
        """Whether answers are generated."""
        return self.answers or any(metric.reading.decodes for metric in self.metrics)

    @property
    def rows_go_on(self) -> bool:
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
