"""Compare this checkout with another one: the same benchmarks in turns, and the ratio of each figure."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ("capture", "sweep", "prompt_sweep", "latency", "widgets")
SIZES = {"width": 512, "layers": 16, "vocabulary": 2000, "swept": 16, "strengths": 9, "steps": 8}
TOKENS = 300
MOVE_ROUNDS = 20
CAPTURES = 20
FIGURES = "figures="


def main() -> None:
    """Run it."""
    options = arguments()
    if options.measure:
        print(FIGURES + json.dumps(measured(options.measure)))
        return
    if options.other is None or not (options.other / "benchmarks").is_dir():
        raise SystemExit(
            "Give the folder of another checkout: git worktree add ../other COMMIT, then --other ../other."
        )
    sides = {"other": options.other.resolve(), "here": ROOT}
    missed = False
    for name in options.benchmarks:
        samples = in_turns(name, sides, options.rounds)
        rows = [row(figure, samples, options.limit) for figure in samples["here"][0]]
        missed |= any(cells[-1] != "met" for cells in rows)
        print_table(f"{name}: median of {options.rounds} runs of each checkout, in turns", rows)
    raise SystemExit(int(missed))


def arguments() -> argparse.Namespace:
    """The options."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("benchmarks", nargs="*", default=BENCHMARKS, help=f"of {', '.join(BENCHMARKS)}; default: all")
    options.add_argument("--other", type=Path, help="folder of the other checkout")
    options.add_argument("--rounds", type=int, default=5, help="runs of each checkout")
    options.add_argument("--limit", type=float, default=1.05, help="largest ratio here / other that is met")
    options.add_argument("--measure", choices=BENCHMARKS, help=argparse.SUPPRESS)
    return options.parse_args()


def in_turns(name: str, sides: Mapping[str, Path], rounds: int) -> dict[str, list[dict[str, float]]]:
    """The figures of each round and checkout; the order is turned round every round."""
    samples: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for number in range(rounds):
        for side in list(sides)[:: 1 if number % 2 == 0 else -1]:
            samples[side].append(run(name, sides[side]))
            print(f"{name}, round {number + 1} of {rounds}, {side}: {samples[side][-1]}", file=sys.stderr, flush=True)
    return samples


def run(name: str, checkout: Path) -> dict[str, float]:
    """Figures of a benchmark in a process of its own that imports the package and the benchmarks of ``checkout``.

    Raises
    ------
    RuntimeError
        With what the process wrote, if it failed.
    """
    paths = [str(checkout), str(checkout / "benchmarks")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    # -P: this file's own folder would come first on the path, and with it this checkout's benchmarks.
    command = [sys.executable, "-P", __file__, "--measure", name]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith(FIGURES)]
    if done.returncode or not lines:
        raise RuntimeError(f"The benchmark {name} failed in {checkout.name}:\n{done.stderr[-3000:]}")
    return dict(json.loads(lines[-1].removeprefix(FIGURES)))


def row(figure: str, samples: Mapping[str, list[dict[str, float]]], limit: float) -> list[str]:
    """A figure's medians, their ratio and the verdict."""
    here, other = ([one[figure] for one in samples[side]] for side in ("here", "other"))
    ratio = statistics.median(here) / statistics.median(other)
    cells = [f"{statistics.median(s):.4g} ({min(s):.4g} – {max(s):.4g})" for s in (other, here)]
    return [figure, *cells, f"{ratio:.3f}", "met" if ratio <= limit else f"over {limit:g}"]


def print_table(title: str, rows: list[list[str]]) -> None:
    """Print the table of one benchmark."""
    from common import report

    header = ("figure", "other: median (range)", "here: median (range)", "here / other", "limit")
    print(report.heading(title, report.facts(1, "cpu")))
    print(report.table(header, rows), flush=True)


def measured(name: str) -> dict[str, float]:
    """Figures of one benchmark with the package and the benchmarks that the path of this process names."""
    if name == "widgets":
        return in_jupyterlab()
    import torch

    torch.set_num_threads(1)
    return {"capture": captured, "sweep": swept, "prompt_sweep": prompt_swept, "latency": moved}[name]()


def captured() -> dict[str, float]:
    """CPU milliseconds of a capture of every layer and token of one image."""
    import mllm_probe as mp
    from common.measuring import seconds
    from common.work import LAST
    from sweep import make_work

    subject = make_work(SimpleNamespace(**SIZES), "llava", TOKENS, LAST).subject
    inputs = subject.tensors()

    def capture() -> None:
        mp.capture(subject.model, None, tokens="all", layers="all", inputs=inputs)

    capture()
    return {"capture, CPU ms": 1e3 * statistics.median(seconds(capture) for _ in range(CAPTURES))}


def swept() -> dict[str, float]:
    """CPU seconds of a sweep whose last prompt token is edited: a steady one, and the first on a model."""
    from common.work import LAST

    return sweep_seconds(LAST, repeats=3)


def prompt_swept() -> dict[str, float]:
    """CPU seconds of a sweep whose image tokens are edited."""
    from common.work import IMAGE

    return sweep_seconds(IMAGE, repeats=1, picture_first=True)


def sweep_seconds(scope: Any, repeats: int, **placing: Any) -> dict[str, float]:
    """CPU seconds of a steady sweep, and of the first one on a model, at ``TOKENS`` tokens."""
    from common import comparison, ours
    from common.measuring import seconds
    from sweep import make_work

    work = make_work(SimpleNamespace(**SIZES), "llava", TOKENS, scope, **placing)
    assert work.doses is not None
    ours.grid(work)
    figures = {}
    for figure, side in {"steady sweep, CPU s": ours.STEADY, "first sweep on a model, CPU s": ours.FIRST}.items():
        works = [side.setup(work) if side.setup else work for _ in range(repeats)]
        times = [seconds(lambda one=one, side=side: comparison.run(one, side, one.cells)) for one in works]
        figures[figure] = statistics.median(times)
    return figures


def moved() -> dict[str, float]:
    """CPU milliseconds from a moved slider to the first new token of its three rows."""
    import latency
    from common import comparison
    from common.work import LAST
    from sweep import make_work

    work = make_work(SimpleNamespace(**SIZES | {"steps": 1}), "llava", TOKENS, LAST)
    subject, cells = work.subject, comparison.spread(work.cells, 8)
    live = latency.Live(subject.model, subject.pictures[0], subject.prompt, latency.ROWS, max_new_tokens=8)
    for cell in cells:
        live.first_token(latency.move(work, cell).rows)
    return {
        "moved slider to first token, CPU ms": 1e3 * latency.timed(work, live, cells, MOVE_ROUNDS)[latency.OURS].median
    }


def in_jupyterlab() -> dict[str, float]:
    """Milliseconds of the widgets in JupyterLab, from the benchmark's own file of figures."""
    import widgets

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "widgets.json"
        sys.argv = ["widgets.py", "--json", str(file)]
        widgets.main()
        slider, fills = (part["rows"] for part in json.loads(file.read_text())["parts"])
    figures = {f"{row['what']}, ms": row["median"] for row in slider}
    for strengths, fill in zip(("one strength", "several strengths"), fills, strict=True):
        figures[f"map, {strengths}: frame, ms"] = fill["frame_ms"]["median"]
        figures[f"map, {strengths}: main thread per update, ms"] = fill["main_thread_ms_per_update"]["all"]
        figures[f"map, {strengths}: bytes per update"] = fill["bytes_per_update"]
    return figures


if __name__ == "__main__":
    main()
