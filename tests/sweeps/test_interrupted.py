"""Ctrl-C in a sweep without a store: what was computed is kept for the next cell of a notebook."""

import os
import signal

import numpy as np
import pytest

import mllm_probe as mp
from mllm_probe.sweeps import runner
from mllm_probe.sweeps.api import Grids
from mllm_probe.sweeps.runner import Limits
from tests.sweeps.helpers import random_vectors

SETTINGS = {"strengths": (0, 0.5, 1), "draws": 4, "controls": "random", "progress": False}


class Typed:
    """A metric during whose computation Ctrl-C is typed, in the chunk with this number."""

    def __init__(self, at):
        self.at, self.calls = at, 0

    def __call__(self, logits, table):
        self.calls += 1
        if self.calls == self.at:
            os.kill(os.getpid(), signal.SIGINT)
        return logits.amax(-1)


@pytest.fixture(autouse=True)
def two_rows_at_a_time(monkeypatch):
    monkeypatch.setattr(runner, "DEFAULT", Limits(rows=2, packed_rows=1))
    monkeypatch.setattr(Grids, "last_interrupted", None)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a process of its own
    yield
    signal.signal(signal.SIGINT, before)


def stopped(tiny, pictures, at, **more):
    largest = mp.Metric("largest", "logits", Typed(at), "largest logit")
    with pytest.raises(KeyboardInterrupt) as caught:
        mp.sweep(tiny, random_vectors(tiny), pictures[:2], metrics=("logprob", largest), **SETTINGS, **more)
    return caught.value


def test_the_part_that_was_run_is_a_grid(tiny, pictures):
    interrupt = stopped(tiny, pictures, at=9)
    assert "grid = mp.sweeps.interrupted()" in interrupt.__notes__[0]
    grid = mp.sweeps.interrupted()
    assert 0 < grid.attrs["progress"] < 1
    settings = {**SETTINGS, "metrics": ("logprob",)}
    whole = mp.sweep(tiny, random_vectors(tiny), pictures[:2], **settings)
    run = np.isfinite(grid.logprob.values)
    assert 0 < run.sum() < np.isfinite(whole.logprob.values).sum() and dict(grid.sizes) == dict(whole.sizes)
    np.testing.assert_allclose(grid.logprob.values[run], whole.logprob.values[run], atol=1e-5)
    assert mp.effect(grid, "logprob").difference.shape == mp.effect(whole, "logprob").difference.shape


def test_nothing_is_kept_before_the_first_runs_or_beside_a_store(tiny, pictures, tmp_path):
    with pytest.raises(LookupError, match="no sweep was stopped"):
        mp.sweeps.interrupted()
    assert not hasattr(stopped(tiny, pictures, at=1), "__notes__")
    assert not hasattr(stopped(tiny, pictures, at=9, store=tmp_path / "grid.zarr"), "__notes__")
    with pytest.raises(LookupError, match="one with store= is in its store"):
        mp.sweeps.interrupted()
