"""Training checkpoints as safetensors with a JSON file, replaced atomically so that a kill leaves the last good one."""

import json
import os
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

_PROGRESS = "progress"


def save(path: Path, groups: dict[str, dict[str, Tensor]], progress: dict[str, Any]) -> None:
    """Write named groups of tensors and the progress of training.

    Parameters
    ----------
    path : Path
        A `.safetensors` file.
    groups : dict
        Group name to named tensors.
    progress : dict
        JSON values.
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


def load(path: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]] | None:
    """Return what `save` wrote, or None if nothing is there."""
    if not path.exists():
        return None
    groups: dict[str, dict[str, Tensor]] = {}
    with safe_open(path, "pt") as file:
        progress = json.loads(file.metadata()[_PROGRESS])
        names = file.keys()
        for key in names:
            group, name = key.split("/", 1)
            groups.setdefault(group, {})[name] = file.get_tensor(key)
    return groups, progress
