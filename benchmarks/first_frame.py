"""The first frame of the lab: recorded results from the start of a process, and a loaded model from `mp.explore`."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NAME = "scenes-8l"
CALLS = {"name": f'mp.explore("{NAME}")', "loaded": "mp.explore(model, library)"}
EVENTS: dict[str, Callable[[Any], bool]] = {
    "picture": lambda lab: bool(lab.panel.pictures[0]["png"]),
    "unsteered answer": lambda lab: bool(lab.panel.answers.get("baseline")) and lab.panel.status == "idle",
    "first progress": lambda lab: lab.bar.progress > 0,
}
IMPORT = "import, load"
FRAME, LIVE = "first frame", "live answers"
SOON = 120.0
TARGETS = {("name", FRAME): 1.5, ("name", LIVE): 9.0, ("loaded", "first progress"): 2.0}
"""CPU seconds; those of ``name`` from the start of the process, all imports included."""


def main() -> None:
    """Run it."""
    options = arguments()
    if options.child:
        print(json.dumps(measured(options.child)))
        return
    from common import report  # imports torch, which a child imports on the clock

    told = report.facts(1, "cpu") | {"unit": "seconds, each call in a fresh process: by name since its start"}
    in_child("name")  # writes the bytecode
    samples = {call: [in_child(call) for _ in range(options.repeats)] for call in CALLS}
    rows: list[dict[str, Any]] = [
        {"call": CALLS[call], "event": event, "target": TARGETS.get((call, event))}
        | {clock: median(found, event, clock) for clock in ("cpu", "wall")}
        for call, found in samples.items()
        for event in found[0]
    ]
    print(report.heading("explore: first frame", told))
    cells = [
        (row["call"], row["event"], f"{row['cpu']:.2f}", "" if row["target"] is None else f"≤ {row['target']:g}",
         f"{row['wall']:.2f}")
        for row in rows
    ]  # fmt: skip
    print(report.table(("call", "event", "CPU", "target", "wall"), cells))
    targets = [
        report.target(f"{row['call']}, {row['event']}, CPU seconds", row["cpu"], row["target"], at_least=False)
        for row in rows
        if row["target"] is not None
    ]
    print(report.targets_text(targets))
    report.write(options.json, "first_frame", told | {"benchmark": "first_frame", "rows": rows, "targets": targets})


def arguments() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="fresh processes of each call")
    parser.add_argument("--child", choices=CALLS, help="measure one call in this process")
    parser.add_argument("--json", type=Path, help="default: benchmarks/results/first_frame.json")
    return parser.parse_known_args()[0]


def in_child(call: str) -> dict[str, dict[str, float]]:
    """Seconds of one call in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, __file__, "--child", call]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measured(call: str) -> dict[str, dict[str, float]]:
    """CPU seconds of this process and wall seconds until each event."""
    return recorded() if call == "name" else loaded()


def recorded() -> dict[str, dict[str, float]]:
    """From the start of the process to the recorded frame, and to answers of the model."""
    import mllm_probe as mp

    lab = mp.explore(NAME)
    found = {FRAME: STARTED.seconds}
    if not lab.panel.wait(SOON):
        raise TimeoutError(f"no live answers after {SOON:.0f} s; the panel says {lab.panel.message!r}.")
    found[LIVE] = STARTED.seconds
    lab.close()
    return found


def loaded() -> dict[str, dict[str, float]]:
    """Import and loading, and from the call with a loaded model to each of its events."""
    clock = Clock()
    import mllm_probe as mp

    model, library = mp.load(NAME), mp.concepts.scenes(pairs=24)
    found = {IMPORT: clock.seconds}
    clock = Clock()
    lab = mp.explore(model, library)
    end = time.monotonic() + SOON
    for event, happened in EVENTS.items():
        while not happened(lab):
            if time.monotonic() > end:
                raise TimeoutError(f"loaded: no {event} after {SOON:.0f} s; the lab says {lab.bar.message!r}.")
            time.sleep(0.002)
        found[event] = clock.seconds
    lab.close()
    return found


class Clock:
    """CPU and wall seconds since it was made; `cpu`: the process time that counts as its beginning."""

    def __init__(self, cpu: float | None = None) -> None:
        self._cpu, self._wall = time.process_time() if cpu is None else cpu, time.perf_counter()

    @property
    def seconds(self) -> dict[str, float]:
        """CPU seconds of this process, all its threads together, and wall seconds."""
        return {"cpu": time.process_time() - self._cpu, "wall": time.perf_counter() - self._wall}


STARTED = Clock(cpu=0.0)


def median(samples: list[dict[str, dict[str, float]]], event: str, clock: str) -> float:
    """Median over the processes."""
    return statistics.median(sample[event][clock] for sample in samples)


if __name__ == "__main__":
    main()
