"""The first sweep on a model by later ones: where no verdict is kept on the disk, and where one is; and perplexity."""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from common import report
from common.measuring import seconds
from common.ours import METRICS, forgotten, grid
from common.scripts import make_work, run, sized
from common.work import Work
from mllm_probe.decoding import paths

TARGET = 1.25
NONE_YET, KEPT = "none yet", "kept"


def main() -> None:
    """Run it."""
    run(arguments(), "first_sweep", one)


def arguments() -> argparse.Namespace:
    """The options."""
    parser = report.parser(__doc__)
    sized(parser)
    parser.set_defaults(tokens=[600])
    return parser.parse_args()


def one(options: argparse.Namespace, facts: dict[str, Any], name: str, tokens: int) -> dict[str, Any]:
    """The tables of one model and length of prompt."""
    work = make_work(options, name, tokens)
    title = f"{work.subject.name}, {work.subject.tokens} prompt tokens, {len(work.layers)} layers × "
    title += f"{len(work.strengths)} strengths, {work.steps} new tokens"
    print(report.heading(title, facts))
    assert work.vectors is not None and work.tensors is not None
    with tempfile.TemporaryDirectory() as folder:
        grid(work)  # what Python and PyTorch do once is not the model's first sweep
        records = [measured(work, Path(folder), disk, options.repeats) for disk in (NONE_YET, KEPT)]
    lines = [[one["disk"], f"{one['first']:.3g}", f"{one['later']:.3g}", f"{one['ratio']:.2f}"] for one in records]
    print(report.table(("verdict on the disk", "first sweep, seconds", "later", "first / later"), lines))
    named = {f"first / later, verdict {one['disk']}": one["ratio"] for one in records}
    targets = [report.target(what, ratio, TARGET, at_least=False) for what, ratio in named.items()]
    print(report.targets_text(targets))
    found = perplexity(work, options.repeats)
    print(f"perplexity: {found['share']:.0%} of the seconds of a sweep with it")
    return {"title": title, "calls": records, "perplexity": found, "targets": targets}


def measured(work: Work, folder: Path, disk: str, rounds: int) -> dict[str, Any]:
    """Seconds of the first sweep on a model that nothing is remembered of, and of the two after it."""
    device = work.subject.model.device.type
    first, later = list[float](), list[float]()
    before = os.environ.get(paths.FOLDER)
    try:
        for number in range(rounds):
            own = folder / KEPT if disk == KEPT else folder / str(number)
            os.environ[paths.FOLDER] = str(own)
            if disk == KEPT and not own.exists():
                grid(forgotten(work))
            fresh = forgotten(work)
            first.append(seconds(partial(grid, fresh), device))
            later += [seconds(partial(grid, fresh), device) for _ in range(2)]
    finally:
        os.environ.pop(paths.FOLDER)
        os.environ.update({} if before is None else {paths.FOLDER: before})
    medians = statistics.median(first), statistics.median(later)
    return {"disk": disk, "first": medians[0], "later": medians[1], "ratio": medians[0] / medians[1]}


def perplexity(work: Work, rounds: int) -> dict[str, float]:
    """Seconds of a steady sweep without and with perplexity, in turns."""
    device = work.subject.model.device.type
    asked: dict[str, Sequence[str]] = {"without": METRICS, "with": (*METRICS, "perplexity")}
    for metrics in asked.values():
        grid(work, metrics)
    found: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(rounds):
        for name, metrics in asked.items():
            found[name].append(seconds(partial(grid, work, metrics), device))
    own = {name: statistics.median(samples) for name, samples in found.items()}
    return own | {"share": 1 - own["without"] / own["with"]}


if __name__ == "__main__":
    main()
