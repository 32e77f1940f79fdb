"""The settings of a patch, checked before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mllm_probe import schema
from mllm_probe.activations.hooks import resolve_layers
from mllm_probe.metrics.metric import Metric
from mllm_probe.metrics.registry import as_metrics
from mllm_probe.models import ProbeModel
from mllm_probe.models.argument_checks import described, finite_number, listed, whole_number
from mllm_probe.models.prompts import answer_ids
from mllm_probe.patching.first_position import LOGIT_DIFFERENCE
from mllm_probe.patching.token_groups import asked_groups
from mllm_probe.typing import Layers

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
    chosen = as_metrics(LOGIT_DIFFERENCE if one == LOGIT_DIFFERENCE.name else one for one in given)
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
