"""What a sweep will run, chunk by chunk, as the engine shares it out."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from mllm_probe.sweeps.cells import Cell
from mllm_probe.sweeps.job import Job
from mllm_probe.sweeps.order import Block, lacking, plan_order, take_chunk
from mllm_probe.sweeps.units import Layout, Units

Chunk = Sequence[tuple[int, Sequence[Cell]]]
"""Samples whose rows run together, and the cells of each."""


@dataclass(frozen=True)
class PlannedWork:
    """Runs of a sweep in the order of the engine, if all prompts are of one length.

    `answers`: samples whose unsteered answers are read together before any steered run.
    `kept`: prompts that are kept at a time.
    `stored`: whether the unsteered runs are units of their own, which chunks do not give again.
    `units`: units of the store, 0 without one.
    """

    answers: list[list[int]]
    chunks: list[Chunk]
    kept: int
    stored: bool = False
    units: int = 0

    @property
    def rows(self) -> int:
        """Steered rows of all chunks."""
        return sum(len(cells) for chunk in self.chunks for _, cells in chunk)

    @property
    def largest(self) -> int:
        """Steered rows of the largest chunk, at least 1."""
        return max((sum(len(cells) for _, cells in chunk) for chunk in self.chunks), default=1) or 1

    @property
    def opened(self) -> int:
        """How often a prompt is computed: again where it was not kept."""
        there, count = OrderedDict[int, None](), 0
        for sample in chain(*self.answers, (sample for chunk in self.chunks for sample, _ in chunk)):
            if sample not in there:
                while len(there) >= self.kept:
                    there.popitem(last=False)
                there[sample] = None
                count += 1
        return count


def planned_work(job: Job, rows: int, kept: int, packed_rows: int) -> PlannedWork:
    """What a sweep without a store runs; ``rows`` in a chunk at most."""
    order = plan_order(
        job.settings.axes, job.cells, len(job.samples), coarse=False, one_layer=job.scope.touches_prompt, kept=kept
    )
    work = lacking(order, job.skipped)
    most = min(kept, len(job.samples))
    answers = []
    if job.answers_first:
        answers = _together(range(len(job.samples)), min(most, rows, packed_rows) if job.packs else 1)
    chunks = list(_chunks(work, job.cells, rows, most if job.packs else 1, packed_rows))
    return PlannedWork(answers, chunks, most)


def stored_work(job: Job, layout: Layout, rows: int, kept: int, packed_rows: int) -> PlannedWork:
    """What a sweep with a store runs, unit by unit."""
    units = Units(job.settings.axes, job.cells, job.skipped, layout)
    most = min(kept, len(job.samples))
    size, together = min(rows, layout.rows), most if job.packs else 1
    answers: list[list[int]] = []
    chunks: list[Chunk] = []
    for unit in units.all:
        if unit.unsteered:
            for samples in units.together(unit):
                answers += _together(samples, min(most, size, packed_rows) if job.packs else 1)
            continue
        for batch in units.batches(unit, one_layer=job.scope.touches_prompt):
            chunks += _chunks(deque(batch.blocks), batch.cells, size, together, size)
    return PlannedWork(answers, chunks, most, stored=True, units=len(units.all))


def _together(samples: Sequence[int], count: int) -> list[list[int]]:
    return [list(samples[start : start + count]) for start in range(0, len(samples), max(count, 1))]


def _chunks(work: deque[Block], cells: Sequence[Cell], rows: int, together: int, packed_rows: int) -> Iterator[Chunk]:
    while work:
        blocks = take_chunk(work, rows, together, packed_rows)
        yield [(block.sample, [cells[number] for number in block.cells]) for block in blocks]
