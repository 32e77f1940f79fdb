"""Tensors under xarray that stay on their device: indexing moves nothing, `array.torch` computes where they are."""

from __future__ import annotations

import hashlib
import json
import weakref
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from mllm_probe import schema

_HOST_DTYPES = (torch.float16, torch.float32, torch.float64, torch.bool, torch.uint8) + (
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
)

alive: weakref.WeakSet[DeviceArray] = weakref.WeakSet()
"""Every array of this module that something refers to; :func:`mllm_probe.memory` reads it."""
bytes_moved = 0
"""Bytes that arrays of this module have brought to the host since the start; tests and benchmarks read it."""


def lazy(
    dims: Sequence[Hashable],
    data: torch.Tensor | Sequence[torch.Tensor],
    along: Hashable = schema.LAYER,
    attrs: dict[str, Any] | None = None,
    *,
    made_by: str = "calculation",
) -> xr.Variable:
    """Wrap a tensor as an xarray variable whose data stay on the tensor's device.

    `dims`: names of the dimensions.
    `data`: one tensor with these dimensions; or one tensor for each element of dimension ``along``, without that
        dimension, on whatever devices (a sharded model). They are never stacked across devices.
    `along`: the dimension that a sequence of tensors runs along.
    `made_by`: the function that a user called, for :func:`mllm_probe.memory`; ``"calculation"`` for results of the
        accessor.

    Returns: ``isel``, ``sel`` and ``transpose`` stay on the device. ``values``, arithmetic and reductions of xarray
    copy what they need to the host, as float32 where NumPy lacks the type (bfloat16). The tensor is shared, not copied.
    Raises ValueError if the number of dimensions does not fit, or the tensors of a sequence differ in shape or type.
    """
    names = tuple(dims)
    if isinstance(data, torch.Tensor):
        backend = DeviceArray([data.detach()], None, made_by)
    else:
        if along not in names:
            raise ValueError(f"one tensor per '{along}' was given, but the dimensions are {names}.")
        backend = DeviceArray([part.detach() for part in data], names.index(along), made_by)
    if backend.ndim != len(names):
        raise ValueError(f"dimensions {names} do not fit data of shape {backend.shape}.")
    return xr.Variable(names, DeviceIndexed(backend), attrs)


def tensor_of(array: xr.DataArray | xr.Variable) -> torch.Tensor:
    """Tensor behind an array, on its device, in the array's order of dimensions.

    Lazy indexing is applied on the device; a selection by slices shares memory with the captured tensor. An array
    that is not lazy (loaded, or computed by xarray) gives a tensor on the CPU.

    Raises ValueError if the selection holds layers that live on different devices.
    """
    indexed = _backend_of(array)
    if indexed is None:
        return torch.from_numpy(np.array(array.values))
    backend, key = indexed
    return backend.select(key)


def split_dimension(array: xr.DataArray | xr.Variable) -> Hashable | None:
    """Dimension along which the array is kept as separate tensors, None if it is one tensor."""
    indexed = _backend_of(array)
    if indexed is None or (axis := indexed[0].axis) is None:
        return None
    key = indexed[1]
    if isinstance(key, indexing.VectorizedIndexer) or _is_integer(key.tuple[axis]):
        return None
    # The key has one entry for each axis of the tensor; an axis that was indexed by a number is no dimension any more.
    return array.dims[sum(not _is_integer(k) for k in key.tuple[:axis])]


def parts_of(array: xr.DataArray | xr.Variable) -> list[torch.Tensor]:
    """Tensors behind an array: one, or one for each element of its split dimension, without that dimension."""
    split = split_dimension(array)
    return [tensor_of(array if split is None else array.isel({split: i})) for i in range(array.sizes.get(split, 1))]


def joined(parts: Sequence[torch.Tensor], axis: int) -> torch.Tensor | list[torch.Tensor]:
    """One tensor for :func:`lazy` where all parts live on one device, else the parts, never stacked across devices."""
    return torch.stack(list(parts), axis) if len({part.device for part in parts}) == 1 else list(parts)


