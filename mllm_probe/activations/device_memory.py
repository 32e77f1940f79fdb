"""Memory of a device: what is free, which rows fit into it, the peak of a computation, and what arrays hold."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import pandas as pd
import psutil
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mllm_probe.activations.device_array import DeviceArray, alive, dtype_name
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


def rows_that_fit(model: ProbeModel, encoded: Encoded, share: float = 0.5, most: int = _MOST_ROWS) -> int:
    """Rows of samples like ``encoded`` that a forward pass can hold in a share of the free memory, at least 1.

    Counts the memory of one block at a time and of the vision tower: an estimate on the safe side, not a bound.
    """
    row = block_row_bytes(model, encoded.length, encoded.length) + vision_row_bytes(model, encoded)
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


class LivingTensors(TorchDispatchMode):
    """Follows the tensors that operations make for as long as they live.

    What an operation needs for itself and frees again is not seen.

    `peak`: most bytes that lived at a time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = self._now = 0
        self._known: dict[int, int] = {}

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), named: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation and note the memory of what it gives that is none of its inputs' memory."""
        old = {leaf.untyped_storage()._cdata for leaf in tree_leaves((arguments, named)) if _is_plain(leaf)}
        result = function(*arguments, **(named or {}))
        for leaf in tree_leaves(result):
            if _is_plain(leaf) and leaf.untyped_storage()._cdata not in old:
                self._note(leaf.untyped_storage())
        return result

    def _note(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._known:
            return
        self._known[key] = storage.nbytes()
        self._now += self._known[key]
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self._now -= self._known.pop(key, 0)


def _is_plain(leaf: object) -> bool:
    return isinstance(leaf, torch.Tensor) and leaf.layout is torch.strided


def peak_bytes(device: torch.device, job: Callable[[], object]) -> int:
    """Bytes by which the memory of tensors grows at most while ``job`` runs; on the host it runs slower for it.

    `device`: torch.device.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        job()
        return max(torch.cuda.max_memory_allocated(device) - before, 0)
    with LivingTensors() as living:
        job()
    return living.peak


COLUMNS = ("made_by", "shape", "dtype", "device", "bytes")


@dataclass
class _Held:
    """Memory that one array, or several that share it, keep."""

    storages: dict[tuple[str, int], int]
    arrays: list[DeviceArray] = field(default_factory=list)


def memory() -> pd.DataFrame:
    """List the tensors behind datasets of this package that something still refers to, largest first.

    These are activations of :func:`capture`, recordings of :func:`sweep`, concept vectors, and results of their
    ``.torch`` accessor. The model's weights, and what a widget keeps in order to answer faster, are not among them.
    What is listed is freed when the last dataset (or selection of it, or notebook output ``Out[...]``) that refers to
    it is gone: ``del dataset``. PyTorch keeps freed GPU memory for later tensors; ``torch.cuda.empty_cache()`` gives
    it back to other programs.

    Returns
    -------
    pandas.DataFrame
        One row for each tensor and device. ``made_by``: the function that made it (``"calculation"`` for results of
        the accessor). ``shape`` and ``dtype`` of the array; selections and transposed views share its memory and have
        no row of their own. ``device``. ``bytes``: size of the memory that is kept there, which for a selection is
        that of the whole array it was taken from.

    Examples
    --------
    >>> mp.memory().groupby("device").bytes.sum()
    """
    held: list[_Held] = []
    for array in list(alive):
        storages = {_key(part): part.untyped_storage().nbytes() for part in array.parts}
        shared = next((known for known in held if known.storages.keys() & storages.keys()), None)
        if shared is None:
            held.append(shared := _Held({}))
        shared.storages |= storages
        shared.arrays.append(array)
    rows = [row for known in held for row in _rows(known)]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"bytes": "int64"})
    return table.sort_values(["bytes", "made_by"], ascending=[False, True], ignore_index=True)


def _key(part: torch.Tensor) -> tuple[str, int]:
    return str(part.device), part.untyped_storage().data_ptr()


def _rows(held: _Held) -> list[tuple[str, tuple[int, ...], str, str, int]]:
    whole = max(held.arrays, key=lambda array: sum(part.numel() for part in array.parts))
    makers = sorted({array.made_by for array in held.arrays} - {"calculation"}) or ["calculation"]
    dtype = dtype_name(whole.parts[0].dtype)
    sizes: dict[str, int] = {}
    for (device, _), size in held.storages.items():
        sizes[device] = sizes.get(device, 0) + size
    return [(", ".join(makers), tuple(whole.shape), dtype, device, size) for device, size in sorted(sizes.items())]
