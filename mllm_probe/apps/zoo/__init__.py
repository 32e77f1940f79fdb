"""Tiny random models of every family that can be made from a configuration, without a download."""

from __future__ import annotations

from mllm_probe.apps.zoo import bidirectional, cross_attention, plain, rotary
from mllm_probe.apps.zoo.common import FAMILIES, Family, build
from mllm_probe.apps.zoo.speaking import tiny_gemma, tiny_llava, tiny_qwen

__all__ = [
    "FAMILIES",
    "Family",
    "bidirectional",
    "build",
    "cross_attention",
    "plain",
    "rotary",
    "tiny_gemma",
    "tiny_llava",
    "tiny_qwen",
]
