"""Reading the residual stream: hooks, capture, arrays that stay on the device, and their store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xarray as xr

from mllm_probe.lazy_names import lazy_names

if TYPE_CHECKING:
    from mllm_probe.activations.capturing import capture
    from mllm_probe.activations.device_array import TorchAccessor, lazy, split_dimension, tensor_of
    from mllm_probe.activations.device_memory import free_bytes, memory, rows_that_fit
    from mllm_probe.activations.hooks import (
        attached,
        before_backbone,
        before_block,
        editing,
        resolve_layers,
        run_forward,
    )
    from mllm_probe.activations.zarr_store import open_zarr, save_zarr
else:
    __getattr__, __dir__ = lazy_names(__name__)

__all__ = [
    "TorchAccessor",
    "attached",
    "before_backbone",
    "before_block",
    "capture",
    "editing",
    "free_bytes",
    "lazy",
    "memory",
    "open_zarr",
    "resolve_layers",
    "rows_that_fit",
    "run_forward",
    "save_zarr",
    "split_dimension",
    "tensor_of",
]


@xr.register_dataarray_accessor("torch")
def _torch(array: xr.DataArray) -> TorchAccessor:
    """``array.torch``: it is there for every array, and needs PyTorch only when an array is asked for it."""
    from mllm_probe.activations.device_array import TorchAccessor

    return TorchAccessor(array)
