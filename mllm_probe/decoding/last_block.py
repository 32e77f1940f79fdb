"""The last block for the last position alone: of the positions before, only keys and values are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from torch import Tensor, nn
from transformers.cache_utils import CacheLayerMixin

from mllm_probe.decoding.arguments import last_columns

Compute = Callable[..., Any]


class _KeysAreStoredError(Exception):
    """Raised when a block has handed its keys and values to the cache, to leave it."""


def last_position(layer: CacheLayerMixin) -> Compute:
    """Replacement of the last block, see ``replaced_blocks``: its output [rows, 1, width].

    `layer`: the block's. It is left with the keys and values of all positions, as after a run of the whole block.

    The block runs up to where it gives its keys and values to the cache, for all positions, and then as a whole for the
    last one, with those keys. Exact for blocks that mix positions by cached attention only.
    """

    def compute(plain: Compute, *arguments: Any, **named: Any) -> Any:
        # Two passes: the first gives the keys of all positions to the cache and is left there, the second runs the last
        # position with those keys. A mask and position embeddings are cut to the last query, the keys are not.
        hidden = arguments[0] if arguments else named["hidden_states"]
        length = hidden.shape[1]
        if length == 1:
            return plain(*arguments, **named)
        stored: list[tuple[Tensor, Tensor]] = []
        update = layer.update

        def store(*states: Any, **more: Any) -> Any:
            stored.append(update(*states, **more))
            raise _KeysAreStoredError

        with _updated_by(layer, store):
            try:
                plain(*arguments, **named)
            except _KeysAreStoredError:
                pass
            else:
                raise NotImplementedError("the last block does not give its keys and values to the cache.")
        last = [last_columns("", value, length - 1, length) for value in arguments]
        named = {name: last_columns(name, value, length - 1, length) for name, value in named.items()}
        with _updated_by(layer, lambda *_, **__: stored[0]):
            return plain(*last, **named)

    return compute


@contextmanager
def leaving_at_keys(layer: CacheLayerMixin) -> Iterator[None]:
    """Leave the forward pass of the ``with`` block as soon as ``layer`` of its cache was given keys and values."""
    update = layer.update

    def store(*states: Any, **more: Any) -> Any:
        update(*states, **more)
        raise _KeysAreStoredError

    with _updated_by(layer, store), suppress(_KeysAreStoredError):
        yield


def may_be_left(block: nn.Module) -> bool:
    """Whether a block may run for the last position only: it has no hooks and no offloaded weights."""
    hooked = block._forward_hooks or block._forward_pre_hooks
    return not hooked and not any(hasattr(module, "_hf_hook") for module in block.modules())


@contextmanager
def _updated_by(layer: CacheLayerMixin, update: Compute) -> Iterator[None]:
    layer.update = update
    try:
        yield
    finally:
        del layer.update
