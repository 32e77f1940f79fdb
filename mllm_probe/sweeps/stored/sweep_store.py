"""The store of a sweep, which fills unit by unit, whoever computes which, who filled it, and sizes as text."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import xarray as xr

from mllm_probe import schema
from mllm_probe.activations.store_layout import BOOKKEEPING, FILES, require_same
from mllm_probe.activations.store_places import place_of
from mllm_probe.activations.unit_store import UnitStore
from mllm_probe.typing import Attributes, Coordinates, JsonObject

if TYPE_CHECKING:
    from mllm_probe.sweeps.grid import Variables
    from mllm_probe.sweeps.record import Recorder, Recording
    from mllm_probe.sweeps.stored.units import Region


@dataclass(frozen=True)
class Worker:
    """Work of one host with one kind of device.

    Attributes
    ----------
    host, device, dtype : str
    processes : int
        Processes there that finished units; one that was started again counts again.
    units, runs : int
    seconds : float
        That its units took, added up.
    last : float
        When its last unit was finished, in seconds since 1970.
    """

    host: str
    device: str
    dtype: str
    processes: int
    units: int
    runs: int
    seconds: float
    last: float

    @property
    def kind(self) -> str:
        """Type of device and of numbers, such as ``"cpu float32"``."""
        return f"{self.device} {self.dtype}"

    @property
    def rate(self) -> float:
        """Runs per second of one process while it works on a unit."""
        return self.runs / max(self.seconds, 1e-9)


def workers_of(notes: Iterable[JsonObject]) -> tuple[Worker, ...]:
    """Who computed the units that these notes are of, one entry for each host, device and type of numbers.

    `notes`: what finished units noted, as `StoreWatch.notes` gives it.
    """
    by: dict[tuple[str, str, str], list[JsonObject]] = {}
    for note in notes:
        by.setdefault((str(note["host"]), str(note["device"]), str(note["dtype"])), []).append(note)
    return tuple(_worker(key, notes) for key, notes in sorted(by.items()))


def kinds_of(workers: Iterable[Worker]) -> list[str]:
    """Types of device and of numbers that units were computed with, such as ``"cpu float32"``, in order."""
    return sorted({worker.kind for worker in workers})


def _worker(key: tuple[str, str, str], notes: Sequence[JsonObject]) -> Worker:
    return Worker(
        *key,
        processes=len({note["process"] for note in notes}),
        units=len(notes),
        runs=sum(int(note["runs"]) for note in notes),
        seconds=sum(float(note["seconds"]) for note in notes),
        last=max(float(note["written"]) for note in notes),
    )


DONE = "done"
"""Variable (bool, per cell) of finished cells; in the store only."""
_DONE_ATTRS = {"long_name": "the cell is finished"}
_DTYPE, _VERSION = "dtype", "version_"
LAYOUT, RUNS, ORDER = "store_layout", "store_runs", "store_order"
COMPUTED_WITH = "computed_with"
"""Attribute of grids whose units were computed with several dtypes or types of device: which."""
STORE_ATTRIBUTES = (LAYOUT, RUNS, ORDER, BOOKKEEPING)
_COMPUTED_WITH = f"{FILES}/computed_with.json"
"""File that says the dtype and the type of device of the first unit."""
SWEEP, PATCH = "sweep", "patch"
"""Kinds of what a store holds."""

Index = tuple[Any, ...]
"""For each dimension a slice, or the places of samples."""
Take = Callable[[Index], np.ndarray]
"""Gives a region of an array, on the host."""
Regions: TypeAlias = "Callable[[Sequence[str]], Iterator[Region]]"


class StoredGrid(Protocol):
    """Arrays that fill while something runs."""

    done: np.ndarray

    def variables(self) -> Variables:
        """Dimensions, array (not a copy) and attributes of every variable."""


class SweepStore:
    """Arrays of a grid on disk, with their units; made when the first unit is run.

    `settings`: all that decides the numbers, as plain values: a store with others is another run's.
    `dims`: of a cell.
    `fixed`: variables of the grid that are known before the first unit.
    `kind`: {"sweep", "patch"}.
    `mixed`: whether units of another dtype or type of device are let in beside those that are there.
    `place`: how its files are reached.

    Raises ValueError if there is something else, or a run with other settings, which are named.
    """

    def __init__(
        self, path: str | Path, settings: JsonObject, dims: Sequence[str], fixed: Sequence[str] = (), *,
        kind: str = SWEEP, mixed: bool = False,
    ) -> None:  # fmt: skip
        self.path, self._settings, self._kind = path, json.loads(json.dumps(settings)), kind
        self.place, self._mixed = place_of(path), mixed
        self._dims, self._fixed = tuple(dims), frozenset(fixed)
        self._store: UnitStore | None = None if self.place.is_free() else self._opened()

    def _opened(self) -> UnitStore:
        """The store that is there, if it has these settings."""
        store, asked = UnitStore.open(self.path, self._kind), self._settings
        stored = store.settings.get(_DTYPE)
        require_same(store.settings, asked | {_DTYPE: stored}, str(self.place), self._kind)
        if stored != asked.get(_DTYPE) and not self._mixed:
            raise self._another([f"dtype: stored {stored!r}, asked for {asked.get(_DTYPE)!r}"])
        return store

    def begin_work(self, device: str, dtype: str) -> None:
        """Note what the first units are computed with, or compare this process with it.

        `device`: type of the device. Raises ValueError if units of another dtype or type of device would stand beside
        those that are there, and ``mixed`` is off.
        """
        store, computed_with = self.opened, {"device": device, _DTYPE: dtype}
        content = store.get_file(_COMPUTED_WITH)
        if content is None:
            store.put_file(_COMPUTED_WITH, json.dumps(computed_with).encode())
            content = store.get_file(_COMPUTED_WITH)  # another process may have been first
        assert content is not None
        stored: dict[str, str] = json.loads(content)
        other = [
            f"{name}: stored {stored[name]!r}, here {computed_with[name]!r}"
            for name in computed_with
            if stored[name] != computed_with[name]
        ]
        if other and not self._mixed:
            raise self._another(other)

    def computed_with(self) -> list[str]:
        """Types of device and dtypes of the finished units, see :func:`kinds_of`."""
        return kinds_of(workers_of(marker for _, marker in self.opened.markers(sorted(self.opened.finished()))))

    def _another(self, what: Sequence[str]) -> ValueError:
        both = ", or allow both with mixed=True (--mixed), where each unit says its own"
        allowed = both if self._kind == SWEEP else ""
        return ValueError(
            f"the store {self.place} is computed with another dtype or type of device ({'; '.join(what)}): its cells "
            f"would differ by more than rounding. Compute it with the same{allowed}, or give another path."
        )

    @property
    def address(self) -> str:
        """Where other processes find it."""
        return self.place.address

    @property
    def is_created(self) -> bool:
        """Whether the run was begun."""
        return self._store is not None

    @property
    def attributes(self) -> Attributes:
        """Attributes of the grid, as they were when the run was begun."""
        return {name: value for name, value in self.opened.attributes.items() if name not in STORE_ATTRIBUTES}

    @property
    def layout(self) -> JsonObject:
        """Sizes of the units of the run: whole numbers by name.

        Raises ValueError if the store says something else.
        """
        layout = store_attribute(self.opened, LAYOUT)
        if not isinstance(layout, dict) or not all(isinstance(value, int) and value >= 1 for value in layout.values()):
            raise damaged_attribute(self.opened, LAYOUT, "expected whole numbers, 1 or more, by name")
        return layout

    def create(
        self,
        grid: StoredGrid,
        coordinates: Coordinates,
        attributes: Attributes,
        *,
        recorder: Recorder | None,
        chunks: Callable[[Sequence[str], Sequence[int], int], tuple[int, ...]],
        runs: Mapping[str, int],
        layout: JsonObject,
        order: Sequence[int],
    ) -> None:
        """Write the layout, unless another process was first; whatever it is then is in :attr:`layout`.

        `grid`: Empty.
        `coordinates`, `attributes`: of the grid.
        `chunks`: shape of the chunks of an array, from its dimensions, shape and bytes of an element.
        `runs`: name of every unit, in their order, and how many runs it has.
        `order`: samples in the order in which they are stored.
        """
        variables = {name: xr.Variable(dims, _blank(values), attrs) for name, (dims, values, attrs) in
                     self._variables(grid).items()}  # fmt: skip
        known = {name: (dims, values, attrs) for name, (dims, values, attrs) in grid.variables().items()
                 if name in self._fixed}  # fmt: skip
        template = xr.Dataset({**variables, **known}, attrs=dict(attributes))
        coords: Coordinates = dict(coordinates)
        if recorder is not None:
            blank = {name: recording.blank() for name, recording in recorder.recordings().items()}
            template, coords = template.assign(blank), coords | recorder.coordinates()
        template = template.assign_coords(xr.Dataset(coords=coords).isel({schema.SAMPLE: list(order)}).coords)
        cut = {
            str(name): chunks([str(dim) for dim in array.dims], array.shape, _TEXT if array.dtype.hasobject else
                              array.dtype.itemsize) for name, array in template.items() if name not in self._fixed
        }  # fmt: skip
        template = template.assign_attrs(
            {LAYOUT: json.dumps(layout), RUNS: json.dumps(list(runs.values())), ORDER: json.dumps(list(order))}
        )
        UnitStore.create(
            self.path, template, cut, kind=self._kind, settings=self._settings, units=list(runs), compared=False
        )  # fmt: skip
        self._store = self._opened()

    def finished(self) -> set[str]:
        """Names of the units that are finished, by any process."""
        return self.opened.finished()

    def save(
        self, unit: str, regions: Regions, grid: StoredGrid, recorder: Recorder | None, order: Sequence[int],
        **facts: Any,
    ) -> bool:  # fmt: skip
        """Write a unit's chunks and mark it as finished; False where it was finished already.

        `regions`: where the unit writes into an array with these dimensions. `order`: samples in the order in which
        they are stored. `**facts`: what its marker notes: runs, seconds, device, dtype.
        """
        parts: dict[str, list[tuple[tuple[slice, ...], np.ndarray]]] = {}
        for name, (dims, take) in self._sources(grid, recorder).items():
            for region in regions(dims):
                stored, local = _places(region, dims, order)
                parts.setdefault(name, []).append((stored, take(local)))
        return self.opened.write(unit, parts, **facts)

    def load(self, regions: Regions, grid: StoredGrid, recorder: Recorder | None, order: Sequence[int]) -> None:
        """Fill arrays from regions of finished units; as for :meth:`save`."""
        store = self.opened
        for name, (dims, values, _) in self._variables(grid).items():
            for region in regions(dims):
                stored, local = _places(region, dims, order)
                values[local] = store.read(name, stored).astype(values.dtype)
        for name, recording in _recordings(recorder).items():
            for region in regions(recording.dims):
                stored, local = _places(region, recording.dims, order)
                recording.fill(local, store.read(name, stored))

    def load_all(self, grid: StoredGrid, recorder: Recorder | None, order: Sequence[int]) -> None:
        """Fill all arrays of a run whose units are all finished."""
        self.load(lambda dims: iter([{}]), grid, recorder, order)

    def other_versions(self) -> Attributes:
        """Warn of libraries whose version differs from that at the beginning of the run; attributes that record it."""
        now, then = schema.provenance(), self.opened.attributes
        changed = [
            f"{name.removeprefix(_VERSION)} {now[name]} (begun with {then.get(name)})"
            for name in now
            if name.startswith(_VERSION) and then.get(name) != now[name]
        ]
        if not changed:
            return {}
        warnings.warn(
            f"this run goes on with other versions than it was begun with: {', '.join(changed)}. Cells may differ by "
            "more than rounding if these compute differently.",
            stacklevel=2,
        )
        return {"resumed_with": changed}

    @property
    def opened(self) -> UnitStore:
        """The store itself, once the run was begun."""
        assert self._store is not None, "the store is made before its first unit is run"
        return self._store

    def _variables(self, grid: StoredGrid) -> Variables:
        filled = {name: variable for name, variable in grid.variables().items() if name not in self._fixed}
        return filled | {DONE: (self._dims, grid.done, _DONE_ATTRS)}

    def _sources(self, grid: StoredGrid, recorder: Recorder | None) -> dict[str, tuple[tuple[str, ...], Take]]:
        sources: dict[str, tuple[tuple[str, ...], Take]] = {
            name: (dims, values.__getitem__) for name, (dims, values, _) in self._variables(grid).items()
        }
        sources |= {name: (recording.dims, recording.take) for name, recording in _recordings(recorder).items()}
        sources[DONE] = sources.pop(DONE)  # last: readers without markers take what it says as written
        return sources


_TEXT = 32
"""Bytes of a text, about."""


def store_attribute(store: UnitStore, name: str) -> Any:
    """Attribute of a store's bookkeeping, beside its dataset.

    Raises ValueError if it is not there, or is no JSON.
    """
    try:
        return json.loads(store.attributes[name])
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise damaged_attribute(store, name, error) from error


def damaged_attribute(store: UnitStore, name: str, what: object) -> ValueError:
    """The error of an attribute that was changed."""
    return ValueError(
        f"the layout of the store {store.path} is damaged (attribute '{name}': {what}): copy it again, or give a new "
        "path."
    )


def open_unit_store(path: str | Path) -> UnitStore:
    """The store of a sweep or of patch that is there.

    Raises FileNotFoundError, ValueError: as :func:`read_progress`.
    """
    if (place := place_of(path)).is_free():
        raise FileNotFoundError(f"no store at {place}: a sweep or patch with store= makes it with its first unit.")
    store = UnitStore.open(path)
    if store.kind not in (SWEEP, PATCH):
        raise ValueError(f"{place} is the store of a {store.kind}, not of a sweep or of patch.")
    return store


def _places(region: Region, dims: Sequence[str], order: Sequence[int]) -> tuple[tuple[slice, ...], Index]:
    """Where a region lies in the store, and in the arrays, whose samples are in their own order."""
    stored = tuple(slice(*region[dim]) if dim in region else slice(None) for dim in dims)
    index: list[Any] = list(stored)
    if schema.SAMPLE in dims:
        place = list(dims).index(schema.SAMPLE)
        # The store keeps images in the order in which units take them, the coarse map's first; the grid in that of the
        # user.
        index[place] = np.array(order[stored[place]], np.int64)
    return stored, tuple(index)


def _blank(values: np.ndarray) -> np.ndarray:
    """The shape of an empty array, as a broadcast scalar, which takes no memory."""
    first = values.reshape(-1)[:1] if values.size else np.zeros(1, values.dtype)
    return np.broadcast_to(first.reshape((1,) * values.ndim), values.shape)


def _recordings(recorder: Recorder | None) -> dict[str, Recording]:
    return {} if recorder is None else recorder.recordings()


def size_text(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"


def duration_text(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 90:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.2g} min" if seconds < 5400 else f"{seconds / 3600:,.3g} h"
