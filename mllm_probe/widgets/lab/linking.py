"""Two-way link of concept and layers between the selection in the map and the setting of the panel."""

from __future__ import annotations

import threading
from collections.abc import Callable

from mllm_probe.typing import Traits
from mllm_probe.widgets.base.probe_widget import guarded
from mllm_probe.widgets.heatmap.layer_concept_heatmap import LayerConceptHeatmap
from mllm_probe.widgets.panel.steering_panel import SteeringPanel

_SELECTION = ["concept", "layer", "window"]


class OneWay:
    """Passes changes on between widgets; what is passed on in a thread is not passed back in it.

    Parameters
    ----------
    what : str
        What the log calls a change that could not be passed on.
    say : callable
        Called with the error in one sentence.
    """

    def __init__(self, what: str, say: Callable[[str], object]) -> None:
        self._here, self._what, self._say = threading.local(), what, say

    def __call__(self, pass_on: Callable[[], object]) -> None:
        """Pass a change on, unless this thread is passing one on already."""
        if not getattr(self._here, "passing", False):
            self._here.passing = True
            try:
                guarded(pass_on, self._what, self._say)
            finally:
                self._here.passing = False


def link(
    heatmap: LayerConceptHeatmap, panel: SteeringPanel, say: Callable[[str], object] = lambda _sentence: None
) -> None:
    """Let selected cells set the panel, and the panel's concept and layers move the selection.

    A window of layers goes both ways too. The map's strength sets the panel's; the panel's, which may be between those
    that were swept, leaves the map's.

    Parameters
    ----------
    heatmap : LayerConceptHeatmap
    panel : SteeringPanel
    say : callable, optional
        Called with one sentence about what could not be passed on; the traceback goes to the log.
    """
    pass_on = OneWay("a selection could not be passed between the map and the panel", say)

    last: Traits = {"strength": heatmap.strength}  # a click sets several traits, each of which comes here

    def to_panel() -> None:
        window = sorted(heatmap.window)
        chosen: Traits = {"concept": heatmap.concept, "window": window}
        if heatmap.strength != last["strength"]:
            chosen["strength"] = heatmap.strength
        known = heatmap.concept in panel.concepts and set(window) <= set(panel.layers)
        if last | chosen != last and heatmap.layer == window[0] and known:
            last.update(chosen)
            panel.choose(**chosen)

    def to_heatmap() -> None:
        window = list(panel.window)
        known = not heatmap.layers or set(window) <= set(heatmap.layers)
        last.pop("concept", None)
        if panel.layer == window[0] and known:
            heatmap.publish_changed({"concept": panel.concept, "window": window, "layer": panel.layer})

    heatmap.observe(lambda _change: pass_on(to_panel), [*_SELECTION, "strength"])
    panel.observe(lambda _change: pass_on(to_heatmap), _SELECTION)
