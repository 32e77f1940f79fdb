"""Combinations of two concepts that are held out of training, for evaluation."""

from collections.abc import Sequence

from mllm_probe.scenes.scene import Scene, true_concepts
from mllm_probe.scenes.vocabulary import ABSTRACT, EMOTIONS, ENTITIES, STYLES


def every(first: Sequence[str], second: Sequence[str], stride: int, remainder: int, step: int) -> set[frozenset[str]]:
    """Return one of every `stride` pairs of two lists; `step` moves the choice from one of the first to the next."""
    return {
        frozenset((a, b))
        for i, a in enumerate(first)
        for j, b in enumerate(second)
        if (i * step + j) % stride == remainder
    }


HELD_OUT: frozenset[frozenset[str]] = frozenset(
    every(ENTITIES, STYLES, 16, 3, 5) | every(EMOTIONS, STYLES, 8, 5, 3) | every(ABSTRACT, ENTITIES, 16, 7, 5)
)
"""Pairs (entity, style), (emotion, style) and (abstract, entity) left out of training."""


def is_unseen(scene: Scene) -> bool:
    """Return whether the scene shows a combination that training left out."""
    concepts = true_concepts(scene)
    return any(frozenset((a, b)) in HELD_OUT for i, a in enumerate(concepts) for b in concepts[:i])
