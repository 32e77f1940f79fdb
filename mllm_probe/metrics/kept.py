"""Share of an image's true content that the answer names."""

from __future__ import annotations

from collections.abc import Mapping

from mllm_probe.metrics.metric import Answer, Metric, ScoredConcept
from mllm_probe.metrics.text import kept
from mllm_probe.schema import EXCLUSIVE_CATEGORIES


def slot_of(name: str, categories: Mapping[str, str]) -> set[str]:
    """The concept, and the labels that it replaces in an image: all of an exclusive category, such as styles."""
    category = categories.get(name)
    replaced = categories.items() if category in EXCLUSIVE_CATEGORIES else ()
    return {name} | {label for label, other in replaced if other == category}


def score(answer: Answer, concept: ScoredConcept) -> float:
    """Share of the labels, those in the concept's slot left out, that the answer names; NaN without any."""
    return kept(answer.text, answer.labels, answer.words, without=concept.slot)


METRIC = Metric(
    name="kept",
    reads="answer",
    score=score,
    label="share of the true content kept",
    long_name="share of the other true content that the answer names",
    needs="labels",
)
