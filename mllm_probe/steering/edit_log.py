"""Log of the forwards that an edit buffer took part in; receipts are computed from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mllm_probe.steering.intervention import Row
from mllm_probe.steering.receipts import PartRecord, RowReceipt, row_receipt
from mllm_probe.steering.stacked import GENERATED, Stacked, phases_of


@dataclass(frozen=True)
class ModelCall:
    """One forward of the model.

    `rows` (int array [rows of the batch]): numbers of the rows in the buffer.
    `phase`: index into ``PHASES``.
    `columns`: tokens per row.
    `ids` (Tensor [rows of the batch, columns] or None): token ids, None for the last prompt token.
    """

    rows: np.ndarray
    phase: int
    columns: int
    ids: Tensor | None


class EditLog:
    """Forwards of one batch of rows.

    `stacked`: their edits. `layers`: blocks by index. `ends`: token ids that end an answer.
    """

    def __init__(self, rows: Sequence[Row], stacked: Stacked, layers: Sequence[int], ends: Iterable[int]) -> None:
        self.rows, self.stacked, self.layers = list(rows), stacked, layers
        self.ends = torch.tensor(sorted(ends), dtype=torch.long)
        self.calls: list[ModelCall] = []

    def receipts(self, last: int | None, ratio: np.ndarray) -> tuple[RowReceipt, ...]:
        """One receipt per row.

        `last`: position of the last prompt token, None where it is not known yet. `ratio` (float array [rows]): sum of
        ‖Δh‖ / ‖h‖ over all edits.
        """
        calls = list(self.calls)
        fed = np.zeros((2, len(self.rows)), np.int64)
        for call in calls:
            fed[call.phase, call.rows] += call.columns
        answered = self._answered(calls)
        # Σ over phases of (edits of the row in the phase) · (columns fed in it): how many times ‖Δh‖/‖h‖ was summed up.
        edits = np.stack([np.bincount(self.stacked.place[2][on], minlength=len(fed[0])) for on in self.stacked.on])
        count = (edits * fed).sum(0)
        size = np.divide(ratio, count, out=np.full(len(count), np.nan), where=count > 0)
        own = self._layers_of_rows()
        return tuple(
            self._receipt(line, row, own[line], bool(fed[0, line]), int(answered[line]), float(size[line]), last)
            for line, row in enumerate(self.rows)
        )

    def _receipt(
        self, line: int, row: Row, layers: set[int], began: bool, answered: int, size: float, last: int | None
    ) -> RowReceipt:
        planned = [part for part in row.parts if part.strength != 0] if row is not None and layers else []
        records = []
        for part in planned:
            at_prompt_end, generated = phases_of(part)
            quiet = part.scope.without_effect(began, answered > 0)
            selected = {last} if at_prompt_end and last is not None else set()
            records.append(
                PartRecord(
                    steering=part,
                    selected=selected,
                    edited=selected if began else (),
                    steps=range(answered) if generated else (),
                    fired={name: name not in quiet for name in part.scope.names},
                )
            )
        return row_receipt(row, records, layers, size, bool(self.stacked.differ[line]))

    def _layers_of_rows(self) -> list[set[int]]:
        own: list[set[int]] = [set() for _ in self.rows]
        for _, layer, line in self.stacked.place.T.tolist():
            own[line].add(self.layers[layer])
        return own

    def _answered(self, calls: Sequence[ModelCall]) -> np.ndarray:
        """Generated columns that each row was fed before the end of its answer."""
        answered = np.zeros(len(self.rows), np.int64)
        ended = np.zeros(len(self.rows), bool)
        for call in calls:
            if call.phase != GENERATED:
                continue
            stops = np.zeros((len(call.rows), call.columns), bool)
            if call.ids is not None:
                stops = torch.isin(call.ids.cpu(), self.ends).numpy()
            # The end token itself is fed back, but no longer counts as a step of the answer.
            for column in stops.T:
                ended[call.rows] |= column
                answered[call.rows] += ~ended[call.rows]
        return answered
