"""The monitor: a sweep of this kernel driven, paused and stopped; a store that is filled elsewhere looked at."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest
import xarray as xr

import mllm_probe.sweeps as sweeps
from mllm_probe.studies.effect import effect
from mllm_probe.sweeps import runner
from mllm_probe.sweeps.engine import Engine
from mllm_probe.sweeps.runner import Limits
from mllm_probe.widgets import LayerConceptHeatmap, SweepMonitor
from mllm_probe.widgets.monitor import sweep_monitor as monitor_module
from mllm_probe.widgets.monitor.sources import Pace
from tests.conftest import noise_picture
from tests.sweeps.helpers import random_vectors
from tests.widgets import fakes

SOON = 30
SETTINGS = {"layers": [0, 1, 2], "strengths": (-1, 1, 2), "draws": 4, "metrics": ("logprob",), "progress": False}


@pytest.fixture
def given(tiny):
    return tiny, random_vectors(tiny, ("cat", "tree")), [noise_picture(seed) for seed in range(3)]


@pytest.fixture
def small(monkeypatch):
    """Many small chunks."""
    monkeypatch.setattr(runner, "DEFAULT", Limits(rows=6, packed_rows=1, unit_seconds=(0, 0)))


class Stepped:
    """Grids of all concepts or of one, that come one by one when the test says so."""

    def __init__(self, steps=6, concept=None):
        self.steps, self.taken, self.closed = steps, 0, False
        self.chosen = {} if concept is None else {"concept": [concept]}
        self.go, self.came = threading.Semaphore(0), threading.Semaphore(0)

    def __iter__(self):
        try:
            for k in range(1, self.steps + 1):
                assert self.go.acquire(timeout=SOON)
                self.taken = k
                yield fakes.effect(done=k / self.steps).sel(self.chosen)
                self.came.release()
        finally:
            self.closed = True

    def let(self, steps):
        for _ in range(steps):
            self.go.release()


def until(monitor, *states):
    """Wait for one of the states, as a widget that observes would."""
    reached = threading.Event()
    monitor.observe(lambda change: change.new in states and reached.set(), "status")
    assert monitor.status in states or reached.wait(SOON), monitor.status


def shows(heatmap, wanted):
    """Whether a map has all numbers of an effect; doses that no image is eligible for have none."""
    values = np.frombuffer(heatmap.values, np.float32).reshape(wanted["difference"].shape)
    assert np.isfinite(values).sum() > values.size / 2
    return np.allclose(values, wanted["difference"], rtol=1e-4, atol=1e-4, equal_nan=True)


def test_a_sweep_runs_to_its_end_and_is_the_same_grid_also_on_a_map(given, small, monkeypatch):
    monkeypatch.setattr(monitor_module, "_SHORTEST_UPDATE", 0.0)
    monitor = SweepMonitor()
    heatmap = LayerConceptHeatmap(monitor)
    assert heatmap.status == "running" or not heatmap.wait(0.1)
    monitor.watch(sweeps.sweep_iter(*given, **SETTINGS))
    assert monitor.wait(SOON) and heatmap.wait(SOON)
    assert shows(heatmap, effect(monitor.grid)) and heatmap.progress == 1.0
    shares = fakes.updates(monitor, "progress")
    assert shares == sorted(shares) and len(set(shares)) > 5
    left = [seconds for seconds in fakes.updates(monitor, "seconds_left") if seconds is not None]
    assert left and left[-1] >= 0
    assert (monitor.status, monitor.progress, monitor.done) == ("finished", 1.0, monitor.total)
    assert monitor.rate > 0 and monitor.seconds > 0 and monitor.seconds_left is None
    assert monitor.memory > 1e6 and monitor.memory_free > 1e6
    expected = sweeps.sweep(*given, **SETTINGS)
    np.testing.assert_allclose(monitor.grid.logprob, expected.logprob, rtol=1e-4, atol=1e-4)
    run = expected.logprob.notnull()
    own = run.sel(control="concept").isel(draw=0)
    # Random directions are run once for all concepts, and opposite ones once at opposite strengths.
    share = xr.where(run.strength.isin(-run.strength), 0.5, 1.0)
    controls = [(run.sel(control=kind).any("concept") * share).sum() for kind in ("random", "on_manifold")]
    assert monitor.total == int(own.sum()) + sum(map(int, controls)) > int(own.sum())
    assert repr(monitor) == f"SweepMonitor({monitor.total} of {monitor.total} runs, finished)"


def test_pause_finishes_the_step_in_flight_and_leaves_the_model_free(given, small):
    model = given[0]
    monitor = SweepMonitor(sweeps.sweep_iter(*given, **SETTINGS))
    until(monitor, "running")
    fakes.say(monitor, "pause")
    until(monitor, "paused")
    done = monitor.done
    assert 0 < done < monitor.total
    with model.lock.held():
        assert not monitor.wait(0.3)
    assert monitor.done == done and monitor.status == "paused"
    fakes.say(monitor, "resume")
    assert monitor.wait(SOON) and monitor.progress == 1.0


def test_each_pause_holds_exactly_where_it_is():
    grids = Stepped()
    monitor = SweepMonitor(grids)
    grids.let(1)
    assert grids.came.acquire(timeout=SOON) is True
    monitor.pause()
    assert monitor.status == "pausing"
    grids.let(4)
    until(monitor, "paused")
    assert grids.taken == 2
    monitor.pause()
    assert monitor.status == "paused"
    monitor.resume()
    grids.let(1)
    assert monitor.wait(SOON) and grids.taken == 6
    monitor.resume()
    assert monitor.status == "finished"


def test_stop_keeps_what_was_measured_and_a_store_goes_on(given, small, tmp_path):
    monitor = SweepMonitor(sweeps.sweep_iter(*given, store=tmp_path / "s", **SETTINGS))
    until(monitor, "running")
    fakes.say(monitor, "pause")
    until(monitor, "paused")
    fakes.say(monitor, "stop")
    assert not monitor.wait(SOON)
    assert monitor.status == "cancelled" and "goes on from it" in monitor.note
    found = sweeps.read_progress(tmp_path / "s")
    assert found.done <= monitor.done < found.total
    monitor.watch(sweeps.sweep_iter(*given, store=tmp_path / "s", **SETTINGS))
    assert monitor.wait(SOON) and (monitor.done, monitor.note) == (monitor.total, "")
    (worker,) = monitor.workers
    assert (worker["runs"], worker["processes"], worker["device"]) == (monitor.total, 1, "cpu") and worker["rate"] > 0


def test_a_stopped_sweep_resumes_with_what_is_missing_and_the_map_goes_on(given, small):
    monitor = SweepMonitor(sweeps.sweep_iter(*given, **SETTINGS))
    heatmap = LayerConceptHeatmap(monitor)
    until(monitor, "running")
    monitor.pause()
    until(monitor, "paused")
    fakes.say(monitor, "stop")
    assert not monitor.wait(SOON) and monitor.resumable and not monitor.controllable
    assert monitor.note == "What was measured stays. Resume runs what is missing."
    done, before = monitor.done, monitor.grid
    assert 0 < done < monitor.total and heatmap.wait_until_free(SOON) and heatmap.status == "cancelled"
    assert heatmap.progress == monitor.progress < 1, "one share of the sweep, not two"
    monitor.comm.sent.clear()
    fakes.say(monitor, "resume")
    assert monitor.wait(SOON) and heatmap.wait(SOON)
    assert min(fakes.updates(monitor, "done")) >= done and monitor.done == monitor.total
    assert not monitor.resumable and monitor.note == ""
    there = np.isfinite(before.logprob.values)
    np.testing.assert_array_equal(monitor.grid.logprob.values[there], before.logprob.values[there])
    np.testing.assert_allclose(monitor.grid.logprob, sweeps.sweep(*given, **SETTINGS).logprob, rtol=1e-4, atol=1e-4)
    assert shows(heatmap, effect(monitor.grid)) and heatmap.progress == 1.0
    fakes.say(monitor, "resume")
    assert (monitor.status, monitor.message) == ("finished", "")


def test_an_engine_that_was_stopped_before_its_first_step_resumes_too(given, small):
    engine = sweeps.sweep_iter(*given, **SETTINGS).engine
    assert isinstance(engine, Engine)
    with given[0].lock.held():
        monitor = SweepMonitor(engine)
        until(monitor, "running")
        monitor.stop()
    assert not monitor.wait(SOON) and (monitor.done, monitor.grid.attrs["progress"]) == (0, 0)
    for _ in range(3):  # however soon it is stopped again
        monitor.resume()
        monitor.stop()
        assert not monitor.wait(SOON) and monitor.resumable
    monitor.resume()
    assert monitor.wait(SOON) and monitor.done == monitor.total


def test_a_heatmap_that_waits_for_news_is_stopped_at_once_and_the_sweep_goes_on():
    grids = Stepped()
    monitor = SweepMonitor(grids)
    heatmap = LayerConceptHeatmap(monitor)
    until(heatmap, "running")
    grids.let(2)
    assert grids.came.acquire(timeout=SOON)
    heatmap.stop()
    assert not heatmap.wait(SOON) and heatmap.status == "cancelled"
    heatmap.close()
    grids.let(4)
    assert monitor.wait(SOON)


def test_a_store_is_followed_until_it_is_finished(given, small, tmp_path, monkeypatch):
    monkeypatch.setattr(monitor_module, "POLL", 0.02)
    store = tmp_path / "s"
    monitor = SweepMonitor(store)
    heatmap = LayerConceptHeatmap(monitor)
    until(monitor, "running")
    waiting = threading.Event()
    monitor.observe(lambda change: "waiting for it" in change.new and waiting.set(), "note")
    assert "waiting for it" in monitor.note or waiting.wait(SOON)
    grids = sweeps.sweep_iter(*given, store=store, **SETTINGS)
    for _ in range(9):  # the unsteered runs are units of no steered run
        next(grids)
    halfway = threading.Event()
    monitor.observe(lambda change: change.new > 0 and halfway.set(), "done")
    assert monitor.done or halfway.wait(SOON)
    assert not monitor.controllable and "another process" in monitor.note
    assert monitor.workers[0]["runs"] <= monitor.total
    for _ in grids:
        pass
    assert monitor.wait(SOON) and heatmap.wait(SOON)
    assert (monitor.status, monitor.done, monitor.progress) == ("finished", monitor.total, 1.0)
    assert [one["runs"] for one in monitor.workers] == [monitor.total]
    assert shows(heatmap, effect(monitor.grid))


@pytest.mark.parametrize("paused", [False, True])
def test_close_leaves_nothing(given, small, paused):
    before = set(threading.enumerate())
    grids = sweeps.sweep_iter(*given, **SETTINGS)
    engine = weakref.ref(grids.engine)
    monitor = SweepMonitor(grids)
    until(monitor, "running")
    if paused:
        monitor.pause()
        until(monitor, "paused")
    monitor.close()
    assert set(threading.enumerate()) <= before
    with given[0].lock.held():
        pass
    del grids
    gc.collect()
    assert engine() is None


def test_the_pace_leaves_pauses_and_the_first_step_out():
    now = [0.0]
    pace = Pace(lambda: now[0])
    assert pace.rate == 0 and pace.left(10) is None
    now[0] = 5.0
    pace.mark(1000)
    now[0] = 6.0
    pace.mark(1010)
    pace.pause()
    now[0] = 100.0
    assert pace.seconds == 6.0
    pace.resume()
    now[0] = 101.0
    pace.mark(1020)
    assert (pace.rate, pace.left(50), pace.seconds) == (10.0, 5.0, 7.0)
    now[0] = 151.0
    pace.mark(1030)
    assert pace.rate == pytest.approx(10 / 50)


def test_a_store_of_another_process_is_looked_at_alone_and_what_is_none_is_refused(tmp_path):
    monitor = SweepMonitor(str(tmp_path / "none"))
    for act in (monitor.pause, monitor.resume, monitor.stop):
        with pytest.raises(RuntimeError, match="runs in another process"):
            act()
    fakes.say(monitor, "stop")
    assert monitor.message == "This sweep runs in another process; it is paused and stopped there."
    found = sweeps.StoreProgress(done=5, total=10, seconds=9, rate=2.0, finished=False, updated=1_000.0)
    told = monitor_module._read(found)
    assert told["note"].startswith("Nothing was written for ") and told["seconds_left"] == 2.5
    assert " h: the sweep was stopped" in told["note"]
    (tmp_path / "file.txt").write_text("x")
    monitor.watch(tmp_path)
    assert not monitor.wait(SOON)
    assert monitor.status == "error" and "holds no store of this package" in monitor.message


def test_an_error_is_one_sentence_in_the_monitor_and_on_its_map_and_what_was_measured_stays(caplog):
    def grids():
        yield fakes.effect(done=0.5)
        raise RuntimeError("the card <b>ran out</b> of memory\nsecond line")

    for widget in (SweepMonitor(grids()), LayerConceptHeatmap(grids())):
        assert not widget.wait(SOON)
        assert (widget.status, widget.message) == ("error", "the card <b>ran out</b> of memory.")
        assert widget.progress == 0.5 and widget.grid is not None and "second line" in caplog.text
        caplog.clear()


@pytest.fixture
def both():
    monitor = SweepMonitor()
    return monitor, LayerConceptHeatmap(monitor)


def finished(concept):
    """A sweep of one concept that ends at once."""
    grids = Stepped(1, concept)
    grids.let(1)
    return grids


def test_a_map_goes_with_its_monitor_from_sweep_to_sweep(both):
    monitor, heatmap = both
    left = Stepped(2, "cat")
    left.let(1)
    monitor.watch(left)
    assert left.came.acquire(timeout=SOON)
    grids = iter(monitor)
    assert next(grids)["concept"].values.tolist() == ["cat"]
    monitor.watch(finished("tree"))
    left.let(1)
    assert monitor.wait(SOON) and heatmap.wait(SOON) and left.closed
    assert (heatmap.concepts, heatmap.progress, heatmap.status) == (["tree"], 1.0, "idle")
    assert list(grids) == [], "a loop over a monitor ends when it turns to another sweep"
    for concept in ("cat", "neon"):
        monitor.watch(finished(concept))
        assert monitor.wait(SOON) and heatmap.wait(SOON)
        assert (heatmap.concepts, heatmap.concept, heatmap.progress) == ([concept], concept, 1.0)


def test_once_stopped_or_sent_elsewhere_a_map_follows_no_more(both):
    monitor, heatmap = both
    elsewhere = [fakes.effect().sel(concept=["neon"])]
    acts = heatmap.stop, lambda: heatmap.watch(monitor), lambda: heatmap.watch(elsewhere)
    monitor.watch(finished("cat"))
    for act, shown in zip(acts, (["cat"], ["tree"], ["neon"]), strict=True):
        assert monitor.wait(SOON) and heatmap.wait(SOON)
        act()
        monitor.watch(finished("tree"))
        assert monitor.wait(SOON) and heatmap.wait(SOON) and heatmap.concepts == shown


def test_while_a_sweep_stands_still_the_newest_grid_is_on_the_map(both):
    """Also where grids came faster than they are drawn."""
    monitor, heatmap = both
    shown, grids = threading.Event(), Stepped(4)
    heatmap.observe(lambda change: change.new == 0.75 and shown.set(), "progress")
    monitor.watch(grids)
    grids.let(3)
    assert shown.wait(SOON)
    grids.let(1)
    assert monitor.wait(SOON) and heatmap.wait(SOON) and heatmap.progress == 1.0
