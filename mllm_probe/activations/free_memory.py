"""Free memory of a device, the rows of a batch that fit into it, and work in batches of that size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import psutil
import torch

from mllm_probe.models import Encoded, ProbeModel, Request
from mllm_probe.models.layout import text_config

Result = TypeVar("Result")

_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
_MOST_ROWS = 32
_BLOCK_WIDTHS, _INNER_WIDTHS = 12, 3
"""Tensors of the residual stream's width, and of the MLP's, that a block holds at a time, with room to spare."""
_VISION_TOWER = 40
"""Memory of the vision tower, in units of its input."""


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


def block_row_bytes(model: ProbeModel, tokens: int, keys: int) -> int:
    """Memory of one row in one block: its wide tensors and its attention scores over ``keys`` keys."""
    config = text_config(model.hf)
    inner = getattr(config, "intermediate_size", None)
    inner = inner if isinstance(inner, int) else 4 * model.hidden_size
    heads = getattr(config, "num_attention_heads", None) or 16
    per_token = _BLOCK_WIDTHS * model.hidden_size + _INNER_WIDTHS * inner + keys * heads
    return tokens * per_token * model.dtype.itemsize


def vision_row_bytes(model: ProbeModel, encoded: Encoded) -> int:
    """Memory of one row in the vision tower."""
    pixels = sum(t.numel() for t in encoded.tensors.values() if t.is_floating_point()) // encoded.rows
    return _VISION_TOWER * pixels * model.dtype.itemsize


def rows_that_fit(model: ProbeModel, one: Encoded, share: float = 0.5, most: int = _MOST_ROWS) -> int:
    """Rows of samples like ``one`` that a forward pass can hold in a share of the free memory, at least 1.

    Counts the memory of one block at a time and of the vision tower: an estimate on the safe side, not a bound.
    """
    row = block_row_bytes(model, one.length, one.length) + vision_row_bytes(model, one)
    return int(min(max(free_bytes(model.device) * share // row, 1), most))


def in_batches(
    model: ProbeModel,
    requests: Sequence[Request],
    batch_size: int | Literal["auto"],
    run: Callable[[int, Encoded], Result],
    texts: Sequence[str | Sequence[int]] | None = None,
) -> Iterator[tuple[slice, Result]]:
    """Run requests batch after batch; yields the requests of each and what ``run`` gave for them.

    `batch_size`: "auto" plans against the free memory and halves when a GPU runs out. `run`: ``run(start, encoded)``
    with the number of the first request; called again for fewer when a GPU runs out. `texts`: a continuation for each
    request.
    """

    def encoded(part: slice) -> Encoded:
        return model.encode_samples(requests[part], texts and texts[part])

    if batch_size == "auto":
        size = 1 if len(requests) == 1 else rows_that_fit(model, encoded(slice(1)))
    else:
        size = batch_size
    start = 0
    while start < len(requests):
        part = slice(start, min(start + size, len(requests)))
        try:
            result = run(start, encoded(part))
        except torch.OutOfMemoryError:
            if batch_size != "auto" or size == 1:
                raise
            size = max((part.stop - start) // 2, 1)
            continue
        yield part, result
        start = part.stop


def share_of_free_bytes(device: torch.device) -> int:
    """Bytes on ``device`` that one array may take: nine tenths of what is free."""
    return int(0.9 * free_bytes(device))


def require_room(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device, what: str) -> None:
    """Raise a MemoryError that names the size unless a tensor fits into nine tenths of the free memory."""
    needed = torch.Size(shape).numel() * torch.empty((), dtype=dtype).element_size()
    free = free_bytes(device)
    if needed > share_of_free_bytes(device):
        raise MemoryError(
            f"{what} of shape {list(shape)} take {needed / 1e9:.2f} GB but {free / 1e9:.2f} GB are free on {device}: "
            "ask for fewer layers or tokens, or write them to the disk with store=."
        )
