"""The drawn world: scenes as plain data, their pictures, their true concepts and exact counterfactual pairs."""

from mllm_probe.scenes.rendering import draw
from mllm_probe.scenes.sampling import neutral, pair, sample
from mllm_probe.scenes.scene import CATEGORIES, CONCEPTS, Entity, Face, Scene, SceneConcept, true_concepts

__all__ = [
    "CATEGORIES",
    "CONCEPTS",
    "Entity",
    "Face",
    "Scene",
    "SceneConcept",
    "draw",
    "neutral",
    "pair",
    "sample",
    "true_concepts",
]
