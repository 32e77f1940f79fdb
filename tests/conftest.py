"""Models and pictures that several rooms' tests share.

The package is imported where it is needed: the process that only hands tests to the workers needs none of it.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from mllm_probe.models import ProbeModel

LONGEST_FILES = (
    "tests/sweeps/test_families.py",
    "tests/benchmarks/test_scripts.py",
    "tests/device/test_calls.py",
    "tests/sweeps/test_store.py",
    "tests/sweeps/test_ways_table.py",
    "tests/widgets/test_exit.py",
    "tutorials/00_quickstart.ipynb",
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


@pytest.fixture(scope="session")
def tiny() -> ProbeModel:
    """A random Llava with processor: 4 blocks of width 32, 16 image tokens per picture."""
    from mllm_probe.apps.zoo import tiny_llava

    return tiny_llava()


@pytest.fixture(scope="session")
def tiny_mrope() -> ProbeModel:
    """A random Qwen2.5-VL with processor: 4 blocks of width 32, position ids with three axes."""
    from mllm_probe.apps.zoo import tiny_qwen

    return tiny_qwen()


@pytest.fixture(scope="session")
def pictures() -> list[Image.Image]:
    """Six different pictures of noise."""
    return [noise_picture(seed) for seed in range(6)]
