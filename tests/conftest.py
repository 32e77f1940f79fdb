"""Models and pictures that several rooms' tests share.

The package is imported where it is needed: the process that only hands tests to the workers needs none of it.
"""

from __future__ import annotations

import gc
import os
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ["MLLM_PROBE_WAYS"] = "off"  # also in processes that tests start: the user's own verdicts are left alone

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    import torch

    from mllm_probe.models import ProbeModel

LONGEST_FILES = (
    "tests/sweeps/test_families.py",
    "tests/benchmarks/test_scripts.py",
    "tests/device/test_calls.py",
    "tests/sweeps/test_store.py",
    "tests/faults/test_faults.py",
    "tests/sweeps/test_ways_table.py",
    "tests/widgets/test_exit.py",
    "tests/studies/test_scaling.py",
    "tutorials/00_quickstart.ipynb",
    "tutorials/01_localization.ipynb",
    "tutorials/02_scaling.ipynb",
    "tutorials/03_reverse_steering.ipynb",
    "tutorials/04_recognition_and_reasoning.ipynb",
)
"""Begun before the others, which go by their number of tests: begun last, one would run alone at the end.

Those that drive a browser, which wait more than they compute and take longest, are begun before these.
"""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``--dist loadfile``: a file stays in one worker, and all files that drive a browser are in the same.

    (Groups by marker, ``--dist loadgroup``, are ignored by pytest 9.2 with pytest-xdist 3.8, without a word.)
    """
    from xdist.scheduler import LoadFileScheduling

    class Scheduler(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return "browser" if file.startswith("tests/browser/") else file

        def _assign_work_unit(self, node: Any) -> None:
            for scope in reversed(("browser", *LONGEST_FILES)):
                if scope in self.workqueue:
                    self.workqueue.move_to_end(scope, last=False)
            super()._assign_work_unit(node)

    return Scheduler(config, log) if config.getvalue("dist") == "loadfile" else None


LONG = tomllib.loads((Path(__file__).parent / "long.toml").read_text(encoding="utf-8"))


@pytest.hookimpl(tryfirst=True)  # before -m looks at the markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of tests/long.toml."""
    for item in items:
        file, _, test = item.nodeid.partition("::")
        name = item.callspec.params.get("name") if hasattr(item, "callspec") else None
        other_family = file in LONG["families"] and isinstance(name, str) and name not in LONG["archetypes"]
        if other_family or file in LONG["files"] or f"{file}::{test.split('[')[0]}" in LONG["tests"]:
            item.add_marker(pytest.mark.long)


SIMULATED, ACCELERATORS = "sim", ("cuda", "mps", "xpu")
DTYPES = ("float32", "bfloat16")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Choose the devices and dtypes of tests that touch tensors; each option may be given several times."""
    group = parser.getgroup("devices")
    group.addoption(
        "--device", action="append", metavar="NAME", choices=("cpu", *ACCELERATORS, SIMULATED),
        help="device of the tests that take one: cpu, cuda, mps, xpu, or sim, the simulated accelerator "
        "(default: every one that PyTorch finds)",
    )  # fmt: skip
    group.addoption(
        "--dtype", action="append", metavar="NAME", choices=DTYPES,
        help="dtype of the tests that take one: float32 or bfloat16 (default: float32)",
    )  # fmt: skip


@cache
def found_devices() -> tuple[str, ...]:
    """The CPU, and what PyTorch finds beside it."""
    import torch

    return ("cpu", *(name for name in ACCELERATORS if torch.get_device_module(name).is_available()))


def chosen_devices(config: pytest.Config) -> tuple[str, ...]:
    """Devices of this run.

    Raises
    ------
    pytest.UsageError
        If one was asked for that PyTorch does not find: its tests would all fail for the same reason.
    """
    asked = tuple(config.getoption("device") or found_devices())
    missing = [name for name in asked if name not in (*found_devices(), SIMULATED)]
    if missing:
        raise pytest.UsageError(
            f"--device {missing[0]}: PyTorch finds {', '.join(found_devices())} here. Name one of these, or sim."
        )
    return asked


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes ``device`` or ``dtype``, itself or through a fixture, once on each that was chosen."""
    if "device" in metafunc.fixturenames:
        simulated = metafunc.definition.get_closest_marker("simulated") and not metafunc.config.getoption("device")
        _parametrize(metafunc, "device", (SIMULATED,) if simulated else chosen_devices(metafunc.config))
    if "dtype" in metafunc.fixturenames:
        _parametrize(metafunc, "dtype", tuple(metafunc.config.getoption("dtype") or DTYPES[:1]))


def _parametrize(metafunc: pytest.Metafunc, name: str, values: Sequence[str]) -> None:
    # What the fixture gives anyway is no parameter: it would change the tests' names and their order.
    if len(values) > 1 or values == (SIMULATED,):
        metafunc.parametrize(name, values, indirect=True, scope="session")


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> str:
    """Name of the device that tensors and models of the test are on."""
    name = getattr(request, "param", None) or chosen_devices(request.config)[0]
    if name == SIMULATED:
        from tests import accelerator

        accelerator.install()
    return name


@pytest.fixture(scope="session")
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    """Floating-point type of the model, for tests that hold in more than one."""
    import torch

    asked = request.config.getoption("dtype") or DTYPES
    return getattr(torch, getattr(request, "param", asked[0]))


@contextmanager
def quick_collections() -> Iterator[None]:
    """Python's collector looks at nothing that is there before: a pass takes milliseconds, not half a second."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def pytest_collection_finish() -> None:
    """Modules and tests live to the end: no pass of the collector need look at them."""
    gc.collect()
    gc.freeze()


def noise_picture(seed: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """A picture of coloured noise, (width, height) pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture
def compiles(device: str) -> None:
    """For tests that compile: PyTorch does not trace the simulated accelerator."""
    if device == SIMULATED:
        pytest.skip("torch.compile does not trace the simulated accelerator")


def put(model: ProbeModel, device: str) -> ProbeModel:
    """The model, its weights moved to a device."""
    model.hf.to(device)
    return model


@pytest.fixture(scope="session")
def tiny(device: str) -> ProbeModel:
    """A random Llava with processor: 4 blocks of width 32, 16 image tokens per picture."""
    from tests.zoo import tiny_llava

    return put(tiny_llava(), device)


@pytest.fixture(scope="session")
def tiny_mrope(device: str) -> ProbeModel:
    """A random Qwen2.5-VL with processor: 4 blocks of width 32, position ids with three axes."""
    from tests.zoo import tiny_qwen

    return put(tiny_qwen(), device)


@pytest.fixture(scope="session")
def pictures() -> list[Image.Image]:
    """Six different pictures of noise."""
    return [noise_picture(seed) for seed in range(6)]
