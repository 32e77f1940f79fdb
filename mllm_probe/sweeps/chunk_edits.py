"""The edits of a chunk of rows, from the last token of the prompt to the end of the answers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from mllm_probe.decoding.shared import Shared, UneditedPart, WholeForwards
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.steering.buffer import EditBuffer
from mllm_probe.steering.editor import Editor


class ChunkEdits:
    """Edits of all rows of a chunk.

    Rows that leave the prompt alone up to its last token and whose operation has an affine form are edited from a
    buffer; others, and those whose whole sequence is fed at every step, by an editor that finds the positions in each
    call.

    Parameters
    ----------
    model : ProbeModel
    steerings : sequence of Steering or None
        One per row.
    shared : Shared
        The prompt of all rows.
    steps : int
        How many tokens of the answer will be fed.
    touches_prompt : bool
        Whether anything before the last prompt token is edited.
    """

    def __init__(
        self, model: ProbeModel, steerings: Sequence[Any], shared: Shared, steps: int, *, touches_prompt: bool
    ) -> None:
        self.model, self.steerings, self.shared = model, list(steerings), shared
        self._buffer: EditBuffer | None = None
        parts = [part for row in self.steerings if row is not None for part in row.parts]
        if touches_prompt or isinstance(shared, WholeForwards) or any(part.needs_editor for part in parts):
            self._editor = Editor(model, self.steerings, prompt=shared.encoded, steps=steps)
        else:
            self._buffer = EditBuffer(model, len(self.steerings), self._layers(), prompt=shared.encoded)
            self._buffer.write(self.steerings, steps)

    def _layers(self) -> list[int]:
        parts = [part for row in self.steerings if row is not None for part in row.parts]
        return sorted({layer for part in parts for layer in part.layers}) or [0]

    @property
    def unedited_part(self) -> UneditedPart:
        """What the rows leave alone of their prompt."""
        return self._editor.unedited_part if self._buffer is None else self._buffer.unedited_part

    def beginning(self) -> AbstractContextManager[None]:
        """Edit the calls that feed the prompt's end and the answer's beginning."""
        return self._editor.attached() if self._buffer is None else self._buffer.attached()

    def following(self) -> AbstractContextManager[None]:
        """Edit the calls that go on."""
        return self._editor.attached() if self._buffer is None else self._buffer.attached("generated")

    def again(self, rows: Sequence[int]) -> AbstractContextManager[None]:
        """Edit other calls that feed an answer to some of the rows, in any order; they are not counted."""
        if self._buffer is not None:
            return self._buffer.attached("generated", rows=rows, counted=False)
        chosen = [self.steerings[row] for row in rows]
        return Editor(self.model, chosen, prompt=self.shared.encoded).attached()

    def keep(self, indices: Sequence[int]) -> None:
        """Go on with some of the current rows only."""
        (self._editor if self._buffer is None else self._buffer).keep(indices)

    def edited(self) -> np.ndarray:
        """Positions of prompt and answer that were edited in each row, int32 [rows]."""
        receipt = (self._editor if self._buffer is None else self._buffer).receipt()
        return np.array([len(row.edited) + row.steps for row in receipt], np.int32)
