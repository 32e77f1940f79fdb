"""A store whose units are computed with several dtypes or types of device: refused, or allowed and said."""

import json

import pytest
import torch

import mllm_probe as mp
import mllm_probe.sweeps as sweeps
from mllm_probe.activations.unit_store import UnitStore
from mllm_probe.sweeps import store_status
from mllm_probe.sweeps.sweep_store import SweepStore
from tests.sweeps import killed
from tests.sweeps.helpers import random_vectors

SETTINGS = {"layers": [0, 2], "strengths": (0, 1), "draws": 4, "max_new_tokens": 2, "metrics": ("logprob",)}


@pytest.fixture
def begun(tmp_path, pictures, monkeypatch):
    """A store of which a third is filled in float32, how to go on in bfloat16, and the same in float32."""
    from mllm_probe.apps.zoo import tiny_llava

    killed.small_chunks(monkeypatch.setattr)
    single, half = tiny_llava(), tiny_llava()
    half.hf.to(torch.bfloat16)
    vectors, store = random_vectors(single), tmp_path / "grid.zarr"
    rest = SETTINGS | {"store": store, "progress": False}

    def go_on(model, **more):
        return sweeps.sweep(model, vectors, pictures[:2], **rest, **more)

    go_on(single, shard="1/3")
    return store, go_on, single, half


def test_another_dtype_is_refused_by_name_unless_it_is_let_in_and_then_each_unit_says_its_own(begun):
    store, go_on, single, half = begun
    before = UnitStore.open(store).finished()
    with pytest.raises(ValueError, match=r"dtype: stored 'float32', asked for 'bfloat16'.*mixed=True \(--mixed\)"):
        go_on(half)
    with pytest.raises(ValueError, match=r"other settings \(seed: stored 0, asked for 1\)"):
        go_on(half, mixed=True, seed=1)
    assert UnitStore.open(store).finished() == before
    go_on(half, mixed=True, shard="2/3")
    grid = go_on(single)
    dtypes = {name: note["dtype"] for name, note in UnitStore.open(store).markers(UnitStore.open(store).units)}
    assert {dtypes[name] for name in before} == {"float32"} and set(dtypes.values()) == {"float32", "bfloat16"}
    assert grid.attrs["progress"] == 1 and grid.attrs["computed_with"] == ["cpu bfloat16", "cpu float32"]
    assert sweeps.open_grid(store).attrs["computed_with"] == grid.attrs["computed_with"]
    told = store_status(store, check=True)
    assert {(one.device, one.dtype) for one in told.workers} == {("cpu", "float32"), ("cpu", "bfloat16")}
    assert "mixed: its units were computed with cpu bfloat16 and cpu float32" in str(told) and not told.damaged


def test_a_store_of_one_kind_says_nothing_of_others(begun):
    store, go_on, single, _ = begun
    grid = go_on(single, mixed=True)
    assert "computed_with" not in grid.attrs and "computed_with" not in sweeps.open_grid(store).attrs
    assert "mixed" not in str(store_status(store))


def test_another_type_of_device_is_refused_by_name_before_anything_is_run(begun):
    store, _, _, _ = begun
    opened = UnitStore.open(store)

    def worker(mixed):
        return SweepStore(store, opened.settings, (), mixed=mixed)

    worker(False).begin_work("cpu", "float32")
    with pytest.raises(ValueError, match=r"device: stored 'cpu', here 'cuda'\): its cells would differ"):
        worker(False).begin_work("cuda", "float32")
    worker(True).begin_work("cuda", "float32")
    assert worker(False).computed_with() == ["cpu float32"]  # of the units that are there
    (store / "inputs" / "computed_with.json").write_text(json.dumps({"device": "mps", "dtype": "float32"}))
    with pytest.raises(ValueError, match="device: stored 'mps', here 'cpu'"):
        worker(False).begin_work("cpu", "float32")
    (store / "inputs" / "computed_with.json").unlink()
    worker(False).begin_work("cpu", "float32")
    with pytest.raises(ValueError, match="device: stored 'cpu', here 'cuda'"):
        worker(False).begin_work("cuda", "float32")


def test_who_joins_and_patch_compare_it_too(begun, tmp_path, pictures):
    _, _, single, half = begun
    library = mp.concepts.scenes(concepts=["cat"], pairs=2)
    given = {"layers": [1], "store": tmp_path / "patch.zarr", "progress": False, "metrics": ("logprob",)}
    mp.patch(single, library, **given)
    marker = tmp_path / "patch.zarr" / "inputs" / "computed_with.json"
    assert json.loads(marker.read_text()) == {"device": "cpu", "dtype": "float32"}
    with pytest.raises(ValueError, match="dtype: stored 'float32', asked for 'bfloat16'.*give another path") as refused:
        mp.patch(half, library, **given)
    assert "mixed" not in str(refused.value)
