"""The modules of the benchmarks, and a tiny piece of their work."""

import importlib
from pathlib import Path

import pytest

from tests.conftest import quick_collections

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def collections():
    """Benchmarks collect before each side."""
    with quick_collections():
        yield


@pytest.fixture
def bench(monkeypatch):
    """Imports a module of the benchmarks by name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def work(bench):
    """Twelve cells of a tiny model."""
    models, kind = bench("common.models"), bench("common.work")
    subject = models.llava(24, width=32, layers=3, vocabulary=100)
    return kind.Work(subject, (0, 1, 2), kind.strengths(4), 3)
