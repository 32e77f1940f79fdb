"""Buffer of captured rows: allocated once on the device, grown only when samples differ in length."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from mllm_probe.activations.free_memory import require_room
from mllm_probe.models import ProbeModel
from mllm_probe.tokens.places import Places


class CapturedRows:
    """Activations [sample, layer, token, hidden] that fill batch by batch.

    Parameters
    ----------
    model : ProbeModel
    samples : int
        How many rows there will be.
    layers : list of int
        Blocks in the order of the layer axis.

    Attributes
    ----------
    labels : list of int
        Positions along the token axis so far.
    """

    def __init__(self, model: ProbeModel, samples: int, layers: list[int]) -> None:
        devices = {p.device for layer in layers for p in model.layout.blocks[layer].parameters()}
        self.samples, self.layers, self.labels = samples, layers, list[int]()
        self._whole: torch.Tensor | None = None
        self._views: dict[int, torch.Tensor] = {}
        self._one_device = len(devices) == 1

    @property
    def dtype(self) -> torch.dtype:
        """Type of the captured activations."""
        return next(iter(self._views.values())).dtype

    def data(self) -> torch.Tensor | list[torch.Tensor]:
        """One tensor [sample, layer, token, hidden], or one [sample, token, hidden] per layer of a sharded model."""
        return self._whole if self._whole is not None else [self._views[layer] for layer in self.layers]

    def writer(self, start: int, places: Places) -> Callable[[int, torch.Tensor], None]:
        """Function that copies the positions ``places`` of a block's output to the rows from ``start``."""
        self._make_room_for(places.labels)
        ordered = self.labels == sorted(self.labels)
        slots = np.searchsorted(self.labels, places.labels) if ordered else np.arange(len(places.labels))
        rows = slice(start, start + len(places.columns))
        complete = len(slots) == len(self.labels) and bool((places.columns >= 0).all())
        copy = _copier(places.columns, slots)

        def write(layer: int, hidden: torch.Tensor) -> None:
            target = self._view(layer, hidden)[rows]
            if not complete:
                target.fill_(torch.nan)
            copy(target, hidden)

        return write

    def _make_room_for(self, labels: list[int]) -> None:
        if not self.labels:
            self.labels = list(labels)
        missing = set(labels) - set(self.labels)
        if not missing:
            return
        old, self.labels = self.labels, sorted(missing.union(self.labels))
        slots = torch.from_numpy(np.searchsorted(self.labels, old))
        for layer, view in list(self._views.items()):
            if self._whole is None:
                self._views[layer] = _widened(view, 1, slots, len(self.labels))
        if self._whole is not None:
            self._whole = _widened(self._whole, 2, slots, len(self.labels))
            self._views = {layer: self._whole[:, number] for number, layer in enumerate(self.layers)}

    def _view(self, layer: int, hidden: torch.Tensor) -> torch.Tensor:
        # Allocated at the first output, whose type and width are only known then. The views of one whole tensor let all
        # layers be indexed together later; layers on several devices are never stacked.
        if layer not in self._views:
            inner = (len(self.labels), hidden.shape[-1])
            if self._one_device:
                shape = (self.samples, len(self.layers), *inner)
                require_room(shape, hidden.dtype, hidden.device, "the captured activations")
                self._whole = hidden.new_empty(shape)
                self._views = {each: self._whole[:, number] for number, each in enumerate(self.layers)}
            else:
                require_room((self.samples, *inner), hidden.dtype, hidden.device, f"the activations of layer {layer}")
                self._views[layer] = hidden.new_empty((self.samples, *inner))
        return self._views[layer]


def _widened(tensor: torch.Tensor, axis: int, slots: torch.Tensor, size: int) -> torch.Tensor:
    shape = list(tensor.shape)
    shape[axis] = size
    require_room(tuple(shape), tensor.dtype, tensor.device, "the captured activations")
    return tensor.new_full(shape, torch.nan).index_copy_(axis, slots.to(tensor.device), tensor)


def _copier(columns: np.ndarray, slots: np.ndarray) -> Callable[[torch.Tensor, torch.Tensor], None]:
    """Cheapest way to copy hidden[row, columns[row, j]] to target[row, slots[j]]: slices where all rows agree."""
    agree = bool((columns == columns[:1]).all()) and columns.shape[1] > 0 and columns[0, 0] >= 0
    if agree and (np.diff(columns[0]) == 1).all() and (np.diff(slots) == 1).all():
        source, place = slice(columns[0, 0], columns[0, -1] + 1), slice(slots[0], slots[-1] + 1)

        def copy_slice(target: torch.Tensor, hidden: torch.Tensor) -> None:
            target[:, place].copy_(hidden[:, source])

        return copy_slice
    rows, places = np.nonzero(columns >= 0)
    indexes = [torch.from_numpy(a) for a in (rows, slots[places], columns[rows, places])]

    def copy_points(target: torch.Tensor, hidden: torch.Tensor) -> None:
        row, slot, column = (index.to(hidden.device) for index in indexes)
        target[row, slot] = hidden[row, column]

    return copy_points
