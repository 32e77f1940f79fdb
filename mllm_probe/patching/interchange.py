"""The edit of an interchange: positions of some rows take the activations of other runs at the same layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mllm_probe import schema
from mllm_probe.activations.device_array import index_tensors
from mllm_probe.activations.hooks import attached
from mllm_probe.models import ProbeModel
from mllm_probe.steering.editor import past_length
from mllm_probe.tokens.positions import sequence_of
from mllm_probe.typing import CallArguments

States = Mapping[int, Tensor]
"""Residual stream [tokens, width] of one run by layer."""
OWN = -1
"""In place of a donor: the run itself, which is row 0 of its batch."""


@dataclass(frozen=True, eq=False)
class PatchRows:
    """Rows of one batch on one prompt: row 0 is left alone, each other one takes some positions from a donor.

    `columns`: of each row but row 0, the positions that it takes. `donors`: of each row but row 0, the number of its
    donor, or ``OWN``.
    """

    columns: Sequence[np.ndarray]
    donors: Sequence[int]
    _on: dict[torch.device, list[Tensor]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of rows, row 0 included."""
        return 1 + len(self.columns)

    @cached_property
    def bounds(self) -> tuple[int, int]:
        """First and last position that any row takes; (0, -1) where none does."""
        taken = np.concatenate([np.zeros(0, np.int64), *self.columns])
        return (int(taken.min()), int(taken.max())) if len(taken) else (0, -1)

    def on(self, device: torch.device) -> list[Tensor]:
        """Line and column of positions from row 0; line, column and donor of the others. One upload per device."""
        if device not in self._on:
            donors = np.repeat(np.asarray(self.donors, np.int64), [len(own) for own in self.columns])
            lines = np.repeat(np.arange(1, self.count), [len(own) for own in self.columns])
            columns = np.concatenate([np.zeros(0, np.int64), *self.columns])
            own = donors == OWN
            arrays = [lines[own], columns[own], lines[~own], columns[~own], donors[~own]]
            self._on[device] = index_tensors(arrays, device)
        return self._on[device]


class Interchange:
    """Edits the forwards of a model so that rows take positions of other runs at some layers.

    `layers`: Coordinates. `donors`: states of each donor, at these layers at least. `edited`: how often each layer was
    edited.
    """

    def __init__(self, model: ProbeModel, rows: PatchRows, layers: Sequence[int], donors: Sequence[States]) -> None:
        self.model, self.rows, self.layers, self.donors = model, rows, list(layers), list(donors)
        self.edited = dict.fromkeys(self.layers, 0)
        self._start = self._width = 0

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Edit the calls that this thread makes while the ``with`` block runs."""
        with attached(self.model, self._edit, layers=schema.layer_names(self.layers), on_call=self._begin):
            yield

    def _begin(self, arguments: CallArguments) -> None:
        _, (_, self._width) = sequence_of(arguments)
        self._start = past_length(arguments, self._width)

    def _edit(self, layer: int, hidden: Tensor) -> Tensor | None:
        if hidden.ndim != 3 or tuple(hidden.shape[:2]) != (self.rows.count, self._width):
            raise RuntimeError(
                f"{schema.site_name(layer)} of {self.model.name} ({self.model.family}) has {tuple(hidden.shape)}, "
                f"expected [{self.rows.count}, {self._width}, width]: this family changes the sequence inside, so that "
                "positions of the prompt cannot be found in it."
            )
        first, last = self.rows.bounds
        if last < self._start:  # a later token is fed, or no row takes anything
            # Rows that take nothing (last = −1) count as patched; rows whose positions lie before this call do not.
            self.edited[layer] += last < 0
            return None
        assert first >= self._start, "rows were started behind the first position that they take"
        own_line, own_column, line, column, donor = self.rows.on(hidden.device)
        changed = hidden.clone()
        if len(own_line):
            changed[own_line, own_column - self._start] = hidden[0, own_column - self._start]
        if len(line):
            bank = torch.stack([states[layer].to(hidden) for states in self.donors])
            changed[line, column - self._start] = bank[donor, column]
        self.edited[layer] += 1
        return changed
