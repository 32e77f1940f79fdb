"""Cost of a sweep before it runs: rows, forwards, memory, time."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from itertools import chain
from math import ceil

import numpy as np
import torch

from mllm_probe.activations.device_memory import free_bytes
from mllm_probe.decoding.prefix import SharedPrefix
from mllm_probe.decoding.shared_prompt import WholeForwards
from mllm_probe.models.probe_model import placement
from mllm_probe.steering.operations import CONCEPT
from mllm_probe.sweeps import runner
from mllm_probe.sweeps.cells import Block, Cell, lacking, plan_order, scored_pairs, take_chunk
from mllm_probe.sweeps.grid import grid_bytes
from mllm_probe.sweeps.job import SweepJob
from mllm_probe.sweeps.probe import (
    STRETCHED,
    CostProbe,
    Costs,
    Seconds,
    StoreCost,
    by_probe,
    copying,
    lay_out,
    probe_store,
)
from mllm_probe.sweeps.runner import Limits
from mllm_probe.sweeps.settings import Settings
from mllm_probe.sweeps.stored.sweep_store import duration_text, size_text
from mllm_probe.sweeps.stored.units import Layout, Units

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
        """Number of prompt computations: again where a prompt was not kept."""
        opened, count = OrderedDict[int, None](), 0
        for sample in chain(*self.answers, (sample for chunk in self.chunks for sample, _ in chunk)):
            if sample not in opened:
                while len(opened) >= self.kept:
                    opened.popitem(last=False)
                opened[sample] = None
                count += 1
        return count


def planned_work(job: SweepJob, rows: int, kept: int, packed_rows: int) -> PlannedWork:
    """Work of a sweep without a store; ``rows`` in a chunk at most."""
    order = plan_order(
        job.settings.axes, job.cells, len(job.samples), coarse=False, by_layer=job.scope.touches_prompt, kept=kept
    )
    work = lacking(order, job.skipped)
    most = min(kept, len(job.samples))
    answers = []
    if job.answers_first:
        answers = _together(range(len(job.samples)), min(most, rows, packed_rows) if job.packs else 1)
    chunks = list(_chunks(work, job.cells, rows, most if job.packs else 1, packed_rows))
    return PlannedWork(answers, chunks, most)


def stored_work(job: SweepJob, layout: Layout, rows: int, kept: int, packed_rows: int) -> PlannedWork:
    """Work of a sweep with a store, unit by unit."""
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
        for batch in units.batches(unit, by_layer=job.scope.touches_prompt):
            chunks += _chunks(deque(batch.blocks), batch.cells, size, together, size)
    return PlannedWork(answers, chunks, most, stored=True, units=len(units.all))


def _together(samples: Sequence[int], count: int) -> list[list[int]]:
    return [list(samples[start : start + count]) for start in range(0, len(samples), max(count, 1))]


def _chunks(work: deque[Block], cells: Sequence[Cell], rows: int, together: int, packed_rows: int) -> Iterator[Chunk]:
    while work:
        blocks = take_chunk(work, rows, together, packed_rows)
        yield [(block.sample, [cells[number] for number in block.cells]) for block in blocks]


@dataclass(frozen=True)
class Forwards:
    """Forwards of a sweep.

    `pictures`: times that the images of a sample go through the vision tower.
    `prompts`: calls of the text model over a prompt (or over what is left of it above an edited layer).
    `steps`: calls over one or a few tokens.
    `word_steps`: of these, those for words of several sub-tokens.
    """

    pictures: int = 0
    prompts: int = 0
    steps: int = 0
    word_steps: int = 0

    def __add__(self, other: Forwards) -> Forwards:
        return Forwards(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __mul__(self, times: int) -> Forwards:
        return Forwards(*(getattr(self, f.name) * times for f in fields(self)))


def count_forwards(job: SweepJob, work: PlannedWork) -> Forwards:
    """Forwards of a job, if no answer ends early, without choosing the path and perplexity's reading of answers."""
    settings, costs, words = job.settings, _Costs.of(job), _longer_words(job)
    concepts = len(settings.axes.concepts)
    forced, joined = bool(settings.reading("forced")), job.unsteered_in_chunks
    answered: set[int] = set()
    total = costs.opening * (work.opened + conditions(job))
    for samples in work.answers if joined else [[sample] for sample in range(len(job.samples))]:
        total += costs.run(len(samples), words.sum(0) * len(samples), along=forced, greedy=True)
    for chunk in work.chunks:
        cells = [cell for _, members in chunk for cell in members]
        added = joined * len(chunk)
        if cells or joined:
            scored = added + np.bincount(scored_pairs(settings.axes, cells).concept, minlength=concepts)
            here = {sample for sample, _ in chunk}
            # Each sample's unsteered answer is generated once, or in every chunk where something reads it.
            unanswered = joined and not work.stored and not answered.issuperset(here)
            greedy = settings.decodes or (joined and forced) or unanswered
            answered |= here
            total += costs.run(added + len(cells), scored @ words, along=forced, greedy=greedy)
    return total


