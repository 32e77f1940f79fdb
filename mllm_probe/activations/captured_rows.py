"""Buffer of captured rows, allocated once, and the positions along its token axis, gathered batch by batch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from mllm_probe import schema
from mllm_probe.activations.device_array import dtype_name, index_tensors
from mllm_probe.activations.device_memory import require_room, share_of_free_bytes
from mllm_probe.activations.not_finite import FiniteCounts
from mllm_probe.models import Encoded, ProbeModel
from mllm_probe.tokens.selection import ABSENT, Places, as_coordinate, companions
from mllm_probe.typing import Coordinates


@dataclass(frozen=True)
class BatchTokens:
    """Samples of one batch and the companions of their captured positions.

    `samples`: content hashes. `labels`: one per slot. `columns` (dict of str to array [rows, slots]): by the names of
    ``ABSENT``; a single row where all samples agree.
    """

    samples: list[str]
    labels: list[int]
    columns: dict[str, np.ndarray]


def batch_tokens(encoded: Encoded, places: Places) -> BatchTokens:
    """Token ids, roles and places of a batch, kept once its tensors are gone."""
    columns = {name: _scalar_if_equal(values) for name, values in companions(encoded, places).items()}
    return BatchTokens(list(encoded.sample_ids), places.labels, columns)


def joined_labels(labels: list[int], more: Iterable[int]) -> list[int]:
    """Positions along the token axis once further ones are captured: as they are, or sorted where some are new."""
    missing = set(more) - set(labels)
    if not labels or not missing:
        return labels or list(more)
    return sorted(missing.union(labels))


def token_coordinates(batches: Sequence[BatchTokens], labels: Sequence[int], with_steps: bool) -> Coordinates:
    """Companions of the token axis, each (token) where all samples agree and (sample, token) where they do not."""
    slots = {label: slot for slot, label in enumerate(labels)}
    names = [name for name in ABSENT if with_steps or name != schema.STEP]
    coords: Coordinates = {}
    for name in names:
        parts = []
        for batch in batches:
            values = batch.columns[name]
            whole = np.full((len(values), len(slots)), ABSENT[name], dtype=object)
            whole[:, [slots[label] for label in batch.labels]] = values
            parts.append(whole)
        agree = all(len(part) == 1 and (part == parts[0]).all() for part in parts)
        if not agree:
            counts = [len(batch.samples) for batch in batches]
            parts = [np.broadcast_to(p, (n, len(slots))) for p, n in zip(parts, counts, strict=True)]
            agree = bool((np.concatenate(parts) == parts[0][:1]).all())
        table = as_coordinate(name, parts[0][:1] if agree else np.concatenate(parts))
        coords[name] = (schema.TOKEN, table[0]) if agree else ((schema.SAMPLE, schema.TOKEN), table)
    return coords


def _scalar_if_equal(values: np.ndarray) -> np.ndarray:
    return values[:1].copy() if (values == values[:1]).all() else values


class CapturedRows:
    """Activations [sample, layer, token, hidden] that fill batch by batch.

    `samples`: how many rows there will be.
    `layers`: coordinates of the layer axis, in its order; ``schema.INPUT`` is the input of block 0.
    `device` (torch.device): where they are kept; on the devices of their blocks if None.
    `labels`: positions along the token axis, where they are known beforehand; found as batches are written if empty.
    `labels`: positions along the token axis so far.
    """

    def __init__(
        self,
        model: ProbeModel,
        samples: int,
        layers: list[int],
        device: torch.device | None = None,
        labels: Sequence[int] = (),
    ) -> None:
        block_devices = [next(model.layout.blocks[max(layer, 0)].parameters()).device for layer in layers]
        self.model, self.samples, self.layers, self.labels = model, samples, layers, list(labels)
        # A tensor's device has its index, which a name such as "cuda" may lack.
        self._places = block_devices if device is None else [torch.empty(0, device=device).device] * len(layers)
        self._moved = self._places != block_devices
        self._whole: torch.Tensor | None = None
        self._views: dict[int, torch.Tensor] = {}
        self._finite = FiniteCounts()
        if self.labels:
            self._require_room()

    @property
    def dtype(self) -> torch.dtype:
        """Type of the captured activations."""
        return next(iter(self._views.values())).dtype

    def data(self) -> torch.Tensor | list[torch.Tensor]:
        """One tensor [sample, layer, token, hidden], or one [sample, token, hidden] per layer of a sharded model."""
        return self._whole if self._whole is not None else [self._views[layer] for layer in self.layers]

    def of_layer(self, layer: int) -> torch.Tensor:
        """Activations [sample, token, hidden] of one layer, on its device."""
        return self._views[layer]

    def first_not_finite(self) -> int | None:
        """Number of the first row in which a captured value is NaN or infinite, None without any."""
        return self._finite.first_other()

    @contextmanager
    def writing(self, start: int, places: Places) -> Iterator[Callable[[int, torch.Tensor], None]]:
        """Give the function that copies the positions ``places`` of a block's output to the rows from ``start``.

        What is kept on another device than its block's is moved at the end, in one copy for all layers.
        """
        # Labels are sorted positions, except where a user gave numbers such as (-1, 3): then every batch has all of
        # them, in that order.
        self._make_room_for(places.labels)
        ordered = self.labels == sorted(self.labels)
        slots = np.searchsorted(self.labels, places.labels) if ordered else np.arange(len(places.labels))
        rows = slice(start, start + len(places.columns))
        complete = len(slots) == len(self.labels) and bool((places.columns >= 0).all())
        copy = _copier(places.columns, slots)
        waiting: dict[int, torch.Tensor] = {}
        counts: dict[int, torch.Tensor] = {}

        def write(layer: int, hidden: torch.Tensor) -> None:
            if self._moved:
                target = hidden.new_empty((len(places.columns), len(self.labels), hidden.shape[-1]))
                waiting[layer] = target
            else:
                target = self._view(layer, hidden)[rows]
            if not complete:
                target.fill_(torch.nan)
            copy(target, hidden)
            # Rows that lack a position hold NaN there, so that their numbers are counted; else the largest one tells.
            counts[layer] = (
                torch.isfinite(torch.linalg.vector_norm(target, torch.inf, (1, 2))).long()
                if complete
                else torch.isfinite(target).sum((1, 2))
            )

        yield write
        real = (places.columns >= 0).sum(1)
        self._finite.add(start, counts, np.ones_like(real) if complete else real * self.model.hidden_size)
        for layers in _by_device(waiting):
            stacked = torch.stack([waiting[layer] for layer in layers])
            for layer, values in zip(layers, stacked.to(self._places[0]), strict=True):
                self._view(layer, values)[rows] = values

    def _make_room_for(self, labels: list[int]) -> None:
        if not self.labels:
            self.labels = list(labels)
            self._require_room()
        old, self.labels = self.labels, joined_labels(self.labels, labels)
        if self.labels == old:
            return
        slots = torch.from_numpy(np.searchsorted(self.labels, old))
        for layer, view in list(self._views.items()):
            if self._whole is None:
                self._views[layer] = _widened(view, 1, slots, len(self.labels))
        if self._whole is not None:
            # Views keep the old tensor alive and would be written to in place of the new one.
            self._whole = _widened(self._whole, 2, slots, len(self.labels))
            self._views = {layer: self._whole[:, number] for number, layer in enumerate(self.layers)}

    def _view(self, layer: int, hidden: torch.Tensor) -> torch.Tensor:
        # Allocated at the first output, whose type and width are only known then. The views of one whole tensor let all
        # layers be indexed together later; layers on several devices are never stacked.
        if layer not in self._views:
            inner = (len(self.labels), hidden.shape[-1])
            if len(set(self._places)) == 1:
                self._whole = hidden.new_empty((self.samples, len(self.layers), *inner))
                self._views = {each: self._whole[:, number] for number, each in enumerate(self.layers)}
            else:
                self._views[layer] = hidden.new_empty((self.samples, *inner))
        return self._views[layer]

    def _require_room(self) -> None:
        """Raise a MemoryError that names what would fit, before anything is computed."""
        tokens, width, dtype = len(self.labels), self.model.hidden_size, self.model.dtype
        layer_bytes = tokens * width * dtype.itemsize
        for device in dict.fromkeys(self._places):
            layers, room = self._places.count(device), share_of_free_bytes(device)
            if self.samples * layers * layer_bytes <= room:
                continue
            fewer = {
                f"{self.samples} samples": room // (layers * layer_bytes),
                f"{layers} layers": room // (self.samples * layer_bytes),
                f"{tokens} tokens of each sample": room // (self.samples * layers * layer_bytes // tokens),
            }
            would = " or ".join(f"{number} of the {whole}" for whole, number in fewer.items() if number)
            raise MemoryError(
                f"the activations of {self.samples} samples × {layers} layers × {tokens} tokens × {width} in "
                f"{dtype_name(dtype)} take {self.samples * layers * layer_bytes / 1e9:.3g} GB but only {room / 1e9:.3g}"
                f" GB of the free memory of {device} can be used: {would or 'nothing of it'} would fit. Ask for less, "
                "or write them to the disk with store='acts.zarr'"
                + (", or keep them elsewhere with device='cpu'." if device.type != "cpu" else ".")
            )


def _by_device(tensors: dict[int, torch.Tensor]) -> list[list[int]]:
    """Layers whose tensors share a device."""
    layers: dict[torch.device, list[int]] = {}
    for layer, tensor in tensors.items():
        layers.setdefault(tensor.device, []).append(layer)
    return list(layers.values())


def _widened(tensor: torch.Tensor, axis: int, slots: torch.Tensor, size: int) -> torch.Tensor:
    shape = list(tensor.shape)
    shape[axis] = size
    require_room(tuple(shape), tensor.dtype, tensor.device, "the captured activations")
    return tensor.new_full(shape, torch.nan).index_copy_(axis, slots.to(tensor.device), tensor)


def _copier(columns: np.ndarray, slots: np.ndarray) -> Callable[[torch.Tensor, torch.Tensor], None]:
    """Cheapest way to copy hidden[row, columns[row, j]] to target[row, slots[j]]: slices where all rows agree."""
    # A slice is copied without index tensors, which must reach the device first. Left padding makes columns differ
    # between rows, so that this is for prompts of one length.
    agree = bool((columns == columns[:1]).all()) and columns.shape[1] > 0 and columns[0, 0] >= 0
    if agree and (np.diff(columns[0]) == 1).all() and (np.diff(slots) == 1).all():
        source, place = slice(columns[0, 0], columns[0, -1] + 1), slice(slots[0], slots[-1] + 1)

        def copy_slice(target: torch.Tensor, hidden: torch.Tensor) -> None:
            target[:, place].copy_(hidden[:, source])

        return copy_slice
    rows, places = np.nonzero(columns >= 0)
    at = functools.cache(functools.partial(index_tensors, (rows, slots[places], columns[rows, places])))

    def copy_points(target: torch.Tensor, hidden: torch.Tensor) -> None:
        row, slot, column = at(hidden.device)
        target[row, slot] = hidden[row, column]

    return copy_points
