"""A measured probe of a sweep and its store: memory, time and bytes, and how a store is cut by them."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch

from mllm_probe.activations.device_memory import free_bytes, peak_bytes
from mllm_probe.decoding.shared_prompt import Shared
from mllm_probe.sweeps.cells import MOST_LAYERS, Cell, scored_pairs
from mllm_probe.sweeps.grid import CELL_DIMS, Part, Scores
from mllm_probe.sweeps.job import SweepJob
from mllm_probe.sweeps.record import Recorder
from mllm_probe.sweeps.runner import Limits
from mllm_probe.sweeps.scoring import Baseline
from mllm_probe.sweeps.stored.sweep_store import SweepStore
from mllm_probe.sweeps.stored.units import UNSTEERED, Layout, Units

_COPIED = 1 << 24


@dataclass(frozen=True)
class Seconds:
    """Time on the wall, and of the processor."""

    wall: float = 0.0
    cpu: float = 0.0

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall + other.wall, self.cpu + other.cpu)

    def __sub__(self, other: Seconds) -> Seconds:
        return Seconds(max(self.wall - other.wall, 0.0), max(self.cpu - other.cpu, 0.0))

    def __mul__(self, times: float) -> Seconds:
        return Seconds(self.wall * times, self.cpu * times)


class Stopwatch:
    """Adds up the time that is spent inside :meth:`running`."""

    def __init__(self) -> None:
        self.spent = Seconds()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time of a block."""
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.spent += Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def copying(count: int) -> Seconds:
    """Time of going once through so many bytes of memory."""
    some, watch = np.ones(min(max(count, 1), _COPIED), np.uint8), Stopwatch()
    with watch.running():
        some.copy()
    return watch.spent * (count / len(some))


_TRIED = (8, 40)
_TIMED_SECONDS = 2.0
"""A chunk of the sweep's own size is timed where it takes about as long, else the largest that does."""


@dataclass(frozen=True)
class ChunkTime:
    """A chunk that was timed.

    `spent`: without reading answers under the unsteered model. `batches`: batches of answers that were read so.
    `reading`: of all of them.
    """

    rows: int
    spent: Seconds
    batches: int
    reading: Seconds


@dataclass(frozen=True)
class Costs:
    """Seconds of the parts of a sweep: a chunk takes ``chunk`` + rows × ``row``."""

    chunk: Seconds
    row: Seconds
    batches_per_row: float
    batch: Seconds


