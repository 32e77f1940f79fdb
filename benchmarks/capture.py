"""What `capture` of all layers and tokens costs beside a bare forward pass, nnsight and `output_hidden_states`."""

from __future__ import annotations

import argparse
import copy
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import mllm_probe as mp
from common import report
from common.measuring import Timing, in_turns, peak_memory, peak_of_child, timer
from common.models import Subject
from common.profiling import bytes_to_host
from common.scripts import LARGE, child_arguments, make_work, run, sized
from mllm_probe import schema

BARE, OURS = "bare forward", "mllm_probe.capture"
TOLERANCE = 1e-4
HEADER = (
    "side", "seconds (quartiles)", "× bare (quartiles of pairs)", "largest difference / scale", "peak memory",
    "bytes to the host",
)  # fmt: skip


@dataclass(frozen=True)
class Way:
    """One way to read every block's output at every position.

    Attributes
    ----------
    run : callable
        Gives [layers, tokens, width], or what a bare forward gives.
    layers : int
        How many layers can be compared: the library's own last hidden state is normed.
    missing : str
        Why it cannot run here.
    """

    run: Callable[[], Any]
    layers: int = 0
    missing: str = ""


def main() -> None:
    """Run it."""
    run(arguments(), "capture", one, peak_of)


def peak_of(options: argparse.Namespace) -> int:
    """Peak bytes of the way that is named."""
    work = make_work(options, options.model[0], options.tokens[0])
    own = ways(work.subject, [options.memory_of])[options.memory_of]
    return peak_memory(own.run, work.subject.model.device.type)


def arguments() -> argparse.Namespace:
    """The options."""
    parser = report.parser(__doc__)
    sized(parser)
    parser.set_defaults(repeats=10, tokens=[600])
    return parser.parse_args()


def ways(subject: Subject, names: list[str] | None = None) -> dict[str, Way]:
    """The ways asked for; those that change the model's modules get copies of their own."""
    count = len(subject.model.layers)
    made: dict[str, Callable[[], Way]] = {
        BARE: lambda: Way(_bare(subject)),
        OURS: lambda: Way(_captured(subject), count),
        "nnsight": lambda: _nnsight(subject),
        "output_hidden_states": lambda: Way(_hidden_states(subject), count - 1),
    }
    return {name: make() for name, make in made.items() if names is None or name in names}


def _bare(subject: Subject) -> Callable[[], Any]:
    inputs, hf = subject.tensors(), subject.model.hf

    def run() -> Any:
        with torch.no_grad():
            return hf(**inputs, use_cache=False, logits_to_keep=1)

    return run


def _captured(subject: Subject) -> Callable[[], Any]:
    inputs = subject.tensors()
    return lambda: mp.capture(subject.model, None, tokens="all", layers="all", inputs=inputs)


def _hidden_states(subject: Subject) -> Callable[[], Any]:
    inputs, hf = subject.tensors(), copy.deepcopy(subject.model.hf)

    def run() -> Any:
        with torch.no_grad():
            return hf(**inputs, use_cache=False, logits_to_keep=1, output_hidden_states=True).hidden_states[1:]

    return run


def _nnsight(subject: Subject) -> Way:
    if importlib.util.find_spec("nnsight") is None:
        return Way(lambda: None, missing="not installed")
    import nnsight

    inputs, whole = subject.tensors(), nnsight.NNsight(copy.deepcopy(subject.model.hf))
    blocks: Any = whole
    for part in subject.model.layout.paths["blocks"].split("."):
        blocks = getattr(blocks, part)

    def run() -> Any:
        with torch.no_grad(), whole.trace(**inputs, use_cache=False, logits_to_keep=1):
            found = nnsight.save([])
            for block in blocks:
                found.append(block.output)
        return found

    return Way(run, len(subject.model.layers))


