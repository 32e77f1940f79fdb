"""Fills the store of a sweep unit by unit, beside whoever else fills it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from mllm_probe.activations.device_array import dtype_name
from mllm_probe.sweeps.filling import work_off
from mllm_probe.sweeps.grid import CELL_DIMS
from mllm_probe.sweeps.identity import identity
from mllm_probe.sweeps.runner import Runner
from mllm_probe.sweeps.shard import Shard
from mllm_probe.sweeps.store_inputs import save_inputs
from mllm_probe.sweeps.sweep_store import SweepStore
from mllm_probe.sweeps.unit_sizes import lay_out
from mllm_probe.sweeps.units import Layout, Unit, Units
from mllm_probe.typing import Attributes


class UnitRuns:
    """Runs the units of a stored sweep that are missing, and reads those that others have finished.

    Parameters
    ----------
    runner : Runner
    path : str or Path
    shard : Shard
        Which units are this process's own; it runs no others.
    """

    def __init__(self, runner: Runner, path: str | Path, shard: Shard) -> None:
        self._runner, self._job, self._shard = runner, runner.job, shard
        runner.repeatable = True
        self._store = SweepStore(path, identity(runner.job), CELL_DIMS)
        self._resumed_with: Attributes = {}
        self._loaded: set[str] = set()

    @property
    def attributes(self) -> Attributes:
        """Attributes of the grid."""
        return self._store.attributes | self._resumed_with if self._store.exists else {}

    def run(self, before_the_first: Callable[[], None]) -> Iterator[int]:
        """Work until all units are finished, or this shard's own are; yields the runs of each step.

        What the store holds comes first, as one step. A step is a batch that was run, or a unit of somebody else.

        Parameters
        ----------
        before_the_first : callable
            Called before the first steered run of a process that works on the whole.
        """
        runner, begun = self._runner, self._store.exists
        if not begun:
            self._create()
        layout = Layout(**self._store.layout)
        units = Units(self._job.settings.axes, self._job.cells, self._job.skipped, layout)
        missing = units.all
        if begun and (known := self._read_finished(units, missing)) is not None:
            missing = [unit for unit in missing if unit.name not in self._loaded]
            yield known
        missing = [unit for unit in missing if self._shard.owns(unit.number)]
        if not missing:
            return
        if begun:
            self._resumed_with = self._store.other_versions()
            runner.prepare(0)
        runner.size.rows = min(runner.size.rows, layout.rows)
        if self._shard.whole:
            before_the_first()
        yield from work_off(
            missing, finished=self._store.finished, run=partial(self._run, units), load=partial(self._load, units),
            stopped=lambda: runner.stopped, in_order=not self._shard.whole,
        )  # fmt: skip

    def _create(self) -> None:
        job, runner = self._job, self._runner
        attributes = runner.prepare(0)
        layout = lay_out(job, runner.limits)
        units = Units(job.settings.axes, job.cells, job.skipped, layout)
        self._store.create(
            runner.grid,
            runner.grid.coordinates(job.coordinates()),
            attributes | {"chunk_rows": layout.rows},
            recorder=runner.recorder,
            chunks=units.chunks,
            runs={unit.name: units.count(unit) for unit in units.all},
            layout=layout.plain(),
            order=units.order,
        )
        save_inputs(job, self._store.there)

    def _read_finished(self, units: Units, missing: Sequence[Unit]) -> int | None:
        """Read what is finished into the grid; the number of its runs, None where nothing is."""
        finished = self._store.finished()
        there = [unit for unit in missing if unit.name in finished]
        self._loaded = {unit.name for unit in there}
        if not there:
            return None
        if len(there) == len(missing):
            self._store.load_all(self._runner.grid, self._runner.recorder, units.order)
        else:
            for unit in there:
                self._load(units, unit)
        self._note_answered(units, there)
        return sum(map(units.count, there))

    def _run(self, units: Units, unit: Unit) -> Iterator[int]:
        """Run a unit and write it; without its marker where the runner is stopped in the middle."""
        job, runner, began, last = self._job, self._runner, time.perf_counter(), 0
        if unit.unsteered:
            for sample, baseline in runner.baselines(units.order[slice(*unit.samples)]):
                runner.put_unsteered(sample, baseline)
        for batch in () if unit.unsteered else units.batches(unit, one_layer=job.scope.touches_prompt):
            for blocks in runner.work_off(deque(batch.blocks), batch.cells, adapts=False, unsteered=False):
                if last:
                    yield last
                last = sum(len(block.cells) for block in blocks)
        if runner.stopped:
            return
        self._store.save(
            unit.name, partial(units.regions, unit), runner.grid, runner.recorder, units.order,
            runs=units.count(unit), seconds=time.perf_counter() - began, device=job.model.device.type,
            dtype=dtype_name(job.model.dtype), halved=runner.size.halved,
        )  # fmt: skip
        # The last step is told when the unit is on the disk: whoever stops then has it all.
        yield last

    def _load(self, units: Units, unit: Unit) -> int:
        self._store.load(partial(units.regions, unit), self._runner.grid, self._runner.recorder, units.order)
        self._note_answered(units, [unit])
        return units.count(unit)

    def _note_answered(self, units: Units, there: Sequence[Unit]) -> None:
        for unit in (unit for unit in there if unit.unsteered):
            self._runner.grid.has_unsteered[units.order[slice(*unit.samples)]] = True
