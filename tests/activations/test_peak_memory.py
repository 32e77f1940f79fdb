"""Bytes that tensors take at their peak."""

import torch

from mllm_probe.activations.device_memory import peak_bytes


def test_tensors_count_as_long_as_they_live_and_views_not_at_all():
    def job():
        first = torch.zeros(1000)
        view = first[:10]
        del first
        freed = torch.ones(500)
        freed.add_(1)
        del freed
        second = torch.ones(2000)
        third = second + 1
        del second, view
        third.chunk(2)
        torch.ones(100)

    assert peak_bytes(torch.device("cpu"), job) == 4 * (1000 + 2000 + 2000)
    assert peak_bytes(torch.device("cpu"), lambda: None) == 0
