"""Scores of every concept for rows that are steered with another one (off-target effects)."""

from __future__ import annotations

from mllm_probe.metrics.metric import Metric
from mllm_probe.metrics.words import first_token_logprob
from mllm_probe.schema import OFF_TARGET

METRIC = Metric(
    name=OFF_TARGET,
    reads="logits",
    score=first_token_logprob,
    label="log-probability of the scored concept's words",
    long_name="log-probability that the answer begins with the first sub-token of a word of the scored concept",
    unit="nats",
    direction=1,
    needs="words",
    every_concept=True,
)
