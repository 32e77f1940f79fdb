import asyncio
import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
import xarray as xr

from mllm_probe.activations import device_array
from mllm_probe.activations.device_array import lazy, split_dimension, tensor_of

DIMS = ("sample", "layer", "hidden")
COORDS = {"sample": list("abcde"), "layer": [0, 4, 8], "depth": ("layer", [0.1, 0.5, 0.9])}
WEIGHTS = xr.DataArray(np.arange(1.0, 6.0), dims=("sample",), coords={"sample": list("abcde")})


def _data(kind: str, device: str) -> tuple[xr.DataArray, xr.DataArray]:
    raw = torch.randn(5, 3, 6, generator=torch.Generator().manual_seed(0))
    there = raw.to(device)
    data = there if kind == "tensor" else list(there.unbind(1))
    ours = xr.DataArray(lazy(DIMS, data), coords=COORDS, name="act")
    return ours, xr.DataArray(raw.numpy().copy(), dims=DIMS, coords=COORDS, name="act")


def _grouped(a: xr.DataArray) -> xr.DataArray:
    return a.groupby(xr.DataArray([0, 0, 1, 1, 1], dims="sample", name="g")).mean()


STAY = {
    "number": lambda a: a.isel(layer=1),
    "slice": lambda a: a.isel(sample=slice(1, 4), hidden=slice(None, None, 2)),
    "backwards": lambda a: a.isel(hidden=slice(None, None, -1)),
    "orthogonal": lambda a: a.isel(sample=[0, 2], hidden=[1, 2, 5]),
    "pointwise layers": lambda a: a.isel(
        sample=xr.DataArray([4, 1, 2], dims="p"), layer=xr.DataArray([2, 0, 2], dims="p")
    ),
    "pointwise grid": lambda a: a.isel(sample=xr.DataArray([[4, 1], [2, 0]], dims=("p", "q"))),
    "mask": lambda a: a.isel(sample=np.array([1, 0, 1, 0, 1], bool)),
    "nothing": lambda a: a.isel(layer=[]),
    "label": lambda a: a.sel(layer=4),
    "transpose": lambda a: a.transpose("hidden", "sample", "layer"),
    "transpose, then index": lambda a: a.transpose("hidden", "layer", "sample").isel(layer=[2, 0], hidden=3),
    "index, transpose, index": lambda a: a.isel(sample=[3, 1], layer=[1, 2]).transpose("layer", ...).sel(layer=4)[0],
    "pointwise, then transpose": lambda a: a.isel(
        sample=xr.DataArray([0, 1, 3], dims="p"), hidden=xr.DataArray([1, 2, 4], dims="p")
    ).transpose("layer", "p"),
    "sortby": lambda a: a.sortby("sample", ascending=False),
    "align inner": lambda a: xr.align(a, a.sel(layer=[4, 8]), join="inner")[0],
    "copy": lambda a: a.copy(deep=True),
    "rename": lambda a: a.rename(hidden="unit"),
    "pickle": lambda a: pickle.loads(pickle.dumps(a)),
    "expand": lambda a: a[:, 1:2],
}
LOAD = {
    "add": lambda a: a + 1,
    "difference": lambda a: a - a.isel(sample=0),
    "times array": lambda a: a * WEIGHTS,
    "array times": lambda a: WEIGHTS * a,
    "ufunc": lambda a: np.exp(a),
    "mean": lambda a: a.mean("sample"),
    "argmax": lambda a: a.argmax("hidden"),
    "quantile": lambda a: a.quantile(0.5, "hidden"),
    "stack": lambda a: a.stack(z=("sample", "layer")),
    "concat": lambda a: xr.concat([a, a], "sample"),
    "merge": lambda a: xr.merge([a, a.rename("b")], compat="no_conflicts", join="outer")["b"],
    "align outer": lambda a: xr.align(a, a.isel(sample=[0, 1]), join="outer")[1],
    "reindex": lambda a: a.reindex(layer=[0, 1, 4]),
    "xr.where": lambda a: xr.where(a > 0, a, 0),
    "fillna": lambda a: a.where(a > 0).fillna(0),
    "astype": lambda a: a.astype("float64"),
    "dot": lambda a: xr.dot(a, a, dim="hidden"),
    "groupby": _grouped,
    "diff": lambda a: a.diff("hidden"),
    "corr": lambda a: xr.corr(a, a * 2 + WEIGHTS, "sample"),
    "interp": lambda a: a.interp(layer=2),
    "loaded, then indexed": lambda a: a.load().isel(layer=[2, 0]),
    "to_numpy": lambda a: xr.DataArray(a.to_numpy(), dims=a.dims),
}


