"""`array.torch`: reductions, dot products and projections by named dimension, computed where the data live."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

import numpy as np
import torch
import xarray as xr

from mllm_probe import schema
from mllm_probe.activations.device_array import lazy, parts_of, split_dimension, tensor_of

Dims = Hashable | Iterable[Hashable]


class TorchAccessor:
    """On-device operations of a DataArray; each gives the same kind of array, coordinates kept, float32 or wider.

    Examples
    --------
    >>> acts.activation.torch.norm("hidden")                 # (sample, layer, token), still on the device
    >>> acts.activation.torch.project(vectors.vector)        # along unit vectors, matched by layer
    """

    def __init__(self, array: xr.DataArray) -> None:
        # xarray keeps the accessor on the array: without a copy (of the labels alone) the two would refer to each
        # other, and the device's memory would be kept until Python collects such circles.
        self._array = array.copy(deep=False)

    @property
    def tensor(self) -> torch.Tensor:
        """The data as a tensor on its device, dimensions in the array's order."""
        return tensor_of(self._array)

    @property
    def devices(self) -> tuple[torch.device, ...]:
        """Devices that hold the data; more than one for a sharded model."""
        return tuple(dict.fromkeys(part.device for part in parts_of(self._array)))

    def to(self, device: torch.device | str) -> xr.DataArray:
        """Copy the data to one device; layers of a sharded model come together there."""
        split = split_dimension(self._array)
        parts = [part.to(device) for part in parts_of(self._array)]
        data = parts[0] if split is None else torch.stack(parts, self._array.dims.index(split))
        return _like(self._array, self._array.dims, [data], None)

    def mean(self, dim: Dims, skipna: bool = True) -> xr.DataArray:
        """Mean over ``dim``; NaN (padding) is left out unless ``skipna`` is False."""
        return self._reduced(dim, torch.nanmean if skipna else torch.mean)

    def sum(self, dim: Dims, skipna: bool = True) -> xr.DataArray:
        """Sum over ``dim``; NaN (padding) counts as 0 unless ``skipna`` is False."""
        return self._reduced(dim, torch.nansum if skipna else torch.sum)

    def norm(self, dim: Dims = schema.HIDDEN) -> xr.DataArray:
        """Euclidean norm over ``dim``."""
        return self._reduced(dim, lambda x, axes, dtype: torch.linalg.vector_norm(x, dim=axes, dtype=dtype))

    def dot(self, other: xr.DataArray | torch.Tensor | np.ndarray, dim: Dims = schema.HIDDEN) -> xr.DataArray:
        """Sum of products over ``dim``; other shared dimensions are matched by label, the rest are kept.

        Parameters
        ----------
        other : DataArray, Tensor or ndarray
            A plain array may be [hidden], or [layer, hidden] with all the array's layers.
        dim : str or iterable of str
        """
        left, right = xr.align(self._array, self._named(other), join="inner", copy=False)
        over = _names(dim)
        for name in over:
            if name not in left.dims or name not in right.dims:
                raise ValueError(f"cannot sum over '{name}': the arrays have {left.dims} and {right.dims}.")
        empty = [d for d in set(left.dims) & set(right.dims) if left.sizes[d] == 0]
        if empty:
            raise ValueError(f"the two arrays have no label of dimension '{empty[0]}' in common.")
        split = split_dimension(left) or split_dimension(right)
        if split in over:
            raise ValueError(f"cannot sum over '{split}' across devices: bring it together with .torch.to(device).")
        return _dot(left, right, over, split)

    def project(self, vectors: xr.DataArray | torch.Tensor | np.ndarray, dim: Hashable = schema.HIDDEN) -> xr.DataArray:
        """Component along each of ``vectors``, scaled to length one: how far the activation lies in its direction.

        Parameters
        ----------
        vectors : DataArray, Tensor or ndarray
            Such as ``vectors.vector`` (concept, layer, hidden); matched by the labels of shared dimensions.
        dim : str
            The dimension that is summed over.

        Returns
        -------
        DataArray
            The array's dimensions without ``dim``, then those only ``vectors`` has; in the units of the array.
        """
        return self.dot(_unit(self._named(vectors), dim), dim)

    def cosine(self, other: xr.DataArray | torch.Tensor | np.ndarray, dim: Hashable = schema.HIDDEN) -> xr.DataArray:
        """Cosine with ``other`` over ``dim``."""
        return _unit(self._array, dim).torch.project(self._named(other), dim)

    def _named(self, other: xr.DataArray | torch.Tensor | np.ndarray) -> xr.DataArray:
        if isinstance(other, xr.DataArray):
            return other
        tensor = torch.as_tensor(other)
        dims = (schema.LAYER, schema.HIDDEN)[2 - tensor.ndim :]
        sizes = tuple(self._array.sizes.get(d) for d in dims)
        if tensor.ndim not in (1, 2) or sizes != tuple(tensor.shape):
            raise ValueError(
                f"expected an array [hidden] or [layer, hidden] that fits {dict(self._array.sizes)}, "
                f"got shape {tuple(tensor.shape)}; give other dimensions as a DataArray with names."
            )
        coords = {d: self._array.coords[d] for d in dims if d in self._array.coords}
        return xr.DataArray(lazy(dims, tensor), coords=coords)

    def _reduced(self, dim: Dims, operation: Callable[..., torch.Tensor]) -> xr.DataArray:
        over, split = _names(dim), split_dimension(self._array)
        missing = [d for d in over if d not in self._array.dims]
        if missing:
            raise ValueError(f"no dimension '{missing[0]}': the array has {self._array.dims}.")
        whole = split in over
        split = None if whole else split
        dims = [d for d in self._array.dims if d != split]
        axes = tuple(dims.index(d) for d in over)
        parts = [tensor_of(self._array)] if whole else parts_of(self._array)
        parts = [operation(part, axes, dtype=_width(part.dtype)) for part in parts]
        return _like(self._array, tuple(d for d in self._array.dims if d not in over), parts, split)


