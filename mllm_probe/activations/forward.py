"""One forward pass that hands out the residual stream block by block, and stops after the last block asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any

import numpy as np
import torch

from mllm_probe.activations.edits import editing
from mllm_probe.activations.hooks import attached, resolve_layers
from mllm_probe.activations.written import read_as_written
from mllm_probe.models import Encoded, ProbeModel
from mllm_probe.typing import Edits, Layers


class _EnoughError(Exception):
    """Raised by the hook of the last block asked for, to leave the forward pass."""


def forward_hidden(
    model: ProbeModel,
    encoded: Encoded,
    layers: Layers = "all",
    positions: np.ndarray | torch.Tensor | None = None,
    *,
    steering: Edits | None = None,
) -> dict[int, torch.Tensor]:
    """Residual stream after the chosen blocks, at the chosen columns, from one forward pass.

    Parameters
    ----------
    model : ProbeModel
    encoded : Encoded
        One batch.
    layers : "all", int or iterable of int
        Blocks, -1 is the last.
    positions : int array [rows, k], optional
        Columns of the batch for each row; None is every column, padding included.
    steering : Steering or Composition, optional
        Edits applied during the pass; what is read at an edited block is its edited output.

    Returns
    -------
    dict of int to Tensor
        For each block [rows, k, width], in the model's type, on the block's device.
    """
    result: dict[int, torch.Tensor] = {}
    columns = None if positions is None else torch.as_tensor(positions)

    def keep(layer: int, hidden: torch.Tensor) -> None:
        if columns is None:
            result[layer] = hidden.clone()
        else:
            rows = torch.arange(len(hidden), device=hidden.device)[:, None]
            result[layer] = hidden[rows, columns.to(hidden.device)]

    run_forward(model, encoded, keep, resolve_layers(layers, len(model.layers)), steering=steering)
    return result


def run_forward(
    model: ProbeModel,
    encoded: Encoded,
    on_hidden: Callable[[int, torch.Tensor], None],
    layers: list[int],
    *,
    steering: Edits | None = None,
) -> None:
    """Run one batch and call ``on_hidden(layer, hidden [rows, tokens, width])`` for each of ``layers``.

    Without steering the pass ends at the last of ``layers``: the blocks above it and the head are not computed.
    With steering it runs to its end, so that receipts are complete; the head then reads one position where the
    family can be told so.
    """
    last = max(layers) if steering is None and not _managed(model) else None

    def hook(layer: int, hidden: torch.Tensor) -> None:
        if hidden.ndim != 3 or tuple(hidden.shape[:2]) != (encoded.rows, encoded.length):
            raise RuntimeError(
                f"block {layer} of {model.name} gives {tuple(hidden.shape)}, expected "
                f"[{encoded.rows}, {encoded.length}, width]: its positions are not those of the prompt, "
                "so they cannot be labelled."
            )
        on_hidden(layer, hidden)
        if layer == last:
            raise _EnoughError

    edits = nullcontext() if steering is None else editing(steering, model, encoded)
    reading = attached(model, hook, layers=layers)
    written = read_as_written(model, encoded)
    with model.lock.held(), torch.no_grad(), edits, reading, written as tensors, suppress(_EnoughError):
        model.hf(**{**_economies(model), **tensors})


def _economies(model: ProbeModel) -> dict[str, Any]:
    """Arguments that save a cache and the logits of positions nobody reads, where the model takes them."""
    accepted = inspect.signature(model.hf.forward).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in accepted.values())
    saved: dict[str, Any] = {"use_cache": False} if "use_cache" in accepted or takes_any else {}
    return saved | ({"logits_to_keep": 1} if "logits_to_keep" in accepted else {})


def _managed(model: ProbeModel) -> bool:
    """Whether accelerate moves weights around modules: a pass that is left early would not move them back."""
    return any(hasattr(module, "_hf_hook") for module in model.hf.modules())
