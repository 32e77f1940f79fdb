"""The options ``--device`` and ``--dtype`` of pytest."""

from types import SimpleNamespace

import pytest
import torch

from tests import conftest


def asking(*names):
    return SimpleNamespace(getoption=lambda option: list(names))


def test_a_device_that_is_not_there_is_an_error_not_a_skip(monkeypatch):
    monkeypatch.setattr(conftest, "found_devices", lambda: ("cpu", "mps"))
    assert conftest.chosen_devices(asking()) == ("cpu", "mps")
    assert conftest.chosen_devices(asking("mps", "sim")) == ("mps", "sim")
    with pytest.raises(pytest.UsageError, match="--device cuda: PyTorch finds cpu, mps here. Name one of these"):
        conftest.chosen_devices(asking("cpu", "cuda"))


def test_a_simulated_accelerator_is_no_device_that_is_found():
    from tests import accelerator

    accelerator.install()
    conftest.found_devices.cache_clear()
    assert "sim" not in conftest.found_devices() and conftest.found_devices()[0] == "cpu"


def test_shared_models_are_on_the_device(tiny, tiny_mrope, device, dtype):
    assert {tiny.device.type, tiny_mrope.device.type} == {device}
    assert dtype in (torch.float32, torch.bfloat16)
