"""Sources of progress, driven here or filled elsewhere, with their rate and remaining time."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
import xarray as xr

from mllm_probe.models.probe_model import ModelLock
from mllm_probe.sweeps import StoreProgress, open_grid
from mllm_probe.sweeps.engine import Engine
from mllm_probe.sweeps.stored.store_progress import StoreWatch
from mllm_probe.sweeps.stored.sweep_store import Worker


class LocalSweep:
    """A sweep that runs in this process, step by step in the thread that calls `step`.

    `source`: an engine, what `mllm_probe.sweep_iter` gives, or other grids that say their ``progress``.
    """

    def __init__(self, source: Engine | Iterable[xr.Dataset]) -> None:
        if not isinstance(source, (Engine, Iterable)):
            raise TypeError(
                "expected what mp.sweep_iter gives, an iterable of grids, or the path of a sweep's store; got "
                f"{type(source).__name__}."
            )
        self._source = source
        self._is_engine = isinstance(source, Engine)
        self._engine: Engine | None = source if isinstance(source, Engine) else getattr(source, "engine", None)
        self._iterator: Any = source.run() if isinstance(source, Engine) else iter(source)
        self._grid: xr.Dataset | None = None
        self._watch: StoreWatch | None = None
        self._ended = self._closed = False
        self.total = 0 if self._engine is None else int(self._engine.total)
        self.lock: ModelLock | None = None if self._engine is None else self._engine.job.model.lock

    @property
    def resumable(self) -> bool:
        """Whether `rest` can be asked for once it was stopped."""
        return self._is_engine or bool(getattr(self._source, "can_go_on", False))

    def rest(self) -> LocalSweep:
        """The same sweep, which goes on with what is missing."""
        source: Any = self._source
        if self._is_engine:
            source.resume()
        remaining = LocalSweep(source if self._is_engine else source.rest())
        remaining._grid = self._grid
        return remaining

    @property
    def stored(self) -> bool:
        """Whether the sweep has a store."""
        return self._engine is not None and self._engine.store is not None

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return torch.device("cpu") if self._engine is None else torch.device(self._engine.job.model.device)

    @property
    def done(self) -> int:
        """Runs that are done; 0 where the source does not count them."""
        return 0 if self._engine is None else int(self._engine.done)

    @property
    def share(self) -> float:
        """Share of the work that is done, 0 … 1."""
        if self._engine is not None:
            return self.done / self.total if self.total else float(self._engine.grid.progress)
        if self._ended:
            return 1.0
        return 0.0 if self._grid is None else float(self._grid.attrs.get("progress", 0.0))

    @property
    def grid(self) -> xr.Dataset | None:
        """The grid as far as it has come."""
        return self._engine.dataset() if self._is_engine and self._engine is not None else self._grid

    def workers(self) -> tuple[Worker, ...]:
        """Who computed what the sweep's store holds; empty without a store."""
        if self._watch is None and self._engine is not None and self._engine.store is not None:
            with contextlib.suppress(FileNotFoundError):
                self._watch = StoreWatch(self._engine.store)
        return () if self._watch is None else self._watch.workers()

    def step(self) -> bool:
        """Take one step; False when there is none left."""
        try:
            result = next(self._iterator)
        except StopIteration:
            self._ended = True
            return False
        if not self._is_engine:
            self._grid = result
        return True

    def stop(self) -> None:
        """Abandon the current step as soon as the source allows it; callable from any thread.

        Once this is closed, its engine may be at work on the rest for another one.
        """
        if self._engine is not None and not self._closed:
            self._engine.stop()

    def close(self) -> None:
        """End the iterator; for the thread that calls `step`."""
        self.stop()
        with contextlib.suppress(AttributeError):
            self._iterator.close()
        self._closed = True


class RemoteSweep:
    """A store that another process fills, or has filled."""

    lock = None

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self._watch: StoreWatch | None = None

    def read(self) -> StoreProgress | None:
        """Progress; None while there is no store yet."""
        try:
            self._watch = self._watch or StoreWatch(self.path)
        except FileNotFoundError:
            return None
        return self._watch.read()

    def workers(self) -> tuple[Worker, ...]:
        """Who computed what the store holds."""
        return () if self._watch is None else self._watch.workers()

    @property
    def grid(self) -> xr.Dataset | None:
        """The grid as far as it has come, read when it is used."""
        return open_grid(self.path) if self.read() is not None else None


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
