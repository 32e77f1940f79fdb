"""How far a store has come, by whom, and what of it is damaged."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from mllm_probe.sweeps.readable_sizes import duration_text
from mllm_probe.sweeps.store_progress import StoreProgress, StoreWatch
from mllm_probe.sweeps.store_workers import Worker, kinds_of
from mllm_probe.typing import JsonObject


@dataclass(frozen=True)
class StoreStatus:
    """Progress of a store, who made it, and its damaged units.

    Attributes
    ----------
    path : str
    progress : StoreProgress
    workers : tuple of Worker
    damaged : dict of str to str or None
        What is wrong with each damaged unit, all of which were given back; None where nothing was checked.
    """

    path: str
    progress: StoreProgress
    workers: tuple[Worker, ...]
    damaged: dict[str, str] | None

    @property
    def seconds_left(self) -> float | None:
        """Time left at the rate of the last units; None where there is no rate yet."""
        left = self.progress.total - self.progress.done
        return left / self.progress.rate if self.progress.rate else (0.0 if self.progress.finished else None)

    def plain(self) -> JsonObject:
        """As JSON keeps it."""
        return asdict(self) | {"seconds_left": self.seconds_left}

    def __str__(self) -> str:
        told = self.progress
        known = self.seconds_left
        left = "" if told.finished else f", {'unknown time' if known is None else duration_text(known)} left"
        rate = f"{told.rate:,.1f} runs per second" if told.rate else "no rate yet"
        lines = [
            f"{self.path}: {told.units_done:,} of {told.units:,} units, {told.done:,} of {told.total:,} runs "
            f"({told.done / max(told.total, 1):.0%}), {rate}{left}"
        ]
        kinds = kinds_of(self.workers)
        if len(kinds) > 1:
            lines.append(f"  mixed: its units were computed with {' and '.join(kinds)}")
        for one in self.workers:
            ago = duration_text(max(time.time() - one.last, 0))
            lines.append(
                f"  {one.host}, {one.kind}, {one.processes} process{'es' * (one.processes > 1)}: "
                f"{one.units:,} units, {one.runs:,} runs, {one.rate:,.1f} per second of each, last {ago} ago"
            )
        if self.damaged is not None:
            lines.append("every checksum is right" if not self.damaged else f"{len(self.damaged)} damaged, given back:")
            lines += [f"  unit {name}: {what}" for name, what in self.damaged.items()]
        return "\n".join(lines)


def store_status(path: str | Path, *, check: bool = False) -> StoreStatus:
    """How far a store has come; safe while processes fill it.

    Parameters
    ----------
    path : str or Path
        Of a sweep or of patch.
    check : bool
        Read every checksum, and give damaged units back: whoever fills the store next computes them again.

    Raises
    ------
    FileNotFoundError
        If there is no store yet.
    ValueError
        If something else is there, or a marker is damaged and ``check`` is off.
    """
    watch = StoreWatch(path)
    damaged = watch.mend() if check else None
    return StoreStatus(str(path), watch.read(), watch.workers(), damaged)
