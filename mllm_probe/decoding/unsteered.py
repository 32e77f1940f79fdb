"""The baseline forward of a sample: arguments of the text model, outputs of its blocks, and its cache."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer

from mllm_probe.activations.block_replacement import replaced_blocks
from mllm_probe.activations.hooks import attached, before_backbone
from mllm_probe.decoding.agreement import REFUSALS, difference, tolerance
from mllm_probe.decoding.arguments import bytes_of
from mllm_probe.decoding.cache_layers import cache_bytes, empty_cache, require_own_keys
from mllm_probe.decoding.last_block import last_position
from mllm_probe.decoding.rows import logits_kept
from mllm_probe.models.caches import CACHE_NAMES, cache_argument
from mllm_probe.models.inputs import Encoded
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.schema import INPUT_NAME


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
        require_own_keys(model)
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
