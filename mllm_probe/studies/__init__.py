"""What is concluded from the grid of a sweep: effects, best cells, fluent doses; one module per finding."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mllm_probe.studies import truth as truth
    from mllm_probe.studies.atlas_study import atlas as atlas
    from mllm_probe.studies.localization_study import localization as localization
    from mllm_probe.studies.multiverse_runs import multiverse_grids as multiverse_grids
    from mllm_probe.studies.readout import causal_verdict as causal_verdict
    from mllm_probe.studies.readout import read_out as read_out
    from mllm_probe.studies.readout import read_out_of as read_out_of
    from mllm_probe.studies.readout import read_out_of_patches as read_out_of_patches
    from mllm_probe.studies.recognition_study import recognition_vs_reasoning as recognition_vs_reasoning
    from mllm_probe.studies.relation_questions import RelationQuestions as RelationQuestions
    from mllm_probe.studies.relation_questions import drawn_relations as drawn_relations
    from mllm_probe.studies.reliability_study import reliability as reliability
    from mllm_probe.studies.reverse_study import reverse_steering as reverse_steering
    from mllm_probe.studies.scaling_study import scaling as scaling
    from mllm_probe.studies.scaling_study import scaling_grids as scaling_grids

_HOME = dict.fromkeys(("causal_verdict", "read_out", "read_out_of", "read_out_of_patches"), "readout")
_HOME |= {
    "atlas": "atlas_study",
    "RelationQuestions": "relation_questions",
    "drawn_relations": "relation_questions",
    "localization": "localization_study",
    "multiverse_grids": "multiverse_runs",
    "recognition_vs_reasoning": "recognition_study",
    "reliability": "reliability_study",
    "reverse_steering": "reverse_study",
    "scaling": "scaling_study",
    "scaling_grids": "scaling_study",
}
_MODULES = ("truth",)

__all__ = sorted([*_HOME, *_MODULES])


def __getattr__(name: str) -> Any:
    """Import a study on first use: a planted model brings Transformers along, which an effect does not need."""
    if name in _HOME:
        return getattr(importlib.import_module(f"mllm_probe.studies.{_HOME[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"mllm_probe.studies.{name}")
    raise AttributeError(f"module 'mllm_probe.studies' has no attribute '{name}'; it has {', '.join(__all__)}")
