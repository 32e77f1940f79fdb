"""Widgets without a kernel: comms that record, and streams that need no model."""

from __future__ import annotations

from collections.abc import Iterator

import comm
import pytest

from tests.widgets import fakes


@pytest.fixture(autouse=True)
def recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every widget gets a comm that keeps what is sent."""
    monkeypatch.setattr(comm, "create_comm", fakes.Recorder)


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> Iterator[fakes.Streams]:
    """Answers that are known and come at once, each as fluent as the unsteered one."""
    made = fakes.Streams()
    monkeypatch.setattr(
        "mllm_probe.widgets.panel.answer_facts.LivePerplexity.ratios", lambda *_arguments: [1.0, 1.0, 1.0]
    )
    monkeypatch.setattr("mllm_probe.widgets.panel.steering_panel.stream", made)
    yield made
