"""Tiny random models of every family that can be made from a configuration, without a download."""

from __future__ import annotations

from mllm_probe.loading.zoo.speaking import tiny_llava, tiny_qwen

__all__ = ["tiny_llava", "tiny_qwen"]
