"""Preallocated tensors with the edits of a batch, and their arithmetic on the activations of one layer."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from mllm_probe.activations.device_array import index_tensors
from mllm_probe.steering.operations import affine_size
from mllm_probe.steering.stacked import PHASES, Stacked


@dataclass(frozen=True)
class Tensors:
    """Edits of all rows of a buffer.

    `direction` (Tensor [slots, layers, rows, hidden]): along which a row is changed.
    `along` (Tensor [slots, layers, rows, hidden] or None): on which the activation is projected; None where no
        operation does.
    `numbers` (Tensor [7, slots, layers, rows]): whether the edit applies to the last prompt token, whether to generated
        ones, constant, gain, mean, the length of ``direction``, and whether the edit applies to what is fed now.
    `ratio` (Tensor [slots, layers, rows]): sum of ‖Δh‖ / ‖h‖.
    """

    direction: Tensor
    along: Tensor | None
    numbers: Tensor
    ratio: Tensor

    @classmethod
    def empty(
        cls, shape: tuple[int, int, int, int], projects: bool, device: torch.device, dtype: torch.dtype
    ) -> Tensors:
        """Room for [slots, layers, rows, hidden]; ``projects``: for operations that project, too."""
        return cls(
            torch.zeros(shape, device=device, dtype=dtype),
            torch.zeros(shape, device=device, dtype=dtype) if projects else None,
            torch.zeros(7, *shape[:3], device=device, dtype=dtype),
            torch.zeros(shape[:3], device=device),
        )

    @property
    def slots(self) -> int:
        """How many edits may meet at one layer of a row."""
        return self.direction.shape[0]

    @property
    def all(self) -> list[Tensor]:
        """The tensors that there are."""
        return [t for t in (self.direction, self.along, self.numbers, self.ratio) if t is not None]

    @property
    def nbytes(self) -> int:
        """Memory on the device."""
        return sum(t.numel() * t.element_size() for t in self.all)

    def fill(self, stacked: Stacked) -> None:
        """Write edits in place; earlier ones are switched off."""
        slot, layer, row = stacked.place
        numbers = np.zeros((5, *self.ratio.shape), np.float32)
        values = (*stacked.on, stacked.constant, stacked.gain, stacked.mean)
        for number, value in zip(numbers, values, strict=True):
            number[slot, layer, row] = value
        # Vectors of earlier edits stay in `direction` and `along`: with on = 0 they add nothing, and clearing [slots,
        # layers, rows, hidden] at every move of a slider would cost more than the write. So they must stay finite.
        self.numbers[:5].copy_(torch.from_numpy(numbers))
        self.ratio.zero_()
        if not stacked.vectors:
            return
        device, width = self.direction.device, self.direction.shape[-1]
        places = np.ravel_multi_index((slot, layer, row), self.ratio.shape)
        # `clip`: -1 (nothing is projected) must be a valid index; the gain there is 0.
        at, own, other = index_tensors([places, stacked.direction, stacked.along.clip(0)], device)
        bank = stacked.bank(device, self.direction.dtype)
        direction = bank[own]
        self.direction.view(-1, width).index_copy_(0, at, direction)
        self.numbers[5].view(-1).index_copy_(0, at, direction.norm(dim=-1))
        if self.along is not None:
            self.along.view(-1, width).index_copy_(0, at, bank[other])

    def of(self, rows: np.ndarray | None, count: int) -> Batch:
        """The edits of some rows: the first ``count`` in place, or copies of ``rows``."""
        # Views for the whole batch, so that a later write reaches a recorded graph; copies once rows have left, as
        # their selection is no slice. Copies sum sizes from 0, see `EditBuffer.keep`.
        if rows is None:
            parts = [t if t is None else t[:, :, :count] for t in (self.direction, self.along, self.ratio)]
            return Batch(parts[0], parts[1], self.numbers[..., :count], parts[2])  # type: ignore[arg-type]
        at = torch.from_numpy(rows).to(self.ratio.device)
        along = None if self.along is None else self.along.index_select(2, at)
        ratio = torch.zeros(*self.ratio.shape[:2], count, device=self.ratio.device)
        return Batch(self.direction.index_select(2, at), along, self.numbers.index_select(3, at), ratio)


@dataclass(frozen=True)
class Batch:
    """Edits of the rows that are in the batch now; tensors as in :class:`Tensors`."""

    direction: Tensor
    along: Tensor | None
    numbers: Tensor
    ratio: Tensor
    _rows: dict[int, Tensor | None] = field(default_factory=dict, repr=False)
    _changes: dict[tuple[int, int], list[Change]] = field(default_factory=dict, repr=False)

    def enter(self, phase: int) -> None:
        """Select the phase of the next calls."""
        self.numbers[-1].copy_(self.numbers[phase])

    def changes(
        self, layer: int, phase: int, device: torch.device | None = None, rows: Tensor | None = None
    ) -> list[Change]:
        """The edits of one layer, in the order in which they apply.

        `layer`: index of the layer.
        `phase`: index into ``PHASES``, or -1 for the one that was entered.
        `device` (torch.device): where the layer is computed; where the tensors are by default.
        `rows` (Tensor int64): rows of the batch to edit; all by default.
        """
        device = self.ratio.device if device is None else device
        changes = []
        for slot in range(self.direction.shape[0]):
            numbers = _chosen(self.numbers[:, slot, layer], rows, 1).to(device)[..., None]
            direction = _chosen(self.direction[slot, layer], rows).to(device)[:, None]
            along = None if self.along is None else _chosen(self.along[slot, layer], rows).to(device)[:, None]
            changes.append(Change(direction, along, numbers[phase], numbers[2:], self.ratio[slot, layer], rows))
        return changes

    def prepared(self, layer: int, phase: int, device: torch.device) -> list[Change]:
        """The edits of the rows that a layer edits; computed once, so later writes have no effect on them."""
        key = (layer, phase)
        if key not in self._changes:
            self._changes[key] = self.changes(layer, phase, device, self.edited(layer))
        return self._changes[key]

    def edited(self, layer: int) -> Tensor | None:
        """Rows that a layer edits in any phase, int64; None where it is most of them."""
        if layer not in self._rows:
            rows = self.numbers[: len(PHASES), :, layer].amax((0, 1)).nonzero()[:, 0]
            self._rows[layer] = rows if 2 * len(rows) <= self.ratio.shape[-1] else None
        return self._rows[layer]


class Change:
    """One edit of many rows at one layer, with the products that are the same at all steps computed once.

    `direction`, `along`: Tensor [rows, 1, hidden].
    `weight` (Tensor [rows, 1]): 1 where the edit applies, else 0.
    `numbers` (Tensor [5, rows, 1]): constant, gain, mean, length of the direction, unused.
    `ratio` (Tensor [all rows]): sizes are added up here.
    `rows`: which of all rows these are.
    """

    def __init__(
        self,
        direction: Tensor,
        along: Tensor | None,
        weight: Tensor,
        numbers: Tensor,
        ratio: Tensor,
        rows: Tensor | None,
    ) -> None:
        self.direction, self.along, self.ratio, self.rows = direction, along, ratio, rows
        # on · (constant + gain · (h·along − mean)) with `on` multiplied in once: rows without an edit in this phase
        # change by exactly 0. Without `along`, |Δh| = |constant| · ‖direction‖ needs no norm at each step.
        self.constant, self.gain, self.mean = weight * numbers[0], weight * numbers[1], numbers[2]
        self.weight, self.length = self.constant[..., None], numbers[3]
        self.reach = self.constant.abs() * self.length

    def apply(self, hidden: Tensor, counted: bool = True) -> Tensor:
        """Activations after the edit; rows without one as they are.

        `hidden` (Tensor [rows, tokens, hidden]): arithmetic is in float32 at least. `counted`: add the sizes of the
        changes up.
        """
        old, weight, reach = hidden.to(self.direction.dtype), self.weight, self.reach
        if self.along is not None:
            size = affine_size(old, self.along, self.constant, self.gain, self.mean)
            weight, reach = size[..., None], size.abs() * self.length
        if counted:
            smallest = torch.finfo(old.dtype).tiny
            ratio = (reach / torch.linalg.vector_norm(old, dim=-1).clamp_min(smallest)).sum(1).to(self.ratio)
            self.ratio.add_(ratio) if self.rows is None else self.ratio.index_add_(0, self.rows, ratio)
        return torch.addcmul(old, weight, self.direction).to(hidden.dtype)


def _chosen(tensor: Tensor, rows: Tensor | None, dim: int = 0) -> Tensor:
    return tensor if rows is None else tensor.index_select(dim, rows)
