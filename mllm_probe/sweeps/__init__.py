"""Sweeps: many steered runs as rows of one batch, and the grid of their scores."""

from typing import TYPE_CHECKING

from mllm_probe.lazy_names import lazy_names

if TYPE_CHECKING:
    from mllm_probe.sweeps.api import interrupted, join_sweep, plan, sweep, sweep_iter
    from mllm_probe.sweeps.stored.store_progress import (
        StoreProgress,
        StoreStatus,
        Worker,
        open_grid,
        read_progress,
        store_status,
    )
    from mllm_probe.sweeps.sweep_plan import SweepPlan
else:
    __getattr__, __dir__ = lazy_names(__name__)

__all__ = [
    "StoreProgress",
    "StoreStatus",
    "SweepPlan",
    "Worker",
    "interrupted",
    "join_sweep",
    "open_grid",
    "plan",
    "read_progress",
    "store_status",
    "sweep",
    "sweep_iter",
]
