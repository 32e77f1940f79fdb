"""Bokeh figures, one for each kind of dataset; effects are never drawn without their controls."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mllm_probe.plots.doses import dose_response as dose_response
    from mllm_probe.plots.geometry import vector_geometry as vector_geometry
    from mllm_probe.plots.layers import layer_profile as layer_profile
    from mllm_probe.plots.recovery_curves import recovery_profile as recovery_profile
    from mllm_probe.plots.study_figure import multiverse as multiverse
    from mllm_probe.plots.study_figure import study as study

_HOME = {
    "dose_response": "doses",
    "layer_profile": "layers",
    "multiverse": "study_figure",
    "recovery_profile": "recovery_curves",
    "study": "study_figure",
    "vector_geometry": "geometry",
}
__all__ = ["dose_response", "layer_profile", "multiverse", "recovery_profile", "study", "vector_geometry"]


def __getattr__(name: str) -> object:
    """Import a figure on first use, so that the widgets, which read the palette, need no Bokeh."""
    if name not in _HOME:
        raise AttributeError(f"module 'mllm_probe.plots' has no attribute '{name}'; it has {', '.join(__all__)}")
    value = getattr(importlib.import_module(f"mllm_probe.plots.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
