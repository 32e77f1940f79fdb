"""What the processes that are killed, frozen and interrupted run."""

from __future__ import annotations

import asyncio
import errno
import importlib
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import xarray as xr

from mllm_probe.cli import main
from mllm_probe.sweeps.stored.unit_runs import UnitRuns
from tests.faults import subject
from tests.sweeps import killed

NOBODY = 65534
"""A user who may write nothing here."""


def quiet() -> None:
    """Say nothing of Dask's log: what dies on purpose is not worth a page of it."""
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def start(target: Callable[..., None], *arguments: Any, **named: Any) -> BaseProcess:
    """A process in which everything is imported and the model is loaded."""
    return killed.forked(_warmed, target, *arguments, preload="tests.faults.warm", **named)


def _warmed(target: Callable[..., None], *arguments: Any, **named: Any) -> None:
    """Run a target where everything is imported, also where the server of processes was another test's.

    Ctrl-C is heard whatever the test's own process does with it: shells have commands in the background ignore it.
    """
    importlib.import_module("tests.faults.warm")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    target(*arguments, **named)


def fill(store: Path, report: Path, *, shard: str | None = None, death: tuple[str, int] | None = None,
         full_at: int | None = None, like: Path | None = None, nobody: bool = False) -> None:  # fmt: skip
    """Run what a store lacks, and report how that ended and, of a finished store ``like``, whether the grids are equal.

    ``death``: the file at which the process kills itself, see ``killed.at_file``; ``full_at``: from which file on the
    disk is full; ``nobody``: as a user who may write nothing.
    """
    if nobody:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    if death is not None:
        killed.at_file(store.parent, *death, killed.kill)
    if full_at is not None:
        killed.at_file(store.parent, "rename", full_at, _disk_full)
    _report(report, store, partial(subject.sweep_into, store, shard=shard), like)


def work_by_client(store: Path, report: Path, address: str) -> None:
    """Have a cluster run what a store lacks, and report how that ended."""
    from distributed import Client

    with Client(address, timeout="60s", set_as_default=False) as client:
        _report(report, store, partial(subject.sweep_into, store, client=client), None)


def schedule(address: Path, ttl: str | None) -> None:
    """Run a Dask scheduler with this ``worker-ttl``, Dask's own if None, and write its address to a file."""
    from distributed import Scheduler

    async def run() -> None:
        async with Scheduler(port=0, dashboard_address=":0", worker_ttl=ttl) as scheduler:
            _write(address, scheduler.address)
            await scheduler.finished()

    asyncio.run(run())


def work(address: str, folder: Path) -> None:
    """Run a Dask worker until it is told to end, or the scheduler is gone."""
    from distributed import Worker

    async def run() -> None:
        async with Worker(address, nthreads=1, dashboard_address=":0", local_directory=str(folder)) as worker:
            await worker.finished()

    asyncio.run(run())


def command(words: list[str], said: Path) -> None:
    """Run ``mllm-probe`` in a session of its own, as a terminal does; the workers that it starts are forked from it."""
    os.setsid()
    output = os.open(said, os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    from distributed.config import config

    config["distributed"]["worker"]["multiprocessing-method"] = "fork"
    sys.exit(main(words))


def _report(report: Path, store: Path, run: Callable[[], xr.Dataset], like: Path | None) -> None:
    noted = _noted(report.with_suffix(".began"))
    UnitRuns._run, own = noted(UnitRuns._run), UnitRuns._run  # type: ignore[method-assign]
    told: dict[str, Any] = {}
    try:
        grid = run()
        told["progress"] = grid.attrs["progress"]
        if like is not None:
            UnitRuns._run = own  # type: ignore[method-assign]
            told["equal"] = grid.drop_attrs().identical(subject.sweep_into(like).drop_attrs())
    except BaseException as error:
        told["error"], told["text"] = type(error).__name__, str(error)
    _write(report, json.dumps(told | {"store": str(store)}))


def _noted(file: Path) -> Callable[[Any], Any]:
    """Note the name of each unit that a process begins."""

    def around(run: Any) -> Any:
        def noted(self: UnitRuns, unit: Any) -> Any:
            with file.open("a") as notes:
                notes.write(f"{unit.name}\n")
            return run(self, unit)

        return noted

    return around


def _disk_full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _write(file: Path, text: str) -> None:
    """Whole or not at all: somebody waits for it."""
    partial_file = file.with_suffix(".partial")
    partial_file.write_text(text)
    partial_file.rename(file)


def write_files(folder: Path, when: str) -> None:
    """Write three files, and die at the second."""
    killed.at_file(folder, when, 2, killed.kill)
    for number in range(3):
        file = folder / f"{number}.partial"
        file.write_bytes(b"0123456789")
        os.replace(file, file.with_suffix(".done"))
