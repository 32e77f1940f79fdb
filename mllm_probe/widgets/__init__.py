"""Widgets for the notebook: a live heatmap, a steering panel, and both together."""

from typing import TYPE_CHECKING

from mllm_probe.lazy_names import lazy_names

if TYPE_CHECKING:
    from mllm_probe.widgets.heatmap.layer_concept_heatmap import LayerConceptHeatmap
    from mllm_probe.widgets.inside.patch_overlay import PatchOverlay
    from mllm_probe.widgets.inside.token_strip import TokenStrip
    from mllm_probe.widgets.lab.explore_widget import Explore
    from mllm_probe.widgets.lab.lab_parts import link
    from mllm_probe.widgets.lab.opening import explore
    from mllm_probe.widgets.monitor.sweep_monitor import SweepMonitor
    from mllm_probe.widgets.panel.steering_panel import SteeringPanel
    from mllm_probe.widgets.study.study_view import StudyView
else:
    __getattr__, __dir__ = lazy_names(__name__)

__all__ = [
    "Explore",
    "LayerConceptHeatmap",
    "PatchOverlay",
    "SteeringPanel",
    "StudyView",
    "SweepMonitor",
    "TokenStrip",
    "explore",
    "link",
]
