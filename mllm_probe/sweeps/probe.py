"""A measured probe of a sweep: what its first image takes, in memory and in time."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from mllm_probe.activations.free_memory import free_bytes
from mllm_probe.sweeps.batches import Part
from mllm_probe.sweeps.cells import Cell, no_pairs, scored_pairs
from mllm_probe.sweeps.chunk_size import Limits
from mllm_probe.sweeps.job import Job

_TRIED = (8, 40)


class Probe:
    """The first image of a sweep, opened and run without steering.

    Parameters
    ----------
    job : Job
    limits : Limits

    Attributes
    ----------
    once : float
        Seconds that an image takes before its first steered run.
    prompt_bytes, row_bytes, free : int
        Memory of a prompt and of each row, and what is free.
    rows : int
        Most rows of a chunk that fit; fewer once a chunk of that size did not.
    """

    def __init__(self, job: Job, limits: Limits) -> None:
        self._job, encoded = job, job.encoded(0)
        self.free, began = free_bytes(job.model.device), time.perf_counter()
        with job.computing():
            self._shared = job.open(encoded)
            [(self._baseline, _)] = job.scorer.run(self._shared, [Part(0, [], no_pairs())])
        self.once = time.perf_counter() - began
        self.prompt_bytes, self.row_bytes = self._shared.nbytes, job.row_bytes(encoded)
        self.rows = limits.chunk_rows(self.row_bytes, self.free)

    def times(self, most: int) -> tuple[float, float]:
        """Seconds of a chunk and of each of its rows, from two chunks of different size, at most so many rows."""
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
        cells, sizes = self._typical(), [min(size, most) for size in _TRIED]
        if not cells:
            return 0.0, 0.0
        self._seconds(cells[:1])
        few, many = (self._seconds(cells[:size]) for size in sizes)
        if sizes[0] == sizes[1]:
            return 0.0, many / sizes[1]
        each = max(many - few, 0.0) / (sizes[1] - sizes[0])
        return max(few - each * sizes[0], 0.0), each

    def _typical(self) -> list[Cell]:
        """Cells to time: of all layers, or of the middle one where chunks are of one layer, which costs the average."""
        job = self._job
        if not job.scope.touches_prompt:
            return job.cells
        middle = len(job.settings.axes.layers) // 2
        return [cell for cell in job.cells if cell.layer == middle]

    def _seconds(self, cells: Sequence[Cell]) -> float:
        job = self._job
        pairs, steerings = scored_pairs(job.settings.axes, cells), [job.steering(cell) for cell in cells]
        with job.computing():
            began = time.perf_counter()
            known = None if job.unsteered_in_chunks else self._baseline
            job.scorer.run(self._shared, [Part(0, steerings, pairs)], known)
            return time.perf_counter() - began
