"""`store_status`: who filled a store, how fast, and what of it is damaged."""

import json

import pytest

import mllm_probe.sweeps as sweeps
from mllm_probe.sweeps import store_status
from mllm_probe.sweeps.stored import store_progress
from tests.sweeps import killed
from tests.sweeps.helpers import random_vectors

SMALL = {"layers": [0, 2], "strengths": (0, 1), "draws": 4, "max_new_tokens": 2, "metrics": ("logprob",)}


@pytest.fixture
def begun(tmp_path, tiny, pictures, monkeypatch):
    """A store of which a half is filled, and how to go on."""
    killed.small_chunks(monkeypatch.setattr)
    given = (tiny, random_vectors(tiny), pictures[:2])
    settings = SMALL | {"store": tmp_path / "grid.zarr", "progress": False}
    sweeps.sweep(*given, **settings, shard="1/2")
    return settings["store"], lambda: sweeps.sweep(*given, **settings)


def test_who_filled_it_and_how_much_is_left(begun):
    store, go_on = begun
    half = store_status(store)
    assert 0 < half.progress.units_done < half.progress.units and half.damaged is None
    (worker,) = half.workers
    assert (worker.runs, worker.device, worker.dtype) == (half.progress.done, "cpu", "float32")
    assert worker.processes == 1 and worker.rate == worker.runs / worker.seconds and "1 process:" in str(half)
    assert half.seconds_left > 0 and "left" in str(half) and worker.host in str(half)
    go_on()
    whole = store_status(store)
    assert whole.progress.finished and whole.seconds_left == 0 and "(100%)" in str(whole)
    assert json.loads(json.dumps(whole.plain()))["progress"]["done"] == whole.progress.total


def test_a_check_gives_damaged_units_back(begun):
    store, go_on = begun
    go_on()
    assert store_status(store, check=True).damaged == {}
    chunk, other = sorted((store / "logprob").glob("c.*"))[:2]
    chunk.unlink()
    other.write_bytes(other.read_bytes()[:-1])
    told = store_status(store, check=True)
    assert 1 <= len(told.damaged) <= 2 and "given back" in str(told) and not told.progress.finished
    assert "missing" in str(told.damaged) and "bytes" in str(told.damaged)
    grid = go_on()
    assert grid.attrs["progress"] == 1 and store_status(store, check=True).damaged == {}


def test_a_store_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no store at"):
        store_status(tmp_path / "none")


def test_the_rate_leaves_out_the_time_in_which_nobody_was_at_work():
    """Two processes at once for ten seconds, a night's pause, and ten more seconds."""
    spans = {"a": (100, 10), "b": (100, 8), "c": (9000, 10)}  # when each was written, and how long it took
    notes = {name: {"written": written, "seconds": seconds} for name, (written, seconds) in spans.items()}
    assert store_progress._rate(notes, {"a": 30, "b": 20, "c": 50}) == pytest.approx(100 / 20)
    assert store_progress._rate({}, {}) == 0
