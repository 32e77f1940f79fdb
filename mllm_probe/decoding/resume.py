"""Going on from the edited layer: what lies below it, and before the first edited column, is the unsteered run's."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from mllm_probe.activations.hooks import attached, before_backbone
from mllm_probe.activations.replacing import replaced_blocks
from mllm_probe.decoding.agreement import difference, tolerance
from mllm_probe.decoding.arguments import bytes_of, can_start_later, from_column, repeated
from mllm_probe.decoding.attention import sharing_attention
from mllm_probe.decoding.layers import PrefixLayer, cache_bytes, expand_rows, share_rows
from mllm_probe.decoding.rows import CachedRows
from mllm_probe.decoding.shared import NOTHING, Shared, Untouched
from mllm_probe.models.caches import CACHE_NAMES, cache_argument
from mllm_probe.models.inputs import Encoded
from mllm_probe.models.layout import text_config
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.schema import ROLES

_WORTH = 0.05
"""Share of the prompt that must stand before the first edited column, for leaving it out to pay."""
_STARTS_LATER: WeakKeyDictionary[ProbeModel, bool] = WeakKeyDictionary()


class Resume(Shared):
    """One unsteered forward is kept, and rows go on from the output of the block that they edit first.

    Blocks up to that one hand on what they gave in the unsteered run, with the edits of the hooks on them. Blocks above
    run for the columns from the first edited one on; what stands before is the unsteered run's, which holds where
    attention is causal. In the cache, layers up to the edited one hold the unsteered prompt once for all rows.

    Raises
    ------
    NotImplementedError
        If layers share keys and values, so that a block cannot be left out.
    RuntimeError
        If a block runs not once or on other positions than those of the prompt.
    """

    path = "resumed at the edited layer"

    def __init__(self, model: ProbeModel, encoded: Encoded, one_by_one: bool = False) -> None:
        super().__init__(model, encoded, one_by_one)
        if getattr(text_config(model.hf), "num_kv_shared_layers", None):
            raise NotImplementedError("layers share keys and values, so that blocks cannot be left out.")
        self.length = encoded.sequence.shape[1]
        self.cache = DynamicCache(config=text_config(model.hf))
        self.outputs: dict[int, Any] = {}
        self.arguments: tuple[Any, ...] = ()
        self.named: dict[str, Any] = {}
        self.logits = self._run_unsteered()
        self._take_positions(self.named)
        stream = model.layout.stream_index
        for layer, output in self.outputs.items():
            whole = _hidden(output)
            self.unedited[layer] = whole if stream is None else whole[stream]
        self.nbytes += cache_bytes(self.cache) + bytes_of(list(self.outputs.values()))
        self.nbytes += bytes_of([self.arguments, {n: v for n, v in self.named.items() if n not in CACHE_NAMES}])
        self._may_start_later = self._starts_later()

    def _run_unsteered(self) -> Tensor:
        model, calls = self.model, list[tuple[tuple[Any, ...], dict[str, Any]]]()
        keep = {layer: partial(self._keep, layer) for layer in range(len(model.layout.blocks))}

        def note(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            calls.append((arguments, dict(named)))

        with replaced_blocks(model, keep), before_backbone(model, note):
            cache = cache_argument(model.hf, self.cache)
            logits = model.hf(**self.encoded.tensors, **cache, **_one_logit(model.hf)).logits[:, -1]
        if len(calls) != 1 or len(self.outputs) != len(keep):
            raise RuntimeError(
                f"expected one call of the text model and of its {len(keep)} blocks; "
                f"got {len(calls)} calls and {len(self.outputs)} blocks, so it cannot be resumed."
            )
        if len(self.cache.layers) != len(keep):
            raise RuntimeError(f"the cache has {len(self.cache.layers)} layers, the model {len(keep)} blocks.")
        self.arguments, self.named = calls[0]
        return logits

    def _keep(self, layer: int, plain: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        output = plain(*arguments, **named)
        hidden = _hidden(output)
        if layer in self.outputs or hidden.shape[-3:-1] != (1, self.length):
            raise RuntimeError(
                f"block {layer} ran again or gave {tuple(hidden.shape)}; expected [1, {self.length}, width] once."
            )
        self.outputs[layer] = _with_hidden(output, hidden.clone())
        return output

    def start(self, rows: int, untouched: Untouched = NOTHING) -> CachedRows:
        """Run the blocks above ``untouched.layer`` as ``rows`` rows."""
        layer = min(untouched.layer, len(self.outputs) - 1)
        return self._start(rows, layer, self._first_column(untouched))

    def row_bytes(self, untouched: Untouched = NOTHING) -> int:
        """Memory that each row takes: its keys and values of the prompt, and what a block holds while it runs."""
        config, columns = text_config(self.model.hf), self.length - self._first_column(untouched)
        layers = enumerate(self.cache.layers)
        own = [layer for i, layer in layers if i > untouched.layer or type(layer) is not DynamicLayer]
        kept = cache_bytes(SimpleNamespace(layers=own))
        size = torch.empty((), dtype=self.model.dtype).element_size()
        width = self.model.hidden_size
        inner = getattr(config, "intermediate_size", None)
        inner = inner if isinstance(inner, int) else 4 * width
        return kept * columns // self.length + columns * (7 * width + 3 * inner) * size + config.vocab_size * size

    def _start(self, rows: int, layer: int, column: int) -> CachedRows:
        model = self.model
        cache = self._cache_of_call(rows, column)
        kept = {below: partial(self._handed_on, below, rows, column) for below in range(layer + 1)}
        caller = model.layout.caller
        given = {**self._outer(rows, column), **cache_argument(caller, cache), **_one_logit(caller)}
        with (
            sharing_attention(model) if column else nullcontext(),
            before_backbone(model, partial(self._replay, rows, column, cache)),
            replaced_blocks(model, kept),
            attached(model, self._only_last, layers=[-1]),
        ):
            logits = caller(**given).logits[:, -1]
        cache.layers[: layer + 1] = self._unsteered_layers(rows, layer + 1)
        return CachedRows(model, self.encoded, self.positions, cache, logits, 0, self.one_by_one)

    def _replay(
        self, rows: int, column: int, cache: Any, _: tuple[Any, ...], __: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The kept call of the text model, for the rows and columns of this one.

        Pictures are left out: what enters the first block does not matter, because that block is never computed.
        """
        changed: dict[str, Any] = {**dict.fromkeys(CACHE_NAMES, cache), "use_cache": True}
        pictures = {name for name, value in self.encoded.tensors.items() if value.is_floating_point()}
        kept = {name: value for name, value in self.named.items() if name not in pictures | changed.keys()}
        later = from_column(kept, column, self.length)
        given = tuple(repeated("", value, rows) for value in self.arguments)
        named = {name: repeated(name, value, rows) for name, value in later.items()}
        return given, named | {name: value for name, value in changed.items() if name in self.named}

    def _handed_on(self, layer: int, rows: int, column: int, plain: Callable[..., Any], *_: Any, **__: Any) -> Any:
        """What a block that is not computed gives: its unsteered output, once per row as a view."""
        kept = _hidden(self.outputs[layer])[..., column:, :]
        return _with_hidden(self.outputs[layer], kept.expand(*kept.shape[:-3], rows, *kept.shape[-2:]))

    def _only_last(self, layer: int, hidden: Tensor) -> Tensor | None:
        """Final norm and head need the last position only; parallel streams are left as they are."""
        return hidden[:, -1:] if self.model.layout.stream_index is None else None

    def _outer(self, rows: int, column: int) -> dict[str, Tensor]:
        """Arguments of the whole model's call without the picture."""
        outer = {"input_ids": self.encoded.sequence[:, column:].expand(rows, -1)}
        if "position_ids" in inspect.signature(self.model.layout.caller.forward).parameters:
            outer["position_ids"] = repeated("position_ids", self.positions[..., column : self.length], rows)
        return outer

    def _first_column(self, untouched: Untouched) -> int:
        """First column that is computed; 0 where leaving out what stands before is not exact or does not pay."""
        column = min(untouched.column, self.length - 1)
        return column if column >= _WORTH * self.length and self._may_start_later else 0

    def _starts_later(self) -> bool:
        """Whether columns before an edit are the unsteered run's: tried without edits, once per model.

        A mask that lets a token see later ones either stands among the arguments or makes the trial, which begins
        amid the picture, differ from the unsteered run.
        """
        if self.arguments or not can_start_later(self.named):
            return False
        if any(type(layer) is not DynamicLayer for layer in self.cache.layers):
            return False
        if self.model not in _STARTS_LATER:
            image = (self.encoded.roles[0] == ROLES.index("image")).nonzero().flatten().tolist()
            column = image[len(image) // 2] if image else self.length // 2
            try:
                found = self._start(1, 0, column).logits
            except NotImplementedError:
                _STARTS_LATER[self.model] = False
            else:
                _STARTS_LATER[self.model] = difference(found, self.logits) <= tolerance(self.model.dtype)
        return _STARTS_LATER[self.model]

    def _cache_of_call(self, rows: int, column: int) -> Any:
        """The cache that the call fills: empty, or with the columns before the first one that is computed."""
        cache = DynamicCache(config=text_config(self.model.hf))
        if column:
            cache.layers = [
                PrefixLayer([(layer.keys[:, :, :column], layer.values[:, :, :column])], [0] * rows)
                for layer in self.cache.layers
            ]
        return cache

    def _unsteered_layers(self, rows: int, count: int) -> list[Any]:
        """The first layers of the cache with the unsteered prompt."""
        below = copy.copy(self.cache)
        below.layers = self.cache.layers[:count]
        return self._for_rows(below, rows).layers

    def _for_rows(self, cache: Any, rows: int) -> Any:
        return share_rows(cache, rows, self.model.device)


class CopiedResume(Resume):
    """Rows copy the unsteered prompt's keys and values: slower, for attention that cannot be exchanged."""

    path = "resumed at the edited layer, with copied keys"

    def _starts_later(self) -> bool:
        return False

    def _for_rows(self, cache: Any, rows: int) -> Any:
        return expand_rows(cache, rows, self.model.device)


def _one_logit(module: Any) -> dict[str, int]:
    """The argument that saves the logits of all but the last position, where the module takes it."""
    return {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(module.forward).parameters else {}


def _hidden(output: Any) -> Tensor:
    return output[0] if isinstance(output, (tuple, list)) else output


def _with_hidden(output: Any, hidden: Tensor) -> Any:
    return type(output)((hidden, *output[1:])) if isinstance(output, (tuple, list)) else hidden
