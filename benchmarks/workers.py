"""One store filled by 1, 2 and 4 processes, and what a store costs a sweep that could do without."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import torch

import mllm_probe as mp
from common import report
from common.measuring import in_turns
from mllm_probe.sweeps import store_status
from mllm_probe.sweeps.stored import unit_runs
from mllm_probe.sweeps.stored.sweep_store import SweepStore

MODEL = "scenes-8l"
WITHOUT, WITH = "without", "with a store"
OVERHEAD, SPEEDUP = 1.05, 0.8
"""Most CPU time with a store by that without, and least share of the ideal speed-up."""


def main() -> None:
    """Run it."""
    options = arguments()
    torch.set_num_threads(1)
    facts = report.facts(1, "cpu") | {"unit": "wall seconds, each process of one thread, without its start"}
    given, settings = sweep_of(options)
    with tempfile.TemporaryDirectory() as folder:
        turns = {str(count): shared(given, settings, Path(folder), count) for count in options.workers}
        rows = rows_of(in_turns(turns, options.rounds))
        overhead, writing = cost(given, settings, Path(folder), options.rounds)
    print(report.heading(f"{workers_text(options.workers)} processes on one store, {MODEL}", facts))
    targets = [*told_workers(rows), told_cost(overhead, writing)]
    print(report.targets_text(targets))
    result = {"benchmark": "workers", "rows": rows, "overhead": overhead, "writing": writing, "targets": targets}
    report.write(options.json, "workers", facts | result)


def told_workers(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Print how long each number of processes took; what is asked of those that have a core each."""
    cells = [
        (r["workers"], ", ".join(f"{s:.1f}" for s in r["rounds"]), f"{r['ideal']:.1f}", f"{r['share']:.2f}")
        for r in rows
    ]
    print(report.table(("workers", "seconds of each round", "ideal", "share of ideal"), cells))
    return [
        report.target(f"{row['workers']} workers, share of ideal", row["share"], SPEEDUP, at_least=True)
        for row in rows
        if 1 < row["workers"] <= cores()
    ]


def told_cost(overhead: list[dict[str, float]], writing: float) -> dict[str, Any]:
    """Print what a store costs; what is asked of it."""
    ratios = [spent[WITH] / spent[WITHOUT] for spent in overhead]
    cells = [
        (number, f"{spent[WITHOUT]:.2f}", f"{spent[WITH]:.2f}", f"{ratio:.3f}")
        for number, (spent, ratio) in enumerate(zip(overhead, ratios, strict=True), start=1)
    ]
    print(report.table(("CPU seconds of the same sweep, round", WITHOUT, WITH, "ratio"), cells))
    print(f"laying out, writing and reading the store: {writing:.1%} of the CPU time of the sweep with it")
    return report.target("CPU time with a store by that without", statistics.median(ratios), OVERHEAD, at_least=False)


def arguments() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], help="processes; the first is alone")
    parser.add_argument("--concepts", type=int, default=16)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3, help="of all of it; the median counts")
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


def rows_of(seconds: dict[str, list[float]]) -> list[dict[str, Any]]:
    """For each number of processes its seconds, the ideal of the same rounds and the median share of it."""
    alone, rows = next(iter(seconds.values())), []
    for count, rounds in seconds.items():
        ideal = [one / min(int(count), cores()) for one in alone]
        shares = [best / own for best, own in zip(ideal, rounds, strict=True)]
        rows.append(
            {
                "workers": int(count),
                "rounds": rounds,
                "ideal": statistics.median(ideal),
                "share": statistics.median(shares),
            }
        )
    return rows


def cores() -> int:
    """Processes that can run at a time."""
    return psutil.cpu_count(logical=True) or 1


def shared(given: tuple[Any, ...], settings: dict[str, Any], folder: Path, workers: int) -> Callable[[int], float]:
    """Seconds from the first unit that a process begins to the last one that is finished, of every round."""

    def run(number: int) -> float:
        store = folder / f"{workers}-{number}.zarr"
        mp.sweep(*given, **settings, store=store, shard=f"{10**6}/{10**6}")  # begins the store, and has no unit
        command = [sys.executable, "-m", "mllm_probe.cli", "work", str(store), "--device", "cpu"]
        one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
        shards = [f"{shard + 1}/{workers}" for shard in range(workers)]
        running = [subprocess.Popen([*command, "--shard", s], env=one_thread, stdout=-3, stderr=-3) for s in shards]
        failed = [process.wait() for process in running]
        if any(failed):
            raise RuntimeError(f"a worker ended with {max(failed)}: run mllm-probe work {store} to see why.")
        told = store_status(store, check=True)
        if not told.progress.finished or told.damaged:
            raise RuntimeError(f"the store is not whole: {told}")
        began, ended = span_of(store)
        return ended - began

    return run


def span_of(store: Path) -> tuple[float, float]:
    """When the first unit began and the last one was finished."""
    from mllm_probe.sweeps.stored.store_progress import StoreWatch

    notes = StoreWatch(store).notes().values()
    return min(note["written"] - note["seconds"] for note in notes), max(note["written"] for note in notes)


def cost(
    given: tuple[Any, ...], settings: dict[str, Any], folder: Path, rounds: int
) -> tuple[list[dict[str, float]], float]:
    """CPU seconds of the sweep without a store and with one, of each round, and the store's share of its own run.

    The two advance beside each other, step by step: a processor that is shared is a third slower in one minute than in
    the next, so that of two whole sweeps one after the other the slower one is the one with less luck.
    """
    found, shares = [], []
    for number in range(rounds):
        with counted(SweepStore) as own:
            stores = {WITHOUT: None, WITH: folder / f"own-{number}.zarr"}
            spent = beside({name: steps_of(given, settings, store) for name, store in stores.items()})
        found.append(spent)
        shares.append(sum(own) / spent[WITH])
    return found, statistics.median(shares)


def steps_of(given: tuple[Any, ...], settings: dict[str, Any], store: Path | None) -> Iterator[int]:
    """A sweep in its steps: the runs that each has finished; the grid is made at the end."""
    engine = mp.sweep_iter(*given, **settings, store=store).engine
    engine.coarse = False  # of no use here, where nobody looks at the grid before its end
    yield from engine.run()
    engine.dataset()


def beside(sides: dict[str, Iterator[int]]) -> dict[str, float]:
    """CPU seconds of jobs of which always the one that has done least makes its next step."""
    spent, done, left = dict.fromkeys(sides, 0.0), dict.fromkeys(sides, 0), set(sides)
    while left:
        name = min(sorted(left), key=done.__getitem__)
        began = time.process_time()
        step = next(sides[name], None)
        spent[name] += time.process_time() - began
        if step is None:
            left.remove(name)
        else:
            done[name] += step
    return spent


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
