"""KL divergence of the steered model's predictions from the unsteered ones."""

from __future__ import annotations

import torch

from mllm_probe.metrics.metric import Metric


def kl_divergence(unsteered: torch.Tensor, steered: torch.Tensor) -> torch.Tensor:
    """KL(unsteered ‖ steered) of next-token distributions, in nats, clipped at 0 against rounding.

    `unsteered`, `steered` (Tensor [..., vocabulary]): logits after the same tokens; they broadcast against each other.
    Returns Tensor of float32 [...].
    """
    reference = torch.log_softmax(unsteered.float(), -1)
    other = torch.log_softmax(steered.float(), -1)
    return (reference.exp() * (reference - other)).sum(-1).clamp_min(0.0)


METRIC = Metric(
    name="kl",
    reads="forced",
    score=kl_divergence,
    label="KL from the unsteered answer",
    long_name="KL(unsteered ‖ steered) on the unsteered answer",
    unit="nats per token",
)
