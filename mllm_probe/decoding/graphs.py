"""Replaying a step of fixed shapes as one CUDA graph, recorded again when a tensor that it reads has moved."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

Step = Callable[..., Tensor]
Replay = Callable[[], Tensor]
Record = Callable[[Step, tuple[Tensor, ...]], Replay]

_WARM_UP = 3


class Recorded:
    """A step that is recorded at its first call and replayed at later ones.

    `step`: from tensors that stay where they are, to one tensor; no value on the host may depend on them. `record`:
    ``record(step, inputs)`` runs the step some times and gives what replays it; ``record_cuda`` by default.

    A recording holds addresses: :meth:`watch` compares those of the tensors that hooks read and change.
    """

    def __init__(self, step: Step, record: Record | None = None) -> None:
        self.step, self.record = step, record_cuda if record is None else record
        self._replay: Replay | None = None
        self._changed: list[Tensor] = []
        self._key: Hashable = None

    def watch(self, tensors: Sequence[Tensor], key: Hashable = None) -> None:
        """Record again if the addresses of these tensors, or ``key``, have changed.

        `tensors`: which hooks read, or add up in; recording runs the step more than once and then puts them back.
        `key`: what else the step depends on.
        """
        seen = (key, tuple(tensor.data_ptr() for tensor in tensors))
        if seen != self._key:
            self._key, self._replay = seen, None
        self._changed = list(tensors)

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The step's result, in a tensor that the next call overwrites."""
        if self._replay is None:
            # The warm-up runs the step, whose hooks add sizes of edits up in these tensors: receipts would count them.
            before = [tensor.clone() for tensor in self._changed]
            self._replay = self.record(self.step, inputs)
            for tensor, value in zip(self._changed, before, strict=True):
                tensor.copy_(value)
        return self._replay()


def record_cuda(step: Step, inputs: tuple[Tensor, ...]) -> Replay:
    """Warm a step up on a side stream, and record it; other threads may use the device meanwhile."""
    with torch.cuda.device(inputs[0].device):
        side_stream = torch.cuda.Stream()
        side_stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side_stream):
            for _ in range(_WARM_UP):
                step(*inputs)
        torch.cuda.current_stream().wait_stream(side_stream)
        graph: Any = torch.cuda.CUDAGraph()
        # "global" (the default) fails the capture where another thread, such as a widget's, uses the device meanwhile.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            output = step(*inputs)

    def replay() -> Tensor:
        graph.replay()
        return output

    return replay
