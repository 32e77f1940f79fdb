"""Directions of the edits of rows, to project what was recorded of each row on its own edit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mllm_probe.steering.controls import is_shared
from mllm_probe.steering.intervention import Steering
from mllm_probe.sweeps.cells import Cell, distinct_edits

if TYPE_CHECKING:
    from mllm_probe.sweeps.job import Job


class EditDirections:
    """Unit vectors along which rows are edited, or would be, at any layer.

    `steerings`: one per row.
    """

    def __init__(self, steerings: Sequence[Steering]) -> None:
        self.steerings = list(steerings)
        self._uploaded: dict[tuple[torch.device, int], Tensor] = {}
        self._sources: list[Tensor] = []

    def at(self, kind: str, layer: int, device: torch.device) -> Tensor:
        """[rows, hidden] float32 at a kind of position of a block's output."""
        directions = [steering.direction(kind, layer) for steering in self.steerings]
        self._upload(directions, device)
        return torch.stack([one if one.device == device else self._uploaded[device, id(one)] for one in directions])

    def _upload(self, directions: list[Tensor], device: torch.device) -> None:
        """Copy those of other devices, each device's in one transfer; random ones are the same at every layer."""
        missing: dict[torch.device, dict[int, Tensor]] = {}
        for one in directions:
            # By identity: a random draw is one tensor for all rows and layers that use it.
            if one.device != device and (device, id(one)) not in self._uploaded:
                missing.setdefault(one.device, {})[id(one)] = one
        for by_id in missing.values():
            self._uploaded |= {
                (device, key): copy
                for key, copy in zip(by_id, torch.stack(list(by_id.values())).to(device), strict=True)
            }
            # As long as they are kept, no other tensor gets their ids.
            self._sources += by_id.values()


@dataclass(frozen=True)
class EveryEdit:
    """The directions of all edits of a sweep, and which concept, control and draw each belongs to.

    `directions`: each once: draws of random and on-manifold controls are the same for every concept. `places` (dict of
    str to int array [places]): ``edit``, row of ``directions``; ``concept``, ``control``, ``draw``, places on the axes.
    """

    directions: EditDirections
    places: dict[str, np.ndarray]


def every_edit(job: Job) -> EveryEdit:
    """All edits of a sweep, at one layer and strength."""
    axes = job.settings.axes
    names = list(axes.controls)
    edits = distinct_edits(axes, [name for name in names if is_shared(name)])
    steerings = [job.steering(Cell(concept, 0, 0, control, draw, ())) for control, concept, draw in edits]
    rows = [
        (number, concept, names.index(control), draw)
        for number, places in enumerate(edits.values())
        for control, concept, draw in places
    ]
    columns = np.array(rows, np.int64).T
    return EveryEdit(EditDirections(steerings), dict(zip(("edit", "concept", "control", "draw"), columns, strict=True)))
