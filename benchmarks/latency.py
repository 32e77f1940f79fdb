"""From a moved slider to the first new token of three rows: against one bare decode step, and a fresh `generate`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import mllm_probe as mp
from common import comparison, report
from common.measuring import Timing, in_turns, seconds
from common.peers import prefilled, with_hooks
from common.scripts import make_work, run, sized
from common.work import CONCEPT, LAST, Cell, Work
from mllm_probe import schema
from mllm_probe.decoding.attention import sharing_attention
from mllm_probe.decoding.compiled import StaticDecoder
from mllm_probe.decoding.rows import share_rows
from mllm_probe.decoding.shared_prompt import difference, tolerance
from mllm_probe.generation.streaming import Live
from mllm_probe.models.layout import cache_argument

OURS, BARE, FRESH = "Live.first_token", "bare decode step", "fresh generate with hooks"
GRAPH, FIXED = "bare decode step, compiled, as a CUDA graph", "bare decode step of fixed shapes, not compiled"
ROWS = 3


@dataclass(frozen=True)
class Move:
    """A place of the slider: unsteered, steered and random rows."""

    cell: Cell
    rows: list[Any]


def main() -> None:
    """Run it."""
    run(arguments(), "latency", one)


def arguments() -> argparse.Namespace:
    """The options."""
    parser = report.parser(__doc__)
    sized(parser)
    parser.set_defaults(repeats=10, steps=1)
    parser.add_argument("--graph", action="store_true", help="a bare step of fixed shapes too, on CUDA as a graph")
    parser.add_argument("--moves", type=int, default=8, help="moves of the slider per round")
    return parser.parse_args()


def one(options: argparse.Namespace, told: dict[str, Any], name: str, tokens: int) -> dict[str, Any]:
    """The table of one model and length of prompt."""
    work = make_work(options, name, tokens, LAST)
    title = f"{work.subject.name}, {work.subject.tokens} prompt tokens, {ROWS} rows: unsteered, steered, random"
    print(report.heading(title, told))
    cells = comparison.spread(work.cells, options.moves)
    live = Live(work.subject.model, work.subject.pictures[0], work.subject.prompt, ROWS, max_new_tokens=8)
    unequal = differing(work, live, cells)
    found = timed(work, live, cells, options.repeats, graph=options.graph)
    exact = work.subject.model.dtype == torch.float32
    records = [record(side, found, unequal, exact=exact) for side in found]
    header = ("side", "milliseconds per move (quartiles)", "× bare step (quartiles of rounds)", "outputs")
    print(report.table(header, [line(one) for one in records]))
    targets = [report.target("slider to token / bare decode step", records[0]["by_bare"], 1.2, at_least=False)]
    if options.graph:
        by_graph = found[OURS].median / found[GRAPH].median if GRAPH in found and records[0]["by_bare"] else None
        targets.append(report.target("slider to token / bare step as a CUDA graph", by_graph, 1.2, at_least=False))
    if options.graph and GRAPH not in found:
        print("the bare step as a CUDA graph: needs CUDA")
    if live.not_compiled:
        print(f"the session's step is not compiled: {live.not_compiled}")
    print(report.targets_text(targets))
    return {"title": title, "path": live.path, "not_compiled": live.not_compiled, "sides": records, "targets": targets}


def move(work: Work, cell: Cell) -> Move:
    """What the panel makes of a place of the slider: new steerings, as a slider that moves makes them."""
    vectors = work.vectors.sel({schema.CONCEPT: CONCEPT})
    steering = mp.Steering(vectors, [cell[0]], cell[1], tokens=LAST)
    return Move(cell, [None, steering, steering.control("random")])


def differing(work: Work, live: Live, cells: Sequence[Cell]) -> int:
    """Tokens of the session that are not those of plain hooks (of ``mp.generate`` for the random row)."""
    count = 0
    for cell in cells:
        own, place = live.first_token(move(work, cell).rows).cpu(), move(work, cell)
        plain = with_hooks(work, None, [(cell[0], 0.0), cell]).tokens
        subject = work.subject
        random = mp.generate(
            subject.model, subject.pictures[0], subject.prompt, steering=place.rows[2], max_new_tokens=1
        )
        assert plain is not None
        expected = torch.cat([plain[:, 0], random.tokens[:, 0]])
        count += int((own != expected).sum())
    return count


def timed(work: Work, live: Live, cells: Sequence[Cell], rounds: int, *, graph: bool = False) -> dict[str, Timing]:
    """Seconds per move of each side, in turns."""
    device, hf = work.subject.model.device.type, work.subject.model.hf
    kept, tokens = prefilled(work), work.tensors["input_ids"][:, -1:].expand(ROWS, 1)

    @torch.no_grad()
    def bare_logits() -> Tensor:
        cache = share_rows(kept, ROWS, tokens.device)
        with sharing_attention(work.subject.model):
            return hf(input_ids=tokens, **cache_argument(hf, cache)).logits[:, -1]

    def fresh(cell: Cell) -> Any:
        return with_hooks(work, None, [(cell[0], 0.0), cell, (cell[0], -cell[1])])

    sides: dict[str, Callable[[Cell], Any]] = {
        OURS: lambda cell: live.first_token(move(work, cell).rows),
        BARE: lambda cell: bare_logits().argmax(-1),
        FRESH: fresh,
    }

    if graph:
        sides[GRAPH if device == "cuda" else FIXED] = fixed_step(work, live, bare_logits())

    def timer(side: Callable[[Cell], Any], moves: Sequence[Cell]) -> Callable[[int], float]:
        return lambda _: seconds(lambda: [side(cell) for cell in moves], device) / len(moves)

    jobs = {name: timer(side, cells[:1] if name == FRESH else cells) for name, side in sides.items()}
    return {name: Timing(tuple(samples)) for name, samples in in_turns(jobs, rounds).items()}


def fixed_step(work: Work, live: Live, expected: Tensor) -> Callable[[Cell], Tensor]:
    """A bare step of fixed shapes, without hooks; compiled and recorded as a graph on CUDA.

    Raises
    ------
    RuntimeError
        If its logits are not those of the bare step with growing caches, or it is not compiled on CUDA.
    """
    model, shared = work.subject.model, live.prompt.shared()
    assert shared is not None
    decoder = StaticDecoder(model, shared, ROWS, 1)

    @torch.no_grad()
    def logits() -> Tensor:
        with model.lock.held(interactive=True):
            return decoder.start(ROWS).logits

    largest = difference(logits(), expected)
    if largest > tolerance(model.dtype):
        raise RuntimeError(f"logits of a bare step of fixed shapes differ by {largest:.1e} of their scale.")
    if model.device.type == "cuda" and not decoder.compiled:
        raise RuntimeError("the bare step of fixed shapes should be a CUDA graph and is not compiled.")
    return lambda cell: logits().argmax(-1)


def record(side: str, found: dict[str, Timing], unequal: int, *, exact: bool) -> dict[str, Any]:
    """A side for the JSON file; without equal outputs there is no ratio, but for ties in half precision."""
    timing = found[side]
    pairs = Timing(tuple(a / b for a, b in zip(timing.samples, found[BARE].samples, strict=True)))
    return {
        "side": side, "seconds": timing.median, "quartiles": timing.quartiles, "unequal_tokens": unequal,
        "by_bare": None if unequal and exact else pairs.median, "by_bare_quartiles": pairs.quartiles,
    }  # fmt: skip


def line(one: dict[str, Any]) -> list[Any]:
    """A row of the table."""
    low, high = one["quartiles"]
    ratio = None
    if one["by_bare"] is not None and one["side"] != BARE:
        ratio = "{:.3f} ({:.3f} – {:.3f})".format(one["by_bare"], *one["by_bare_quartiles"])
    outputs = "tokens equal" if not one["unequal_tokens"] else f"{one['unequal_tokens']} tokens differ"
    times = f"{1e3 * one['seconds']:.1f} ({1e3 * low:.1f} – {1e3 * high:.1f})"
    return [one["side"], times, ratio, outputs if one["side"] in (OURS, FRESH) else None]


if __name__ == "__main__":
    main()
