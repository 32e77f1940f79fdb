"""The settings of a sweep, checked before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any

import xarray as xr

from mllm_probe import schema
from mllm_probe.activations.hooks import resolve_blocks, resolve_layers
from mllm_probe.metrics.metric import Metric
from mllm_probe.metrics.registry import as_metrics, built_in
from mllm_probe.models.argument_checks import described, finite_number, listed, whole_number
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.models.prompts import answer_ids
from mllm_probe.steering.controls import CONCEPT, CONTROLS, DEFAULT_CONTROLS, Control, is_antithetic, is_shared
from mllm_probe.steering.operations import Operation, as_operation
from mllm_probe.sweeps.cells import CONCEPTS, Axes
from mllm_probe.typing import Layers, TokenScope

ANSWERS = "tokens"
"""Asked for among the metrics: the answers alone."""
OWN_PROJECTION = "own_projection"
"""Recorded beside ``projection``: along the direction of a row's own edit, which for a control is not the concept's."""

FEWEST_DRAWS = 4
"""Draws of a control in pairs: fewer pairs than two have no spread."""

Controls = Sequence[str] | str | None


@dataclass(frozen=True)
class Settings:
    """The arguments of ``sweep`` that are not pictures, in their final form.

    `vectors`: with dimension ``concept``.
    `layers`, `strengths`, `controls`, `draws`: as for ``sweep``; kept as ``axes``.
    `tokens`, `unit`, `operation`, `to`, `metrics`, `seed`, `max_new_tokens`, `answer_prefix`, `record`, `read_layers`,
        `read_tokens`: as for ``sweep``.
    `to`: the direction that takes the concept's place.
    `answers`: whether answers are asked for by themselves.

    Raises ValueError for anything unknown or impossible, with what was expected.
    """

    model: InitVar[ProbeModel]
    vectors: InitVar[xr.Dataset]
    layers: InitVar[Layers]
    strengths: InitVar[Iterable[float]]
    controls: InitVar[Controls]
    draws: InitVar[int]
    tokens: TokenScope
    unit: str
    operation: Operation
    to: xr.Dataset | None
    metrics: tuple[Metric, ...]
    seed: int
    max_new_tokens: int
    answer_prefix: str | Sequence[int]
    record: tuple[str, ...]
    read_layers: tuple[int, ...]
    read_tokens: TokenScope
    axes: Axes = field(init=False)
    answers: bool = field(init=False)

    def __post_init__(
        self,
        model: ProbeModel,
        vectors: xr.Dataset,
        layers: Layers,
        strengths: Iterable[float],
        controls: Controls,
        draws: int,
    ) -> None:
        _require_vectors(vectors, model)
        axes = Axes(
            concepts=tuple(str(name) for name in vectors[schema.CONCEPT].values),
            layers=tuple(_known_layers(vectors, resolve_layers(layers, len(model.layers)), layers)),
            strengths=_checked_strengths(strengths),
            controls=_checked_controls(vectors, controls, draws),
        )
        prefix = model.default_answer_prefix if self.answer_prefix is None else self.answer_prefix
        ids = answer_ids(model, prefix)
        asked = _listed_metrics(self.metrics)
        final = {
            "axes": axes,
            "operation": as_operation(self.operation),
            "to": _other_concept(vectors, self.to),
            "metrics": as_metrics(metric for metric in asked if metric != ANSWERS),
            "answers": ANSWERS in asked,
            "seed": whole_number("seed", self.seed),
            "max_new_tokens": whole_number("max_new_tokens", self.max_new_tokens, 1),
            "answer_prefix": prefix if isinstance(prefix, str) else ids,
            "record": _checked_names(self.record or (), schema.RECORDINGS, "recording"),
            "read_layers": tuple(resolve_blocks(self.read_layers, len(model.layers), "what is recorded are outputs")),
        }
        for name, value in final.items():
            object.__setattr__(self, name, value)
        self._require_sense()

    def _require_sense(self) -> None:
        """Raise unless there is something to compute, and metrics fit the operation."""
        if not self.metrics and not self.answers and not self.record:
            raise ValueError(f"metrics: expected at least one of {', '.join(built_in())}, or something to record.")
        if CONCEPTS in self.axes.controls and not self.shares_draws:
            raise ValueError(
                f"controls: '{CONCEPTS}' compares with the other concepts' rows, whose changes are as large as a "
                f"concept's own in unit 'residual' and operation 'add' only; got unit '{self.unit}' and operation "
                f"'{self.operation.name}'."
            )
        every = [metric.name for metric in self.metrics if metric.every_concept]
        if every and not self.shares_draws:
            raise ValueError(
                f"metrics: '{every[0]}' compares with random directions that are scored against every concept, which "
                f"are those of unit 'residual' and operation 'add'; got unit '{self.unit}' and operation "
                f"'{self.operation.name}'."
            )

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


def _other_concept(vectors: xr.Dataset, to: str | xr.Dataset | None) -> xr.Dataset | None:
    if not isinstance(to, str):
        return to
    if to not in vectors[schema.CONCEPT].values:
        known = ", ".join(map(str, vectors[schema.CONCEPT].values[:8]))
        raise ValueError(f"to: the vectors have no concept '{to}'; they have {known}.")
    return vectors.sel({schema.CONCEPT: to})


def _known_layers(vectors: xr.Dataset, layers: list[int], asked: Layers) -> list[int]:
    there = {int(layer) for layer in vectors[schema.LAYER].values}
    if isinstance(asked, str) and asked == "all":
        if there == {schema.INPUT}:
            raise ValueError("the vectors have no block, only the input of block 0: give layers='input'.")
        return [layer for layer in layers if layer in there]
    missing = [layer for layer in layers if layer not in there]
    if missing:
        known = schema.layer_names(sorted(there))
        raise ValueError(f"the vectors have no layer {schema.layer_name(missing[0])}; they have {known}.")
    return layers


def _checked_strengths(strengths: Iterable[float]) -> tuple[float, ...]:
    several = listed(strengths)
    try:
        numbers = tuple(finite_number("strengths", s) for s in ([strengths] if several is None else several))
    except ValueError as error:
        finite = "one or more finite numbers" if "finite" in str(error) else "numbers"
        got = described(strengths if several is None else several)
        raise ValueError(f"strengths: expected {finite} such as (-1, 0, 1); got {got}.") from error
    if not numbers:
        raise ValueError("strengths: expected one or more finite numbers such as (-1, 0, 1); got none.")
    return tuple(dict.fromkeys(numbers))


def _checked_controls(vectors: xr.Dataset, controls: Controls, draws: int) -> dict[str, int]:
    """How many draws of each control are run, ``"concept"`` (one draw) first."""
    draws = whole_number("draws", draws, 1)
    counts = {name: _draws(control, vectors, draws) for name, control in CONTROLS.items()}
    counts[CONCEPTS] = vectors.sizes[schema.CONCEPT] - 1
    if controls is None:
        wanted = tuple(name for name in DEFAULT_CONTROLS if counts[name])
    else:
        wanted = _checked_names(controls, (CONCEPT, *counts), "control", tuple(counts))
    wanted = tuple(name for name in wanted if name != CONCEPT)
    for name in wanted:
        if not counts[name]:
            lacking = (
                f"these vectors have no {name} draws. Make them with {CONTROLS[name].how_to_get}"
                if name in CONTROLS
                else "the vectors hold one concept. Give those of several"
            )
            raise ValueError(f"controls: '{name}' was asked for, but {lacking}, or leave '{name}' out.")
        if is_antithetic(name) and (draws % 2 or draws < FEWEST_DRAWS):
            raise ValueError(
                f"draws: control '{name}' is drawn in pairs of opposite directions, at least two of them; expected an "
                f"even number from {FEWEST_DRAWS} on, got {draws}."
            )
    return {CONCEPT: 1} | {name: counts[name] for name in wanted}


def _draws(control: Control, vectors: xr.Dataset, draws: int) -> int:
    there = control.available(vectors)
    return draws if there is None else min(draws, there)


def _listed_metrics(metrics: object) -> list[Any]:
    if isinstance(metrics, (str, Metric)):
        return [metrics]
    if not isinstance(metrics, Iterable):
        raise ValueError(f"metrics: expected names or mp.Metric objects; got {described(metrics)}.")
    return list(metrics)


def _checked_names(
    given: Iterable[str] | str, known: Sequence[str], what: str, offered: Sequence[str] | None = None
) -> tuple[str, ...]:
    if not isinstance(given, Iterable):
        raise ValueError(f"{what}s: expected names out of {', '.join(offered or known)}; got {described(given)}.")
    names = tuple(dict.fromkeys([given] if isinstance(given, str) else given))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(schema.unknown_name(what, unknown[0], offered or known))
    return names
