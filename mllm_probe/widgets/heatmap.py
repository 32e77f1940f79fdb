"""LayerConceptHeatmap: the effect of every concept at every layer, drawn while it is being measured."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import traitlets
import xarray as xr

from mllm_probe.sweeps import effect as effect_of
from mllm_probe.widgets.base import ProbeWidget, bundle, sentence
from mllm_probe.widgets.cells import METRIC_LABELS, cells_of, is_effect, metrics_of

logger = logging.getLogger(__name__)

_SHORTEST_UPDATE = 0.05
_SHARE_OF_TIME = 0.2


class LayerConceptHeatmap(ProbeWidget):
    """Concepts × layers as a map; hover reads a cell, a click or the arrow keys select one.

    Colour is the effect beyond the random directions; hatched cells are not clear of their controls.

    Parameters
    ----------
    grid : xarray.Dataset or iterable of xarray.Dataset, optional
        A grid of `mllm_probe.sweep`, an effect of `mllm_probe.effect`, or an iterator such as
        `mllm_probe.sweep_iter`, which is watched in the background.
    metric : str
        Metric of the grid that is shown.
    concept, layer, strength : optional
        The cell that is selected at first; else the first concept and layer, and strength 1 where it was run.

    Attributes
    ----------
    concept : str
        The selected concept. Setting it moves the selection; so for ``layer`` (int) and ``strength`` (float).
    values : bytes
        float32, concept × layer × strength: the effect, in ``unit``; NaN where nothing was run.
    progress : float
        Share of the watched sweep that is done, 0 … 1.
    status : str
        ``"idle"``, ``"running"``, ``"cancelled"`` or ``"error"``; ``message`` says what was wrong.
    """

    _esm = bundle("heatmap")

    concepts = traitlets.List(traitlets.Unicode()).tag(sync=True)
    categories = traitlets.List(traitlets.Unicode()).tag(sync=True)
    layers = traitlets.List(traitlets.Int()).tag(sync=True)
    strengths = traitlets.List(traitlets.Float()).tag(sync=True)
    values = traitlets.Bytes(b"").tag(sync=True)
    low = traitlets.Bytes(b"").tag(sync=True)
    high = traitlets.Bytes(b"").tag(sync=True)
    n = traitlets.Bytes(b"").tag(sync=True)
    clear = traitlets.Bytes(b"").tag(sync=True)
    control = traitlets.Bytes(b"").tag(sync=True)
    control_low = traitlets.Bytes(b"").tag(sync=True)
    control_high = traitlets.Bytes(b"").tag(sync=True)
    metric = traitlets.Unicode("logprob").tag(sync=True)
    metrics = traitlets.List(traitlets.Unicode()).tag(sync=True)
    metric_labels = traitlets.Dict().tag(sync=True)
    unit = traitlets.Unicode("").tag(sync=True)
    strength_unit = traitlets.Unicode("residual").tag(sync=True)
    concept = traitlets.Unicode("").tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)
    strength = traitlets.Float(1.0).tag(sync=True)
    progress = traitlets.Float(0.0).tag(sync=True)

    def __init__(
        self,
        grid: xr.Dataset | Iterable[xr.Dataset] | None = None,
        metric: str = "logprob",
        *,
        concept: str | None = None,
        layer: int | None = None,
        strength: float | None = None,
        **traits: Any,
    ) -> None:
        chosen = {"concept": concept, "layer": layer, "strength": strength}
        traits |= {name: value for name, value in chosen.items() if value is not None}
        super().__init__(metric=metric, metric_labels=METRIC_LABELS, **traits)
        self.grid: xr.Dataset | None = None
        self._showing = threading.RLock()
        self.observe(self._on_metric, "metric")
        if isinstance(grid, xr.Dataset):
            self.show(grid)
        elif grid is not None:
            self.watch(grid)

    def show(self, grid: xr.Dataset) -> None:
        """Show a grid or an effect in place of what is there."""
        with self._showing:
            self.grid = grid
            self.publish(**self._state(grid))

    def watch(self, grids: Iterable[xr.Dataset]) -> LayerConceptHeatmap:
        """Show each grid or effect that ``grids`` yields, in a background thread, and return at once.

        At most 20 updates a second are drawn, fewer when the statistics take longer; the last always is. A
        watch that is running is stopped. An error of the iterator ends up in ``status`` and ``message`` and in the log.
        """
        self._worker.submit(lambda cancelled: self._watch(iter(grids), cancelled))
        return self

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the watched iterator to end.

        Returns
        -------
        bool
            True when nothing is left to do and no error came up; False when ``timeout`` seconds passed
            first, the watch was stopped, or ``status`` is ``"error"``.
        """
        return self._worker.wait(timeout) and self.status == "idle"

    def stop(self) -> None:
        """Stop watching after the chunk in flight; what has been measured stays."""
        self._worker.cancel()

    def _watch(self, grids: Iterator[xr.Dataset], cancelled: threading.Event) -> None:
        self.publish(status="running", message="", progress=0.0)
        outcome: dict[str, Any] = {"status": "idle", "progress": 1.0}
        late: xr.Dataset | None = None
        again = 0.0
        try:
            for grid in grids:
                late = grid
                if cancelled.is_set():
                    outcome = {"status": "cancelled"}
                    break
                if (start := time.monotonic()) >= again:
                    self.show(grid)
                    late, took = None, time.monotonic() - start
                    again = start + max(_SHORTEST_UPDATE, took / _SHARE_OF_TIME)
            if late is not None:
                self.show(late)
        except Exception as error:
            logger.exception("the sweep that a heatmap watched failed")
            outcome = {"status": "error", "message": sentence(error)}
        finally:
            if hasattr(grids, "close"):
                grids.close()
            self.publish(**outcome)

    def _state(self, grid: xr.Dataset) -> dict[str, Any]:
        if is_effect(grid):
            effect, metrics = grid, []
            metric = str(grid.attrs.get("metric", self.metric))
        else:
            metrics, metric = metrics_of(grid), self.metric
            if metric not in metrics:
                raise ValueError(f"the grid has no metric '{metric}'; it has {', '.join(metrics) or 'none'}.")
            effect = effect_of(grid, metric)
        state = cells_of(effect)
        progress = {"progress": float(grid.attrs["progress"])} if "progress" in grid.attrs else {}
        return state | {"metric": metric, "metrics": metrics} | self._selection(state) | progress

    def _selection(self, state: dict[str, Any]) -> dict[str, Any]:
        """Return what must change in the selection: nothing while the selected cell exists."""
        chosen: dict[str, Any] = {}
        for name, first in (("concept", None), ("layer", None), ("strength", 1.0)):
            known = state[f"{name}s"]
            if known and getattr(self, name) not in known:
                chosen[name] = first if first in known else known[-1] if name == "strength" else known[0]
        return chosen

    def _on_metric(self, change: Any) -> None:
        with self._showing:
            grid = self.grid
            if grid is None or is_effect(grid) or getattr(self._here, "quiet", False):
                return
            try:
                self.publish(message="", **self._state(grid))
            except Exception as error:
                logger.exception("a heatmap could not show metric %s", change.new)
                self.publish(status="error", message=sentence(error))

    def _summary(self) -> str:
        if not self.concepts:
            return f"metric='{self.metric}', empty"
        sizes = f"{len(self.concepts)} concepts × {len(self.layers)} layers × {len(self.strengths)} strengths"
        return f"{sizes}, metric='{self.metric}'"
