"""The store of a sweep: a Zarr group that is written chunk by chunk and can be resumed after a kill at any moment."""

from __future__ import annotations

import itertools
import json
import math
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import xarray as xr
import zarr

from mllm_probe import schema
from mllm_probe.activations import zarr_groups
from mllm_probe.sweeps.identity import require_same

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

DONE = "done"
"""Variable (bool, per cell) of finished cells; in the store only."""
_SETTINGS, _STATE = "store_settings", "store_state"
_BOOKKEEPING = (_SETTINGS, _STATE, "progress")
_PARTIAL = re.compile(r"(\.z[a-z]+|[\d.]+)\.[0-9a-f]{32}\.partial")
"""Files that Zarr had not yet renamed when its process was killed: metadata and pieces, under a random name."""
_PIECE, _DONE_PIECE = 1 << 17, 1 << 20
_TEXT_BYTES = 32
_SPLIT_FIRST = (schema.SAMPLE, schema.STRENGTH, schema.LAYER, schema.CONCEPT, schema.DRAW, schema.CONTROL)
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
    attrs = _attributes(zarr_groups.as_folder(path))
    return StoreProgress(**{name: json.loads(attrs[_STATE])[name] for name in StoreProgress.__dataclass_fields__})


class SweepStore:
    """The store of one sweep.

    Zarr writes every file under a temporary name and renames it, pieces are written whole, and ``done`` is written
    after the values of its cells: whenever the process is killed, cells that ``done`` marks are complete. (A power cut
    may lose data that the operating system had not yet put on the disk.)

    Parameters
    ----------
    path : str or Path
        A folder; made when the first chunk is run.
    settings : dict
        From :func:`mllm_probe.sweeps.identity.identity`.

    Raises
    ------
    ValueError
        If there is something else, or a sweep with other settings, which are named.

    Attributes
    ----------
    seconds_writing : float
        Processor time spent on writing by this process.
    """

    def __init__(self, path: str | Path, settings: Mapping[str, Any]) -> None:
        self.path, self.settings, self.seconds_writing = zarr_groups.as_folder(path), dict(settings), 0.0
        self._group: Any = None
        self._arrays: dict[str, Any] = {}
        if self.exists:
            require_same(json.loads(_attributes(self.path)[_SETTINGS]), self.settings, str(self.path))

    @property
    def exists(self) -> bool:
        """Whether the sweep was begun.

        Raises
        ------
        ValueError
            If the path holds something that is not the store of a sweep.
        """
        if not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir())):
            return False
        _attributes(self.path)
        return True

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the store against other processes, and against other sweeps of this one.

        Raises
        ------
        RuntimeError
            If one does.
        """
        with (self.path / ".lock").open("ab") as file:
            try:
                _lock(file)
            except OSError as error:
                raise RuntimeError(
                    f"the store {self.path} is being filled by another sweep: wait for it, close its iterator, or give "
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

    def create(self, template: xr.Dataset, state: Mapping[str, Any]) -> None:
        """Create the store from an empty grid, which may consist of broadcast scalars, with variable ``done``."""
        partial = zarr_groups.partial_beside(self.path)
        template = template.assign_attrs({_SETTINGS: json.dumps(self.settings), _STATE: json.dumps(dict(state))})
        encoding = {name: {"chunks": _chunks(str(name), v), "compressors": None} for name, v in template.items()}
        template.to_zarr(partial, encoding=encoding, **zarr_groups.OPTIONS)
        if self.path.exists():
            self.path.rmdir()
        # A rename is atomic, so that a process killed before it leaves no store that looks begun but lacks arrays.
        partial.rename(self.path)

    def attributes(self) -> dict[str, Any]:
        """Attributes of the grid, without the store's own."""
        return {name: value for name, value in _attributes(self.path).items() if name not in _BOOKKEEPING}

    def state(self) -> dict[str, Any]:
        """State that was last given to :meth:`commit`."""
        state: dict[str, Any] = json.loads(_attributes(self.path)[_STATE])
        return state

    def arrays(self) -> Mapping[str, Any]:
        """The arrays as they are on disk, by name, while the store is held."""
        return self._arrays

    def put(self, sources: Mapping[str, Take], touched: Mapping[str, np.ndarray]) -> None:
        """Write the pieces of variables that hold touched elements.

        Parameters
        ----------
        sources : mapping of str to callable
        touched : mapping of str to int array [elements]
            Their places by dimension; a piece holds all of a dimension that is not named.
        """
        began = time.process_time()
        for name, take in sources.items():
            self._write(name, take, touched)
        self.seconds_writing += time.process_time() - began

    def commit(
        self, done: Take, touched: Mapping[str, np.ndarray], attrs: Mapping[str, Any], state: Mapping[str, Any]
    ) -> None:
        """Mark elements as finished, after :meth:`put` has written them, and update the attributes."""
        began = time.process_time()
        self._write(DONE, done, touched)
        self._group.update_attributes({**attrs, _STATE: json.dumps(dict(state))})
        self.seconds_writing += time.process_time() - began

    def _write(self, name: str, take: Take, touched: Mapping[str, np.ndarray]) -> None:
        array = self._arrays[name]
        shape, chunks = array.shape, array.chunks
        for block in _touched_blocks(array.attrs["_ARRAY_DIMENSIONS"], shape, chunks, touched):
            region = tuple(slice(i * c, min((i + 1) * c, n)) for i, c, n in zip(block, chunks, shape, strict=True))
            # Regions are whole pieces: Zarr then replaces a file by one rename, and reads nothing to fill it up.
            array[region] = take(region)


def _attributes(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise FileNotFoundError(f"no store at {path}: a sweep with store= makes it when its first chunk is run.")
    attrs = zarr_groups.read_json(path / ".zattrs") if (path / ".zattrs").is_file() else {}
    if _SETTINGS not in attrs:
        raise ValueError(f"{path} exists and is not the store of a sweep: give a new path as store=.")
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