def conditions(job: SweepJob) -> int:
    """Prompts after which perplexity reads answers."""
    return 0 if job.scorer.reference is None else job.scorer.reference.conditions


def _longer_words(job: SweepJob) -> np.ndarray:
    """Number of word beginnings fed for each concept, by their length: int array [concepts, sub-tokens]."""
    table, concepts = job.scorer.table, len(job.settings.axes.concepts)
    counts = np.zeros((concepts, max(table.longest, 1)), np.int64)
    if job.settings.reading("words"):
        for concept in range(concepts):
            for begin in table.continuations(concept):
                counts[concept, len(begin)] += 1
    return counts


@dataclass(frozen=True)
class _Costs:
    """Cost of opening a prompt, beginning rows and feeding them on a path."""

    opening: Forwards
    begin: Forwards
    feed: Forwards
    whole: bool
    token_by_token: bool
    prefix: int
    steps: int

    @classmethod
    def of(cls, job: SweepJob) -> _Costs:
        kind, whole = job.path.kind, issubclass(job.path.kind, WholeForwards)
        return cls(
            opening=Forwards() if whole else Forwards(pictures=1, prompts=1),
            begin=Forwards(steps=1) if issubclass(kind, SharedPrefix) else Forwards(prompts=1),
            feed=Forwards(prompts=1) if whole else Forwards(steps=1),
            whole=whole,
            token_by_token=job.path.token_by_token,
            prefix=len(job.prefix),
            steps=job.settings.max_new_tokens - 1,
        )

    def run(self, rows: int, words: np.ndarray, *, along: bool, greedy: bool) -> Forwards:
        """Rows that begin together.

        `words` (int array [sub-tokens]): how many words of several sub-tokens are fed, by the number that is fed.
        `along`: whether the unsteered answer is fed. `greedy`: whether an answer is generated.
        """
        calls = self._calls(self.prefix) + along * self._calls(self.steps) + greedy * self.steps
        forwards = self.begin + self.feed * calls + Forwards(pictures=rows * (1 + calls) if self.whole else 0)
        for length, count in enumerate(words.tolist()):
            fed = self.feed * (ceil(count / rows) * self._calls(length))
            forwards += fed + Forwards(word_steps=fed.steps, pictures=count if self.whole else 0)
        return forwards

    def _calls(self, tokens: int) -> int:
        """Calls that feed so many tokens."""
        return tokens if self.token_by_token else min(tokens, 1)


