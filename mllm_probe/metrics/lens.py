"""Logit lens: next-token logits from the residual stream of any layer (final norm, then head)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mllm_probe.models.layout import text_config

if TYPE_CHECKING:
    from mllm_probe.models import ProbeModel

_LOGITS_AT_ONCE = 1 << 26


def lens_logits(model: ProbeModel, hidden: Tensor) -> Tensor:
    """Logits of hidden states read through the model's own final norm, head, scale and soft cap.

    `hidden` (Tensor [..., hidden]): outputs of any block, before the final norm. Returns Tensor of float32 [...,
    vocabulary]: on the device of the head. For the last block these are the model's own.
    """
    head, norm, config = model.layout.head, model.layout.final_norm, text_config(model.hf)
    logits = head(hidden if norm is None else norm(hidden)).float() * (getattr(config, "logit_scale", None) or 1.0)
    cap = getattr(config, "final_logit_softcapping", None)
    return cap * torch.tanh(logits / cap) if cap else logits


def lens_chunks(model: ProbeModel, hidden: Tensor) -> Iterator[Tensor]:
    """Logits as :func:`lens_logits`, split along the first dimension so that each piece stays within 256 MB."""
    each = text_config(model.hf).vocab_size * hidden[:1].numel() // hidden.shape[-1]
    for part in hidden.split(max(_LOGITS_AT_ONCE // max(each, 1), 1)):
        yield lens_logits(model, part)
