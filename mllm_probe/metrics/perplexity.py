"""Perplexity of the answer under the unsteered model, as a ratio to that of the unsteered answer."""

from __future__ import annotations

import torch

from mllm_probe.metrics.metric import Metric


def answer_perplexity(logprobs: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """Perplexity of answers from the log-probabilities of their tokens.

    `logprobs` (Tensor [rows, steps]): log-probability of each token of the answer under the unsteered model. `counted`
    (Tensor of bool [rows, steps]): tokens that count: not padding, not the first mention of the concept. Returns Tensor
    of float32 [rows]: exp of the mean negative log-probability; NaN where no token counts (an empty answer).
    """
    number = counted.sum(-1)
    total = torch.where(counted, logprobs.float(), 0.0).sum(-1)
    return torch.where(number > 0, (-total / number.clamp_min(1)).exp(), torch.nan)


METRIC = Metric(
    name="perplexity",
    reads="reference",
    score=answer_perplexity,
    label="perplexity of the answer",
    long_name="perplexity of the answer under the unsteered model, as a ratio to the unsteered answer's",
    ratio=True,
    relative=True,
    # A model finds its own repetitions probable, so perplexity alone calls broken answers fluent.
    brings=("repetition",),
)
