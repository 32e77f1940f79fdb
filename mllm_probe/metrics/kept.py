"""Share of a picture's true content that the answer names."""

from __future__ import annotations

from mllm_probe.metrics.metric import Answer, Metric, ScoredConcept
from mllm_probe.metrics.text import kept


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
