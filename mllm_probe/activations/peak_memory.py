"""Bytes that a computation allocates at its peak: PyTorch's own count on a GPU, its living tensors elsewhere."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


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
        old = {one.untyped_storage()._cdata for one in tree_leaves((arguments, named)) if _is_plain(one)}
        result = function(*arguments, **(named or {}))
        for one in tree_leaves(result):
            if _is_plain(one) and one.untyped_storage()._cdata not in old:
                self._note(one.untyped_storage())
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


def _is_plain(one: object) -> bool:
    return isinstance(one, torch.Tensor) and one.layout is torch.strided


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
