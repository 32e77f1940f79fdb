"""The Dask cluster of a command: one of this machine, or one that is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
"""What a worker runs first: a terminal sends Ctrl-C to it too, but the command is what ends it."""


@contextmanager
def cluster_client(workers: int | None, scheduler: str | None) -> Iterator[Any]:
    """A client of the cluster that was asked for; None where none was.

    Parameters
    ----------
    workers : int, optional
        Processes of this machine, of one thread each.
    scheduler : str, optional
        Address of a scheduler.

    Raises
    ------
    ValueError
        For both, or no number of workers.
    ImportError
        Without the extra.
    OSError
        If no scheduler answers there.
    """
    if workers is None and scheduler is None:
        yield None
        return
    if workers is not None and scheduler is not None:
        raise ValueError("workers: expected --workers or --scheduler, not both.")
    if workers is not None and workers < 1:
        raise ValueError(f"workers: expected 1 or more, got {workers}.")
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ImportError("a cluster needs Dask: pip install 'mllm-probe[dask]'.") from error
    if scheduler is not None:
        with Client(scheduler, timeout="20s") as client:
            yield client
        return
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None, preload=[_DEAF]) as cluster,
        Client(cluster) as client,
    ):
        yield client
