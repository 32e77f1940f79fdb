"""Logit of the concept's first sub-token, without softmax."""

from __future__ import annotations

from mllm_probe.metrics.metric import Metric
from mllm_probe.metrics.words import first_token_logit

METRIC = Metric(
    name="logit",
    reads="logits",
    score=first_token_logit,
    label="logit of the concept's first token",
    long_name="logit of the first sub-token of the concept's words",
    unit="logits",
    direction=1,
    needs="words",
)
