"""The grid: scores of all cells as one labelled dataset, NaN where a cell has not been run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from mllm_probe import schema
from mllm_probe.metrics.metric import Metric
from mllm_probe.sweeps.cells import Axes, Pairs
from mllm_probe.sweeps.off_target_scores import OffTarget, Variables
from mllm_probe.typing import Attributes, Coordinates

CELL_DIMS = (schema.CONCEPT, schema.LAYER, schema.STRENGTH, schema.CONTROL, schema.DRAW, schema.SAMPLE)


def eligible_doses(may_count: np.ndarray, named: np.ndarray, takes_away: Sequence[bool]) -> np.ndarray:
    """For which concepts and doses an image counts, bool [concepts, strengths].

    `may_count` (bool array [concepts, strengths]): by what the image shows. `named` (bool array [concepts]): whether
    its unsteered answer names the concept. `takes_away`: for each strength, whether it is meant to take the concept
    away.
    """
    eligible: np.ndarray = may_count & (named[:, None] == np.asarray(takes_away, bool)[None])
    return eligible


class Grid:
    """Arrays that fill while a sweep runs.

    `samples`: coordinates along ``sample``: ``sample`` itself, and ``split`` and ``pair`` where they are known.
    `steps`: length of the answers.
    `answers`: whether answers are kept, as ``tokens`` and ``text``.
    `eligible` (bool array (concept, strength, sample)): images that may count for a concept and dose, before their
        unsteered answers are known.
    `skips`: whether other images are left out.
    `done` (bool array (concept, layer, strength, control, draw, sample)): cells that have their scores.
    `skipped` (bool array (concept, layer, strength, control, draw, sample)): cells that are not to be run: their image
        is none for that concept and dose.
    `has_unsteered` (bool array [samples]): samples whose unsteered run is in the grid.
    """

    def __init__(
        self,
        axes: Axes,
        samples: Mapping[str, Sequence[Any]],
        metrics: Sequence[Metric],
        *,
        steps: int,
        answers: bool,
        eligible: np.ndarray,
        skips: bool,
    ) -> None:
        self.axes, self.samples = axes, dict(samples)
        own = [metric for metric in metrics if not metric.every_concept]
        self.metrics = tuple(metric.name for metric in own)
        self.attributes = {metric.name: metric.attributes for metric in own}
        count = len(samples[schema.SAMPLE])
        shape = (*axes.shape, count)
        self.cells: dict[str, np.ndarray] = {name: np.full(shape, np.nan, np.float32) for name in self.metrics}
        concepts = len(axes.concepts)
        self.unsteered: dict[str, np.ndarray] = {
            name: np.full((concepts, count), np.nan, np.float32) for name in self.metrics
        }
        self.eligible = np.zeros((concepts, len(axes.strengths), count), dtype=bool)
        self._may_count = eligible
        # A view that takes no memory and cannot be written to: which cells are skipped is known before the first run.
        self.skipped: np.ndarray = np.broadcast_to(~eligible[:, None, :, None, None] & skips, shape)
        self.done: np.ndarray = np.zeros(shape, dtype=bool)
        self.has_unsteered: np.ndarray = np.zeros(count, dtype=bool)
        self.edited = np.zeros(shape, dtype=np.int32)
        self.every_concept = {metric.name: OffTarget(metric, axes, count) for metric in metrics if metric.every_concept}
        if answers:
            self.cells["tokens"] = np.full((*shape, steps), -1, np.int32)
            self.cells["text"] = np.full(shape, "", dtype=object)
            self.unsteered["tokens"] = np.full((count, steps), -1, np.int32)
            self.unsteered["text"] = np.full(count, "", dtype=object)
        for metric in (metric for metric in own if metric.reads == "forced"):
            name = step_name(metric.name)
            self.cells[name] = np.full((*shape, steps), np.nan, np.float32)
            long_name = f"{metric.long_name or metric.label}, at each of its tokens"
            self.attributes[name] = {"long_name": long_name, "units": metric.unit}

    def put_eligible(self, sample: int, named: np.ndarray, takes_away: Sequence[bool]) -> None:
        """Write for which concepts and doses an image counts, whose unsteered answer names ``named`` [concepts]."""
        self.eligible[:, :, sample] = eligible_doses(self._may_count[:, :, sample], named, takes_away)

    def put(self, pairs: Pairs, sample: int | np.ndarray, scores: Mapping[str, np.ndarray]) -> None:
        """Write the scores of a chunk, one per pair; ``sample`` is one for all pairs, or an array with one each."""
        # One fancy index writes all pairs at once: a row that several places of the grid share has a pair for each.
        place = (*pairs.index, np.broadcast_to(sample, len(pairs)))
        for name, values in scores.items():
            if name == "edited" or name in self.cells:
                (self.edited if name == "edited" else self.cells[name])[place] = values
        for name, off_target in self.every_concept.items() if len(pairs) else ():
            off_target.put(pairs, place[-1], scores[name])
        self.done[place] = True

    def put_unsteered(self, sample: int, scores: Mapping[str, Any]) -> None:
        """Write the unsteered run of one sample: to ``<name>_unsteered``, and to every cell of strength 0."""
        cells = self.unsteered_cells(sample)
        for name, values in scores.items():
            if name in self.unsteered:
                if name in ("tokens", "text"):
                    self.unsteered[name][sample] = values
                else:
                    self.unsteered[name][:, sample] = values
            if name in self.cells:
                # Metrics have one value per concept, `cells[0]` the concept of each cell; answers have one for all.
                self.cells[name][cells] = np.asarray(values)[cells[0]] if name in self.metrics else values
        for name, off_target in self.every_concept.items():
            off_target.put_unsteered(sample, scores[name])
        self.done[cells] = True
        self.has_unsteered[sample] = True

    def unsteered_cells(self, sample: int) -> tuple[np.ndarray, ...]:
        """Index of all cells of strength 0 of a sample, which its unsteered run fills."""
        places = self.axes.unsteered
        return (*places, np.full(len(places[0]), sample))

    @property
    def progress(self) -> float:
        """Share of the cells that are done, 0 … 1."""
        drawn = self.axes.drawn[None, None, None, ..., None]
        return float((self.done | self.skipped).sum(where=drawn) / (self.axes.cells * len(self.has_unsteered)))

    def variables(self) -> Variables:
        """Dimensions, array (not a copy) and attributes of every variable of the dataset."""
        variables: Variables = {}
        for name, values in self.cells.items():
            dims: tuple[str, ...] = (*CELL_DIMS, schema.STEP) if values.ndim > len(CELL_DIMS) else CELL_DIMS
            variables[name] = (dims, values, self.attributes.get(name, {}))
        for name, values in self.unsteered.items():
            dims = (schema.SAMPLE, schema.STEP)[: values.ndim] if name in ("tokens", "text") else _UNSTEERED
            variables[f"{name}_unsteered"] = (dims, values, _of_unsteered(self.attributes.get(name, {})))
        variables["eligible"] = ((schema.CONCEPT, schema.STRENGTH, schema.SAMPLE), self.eligible, _ELIGIBLE)
        for off_target in self.every_concept.values():
            variables |= off_target.variables()
        variables["edited"] = (CELL_DIMS, self.edited, {"long_name": "edited positions of prompt and answer"})
        return variables

    def coordinates(self, others: Coordinates) -> Coordinates:
        """Coordinates of its own dimensions, and others."""
        return {
            schema.STRENGTH: list(self.axes.strengths),
            schema.CONTROL: list(self.axes.controls),
            schema.DRAW: np.arange(self.axes.draws),
            schema.SAMPLE: list(self.samples[schema.SAMPLE]),
            **{name: (schema.SAMPLE, list(values)) for name, values in self.samples.items() if name != schema.SAMPLE},
            **others,
        }

    def dataset(self, coordinates: Coordinates, attrs: Attributes) -> xr.Dataset:
        """A copy of the grid, which later writes do not change."""
        variables = {name: (dims, values.copy(), own) for name, (dims, values, own) in self.variables().items()}
        return xr.Dataset(variables, self.coordinates(coordinates), {**attrs, "progress": self.progress})


_UNSTEERED = (schema.CONCEPT, schema.SAMPLE)
_ELIGIBLE = {
    "long_name": "the image counts: doses that bring the concept need one that lacks it and whose unsteered answer "
    "does not name it, doses that take it away one whose unsteered answer names it"
}


def step_name(metric: str) -> str:
    """Variable that holds a metric at each token of the unsteered answer."""
    return f"{metric}_step"


def _of_unsteered(attributes: Attributes) -> Attributes:
    return {name: attributes[name] + (", unsteered" if name == "long_name" else "") for name in ("long_name", "units")
            if name in attributes}  # fmt: skip
