"""Seconds and peak memory: CPU time on the CPU, synchronised wall time on CUDA; sides take turns."""

from __future__ import annotations

import ctypes
import gc
import json
import math
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
MEMORY_LINE = "peak_memory_bytes="


@dataclass(frozen=True)
class Timing:
    """Seconds of one side.

    Attributes
    ----------
    samples : tuple of float
        One per round.
    note : str
        What was scaled, empty where the whole work was timed.
    """

    samples: tuple[float, ...]
    note: str = ""

    @property
    def median(self) -> float:
        """Median of the rounds."""
        return statistics.median(self.samples)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Lower and upper quartile; the only sample twice where there is one."""
        if len(self.samples) == 1:
            return self.samples[0], self.samples[0]
        first, _, third = statistics.quantiles(self.samples, n=4, method="inclusive")
        return first, third

    def __str__(self) -> str:
        low, high = self.quartiles
        return f"{self.median:.3g} ({low:.3g} – {high:.3g})"


def seconds(job: Callable[[], object], device: str = "cpu") -> float:
    """CPU seconds of this process on the CPU; wall seconds until the GPU has finished on CUDA."""
    if device == "cpu":
        start = time.process_time()
        job()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    job()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def timer(job: Callable[[], object], device: str) -> Callable[[int], float]:
    """A job for :func:`in_turns` that does the same in every round."""
    return lambda _: seconds(job, device)


def in_turns(jobs: dict[str, Callable[[int], float]], rounds: int) -> dict[str, list[float]]:
    """Run every job once per round, in alternating order.

    Parameters
    ----------
    jobs : dict of str to callable
        Take the number of the round and give seconds.
    rounds : int
    """
    timings: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(rounds):
        for name in list(jobs)[:: 1 if number % 2 == 0 else -1]:
            gc.collect()
            timings[name].append(jobs[name](number))
    return timings


def exponent(amounts: Sequence[float], values: Sequence[float]) -> float:
    """Slope of log value over log amount by least squares."""
    x, y = [math.log(a) for a in amounts], [math.log(max(v, 1e-12)) for v in values]
    return statistics.linear_regression(x, y).slope


def peak_memory(job: Callable[[], object], device: str = "cpu") -> int:
    """Bytes by which memory grows at most while ``job`` runs; on the CPU only meaningful in a process of its own."""
    gc.collect()
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        job()
        return torch.cuda.max_memory_allocated() - before
    _give_back_freed()
    before = _reset_peak()
    job()
    return max(_peak() - before, 0)


def peak_of_child(script: str, arguments: Sequence[str]) -> int:
    """Peak memory that a script prints when it is run with ``arguments`` in a process of its own.

    Raises
    ------
    RuntimeError
        With what the script wrote, if it failed.
    """
    done = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith(MEMORY_LINE)]
    if done.returncode or not lines:
        raise RuntimeError(f"{Path(script).name} {' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
    return int(json.loads(lines[-1].removeprefix(MEMORY_LINE)))


def _give_back_freed() -> None:
    """Let the allocator return what was freed, so that it is not taken for growth that did not happen."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


def _reset_peak() -> int:
    """Resident bytes now. Linux forgets the peak so far; elsewhere it is the peak so far that later ones are above."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return _peak()
    return psutil.Process().memory_info().rss


def _peak() -> int:
    if _STATUS.is_file():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
