"""Whether the answer names the concept."""

from __future__ import annotations

from mllm_probe.metrics.metric import Answer, Metric, ScoredConcept
from mllm_probe.metrics.text import first_mention_tokens, named


def score(answer: Answer, concept: ScoredConcept) -> float:
    """1 where the answer says that the concept is there, else 0; NaN for a concept without words.

    What counts is said at :func:`mllm_probe.metrics.spans`.

    Models without a tokenizer are read by token ids, which know no negation.
    """
    if concept.words:
        return float(named(answer.text, concept.words))
    mention = first_mention_tokens(answer.tokens, concept.variants)
    return float(mention is not None) if concept.variants else float("nan")


METRIC = Metric(
    name="named",
    reads="answer",
    score=score,
    label="share of answers that name the concept",
    long_name="the answer names the concept",
    direction=1,
    needs="words",
    binary=True,
)
