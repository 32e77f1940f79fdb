"""The grid of a patch: raw scores of patched, base and source runs, NaN where a cell has not been run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from mllm_probe import schema
from mllm_probe.metrics.metric import Metric
from mllm_probe.sweeps.off_target_scores import Variables
from mllm_probe.typing import Attributes, Coordinates

CELL = (schema.CONCEPT, schema.LAYER, schema.GROUP, schema.DIRECTION, schema.CONTROL, schema.SAMPLE)
SOURCE = (schema.CONCEPT, schema.DIRECTION, schema.SAMPLE)
SIZE = (schema.CONCEPT, schema.GROUP, schema.SAMPLE)
GROUP_SIZE = "group_size"


class PatchGrid:
    """Arrays that fill while a patch runs.

    `coordinates`: of the dataset.
    `sizes`: lengths of the dimensions of ``CELL``.
    `pairs`: how many pairs each concept has; the others' samples stay NaN.
    `done`: bool array CELL.
    """

    def __init__(
        self,
        metrics: Sequence[Metric],
        coordinates: Coordinates,
        sizes: Mapping[str, int],
        pairs: Sequence[int],
        group_size: np.ndarray,
    ) -> None:
        self.metrics, self.coordinates, self.pairs = tuple(metrics), coordinates, list(pairs)
        shape = tuple(sizes[dim] for dim in CELL)
        self.patched, self.base = ({m.name: np.full(shape, np.nan, np.float32) for m in metrics} for _ in range(2))
        of_source = tuple(sizes[dim] for dim in SOURCE)
        self.source = {m.name: np.full(of_source, np.nan, np.float32) for m in metrics}
        self.edited, self.group_size = np.zeros(shape, np.int32), group_size
        self.done: np.ndarray = np.zeros(shape, dtype=bool)

    def put(self, place: tuple[np.ndarray, ...], patched: np.ndarray, base: np.ndarray, edited: np.ndarray) -> None:
        """Write scores [metrics, cells] of cells, an index into ``CELL``, with the score of their base run."""
        for number, metric in enumerate(self.metrics):
            self.patched[metric.name][place] = patched[number]
            self.base[metric.name][place] = base[number]
        self.edited[place] = edited
        self.done[place] = True

    def put_source(self, place: tuple[int, int, int], scores: np.ndarray) -> None:
        """Write scores [metrics] of the run that activations are taken from, an index into ``SOURCE``."""
        for number, metric in enumerate(self.metrics):
            self.source[metric.name][place] = scores[number]

    @property
    def progress(self) -> float:
        """Share of the cells that are done, 0 … 1."""
        shape = self.done.shape
        cells = int(np.prod(shape[1:-1])) * sum(self.pairs)
        return float(self.done.sum() / cells)

    def variables(self) -> Variables:
        """Dimensions, array (not a copy) and attributes of every variable."""
        found: Variables = {}
        for metric in self.metrics:
            own = metric.attributes
            name, text = metric.name, own["long_name"]
            found[name] = (CELL, self.patched[name], own)
            base = "the same row of the batch without the patch"
            found[f"{name}_base"] = (CELL, self.base[name], {"long_name": f"{text}, {base}", "units": own["units"]})
            source = "run on the counterfactual"
            found[f"{name}_source"] = (
                SOURCE, self.source[name], {"long_name": f"{text}, {source}", "units": own["units"]},
            )  # fmt: skip
        found["edited"] = (CELL, self.edited, {"long_name": "patched positions, over the layers of the window"})
        found[GROUP_SIZE] = (SIZE, self.group_size, {"long_name": "positions of the token group"})
        return found

    def dataset(self, attrs: Attributes) -> xr.Dataset:
        """A copy of the grid, which later writes do not change."""
        variables = {name: (dims, values.copy(), own) for name, (dims, values, own) in self.variables().items()}
        return xr.Dataset(variables, self.coordinates, {**attrs, "progress": self.progress})
