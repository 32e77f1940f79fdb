"""The sweep that every promise is tried on: short, of many units, with everything that a store can hold."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import xarray as xr

import mllm_probe as mp
from mllm_probe.concepts import ConceptLibrary
from mllm_probe.models import ProbeModel
from mllm_probe.sweeps import runner, sweep_iter
from mllm_probe.sweeps.api import Grids
from mllm_probe.sweeps.runner import Limits
from tests.sweeps.helpers import random_vectors

CONCEPTS = ("cat", "house")
SETTINGS: Mapping[str, Any] = {
    "layers": [1, 3],
    "strengths": (0, 1, -0.5),
    "draws": 4,
    "max_new_tokens": 3,
    "record": ("residual_norm", "logit_lens", "activation"),
    "read_layers": [1, 3],
    "progress": False,
}
LIMITS = Limits(rows=10, seconds=float("inf"), unit_seconds=(0, 0))
"""Units of one batch, whatever the machine does beside. Workers of a cluster know other limits and give the same."""


@cache
def given() -> tuple[ProbeModel, xr.Dataset, ConceptLibrary]:
    """Model, vectors and images; the model is a bundled one, which workers of a cluster load by its name."""
    torch.set_num_threads(1)
    model = mp.load("scenes-4l", device="cpu")
    return model, random_vectors(model, CONCEPTS), mp.concepts.scenes(concepts=list(CONCEPTS), pairs=2)


def grids_into(store: Path, **more: Any) -> Grids:
    """What the store lacks, unit by unit."""
    torch.set_num_threads(1)
    with mock.patch.object(runner, "DEFAULT", LIMITS):
        return sweep_iter(*given(), **SETTINGS, store=store, **more)


def sweep_into(store: Path, **more: Any) -> xr.Dataset:
    """Run what the store lacks."""
    return grids_into(store, **more).finish()


def contents(store: Path) -> dict[str, bytes]:
    """Every file of a store but its markers, which say who wrote a unit and when, and what a killed process left."""
    files = (path for path in sorted(store.rglob("*")) if path.is_file() and path.suffix != ".partial")
    return {str(path.relative_to(store)): path.read_bytes() for path in files if path.parent.name != "unit_markers"}


def markers(store: Path) -> dict[str, bytes]:
    """The marker of every finished unit."""
    return {path.stem: path.read_bytes() for path in (store / "unit_markers").glob("[0-9]*.json")}
