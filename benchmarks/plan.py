"""What `mp.plan` predicts beside what the sweep then takes, in time and memory; and what the cost model says."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import mllm_probe as mp
from common import report
from common.measuring import peak_memory
from common.models import qwen
from mllm_probe.models import ProbeModel

BOUND = 1.5
LINE = "measured="
BUNDLED = "scenes-8l"


@dataclass(frozen=True)
class Case:
    """A sweep that is planned and then run."""

    name: str
    make: Callable[[], tuple[ProbeModel, Any, Any]]
    settings: dict[str, Any]
    stored: bool = False


def bundled(images: int) -> Callable[[], tuple[ProbeModel, Any, Any]]:
    """The bundled model, vectors of one concept, and images that lack it."""

    def make() -> tuple[ProbeModel, Any, Any]:
        model = mp.load(BUNDLED, device="cpu")
        library = mp.concepts.scenes(pairs=8)
        fit = library.subset(concepts=["cat"])
        vectors = mp.concept_vectors(model, fit, tokens=("last_prompt", "image"), probe_accuracy=False, progress=False)
        return model, vectors, mp.concepts.neutral_images(library, images)

    return make


def random_qwen(images: int) -> Callable[[], tuple[ProbeModel, Any, Any]]:
    """A random Qwen2.5-VL and a random direction."""

    def make() -> tuple[ProbeModel, Any, Any]:
        subject = qwen(200, width=256, layers=8, pictures=images)
        direction = torch.randn(subject.model.hidden_size, generator=torch.Generator().manual_seed(0)).numpy()
        vectors = mp.vectors_from(
            subject.model, {"w20": direction}, images=subject.pictures[:2], words={"w20": ["w20"]}
        )
        return subject.model, vectors, subject.pictures

    return make


CASES = {
    case.name: case
    for case in (
        Case("last prompt, all metrics, default controls", bundled(8), {}),
        Case("image tokens", bundled(3), {"tokens": "image", "metrics": ("logprob", "named"), "strengths": (-1, 0, 1)}),
        Case(
            "all tokens, perplexity", bundled(3),
            {"tokens": "all", "metrics": ("logprob", "perplexity"), "strengths": (0, 1), "controls": "random"},
        ),
        Case("recording", bundled(6), {"metrics": ("logprob",), "record": ("residual_norm", "activation")}),
        Case("Qwen2.5-VL", random_qwen(4), {"metrics": ("logprob", "kl", "tokens"), "strengths": (-1, 0, 1)}),
        Case("with a store", bundled(12), {"metrics": ("logprob", "named", "kl")}, stored=True),
    )
}  # fmt: skip


def main() -> None:
    """Run it."""
    options = arguments()
    if options.child:
        print(LINE + json.dumps(measured(CASES[options.child])))
        return
    facts = report.facts(1, "cpu") | {"unit": "each sweep planned, then run, in a process of its own with one thread"}
    rows = []
    for name in options.cases or CASES:
        rows.append(of_child(name) | {"case": name})
        print(f"{name}: {rows[-1]}", file=sys.stderr, flush=True)
    print(report.heading("what a plan predicts, and what is measured", facts))
    head = ("sweep", "CPU s predicted", "measured", "ratio", "wall ratio", "peak predicted", "measured", "ratio")
    cells = [
        (
            r["case"], f"{r['plan_cpu']:.1f}", f"{r['cpu']:.1f}", f"{r['cpu_ratio']:.2f}", f"{r['wall_ratio']:.2f}",
            report.megabytes(r["plan_peak"]), report.megabytes(r["peak"]), f"{r['peak_ratio']:.2f}",
        )
        for r in rows
    ]  # fmt: skip
    print(report.table(head, cells))
    inside = {name: sum(1 / BOUND <= r[name] <= BOUND for r in rows) for name in ("cpu_ratio", "peak_ratio")}
    print(
        f"within {BOUND:g} ×: time {inside['cpu_ratio']} of {len(rows)}, memory {inside['peak_ratio']} of {len(rows)}"
    )
    print(f"runs saved as opposite draws are one edit: {rows[0]['saved']} of {rows[0]['saved'] + rows[0]['runs']}")
    targets = [
        report.target(f"{name} within {BOUND:g} ×, of {len(rows)}", inside[key], len(rows), at_least=True)
        for name, key in (("time", "cpu_ratio"), ("memory", "peak_ratio"))
    ]
    print(report.targets_text(targets))
    report.write(options.json, "plan", facts | {"benchmark": "plan", "rows": rows, "targets": targets})


def arguments() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), help="all by default")
    parser.add_argument("--child", choices=list(CASES), help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="default: benchmarks/results/plan.json")
    return parser.parse_known_args()[0]


def of_child(name: str) -> dict[str, Any]:
    """What a process of its own measures."""
    done = subprocess.run([sys.executable, __file__, "--child", name], capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith(LINE)]
    if done.returncode or not lines:
        raise RuntimeError(f"'{name}' failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(lines[-1].removeprefix(LINE))
    return result


def measured(case: Case) -> dict[str, Any]:
    """Plan and run a sweep: seconds, and growth of resident memory while it runs."""
    torch.set_num_threads(1)
    model, vectors, images = case.make()
    with tempfile.TemporaryDirectory() as folder:
        settings = case.settings | ({"store": f"{folder}/grid.zarr"} if case.stored else {})
        plan = mp.plan(model, vectors, images, **settings)
        spent: dict[str, float] = {}

        def job() -> None:
            wall, cpu = time.perf_counter(), time.process_time()
            mp.sweep(model, vectors, images, **settings, progress=False)
            spent.update(wall=time.perf_counter() - wall, cpu=time.process_time() - cpu)

        peak = peak_memory(job)
    print(plan, file=sys.stderr)
    axes = {"strengths": settings.get("strengths", (-2, -1, 0, 1, 2))}
    twice = sum(s != 0 for s in axes["strengths"]) * len(model.layers) * (1 + sum(
        kind.draws for name, kind in plan.kinds.items() if name != "concept"))  # fmt: skip
    return spent | {
        "plan_cpu": plan.cpu_seconds, "plan_wall": plan.seconds, "plan_peak": plan.bytes_at_peak, "peak": peak,
        "cpu_ratio": plan.cpu_seconds / spent["cpu"], "wall_ratio": plan.seconds / spent["wall"],
        "peak_ratio": plan.bytes_at_peak / peak, "runs": plan.rows, "saved": twice - plan.rows, "text": str(plan),
    }  # fmt: skip


if __name__ == "__main__":
    main()
