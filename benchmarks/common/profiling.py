"""Profile of a call: own time of every function, grouped by purpose; and the bytes that it brings to the host."""

from __future__ import annotations

import cProfile
import json
import pstats
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

_Function = tuple[str, int, str]
PARTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("linears", ("_nn.linear", "addmm")),
    ("prefix attention", ("decoding/attention.py", "scaled_dot_product")),
    ("cache", ("decoding/cache_layers.py", "transformers/cache_utils.py")),
    ("edits", ("mllm_probe/steering/",)),
    ("hooks", ("mllm_probe/activations/",)),
    ("metrics", ("sweeps/scoring.py", "mllm_probe/metrics/", "sweeps/answer_reader.py", "sweeps/reference_scorer.py")),
    ("rest of the forward", ("transformers/", "torch/nn/", "mllm_probe/decoding/", "mllm_probe/models/", "torch/")),
)
REST = "bookkeeping"


def shares(job: Callable[[], object]) -> list[tuple[str, float]]:
    """Parts of the CPU time of ``job``, the largest first; the sum is the whole.

    Time in a built-in function (a torch operation) counts for whoever called it, but products with weights and
    attention kernels for themselves. Tracing makes Python look slower than it is.
    """
    traced = cProfile.Profile(time.process_time)
    traced.runcall(job)
    seconds = dict.fromkeys([name for name, _ in PARTS] + [REST], 0.0)
    for function, (_, _, own, _, callers) in pstats.Stats(traced).stats.items():  # type: ignore[attr-defined]
        if function[0] != "~":
            seconds[_part(function, function)] += own
        for caller, times in callers.items() if function[0] == "~" else ():
            seconds[_part(function, caller)] += times[2]
    return sorted(seconds.items(), key=lambda item: -item[1])


def _part(function: _Function, caller: _Function) -> str:
    for name, marks in PARTS[:2]:
        if any(mark in function[2] for mark in marks):
            return name
    file = caller[0].replace("\\", "/")
    return next((name for name, marks in PARTS if any(mark in file for mark in marks)), REST)


def bytes_to_host(job: Callable[[], object]) -> int:
    """Bytes that ``job`` copies from the GPU to the host, as PyTorch's profiler sees them; 0 without a GPU."""
    gpu = [ProfilerActivity.CUDA] if torch.cuda.is_available() else []
    with profile(activities=[ProfilerActivity.CPU, *gpu]) as traced:
        job()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trace.json"
        traced.export_chrome_trace(str(file))
        return copied_to_host(json.loads(file.read_text(encoding="utf-8"))["traceEvents"])


def copied_to_host(events: list[dict[str, Any]]) -> int:
    """Bytes of the copies from the device to the host among the events of a trace."""
    copies = (event for event in events if event.get("cat") == "gpu_memcpy")
    return sum(int(event["args"]["bytes"]) for event in copies if "DtoH" in event["name"])
