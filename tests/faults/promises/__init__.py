"""Promises of a store: one function each, which tries a fault a number of times and tallies what held."""

from __future__ import annotations

from tests.faults.promises import clusters, damage, disks, interrupts, kills
from tests.faults.tally import PROMISES

__all__ = ["PROMISES", "clusters", "damage", "disks", "interrupts", "kills"]
