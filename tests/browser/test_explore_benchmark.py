"""The benchmark of the lab, on a tiny model."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from tests.browser import lab

pytestmark = pytest.mark.browser
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
TINY = {
    "model": "qwen", "tokens": 24, "width": 32, "layers": 3, "vocabulary": 100, "dtype": "bfloat16", "concepts": 2,
    "pairs": 4, "swept": 3, "strengths": 3, "steps": 2,
}  # fmt: skip


def test_the_lab_is_filled_and_its_slider_moved(desk: lab.Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    explore = importlib.import_module("explore")
    monkeypatch.setattr(explore, "AGAIN", 1)
    figures = explore.measured(desk, TINY, moved=2)
    assert figures["map"]["cells"] == 2 * 3 * 3 and figures["map"]["cells_per_second"] > 0
    assert figures["moves"]["samples"] == 2 and 0 < figures["moves"]["median"] < 60_000
