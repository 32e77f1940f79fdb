"""One store filled by 1, 2 and 4 processes, and what a store costs a sweep that could do without."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import torch

import mllm_probe as mp
from common import report
from common.measuring import in_turns
from mllm_probe.sweeps import store_status, unit_runs
from mllm_probe.sweeps.sweep_store import SweepStore

MODEL = "scenes-8l"
OVERHEAD, SPEEDUP = 1.05, 0.8
"""Most CPU time with a store by that without, and least share of the ideal speed-up."""


def main() -> None:
    """Run it."""
    options = arguments()
    torch.set_num_threads(1)
    facts = report.facts(1, "cpu") | {"unit": "wall seconds, each process of one thread, without its start"}
    given, settings = sweep_of(options)
    rows, targets = [], []
    with tempfile.TemporaryDirectory() as folder:
        for workers in options.workers:
            rows.append(shared(given, settings, Path(folder) / f"{workers}.zarr", workers))
        overhead, writing = cost(given, settings, Path(folder), options.repeats)
    print(report.heading(f"{workers_text(options.workers)} on one store, {MODEL}", facts))
    cores, alone = psutil.cpu_count(logical=True) or 1, rows[0]["seconds"]
    for row in rows:
        row["ideal"] = alone / min(row["workers"], cores)
        row["share"] = row["ideal"] / row["seconds"]
        if 1 < row["workers"] <= cores:
            targets.append(
                report.target(f"{row['workers']} workers, share of ideal", row["share"], SPEEDUP, at_least=True)
            )
    cells = [(r["workers"], r["units"], f"{r['seconds']:.1f}", f"{r['ideal']:.1f}", f"{r['share']:.2f}") for r in rows]
    print(report.table(("workers", "units", "seconds", "ideal", "share of ideal"), cells))
    cells = [(name, f"{value:.2f}") for name, value in overhead.items()]
    print(report.table(("the same sweep", f"CPU seconds, least of {options.repeats}"), cells))
    print(f"laying out, writing and reading the store: {writing:.1%} of the CPU time of the sweep with it")
    ratio = overhead["with a store"] / overhead["without"]
    targets.append(report.target("CPU time with a store by that without", ratio, OVERHEAD, at_least=False))
    print(report.targets_text(targets))
    result = facts | {
        "benchmark": "workers",
        "rows": rows,
        "overhead": overhead,
        "writing": writing,
        "targets": targets,
    }
    report.write(options.json, "workers", result)


def arguments() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], help="processes; the first is alone")
    parser.add_argument("--concepts", type=int, default=16)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5, help="of the sweep with and without a store, in turns")
    parser.add_argument("--json", type=Path, help="default: benchmarks/results/workers.json")
    return parser.parse_known_args()[0]


def sweep_of(options: argparse.Namespace) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments of the sweep: all layers, four strengths, two kinds of control."""
    model = mp.load(MODEL, device="cpu")
    library = mp.concepts.scenes(pairs=16)
    library = library.subset(concepts=list(library)[: options.concepts])
    fit, others = library.split()
    vectors = mp.concept_vectors(model, fit, tokens=("last_prompt",), probe_accuracy=False, progress=False)
    images = mp.concepts.neutral_images(others, options.images)
    settings = {"strengths": (0.5, 1, 1.5, 2), "draws": 4, "tokens": ("last_prompt",), "progress": False}
    return (model, vectors, images), settings


def shared(given: tuple[Any, ...], settings: dict[str, Any], store: Path, workers: int) -> dict[str, Any]:
    """Seconds from the first unit that a process begins to the last one that is finished."""
    mp.sweep(*given, **settings, store=store, shard=f"{10**6}/{10**6}")  # begins the store, and has no unit
    command = [sys.executable, "-m", "mllm_probe.cli", "work", str(store), "--device", "cpu"]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    shards = [f"{number + 1}/{workers}" for number in range(workers)]
    running = [subprocess.Popen([*command, "--shard", shard], env=one_thread, stdout=-3, stderr=-3) for shard in shards]
    failed = [process.wait() for process in running]
    if any(failed):
        raise RuntimeError(f"a worker ended with {max(failed)}: run mllm-probe work {store} to see why.")
    told = store_status(store, check=True)
    if not told.progress.finished or told.damaged:
        raise RuntimeError(f"the store is not whole: {told}")
    began, ended = span_of(store)
    return {"workers": workers, "units": told.progress.units, "seconds": ended - began}


def span_of(store: Path) -> tuple[float, float]:
    """When the first unit began and the last one was finished."""
    from mllm_probe.sweeps.store_progress import StoreWatch

    notes = StoreWatch(store).notes().values()
    return min(note["written"] - note["seconds"] for note in notes), max(note["written"] for note in notes)


def cost(
    given: tuple[Any, ...], settings: dict[str, Any], folder: Path, repeats: int
) -> tuple[dict[str, float], float]:
    """Least CPU seconds of the sweep without a store and with one, run in turns, and the store's share of its own run.

    What else runs on the machine only ever adds to them, and by more than the store does: the share, which is measured
    inside one run, is the median over the runs.
    """
    shares = list[float]()

    def stored() -> None:
        with counted(SweepStore) as spent:
            began = time.process_time()
            mp.sweep(*given, **settings, store=folder / f"own-{len(shares)}.zarr")
            shares.append(sum(spent) / (time.process_time() - began))

    def timed(job: Any) -> Any:
        def run(_: int) -> float:
            began = time.process_time()
            job()
            return time.process_time() - began

        return run

    sides = {"without": timed(lambda: mp.sweep(*given, **settings)), "with a store": timed(stored)}
    found = in_turns(sides, repeats)
    return {name: min(values) for name, values in found.items()}, statistics.median(shares)


@contextmanager
def counted(store: type[SweepStore]) -> Iterator[list[float]]:
    """CPU seconds of what a store does, call by call, while the ``with`` block runs."""
    spent = list[float]()

    def timed(method: Any) -> Any:
        def run(*arguments: Any, **named: Any) -> Any:
            began = time.process_time()
            try:
                return method(*arguments, **named)
            finally:
                spent.append(time.process_time() - began)

        return run

    with ExitStack() as stack:
        for name in ("create", "begin_work", "save", "finished", "load", "load_all", "computed_with"):
            stack.enter_context(patch.object(store, name, timed(getattr(store, name))))
        stack.enter_context(patch.object(unit_runs, "save_inputs", timed(unit_runs.save_inputs)))
        yield spent


def workers_text(workers: list[int]) -> str:
    """How many, as a heading says it."""
    return " and ".join([", ".join(map(str, workers[:-1])), str(workers[-1])]) if len(workers) > 1 else str(workers[0])


if __name__ == "__main__":
    main()
