"""Runs the units of a stored sweep that are missing, one by one, and saves each when it is done."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, fields
from functools import cached_property, partial
from pathlib import Path

from mllm_probe.activations.device_array import dtype_name
from mllm_probe.sweeps.grid import CELL_DIMS
from mllm_probe.sweeps.probe import STRETCHED, CostProbe, by_probe, lay_out
from mllm_probe.sweeps.runner import Runner
from mllm_probe.sweeps.settings import identity
from mllm_probe.sweeps.stored.store_inputs import Cluster, has_inputs, inputs_of, save_inputs
from mllm_probe.sweeps.stored.sweep_store import COMPUTED_WITH, LAYOUT, SweepStore, damaged_attribute
from mllm_probe.sweeps.stored.units import (
    Borders,
    Layout,
    Span,
    Unit,
    UnitBatch,
    Units,
    run_missing_units,
    save_when_done,
)
from mllm_probe.sweeps.sweep_arguments import Shard
from mllm_probe.typing import Attributes


class UnitRuns:
    """Runs the units of a stored sweep that are missing, and reads those that others have finished.

    `shard`: which units are this process's own; it runs no others.
    `cluster`: runs them in place of this process.
    `mixed`: as for :class:`SweepStore`.
    `expected`: runs of the units that this process reads and runs; None before it has looked at the store.
    """

    def __init__(
        self, runner: Runner, path: str | Path, shard: Shard, cluster: Cluster | None = None, *, mixed: bool = False
    ) -> None:
        self._runner, self._job, self._shard, self._cluster = runner, runner.job, shard, cluster
        self._store = SweepStore(path, identity(runner.job), CELL_DIMS, mixed=mixed)
        self._resumed_with: Attributes = {}
        self._mixed_with: Attributes = {}
        self._ran: dict[tuple[int, Borders], float] = {}
        self._begun_with: Attributes = {}
        self._ready = False
        self.expected: int | None = None

    @property
    def address(self) -> str:
        """Where other processes find the store."""
        return self._store.address

    @property
    def attributes(self) -> Attributes:
        """Attributes of the grid."""
        if not self._store.is_created:
            return self._begun_with
        return self._store.attributes | self._resumed_with | self._mixed_with

    def run(self, when_answered: Callable[[], None]) -> Iterator[int]:
        """Work until all units are finished, or this shard's own are; yields the runs of each step.

        What the store holds comes first, as one step. A step is a batch that was run, or a unit of somebody else.

        `when_answered`: called when all unsteered answers are known, before the first steered run, by a process that
        works on the whole.
        """
        if begun := self._store.is_created:
            self._note_kinds()
        elif not self._create():
            return
        yield from self._fill(begun, when_answered)
        self._note_kinds()

    def _fill(self, begun: bool, when_answered: Callable[[], None]) -> Iterator[int]:
        """Read what there is, and run what is missing."""
        store, every = self._store, self._units.all
        finished = store.finished() if begun else set()
        done = [unit for unit in every if unit.name in finished]
        missing = [unit for unit in every if unit.name not in finished and self._shard.owns(unit.number)]
        self.expected = sum(map(self._units.count, [*done, *missing]))
        if done:
            yield self._read(done, whole=len(done) == len(every))
        if not missing:
            return
        if begun:
            self._resumed_with = store.other_versions()
            if not has_inputs(store.opened):  # whoever began it died before it had written them
                save_inputs(inputs_of(self._job, store.place), store.opened)
        if self._cluster is not None:
            yield from self._cluster.run(store.address, missing, load=self._load, stopped=lambda: self._runner.stopped)
            return
        self._prepare()
        # Unsteered answers decide which images count: all are known before the first steered run warns of too few.
        for part in ([unit for unit in missing if unit.unsteered], [unit for unit in missing if not unit.unsteered]):
            if part and not part[0].unsteered and self._shard.whole and not self._runner.stopped:
                when_answered()
            yield from run_missing_units(
                part, finished=store.finished, run=self._run, load=self._load,
                stopped=lambda: self._runner.stopped, in_order=not self._shard.whole,
            )  # fmt: skip

    def _note_kinds(self) -> None:
        """Have the grid say where its units were computed with several dtypes or types of device."""
        kinds = self._store.computed_with()
        self._mixed_with = {COMPUTED_WITH: kinds} if len(kinds) > 1 else {}

    def run_unit(self, name: str) -> None:
        """Run one unit of a store that is there, unless it is finished."""
        if name in self._store.finished():
            return
        if not self._ready:
            self._runner.begin()
        self._prepare()
        unit = next(unit for unit in self._units.all if unit.name == name)
        deque(self._run(unit), maxlen=0)

    @cached_property
    def _units(self) -> Units:
        """Units of a store that is there."""
        job, plain = self._job, self._store.layout
        if set(plain) != {field.name for field in fields(Layout)}:
            raise damaged_attribute(self._store.opened, LAYOUT, f"it has {', '.join(plain) or 'nothing'}")
        return Units(job.settings.axes, job.cells, job.skipped, Layout(**plain))

    def _prepare(self) -> None:
        """Make ready to run units as the store has cut them."""
        if not self._ready:
            model = self._job.model
            self._store.begin_work(model.device.type, dtype_name(model.dtype))
            self._runner.prepare(0)
            self._fit(self._units.layout)
            self._ready = True

    def _fit(self, layout: Layout) -> None:
        """Run as many rows together as the store was cut for.

        Less memory than where it was begun: smaller batches, whose numbers agree to rounding.
        """
        size = self._runner.size
        size.rows = min(size.rows if size.halved else int(STRETCHED * size.rows), layout.rows)

    def _create(self) -> bool:
        """Begin the store; False where the runner was stopped before: the next one lays out what it has timed."""
        job, runner = self._job, self._runner
        inputs = inputs_of(job, self._store.place)
        attributes = self._begun_with = runner.prepare(0)
        layout = self._lay_out()
        if runner.stopped:
            return False
        units = Units(job.settings.axes, job.cells, job.skipped, layout)
        empty = job.grid()  # that of the runner holds the first batch
        self._store.create(
            empty,
            empty.coordinates(job.coordinates()),
            attributes | {"chunk_rows": layout.rows},
            recorder=runner.recorder,
            chunks=units.chunks,
            runs={unit.name: units.count(unit) for unit in units.all},
            layout=asdict(layout),
            order=units.order,
        )
        save_inputs(inputs, self._store.opened)
        if self._ran and not self._keeps_first_batch():
            self._ran.clear()
            runner.forget()
        return True

    def _keeps_first_batch(self) -> bool:
        """Whether the batch that was timed is one of a unit that this process will run."""
        units = self._units
        first = next(unit for unit in units.all if not unit.unsteered)
        if self._cluster is not None or not self._shard.owns(first.number):
            return False
        return any(self._key(batch) in self._ran for batch in units.batches(first, by_layer=False))

    def _key(self, batch: UnitBatch) -> tuple[int, Borders]:
        """By which a batch of the store's units is known to be one that was run."""
        # Rows too: with other batches an equal span of the grid has other last bits, and units must give equal bytes.
        return self._units.layout.rows, batch.borders

    def _lay_out(self) -> Layout:
        """Cut the sweep."""
        job, limits = self._job, self._runner.limits
        if job.scope.touches_prompt:
            return lay_out(job, limits, *by_probe(job, limits, CostProbe(job, limits)))
        return lay_out(job, limits, self._runner.size.rows, self._first_batch)

    def _first_batch(self, layout: Layout, runs: int) -> float:
        """Seconds of a batch of so many runs, from the first one of the sweep; its unit does not run it again."""
        job, runner, broken = self._job, self._runner, set[Span]()
        units = Units(job.settings.axes, job.cells, job.skipped, layout)
        self._fit(layout)
        for unit in (unit for unit in units.all if not unit.unsteered):
            for batch in units.batches(unit, by_layer=False):
                if batch.borders[0] in broken:
                    continue
                began = time.perf_counter()
                try:
                    ran = sum(self._run_batch(batch))
                except ValueError:  # an image whose numbers are none: its unit raises it again; others tell the time
                    broken.add(batch.borders[0])
                    continue
                if runner.stopped:
                    return math.inf
                self._ran[layout.rows, batch.borders] = seconds = time.perf_counter() - began
                # Scaled to a full batch: near the end of an axis, or in a library, the first may have fewer runs.
                return seconds * runs / ran
        return math.inf

    def _read(self, units: Sequence[Unit], *, whole: bool) -> int:
        """Read finished units into the grid; the number of their runs."""
        if whole:
            self._store.load_all(self._runner.grid, self._runner.recorder, self._units.order)
            self._note_answered(units)
            return sum(map(self._units.count, units))
        return sum(map(self._load, units))

    def _run(self, unit: Unit) -> Iterator[int]:
        """Run a unit and write it; without its marker where the runner is stopped in the middle."""
        began = time.perf_counter()
        return save_when_done(self._steps(unit), lambda: self._save(unit, began), lambda: self._runner.stopped)

    def _steps(self, unit: Unit) -> Iterator[int]:
        """Runs of each batch of a unit."""
        runner, units = self._runner, self._units
        if unit.unsteered:
            for samples in units.together(unit):
                for sample, baseline in runner.baselines(samples):
                    runner.put_unsteered(sample, baseline)
            return
        for batch in units.batches(unit, by_layer=self._job.scope.touches_prompt):
            if self._key(batch) in self._ran:
                yield sum(len(block.cells) for block in batch.blocks)
            else:
                yield from self._run_batch(batch)

    def _run_batch(self, batch: UnitBatch) -> Iterator[int]:
        """Run a batch; the runs of each chunk."""
        for blocks in self._runner.run_batches(deque(batch.blocks), batch.cells, adapts=False, unsteered=False):
            yield sum(len(block.cells) for block in blocks)

    def _save(self, unit: Unit, began: float) -> None:
        model, runner, units = self._job.model, self._runner, self._units
        seconds = time.perf_counter() - began + self._seconds_before(unit)
        saved = self._store.save(
            unit.name, partial(units.regions, unit), runner.grid, runner.recorder, units.order,
            runs=units.count(unit), seconds=seconds, device=model.device.type,
            dtype=dtype_name(model.dtype), halved=runner.halved,
        )  # fmt: skip
        if not saved:  # somebody else was first, maybe with another dtype: the grid is what the store holds
            self._load(unit)

    def _seconds_before(self, unit: Unit) -> float:
        """Seconds of the batches of a unit that were run before it."""
        if not self._ran or unit.unsteered:
            return 0.0
        by_layer = self._job.scope.touches_prompt
        return sum(self._ran.get(self._key(batch), 0.0) for batch in self._units.batches(unit, by_layer=by_layer))

    def _load(self, unit: Unit) -> int:
        units, runner = self._units, self._runner
        self._store.load(partial(units.regions, unit), runner.grid, runner.recorder, units.order)
        self._note_answered([unit])
        return units.count(unit)

    def _note_answered(self, units: Sequence[Unit]) -> None:
        for unit in (unit for unit in units if unit.unsteered):
            self._runner.grid.has_unsteered[self._units.order[slice(*unit.samples)]] = True
