"""Computing rows once in the blocks below their edit, where they do not differ yet.

A row edited at block l differs from the unsteered row, at blocks up to l, only by the tokens that it was fed. Rows with
the same tokens so far therefore share these blocks: a map of many layers pays for the blocks above each edit alone, as
long as its answers begin alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

from mllm_probe.activations.device_array import index_tensors
from mllm_probe.activations.hooks import attached, before_block
from mllm_probe.decoding.prefix import SharedPrefix
from mllm_probe.decoding.rows import (
    CachedRows,
    PrefixLayer,
    map_layers,
    require_unshared_keys,
    select_layer,
    share_layer,
    step,
)
from mllm_probe.decoding.shared_prompt import UNEDITED_NONE, SharedPrefixSpan
from mllm_probe.models.inputs import Encoded, continuation_positions
from mllm_probe.models.probe_model import ProbeModel


@dataclass(frozen=True)
class Grouping:
    """Grouping of the rows that one block computes together.

    `first` (int array [groups]): a row of each group. `row_to_group` (int array [rows]): the group of each row.
    """

    first: np.ndarray
    row_to_group: np.ndarray

    @property
    def alone(self) -> bool:
        """Whether every row is a group of its own, in order."""
        return len(self.first) == len(self.row_to_group)


class Groups:
    """At every block, which rows are computed once for all: those edited at or above it that were fed the same tokens.

    `edited` (int array [rows]): first block whose output is edited; the number of blocks for a row without edits.
    `history` (int array [rows]): equal for rows that were fed the same tokens.
    """

    def __init__(self, edited: np.ndarray, history: np.ndarray, blocks: int) -> None:
        self.edited, self.history, self.blocks = edited, history, blocks
        self.at = [self._grouped(block) for block in range(blocks)]

    def _grouped(self, block: int) -> Grouping:
        # A row edited below this block differs from all others: its key lies above every value of `history`, which is
        # less than the number of rows. The others differ by the tokens that they were fed alone.
        rows = np.arange(len(self.edited))
        key = np.where(self.edited < block, len(rows) + rows, self.history)
        _, first, row_to_group = np.unique(key, return_index=True, return_inverse=True)
        # np.unique numbers groups in the order of the keys. A block without sharing runs all rows without being
        # gathered, so that its cache has to be in the order of the rows.
        if len(first) == len(rows):
            return Grouping(rows, rows)
        return Grouping(first, row_to_group.reshape(-1))

    def fed(self, tokens: np.ndarray) -> Groups:
        """Groups after tokens [rows, n]; itself where no group has split."""
        _, history = np.unique(np.column_stack([self.history, tokens]), axis=0, return_inverse=True)
        # `history` is dense (0 … groups − 1), and more tokens can only split groups: with as many as before they are
        # the same ones, under the same numbers, as np.unique sorts by the old history first. (`reshape`: NumPy 2.0
        # gives the inverse two axes.)
        if history.max() == self.history.max():
            return self
        return Groups(self.edited, history.reshape(-1), self.blocks)

    def chosen(self, rows: np.ndarray) -> Groups:
        """Groups of some of the rows."""
        _, history = np.unique(self.history[rows], return_inverse=True)
        return Groups(self.edited[rows], history.reshape(-1), self.blocks)


class DepthRows(CachedRows):
    """Cached rows that share the blocks below their edits.

    `model`, `encoded`, `positions`, `cache`, `logits`, `fed`, `token_by_token`: as for ``CachedRows``; every layer of
    the cache holds the groups of its block.
    """

    def __init__(
        self,
        groups: Groups,
        model: ProbeModel,
        encoded: Encoded,
        positions: Tensor,
        cache: Cache,
        logits: Tensor,
        fed: int = 0,
        token_by_token: bool = False,
    ) -> None:
        super().__init__(model, encoded, positions, cache, logits, fed, token_by_token)
        self.groups = groups

    def _step(self, tokens: Tensor) -> Tensor:
        groups = self.groups.fed(tokens.cpu().numpy())
        if groups is not self.groups:
            self.cache = _regrouped(self.cache, self.groups, groups, np.arange(len(tokens)))
            self.groups = groups
        positions = continuation_positions(self.positions, self.fed, tokens.shape[1])
        with grouped_blocks(self.model, groups):
            # `spread=False`: position ids stay one line, as blocks compute groups, whose number differs from block to
            # block.
            logits = step(self.model, self.encoded, tokens, positions, self.cache, spread=False)
        self.fed += tokens.shape[1]
        return logits

    def fork(self, rows: Sequence[int] | None = None) -> DepthRows:
        """The same point again for some of the rows, independent of this one."""
        index = np.arange(len(self.logits)) if rows is None else np.asarray(list(rows), np.int64)
        groups = self.groups.chosen(index)
        cache = _regrouped(self.cache, self.groups, groups, index)
        logits = self.logits[torch.from_numpy(index).to(self.logits.device)]
        return DepthRows(groups, self.model, self.encoded, self.positions, cache, logits, self.fed, self.token_by_token)


class DepthPrefix(SharedPrefix):
    """One prefill, then rows that share the blocks below their edits as long as they were fed the same tokens."""

    path = "shared prefix, blocks below the edit shared"
    require = staticmethod(require_unshared_keys)

    def start(self, rows: int, unedited_part: SharedPrefixSpan = UNEDITED_NONE) -> CachedRows:
        """Run the last prompt token as ``rows`` rows."""
        if len(unedited_part.rows) != rows:
            return super().start(rows, unedited_part)
        return start_rows([self], np.zeros(rows, np.int64), unedited_part)


def start_rows(members: Sequence[SharedPrefix], owners: np.ndarray, unedited_part: SharedPrefixSpan) -> DepthRows:
    """Run the last token of prompts of one length, as many rows of each as ``owners`` [rows] names it."""
    first = members[0]
    model, encoded = first.model, first.encoded
    # The prompt is the first part of a row's history, so that rows of different prompts never share a block.
    groups = Groups(np.array(unedited_part.rows), owners, len(model.layers))
    cache = _cache_of_groups([member.cache for member in members], owners, groups, model.device)
    last = torch.cat([member.encoded.tensors["input_ids"][:, -1:] for member in members])
    tokens = last[torch.from_numpy(owners).to(last.device)]
    with grouped_blocks(model, groups):
        logits = step(model, encoded, tokens, first.positions[..., -1:], cache, spread=False)[:, -1]
    return DepthRows(groups, model, encoded, first.positions, cache, logits, 0, first.token_by_token)


def _cache_of_groups(caches: Sequence[Cache], owners: np.ndarray, groups: Groups, device: torch.device) -> Cache:
    """A cache whose layers hold the groups of their block, each following its own prompt."""
    # `map_layers` visits the layers in the order of the blocks, which this iterator and that of `_regrouped` rely on.
    by_block = iter(zip(groups.at, *(cache.layers[: len(groups.at)] for cache in caches), strict=True))

    def follow(layer: CacheLayerMixin) -> CacheLayerMixin:
        grouping, *layers = next(by_block)
        if len(layers) == 1:
            return share_layer(layer, torch.zeros(len(grouping.first), dtype=torch.long, device=device))
        return PrefixLayer([(prompt.keys, prompt.values) for prompt in layers], owners[grouping.first].tolist())

    return map_layers(caches[0], follow)


@contextmanager
def grouped_blocks(model: ProbeModel, groups: Groups) -> Iterator[None]:
    """Compute each group once inside the blocks; hooks and modules between the blocks see all rows.

    Masks and other inputs of a block that have a line per row are gathered with it; positions have one for all rows.
    """
    # Each block reads one line per group and its output is spread to all rows. The spreading hook runs before other
    # hooks (first=True), so hooks that edit or read a block's output always see one line per row; rows of one group are
    # edited at this block or above, so they are still equal up to there.
    count = len(groups.edited)
    shared = [block for block, grouping in enumerate(groups.at) if not grouping.alone]
    firsts, group_of_row = _index_tensors_by_block(groups, shared, model)

    def gather(block: int, hidden: Tensor) -> Tensor:
        return hidden.index_select(0, firsts[block].to(hidden.device))

    def gather_other(block: int, name: str, value: Any) -> Any:
        # Position ids have one line for all rows, but [axes, 1, n] has as many lines as rows where there are 3 rows.
        by_row = isinstance(value, Tensor) and value.ndim > 1 and len(value) == count and "position" not in name
        return value.index_select(0, firsts[block].to(value.device)) if by_row else value

    def spread(block: int, hidden: Tensor) -> Tensor:
        return hidden.index_select(0, group_of_row[block].to(hidden.device))

    if not shared:
        yield
        return
    gathered = before_block(model, gather, layers=shared, on_others=gather_other)
    with gathered, attached(model, spread, layers=shared, first=True):
        yield


def _index_tensors_by_block(
    groups: Groups, shared: list[int], model: ProbeModel
) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
    """By block the first row of each group and the group of each row, on the block's device."""
    # One copy for each device, not two for each block: a copy from the host waits for the device.
    by_device: dict[torch.device, list[int]] = {}
    for block in shared:
        by_device.setdefault(next(model.layout.blocks[block].parameters()).device, []).append(block)
    firsts: dict[int, Tensor] = {}
    group_of_row: dict[int, Tensor] = {}
    for device, blocks in by_device.items():
        arrays = [array for block in blocks for array in (groups.at[block].first, groups.at[block].row_to_group)]
        placed = index_tensors(arrays, device)
        firsts |= dict(zip(blocks, placed[::2], strict=True))
        group_of_row |= dict(zip(blocks, placed[1::2], strict=True))
    return firsts, group_of_row


def _regrouped(cache: Cache, old: Groups, new: Groups, rows: np.ndarray) -> Cache:
    """A cache for new groups. `rows` (int array [rows of new]): the row of ``old`` that each new row goes on from."""
    pairs = iter(zip(old.at, new.at, strict=True))

    def choose(layer: CacheLayerMixin) -> CacheLayerMixin:
        before, after = next(pairs)
        # Groups split and never join, so that any row of a new group leads to the old group that holds its keys.
        return select_layer(layer, torch.from_numpy(before.row_to_group[rows[after.first]]))

    return map_layers(cache, choose)
