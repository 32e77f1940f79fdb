"""Moves of a panel and sweeps leave no tensor, hook, thread or file; ``make soak`` is the long form."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from mllm_probe.models import ProbeModel
from tests.faults import soak as soaking
from tests.faults.soak import Checkpoint, Soak


def test_nothing_is_left() -> None:
    """In a process of its own: what other tests have left of the memory is no part of it."""
    options = ["--moves", "60", "--sweeps", "6", "--checkpoints", "3"]
    command = [sys.executable, "-m", "tests.faults.soak", *options]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.strip()[:1].isdigit()]
    assert [int(row[0]) for row in rows][:3] == [24, 42, 60] and len(rows) == 6
    assert [int(row[3]) for row in rows] == [0] * 6, "hooks"
    assert done.stdout.count("nothing leaks") == 2


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
