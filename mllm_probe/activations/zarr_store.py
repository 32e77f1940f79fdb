"""Datasets on disk: Zarr, written in pieces, read back lazily or onto a device."""

from __future__ import annotations

import math
import re
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import xarray as xr

from mllm_probe import schema
from mllm_probe.activations import store_layout
from mllm_probe.activations.device_array import dtype_name, lazy, parts_of
from mllm_probe.activations.store_layout import description
from mllm_probe.activations.store_places import as_folder, partial_beside, place_of
from mllm_probe.activations.unit_store import UnitStore, dataset_of
from mllm_probe.models.argument_checks import described, device_of, whole_number

if TYPE_CHECKING:
    from mllm_probe.models import ProbeModel

_PIECE = 64 * 2**20
_NAME = re.compile(r"(?!\.z)[^/\0]+")
_DTYPE = "dtype"
_ACTIVATIONS = "capture"
"""Kind of what ``save_zarr`` writes."""
_REPLACED = (_ACTIVATIONS, "activations")
"""Kinds that it replaces; earlier stores have the second."""


def save_zarr(dataset: xr.Dataset, path: str | Path, piece_bytes: int = _PIECE, *, overwrite: bool = False) -> Path:
    """Write a dataset to Zarr; what lies on a device comes to the host a piece at a time.

    Parameters
    ----------
    dataset : xarray.Dataset
        Its attributes must say which model it was made with (``capture`` writes them).
    path : str or Path
        A folder that does not exist.
    piece_bytes : int
        About how much is on the host at a time.
    overwrite : bool
        Replace a store that ``save_zarr`` wrote, once the new one is complete. Nothing else is ever replaced: no
        sweep, no other Zarr group, no folder of other files.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If the dataset does not say which model it was made with, holds what Zarr does not, or ``path`` exists and may
        not be replaced.

    Notes
    -----
    bfloat16 is stored as float32; ``open_zarr(device=…)`` turns it back.
    """
    if not isinstance(dataset, xr.Dataset):
        raise ValueError(f"save_zarr: expected a dataset, such as capture gives; got {described(dataset)}.")
    piece_bytes = whole_number("piece_bytes", piece_bytes, 1)
    for name in dataset.variables:
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in (".", ".."):
            raise ValueError(f"a variable is named {name!r}: in a store it needs a name without '/' or leading '.z'.")
    if "weights" not in dataset.attrs:
        raise ValueError("this dataset does not say which model it was made with (no attribute 'weights').")
    target = writable_store(path, overwrite=overwrite)
    partial = partial_beside(target)
    try:
        # A dataset that was read from a store says how that one was written, perhaps in another format.
        _write(
            _with_dtypes(dataset.drop_encoding()).assign_attrs({store_layout.STORE_KIND: _ACTIVATIONS}),
            partial,
            piece_bytes,
        )
        if target.exists():
            older = target.rename(partial_beside(target))
            partial.rename(target)
            shutil.rmtree(older)
        else:
            partial.rename(target)
        return target
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def open_zarr(
    path: str | Path, model: ProbeModel | None = None, device: torch.device | str | None = None
) -> xr.Dataset:
    """Open a dataset that ``save_zarr`` or ``capture(store=)`` wrote.

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
        If it was made with another model, naming both, if it names a codec that this package does not write, if it is
        damaged, or if PyTorch has no such device here.

    Warns
    -----
    UserWarning
        If blocks of a capture are not finished: they hold NaN.
    """
    dataset = _opened(path)
    if model is not None:
        schema.require_same_model(dataset, model, f"the data in {path}")
    if device is not None:
        where = device_of(device)
        for name, variable in dataset.data_vars.items():
            if _DTYPE in variable.attrs:
                tensor = torch.from_numpy(variable.values).to(where, _dtype(variable))
                dataset[name] = lazy(variable.dims, tensor, attrs=variable.attrs, made_by="open_zarr")
    return dataset


def _opened(path: str | Path) -> xr.Dataset:
    if description(place := place_of(path)) is not None:
        store = UnitStore.open(path)
        if left := store.remaining():
            warnings.warn(
                f"{len(left)} of {len(store.units)} parts of {place} are not finished and hold no values: run what "
                "made it once more.",
                stacklevel=3,
            )
        return dataset_of(store)
    dataset = store_layout.open_group(path)
    for name in dataset.coords:
        dataset[name].load()
    return dataset


def writable_store(path: str | Path, *, overwrite: bool = False) -> Path:
    """``path`` as one that `save_zarr` can write to, so that it can be refused before activations are read.

    Raises ValueError if it exists and may not be replaced.
    """
    target = as_folder(path).resolve()
    if not target.exists():
        return target
    attrs = store_layout.read_json(target / ".zattrs") if (target / ".zattrs").is_file() else {}
    if attrs.get(store_layout.STORE_KIND) not in _REPLACED:
        raise ValueError(
            f"{target} exists and is not a store of activations that save_zarr wrote, so that it is left as it is: "
            "give a new path."
        )
    if not overwrite:
        raise ValueError(f"{target} exists: give a new path, or overwrite=True to replace it.")
    return target


def _write(dataset: xr.Dataset, path: Path, piece_bytes: int) -> None:
    for number, (piece, along) in enumerate(_pieces(dataset, piece_bytes)):
        fixed = [name for name, variable in piece.variables.items() if along not in variable.dims]
        try:
            if number == 0:
                piece.to_zarr(path, mode="w", **store_layout.OPTIONS)
            else:
                piece.drop_vars(fixed).to_zarr(path, append_dim=along, **store_layout.OPTIONS)
        except (TypeError, ValueError) as error:
            raise ValueError(f"the dataset cannot be stored as Zarr: {error}") from error


def _dtype(variable: xr.DataArray) -> torch.dtype:
    """Type on the device, as the store names it."""
    named = variable.attrs[_DTYPE]
    dtype = getattr(torch, named, None) if isinstance(named, str) else None
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"'{variable.name}' is stored with dtype={named!r}, which is no type of PyTorch.")
    return dtype


def _with_dtypes(dataset: xr.Dataset) -> xr.Dataset:
    """Note the type that each lazy variable has on its device, which NumPy may lack."""
    noted = dataset.copy()
    for name, variable in dataset.data_vars.items():
        if not variable.variable._in_memory:
            noted[name] = variable.assign_attrs({_DTYPE: dtype_name(parts_of(variable)[0].dtype)})
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
