"""Every widget: one text, nothing left of it when it is closed, and a worker of one thread for the newest job."""

from __future__ import annotations

import contextvars
import gc
import logging
import re
import threading
import weakref

import pytest

import mllm_probe as mp
from mllm_probe.widgets.base.probe_widget import NewestWorker
from mllm_probe.widgets.inside.pair_gallery import PairGallery
from mllm_probe.widgets.lab.lab_bar import LabBar
from tests.widgets import fakes

SOON = 60
MAP = r"LayerConceptHeatmap\(14 concepts × 8 layers × 5 strengths, metric='logprob'\)"
KINDS = {
    "heatmap": (lambda *_: mp.LayerConceptHeatmap(fakes.effect()), MAP),
    "filled heatmap": (lambda *_: mp.LayerConceptHeatmap(fakes.growing(steps=3)), MAP),
    "filling heatmap": (lambda *_: mp.LayerConceptHeatmap(fakes.growing(steps=500, pause=0.01)), ".*"),
    "monitor": (lambda *_: mp.SweepMonitor(fakes.growing(steps=3)), r"SweepMonitor\(.*, finished\)"),
    "panel": (
        lambda tiny, library, vectors: mp.SteeringPanel(tiny, vectors),
        r"SteeringPanel\(3 concepts × 4 layers, \d+ images\)",
    ),
    "strip": (
        lambda tiny, library, vectors: mp.TokenStrip(tiny, vectors),
        r"TokenStrip\(\d+ tokens × 4 layers, mode='projection'\)",
    ),
    "overlay": (
        lambda tiny, library, vectors: mp.PatchOverlay(tiny, vectors),
        r"PatchOverlay\(3 concepts × 4 layers × 4×4 patches\)",
    ),
    "gallery": (PairGallery, ".*"),
    "bar": (lambda *_: LabBar(title="model"), ".*"),
    "lab": (
        lambda tiny, library, vectors: mp.explore(tiny, library, strengths=(1,), draws=4),
        r"Explore\('tiny-llava · 4 layers · \w+ · float32 · fewer than 6 images of each concept: .*'\)",
    ),
}


def hooks(model):
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.hf.modules())


@pytest.mark.parametrize("name", KINDS)
def test_a_closed_widget_leaves_no_thread_hook_or_data(name, tiny, library, vectors):
    make, text = KINDS[name]
    threads, attached = set(threading.enumerate()), hooks(tiny)
    widget = make(tiny, library, vectors)
    if hasattr(widget, "wait") and name != "filling heatmap":
        assert widget.wait(SOON)
    assert re.fullmatch(text, repr(widget))
    gone = [weakref.ref(widget), *map(weakref.ref, getattr(widget, "children", ()))]
    if "heatmap" in name and widget.grid is not None:
        gone.append(weakref.ref(widget.grid))
    if name == "lab":
        widget.bar.opened = [part for part, _ in widget.bar.parts]
        assert all(part.wait(SOON) for part in widget.parts.widgets.values())
        gone += [weakref.ref(widget.vectors), *map(weakref.ref, widget.parts.widgets.values())]
        assert len(gone) > 5
    widget.close()
    assert set(threading.enumerate()) <= threads and hooks(tiny) == attached
    del widget
    gc.collect()
    assert [ref() for ref in gone] == [None] * len(gone)


@pytest.fixture
def worker():
    made = NewestWorker("test")
    yield made
    made.close()


def test_a_new_job_cancels_the_running_one_and_of_many_that_wait_the_last_alone_runs(worker):
    started, done = threading.Event(), []

    def first(cancelled):
        started.set()
        done.append(("first", cancelled.wait(SOON)))

    worker.submit(first)
    assert started.wait(SOON)
    go = threading.Event()
    worker.submit(lambda _cancelled: (started.set(), go.wait(SOON)))
    started.clear()
    assert started.wait(SOON) and done == [("first", True)]
    for number in range(50):
        worker.submit(lambda cancelled, number=number: done.append((number, cancelled.is_set())))
    go.set()
    assert worker.wait(SOON)
    assert done[1:] == [(49, False)]


def test_a_job_runs_in_the_context_of_the_one_who_asked(worker):
    who, seen = contextvars.ContextVar("who", default="nobody"), []
    who.set("slider")
    worker.submit(lambda _cancelled: seen.append((who.get(), threading.current_thread().name)))
    assert worker.wait(SOON)
    assert seen == [("slider", "test")]


def test_wait_gives_up_in_time_and_cancel_says_whether_there_was_anything(worker):
    assert not worker.cancel()
    worker.submit(lambda cancelled: cancelled.wait(SOON))
    assert not worker.wait(0.01)
    assert worker.cancel()
    assert worker.wait(SOON)


def test_a_failing_job_is_logged_and_the_next_one_runs(worker, caplog):
    def fail(_cancelled):
        raise ValueError("broken job")

    with caplog.at_level(logging.ERROR):
        worker.submit(fail)
        assert worker.wait(SOON)
    assert "broken job" in caplog.text
    ran = []
    worker.submit(ran.append)
    assert worker.wait(SOON) and len(ran) == 1


def test_close_ends_the_thread_and_refuses_more(worker):
    worker.submit(lambda cancelled: cancelled.wait(SOON))
    worker.close()
    assert not worker.alive
    with pytest.raises(RuntimeError, match="closed"):
        worker.submit(lambda _cancelled: None)
