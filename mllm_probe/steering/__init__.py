"""Steerings: operations, controls, the general editor and the fast one, and receipts."""

from __future__ import annotations

# Not on first use: the editor registers what steering= takes.
from mllm_probe.activations.hooks import editing
from mllm_probe.steering.buffer import EditBuffer
from mllm_probe.steering.edit_plan import Receipt, RowReceipt
from mllm_probe.steering.editor import Editor
from mllm_probe.steering.intervention import Composition, Steering, compose
from mllm_probe.steering.operations import Affine, Operation

__all__ = [
    "Affine",
    "Composition",
    "EditBuffer",
    "Editor",
    "Operation",
    "Receipt",
    "RowReceipt",
    "Steering",
    "compose",
    "editing",
]
