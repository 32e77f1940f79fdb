"""The two sweeps that fill the lab's map: log-probability of every cell, then answers in the order of attention."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import xarray as xr

from mllm_probe.schema import DRAW
from mllm_probe.steering.operations import CONCEPT
from mllm_probe.sweeps.api import Grids
from mllm_probe.sweeps.cells import Axes, Cell
from mllm_probe.sweeps.job import SweepJob
from mllm_probe.widgets.heatmap.layer_concept_heatmap import LayerConceptHeatmap

ANSWER_DRAWS = 8
"""Draws of each control that are answered. A score counts how often draws win, pooled over the concepts: on scenes-8l
431 of 1,152 cells pass with 8 draws, 420 with 24; the answers of the whole map take 68 CPU seconds, with 24 draws 153."""
_WATCHED = ["concept", "strength", "folded"]


class MapSweep(Iterator[xr.Dataset]):
    """Grids of a map as they fill: those of `screen`, then these with the metrics of `answers`.

    It is its own engine for a `SweepMonitor`: runs of both are counted, and *Resume* goes on in either. What the map
    shows decides which answers are next: the concept in hand at the shown dose, its other doses, the rows that are not
    folded, the controls of that dose, the rest.

    `screen`, `answers`: sweeps of the same vectors and images; the latter with other metrics, and as many draws or
    fewer.
    """

    store = None

    def __init__(
        self, screen: Grids, answers: Grids, heatmap: LayerConceptHeatmap, screened: xr.Dataset | None = None
    ) -> None:
        self._screen, self._answers, self._heatmap, self._screened = screen, answers, heatmap, screened
        self._watching = False

    @property
    def engine(self) -> MapSweep:
        """Number of runs, and the way to stop them."""
        return self

    @property
    def job(self) -> SweepJob:
        """What is run: its model."""
        return self._answers.engine.job

    @property
    def total(self) -> int:
        """Number of runs of both sweeps."""
        return self._screen.engine.total + self._answers.engine.total

    @property
    def done(self) -> int:
        """Number of runs that are finished."""
        return self._screen.engine.done + self._answers.engine.done

    @property
    def can_go_on(self) -> bool:
        """Whether `rest` can be asked for."""
        return self._screen.can_go_on and self._answers.can_go_on

    def rest(self) -> MapSweep:
        """Continue after it was closed, with what is missing."""
        return MapSweep(self._screen.rest(), self._answers.rest(), self._heatmap, self._screened)

    def stop(self) -> None:
        """Leave the current step, from any thread; what is finished stays."""
        self._screen.engine.stop()
        self._answers.engine.stop()

    def close(self) -> None:
        """Stop, and let go of the map."""
        self._watch(False)
        self._screen.close()
        self._answers.close()

    def __next__(self) -> xr.Dataset:
        grid = next(self._screen, None)
        if grid is not None:
            self._screened = grid
            return grid.assign_attrs(progress=self.done / self.total)
        if self._screened is None or self._screen.engine.done < self._screen.engine.total:
            raise StopIteration
        self._watch(True)
        answers = next(self._answers, None)
        if answers is None:
            self._watch(False)
            raise StopIteration
        return joined(self._screened, answers).assign_attrs(progress=self.done / self.total)

    def _watch(self, watching: bool) -> None:
        if watching == self._watching:
            return
        self._watching = watching
        if watching:
            self._heatmap.observe(self._prefer, _WATCHED)
            self._prefer()
        else:
            self._heatmap.unobserve(self._prefer, _WATCHED)

    def _prefer(self, _change: object = None) -> None:
        heatmap = self._heatmap
        folded = {place for label, places in heatmap.row_groups if label in heatmap.folded for place in places}
        shown = {name for place, name in enumerate(heatmap.concepts) if place not in folded}
        axes = self.job.settings.axes
        self._answers.engine.prefer(looked_at_first(axes, heatmap.concept, heatmap.strength, shown))


def looked_at_first(axes: Axes, concept: str, strength: float, shown: set[str]) -> Callable[[Cell], int | None]:
    """Rank of a cell for a person who looks at a concept and a dose, with some concepts on the screen."""

    def rank(cell: Cell) -> int | None:
        at_dose = axes.strengths[cell.strength] == strength
        if cell.control != CONCEPT:
            return 3 if at_dose else None
        name = axes.concepts[cell.concept]
        if name == concept:
            return 0 if at_dose else 1
        return 2 if at_dose and name in shown else None

    return rank


def joined(screen: xr.Dataset, answers: xr.Dataset) -> xr.Dataset:
    """The grid of the screen with the metrics of the answers; draws that these lack are NaN, as while a grid fills."""
    metrics = {
        name: variable for name, variable in answers.items() if name not in screen and variable.dtype.kind == "f"
    }
    if screen.sizes[DRAW] > answers.sizes[DRAW]:
        metrics = {
            name: variable.reindex({DRAW: screen[DRAW]}) if DRAW in variable.dims else variable
            for name, variable in metrics.items()
        }
    return screen.assign(metrics)
