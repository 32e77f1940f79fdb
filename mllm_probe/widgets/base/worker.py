"""One background thread that works on the newest job, so that the notebook stays responsive."""

from __future__ import annotations

import atexit
import contextvars
import logging
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field

from mllm_probe.models.lock import ModelLock

logger = logging.getLogger(__name__)

Job = Callable[[threading.Event], None]
LONGEST_EXIT = 60.0
"""Seconds that the interpreter waits at most for running jobs when it exits."""


@dataclass(frozen=True)
class _Task:
    """A job with the context of its caller, and what ends a step that it waits for."""

    job: Job
    context: contextvars.Context
    leave: Callable[[], object] | None
    cancelled: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        self.cancelled.set()
        if self.leave is not None:
            self.leave()


class NewestWorker:
    """Runs jobs one after another on its own thread; a new one cancels the running one and replaces a waiting one.

    When the interpreter exits, running jobs are cancelled and waited for: a thread that is killed while PyTorch
    computes in it aborts the process.

    `name`: name of the thread, for debuggers. `lock`: of the model that the jobs run.
    """

    def __init__(self, name: str, lock: ModelLock | None = None) -> None:
        self._name, self.lock = name, lock
        self._changed = threading.Condition()
        self._waiting: _Task | None = None
        self._running: _Task | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        return self._running is not None or self._waiting is not None

    @property
    def alive(self) -> bool:
        """Whether the thread exists."""
        return self._thread is not None and self._thread.is_alive()

    def submit(self, job: Job, leave: Callable[[], object] | None = None) -> None:
        """Run ``job`` next, in a copy of the caller's context, and cancel what runs or waits.

        `job`: takes an event that is set when it is cancelled. The context carries the request that a message of the
        notebook belongs to, so what the job sends is routed as if the caller had sent it. `leave`: called on
        cancellation, after the event is set: ends a step that the job waits for.
        """
        task = _Task(job, contextvars.copy_context(), leave)
        with self._changed:
            if self._closed:
                raise RuntimeError("this widget was closed; make a new one.")
            left = self._left()
            self._waiting = task
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()
                _LIVE.add(self)
            self._changed.notify_all()
        # Outside the lock, as `leave` may take others, such as the model's.
        for old in left:
            old.cancel()

    def cancel(self) -> bool:
        """Drop the waiting job and cancel the running one; says whether there was any."""
        with self._changed:
            left = self._left()
            self._changed.notify_all()
        for task in left:
            task.cancel()
        return bool(left)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing runs or waits; False when ``timeout`` seconds passed first.

        Raises RuntimeError if the calling thread holds the model that a job runs.
        """
        if self.busy and self.lock is not None:
            self.lock.require_elsewhere()
        with self._changed:
            return self._changed.wait_for(lambda: not self.busy, timeout)

    def close(self, timeout: float | None = 10.0) -> None:
        """Cancel everything and end the thread, waiting for it at most ``timeout`` seconds."""
        with self._changed:
            self._closed = True
        self.cancel()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _left(self) -> list[_Task]:
        """Tasks that are to be cancelled by a caller who holds the lock; their ``leave`` may take other locks."""
        left = [task for task in (self._waiting, self._running) if task is not None]
        self._waiting = None
        return left

    def _work(self) -> None:
        while (task := self._take()) is not None:
            try:
                task.context.run(task.job, task.cancelled)
            except Exception:
                logger.exception("a widget's job failed")
            finally:
                del task  # so that an idle thread keeps nothing of a widget
                with self._changed:
                    self._running = None
                    self._changed.notify_all()

    def _take(self) -> _Task | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is not None or self._closed)
            self._running, self._waiting = self._waiting, None
            return self._running


_LIVE: weakref.WeakSet[NewestWorker] = weakref.WeakSet()


def close_all(timeout: float = LONGEST_EXIT) -> None:
    """Close every worker that has a thread: cancel all first, then wait for them ``timeout`` seconds in all."""
    workers = list(_LIVE)
    for worker in workers:
        try:
            worker.close(0)
        except Exception:
            logger.exception("the job of a widget could not be cancelled")
    end = time.monotonic() + timeout
    for worker in workers:
        worker.close(max(0.0, end - time.monotonic()))


# Registered by the standard library's `atexit`, which runs before daemon threads are killed.
atexit.register(close_all)
