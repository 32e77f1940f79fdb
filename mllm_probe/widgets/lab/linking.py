"""Two-way link of concept and layers between the selection in the map and the setting of the panel."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mllm_probe.widgets.base.probe_widget import sentence
from mllm_probe.widgets.heatmap.layer_concept_heatmap import LayerConceptHeatmap
from mllm_probe.widgets.panel.steering_panel import SteeringPanel

logger = logging.getLogger(__name__)

_SELECTION = ["concept", "layer", "window"]


class OneWay:
    """Keeps what is passed on in a thread from being passed back in it."""

    def __init__(self) -> None:
        self._here = threading.local()

    @contextmanager
    def __call__(self) -> Iterator[bool]:
        """Whether this thread is free to pass a change on."""
        free, self._here.now = not getattr(self._here, "now", False), True
        try:
            yield free
        finally:
            self._here.now = not free


def link(heatmap: LayerConceptHeatmap, panel: SteeringPanel, say: Callable[[str], Any] | None = None) -> None:
    """Let selected cells set the panel, and the panel's concept and layers move the selection.

    A window of layers goes both ways too. The map's strength sets the panel's; the panel's, which may be between those
    that were swept, leaves the map's.

    Parameters
    ----------
    heatmap : LayerConceptHeatmap
    panel : SteeringPanel
    say : callable, optional
        Told in one sentence what could not be passed on; the traceback goes to the log.
    """
    one_way = OneWay()

    def to_panel(change: Any) -> None:
        window = sorted(heatmap.window)
        chosen: dict[str, Any] = {"concept": heatmap.concept, "window": window}
        if change.name == "strength":
            chosen["strength"] = heatmap.strength
        if heatmap.layer == window[0] and heatmap.concept in panel.concepts and set(window) <= set(panel.layers):
            panel.choose(**chosen)

    def to_heatmap(_change: Any) -> None:
        window = list(panel.window)
        known = not heatmap.layers or set(window) <= set(heatmap.layers)
        chosen = {"concept": panel.concept, "window": window, "layer": panel.layer}
        if panel.layer == window[0] and known and _differs(heatmap, chosen):
            heatmap.publish(**chosen)

    def passing(pass_on: Callable[[Any], None]) -> Callable[[Any], None]:
        def observer(change: Any) -> None:
            with one_way() as free:
                if not free:
                    return
                try:
                    pass_on(change)
                except Exception as error:
                    logger.exception("a selection could not be passed between the map and the panel")
                    if say is not None:
                        say(sentence(error))

        return observer

    heatmap.observe(passing(to_panel), [*_SELECTION, "strength"])
    panel.observe(passing(to_heatmap), _SELECTION)


def _differs(widget: Any, values: dict[str, Any]) -> bool:
    return any(getattr(widget, name) != value for name, value in values.items())
