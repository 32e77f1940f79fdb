"""A sweep's grid and recordings in its store: written chunk by chunk, and read when the sweep is resumed."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mllm_probe import schema
from mllm_probe.activations.device_array import host_dtype
from mllm_probe.sweeps.cells import Pairs
from mllm_probe.sweeps.grid import CELL_DIMS, Grid
from mllm_probe.sweeps.identity import identity
from mllm_probe.sweeps.job import Job
from mllm_probe.sweeps.record import Recorder
from mllm_probe.sweeps.sweep_store import DONE, SweepStore, Take

_DONE_ATTRS = {"long_name": "the cell is finished"}
_DTYPE = "dtype"
_VERSION = "version_"


class Persisted:
    """A sweep's arrays and the store they are written to.

    Parameters
    ----------
    path : str or Path
    job : Job

    Raises
    ------
    ValueError
        If the store holds something else, naming the settings that differ.
    """

    def __init__(self, path: str | Path, job: Job) -> None:
        self.store, self.job = SweepStore(path, identity(job)), job
        self._began, self._seconds_before, self._done_before = time.perf_counter(), 0.0, 0
        self._with_unsteered: set[int] = set()

    @contextmanager
    def resumed(self, grid: Grid, recorder: Recorder | None) -> Iterator[dict[str, Any] | None]:
        """Lock the store and fill the arrays from it; yields its attributes, None where there is no store yet."""
        if not self.store.exists:
            yield None
            return
        with self.store.held():
            self._read(grid, recorder)
            attrs = self.store.attributes()
            state = self.store.state()
            self._began = time.perf_counter()
            self._seconds_before, self._done_before = state["seconds"], state["done"]
            yield attrs if state["finished"] else attrs | _other_versions(attrs)

    @contextmanager
    def created(self, empty: xr.Dataset, recorder: Recorder | None, total: int) -> Iterator[None]:
        """Create the store, unless it exists, and lock it.

        Parameters
        ----------
        empty : Dataset
            The grid before its first cell, without what is recorded.
        recorder : Recorder or None
        total : int
            Number of runs.
        """
        if self.store.exists:
            yield
            return
        template = empty.assign({DONE: (CELL_DIMS, np.zeros([empty.sizes[d] for d in CELL_DIMS], bool), _DONE_ATTRS)})
        if recorder is not None:
            template = template.assign(_recorded_template(recorder)).assign_coords(recorder.coordinates())
        state = dict.fromkeys(("done", "seconds", "rate"), 0) | {
            "total": total,
            "finished": False,
            "updated": time.time(),
        }
        self.store.create(template, state)
        with self.store.held():
            self._began = time.perf_counter()
            yield

    def write_unsteered(self, grid: Grid, recorder: Recorder | None, sample: int) -> None:
        """Write the unsteered run of a sample and its cells at strength 0, at the first call for this sample."""
        if sample in self._with_unsteered:
            return
        self._with_unsteered.add(sample)
        cells, other = self._sources(grid, recorder)
        self.store.put(other, {schema.SAMPLE: np.array([sample])})
        zero = grid.unsteered_cells(sample)
        if len(zero[0]):
            self.store.put(cells, dict(zip(CELL_DIMS, zero, strict=True)))

    def write_cells(self, grid: Grid, recorder: Recorder | None, pairs: Pairs, sample: int) -> None:
        """Write the scores of cells on a sample."""
        if len(pairs):
            places = (*pairs.index, np.full(len(pairs), sample))
            self.store.put(self._sources(grid, recorder)[0], dict(zip(CELL_DIMS, places, strict=True)))

    def commit(self, grid: Grid, sample: int, attrs: Mapping[str, Any], done: int, total: int) -> None:
        """Mark what is done on a sample as finished; ``done`` of ``total`` runs are."""
        seconds = time.perf_counter() - self._began
        state = {
            "done": done,
            "total": total,
            "seconds": self._seconds_before + seconds,
            "rate": (done - self._done_before) / seconds,
            "finished": grid.progress == 1,
            "updated": time.time(),
        }
        # All cells of this sample are marked again: a piece of ``done`` is rewritten whole in any case.
        whole = {**attrs, "progress": grid.progress}
        self.store.commit(grid.done.__getitem__, {schema.SAMPLE: np.array([sample])}, whole, state)

    def _sources(self, grid: Grid, recorder: Recorder | None) -> tuple[dict[str, Take], dict[str, Take]]:
        """Variables that have a value per cell, and the other ones (unsteered runs, eligibility)."""
        takes: dict[str, Take] = {name: values.__getitem__ for name, (_, values, _) in grid.variables().items()}
        by_cell = {name for name, (dims, _, _) in grid.variables().items() if schema.LAYER in dims}
        if recorder is not None:
            for name, (variable, data) in recorder.arrays().items():
                takes[name] = _take(data, variable.dims.index(schema.READ_LAYER))
                if variable.dims[: len(CELL_DIMS)] == CELL_DIMS:
                    by_cell.add(name)
        cells = {name: take for name, take in takes.items() if name in by_cell}
        return cells, {name: take for name, take in takes.items() if name not in by_cell}

    def _read(self, grid: Grid, recorder: Recorder | None) -> None:
        stored = self.store.arrays()
        grid.done[...] = stored[DONE][...]
        grid.has_unsteered[:] = grid.done.any(axis=tuple(range(grid.done.ndim - 1)))
        for name, (_, values, _) in grid.variables().items():
            values[...] = stored[name][...].astype(values.dtype)
        for name, (variable, data) in (recorder.arrays() if recorder is not None else {}).items():
            _fill(data, stored[name], variable.dims.index(schema.READ_LAYER))


def _recorded_template(recorder: Recorder) -> dict[str, xr.Variable]:
    """Recorded variables with NaN everywhere, as broadcast scalars, which take no memory."""
    variables = {}
    for name, (variable, data) in recorder.arrays().items():
        dtype = (data if isinstance(data, Tensor) else data[0]).dtype
        attrs = variable.attrs | {_DTYPE: str(dtype).removeprefix("torch.")}
        empty = np.broadcast_to(np.asarray(np.nan, variable.dtype), variable.shape)
        variables[name] = xr.Variable(variable.dims, empty, attrs)
    return variables


def _take(data: Tensor | list[Tensor], axis: int) -> Take:
    """Region of a tensor, or of one tensor per element of ``axis``, on the host."""

    def take(region: tuple[slice, ...]) -> np.ndarray:
        if isinstance(data, Tensor):
            return _host(data[region])
        inner = region[:axis] + region[axis + 1 :]
        return np.stack([_host(part[inner]) for part in data[region[axis]]], axis)

    return take


def _host(part: Tensor) -> np.ndarray:
    values: np.ndarray = part.to("cpu", host_dtype(part.dtype)).numpy()
    return values


def _fill(data: Tensor | list[Tensor], stored: Any, axis: int) -> None:
    """Copy an array from the disk to its device, a slice of the first dimension at a time."""
    for first in range(stored.shape[0]):
        values = torch.from_numpy(stored[first])
        if isinstance(data, Tensor):
            data[first].copy_(values)
        else:
            for number, part in enumerate(data):
                part[first].copy_(values.select(axis - 1, number))


def _other_versions(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Warn of libraries whose version differs from that at the beginning of the sweep; attributes that record it."""
    now = schema.provenance()
    changed = [
        f"{name.removeprefix(_VERSION)} {now[name]} (begun with {attrs.get(name)})"
        for name in now
        if name.startswith(_VERSION) and attrs.get(name) != now[name]
    ]
    if not changed:
        return {}
    warnings.warn(
        f"this sweep goes on with other versions than it was begun with: {', '.join(changed)}. Cells may differ by "
        "more than rounding if these compute differently.",
        stacklevel=2,
    )
    return {"resumed_with": changed}
