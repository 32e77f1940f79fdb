"""Largest fluent doses of the concept that a panel shows, measured for one concept at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

import xarray as xr
from traitlets.utils.bunch import Bunch

from mllm_probe.schema import CONCEPT
from mllm_probe.studies.cell_scores import PERPLEXITY
from mllm_probe.sweeps import sweep_iter
from mllm_probe.typing import Picture
from mllm_probe.widgets.base.probe_widget import NewestWorker, sentence
from mllm_probe.widgets.panel.steering_panel import SteeringPanel

logger = logging.getLogger(__name__)


class FluentDoses:
    """Gives a panel the perplexity of its concept's answers, at every layer and strength of the map.

    Perplexity needs whole answers and the map only their first position. On the bundled model (48 concepts, 8 layers,
    4 strengths, 8 random draws, 8 images; CPU seconds of one thread) the map takes 1.4 s, and with perplexity in the
    same sweep 19.4 s. A second sweep of perplexity alone, which needs no controls since nothing but the panel's mark
    is made of it, takes 12.6 s for all concepts and 0.4 s for one. So the map fills first, and then only the concept
    on display is measured, on the map's own images, as soon as it is selected. Results are kept.
    Choosing another concept abandons the current measurement.

    `panel`: its ``grid`` becomes the measured one.
    `strengths`: in units of the residual norm.
    `tokens`: scopes, as for `Steering`.
    `tell`: called with ``step=``, the current step or empty text, and with ``message=``, an error in one sentence.
    """

    def __init__(
        self,
        panel: SteeringPanel,
        images: Sequence[Picture],
        prompt: str | None,
        strengths: Sequence[float],
        tokens: Sequence[str] = ("last_prompt", "generated"),
    ) -> None:
        self.tell: Callable[..., Any] = lambda **_traits: None
        self._panel = panel
        self._images, self._prompt, self._strengths, self._tokens = images, prompt, tuple(strengths), tokens
        self._measured: dict[str, xr.Dataset] = {}
        self._vectors: xr.Dataset | None = None
        self._grids: Any = None
        self._worker = NewestWorker("FluentDoses", panel.model.lock)
        self._begun = False

    def begin(self) -> None:
        """Try the concept that the panel shows, and from now on each that it comes to show."""
        self._panel.observe(self._on_concept, "concept")  # which a panel takes once only
        self._begun = True
        self._on_concept()

    def stop(self) -> None:
        """Abandon the current measurement, and start no other until ``begin``."""
        if self._begun:
            self._panel.unobserve(self._on_concept, "concept")
            self._begun = False
        self._worker.cancel()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the concept that is being tried; False when ``timeout`` seconds passed first."""
        return self._worker.wait(timeout)

    def close(self) -> None:
        """Stop, end the thread and release the vectors."""
        self.stop()
        self._worker.close()
        self._vectors = None
        self._measured.clear()

    def _leave(self) -> None:
        if (grids := self._grids) is not None:
            grids.close()

    def _on_concept(self, _change: Bunch | None = None) -> None:
        self._worker.submit(self._try, leave=self._leave)

    def _try(self, cancelled: threading.Event) -> None:
        panel, vectors, concept = self._panel, self._panel.vectors, self._panel.concept
        if vectors is None:
            return
        if vectors is not self._vectors:
            self._vectors, self._measured = vectors, {}
        if concept in self._measured or concept not in vectors[CONCEPT].values:
            return
        if _answered(panel.grid, concept):
            self._open_at_largest_dose()
            return
        try:
            self.tell(step=f"measuring fluency for {concept}")
            grid = self._swept(vectors.sel({CONCEPT: [concept]}), cancelled)
            if grid is not None:
                self._measured[concept] = grid
                panel.grid = xr.concat(list(self._measured.values()), CONCEPT, data_vars="minimal", join="exact")
                self._open_at_largest_dose()
            self.tell(step="")
        except Exception as error:
            logger.exception("the fluency of answers with '%s' could not be measured", concept)
            self.tell(step="", message=sentence(error))

    def _open_at_largest_dose(self) -> None:
        """Until a control is moved, and where nothing better is known, show the largest dose with fluent answers."""
        panel = self._panel
        if not panel.moves and not panel.recommended and panel.safe_high > 0:
            panel.choose(strength=panel.safe_high)

    def _swept(self, vectors: xr.Dataset, cancelled: threading.Event) -> xr.Dataset | None:
        """The finished grid; None if it was left."""
        self._grids = grids = sweep_iter(
            self._panel.model,
            vectors,
            self._images,
            self._prompt,
            strengths=self._strengths,
            tokens=self._tokens,
            metrics=(PERPLEXITY,),
            controls=(),
            progress=False,
        )
        try:
            for _ in grids:
                if cancelled.is_set():
                    return None
            engine = grids.engine
            return engine.dataset() if engine.done == engine.total else None
        finally:
            grids.close()
            self._grids = None


def _answered(grid: xr.Dataset | None, concept: str) -> bool:
    """Whether a finished sweep says how fluent the answers of a concept are, so that nothing is left to measure."""
    if grid is None or PERPLEXITY not in grid or concept not in grid[CONCEPT].values:
        return False
    return float(grid.attrs.get("progress", 0.0)) == 1.0
