"""Rate and remaining time of a sweep, from the last half minute of running time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

_WINDOW = 30.0


class Pace:
    """Rate of finished work while it runs; pauses do not count.

    The first step is left out: it can include results restored from a store, and the preparation.

    `clock`: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()
        self._paused: float | None = None
        self._lost = 0.0
        self._marks: deque[tuple[float, float]] = deque()

    @property
    def seconds(self) -> float:
        """Running time so far."""
        now = self._clock() if self._paused is None else self._paused
        return now - self._start - self._lost

    def pause(self) -> None:
        """Stop the clock."""
        if self._paused is None:
            self._paused = self._clock()

    def resume(self) -> None:
        """Resume the clock."""
        if self._paused is not None:
            self._lost += self._clock() - self._paused
            self._paused = None

    def mark(self, done: float) -> None:
        """Note how much is done by now."""
        self._marks.append((self.seconds, done))
        while len(self._marks) > 2 and self._marks[-1][0] - self._marks[0][0] > _WINDOW:
            self._marks.popleft()

    @property
    def rate(self) -> float:
        """Work per second; 0 where it is not known yet."""
        if len(self._marks) < 2:
            return 0.0
        (before, little), (now, much) = self._marks[0], self._marks[-1]
        return (much - little) / (now - before) if now > before else 0.0

    def left(self, remaining: float) -> float | None:
        """Seconds that the rest takes at this rate; None where it is not known."""
        rate = self.rate
        return remaining / rate if rate > 0 else None
