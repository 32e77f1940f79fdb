"""Resumable training: steps, and checkpoints as safetensors with a JSON file.

Checkpoints are replaced atomically, so that a kill leaves the last good one.
"""

import json
import logging
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from mllm_probe.typing import JsonObject
from training.parallel import Team

log = logging.getLogger(__name__)
Groups = dict[str, dict[str, Tensor]]
"""Named groups of named tensors."""
_PROGRESS = "progress"


def save(path: Path, groups: Groups, progress: JsonObject) -> None:
    """Write named groups of tensors and the progress of training.

    `path`: a `.safetensors` file. `groups`: group name to named tensors. `progress`: JSON values.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    flat = {
        f"{group}/{name}": tensor.detach().cpu().contiguous().clone()
        for group, tensors in groups.items()
        for name, tensor in tensors.items()
    }
    partial = path.with_suffix(".partial")
    save_file(flat, partial, metadata={_PROGRESS: json.dumps(progress)})
    os.replace(partial, path)
    path.with_suffix(".json").write_text(json.dumps(progress, indent=1))


def load(path: Path) -> tuple[Groups, JsonObject]:
    """Return the groups and the progress that `save` wrote; without a checkpoint no groups, and progress at step 0."""
    groups: Groups = {}
    if not path.exists():
        return groups, {"step": 0, "wall_seconds": 0.0, "cpu_seconds": 0.0}
    with safe_open(path, "pt") as file:
        progress = json.loads(file.metadata()[_PROGRESS])
        names = file.keys()
        for key in names:
            group, name = key.split("/", 1)
            groups.setdefault(group, {})[name] = file.get_tensor(key)
    return groups, progress


def run_steps(
    team: Team,
    path: Path,
    steps: int,
    save_every: int,
    progress: JsonObject,
    step: Callable[[int], Tensor],
    report: Callable[[], tuple[Groups, dict[str, float]]],
    save_seconds: float = math.inf,
    paused: Callable[[], bool] = lambda: False,
) -> None:
    """Run the remaining steps of a training, log the smoothed loss, and write checkpoints in the leading process.

    `path`: the checkpoint.
    `steps`, `save_every`: length of the training, and steps between its checkpoints.
    `progress`: from `load`.
    `step`: from the step's number to its loss.
    `report`: returns the groups of a checkpoint, and the accuracy on held-out pictures.
    `save_seconds`: save also when this many seconds have passed since the last checkpoint.
    `paused`: asked after every step; where it returns True, a checkpoint is written and the training ends here, to be
        resumed later. In a team the leading process is asked for all.
    """
    began, processor_began, smooth = time.monotonic(), time.process_time(), None
    saved = began
    for number in range(progress["step"], steps):
        loss, done = step(number).item(), number + 1
        smooth = loss if smooth is None else 0.97 * smooth + 0.03 * loss
        seconds = time.monotonic() - began
        if team.leads and done % 100 == 0:
            log.info("%s step %d of %d, loss %.3f, %.0f s", path.stem, done, steps, smooth, seconds)
        stop = team.agree(paused())
        late = time.monotonic() - saved > save_seconds
        if team.leads and (done % save_every == 0 or done == steps or late or stop):
            groups, accuracy = report()
            log.info("%s step %d, new pictures: %s", path.stem, done, accuracy)
            cpu_seconds = progress["cpu_seconds"] + team.size * (time.process_time() - processor_began)
            wall_seconds = progress["wall_seconds"] + time.monotonic() - began
            now = {"step": done, "wall_seconds": wall_seconds, "cpu_seconds": cpu_seconds, "accuracy": accuracy}
            save(path, groups, now)
            saved = time.monotonic()
        if stop:
            log.info("%s paused at step %d of %d: start it again to resume", path.stem, done, steps)
            break
    team.wait()
