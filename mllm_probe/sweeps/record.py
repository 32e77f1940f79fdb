"""Recordings of steered runs, kept on the device: activations, norms, logit lens, projection on each row's edit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mllm_probe import schema
from mllm_probe.activations.device_array import dtype_name, index_tensors, lazy, on_host
from mllm_probe.activations.device_memory import free_bytes
from mllm_probe.activations.hooks import attached
from mllm_probe.decoding.shared_prompt import Shared
from mllm_probe.metrics.projection import lens_chunks
from mllm_probe.metrics.words import first_token_logprob
from mllm_probe.steering.intervention import Steering
from mllm_probe.steering.operations import is_shared
from mllm_probe.sweeps.cells import Cell, Pairs, distinct_edits
from mllm_probe.sweeps.grid import CELL_DIMS, Part
from mllm_probe.sweeps.scoring import ReadingContext
from mllm_probe.sweeps.settings import OWN_PROJECTION
from mllm_probe.tokens.positions import KINDS, of_encoded
from mllm_probe.tokens.selection import Places, as_coordinate, companions, find_places
from mllm_probe.typing import Coordinates
from mllm_probe.vectors.directions import directions_of

if TYPE_CHECKING:
    from mllm_probe.sweeps.job import SweepJob


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
        return torch.stack(
            [
                direction if direction.device == device else self._uploaded[device, id(direction)]
                for direction in directions
            ]
        )

    def _upload(self, directions: list[Tensor], device: torch.device) -> None:
        """Copy those of other devices, each device's in one transfer; random ones are the same at every layer."""
        missing: dict[torch.device, dict[int, Tensor]] = {}
        for direction in directions:
            # By identity: a random draw is one tensor for all rows and layers that use it.
            if direction.device != device and (device, id(direction)) not in self._uploaded:
                missing.setdefault(direction.device, {})[id(direction)] = direction
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


def every_edit(job: SweepJob) -> EveryEdit:
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


_INSIDE = (schema.READ_LAYER, schema.TOKEN)
_OUTER = {"projection": (0,), "logit_lens": (0,), OWN_PROJECTION: (0, 3, 4)}
"""Axes of a cell, of (concept, layer, strength, control, draw), by which the unsteered run has a value of its own."""
_SHARE = 0.5
_NAMES = {
    "activation": (schema.SITE, ""),
    "projection": ("component along the concept's direction at the read layer", "residual stream"),
    OWN_PROJECTION: ("component along the direction of the row's own edit at the read layer", "residual stream"),
    "residual_norm": ("length of the residual stream", "residual stream"),
    "logit_lens": ("log-probability of the concept's words, read from this layer", "nats"),
}


@dataclass(frozen=True)
class Recording:
    """A recorded variable, and the tensor that it shows: one, or one per read layer of a sharded model."""

    variable: xr.Variable
    data: Tensor | list[Tensor]

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of its dimensions."""
        return tuple(str(dim) for dim in self.variable.dims)

    def blank(self) -> xr.Variable:
        """The variable with NaN everywhere, as a broadcast scalar, which takes no memory."""
        dtype = (self.data if isinstance(self.data, Tensor) else self.data[0]).dtype
        empty = np.broadcast_to(np.asarray(np.nan, self.variable.dtype), self.variable.shape)
        return xr.Variable(self.dims, empty, self.variable.attrs | {"dtype": dtype_name(dtype)})

    def take(self, region: tuple[Any, ...]) -> np.ndarray:
        """A region, on the host."""
        if isinstance(self.data, Tensor):
            return on_host(self.data[region])
        layers, inside = self._by_layer(region)
        return np.stack([on_host(part[inside]) for part in layers], self.dims.index(schema.READ_LAYER))

    def fill(self, region: tuple[Any, ...], values: np.ndarray) -> None:
        """Copy a region from the host."""
        tensor = torch.from_numpy(np.ascontiguousarray(values))
        if isinstance(self.data, Tensor):
            self.data[region] = tensor.to(self.data.device, self.data.dtype)
            return
        layers, inside = self._by_layer(region)
        for part, values_of_layer in zip(layers, tensor.unbind(self.dims.index(schema.READ_LAYER)), strict=True):
            part[inside] = values_of_layer.to(part.device, part.dtype)

    def _by_layer(self, region: tuple[Any, ...]) -> tuple[list[Tensor], tuple[Any, ...]]:
        """Tensors of the region's read layers, and the region within each."""
        axis = self.dims.index(schema.READ_LAYER)
        return list(self.data[region[axis]]), region[:axis] + region[axis + 1 :]


