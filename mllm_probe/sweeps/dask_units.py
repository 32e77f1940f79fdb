"""Units of a stored sweep as tasks of a Dask cluster: Dask decides who computes which, the store keeps what is done."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from mllm_probe.sweeps.filling import Named

DaskClient: TypeAlias = Any
"""A ``dask.distributed.Client``; Dask is an extra."""

OneUnit = TypeVar("OneUnit", bound=Named)
_AHEAD = 2
"""Units per thread of the cluster that wait with the scheduler: whoever pauses waits for no more than these."""
_RETRIES = 2


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

    Attributes
    ----------
    client : dask.distributed.Client
    task : callable
        Takes the address of a store and the name of a unit, and runs it where it is called.
    """

    client: DaskClient
    task: Callable[[str, str], None]

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

        Parameters
        ----------
        store : str
            Address of the store, as the workers see it.
        missing : sequence of units
        load : callable
            Reads a unit that was finished, and returns its runs.
        stopped : callable
            Whether to end.

        Yields
        ------
        int
            Runs of each unit.

        Raises
        ------
        ConnectionError
            If the scheduler is gone, or took the units back.
        Exception
            What a worker raised, such as an error of the disk.
        """
        from distributed import as_completed

        left, units, running = deque(missing), dict[Any, OneUnit](), as_completed(loop=self.client.loop)
        try:
            while (left or units) and not stopped():
                with self._answering(store):
                    while left and len(units) < _AHEAD * max(1, sum(self.client.nthreads().values())):
                        unit = left.popleft()
                        future = self.client.submit(
                            self.task, store, unit.name, pure=False, retries=_RETRIES, priority=-unit.part
                        )
                        units[future] = unit
                        running.add(future)
                future = next(running)
                if future.cancelled():  # its own error is one that ``except Exception`` does not catch
                    raise self._lost(store, "it took back the units that it was given")
                future.result()
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
