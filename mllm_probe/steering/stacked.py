"""Edits of many rows from the last prompt token on, as numbers and vectors that can be written into fixed tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mllm_probe.steering.positions import KINDS, LAST_PROMPT
from mllm_probe.steering.steering import Row, Steering
from mllm_probe.steering.tables import build_table

PHASES = ("last_prompt", "generated")
"""What is fed: the last prompt token, or tokens of the answer. Both use the vector and the norm of last_prompt."""

GENERATED = 1


@dataclass(frozen=True)
class Stacked:
    """All edits of a batch of rows; each is the change (constant + gain · (h·along − mean)) · direction.

    Attributes
    ----------
    place : int64 array [3, edits]
        Slot, index of the layer, row. Edits of one row at one layer stand in slots 0, 1, … and apply in this order.
    on : bool array [phases, edits]
        Whether the edit applies in a phase.
    direction, along : int64 array [edits]
        Which of ``vectors``; -1 where nothing is projected.
    scale, constant, gain, mean : float32 array [edits]
        ``scale`` is that of the direction.
    vectors : list of Tensor [hidden]
    differ : bool array [rows]
        Whether a row uses a vector that was captured at another scope.
    """

    place: np.ndarray
    on: np.ndarray
    direction: np.ndarray
    along: np.ndarray
    scale: np.ndarray
    constant: np.ndarray
    gain: np.ndarray
    mean: np.ndarray
    vectors: list[Tensor]
    differ: np.ndarray

    @property
    def slots(self) -> int:
        """How many edits meet at one layer of a row at most."""
        return int(self.place[0].max()) + 1 if self.place.shape[1] else 1

    @property
    def projects(self) -> bool:
        """Whether an edit depends on the activation: ablate and replace."""
        return bool((self.along >= 0).any())

    def bank(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        """The vectors as one tensor [vectors, hidden]."""
        return torch.stack([vector.to(device, dtype) for vector in self.vectors])


def phases_of(part: Steering) -> tuple[bool, bool]:
    """Whether a steering edits the last prompt token, and the generated ones."""
    return "last_prompt" in part.scope.names or "all" in part.scope.names, part.scope.generated


def stack(rows: Sequence[Row], layers: Mapping[int, int], dtype: torch.dtype) -> Stacked:
    """Stack the edits of rows.

    Parameters
    ----------
    rows : sequence of Steering, Composition or None
    layers : mapping of int to int
        Block → its index.
    dtype : torch.dtype
        Of the activations that are edited.

    Raises
    ------
    ValueError
        If a vector, norm or projection is missing, a dose is beyond ``dtype``, or a layer is not among ``layers``.
    """
    groups: dict[tuple[int, int, bool], list[tuple[int, Steering]]] = {}
    for line, row in enumerate(rows):
        filled: dict[int, int] = {}
        for part in () if row is None else row.parts:
            if part.strength == 0 or not any(phases_of(part)):
                continue
            for layer in part.layers:
                slot = filled.get(layer, 0)
                filled[layer] = slot + 1
                groups.setdefault((slot, layer, part.operation == "add"), []).append((line, part))
    return _stacked(groups, layers, len(rows), dtype)


def _stacked(
    groups: Mapping[tuple[int, int, bool], list[tuple[int, Steering]]],
    layers: Mapping[int, int],
    rows: int,
    dtype: torch.dtype,
) -> Stacked:
    vectors: list[Tensor] = []
    differ = np.zeros(rows, bool)
    numbers: list[list[Any]] = [[np.zeros(0)] for _ in range(9)]
    phases: list[tuple[bool, bool]] = []
    for (slot, layer, _), members in groups.items():
        if layer not in layers:
            raise ValueError(f"layer {layer} is not among the layers of this buffer: {', '.join(map(str, layers))}.")
        lines, parts = [line for line, _ in members], [part for _, part in members]
        kinds = np.arange(len(KINDS))[None].repeat(len(lines), 0) == LAST_PROMPT
        table = build_table(layer, lines, parts, kinds, slot, dtype)
        differ[lines] |= table.differ
        first, full = len(vectors), np.full
        along, dose = first + table.along[:, LAST_PROMPT], table.dose[:, LAST_PROMPT]
        count = len(lines)
        if table.towards is None:
            found = (along, full(count, -1), dose, full(count, 1), full(count, 0), full(count, 0))
        else:
            negative, towards = table.negative[:, LAST_PROMPT], first + table.towards[:, LAST_PROMPT]
            found = (towards, along, full(count, 1), full(count, 0), -dose, negative)
        vectors += table.bank.vectors
        for column, values in zip(numbers, (full(count, slot), full(count, layers[layer]), lines, *found), strict=True):
            column.append(values)
        phases += map(phases_of, parts)
    whole = [np.concatenate(column) for column in numbers]
    direction, along = whole[3:5]
    scale, constant, gain, mean = (values.astype(np.float32) for values in whole[5:])
    return Stacked(
        place=np.array(whole[:3], np.int64),
        on=np.array(phases, bool).reshape(-1, len(PHASES)).T,
        direction=direction.astype(np.int64),
        along=along.astype(np.int64),
        scale=scale,
        constant=constant,
        gain=gain,
        mean=mean,
        vectors=vectors,
        differ=differ,
    )
