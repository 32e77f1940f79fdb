"""How a stored sweep is cut: from a measured probe of the first image, in numbers that decide nothing but the cut."""

from __future__ import annotations

import math

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


def lay_out(job: Job, limits: Limits, probe: Probe | None = None) -> Layout:
    """Cut a sweep into batches and units.

    Parameters
    ----------
    job : Job
    limits : Limits
    probe : Probe, optional
        One that was made of this job before.

    Returns
    -------
    Layout
        What goes through the model together follows from the settings (and, where the prompt is edited or the memory
        is small, from a power of two of what was measured); the size of the units from the time that it takes.
    """
    probe = probe or Probe(job, limits)
    fixed, each = probe.times(probe.rows)
    rows = probe.rows
    if job.scope.touches_prompt and each > 0:
        # A batch that takes longer keeps a person at a slider waiting.
        rows = int(min(rows, max((limits.seconds - fixed) / each, _FEWEST_ROWS)))
    rows = planned = _power_of_two(max(rows, 1))
    axes, samples = job.settings.axes, len(job.samples)
    if not job.cells:
        return Layout(rows, 1, 1, 1, samples)
    deep = len(axes.layers) > MOST_LAYERS
    smallest = Units(axes, job.cells, job.skipped, Layout(rows, 1, 1, 1, 1))
    of_layer = max(1, smallest.size((0, 1), smallest.together_strengths[0], 0))
    if deep or job.scope.touches_prompt:
        layers = 1
    else:
        # Batches of one size, the last one too, and a little larger than planned rather than one more.
        layers = math.ceil(len(axes.layers) / math.ceil(of_layer * len(axes.layers) / (STRETCHED * rows)))
        rows = max(rows, of_layer * layers)
    together = _power_of_two(max(int(STRETCHED * planned) // (of_layer * layers), 1)) if job.packs else 1
    together = min(together, UNSTEERED)
    rows = max(rows, together * of_layer * layers)
    runs = together * layers * of_layer
    seconds = max(math.ceil(runs / rows) * fixed + runs * each, 1e-9)
    total = seconds * int((~job.skipped).sum()) / runs
    least, most = limits.unit_seconds
    batches = max(1, int(min(most, max(least, total / FEWEST_UNITS)) / seconds))
    of_layers = 1 if deep else min(batches, math.ceil(len(axes.layers) / layers))
    of_samples = max(1, batches // of_layers) if deep or of_layers * layers >= len(axes.layers) else 1
    images = _power_of_two(of_samples * together)
    images = images if images < UNSTEERED else of_samples * together // UNSTEERED * UNSTEERED
    return Layout(rows, layers, together, min(of_layers * layers, len(axes.layers)), min(images, samples))


def _power_of_two(number: int) -> int:
    """The largest one that is not above a number from 1 on."""
    return 1 << (number.bit_length() - 1)
