"""Replacement of decoder blocks by other functions in a ``with`` block; hooks on the blocks still fire."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from mllm_probe.models import ProbeModel

Compute = Callable[..., Any]


@contextmanager
def replaced_blocks(model: ProbeModel, computes: Mapping[int, Compute]) -> Iterator[None]:
    """Compute the output of decoder blocks by other functions while the ``with`` block runs.

    `computes`: for every block that is replaced, ``compute(plain, *arguments, **named)``: ``plain`` is what the block
    ran before, the rest are the arguments of its call. What it returns must look like the block's own output; hooks on
    the block see it as they would see that one. Raises NotImplementedError if a block was compiled, so that what it
    runs is fixed.

    Calls by other threads than the one that entered run the block itself. Everything is put back on leaving, whatever
    was raised, also what accelerate had put in the place of a block's forward.
    """
    thread = threading.get_ident()
    with ExitStack() as stack:
        for layer, compute in computes.items():
            block = model.layout.blocks[layer]
            # `nn.Module.compile()` makes `__call__` run the compiled code, which never looks at `forward` again.
            if getattr(block, "_compiled_call_impl", None) is not None:
                raise NotImplementedError(f"block {layer} of {model.name} was compiled, so it cannot be left out.")
            for _ in range(2):  # Ctrl-C may end the first of them
                stack.callback(_put_back, block, block.__dict__.get("forward"))
            block.forward = _replacement(compute, block.forward, thread)
        yield


def _replacement(compute: Compute, plain: Compute, thread: int) -> Compute:
    @functools.wraps(plain)
    def forward(*arguments: Any, **named: Any) -> Any:
        if threading.get_ident() != thread:
            return plain(*arguments, **named)
        return compute(plain, *arguments, **named)

    return forward


def _put_back(block: nn.Module, forward: Compute | None) -> None:
    if forward is None:
        block.__dict__.pop("forward", None)
    else:
        block.forward = forward
