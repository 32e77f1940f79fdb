"""The edits of a chunk of rows, from the last token of the prompt to the end of the answers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np

from mllm_probe.decoding.shared import Shared, UneditedPart, WholeForwards
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.steering.buffer import EditBuffer
from mllm_probe.steering.editor import Editor
from mllm_probe.steering.intervention import Row


class ChunkEdits:
    """Edits of all rows of a chunk.

    Rows that leave the prompt alone up to its last token and whose operation has an affine form are edited from a
    buffer; others, and those whose whole sequence is fed at every step, by an editor that finds the positions in each
    call.

    `steerings`: one per row.
    `shared`: the prompt of all rows.
    `steps`: how many tokens of the answer will be fed.
    `touches_prompt`: whether anything before the last prompt token is edited.
    """

    def __init__(
        self, model: ProbeModel, steerings: Sequence[Row], shared: Shared, steps: int, *, touches_prompt: bool
    ) -> None:
        self.model, self.steerings, self.shared = model, list(steerings), shared
        parts = [part for row in self.steerings if row is not None for part in row.parts]
        if touches_prompt or isinstance(shared, WholeForwards) or any(part.needs_editor for part in parts):
            self._edits: Editor | EditBuffer = Editor(model, self.steerings, prompt=shared.encoded, steps=steps)
        else:
            # A buffer has to have a layer, also for a chunk of the unsteered row alone.
            layers = sorted({layer for part in parts for layer in part.blocks}) or [0]
            self._edits = EditBuffer(model, len(self.steerings), layers, prompt=shared.encoded)
            self._edits.write(self.steerings, steps)

    @property
    def unedited_part(self) -> UneditedPart:
        """What the rows leave alone of their prompt."""
        return self._edits.unedited_part

    def beginning(self) -> AbstractContextManager[None]:
        """Edit the calls that feed the prompt's end and the answer's beginning."""
        return self._edits.attached()

    def following(self) -> AbstractContextManager[None]:
        """Edit the calls that go on."""
        return self._edits.attached("generated") if isinstance(self._edits, EditBuffer) else self._edits.attached()

    def again(self, rows: Sequence[int]) -> AbstractContextManager[None]:
        """Edit other calls that feed an answer to some of the rows, in any order; they are not counted."""
        if isinstance(self._edits, EditBuffer):
            return self._edits.attached("generated", rows=rows, counted=False)
        chosen = [self.steerings[row] for row in rows]
        return Editor(self.model, chosen, prompt=self.shared.encoded).attached()

    def keep(self, indices: Sequence[int]) -> None:
        """Go on with some of the current rows only."""
        self._edits.keep(indices)

    def edited(self) -> np.ndarray:
        """Positions of prompt and answer that were edited in each row, int32 [rows]."""
        return np.array([len(row.edited) + row.steps for row in self._edits.receipt()], np.int32)
