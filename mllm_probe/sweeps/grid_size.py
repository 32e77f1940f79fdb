"""How large the arrays of a grid are, without making them."""

from __future__ import annotations

import math

import numpy as np

from mllm_probe import schema
from mllm_probe.sweeps.cells import Axes
from mllm_probe.sweeps.grid import CELL_DIMS, Grid
from mllm_probe.sweeps.settings import Settings


def grid_bytes(settings: Settings, samples: int) -> int:
    """Bytes of all arrays of a sweep's grid, those of its texts without the texts themselves."""
    axes, answers = settings.axes, settings.decodes
    # The smallest grid has the same variables with the same dimensions.
    least = Axes(axes.concepts[:1], axes.layers[:1], axes.strengths[:1], dict.fromkeys(axes.controls, 1))
    one = np.ones((1, 1, 1), bool)
    grid = Grid(least, {schema.SAMPLE: [""]}, settings.metrics, steps=1, answers=answers, eligible=one, skips=False)
    sizes = dict(zip(CELL_DIMS, (*axes.shape, samples), strict=True))
    sizes |= {schema.STEP: settings.max_new_tokens, schema.SCORED_CONCEPT: len(axes.concepts)}
    arrays = [(CELL_DIMS, grid.done), *((dims, values) for dims, values, _ in grid.variables().values())]
    return sum(math.prod(sizes[dim] for dim in dims) * values.dtype.itemsize for dims, values in arrays)
