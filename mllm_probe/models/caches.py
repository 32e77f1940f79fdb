"""The key-value cache among the arguments of a call: transformers renamed it in 5.24."""

from __future__ import annotations

from typing import Any

from torch import nn

from mllm_probe.models.forward_arguments import forward_arguments
from mllm_probe.typing import CallArguments

CACHE_NAMES = ("cache", "past_key_values")
"""Names of the argument, the newest first."""


def cache_argument(module: nn.Module, cache: object) -> dict[str, Any]:
    """The arguments that give a module its cache and have it filled, under the name that its forward takes."""
    accepted = forward_arguments(module)
    name = next((name for name in CACHE_NAMES if name in accepted), CACHE_NAMES[-1])
    return {name: cache, "use_cache": True}


def given_cache(arguments: CallArguments) -> Any:
    """The cache among the arguments of a call, None where there is none."""
    return next((arguments[name] for name in CACHE_NAMES if arguments.get(name) is not None), None)
