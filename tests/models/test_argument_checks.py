"""Numbers and paths that are given to public functions are what they have to be, or refused in words."""

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from mllm_probe.models import require_model
from mllm_probe.models.argument_checks import batch_size_of, finite_number, path_of, whole_number, writable_path_of


@pytest.mark.parametrize("value", [3, np.int64(3), np.array(3), torch.tensor(3), xr.DataArray(3)])
def test_whole_numbers_of_any_library(value):
    assert whole_number("n", value) == 3 and type(whole_number("n", value)) is int


@pytest.mark.parametrize("value", [2.5, 3.0, float("nan"), True, np.True_, "3", None, [3], np.array([3])])
def test_what_is_no_whole_number(value):
    with pytest.raises(ValueError, match="n: expected a whole number, such as 1; got "):
        whole_number("n", value)


@pytest.mark.parametrize("value", [1.5, np.float32(1.5), np.array(1.5), torch.tensor(1.5), xr.DataArray(1.5)])
def test_finite_numbers_of_any_library(value):
    assert finite_number("x", value) == 1.5 and type(finite_number("x", value)) is float


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 10**400, np.float32("inf")])
def test_what_is_not_finite(value):
    with pytest.raises(ValueError, match="x: expected a finite number; got "):
        finite_number("x", value)


@pytest.mark.parametrize("value", ["1", True, None, 1j, [1.0], np.array([1.0])])
def test_what_is_no_number(value):
    with pytest.raises(ValueError, match="x: expected a number; got "):
        finite_number("x", value)


def test_batch_sizes():
    assert batch_size_of("auto") == "auto" and batch_size_of(np.int64(2)) == 2
    for value in (0, -1, 2.5, True, "many", None):
        with pytest.raises(ValueError, match="batch_size: expected 'auto' or a number of samples, 1 or more; got"):
            batch_size_of(value)


def test_paths(tmp_path):
    assert path_of("path", "a") == path_of("path", Path("a")) == Path("a")
    assert writable_path_of("path", str(tmp_path / "a")) == tmp_path / "a"
    for value in (None, 5, b"a"):
        with pytest.raises(ValueError, match="path: expected text or a path; got"):
            path_of("path", value)
    with pytest.raises(ValueError, match="NUL"):
        path_of("path", "a\0b")
    with pytest.raises(ValueError, match="too long for a file"):
        writable_path_of("path", tmp_path / ("x" * 201))
    with pytest.raises(IsADirectoryError, match="is a folder"):
        writable_path_of("path", tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no folder .*no' to write 'a' to"):
        writable_path_of("path", tmp_path / "no" / "a")


def test_a_loaded_model(tiny):
    require_model(tiny)
    with pytest.raises(ValueError, match=r"model: expected a loaded model \(mp.load or mp.wrap\), got a Llava"):
        require_model(tiny.hf)
    with pytest.raises(ValueError, match="got a Dataset; the model comes first"):
        require_model(xr.Dataset())
