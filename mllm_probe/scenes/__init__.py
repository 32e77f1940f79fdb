"""The drawn world: scenes as plain data, their pictures, their true concepts and exact counterfactual pairs."""

from mllm_probe.scenes.pairs import neutral, pair
from mllm_probe.scenes.rendering import draw
from mllm_probe.scenes.sampling import sample
from mllm_probe.scenes.scene import Entity, Face, Scene, true_concepts
from mllm_probe.scenes.vocabulary import CATEGORIES, CONCEPTS, SceneConcept

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