class _Run:
    """A forward pass whose activations are recorded: which of its rows and columns go to which places of the arrays.

    `places`: columns of the prompt that are read.
    `slots`: their places along the token axis.
    `pairs`: rows and the cells that each fills; None for the unsteered run, whose only row fills ``cells``.
    `cells`: places (concept, layer, strength, control, draw).
    `edits`: of the rows; of the unsteered run, of all rows of the sweep.
    """

    def __init__(
        self,
        shared: Shared,
        places: Places,
        slots: list[int],
        sample: int,
        pairs: Pairs | None,
        cells: tuple[Any, ...],
        edits: EditDirections | EveryEdit,
    ) -> None:
        self.shared, self.places, self.sample, self.pairs = shared, places, sample, pairs
        self.directions = edits if isinstance(edits, EditDirections) else edits.directions
        self._arrays = {"slots": np.array(slots), "cells": np.stack(cells)}
        if pairs is not None:
            self._arrays |= {"rows": pairs.row, "concepts": pairs.concept}
        if isinstance(edits, EveryEdit):
            self._arrays |= edits.places
        kinds = of_encoded(shared.encoded).kind[0, places.columns[0]]
        self.kinds = [KINDS[kind] for kind in kinds]
        self._arrays |= {KINDS[kind]: np.flatnonzero(kinds == kind) for kind in dict.fromkeys(kinds)}
        self._placed: dict[torch.device, dict[str, Tensor]] = {}
        self._columns: dict[tuple[torch.device, int], list[Tensor]] = {}

    def columns(self, device: torch.device, fed: int) -> list[Tensor]:
        """Of the positions: columns among the ``fed`` last ones; those that lie before these; columns of the latter."""
        if (device, fed) not in self._columns:
            columns, start = self.places.columns[0], self.shared.encoded.prompt_length - fed
            arrays = np.maximum(columns - start, 0), np.flatnonzero(columns < start), columns[columns < start]
            self._columns[device, fed] = index_tensors(arrays, device)
        return self._columns[device, fed]

    def by_kind(self, device: torch.device) -> dict[str, Tensor | slice]:
        """Kinds of the recorded positions, and which these are; all of them as a slice, which copies nothing."""
        different = list(dict.fromkeys(self.kinds))
        if len(different) == 1:
            return {different[0]: slice(None)}
        return {kind: self.on(device)[kind] for kind in different}

    def on(self, device: torch.device) -> dict[str, Tensor]:
        """Index tensors by name, moved to a device once for all layers and recordings."""
        if device not in self._placed:
            tensors = index_tensors(list(self._arrays.values()), device)
            self._placed[device] = dict(zip(self._arrays, tensors, strict=True))
        return self._placed[device]


