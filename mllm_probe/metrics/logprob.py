"""Log-probability that the answer begins with the concept."""

from __future__ import annotations

from mllm_probe.metrics.metric import Metric

METRIC = Metric(
    name="logprob",
    reads="words",
    score=lambda logprob: logprob,
    label="log-probability of the concept's words",
    long_name="log-probability that the answer begins with the concept",
    unit="nats",
    direction=1,
    needs="words",
)
