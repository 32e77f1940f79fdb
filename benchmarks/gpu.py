"""Run everything that needs a GPU, part by part in the order of its worth; each part writes its figures at once."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from common import report

HERE = Path(__file__).resolve().parent
FULL_SIZE = tuple(("--model", name) for name in ("llava_7b", "qwen_7b"))
SMALL = (("--model", "qwen", "--dtype", "bfloat16"),)
TINY = (
    "--width", "32", "--layers", "3", "--vocabulary", "100", "--tokens", "24", "--swept", "3", "--strengths", "3",
    "--steps", "2", "--repeats", "1", "--sampled", "1", "--no-memory",
)  # fmt: skip
MAP = ("--tokens", "600", "--swept", "32", "--strengths", "9", "--repeats", "3")
DTYPES = (("--dtype", "float32"), ("--dtype", "bfloat16"))
DRY_TESTS = ("--device", "cpu", "--workers", "0", "--tests", "tests/activations/test_device_array.py")
MINUTES = 20


@dataclass(frozen=True)
class Part:
    """A benchmark and its options.

    Attributes
    ----------
    measures : str
    script : str
        Name of a script of this folder.
    options : tuple of str
        On a GPU.
    dry : tuple of str
        On the CPU, at tiny sizes.
    each, dry_each : tuple of tuple of str
        It is called once with each of these further options.
    seconds : int
        Limit of one call on a GPU.
    """

    measures: str
    script: str
    options: tuple[str, ...]
    dry: tuple[str, ...] = TINY
    each: tuple[tuple[str, ...], ...] = FULL_SIZE
    dry_each: tuple[tuple[str, ...], ...] = SMALL
    seconds: int = 120


PARTS = {
    "tests": Part("device tests", "device_tests", (), DRY_TESTS, DTYPES, DTYPES[:1], 180),
    "capture": Part("capture of all layers beside a bare forward and nnsight", "capture", ("--tokens", "600")),
    "sweep": Part("sweep of all layers × 9 strengths", "sweep", (*MAP, "--no-extras"), (*TINY, "--no-extras"),
                  seconds=180),
    "slider": Part("a slider's move to its first token", "latency", ("--tokens", "600", "--graph"),
                   (*TINY, "--graph", "--moves", "2"), seconds=240),
    "prompt_sweep": Part("the same sweep with the image tokens edited", "prompt_sweep", MAP, seconds=180),
    "memory": Part("rows that fill the GPU, and halved chunks", "out_of_memory", ("--tokens", "600"),
                   (*TINY, "--rows", "12", "12")),
    "decoding": Part("compiled decoding and graphs beside eager", "decoding", ("--tokens", "600"), seconds=240),
    "lab": Part("the lab in a headless browser", "explore", (), (*TINY, "--concepts", "2", "--moves", "3"),
                FULL_SIZE[:1], seconds=300),
}  # fmt: skip


@dataclass(frozen=True)
class Call:
    """One call of a script, which writes ``<name>.json``.

    Attributes
    ----------
    part, name, script : str
    options : tuple of str
    seconds : float
        Limit.
    """

    part: str
    name: str
    script: str
    options: tuple[str, ...]
    seconds: float


Run = Callable[[Call, Path], None]


def main() -> None:
    """Run it."""
    options = arguments()
    if not options.dry and not torch.cuda.is_available():
        raise SystemExit(
            f"Expected a machine with CUDA; PyTorch {torch.__version__} finds no GPU here. "
            'Without one, make gpu ARGS="--dry" runs every part on the CPU at tiny sizes.'
        )
    folder = options.results or report.RESULTS / ("gpu-dry" if options.dry else "gpu")
    chosen = [call for call in calls(options.dry) if not options.only or call.part in options.only]
    records = run_all(chosen, folder, in_this_process if options.dry else in_a_process, 60 * options.minutes)
    raise SystemExit(int(any(record["result"] != "done" for record in records)))


def arguments() -> argparse.Namespace:
    """The options."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", nargs="+", choices=PARTS, help="run these parts alone")
    options.add_argument("--dry", action="store_true", help="tiny models on the CPU: shows that every part runs")
    options.add_argument("--minutes", type=float, default=MINUTES, help="of all parts; what is left then is not run")
    options.add_argument("--results", type=Path, help="folder; default: benchmarks/results/gpu, or gpu-dry with --dry")
    return options.parse_args()


def calls(dry: bool) -> list[Call]:
    """Every call, in order."""
    found = []
    for name, part in PARTS.items():
        for further in part.dry_each if dry else part.each:
            given = (part.dry if dry else part.options) + further
            found.append(Call(name, f"{name}-{further[1]}", part.script, given, part.seconds))
    return found


