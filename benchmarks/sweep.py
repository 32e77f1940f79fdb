"""A layer × strength map by one sweep: against one cell at a time, rows batched by hand, and what it costs at best."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Any

from common import comparison, report
from common.bounds import decoded_rows, machine_rates, roofline
from common.comparison import Row
from common.measuring import Timing, in_turns, peak_memory, peak_of_child, timer
from common.ours import FIRST, METRICS, STEADY, grid
from common.peers import Side, peers
from common.profiling import shares
from common.scripts import child_arguments, make_work, run, sized
from common.work import Work

BOUND = Side("bound: one prefill and row decode, nothing else", decoded_rows, unedited=True)


def main() -> None:
    """Run it."""
    options = arguments()
    run(options, "sweep_profile" if options.profile else "sweep", one, peak_of)


def peak_of(options: argparse.Namespace) -> int:
    """Peak bytes of the side that is named."""
    return peak_of_side(make_work(options, options.model[0], options.tokens[0]), all_sides(options), options.memory_of)


def arguments() -> argparse.Namespace:
    """The options."""
    parser = report.parser(__doc__)
    sized(parser)
    parser.add_argument("--rows-by-hand", type=int, default=36, help="rows per batch of the sides batched by hand")
    parser.add_argument("--no-extras", action="store_true", help="leave out the cost of further metrics and controls")
    parser.add_argument("--profile", action="store_true", help="only print where the time of a sweep goes")
    return parser.parse_args()


def all_sides(options: argparse.Namespace) -> list[Side]:
    """Ours, the bound, and the peers."""
    return [STEADY, FIRST, BOUND, *peers(min(options.rows_by_hand, options.swept * options.strengths))]


def one(options: argparse.Namespace, told: dict[str, Any], name: str, tokens: int) -> dict[str, Any]:
    """The tables of one model and length of prompt."""
    work = make_work(options, name, tokens)
    title = f"{work.subject.name}, {work.subject.tokens} prompt tokens, {len(work.layers)} layers × "
    title += f"{len(work.strengths)} strengths, {work.steps} new tokens"
    print(report.heading(title, told))
    if options.profile:
        return profiled(work, title)
    memory = memory_by_child(options, __file__, work, name, tokens)
    rows = comparison.measure(work, all_sides(options), rounds=options.repeats, sampled=options.sampled, memory=memory)
    ours, bound = rows[0], rows[2]
    print(report.table(comparison.HEADER, comparison.lines(rows, ours, bound)))
    device = work.subject.model.device.type
    least = roofline(
        work, decoded_rows, machine_rates(device, work.subject.model.dtype, work.subject.model.hidden_size)
    )
    print(roofline_text(least, ours))
    print(ways := told_ways(work))
    targets = judged(rows, ours, bound, tokens == max(options.tokens))
    print(report.targets_text(targets))
    extras = [] if options.no_extras else further(work, options)
    records = [comparison.record(row, ours, bound) for row in rows]
    return {"title": title, "sides": records, "roofline": least, "ways": ways, "targets": targets, "extras": extras}


def memory_by_child(options: argparse.Namespace, script: str, work: Work, name: str, tokens: int) -> Any:
    """Function that measures a side's peak memory: in a process of its own on the CPU, here on CUDA."""
    if options.no_memory:
        return None
    if work.subject.model.device.type == "cuda":
        return lambda side: memory_here(work, side)
    by_hand = [key for key in ("rows_by_hand",) if hasattr(options, key)]
    passed = child_arguments(options, name, tokens, "swept", "strengths", "steps", "sampled", *by_hand)
    return lambda side: peak_of_child(script, [*passed, side.name])


def peak_of_side(work: Work, sides: Sequence[Side], name: str) -> int:
    """Peak bytes of the side of this name."""
    return memory_here(work, next(side for side in sides if side.name == name))


def memory_here(work: Work, side: Side) -> int:
    """Peak bytes above the model while a side runs; a cell or chunk after the other takes no more than one."""
    own = side.setup(work) if side.setup else work
    assert own.doses is not None
    cells = comparison.timed_cells(work, side, 1)

    def job() -> None:
        prepared = side.prepare(own) if side.prepare else None
        comparison.run(own, side, cells, prepared)

    return peak_memory(job, work.subject.model.device.type)


def judged(rows: list[Row], ours: Row, bound: Row, longest: bool) -> list[dict[str, Any]]:
    """Targets: those against peers at the longest prompt, that against the bound at every one."""
    found = [report.target("ours / bound", comparison.ratio(ours, bound), 1.25, at_least=False)]
    if longest:
        single = comparison.fastest(rows, lambda side: side.one_cell)
        copied = comparison.fastest(rows, lambda side: "copied caches" in side.name)
        found.append(
            report.target("best peer one cell at a time / ours", comparison.ratio(single, ours), 50, at_least=True)
        )
        found.append(report.target("rows with copied caches / ours", comparison.ratio(copied, ours), 10, at_least=True))
    return found


def roofline_text(least: dict[str, float], ours: Row) -> str:
    """The bound from operations and bytes, in a line."""
    text = (
        f"roofline: {least['flops'] / 1e9:.1f} GFLOP at {least['flops_per_second'] / 1e9:.0f} GFLOP/s take "
        f"{least['seconds_by_flops']:.3g} s; {least['bytes'] / 2**30:.2f} GiB at "
        f"{least['bytes_per_second'] / 2**30:.1f} GiB/s take {least['seconds_by_bytes']:.3g} s"
    )
    return text + (f"; ours is {ours.timing.median / least['seconds']:.2f} × the larger" if ours.timing else "")


def told_ways(work: Work) -> str:
    """How the sweep went: the path that was chosen, and rows of a chunk."""
    attributes = grid(work).attrs
    return f"path of the sweep: {attributes['path']}; at most {attributes['chunk_rows']} rows in a chunk"


def further(work: Work, options: argparse.Namespace) -> list[dict[str, Any]]:
    """What each further metric and each control adds to the sweep with answers and log-probabilities."""
    device, rounds = work.subject.model.device.type, max(options.repeats // 2, 1)
    base = "logprob, tokens"
    asked: dict[str, tuple[Sequence[str], Sequence[str]]] = {base: (METRICS, ())}
    asked |= {f"+ {metric}": ((*METRICS, metric), ()) for metric in ("kl", "named", "kept", "perplexity")}
    asked |= {f"+ control {control}, 8 draws": (METRICS, (control,)) for control in ("random", "shuffled")}
    jobs = {name: timer(partial(grid, work, *settings), device) for name, settings in asked.items()}
    found = {name: Timing(tuple(samples)) for name, samples in in_turns(jobs, rounds).items()}
    least = found[base].median
    told = [
        {
            "with": name,
            "seconds": t.median,
            "quartiles": t.quartiles,
            "more": t.median - least,
            "by_base": t.median / least,
        }
        for name, t in found.items()
    ]
    rows = [[name, str(t), f"{t.median - least:+.3g}", f"{t.median / least:.2f}"] for name, t in found.items()]
    print("\n" + report.table(("what is asked for", "seconds (quartiles)", "more", "× the first"), rows))
    return told


def profiled(work: Work, title: str) -> dict[str, Any]:
    """Where the time of a steady sweep goes."""
    grid(work)
    found = shares(lambda: grid(work))
    total = sum(value for _, value in found)
    print(report.table(("part", "seconds", "share"), [[n, f"{v:.3f}", f"{v / total:.1%}"] for n, v in found]))
    return {"title": title, "profile_seconds": dict(found)}


if __name__ == "__main__":
    main()
