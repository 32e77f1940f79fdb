"""Cache layers of many rows: those that hold a prompt once, and copies of all others."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves
from transformers import DynamicCache
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicLayer, DynamicSlidingWindowLayer

from mllm_probe.decoding.attention import Prefix
from mllm_probe.decoding.growing import GrowingLayer
from mllm_probe.models.layout import text_config
from mllm_probe.models.probe_model import ProbeModel


class PictureLayer(DynamicLayer):
    """Keys and values of an image, which cross-attention reads from the layer and nothing is appended to."""


_COPIES_ARE_APART = (DynamicLayer, DynamicSlidingWindowLayer, GrowingLayer, PictureLayer)
"""Layers whose shallow copies are independent: they never write to memory that another layer reads."""


class PrefixLayer(GrowingLayer):
    """Keys and values of prompts, each stored once, and those of the rows.

    `prefixes`: keys and values [1, heads, tokens, width] of every prompt, all of one length. `owners`: for every row,
    the prompt that it follows.
    """

    def __init__(self, prefixes: Sequence[tuple[Tensor, Tensor]], owners: Sequence[int]) -> None:
        super().__init__()
        self.prefixes, self.owners = list(prefixes), list(owners)
        self.runs = _runs(self.prefixes, self.owners)

    def update(self, key_states: Tensor, value_states: Tensor, *args: object, **named: object) -> tuple[Tensor, Tensor]:
        """Append to the rows' own keys and values; the keys carry the prompts as a mark."""
        # Set on the tensor at each append, as views of a tensor do not inherit its attributes.
        keys, values = super().update(key_states, value_states, *args, **named)
        keys.prefixes = self.runs  # type: ignore[attr-defined]
        return keys, values

    @property
    def own(self) -> int:
        """Tokens after the prompt."""
        return 0 if not self.is_initialized or self.keys is None or self.keys.numel() == 0 else self.keys.shape[-2]

    def get_seq_length(self) -> int:
        """Tokens of the prompt and after it."""
        return self.prefixes[0][0].shape[-2] + self.own

    def select(self, index: Tensor) -> PrefixLayer:
        """Rows ``index`` as a layer of their own; the prompts are shared."""
        chosen = PrefixLayer(self.prefixes, [self.owners[i] for i in index.tolist()])
        if self.is_initialized:
            chosen.lazy_initialization(self.keys, self.values)
            chosen.keys, chosen.values = _rows_of(self, index)
        return chosen


def empty_cache(model: ProbeModel) -> DynamicCache:
    """A cache for a prompt, with the kinds of layers that the text model needs."""
    config = text_config(model.hf)
    cache = DynamicCache(config=config)
    for block in getattr(config, "cross_attention_layers", None) or ():
        cache.layers[block] = PictureLayer()
    return cache


def require_own_keys(model: ProbeModel) -> None:
    """Raise where blocks read keys and values of a block below, so that all must compute the same rows."""
    if getattr(text_config(model.hf), "num_kv_shared_layers", None):
        raise NotImplementedError("layers share keys and values, so that blocks cannot be left out.")


def share_rows(cache: Cache, rows: int, device: torch.device) -> Cache:
    """A cache for ``rows`` rows that continue the only row of ``cache``; full attention stores the prompt once."""
    index = torch.zeros(rows, dtype=torch.long, device=device)
    return map_layers(cache, lambda layer: share_layer(layer, index))


def expand_rows(cache: Cache, rows: int, device: torch.device) -> Cache:
    """An independent cache that repeats the only row; keys and values are views until a step appends to them."""
    index = torch.zeros(rows, dtype=torch.long, device=device)
    return map_layers(cache, lambda layer: _expanded_layer(layer, index))


def select_rows(cache: Cache, index: Tensor | None) -> Cache:
    """An independent cache with rows ``index`` (None: all).

    Layers that never write where another reads are shared; all others are copied.
    """
    return map_layers(cache, lambda layer: select_layer(layer, index))


