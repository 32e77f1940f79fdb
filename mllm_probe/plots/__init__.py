"""Bokeh figures, one for each kind of dataset; effects are never drawn without their controls."""

from mllm_probe.plots.dose_response import dose_response
from mllm_probe.plots.layer_profile import layer_profile
from mllm_probe.plots.vector_geometry import vector_geometry

__all__ = ["dose_response", "layer_profile", "vector_geometry"]
