"""Calls of the model that a buffer edits: which columns of each are the last prompt token, and which the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from mllm_probe.models.caches import given_cache
from mllm_probe.steering.stacked import GENERATED
from mllm_probe.steering.tensors import Batch
from mllm_probe.tokens.positions import sequence_of

if TYPE_CHECKING:
    from mllm_probe.steering.buffer import EditBuffer


@dataclass(frozen=True)
class Piece:
    """Columns of a call that are edited alike, and whether they count."""

    columns: slice
    phase: int
    counted: bool


class Calls:
    """Calls of one ``with`` block, told apart by their number and by whether they have a cache.

    Parameters
    ----------
    buffer : EditBuffer
    phase : int
        What the first call feeds, an index into ``PHASES``.
    chosen : Batch or None
        Edits of the rows; by default those that the buffer has in the batch at each call.
    counted : bool
        Whether the calls are counted in the receipt.
    """

    def __init__(self, buffer: EditBuffer, phase: int, chosen: Batch | None, counted: bool) -> None:
        self.buffer, self.phase, self.chosen, self.counted = buffer, phase, chosen, counted
        self.shape = (0, 0)
        self.pieces: list[Piece] = []

    @property
    def batch(self) -> Batch:
        """Edits of the rows of this block."""
        return self.buffer.batch if self.chosen is None else self.chosen

    def begin(self, arguments: Mapping[str, Any]) -> None:
        """Read what a call feeds, before it runs."""
        ids, (lines, width) = sequence_of(arguments)
        rows = self.batch.ratio.shape[-1]
        if lines != rows:
            raise ValueError(f"the model was called with {lines} lines, but the buffer was attached for {rows} rows.")
        self.shape = (lines, width)
        if self.phase == GENERATED:
            self._answer(arguments, ids, width)
            return
        self.buffer.find_prompt(arguments, width)
        self.pieces = [Piece(slice(width - 1, width), self.phase, self.counted)]
        self._record(1, None)
        self.phase = GENERATED

    def _answer(self, arguments: Mapping[str, Any], ids: Tensor | None, width: int) -> None:
        """A call that feeds tokens of the answer, behind the prompt again where there is no cache."""
        if given_cache(arguments) is not None:
            self.pieces = [Piece(slice(0, width), GENERATED, self.counted)]
            self._record(width, ids)
            return
        self.buffer.require_untouched_prompt()
        behind = self.buffer.prompt_columns
        fresh = behind + self.buffer.answered
        self.pieces = [
            Piece(slice(behind - 1, behind), 1 - GENERATED, False),
            Piece(slice(behind, fresh), GENERATED, False),
            Piece(slice(fresh, width), GENERATED, self.counted),
        ]
        self._record(width - fresh, None if ids is None else ids[:, fresh:])

    def _record(self, columns: int, ids: Tensor | None) -> None:
        if self.counted:
            self.buffer.record(self.phase, columns, ids)

    def edit(self, layer: int, hidden: Tensor) -> Tensor:
        """A block's output with the edits in."""
        if hidden.shape[:2] != self.shape:
            raise RuntimeError(
                f"block {layer} of {self.buffer.model.name} sees {tuple(hidden.shape[:2])} lines and positions, but "
                f"the model was called with {self.shape}: this family changes the sequence inside, or a block ran "
                "outside a call of the whole model."
            )
        rows = self.batch.edited(self.buffer.index_of(layer))
        part = hidden if rows is None else hidden.index_select(0, rows.to(hidden.device))
        changed = self._changed(layer, part)
        return changed if rows is None else hidden.index_copy(0, rows.to(hidden.device), changed)

    def _changed(self, layer: int, hidden: Tensor) -> Tensor:
        whole = self.pieces[0]
        if len(self.pieces) == 1 and whole.columns == slice(0, hidden.shape[1]):
            return self._applied(layer, hidden, whole)
        out = hidden.clone()
        for piece in (piece for piece in self.pieces if piece.columns.start < piece.columns.stop):
            out[:, piece.columns] = self._applied(layer, hidden[:, piece.columns], piece)
        return out

    def _applied(self, layer: int, hidden: Tensor, piece: Piece) -> Tensor:
        for change in self.batch.prepared(self.buffer.index_of(layer), piece.phase, hidden.device):
            hidden = change.apply(hidden, piece.counted)
        return hidden
