"""Sweeps: many steered runs as rows of one batch, and the grid of their scores."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mllm_probe.sweeps.api import interrupted, join_sweep, plan, sweep, sweep_iter
    from mllm_probe.sweeps.status import StoreStatus, Worker, store_status
    from mllm_probe.sweeps.store_progress import StoreProgress, open_grid, read_progress
    from mllm_probe.sweeps.sweep_plan import SweepPlan

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
_ELSEWHERE = dict.fromkeys(("StoreStatus", "Worker", "store_status"), "status") | dict.fromkeys(
    ("StoreProgress", "open_grid", "read_progress"), "store_progress"
)


def __getattr__(name: str) -> Any:
    """Import a module on first use: the command line reads the arguments that are declared here, without PyTorch."""
    if name not in __all__:
        raise AttributeError(f"module 'mllm_probe.sweeps' has no attribute '{name}'; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"mllm_probe.sweeps.{_ELSEWHERE.get(name, 'api')}"), name)
