"""The store of a sweep: a Zarr group that is written chunk by chunk and can be resumed after a kill at any moment."""

from __future__ import annotations

import itertools
import json
import math
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import torch
import xarray as xr
import zarr
from torch import Tensor

from mllm_probe import schema
from mllm_probe.activations import zarr_groups
from mllm_probe.activations.device_array import dtype_name, on_host
from mllm_probe.sweeps.cells import Pairs
from mllm_probe.sweeps.grid import CELL_DIMS, Grid
from mllm_probe.sweeps.identity import require_same
from mllm_probe.sweeps.off_target_scores import Variables
from mllm_probe.sweeps.record import Recorder
from mllm_probe.typing import Attributes, JsonObject

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

DONE = "done"
"""Variable (bool, per cell) of finished cells; in the store only."""
_DONE_ATTRS = {"long_name": "the cell is finished"}
_DTYPE, _VERSION = "dtype", "version_"
_SETTINGS, _STATE = "store_settings", "store_state"
_BOOKKEEPING = (_SETTINGS, _STATE, "progress")
_PARTIAL = re.compile(r"(\.z[a-z]+|[\d.]+)\.[0-9a-f]{32}\.partial")
"""Files that Zarr had not yet renamed when its process was killed: metadata and pieces, under a random name."""
_PIECE, _DONE_PIECE = 1 << 17, 1 << 20
_TEXT_BYTES = 32
_SPLIT_FIRST = (
    schema.SAMPLE, schema.STRENGTH, schema.LAYER, schema.CONCEPT, schema.DRAW, schema.GROUP, schema.DIRECTION,
    schema.CONTROL,
)  # fmt: skip
_SPLIT_LAST = (schema.READ_LAYER, schema.TOKEN, schema.STEP, schema.HIDDEN)

Take = Callable[[tuple[slice, ...]], np.ndarray]
"""Gives a region of an array, on the host."""


@dataclass(frozen=True)
class StoreProgress:
    """Progress of a stored sweep.

    Attributes
    ----------
    done, total : int
        Steered runs (cells on one image; cells that share a run count once).
    seconds : float
        Time spent so far, over all sittings.
    rate : float
        Runs per second of the last sitting; 0 before its first chunk.
    finished : bool
    updated : float
        When the last chunk was written, in seconds since 1970.
    """

    done: int
    total: int
    seconds: float
    rate: float
    finished: bool
    updated: float


def read_progress(path: str | Path) -> StoreProgress:
    """Progress of a sweep with ``store=path``; cheap, and safe while another process writes to it.

    Its grid so far is ``xarray.open_zarr(path)``: of the final shape, with what is finished where variable ``done`` is
    true. Open it again to see later chunks.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    FileNotFoundError
        If there is no store yet.
    ValueError
        If something else is there, or its arrays name codecs that this package does not write.
    """
    return _progress(_attributes(zarr_groups.as_folder(path)))


def _progress(attrs: Attributes) -> StoreProgress:
    state = json.loads(attrs[_STATE])
    return StoreProgress(**{field.name: state[field.name] for field in fields(StoreProgress)})


def _as_json(progress: StoreProgress) -> str:
    return json.dumps(asdict(progress))


class StoredGrid(Protocol):
    """Arrays that fill while something runs."""

    done: np.ndarray

    @property
    def progress(self) -> float:
        """Share of the cells that are done, 0 … 1."""

    def variables(self) -> Variables:
        """Dimensions, array (not a copy) and attributes of every variable."""

    def restored(self) -> None:
        """Take note that the arrays were filled from a store."""


