"""One prefill of the prompt, from which all rows are decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

from torch import Tensor, nn
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicLayer

from mllm_probe.activations.hooks import attached, before_backbone
from mllm_probe.decoding.rows import (
    CachedRows,
    cache_bytes,
    cut_back,
    empty_cache,
    expand_rows,
    logits_kept,
    map_layers,
    share_rows,
    step,
)
from mllm_probe.decoding.shared_prompt import UNEDITED_NONE, Shared, SharedPrefixSpan, following_row_bytes, last_columns
from mllm_probe.models.inputs import PER_TOKEN, Encoded
from mllm_probe.models.layout import cache_argument
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.typing import CallArguments

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


class SharedPrefix(Shared):
    """One prefill of the prompt without its last token; for edits that touch nothing before that token.

    `model`, `encoded`, `token_by_token`, `read_layers`: as for ``Shared``. `ending`: tokens at the end of the prefill
    whose logits are computed too. `logits`: Tensor [1, ending, vocabulary].
    """

    path = "shared prefix"
    for_rows = staticmethod(share_rows)
    require: Callable[[ProbeModel], None] = staticmethod(lambda model: None)
    """Raises where a model cannot be run in this way, before anything is computed."""

    def __init__(
        self,
        model: ProbeModel,
        encoded: Encoded,
        token_by_token: bool = False,
        read_layers: Iterable[int] = (),
        ending: int = 0,
    ) -> None:
        self.require(model)
        super().__init__(model, encoded, token_by_token)
        self.cache = empty_cache(model)
        layers = list(read_layers)

        def keep(layer: int, hidden: Tensor) -> None:
            self.unedited[layer] = hidden

        reading = attached(model, keep if layers else None, layers=layers or None)
        kept = logits_kept(model.hf, max(ending, 1))
        with reading, before_backbone(model, self._note), self._ending(bool(layers or ending)):
            called = model.hf(**_without_last(encoded), **cache_argument(model.hf, self.cache), **kept)
        if ending:
            self.logits = called.logits[:, -ending:]
        self.nbytes = cache_bytes(self.cache) + sum(h.nbytes for h in self.unedited.values())

    def _ending(self, read: bool) -> AbstractContextManager[None]:
        """Context that ends the prefill after the last block has stored its keys and values, unless blocks are read."""
        layer, model = self.cache.layers[-1], self.model
        # Leaving skips the last block's feed-forward, the norm and the head: nothing of them is read, as rows run the
        # last prompt token anew. Not where a cache has another number of layers than there are blocks: its last layer
        # may then be filled before the last block.
        leaves = not read and type(layer) is DynamicLayer and len(self.cache.layers) == len(model.layout.blocks)
        if leaves and may_be_left(model.layout.blocks[-1]) and may_be_left(model.hf):
            return leaving_at_keys(layer)
        return nullcontext()

    def _note(self, arguments: tuple[object, ...], named: CallArguments) -> None:
        self._take_positions(named)

    def start(self, rows: int, unedited_part: SharedPrefixSpan = UNEDITED_NONE) -> CachedRows:
        """Run the last prompt token as ``rows`` rows."""
        return self._started(self.for_rows(self.cache, rows, self.model.device), rows, self.token_by_token)

    def copied(self, rows: int, *, token_by_token: bool) -> CachedRows:
        """The same by the model's own cached decoding: rows copy keys and values."""
        return self._started(expand_rows(self.cache, rows, self.model.device), rows, token_by_token)

    def before_the_end(self, back: int) -> CachedRows:
        """A row with all but the last ``back`` tokens of the prefill, which the model's cached decoding can be fed.

        Raises NotImplementedError, RuntimeError, ValueError if a layer of the cache cannot be cut back.
        """
        cache = map_layers(expand_rows(self.cache, 1, self.model.device), lambda layer: cut_back(layer, back))
        before = self.positions[..., : -1 - back]
        return CachedRows(self.model, self.encoded, before, cache, self.logits[:, -back - 1])

    def _started(self, cache: Cache, rows: int, token_by_token: bool) -> CachedRows:
        model, encoded = self.model, self.encoded
        tokens = encoded.tensors["input_ids"][:, -1:].expand(rows, 1)
        logits = step(model, encoded, tokens, self.positions[..., -1:], cache)[:, -1]
        return CachedRows(model, encoded, self.positions, cache, logits, 0, token_by_token)

    @classmethod
    def planned_row_bytes(
        cls, model: ProbeModel, encoded: Encoded, steps: int, unedited_part: SharedPrefixSpan = UNEDITED_NONE
    ) -> int:
        """Estimated memory of one row with ``steps`` tokens after the prompt, on the safe side."""
        return following_row_bytes(model, encoded.length, steps)


class CopiedPrefix(SharedPrefix):
    """One prefill, whose keys and values every row copies: slower, for attention that cannot be exchanged."""

    path = "shared prefix, copied for every row"
    for_rows = staticmethod(expand_rows)
    planned_row_bytes = Shared.planned_row_bytes


def _without_last(encoded: Encoded) -> dict[str, Tensor]:
    return {name: value[:, :-1] if name in PER_TOKEN else value for name, value in encoded.tensors.items()}
