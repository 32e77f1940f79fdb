"""How many rows run together: planned against the free memory, halved where a chunk is too large or takes too long."""

from __future__ import annotations

from dataclasses import dataclass

_FEWEST_ROWS = 16
_HELPS = 0.75


@dataclass(frozen=True)
class Limits:
    """Bounds of a chunk.

    `rows`: most rows of a chunk.
    `row_share`: share of the free memory that the rows of a chunk take at most.
    `prompt_share`: share of the free memory in which prompts are kept for later chunks.
    `packed_rows`: rows up to which samples share a chunk: with more, a batch costs as much as its rows would alone.
    `seconds`: a chunk that takes longer keeps a person at a slider waiting, so that the next ones are made smaller.
    `unit_seconds`: least and most work of a unit of a stored sweep: what is lost when a process dies, and what others
        wait for.
    """

    rows: int = 256
    row_share: float = 0.25
    prompt_share: float = 0.2
    packed_rows: int = 128
    seconds: float = 2.0
    unit_seconds: tuple[float, float] = (3.0, 60.0)

    def chunk_rows(self, row_bytes: int, free: int) -> int:
        """Rows of ``row_bytes`` each that fit into a share of ``free`` bytes, at least one."""
        return int(min(max(self.row_share * free // row_bytes, 1), self.rows))

    def kept_prompts(self, nbytes: int, free: int) -> int:
        """Prompts of ``nbytes`` that are kept in a share of ``free`` bytes, at least one."""
        return max(int(self.prompt_share * free // max(nbytes, 1)), 1)


DEFAULT = Limits()


class ChunkSize:
    """Rows of the next chunk.

    `rows`: most rows of the next chunk. `halved`: how often a chunk was halved because the GPU ran out of memory.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits, self.rows, self.halved = limits, 1, 0
        self._longer: tuple[int, float] | None = None
        self._shrinks = True

    def plan(self, row_bytes: int, free: int) -> None:
        """Fit the rows into the free memory."""
        self.rows = self.limits.chunk_rows(row_bytes, free)

    def halve(self, ran: int) -> bool:
        """Halve after a chunk of ``ran`` rows did not fit; False where one row is the least already."""
        size = min(self.rows, ran)
        if size <= 1:
            return False
        self.rows, self.halved = size // 2, self.halved + 1
        return True

    def shorten(self, ran: int, seconds: float) -> None:
        """Halve after a full chunk of ``ran`` rows took too long, as long as halving makes chunks shorter.

        The last halving is taken back, and none follows, where it saved less than a quarter of the time: the
        rest is a cost of every call whatever its rows, which smaller chunks only pay more often.
        """
        if seconds <= self.limits.seconds or ran < self.rows or ran <= _FEWEST_ROWS or not self._shrinks:
            return
        if self._longer is not None and seconds > _HELPS * self._longer[1]:
            self.rows, self._shrinks = self._longer[0], False
            return
        self._longer = (ran, seconds)
        self.rows = max(ran // 2, _FEWEST_ROWS)
