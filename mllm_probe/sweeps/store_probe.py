"""A measured probe of a sweep's store: what a unit takes on the disk, and in time."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from mllm_probe.sweeps.grid import CELL_DIMS
from mllm_probe.sweeps.job import Job
from mllm_probe.sweeps.stopwatch import Seconds, Stopwatch
from mllm_probe.sweeps.sweep_store import SweepStore
from mllm_probe.sweeps.units import Layout, Units


@dataclass(frozen=True)
class Stored:
    """What a store takes: bytes on the disk when it is full, and the time of writing a unit."""

    bytes_of_unit: int
    bytes_of_all: int
    each: Seconds


def probe_store(job: Job, layout: Layout) -> Stored:
    """Write a unit of a sweep, filled with noise, into a temporary store."""
    grid = job.grid()
    for name, values in grid.cells.items():
        if values.dtype == np.float32:
            grid.cells[name] = np.random.default_rng(0).standard_normal(values.shape, np.float32)
    units = Units(job.settings.axes, job.cells, job.skipped, layout)
    steered, watch = [unit for unit in units.all if not unit.unsteered], Stopwatch()
    if not steered:
        return Stored(0, 0, Seconds())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe.zarr"
        store = SweepStore(path, {}, CELL_DIMS)
        runs = {unit.name: units.count(unit) for unit in units.all}
        store.create(
            grid, grid.coordinates(job.coordinates()), {}, recorder=None, chunks=units.chunks, runs=runs,
            layout=asdict(layout), order=units.order,
        )  # fmt: skip
        empty, unit = _bytes_below(path), steered[0]
        with watch.running():
            store.save(unit.name, partial(units.regions, unit), grid, None, units.order, runs=1, seconds=0.0)
        written = _bytes_below(path) - empty
    return Stored(written, empty + written * len(steered), watch.spent)


def _bytes_below(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
