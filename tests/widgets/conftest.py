"""Widgets without a kernel: comms that record, streams that need no model, and nothing that outlives its test."""

from __future__ import annotations

from collections.abc import Iterator

import comm
import ipywidgets
import pytest
import xarray as xr

import mllm_probe as mp
from mllm_probe.concepts import ConceptLibrary
from mllm_probe.models import ProbeModel
from tests.widgets import fakes


@pytest.fixture(autouse=True)
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every widget gets a comm that keeps what is sent, and is closed when its test is over."""
    monkeypatch.setattr(comm, "create_comm", fakes.Recorder)
    yield
    ipywidgets.Widget.close_all()


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> fakes.Streams:
    """Answers that are known and come at once, each as fluent as the unsteered one."""
    made = fakes.Streams()
    monkeypatch.setattr(
        "mllm_probe.widgets.panel.answer_facts.LivePerplexity.ratios", lambda *_arguments: [1.0, 1.0, 1.0]
    )
    monkeypatch.setattr("mllm_probe.widgets.panel.steering_panel.stream", made)
    return made


@pytest.fixture(scope="session")
def library() -> ConceptLibrary:
    """Four pairs of each of three drawn concepts."""
    return mp.concepts.scenes(concepts=["cat", "neon", "symmetry"], pairs=4)


@pytest.fixture(scope="session")
def vectors(tiny: ProbeModel, library: ConceptLibrary) -> xr.Dataset:
    """Vectors of these concepts in the tiny model."""
    return mp.concept_vectors(tiny, library, probe_accuracy=False)
