"""The first frame of the lab: seconds from `mp.explore` to its picture, its unsteered answer and its first progress."""

from __future__ import annotations

import argparse
import json
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
IMPORT = "import"
SOON = 120.0
TARGET = 2.0


def main() -> None:
    """Run it."""
    options = arguments()
    if options.child:
        print(json.dumps(measured(options.child)))
        return
    from common import report  # imports torch, which a child imports on the clock

    told = report.facts(1, "cpu") | {"unit": "seconds since the call, each call in a fresh process"}
    samples = {call: [in_child(call) for _ in range(options.repeats)] for call in CALLS}
    rows = [
        {"call": CALLS[call], "event": event} | {clock: median(found, event, clock) for clock in ("cpu", "wall")}
        for call, found in samples.items()
        for event in (IMPORT, *EVENTS)
    ]
    print(report.heading("explore: first frame", told))
    cells = [(row["call"], row["event"], f"{row['cpu']:.2f}", f"{row['wall']:.2f}") for row in rows]
    print(report.table(("call", "event", "CPU", "wall"), cells))
    last = [row for row in rows if row["event"] == "first progress"]
    targets = [report.target(f"{row['call']}, CPU seconds", row["cpu"], TARGET, at_least=False) for row in last]
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
    done = subprocess.run([sys.executable, __file__, "--child", call], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measured(call: str) -> dict[str, dict[str, float]]:
    """CPU seconds of this process and wall seconds until each event; those of the import come before the call."""
    clock = Clock()
    import mllm_probe as mp

    mp.explore  # noqa: B018  (imports what it needs)
    found = {IMPORT: clock.seconds}
    given = (NAME,) if call == "name" else (mp.load(NAME), mp.concepts.scenes(pairs=24))
    clock = Clock()
    lab = mp.explore(*given)
    end = time.monotonic() + SOON
    for event, happened in EVENTS.items():
        while not happened(lab):
            if time.monotonic() > end:
                raise TimeoutError(f"{call}: no {event} after {SOON:.0f} s; the lab says {lab.bar.message!r}.")
            time.sleep(0.002)
        found[event] = clock.seconds
    lab.close()
    return found


class Clock:
    """CPU and wall seconds since it was made."""

    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    @property
    def seconds(self) -> dict[str, float]:
        """CPU seconds of this process, all its threads together, and wall seconds."""
        return {"cpu": time.process_time() - self._cpu, "wall": time.perf_counter() - self._wall}


def median(samples: list[dict[str, dict[str, float]]], event: str, clock: str) -> float:
    """Median over the processes."""
    return statistics.median(sample[event][clock] for sample in samples)


if __name__ == "__main__":
    main()
