"""LayerConceptHeatmap: the effect of every concept at every layer, drawn while it is being measured."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import traitlets
import xarray as xr

from mllm_probe.models.bundled import bundled_folder
from mllm_probe.schema import CONCEPT, LAYER, SCORED_CONCEPT, STRENGTH
from mllm_probe.studies.clear_cells import has_off_target, off_target_at
from mllm_probe.studies.effect import AVERAGE_LABELS, AVERAGE_NAMES, sample_labels, summarised
from mllm_probe.sweeps import open_grid
from mllm_probe.tokens import SCOPES, scope_label
from mllm_probe.typing import Traits, TraitValue
from mllm_probe.widgets.base.choices import map_recipe
from mllm_probe.widgets.base.numbers import scale_limit
from mllm_probe.widgets.base.probe_widget import ProbeWidget, bundle, sentence
from mllm_probe.widgets.heatmap.map_cells import (
    RANDOM,
    cells_of,
    first_metric,
    is_effect,
    map_recordings,
    metric_label,
    shown_metrics,
)
from mllm_probe.widgets.monitor.sweep_monitor import GridUpdates, SweepMonitor
from mllm_probe.widgets.pages.export_pages import Recordings
from mllm_probe.widgets.pictures import Drawing
from mllm_probe.widgets.pictures.static_picture import picture_of_map


def off_target_of(grid: xr.Dataset, layer: int, strength: float) -> Traits:
    """Traits of the front-end for one layer and strength.

    `grid`: from `mllm_probe.sweep` with metric ``"off_target"``. Returns: ``off_target``: float32, steered × scored ×
    (difference, low, high, clear of the random directions), empty where the grid lacks the layer or strength;
    ``off_target_at``: layer and strength; ``off_target_limit``: the end of the colour scale.
    """
    at = {"off_target_at": [float(layer), strength]}
    cell = off_target_at(grid, layer, strength)
    if cell is None:
        return at | {"off_target": b"", "off_target_limit": 1.0}
    clear = cell["clear_in_grid"].where(cell["difference"].notnull())
    parts = [cell["difference"], cell["low"], cell["high"], clear]
    values = np.stack([part.transpose(CONCEPT, SCORED_CONCEPT).values for part in parts], -1).astype(np.float32)
    return at | {"off_target": values.tobytes(), "off_target_limit": scale_limit(values[..., 0], "nats")}


logger = logging.getLogger(__name__)

COLUMNS = ("layer", "relative_depth")
DETAILS = ("dose_response", "off_target")
_SHORTEST_INTERVAL = 0.05
_SHARE_OF_TIME = 0.2
_CHOICES = ("metric", "against", "average", "sample")
_OFF_TARGET = ("detail", "layer", "strength")
_PROVENANCE = ("model", "prompt", "scope", "operation", "unit", "seed", "max_new_tokens", "to")


def _float_trait() -> traitlets.Bytes:
    return traitlets.Bytes(b"").tag(sync=True)


class RateLimiter:
    """Limit how often a map that fills is drawn, given when something new came and what drawing it took.

    A drawing that comes a little early is allowed, and the next one waits for as much longer: a source that is as fast
    as may be drawn, with some jitter, is drawn every time.

    `shortest`: seconds from one drawing to the next, on average. `share`: the largest share of the time that drawing
    may take.
    """

    def __init__(self, shortest: float = _SHORTEST_INTERVAL, share: float = _SHARE_OF_TIME) -> None:
        self._shortest, self._share = shortest, share
        self._next = float("-inf")

    def ready(self, now: float) -> bool:
        """Whether the map may be drawn now."""
        return now >= self._next

    def remaining(self, now: float) -> float:
        """Seconds until the map may be drawn."""
        return max(0.0, self._next - now)

    def record(self, start: float, seconds: float) -> None:
        """Record a drawing that began at ``start`` and took ``seconds``."""
        early = start - self._shortest / 2
        self._next = max(self._next, early) + max(self._shortest, seconds / self._share)


class LayerConceptHeatmap(ProbeWidget):
    """Concepts × layers as a map; hover reads a cell, a click, a drag or the arrow keys select cells and windows.

    Colour is the score of the answers (named, fluent, content kept, 0 … 1) where answers were generated, and the effect
    beyond a control for other metrics, on a diverging scale. Cells that do not pass in the grid (``clear_in_grid`` of
    `mllm_probe.effect`) are faded, and the caption says how many do. Cells with too few images or draws for a verdict,
    and those of which no answer names the concept, are marked; those of which at least half of the answers are broken
    are hollow. At the right of a row stands the layer of its best cell at the shown dose, and where there is room the
    line of its values over the layers, on the scale of the colours. A category folds to the mean of its concepts. The
    selected cell's dose-response curve is drawn below, with its controls.

    Parameters
    ----------
    grid : xarray.Dataset, path or iterable of xarray.Dataset, optional
        A grid of `mllm_probe.sweep`, an effect of `mllm_probe.effect`, the store of a sweep, or an iterable such as
        `mllm_probe.sweep_iter` or a `SweepMonitor`, which is watched in the background.
    metric : str, optional
        Metric of the grid that is shown; by default ``"score"`` where answers were generated, else ``"logprob"``.
    concept, layer, strength : optional
        The cell that is selected at first; else the first concept and layer, and strength 1 where it was run.

    Attributes
    ----------
    concept : str
        The selected concept. Setting it moves the selection; so for ``layer`` (int) and ``strength`` (float).
    window : list of int
        First and last selected layer. ``layer`` is the first; setting it alone makes a window of one.
    picked : int
        Selections that were made by hand, also of the cell that is selected already.
    scope, tokens_label : str
        The tokens that the grid steered: names joined by ``+``, as `SteeringPanel` takes them (empty where it steered
        others), and their label.
    metric, against, average, sample
        Displayed metric, the kind of control that effects are differences from (``"random"``,
        ``"shuffled"``), whether images are summarised by their ``"mean"``, their ``"median"``, or one is shown
        (``"single"``, number ``sample``).
    columns : {"layer", "relative_depth"}
        Scale of the columns.
    folded : list of str
        Categories that are shown as one row, the mean over their concepts; the labels of ``row_groups``.
    values : bytes
        float32, concept × layer × strength: the effect, in ``unit``; NaN where nothing was run. Likewise ``score``
        (what cells are coloured by if ``metric`` is the score of answers; else empty), ``low``, ``high``, ``n``, ``q``,
        ``clear`` (1 where the cell passes in the grid), ``unfinished`` (1 where it has too few images or draws; empty
        where none has), ``marks`` (1 no answer names the concept, 2 at least half of the answers
        broken, 3 both; empty where no cell is marked) and ``reason`` (place in ``reasons``); ``control``,
        ``control_low``, ``control_high`` hold one after the other for each of ``controls``, as differences from
        unsteered. ``mean_over_concepts`` is layer × strength, ``group_means`` group × layer × strength, ``best`` (the
        layer of the best cell) concept × strength.
    reasons : list of str
        The different reasons why cells pass or do not, from ``reason`` of `mllm_probe.effect`.
    unfit : dict of str to str
        Concepts whose names are greyed, each with why, such as those that `mllm_probe.check` finds not fit.
    note, caption : str
        Legend of the marks, and how many cells of the whole grid pass.
    detail : {"dose_response", "off_target"}
        View below the map. ``off_target`` is float32, steered × scored concept, at the selected layer and
        strength, for grids with metric ``"off_target"``.
    copied : str
        Text last copied in the front-end: the selected cells as CSV, or the code that reproduces them.
    progress : float
        Share of the watched sweep that is done, 0 … 1.
    status : str
        ``"idle"``, ``"running"``, ``"cancelled"`` (the watch or its sweep was stopped; ``progress`` is how far it came)
        or ``"error"``; ``message`` holds the error.
    """

    _esm = bundle("layer_concept_heatmap")

    concepts = traitlets.List(traitlets.Unicode()).tag(sync=True)
    categories = traitlets.List(traitlets.Unicode()).tag(sync=True)
    row_groups = traitlets.List(traitlets.List()).tag(sync=True)
    unfit = traitlets.Dict(traitlets.Unicode(), traitlets.Unicode()).tag(sync=True)
    layers = traitlets.List(traitlets.Int()).tag(sync=True)
    relative_depths = traitlets.List(traitlets.Float()).tag(sync=True)
    strengths = traitlets.List(traitlets.Float()).tag(sync=True)
    folded = traitlets.List(traitlets.Unicode()).tag(sync=True)
    values = _float_trait()
    score = _float_trait()
    low = _float_trait()
    high = _float_trait()
    n = _float_trait()
    clear = _float_trait()
    q = _float_trait()
    marks = _float_trait()
    unfinished = _float_trait()
    reason = _float_trait()
    reasons = traitlets.List(traitlets.Unicode()).tag(sync=True)
    control = _float_trait()
    control_low = _float_trait()
    control_high = _float_trait()
    mean_over_concepts = _float_trait()
    group_means = _float_trait()
    best = _float_trait()
    unit = traitlets.Unicode("").tag(sync=True)
    strength_unit = traitlets.Unicode("residual").tag(sync=True)
    limit = traitlets.Float(1.0).tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)
    caption = traitlets.Unicode("").tag(sync=True)
    provenance = traitlets.Dict().tag(sync=True)
    recipe = traitlets.List(traitlets.Unicode()).tag(sync=True)
    progress = traitlets.Float(0.0).tag(sync=True)

    metric = traitlets.Unicode("logprob").tag(sync=True)
    metrics = traitlets.List(traitlets.Unicode()).tag(sync=True)
    metric_labels = traitlets.Dict().tag(sync=True)
    against = traitlets.Unicode(RANDOM).tag(sync=True)
    controls = traitlets.List(traitlets.Unicode()).tag(sync=True)
    average = traitlets.Enum(AVERAGE_NAMES, "mean").tag(sync=True)
    average_labels = traitlets.Dict(AVERAGE_LABELS).tag(sync=True)
    sample = traitlets.Int(0).tag(sync=True)
    samples = traitlets.List(traitlets.Unicode()).tag(sync=True)
    columns = traitlets.Enum(COLUMNS, "layer").tag(sync=True)

    concept = traitlets.Unicode("").tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)
    window = traitlets.List(traitlets.Int(), [0, 0], minlen=2, maxlen=2).tag(sync=True)
    strength = traitlets.Float(1.0).tag(sync=True)
    picked = traitlets.Int(0).tag(sync=True)
    scope = traitlets.Unicode("").tag(sync=True)
    tokens_label = traitlets.Unicode("").tag(sync=True)

    detail = traitlets.Enum(DETAILS, "dose_response").tag(sync=True)
    has_off_target = traitlets.Bool(False).tag(sync=True)
    off_target = _float_trait()
    off_target_at = traitlets.List(traitlets.Float()).tag(sync=True)
    off_target_limit = traitlets.Float(1.0).tag(sync=True)
    answered = traitlets.List(traitlets.List()).tag(sync=True)
    copied = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        grid: xr.Dataset | str | Path | Iterable[xr.Dataset] | None = None,
        metric: str | None = None,
        *,
        concept: str | None = None,
        layer: int | None = None,
        strength: float | None = None,
        **traits: TraitValue,
    ) -> None:
        chosen = {"metric": metric, "concept": concept, "layer": layer, "strength": strength}
        traits |= {name: value for name, value in chosen.items() if value is not None}
        if layer is not None:
            traits.setdefault("window", [layer, layer])
        super().__init__(**traits)
        self._metric_chosen = metric is not None
        self.grid: xr.Dataset | None = None
        self._followed: SweepMonitor | None = None
        self._showing = threading.RLock()
        self.observe(self._on_choice, _CHOICES)
        self.observe(self._on_layer, "layer")
        self.observe(self._on_window, "window")
        self.observe(self._on_detail, _OFF_TARGET)
        if isinstance(grid, (str, Path)):
            self.show(open_grid(grid))
        elif isinstance(grid, xr.Dataset):
            self.show(grid)
        elif grid is not None:
            self.watch(_datasets(grid))

    def show(self, grid: xr.Dataset) -> None:
        """Show another grid or effect."""
        with self._showing:
            self.grid = grid
            self.publish_changed(self._state(grid))

    def watch(self, grids: Iterable[xr.Dataset]) -> LayerConceptHeatmap:
        """Show each grid or effect that ``grids`` yields, in a background thread, and return at once.

        At most 20 updates a second are drawn, fewer when the statistics take longer; the last always is. A
        watch that is running is stopped. An error of the iterator ends up in ``status`` and ``message`` and in the log.
        A `SweepMonitor` is followed: when it turns to another sweep, that one is shown.
        """
        self._follow(grids if isinstance(grids, SweepMonitor) else None)
        return self._begin(grids)

    @property
    def followed(self) -> SweepMonitor | None:
        """The monitor whose sweeps are shown; None while anything else, or nothing, is watched."""
        return self._followed

    def _follow(self, monitor: SweepMonitor | None) -> None:
        """Watch anew whenever ``monitor`` turns to another sweep, and no longer the monitor before it."""
        if self._followed is not None:
            self._followed.unobserve(self._on_turn, "turn")
        self._followed = monitor
        if monitor is not None:
            monitor.observe(self._on_turn, "turn")

    def _on_turn(self, change: traitlets.Bunch) -> None:
        self._begin(change.owner)

    def _begin(self, grids: Iterable[xr.Dataset]) -> LayerConceptHeatmap:
        iterator = iter(grids)
        self._worker.submit(lambda cancelled: self._watch(iterator, cancelled), leave=lambda: _leave(iterator))
        return self

    def stop(self) -> None:
        """Stop watching; finished results are kept.

        A sweep that runs here abandons its current step; a monitored one continues.
        """
        self._follow(None)
        self._worker.cancel()

    def close(self) -> None:
        """Stop watching, end the thread and remove the widget."""
        if "_followed" in self.__dict__:
            self._follow(None)
        super().close()

    def _watch(self, grids: Iterator[xr.Dataset], cancelled: threading.Event) -> None:
        self.publish(status="running", message="", progress=0.0)
        outcome: Traits = {"status": "idle", "progress": 1.0}
        late, limiter = None, RateLimiter()
        try:
            for grid in grids:
                late = grid
                if isinstance(
                    grids, GridUpdates
                ):  # nobody waits for this thread, and a pause must not leave an older map
                    cancelled.wait(limiter.remaining(time.monotonic()))
                if cancelled.is_set():
                    break
                if limiter.ready(start := time.monotonic()):
                    self.show(grid)
                    late = None
                    limiter.record(start, time.monotonic() - start)
            if late is not None:
                self.show(late)
            share = grids.stopped_at if isinstance(grids, GridUpdates) else None
            if cancelled.is_set() or share is not None:
                outcome = {"status": "cancelled", "progress": self.progress if share is None else share}
            elif self.grid is not None:
                outcome["progress"] = float(self.grid.attrs.get("progress", 1.0))
        except Exception as error:
            logger.exception("the sweep that a heatmap watched failed")
            outcome = {"status": "error", "message": sentence(error)}
        finally:
            if hasattr(grids, "close"):
                grids.close()
            self.publish(**outcome)

    def _state(self, grid: xr.Dataset) -> Traits:
        whole = is_effect(grid)
        metrics = [] if whole else shown_metrics(grid)
        chosen = self.metric if whole or self._metric_chosen else first_metric(grid)
        metric = str(grid.attrs.get("metric", chosen)) if whole else chosen
        if not whole and metric not in metrics:
            raise ValueError(f"the grid has no metric '{metric}'; it has {', '.join(metrics) or 'none'}.")
        state = cells_of(grid if whole else summarised(grid, metric, self.average, self.sample), self.against)
        shown = {"metric": metric, "average": self.average, "sample": self.sample, "against": state["against"]}
        provenance = _provenance(grid) | shown
        state |= {
            "scope": "+".join(provenance["tokens"]),
            "tokens_label": scope_label(str(provenance.get("scope", ""))),
            "metric": metric,
            "metrics": metrics,
            "metric_labels": {name: metric_label(grid, name) for name in metrics or [metric]},
            "samples": [] if whole else sample_labels(grid),
            "has_off_target": not whole and has_off_target(grid),
            "provenance": provenance,
            "recipe": map_recipe(provenance, state["strength_unit"]),
            "progress": float(grid.attrs.get("progress", self.progress)),
        }
        state |= self._selection(state)
        return state | self._off_target(grid, state.get("layer", self.layer), state.get("strength", self.strength))

    def _selection(self, state: Traits) -> Traits:
        """Return what must change in the selection: nothing while the selected cell exists."""
        chosen: Traits = {}
        for name in (CONCEPT, LAYER, STRENGTH):
            known = state[f"{name}s"]
            if known and getattr(self, name) not in known:
                chosen[name] = first_strength(known) if name == STRENGTH else known[0]
        if "layer" in chosen or self.window[1] not in state["layers"]:
            layer = chosen.get("layer", self.layer)
            chosen["window"] = [layer, layer]
        return chosen

    def _off_target(self, grid: xr.Dataset, layer: int, strength: float) -> Traits:
        if self.detail != "off_target" or is_effect(grid) or not has_off_target(grid):
            return {}
        return off_target_of(grid, layer, strength)

    def _on_choice(self, change: traitlets.Bunch) -> None:
        mended = {"status": "idle", "message": ""} if self.status == "error" else {}
        if not getattr(self._here, "quiet", False):
            self._metric_chosen |= change.name == "metric"
            self._attempt(lambda grid: {} if is_effect(grid) else self._state(grid) | mended)

    def _on_detail(self, _change: traitlets.Bunch) -> None:
        self._attempt(lambda grid: self._off_target(grid, self.layer, self.strength))

    def _attempt(self, state: Callable[[xr.Dataset], Traits]) -> None:
        """Show a state of the grid; an error ends up in ``status`` and ``message`` and in the log."""
        with self._showing:
            try:
                self.publish_changed({} if self.grid is None else state(self.grid))
            except Exception as error:
                logger.exception("a heatmap could not show its grid")
                self.publish(status="error", message=sentence(error))

    def _on_layer(self, change: traitlets.Bunch) -> None:
        if change.new != self.window[0]:
            self.publish(window=[change.new, change.new])

    def _on_window(self, change: traitlets.Bunch) -> None:
        first, last = sorted(change.new)
        if [first, last] != change.new:
            self.publish(window=[first, last])
        elif first != self.layer:
            self.publish(layer=first)

    def drawing(self, what: str = "map") -> Drawing:
        """Draw the ``"map"`` at the chosen strength, or the ``"dose_response"`` of the selected cell."""
        return picture_of_map(self, what)

    def recordings(self) -> Recordings:
        """Record the maps for the menus of a saved page."""
        with self._showing:
            return map_recordings(self)

    def _summary(self) -> str:
        if not self.concepts:
            return f"metric='{self.metric}', empty"
        sizes = f"{len(self.concepts)} concepts × {len(self.layers)} layers × {len(self.strengths)} strengths"
        return f"{sizes}, metric='{self.metric}'"


def first_strength(strengths: Sequence[float]) -> float:
    """The strength that a map shows first: 1 where it was run, else the last."""
    return 1.0 if 1.0 in strengths else strengths[-1]


def _datasets(grids: object) -> Iterable[xr.Dataset]:
    """Check the source of a map before it is watched.

    Raises TypeError if it is neither iterable nor, for a list or tuple, of datasets only.
    """
    wanted = (
        "expected a grid of mp.sweep, an effect of mp.effect, the path of a sweep's store, or an iterable of grids "
        "such as mp.sweep_iter"
    )
    if not isinstance(grids, Iterable) or isinstance(grids, (xr.DataArray, bytes)):
        raise TypeError(f"{wanted}; got {type(grids).__name__}.")
    wrong = (
        [grid for grid in grids if not isinstance(grid, xr.Dataset)] if isinstance(grids, (list, tuple, dict)) else []
    )
    if wrong:
        raise TypeError(
            f"{wanted}; got a {type(grids).__name__} that holds {type(wrong[0]).__name__} {wrong[0]!r:.40}."
        )
    return grids


def _leave(grids: Iterator[xr.Dataset]) -> None:
    """End an iterator that can be closed from any thread."""
    if not isinstance(grids, Generator) and hasattr(grids, "close"):
        grids.close()


def _provenance(grid: xr.Dataset) -> Traits:
    """Provenance of the grid, for the code that reproduces a cell."""
    provenance = {name: grid.attrs[name] for name in _PROVENANCE if name in grid.attrs}
    scope = [part for part in str(provenance.get("scope", "")).split("+") if part in SCOPES]
    return provenance | {"tokens": scope, "bundled": bundled_folder(str(provenance.get("model", ""))) is not None}
