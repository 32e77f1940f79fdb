"""One job at a time; the same thread may enter again; interactive jobs go first."""

from __future__ import annotations

import threading
import time

import torch

from mllm_probe.models import ModelLock


def _wait_until(condition: object) -> None:
    deadline = time.monotonic() + 10
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_re_entrant_in_one_thread() -> None:
    lock = ModelLock()
    entered = threading.Event()

    def enter() -> None:
        with lock.held():
            entered.set()

    with lock.held():
        with lock.held(interactive=True):
            pass
        other = threading.Thread(target=enter)
        other.start()
        assert not entered.wait(0.05)
    other.join(10)
    assert entered.is_set()


def test_interactive_job_goes_before_a_chunk_that_waited_longer() -> None:
    lock, order = ModelLock(), []

    def job(name: str, interactive: bool) -> None:
        with lock.held(interactive=interactive):
            order.append(name)

    threads = [threading.Thread(target=job, args=("chunk", False))]
    with lock.held():
        threads[0].start()
        _wait_until(lambda: len(lock._changed._waiters) == 1)
        threads.append(threading.Thread(target=job, args=("slider", True)))
        threads[1].start()
        _wait_until(lambda: len(lock._interactive_waiting) == 1)
    for thread in threads:
        thread.join(10)
    assert order == ["slider", "chunk"]


def test_released_when_the_block_raises() -> None:
    lock = ModelLock()
    try:
        with lock.held():
            raise KeyError
    except KeyError:
        pass
    done = threading.Event()

    def enter() -> None:
        with lock.held():
            done.set()

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join(10)
    assert done.is_set()


def test_jobs_of_a_small_model_run_on_its_number_of_threads() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        lock = ModelLock(threads=2)
        with lock.held():
            with lock.held():
                assert torch.get_num_threads() == 2
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 3
        with ModelLock().held():
            assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_a_long_job_gives_way_between_its_steps() -> None:
    lock, order = ModelLock(threads=1), []

    def slider() -> None:
        with lock.held(interactive=True):
            order.append("slider")

    with lock.held():
        lock.give_way()
        thread = threading.Thread(target=slider)
        thread.start()
        _wait_until(lambda: len(lock._interactive_waiting) == 1)
        order.append("step")
        with lock.held():
            lock.give_way()
            order.append("inner step")
        lock.give_way()
        order.append("next step")
    thread.join(10)
    assert order == ["step", "inner step", "slider", "next step"]
