"""Names of rooms are there for whoever asks, although their modules are imported on first use."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "mllm_probe"
LAZY = [file for file in sorted(PACKAGE.rglob("__init__.py")) if "lazy_names(" in file.read_text(encoding="utf-8")]


def name_of(file: Path) -> str:
    return ".".join((PACKAGE.name, *file.parent.relative_to(PACKAGE).parts))


@pytest.mark.parametrize("file", LAZY, ids=name_of)
def test_every_public_name_is_the_one_that_type_checkers_read(file: Path) -> None:
    module = importlib.import_module(name_of(file))
    (guarded,) = (node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.If))
    seen = [(node.module, alias) for node in guarded.body for alias in node.names]
    # A room of mllm_probe that is no public name itself is imported under its own name, as type checkers want it.
    assert {alias.name for _, alias in seen if alias.asname is None} == set(module.__all__) - {"__version__"}
    for home, alias in seen:
        value = getattr(module, alias.name)
        assert value is getattr(importlib.import_module(home), alias.name)
        assert alias.name in dir(module) and vars(module)[alias.name] is value


def test_a_name_that_is_not_there_is_told_with_those_that_are() -> None:
    from mllm_probe import vectors

    with pytest.raises(AttributeError, match="module 'mllm_probe.vectors' has no attribute 'vector'; it has concept_v"):
        vectors.vector  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'vector'"):
        from mllm_probe.vectors import vector  # noqa: F401


def test_a_room_is_imported_without_what_its_names_need() -> None:
    script = f"""
import importlib, sys
for name in {[name_of(file) for file in LAZY]}:
    importlib.import_module(name)
print(sorted({{"torch", "transformers", "zarr", "scipy", "PIL"}} & set(sys.modules)))
import mllm_probe as mp
assert mp.plots.palette.MARKS and mp.concepts.Picture  # a module of a room, and one of its names
print(sorted({{"torch", "transformers", "bokeh"}} & set(sys.modules)))
"""
    assert printed_by(script) == "[]\n[]\n"


def test_what_a_module_registers_is_there_for_whoever_needs_it() -> None:
    script = """
import torch, xarray
from mllm_probe.activations.device_array import lazy
print(xarray.DataArray(lazy(("hidden",), torch.ones(2))).torch.tensor)
from mllm_probe.activations.hooks import editing
from mllm_probe.steering.intervention import Steering
print([kind.__name__ for kind in (Steering, list, type(None)) if editing.dispatch(kind) is editing.dispatch(object)])
"""
    assert printed_by(script) == "tensor([1., 1.])\n[]\n"


def test_the_first_frame_of_the_lab_imports_no_pytorch() -> None:
    script = """
import sys
import mllm_probe as mp
from mllm_probe.widgets.lab import opening, record_file, recorded_lab
recorded_lab.RecordedLab._load = lambda lab: None  # the model, in a thread
lab = mp.explore("scenes-8l")
print(lab, sorted({"torch", "transformers", "sklearn", "scipy"} & set(sys.modules)))
"""
    assert printed_by(script) == "Explore('scenes-8l', recorded) []\n"


def printed_by(script: str) -> str:
    """What a process prints that imports nothing but what its script does."""
    done = subprocess.run([sys.executable, "-c", script], cwd=PACKAGE.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
