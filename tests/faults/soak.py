"""A long afternoon with one model: moves of a panel and sweeps in one process, and what they leave behind.

Run with ``make soak``, or ``python -m tests.faults.soak [--moves 1000] [--sweeps 50] [--model scenes-4l]``. It prints a
line at each checkpoint (memory, living tensors, hooks on the model, threads, open files) and, at the end, the growth
after the warm-up beside its bound. Exit status 1 where hooks, threads, tensors or files grew, or memory by more than
its bound. Moves change the concept, the layer, the scope, the image and the strength, never twice to the same dose;
every second sweep goes into a store, which is opened and drawn once. Seeds repeat: each new one leaves its random
directions in a cache of bounded size, which is no leak and would hide one.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

import mllm_probe as mp
from mllm_probe.sweeps import open_grid
from tests.hooks import active_hooks

BOUNDS = {"move": 8 * 1024, "sweep": 128 * 1024}
"""Bytes that the process may grow by after the warm-up, for each move and each sweep: allocators keep what is freed."""
SLACK = 16 * 2**20
"""Bytes of growth that mean nothing in a short run."""
COUNTS = ("tensors", "hooks", "threads", "files")
SOON = 120
CONCEPTS = ("cat", "neon")
SCOPES = ("last_prompt+generated", "image", "last_prompt")
LAYERS = (1, 3)
PERIOD = {"move": 24, "sweep": 4}
"""Steps after which every setting came round, the least warm-up."""


@dataclass(frozen=True)
class Checkpoint:
    """What the process holds after so many moves or sweeps; memory is resident, in bytes."""

    after: int
    memory: int
    tensors: int
    hooks: int
    threads: int
    files: int


@dataclass(frozen=True)
class Soak:
    """Checkpoints of one kind of step, "move" or "sweep"; the first is taken after the warm-up."""

    step: str
    checkpoints: list[Checkpoint]

    @property
    def grown(self) -> dict[str, int]:
        """Growth of each count, and of memory, from the warm-up to the end."""
        first, last = asdict(self.checkpoints[0]), asdict(self.checkpoints[-1])
        return {name: last[name] - first[name] for name in (*COUNTS, "memory")}

    @property
    def bound(self) -> int:
        """Bytes that memory may have grown by."""
        return SLACK + BOUNDS[self.step] * (self.checkpoints[-1].after - self.checkpoints[0].after)

    @property
    def leaks(self) -> list[str]:
        """What grew more than it may."""
        grown = self.grown
        return [name for name in COUNTS if grown[name] > 0] + ["memory"] * (grown["memory"] > self.bound)

    def __str__(self) -> str:
        lines = [f"{f'{self.step}s':>8} {'MB':>8}" + "".join(f"{name:>9}" for name in COUNTS)]
        for one in self.checkpoints:
            counts = "".join(f"{asdict(one)[name]:>9,}" for name in COUNTS)
            lines.append(f"{one.after:>8,} {one.memory / 2**20:>8,.1f}{counts}")
        memory = f"memory {self.grown['memory'] / 2**20:+,.1f} MB (at most {self.bound / 2**20:+,.1f})"
        counted = ", ".join(f"{name} {self.grown[name]:+d}" for name in COUNTS)
        return "\n".join([*lines, f"grown: {memory}, {counted}: {', '.join(self.leaks) or 'nothing'} leaks"])


def soak(moves: int, sweeps: int, name: str = "scenes-4l", *, checkpoints: int = 10) -> list[Soak]:
    """Move a panel and run sweeps; the first checkpoint is after a tenth, which fills what is kept on purpose."""
    model = mp.load(name, device="cpu")
    library = mp.concepts.scenes(concepts=list(CONCEPTS), pairs=4)
    fit, held_out = library.split()
    vectors = mp.concept_vectors(model, fit, probe_accuracy=False, progress=False)
    panel = mp.SteeringPanel(model, vectors, held_out.pictures[:2])
    try:
        moved = _measured("move", moves, checkpoints, model, _mover(panel))
    finally:
        panel.close()
    del panel
    with tempfile.TemporaryDirectory() as folder:
        swept = _measured("sweep", sweeps, checkpoints, model, _sweeper(model, vectors, held_out, Path(folder)))
    return [moved, swept]


def checkpoint(after: int, model: Any) -> Checkpoint:
    """Measure the process as it is now, once what nobody holds is gone."""
    gc.collect()
    process = psutil.Process()
    tensors = sum(issubclass(type(one), torch.Tensor) for one in gc.get_objects())
    return Checkpoint(
        after, process.memory_info().rss, tensors, active_hooks(model), process.num_threads(), process.num_fds()
    )


def _measured(step: str, count: int, checkpoints: int, model: Any, run: Callable[[int], None]) -> Soak:
    warm = max(PERIOD[step], count // 10)
    marks = {round(warm + (count - warm) * part / (checkpoints - 1)) for part in range(checkpoints)}
    found = []
    for number in range(count):
        run(number)
        if number + 1 in marks:
            found.append(checkpoint(number + 1, model))
            print(f"{step} {number + 1}: {found[-1].memory / 2**20:,.1f} MB", file=sys.stderr, flush=True)
    return Soak(step, found)


def _mover(panel: Any) -> Callable[[int], None]:
    dice = random.Random(0)

    def move(number: int) -> None:
        # Every combination comes round once in PERIOD moves: what is kept by setting is full then.
        panel.concept = CONCEPTS[number % 2]
        panel.layer = LAYERS[number // 2 % 2]
        panel.scope = SCOPES[number // 4 % 3]
        panel.picture = number // 12 % 2
        panel.strength = dice.uniform(-3, 3)
        if not panel.wait(SOON) or panel.status != "idle":
            raise RuntimeError(f"move {number} has no answer after {SOON} s: {panel.status}, {panel.message}.")

    return move


def _sweeper(model: Any, vectors: Any, images: Any, folder: Path) -> Callable[[int], None]:
    given: dict[str, Any] = {
        "layers": [1, 3],
        "strengths": (-1, 0, 1),
        "draws": 4,
        "max_new_tokens": 4,
        "progress": False,
    }

    def sweep(number: int) -> None:
        store = folder / f"{number}.zarr" if number % 2 else None
        grid = mp.sweep(model, vectors, images.pictures[:3], **given, seed=number % 2, store=store)
        if store is not None:
            grid = open_grid(store)
            heatmap = mp.LayerConceptHeatmap(grid)
            heatmap.close()
        if not grid["logprob"].notnull().any():
            raise RuntimeError(f"sweep {number} has no scores.")

    return sweep


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak and print its tables; 1 where something leaks."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--moves", type=int, default=1000)
    parser.add_argument("--sweeps", type=int, default=50)
    parser.add_argument("--model", default="scenes-4l")
    parser.add_argument("--checkpoints", type=int, default=10, help="of each; the first after the warm-up")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    found = soak(given.moves, given.sweeps, given.model, checkpoints=given.checkpoints)
    print("\n\n".join(map(str, found)))
    return int(any(one.leaks for one in found))


if __name__ == "__main__":
    sys.exit(main())