def shares_prefix(cache: Cache) -> bool:
    """Whether some layer of a cache holds a prompt once for all rows."""
    return any(isinstance(layer, PrefixLayer) for layer in getattr(cache, "layers", ()))


def cache_bytes(cache: Cache) -> int:
    """Memory of the tensors that a cache holds."""
    states = [vars(layer) for layer in getattr(cache, "layers", ())]
    # By address: rows and layers share a prompt's tensors, which count once.
    return sum({t.data_ptr(): t.nbytes for t in tree_leaves(states) if isinstance(t, Tensor)}.values())


def map_layers(cache: Cache, change: Callable[[CacheLayerMixin], CacheLayerMixin]) -> Cache:
    """A cache of changed layers, in order; a cache that has none is changed as a whole."""
    if not hasattr(cache, "layers"):
        return change(cache)
    chosen = copy.copy(cache)
    chosen.layers = [change(layer) for layer in cache.layers]
    return chosen


def cut_back(layer: CacheLayerMixin, tokens: int) -> CacheLayerMixin:
    """One layer without its last ``tokens``; what cross-attention reads of an image stays whole.

    Raises NotImplementedError, RuntimeError, ValueError if it does not hold the keys and values of every token.
    """
    if isinstance(layer, PictureLayer):
        return layer
    if type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer) or layer.get_seq_length() <= tokens:
        raise NotImplementedError(f"{type(layer).__name__} cannot be cut back by {tokens} tokens.")
    # `crop` rebinds the copy's keys and values. Transformers 5.24 refuses positive numbers (lengths to keep).
    chosen = copy.copy(layer)
    chosen.crop(-tokens)
    return chosen


def share_layer(layer: CacheLayerMixin, index: Tensor) -> CacheLayerMixin:
    """One layer with a single row, for as many rows as ``index`` has zeros; full attention keeps it once."""
    if type(layer) is not DynamicLayer or not layer.is_initialized:
        return _expanded_layer(layer, index)
    return PrefixLayer([(layer.keys, layer.values)], [0] * len(index))


def _expanded_layer(layer: CacheLayerMixin, index: Tensor) -> CacheLayerMixin:
    if type(layer) not in _COPIES_ARE_APART or not layer.is_initialized:
        return _copied(layer, index)
    chosen = copy.copy(layer)
    chosen.keys, chosen.values = (t.expand(len(index), *t.shape[1:]) for t in (layer.keys, layer.values))
    return chosen


def select_layer(layer: CacheLayerMixin, index: Tensor | None) -> CacheLayerMixin:
    """Rows ``index`` of one layer (None: all), independent of it."""
    if isinstance(layer, PrefixLayer) and index is not None:
        return layer.select(index)
    if not isinstance(layer, PrefixLayer) and (type(layer) not in _COPIES_ARE_APART or not layer.is_initialized):
        return _copied(layer, index)
    chosen = copy.copy(layer)
    if index is not None:
        chosen.keys, chosen.values = _rows_of(layer, index)
    return chosen


def _rows_of(layer: CacheLayerMixin, index: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values of some rows."""
    there = index.to(layer.keys.device)
    return layer.keys.index_select(0, there), layer.values.index_select(0, there)


def _copied(part: CacheLayerMixin, index: Tensor | None) -> CacheLayerMixin:
    # `batch_repeat_interleave` is missing on linear-attention and convolution layers; `reorder_cache` is on all of
    # them.
    whole = copy.deepcopy(part)
    if index is not None:
        whole.reorder_cache(index)
    return whole


def _runs(prefixes: Sequence[tuple[Tensor, Tensor]], owners: Sequence[int]) -> tuple[Prefix, ...]:
    """Neighbouring rows of one prompt together."""
    runs: list[Prefix] = []
    start = 0
    for row in range(1, len(owners) + 1):
        if row == len(owners) or owners[row] != owners[start]:
            runs.append(Prefix(start, row, *prefixes[owners[start]]))
            start = row
    return tuple(runs)
