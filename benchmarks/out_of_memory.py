"""How many rows fill the GPU, what halves a chunk at a real out-of-memory error, and whether the numbers stay."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import xarray as xr

from common import report
from common.measuring import peak_memory
from common.ours import grid
from common.scripts import make_work, run, sized
from common.work import IMAGE, LAST, Work, strengths
from mllm_probe.activations.hooks import attached
from mllm_probe.decoding.shared_prompt import difference, tolerance
from mllm_probe.sweeps import runner

SIMULATED = "needs CUDA: without it the error is simulated, raised by any forward pass of more rows"
METRICS = ("logprob",)
SCOPES = {"image tokens": IMAGE, "last prompt token": LAST}


def main() -> None:
    """Run it."""
    run(arguments(), "out_of_memory", one)


def arguments() -> argparse.Namespace:
    """The options."""
    parser = report.parser(__doc__)
    sized(parser)
    parser.set_defaults(tokens=[600], steps=1)
    of_scopes = f"where these are edited: {', '.join(SCOPES)}"
    parser.add_argument("--rows", type=int, nargs=2, default=[768, 8192], help=f"of one chunk, {of_scopes}")
    parser.add_argument("--room", type=float, nargs=2, default=[6, 1.5], help=f"GiB above the model, {of_scopes}")
    return parser.parse_args()


def one(options: argparse.Namespace, facts: dict[str, Any], name: str, tokens: int) -> dict[str, Any]:
    """The table of one model and length of prompt, whose cells are all in its first block."""
    work = make_work(options, name, tokens, picture_first=True)
    title = f"{work.subject.name}, {work.subject.tokens} prompt tokens, one layer"
    print(report.heading(title, facts))
    cuda = work.subject.model.device.type == "cuda"
    records = []
    for (scope, edited), rows, room in zip(SCOPES.items(), options.rows, options.room, strict=True):
        own = replace(work, layers=(0,), strengths=strengths(rows), tokens=edited)
        asked = {"scope": scope, "asked": rows}
        records.append(asked | {"memory": "all"} | (filled(own) if cuda else {"needs": "CUDA"}))
        records.append(asked | {"memory": f"{room:g} GiB" if cuda else "simulated"} | limited(own, room))
    header = (
        "tokens edited",
        "rows asked for",
        "memory",
        "rows that ran",
        "halved",
        "peak memory",
        "planned per row",
        "same numbers",
    )
    print(report.table(header, [line(one) for one in records]))
    if not cuda:
        print(SIMULATED)
    limit = tolerance(work.subject.model.dtype)
    halved = [one for one in records if "difference" in one]
    targets = [
        report.target(f"{one['scope']}: difference after halving / scale", one["difference"], limit, at_least=False)
        for one in halved
    ]
    targets += [report.target(f"{one['scope']}: halvings", one["halved"], 1, at_least=True) for one in halved]
    print(report.targets_text(targets))
    return {"title": title, "chunks": records, "targets": targets, "needs_cuda": "" if cuda else SIMULATED}


@contextmanager
def chunks_of(rows: int) -> Iterator[None]:
    """Chunks of so many rows, however little memory is free, and however long one takes."""
    with patch.object(runner, "DEFAULT", runner.Limits(rows=rows, row_share=1e9, seconds=1e9)):
        yield


def filled(work: Work) -> dict[str, Any]:
    """Rows that ran in the largest chunk that the whole GPU holds, found by halving."""
    with chunks_of(len(work.cells)):
        found: list[xr.Dataset] = []
        peak = peak_memory(lambda: found.append(grid(work, METRICS)), "cuda")
    return chunk_facts(found[0], peak)


def limited(work: Work, room: float) -> dict[str, Any]:
    """A sweep that runs out of memory, beside one whose chunks have that size from the start.

    The rows of a chunk that was halved leave a smaller one behind, so in half precision the numbers of some rows
    come from other kernels and are equal only but for rounding.
    """
    cuda = work.subject.model.device.type == "cuda"
    with chunks_of(2):
        grid(replace(work, strengths=work.strengths[:2]), METRICS)  # the ways of the model are tried before
    with chunks_of(len(work.cells)), little_memory(room) if cuda else few_rows(work, len(work.cells) // 3):
        halved = grid(work, METRICS)
    with chunks_of(int(halved.attrs["chunk_rows"])):
        whole = grid(work, METRICS)
    found, expected = (torch.from_numpy(np.array(swept["logprob"].values)) for swept in (halved, whole))
    same = {"difference": difference(found, expected), "equal": float((found == expected).float().mean())}
    return chunk_facts(halved, None) | same | {"chunks": halved.attrs["chunks"]}


def chunk_facts(swept: xr.Dataset, peak: int | None) -> dict[str, Any]:
    """Rows of the chunks, how often they were halved, and bytes."""
    attributes = swept.attrs
    halved = [int(word) for word in attributes.get("halved", "0").split() if word.isdigit()][0]
    return {
        "rows": attributes["chunk_rows"], "halved": halved, "peak_memory_bytes": peak,
        "bytes_per_row": attributes["bytes_per_row"], "needs": "",
    }  # fmt: skip


@contextmanager
def little_memory(room: float) -> Iterator[None]:
    """Let this process have only ``room`` GiB beyond what is allocated, so that PyTorch raises a real error."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min((torch.cuda.memory_allocated() + room * 2**30) / total, 1.0))
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@contextmanager
def few_rows(work: Work, most: int) -> Iterator[None]:
    """Raise an out-of-memory error where more than ``most`` rows come out of a block."""

    def full(layer: int, hidden: torch.Tensor) -> None:
        if hidden.shape[0] > most:
            raise torch.OutOfMemoryError(f"simulated: {hidden.shape[0]} rows, and {most} fit")

    with attached(work.subject.model, full, layers=work.layers):
        yield


def line(one: dict[str, Any]) -> Sequence[Any]:
    """A row of the table."""
    if one["needs"]:
        return [one["scope"], one["asked"], one["memory"], f"needs {one['needs']}", *[None] * 4]
    same = None if "difference" not in one else f"{one['difference']:.0e} of scale, {one['equal']:.0%} bit for bit"
    sizes = report.megabytes(one["peak_memory_bytes"]), report.megabytes(one["bytes_per_row"])
    return [one["scope"], one["asked"], one["memory"], one["rows"], one["halved"], *sizes, same]


if __name__ == "__main__":
    main()
