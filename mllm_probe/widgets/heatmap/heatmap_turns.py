"""When a map that fills is drawn again: at most so many times a second, fewer where drawing takes long."""

from __future__ import annotations

SHORTEST = 0.05
SHARE_OF_TIME = 0.2


class Turns:
    """Turns to draw, given the seconds at which something new came and what drawing it took.

    A turn that comes a little early is taken, and the next one waits for as much longer: a source that is as fast
    as may be drawn, with some jitter, is drawn every time.

    Parameters
    ----------
    shortest : float
        Seconds from one turn to the next, on average.
    share : float
        The largest share of the time that drawing may take.
    """

    def __init__(self, shortest: float = SHORTEST, share: float = SHARE_OF_TIME) -> None:
        self._shortest, self._share = shortest, share
        self._due = float("-inf")

    def come(self, now: float) -> bool:
        """Whether it may be drawn now."""
        return now >= self._due

    def left(self, now: float) -> float:
        """Seconds until it may be drawn."""
        return max(0.0, self._due - now)

    def took(self, start: float, seconds: float) -> None:
        """Note a drawing that began at ``start``."""
        early = start - self._shortest / 2
        self._due = max(self._due, early) + max(self._shortest, seconds / self._share)
