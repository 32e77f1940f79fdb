"""Units of a stored sweep as tasks of a Dask cluster: Dask decides who computes which, the store keeps what is done."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from mllm_probe.sweeps.filling import Named

DaskClient: TypeAlias = Any
"""A ``dask.distributed.Client``; Dask is an extra."""

OneUnit = TypeVar("OneUnit", bound=Named)
_AHEAD = 2
"""Units per thread of the cluster that wait with the scheduler: whoever pauses waits for no more than these."""
_RETRIES = 2
_TOKEN = "token"
"""File in a folder, by which workers show that they see it."""


def require_client(client: object) -> None:
    """Raise a TypeError unless it is a client of a Dask cluster, or None."""
    if client is None or (hasattr(client, "submit") and hasattr(client, "nthreads")):
        return
    raise TypeError(
        f"client: expected a dask.distributed.Client, such as Client('tcp://…'); got {type(client).__name__}. Install "
        "it with: pip install 'mllm-probe[dask]'."
    )


@dataclass(frozen=True)
class Cluster:
    """A Dask cluster that runs units.

    `task`: takes the address of a store and the name of a unit, and runs it where it is called. `leave`: takes the
    address of a store, and waits until it is left where it is called.
    """

    client: DaskClient
    task: Callable[[str, str], None]
    leave: Callable[[str], Awaitable[None]]

    def shared_folder(self) -> tempfile.TemporaryDirectory[str]:
        """A new folder that every worker was seen to write to: beside their own, or where Dask is told to.

        Raises ValueError if there is none.
        """
        tried = self._folders()
        for folder in tried:
            try:
                made = tempfile.TemporaryDirectory(prefix="mllm-probe-", dir=folder, ignore_cleanup_errors=True)
            except OSError:
                continue
            token = uuid.uuid4().hex
            Path(made.name, _TOKEN).write_text(token)
            seen = self.client.run(_answer, made.name, token)
            if seen and all(Path(made.name, name or _TOKEN + "?").is_file() for name in seen.values()):
                return made
            made.cleanup()
        raise ValueError(
            "client: workers write what they compute to a store, and no folder for a temporary one is seen by this "
            f"process and by all workers (tried {', '.join(tried) or 'none'}). Give store=, a path or an address that "
            "they all see, or set Dask's temporary-directory to one."
        )

    def forget(self, store: str) -> None:
        """Wait until no worker writes to a store any more."""
        self.client.run(self.leave, store, on_error="ignore")

    def _folders(self) -> list[str]:
        """Folders in which one that all share may be made."""
        import dask

        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        own = [os.path.dirname(one["local_directory"]) for one in workers if one.get("local_directory")]
        told = dask.config.get("temporary-directory", None)
        return list(dict.fromkeys([*([str(told)] if told else []), *own]))

    def run(
        self,
        store: str,
        missing: Sequence[OneUnit],
        *,
        load: Callable[[OneUnit], int],
        stopped: Callable[[], bool],
    ) -> Iterator[int]:
        """Have units run, in their order, and read each when it is done.

        A task takes the names of its store and its unit and returns nothing: arrays go through the store alone. A unit
        whose worker dies is run elsewhere.

        `store`: address of the store, as the workers see it. `load`: reads a unit that was finished, and returns its
        runs. `stopped`: whether to end. Yields: runs of each unit. Raises ConnectionError if the scheduler is gone, or
        took the units back. Raises Exception: what a worker raised, such as an error of the disk.
        """
        from distributed import as_completed
        from distributed.comm import CommClosedError

        left, units, running = deque(missing), dict[Any, OneUnit](), as_completed(loop=self.client.loop)
        try:
            while (left or units) and not stopped():
                with self._answering(store):
                    while left and len(units) < _AHEAD * max(1, sum(self.client.nthreads().values())):
                        # A few units ahead of the workers, so that stopping leaves little to take back. Not `pure`:
                        # Dask names pure tasks by their arguments, and a unit that was given back would count as
                        # computed.
                        unit = left.popleft()
                        future = self.client.submit(
                            self.task, store, unit.name, pure=False, retries=_RETRIES, priority=-unit.part
                        )
                        units[future] = unit
                        running.add(future)
                future = next(running)
                if future.cancelled():  # its own error is one that ``except Exception`` does not catch
                    raise self._lost(store, "it took back the units that it was given")
                try:
                    future.result()
                except CommClosedError as error:
                    raise self._lost(store, f"the connection to it is closed ({error})") from error
                yield load(units.pop(future))
        finally:
            with suppress(Exception):  # a scheduler that is gone has nothing to take back
                self.client.cancel(list(units))

    @contextmanager
    def _answering(self, store: str) -> Iterator[None]:
        """Say what to do where the scheduler does not answer."""
        try:
            yield
        except Exception as error:  # Dask raises several kinds, some of them its own
            raise self._lost(store, f"it does not answer ({type(error).__name__}: {error})") from error

    def _lost(self, store: str, what: str) -> ConnectionError:
        return ConnectionError(
            f"the scheduler of the cluster is gone: {what}. What its workers finished is in the store {store}. Run the "
            "same call again, with a client of a new cluster or without client= in this process: it goes on with what "
            "is missing."
        )


def _answer(folder: str, token: str) -> str | None:
    """Name of a file that this process writes to a folder in which it finds a token; None where it does not."""
    name = uuid.uuid4().hex
    try:
        if Path(folder, _TOKEN).read_text() != token:
            return None
        Path(folder, name).touch()
    except OSError:
        return None
    return name
