"""The lab: one instrument of fixed height, with a steering panel above a live map, and tabs in the map's place."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import ipywidgets
import traitlets
import xarray as xr
from traitlets.utils.bunch import Bunch

from mllm_probe.concepts import ConceptLibrary
from mllm_probe.metrics.statistics import LEAST_IMAGES
from mllm_probe.models import ProbeModel
from mllm_probe.studies.cell_scores import PERPLEXITY
from mllm_probe.studies.effect import effect
from mllm_probe.studies.study_runs import check, fitness_text, unfit_concepts
from mllm_probe.sweeps.stored.sweep_store import duration_text
from mllm_probe.widgets.base.probe_widget import NewestWorker, Shared, guarded, sentence
from mllm_probe.widgets.heatmap.layer_concept_heatmap import LayerConceptHeatmap
from mllm_probe.widgets.lab.lab_bar import LabBar
from mllm_probe.widgets.lab.lab_parts import STUDY, LabParts, LabRecipe, link, python_of, stage, verdict
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

MAP, SWEEP, CODE = "map", "sweep", "code"
HEIGHT = 590
"""Pixels that JupyterLab has for an output at 1280 × 800, below a cell of three lines."""
_MEASURING = "measuring concept vectors"
_POLL = 0.1
"""Seconds after which a lab that waits for the panel looks whether it was stopped."""
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
_READ = ["values", "reasons", "reason", "strengths", "scope"]
"""Traits of the map that its verdict on the setting is made of."""


class Explore(Shared, ipywidgets.VBox):
    """A heatmap and a steering panel that share their selection; made by `explore`.

    Attributes
    ----------
    heatmap, panel : LayerConceptHeatmap, SteeringPanel
    monitor : SweepMonitor
        The sweep that fills the map: its pace, pause and stop. Given another sweep
        by ``lab.monitor.watch(mp.sweep_iter(…))``, the map turns to that one.
    vectors, grid : xarray.Dataset or None
        The concept vectors, once they are measured, and the sweep as far as it has come.
    bar : LabBar
        Title, tools and tabs.
    tab : str
        What stands below the answers: ``"map"``, ``"pairs"``, ``"tokens"``, ``"patches"``, ``"study"``, ``"sweep"`` or
        ``"code"``. The height is that of ``lab.layout.height``.
    parts : LabParts
        The patch overlay, the token strip and the gallery of pairs, made when they are first opened, and the studies
        of `show_study`.
    """

    tab = traitlets.Unicode(MAP)

    def __init__(
        self,
        model: ProbeModel,
        heatmap: LayerConceptHeatmap,
        panel: SteeringPanel,
        library: ConceptLibrary | None = None,
        recipe: LabRecipe | None = None,
        fluent: FluentDoses | None = None,
        height: int = HEIGHT,
    ) -> None:
        facts = (model.name, f"{len(model.layers)} layers", model.device, str(model.dtype).removeprefix("torch."))
        self.parts = LabParts(panel, library, self._say)
        self.bar = LabBar(title=" · ".join(map(str, facts)), parts=self._offered)
        self.heatmap, self.panel, self.monitor, self._recipe = heatmap, panel, SweepMonitor(), recipe
        self._fluent, self._model, self._library, self._title = fluent, model, library, self.bar.title
        self._make: Make | None = None
        self.bar.calls |= {"resume": self.resume, "page": self._save_page, "csv": self._save_csv}
        if fluent is not None:
            fluent.tell = self.bar.publish
        panel.compact = True
        panel.calls["why"] = self.explain
        self._boxes = (stage(MAP, heatmap), *self.parts.places.values(), stage(SWEEP, self.monitor))
        layout = {"height": f"{height}px"}
        super().__init__([self.bar, panel, *self._boxes], layout=layout, _dom_classes=["mp-lab"])
        self._worker = NewestWorker("Explore", model.lock)
        link(heatmap, panel, self._say)
        self._observing = [
            (panel, self._on_move, ["moves"]),
            (self.bar, self._on_tab, ["tab"]),
            (self.monitor, self._on_sweep, ["status"]),
            (self.monitor, self._on_grid, ["progress", "status"]),
            (heatmap, self._on_verdict, _READ),
            (panel, self._on_verdict, ["concept", "window", "strength", "scope"]),
            (panel, self._on_setting, SETTINGS),
        ]
        for widget, call, names in self._observing:
            widget.observe(call, names)
        self.observe(lambda change: self.bar.publish_changed({"tab": change.new}), "tab")
        self._open = True

    @property
    def _offered(self) -> list[list[str]]:
        return [[MAP, "Map"], *self.parts.offered, [SWEEP, "Sweep"], [CODE, "Code"]]

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
        self.tab = STUDY
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
        """The sweep as far as it has come."""
        return self.heatmap.grid

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
        if self.bar.status != "cancelled":
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

    def _on_tab(self, _change: Bunch | None = None) -> None:
        def opened() -> None:
            self.tab = self.bar.tab
            self.parts.open_only([self.tab])
            self._on_setting()

        guarded(opened, "a part of the lab could not be opened", self._say)

    def _on_setting(self, _change: Bunch | None = None) -> None:
        if self.tab == CODE:
            guarded(lambda: self.bar.publish(code=self.code), "the code of the lab could not be written", self._say)

    def _on_verdict(self, _change: Bunch) -> None:
        self.panel.publish_changed({"verdict": verdict(self.heatmap, self.panel)})

    def explain(self) -> None:
        """Show why the verdict is what it is: the dose curve of the selection, with the bands of all controls."""
        self.heatmap.publish_changed({"detail": "dose_response"})
        self.tab = MAP

    def _save_page(self) -> None:
        """Save the lab as a page under a name that is free."""
        self.bar.publish(shared="")
        written = self.to_html(_free("lab", ".html"))
        self.bar.publish(shared=f"saved as {written.path}")

    def _save_csv(self) -> None:
        """Save what the map shows under a name that is free: a row for each cell."""
        if self.grid is None:
            raise ValueError("there are no numbers yet: wait for the first cells of the map.")
        path = _free("effects", ".csv")
        effect(self.grid, self.heatmap.metric).to_dataframe().to_csv(path)
        self.bar.publish(shared=f"saved as {path}")

    def _on_sweep(self, change: Bunch) -> None:
        """Turn to a sweep that begins, and say how it goes."""
        if change.new == "running" and change.old not in ("pausing", "paused"):
            if self.heatmap.followed is not self.monitor:
                self.heatmap.watch(self.monitor)
        status, step = _PROGRESS[change.new]
        self._tell(status, step)
        if change.new == "cancelled":
            self.heatmap.publish(status="cancelled", progress=self.monitor.progress)
        if change.new == "error":
            self.tab = SWEEP
        if change.new == "finished" and self._fluent is not None:
            self._fluent.begin()
            self._worker.submit(self._check)

    def _tell(self, status: str, step: str, **more: object) -> None:
        """Say in the bar how the background work stands, and offer to go on with what was stopped."""
        again = "Resume" if self.monitor.resumable else "Run again" if self._make is not None else ""
        self.bar.publish(status=status, step=step, resume=again if status == "cancelled" else "", **more)

    def _on_grid(self, _change: Bunch) -> None:
        """A sweep that has perplexity tells the panel which doses are fluent."""
        grid = self.monitor.grid
        seconds = self.monitor.seconds_left
        left = "" if seconds is None or self.monitor.status != "running" else f"{duration_text(seconds)} left"
        self.bar.publish(progress=self.monitor.progress, left=left)
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
                self._on_tab()
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


def _free(stem: str, suffix: str) -> Path:
    """The first name in the working folder that no file has: lab.html, lab-2.html, …"""
    names = (Path(f"{stem}{suffix}" if k == 1 else f"{stem}-{k}{suffix}") for k in itertools.count(1))
    return next(path for path in names if not path.exists())