class CostProbe:
    """The first images of a sweep, opened and run without steering.

    `records`: whether what the sweep records is recorded here too, into arrays of its size.
    `choosing`: of choosing the path, where this process had not done so; a process that starts anew takes it once.
    `image`, `alone`: that an image takes before its first row, and an unsteered run by itself; measured when they are
        asked for.
    `prompt_bytes`, `row_bytes`, `free`: memory of a prompt and of each row, on the safe side, and what is free.
    `rows`: most rows of a chunk that fit; fewer once a chunk of that size did not.
    `recorder`: where something is recorded: as it is made for a sweep, so that what does not fit raises now.
    """

    def __init__(self, job: SweepJob, limits: Limits, *, records: bool = False) -> None:
        self._job, self.free = job, free_bytes(job.model.device)
        self.recorder = Recorder(job) if records and job.settings.record else None
        choosing = Stopwatch()
        with job.computing():
            with choosing.running():
                encoded, _ = job.encoded(0), job.path
                if job.scorer.reference is not None:
                    job.scorer.reference.prepare()
            self._shared = job.open(encoded)
        self.choosing = choosing.spent
        self.prompt_bytes, self.row_bytes = self._shared.nbytes, job.row_bytes(encoded)
        self.rows = limits.chunk_rows(self.row_bytes, self.free)
        self._cells, self._costs = self._typical(), dict[int, Costs]()

    @cached_property
    def image(self) -> Seconds:
        """Seconds of an image before its first row."""
        job, watch = self._job, Stopwatch()
        with job.computing(), watch.running():
            job.open(job.encoded(min(1, len(job.samples) - 1)))
        return watch.spent

    @property
    def alone(self) -> Seconds:
        """Seconds of an unsteered run by itself."""
        return self._unsteered[1]

    @cached_property
    def _unsteered(self) -> tuple[Baseline, Seconds]:
        watch = Stopwatch()
        with self._job.computing():
            self._run(self._shared, 0, [])  # what is done on first use is not timed
            with watch.running():
                [(baseline, _)] = self._run(self._shared, 0, [])
        return baseline, watch.spent

    def times(self, most: int) -> tuple[float, float]:
        """Wall seconds of a chunk and of each of its rows, all included, from two chunks of different size."""
        try:
            return self._times(most)
        except torch.OutOfMemoryError:
            tried = min(most, _TRIED[-1])
            if tried <= 1:
                raise
        torch.cuda.empty_cache()
        self.rows = tried // 2
        return self.times(self.rows)

    def _times(self, most: int) -> tuple[float, float]:
        if not self._cells:
            return 0.0, 0.0
        self.timed(1)
        few, many = (self.timed(min(size, most)) for size in _TRIED)
        seconds = [(trial.spent + trial.reading).wall for trial in (few, many)]
        if few.rows == many.rows:
            return 0.0, seconds[1] / many.rows
        each = max(seconds[1] - seconds[0], 0.0) / (many.rows - few.rows)
        return max(seconds[0] - each * few.rows, 0.0), each

    def costs(self, most: int) -> Costs:
        """Costs of chunks of at most so many rows, from one row and from a chunk as large as may be timed."""
        if not self._cells:
            return Costs(Seconds(), Seconds(), 0.0, Seconds())
        most = min(most, len(self._cells))  # a chunk of several images has more rows than one image has runs
        if most not in self._costs:
            self._costs[most] = self._cost(most)
        return self._costs[most]

    def _cost(self, most: int) -> Costs:
        self.timed(1)
        single, many = self.timed(1), self.timed(min(_TRIED[0], most))
        while many.rows < most and self._took(many) < _TIMED_SECONDS / 2:
            room = _TIMED_SECONDS / max(self._took(many), 1e-6)
            many = self.timed(min(most, max(2 * many.rows, int(min(room, 8) * many.rows))))
        row = (many.spent - single.spent) * (1 / (many.rows - 1)) if many.rows > 1 else many.spent
        chunk = single.spent - row if many.rows > 1 else Seconds()
        batch = many.reading * (1 / many.batches) if many.batches else Seconds()
        return Costs(chunk, row, many.batches / many.rows, batch)

    def peaks(self, most: int) -> tuple[int, int]:
        """Bytes that a chunk allocates at its peak, and each of its rows, from two chunks of at most so many rows."""
        if not self._cells:
            return 0, 0
        tried = min(most, _TRIED[1], len(self._cells))
        few, many = (peak_bytes(self._job.model.device, partial(self._chunk, rows)) for rows in (1, tried))
        each = max(many - few, 0) // max(tried - 1, 1)
        return max(few - each, 0), each

    def _took(self, chunk: ChunkTime) -> float:
        """Seconds by the clock that other work on the machine disturbs least."""
        spent = chunk.spent + chunk.reading
        return spent.cpu if self._job.model.device.type == "cpu" else spent.wall

    def _typical(self) -> list[Cell]:
        """Cells to time, mixed: of all layers, or of the middle one where chunks are of one layer."""
        job, middle = self._job, len(self._job.settings.axes.layers) // 2
        cells = [cell for cell in job.cells if not job.scope.touches_prompt or cell.layer == middle]
        return [cells[place] for place in np.random.default_rng(0).permutation(len(cells))]

    def _chunk(self, rows: int) -> None:
        job = self._job
        with job.computing():
            self._run(self._shared, 0, self._cells[:rows], None if job.unsteered_in_chunks else self._unsteered[0])

    def timed(self, rows: int) -> ChunkTime:
        """Run a chunk whose answers have not been read before."""
        watch, reference = Stopwatch(), self._job.scorer.reference
        before = 0 if reference is None else reference.batches
        if reference is None:
            with watch.running():
                self._chunk(rows)
            return ChunkTime(min(rows, len(self._cells)), watch.spent, 0, Seconds())
        reading = Stopwatch()
        reference.forget()
        with watch.running(), reference.watched(reading.running):
            self._chunk(rows)
        return ChunkTime(
            min(rows, len(self._cells)), watch.spent - reading.spent, reference.batches - before, reading.spent
        )

    def _run(
        self, shared: Shared, sample: int, cells: Sequence[Cell], known: Baseline | None = None
    ) -> list[tuple[Baseline, Scores]]:
        job = self._job
        pairs = scored_pairs(job.settings.axes, cells)
        part = Part(sample, [job.steering(cell) for cell in cells], pairs)
        if self.recorder is None:
            return job.scorer.run(shared, [part], known)
        return job.scorer.run(shared, [part], known, self.recorder.reading(shared, part, unsteered=not cells))


@dataclass(frozen=True)
class StoreCost:
    """Cost of a store: bytes on the disk when it is full, and the time of writing a unit."""

    bytes_of_unit: int
    bytes_of_all: int
    each: Seconds


