"""Cost of a sweep, before it runs: rows, forwards, memory, time."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import torch

from mllm_probe.activations.free_memory import free_bytes
from mllm_probe.sweeps import chunk_size
from mllm_probe.sweeps.chunk_size import Limits
from mllm_probe.sweeps.forwards import Forwards, count_forwards
from mllm_probe.sweeps.job import Job
from mllm_probe.sweeps.order import Block, plan_order, take_chunk
from mllm_probe.sweeps.probe import Probe
from mllm_probe.sweeps.settings import Settings

MOST_RUNS = 10_000_000
"""Steered runs on each image that a sweep takes; at a millisecond each they take three hours an image."""
_CELL_BYTES = 16
"""Bytes of a cell without its scores: ``done``, ``edited``, ``text``."""
_RUN_BYTES = 400
"""Bytes of a run in the list of runs."""
_GRID_SHARE = 0.9


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
    chunk_rows, chunks : int
        Rows that run together at most, and how many times rows are run together.
    forwards : Forwards
        Pictures encoded, and calls of the text model: over a prompt, and over one or a few tokens. Answers that end
        early take fewer. What is run once per model to choose the path, and perplexity's reading of answers (at most
        one call for every 64 different ones), come on top.
    bytes_per_image, bytes_per_row, bytes_free : int
        A chunk takes bytes_per_image + rows × bytes_per_row.
    seconds : float
        Estimate from a measured probe of the first image.
    path : str
        How rows share an image.
    refused : dict of str to str
        Cheaper ways that this model does not compute exactly.
    """

    cells: int
    samples: int
    rows: int
    chunk_rows: int
    chunks: int
    forwards: Forwards
    bytes_per_image: int
    bytes_per_row: int
    bytes_free: int
    seconds: float
    path: str
    refused: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        at_once = self.bytes_per_image + self.bytes_per_row * self.chunk_rows
        count = self.forwards
        lines = [
            f"{self.cells:,} cells: {self.rows:,} steered runs on each of {self.samples} images",
            f"path      {self.path}",
            f"forwards  {count.pictures:,} images encoded, {count.prompts:,} prompts, {count.steps:,} steps of up to "
            f"{self.chunk_rows} rows ({self.chunks:,} chunks), {count.word_steps:,} of them for words of several "
            "tokens",
            f"memory    {_size(self.bytes_per_image)} of the prompt + {self.chunk_rows} rows × "
            f"{_size(self.bytes_per_row)} = {_size(at_once)} at a time; {_size(self.bytes_free)} free",
            f"time      about {_duration(self.seconds)}, measured on the first image",
        ]
        return "\n".join(lines + [f"refused   {name}: {why}" for name, why in self.refused.items()])

    def __repr__(self) -> str:
        return f"<SweepPlan\n{self}>"


def require_size(settings: Settings, samples: int) -> None:
    """Raise unless a grid of this size can be planned and held, before anything of its size is allocated.

    Raises
    ------
    ValueError
        Above ``MOST_RUNS`` steered runs on each image.
    MemoryError
        Where the grid's arrays and its list of runs take more than the free memory.
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
            f"{_size(needed)}, and {_size(free)} are free: ask for less of these, or share the images out among "
            "several sweeps with a store= each."
        )


def plan_job(job: Job, limits: Limits | None = None) -> SweepPlan:
    """Count what a job will run, and time a small part of it on the first image; ``limits`` as for `Engine`."""
    limits = limits or chunk_size.DEFAULT
    probe = Probe(job, limits)
    chunks = planned_chunks(job, probe.rows, limits.kept_prompts(probe.prompt_bytes, probe.free), limits.packed_rows)
    largest = max((sum(len(block.cells) for block in chunk) for chunk in chunks), default=1)
    fixed, each = probe.times(largest)
    return SweepPlan(
        cells=job.settings.axes.cells * len(job.samples),
        samples=len(job.samples),
        rows=len(job.cells),
        chunk_rows=largest,
        chunks=len(chunks),
        forwards=count_forwards(job, chunks),
        bytes_per_image=probe.prompt_bytes,
        bytes_per_row=probe.row_bytes,
        bytes_free=probe.free,
        seconds=len(job.samples) * probe.once + int((~job.skipped).sum()) * each + len(chunks) * fixed,
        path=str(job.path),
        refused=dict(job.path.tried),
    )


def planned_chunks(job: Job, rows: int, kept: int, packed_rows: int) -> list[list[Block]]:
    """What runs together, as ``sweep`` shares it out; prompts of all samples are taken to be of one length."""
    one_layer = job.scope.touches_prompt
    order = plan_order(job.settings.axes, job.cells, len(job.samples), coarse=False, one_layer=one_layer, kept=kept)
    needed = (Block(b.sample, tuple(c for c in b.cells if not job.skipped[c, b.sample])) for b in order)
    work, chunks = deque(block for block in needed if block.cells or not job.cells), []
    while work:
        chunks.append(take_chunk(work, rows, kept if job.packs else 1, packed_rows))
    return chunks


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.2g} min" if seconds < 5400 else f"{seconds / 3600:.2g} h"
