"""The lab: a live heatmap beside a steering panel, linked, with the sweep that fills it above them."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence

import ipywidgets
import xarray as xr
from traitlets.utils.bunch import Bunch

from mllm_probe.concepts import ConceptLibrary
from mllm_probe.metrics.statistics import LEAST_IMAGES
from mllm_probe.models import ProbeModel
from mllm_probe.studies.cell_scores import PERPLEXITY
from mllm_probe.studies.study_runs import check, fitness_text, unfit_concepts
from mllm_probe.widgets.base.probe_widget import NewestWorker, Shared, guarded, sentence
from mllm_probe.widgets.heatmap.layer_concept_heatmap import LayerConceptHeatmap
from mllm_probe.widgets.heatmap.map_cells import is_effect
from mllm_probe.widgets.lab.lab_bar import LabBar
from mllm_probe.widgets.lab.lab_parts import STUDIES, LabParts, LabRecipe, link, python_of, wrapping_box
from mllm_probe.widgets.lab.record_file import LabRecord
from mllm_probe.widgets.monitor.sources import RemoteSweep
from mllm_probe.widgets.monitor.sweep_monitor import SweepMonitor
from mllm_probe.widgets.pages.saved_page import Written
from mllm_probe.widgets.panel.fluency import FluentDoses
from mllm_probe.widgets.panel.setting import SETTINGS
from mllm_probe.widgets.panel.steering_panel import SteeringPanel
from mllm_probe.widgets.pictures import Drawing
from mllm_probe.widgets.pictures.static_picture import above_each_other
from mllm_probe.widgets.study.study_view import StudyView

logger = logging.getLogger(__name__)

Report = Callable[[int, int, Sequence[str], Sequence[str], int], None]
"""Takes how many images are done, and of how many; the measured concepts, their categories, and of how many."""
Make = Callable[[Report], tuple[xr.Dataset, Iterable[xr.Dataset]]]

SWEEP = "sweep"
_MEASURING = "measuring concept vectors"
_POLL = 0.1
"""Seconds after which a lab that waits for the panel looks whether it was stopped."""
_FOLDED = "mp-folded"
_PROGRESS = {
    "idle": ("idle", ""),
    "running": ("running", "steering every concept at every layer"),
    "pausing": ("running", "pausing after the current step"),
    "paused": ("running", "the sweep is paused"),
    "finished": ("idle", ""),
    "cancelled": ("cancelled", "stopped"),
    "error": ("error", "the sweep failed"),
}
"""Status and words of the bar for each state of the sweep."""


class Explore(Shared, ipywidgets.VBox):
    """A heatmap and a steering panel that share their selection; made by `explore`.

    Attributes
    ----------
    heatmap, panel : LayerConceptHeatmap, SteeringPanel
    monitor : SweepMonitor
        The sweep that fills the map: its pace, pause and stop, shown above the map while it runs. Given another sweep
        by ``lab.monitor.watch(mp.sweep_iter(…))``, the map turns to that one.
    vectors, grid : xarray.Dataset or None
        The concept vectors, once they are measured, and the sweep as far as it has come.
    bar : LabBar
        ``lab.bar.opened = ["patches", "tokens", "pairs", "studies", "code", "sweep"]`` opens the folded parts.
    parts : LabParts
        The patch overlay, the token strip and the gallery of pairs, made when they are first opened, and the studies
        of `show_study`.
    """

    def __init__(
        self,
        model: ProbeModel,
        heatmap: LayerConceptHeatmap,
        panel: SteeringPanel,
        library: ConceptLibrary | None = None,
        recipe: LabRecipe | None = None,
        fluent: FluentDoses | None = None,
    ) -> None:
        facts = (model.name, f"{len(model.layers)} layers", model.device, str(model.dtype).removeprefix("torch."))
        self.parts = LabParts(panel, library, self._say)
        self.bar = LabBar(title=" · ".join(map(str, facts)), parts=self._offered)
        self.heatmap, self.panel, self.monitor, self._recipe = heatmap, panel, SweepMonitor(), recipe
        self._fluent, self._model, self._library, self._title = fluent, model, library, self.bar.title
        self._make: Make | None = None
        self.bar.on_resume = self.resume
        if fluent is not None:
            fluent.tell = self.bar.publish
        beside = ipywidgets.VBox([panel, self.parts.beside], _dom_classes=["mp-lab-beside"])
        heatmap.layout.flex, beside.layout.flex = "1 1 500px", "1 1 540px"
        for widget in (heatmap, panel, beside):
            widget.layout.min_width = "0"
        body = wrapping_box([heatmap, beside], "mp-lab-body")
        self._sweep = ipywidgets.Box([self.monitor], _dom_classes=["mp-lab-sweep", _FOLDED])
        self._boxes = (body, beside, self._sweep)
        super().__init__([self.bar, self._sweep, body, self.parts.below], _dom_classes=["mp-lab"])
        self._worker = NewestWorker("Explore", model.lock)
        link(heatmap, panel, self._say)
        self._observing = [
            (panel, self._on_move, ["moves"]),
            (self.bar, self._on_opened, ["opened"]),
            (self.monitor, self._on_sweep, ["status"]),
            (self.monitor, self._on_grid, ["progress", "status"]),
            (panel, self._on_setting, SETTINGS),
        ]
        for widget, call, names in self._observing:
            widget.observe(call, names)
        self._open = True

    @property
    def _offered(self) -> list[list[str]]:
        return [*self.parts.offered, [SWEEP, "Sweep"], ["code", "Code"]]

    def show_study(self, study: xr.Dataset) -> StudyView:
        """Open a study in the lab, in the place of one of the same name; a click on a concept or layer selects it here.

        Parameters
        ----------
        study : Dataset
            From one of `mllm_probe.studies`, or `mllm_probe.compare`.

        Returns
        -------
        StudyView

        Raises
        ------
        TypeError
            If it is no dataset.
        ValueError
            If it is no study, or one of another model.
        """
        view = self.parts.add_study(study)
        self.bar.publish_changed({"parts": self._offered})
        self._show(STUDIES, True)
        return view

    @property
    def code(self) -> str:
        """Code that reproduces the current view."""
        return python_of(self.panel, self._recipe)

    @property
    def vectors(self) -> xr.Dataset | None:
        """The concept vectors, once they are measured."""
        return self.panel.vectors

    @property
    def grid(self) -> xr.Dataset | None:
        """The sweep as far as it has come; None while the map shows recorded effects."""
        grid = self.heatmap.grid
        return None if grid is None or is_effect(grid) else grid

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for vectors, sweep, fluent range of the panel's concept, check of the concepts, and newest answers.

        Returns
        -------
        bool
            True when all are there; False when ``timeout`` seconds passed first, or something failed or was stopped.
        """
        end = None if timeout is None else time.monotonic() + timeout
        waits = [self._worker.wait, self.monitor.wait_until_free, self.heatmap.wait]
        waits += [self.panel.wait] if self._fluent is None else [self._fluent.wait, self._worker.wait, self.panel.wait]
        for wait in waits:
            if not wait(None if end is None else max(0.0, end - time.monotonic())):
                return False
        return self.bar.status == "idle"

    def stop(self) -> None:
        """Stop the background work after the current step; finished results are kept."""
        self._worker.cancel()
        if not isinstance(self.monitor.source, RemoteSweep):
            self.monitor.stop()
        self.heatmap.stop()
        if self._fluent is not None:
            self._fluent.stop()

    def resume(self) -> None:
        """Go on after `stop`, or after *Stop* of the sweep: what was measured stays, and what is missing is run.

        Concept vectors that were stopped while they were measured are measured from the beginning, and so is a sweep
        that cannot go on, see `SweepMonitor.resumable`. Nothing happens where nothing was stopped.
        """
        if not self.bar.resume:
            return
        if self.monitor.resumable:
            self.monitor.resume()
        elif self._make is not None:
            self.fill(self._make)

    def close(self) -> None:
        """Stop everything, end the threads and remove the widgets."""
        if not self.__dict__.pop("_open", False):
            return
        for widget, call, names in self._observing:
            widget.unobserve(call, names)
        self.stop()
        self._worker.close()
        if self._fluent is not None:
            self._fluent.close()
        for part in (self.parts, self.monitor, self.heatmap, self.panel, self.bar, *self._boxes):
            part.close()
        super().close()

    def to_html(self, path: str | os.PathLike[str], title: str | None = None) -> Written:
        """Write the lab, with the parts that are open and its code, as one page; see `SteeringPanel.to_html`."""
        self.bar.publish(code=self.code)
        return super().to_html(path, title)

    def drawing(self) -> Drawing:
        """Draw the map with the panel's answers below it."""
        return above_each_other([self.heatmap.drawing(), self.panel.drawing()], self.bar.title)

    def _settle(self) -> None:
        self.panel.wait_until_free()

    def __repr__(self) -> str:
        return f"Explore({self.bar.title!r})"

    def _say(self, message: str) -> None:
        """Show what was wrong with a move; empty text takes it away again, but not what ended the background work."""
        if message or self.bar.status != "error":
            self.bar.publish_changed({"message": message})

    def _on_move(self, _change: Bunch) -> None:
        self._say("")

    def _show(self, part: str, shown: bool) -> None:
        """Open or fold a part, as its button does."""
        if shown != (part in self.bar.opened):
            others = [name for name in self.bar.opened if name != part]
            self.bar.publish(opened=[*others, part] if shown else others)

    def _on_opened(self, _change: Bunch | None = None) -> None:
        def opened() -> None:
            change_class = self._sweep.remove_class if SWEEP in self.bar.opened else self._sweep.add_class
            change_class(_FOLDED)
            self.parts.open_only(self.bar.opened)
            self._on_setting()

        guarded(opened, "a part of the lab could not be opened", self._say)

    def _on_setting(self, _change: Bunch | None = None) -> None:
        if "code" in self.bar.opened:
            guarded(lambda: self.bar.publish(code=self.code), "the code of the lab could not be written", self._say)

    def _on_sweep(self, change: Bunch) -> None:
        """Turn to a sweep that begins, say how it goes, and fold it away when it is done."""
        if change.new == "running" and change.old not in ("pausing", "paused"):
            if self.heatmap.followed is not self.monitor:
                self.heatmap.watch(self.monitor)
            self._show(SWEEP, True)
        status, step = _PROGRESS[change.new]
        self._tell(status, step)
        if change.new == "cancelled":
            self.heatmap.publish(status="cancelled", progress=self.monitor.progress)
        if change.new == "error":
            self._show(SWEEP, True)
        if change.new == "finished":
            self._show(SWEEP, False)
            if self._fluent is not None:
                self._fluent.begin()
                self._worker.submit(self._check)

    def _tell(self, status: str, step: str, **more: object) -> None:
        """Say in the bar how the background work stands, and offer to go on with what was stopped."""
        again = "Resume" if self.monitor.resumable else "Run again" if self._make is not None else ""
        self.bar.publish(status=status, step=step, resume=again if status == "cancelled" else "", **more)

    def _on_grid(self, _change: Bunch) -> None:
        """A sweep that has perplexity tells the panel which doses are fluent."""
        grid = self.monitor.grid
        self.bar.publish(progress=self.monitor.progress)
        if grid is not None and PERPLEXITY in grid:
            guarded(lambda: setattr(self.panel, "grid", grid), "the panel could not take the sweep's grid", self._say)

    def _check(self, cancelled: threading.Event) -> None:
        """Say in the bar how many concepts the model distinguishes and names, from some pairs of each."""
        library = self._library
        if library is None:
            return
        pairs = min(min(len(concept.positive), len(concept.negative)) for concept in library.values())
        library = library.subset(pairs=min(pairs, LEAST_IMAGES))

        def report(done: int, total: int) -> None:
            if cancelled.is_set():
                raise _StoppedError
            self.bar.publish(title=f"{self._title} · checking which concepts are distinguished: {done} of {total}")

        try:
            seen = check(self._model, library, self.panel.prompt, progress=report)
            for widget in (self.heatmap, self.panel):
                widget.publish_changed({"unfit": unfit_concepts(seen)})
            self.bar.publish(title=f"{self._title} · {fitness_text(seen)}")
        except _StoppedError:
            self.bar.publish(title=self._title)
        except Exception as error:
            logger.exception("the concepts of a lab could not be checked")
            self.bar.publish(title=self._title, message=sentence(error))

    def fill(self, make: Make) -> None:
        """Fill the lab in the background, once the panel shows its unsteered answer.

        Parameters
        ----------
        make : callable
            Takes a `Report` of progress; returns the concept vectors and the sweep that fills the map, as
            `SweepMonitor.watch` takes it.
        """
        self._make = make
        self._worker.submit(lambda cancelled: self._fill(make, cancelled))

    def take_recorded(self, record: LabRecord, make: Make) -> None:
        """Show recorded effects of the panel's vectors; the bar offers to measure both anew with ``make``."""
        self._make, facts = make, record.facts
        self.heatmap.show_effects(record.effects(), facts["metrics"])
        for widget in (self.heatmap, self.panel):
            widget.publish_changed({"unfit": facts["unfit"]})
        self.bar.publish(title=f"{self._title} · {facts['check']} · recorded results", resume="Measure again")
        if self._fluent is not None:
            self._fluent.begin()

    def _fill(self, make: Make, cancelled: threading.Event) -> None:
        def report(done: int, total: int, concepts: Sequence[str], categories: Sequence[str], many: int) -> None:
            if cancelled.is_set():
                raise _StoppedError
            self.bar.publish(progress=done / total, step=f"{_MEASURING}: {done} of {total} images")
            self.panel.offer(concepts, categories, f"{_MEASURING}: {len(concepts)} of {many}")

        self.panel.publish(activity=_MEASURING)
        self.heatmap.publish_changed({"status": "idle"})
        self._tell("running", "answering without steering", message="", progress=0.0)
        outcome = {"status": "cancelled", "step": "stopped"}
        try:
            while not cancelled.is_set() and not self.panel.wait_until_free(_POLL):
                pass
            if not cancelled.is_set():
                self.bar.publish(step=_MEASURING)
                vectors, grids = make(report)
                self.panel.vectors = vectors
                self._on_opened()
            if not cancelled.is_set():
                self.monitor.watch(grids)
                return
        except _StoppedError:
            logger.info("the concept vectors of a lab were stopped")
        except Exception as error:
            logger.exception("the lab could not be filled")
            outcome = {"status": "error", "step": "", "message": sentence(error)}
        finally:
            self.panel.publish(activity="")
        self.heatmap.publish(status=outcome["status"])
        self._tell(**outcome)


class _StoppedError(Exception):
    """Leaves the measuring of concept vectors."""
