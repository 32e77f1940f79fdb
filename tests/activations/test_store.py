import warnings

import numpy as np
import pytest
import torch
import xarray as xr

from mllm_probe import schema
from mllm_probe.activations import device_array
from mllm_probe.activations.device_array import lazy, split_dimension
from mllm_probe.activations.store import open_zarr, save_zarr


def _dataset(dtype: torch.dtype = torch.float32, split: bool = False) -> xr.Dataset:
    tensor = torch.randn(6, 3, 5, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    tensor[1, :, 4] = torch.nan
    dims = ("sample", "layer", "token", "hidden")
    coords = {
        "sample": [f"picture {n}" for n in range(6)],
        **schema.layer_coordinates([0, 2, 5], 6),
        "token": [-5, -4, -3, -2, -1],
        "token_text": ("token", ["a", "blå", "<image>", "", "?"]),
        "role": (("sample", "token"), np.full((6, 5), "text")),
    }
    attrs = {"model": "tiny", "weights": "abc", "prompt": ["one", "two"]}
    data = list(tensor.unbind(1)) if split else tensor
    return xr.Dataset({"activation": lazy(dims, data), "norm": ("layer", [1.0, 2.0, 3.0])}, coords=coords, attrs=attrs)


@pytest.mark.parametrize("piece_bytes", [10**9, 1100])
@pytest.mark.parametrize("split", [False, True])
def test_a_store_gives_back_the_same_dataset(tmp_path, piece_bytes, split):
    dataset = _dataset(split=split)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = save_zarr(dataset, tmp_path / "acts.zarr", piece_bytes=piece_bytes)
        opened = open_zarr(path)
    xr.testing.assert_equal(opened.load(), dataset)
    assert opened.attrs == dataset.attrs
    assert opened.activation.attrs["dtype"] == "float32"
    assert [p.name for p in tmp_path.iterdir()] == ["acts.zarr"]


def test_pieces_bound_what_is_on_the_host(tmp_path, monkeypatch):
    sizes = []
    original = device_array.DeviceArray.__getitem__
    monkeypatch.setattr(
        device_array.DeviceArray, "__getitem__", lambda s, key: sizes.append((v := original(s, key)).nbytes) or v
    )
    dataset = _dataset()
    save_zarr(dataset, tmp_path / "acts.zarr", piece_bytes=1100)
    assert max(sizes) <= 1100 and sum(sizes) >= dataset.activation.nbytes


def test_bfloat16_returns_to_the_device_in_its_own_type(tmp_path):
    dataset = _dataset(torch.bfloat16)
    opened = open_zarr(save_zarr(dataset, tmp_path / "acts.zarr"), device="cpu")
    before = device_array.bytes_moved
    assert opened.activation.torch.tensor.dtype == torch.bfloat16 and opened.norm.values[1] == 2
    assert torch.equal(opened.activation.torch.tensor.nan_to_num(), dataset.activation.torch.tensor.nan_to_num())
    assert split_dimension(opened.activation) is None and device_array.bytes_moved == before


def test_a_store_is_replaced_but_nothing_else_is(tmp_path):
    path = save_zarr(_dataset(), tmp_path / "acts.zarr")
    save_zarr(_dataset().isel(sample=slice(2)), path)
    assert open_zarr(path).sizes["sample"] == 2
    (tmp_path / "thesis").mkdir()
    with pytest.raises(ValueError, match="thesis exists and is not a Zarr store"):
        save_zarr(_dataset(), tmp_path / "thesis")


def test_a_store_of_another_model_is_refused(tmp_path, tiny):
    path = save_zarr(_dataset(), tmp_path / "acts.zarr")
    with pytest.raises(ValueError, match=rf"made with tiny \(weights abc\) but are used with {tiny.name}"):
        open_zarr(path, model=tiny)
    with pytest.raises(FileNotFoundError, match="no Zarr store at"):
        open_zarr(tmp_path / "nothing.zarr")
    with pytest.raises(ValueError, match="does not say which model"):
        save_zarr(_dataset().drop_attrs(), tmp_path / "x.zarr")
