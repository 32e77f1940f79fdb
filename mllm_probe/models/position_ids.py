"""Explicit position ids, because families with several rotary axes keep the last prompt's offset as hidden state."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mllm_probe.models.families import family_of
from mllm_probe.models.inputs import Encoded
from mllm_probe.models.layout import text_config

if TYPE_CHECKING:
    from mllm_probe.models.probe_model import ProbeModel


def prompt_positions(model: ProbeModel, encoded: Encoded) -> Tensor:
    """Position ids of a batch, as the model itself would set them.

    Returns: [rows, tokens], or [axes, rows, tokens] for families with rotary axes. Padding gets 0.
    """
    ids = encoded.tensors["input_ids"]
    mask = encoded.tensors.get("attention_mask", torch.ones_like(ids))
    plain = (mask.long().cumsum(-1) - 1).clamp(min=0).masked_fill(mask == 0, 0)
    indexer = _indexer(model)
    # The model's own indexer, called alone, leaves its stored offset (rope_deltas) as it is; a forward overwrites it.
    if indexer is None:
        first = text_config(model.hf).pad_token_id + 1 if family_of(model.hf.config).positions_from_ids else 0
        return plain + first
    if encoded.tensors.get("image_grid_thw") is None:
        return plain[None].expand(3, -1, -1)
    accepted = inspect.signature(indexer).parameters
    given = {name: value for name, value in encoded.tensors.items() if name in accepted and name != "input_ids"}
    return indexer(ids, **given)[0]


def continuation_positions(positions: Tensor, start: int, tokens: int = 1) -> Tensor:
    """Position ids of tokens that follow a prompt.

    `positions` (Tensor [rows, prompt] or [axes, rows, prompt]): from ``prompt_positions``, without a continuation.
    `start`: how many tokens came after the prompt already. `tokens`: how many come now. Returns Tensor [rows, tokens]
    or [axes, rows, tokens]: one more than the largest position of the row's prompt, and counting; the same on all axes.
    """
    # The largest position, not the number of tokens: under M-RoPE an image takes as many positions as its longer side,
    # so that text goes on from the largest on any axis.
    largest = positions.amax(-1) if positions.ndim == 2 else positions.amax((0, -1))[None].expand(len(positions), -1)
    steps = torch.arange(start + 1, start + tokens + 1, device=positions.device)
    return largest[..., None] + steps


def _indexer(model: ProbeModel) -> Any:
    inner = getattr(model.hf, "model", None)
    return getattr(inner, "get_rope_index", None)
