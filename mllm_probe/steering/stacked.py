"""Edits of many rows from the last prompt token on, as numbers and vectors that can be written into fixed tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mllm_probe.steering.intervention import Row, Steering
from mllm_probe.steering.tables import AffineTable, Members, build_tables
from mllm_probe.tokens.kinds import KINDS, LAST_PROMPT

PHASES = ("last_prompt", "generated")
"""What is fed: the last prompt token, or tokens of the answer. Both use the vector and the norm of last_prompt."""

LAST, GENERATED = range(len(PHASES))


@dataclass(frozen=True)
class Stacked:
    """All edits of a batch of rows; each is the change (constant + gain · (h·along − mean)) · direction.

    `place` (int64 array [3, edits]): slot, index of the layer, row. Edits of one row at one layer have slots 0, 1, …
        and apply in this order.
    `on` (bool array [phases, edits]): whether the edit applies in a phase.
    `direction`, `along` (int64 array [edits]): which of ``vectors``; -1 where nothing is projected.
    `constant`, `gain`, `mean`: float32 array [edits].
    `vectors`: list of Tensor [hidden].
    `differ` (bool array [rows]): whether a row uses a vector that was captured at another scope.
    """

    place: np.ndarray
    on: np.ndarray
    direction: np.ndarray
    along: np.ndarray
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
        """Whether an edit depends on the activation, as ablate and replace do."""
        return bool((self.along >= 0).any())

    def bank(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        """The vectors as one tensor [vectors, hidden]."""
        return torch.stack([vector.to(device, dtype) for vector in self.vectors])


def phases_of(part: Steering) -> tuple[bool, bool]:
    """Whether a steering edits the last prompt token, and the generated ones."""
    return part.scope.last_prompt, part.scope.generated


def stack(rows: Sequence[Row], layers: Mapping[int, int], dtype: torch.dtype) -> Stacked:
    """Stack the edits of rows.

    `layers`: block → its index. `dtype`: of the activations that are edited. Raises ValueError if a vector, norm or
    projection is missing, a dose is beyond ``dtype``, a layer is not among ``layers``, or an operation has no affine
    form.
    """
    groups: dict[tuple[int, int], list[tuple[int, Steering]]] = {}
    for line, row in enumerate(rows):
        filled: dict[int, int] = {}
        for part in () if row is None else row.parts:
            if part.strength == 0 or not any(phases_of(part)):
                continue
            for layer in part.blocks:
                slot = filled.get(layer, 0)
                filled[layer] = slot + 1
                groups.setdefault((slot, layer), []).append((line, part))
    tables = [_tables(slot, layer, members, layers, dtype) for (slot, layer), members in groups.items()]
    return _joined([table for built in tables for table in built], len(rows), layers)


def _tables(
    slot: int, layer: int, members: Members, layers: Mapping[int, int], dtype: torch.dtype
) -> list[AffineTable]:
    if layer not in layers:
        raise ValueError(f"layer {layer} is not among the layers of this buffer: {', '.join(map(str, layers))}.")
    # One kind for both phases: a generated token takes the vector and the residual norm of the last prompt token.
    kinds = np.arange(len(KINDS))[None].repeat(len(members), 0) == LAST_PROMPT
    tables = []
    for table in build_tables(layer, members, kinds, slot, dtype):
        if not isinstance(table, AffineTable):
            raise ValueError(
                f"operation '{table.operation.name}' has no affine form, which edits from a buffer need: "  # type: ignore[attr-defined]
                "run these rows with an Editor."
            )
        tables.append(table)
    return tables


def _joined(tables: Sequence[AffineTable], rows: int, layers: Mapping[int, int]) -> Stacked:
    vectors: list[Tensor] = []
    differ = np.zeros(rows, bool)
    columns = [np.zeros((8, 0))]
    phases: list[tuple[bool, bool]] = []
    for table in tables:
        differ[table.lines] |= table.differ
        own = np.empty((8, len(table.lines)))
        own[0], own[1], own[2], own[4] = table.slot, layers[table.layer], table.lines, -1
        for number, name in ((3, "direction"), (4, "along")):
            # Each table counts its bank's vectors from 0; joined, they follow those of the tables before.
            if name in table.indices:
                own[number] = len(vectors) + table.indices[name][:, LAST_PROMPT]
        for number, name in ((5, "constant"), (6, "gain"), (7, "mean")):
            own[number] = table.numbers[name][:, LAST_PROMPT]
        columns.append(own)
        vectors += table.bank.vectors
        phases += map(phases_of, table.steerings)
    whole = np.concatenate(columns, 1)
    slot, layer, row, direction, along = whole[:5].astype(np.int64)
    constant, gain, mean = whole[5:].astype(np.float32)
    return Stacked(
        place=np.stack([slot, layer, row]),
        on=np.array(phases, bool).reshape(-1, len(PHASES)).T,
        direction=direction,
        along=along,
        constant=constant,
        gain=gain,
        mean=mean,
        vectors=vectors,
        differ=differ,
    )