MOST_RUNS = 10_000_000
"""Steered runs on each image that a sweep takes; at a millisecond each they take three hours an image."""
_CELL_BYTES = 16
"""Bytes of a cell without its scores: ``done``, ``edited``, ``text``."""
_RUN_BYTES = 400
"""Bytes of a run in the list of runs."""
_GRID_SHARE = 0.9
_HOST_BYTES = 16_000_000
"""What a process takes on the CPU beside its tensors while it sweeps: the interpreter's objects, and memory that the
allocator keeps. Resident memory was seen to grow by 8.9, 15.5 and 16.4 MB more than the tensors of three sweeps."""
_COPIES = 3
"""Times that the grid goes through memory: it is made, filled, and copied at the end."""


@dataclass(frozen=True)
class KindOfRun:
    """Runs of one control, or of the concepts themselves.

    `runs`: on each image. `seconds`: on all images.
    """

    draws: int
    runs: int
    seconds: float


@dataclass(frozen=True)
class SweepPlan:
    """Size and cost of a sweep.

    Attributes
    ----------
    cells : int
        Cells of the grid that get a value.
    samples : int
        Images.
    rows : int
        Steered runs per image, at most: shared and identical cells are run once, strength 0 is the baseline, and images
        of a library are run for their own concepts alone.
    kinds : dict of str to KindOfRun
        Of these, those of the concepts and of each control.
    chunk_rows, chunks : int
        Rows that run together at most, and how many times rows are run together.
    forwards : Forwards
        Images encoded, and calls of the text model: over a prompt, and over one or a few tokens. Answers that end
        early take fewer.
    readings : int
        Batches of answers that perplexity reads under the unsteered model, if they differ as those of the probe do.
    units : int
        Units of work of the store, 0 without one.
    bytes_per_image, bytes_per_row, bytes_free : int
        A chunk is planned as bytes_per_image + rows × bytes_per_row, on the safe side.
    bytes_at_peak, bytes_of_grid, bytes_on_disk : int
        Most memory at a time, as measured on small chunks, with prompts that are kept, recordings and the grid; the
        grid alone; the store.
    seconds, cpu_seconds : float
        Wall clock and processor time of one process, from a measured probe of the first images.
    choosing_seconds : float
        What choosing the path took, if the plan had to: at most that once more in each process that starts anew, and
        less where the verdict is kept on the disk.
    seconds_by_part : dict of str to float
        What ``seconds`` adds up.
    seconds_without_controls : float
    path : str
        How rows share an image.
    refused : dict of str to str
        Cheaper ways that this model does not compute exactly.
    placement : dict of str to str
        Parts of a model on several devices, by device; empty where there is one.
    """

    cells: int
    samples: int
    rows: int
    kinds: dict[str, KindOfRun]
    chunk_rows: int
    chunks: int
    forwards: Forwards
    readings: int
    units: int
    bytes_per_image: int
    bytes_per_row: int
    bytes_free: int
    bytes_at_peak: int
    bytes_of_grid: int
    bytes_on_disk: int
    seconds: float
    cpu_seconds: float
    choosing_seconds: float
    seconds_by_part: dict[str, float]
    seconds_without_controls: float
    path: str
    refused: dict[str, str] = field(default_factory=dict)
    placement: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        count = self.forwards
        lines = [
            f"{self.cells:,} cells: {self.rows:,} steered runs on each of {self.samples} images",
            *self._controls_text(),
            f"path      {self.path}",
            f"forwards  {count.pictures:,} images encoded, {count.prompts:,} prompts, {count.steps:,} steps of up to "
            f"{self.chunk_rows} rows ({self.chunks:,} chunks), {count.word_steps:,} of them for words of several "
            f"tokens{f'; {self.readings:,} batches of answers read for perplexity' if self.readings else ''}",
            f"memory    at most {size_text(self.bytes_at_peak)} beside the model, {size_text(self.bytes_of_grid)} of "
            f"it the grid; planned are {size_text(self.bytes_per_image)} of the prompt + {self.chunk_rows} rows × "
            f"{size_text(self.bytes_per_row)} for a chunk; {size_text(self.bytes_free)} free",
            f"time      about {duration_text(self.seconds)}: "
            + ", ".join(f"{name} {duration_text(s)}" for name, s in self.seconds_by_part.items() if s >= 0.005),
        ]
        if self.choosing_seconds >= 0.005:
            most = duration_text(self.choosing_seconds)
            lines.append(f"          and {most} to choose the path; at most that in every new process")
        if self.units:
            lines.append(f"store     {self.units:,} units, about {size_text(self.bytes_on_disk)}")
        lines += [f"placement {device}: {parts}" for device, parts in self.placement.items()]
        return "\n".join(lines + [f"refused   {name}: {why}" for name, why in self.refused.items()])

    def _controls_text(self) -> list[str]:
        controls = {name: kind for name, kind in self.kinds.items() if name != CONCEPT}
        if not controls:
            return []
        runs = sum(kind.runs for kind in controls.values())
        each = ", ".join(f"{name} {kind.draws} draws {kind.runs:,}" for name, kind in controls.items())
        without = duration_text(self.seconds_without_controls)
        return [f"controls  {runs:,} of {self.rows:,} runs: {each}; without them about {without}"]

    def __repr__(self) -> str:
        return f"<SweepPlan\n{self}>"


