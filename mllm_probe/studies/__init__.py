"""What is concluded from the grid of a sweep: effects, best cells, fluent doses; one module per finding."""

from typing import TYPE_CHECKING

from mllm_probe.lazy_names import lazy_names

if TYPE_CHECKING:
    from mllm_probe.studies import truth
    from mllm_probe.studies.atlas_study import atlas
    from mllm_probe.studies.baselines import multiverse_grids
    from mllm_probe.studies.localization_study import localization
    from mllm_probe.studies.readout import causal_verdict, read_out, read_out_of, read_out_of_patches
    from mllm_probe.studies.recognition_study import RelationQuestions, drawn_relations, recognition_vs_reasoning
    from mllm_probe.studies.reliability_study import reliability
    from mllm_probe.studies.reverse_study import reverse_steering
    from mllm_probe.studies.scaling_study import scaling, scaling_grids
else:
    __getattr__, __dir__ = lazy_names(__name__)

__all__ = [
    "RelationQuestions",
    "atlas",
    "causal_verdict",
    "drawn_relations",
    "localization",
    "multiverse_grids",
    "read_out",
    "read_out_of",
    "read_out_of_patches",
    "recognition_vs_reasoning",
    "reliability",
    "reverse_steering",
    "scaling",
    "scaling_grids",
    "truth",
]
