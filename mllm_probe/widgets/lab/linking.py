"""Two-way links of concept and layers: between the map and the panel, and between a study and either of them."""

from __future__ import annotations

import threading
from collections.abc import Callable

from mllm_probe.models.argument_checks import described
from mllm_probe.schema import CONCEPT, LAYER
from mllm_probe.typing import Traits
from mllm_probe.widgets.base.probe_widget import ProbeWidget, guarded
from mllm_probe.widgets.heatmap.layer_concept_heatmap import LayerConceptHeatmap
from mllm_probe.widgets.panel.steering_panel import SteeringPanel
from mllm_probe.widgets.study.study_view import StudyView

_SELECTION = ["concept", "layer", "window"]
_SHARED = [CONCEPT, LAYER]


class OneWay:
    """Passes changes on between widgets; what is passed on in a thread is not passed back in it.

    `what`: what the log calls a change that could not be passed on. `say`: called with the error in one sentence.
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
    heatmap: LayerConceptHeatmap | StudyView,
    panel: SteeringPanel | LayerConceptHeatmap | StudyView,
    say: Callable[[str], object] = lambda _sentence: None,
) -> None:
    """Let selected cells set the panel, and the panel's concept and layers move the selection.

    A selected cell sets the panel's concept, layers, strength and tokens to what the map steered. The panel moves the
    selection; its strength moves the map's where that was swept. A study shares its concept and its layer, as far as
    both have them.

    Parameters
    ----------
    heatmap : LayerConceptHeatmap or StudyView
    panel : SteeringPanel; beside a study also LayerConceptHeatmap or StudyView
    say : callable, optional
        Called with one sentence about what could not be passed on; the traceback goes to the log.

    Raises
    ------
    TypeError
        If the first is neither a heatmap nor a study, or the second cannot be linked with it.
    """
    if isinstance(heatmap, StudyView) and isinstance(panel, (SteeringPanel, LayerConceptHeatmap, StudyView)):
        link_study(heatmap, panel, say)
    elif isinstance(heatmap, LayerConceptHeatmap) and isinstance(panel, SteeringPanel):
        _link_map(heatmap, panel, say)
    else:
        raise TypeError(
            "link: expected a LayerConceptHeatmap and a SteeringPanel, or a StudyView and one of these or another "
            f"StudyView; got {described(heatmap)} and {described(panel)}."
        )


def link_study(
    study: StudyView, other: SteeringPanel | LayerConceptHeatmap | StudyView, say: Callable[[str], object]
) -> Callable[[], None]:
    """Let a study and another widget share the concept and the layer that are selected; returns the way to part them.

    `say`: called with one sentence about what could not be passed on.
    """
    pass_on = OneWay("a selection could not be passed between a study and another part", say)

    def to_other() -> None:
        chosen = _accepted(other, study)
        if isinstance(other, SteeringPanel):
            other.choose(**{name: value for name, value in chosen.items() if value != getattr(other, name)})
        else:
            other.publish_changed(chosen)

    def from_study(_change: object) -> None:
        pass_on(to_other)

    def from_other(_change: object) -> None:
        pass_on(lambda: study.publish_changed(_accepted(study, other)))

    study.observe(from_study, _SHARED)
    other.observe(from_other, _SHARED)

    def part() -> None:
        study.unobserve(from_study, _SHARED)
        other.unobserve(from_other, _SHARED)

    return part


def _accepted(target: ProbeWidget, source: ProbeWidget) -> Traits:
    """Concept and layer of one widget, as far as another offers them."""
    return {name: getattr(source, name) for name in _SHARED if getattr(source, name) in getattr(target, f"{name}s")}


def _link_map(heatmap: LayerConceptHeatmap, panel: SteeringPanel, say: Callable[[str], object]) -> None:
    pass_on = OneWay("a selection could not be passed between the map and the panel", say)

    last: Traits = {}  # a click sets several traits, each of which comes here

    def to_panel() -> None:
        window = sorted(heatmap.window)
        chosen: Traits = {"concept": heatmap.concept, "window": window, **_steered(heatmap, panel)}
        clicked = chosen | {"picked": heatmap.picked}
        known = heatmap.concept in panel.concepts and set(window) <= set(panel.layers)
        if clicked != last and heatmap.layer == window[0] and known:
            last.update(clicked)
            panel.choose(**chosen)

    def to_heatmap() -> None:
        window = list(panel.window)
        last.clear()
        chosen: Traits = {}
        if panel.layer == window[0] and (not heatmap.layers or set(window) <= set(heatmap.layers)):
            chosen = {"concept": panel.concept, "window": window, "layer": panel.layer}
        if panel.strength in heatmap.strengths:
            chosen["strength"] = panel.strength
        heatmap.publish_changed(chosen)

    heatmap.observe(lambda _change: pass_on(to_panel), [*_SELECTION, "strength", "picked"])
    panel.observe(lambda _change: pass_on(to_heatmap), [*_SELECTION, "strength"])


def _steered(heatmap: LayerConceptHeatmap, panel: SteeringPanel) -> Traits:
    """Dose and tokens of the map as the panel takes them; without those that the panel cannot steer with."""
    steered: Traits = {"strength": heatmap.strength} if heatmap.strength_unit == panel.strength_unit else {}
    if heatmap.scope:
        steered["scope"] = heatmap.scope
    return steered
