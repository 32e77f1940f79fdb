"""How a stored sweep is cut: from the time that a batch takes, in numbers that decide nothing but the cut."""

from __future__ import annotations

import math
from collections.abc import Callable

from mllm_probe.sweeps.chunk_size import Limits
from mllm_probe.sweeps.job import Job
from mllm_probe.sweeps.order import MOST_LAYERS
from mllm_probe.sweeps.probe import Probe
from mllm_probe.sweeps.units import UNSTEERED, Layout, Units

FEWEST_UNITS = 32
"""Units of a sweep that is too short for the longest ones, so that several processes can share it."""
_FEWEST_ROWS = 16
STRETCHED = 1.5
"""Rows of a batch by those that were planned, at most."""

BatchSeconds = Callable[[Layout, int], float]
"""Seconds of a batch of so many runs, given a layout whose units are of one batch."""


def lay_out(job: Job, limits: Limits, rows: int, batch_seconds: BatchSeconds) -> Layout:
    """Cut a sweep into batches and units.

    `rows`: runs that are to go through the model together. `batch_seconds`: see :data:`BatchSeconds`. Returns: what
    goes through the model together follows from the settings and a power of two of ``rows``; the size of the units from
    the time that a batch takes.
    """
    # Powers of two, so that small differences in free memory or timing still give the same cut.
    batches, runs = _in_batches(job, _power_of_two(max(rows, 1)))
    axes, samples = job.settings.axes, len(job.samples)
    if job.skipped.all():  # unsteered runs alone
        return Layout(batches.rows, 1, 1, 1, min(UNSTEERED, samples))
    layers, together = batches.batch_layers, batches.batch_samples
    seconds = max(batch_seconds(batches, runs), 1e-9)
    total = seconds * int((~job.skipped).sum()) / runs
    least, most = limits.unit_seconds
    # Batches of a unit: a 32nd of the sweep, within 3 to 60 seconds. Below, writing and markers weigh; above, a kill
    # loses too much and others wait.
    count = max(1, round(min(most, max(least, total / FEWEST_UNITS)) / seconds))
    deep = _is_deep(job)
    # A unit grows over layers first, since the coarse map takes all layers of few images; over images only once it
    # holds every layer. The coarse map of a deep model takes single layers, so that its units hold one.
    of_layers = 1 if deep else min(count, math.ceil(len(axes.layers) / layers))
    of_samples = max(1, count // of_layers) if deep or of_layers * layers >= len(axes.layers) else 1
    images = _power_of_two(of_samples * together)
    # Unsteered runs go 16 images at a time: a unit's border must not fall inside such a batch.
    images = images if images < UNSTEERED else of_samples * together // UNSTEERED * UNSTEERED
    return Layout(batches.rows, layers, together, min(of_layers * layers, len(axes.layers)), min(images, samples))


def by_probe(job: Job, limits: Limits, probe: Probe) -> tuple[int, BatchSeconds]:
    """Rows of a batch, and the time that it takes, from two chunks of the first image; for :func:`lay_out`.

    `job`: whose scope edits the prompt: a batch that takes longer keeps a person at a slider waiting.
    """
    fixed, each = probe.times(probe.rows)
    rows = probe.rows
    if each > 0:
        rows = int(min(rows, max((limits.seconds - fixed) / each, _FEWEST_ROWS)))
    return rows, lambda layout, runs: math.ceil(runs / layout.rows) * fixed + runs * each


def _in_batches(job: Job, planned: int) -> tuple[Layout, int]:
    """A layout whose units are of one batch, and the most runs of a batch, 0 where there are none."""
    axes, rows = job.settings.axes, planned
    if not job.cells:
        return Layout(rows, 1, 1, 1, 1), 0
    smallest = Units(axes, job.cells, job.skipped, Layout(rows, 1, 1, 1, 1))
    of_layer = max(1, smallest.size((0, 1), smallest.together_strengths[0], 0))
    layers = 1
    if not _is_deep(job) and not job.scope.touches_prompt:
        # Batches of one size, the last one too, and a little larger than planned rather than one more.
        layers = math.ceil(len(axes.layers) / math.ceil(of_layer * len(axes.layers) / (STRETCHED * rows)))
        rows = max(rows, of_layer * layers)
    together = _power_of_two(max(int(STRETCHED * planned) // (of_layer * layers), 1)) if job.packs else 1
    together = min(together, UNSTEERED)
    runs = together * layers * of_layer
    return Layout(max(rows, together * of_layer * layers), layers, together, layers, together), runs


def _is_deep(job: Job) -> bool:
    """Whether the coarse map takes single layers, so that a unit holds one."""
    return len(job.settings.axes.layers) > MOST_LAYERS


def _power_of_two(number: int) -> int:
    """The largest one that is not above a number from 1 on."""
    return 1 << (number.bit_length() - 1)
