"""How much memory a row takes, on the safe side, by what the rows share."""

from __future__ import annotations

from typing import Any

import torch

from mllm_probe.models.inputs import Encoded
from mllm_probe.models.layout import text_config
from mllm_probe.models.probe_model import ProbeModel

_COPIES = 3
"""Times that keys and values exist while a batch branches off and its caches grow."""
_BLOCK_WIDTHS = 12
_PICTURE = 40


def cache_row_bytes(model: ProbeModel, tokens: int) -> int:
    """Keys and values of ``tokens`` tokens in all blocks."""
    config = text_config(model.hf)
    heads = getattr(config, "num_attention_heads", None) or 16
    kept = getattr(config, "num_key_value_heads", None) or heads
    width = getattr(config, "head_dim", None) or model.hidden_size // heads
    return 2 * len(model.layers) * kept * width * tokens * _size(model)


def block_row_bytes(model: ProbeModel, tokens: int, keys: int) -> int:
    """What one block holds of one row at a time: its wide tensors and its attention scores over ``keys`` keys."""
    config = text_config(model.hf)
    inner = getattr(config, "intermediate_size", None)
    inner = inner if isinstance(inner, int) else 4 * model.hidden_size
    heads = getattr(config, "num_attention_heads", None) or 16
    return tokens * (_BLOCK_WIDTHS * model.hidden_size + 3 * inner + keys * heads) * _size(model)


def logit_row_bytes(model: ProbeModel, tokens: int) -> int:
    """Logits of ``tokens`` tokens in the model's type, and of one in float32 with what is made of it."""
    return text_config(model.hf).vocab_size * (16 + tokens * _size(model))


def following_row_bytes(model: ProbeModel, prompt: int, steps: int) -> int:
    """A row that goes on from a prompt that is held once, for ``steps`` tokens."""
    suffix = _COPIES * cache_row_bytes(model, steps)
    return suffix + block_row_bytes(model, 1, prompt + steps) + logit_row_bytes(model, steps)


def prompt_row_bytes(model: ProbeModel, prompt: int, steps: int) -> int:
    """A row that holds and runs the whole prompt itself."""
    whole = prompt + steps
    return (
        _COPIES * cache_row_bytes(model, whole) + block_row_bytes(model, whole, whole) + logit_row_bytes(model, steps)
    )


def resumed_row_bytes(model: ProbeModel, prompt: int, steps: int, columns: int, blocks: int) -> int:
    """A row that runs the last ``columns`` of a prompt through the last ``blocks`` and goes on with what these keep."""
    kept = _COPIES * cache_row_bytes(model, columns) * blocks // len(model.layers)
    return kept + block_row_bytes(model, columns, prompt) + following_row_bytes(model, prompt, steps)


def picture_row_bytes(model: ProbeModel, encoded: Encoded, steps: int) -> int:
    """A row that runs picture and prompt at every step, with logits everywhere."""
    whole = encoded.length + steps
    pixels: Any = sum(t.numel() for t in encoded.tensors.values() if t.is_floating_point())
    return block_row_bytes(model, whole, whole) + _PICTURE * pixels * _size(model) + logit_row_bytes(model, whole)


def _size(model: ProbeModel) -> int:
    return torch.empty((), dtype=model.dtype).element_size()
