"""Dask workers that die or are frozen, a scheduler that dies, and shards beside a cluster."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from distributed import Client

from mllm_probe.sweeps.api import Grids
from tests.faults import subject
from tests.faults.children import fill, schedule, start, work, work_by_client
from tests.faults.judging import (
    PATIENCE,
    ended,
    report_of,
    require_error,
    require_readable,
    require_sound,
    require_whole,
    wait_for,
    wait_for_units,
)
from tests.faults.tally import Setting, Tally, promise

WORKERS = 3
TTL = "20s"
"""Of workers that are silent, in the full form; Dask's own default is 5 minutes."""


@dataclass(frozen=True)
class OneCluster:
    """A scheduler and workers, each a process of its own."""

    address: str
    scheduler: BaseProcess
    workers: dict[int, BaseProcess]

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client that sees all workers."""
        with Client(self.address, timeout="120s", set_as_default=False) as client:
            client.wait_for_workers(len(self.workers), timeout=PATIENCE)
            yield client


@contextmanager
def cluster(folder: Path, ttl: str | None = None) -> Iterator[OneCluster]:
    """A cluster that is gone at the end, whatever is left of it."""
    folder.mkdir()
    processes = [scheduler := start(schedule, folder / "address", ttl)]
    try:
        wait_for((folder / "address").exists, "a scheduler")
        address = (folder / "address").read_text()
        workers = [start(work, address, folder) for _ in range(WORKERS)]
        processes += workers
        yield OneCluster(address, scheduler, {worker.pid: worker for worker in workers if worker.pid})
    finally:
        for process in processes:
            process.kill()
            process.join()


def _step(setting: Setting) -> int:
    """After how many steps something happens: the first one may be anything, and some are left."""
    return setting.dice.randint(1, setting.whole.units // 2)


@promise("one of three Dask workers, SIGKILL, nothing run again by hand: bit for bit equal", short=0, quick=1, full=20)
def killed_worker(setting: Setting, tally: Tally, tries: int) -> None:
    """While the client waits for the grid."""
    for number in range(tries):
        store = setting.folder / f"{number}.zarr"
        with tally.attempt(f"kill {number}"), cluster(setting.folder / f"{number}") as there, there.client() as client:
            grids = subject.grids_into(store, client=client)
            for _ in range(_step(setting)):
                next(grids)
            before = subject.markers(store)
            os.kill(setting.dice.choice(sorted(there.workers)), signal.SIGKILL)
            tally.lost["kills"] += 1
            assert grids.finish().attrs["progress"] == 1
            require_whole(setting, store, before)


async def _remove(dask_scheduler: Any, address: str) -> None:
    """What the scheduler does with a worker that was silent for too long."""
    await dask_scheduler.remove_worker(address, stimulus_id="frozen")


def _freeze(client: Client, there: OneCluster, grids: Grids) -> tuple[int, str]:
    """Stop a worker that has a unit; its process and its address.

    Nothing is submitted while this process looks, and workers may finish all that they have meanwhile: then the sweep
    goes on by a step, and it is looked again.
    """
    addresses = client.run(os.getpid)
    for _ in grids:
        for pid in addresses.values():
            os.kill(pid, signal.SIGSTOP)
        busy = next((address for address, units in client.processing().items() if units), None)
        for address, pid in addresses.items():
            if address != busy:
                os.kill(pid, signal.SIGCONT)
        if busy is not None:
            return addresses[busy], busy
    raise AssertionError("no worker had a unit after any step")


@promise("a Dask worker frozen until others had its unit, then woken: no damage", short=1, quick=2, full=6)
def frozen_worker(setting: Setting, tally: Tally, tries: int) -> None:
    """Taken for dead by ``worker-ttl`` in every second try of the full form, else at once."""
    for number in range(tries):
        store, silent = setting.folder / f"{number}.zarr", setting.form == "full" and number % 2 == 1
        with (
            tally.attempt(f"freeze {number}"),
            cluster(setting.folder / f"{number}", TTL if silent else None) as there,
            there.client() as client,
        ):
            grids = subject.grids_into(store, client=client)
            for _ in range(_step(setting)):
                next(grids)
            frozen, address = _freeze(client, there, grids)
            if not silent:
                client.run_on_scheduler(_remove, address=address)
            assert grids.finish().attrs["progress"] == 1
            before = subject.markers(store)
            require_whole(setting, store)
            os.kill(frozen, signal.SIGCONT)
            there.workers[frozen].join(PATIENCE)
            assert there.workers[frozen].exitcode is not None, "the worker that was woken stays for ever"
            tally.lost["units computed twice at most"] += 1
            require_whole(setting, store, before)
            require_sound(setting, store)


@promise("the Dask scheduler, SIGKILL: told what to do; goes on elsewhere, bit for bit equal", short=1, quick=2, full=6)
def killed_scheduler(setting: Setting, tally: Tally, tries: int) -> None:
    """Goes on with a new cluster or in one process, in turns."""
    for number in range(tries):
        store, after = setting.folder / f"{number}.zarr", _step(setting)
        first, second = (store.with_suffix(f".{name}.json") for name in ("first", "second"))
        with tally.attempt(f"kill {number}"):
            with cluster(setting.folder / f"{number}") as there:
                process = start(work_by_client, store, first, there.address)
                wait_for_units(store, after, lambda process=process: not process.is_alive())
                there.scheduler.kill()
                tally.lost["kills"] += 1
                ended(process)
                told = report_of(first)
                require_error(
                    told, ("ConnectionError",), str(store.resolve()), "Run the same call again", "without client="
                )
                for worker in there.workers.values():
                    worker.join(PATIENCE)
                    assert worker.exitcode is not None, "a worker without a scheduler stays for ever"
            before = subject.markers(store)
            require_readable(setting, store)
            if number % 2:
                with cluster(setting.folder / f"{number}-again") as new:
                    ended(start(work_by_client, store, second, new.address))
            else:
                ended(start(fill, store, second))
            assert report_of(second).get("progress") == 1, report_of(second)
            require_whole(setting, store, before)


@promise("two shards and a Dask cluster fill one store at the same time: bit for bit equal", short=1, quick=1, full=5)
def filled_together(setting: Setting, tally: Tally, tries: int) -> None:
    """All of them begin it at once, and the cluster has the whole of it to do."""
    for number in range(tries):
        store = setting.folder / f"{number}.zarr"
        with tally.attempt(f"store {number}"), cluster(setting.folder / f"{number}") as there, there.client() as client:
            reports = [store.with_suffix(f".{shard}.json") for shard in (1, 2)]
            shards = [start(fill, store, report, shard=f"{k}/2") for k, report in enumerate(reports, start=1)]
            assert subject.sweep_into(store, client=client).attrs["progress"] == 1
            for process in shards:
                ended(process)
            errors = [report_of(report) for report in reports if "error" in report_of(report)]
            assert not errors, errors
            require_whole(setting, store)
            hosts = len(subject.markers(store))
            tally.lost["units by three writers"] += hosts
