"""The first answer of the command line: CPU seconds of commands that look up a name, a file or a store."""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

TARGET = 1.5
BASELINE = 'python -c "import cyclopts"'
_SWEEP = "sweep --library scenes --concepts cat --pairs 6"
MADE = f"{_SWEEP} --model scenes-4l --layers 1 --strengths 1 --draws 4 --store swept.zarr"
"""Makes the store that ``status`` finds; it is not timed."""
COMMANDS = (
    "status nope.zarr",
    "status swept.zarr",
    "status swept.zarr --check",
    "work nope.zarr",
    "effect nope.zarr",
    "models",
    "models get nope",
    "families",
    "describe nope",
    "verify nope",
    "vectors --library scenes --concepts cat --model nope --out cats.safetensors",
    f"{_SWEEP} --model nope --store new.zarr",
    f"{_SWEEP} --model scenes-4l --vectors nope.safetensors --store new.zarr",
)


def main() -> None:
    """Run it."""
    from common import report  # imports torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="rounds in which every command runs once")
    parser.add_argument("--json", type=Path, help="default: benchmarks/results/first_answer.json")
    options = parser.parse_known_args()[0]
    told = report.facts(1, "cpu") | {"unit": "CPU seconds of a process of its own"}
    found = measured(COMMANDS, options.repeats)
    rows = [{"command": name, "cpu": cpu, "ratio": cpu / found[BASELINE]} for name, cpu in found.items()]
    print(report.heading("command line: first answer", told))
    cells = [(row["command"], f"{row['cpu']:.2f}", f"{row['ratio']:.1f}") for row in rows]
    print(report.table(("command", "CPU", f"by {BASELINE}"), cells))
    targets = [report.target(row["command"], row["cpu"], TARGET, at_least=False) for row in rows[1:]]
    print(report.targets_text(targets))
    report.write(options.json, "first_answer", told | {"benchmark": "first_answer", "rows": rows, "targets": targets})


def measured(commands: tuple[str, ...], repeats: int) -> dict[str, float]:
    """Median CPU seconds of the baseline and of each command, the order turned round every round."""
    sides = {BASELINE: ["-c", "import cyclopts"]}
    sides |= {command: ["-m", "mllm_probe.cli", *command.split()] for command in commands}
    samples: dict[str, list[float]] = {name: [] for name in sides}
    with tempfile.TemporaryDirectory() as folder:
        if any("swept.zarr" in command for command in commands):
            cpu_seconds(["-m", "mllm_probe.cli", *MADE.split()], folder)
        for number in range(repeats):
            for name in list(sides)[:: (-1) ** number]:
                samples[name].append(cpu_seconds(sides[name], folder))
    return {name: statistics.median(seconds) for name, seconds in samples.items()}


def cpu_seconds(arguments: list[str], folder: str) -> float:
    """CPU seconds of Python with these arguments, the system's among them; an answer may be that there is nothing."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True)
    if "Traceback" in done.stderr:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    main()
