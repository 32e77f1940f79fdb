import numpy as np
import pytest
import torch
import xarray as xr

import mllm_probe.activations.device_array  # noqa: F401  (registers `.torch`)
from mllm_probe.activations import device_array
from mllm_probe.activations.device_array import lazy, split_dimension

DIMS = ("sample", "layer", "token", "hidden")
COORDS = {"sample": ["a", "b"], "layer": [0, 2, 5], "depth": ("layer", [0.1, 0.4, 1.0]), "token": [-2, -1]}


def _data(kind: str, device: str, dtype: torch.dtype = torch.float32) -> tuple[xr.DataArray, xr.DataArray]:
    raw = torch.randn(2, 3, 2, 7, generator=torch.Generator().manual_seed(0)).to(dtype)
    raw[1, :, 0] = torch.nan
    there = raw.to(device)
    data = there if kind == "tensor" else list(there.unbind(1))
    return xr.DataArray(lazy(DIMS, data), coords=COORDS, name="act"), xr.DataArray(
        raw.float().numpy(), dims=DIMS, coords=COORDS, name="act"
    )


def _vectors(kind: str, layers: list[int], device: str) -> tuple[xr.DataArray, xr.DataArray]:
    raw = torch.randn(3, len(layers), 7, generator=torch.Generator().manual_seed(1))
    dims, coords = (
        ("concept", "layer", "hidden"),
        {"concept": list("xyz"), "layer": layers, "category": ("concept", list("eef"))},
    )
    there = raw.to(device)
    data = there if kind == "tensor" else list(there.unbind(1))
    return xr.DataArray(lazy(dims, data), coords=coords), xr.DataArray(raw.numpy(), dims=dims, coords=coords)


@pytest.mark.parametrize("kind", ["tensor", "list"])
@pytest.mark.parametrize(
    ("ours", "reference"),
    [
        (lambda a: a.torch.mean("token"), lambda a: a.mean("token")),
        (lambda a: a.torch.mean(["sample", "token"]), lambda a: a.mean(["sample", "token"])),
        (lambda a: a.torch.mean("token", skipna=False), lambda a: a.mean("token", skipna=False)),
        (lambda a: a.torch.mean("layer"), lambda a: a.mean("layer")),
        (lambda a: a.torch.sum(("sample", "token")), lambda a: a.sum(("sample", "token"))),
        (lambda a: a.torch.norm("hidden"), lambda a: np.sqrt((a**2).sum("hidden", skipna=False))),
        (lambda a: a.sel(layer=2).torch.norm(), lambda a: np.sqrt((a.sel(layer=2) ** 2).sum("hidden", skipna=False))),
        (lambda a: a.transpose("hidden", ...).torch.norm(), lambda a: np.sqrt((a**2).sum("hidden", skipna=False))),
    ],
)
def test_reductions_by_name_agree_with_xarray_and_move_nothing(ours, reference, kind, device):
    array, plain = _data(kind, device)
    before = device_array.bytes_moved
    result = ours(array)
    assert device_array.bytes_moved == before
    assert isinstance(result.variable._data, device_array.DeviceIndexed)
    xr.testing.assert_allclose(result, reference(plain).astype("float32"), rtol=1e-5)
    assert set(result.coords) == set(reference(plain).coords)


@pytest.mark.parametrize("kind", ["tensor", "list"])
@pytest.mark.parametrize("other", ["tensor", "list"])
def test_projection_matches_layers_by_label(kind, other, device):
    array, plain = _data(kind, device)
    vectors, plain_vectors = _vectors(other, [5, 1, 2], device)
    before = device_array.bytes_moved
    result = array.torch.project(vectors)
    assert device_array.bytes_moved == before
    unit = plain_vectors / np.sqrt((plain_vectors**2).sum("hidden"))
    expected = (plain * unit).sum("hidden", skipna=False)
    assert result.layer.values.tolist() == [2, 5] and set(result.coords) == set(expected.coords)
    xr.testing.assert_allclose(result, expected.transpose(*result.dims), rtol=1e-5)
    assert (split_dimension(result) is None) == (kind == other == "tensor")


def test_dot_cosine_and_plain_arrays(device):
    array, plain = _data("tensor", device)
    direction = torch.randn(7)
    expected = (plain * direction.numpy()).sum("hidden", skipna=False)
    xr.testing.assert_allclose(array.torch.dot(direction.to(device)), expected, rtol=1e-5)
    per_layer = torch.randn(3, 7)
    named = xr.DataArray(per_layer.numpy(), dims=("layer", "hidden"), coords={"layer": [0, 2, 5]})
    xr.testing.assert_allclose(
        array.torch.dot(per_layer.numpy()), (plain * named).sum("hidden", skipna=False), rtol=1e-5
    )
    xr.testing.assert_allclose(
        array.torch.dot(array, ["token", "hidden"]), (plain**2).sum(["token", "hidden"], skipna=False)
    )
    cosine = array.torch.cosine(array)
    np.testing.assert_allclose(cosine.values[0], 1, rtol=1e-5)


def test_bfloat16_is_computed_in_float32(device):
    array, plain = _data("tensor", device, torch.bfloat16)
    assert array.torch.tensor.dtype == torch.bfloat16
    assert array.torch.mean("sample").torch.tensor.dtype == torch.float32
    xr.testing.assert_allclose(array.torch.mean("sample"), plain.mean("sample"), rtol=1e-6)
    vectors = _vectors("tensor", [0, 2, 5], device)[0]
    assert array.torch.project(vectors).dtype == np.float32


def test_layers_on_several_devices_come_together_only_when_asked(device):
    parts = [torch.zeros(5, 6, device=device), torch.empty(5, 6, device="meta")]
    array = xr.DataArray(lazy(("sample", "layer", "hidden"), parts), coords={"layer": [0, 1]})
    assert {d.type for d in array.torch.devices} == {device, "meta"}
    norms = array.torch.norm("hidden")
    assert {d.type for d in norms.torch.devices} == {device, "meta"} and norms.dims == ("sample", "layer")
    with pytest.raises(ValueError, match="live on 2 devices"):
        array.torch.mean("layer")
    assert array.torch.to("meta").torch.tensor.shape == (5, 2, 6)


def test_errors_say_what_does_not_fit(device):
    array = _data("tensor", device)[0]
    with pytest.raises(ValueError, match="no dimension 'step': the array has"):
        array.torch.mean("step")
    with pytest.raises(ValueError, match=r"expected an array \[hidden\] or \[layer, hidden\].*got shape \(4,\)"):
        array.torch.dot(torch.zeros(4, device=device))
    with pytest.raises(ValueError, match="no label of dimension 'layer' in common"):
        array.torch.project(_vectors("tensor", [7, 8], device)[0])
    with pytest.raises(ValueError, match="cannot sum over 'concept'"):
        array.torch.dot(_vectors("tensor", [0, 2], device)[0], "concept")