def require_size(settings: Settings, samples: int) -> None:
    """Raise unless a grid of this size can be planned and held, before anything of its size is allocated.

    Raises ValueError: above ``MOST_RUNS`` steered runs on each image. Raises MemoryError where the grid's arrays and
    its list of runs take more than the free memory.
    """
    axes = settings.axes
    strengths = sum(strength != 0 for strength in axes.strengths)
    runs = len(axes.layers) * strengths * len(axes.concepts) * sum(axes.controls.values())
    size = (
        f"{len(axes.concepts)} concepts × {len(axes.layers)} layers × {len(axes.strengths):,} strengths × "
        f"{axes.draws:,} draws of {len(axes.controls) - 1} controls"
    )
    if runs > MOST_RUNS:
        raise ValueError(
            f"{size} are up to {runs:,} steered runs on each image; a sweep takes at most {MOST_RUNS:,}. Ask for fewer "
            "draws, strengths, layers or concepts, or share them out among several sweeps."
        )
    steps = settings.max_new_tokens * (settings.decodes + len(settings.reading("forced")))
    cells = math.prod(axes.shape) * samples
    needed = cells * (_CELL_BYTES + 4 * (len(settings.metrics) + steps)) + runs * _RUN_BYTES
    free = free_bytes(torch.device("cpu"))
    if needed > _GRID_SHARE * free:
        raise MemoryError(
            f"{size} on {samples:,} images with answers of up to {settings.max_new_tokens:,} tokens take "
            f"{size_text(needed)}, and {size_text(free)} are free: ask for less of these, or share the images out "
            "among several sweeps with a store= each."
        )


