"""What a sweep will take, before it runs: rows, forwards, memory, time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from math import ceil

from mllm_probe.activations.memory import free_bytes
from mllm_probe.decoding.shared import Shared
from mllm_probe.sweeps.cells import Cell, scored_pairs
from mllm_probe.sweeps.job import Job
from mllm_probe.sweeps.scoring import Baseline

_TRIED = (8, 40)


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
        Steered runs per image; shared and identical cells are run once, strength 0 is the baseline.
    chunk_rows : int
        Rows that run together.
    picture_encodings : int
        Times that a picture goes through the vision tower.
    prompt_forwards, steps : int
        Forward passes over a prompt, and over one or a few tokens of a chunk.
    word_steps : int
        Of these steps, those for words of several sub-tokens.
    bytes_per_row, bytes_per_image, bytes_free : int
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
    picture_encodings: int
    prompt_forwards: int
    steps: int
    word_steps: int
    bytes_per_row: int
    bytes_per_image: int
    bytes_free: int
    seconds: float
    path: str
    refused: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        chunks = ceil(self.rows / self.chunk_rows)
        at_once = self.bytes_per_image + self.bytes_per_row * self.chunk_rows
        lines = [
            f"{self.cells:,} cells: {self.rows:,} steered runs on each of {self.samples} images",
            f"path      {self.path}",
            f"forwards  {self.picture_encodings:,} pictures encoded, {self.prompt_forwards:,} prompts, {self.steps:,} "
            f"steps of up to {self.chunk_rows} rows ({chunks} chunks per image), {self.word_steps:,} of them for words "
            "of several tokens",
            f"memory    {_size(self.bytes_per_image)} per image, {_size(self.bytes_per_row)} per row, {_size(at_once)} "
            f"at a time; {_size(self.bytes_free)} free",
            f"time      about {_duration(self.seconds)}, measured on the first image",
        ]
        return "\n".join(lines + [f"refused   {name}: {why}" for name, why in self.refused.items()])

    def __repr__(self) -> str:
        return f"<SweepPlan\n{self}>"


def plan_job(job: Job) -> SweepPlan:
    """Count what a job will run, and time a small part of it on the first image."""
    encoded, free = job.encoded(0), free_bytes(job.model.device)
    began = time.perf_counter()
    with job.computing():
        shared = job.open(encoded)
        baseline = job.scorer.baseline(shared, 0)
    once = time.perf_counter() - began
    chunk_rows = min(job.chunk_rows(encoded, free), max(len(job.cells), 1))
    chunks = ceil(len(job.cells) / chunk_rows)
    fixed, each = _timed(job, shared, baseline, chunk_rows)
    steps, words = _steps(job)
    axes, settings = job.settings.axes, job.settings
    judged = len(set(job.subjects.examples) & set(axes.concepts)) if "perplexity" in settings.metrics else 0
    whole = job.path.kind.path == "whole forwards"
    return SweepPlan(
        cells=sum(axes.controls.values()) * axes.shape[0] * axes.shape[1] * axes.shape[2] * job.samples,
        samples=job.samples,
        rows=len(job.cells),
        chunk_rows=chunk_rows,
        picture_encodings=(len(job.cells) * (steps + 1) + 1) * job.samples if whole else job.samples + judged,
        prompt_forwards=job.samples * (1 if job.path.kind.path == "shared prefix" else 1 + chunks) + judged,
        steps=job.samples * (chunks + 1) * steps + job.samples * words * chunks,
        word_steps=job.samples * words * chunks,
        bytes_per_row=job.row_bytes(encoded),
        bytes_per_image=shared.nbytes,
        bytes_free=free,
        seconds=job.samples * (once + chunks * fixed + len(job.cells) * each),
        path=str(job.path),
        refused=dict(job.path.tried),
    )


def _steps(job: Job) -> tuple[int, int]:
    """Cached forwards of a chunk, and those for words of several sub-tokens."""
    settings = job.settings
    count = 1 + bool(job.prefix) + ("kl" in settings.metrics) + settings.decodes * (settings.max_new_tokens - 1)
    longer = {len(b) for c in range(len(settings.axes.concepts)) for b in job.scorer.table.continuations(c)}
    return count, len(longer) if "logprob" in settings.metrics else 0


def _timed(job: Job, shared: Shared, baseline: Baseline, most: int) -> tuple[float, float]:
    """Seconds of a chunk and of each of its rows, from two chunks of different size."""
    sizes = [min(size, most) for size in _TRIED]
    if not job.cells:
        return 0.0, 0.0
    _seconds(job, shared, baseline, job.cells[:1])
    few, many = (_seconds(job, shared, baseline, job.cells[:size]) for size in sizes)
    if sizes[0] == sizes[1]:
        return 0.0, many / sizes[1]
    each = max(many - few, 0.0) / (sizes[1] - sizes[0])
    return max(few - each * sizes[0], 0.0), each


def _seconds(job: Job, shared: Shared, baseline: Baseline, cells: list[Cell]) -> float:
    pairs, steerings = scored_pairs(job.settings.axes, cells), [job.steering(cell) for cell in cells]
    with job.computing():
        began = time.perf_counter()
        job.scorer.chunk(shared, 0, steerings, pairs, baseline)
        return time.perf_counter() - began


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
