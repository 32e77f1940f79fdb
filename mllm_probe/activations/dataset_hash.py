"""Hash of what a dataset holds, wherever its values lie."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

import xarray as xr

from mllm_probe.activations.device_array import on_host, parts_of


def content_hash(dataset: xr.Dataset) -> str:
    """Hash of every number of a dataset, 12 hexadecimal digits; whatever device it lies on."""
    digest = hashlib.blake2b(digest_size=6)
    for name in sorted(map(str, dataset.variables)):
        array = dataset[name]
        digest.update(f"{name}{array.dims}{array.shape}".encode())
        for part in _parts(array):
            digest.update(part)
    return digest.hexdigest()


def _parts(array: xr.DataArray) -> Iterable[bytes]:
    if array.dtype.kind not in "fiub":
        return [json.dumps(array.values.tolist(), default=str).encode()]
    return (on_host(part).tobytes() for part in parts_of(array))
