"""What a file held when it was made: datasets as plain JSON, and where today's reading differs from that."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

MOST = 120
"""Values of an array that are kept; of a larger one so many, evenly spread, and a hash of all."""
OF_A_RUN = ("version_", "progress", "batches", "chunk_rows", "halved", "resumed_with", "images_together", "computed_",
            "coordinates")  # fmt: skip
"""Beginnings of attributes that tell of a run, or of how it was stored, not of its numbers."""


def recorded(dataset: Any) -> dict[str, Any]:
    """Variables, coordinates and attributes of a dataset as JSON keeps them."""
    return {
        "variables": {str(name): _variable(one) for name, one in dataset.variables.items()},
        "coords": sorted(map(str, dataset.coords)),
        "attrs": _plain({name: one for name, one in dataset.attrs.items() if not name.startswith(OF_A_RUN)}),
    }


def differences(now: Any, then: dict[str, Any], tolerance: float | None = None) -> list[str]:
    """What a dataset lacks of a recorded one, or has otherwise; it may hold more.

    ``tolerance``, absolute and relative, is of numbers that were computed again; those read are equal to the bit.
    """
    found = [f"there is no {name}" for name in then["variables"] if name not in now.variables]
    found += [f"{name} is no coordinate" for name in then["coords"] if name not in now.coords]
    attrs = _plain(dict(now.attrs))
    for name, value in then["attrs"].items():
        if name.startswith(OF_A_RUN):
            continue
        if name not in attrs or not _equal(attrs[name], value, tolerance):
            found.append(f"attribute {name} is {attrs.get(name)!r}, it was {value!r}")
    for name, kept in then["variables"].items():
        if name in now.variables:
            found += [f"{name}: {what}" for what in _unlike(now.variables[name], kept, tolerance)]
    return found


def _equal(one: Any, other: Any, tolerance: float | None) -> bool:
    """Whether two attributes are the same; numbers as those of variables."""
    if isinstance(one, float) and isinstance(other, float):
        return bool(np.isclose(one, other, rtol=tolerance or 0, atol=tolerance or 0, equal_nan=True))
    return one == other


def _unlike(variable: Any, kept: dict[str, Any], tolerance: float | None) -> list[str]:
    values = _values(variable)
    shape = (list(map(str, variable.dims)), list(values.shape), values.dtype.kind)
    if shape != (kept["dims"], kept["shape"], kept["kind"]):
        return [f"{shape}, it was {kept['dims'], kept['shape'], kept['kind']}"]
    attrs = _plain(dict(variable.attrs))
    found = [f"attribute {name} was {one!r}" for name, one in kept["attrs"].items() if attrs.get(name, None) != one]
    some, before = _some(values), np.array(kept["values"], dtype=None if kept["kind"] == "U" else kept["dtype"])
    if kept["kind"] == "f" and tolerance is not None:
        if not np.allclose(some, before, rtol=tolerance, atol=tolerance, equal_nan=True):
            found.append(f"values differ by up to {np.nanmax(np.abs(some - before)):.2g}")
        return found
    if kept["kind"] != "U" and values.dtype.name != kept["dtype"]:
        found.append(f"type {values.dtype.name}, it was {kept['dtype']}")
    if not np.array_equal(some, before, equal_nan=kept["kind"] == "f") or _hash(values) != kept["hash"]:
        found.append("other values")
    return found


def _variable(variable: Any) -> dict[str, Any]:
    values = _values(variable)
    return {
        "dims": list(map(str, variable.dims)),
        "shape": list(values.shape),
        "kind": values.dtype.kind,
        "dtype": values.dtype.name,
        "attrs": _plain(dict(variable.attrs)),
        "values": _some(values).tolist(),
        "hash": _hash(values),
    }


def _values(variable: Any) -> np.ndarray:
    """Values on the host, texts as NumPy's own."""
    values = np.asarray(variable.values)
    return np.array(values.tolist(), dtype=str) if values.dtype.kind in "OT" else values


def _some(values: np.ndarray) -> np.ndarray:
    flat = values.ravel()
    return flat if flat.size <= MOST else flat[np.linspace(0, flat.size - 1, MOST).astype(int)]


def _hash(values: np.ndarray) -> str:
    """Hash of all values; the width of texts and the payload of NaN play no part."""
    plain = json.dumps(values.ravel().tolist()).encode()
    return hashlib.blake2b(plain, digest_size=8).hexdigest()


def _plain(attrs: dict[str, Any]) -> dict[str, Any]:
    """Attributes as JSON gives them back."""
    return json.loads(json.dumps(attrs, default=lambda one: one.tolist() if hasattr(one, "tolist") else str(one)))
