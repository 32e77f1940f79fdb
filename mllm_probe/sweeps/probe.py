"""A measured probe of a sweep: what its first images take, in memory and in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch

from mllm_probe.activations.free_memory import free_bytes
from mllm_probe.activations.peak_memory import peak_bytes
from mllm_probe.decoding.shared import Shared
from mllm_probe.sweeps.batches import Part, Scores
from mllm_probe.sweeps.cells import Cell, scored_pairs
from mllm_probe.sweeps.chunk_size import Limits
from mllm_probe.sweeps.job import Job
from mllm_probe.sweeps.record import Recorder
from mllm_probe.sweeps.scoring import Baseline
from mllm_probe.sweeps.stopwatch import Seconds, Stopwatch

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
    """What parts of a sweep take: a chunk takes ``chunk`` + rows × ``row``."""

    chunk: Seconds
    row: Seconds
    batches_per_row: float
    batch: Seconds


class Probe:
    """The first images of a sweep, opened and run without steering.

    `records`: whether what the sweep records is recorded here too, into arrays of its size.
    `choosing`: of choosing the path, where this process had not done so; a process that starts anew takes it once.
    `image`, `alone`: that an image takes before its first row, and an unsteered run by itself; measured when they are
        asked for.
    `prompt_bytes`, `row_bytes`, `free`: memory of a prompt and of each row, on the safe side, and what is free.
    `rows`: most rows of a chunk that fit; fewer once a chunk of that size did not.
    `recorder`: where something is recorded: as it is made for a sweep, so that what does not fit raises now.
    """

    def __init__(self, job: Job, limits: Limits, *, records: bool = False) -> None:
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
        """What an image takes before its first row."""
        job, watch = self._job, Stopwatch()
        with job.computing(), watch.running():
            job.open(job.encoded(min(1, len(job.samples) - 1)))
        return watch.spent

    @property
    def alone(self) -> Seconds:
        """What an unsteered run takes by itself."""
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
        seconds = [(one.spent + one.reading).wall for one in (few, many)]
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
        one, many = self.timed(1), self.timed(min(_TRIED[0], most))
        while many.rows < most and self._took(many) < _TIMED_SECONDS / 2:
            room = _TIMED_SECONDS / max(self._took(many), 1e-6)
            many = self.timed(min(most, max(2 * many.rows, int(min(room, 8) * many.rows))))
        row = (many.spent - one.spent) * (1 / (many.rows - 1)) if many.rows > 1 else many.spent
        chunk = one.spent - row if many.rows > 1 else Seconds()
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
