"""Scores of words of several tokens, for many rows at once."""

import math

import torch

from mllm_probe.sweeps.scoring import _any_of


def test_each_row_counts_its_own_tokens_once():
    probabilities = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]])
    found = _any_of(probabilities.log(), [(3,), (0, 2)])
    torch.testing.assert_close(found, torch.tensor([math.log(0.4), math.log(0.6)]))
