"""Widgets for the notebook: a live heatmap, a steering panel, and both together."""

from mllm_probe.widgets.heatmap import LayerConceptHeatmap
from mllm_probe.widgets.lab import Explore, explore, link
from mllm_probe.widgets.panel import SteeringPanel

__all__ = ["Explore", "LayerConceptHeatmap", "SteeringPanel", "explore", "link"]