def stacked(found: Any, first: int = 1) -> Tensor:
    """Captured residual streams as [layers, tokens, width] without the beginning of the sequence."""
    if hasattr(found, "activation"):
        ordered = found.activation.isel({schema.SAMPLE: 0}).transpose(schema.LAYER, schema.TOKEN, schema.HIDDEN)
        return ordered.torch.tensor.float()
    return torch.stack([hidden[0, first:] for hidden in found]).float()


def one(options: argparse.Namespace, told: dict[str, Any], name: str, tokens: int) -> dict[str, Any]:
    """The table of one model and length of prompt."""
    work = make_work(options, name, tokens)
    subject = work.subject
    device, title = subject.model.device.type, f"{subject.name}, all layers × {subject.tokens} tokens"
    print(report.heading(title, told))
    sides = ways(subject)
    differences = compared(sides)
    jobs = {n: timer(way.run, device) for n, way in sides.items() if not way.missing}
    found = {n: Timing(tuple(samples)) for n, samples in in_turns(jobs, options.repeats).items()}
    memory = {} if options.no_memory else {n: memory_of(options, n, name, tokens, sides) for n in found}
    records = [_record(n, way, found, differences, memory) for n, way in sides.items()]
    copied = {n: bytes_to_host(way.run) for n, way in sides.items() if device == "cuda" and not way.missing}
    records = [record | {"bytes_to_host": copied.get(record["side"])} for record in records]
    print(report.table(HEADER, [_line(record) for record in records]))
    if not copied:
        print("bytes to the host: needs CUDA, for PyTorch's profiler counts copies of a GPU")
    mine = next(record for record in records if record["side"] == OURS)
    targets = [report.target("capture / bare forward", mine["by_bare"], 1.05, at_least=False)]
    print(report.targets_text(targets))
    return {"title": title, "sides": records, "targets": targets}


def compared(sides: dict[str, Way]) -> dict[str, float]:
    """Largest difference of each way from the hidden states that the model itself gives, by the largest value."""
    found = {name: stacked(way.run()) for name, way in sides.items() if way.layers and not way.missing}
    reference = found["output_hidden_states"]
    scale = float(reference.abs().max())
    limit = sides["output_hidden_states"].layers
    return {name: float((values[:limit] - reference[:limit]).abs().max()) / scale for name, values in found.items()}


def memory_of(options: argparse.Namespace, side: str, name: str, tokens: int, sides: dict[str, Way]) -> int:
    """Peak bytes of a way, in a process of its own on the CPU."""
    if name in LARGE:
        return peak_memory(sides[side].run, "cuda")
    return peak_of_child(__file__, [*child_arguments(options, name, tokens), side])


def _record(
    name: str, way: Way, found: dict[str, Timing], differences: dict[str, float], memory: dict[str, int]
) -> dict[str, Any]:
    if way.missing:
        return {"side": name, "error": way.missing, "by_bare": None}
    timing, difference = found[name], differences.get(name)
    pairs = Timing(tuple(a / b for a, b in zip(timing.samples, found[BARE].samples, strict=True)))
    same = difference is None or difference <= TOLERANCE
    return {
        "side": name, "error": None, "seconds": timing.median, "quartiles": timing.quartiles,
        "by_bare": pairs.median if same else None, "by_bare_quartiles": pairs.quartiles if same else None,
        "difference": difference, "peak_memory_bytes": memory.get(name),
    }  # fmt: skip


def _line(record: dict[str, Any]) -> list[Any]:
    if record["error"]:
        return [record["side"], record["error"], *[None] * (len(HEADER) - 2)]
    times = Timing((record["seconds"],))
    low, high = record["quartiles"]
    ratio, difference = None, record["difference"]
    if record["by_bare"] is not None and record["side"] != BARE:
        ratio = "{:.3f} ({:.3f} – {:.3f})".format(record["by_bare"], *record["by_bare_quartiles"])
    return [
        record["side"], f"{times.median:.3g} ({low:.3g} – {high:.3g})", ratio,
        None if difference is None else f"{difference:.0e}", report.megabytes(record["peak_memory_bytes"]),
        record["bytes_to_host"],
    ]  # fmt: skip


if __name__ == "__main__":
    main()
