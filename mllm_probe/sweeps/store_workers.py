"""Who filled a store: hosts, their devices and processes, and the pace of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mllm_probe.typing import JsonObject


@dataclass(frozen=True)
class Worker:
    """What one host did with one kind of device.

    Attributes
    ----------
    host, device, dtype : str
    processes : int
        Processes there that finished units; one that was started again counts again.
    units, runs : int
    seconds : float
        That its units took, added up.
    last : float
        When its last unit was finished, in seconds since 1970.
    """

    host: str
    device: str
    dtype: str
    processes: int
    units: int
    runs: int
    seconds: float
    last: float

    @property
    def kind(self) -> str:
        """Type of device and of numbers, such as ``"cpu float32"``."""
        return f"{self.device} {self.dtype}"

    @property
    def rate(self) -> float:
        """Runs per second of one process while it works on a unit."""
        return self.runs / max(self.seconds, 1e-9)


def workers_of(notes: Iterable[JsonObject]) -> tuple[Worker, ...]:
    """Who computed the units that these notes are of, one entry for each host, device and type of numbers.

    `notes`: what finished units noted, as `StoreWatch.notes` gives it.
    """
    by: dict[tuple[str, str, str], list[JsonObject]] = {}
    for note in notes:
        by.setdefault((str(note["host"]), str(note["device"]), str(note["dtype"])), []).append(note)
    return tuple(_worker(key, own) for key, own in sorted(by.items()))


def kinds_of(workers: Iterable[Worker]) -> list[str]:
    """Types of device and of numbers that units were computed with, such as ``"cpu float32"``, in order."""
    return sorted({one.kind for one in workers})


def _worker(key: tuple[str, str, str], notes: Sequence[JsonObject]) -> Worker:
    return Worker(
        *key,
        processes=len({note["process"] for note in notes}),
        units=len(notes),
        runs=sum(int(note["runs"]) for note in notes),
        seconds=sum(float(note["seconds"]) for note in notes),
        last=max(float(note["written"]) for note in notes),
    )
