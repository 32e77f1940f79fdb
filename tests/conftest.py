"""Models and pictures that several rooms' tests share."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import numpy as np
import pytest
import torch
from PIL import Image

from mllm_probe.loading.zoo import tiny_llava, tiny_qwen
from mllm_probe.models import ProbeModel

torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file, and all tests that drive a browser, in one of several workers."""
    for item in items:
        group = "browser" if item.get_closest_marker("browser") else item.nodeid.split("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))


def noise_picture(seed: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """A picture of coloured noise, (width, height) pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture(scope="session")
def tiny() -> ProbeModel:
    """A random Llava with processor: 4 blocks of width 32, 16 image tokens per picture."""
    return tiny_llava()


@pytest.fixture(scope="session")
def tiny_mrope() -> ProbeModel:
    """A random Qwen2.5-VL with processor: 4 blocks of width 32, position ids with three axes."""
    return tiny_qwen()


@pytest.fixture(scope="session")
def pictures() -> list[Image.Image]:
    """Six different pictures of noise."""
    return [noise_picture(seed) for seed in range(6)]
