"""How large the arrays of a grid are, without making them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mllm_probe import schema
from mllm_probe.metrics.metric import Metric
from mllm_probe.sweeps.cells import Axes
from mllm_probe.sweeps.grid import CELL_DIMS, Grid
from mllm_probe.sweeps.settings import Settings


def grid_bytes(settings: Settings, samples: int) -> int:
    """Bytes of all arrays of a sweep's grid, as :func:`bytes_of`."""
    return bytes_of(settings.axes, settings.metrics, samples, steps=settings.max_new_tokens, answers=settings.decodes)


def bytes_of(axes: Axes, metrics: Sequence[Metric], samples: int, *, steps: int, answers: bool) -> int:
    """Bytes of all arrays of a grid, those of its texts without the texts themselves.

    `samples`, `steps`: images, and the longest answer. `answers`: whether answers are kept.
    """
    # The smallest grid has the same variables with the same dimensions.
    controls = dict.fromkeys(axes.controls, 1)
    least = Axes(axes.concepts[:1], axes.layers[:1], axes.strengths[:1], controls)
    eligible = np.ones((1, 1, 1), bool)
    grid = Grid(least, {schema.SAMPLE: [""]}, metrics, steps=1, answers=answers, eligible=eligible, skips=False)
    sizes = dict(zip(CELL_DIMS, (*axes.shape, samples), strict=True))
    sizes |= {schema.STEP: steps, schema.SCORED_CONCEPT: len(axes.concepts)}
    cells = math.prod(sizes[dim] for dim in CELL_DIMS)
    return cells * grid.done.itemsize + sum(
        _length(dims, sizes) * values.dtype.itemsize for dims, values, _ in grid.variables().values()
    )


def _length(dims: Sequence[str], sizes: Mapping[str, int]) -> int:
    return math.prod(sizes[dim] for dim in dims)
