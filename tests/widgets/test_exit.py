"""A script that ends while widgets compute ends well."""

from __future__ import annotations

import subprocess
import sys

import pytest

SETUP = """
import torch
torch.set_num_threads(1)
import mllm_probe as mp
from tests.zoo import tiny_llava

model = tiny_llava()
library = mp.concepts.scenes(concepts=["cat", "neon"], pairs=12)
"""
SCRIPTS = {
    "strips and panels": """
vectors = mp.concept_vectors(model, library, probe_accuracy=False)
kept = [mp.TokenStrip(model, max_new_tokens=200) for _ in range(4)]
kept += [mp.SteeringPanel(model, vectors, max_new_tokens=200) for _ in range(4)]
""",
    "vectors of a lab": "kept = mp.explore(model, library)",
    "a sweep": """
import time
kept = mp.explore(model, library)
while kept.monitor.progress == 0:
    time.sleep(0.01)
""",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_that_ends_while_widgets_compute_ends_well(name):
    done = subprocess.run([sys.executable, "-c", SETUP + SCRIPTS[name]], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
