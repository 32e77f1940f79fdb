"""Steered answers: generated, streamed, or by any call of the Hugging Face model; interactive sessions."""

from __future__ import annotations

from mllm_probe.generation.generating import GenerationOutput, generate, steer, stream
from mllm_probe.generation.live import Live
from mllm_probe.generation.streaming import Stream

__all__ = ["GenerationOutput", "Live", "Stream", "generate", "steer", "stream"]