class Recorder:
    """Records prompt positions of every run of a sweep.

    Raises MemoryError if the recordings take more than half of the free memory; the message names smaller ones. Raises
    ValueError if a position does not exist, or the vectors lack a layer that a projection needs.
    """

    def __init__(self, job: SweepJob) -> None:
        self.job, self.settings, self.model = job, job.settings, job.model
        self.names = job.settings.recorded
        self.layers = list(job.settings.read_layers)
        self.scope = job.settings.read_scope
        beyond = [part.name for part in self.scope.parts if not part.in_prompt]
        if beyond:
            raise ValueError(f"read_tokens: positions of the prompt are recorded; '{beyond[0]}' is not one of them.")
        self._require_read_layers()
        self.labels, self._companions = self._token_axis()
        self._arrays: dict[str, Tensor | list[Tensor]] = {}
        self._unsteered: dict[str, Tensor | list[Tensor]] = {}
        self._allocate()

    def reading(self, shared: Shared, part: Part, *, unsteered: bool) -> ReadingContext:
        """Context for the forward pass of the rows of a part, or of the unsteered run of its sample."""
        sample, pairs = part.sample, None if unsteered else part.pairs

        @contextmanager
        def read() -> Iterator[None]:
            places = find_places(shared.encoded, self.scope)
            slots = [self.labels.index(label) for label in places.labels]
            cells = self.settings.axes.unsteered if pairs is None else pairs.index
            every = unsteered and OWN_PROJECTION in self.names
            edits = self._every_edit if every else EditDirections(part.steerings)
            run = _Run(shared, places, slots, sample, pairs, cells, edits)
            hidden_by_layer: dict[int, Tensor] = {}

            def keep(layer: int, hidden: Tensor) -> None:
                # The first call feeds the prompt's end; later ones of this context feed the answer prefix.
                if layer not in hidden_by_layer:
                    hidden_by_layer[layer] = _at_columns(hidden, run, layer)

            with attached(self.model, keep, layers=self.layers):
                yield
            for number, layer in enumerate(self.layers):
                self._write(hidden_by_layer[layer], number, run)

        return read

    def variables(self) -> dict[str, xr.Variable]:
        """The recorded arrays, shared with the recorder, on the device."""
        return {name: recording.variable for name, recording in self.recordings().items()}

    def recordings(self) -> dict[str, Recording]:
        """Each recorded variable with its tensors."""
        recordings: dict[str, Recording] = {}
        for name in self.names:
            long_name, units = _NAMES[name]
            attrs = {"long_name": long_name} | ({"units": units} if units else {})
            inside = (*_INSIDE, schema.HIDDEN) if name == "activation" else _INSIDE
            first = (*(CELL_DIMS[axis] for axis in _OUTER.get(name, ())), schema.SAMPLE)
            for label, outer, data in (
                (name, CELL_DIMS, self._arrays[name]),
                (f"{name}_unsteered", first, self._unsteered[name]),
            ):
                shown = lazy((*outer, *inside), data, along=schema.READ_LAYER, attrs=attrs, made_by="sweep")
                recordings[label] = Recording(shown, data)
        return recordings

    def coordinates(self) -> Coordinates:
        """Coordinates of read layer and token."""
        coords = schema.layer_coordinates(self.layers, len(self.model.layers), schema.READ_LAYER)
        return coords | {schema.TOKEN: self.labels} | self._companions

    def _require_read_layers(self) -> None:
        known = {int(layer) for layer in self.job.vectors[schema.LAYER].values}
        missing = [layer for layer in self.layers if layer not in known]
        if "projection" in self.names and missing:
            raise ValueError(
                f"record='projection' reads layer {missing[0]}, where the vectors have no direction; they have "
                f"{sorted(known)}. Give read_layers= among these."
            )

    @property
    def nbytes(self) -> int:
        """Bytes of what is recorded of steered runs."""
        numbers = int(np.prod(self.settings.axes.shape)) * len(self.job.samples) * len(self.layers) * len(self.labels)
        wide = self.model.hidden_size * self.model.dtype.itemsize
        return sum(numbers * (wide if name == "activation" else 4) for name in self.names)

    def _token_axis(self) -> tuple[list[int], dict[str, Any]]:
        if self.scope.names == ("last_prompt",):
            return [-1], {}
        axes = []
        for sample in range(len(self.job.samples)):
            encoded = self.job.encoded(sample)
            places = find_places(encoded, self.scope)
            axes.append((places, companions(encoded, places)))
        if self.scope.numbers:
            labels = list(self.scope.numbers)
        else:
            labels = sorted({label for places, _ in axes for label in places.labels})
        return labels, _token_companions(labels, axes)

    def _allocate(self) -> None:
        inside = (len(self.layers), len(self.labels))
        cells = (*self.settings.axes.shape, len(self.job.samples))
        width, size = self.model.hidden_size, self.model.dtype.itemsize
        numbers = int(np.prod(cells)) * inside[0] * inside[1]
        needed = self.nbytes
        _require_room(needed, free_bytes(self.model.device), self.names, numbers, width * size)
        for name in self.names:
            outer = [cells[axis] for axis in _OUTER.get(name, ())]
            self._arrays[name] = self._empty(name, cells)
            self._unsteered[name] = self._empty(name, (*outer, len(self.job.samples)))

    def _empty(self, name: str, outer: tuple[int, ...]) -> Tensor | list[Tensor]:
        """NaN everywhere; activations of a sharded model stay on their layers' devices, one tensor each."""
        inside = (len(self.layers), len(self.labels))
        if name != "activation":
            return torch.full((*outer, *inside), torch.nan, device=self.model.device)
        devices = [next(self.model.layout.blocks[layer].parameters()).device for layer in self.layers]
        width, dtype = self.model.hidden_size, self.model.dtype
        if len(set(devices)) == 1:
            return torch.full((*outer, *inside, width), torch.nan, device=devices[0], dtype=dtype)
        return [torch.full((*outer, inside[1], width), torch.nan, device=d, dtype=dtype) for d in devices]

    def _write(self, hidden: Tensor, number: int, run: _Run) -> None:
        """Write what a block's output [rows, positions, width] gives into the arrays of one sample and read layer."""
        for name in self.names:
            values = self._values(name, hidden, self.layers[number], run)
            outer = _OUTER.get(name, ())
            target = _layer_values(self._arrays[name], number, name)
            indices = run.on(target.device)
            if run.pairs is None:
                unsteered = _layer_values(self._unsteered[name], number, name)
                moved = values[0].to(unsteered.device, unsteered.dtype)
                # [outer …, sample, token, …]: without the sample, the axis of the tokens is the one after the outer
                # ones.
                unsteered.select(len(outer), run.sample).index_copy_(len(outer), indices["slots"], moved)
                chosen = moved[tuple(indices["cells"][axis] for axis in outer)] if outer else moved
            else:
                here = run.on(values.device)
                chosen = values[here["rows"], here["concepts"]] if outer == (0,) else values[here["rows"]]
            # Broadcast to [pairs, tokens]: each pair of a row and a concept writes all recorded tokens of its cell.
            index = [places[:, None] for places in indices["cells"]]
            target[(*index, run.sample, indices["slots"])] = chosen.to(target.device, target.dtype)

    def _values(self, name: str, hidden: Tensor, layer: int, run: _Run) -> Tensor:
        """[rows, positions, width], [rows, positions], or [rows, concepts, positions]."""
        if name == "activation":
            return hidden
        if name == "residual_norm":
            return hidden.float().norm(dim=-1)
        if name == "projection":
            return self._projections(hidden.float(), layer, run)
        if name == OWN_PROJECTION:
            return self._concept_projections(hidden.float(), layer, run)
        return self._lens(hidden)

    @cached_property
    def _every_edit(self) -> EveryEdit:
        return every_edit(self.job)

    def _projections(self, hidden: Tensor, layer: int, run: _Run) -> Tensor:
        directions = [
            directions_of(self.job.concept_vectors(concept)) for concept in range(len(self.settings.axes.concepts))
        ]
        different = list(dict.fromkeys(run.kinds))
        units = [
            torch.stack([d.unit(d.scope_for(kind), layer).to(hidden.device) for d in directions]) for kind in different
        ]
        if len(different) == 1:
            return torch.einsum("rpd,cd->rcp", hidden, units[0])
        return torch.einsum("rpd,pcd->rcp", hidden, torch.stack([units[different.index(kind)] for kind in run.kinds]))

    def _concept_projections(self, hidden: Tensor, layer: int, run: _Run) -> Tensor:
        """[rows, positions]; of the unsteered row on every edit, [1, concepts, controls, draws, positions]."""
        every = run.pairs is None
        # Steered rows are read along their own edit. The unsteered run (x = 1) is read along every edit of the sweep,
        # so that each steered value has one to be compared with.
        form = "xpd,rd->rp" if every else "rpd,rd->rp"
        along = hidden.new_empty((len(run.directions.steerings), hidden.shape[1]))
        for kind, where in run.by_kind(hidden.device).items():
            units = run.directions.at(kind, layer, hidden.device)
            along[:, where] = torch.einsum(form, hidden[:, where], units)
        if not every:
            return along
        axes, here = self.settings.axes.shape, run.on(hidden.device)
        result = hidden.new_full((1, axes[0], *axes[3:], hidden.shape[1]), torch.nan)
        result[0, here["concept"], here["control"], here["draw"]] = along[here["edit"]]
        return result

    def _lens(self, hidden: Tensor) -> Tensor:
        table = self.job.scorer.table
        pieces = [first_token_logprob(logits, table) for logits in lens_chunks(self.model, hidden)]
        return torch.cat(pieces).transpose(1, 2)