def _unit(array: xr.DataArray, dim: Hashable) -> xr.DataArray:
    """The array, scaled to length one over ``dim``."""
    split = split_dimension(array)
    axis = [d for d in array.dims if d != split].index(dim)
    parts = [_wide(part) for part in parts_of(array)]
    return _like(array, array.dims, [p / torch.linalg.vector_norm(p, dim=axis, keepdim=True) for p in parts], split)


def _dot(left: xr.DataArray, right: xr.DataArray, over: tuple[Hashable, ...], split: Hashable | None) -> xr.DataArray:
    names = dict.fromkeys([*left.dims, *right.dims])
    letters = {name: chr(ord("a") + number) for number, name in enumerate(names)}
    dims = tuple(name for name in names if name not in over)

    # The split dimension has no letter: its elements are multiplied one by one, each on its device, and never stacked.
    def term(these: Iterable[Hashable]) -> str:
        return "".join(letters[d] for d in these if d != split)

    equation = f"{term(left.dims)},{term(right.dims)}->{term(dims)}"
    count = 1 if split is None else (left if split in left.dims else right).sizes[split]
    parts = []
    for number in range(count):
        a, b = (_wide(_part(side, split, number)) for side in (left, right))
        dtype = torch.promote_types(a.dtype, b.dtype)
        parts.append(torch.einsum(equation, a.to(dtype), b.to(a.device, dtype)))
    result = _like(left, dims, parts, split)
    extra = {n: c for n, c in right.coords.items() if n not in result.coords and set(c.dims) <= set(dims)}
    return result.assign_coords(extra)


def _like(
    array: xr.DataArray,
    dims: tuple[Hashable, ...],
    parts: list[torch.Tensor],
    split: Hashable | None,
) -> xr.DataArray:
    """Lazy array of ``parts`` with the coordinates of ``array`` that still apply."""
    coords = {name: c for name, c in array.coords.items() if set(c.dims) <= set(dims)}
    variable = lazy(dims, parts[0]) if split is None else lazy(dims, parts, along=split)
    return xr.DataArray(variable, coords=coords, name=array.name)


def _part(array: xr.DataArray, split: Hashable | None, number: int) -> torch.Tensor:
    return tensor_of(array if split is None or split not in array.dims else array.isel({split: number}))


def _width(dtype: torch.dtype) -> torch.dtype:
    return dtype if dtype in (torch.float32, torch.float64) else torch.float32


def _wide(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(_width(tensor.dtype))


def _names(dim: Dims) -> tuple[Hashable, ...]:
    return (dim,) if isinstance(dim, str) or not isinstance(dim, Iterable) else tuple(dim)