def plan_job(job: SweepJob, limits: Limits | None = None, *, stored: bool = False) -> SweepPlan:
    """Count what a job will run, and time a small part of it on the first images.

    `limits`: as for `Engine`. `stored`: whether a store is filled, unit by unit.
    """
    limits = limits or runner.DEFAULT
    probe, store = CostProbe(job, limits, records=True), StoreCost(0, 0, Seconds())
    kept = limits.kept_prompts(probe.prompt_bytes, probe.free)
    if stored:
        layout = _layout(job, limits, probe)
        work = stored_work(job, layout, int(STRETCHED * probe.rows), kept, limits.packed_rows)
        store = probe_store(job, layout)
    else:
        work = planned_work(job, probe.rows, kept, limits.packed_rows)
    costs = probe.costs(work.largest)
    parts = _seconds_by_part(job, work, probe, costs) | ({"writing": store.each * work.units} if stored else {})
    total = sum(parts.values(), Seconds())
    grid = grid_bytes(job.settings, len(job.samples))
    fixed, each = probe.peaks(work.largest)
    prompts = min(kept, len(job.samples)) + conditions(job)
    recorded = 0 if probe.recorder is None else probe.recorder.nbytes
    beside = _HOST_BYTES if job.model.device.type == "cpu" else 0
    return SweepPlan(
        cells=job.settings.axes.cells * len(job.samples),
        samples=len(job.samples),
        rows=len(job.cells),
        kinds=_kinds(job, work, costs),
        chunk_rows=work.largest,
        chunks=len(work.chunks),
        forwards=count_forwards(job, work),
        readings=round(work.rows * costs.batches_per_row),
        units=work.units,
        bytes_per_image=probe.prompt_bytes,
        bytes_per_row=probe.row_bytes,
        bytes_free=probe.free,
        bytes_at_peak=prompts * probe.prompt_bytes + fixed + each * work.largest + 2 * grid + recorded + beside,
        bytes_of_grid=grid,
        bytes_on_disk=store.bytes_of_all,
        seconds=total.wall,
        cpu_seconds=total.cpu,
        choosing_seconds=probe.choosing.wall,
        seconds_by_part={name: spent.wall for name, spent in parts.items()},
        seconds_without_controls=total.wall * _share_without_controls(job, work, parts, costs),
        path=str(job.path),
        refused=dict(job.path.tried),
        placement=placement(job.model),
    )


def _layout(job: SweepJob, limits: Limits, probe: CostProbe) -> Layout:
    """As a store of this sweep is cut, but for noise in what is measured."""
    if job.scope.touches_prompt:
        return lay_out(job, limits, *by_probe(job, limits, probe))

    def batch_seconds(_: Layout, runs: int) -> float:
        costs = probe.costs(runs)
        return (costs.chunk + (costs.row + costs.batch * costs.batches_per_row) * runs).wall

    return lay_out(job, limits, probe.rows, batch_seconds)


def _seconds_by_part(job: SweepJob, work: PlannedWork, probe: CostProbe, costs: Costs) -> dict[str, Seconds]:
    """Seconds of each part of a sweep."""
    grid = grid_bytes(job.settings, len(job.samples))
    joined = sum(len(chunk) - 1 for chunk in work.chunks) if job.unsteered_in_chunks else 0
    if job.unsteered_in_chunks:
        answers = [probe.alone + costs.row * (len(samples) - 1) for samples in work.answers]
    else:
        answers = [probe.alone] * work.opened
    return {
        "images": probe.image * (work.opened + conditions(job)),
        "unsteered answers": sum(answers, Seconds()),
        "rows": costs.chunk * len(work.chunks) + costs.row * (work.rows + joined),
        "perplexity": costs.batch * (work.rows * costs.batches_per_row),
        "grid": copying(grid) * _COPIES,
    }


def _kinds(job: SweepJob, work: PlannedWork, costs: Costs) -> dict[str, KindOfRun]:
    runs, all_runs = Counter(cell.control for cell in job.cells), max(work.rows, 1)
    each = costs.row + costs.batch * costs.batches_per_row + costs.chunk * (len(work.chunks) / all_runs)
    images = work.rows / max(len(job.cells), 1)
    return {
        name: KindOfRun(draws, runs[name], each.wall * runs[name] * images)
        for name, draws in job.settings.axes.controls.items()
    }


def _share_without_controls(job: SweepJob, work: PlannedWork, parts: dict[str, Seconds], costs: Costs) -> float:
    """Share of the time that is left without controls: that of images stays, and one chunk for each."""
    whole = sum(parts.values(), Seconds()).wall
    share = sum(cell.control == CONCEPT for cell in job.cells) / max(len(job.cells), 1)
    chunks = min(max(math.ceil(share * len(work.chunks)), 1), len(work.chunks))
    rows = costs.chunk.wall * chunks + costs.row.wall * share * work.rows
    left = whole - parts["rows"].wall + rows - (1 - share) * (parts["perplexity"].wall + parts["grid"].wall)
    return left / whole if whole else 1.0
