"""Moves of a panel and sweeps leave no tensor, hook, thread or file; ``make soak`` is the long form."""

from __future__ import annotations

import torch

from mllm_probe.models import ProbeModel
from tests.faults import soak as soaking
from tests.faults.soak import Checkpoint, Soak, soak


def test_nothing_is_left() -> None:
    moved, swept = soak(60, 6, checkpoints=3)
    assert moved.leaks == [], str(moved)
    assert swept.leaks == [], str(swept)
    assert [one.after for one in moved.checkpoints] == [24, 42, 60]
    assert [one.hooks for one in (*moved.checkpoints, *swept.checkpoints)] == [0] * 6


def test_a_leak_is_seen(tiny: ProbeModel) -> None:
    kept: list[torch.Tensor] = []
    handles = []

    def leaking(number: int) -> None:
        kept.append(torch.ones(2))
        handles.append(open(__file__, encoding="utf-8"))  # noqa: SIM115

    told = soaking._measured("move", 30, 3, tiny, leaking)
    for handle in handles:
        handle.close()
    assert {"tensors", "files"} <= set(told.leaks) and told.grown["tensors"] >= 4


def test_memory_beyond_its_bound_is_a_leak() -> None:
    first, last = Checkpoint(100, 10**9, 5, 0, 3, 9), Checkpoint(1000, 10**9 + 40 * 2**20, 5, 0, 3, 9)
    assert Soak("move", [first, last]).leaks == ["memory"]
    assert Soak("sweep", [first, last]).leaks == [] and "nothing leaks" in str(Soak("sweep", [first, last]))
