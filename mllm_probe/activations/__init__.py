"""Reading the residual stream: hooks, capture, arrays that stay on the device, and their store."""

from __future__ import annotations

from mllm_probe.activations.accessor import TorchAccessor
from mllm_probe.activations.device_array import lazy, split_dimension, tensor_of
from mllm_probe.activations.hooks import active_hooks, attached, before_block, resolve_layers

__all__ = [
    "TorchAccessor",
    "active_hooks",
    "attached",
    "before_block",
    "lazy",
    "resolve_layers",
    "split_dimension",
    "tensor_of",
]
