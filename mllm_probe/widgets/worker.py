"""One thread that always works on the newest job: what the widgets compute with, so that the notebook stays free."""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

Job = Callable[[threading.Event], None]


class NewestWorker:
    """Runs jobs one after another on its own thread; a new one cancels the running one and replaces a waiting one.

    Parameters
    ----------
    name : str
        Name of the thread, for debuggers.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._changed = threading.Condition()
        self._waiting: tuple[Job, contextvars.Context] | None = None
        self._running: threading.Event | None = None
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

    def submit(self, job: Job) -> None:
        """Run ``job`` next, in a copy of the caller's context, and cancel what runs or waits.

        The context carries the request that a message of the notebook belongs to, so what the job sends
        is routed as if the caller had sent it. The job is given an event that is set when it is cancelled.
        """
        with self._changed:
            if self._closed:
                raise RuntimeError("this widget was closed; make a new one.")
            if self._running is not None:
                self._running.set()
            self._waiting = (job, contextvars.copy_context())
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def cancel(self) -> bool:
        """Drop the waiting job and cancel the running one; says whether there was any."""
        with self._changed:
            had = self.busy
            self._waiting = None
            if self._running is not None:
                self._running.set()
            self._changed.notify_all()
            return had

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing runs or waits; False when ``timeout`` seconds passed first."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.busy, timeout)

    def close(self, timeout: float | None = 10.0) -> None:
        """Cancel everything and end the thread."""
        with self._changed:
            self._closed = True
        self.cancel()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            (job, context), cancelled = taken
            try:
                context.run(job, cancelled)
            except Exception:
                logger.exception("a widget's job failed")
            finally:
                with self._changed:
                    self._running = None
                    self._changed.notify_all()

    def _take(self) -> tuple[tuple[Job, contextvars.Context], threading.Event] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is not None or self._closed)
            if self._waiting is None:
                return None
            taken, self._waiting = self._waiting, None
            self._running = threading.Event()
            return taken, self._running
