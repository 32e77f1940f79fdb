"""Reading the residual stream: hooks, capture, arrays that stay on the device, and their store."""

from __future__ import annotations

from mllm_probe.activations.hooks import active_hooks, attached, before_block

__all__ = ["active_hooks", "attached", "before_block"]
