"""Fixed tensors that hold the edits of a batch, and the arithmetic on the activations of one layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mllm_probe.steering.stacked import Stacked


@dataclass(frozen=True)
class Tensors:
    """Edits of as many rows as there is room for.

    Attributes
    ----------
    direction : Tensor [slots, layers, rows, hidden]
        Along which a row is changed, with the dose where that is fixed.
    along : Tensor [slots, layers, rows, hidden] or None
        On which the activation is projected; None where no operation does.
    numbers : Tensor [7, slots, layers, rows]
        Whether the edit applies to the last prompt token, whether to generated ones, constant, gain, mean, the length
        of ``direction``, and whether the edit applies to what is fed now.
    ratio : Tensor [slots, layers, rows]
        Sum of ‖Δh‖ / ‖h‖.
    """

    direction: Tensor
    along: Tensor | None
    numbers: Tensor
    ratio: Tensor

    @classmethod
    def empty(
        cls, shape: tuple[int, int, int, int], exchange: bool, device: torch.device, dtype: torch.dtype
    ) -> Tensors:
        """Room for [slots, layers, rows, hidden]; ``exchange``: for operations that project, too."""
        made = {"device": device, "dtype": dtype}
        return cls(
            torch.zeros(shape, **made),  # type: ignore[call-overload]
            torch.zeros(shape, **made) if exchange else None,  # type: ignore[call-overload]
            torch.zeros(7, *shape[:3], **made),  # type: ignore[call-overload]
            torch.zeros(shape[:3], device=device),
        )

    @property
    def slots(self) -> int:
        """How many edits may meet at one layer of a row."""
        return self.direction.shape[0]

    @property
    def nbytes(self) -> int:
        """Memory on the device."""
        held = (self.direction, self.along, self.numbers, self.ratio)
        return sum(t.numel() * t.element_size() for t in held if t is not None)

    def fill(self, stacked: Stacked) -> None:
        """Write edits in place; what stood there before is switched off."""
        slot, layer, row = stacked.place
        numbers = np.zeros((5, *self.ratio.shape), np.float32)
        values = (*stacked.on, stacked.constant, stacked.gain, stacked.mean)
        for number, value in zip(numbers, values, strict=True):
            number[slot, layer, row] = value
        self.numbers[:5].copy_(torch.from_numpy(numbers))
        self.ratio.zero_()
        if not stacked.vectors:
            return
        device, width = self.direction.device, self.direction.shape[-1]
        at = torch.from_numpy(np.ravel_multi_index((slot, layer, row), self.ratio.shape)).to(device)
        bank = stacked.bank(device, self.direction.dtype)
        scale = torch.from_numpy(stacked.scale).to(device)
        direction = scale[:, None] * bank[torch.from_numpy(stacked.direction).to(device)]
        self.direction.view(-1, width).index_copy_(0, at, direction)
        self.numbers[5].view(-1).index_copy_(0, at, direction.norm(dim=-1))
        if self.along is not None:
            along = torch.from_numpy(stacked.along.clip(0)).to(device)
            self.along.view(-1, width).index_copy_(0, at, bank[along])

    def of(self, rows: np.ndarray | None, count: int) -> Batch:
        """The edits of some rows: the first ``count`` in place, or copies of ``rows``."""
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

    def enter(self, phase: int) -> None:
        """Say what is fed from now on."""
        self.numbers[-1].copy_(self.numbers[phase])

    def edit(self, layer: int, hidden: Tensor, phase: int, counted: bool = True) -> Tensor:
        """Activations after the edits.

        Parameters
        ----------
        layer : int
            Index of the layer.
        hidden : Tensor [rows, tokens, hidden]
            Arithmetic is in float32 at least.
        phase : int
            Index into ``PHASES``, or -1 for the one that was entered.
        counted : bool
            Add the sizes of the changes up.

        Returns
        -------
        Tensor [rows, tokens, hidden]
            Rows without an edit as they are.
        """
        exact = self.direction.dtype
        for slot in range(self.direction.shape[0]):
            direction = self.direction[slot, layer].to(hidden.device)[:, None]
            numbers = self.numbers[:, slot, layer].to(hidden.device)
            old, size = hidden.to(exact), numbers[phase][:, None]
            if self.along is not None:
                along = self.along[slot, layer].to(hidden.device)[:, None]
                excess = (old * along).sum(-1) - numbers[4][:, None]
                size = size * (numbers[2][:, None] + numbers[3][:, None] * excess)
            if counted:
                smallest = torch.finfo(exact).tiny
                ratio = size.abs() * numbers[5][:, None] / torch.linalg.vector_norm(old, dim=-1).clamp_min(smallest)
                self.ratio[slot, layer] += ratio.sum(1).to(self.ratio)
            hidden = torch.addcmul(old, size[..., None], direction).to(hidden.dtype)
        return hidden
