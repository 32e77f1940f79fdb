"""Widgets for the notebook: a live heatmap, a steering panel, and both together."""

from mllm_probe.widgets.exploring import explore
from mllm_probe.widgets.heatmap import LayerConceptHeatmap
from mllm_probe.widgets.lab import Explore
from mllm_probe.widgets.linking import link
from mllm_probe.widgets.monitor import SweepMonitor
from mllm_probe.widgets.panel import SteeringPanel
from mllm_probe.widgets.patches import PatchOverlay
from mllm_probe.widgets.report import report
from mllm_probe.widgets.tokens import TokenStrip

__all__ = [
    "Explore",
    "LayerConceptHeatmap",
    "PatchOverlay",
    "SteeringPanel",
    "SweepMonitor",
    "TokenStrip",
    "explore",
    "link",
    "report",
]
