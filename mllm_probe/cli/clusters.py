"""The Dask cluster of a command: one of this machine, or one that is there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
"""What a worker runs first: a terminal sends Ctrl-C to it too, but the command is what ends it."""
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
        Processes of this machine, of one thread each. Where there are GPUs, each sees one of them, in turns.
    scheduler : str, optional
        Address of a scheduler.

    Raises
    ------
    ValueError
        As :func:`require_cluster`.
    ImportError
        Without the extra.
    ConnectionError
        If no scheduler answers there.
    """
    require_cluster(workers, scheduler)
    if workers is None and scheduler is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError("a cluster needs Dask: pip install 'mllm-probe[dask]'.") from error
    if workers is None:
        try:
            client = Client(scheduler, timeout="20s")
        except OSError as error:
            raise ConnectionError(
                f"no Dask scheduler answers at {scheduler} ({error}): start one with `dask scheduler` and run the same "
                "command again, or leave --scheduler out. A store that was begun keeps what is finished."
            ) from error
        with client:
            yield client
        return
    with _local_cluster(workers, visible_gpus()) as cluster, Client(cluster) as client:
        yield client


def visible_gpus() -> list[str]:
    """CUDA devices that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return [str(number) for number in range(torch.cuda.device_count())]
    return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]


def _local_cluster(workers: int, gpus: Sequence[str]) -> Any:
    """A cluster of worker processes, each of which sees one of the GPUs."""
    from distributed import LocalCluster

    class Pinned(LocalCluster):
        def new_worker_spec(self) -> dict[Any, dict[str, Any]]:
            # In the worker's environment before it starts: CUDA looks at it once.
            (name, spec), *_ = super().new_worker_spec().items()
            env = {"CUDA_VISIBLE_DEVICES": gpus[int(name) % len(gpus)]} if gpus else {}
            return {name: spec | {"options": spec["options"] | {"env": env}}}

    # Any free port: with the usual one, a second cluster of this machine warns that it is taken.
    served = {"dashboard_address": "127.0.0.1:0", "scheduler_kwargs": {"dashboard": False}}
    cluster = Pinned(n_workers=0, threads_per_worker=1, preload=[_DEAF], **served)
    cluster.scale(workers)  # only workers that are added are asked for their own settings
    return cluster