def _at_columns(hidden: Tensor, run: _Run, layer: int) -> Tensor:
    """Hidden states [rows, positions, width] at columns of the prompt, those before this call from the unedited run."""
    here, before, earlier = run.columns(hidden.device, hidden.shape[1])
    chosen = hidden[:, here]
    # Rows that share a prompt feed its last tokens only; earlier columns were computed once and no row edits them.
    if len(before):
        chosen[:, before] = run.shared.unedited[layer][:, earlier].to(hidden.dtype)
    return chosen


def _layer_values(array: Tensor | list[Tensor], number: int, name: str) -> Tensor:
    """One read layer of an array [..., read_layer, token(, hidden)] as a view."""
    if isinstance(array, list):
        return array[number]
    return array.select(-3 if name == "activation" else -2, number)


def _token_companions(labels: list[int], by_sample: list[tuple[Places, dict[str, Any]]]) -> dict[str, Any]:
    """Companions of the token axis that all samples agree on."""
    coords: dict[str, Any] = {}
    complete = all(places.labels == labels for places, _ in by_sample)
    for name in by_sample[0][1] if complete else ():
        tables = [np.asarray(values[name])[0] for _, values in by_sample]
        if name != schema.STEP and all((table == tables[0]).all() for table in tables):
            coords[name] = (schema.TOKEN, as_coordinate(name, tables[0]))
    return coords


def _require_room(needed: int, free: int, names: tuple[str, ...], numbers: int, activation: int) -> None:
    if needed <= _SHARE * free:
        return
    may, full, small = _SHARE * free / 1e9, numbers * activation / 1e9, 4 * numbers / 1e9
    raise MemoryError(
        f"recording {', '.join(names)} takes {needed / 1e9:.2f} GB but only {may:.2f} GB (half of what is free) may be "
        f"used. Full activations take {full:.2f} GB; 'projection', 'residual_norm' and 'logit_lens' {small:.2f} GB "
        "each: record these instead, or give fewer read_layers, read_tokens, strengths, controls or concepts."
    )