class SweepStore:
    """A sweep's grid and recordings in a Zarr group: written chunk by chunk, and read when the sweep is resumed.

    Zarr writes every file under a temporary name and renames it, pieces are written whole, and ``done`` is written
    after the values of its cells: whenever the process is killed, cells that ``done`` marks are complete. (A power cut
    may lose data that the operating system had not yet put on the disk.)

    Parameters
    ----------
    path : str or Path
        A folder; made when the first chunk is run.
    settings : dict
        All that decides the numbers, as plain values: a store with others is another run's.

    Raises
    ------
    ValueError
        If there is something else, or a run with other settings, which are named.
    """

    def __init__(self, path: str | Path, settings: JsonObject) -> None:
        self.path, self._settings = zarr_groups.as_folder(path), settings
        self._group: Any = None
        self._arrays: dict[str, Any] = {}
        self._began, self._before = time.perf_counter(), StoreProgress(0, 0, 0, 0, False, 0)
        self._with_unsteered: set[int] = set()
        if self._exists:
            require_same(json.loads(_attributes(self.path)[_SETTINGS]), self._settings, str(self.path))

    @property
    def _exists(self) -> bool:
        """Whether the sweep was begun; raises a ValueError if the path holds something else."""
        if not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir())):
            return False
        _attributes(self.path)
        return True

    @contextmanager
    def resumed(self, grid: StoredGrid, recorder: Recorder | None) -> Iterator[Attributes | None]:
        """Lock the store and fill the arrays from it; yields its attributes, None where there is no store yet."""
        if not self._exists:
            yield None
            return
        with self._held():
            self._read(grid, recorder)
            stored = _attributes(self.path)
            self._began, self._before = time.perf_counter(), _progress(stored)
            attrs = {name: value for name, value in stored.items() if name not in _BOOKKEEPING}
            yield attrs if self._before.finished else attrs | _other_versions(attrs)

    @contextmanager
    def created(
        self, empty: xr.Dataset, recorder: Recorder | None, total: int, dims: Sequence[str] = CELL_DIMS
    ) -> Iterator[None]:
        """Create the store, unless it exists, and lock it.

        Parameters
        ----------
        empty : Dataset
            The grid before its first cell, without what is recorded.
        recorder : Recorder or None
        total : int
            Number of runs.
        dims : sequence of str
            Of a cell.
        """
        if self._exists:
            yield
            return
        template = empty.assign({DONE: (dims, np.zeros([empty.sizes[d] for d in dims], bool), _DONE_ATTRS)})
        if recorder is not None:
            template = template.assign(_recorded_template(recorder)).assign_coords(recorder.coordinates())
        state = _as_json(replace(self._before, total=total, updated=time.time()))
        self._create(template.assign_attrs({_SETTINGS: json.dumps(self._settings), _STATE: state}))
        with self._held():
            self._began = time.perf_counter()
            yield

    def write(self, grid: Grid, recorder: Recorder | None, pairs: Pairs, sample: int) -> None:
        """Write the scores of cells on a sample; at the first call for it, its unsteered run and strength 0 too."""
        by_cell, others = _sources(grid, recorder)
        if sample not in self._with_unsteered:
            self._with_unsteered.add(sample)
            self._put(others, {schema.SAMPLE: np.array([sample])})
            self._put(by_cell, dict(zip(CELL_DIMS, grid.unsteered_cells(sample), strict=True)))
        places = (*pairs.index, np.full(len(pairs), sample))
        self._put(by_cell, dict(zip(CELL_DIMS, places, strict=True)))

    def write_at(self, grid: StoredGrid, places: Mapping[str, np.ndarray]) -> None:
        """Write every variable of a grid at places [elements] along some dimensions."""
        by_cell, others = _sources(grid, None)
        self._put(by_cell | others, places)

    def commit(self, grid: StoredGrid, sample: int, attrs: Attributes, done: int, total: int) -> None:
        """Mark what is done on a sample as finished, after it was written; ``done`` of ``total`` runs are."""
        seconds, before = time.perf_counter() - self._began, self._before
        rate, finished = (done - before.done) / seconds, grid.progress == 1
        state = StoreProgress(done, total, before.seconds + seconds, rate, finished, time.time())
        # All cells of this sample are marked again: a piece of ``done`` is rewritten whole in any case.
        self._put({DONE: grid.done.__getitem__}, {schema.SAMPLE: np.array([sample])})
        self._group.update_attributes({**attrs, "progress": grid.progress, _STATE: _as_json(state)})

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Lock the store against other processes and other sweeps of this one; a RuntimeError if one holds it."""
        with (self.path / ".lock").open("ab") as file:
            try:
                _lock(file)
            except OSError as error:
                raise RuntimeError(
                    f"the store {self.path} is being filled by another run: wait for it, close its iterator, or give "
                    "another path."
                ) from error
            # pieces that are all fill value are written too, so that a file that is missing is one that was lost
            with zarr.config.set({"array.write_empty_chunks": True}):
                self._group = zarr.open_group(self.path, mode="r+", zarr_format=2, use_consolidated=True)
                self._arrays = dict(self._group.arrays())
            for folder in (self.path, *(self.path / name for name in self._arrays)):
                for entry in folder.iterdir():
                    if _PARTIAL.fullmatch(entry.name) and entry.is_file():
                        entry.unlink()
            yield

    def _create(self, template: xr.Dataset) -> None:
        """Create the store from an empty grid, which may consist of broadcast scalars, with variable ``done``."""
        partial = zarr_groups.partial_beside(self.path)
        encoding = {name: {"chunks": _chunks(str(name), v), "compressors": None} for name, v in template.items()}
        template.to_zarr(partial, encoding=encoding, **zarr_groups.OPTIONS)
        if self.path.exists():
            self.path.rmdir()
        # A rename is atomic, so that a process killed before it leaves no store that looks begun but lacks arrays.
        partial.rename(self.path)

    def _read(self, grid: StoredGrid, recorder: Recorder | None) -> None:
        grid.done[...] = self._arrays[DONE][...]
        for name, (_, values, _) in grid.variables().items():
            values[...] = self._arrays[name][...].astype(values.dtype)
        grid.restored()
        for name, (variable, data) in (recorder.arrays() if recorder is not None else {}).items():
            _fill(data, self._arrays[name], variable.dims.index(schema.READ_LAYER))

    def _put(self, sources: Mapping[str, Take], touched: Mapping[str, np.ndarray]) -> None:
        """Write the pieces of variables that hold touched elements.

        Parameters
        ----------
        sources : mapping of str to callable
        touched : mapping of str to int array [elements]
            Their places by dimension; a piece holds all of a dimension that is not named.
        """
        for name, take in sources.items():
            array = self._arrays[name]
            shape, chunks = array.shape, array.chunks
            for block in _touched_blocks(array.attrs["_ARRAY_DIMENSIONS"], shape, chunks, touched):
                region = tuple(slice(i * c, min((i + 1) * c, n)) for i, c, n in zip(block, chunks, shape, strict=True))
                # Regions are whole pieces: Zarr then replaces a file by one rename, and reads nothing to fill it up.
                array[region] = take(region)


def _sources(grid: StoredGrid, recorder: Recorder | None) -> tuple[dict[str, Take], dict[str, Take]]:
    """Variables that have a value per cell, and the other ones (unsteered runs, eligibility)."""
    by_cell, others = dict[str, Take](), dict[str, Take]()
    for name, (dims, values, _) in grid.variables().items():
        (by_cell if schema.LAYER in dims else others)[name] = values.__getitem__
    for name, (variable, data) in (recorder.arrays() if recorder is not None else {}).items():
        kind = by_cell if schema.LAYER in variable.dims else others
        kind[name] = _take(data, variable.dims.index(schema.READ_LAYER))
    return by_cell, others


def _recorded_template(recorder: Recorder) -> dict[str, xr.Variable]:
    """Recorded variables with NaN everywhere, as broadcast scalars, which take no memory."""
    variables = {}
    for name, (variable, data) in recorder.arrays().items():
        dtype = (data if isinstance(data, Tensor) else data[0]).dtype
        attrs = variable.attrs | {_DTYPE: dtype_name(dtype)}
        empty = np.broadcast_to(np.asarray(np.nan, variable.dtype), variable.shape)
        variables[name] = xr.Variable(variable.dims, empty, attrs)
    return variables


def _take(data: Tensor | list[Tensor], axis: int) -> Take:
    """Region of a tensor, or of one tensor per element of ``axis``, on the host."""

    def take(region: tuple[slice, ...]) -> np.ndarray:
        if isinstance(data, Tensor):
            return on_host(data[region])
        inner = region[:axis] + region[axis + 1 :]
        return np.stack([on_host(part[inner]) for part in data[region[axis]]], axis)

    return take


def _fill(data: Tensor | list[Tensor], stored: zarr.Array, axis: int) -> None:
    """Copy an array from the disk to its device, a slice of the first dimension at a time."""
    for first in range(stored.shape[0]):
        values = torch.from_numpy(stored[first])
        if isinstance(data, Tensor):
            data[first].copy_(values)
        else:
            for number, part in enumerate(data):
                part[first].copy_(values.select(axis - 1, number))


def _other_versions(attrs: Attributes) -> Attributes:
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
        f"this run goes on with other versions than it was begun with: {', '.join(changed)}. Cells may differ by "
        "more than rounding if these compute differently.",
        stacklevel=2,
    )
    return {"resumed_with": changed}


def _attributes(path: Path) -> Attributes:
    if not path.exists():
        raise FileNotFoundError(f"no store at {path}: a sweep or patch with store= makes it with its first chunk.")
    attrs = zarr_groups.read_json(path / ".zattrs") if (path / ".zattrs").is_file() else {}
    if _SETTINGS not in attrs:
        raise ValueError(f"{path} exists and is not the store of a sweep or of patch: give a new path as store=.")
    zarr_groups.require_known_codecs(path)
    return attrs


def _chunks(name: str, variable: xr.DataArray) -> tuple[int, ...]:
    """Shape of the pieces: small enough to be written again with every chunk, large enough to be few."""
    sizes = {str(dim): size for dim, size in variable.sizes.items()}
    itemsize = _TEXT_BYTES if variable.dtype.hasobject else variable.dtype.itemsize
    largest = _DONE_PIECE if name == DONE else _PIECE
    # one file marks all that a chunk has finished, so that it is finished as a whole or not at all
    for dim in _SPLIT_FIRST[:1] if name == DONE else _SPLIT_FIRST + _SPLIT_LAST:
        if dim in sizes:
            others = itemsize * math.prod(sizes.values()) // sizes[dim]
            sizes[dim] = min(max(largest // others, 1), sizes[dim])
    return tuple(sizes.values())


def _touched_blocks(
    dims: Sequence[str], shape: Sequence[int], chunks: Sequence[int], touched: Mapping[str, np.ndarray]
) -> Iterator[tuple[int, ...]]:
    named = [number for number, dim in enumerate(dims) if dim in touched]
    places = np.stack([touched[dims[n]] // chunks[n] for n in named], 1)
    counts = [math.ceil(size / chunk) for size, chunk in zip(shape, chunks, strict=True)]
    for place in np.unique(places, axis=0).tolist():
        known = dict(zip(named, place, strict=True))
        yield from itertools.product(*([known[n]] if n in known else range(c) for n, c in enumerate(counts)))


def _lock(file: BinaryIO) -> None:
    """Lock a file until it is closed, or its process ends in whatever way."""
    if sys.platform == "win32":
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
