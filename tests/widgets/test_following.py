"""A heatmap that watches a monitor goes with it from sweep to sweep."""

import threading

import pytest

from mllm_probe.widgets import LayerConceptHeatmap, SweepMonitor
from tests.widgets import fakes

SOON = 30


class Held:
    """Grids of one concept: the first comes at once, the second when the test says so."""

    def __init__(self, concept):
        self.grid = fakes.effect().isel(concept=[0]).assign_coords(concept=[concept])
        self.go, self.first = threading.Event(), threading.Event()

    def __iter__(self):
        yield self.grid.assign_attrs(progress=0.5)
        self.first.set()
        assert self.go.wait(SOON)
        yield self.grid.assign_attrs(progress=1.0)


def finished(concept):
    held = Held(concept)
    held.go.set()
    return held


@pytest.fixture
def both():
    monitor = SweepMonitor()
    heatmap = LayerConceptHeatmap(monitor)
    yield monitor, heatmap
    heatmap.close()
    monitor.close()


def test_the_first_sweep_may_come_later(both):
    monitor, heatmap = both
    monitor.watch(finished("cat"))
    assert monitor.wait(SOON) and heatmap.wait(SOON)
    assert (heatmap.concepts, heatmap.progress) == (["cat"], 1.0)


def test_after_a_sweep_has_ended_the_next_one_is_shown(both):
    monitor, heatmap = both
    for concept in ("cat", "tree", "neon"):
        monitor.watch(finished(concept))
        assert monitor.wait(SOON) and heatmap.wait(SOON)
        assert (heatmap.concepts, heatmap.concept, heatmap.progress) == ([concept], concept, 1.0)


def test_a_sweep_that_runs_is_left_for_the_next_one(both):
    monitor, heatmap = both
    left = Held("cat")
    monitor.watch(left)
    assert left.first.wait(SOON)
    monitor.watch(finished("tree"))
    left.go.set()
    assert monitor.wait(SOON) and heatmap.wait(SOON)
    assert (heatmap.concepts, heatmap.progress, heatmap.status) == (["tree"], 1.0, "idle")


def test_once_stopped_or_sent_elsewhere_it_follows_no_more(both):
    monitor, heatmap = both
    monitor.watch(finished("cat"))
    assert monitor.wait(SOON) and heatmap.wait(SOON)
    heatmap.stop()
    monitor.watch(finished("tree"))
    assert monitor.wait(SOON) and heatmap.wait(SOON)
    assert heatmap.concepts == ["cat"]
    heatmap.watch(monitor)
    assert heatmap.wait(SOON) and heatmap.concepts == ["tree"]
    heatmap.watch([Held("neon").grid])
    assert heatmap.wait(SOON)
    monitor.watch(finished("cat"))
    assert monitor.wait(SOON) and heatmap.wait(SOON)
    assert heatmap.concepts == ["neon"]


def test_while_a_sweep_stands_still_the_newest_grid_is_on_the_map(both):
    monitor, heatmap = both
    shown, still = threading.Event(), threading.Event()

    class Bursting:
        """Grids that come faster than they are drawn, and then nothing for as long as the test wants."""

        def __iter__(self):
            grid = Held("cat").grid
            for share in (0.1, 0.2, 0.3):
                yield grid.assign_attrs(progress=share)
            assert still.wait(SOON)
            yield grid.assign_attrs(progress=1.0)

    heatmap.observe(lambda change: change.new == 0.3 and shown.set(), "progress")
    monitor.watch(Bursting())
    assert shown.wait(SOON)
    still.set()
    assert monitor.wait(SOON) and heatmap.wait(SOON)
    assert heatmap.progress == 1.0


def test_a_loop_over_a_monitor_ends_when_it_turns_to_another_sweep(both):
    monitor, _ = both
    left = Held("cat")
    monitor.watch(left)
    grids = iter(monitor)
    assert next(grids)["concept"].values.tolist() == ["cat"]
    left.go.set()
    monitor.watch(finished("tree"))
    assert monitor.wait(SOON)
    assert list(grids) == []
