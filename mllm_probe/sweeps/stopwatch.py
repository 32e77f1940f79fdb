"""Time on the wall and of the processor, as probes of a sweep measure it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

_COPIED = 1 << 24


@dataclass(frozen=True)
class Seconds:
    """Time on the wall, and of the processor."""

    wall: float = 0.0
    cpu: float = 0.0

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall + other.wall, self.cpu + other.cpu)

    def __sub__(self, other: Seconds) -> Seconds:
        return Seconds(max(self.wall - other.wall, 0.0), max(self.cpu - other.cpu, 0.0))

    def __mul__(self, times: float) -> Seconds:
        return Seconds(self.wall * times, self.cpu * times)


class Stopwatch:
    """Adds up the time that is spent inside :meth:`running`."""

    def __init__(self) -> None:
        self.spent = Seconds()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time of a block."""
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.spent += Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def copying(count: int) -> Seconds:
    """Time of going once through so many bytes of memory."""
    some, watch = np.ones(min(max(count, 1), _COPIED), np.uint8), Stopwatch()
    with watch.running():
        some.copy()
    return watch.spent * (count / len(some))
