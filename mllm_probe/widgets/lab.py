"""The whole lab in one line, a live heatmap beside a steering panel, linked."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ipywidgets
import xarray as xr

from mllm_probe.concepts import ConceptLibrary, scenes
from mllm_probe.loading import load
from mllm_probe.models.bundled import bundled
from mllm_probe.steering import concept_vectors
from mllm_probe.sweeps import sweep_iter
from mllm_probe.widgets.bar import LabBar
from mllm_probe.widgets.base import sentence
from mllm_probe.widgets.choices import pictures_from
from mllm_probe.widgets.code import Made, python_of
from mllm_probe.widgets.drawing import Drawing
from mllm_probe.widgets.folds import Folds
from mllm_probe.widgets.heatmap import LayerConceptHeatmap
from mllm_probe.widgets.page import Written
from mllm_probe.widgets.panel import SteeringPanel
from mllm_probe.widgets.setting import SETTINGS
from mllm_probe.widgets.sharing import Shared
from mllm_probe.widgets.static_picture import above_each_other
from mllm_probe.widgets.worker import NewestWorker

logger = logging.getLogger(__name__)

_PAIRS = 24
_PICTURES = 8


class Explore(Shared, ipywidgets.VBox):
    """A heatmap and a steering panel that share their selection; made by `explore`.

    Attributes
    ----------
    heatmap, panel : LayerConceptHeatmap, SteeringPanel
    vectors, grid : xarray.Dataset or None
        The concept vectors, once they are measured, and the sweep as far as it has come.
    bar : LabBar
        ``lab.bar.opened = ["patches", "tokens", "pairs", "code"]`` opens what is folded.
    folds : Folds
        The patch overlay, the token strip and the gallery of pairs, made when they are first opened.
    """

    def __init__(
        self,
        model: Any,
        heatmap: LayerConceptHeatmap,
        panel: SteeringPanel,
        library: ConceptLibrary | None = None,
        made: Made | None = None,
    ) -> None:
        facts = (model.name, f"{len(model.layers)} layers", model.device, str(model.dtype).removeprefix("torch."))
        self.folds = Folds(panel, library)
        self.bar = LabBar(" · ".join(map(str, facts)), parts=[*self.folds.offered, ["code", "Code"]])
        self.heatmap, self.panel, self._made = heatmap, panel, made
        heatmap.layout.flex, panel.layout.flex = "1 1 500px", "1 1 540px"
        for widget in (heatmap, panel):
            widget.layout.min_width = "0"
        body = ipywidgets.Box([heatmap, panel])
        body.layout = ipywidgets.Layout(display="flex", flex_flow="row wrap", align_items="stretch", overflow="hidden")
        body.add_class("mp-lab-body")
        super().__init__([self.bar, body, self.folds])
        self.add_class("mp-lab")
        self._worker = NewestWorker("Explore")
        link(heatmap, panel)
        self.bar.observe(self._on_opened, "opened")
        panel.observe(self._on_setting, SETTINGS)
        self._open = True

    @property
    def code(self) -> str:
        """Python that reproduces what is on the screen."""
        return python_of(self.panel, self._made)

    @property
    def vectors(self) -> xr.Dataset | None:
        """The concept vectors, once they are measured."""
        return self.panel.vectors

    @property
    def grid(self) -> xr.Dataset | None:
        """The sweep as far as it has come."""
        return self.heatmap.grid

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the vectors, the sweep and the newest answers.

        Returns
        -------
        bool
            True when all are there; False when ``timeout`` seconds passed first or something failed.
        """
        end = None if timeout is None else time.monotonic() + timeout
        done = self._worker.wait(timeout) and self.bar.status == "idle"
        return done and self.panel.wait(None if end is None else max(0.0, end - time.monotonic()))

    def stop(self) -> None:
        """Stop the background work after the chunk in flight; what has been measured stays."""
        self._worker.cancel()
        self.heatmap.stop()

    def close(self) -> None:
        """Stop everything, end the threads and remove the widgets."""
        if not self.__dict__.pop("_open", False):
            return
        self.stop()
        self._worker.close()
        self.bar.unobserve(self._on_opened, "opened")
        self.panel.unobserve(self._on_setting, SETTINGS)
        for widget in (self.folds, self.heatmap, self.panel, self.bar):
            widget.close()
        super().close()

    def to_html(self, path: str | os.PathLike[str], title: str | None = None) -> Written:
        """Write the lab, with the parts that are open and its code, as one page; see `SteeringPanel.to_html`."""
        self.bar.publish(code=self.code)
        return super().to_html(path, title)

    def drawing(self) -> Drawing:
        """Draw the map with the panel's answers below it."""
        return above_each_other([self.heatmap.drawing(), self.panel.drawing()], self.bar.title)

    def __repr__(self) -> str:
        return f"Explore({self.bar.title!r})"

    def _on_opened(self, _change: Any = None) -> None:
        try:
            self.folds.open_only(self.bar.opened)
            self._on_setting()
        except Exception as error:
            logger.exception("a part of the lab could not be opened")
            self.bar.publish(message=sentence(error))

    def _on_setting(self, _change: Any = None) -> None:
        if "code" in self.bar.opened:
            self.bar.publish(code=self.code)

    def _fill(self, make: Any, cancelled: threading.Event) -> None:
        self.bar.publish(status="running", step="measuring concept vectors", message="")
        outcome: dict[str, Any] = {"status": "idle", "step": ""}
        try:
            vectors, grids = make()
            self.panel.vectors = vectors
            self._on_opened()
            self.heatmap.watch(self._told(grids, cancelled))
            self.heatmap.wait()
            if cancelled.is_set():
                outcome = {"status": "cancelled", "step": "stopped"}
            elif self.heatmap.status == "error":
                outcome = {"status": "error", "step": "", "message": self.heatmap.message}
        except Exception as error:
            logger.exception("the lab could not be filled")
            outcome = {"status": "error", "step": "", "message": sentence(error)}
        self.bar.publish(**outcome)

    def _told(self, grids: Iterator[xr.Dataset], cancelled: threading.Event) -> Iterator[xr.Dataset]:
        """Pass grids on and say in the bar how far they are."""
        for grid in grids:
            if cancelled.is_set():
                return
            progress = float(grid.attrs.get("progress", 0.0))
            self.bar.publish(progress=progress, step=f"steering every concept at every layer · {progress:.0%}")
            self.panel.grid = grid
            yield grid


