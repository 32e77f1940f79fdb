"""Stores that fill unit by unit: a layout written once, a marker for each finished unit, read as a dataset."""

from __future__ import annotations

import json
import os
import platform
import random
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import xarray as xr
import zarr
from xarray.backends import BackendArray
from xarray.core import indexing
from zarr.abc.store import Store

from mllm_probe import schema
from mllm_probe.activations import store_layout
from mllm_probe.activations.store_layout import (
    BOOKKEEPING,
    VERSION,
    attributes_of,
    description,
    require_same,
    write_layout,
)
from mllm_probe.activations.store_places import (
    ENDING,
    LAYOUT,
    MARKERS,
    Place,
    checksum,
    delete_key,
    each_key,
    irregular_keys,
    key_sizes,
    marker_key,
    missing_keys,
    names_below,
    place_of,
    read_key,
    require_names,
    sealed,
    unsealed,
    write_key,
    write_new_key,
)
from mllm_probe.typing import JsonObject

Region: TypeAlias = tuple[slice, ...]
Selection: TypeAlias = tuple[Any, ...]
"""For each dimension a slice, a number or an array of numbers."""

_DICE = random.SystemRandom()  # nobody's seed is used up


class UnitStore:
    """A dataset on disk whose variables are filled by units of work, by any number of processes at once.

    The layout (shapes, chunks, coordinates, settings) is written once and never changes. Every chunk belongs to one
    unit, which writes it whole; the unit's marker is created after its chunks are on the disk and names each with its
    size and checksum. There are no locks: whoever finds a marker skips the unit, and two processes that meet on one
    write the same bytes and leave one marker. ``xarray.open_zarr`` reads the store at any moment; what is not finished
    has the fill value. Every chunk carries a CRC-32C, so that any reader refuses one that was changed or cut.

    Use :meth:`create` or :meth:`open`.

    `path`: the folder, or the address in an object store.
    `place`: how its files are reached.
    `kind`: what it holds, such as ``"capture"``.
    `settings`: all that decides the values.
    `plan`: choices of whoever created it.
    `units`: names of the units, in their order.
    `variables`: names of the variables that units fill.
    """

    def __init__(self, place: Place, described: JsonObject) -> None:
        self.place, self.path, self.kind = place, place.path, str(described["kind"])
        self.settings: JsonObject = described["settings"]
        self.plan: JsonObject = described["plan"]
        self.units = tuple(map(str, described["units"]))
        self.variables = tuple(map(str, described["variables"]))
        self._names = frozenset(self.units)

    @classmethod
    def create(
        cls,
        path: str | Path,
        template: xr.Dataset,
        chunks: Mapping[str, Sequence[int]],
        *,
        kind: str,
        settings: JsonObject,
        units: int | Sequence[str],
        plan: JsonObject | None = None,
        compared: bool = True,
    ) -> UnitStore:
        """Write the layout, whole or not at all, unless the store is there; several processes may do so at once.

        `path`: a folder that does not exist or is empty, or an address of an object store where nothing is.
        `template`: of the final shape. Variables that units fill may be broadcast scalars: their first element is the
            fill value. All others, coordinates among them, are written now.
        `chunks`: for each variable that units fill, the shape of its chunks.
        `settings`: plain values that JSON keeps.
        `units`: how many units there are (they are then called "0", "1" …), or their names.
        `plan`: choices of whoever creates the store that all others follow, such as the size of a batch: plain values,
            kept and never compared.
        `compared`: whether a store that is there must have the same settings; else the caller compares them.

        Raises ValueError if something else is there, or a store with other settings, which are named. Raises OSError if
        it cannot be written.
        """
        place = place_of(path)
        settings = json.loads(json.dumps(settings))
        if place.is_free():
            names = [str(number) for number in range(units)] if isinstance(units, int) else list(units)
            require_names(names)
            described = {
                "version": VERSION,
                "kind": kind,
                "settings": settings,
                "plan": plan or {},
                "units": names,
                "variables": [*chunks],
            }
            place.create(lambda store: write_layout(store, template, chunks, described))
        return cls.open(path, kind, settings if compared else None)

    @classmethod
    def open(cls, path: str | Path, kind: str | None = None, settings: JsonObject | None = None) -> UnitStore:
        """Open a store that is there.

        `kind`: what it must hold. `settings`: what it must have been made with. Raises FileNotFoundError if there is
        nothing. Raises ValueError if it is something else, has other settings (each that differs is named) or its
        layout is damaged.
        """
        place = place_of(path)
        if place.is_free():
            raise FileNotFoundError(f"there is no store at {place}.")
        place.complete()
        described = description(place)
        if described is None or (kind is not None and described["kind"] != kind):
            expected, actual = (
                kind or "store of this package",
                "" if described is None else f" but a {described['kind']}",
            )
            raise ValueError(f"{place} exists and holds no {expected}{actual}: give a new path as store=.")
        store_layout.require_safe_arrays(place)
        store = cls(place, described)
        store._require_layout()
        if settings is not None:
            require_same(store.settings, json.loads(json.dumps(settings)), str(place), store.kind)
        return store

    def write(self, unit: int | str, regions: Mapping[str, Sequence[tuple[Region, np.ndarray]]], **facts: Any) -> bool:
        """Write the chunks of a unit, then its marker.

        `regions`: for each variable, slices of all its dimensions that cover whole chunks, and the values there.
        `**facts`: plain values that the marker notes: device, dtype, seconds. Returns: False if the unit was finished
        already; nothing is written then. Raises ValueError if a region does not cover whole chunks, or two regions
        share one. Raises OSError if the disk is full or may not be written; no marker is left then.
        """
        name = self._known(unit)
        keys = [
            key for variable, parts in regions.items() for region, _ in parts for key in self._owned(variable, region)
        ]
        if len(set(keys)) < len(keys):
            raise ValueError(f"unit {name} of {self.path} writes a chunk twice: {_first_twice(keys)}.")
        if not missing_keys(self._store, [marker_key(name)]):
            return False
        with self.place.errors():
            for variable, parts in regions.items():
                for region, values in parts:
                    self._writable[variable][region] = values
            # Chunks are on the disk before a marker names them: whoever sees the marker after a crash finds the chunks.
            # The checksums are of what lies there, read back, not of what was meant.
            self.place.flush(keys)
            chunks = {key: checksum(content) for key, content in self._contents(keys)}
            who = {"host": platform.node(), "process": os.getpid(), "written": time.time()}
            marker = {"unit": name, "chunks": chunks, **who, **facts}
            content = sealed(marker | schema.provenance())
            write_new_key(self._writing, marker_key(name), content)
            if self.marker(name)["chunks"] != chunks:
                # Another process wrote other numbers (of another dtype, or in smaller batches) while this one did: what
                # lies there now was written last.
                write_key(self._writing, marker_key(name), content)
        return True

    def finished(self) -> set[str]:
        """Units that have a marker; one listing."""
        names = {n.removesuffix(ENDING) for n in names_below(self._store, MARKERS) if n.endswith(ENDING)}
        return names & self._names

    def remaining(self) -> list[str]:
        """Units that have no marker, in their order."""
        done = self.finished()
        return [name for name in self.units if name not in done]

    def unfinished(self) -> Iterator[str]:
        """Units that have no marker, one after another in a random order; the markers are looked at before each.

        Processes that fill a store together seldom meet on a unit, without a word between them.
        """
        tried: set[str] = set()
        while left := [name for name in self.remaining() if name not in tried]:
            tried.add(chosen := _DICE.choice(left))
            yield chosen

    def marker(self, unit: int | str) -> JsonObject:
        """Record of a finished unit: its chunks with their checksums, when, where and how long it was computed.

        Raises KeyError if it has no marker. Raises ValueError if its marker is damaged.
        """
        return next(marker for _, marker in self.markers([unit]))

    def markers(self, units: Sequence[int | str]) -> Iterator[tuple[str, JsonObject]]:
        """Names of units, each with what it noted, as :meth:`marker`; many are read at once."""
        names = [self._known(unit) for unit in units]
        for name, content in zip(names, each_key(self._store, list(map(marker_key, names))), strict=True):
            yield name, self._noted(name, content)

    def _noted(self, name: str, content: bytes | None) -> JsonObject:
        """Content of a marker, if it is that of this unit, as it was written."""
        if content is None and name in self.finished():
            raise self._damaged_marker(name, "it is no regular file")
        if content is None:
            raise KeyError(f"unit {name} of {self.path} is not finished.")
        try:
            noted = unsealed(content)
        except ValueError as error:
            raise self._damaged_marker(name, error) from error
        if noted.get("unit") != name:
            raise self._damaged_marker(name, f"it is that of {noted.get('unit')}")
        return noted

    def read(self, variable: str, selection: Selection | None = None) -> np.ndarray:
        """Values of a variable; what no unit has finished has the fill value.

        `selection`: one for each dimension, as in ``numpy.ix_``; everything by default. Raises ValueError if a chunk
        that a finished unit wrote is missing, was changed or cut short.
        """
        array = self._arrays[variable]
        selection = (slice(None),) * array.ndim if selection is None else selection
        # Zarr reads a missing chunk as fill values. Markers are read only where a chunk is missing, as they tell a
        # chunk that was lost from one that nobody has computed.
        lost = missing_keys(self._store, self._touched(variable, selection))
        if lost and (claimed := self._claimed().intersection(lost)):
            raise self._damaged(variable, f"chunk {min(claimed)} is missing")
        if irregular := irregular_keys(self._store, lost):
            raise self._damaged(variable, f"chunk {irregular[0]} is no regular file")
        outer = any(isinstance(part, np.ndarray) for part in selection)
        try:
            return np.asarray(array.oindex[selection] if outer else array[selection])
        except ConnectionError:
            raise  # of an object store: nothing is known of its chunks
        except (ValueError, RuntimeError, TypeError, OSError) as error:
            raise self._damaged(variable, error) from error

    def check(self, units: Collection[int | str] | None = None, *, contents: bool = True) -> dict[str, str]:
        """Compare what finished units noted with what is on the disk; reads, and changes nothing.

        `units`: all by default. `contents`: compare checksums; without, sizes alone, which reads no chunk. Returns:
        what is wrong with each damaged unit. :meth:`give_back` has it done again.
        """
        asked = self.finished() & set(self.units if units is None else map(self._known, units))
        owners: dict[str, str] = {}
        wrong: dict[str, str] = {}
        for name in (name for name in self.units if name in asked):
            try:
                chunks = self.marker(name)["chunks"]
            except (KeyError, ValueError) as error:
                wrong[name] = str(error)
                continue
            twice = [key for key in chunks if owners.setdefault(key, name) != name]
            problems = [f"chunk {key} belongs to unit {owners[key]} too" for key in twice]
            problems += self._differing(chunks, contents)
            if problems:
                wrong[name] = "; ".join(problems)
        return wrong

    def mend(self) -> dict[str, str]:
        """Check everything and give damaged units back; what is wrong with each."""
        damaged = self.check()
        for name in damaged:
            self.give_back(name)
        return damaged

    def give_back(self, unit: int | str) -> None:
        """Remove the marker of a unit, so that it is done again."""
        with self.place.errors():
            delete_key(self._writing, marker_key(self._known(unit)))

    @cached_property
    def attributes(self) -> JsonObject:
        """Attributes of the dataset, as they were written with the layout."""
        return attributes_of(self.place)

    def put_file(self, key: str, content: bytes) -> None:
        """Keep a file beside the arrays, whole or not at all; one that is there already stays."""
        with self.place.errors():
            write_new_key(self._writing, key, content)
            self.place.flush([key])

    def get_file(self, key: str) -> bytes | None:
        """Content of a file beside the arrays; None where there is none."""
        return read_key(self._store, key)

    def array(self, variable: str) -> zarr.Array:
        """The array of a variable, for its shape, type, chunks and attributes; :meth:`read` checks what it reads."""
        return self._arrays[variable]

    def dimensions(self, variable: str) -> tuple[str, ...]:
        """Names of a variable's dimensions."""
        names: Any = self._arrays[variable].metadata
        return tuple(map(str, names.dimension_names))

    @cached_property
    def _store(self) -> Store:
        return self.place.open(read_only=True)

    @cached_property
    def _writing(self) -> Store:
        return self.place.open(read_only=False)

    @cached_property
    def _arrays(self) -> dict[str, zarr.Array]:
        return self._arrays_in(self._store, "r")

    @cached_property
    def _writable(self) -> dict[str, zarr.Array]:
        return self._arrays_in(self._writing, "r+")

    def _arrays_in(self, store: Store, mode: Any) -> dict[str, zarr.Array]:
        try:
            arrays = _arrays_of(store, mode, self.variables)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._unreadable(f"array {error}") from error
        if without := [name for name, array in arrays.items() if array.size and 0 in array.chunks]:
            raise self._unreadable(f"array '{without[0]}' has chunks of no elements")
        return arrays

    def _known(self, unit: int | str) -> str:
        name = str(unit)
        if name not in self._names:
            raise ValueError(
                f"{self.path} has no unit {name!r}; it has {len(self.units)}, {self.units[0]!r} the first."
            )
        return name

    def _contents(self, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        for key, content in zip(keys, each_key(self._store, keys), strict=True):
            if content is None:
                raise OSError(f"chunk {key} was written and is not there.")
            yield key, content

    def _owned(self, variable: str, region: Region) -> list[str]:
        """Keys of the chunks that a region covers, all of them whole."""
        array = self._arrays[variable]
        if len(region) != array.ndim:
            raise ValueError(f"'{variable}' has {array.ndim} dimensions; got a region of {len(region)}.")
        for part, chunk, size in zip(region, array.chunks, array.shape, strict=True):
            start, stop, step = part.indices(size)
            # Two units that share a chunk would read, change and write it at once: the reason why there are no locks.
            if step != 1 or start % chunk or (stop % chunk and stop != size) or stop <= start:
                raise ValueError(
                    f"region {start}:{stop} of '{variable}' does not cover whole chunks of {chunk} (of {size}): a unit "
                    "owns its chunks."
                )
        return self._touched(variable, region)

    def _touched(self, variable: str, selection: Selection) -> list[str]:
        """Keys of the chunks that hold selected elements."""
        array = self._arrays[variable]
        numbers = [
            _chunk_numbers(part, chunk, size)
            for part, chunk, size in zip(selection, array.chunks, array.shape, strict=True)
        ]
        return [f"{variable}/{array.metadata.encode_chunk_key(place)}" for place in product(*numbers)]

    def _claimed(self) -> set[str]:
        """Keys that finished units wrote."""
        return {key for _, marker in self.markers(sorted(self.finished())) for key in marker["chunks"]}

    def _differing(self, chunks: Mapping[str, Any], contents: bool) -> Iterator[str]:
        keys = list(chunks)
        results = each_key(self._store, keys) if contents else iter(key_sizes(self._store, keys))
        for key, result in zip(keys, results, strict=True):
            size, noted = len(result) if isinstance(result, bytes) else result, chunks[key]["bytes"]
            if size is None:
                yield f"chunk {key} is missing"
            elif size != noted:
                yield f"chunk {key} has {size} bytes, not {noted}"
            elif isinstance(result, bytes) and checksum(result) != chunks[key]:
                yield f"chunk {key} was changed"

    def _require_layout(self) -> None:
        content = read_key(self._store, marker_key(LAYOUT))
        if content is None:
            raise self._unreadable(f"{marker_key(LAYOUT)} is missing")
        try:
            noted = unsealed(content)["chunks"]
        except ValueError as error:
            raise self._unreadable(f"{marker_key(LAYOUT)}: {error}") from error
        for problem in self._differing(noted, contents=True):
            raise self._unreadable(problem.replace("chunk ", "", 1))

    def _damaged_marker(self, name: str, what: object) -> ValueError:
        return ValueError(f"the marker of unit {name} of {self.path} is damaged ({what}). {_redo(self.path)}")

    def _damaged(self, variable: str, what: object) -> ValueError:
        return ValueError(f"'{variable}' of the store {self.path} is damaged ({what}). {_redo(self.path)}")

    def _unreadable(self, what: object) -> ValueError:
        return ValueError(
            f"the layout of the store {self.path} is damaged ({what}), so that it cannot be continued: copy it again, "
            "or give a new path."
        )


def _arrays_of(store: Store, mode: Any, names: Sequence[str]) -> dict[str, zarr.Array]:
    # chunks that are all fill value are written too, so that a file that is missing is one that was lost
    with zarr.config.set({"array.write_empty_chunks": True}):
        group = zarr.open_group(store, mode=mode, zarr_format=3, use_consolidated=False)
        arrays = dict(group.arrays())
        return {name: arrays[name] for name in names}


def _chunk_numbers(part: Any, chunk: int, size: int) -> list[int]:
    """Numbers of the chunks along one dimension that hold selected elements."""
    if isinstance(part, slice):
        chosen = range(*part.indices(size))
        if not chosen:
            return []
        if abs(chosen.step) <= chunk:
            return list(range(min(chosen[0], chosen[-1]) // chunk, max(chosen[0], chosen[-1]) // chunk + 1))
        return sorted({place // chunk for place in chosen})
    places = np.atleast_1d(np.asarray(part))
    return np.unique(np.where(places < 0, places + size, places) // chunk).tolist()


def _first_twice(keys: Sequence[str]) -> str:
    return next(key for key in keys if keys.count(key) > 1)


def _redo(path: Path | str) -> str:
    return (
        f"What else it holds is readable. mp.cache.check({str(path)!r}) finds every damaged part and gives it back; "
        "then run what made the store once more with the same settings, which computes these parts alone."
    )


class StoredVariable(BackendArray):
    """Backend array over one variable of a store: only the chunks of what is selected are read, and checked."""

    def __init__(self, store: UnitStore, name: str) -> None:
        array = store.array(name)
        self.store, self.name, self.shape = store, name, array.shape
        self.dtype = np.dtype(array.dtype)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        """Read the selected elements."""
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    async def async_getitem(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        """Answer xarray's asynchronous loading; the reading itself is not asynchronous."""
        return self[key]

    def _read(self, selection: Selection) -> np.ndarray:
        return self.store.read(self.name, selection)


def dataset_of(store: UnitStore) -> xr.Dataset:
    """The dataset of a store: coordinates in memory, what units fill on the disk and never kept once it was read."""
    dimensions = {name: store.dimensions(name) for name in store.variables}
    whole = store_layout.open_group(store.path)
    fixed = store_layout.with_plain_texts(whole.drop_vars(list(store.variables)).load())
    # A group lists its arrays in the order of the file system, which is no order.
    coords = {name: fixed.coords[name].variable for name in sorted(map(str, fixed.coords))}
    known = {name: fixed[name].variable for name in sorted(map(str, fixed.data_vars))}
    dataset = xr.Dataset(known, coords, fixed.attrs)
    dataset.attrs.pop(BOOKKEEPING, None)
    for name in store.variables:
        lazily = indexing.LazilyIndexedArray(StoredVariable(store, name))
        dataset[name] = xr.Variable(dimensions[name], lazily, whole[name].attrs)
    return dataset
