"""Which arguments a module's forward takes, looked up once: a signature costs as much as a few small layers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from torch import nn


def forward_arguments(module: nn.Module) -> Mapping[str, inspect.Parameter]:
    """Parameters of a module's forward by name; those of the class's own method are kept."""
    method = getattr(module.forward, "__func__", None)
    # What was put in a module's place belongs to it and must die with it.
    return inspect.signature(module.forward).parameters if method is None else _of_method(method)


@lru_cache(maxsize=256)
def _of_method(method: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(method).parameters
