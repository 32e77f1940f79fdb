"""Datasets on disk: Zarr, written a piece at a time, read back lazily or onto a device."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import xarray as xr

from mllm_probe import schema
from mllm_probe.activations.device_array import lazy, split_dimension, tensor_of

if TYPE_CHECKING:
    from mllm_probe.models import ProbeModel

_PIECE = 64 * 2**20
_OPTIONS: dict[str, Any] = {"zarr_format": 2, "consolidated": True}
_DTYPE = "dtype"


def save_zarr(dataset: xr.Dataset, path: str | Path, piece_bytes: int = _PIECE) -> Path:
    """Write a dataset to Zarr; what lies on a device comes to the host a piece at a time.

    Parameters
    ----------
    dataset : xarray.Dataset
        Its attributes must say which model it was made with (``capture`` writes them).
    path : str or Path
        A folder. An older store there is replaced once the new one is complete.
    piece_bytes : int
        About how much is on the host at a time.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If the dataset does not say which model it was made with, or ``path`` is something other than a Zarr store.

    Notes
    -----
    bfloat16 is stored as float32; ``open_zarr(device=…)`` turns it back.
    """
    target = Path(path)
    if "weights" not in dataset.attrs:
        raise ValueError("this dataset does not say which model it was made with (no attribute 'weights').")
    if target.exists() and not (target / ".zgroup").exists():
        raise ValueError(f"{target} exists and is not a Zarr store of this package: give a new path.")
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for number, (piece, along) in enumerate(_pieces(_with_dtypes(dataset), piece_bytes)):
        if number == 0:
            piece.to_zarr(partial, mode="w", **_OPTIONS)
        else:
            fixed = [name for name, variable in piece.variables.items() if along not in variable.dims]
            piece.drop_vars(fixed).to_zarr(partial, append_dim=along, **_OPTIONS)
    shutil.rmtree(target, ignore_errors=True)
    return partial.rename(target)


def open_zarr(
    path: str | Path, model: ProbeModel | None = None, device: torch.device | str | None = None
) -> xr.Dataset:
    """Open a dataset that ``save_zarr`` wrote.

    Parameters
    ----------
    path : str or Path
    model : ProbeModel, optional
        The model it will be used with; other weights raise.
    device : torch.device or str, optional
        Bring what lay on a device to this one, in its own type. By default the data stay on disk until needed.

    Raises
    ------
    FileNotFoundError
        If there is no Zarr store.
    ValueError
        If it was made with another model, naming both.
    """
    if not (Path(path) / ".zgroup").exists():
        raise FileNotFoundError(f"no Zarr store at {path}: expected a folder that save_zarr wrote.")
    dataset = xr.open_zarr(path, chunks=None, **_OPTIONS)
    for name in dataset.coords:
        dataset[name].load()
    if model is not None:
        schema.require_same_model(dataset, model, f"the data in {path}")
    if device is not None:
        for name, variable in dataset.data_vars.items():
            if _DTYPE in variable.attrs:
                tensor = torch.from_numpy(variable.values).to(device, getattr(torch, variable.attrs[_DTYPE]))
                dataset[name] = lazy(variable.dims, tensor, attrs=variable.attrs)
    return dataset


def _with_dtypes(dataset: xr.Dataset) -> xr.Dataset:
    """Note the type that each lazy variable has on its device, which NumPy may lack."""
    noted = dataset.copy()
    for name, variable in dataset.data_vars.items():
        if not variable.variable._in_memory:
            split = split_dimension(variable)
            one = tensor_of(variable if split is None else variable.isel({split: 0}))
            noted[name] = variable.assign_attrs({_DTYPE: str(one.dtype).removeprefix("torch.")})
    return noted


def _pieces(dataset: xr.Dataset, piece_bytes: int) -> Iterator[tuple[xr.Dataset, str]]:
    """Slices along the first dimension of the largest variable; everything at once if it is small."""
    largest = max(dataset.data_vars.values(), key=lambda variable: variable.nbytes, default=None)
    if largest is None or largest.nbytes <= piece_bytes:
        yield dataset, ""
        return
    along, size = str(largest.dims[0]), largest.shape[0]
    step = math.ceil(size / math.ceil(largest.nbytes / piece_bytes))
    for start in range(0, size, step):
        yield dataset.isel({along: slice(start, start + step)}), along
