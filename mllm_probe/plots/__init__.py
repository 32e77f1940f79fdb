"""Bokeh figures, one for each kind of dataset; effects are never drawn without their controls."""

from typing import TYPE_CHECKING

from mllm_probe.lazy_names import lazy_names

if TYPE_CHECKING:
    from mllm_probe.plots.effect_figures import dose_response, layer_profile, recovery_profile
    from mllm_probe.plots.geometry import vector_geometry
    from mllm_probe.plots.study_figure import multiverse, study
else:
    __getattr__, __dir__ = lazy_names(__name__)

__all__ = ["dose_response", "layer_profile", "multiverse", "recovery_profile", "study", "vector_geometry"]
