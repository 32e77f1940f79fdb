"""A layer × strength map of edited image tokens: against peers, and the blocks above the edited one alone."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from common import comparison, report
from common.bounds import machine_rates, resumed_rows, roofline
from common.comparison import Row
from common.measuring import seconds
from common.ours import FIRST, STEADY, grid
from common.peers import Side, peers
from common.scripts import make_work, run, sized
from common.work import IMAGE, Work
from mllm_probe.activations.hooks import attached
from mllm_probe.models.layout import given_cache
from sweep import memory_by_child, peak_of_side, profiled, roofline_text, told_ways

BOUND = Side("bound: one prefill, blocks above each layer, row decode", resumed_rows, unedited=True)


def main() -> None:
    """Run it."""
    options = arguments()
    run(options, "prompt_sweep_profile" if options.profile else "prompt_sweep", one, peak_of)


def work_of(options: argparse.Namespace, name: str, tokens: int) -> Work:
    """Work whose image tokens are edited."""
    return make_work(options, name, tokens, IMAGE, picture_first=True)


def peak_of(options: argparse.Namespace) -> int:
    """Peak bytes of the side that is named."""
    return peak_of_side(work_of(options, options.model[0], options.tokens[0]), all_sides(options), options.memory_of)


def arguments() -> argparse.Namespace:
    """The options."""
    parser = report.parser(__doc__)
    sized(parser)
    parser.set_defaults(repeats=3)
    parser.add_argument("--profile", action="store_true", help="only print where the time of a sweep goes")
    return parser.parse_args()


def all_sides(options: argparse.Namespace) -> list[Side]:
    """Ours, the bound, and the peers; rows batched by hand are those of one layer."""
    return [STEADY, FIRST, BOUND, *peers(options.strengths, prompt_edited=True)]


def one(options: argparse.Namespace, told: dict[str, Any], name: str, tokens: int) -> dict[str, Any]:
    """The tables of one model and length of prompt."""
    work = work_of(options, name, tokens)
    title = (
        f"{work.subject.name}, {work.subject.tokens} prompt tokens, image tokens edited, {len(work.layers)} layers × "
    )
    title += f"{len(work.strengths)} strengths, {work.steps} new tokens"
    print(report.heading(title, told))
    if options.profile:
        return profiled(work, title)
    memory = memory_by_child(options, __file__, work, name, tokens)
    rows = comparison.measure(work, all_sides(options), rounds=options.repeats, sampled=options.sampled, memory=memory)
    ours, bound = rows[0], rows[2]
    print(report.table(comparison.HEADER, comparison.lines(rows, ours, bound)))
    model = work.subject.model
    least = roofline(work, resumed_rows, machine_rates(model.device.type, model.dtype, model.hidden_size))
    print(roofline_text(least, ours))
    print(ways := told_ways(work))
    logits = logits_only(work)
    print(f"logit-only map: {logits['seconds']:.3g} s, {logits['decode_steps']} decode steps")
    targets = judged(rows, ours, bound, logits, tokens == max(options.tokens))
    print(report.targets_text(targets))
    records = [comparison.record(row, ours, bound) for row in rows]
    return {
        "title": title,
        "sides": records,
        "roofline": least,
        "ways": ways,
        "targets": targets,
        "logits_only": logits,
    }


def logits_only(work: Work) -> dict[str, float]:
    """Seconds of the map of log-probabilities alone, and how many calls fed a token behind the prompt."""
    model, length, steps = work.subject.model, work.subject.tokens, []
    only = replace(work, steps=1)
    only.__dict__.update({name: work.__dict__[name] for name in ("vectors", "doses", "tensors")})

    def count(arguments: dict[str, Any]) -> None:
        cache = given_cache(arguments)
        if cache is not None and int(cache.get_seq_length()) >= length:
            steps.append(1)

    with attached(model, on_call=count):
        grid(only, metrics=("logprob",))
    spent = seconds(lambda: grid(only, metrics=("logprob",)), model.device.type)
    return {"seconds": spent, "decode_steps": len(steps)}


def judged(rows: list[Row], ours: Row, bound: Row, logits: dict[str, float], longest: bool) -> list[dict[str, Any]]:
    """Targets: against the best peer at the longest prompt, against the bound at every one."""
    found = [
        report.target("ours / bound", comparison.ratio(ours, bound), 1.25, at_least=False),
        report.target("decode steps of a logit-only map", logits["decode_steps"], 0, at_least=False),
    ]
    if longest:
        best = comparison.fastest(rows, lambda side: side not in (STEADY, FIRST, BOUND))
        found.append(report.target("best peer / ours", comparison.ratio(best, ours), 1.8, at_least=True))
    return found


if __name__ == "__main__":
    main()
