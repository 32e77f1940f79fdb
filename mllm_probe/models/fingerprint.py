"""A short name for the weights of a model, so that a result can say which model it was made with."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

_SAMPLES = 16
_NOT_IDENTITY = {
    "_name_or_path",
    "_attn_implementation",
    "architectures",
    "attn_implementation",
    "dtype",
    "torch_dtype",
    "transformers_version",
}


def fingerprint(hf: Any) -> str:
    """Hash of the configuration and of samples from every parameter.

    Parameters
    ----------
    hf : PreTrainedModel

    Returns
    -------
    str
        12 hexadecimal digits. Samples are rounded to bfloat16 first, so that the same weights held in
        another precision keep their name. Parameters that are offloaded count with name and shape only.
    """
    digest = hashlib.sha256(json.dumps(_identity(hf.config.to_dict()), sort_keys=True, default=str).encode())
    for name, parameter in sorted(hf.named_parameters(), key=lambda item: item[0]):
        digest.update(f"{name}{tuple(parameter.shape)}".encode())
        if parameter.device.type != "meta" and parameter.numel():
            digest.update(_sample(parameter))
    return digest.hexdigest()[:12]


def code_hash(*functions: Callable[..., Any]) -> str:
    """Hash of the source code of functions, 12 hexadecimal digits; of their byte code where there is no source."""
    return hashlib.sha256("\n".join(map(_code, functions)).encode()).hexdigest()[:12]


def _code(function: Callable[..., Any]) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        return type(function).__qualname__ if code is None else f"{code.co_code!r}{code.co_consts!r}{code.co_names!r}"


def _identity(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _identity(item) for key, item in value.items() if key not in _NOT_IDENTITY}
    return [_identity(item) for item in value] if isinstance(value, (list, tuple)) else value


def _sample(parameter: nn.Parameter) -> bytes:
    flat = parameter.detach().flatten()
    index = torch.linspace(0, flat.numel() - 1, min(_SAMPLES, flat.numel()), dtype=torch.float64).long()
    return flat[index.to(flat.device)].to(torch.bfloat16).float().cpu().numpy().tobytes()
