import warnings

import numpy as np
import pytest
import torch
import xarray as xr

from mllm_probe import schema
from mllm_probe.activations import device_array
from mllm_probe.activations.device_array import lazy, split_dimension
from mllm_probe.activations.zarr_store import open_zarr, save_zarr
from mllm_probe.sweeps import sweep
from tests.sweeps.helpers import random_vectors


def _dataset(device: str, dtype: torch.dtype = torch.float32, split: bool = False) -> xr.Dataset:
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
    there = tensor.to(device)
    data = list(there.unbind(1)) if split else there
    return xr.Dataset({"activation": lazy(dims, data), "norm": ("layer", [1.0, 2.0, 3.0])}, coords=coords, attrs=attrs)


@pytest.mark.parametrize("piece_bytes", [10**9, 1100])
@pytest.mark.parametrize("split", [False, True])
def test_a_store_gives_back_the_same_dataset(tmp_path, piece_bytes, split, device):
    dataset = _dataset(device, split=split)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = save_zarr(dataset, tmp_path / "acts.zarr", piece_bytes=piece_bytes)
        opened = open_zarr(path)
    xr.testing.assert_equal(opened.load(), dataset)
    assert opened.attrs == dataset.attrs
    assert opened.activation.attrs["dtype"] == "float32"
    assert [p.name for p in tmp_path.iterdir()] == ["acts.zarr"]


def test_pieces_bound_what_is_on_the_host(tmp_path, monkeypatch, device):
    sizes = []
    original = device_array.DeviceArray.__getitem__
    monkeypatch.setattr(
        device_array.DeviceArray, "__getitem__", lambda s, key: sizes.append((v := original(s, key)).nbytes) or v
    )
    dataset = _dataset(device)
    save_zarr(dataset, tmp_path / "acts.zarr", piece_bytes=1100)
    assert max(sizes) <= 1100 and sum(sizes) >= dataset.activation.nbytes


def test_bfloat16_returns_to_the_device_in_its_own_type(tmp_path, device):
    dataset = _dataset(device, torch.bfloat16)
    opened = open_zarr(save_zarr(dataset, tmp_path / "acts.zarr"), device=device)
    before = device_array.bytes_moved
    assert opened.activation.torch.tensor.dtype == torch.bfloat16 and opened.norm.values[1] == 2
    assert torch.equal(opened.activation.torch.tensor.nan_to_num(), dataset.activation.torch.tensor.nan_to_num())
    assert split_dimension(opened.activation) is None and device_array.bytes_moved == before


def test_a_store_is_replaced_only_where_that_is_asked_for(tmp_path, device):
    path = save_zarr(_dataset(device), tmp_path / "acts.zarr")
    with pytest.raises(ValueError, match=r"acts.zarr exists: give a new path, or overwrite=True to replace it"):
        save_zarr(_dataset(device).isel(sample=slice(2)), path)
    assert open_zarr(path).sizes["sample"] == 6
    save_zarr(_dataset(device).isel(sample=slice(2)), path, overwrite=True)
    assert open_zarr(path).sizes["sample"] == 2
    assert [p.name for p in tmp_path.iterdir()] == ["acts.zarr"]


def _content(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_but_a_store_of_activations_is_replaced(tmp_path, tiny, pictures, overwrite, device):
    settings = {"layers": [0], "strengths": (0, 1), "draws": 4, "max_new_tokens": 2, "progress": False}
    sweep(tiny, random_vectors(tiny), pictures[:1], store=tmp_path / "sweep.zarr", **settings)
    for number in (2, 3):
        xr.Dataset({"mine": ("x", [1])}).to_zarr(tmp_path / f"theirs{number}.zarr", zarr_format=number)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "text").write_text("mine")
    (tmp_path / "acts.zarr.partial").mkdir()
    (tmp_path / "acts.zarr.partial" / "text").write_text("mine")
    (tmp_path / "file").write_text("mine")
    before = _content(tmp_path)
    for name in ("sweep.zarr", "theirs2.zarr", "theirs3.zarr", "thesis", "file"):
        with pytest.raises(ValueError, match=rf"{name} exists and is not a store of activations .* give a new path"):
            save_zarr(_dataset(device), tmp_path / name, overwrite=overwrite)
    save_zarr(_dataset(device), tmp_path / "acts.zarr", overwrite=overwrite)
    after = _content(tmp_path)
    assert {name: after[name] for name in after if not name.startswith("acts.zarr/")} == before


def test_a_store_that_cannot_be_written_leaves_the_older_one(tmp_path, monkeypatch, device):
    path = save_zarr(_dataset(device), tmp_path / "acts.zarr")
    before = _content(path)

    def full(*arguments, **options):
        raise OSError("no space left on device")

    monkeypatch.setattr(xr.Dataset, "to_zarr", full)
    with pytest.raises(OSError, match="no space left"):
        save_zarr(_dataset(device).isel(sample=slice(2)), path, overwrite=True)
    assert _content(path) == before and [p.name for p in tmp_path.iterdir()] == ["acts.zarr"]


def test_a_store_of_another_model_is_refused(tmp_path, tiny, device):
    path = save_zarr(_dataset(device), tmp_path / "acts.zarr")
    with pytest.raises(ValueError, match=rf"made with tiny \(weights abc\) but are used with {tiny.name}"):
        open_zarr(path, model=tiny)
    with pytest.raises(FileNotFoundError, match="there is no Zarr store at"):
        open_zarr(tmp_path / "nothing.zarr")
    with pytest.raises(ValueError, match="does not say which model"):
        save_zarr(_dataset(device).drop_attrs(), tmp_path / "x.zarr")


def test_a_type_that_pytorch_does_not_have_is_refused(tmp_path, device):
    path = save_zarr(_dataset(device), tmp_path / "acts.zarr")
    for file in (path / ".zmetadata", path / "activation" / ".zattrs"):
        file.write_text(file.read_text().replace('"float32"', '"load"'))
    with pytest.raises(ValueError, match="'activation' is stored with dtype='load', which is no type of PyTorch"):
        open_zarr(path, device="cpu")
