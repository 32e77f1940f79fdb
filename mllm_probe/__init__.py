"""Causal probing of visual concepts in vision-language models, in a notebook."""

from typing import TYPE_CHECKING

from mllm_probe.lazy_names import lazy_names
from mllm_probe.schema import package_version

if TYPE_CHECKING:
    from mllm_probe import cache, concepts, plots
    from mllm_probe import (  # isort: skip
        activations as activations,
        emoji as emoji,
        generation as generation,
        loading as loading,
        metrics as metrics,
        models as models,
        patching as patching,
        reports as reports,
        scenes as scenes,
        steering as steering,
        studies as studies,
        sweeps as sweeps,
        tokens as tokens,
        typing as typing,
        vectors as vectors,
        widgets as widgets,
    )
    from mllm_probe.activations.capturing import capture
    from mllm_probe.activations.device_memory import memory
    from mllm_probe.generation.generating import generate, steer, stream
    from mllm_probe.loading.loaded_model import randomised
    from mllm_probe.loading.pretrained import load, wrap
    from mllm_probe.metrics.metric import Metric
    from mllm_probe.patching.interchange_api import patch
    from mllm_probe.reports.sweep_report import report
    from mllm_probe.steering.intervention import Steering, compose
    from mllm_probe.steering.operations import Operation
    from mllm_probe.studies.clear_cells import compare
    from mllm_probe.studies.effect import effect
    from mllm_probe.studies.readout import recovered
    from mllm_probe.studies.recommendation import recommend
    from mllm_probe.studies.study_runs import check
    from mllm_probe.sweeps.api import plan, sweep, sweep_iter
    from mllm_probe.vectors.construction import concept_vectors, vectors_from
    from mllm_probe.vectors.files import load_vectors, save_vectors
    from mllm_probe.widgets.heatmap.layer_concept_heatmap import LayerConceptHeatmap
    from mllm_probe.widgets.inside.patch_overlay import PatchOverlay
    from mllm_probe.widgets.inside.token_strip import TokenStrip
    from mllm_probe.widgets.lab.opening import explore
    from mllm_probe.widgets.monitor.sweep_monitor import SweepMonitor
    from mllm_probe.widgets.panel.steering_panel import SteeringPanel
    from mllm_probe.widgets.study.study_view import StudyView
else:
    __getattr__, __dir__ = lazy_names(__name__)

__version__ = package_version()
__all__ = [
    "LayerConceptHeatmap",
    "Metric",
    "Operation",
    "PatchOverlay",
    "Steering",
    "SteeringPanel",
    "StudyView",
    "SweepMonitor",
    "TokenStrip",
    "__version__",
    "cache",
    "capture",
    "check",
    "compare",
    "compose",
    "concept_vectors",
    "concepts",
    "effect",
    "explore",
    "generate",
    "load",
    "load_vectors",
    "memory",
    "patch",
    "plan",
    "plots",
    "randomised",
    "recommend",
    "recovered",
    "report",
    "save_vectors",
    "steer",
    "stream",
    "sweep",
    "sweep_iter",
    "vectors_from",
    "wrap",
]