class DeviceArray(BackendArray):
    """Backend array over one tensor, or over a list of tensors along ``axis`` that stay where they are."""

    def __init__(self, parts: list[torch.Tensor], axis: int | None, made_by: str) -> None:
        if not parts:
            raise ValueError("expected at least one tensor, got an empty sequence.")
        kinds = {(tuple(part.shape), part.dtype) for part in parts}
        if len(kinds) > 1:
            raise ValueError(f"tensors of one array must agree in shape and dtype, got {sorted(map(str, kinds))}.")
        self.parts, self.axis, self.made_by = parts, axis, made_by
        shape = tuple(parts[0].shape)
        self.shape = shape if axis is None else (*shape[:axis], len(parts), *shape[axis:])
        self.dtype = np.dtype(dtype_name(host_dtype(parts[0].dtype)))
        alive.add(self)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        """Bring the selected elements to the host, as a copy."""
        global bytes_moved
        pieces = self.pieces(key)
        bytes_moved += sum(piece.numel() * piece.element_size() for piece in pieces)
        copies = [piece.to("cpu", host_dtype(piece.dtype), copy=True) for piece in pieces]
        # `on_host` again, as `join` makes an empty selection of a list of tensors anew, on the device.
        return on_host(self.join(copies, key))

    def __setitem__(self, key: object, value: object) -> None:
        raise TypeError("arrays on the model's device are read-only; .load() brings a writable copy to the host.")

    async def async_getitem(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        """Answer xarray's asynchronous loading; the copy itself is not asynchronous."""
        return self[key]

    def permuted(self, order: Sequence[int]) -> DeviceArray:
        """The same tensors with their axes in another order, as views."""
        if self.axis is None:
            return DeviceArray([part.permute(*order) for part in self.parts], None, self.made_by)
        # The parts lack the split axis, so that axes above it are one lower in them.
        inner = [axis - (axis > self.axis) for axis in order if axis != self.axis]
        return DeviceArray([part.permute(*inner) for part in self.parts], list(order).index(self.axis), self.made_by)

    def select(self, key: indexing.ExplicitIndexer) -> torch.Tensor:
        """Apply an xarray indexer on the device."""
        pieces = self.pieces(key)
        devices = {str(piece.device) for piece in pieces}
        if len(devices) > 1:
            raise ValueError(
                f"these layers live on {len(devices)} devices ({', '.join(sorted(devices))}) and are never stacked "
                "across them: select one layer, or bring them together with .torch.to(device)."
            )
        return self.join(pieces, key)

    def pieces(self, key: indexing.ExplicitIndexer) -> list[torch.Tensor]:
        """Select from every tensor that the key touches."""
        if self.axis is None:
            return [_index(self.parts[0], key)]
        if isinstance(key, indexing.VectorizedIndexer):
            return self._pointwise_pieces(key, self.axis)
        chosen = _positions(key.tuple[self.axis], len(self.parts))
        # Basic and outer keys index each axis by itself, so that the split one can be taken out; a vectorized key
        # cannot.
        inner = indexing.OuterIndexer(key.tuple[: self.axis] + key.tuple[self.axis + 1 :])
        return [_index(self.parts[position], inner) for position in chosen]

    def join(self, pieces: list[torch.Tensor], key: indexing.ExplicitIndexer) -> torch.Tensor:
        """Put pieces on one device back into one tensor."""
        if self.axis is None:
            return pieces[0]
        if isinstance(key, indexing.VectorizedIndexer):
            return self._joined_points(pieces, self._points(key)[self.axis])
        if _is_integer(key.tuple[self.axis]):
            return pieces[0]
        # Axes before it that were indexed by a number are gone from the pieces.
        axis = sum(not _is_integer(k) for k in key.tuple[: self.axis])
        if pieces:
            return torch.stack(pieces, axis)
        empty = _index(self.parts[0], indexing.OuterIndexer(key.tuple[: self.axis] + key.tuple[self.axis + 1 :]))
        return empty.new_empty((*empty.shape[:axis], 0, *empty.shape[axis:]))

    def _points(self, key: indexing.VectorizedIndexer) -> tuple[np.ndarray, ...]:
        """For each axis the position of every selected element, all of the shape of the result."""
        return tuple(np.broadcast_arrays(*_pointwise(key, self.shape)))

    def _pointwise_pieces(self, key: indexing.VectorizedIndexer, axis: int) -> list[torch.Tensor]:
        points = self._points(key)
        part_of_point = points[axis]
        inner = points[:axis] + points[axis + 1 :]
        # In the order of np.unique, by which `_joined_points` puts the pieces back.
        return [
            _index(self.parts[part], indexing.VectorizedIndexer(tuple(p[part_of_point == part] for p in inner)))
            for part in np.unique(part_of_point)
        ]

    def _joined_points(self, pieces: list[torch.Tensor], part_of_point: np.ndarray) -> torch.Tensor:
        if not pieces:
            return self.parts[0].new_empty(part_of_point.shape)
        joined = pieces[0].new_empty(part_of_point.shape)
        for part, piece in zip(np.unique(part_of_point), pieces, strict=True):
            joined[torch.from_numpy(part_of_point == part).to(joined.device)] = piece
        return joined


class DeviceIndexed(indexing.LazilyIndexedArray):
    """Lazily indexed device array that transposes by permuting views, not by index arrays of the whole size."""

    __slots__ = ()

    def transpose(self, order: Iterable[int]) -> DeviceIndexed:
        """Permute the axes that are left; those indexed by a number go last, where they do not matter."""
        # LazilyIndexedArray.transpose would turn the key into a VectorizedIndexer, whose index arrays broadcast to the
        # whole data. Permuting the backend's axes and the key in the same order selects the same elements as views.
        key = self.key.tuple
        kept = [axis for axis, k in enumerate(key) if not _is_integer(k)]
        full = [kept[o] for o in order] + [axis for axis, k in enumerate(key) if _is_integer(k)]
        return type(self)(self.array.permuted(full), type(self.key)(tuple(key[axis] for axis in full)))


def index_tensors(arrays: Sequence[np.ndarray], device: torch.device) -> list[torch.Tensor]:
    """Index arrays on a device, int64, in one copy for all of them."""
    if not arrays:
        return []
    flat = np.concatenate([np.ravel(array) for array in arrays]).astype(np.int64)
    parts = torch.from_numpy(flat).to(device).split([array.size for array in arrays])
    return [part.view(array.shape) for part, array in zip(parts, arrays, strict=True)]


def host_dtype(dtype: torch.dtype) -> torch.dtype:
    """Type in which values of ``dtype`` arrive in NumPy: itself where there is one, else float32."""
    return dtype if dtype in _HOST_DTYPES else torch.float32


def on_host(tensor: torch.Tensor) -> np.ndarray:
    """Values of a tensor in NumPy."""
    values: np.ndarray = tensor.detach().to("cpu", host_dtype(tensor.dtype)).numpy()
    return values


def stacked_on_host(parts: Sequence[torch.Tensor]) -> np.ndarray:
    """Values of tensors of one shape and type in NumPy, [parts, …]: one copy, and one wait, for each device."""
    by_device: dict[torch.device, list[int]] = {}
    for index, part in enumerate(parts):
        by_device.setdefault(part.device, []).append(index)
    order = [index for indices in by_device.values() for index in indices]
    copies = [on_host(torch.stack([parts[index] for index in indices])) for indices in by_device.values()]
    # The copies lie device after device; argsort inverts that order.
    return np.concatenate(copies)[np.argsort(order)]


def dtype_name(dtype: torch.dtype) -> str:
    """Name of a type as NumPy and stores write it, such as ``float32``."""
    return str(dtype).removeprefix("torch.")


def _backend_of(array: xr.DataArray | xr.Variable) -> tuple[DeviceArray, indexing.ExplicitIndexer] | None:
    """The device array behind an array, and what of it is selected; None where the data are on the host."""
    variable = array.variable if isinstance(array, xr.DataArray) else array
    # `.data` would load the values. xarray wraps what it opens or copies; once a `MemoryCachedArray` was read, it holds
    # NumPy and the search ends in None: the tensor is no longer what the array shows.
    data = variable._data
    while isinstance(data, (indexing.MemoryCachedArray, indexing.CopyOnWriteArray)):
        data = data.array
    lazily = (indexing.LazilyIndexedArray, indexing.LazilyVectorizedIndexedArray)
    if isinstance(data, lazily) and isinstance(data.array, DeviceArray):
        return data.array, data.key
    return None


def _index(tensor: torch.Tensor, key: indexing.ExplicitIndexer) -> torch.Tensor:
    """Apply an xarray indexer to a tensor: a view where slices and numbers allow it."""
    if isinstance(key, indexing.VectorizedIndexer):
        points = _pointwise(key, tuple(tensor.shape))
        return tensor[tuple(index_tensors(points, tensor.device))] if points else tensor
    # From the last axis on: `select` drops an axis, which would shift those that are still to come.
    for axis in reversed(range(len(key.tuple))):
        k = key.tuple[axis]
        if _is_integer(k):
            tensor = tensor.select(axis, int(k))
        # PyTorch has no slices of negative step; these copy.
        elif isinstance(k, slice) and (k.step is None or k.step > 0):
            tensor = tensor[(slice(None),) * axis + (k,)]
        else:
            # index_select takes no negative numbers; xarray before 2025.12 leaves them as they are
            positions = np.asarray(_positions(k, tensor.shape[axis]))
            positions = np.where(positions < 0, positions + tensor.shape[axis], positions)
            tensor = tensor.index_select(axis, index_tensors([positions], tensor.device)[0])
    return tensor


def _pointwise(key: indexing.VectorizedIndexer, shape: tuple[int, ...]) -> list[np.ndarray]:
    """Index arrays that broadcast to the result; slices become trailing dimensions, as xarray defines."""
    slices = [axis for axis, k in enumerate(key.tuple) if isinstance(k, slice)]
    arrays = []
    leading = max((k.ndim for k in key.tuple if not isinstance(k, slice)), default=0)
    for axis, k in enumerate(key.tuple):
        if isinstance(k, slice):
            broadcast_shape = [1] * (leading + len(slices))
            positions = np.arange(*k.indices(shape[axis]))
            broadcast_shape[leading + slices.index(axis)] = len(positions)
            arrays.append(positions.reshape(broadcast_shape))
        else:
            arrays.append(k.reshape(k.shape + (1,) * len(slices)))
    return arrays


def _positions(k: Any, size: int) -> list[int]:
    """Selected positions along one axis of this size; negative ones as they are."""
    if _is_integer(k):
        return [int(k)]
    return list(range(*k.indices(size))) if isinstance(k, slice) else [int(n) for n in k]


def _is_integer(k: object) -> bool:
    return isinstance(k, (int, np.integer))


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
