"""Decode steps of three rows: with growing caches, with fixed shapes, compiled, and replayed as a CUDA graph."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from common import report
from common.bounds import greedy
from common.measuring import Timing, in_turns, timer
from common.scripts import make_work, run, sized
from common.work import Answers, Cell, Work, compare
from latency import ROWS, move
from mllm_probe.decoding.compiled import Compiler, Recorded, Replay, Step, cuda_graph
from mllm_probe.generation.decoders import CompiledDecoder, Decoder, DynamicDecoder, Prompt

EAGER = "growing caches"
NOT_ON_CPU = (
    "On the CPU the step is traced by Dynamo but not compiled, and 'replayed' runs it again: a graph needs CUDA."
)


def main() -> None:
    """Run it."""
    run(arguments(), "decoding", one)


def arguments() -> argparse.Namespace:
    """The options."""
    parser = report.parser(__doc__)
    sized(parser)
    parser.set_defaults(tokens=[600], steps=32)
    return parser.parse_args()


def compilers(device: str) -> dict[str, Compiler]:
    """Compilers of a step of fixed shapes, by the name of the side."""
    if device == "cuda":
        return {
            "fixed shapes, not compiled": lambda step: step,
            "compiled": partial(torch.compile, fullgraph=True, dynamic=False),
            "compiled, CUDA graph": cuda_graph,
            "CUDA graph, not compiled": Recorded,
        }
    traced = partial(torch.compile, fullgraph=True, dynamic=False, backend="eager")
    return {
        "fixed shapes, not compiled": lambda step: step,
        "fixed shapes, traced, 'replayed'": lambda step: Recorded(traced(step), run_again),
    }


def run_again(step: Step, inputs: tuple[Tensor, ...]) -> Replay:
    """In place of a graph: run the step on the same tensors."""
    return lambda: step(*inputs)


def one(options: argparse.Namespace, facts: dict[str, Any], name: str, tokens: int) -> dict[str, Any]:
    """The table of one model and length of prompt."""
    work = make_work(options, name, tokens)
    subject, device = work.subject, work.subject.model.device.type
    title = f"{subject.name}, {subject.tokens} prompt tokens, {ROWS} rows, {work.steps} decode steps"
    print(report.heading(title, facts))
    prompt = Prompt(subject.model, subject.model.samples(subject.pictures[:1], subject.prompt, None)[0], None)
    sides: dict[str, Callable[[], Answers] | str] = {EAGER: decoding(work, DynamicDecoder(prompt, ROWS))}
    for side, compiler in compilers(device).items():
        try:
            sides[side] = decoding(work, CompiledDecoder(prompt, ROWS, work.steps + 1, compiler))
        except RuntimeError as error:
            sides[side] = f"cannot run: {error}"
    jobs = {side: job for side, job in sides.items() if not isinstance(job, str)}
    answers = {side: job() for side, job in jobs.items()}
    samples = in_turns({side: timer(job, device) for side, job in jobs.items()}, options.repeats)
    records = [
        record(work, side, answers, samples) if side in jobs else {"side": side, "error": job}
        for side, job in sides.items()
    ]
    header = ("side", "steps per second (quartiles)", "× growing caches", "outputs")
    print(report.table(header, [line(one) for one in records]))
    if device != "cuda":
        print(NOT_ON_CPU)
    targets = [
        report.target(f"{one['side']}: cells with other tokens", one.get("unequal_tokens"), 0, at_least=False)
        for one in records[1:]
    ]
    print(report.targets_text(targets))
    return {"title": title, "sides": records, "targets": targets, "needs_cuda": "" if device == "cuda" else NOT_ON_CPU}


def decoding(work: Work, decoder: Decoder) -> Callable[[], Answers]:
    """Function that answers the prompt with an unsteered row, a steered one and one with a random direction."""
    cell = work.cells[-1]
    cells: list[Cell] = [(cell[0], 0.0), cell, (-1, cell[1])]
    none = torch.zeros(ROWS, 0, dtype=torch.long, device=work.subject.model.device)

    def step(tokens: Tensor) -> Tensor:
        return decoder.start() if tokens.shape[1] == 0 else decoder.feed(tokens[:, 0])

    @torch.no_grad()
    def answer() -> Answers:
        with work.subject.model.lock.held(interactive=True):
            decoder.write(move(work, cell).rows, work.steps)
            return greedy(work, cells, step, none)

    return answer


def record(work: Work, side: str, answers: dict[str, Answers], samples: dict[str, list[float]]) -> dict[str, Any]:
    """A side for the JSON file; one whose outputs differ gets no ratio."""
    agreement = compare(answers[EAGER], answers[side], work.subject.model.dtype)
    rates = Timing(tuple(work.steps / seconds for seconds in samples[side]))
    eager = Timing(tuple(work.steps / seconds for seconds in samples[EAGER]))
    return {
        "side": side, "error": None, "steps_per_second": rates.median, "quartiles": rates.quartiles,
        "by_eager": rates.median / eager.median if agreement.same else None, "outputs": str(agreement),
        "outputs_same": agreement.same, "unequal_tokens": agreement.unequal,
    }  # fmt: skip


def line(one: dict[str, Any]) -> list[Any]:
    """A row of the table."""
    if one["error"]:
        return [one["side"], one["error"], None, None]
    low, high = one["quartiles"]
    ratio = None if one["by_eager"] is None or one["side"] == EAGER else f"{one['by_eager']:.2f}"
    return [one["side"], f"{one['steps_per_second']:.1f} ({low:.1f} – {high:.1f})", ratio, one["outputs"]]


if __name__ == "__main__":
    main()
