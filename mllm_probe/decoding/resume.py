"""Resuming a forward at the edited layer; blocks below it and columns before the first edit are the baseline's."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicLayer

from mllm_probe.activations.hooks import attached, before_backbone, replaced_blocks
from mllm_probe.decoding.attention import sharing_attention
from mllm_probe.decoding.prefix import Compute, last_position, may_be_left
from mllm_probe.decoding.rows import (
    CachedRows,
    GrowingLayer,
    PrefixLayer,
    cache_bytes,
    empty_cache,
    expand_rows,
    logits_kept,
    require_unshared_keys,
    share_rows,
)
from mllm_probe.decoding.shared_prompt import (
    REFUSALS,
    UNEDITED_NONE,
    Shared,
    SharedPrefixSpan,
    bytes_of,
    can_start_later,
    difference,
    from_column,
    repeated,
    resumed_row_bytes,
    tolerance,
)
from mllm_probe.models.inputs import Encoded
from mllm_probe.models.layout import CACHE_NAMES, cache_argument, family_of, forward_arguments
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.schema import INPUT, INPUT_NAME, ROLES


@dataclass
class Shortcuts:
    """Shortcuts that a model computes exactly, kept with it; None before the first trial.

    `ends_early`: the last block for the last position alone. `starts_later`: blocks for the columns from the first
    edited one on.
    """

    ends_early: bool | None = None
    starts_later: bool | None = None


class Unsteered:
    """The run of one sample.

    `encoded`: one sample.
    `with_input`: keep what enters block 0 too.
    `entered` (Tensor [1, tokens, width] or None): input of block 0, where it is kept; the stream that is edited, where
        there are several.
    `arguments`, `named`: of the text model's call, without the cache.
    `cache_name`: name of the text model's cache argument.
    `cache`: the prompt's keys and values, one row.
    `outputs`: what each block gave, as it gave it (a tensor or a tuple).
    `logits` (Tensor [1, vocabulary]): after the last token of the prompt.
    `nbytes`: memory of all this.

    Raises NotImplementedError if layers share keys and values, so that a block cannot be left out. Raises RuntimeError
    if a block runs not once or on other positions than those of the prompt.
    """

    def __init__(self, model: ProbeModel, encoded: Encoded, with_input: bool = False) -> None:
        require_unshared_keys(model)
        self.entered: Tensor | None = None
        self.model, self.length = model, encoded.sequence.shape[1]
        self.cache = empty_cache(model)
        self.outputs: list[Any] = []
        calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        keep = {layer: partial(self._keep, layer) for layer in model.layers}

        def note(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            calls.append((arguments, named))

        reading = attached(model, self._enter, layers=INPUT_NAME) if with_input else nullcontext()
        with replaced_blocks(model, keep), before_backbone(model, note), reading:
            inputs = {**encoded.tensors, **cache_argument(model.hf, self.cache), **logits_kept(model.hf, 1)}
            self.logits = model.hf(**inputs).logits[:, -1]
        if not len(calls) == 1 == len(self.cache.layers) / len(keep) == len(self.outputs) / len(keep):
            raise RuntimeError(
                f"expected one call of the text model, {len(keep)} blocks and as many cache layers; got {len(calls)} "
                f"calls, {len(self.outputs)} blocks and {len(self.cache.layers)} layers, so it cannot be resumed."
            )
        self.arguments, named = calls[0]
        self.cache_name = next((name for name in CACHE_NAMES if named.get(name) is self.cache), "")
        self.named = {name: value for name, value in named.items() if name not in CACHE_NAMES}
        self.nbytes = cache_bytes(self.cache) + bytes_of([self.outputs, self.arguments, self.named, self.entered])

    def _enter(self, layer: int, hidden: Tensor) -> None:
        self.entered = hidden.clone()

    @property
    def ends_early(self) -> bool:
        """Whether the last block may run for the last position alone, as tried on the model's first sample."""
        return bool(self.model.state.of(Shortcuts).ends_early)

    def hidden(self, layer: int) -> Tensor:
        """Residual stream after a block, [1, tokens, width]; the one that is edited, where there are several."""
        whole, stream = _hidden(self.outputs[layer]), self.model.layout.stream_index
        return whole if stream is None else whole[stream]

    def output(self, layer: int, rows: int, column: int) -> Any:
        """Output of a block from a column on, expanded to the rows as a view."""
        hidden = _hidden(self.outputs[layer])[..., column:, :]
        return _with_hidden(self.outputs[layer], hidden.expand(*hidden.shape[:-3], rows, *hidden.shape[-2:]))

    def _keep(self, layer: int, plain: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        output = plain(*arguments, **named)
        hidden = _hidden(output)
        if layer != len(self.outputs) or hidden.shape[-3:-1] != (1, self.length):
            raise RuntimeError(
                f"block {layer} ran out of order or gave {tuple(hidden.shape)}; expected [1, {self.length}, width], "
                f"from block {len(self.outputs)}."
            )
        # Cloned: what follows the block, the model's own code or a hook, may write to its output in place.
        self.outputs.append(_with_hidden(output, hidden.clone()))
        known = self.model.state.of(Shortcuts)
        if layer == len(self.model.layers) - 1 and known.ends_early is None:
            known.ends_early = self._tried_last(hidden, plain, *arguments, **named)
        return output

    def _tried_last(self, hidden: Tensor, plain: Callable[..., Any], *arguments: Any, **named: Any) -> bool:
        """Run the last block again, with an empty layer of the cache, for the last position alone."""
        layers = self.cache.layers
        if self.model.layout.stream_index is not None or type(layers[-1]) is not DynamicLayer:
            return False
        # An empty layer in place of the last, which the block has filled by now: a second run would append to it.
        self.cache.layers = [*layers[:-1], DynamicLayer()]
        try:
            again = _hidden(last_position(self.cache.layers[-1])(plain, *arguments, **named))
        except torch.OutOfMemoryError:
            raise
        except REFUSALS:
            return False
        finally:
            self.cache.layers = layers
        return difference(again, hidden[:, -1:]) <= tolerance(hidden.dtype)


def _hidden(output: Any) -> Tensor:
    return output[0] if isinstance(output, (tuple, list)) else output


def _with_hidden(output: Any, hidden: Tensor) -> Any:
    return type(output)((hidden, *output[1:])) if isinstance(output, (tuple, list)) else hidden


_WORTH = 0.05
"""Least share of the prompt before the first edited column that is worth leaving out."""


class Resume(Shared):
    """Rows resume one stored baseline forward at the output of the block that they edit first, or at block 0's input.

    Blocks up to that one return their baseline output, to which hooks apply their edits. Blocks above run for the
    columns from the first edited one on; earlier columns are the baseline's, which is exact where attention is causal.
    The last block runs for the last position alone, unless a hook reads or edits it. In the cache, layers up to the
    edited one hold the baseline's prompt once for all rows.

    Raises NotImplementedError, RuntimeError if the model cannot be resumed, see ``Unsteered``.
    """

    path = "resumed at the edited layer"
    for_rows = staticmethod(share_rows)

    def __init__(
        self, model: ProbeModel, encoded: Encoded, token_by_token: bool = False, read_layers: Iterable[int] = ()
    ) -> None:
        super().__init__(model, encoded, token_by_token)
        self.run = Unsteered(model, encoded, with_input=INPUT in read_layers)
        self.nbytes += self.run.nbytes
        self._take_positions(self.run.named)
        self.unedited = {layer: self.run.hidden(layer) for layer in model.layers}
        if self.run.entered is not None:
            self.unedited[INPUT] = self.run.entered
        self._may_start_later = self._starts_later()

    def start(self, rows: int, unedited_part: SharedPrefixSpan = UNEDITED_NONE) -> CachedRows:
        """Run the blocks above ``unedited_part.layer`` as ``rows`` rows."""
        layer = min(unedited_part.layer, len(self.model.layers) - 1)
        return self._start(rows, layer, self._first_column(unedited_part))

    @classmethod
    def planned_row_bytes(
        cls, model: ProbeModel, encoded: Encoded, steps: int, unedited_part: SharedPrefixSpan = UNEDITED_NONE
    ) -> int:
        """Estimated memory of one row with ``steps`` tokens after the prompt, on the safe side."""
        blocks = len(model.layers) - 1 - min(unedited_part.layer, len(model.layers) - 1)
        column = _worthwhile(unedited_part, encoded.length) if model.state.of(Shortcuts).starts_later else 0
        return resumed_row_bytes(model, encoded.length, steps, encoded.length - column, blocks)

    def _start(self, rows: int, layer: int, column: int) -> CachedRows:
        model, caller = self.model, self.model.layout.caller
        cache = self._cache_of_call(rows, column)
        inputs = {**self._outer(rows, column), **cache_argument(caller, cache), **logits_kept(caller, 1)}
        with (
            sharing_attention(model) if column else nullcontext(),
            before_backbone(model, partial(self._replay, rows, column, cache)),
            replaced_blocks(model, self._replacements(rows, layer, column, cache)),
            attached(model, self._only_last, layers=[-1]),
        ):
            logits = caller(**inputs).logits[:, -1]
        # Blocks up to `layer` were replaced and gave no keys to the cache: the baseline's take their place. They are
        # exact for steered rows, as keys of block l depend on the output of block l − 1, and `layer` is the first block
        # whose output is edited.
        cache.layers = self._unsteered_layers(rows, layer + 1) + [
            _growing(cached) for cached in cache.layers[layer + 1 :]
        ]
        return CachedRows(model, self.encoded, self.positions, cache, logits, 0, self.token_by_token)

    def _replay(
        self, rows: int, column: int, cache: Cache, _: tuple[Any, ...], __: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The kept call of the text model, for the rows and columns of this one.

        Images are left out: what enters the first block does not matter where that block is not computed. Where its
        input is edited it is, and a family whose text model places the image itself (Kosmos-2) fails the trial.
        """
        run, family = self.run, family_of(self.model.hf.config)
        images = {n for n, value in self.encoded.tensors.items() if value.is_floating_point()}
        images -= {family.encoded_image} if family.image_each_step else set()
        text_inputs = {name: value for name, value in run.named.items() if name not in images}
        later = from_column(text_inputs, column, run.length)
        arguments = tuple(repeated("", value, rows) for value in run.arguments)
        named = {name: repeated(name, value, rows) for name, value in later.items()}
        return arguments, named | ({run.cache_name: cache} if run.cache_name else {})

    def _replacements(self, rows: int, layer: int, column: int, cache: Cache) -> dict[int, Compute]:
        """Functions that replace blocks: up to ``layer`` they return the baseline output, as a view for all rows."""
        last = len(self.model.layers) - 1
        run: dict[int, Any] = {
            # `below=below` binds the number now; the output keeps the block's own form (tensor or tuple), on which
            # hooks act.
            below: lambda *_, below=below, **__: self.run.output(below, rows, column)
            for below in range(layer + 1)
        }
        if layer < last and self.run.ends_early and may_be_left(self.model.layout.blocks[last]):
            run[last] = last_position(cache.layers[last])
        return run

    def _only_last(self, layer: int, hidden: Tensor) -> Tensor | None:
        """Keep the last position for final norm and head; parallel streams are not cut."""
        return hidden[:, -1:] if self.model.layout.stream_index is None else None

    def _outer(self, rows: int, column: int) -> dict[str, Tensor]:
        """Arguments of the whole model's call without the image."""
        outer = {"input_ids": self.encoded.sequence[:, column:].expand(rows, -1)}
        if "position_ids" in forward_arguments(self.model.layout.caller):
            outer["position_ids"] = repeated("position_ids", self.positions[..., column : self.run.length], rows)
        return outer

    def _first_column(self, unedited_part: SharedPrefixSpan) -> int:
        """First column that is computed; 0 where leaving out earlier columns is not exact or not worth it."""
        return _worthwhile(unedited_part, self.run.length) if self._may_start_later else 0

    def _starts_later(self) -> bool:
        """Whether columns before an edit are the unsteered run's: tried without edits, once per model.

        A mask that lets a token see later ones is either among the arguments, or makes the trial, which starts in the
        middle of the image, differ from the baseline.
        """
        run = self.run
        if run.arguments or not can_start_later(run.named):
            return False
        if any(type(layer) is not DynamicLayer for layer in run.cache.layers):
            return False
        known = self.model.state.of(Shortcuts)
        if known.starts_later is None:
            image = (self.encoded.roles[0] == ROLES.index("image")).nonzero().flatten().tolist()
            column = image[len(image) // 2] if image else run.length // 2
            try:
                logits = self._start(1, 0, column).logits
            except torch.OutOfMemoryError:
                raise
            except REFUSALS:
                known.starts_later = False
            else:
                known.starts_later = difference(logits, run.logits) <= tolerance(self.model.dtype)
        return known.starts_later

    def _cache_of_call(self, rows: int, column: int) -> Cache:
        """The cache that the call fills: empty, or with the columns before the first one that is computed."""
        cache = empty_cache(self.model)
        if column:
            cache.layers = [
                PrefixLayer([(layer.keys[:, :, :column], layer.values[:, :, :column])], [0] * rows)
                for layer in self.run.cache.layers
            ]
        return cache

    def _unsteered_layers(self, rows: int, count: int) -> list[CacheLayerMixin]:
        """The first layers of the cache with the unsteered prompt."""
        below = copy.copy(self.run.cache)
        below.layers = self.run.cache.layers[:count]
        return self.for_rows(below, rows, self.model.device).layers


class CopiedResume(Resume):
    """Rows copy the unsteered prompt's keys and values: slower, for attention that cannot be exchanged."""

    path = "resumed at the edited layer, with copied keys"
    for_rows = staticmethod(expand_rows)
    planned_row_bytes = Shared.planned_row_bytes

    def _starts_later(self) -> bool:
        return False


def _worthwhile(unedited_part: SharedPrefixSpan, length: int) -> int:
    """First column to compute of a prompt of ``length`` tokens, where columns before it may be left out."""
    column = min(unedited_part.column, length - 1)
    return column if column >= _WORTH * length else 0


def _growing(layer: CacheLayerMixin) -> CacheLayerMixin:
    """A layer of the prompt that is appended to without copying it at every step, where that can be."""
    return GrowingLayer(layer.keys, layer.values) if type(layer) is DynamicLayer else layer
