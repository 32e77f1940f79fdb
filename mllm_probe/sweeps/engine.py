"""The engine: works through a sweep in chunks or, with a store, unit by unit, and fills the grid."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from mllm_probe.sweeps import chunk_size
from mllm_probe.sweeps.chunk_size import Limits
from mllm_probe.sweeps.dask_units import Cluster
from mllm_probe.sweeps.grid import Grid, eligible_doses
from mllm_probe.sweeps.job import Job
from mllm_probe.sweeps.order import Block, lacking, plan_order
from mllm_probe.sweeps.requirements import warn_of_too_few
from mllm_probe.sweeps.runner import Runner
from mllm_probe.sweeps.shard import WHOLE, Shard
from mllm_probe.sweeps.unit_runs import UnitRuns
from mllm_probe.typing import Attributes


class Engine:
    """Runs a job.

    `store`: where finished units are written as they come, and from where a sweep that was stopped goes on.
    `coarse`: whether a coarse map is made first, see :func:`mllm_probe.sweeps.order.plan_order`; with a store it always
        is.
    `limits`: bounds of a chunk; ``chunk_size.DEFAULT`` if None.
    `shard`: which units of the store are this process's own.
    `cluster`: runs the units of the store in place of this process.
    `mixed`: whether the store may hold units of several dtypes and types of device.

    Raises ValueError if the store holds a sweep with other settings, which are named.
    """

    def __init__(
        self,
        job: Job,
        *,
        store: str | Path | None = None,
        coarse: bool = False,
        limits: Limits | None = None,
        shard: Shard = WHOLE,
        cluster: Cluster | None = None,
        mixed: bool = False,
    ) -> None:
        self.job, self.store, self.coarse, self.limits = job, store, coarse, limits or chunk_size.DEFAULT
        self._runner = Runner(job, self.limits)
        self._units = None if store is None else UnitRuns(self._runner, store, shard, cluster, mixed=mixed)
        self._attributes: Attributes = {}
        self._counted = False

    @property
    def grid(self) -> Grid:
        """Fills while :meth:`run` is iterated."""
        return self._runner.grid

    @property
    def total(self) -> int:
        """Number of runs, over all samples."""
        return int((~self.job.skipped).sum())

    @property
    def expected(self) -> int:
        """Of these, how many this process is to see: of a shard, its own and those that were there when it began."""
        return self.total if self._units is None or self._units.expected is None else self._units.expected

    @property
    def done(self) -> int:
        """Number of runs that are finished, over all samples."""
        return int((self._finished() & ~self.job.skipped).sum())

    @property
    def address(self) -> str:
        """Where other processes find the store."""
        assert self._units is not None
        return self._units.address

    def stop(self) -> None:
        """End the sweep from any thread: a chunk in flight is left before its next step. What is finished stays."""
        self._runner.stop()

    def resume(self) -> None:
        """Let a sweep that was stopped go on: the next :meth:`run` works on what is missing."""
        self._runner.resume()

    def run(self) -> Generator[int]:
        """Work until done; yields the number of runs that each step has finished. Stopping keeps what is there.

        With a store that exists, what it holds comes first, as one step; if it holds everything, no forward is run.
        """
        self._runner.begin()
        if self._units is not None:
            yield from self._units.run(self._warn_of_too_few_eligible)
        else:
            yield from (sum(len(block.cells) for block in blocks) for blocks in self._chunks())

    def run_unit(self, name: str) -> None:
        """Run one unit of a store that is there, unless it is finished."""
        assert self._units is not None
        self._units.run_unit(name)

    def dataset(self) -> xr.Dataset:
        """The grid as it is now."""
        grid, recorder = self.grid.dataset(self.job.coordinates(), self.attributes()), self._runner.recorder
        return grid if recorder is None else grid.assign(recorder.variables()).assign_coords(recorder.coordinates())

    def attributes(self) -> Attributes:
        """Attributes of the grid as it is now."""
        runner = self._runner
        if self._units is not None:
            attrs = dict(self._units.attributes)
        else:
            attrs = self._attributes | {
                "chunk_rows": runner.size.rows,
                "chunks": runner.chunks,
                "images_together": runner.together,
            }
        if runner.halved:
            attrs["halved"] = f"batches were halved {runner.halved} times because the GPU ran out of memory"
        return attrs

    def _chunks(self) -> Iterator[list[Block]]:
        """Run chunk after chunk of what is missing."""
        work = self._remaining(len(self.job.samples))
        if work:
            self._attributes = self._runner.prepare(work[0].sample)
            work = self._remaining(self._runner.kept_prompts)
            self._warn_of_too_few_eligible()
        yield from self._runner.work_off(work, self.job.cells, adapts=True, unsteered=True)

    def _remaining(self, kept: int) -> deque[Block]:
        """What is to be run, in its order."""
        job = self.job
        order = plan_order(
            job.settings.axes,
            job.cells,
            len(job.samples),
            coarse=self.coarse,
            one_layer=job.scope.touches_prompt,
            kept=kept,
        )
        left = lacking(order, self._finished() | job.skipped)
        return deque(block for block in left if block.cells or not self.grid.has_unsteered[block.sample])

    def _finished(self) -> np.ndarray:
        """Which runs are done, bool [cells, samples]."""
        finished: np.ndarray = self.grid.done[self.job.places]
        return finished

    def _warn_of_too_few_eligible(self) -> None:
        """Before the first steered run, read the unsteered answers, where verdicts hang on them."""
        job, count = self.job, len(self.job.samples)
        if self._counted or not job.answers_first:
            return
        eligible = self.grid.eligible.copy()
        missing = [sample for sample in range(count) if not self.grid.has_unsteered[sample]]
        for sample, baseline in self._runner.baselines(missing):
            names = job.scorer.reader.names(baseline.answer, sample)
            eligible[..., sample] = eligible_doses(job.may_count[..., sample], names, job.settings.takes_away)
        if self._runner.stopped:  # some answers were not read: no image counts by an answer that is not there
            return
        self._counted = True
        warn_of_too_few(job.settings, job.may_count, eligible)
