"""Batches of rows that decode from a shared prompt: feeding tokens, forking, and selecting rows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache

from mllm_probe.decoding.attention import sharing_attention
from mllm_probe.decoding.cache_layers import select_rows, shares_prefix
from mllm_probe.models.caches import cache_argument
from mllm_probe.models.families import family_of
from mllm_probe.models.forward_arguments import forward_arguments
from mllm_probe.models.inputs import Encoded, append_tokens, join_inputs
from mllm_probe.models.position_ids import continuation_positions
from mllm_probe.models.probe_model import ProbeModel

_LAST_COLUMN = ("cross_attention_mask", "image_attention_mask")


class CachedRows:
    """Rows that decode from a key-value cache with ids [rows, n], explicit positions and no pixels.

    `encoded`: the prompt, one row.
    `positions`: its position ids, see ``models.prompt_positions``.
    `cache`: for as many rows as ``logits`` has.
    `logits`: Tensor [rows, vocabulary].
    `fed`: tokens that follow the prompt already.
    `one_by_one`: feed several tokens as single steps, for layers whose state only advances so.
    """

    def __init__(
        self,
        model: ProbeModel,
        encoded: Encoded,
        positions: Tensor,
        cache: Cache,
        logits: Tensor,
        fed: int = 0,
        one_by_one: bool = False,
    ) -> None:
        self.model, self.encoded, self.positions = model, encoded, positions
        self.cache, self.logits, self.fed, self.one_by_one = cache, logits, fed, one_by_one

    def feed(self, tokens: Tensor) -> Tensor:
        """Feed tokens [rows, n], on the host or the device; the logits after each of them, [rows, n, vocabulary]."""
        width = 1 if self.one_by_one else max(tokens.shape[1], 1)
        pieces = [self._step(tokens[:, i : i + width]) for i in range(0, tokens.shape[1], width)]
        logits = torch.cat(pieces, 1) if pieces else self.logits[:, None][:, :0]
        if pieces:
            self.logits = logits[:, -1]
        return logits

    def _step(self, tokens: Tensor) -> Tensor:
        positions = continuation_positions(self.positions, self.fed, tokens.shape[1])
        logits = step(self.model, self.encoded, tokens, positions, self.cache)
        self.fed += tokens.shape[1]
        return logits

    def fork(self, rows: Sequence[int] | None = None) -> CachedRows:
        """The same point again for some of the rows, independent of this one."""
        # On the host, where layers that share prompts read it; a device would be waited for once per layer.
        index = None if rows is None else torch.as_tensor(list(rows), dtype=torch.long)
        logits = self.logits if index is None else self.logits.index_select(0, index.to(self.logits.device))
        cache = select_rows(self.cache, index)
        return CachedRows(self.model, self.encoded, self.positions, cache, logits, self.fed, self.one_by_one)


class RecomputedRows:
    """Rows that run the whole sequence, image included, at every step: exact for every family, and slow.

    `tensors`: the prompt, once per row. `logits`: Tensor [rows, vocabulary]. `fed` (Tensor [rows, n] int64): tokens
    that follow the prompt already.
    """

    def __init__(self, model: ProbeModel, encoded: Encoded, logits: Tensor, fed: Tensor) -> None:
        self.model, self.encoded, self.logits, self.fed = model, encoded, logits, fed

    def feed(self, tokens: Tensor) -> Tensor:
        """Feed tokens [rows, n], on the host or the device; the logits after each of them, [rows, n, vocabulary]."""
        self.fed = torch.cat([self.fed, tokens.to(self.fed.device)], 1)
        if not tokens.shape[1]:
            return self.logits[:, None][:, :0]
        logits = whole_forward(self.model, self.encoded, self.fed, tokens.shape[1])[:, -tokens.shape[1] :]
        self.logits = logits[:, -1]
        return logits

    def fork(self, rows: Sequence[int] | None = None) -> RecomputedRows:
        """The same point again for some of the rows, independent of this one."""
        index = list(range(len(self.logits))) if rows is None else list(rows)
        return RecomputedRows(self.model, self.encoded, self.logits[index], self.fed[index])


Rows: TypeAlias = CachedRows | RecomputedRows
"""Rows after the prompt and the tokens that were fed; ``logits`` [rows, vocabulary] predict the next token."""


def steps_know_sample(model: ProbeModel, encoded: Encoded) -> bool:
    """Whether each step takes inputs of the sample in addition to its cache."""
    return family_of(model.hf.config).picture_each_step or any(name in encoded.tensors for name in _LAST_COLUMN)


def step(
    model: ProbeModel, encoded: Encoded, tokens: Tensor, positions: Tensor, cache: Cache, *, spread: bool = True
) -> Tensor:
    """One cached forward of ids [rows, n] at positions [1, n] or [axes, 1, n]; logits [rows, n, vocabulary].

    ``spread`` gives the model the positions of every row; otherwise those of one row are broadcast.
    """
    caller, rows, family = model.layout.caller, tokens.shape[0], family_of(model.hf.config)
    arguments: dict[str, Any] = {"input_ids": tokens.to(model.device), **cache_argument(caller, cache)}
    if "position_ids" in forward_arguments(caller):
        if spread or family.positions_from_ids:
            # Contiguous: `.view`, which a family may call on position ids, refuses an expanded tensor.
            positions = positions.expand(*positions.shape[:-2], rows, positions.shape[-1]).contiguous()
        arguments["position_ids"] = positions
    if family.picture_each_step:
        picture = encoded.tensors[family.encoded_picture]
        arguments[family.encoded_picture] = picture.expand(rows, *picture.shape[1:])
    for name in _LAST_COLUMN:
        if name in encoded.tensors:
            last = encoded.tensors[name][:, encoded.prompt_length - 1 :][:, :1]
            arguments[name] = last.expand(rows, tokens.shape[1], *last.shape[2:])
    # No `attention_mask`: with one new token, one of the full length crashes families with M-RoPE; None is causal.
    with sharing_attention(model) if shares_prefix(cache) else nullcontext():
        return caller(**arguments).logits


def whole_forward(model: ProbeModel, encoded: Encoded, following: Tensor, last: int | None = None) -> Tensor:
    """Forward of prompt, image and ``following`` [rows, n] without a cache; logits [rows, tokens, vocabulary].

    `last`: how many of the last positions get logits; all by default.
    """
    rows = following.shape[0]
    tensors = join_inputs([encoded.tensors] * rows, model.pad_token_id)
    if following.shape[1]:
        kind = family_of(model.hf.config).continuation_type
        tensors = append_tokens(tensors, following.tolist(), model.pad_token_id, kind)
    return model.hf(**tensors, use_cache=False, **logits_kept(model.hf, last)).logits


def logits_kept(module: nn.Module, last: int | None) -> dict[str, int]:
    """The argument that saves the logits of all but the last positions, where the module takes it."""
    return {"logits_to_keep": last} if last is not None and "logits_to_keep" in forward_arguments(module) else {}
