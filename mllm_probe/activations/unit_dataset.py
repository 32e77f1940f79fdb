"""A store that fills unit by unit as a dataset whose values stay on the disk until they are used."""

from __future__ import annotations

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from mllm_probe.activations import zarr_groups
from mllm_probe.activations.unit_layout import BOOKKEEPING
from mllm_probe.activations.unit_store import Selection, UnitStore


class StoredVariable(BackendArray):
    """Backend array over one variable of a store: only the chunks of what is selected are read, and checked."""

    def __init__(self, store: UnitStore, name: str) -> None:
        array = store.array(name)
        self.store, self.name, self.shape = store, name, array.shape
        self.dtype = np.dtype(array.dtype)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        """Read the selected elements."""
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    async def async_getitem(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        """Answer xarray's asynchronous loading; the reading itself is not asynchronous."""
        return self[key]

    def _read(self, selection: Selection) -> np.ndarray:
        return self.store.read(self.name, selection)


def dataset_of(store: UnitStore) -> xr.Dataset:
    """The dataset of a store: coordinates in memory, what units fill on the disk and never kept once it was read."""
    dimensions = {name: store.dimensions(name) for name in store.variables}
    whole = zarr_groups.open_group(store.path)
    fixed = zarr_groups.with_plain_texts(whole.drop_vars(list(store.variables)).load())
    # A group lists its arrays in the order of the file system, which is no order.
    coords = {name: fixed.coords[name].variable for name in sorted(map(str, fixed.coords))}
    known = {name: fixed[name].variable for name in sorted(map(str, fixed.data_vars))}
    dataset = xr.Dataset(known, coords, fixed.attrs)
    dataset.attrs.pop(BOOKKEEPING, None)
    for name in store.variables:
        lazily = indexing.LazilyIndexedArray(StoredVariable(store, name))
        dataset[name] = xr.Variable(dimensions[name], lazily, whole[name].attrs)
    return dataset
