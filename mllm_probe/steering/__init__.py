"""Concept vectors, and steering with them: operations, token scopes, generation and receipts."""

from __future__ import annotations

from mllm_probe.steering.buffer import EditBuffer
from mllm_probe.steering.editor import Editor
from mllm_probe.steering.files import load_vectors, save_vectors
from mllm_probe.steering.generation import GenerationOutput, generate, steer, stream
from mllm_probe.steering.live import Live
from mllm_probe.steering.operations import Operation
from mllm_probe.steering.receipts import Receipt, RowReceipt
from mllm_probe.steering.steering import Composition, Steering, compose, editing
from mllm_probe.steering.streaming import Stream
from mllm_probe.steering.vectors import concept_vectors, vectors_from

__all__ = [
    "Composition",
    "EditBuffer",
    "Editor",
    "GenerationOutput",
    "Live",
    "Operation",
    "Receipt",
    "RowReceipt",
    "Steering",
    "Stream",
    "compose",
    "concept_vectors",
    "editing",
    "generate",
    "load_vectors",
    "save_vectors",
    "steer",
    "stream",
    "vectors_from",
]
