"""One thread, the newest job wins."""

from __future__ import annotations

import contextvars
import logging
import threading

import pytest

from mllm_probe.widgets.base.probe_widget import NewestWorker

SOON = 10


@pytest.fixture
def worker():
    made = NewestWorker("test")
    yield made
    made.close()


def test_a_new_job_cancels_the_running_one_and_replaces_the_waiting_one(worker):
    started, done = threading.Event(), []

    def first(cancelled):
        started.set()
        done.append(("first", cancelled.wait(SOON)))

    worker.submit(first)
    assert started.wait(SOON)
    for name in ("second", "third"):
        worker.submit(lambda cancelled, name=name: done.append((name, cancelled.is_set())))
    assert worker.wait(SOON)
    assert done[0] == ("first", True)
    assert done[-1] == ("third", False)
    assert len(done) <= 3


def test_of_many_waiting_jobs_only_the_last_runs(worker):
    go, started, ran = threading.Event(), threading.Event(), []

    def hold(_cancelled):
        started.set()
        go.wait(SOON)

    worker.submit(hold)
    assert started.wait(SOON)
    for k in range(50):
        worker.submit(lambda _cancelled, k=k: ran.append(k))
    go.set()
    assert worker.wait(SOON)
    assert ran == [49]


def test_a_job_runs_in_the_context_of_the_one_who_asked(worker):
    who, seen = contextvars.ContextVar("who", default="nobody"), []
    who.set("slider")
    worker.submit(lambda _cancelled: seen.append((who.get(), threading.current_thread().name)))
    assert worker.wait(SOON)
    assert seen == [("slider", "test")]


def test_cancel_says_whether_there_was_anything(worker):
    assert not worker.cancel()
    worker.submit(lambda cancelled: cancelled.wait(SOON))
    assert worker.cancel()
    assert worker.wait(SOON)


def test_wait_gives_up_in_time(worker):
    worker.submit(lambda cancelled: cancelled.wait(SOON))
    assert not worker.wait(0.01)


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
