"""Share of repeated words in the answer."""

from __future__ import annotations

from mllm_probe.metrics.metric import Answer, Metric, ScoredConcept
from mllm_probe.metrics.text import repetition


def score(answer: Answer, concept: ScoredConcept) -> float:
    """Share of words that repeat an earlier one, 0 … 1; NaN for an empty answer."""
    return repetition(answer.text)


METRIC = Metric(
    name="repetition",
    reads="answer",
    score=score,
    label="share of repeated words",
    long_name="share of repeated words in the answer",
)
