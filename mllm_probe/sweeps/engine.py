"""The engine: works through a sweep in chunks, lets interactive jobs go between them, and fills the grid."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr

from mllm_probe.activations.memory import free_bytes
from mllm_probe.decoding.shared import Shared
from mllm_probe.sweeps.cells import coarse_count, scored_pairs
from mllm_probe.sweeps.job import Job
from mllm_probe.sweeps.record import Recorder
from mllm_probe.sweeps.scoring import Baseline

PATIENCE = 2.0
"""Seconds after which a chunk is long for a person who waits at a slider: the next ones are made smaller."""
_FEWEST_ROWS = 16
_HELPS = 0.75
_KEPT_SHARE = 0.2


@dataclass
class Chunk:
    """Cells ``start`` … ``stop`` of the job's list, on one sample."""

    sample: int
    start: int
    stop: int


class Engine:
    """Runs a job.

    Parameters
    ----------
    job : Job

    Attributes
    ----------
    grid : Grid
        Fills while :meth:`run` is iterated.
    halved : int
        How often a chunk was halved because the GPU ran out of memory.
    """

    def __init__(self, job: Job) -> None:
        self.job, self.grid, self.halved = job, job.grid(), 0
        self.recorder: Recorder | None = None
        self.rows = 1
        self._baselines: dict[int, Baseline] = {}
        self._shared: OrderedDict[int, Shared] = OrderedDict()
        self._kept_samples = job.samples
        self._attributes: dict[str, Any] = {}
        self._longer: tuple[int, float] | None = None
        self._shrinks = True

    def run(self) -> Iterator[int]:
        """Work until done; yields the number of cells that each step has finished. Stopping keeps what is there."""
        self._prepare()
        work = self._order()
        while work:
            chunk = work.popleft()
            if chunk.stop - chunk.start > self.rows:
                work.appendleft(Chunk(chunk.sample, chunk.start + self.rows, chunk.stop))
                chunk = Chunk(chunk.sample, chunk.start, chunk.start + self.rows)
            began = time.perf_counter()
            try:
                with self.job.computing():
                    self._compute(chunk)
            except torch.OutOfMemoryError:
                work.appendleft(chunk)
                self._halve(chunk)
                continue
            self._keep_short(chunk, time.perf_counter() - began)
            yield chunk.stop - chunk.start

    def dataset(self) -> xr.Dataset:
        """The grid as it is now."""
        attrs = self._attributes | {"chunk_rows": self.rows}
        if self.halved:
            attrs["halved"] = f"chunks were halved {self.halved} times because the GPU ran out of memory"
        grid = self.grid.dataset(self.job.coordinates(), attrs)
        if self.recorder is None:
            return grid
        return grid.assign(self.recorder.variables()).assign_coords(self.recorder.coordinates())

    def _prepare(self) -> None:
        job = self.job
        encoded = job.encoded(0)
        if job.settings.record:
            self.recorder = Recorder(job)
        with job.computing():
            self._open(0)
            self._attributes = job.attributes()
        self.rows = job.chunk_rows(encoded, free_bytes(job.model.device))
        budget = _KEPT_SHARE * free_bytes(job.model.device)
        self._kept_samples = max(int(budget // max(self._shared[0].nbytes, 1)), 1)

    def _order(self) -> deque[Chunk]:
        """Coarse cells of all samples, then the rest; sample by sample where not all of them can be kept."""
        total, samples = len(self.job.cells), range(self.job.samples)
        coarse = coarse_count(self.job.settings.axes, self.job.cells)
        parts = [(0, coarse), (coarse, total)] if self._kept_samples >= len(samples) else [(0, total)]
        return deque(
            Chunk(s, start, stop) for i, (start, stop) in enumerate(parts) for s in samples if stop > start or i == 0
        )

    def _compute(self, chunk: Chunk) -> None:
        job, sample = self.job, chunk.sample
        shared = self._open(sample)
        if sample not in self._baselines:
            self._baselines[sample] = self._baseline(shared, sample)
        cells = job.cells[chunk.start : chunk.stop]
        if not cells:
            return
        pairs = scored_pairs(job.settings.axes, cells)
        steerings = [job.steering(cell) for cell in cells]
        if self.recorder is None:
            scores = job.scorer.chunk(shared, sample, steerings, pairs, self._baselines[sample])
        else:
            reading = self.recorder.reading(shared, sample, pairs)
            scores = job.scorer.chunk(shared, sample, steerings, pairs, self._baselines[sample], reading)
        self.grid.put(pairs, sample, {n: v for n, v in scores.items() if n == "edited" or n in self.grid.cells})

    def _baseline(self, shared: Shared, sample: int) -> Baseline:
        job = self.job
        if self.recorder is None:
            baseline = job.scorer.baseline(shared, sample)
        else:
            baseline = job.scorer.baseline(shared, sample, self.recorder.reading(shared, sample, None))
        self.grid.put_unsteered(sample, baseline.scores)
        if "named" in baseline.scores:
            labels = job.subjects.labels[sample]
            names = np.array([labels is None or name not in labels for name in job.settings.axes.concepts])
            named = baseline.scores["named"] == 1
            takes_away = [job.settings.takes_away(s) for s in job.settings.axes.strengths]
            self.grid.put_eligible(sample, names & ~named, named, takes_away)
        return baseline

    def _open(self, sample: int) -> Shared:
        if sample not in self._shared:
            while len(self._shared) >= self._kept_samples:
                self._shared.popitem(last=False)
            self._shared[sample] = self.job.open(self.job.encoded(sample))
        return self._shared[sample]

    def _halve(self, chunk: Chunk) -> None:
        torch.cuda.empty_cache()
        size = min(self.rows, chunk.stop - chunk.start)
        if size <= 1:
            raise MemoryError(
                f"one row of this sweep does not fit on {self.job.model.device}: use fewer new tokens, a shorter "
                "prompt or smaller pictures, leave 'kl' out, or load the model in a smaller type."
            )
        self.rows, self.halved = size // 2, self.halved + 1

    def _keep_short(self, chunk: Chunk, seconds: float) -> None:
        """Halve chunks that keep a person waiting, as long as halving makes them shorter."""
        done = chunk.stop - chunk.start
        if seconds <= PATIENCE or done < self.rows or done <= _FEWEST_ROWS or not self._shrinks:
            return
        if self._longer is not None and seconds > _HELPS * self._longer[1]:
            self.rows, self._shrinks = self._longer[0], False
            return
        self._longer = (done, seconds)
        self.rows = max(done // 2, _FEWEST_ROWS)
