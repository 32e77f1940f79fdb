"""How time and memory of a sweep grow with the number of cells and of pictures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from common import report
from common.measuring import Timing, exponent, in_turns, peak_memory, peak_of_child, timer
from common.ours import grid
from common.scripts import LARGE, child_arguments, make_work, run, sized
from common.work import Work, strengths

CELLS, PICTURES = "cells", "pictures"
BASE = 4


def main() -> None:
    """Run it."""
    run(arguments(), "growth", one, peak_of)


def peak_of(options: argparse.Namespace) -> int:
    """Peak bytes of the amount that is named."""
    kind, amount = options.memory_of.split(":")
    return peak_memory(sized_job(options, options.model[0], options.tokens[0], kind, int(amount)), "cpu")


def arguments() -> argparse.Namespace:
    """The options."""
    parser = report.parser(__doc__)
    sized(parser)
    parser.set_defaults(repeats=3, tokens=[600])
    parser.add_argument("--times-cells", type=int, nargs="+", default=[1, 4, 16, 64], help=f"of {BASE} cells")
    parser.add_argument("--times-pictures", type=int, nargs="+", default=[1, 4, 16])
    return parser.parse_args()


def one(options: argparse.Namespace, told: dict[str, Any], name: str, tokens: int) -> dict[str, Any]:
    """The tables of one model and length of prompt."""
    amounts = {CELLS: [BASE * n for n in options.times_cells], PICTURES: list(options.times_pictures)}
    found, targets = {}, []
    for kind, counts in amounts.items():
        work = sized_work(options, name, tokens, kind, max(counts))
        other = f"{work.steps} new tokens" + ("" if kind == CELLS else f", {cells_each(work)} cells each")
        title = f"{work.subject.name}, {work.subject.tokens} prompt tokens, {other}: time and memory by {kind}"
        print(report.heading(title, told))
        jobs = {str(n): timer(sized_job(options, name, tokens, kind, n, work), work.subject.model.device.type)
                for n in counts}  # fmt: skip
        for job in jobs.values():
            job(0)
        times = [Timing(tuple(samples)) for samples in in_turns(jobs, options.repeats).values()]
        memory = memory_of(options, name, tokens, kind, counts, work)
        found[kind] = told_growth(kind, counts, times, memory)
        limit, text = (1.0, "time by cells, exponent") if kind == CELLS else (1.1, "time by pictures, exponent")
        targets.append(report.target(text, found[kind]["exponent"], limit, at_least=False))
    print(report.targets_text(targets))
    return {"model": name, "tokens": tokens, "growth": found, "targets": targets}


def sized_work(options: argparse.Namespace, name: str, tokens: int, kind: str, amount: int) -> Work:
    """A model with as many pictures as are swept at most."""
    return make_work(options, name, tokens, pictures=amount if kind == PICTURES else 1)


def sized_job(
    options: argparse.Namespace, name: str, tokens: int, kind: str, amount: int, work: Work | None = None
) -> Any:
    """A sweep over so many cells of one picture, or over so many pictures."""
    work = work or sized_work(options, name, tokens, kind, amount)
    layers = work.layers
    cells = amount if kind == CELLS else cells_each(work)
    chosen = layers[: min(cells, len(layers))]
    own = Work(work.subject, chosen, strengths(-(-cells // len(chosen))), work.steps, work.tokens)
    own.__dict__["vectors"] = work.vectors
    pictures = slice(amount if kind == PICTURES else 1)
    return lambda: grid(own, pictures=pictures)


def cells_each(work: Work) -> int:
    """Cells per picture where the pictures grow."""
    return min(4 * BASE, len(work.layers))


def memory_of(
    options: argparse.Namespace, name: str, tokens: int, kind: str, counts: Sequence[int], work: Work
) -> list[int | None]:
    """Peak bytes at each size: in processes of their own on the CPU, here on CUDA."""
    if options.no_memory:
        return [None for _ in counts]
    if name in LARGE:
        return [peak_memory(sized_job(options, name, tokens, kind, n, work), "cuda") for n in counts]
    given = child_arguments(options, name, tokens, "swept", "steps")
    return [peak_of_child(__file__, [*given, f"{kind}:{n}"]) for n in counts]


def told_growth(
    kind: str, counts: Sequence[int], times: Sequence[Timing], memory: Sequence[int | None]
) -> dict[str, Any]:
    """Print the table of one kind of growth, with the exponent of each step and of all."""
    medians = [timing.median for timing in times]
    steps = [None, *(exponent(counts[i : i + 2], medians[i : i + 2]) for i in range(len(counts) - 1))]
    rows = [
        [
            count,
            str(timing),
            f"{1e3 * timing.median / count:.3g}",
            None if e is None else f"{e:.2f}",
            report.megabytes(m),
        ]
        for count, timing, e, m in zip(counts, times, steps, memory, strict=True)
    ]
    print(report.table((kind, "seconds (quartiles)", "ms each", "exponent from the line above", "peak memory"), rows))
    whole = exponent(counts, medians) if len(counts) > 1 else None
    used = [m for m in memory if m is not None]
    grown = exponent(counts, used) if len(used) == len(counts) > 1 else None
    shown = [f"{n} {v:.2f}" for n, v in (("time", whole), ("memory", grown)) if v is not None]
    print(f"fitted exponents: {', '.join(shown)}")
    return {
        "counts": list(counts), "seconds": medians, "rounds": [t.samples for t in times], "peak_memory_bytes": memory,
        "exponents": steps, "exponent": whole, "memory_exponent": grown,
    }  # fmt: skip


if __name__ == "__main__":
    main()
