"""Sweeps: many steered runs as rows of one batch, and the grid of their scores."""

from mllm_probe.sweeps.api import join_sweep, plan, sweep, sweep_iter
from mllm_probe.sweeps.status import StoreStatus, Worker, store_status
from mllm_probe.sweeps.store_progress import StoreProgress, open_grid, read_progress
from mllm_probe.sweeps.sweep_plan import SweepPlan

__all__ = [
    "StoreProgress",
    "StoreStatus",
    "SweepPlan",
    "Worker",
    "join_sweep",
    "open_grid",
    "plan",
    "read_progress",
    "store_status",
    "sweep",
    "sweep_iter",
]
