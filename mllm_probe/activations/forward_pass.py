"""One forward pass that calls back with the residual stream after each block, and stops after the last one needed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any

import torch

from mllm_probe import schema
from mllm_probe.activations.edits import editing
from mllm_probe.activations.generated_image_tokens import text_embeddings_of_generated_images
from mllm_probe.activations.hooks import attached
from mllm_probe.models import Encoded, ProbeModel
from mllm_probe.models.forward_arguments import forward_arguments
from mllm_probe.typing import Edits


class _EnoughError(Exception):
    """Raised by the hook of the last block needed, to leave the forward pass."""


def run_forward(
    model: ProbeModel,
    encoded: Encoded,
    on_hidden: Callable[[int, torch.Tensor], None],
    layers: list[int],
    *,
    steering: Edits | None = None,
) -> None:
    """Run one batch and call ``on_hidden(layer, hidden [rows, tokens, width])`` for each of ``layers``.

    Layers are coordinates: ``schema.INPUT`` is the input of block 0. Without steering the pass ends at the last of
    them: the blocks above it and the head are not computed. With steering it runs to its end, so that receipts are
    complete; the head then reads one position where the family's forward takes ``logits_to_keep``.
    """
    last = max(layers) if steering is None and not _managed(model) else None

    def hook(layer: int, hidden: torch.Tensor) -> None:
        if hidden.ndim != 3 or tuple(hidden.shape[:2]) != (encoded.rows, encoded.length):
            raise RuntimeError(
                f"{schema.site_name(layer)} of {model.name} ({model.family}) has {tuple(hidden.shape)}, expected "
                f"[{encoded.rows}, {encoded.length}, width]: its positions are not those of the prompt, "
                "so they cannot be labelled."
            )
        on_hidden(layer, hidden)
        # Leaving by an exception is the only way to skip the blocks above: hooks cannot end a forward pass otherwise.
        if layer == last:
            raise _EnoughError

    edits = nullcontext() if steering is None else editing(steering, model, encoded)
    reading = attached(model, hook, layers=schema.layer_names(layers))
    inputs = text_embeddings_of_generated_images(model, encoded)
    with model.lock.held(), torch.no_grad(), edits, reading, inputs as tensors, suppress(_EnoughError):
        model.hf(**{**_economies(model), **tensors})


def _economies(model: ProbeModel) -> dict[str, Any]:
    """Arguments that avoid a cache and unused logits, where the model takes them."""
    accepted = forward_arguments(model.hf)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in accepted.values())
    saved: dict[str, Any] = {"use_cache": False} if "use_cache" in accepted or takes_any else {}
    return saved | ({"logits_to_keep": 1} if "logits_to_keep" in accepted else {})


def _managed(model: ProbeModel) -> bool:
    """True if accelerate moves weights around modules: a pass that is left early would not move them back."""
    return any(hasattr(module, "_hf_hook") for module in model.hf.modules())
