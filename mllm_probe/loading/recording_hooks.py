"""Removal of the recording hooks that Transformers installs at the first request for hidden states and leaves there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

_FLAG = "_output_capturing_hooks_installed"


@contextmanager
def without_new_hooks(hf: nn.Module) -> Iterator[None]:
    """Remove every forward hook that comes onto ``hf`` inside the ``with`` block, and the note that it is installed.

    A hook that Transformers leaves behind would record a block's output before a steering hook that is added
    later has changed it.
    """
    # The flag goes with the hooks: Transformers installs them at the first request for hidden states only, and with the
    # flag left behind it would never do so again.
    before = {module: (set(module._forward_hooks), vars(module).get(_FLAG)) for module in hf.modules()}
    try:
        yield
    finally:
        for module, (hooks, flag) in before.items():
            for identity in set(module._forward_hooks) - hooks:
                del module._forward_hooks[identity]
                module._forward_hooks_with_kwargs.pop(identity, None)
                module._forward_hooks_always_called.pop(identity, None)
            if flag is None:
                vars(module).pop(_FLAG, None)
            else:
                setattr(module, _FLAG, flag)


def hook_count(hf: nn.Module) -> int:
    """Number of forward hooks of any kind on all modules of ``hf``."""
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in hf.modules())
