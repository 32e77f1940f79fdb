"""Labels of vectors in the header of a safetensors file: which tensor has which dimensions, names and attributes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from mllm_probe.typing import JsonObject

FORMAT = "mllm_probe.vectors/1"
KEY = "mllm_probe"


class LabelsError(ValueError):
    """Labels that do not describe the tensors of their file."""


def parse_labels(text: str, tensors: Mapping[str, Tensor]) -> JsonObject:
    """Labels as ``save_vectors`` writes them, checked against the tensors of the file.

    `text`: JSON. Returns: ``format``, ``dims``, ``texts``, ``coords``, ``attrs`` and ``variable_attrs``. Raises
    LabelsError: saying what is wrong; ``format`` alone is left to the caller, and without the right one nothing else is
    checked.
    """
    try:
        labels = json.loads(text)
    except json.JSONDecodeError as error:
        raise LabelsError(f"they are no JSON ({error})") from error
    if not isinstance(labels, dict) or labels.get("format") != FORMAT:
        return {"format": labels.get("format") if isinstance(labels, dict) else None}
    for part, (expected, fits) in _PARTS.items():
        if part not in labels:
            raise LabelsError(f"there is no '{part}'")
        if not fits(labels[part]):
            raise LabelsError(f"'{part}' is no {expected}")
    _require_shapes(labels, tensors)
    unknown = [name for name in labels["coords"] if name not in labels["dims"]]
    if unknown:
        raise LabelsError(f"coordinate '{unknown[0]}' is not among the variables")
    return labels


def _require_shapes(labels: JsonObject, tensors: Mapping[str, Tensor]) -> None:
    sizes: dict[str, tuple[int, str]] = {}
    for name, dims in labels["dims"].items():
        shape = _shape(name, labels["texts"], tensors)
        if len(shape) != len(dims) or len(set(dims)) != len(dims):
            raise LabelsError(f"'{name}' has shape {list(shape)}, which does not fit dimensions {dims}")
        for dim, size in zip(dims, shape, strict=True):
            known, first = sizes.setdefault(dim, (size, name))
            if size != known:
                raise LabelsError(f"dimension '{dim}' has length {size} in '{name}' and {known} in '{first}'")


def _shape(name: str, texts: JsonObject, tensors: Mapping[str, Tensor]) -> tuple[int, ...]:
    if name in texts:
        try:
            array = np.array(texts[name])
        except ValueError as error:
            raise LabelsError(f"the texts of '{name}' have no shape") from error
        if array.dtype.kind != "U" and array.size:
            raise LabelsError(f"the texts of '{name}' are no texts")
        return array.shape
    if name not in tensors:
        raise LabelsError(f"there is no tensor '{name}'")
    return tuple(tensors[name].shape)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_mapping_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(fits, value.values()))


_PARTS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "dims": ("mapping from variables to lists of dimensions", _is_mapping_of(_is_texts)),
    "texts": ("mapping from variables to texts", _is_mapping_of(lambda value: isinstance(value, (str, list)))),
    "coords": ("list of names", _is_texts),
    "attrs": ("mapping", lambda value: isinstance(value, dict)),
    "variable_attrs": ("mapping from variables to mappings", _is_mapping_of(lambda value: isinstance(value, dict))),
}
