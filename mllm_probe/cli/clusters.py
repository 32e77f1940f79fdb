"""The Dask cluster of a command: one of this machine, or one that is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_ADDRESS = re.compile(r"[a-z]+://[^\s/]+:[0-9]{1,5}")
MOST_WORKERS = 256
"""Processes, each with a model of its own."""


def require_cluster(workers: int | None, scheduler: str | None) -> None:
    """Raise a ValueError for both, for no such number of workers, or for an empty address."""
    if workers is not None and scheduler is not None:
        raise ValueError("workers: expected --workers or --scheduler, not both.")
    if workers is not None and not 1 <= workers <= MOST_WORKERS:
        raise ValueError(f"workers: expected 1 … {MOST_WORKERS} processes of this machine, got {workers}.")
    if scheduler is not None and not _ADDRESS.fullmatch(scheduler):
        raise ValueError(f"scheduler: expected an address such as tcp://10.0.0.1:8786, got {scheduler!r}.")


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
        As :func:`require_cluster`.
    ImportError
        Without the extra.
    OSError
        If no scheduler answers there.
    """
    require_cluster(workers, scheduler)
    if workers is None and scheduler is None:
        yield None
        return
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ImportError("a cluster needs Dask: pip install 'mllm-probe[dask]'.") from error
    if scheduler is not None:
        with Client(scheduler, timeout="20s") as client:
            yield client
        return
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client