@pytest.mark.parametrize("kind", ["tensor", "list"])
@pytest.mark.parametrize("name", [*STAY, *LOAD])
def test_every_xarray_operation_gives_what_it_gives_on_numpy(name, kind, device):
    operation = STAY.get(name) or LOAD[name]
    ours, plain = _data(kind, device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = device_array.bytes_moved
        result, expected = operation(ours), operation(plain)
        moved = device_array.bytes_moved - before
    if name in STAY:
        assert moved == 0
        np.testing.assert_array_equal(tensor_of(result).cpu().numpy(), expected.values)
        assert device_array.bytes_moved == before
    xr.testing.assert_allclose(result, expected, rtol=1e-5)
    assert result.dims == expected.dims


def test_only_the_selected_bytes_move_and_a_repr_moves_none(device):
    tensor = torch.randn(100, 16, 64).to(device, torch.bfloat16)
    dataset = xr.Dataset({"act": lazy(("sample", "layer", "hidden"), tensor)}, coords={"layer": np.arange(16)})
    before = device_array.bytes_moved
    part = dataset.act.sel(layer=3).isel(sample=slice(0, 10))
    assert "act" in repr(dataset) and dataset._repr_html_() and repr(part) and dataset.nbytes > 0
    assert device_array.bytes_moved == before
    values = part.values
    assert device_array.bytes_moved - before == 10 * 64 * 2
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, tensor[:10, 3].float().cpu().numpy())


def test_slices_share_memory_with_the_tensor_and_values_never_do(device):
    tensor = torch.zeros(4, 3, 2, device=device)
    array = xr.DataArray(lazy(DIMS, tensor), coords={"layer": [0, 4, 8]})
    view = tensor_of(array.sel(layer=4).transpose("hidden", "sample"))
    assert view.untyped_storage().data_ptr() == tensor.untyped_storage().data_ptr()
    values = array.values
    values += 1
    array += 1
    assert tensor.abs().sum() == 0 and float(array.sum()) == tensor.numel()


def test_tensor_of_keeps_type_and_device(device):
    tensor = torch.randn(2, 3, 4).to(device, torch.float16)
    assert tensor_of(lazy(DIMS, tensor)).dtype == torch.float16
    assert tensor_of(lazy(DIMS, tensor)).device == tensor.device
    meta = xr.DataArray(lazy(DIMS, torch.empty(2, 3, 4, device="meta")))
    assert tensor_of(meta.isel(sample=0).transpose()).device.type == "meta"
    assert tensor_of(xr.DataArray(np.ones((2, 3)), dims=("a", "b"))).shape == (2, 3)


def test_layers_on_different_devices_are_never_stacked(device):
    parts = [torch.zeros(5, 6, device=device), torch.empty(5, 6, device="meta")]
    array = xr.DataArray(lazy(DIMS, parts), coords={"layer": [0, 1]})
    assert split_dimension(array) == "layer" and split_dimension(array.sel(layer=1)) is None
    assert tensor_of(array.sel(layer=1)).device.type == "meta"
    assert tensor_of(array.sel(layer=[0])).device.type == device
    both = ", ".join(sorted(str(part.device) for part in parts))
    with pytest.raises(ValueError, match=rf"live on 2 devices \({both}\).*\.torch\.to\(device\)"):
        tensor_of(array)


def test_a_list_keeps_its_dimension_through_indexing_and_transposing(device):
    array = _data("list", device)[0]
    assert split_dimension(array.isel(sample=0).transpose("hidden", "layer")) == "layer"
    steered = lazy(("layer", "read_layer", "hidden"), [torch.zeros(2, 4)] * 3, along="read_layer")
    assert steered.shape == (2, 3, 4) and split_dimension(steered) == "read_layer"


def test_device_arrays_are_read_only_until_loaded(device):
    array = _data("tensor", device)[0]
    with pytest.raises(TypeError, match=r"read-only; \.load\(\)"):
        array[0, 0, 0] = 1
    array.load()[0, 0, 0] = 5
    assert float(array[0, 0, 0]) == 5


@pytest.mark.skipif(not hasattr(xr.DataArray, "load_async"), reason="this xarray does not load asynchronously")
def test_asynchronous_loading_and_shallow_copies(device):
    ours, plain = _data("tensor", device)
    xr.testing.assert_allclose(asyncio.run(copy.copy(ours).load_async()), plain)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="do not fit data of shape"):
        lazy(("layer",), torch.zeros(2, 3))
    with pytest.raises(ValueError, match="one tensor per 'layer' was given, but the dimensions are"):
        lazy(("sample", "hidden"), [torch.zeros(3)])
    with pytest.raises(ValueError, match="must agree in shape and dtype"):
        lazy(("layer", "hidden"), [torch.zeros(3), torch.zeros(4)])
    with pytest.raises(ValueError, match="at least one tensor"):
        lazy(("layer", "hidden"), [])