def probe_store(job: SweepJob, layout: Layout) -> StoreCost:
    """Write a unit of a sweep, filled with noise, into a temporary store."""
    grid = job.grid()
    for name, values in grid.cells.items():
        if values.dtype == np.float32:
            grid.cells[name] = np.random.default_rng(0).standard_normal(values.shape, np.float32)
    units = Units(job.settings.axes, job.cells, job.skipped, layout)
    steered, watch = [unit for unit in units.all if not unit.unsteered], Stopwatch()
    if not steered:
        return StoreCost(0, 0, Seconds())
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
    return StoreCost(written, empty + written * len(steered), watch.spent)


def _bytes_below(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


FEWEST_UNITS = 32
"""Units of a sweep that is too short for the longest ones, so that several processes can share it."""
_FEWEST_ROWS = 16
STRETCHED = 1.5
"""Rows of a batch by those that were planned, at most."""

BatchSeconds = Callable[[Layout, int], float]
"""Seconds of a batch of so many runs, given a layout whose units are of one batch."""


def lay_out(job: SweepJob, limits: Limits, rows: int, batch_seconds: BatchSeconds) -> Layout:
    """Cut a sweep into batches and units.

    `rows`: runs that are to go through the model together. `batch_seconds`: see :data:`BatchSeconds`. Returns: what
    goes through the model together follows from the settings and a power of two of ``rows``; the size of the units from
    the time that a batch takes.
    """
    # Powers of two, so that small differences in free memory or timing still give the same cut.
    batches, runs = _in_batches(job, _power_of_two(max(rows, 1)))
    axes, samples = job.settings.axes, len(job.samples)
    if job.skipped.all():  # unsteered runs alone
        return Layout(batches.rows, 1, 1, 1, min(UNSTEERED, samples))
    layers, together = batches.batch_layers, batches.batch_samples
    seconds = max(batch_seconds(batches, runs), 1e-9)
    total = seconds * int((~job.skipped).sum()) / runs
    least, most = limits.unit_seconds
    # Batches of a unit: a 32nd of the sweep, within 3 to 60 seconds. Below, writing and markers weigh; above, a kill
    # loses too much and others wait.
    count = max(1, round(min(most, max(least, total / FEWEST_UNITS)) / seconds))
    deep = _is_deep(job)
    # A unit grows over layers first, since the coarse map takes all layers of few images; over images only once it
    # holds every layer. The coarse map of a deep model takes single layers, so that its units hold one.
    of_layers = 1 if deep else min(count, math.ceil(len(axes.layers) / layers))
    of_samples = max(1, count // of_layers) if deep or of_layers * layers >= len(axes.layers) else 1
    images = _power_of_two(of_samples * together)
    # Unsteered runs go 16 images at a time: a unit's border must not fall inside such a batch.
    images = images if images < UNSTEERED else of_samples * together // UNSTEERED * UNSTEERED
    return Layout(batches.rows, layers, together, min(of_layers * layers, len(axes.layers)), min(images, samples))


def by_probe(job: SweepJob, limits: Limits, probe: CostProbe) -> tuple[int, BatchSeconds]:
    """Rows of a batch, and the time that it takes, from two chunks of the first image; for :func:`lay_out`.

    `job`: whose scope edits the prompt: a batch that takes longer keeps a person at a slider waiting.
    """
    fixed, each = probe.times(probe.rows)
    rows = probe.rows
    if each > 0:
        rows = int(min(rows, max((limits.seconds - fixed) / each, _FEWEST_ROWS)))
    return rows, lambda layout, runs: math.ceil(runs / layout.rows) * fixed + runs * each


def _in_batches(job: SweepJob, planned: int) -> tuple[Layout, int]:
    """A layout whose units are of one batch, and the most runs of a batch, 0 where there are none."""
    axes, rows = job.settings.axes, planned
    if not job.cells:
        return Layout(rows, 1, 1, 1, 1), 0
    smallest = Units(axes, job.cells, job.skipped, Layout(rows, 1, 1, 1, 1))
    of_layer = max(1, smallest.size((0, 1), smallest.together_strengths[0], 0))
    layers = 1
    if not _is_deep(job) and not job.scope.touches_prompt:
        # Batches of one size, the last one too, and a little larger than planned rather than one more.
        layers = math.ceil(len(axes.layers) / math.ceil(of_layer * len(axes.layers) / (STRETCHED * rows)))
        rows = max(rows, of_layer * layers)
    together = _power_of_two(max(int(STRETCHED * planned) // (of_layer * layers), 1)) if job.packs else 1
    together = min(together, UNSTEERED)
    runs = together * layers * of_layer
    return Layout(max(rows, together * of_layer * layers), layers, together, layers, together), runs


def _is_deep(job: SweepJob) -> bool:
    """Whether the coarse map takes single layers, so that a unit holds one."""
    return len(job.settings.axes.layers) > MOST_LAYERS


def _power_of_two(number: int) -> int:
    """The largest one that is not above a number from 1 on."""
    return 1 << (number.bit_length() - 1)
