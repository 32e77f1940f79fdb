"""A sweep of a bundled model, which other processes load by its name."""

import pytest

import mllm_probe as mp
from mllm_probe.sweeps import runner
from mllm_probe.sweeps.runner import Limits


@pytest.fixture(scope="module")
def model():
    return mp.load("scenes-4l", device="cpu")


@pytest.fixture(scope="module")
def library():
    return mp.concepts.scenes(concepts=["cat", "house"], pairs=4)


@pytest.fixture(scope="module")
def vectors(model, library):
    return mp.concept_vectors(model, library, tokens=("last_prompt",), probe_accuracy=False, progress=False)


@pytest.fixture(scope="module")
def given(model, vectors, library):
    return model, vectors, library


@pytest.fixture
def short_units(monkeypatch):
    """Units of one batch, whatever the machine does beside."""
    monkeypatch.setattr(runner, "DEFAULT", Limits(unit_seconds=(0, 0)))
