"""How far a store has come, by whom, at which pace, and what of it is damaged."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mllm_probe import schema
from mllm_probe.activations import store_layout
from mllm_probe.activations.store_layout import description
from mllm_probe.activations.store_places import place_of
from mllm_probe.activations.unit_store import UnitStore, dataset_of
from mllm_probe.sweeps.stored.sweep_store import (
    COMPUTED_WITH,
    ORDER,
    RUNS,
    STORE_ATTRIBUTES,
    Worker,
    damaged_attribute,
    duration_text,
    kinds_of,
    open_unit_store,
    store_attribute,
    workers_of,
)
from mllm_probe.typing import JsonObject

_NOTED = {"host": str, "process": int, "device": str, "dtype": str, "runs": int, "seconds": float, "written": float}
"""What is read of a marker."""
_RATE_UNITS = 8
"""Units that were finished last, from which the rate is."""


@dataclass(frozen=True)
class StoreProgress:
    """Progress of a stored sweep, over all processes that fill it.

    Attributes
    ----------
    done, total : int
        Steered runs of finished units (cells on one image; cells that share a run count once).
    seconds : float
        Time that its units took, added up over processes.
    rate : float
        Runs per second over the units that were finished last, without the time in which none was run; 0 before the
        first one.
    finished : bool
    updated : float
        When the last unit was finished, in seconds since 1970; 0 before the first one.
    units, units_done : int
        Units of work.
    """

    done: int
    total: int
    seconds: float
    rate: float
    finished: bool
    updated: float
    units: int = 0
    units_done: int = 0


class StoreWatch:
    """Follows the progress of a store; what a finished unit noted is read once.

    Raises FileNotFoundError if there is no store yet. Raises ValueError if something else is there, or it is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self._store = open_unit_store(path)
        self._runs = _whole_numbers(self._store, RUNS, len(self._store.units))
        self._notes: dict[str, JsonObject] = {}

    def notes(self) -> dict[str, JsonObject]:
        """Record of each finished unit, without its chunks: when it was written, its seconds, host, device, dtype."""
        finished = self._store.finished()
        self._notes = {name: note for name, note in self._notes.items() if name in finished}
        for name, note in self._store.markers(sorted(finished.difference(self._notes))):
            if lacking := [key for key, kind in _NOTED.items() if not _fits(note.get(key), kind)]:
                raise ValueError(
                    f"the marker of unit {name} of {self._store.path} is damaged (no right {lacking[0]}): give the "
                    "unit back with a check of the store, and run what made it once more."
                )
            self._notes[name] = {key: value for key, value in note.items() if key != "chunks"}
        return self._notes

    def workers(self) -> tuple[Worker, ...]:
        """Who computed what is finished."""
        return workers_of(self.notes().values())

    def mend(self) -> dict[str, str]:
        """Compare every chunk with its checksum, and give damaged units back; what is wrong with each."""
        return self._store.mend()

    def read(self) -> StoreProgress:
        """Progress as it is now."""
        notes = self.notes()
        runs = dict(zip(self._store.units, self._runs, strict=True))
        return StoreProgress(
            done=sum(runs[name] for name in notes),
            total=sum(self._runs),
            seconds=sum(float(note["seconds"]) for note in notes.values()),
            rate=_rate(notes, runs),
            finished=len(notes) == len(runs),
            updated=max((float(note["written"]) for note in notes.values()), default=0.0),
            units=len(runs),
            units_done=len(notes),
        )


def read_progress(path: str | Path) -> StoreProgress:
    """Progress of a sweep with ``store=path``; safe while other processes write to it.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    FileNotFoundError
        If there is no store yet.
    ValueError
        If something else is there, it is damaged, or its arrays name codecs that this package does not write.
    """
    return StoreWatch(path).read()


def open_grid(path: str | Path) -> xr.Dataset:
    """The grid of a store as far as it has come, its values left on disk until they are used.

    Parameters
    ----------
    path : str or Path
        A store of a sweep or of patch, or a grid that was written with ``to_zarr``.

    Returns
    -------
    Dataset
        Of the final shape, samples in the order in which they were given; what is not finished has its fill value, and
        ``done`` says what is. Attribute ``progress``, share of the runs.

    Raises
    ------
    FileNotFoundError
        If there is no Zarr group.
    ValueError
        If it is damaged, or its arrays name codecs that this package does not write.
    """
    if description(place_of(path)) is None:
        return store_layout.open_group(path)
    watch, store = StoreWatch(path), UnitStore.open(path)
    grid, progress = dataset_of(store), watch.read()
    kinds = kinds_of(watch.workers())
    share = progress.done / progress.total if progress.total else progress.units_done / progress.units
    kept = {name: value for name, value in grid.attrs.items() if name not in STORE_ATTRIBUTES}
    order = _whole_numbers(store, ORDER, grid.sizes[schema.SAMPLE])
    if sorted(order) != list(range(len(order))):
        raise damaged_attribute(store, ORDER, "expected every image once")
    grid = grid.isel({schema.SAMPLE: np.argsort(order)})
    return grid.drop_attrs(deep=False).assign_attrs(
        kept | {"progress": share} | ({COMPUTED_WITH: kinds} if len(kinds) > 1 else {})
    )


