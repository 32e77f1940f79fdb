"""Sweeps that were begun elsewhere: nothing is known of them but the address of their store."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from mllm_probe.loading import load
from mllm_probe.models.probe_model import ProbeModel, require_model
from mllm_probe.sweeps.dask_units import Cluster
from mllm_probe.sweeps.engine import Engine
from mllm_probe.sweeps.shard import WHOLE, Shard
from mllm_probe.sweeps.store_inputs import job_of, origin_of
from mllm_probe.sweeps.sweep_store import open_unit_store

_JOINING = threading.Lock()
_JOINED: dict[str, Engine | None] = {}
"""Engines of this worker process by the address of their store, None where it is gone: the model is loaded once."""


def joined(
    store: str | Path,
    model: ProbeModel | None = None,
    *,
    trust_remote_code: bool = False,
    device: str | None = None,
    shard: Shard = WHOLE,
    cluster: Cluster | None = None,
    mixed: bool = False,
) -> Engine:
    """The engine of a sweep that was begun elsewhere; as :func:`mllm_probe.sweeps.join_sweep`."""
    if model is not None:
        require_model(model)
    opened = open_unit_store(store)
    origin = origin_of(opened)
    if model is None and (origin.load or {}).get("trust_remote_code") and not trust_remote_code:
        raise ValueError(
            f"the sweep in {opened.path} was begun with a model that brings code of its own, {origin.name}: look at "
            "that code, then join with trust_remote_code=True (--trust-remote-code), or give the model as model=."
        )
    if model is None:
        model = load(device=device, dtype=origin.dtype, **(origin.load or {}))
    if model.fingerprint != origin.fingerprint:
        raise ValueError(
            f"the sweep in {opened.path} was begun with {origin.name} of weights {origin.fingerprint}; {model.name} "
            f"has {model.fingerprint}: give the same model as model=."
        )
    return Engine(job_of(opened, model), store=store, shard=shard, cluster=cluster, mixed=mixed)


def run_unit(store: str, unit: str, *, mixed: bool = False) -> None:
    """Run a unit of a store in this process, a worker of a cluster.

    `mixed`: as for :func:`mllm_probe.sweeps.sweep`.
    """
    with _JOINING:  # a model computes for one at a time
        if store not in _JOINED:
            # Whoever sends units has loaded the model.
            _JOINED[store] = joined(store, trust_remote_code=True, mixed=mixed)
        engine = _JOINED[store]
        if engine is not None:
            engine.run_unit(unit)


async def leave(store: str) -> None:
    """Have this process, a worker of a cluster, finish the unit that it runs and run no other one of a store."""

    def left() -> None:
        with _JOINING:
            _JOINED[store] = None

    await asyncio.to_thread(left)
