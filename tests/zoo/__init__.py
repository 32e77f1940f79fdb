"""Tiny random models of every family that can be made from a configuration, without a download."""

from __future__ import annotations

from mllm_probe.reports.bundled_studies import untrained_qwen as tiny_qwen
from tests.zoo import bidirectional, cross_attention, plain, rotary
from tests.zoo.common import FAMILIES, Family, build
from tests.zoo.speaking import tiny_gemma, tiny_llava

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
