"""The arguments of a sweep that are not images: each is declared once, with all that follows from it; and shards."""

# The command line makes its options of the declarations, and its help does not wait for PyTorch: nothing heavy is
# imported here. What is computed for an argument is a method of the settings, or a function of them.

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from mllm_probe import schema
from mllm_probe.models.argument_checks import described

if TYPE_CHECKING:
    import xarray as xr

    from mllm_probe.metrics.metric import Metric
    from mllm_probe.steering.operations import ChangeFunction, Operation
    from mllm_probe.sweeps.settings import Settings
    from mllm_probe.typing import Layers, TokenScope

DEFAULT_METRICS = ("logprob", "named", "kept", "kl", "perplexity")
"""Metrics of a sweep by default."""
AUTO: Literal["auto"] = "auto"
BLOCKS, NAMES, SCOPES = list[int | str] | None, list[str] | None, tuple[str, ...]
"""Types of options that take several blocks, names or token scopes."""


def declare(
    default: Any,
    option: Any,
    text: str,
    *,
    checked: Callable[[Settings], Any] | None = None,
    stored: Callable[[Settings], Any] | None = None,
    decides: bool = True,
    identity: Callable[[Settings], Any] | None = None,
    attribute: str = "",
    shown: Callable[[Settings], Any] | None = None,
    axis: bool = False,
) -> Any:
    """A field of `Arguments`, with what follows from it as metadata.

    `option`, `text`: type and help of its option on the command line; no option where the type is None.
    `checked`: its final form, from settings that know what is given, the model and the vectors; a ValueError says what
        was expected. None takes what is given.
    `stored`: the plain value that a store keeps, which gives the same again; None is the final form in plain lists.
    `decides`: whether numbers depend on it, so that a store with another value is refused.
    `identity`: the plain value that is compared then; None is the stored one.
    `attribute`: what the grid's attribute is called; none where empty.
    `shown`: value of the attribute; None is the stored one.
    `axis`: whether it makes an axis of the grid.
    """
    return field(
        default=default,
        metadata={
            "option": option,
            "help": text,
            "checked": checked,
            "stored": stored,
            "decides": decides,
            "identity": identity,
            "attribute": attribute,
            "shown": shown,
            "axis": axis,
        },
    )


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Arguments of ``sweep`` that are not images, as they are given; `Settings` is their final form."""

    layers: Layers = declare(
        "all",
        BLOCKS,
        "Decoder blocks to edit, one at a time (-1 is the last), or input; by default all of the vectors.",
        checked=lambda s: s.known_layers(),
        stored=lambda s: schema.layer_names(s.axes.layers),
        identity=lambda s: s.axes.layers,
        axis=True,
    )
    strengths: Sequence[float] = declare(
        (-2.0, -1.0, 0.0, 1.0, 2.0), tuple[float, ...], "Signed doses.", checked=lambda s: s.doses(), axis=True
    )
    tokens: TokenScope = declare(
        ("last_prompt", "generated"),
        SCOPES,
        "Scopes to edit: last_prompt, generated, image, text, all.",
        identity=lambda s: s.scope.plain(),
        attribute="scope",
        shown=lambda s: str(s.scope),
    )
    unit: str = declare("residual", str, "Of strengths: residual, vector or raw.", attribute="unit")
    operation: str | Operation | ChangeFunction = declare(
        "add",
        str,
        "add, ablate or replace.",
        checked=lambda s: s.known_operation(),
        stored=lambda s: s.operation.name,
        identity=lambda s: s.operation.identity,
        attribute="operation",
    )
    to: str | xr.Dataset | None = declare(
        None,
        str | None,
        "Of replace: the concept that takes the place.",
        checked=lambda s: s.other_concept(),
        stored=lambda s: s.to is not None,  # its vectors are kept as a file
        identity=lambda s: s.name_of_to(with_hash=True),
        attribute="to",
        shown=lambda s: s.name_of_to(),
    )
    metrics: Sequence[str | Metric] | str | Metric = declare(
        DEFAULT_METRICS,
        NAMES,
        "Of logprob, named, kept, kl, perplexity (these five by default), logit, off_target; tokens keeps answers "
        "without a score.",
        checked=lambda s: s.known_metrics(),
        stored=lambda s: s.names,
        identity=lambda s: s.metric_identities,
        attribute="metrics",
    )
    controls: Sequence[str] | str | None = declare(
        None,
        NAMES,
        "Of random, on_manifold (the default, where vectors have activations), concepts, shuffled, orthogonal.",
        checked=lambda s: s.available_controls(),
        attribute="controls",
        axis=True,
    )
    draws: int | Literal["auto"] = declare(
        AUTO,
        int | Literal["auto"],
        "Draws of each control, an even number from 4 on; auto takes 8 to 32, no more rows than the concepts' own.",
        checked=lambda s: s.number_of_draws(),
        stored=lambda s: s.most_draws,
        identity=lambda s: list(s.axes.controls.values())[1:],  # the concept's own vector is first
        axis=True,
    )
    seed: int = declare(
        0,
        int,
        "Of the random directions, and of vectors that are made here.",
        checked=lambda s: s.whole_number("seed"),
        attribute="seed",
    )
    max_new_tokens: int = declare(
        8, int, "Longest answer.", checked=lambda s: s.whole_number("max_new_tokens", 1), attribute="max_new_tokens"
    )
    answer_prefix: str | Sequence[int] | None = declare(
        None,
        str | None,
        "Beginning of the answer that is given; the model's own if not given.",
        checked=lambda s: s.text_or_ids(),
        identity=lambda s: s.prefix,
        attribute="answer_prefix",
    )
    record: Sequence[str] | str | None = declare(
        None,
        NAMES,
        "Of activation, projection, residual_norm, logit_lens: kept of the steered prompt.",
        checked=lambda s: s.known_names(s.given.record or (), schema.RECORDINGS, "recording"),
    )
    read_layers: Layers = declare(
        "all",
        BLOCKS,
        "Blocks at which that is recorded; all if not given.",
        checked=lambda s: s.blocks_read(),
        identity=lambda s: s.read_layers if s.record else [],
    )
    read_tokens: TokenScope = declare(
        "last_prompt",
        SCOPES,
        "Scopes at which that is recorded.",
        identity=lambda s: s.read_scope.plain() if s.record else [],
    )


@dataclass(frozen=True)
class Shard:
    """Every so many-th unit.

    `number`: from 1 on. `of`: number of shards.
    """

    number: int
    of: int

    def owns(self, unit: int) -> bool:
        """Whether the unit with this number, from 0 on, is this shard's own."""
        return unit % self.of == self.number - 1

    @property
    def whole(self) -> bool:
        """Whether all units are its own."""
        return self.of == 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


WHOLE = Shard(1, 1)


def shard_of(given: object) -> Shard:
    """Read a shard such as ``"3/16"``, the third of sixteen; None is the whole.

    Raises ValueError if it is none.
    """
    if given is None:
        return WHOLE
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", given) if isinstance(given, str) else None
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(
            f"shard: expected a text such as '3/16', the third of sixteen (the first is 1/16); got {described(given)}."
        )
    return Shard(int(match[1]), int(match[2]))
