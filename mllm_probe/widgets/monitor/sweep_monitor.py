"""SweepMonitor: how far a sweep is, how fast it goes, and the buttons that pause, resume and stop it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import psutil
import torch
import traitlets
import xarray as xr

from mllm_probe.activations.device_memory import free_bytes
from mllm_probe.sweeps import StoreProgress
from mllm_probe.sweeps.engine import Engine
from mllm_probe.sweeps.stored.sweep_store import Worker, duration_text
from mllm_probe.typing import Traits
from mllm_probe.widgets.base.probe_widget import ProbeWidget, bundle, sentence
from mllm_probe.widgets.monitor.sources import LocalSweep, Pace, RemoteSweep

logger = logging.getLogger(__name__)

Source: TypeAlias = Engine | Iterable[xr.Dataset] | str | Path
"""A sweep that runs here, or the store of one that runs elsewhere."""
STATES = ("idle", "running", "pausing", "paused", "finished", "cancelled", "error")
POLL = 1.0
_SHORTEST_UPDATE = 0.1
_SILENT = 60.0
_ELSEWHERE = "This sweep runs in another process; it is paused and stopped there."
_STOPPED = "What was measured stays."
_RESUMES = "Resume runs what is missing."
_STORED = "The store keeps it too: run with the same settings, a sweep goes on from it."


class SweepMonitor(ProbeWidget):
    """Progress, rate, time left and memory of a sweep, with pause, resume and stop.

    Parameters
    ----------
    source : Engine, iterable of xarray.Dataset, str or Path, optional
        What `mllm_probe.sweep_iter` gives, or a sweep's engine: it is driven in a background thread, and this returns
        at once. Or the ``store=`` of a sweep that another process fills: it is looked at every second.

    Attributes
    ----------
    source : LocalSweep, RemoteSweep or None
        Source that is driven or watched; None before the first one, and after `close`.
    status : str
        ``"idle"``, ``"running"``, ``"pausing"`` (the current step is finished first), ``"paused"``, ``"finished"``,
        ``"cancelled"`` or ``"error"``; ``message`` holds the error.
    done, total : int
        Steered runs; 0 where the source does not count them.
    progress : float
        Share of the work that is done, 0 … 1.
    rate : float
        Runs per second over the last half minute of running time; where runs are not counted, share per second.
    seconds : float
        Running time, pauses left out.
    seconds_left : float or None
    memory, memory_free : int
        Bytes that this process holds on the model's device, and free bytes there; 0 for a store.
    controllable : bool
        Whether it can be paused and stopped here.
    resumable : bool
        Whether it was stopped and can go on here, with what is missing.
    workers : list of dict
        Who computed what the sweep's store holds: ``host``, ``device``, ``dtype``, ``processes``, ``runs``, ``rate``
        (runs per second of one process), ``silent`` (seconds since its last unit). Empty without a store.
    note : str
        What else there is to know.

    Examples
    --------
    >>> monitor = mp.SweepMonitor(mp.sweep_iter(model, vectors, pictures))
    >>> heatmap = mp.LayerConceptHeatmap(monitor)  # shows the grid as it fills
    """

    _esm = bundle("sweep_monitor")
    done_status = "finished"

    status = traitlets.Enum(STATES, "idle").tag(sync=True)
    done = traitlets.Int(0).tag(sync=True)
    total = traitlets.Int(0).tag(sync=True)
    progress = traitlets.Float(0.0).tag(sync=True)
    rate = traitlets.Float(0.0).tag(sync=True)
    seconds = traitlets.Float(0.0).tag(sync=True)
    seconds_left = traitlets.Float(None, allow_none=True).tag(sync=True)
    memory = traitlets.Int(0).tag(sync=True)
    memory_free = traitlets.Int(0).tag(sync=True)
    controllable = traitlets.Bool(False).tag(sync=True)
    resumable = traitlets.Bool(False).tag(sync=True)
    workers = traitlets.List(traitlets.Dict()).tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)
    turn = traitlets.Int(0, help="Number of the sweep that is monitored; not for the front-end.")

    def __init__(self, source: Source | None = None, **traits: object) -> None:
        self.changed = threading.Condition()
        self.version, self.over, self.stopped = 0, False, False
        self.source: LocalSweep | RemoteSweep | None = None
        self._paused = self._closed = self._begun = False
        super().__init__(**traits)
        if source is not None:
            self.watch(source)

    @property
    def grid(self) -> xr.Dataset | None:
        """The grid as far as it has come; None before there is one. Of a store, it is read when it is used."""
        source = self.source
        return None if source is None else source.grid

    def __iter__(self) -> GridUpdates:
        """Give the newest grid whenever there is a newer one, until the sweep ends; for a heatmap."""
        return GridUpdates(self)

    def watch(self, source: Source) -> SweepMonitor:
        """Monitor another sweep; the current one is stopped. Returns at once.

        A heatmap that watches this monitor follows.
        """
        self._begin(RemoteSweep(source) if isinstance(source, (str, Path)) else LocalSweep(source))
        return self

    def _begin(self, source: LocalSweep | RemoteSweep) -> None:
        with self.changed:
            self.source, self._paused, self._begun = source, False, False
            self.version, self.over, self.stopped = 0, False, False
            self.changed.notify_all()
        self._worker.submit(lambda cancelled: self._follow(source, cancelled), leave=lambda: self._leave(source))
        self.turn += 1

    def pause(self) -> None:
        """Finish the current step, then wait; other jobs can use the model meanwhile.

        Raises
        ------
        RuntimeError
            If the sweep runs in another process.
        """
        self._require_local()
        with self.changed:
            if self.status != "running":
                return
            self._paused = True
            self.publish(status="pausing")

    def resume(self) -> None:
        """Resume the paused sweep, or one that was stopped: what was measured stays, and what is missing is run.

        Nothing happens where there is nothing to resume, see ``resumable``.

        Raises
        ------
        RuntimeError
            If the sweep runs in another process.
        """
        self._require_local()
        with self.changed:
            if self.status in ("pausing", "paused"):
                self._paused = False
                self.publish(status="running")
                self.changed.notify_all()
                return
            source = self.source if self.resumable else None
        if isinstance(source, LocalSweep):
            self._begin(source.rest())

    def stop(self) -> None:
        """End the sweep: the current step is abandoned, finished results are kept.

        Raises
        ------
        RuntimeError
            If the sweep runs in another process.
        """
        self._require_local()
        self._worker.cancel()

    def wait_until_free(self, timeout: float | None = None) -> bool:
        """Wait until no sweep runs, whatever came of it; False when ``timeout`` seconds passed first."""
        self._worker.lock = None if self.source is None or self.status == "paused" else self.source.lock
        return super().wait_until_free(timeout)

    def close(self) -> None:
        """Stop a sweep that runs here, end the thread and remove the widget."""
        if "source" in self.__dict__:
            with self.changed:
                self.over = self._closed = True
                self.changed.notify_all()
        super().close()
        self.source = None

    def _leave(self, source: LocalSweep | RemoteSweep) -> None:
        """End the current step, or the pause, of a cancelled sweep; one that has not begun will not."""
        if isinstance(source, LocalSweep):
            source.stop()
        with self.changed:
            dropped = self.source is source and not self._begun
            if dropped:
                self.over = self.stopped = True
            self.changed.notify_all()
        if dropped:
            self.publish(**_stopped(source))

    def _require_local(self) -> None:
        if isinstance(self.source, RemoteSweep):
            raise RuntimeError(_ELSEWHERE)

    _acts = {
        "pause": lambda monitor, _content, _buffers: monitor.pause(),
        "resume": lambda monitor, _content, _buffers: monitor.resume(),
        "stop": lambda monitor, _content, _buffers: monitor.stop(),
    }

    def _follow(self, source: LocalSweep | RemoteSweep, cancelled: threading.Event) -> None:
        """Run to the end, and say how it ended."""
        with self.changed:
            self._begun = self._begun or self.source is source
        local = isinstance(source, LocalSweep)
        done, share = (source.done, source.share) if isinstance(source, LocalSweep) else (0, 0.0)
        fresh: Traits = {"done": done, "progress": share, "workers": [], "rate": 0.0, "resumable": False}
        fresh |= {"seconds": 0.0, "seconds_left": None, "memory": 0}
        self.publish(status="running", message="", note="" if local else _ELSEWHERE, controllable=local, **fresh)
        try:
            outcome = (
                self._drive(source, cancelled) if isinstance(source, LocalSweep) else self._look(source, cancelled)
            )
        except Exception as error:
            logger.exception("the sweep of a monitor failed")
            outcome = {"status": "error", "message": sentence(error)}
        with self.changed:
            self.over, self.stopped = self.source is source or self._closed, outcome["status"] == "cancelled"
            self.changed.notify_all()
        self.publish(controllable=False, **outcome)

    def _drive(self, source: LocalSweep, cancelled: threading.Event) -> Traits:
        pace, again, looked = Pace(), 0.0, 0.0
        try:
            while not cancelled.is_set() and source.step():
                self._renewed(source)
                pace.mark(source.done if source.total else source.share)
                if (now := time.monotonic()) >= again or self._paused:
                    self.publish(**self._measured(source, pace))
                    again = now + _SHORTEST_UPDATE
                if now >= looked:  # markers are files: they are not read with every step
                    self.publish(workers=_worker_traits(source.workers()))
                    looked = now + POLL
                self._rest(pace, cancelled)
            ended = _stopped(source) if source.share < 1 else {"status": "finished"}
            workers = _worker_traits(source.workers())
            return self._measured(source, pace) | {"seconds_left": None, "workers": workers} | ended
        finally:
            source.close()

    def _renewed(self, source: LocalSweep | RemoteSweep) -> None:
        """Say that there is a newer grid, unless it is of a sweep that was left meanwhile."""
        with self.changed:
            if self.source is source:
                self.version += 1
                self.changed.notify_all()

    def _rest(self, pace: Pace, cancelled: threading.Event) -> None:
        """While it is paused, wait; nothing is held meanwhile."""
        with self.changed:
            if not self._paused or cancelled.is_set():
                return
            pace.pause()
            self.publish(status="paused", seconds=pace.seconds)
            self.changed.wait_for(lambda: not self._paused or cancelled.is_set())
            pace.resume()

    def _measured(self, source: LocalSweep, pace: Pace) -> Traits:
        remaining = source.total - source.done if source.total else 1 - source.share
        return {
            "done": source.done,
            "total": source.total,
            "progress": source.share,
            "rate": pace.rate,
            "seconds": pace.seconds,
            "seconds_left": pace.left(remaining),
            "memory": _held(source.device),
            "memory_free": free_bytes(source.device),
        }

    def _look(self, source: RemoteSweep, cancelled: threading.Event) -> Traits:
        """Look at a store until it is finished, or this widget turns to something else."""
        seen = None
        while True:
            state = source.read()
            if state is not None:
                self.publish(**_read(state), workers=_worker_traits(source.workers()))
                if state.updated != seen:
                    self._renewed(source)
                seen = state.updated
                if state.finished:
                    return {"status": "finished", "note": "Filled by another process."}
            else:
                self.publish(note=f"There is no store at {source.path} yet; waiting for it. {_ELSEWHERE}")
            if cancelled.wait(POLL):
                return {"status": "cancelled"}

    def _summary(self) -> str:
        runs = f"{self.done} of {self.total} runs" if self.total else f"{self.progress:.0%}"
        return f"{runs}, {self.status}"


class GridUpdates(Iterator[xr.Dataset]):
    """The newest grid of a monitor, whenever there is a newer one, until its sweep ends or it turns to another.

    `close` ends it from any thread.
    """

    def __init__(self, monitor: SweepMonitor) -> None:
        self._monitor, self._seen, self._closed = monitor, 0, False
        self._source = monitor.source

    @property
    def stopped_at(self) -> float | None:
        """Share of its sweep that was done when that was stopped; None where it was not."""
        source = self._source
        if not self._monitor.stopped or self._turned():
            return None
        return source.share if isinstance(source, LocalSweep) else self._monitor.progress

    def __next__(self) -> xr.Dataset:
        monitor = self._monitor
        with monitor.changed:
            monitor.changed.wait_for(lambda: self._ended() or monitor.version > self._seen)
            if self._closed or self._turned() or monitor.version == self._seen:
                raise StopIteration
            self._seen = monitor.version
        grid = monitor.grid
        if grid is None:
            raise StopIteration
        return grid

    def _turned(self) -> bool:
        """Whether the monitor has turned to another sweep; its first is waited for."""
        if self._source is None:
            self._source = self._monitor.source
        return self._source is not self._monitor.source

    def _ended(self) -> bool:
        return self._closed or self._monitor.over or self._turned()

    def close(self) -> None:
        """Give no further grid; the sweep goes on."""
        with self._monitor.changed:
            self._closed = True
            self._monitor.changed.notify_all()


def _stopped(source: LocalSweep | RemoteSweep) -> Traits:
    """Message about a sweep that was stopped, and what can be done about it."""
    if isinstance(source, RemoteSweep):
        return {"status": "cancelled"}
    note = " ".join([_STOPPED, *[_RESUMES] * source.resumable, *[_STORED] * source.stored])
    return {"note": note, "resumable": source.resumable, "status": "cancelled"}


def _held(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    return int(psutil.Process().memory_info().rss)


def _worker_traits(workers: Iterable[Worker]) -> list[Traits]:
    """Workers as the front-end takes them."""
    now = time.time()
    names = ("host", "device", "dtype", "processes", "runs", "rate")
    return [
        {name: getattr(worker, name) for name in names} | {"silent": max(0.0, now - worker.last)} for worker in workers
    ]


def _read(state: StoreProgress) -> Traits:
    silent = time.time() - state.updated
    note = _ELSEWHERE
    if silent > _SILENT and not state.finished:
        note = f"Nothing was written for {duration_text(silent)}: the sweep was stopped, or is at work on a long step."
    remaining = state.total - state.done
    return {
        "done": state.done,
        "total": state.total,
        "progress": state.done / state.total if state.total else 1.0,
        "rate": state.rate,
        "seconds": state.seconds,
        "seconds_left": remaining / state.rate if state.rate > 0 and not state.finished else None,
        "note": note,
    }
