"""Causal probing of visual concepts in vision-language models, in a notebook."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mllm_probe.schema import package_version

__version__ = package_version()

_HOME = {
    "load": "loading",
    "wrap": "loading",
    "randomised": "loading",
    "capture": "activations",
    "memory": "activations",
    "concept_vectors": "vectors",
    "vectors_from": "vectors",
    "Steering": "steering",
    "Operation": "steering",
    "compose": "steering",
    "generate": "generation",
    "stream": "generation",
    "steer": "generation",
    "save_vectors": "vectors",
    "load_vectors": "vectors",
    "Metric": "metrics",
    "sweep": "sweeps",
    "sweep_iter": "sweeps",
    "effect": "studies.effect",
    "recovered": "studies.recovery",
    "compare": "studies.comparison",
    "check": "studies.fitness",
    "recommend": "studies.recommendation",
    "plan": "sweeps",
    "patch": "patching",
    "LayerConceptHeatmap": "widgets",
    "SteeringPanel": "widgets",
    "PatchOverlay": "widgets",
    "StudyView": "widgets",
    "SweepMonitor": "widgets",
    "TokenStrip": "widgets",
    "explore": "widgets",
    "report": "reports",
}
_ROOMS = (
    "activations",
    "cache",
    "concepts",
    "emoji",
    "generation",
    "loading",
    "metrics",
    "models",
    "patching",
    "plots",
    "reports",
    "scenes",
    "steering",
    "studies",
    "sweeps",
    "tokens",
    "typing",
    "vectors",
    "widgets",
)

if TYPE_CHECKING:
    from mllm_probe import cache as cache
    from mllm_probe import concepts as concepts
    from mllm_probe import plots as plots
    from mllm_probe.activations.capturing import capture as capture
    from mllm_probe.activations.held_memory import memory as memory
    from mllm_probe.generation.generating import generate as generate
    from mllm_probe.generation.generating import steer as steer
    from mllm_probe.generation.generating import stream as stream
    from mllm_probe.loading.pretrained import load as load
    from mllm_probe.loading.pretrained import wrap as wrap
    from mllm_probe.loading.randomising import randomised as randomised
    from mllm_probe.metrics.metric import Metric as Metric
    from mllm_probe.patching.interchange_api import patch as patch
    from mllm_probe.reports.sweep_report import report as report
    from mllm_probe.steering.intervention import Steering as Steering
    from mllm_probe.steering.intervention import compose as compose
    from mllm_probe.steering.operations import Operation as Operation
    from mllm_probe.studies.comparison import compare as compare
    from mllm_probe.studies.effect import effect as effect
    from mllm_probe.studies.fitness import check as check
    from mllm_probe.studies.recommendation import recommend as recommend
    from mllm_probe.studies.recovery import recovered as recovered
    from mllm_probe.sweeps.api import plan as plan
    from mllm_probe.sweeps.api import sweep as sweep
    from mllm_probe.sweeps.api import sweep_iter as sweep_iter
    from mllm_probe.vectors.construction import concept_vectors as concept_vectors
    from mllm_probe.vectors.construction import vectors_from as vectors_from
    from mllm_probe.vectors.files import load_vectors as load_vectors
    from mllm_probe.vectors.files import save_vectors as save_vectors
    from mllm_probe.widgets.heatmap.layer_concept_heatmap import LayerConceptHeatmap as LayerConceptHeatmap
    from mllm_probe.widgets.inside.patch_overlay import PatchOverlay as PatchOverlay
    from mllm_probe.widgets.inside.token_strip import TokenStrip as TokenStrip
    from mllm_probe.widgets.lab.exploring import explore as explore
    from mllm_probe.widgets.monitor.sweep_monitor import SweepMonitor as SweepMonitor
    from mllm_probe.widgets.panel.steering_panel import SteeringPanel as SteeringPanel
    from mllm_probe.widgets.study.study_view import StudyView as StudyView

__all__ = sorted([*_HOME, "cache", "concepts", "plots", "__version__"])


def __getattr__(name: str) -> Any:
    """Import a room on first use, so that ``import mllm_probe`` stays fast."""
    if name in _HOME:
        value = getattr(importlib.import_module(f"mllm_probe.{_HOME[name]}"), name)
    elif name in _ROOMS:
        value = importlib.import_module(f"mllm_probe.{name}")
    else:
        raise AttributeError(f"module 'mllm_probe' has no attribute '{name}'; it has {', '.join(__all__)}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, *_ROOMS})
