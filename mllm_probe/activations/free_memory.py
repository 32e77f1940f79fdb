"""Free memory of a device, and the number of rows of a batch that fit into it."""

from __future__ import annotations

from pathlib import Path

import psutil
import torch

from mllm_probe.models import Encoded, ProbeModel

_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
_MOST_ROWS = 32


def free_bytes(device: torch.device) -> int:
    """Bytes that can still be allocated on ``device``; on the CPU, within the container's limit if there is one."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    free = psutil.virtual_memory().available
    for limit, used in _CGROUPS:
        if Path(limit).exists() and (most := Path(limit).read_text().strip()).isdigit():
            free = min(free, max(int(most) - int(Path(used).read_text()), 0))
    return free


def rows_that_fit(model: ProbeModel, one: Encoded, share: float = 0.5, most: int = _MOST_ROWS) -> int:
    """Rows of samples like ``one`` that a forward pass can hold in a share of the free memory, at least 1.

    Counts what a pass keeps at a time: the wide tensors of one block, one square of attention scores per head, and the
    vision tower's, taken as forty times its input. A guess on the safe side, not a bound.
    """
    config = model.hf.config.get_text_config(decoder=True)
    width, length = model.hidden_size, one.length
    inner = getattr(config, "intermediate_size", None)
    inner = inner if isinstance(inner, int) else 4 * width
    heads = getattr(config, "num_attention_heads", None) or 16
    size = torch.empty((), dtype=model.dtype).element_size()
    block = length * (12 * width + 3 * inner) + length * length * heads
    pixels = sum(t.numel() for t in one.tensors.values() if t.is_floating_point()) // one.rows
    return int(min(max(free_bytes(model.device) * share // (size * (block + 40 * pixels)), 1), most))


def require_room(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device, what: str) -> None:
    """Raise a MemoryError that names the size unless a tensor fits into nine tenths of the free memory."""
    needed = torch.Size(shape).numel() * torch.empty((), dtype=dtype).element_size()
    free = free_bytes(device)
    if needed > 0.9 * free:
        raise MemoryError(
            f"{what} of shape {list(shape)} take {needed / 1e9:.2f} GB but {free / 1e9:.2f} GB are free on {device}: "
            "ask for fewer layers or tokens, or for fewer images at a time and store each part with save_zarr."
        )
