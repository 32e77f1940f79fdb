"""Reports of the benchmarks: a table, the machine and the versions, a JSON file; and the common options."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import torch

RESULTS = Path(__file__).resolve().parent.parent / "results"
PACKAGES = ("mllm-probe", "torch", "transformers", "nnsight", "steering-vectors", "xarray")


def parser(description: str | None) -> argparse.ArgumentParser:
    """Options that all benchmarks take."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--repeats", type=int, default=5, help="rounds in which every side runs once")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--width", type=int, default=512, help="of the small models")
    options.add_argument("--layers", type=int, default=16, help="blocks of the small models")
    options.add_argument("--vocabulary", type=int, default=2000, help="of the small models")
    options.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"), help="of the small models")
    options.add_argument("--json", type=Path, help="default: benchmarks/results/<name>.json")
    options.add_argument("--no-memory", action="store_true", help="leave out peak memory, which takes a process a side")
    return options


def facts(threads: int, device: str) -> dict[str, Any]:
    """Machine, versions and date."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    if device == "cuda":
        versions |= {"driver": _driver(), "CUDA": str(torch.version.cuda)}
    cores = f"{_processor()}, {psutil.cpu_count(logical=True)} cores, {threads} used"
    return {
        "machine": cores if device == "cpu" else f"{torch.cuda.get_device_name()}; {cores}",
        "unit": "CPU seconds of the process" if device == "cpu" else "synchronised wall seconds",
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "versions": versions,
    }


def _driver() -> str:
    """Version of the GPU's driver."""
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        return f"not known ({type(error).__name__})"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table in Markdown with aligned columns; None is an empty cell."""
    text = [[("" if cell is None else str(cell)) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in text) for i in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in text
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def heading(title: str, facts: Mapping[str, Any]) -> str:
    """Heading of a table."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return f"\n{title}\n{facts['machine']}; {facts['unit']}; {facts['date']}; {versions}\n"


def target(name: str, value: float | None, bound: float, *, at_least: bool) -> dict[str, Any]:
    """A target and whether it is met; None is one that could not be measured."""
    met = None if value is None else (value >= bound if at_least else value <= bound)
    return {"target": f"{name} {'≥' if at_least else '≤'} {bound:g}", "measured": value, "met": met}


def targets_text(targets: Sequence[Mapping[str, Any]]) -> str:
    """One line per target."""
    lines = []
    for one in targets:
        verdict = {True: "met", False: "missed", None: "not measured"}[one["met"]]
        lines.append(
            f"{verdict:<12} {one['target']}" + (f" (is {one['measured']:.3g})" if one["met"] is not None else "")
        )
    return "\n".join(lines)


def megabytes(size: int | None) -> str | None:
    """Bytes for a table."""
    return None if size is None else f"{size / 2**20:.0f} MiB"


def write(path: Path | None, name: str, result: Mapping[str, Any]) -> Path:
    """Write the figures to ``path``, by default to the folder of results."""
    file = path or RESULTS / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"written to {file.name}")
    return file
