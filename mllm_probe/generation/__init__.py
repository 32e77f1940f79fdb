"""Steered answers: generated, streamed, or by any call of the Hugging Face model; interactive sessions."""

from typing import TYPE_CHECKING

from mllm_probe.lazy_names import lazy_names

if TYPE_CHECKING:
    from mllm_probe.generation.generating import GenerationOutput, generate, steer, stream
    from mllm_probe.generation.streaming import Live, Stream
else:
    __getattr__, __dir__ = lazy_names(__name__)

__all__ = ["GenerationOutput", "Live", "Stream", "generate", "steer", "stream"]
