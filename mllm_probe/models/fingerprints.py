"""Fingerprints of a model's weights, which results carry as provenance, and hashes of code."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from mllm_probe.typing import HfModel, JsonObject

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


Counters = tuple[int, int]


class Weights:
    """Fingerprint of a model's weights, updated when they are changed in place.

    PyTorch counts changes of a tensor, but not those made through ``tensor.data`` (as PEFT merges adapters), for which
    16 values of every parameter are read. With 191 parameters on a CPU counting takes 0.15 ms, reading 1.2 ms, and a
    new fingerprint 9 ms. A change that spares all of these values keeps the fingerprint.
    """

    def __init__(self, hf: HfModel) -> None:
        self.hf = hf
        self._update()

    def fingerprint(self, *, counted: bool = False) -> str:
        """Fingerprint of the current weights, see :func:`fingerprint`.

        `counted`: trust PyTorch's counters, for code that a person waits for.
        """
        if change_counters(self.hf) != self._counters or not (counted or self._same_values()):
            self._update()
        return self._fingerprint

    def _update(self) -> None:
        self._counters = change_counters(self.hf)
        self._values = _read_values(self.hf)
        self._fingerprint = fingerprint(self.hf)

    def _same_values(self) -> bool:
        values = _read_values(self.hf)
        return len(values) == len(self._values) and all(map(torch.equal, values, self._values))


def change_counters(hf: HfModel) -> Counters:
    """Numbers that change when a parameter or buffer is written to in place or exchanged."""
    versions, addresses = 0, []
    # Most modules hold no tensor of their own: their empty tables are passed over before anything is made of them.
    for module in every_module(hf):
        for table in (module._parameters, module._buffers):
            if not table:
                continue
            for tensor in table.values():
                if tensor is None:
                    continue
                # Versions count changes in place; addresses notice a parameter exchanged for another one.
                if not tensor.is_inference():
                    versions += tensor._version
                if tensor.layout is torch.strided:
                    addresses.append(tensor.data_ptr())
    return versions, hash(tuple(addresses))


def every_module(hf: nn.Module) -> list[nn.Module]:
    """A model and the modules in it, a shared one as often as it is used.

    ``hf.modules()`` also makes names, which takes longer than what is read here at every move of a slider.
    """
    modules = [hf]
    for module in modules:  # grows while it is read
        if module._modules:
            modules += [child for child in module._modules.values() if child is not None]
    return modules


def _read_values(hf: HfModel) -> list[torch.Tensor]:
    """A few values of every parameter, bit for bit on the host: one tensor for each device."""
    by_device: dict[torch.device, list[torch.Tensor]] = {}
    for parameter in hf.parameters():
        if parameter.device.type != "meta" and parameter.numel():
            by_device.setdefault(parameter.device, []).append(_few_values(parameter).view(torch.uint8))
    return [torch.cat(values).cpu() for values in by_device.values()]


def fingerprint(hf: HfModel) -> str:
    """Hash of the configuration and of samples from every parameter.

    Returns: 12 hexadecimal digits. Samples are rounded to bfloat16 first, so that the same weights held in another
    precision keep their name. Parameters that are offloaded count with name and shape only.
    """
    digest = hashlib.sha256(_configuration(hf).encode())
    for name, parameter in sorted(hf.named_parameters(), key=lambda item: item[0]):
        digest.update(f"{name}{tuple(parameter.shape)}".encode())
        if parameter.device.type != "meta" and parameter.numel():
            digest.update(_sample(parameter))
    return digest.hexdigest()[:12]


def architecture(hf: HfModel) -> JsonObject:
    """Hash of a model without its weights: its class, its modules' classes and its configuration."""
    classes = sorted({_class_name(type(module)) for module in hf.modules()})
    return {
        "class": _class_name(type(hf)),
        "modules": hashlib.sha256("\n".join(classes).encode()).hexdigest()[:12],
        "configuration": hashlib.sha256(_configuration(hf).encode()).hexdigest()[:12],
    }


def _class_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _configuration(hf: HfModel) -> str:
    return json.dumps(_identity(hf.config.to_dict()), sort_keys=True, default=str)


def code_hash(*functions: Callable[..., Any]) -> str:
    """Hash of the source code of functions, 12 hexadecimal digits; of their byte code where there is no source."""
    return hashlib.sha256("\n".join(map(_code, functions)).encode()).hexdigest()[:12]


def _code(function: Callable[..., Any]) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        return type(function).__qualname__ if code is None else f"{code.co_code!r}{code.co_consts!r}{code.co_names!r}"


def _identity(value: object) -> Any:
    if isinstance(value, dict):
        return {str(key): _identity(item) for key, item in value.items() if key not in _NOT_IDENTITY}
    return [_identity(item) for item in value] if isinstance(value, (list, tuple)) else value


def _sample(parameter: nn.Parameter) -> bytes:
    return _few_values(parameter).to(torch.bfloat16).float().cpu().numpy().tobytes()


def _few_values(parameter: nn.Parameter) -> torch.Tensor:
    flat = parameter.detach().flatten()
    return flat[_places(flat.numel(), flat.device)]


@lru_cache(256)
def _places(count: int, device: torch.device) -> torch.Tensor:
    """Evenly spread places among ``count`` values."""
    return torch.linspace(0, count - 1, min(_SAMPLES, count), dtype=torch.float64).long().to(device)
