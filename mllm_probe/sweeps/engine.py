"""The engine: works through a sweep in chunks or unit by unit, one begun elsewhere too, and fills the grid."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from mllm_probe.loading import load
from mllm_probe.models.probe_model import ProbeModel, require_model
from mllm_probe.sweeps import runner
from mllm_probe.sweeps.cells import Block, Cell, lacking, plan_order, preferred
from mllm_probe.sweeps.grid import Grid, eligible_doses
from mllm_probe.sweeps.job import SweepJob, warn_of_too_few
from mllm_probe.sweeps.runner import Limits, Runner
from mllm_probe.sweeps.stored.store_inputs import Cluster, job_of, origin_of
from mllm_probe.sweeps.stored.sweep_store import open_unit_store
from mllm_probe.sweeps.stored.unit_runs import UnitRuns
from mllm_probe.sweeps.sweep_arguments import WHOLE, Shard
from mllm_probe.typing import Attributes


class Engine:
    """Runs a job.

    `store`: where finished units are written as they come, and from where a sweep that was stopped goes on.
    `coarse`: whether a coarse map is made first, see :func:`mllm_probe.sweeps.cells.plan_order`; with a store it always
        is.
    `limits`: bounds of a chunk; ``runner.DEFAULT`` if None.
    `shard`: which units of the store are this process's own.
    `cluster`: runs the units of the store in place of this process.
    `mixed`: whether the store may hold units of several dtypes and types of device.

    Raises ValueError if the store holds a sweep with other settings, which are named.
    """

    def __init__(
        self,
        job: SweepJob,
        *,
        store: str | Path | None = None,
        coarse: bool = False,
        limits: Limits | None = None,
        shard: Shard = WHOLE,
        cluster: Cluster | None = None,
        mixed: bool = False,
    ) -> None:
        self.job, self.store, self.coarse, self.limits = job, store, coarse, limits or runner.DEFAULT
        self._runner = Runner(job, self.limits)
        self._units = None if store is None else UnitRuns(self._runner, store, shard, cluster, mixed=mixed)
        self._attributes: Attributes = {}
        self._counted = False
        self._rank: Callable[[Cell], int | None] | None = None
        self._reordered = threading.Event()

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

    def prefer(self, rank: Callable[[Cell], int | None]) -> None:
        """Run cells of a smaller rank first, those of None last, from the next chunk on; from any thread.

        Without effect on a sweep with a store, whose units have an order of their own.
        """
        self._rank = rank
        self._reordered.set()

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
        current = self._runner
        if self._units is not None:
            attrs = dict(self._units.attributes)
        else:
            attrs = self._attributes | {
                "chunk_rows": current.size.rows,
                "chunks": current.chunks,
                "images_together": current.together,
            }
        if current.halved:
            attrs["halved"] = f"batches were halved {current.halved} times because the GPU ran out of memory"
        return attrs

    def _chunks(self) -> Iterator[list[Block]]:
        """Run chunk after chunk of what is missing."""
        work = self._remaining(len(self.job.samples))
        if work:
            self._attributes = self._runner.prepare(work[0].sample)
            work = self._remaining(self._runner.kept_prompts)
            self._warn_of_too_few_eligible()
        self._reorder(work)
        for done in self._runner.run_batches(work, self.job.cells, adapts=True, unsteered=True):
            yield done
            if self._reordered.is_set():
                self._reorder(work)

    def _reorder(self, work: deque[Block]) -> None:
        """Bring what is preferred to the front of the runs that remain."""
        self._reordered.clear()
        if self._rank is not None:
            ordered = preferred(work, self.job.cells, self._rank, by_layer=self.job.scope.touches_prompt)
            work.clear()
            work.extend(ordered)

    def _remaining(self, kept: int) -> deque[Block]:
        """Runs that remain, in their order."""
        job = self.job
        order = plan_order(
            job.settings.axes,
            job.cells,
            len(job.samples),
            coarse=self.coarse,
            by_layer=job.scope.touches_prompt,
            kept=kept,
        )
        left = lacking(order, self._finished() | job.skipped)
        return deque(block for block in left if block.cells or not self.grid.has_unsteered[block.sample])

    def _finished(self) -> np.ndarray:
        """Mask of the finished runs, bool [cells, samples]."""
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


_JOINING = threading.Lock()
_JOINED: dict[str, Engine | None] = {}
"""Engines of this worker process by the address of their store, None where it is gone: the model is loaded once."""


def joined(
    store: str | Path,
    model: ProbeModel | None = None,
    *,
    trust_remote_code: bool = False,
    device: str | None = None,
    shard: Shard = WHOLE,
    cluster: Cluster | None = None,
    mixed: bool = False,
) -> Engine:
    """The engine of a sweep that was begun elsewhere; as :func:`mllm_probe.sweeps.join_sweep`."""
    if model is not None:
        require_model(model)
    opened = open_unit_store(store)
    origin = origin_of(opened)
    if model is None and (origin.load or {}).get("trust_remote_code") and not trust_remote_code:
        raise ValueError(
            f"the sweep in {opened.path} was begun with a model that brings code of its own, {origin.name}: look at "
            "that code, then join with trust_remote_code=True (--trust-remote-code), or give the model as model=."
        )
    if model is None:
        model = load(device=device, dtype=origin.dtype, **(origin.load or {}))
    if model.fingerprint != origin.fingerprint:
        raise ValueError(
            f"the sweep in {opened.path} was begun with {origin.name} of weights {origin.fingerprint}; {model.name} "
            f"has {model.fingerprint}: give the same model as model=."
        )
    return Engine(job_of(opened, model), store=store, shard=shard, cluster=cluster, mixed=mixed)


def run_unit(store: str, unit: str, *, mixed: bool = False) -> None:
    """Run a unit of a store in this process, a worker of a cluster.

    `mixed`: as for :func:`mllm_probe.sweeps.sweep`.
    """
    with _JOINING:  # a model computes for one at a time
        if store not in _JOINED:
            # Whoever sends units has loaded the model.
            _JOINED[store] = joined(store, trust_remote_code=True, mixed=mixed)
        engine = _JOINED[store]
        if engine is not None:
            engine.run_unit(unit)


async def leave(store: str) -> None:
    """Have this process, a worker of a cluster, finish the unit that it runs and run no other one of a store."""

    def left() -> None:
        with _JOINING:
            _JOINED[store] = None

    await asyncio.to_thread(left)
