"""A store whose units are computed with several dtypes or types of device: refused, or allowed and said."""

import json

import numpy as np
import pytest
import torch

import mllm_probe as mp
import mllm_probe.sweeps as sweeps
from mllm_probe.activations import unit_store
from mllm_probe.activations.unit_store import UnitStore
from mllm_probe.sweeps import store_status
from mllm_probe.sweeps.stored.sweep_store import SweepStore
from mllm_probe.sweeps.stored.unit_runs import UnitRuns
from tests.sweeps import killed
from tests.sweeps.helpers import random_vectors

SETTINGS = {"layers": [0, 2], "strengths": (0, 1), "draws": 4, "max_new_tokens": 2, "metrics": ("logprob",)}


def of_both_dtypes():
    """One tiny model twice, in float32 and in bfloat16."""
    from tests.zoo import tiny_llava

    single, half = tiny_llava(), tiny_llava()
    half.hf.to(torch.bfloat16)
    return single, half


@pytest.fixture
def begun(tmp_path, pictures, monkeypatch):
    """A store of which a third is filled in float32, how to go on in bfloat16, and the same in float32."""
    killed.small_chunks(monkeypatch.setattr)
    single, half = of_both_dtypes()
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


def test_two_of_different_dtypes_may_begin_one_store_at_once(tmp_path, pictures, monkeypatch):
    killed.small_chunks(monkeypatch.setattr)
    single, half = of_both_dtypes()
    given = (random_vectors(single), pictures[:2])
    rest = SETTINGS | {"store": tmp_path / "grid.zarr", "progress": False}
    first, second = (sweeps.sweep_iter(model, *given, **rest, mixed=True) for model in (single, half))
    refused = sweeps.sweep_iter(half, *given, **rest)
    next(first)
    assert second.finish().attrs["progress"] == 1
    with pytest.raises(ValueError, match=r"another dtype or type of device \(dtype: stored 'float32'"):
        refused.finish()


@pytest.mark.parametrize("moment", ["before it is written", "while it is written"])
def test_two_of_different_dtypes_that_meet_on_a_unit_leave_one_of_them(tmp_path, pictures, monkeypatch, moment):
    killed.small_chunks(monkeypatch.setattr)
    single, half = of_both_dtypes()
    given = (random_vectors(single), pictures[:2])
    rest = SETTINGS | {"store": tmp_path / "grid.zarr", "progress": False, "mixed": True}
    first, second = (sweeps.sweep_iter(model, *given, **rest) for model in (single, half))
    next(first)
    met = []

    def meeting(plain):
        def called(*arguments, **named):
            if moment == "before it is written" and not met and arguments[0]._job.model is half:
                met.append(True)
                first.finish()
            found = plain(*arguments, **named)
            if moment == "while it is written" and not met and found:
                met.append(True)
                first.finish()
            return found

        return called

    if moment == "before it is written":
        monkeypatch.setattr(UnitRuns, "_save", meeting(UnitRuns._save))
    else:  # after it has looked whether somebody finished the unit
        monkeypatch.setattr(unit_store, "missing_keys", meeting(unit_store.missing_keys))
    grid = second.finish()
    assert met
    store = sweeps.open_grid(tmp_path / "grid.zarr").load()
    np.testing.assert_array_equal(grid.logprob.values, store.logprob.values)
    told = store_status(tmp_path / "grid.zarr", check=True)
    assert not told.damaged
    dtypes = {one.dtype for one in told.workers}
    assert dtypes == ({"float32"} if moment == "before it is written" else {"float32", "bfloat16"})
