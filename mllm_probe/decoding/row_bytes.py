"""Estimated memory per row, on the safe side, for each way of sharing a prompt."""

from __future__ import annotations

from mllm_probe.activations.free_memory import block_row_bytes, vision_row_bytes
from mllm_probe.models.inputs import Encoded
from mllm_probe.models.layout import text_config
from mllm_probe.models.probe_model import ProbeModel

_COPIES = 3
"""Copies of keys and values that exist while a batch is forked and its caches grow."""


def cache_row_bytes(model: ProbeModel, tokens: int) -> int:
    """Keys and values of ``tokens`` tokens in all blocks."""
    config = text_config(model.hf)
    heads = getattr(config, "num_attention_heads", None) or 16
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    width = getattr(config, "head_dim", None) or model.hidden_size // heads
    return 2 * len(model.layers) * key_heads * width * tokens * model.dtype.itemsize


def logit_row_bytes(model: ProbeModel, tokens: int) -> int:
    """Logits of ``tokens`` tokens in the model's type, and of one in float32 with its softmax."""
    return text_config(model.hf).vocab_size * (16 + tokens * model.dtype.itemsize)


def following_row_bytes(model: ProbeModel, prompt: int, steps: int) -> int:
    """A row that decodes ``steps`` tokens after a prompt that is stored once for all rows."""
    suffix = _COPIES * cache_row_bytes(model, steps)
    return suffix + block_row_bytes(model, 1, prompt + steps) + logit_row_bytes(model, steps)


def prompt_row_bytes(model: ProbeModel, prompt: int, steps: int) -> int:
    """A row that holds and runs the whole prompt itself."""
    whole = prompt + steps
    return (
        _COPIES * cache_row_bytes(model, whole) + block_row_bytes(model, whole, whole) + logit_row_bytes(model, steps)
    )


def resumed_row_bytes(model: ProbeModel, prompt: int, steps: int, columns: int, blocks: int) -> int:
    """A row that runs the last ``columns`` of a prompt through the last ``blocks``, then decodes ``steps`` tokens."""
    cached = _COPIES * cache_row_bytes(model, columns) * blocks // len(model.layers)
    return cached + block_row_bytes(model, columns, prompt) + following_row_bytes(model, prompt, steps)


def picture_row_bytes(model: ProbeModel, encoded: Encoded, steps: int) -> int:
    """A row that runs image and prompt at every step, with logits everywhere."""
    whole = encoded.length + steps
    return block_row_bytes(model, whole, whole) + vision_row_bytes(model, encoded) + logit_row_bytes(model, whole)
