"""Sweeps: many steered runs as rows of one batch, and their grid."""

from mllm_probe.sweeps.api import plan, sweep, sweep_iter
from mllm_probe.sweeps.plan import SweepPlan
from mllm_probe.sweeps.store import StoreProgress, read_progress

__all__ = ["StoreProgress", "SweepPlan", "plan", "read_progress", "sweep", "sweep_iter"]