def run_all(chosen: Sequence[Call], folder: Path, run: Run, seconds: float) -> list[dict[str, Any]]:
    """Run calls one after the other; after each, its record is in ``summary.json`` beside those of earlier runs.

    Parameters
    ----------
    chosen : sequence of Call
    folder : Path
    run : callable
        Runs a call that writes into ``folder``; raises if it fails.
    seconds : float
        Of all calls together.
    """
    folder.mkdir(parents=True, exist_ok=True)
    summary = folder / "summary.json"
    known = json.loads(summary.read_text(encoding="utf-8"))["calls"] if summary.is_file() else {}
    end, records = time.monotonic() + seconds, []
    for call in chosen:
        print(f"== {call.name}: {PARTS[call.part].measures}", flush=True)
        left = end - time.monotonic()
        record = one(call, folder, run, min(call.seconds, left)) if left > 0 else not_run(seconds)
        records.append({"part": call.part, "call": call.name} | record)
        known[call.name] = records[-1]
        summary.write_text(json.dumps({"calls": known}, indent=2) + "\n", encoding="utf-8")
        (folder / "summary.md").write_text(table(list(known.values())) + "\n", encoding="utf-8")
    print(table(records))
    return records


def not_run(seconds: float) -> dict[str, Any]:
    """Record of a call for which no time was left."""
    return {"result": "not run", "seconds": 0.0, "error": f"the {seconds / 60:g} minutes were used up", "targets": []}


def one(call: Call, folder: Path, run: Run, seconds: float) -> dict[str, Any]:
    """Run a call; its record, with the error if it failed, which then stands in its file too."""
    file = folder / f"{call.name}.json"
    file.unlink(missing_ok=True)
    began, error, figures = time.monotonic(), "", {}
    try:
        run(replace(call, seconds=seconds), folder)
    except (Exception, SystemExit) as raised:
        error = f"{type(raised).__name__}: {raised}"
        figures = {"error": error, "traceback": traceback.format_exc()}
    if file.is_file():  # a script may write its figures and fail because of them
        figures = json.loads(file.read_text(encoding="utf-8")) | figures
    elif not error:
        error = f"{call.script} ended without writing {file.name}"
        figures = {"error": error}
    file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    tables = folder / f"{call.name}.md"
    print(tables.read_text(encoding="utf-8") if tables.is_file() else "", error, flush=True)
    targets = [target for part in (figures, *figures.get("parts", [])) for target in part.get("targets", [])]
    return {
        "result": "failed" if error else "done", "seconds": time.monotonic() - began, "error": error,
        "machine": figures.get("machine"), "date": figures.get("date"), "versions": figures.get("versions"),
        "targets": targets,
    }  # fmt: skip


def in_this_process(call: Call, folder: Path) -> None:
    """Run a script without a process of its own, and so without a limit of time."""
    argv = [call.script, *call.options, "--json", str(folder / f"{call.name}.json")]
    with ExitStack() as held:
        held.enter_context(redirect_stdout(held.enter_context((folder / f"{call.name}.md").open("w"))))
        held.enter_context(patch.object(sys, "argv", argv))
        importlib.import_module(call.script).main()


def in_a_process(call: Call, folder: Path) -> None:
    """Run a script in a process of its own, so that the GPU is empty afterwards whatever happens.

    Raises
    ------
    RuntimeError
        With the end of what it wrote, if it failed or took too long.
    """
    command = [sys.executable, str(HERE / f"{call.script}.py"), *call.options]
    command += ["--json", str(folder / f"{call.name}.json")]
    log = folder / f"{call.name}.log"
    with (folder / f"{call.name}.md").open("w") as tables, log.open("w") as errors:
        process = subprocess.Popen(command, stdout=tables, stderr=errors, cwd=HERE.parent, start_new_session=True)
        try:
            status = process.wait(call.seconds)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)  # with the processes that it started, which may hold the GPU
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise RuntimeError(f"stopped after {call.seconds:.0f} seconds") from error
    if status:
        raise RuntimeError(f"ended with status {status}:\n{log.read_text(encoding='utf-8')[-3000:]}")


def table(records: Sequence[Mapping[str, Any]]) -> str:
    """A line for each call: whether it ran, how long it took, and its targets."""
    rows = [
        [record["call"], record["result"], f"{record['seconds']:.0f}", verdicts(record["targets"]),
         (record["error"].splitlines() or [""])[0]]
        for record in records
    ]  # fmt: skip
    return report.table(("call", "result", "seconds", "targets", "error"), rows)


def verdicts(targets: Sequence[Mapping[str, Any]]) -> str:
    """How many targets were met, and which were not."""
    texts = [f"{sum(one['met'] is True for one in targets)} of {len(targets)} met"]
    for one in targets:
        if one["met"] is not True:
            value = "" if one["measured"] is None else f" (is {one['measured']:.3g})"
            texts.append(f"{'not measured' if one['met'] is None else 'missed'}: {one['target']}{value}")
    return "; ".join(texts) if targets else ""


if __name__ == "__main__":
    main()
