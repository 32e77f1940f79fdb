"""Base class of the ways in which rows share a prompt, and the one that shares nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from mllm_probe.decoding.row_bytes import picture_row_bytes, prompt_row_bytes
from mllm_probe.decoding.rows import RecomputedRows, Rows, whole_forward
from mllm_probe.models.inputs import Encoded
from mllm_probe.models.position_ids import prompt_positions
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.typing import CallArguments


@dataclass(frozen=True)
class UneditedPart:
    """Blocks and columns that no row of a batch edits, so that they may be taken from the unsteered run.

    `layer`: blocks below this one are not edited; ``schema.INPUT`` where the input of block 0 is. `column`: neither are
    columns of the prompt before this one, at any block. `rows`: for every row, the first block whose output is edited,
    and the number of blocks for a row without edits; empty where that is not known.
    """

    layer: int = 0
    column: int = 0
    rows: tuple[int, ...] = ()


NOTHING = UneditedPart()


class Shared:
    """State that all rows of one sample share.

    `encoded`: one sample: image and prompt.
    `one_by_one`: whether rows must take several tokens as single steps.
    `read_layers`: blocks whose output is to be kept in ``unedited`` where rows do not compute it; ``schema.INPUT`` for
        what enters block 0.
    `path`: name of the way, for attributes.
    `nbytes`: memory on the device.
    `unedited`: outputs of blocks [1, tokens, width] on the columns that no row computes.
    """

    path = ""

    def __init__(
        self, model: ProbeModel, encoded: Encoded, one_by_one: bool = False, read_layers: Iterable[int] = ()
    ) -> None:
        self.model, self.encoded, self.one_by_one = model, encoded, one_by_one
        self.positions = prompt_positions(model, encoded)
        self.unedited: dict[int, Tensor] = {}
        self.nbytes = sum(t.nbytes for t in encoded.tensors.values())

    def _take_positions(self, named: CallArguments) -> None:
        """Use the positions that the text model was given, where they have one axis: some families count from 1."""
        positions = named.get("position_ids")
        if isinstance(positions, Tensor) and positions.ndim == 2 and self.positions.ndim == 2:
            missing = self.positions.shape[1] - positions.shape[1]
            following = positions[:1, -1:] + torch.arange(1, missing + 1, device=positions.device)
            self.positions = torch.cat([positions[:1], following], 1)

    def start(self, rows: int, unedited_part: UneditedPart = NOTHING) -> Rows:
        """``rows`` rows at the end of the prompt; edits of hooks that are attached apply to what is computed here."""
        raise NotImplementedError

    @classmethod
    def planned_row_bytes(
        cls, model: ProbeModel, encoded: Encoded, steps: int, unedited_part: UneditedPart = NOTHING
    ) -> int:
        """Estimated memory of one row with ``steps`` tokens after the prompt, on the safe side."""
        return prompt_row_bytes(model, encoded.length, steps)


class WholeForwards(Shared):
    """Nothing is shared: every row runs image and prompt, at every step. The reference, exact for every family."""

    path = "whole forwards"

    def start(self, rows: int, unedited_part: UneditedPart = NOTHING) -> RecomputedRows:
        """Run image and prompt ``rows`` times."""
        none = torch.zeros(rows, 0, dtype=torch.long, device=self.model.device)
        logits = whole_forward(self.model, self.encoded, none, last=1)[:, -1]
        return RecomputedRows(self.model, self.encoded, logits, none)

    @classmethod
    def planned_row_bytes(
        cls, model: ProbeModel, encoded: Encoded, steps: int, unedited_part: UneditedPart = NOTHING
    ) -> int:
        """Estimated memory of one row with ``steps`` tokens after the prompt, on the safe side."""
        return picture_row_bytes(model, encoded, steps)