def _fits(value: Any, kind: type) -> bool:
    """Whether a value that a marker notes is of a type; numbers are finite, and none is negative."""
    if kind is str:
        return isinstance(value, str)
    numbers = int if kind is int else (int, float)
    return isinstance(value, numbers) and 0 <= value < float("inf")


def _whole_numbers(store: UnitStore, name: str, count: int) -> list[int]:
    """An attribute of a store that is a list of so many whole numbers."""
    numbers = store_attribute(store, name)
    if (
        not isinstance(numbers, list)
        or len(numbers) != count
        or not all(isinstance(n, int) and n >= 0 for n in numbers)
    ):
        raise damaged_attribute(store, name, f"expected {count} whole numbers")
    return numbers


def _rate(notes: Mapping[str, JsonObject], runs: Mapping[str, int]) -> float:
    last = sorted((float(note["written"]), float(note["seconds"]), runs[name]) for name, note in notes.items())
    last = last[-_RATE_UNITS:]
    spans = sorted((written - seconds, written) for written, seconds, _ in last)
    busy, until = 0.0, -np.inf
    for began, ended in spans:  # of several processes they overlap
        busy += max(ended - max(began, until), 0.0)
        until = max(until, ended)
    return sum(count for *_, count in last) / max(busy, 1e-9) if last else 0.0


@dataclass(frozen=True)
class StoreStatus:
    """Progress of a store, who made it, and its damaged units.

    Attributes
    ----------
    path : str
    progress : StoreProgress
    workers : tuple of Worker
    damaged : dict of str to str or None
        What is wrong with each damaged unit, all of which were given back; None where nothing was checked.
    """

    path: str
    progress: StoreProgress
    workers: tuple[Worker, ...]
    damaged: dict[str, str] | None

    @property
    def seconds_left(self) -> float | None:
        """Time left at the rate of the last units; None where there is no rate yet."""
        left = self.progress.total - self.progress.done
        return left / self.progress.rate if self.progress.rate else (0.0 if self.progress.finished else None)

    def plain(self) -> JsonObject:
        """As JSON keeps it."""
        return asdict(self) | {"seconds_left": self.seconds_left}

    def __str__(self) -> str:
        state = self.progress
        known = self.seconds_left
        left = "" if state.finished else f", {'unknown time' if known is None else duration_text(known)} left"
        rate = f"{state.rate:,.1f} runs per second" if state.rate else "no rate yet"
        lines = [
            f"{self.path}: {state.units_done:,} of {state.units:,} units, {state.done:,} of {state.total:,} runs "
            f"({state.done / max(state.total, 1):.0%}), {rate}{left}"
        ]
        kinds = kinds_of(self.workers)
        if len(kinds) > 1:
            lines.append(f"  mixed: its units were computed with {' and '.join(kinds)}")
        for worker in self.workers:
            ago = duration_text(max(time.time() - worker.last, 0))
            lines.append(
                f"  {worker.host}, {worker.kind}, {worker.processes} process{'es' * (worker.processes > 1)}: "
                f"{worker.units:,} units, {worker.runs:,} runs, {worker.rate:,.1f} per second of each, last {ago} ago"
            )
        if self.damaged is not None:
            lines.append("every checksum is right" if not self.damaged else f"{len(self.damaged)} damaged, given back:")
            lines += [f"  unit {name}: {what}" for name, what in self.damaged.items()]
        return "\n".join(lines)


def store_status(path: str | Path, *, check: bool = False) -> StoreStatus:
    """Return the progress of a store; safe while processes fill it.

    Parameters
    ----------
    path : str or Path
        Of a sweep or of patch.
    check : bool
        Read every checksum, and give damaged units back: whoever fills the store next computes them again.

    Raises
    ------
    FileNotFoundError
        If there is no store yet.
    ValueError
        If something else is there, or a marker is damaged and ``check`` is off.
    """
    watch = StoreWatch(path)
    damaged = watch.mend() if check else None
    return StoreStatus(str(path), watch.read(), watch.workers(), damaged)