def link(heatmap: LayerConceptHeatmap, panel: SteeringPanel) -> None:
    """Let a selected cell set the panel, and the panel's concept and layer move the selection."""
    following = threading.local()

    @contextmanager
    def one_way() -> Iterator[bool]:
        """Whether this thread is free to pass a change on; while it does, nothing is passed back."""
        free, following.now = not getattr(following, "now", False), True
        try:
            yield free
        finally:
            following.now = not free

    def to_panel(change: Any) -> None:
        chosen = {"concept": heatmap.concept, "layer": heatmap.layer}
        if change.name == "strength":
            chosen["strength"] = heatmap.strength
        with one_way() as free:
            if free and chosen["concept"] in panel.concepts and chosen["layer"] in panel.layers:
                panel.choose(**chosen)

    def to_heatmap(_change: Any) -> None:
        chosen = {"concept": panel.concept, "layer": panel.layer}
        with one_way() as free:
            if free and any(getattr(heatmap, name) != value for name, value in chosen.items()):
                heatmap.publish(**chosen)

    heatmap.observe(to_panel, ["concept", "layer", "strength"])
    panel.observe(to_heatmap, ["concept", "layer"])


def explore(
    model: Any,
    library: ConceptLibrary | None = None,
    *,
    images: Any = None,
    prompt: str | None = None,
    strengths: Sequence[float] = (-1.0, 0.5, 1.0, 2.0),
    draws: int = 8,
    seed: int = 0,
) -> Explore:
    """Open the lab: concept vectors and a sweep are made in the background, and everything is linked.

    Parameters
    ----------
    model : ProbeModel or str
        A loaded model, or what `mllm_probe.load` takes.
    library : ConceptLibrary, optional
        Concepts to look at; half of the pairs make the vectors, pictures of the other half are steered.
        Bundled models come with the drawn scenes; for another model a library is needed.
    images : optional
        Pictures for the panel; held-out ones of the library by default.
    prompt : str, optional
        The question; the model's default one without it.
    strengths : sequence of float
        Strengths of the heatmap, × residual norm.
    draws : int
        Random directions per layer and strength, what the effect is compared with.
    seed : int
        Of the split and the random directions.

    Returns
    -------
    Explore
        With ``.heatmap``, ``.panel``, ``.vectors``, ``.grid``, ``.wait(timeout)`` and ``.close()``.

    Raises
    ------
    ValueError
        If the model is not a bundled one and no library is given.
    """
    named, given = model if isinstance(model, str) else None, library
    model = load(model) if isinstance(model, str) else model
    library = _default_library(model) if library is None else library
    fit, held_out = library.split(seed=seed)
    pictures = pictures_from(held_out)
    of_vectors: dict[str, Any] = {"tokens": ("last_prompt", "image"), "seed": seed, "probe_accuracy": False}
    of_grid: dict[str, Any] = {
        "strengths": tuple(strengths),
        "metrics": ("logprob",),
        "controls": ("random",),
        "draws": draws,
        "seed": seed,
        "progress": False,
    }
    made = Made(
        _model_line(model, named),
        f"library = mp.concepts.scenes(pairs={_PAIRS})" if given is None else f"# library: {given!r}, as given",
        len(pictures) if images is None else 0,
        of_vectors,
        of_grid,
        prompt,
        seed,
        _PICTURES,
    )
    panel = SteeringPanel(model, images=pictures if images is None else images, prompt=prompt, seed=seed)
    lab = Explore(model, LayerConceptHeatmap(layer=panel.layer), panel, held_out, made)

    def make() -> tuple[xr.Dataset, Iterator[xr.Dataset]]:
        vectors = concept_vectors(model, fit, prompt, **of_vectors)
        return vectors, sweep_iter(model, vectors, pictures[:_PICTURES], prompt, **of_grid)

    lab._worker.submit(lambda cancelled: lab._fill(make, cancelled))
    return lab


def _model_line(model: Any, named: str | None) -> str:
    """Line that loads the model again; for one that was loaded elsewhere, which one is meant."""
    if named is not None:
        return f"model = mp.load({named!r})"
    if bundled(model.name) is not None:
        return f"model = mp.load({model.name!r})"
    return f"# model: {' '.join(str(model.name).split())}, as given"


def _default_library(model: Any) -> ConceptLibrary:
    if bundled(model.name) is None:
        raise ValueError(
            f"'{model.name}' is not a bundled model, so explore() needs to know which concepts to look at: give "
            "library=mp.concepts.from_folder(…), from_hub(…) or scenes()."
        )
    return scenes(pairs=_PAIRS)
