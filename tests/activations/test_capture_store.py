"""Captures larger than memory: streamed block by block into a store, gone on with, and read lazily."""

import copy
import random
import warnings

import numpy as np
import pytest
import torch
import xarray as xr

import mllm_probe as mp
from mllm_probe.activations import capturing, open_zarr
from mllm_probe.activations.captured_rows import CapturedRows
from mllm_probe.activations.capturing import KIND
from mllm_probe.activations.unit_store import UnitStore
from mllm_probe.models import ProbeModel
from tests.sweeps.helpers import random_vectors

RAGGED = ["What do you see?", "What?", "Is the cat left of the dog?"] * 2


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Two images in a block, so that six are three units."""
    monkeypatch.setattr(capturing, "_MOST_IMAGES", 2)


@pytest.fixture
def forwards(monkeypatch):
    """Sample ids of every batch that the model runs."""
    runs = []
    original = capturing.run_forward

    def counted(model, encoded, *arguments, **options):
        runs.append(list(encoded.sample_ids))
        return original(model, encoded, *arguments, **options)

    monkeypatch.setattr(capturing, "run_forward", counted)
    return runs


def steering(model):
    return mp.Steering(random_vectors(model).isel(concept=0), layers=[1], strength=1.0)


def chunks_of(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted((folder / "activation").iterdir())
        if file.is_file()
    }


@pytest.mark.parametrize(
    "options",
    [
        {"tokens": "all"},
        {"tokens": "last_prompt", "layers": [0, -1]},
        {"tokens": "all", "prompt": RAGGED},
        {"tokens": [0, -2], "layers": ["input", 2]},
        {"tokens": ("last_prompt", "generated"), "continuation": [" a cat", " a"] * 3},
        {"tokens": "generated", "continuation": [[np.int64(5), np.int64(6)]] * 6},
    ],
)
def test_a_stored_capture_is_the_one_in_memory(tiny, pictures, tmp_path, options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stored = mp.capture(tiny, pictures, batch_size=2, store=tmp_path / "acts.zarr", **options)
        plain = xr.open_zarr(tmp_path / "acts.zarr")
        opened = open_zarr(tmp_path / "acts.zarr", model=tiny)
    there = mp.capture(tiny, pictures, batch_size=2, **options)
    assert not stored.activation.variable._in_memory
    xr.testing.assert_identical(stored.load().activation.variable, there.load().activation.variable)
    xr.testing.assert_equal(stored, there)
    assert stored.attrs == there.attrs == opened.attrs and stored.coords.dtypes == there.coords.dtypes
    xr.testing.assert_equal(opened.load(), there)
    np.testing.assert_array_equal(plain.activation.values, there.activation.values)


def test_steering_and_processed_tensors_are_stored_as_they_are_captured(tiny, pictures, tmp_path):
    edits = steering(tiny)
    stored = mp.capture(tiny, pictures[:3], batch_size=2, steering=edits, store=tmp_path / "a.zarr")
    xr.testing.assert_equal(stored.load(), mp.capture(tiny, pictures[:3], batch_size=2, steering=edits).load())
    inputs = tiny.encode(pictures[:3]).tensors
    stored = mp.capture(tiny, None, inputs=inputs, batch_size=2, store=tmp_path / "b.zarr")
    xr.testing.assert_equal(stored.load(), mp.capture(tiny, None, inputs=inputs, batch_size=2).load())


def test_bfloat16_comes_back_in_its_own_type(tiny, pictures, tmp_path):
    model = ProbeModel(copy.deepcopy(tiny.hf).to(torch.bfloat16), tiny.processor, name="tiny in bfloat16")
    stored = mp.capture(model, pictures[:3], batch_size=1, store=tmp_path / "acts.zarr")
    there = mp.capture(model, pictures[:3], batch_size=1)
    assert stored.activation.dtype == np.float32 and stored.activation.attrs["dtype"] == "bfloat16"
    brought = open_zarr(tmp_path / "acts.zarr", device=model.device).activation.torch.tensor
    assert brought.dtype == torch.bfloat16 and torch.equal(brought, there.activation.torch.tensor)


def test_no_more_than_a_block_is_held(tiny, pictures, tmp_path, monkeypatch):
    sizes = []
    original = CapturedRows.__init__

    def counted(self, model, samples, *arguments, **options):
        sizes.append(samples)
        original(self, model, samples, *arguments, **options)

    monkeypatch.setattr(CapturedRows, "__init__", counted)
    mp.capture(tiny, [*pictures, *pictures[:1]], tokens="all", store=tmp_path / "acts.zarr")
    assert sorted(sizes) == [1, 2, 2, 2]
    assert UnitStore.open(tmp_path / "acts.zarr").array("activation").chunks[:2] == (2, 1)


def test_a_selection_reads_only_the_chunks_that_it_touches(tiny, pictures, tmp_path, monkeypatch):
    stored = mp.capture(tiny, pictures, tokens="all", store=tmp_path / "acts.zarr")
    touched = []
    original = UnitStore.read
    monkeypatch.setattr(
        UnitStore, "read", lambda s, name, key=None: touched.append(s._touched(name, key)) or original(s, name, key)
    )
    chosen = stored.activation.isel(sample=[5, 4]).sel(layer=2)
    assert not touched
    assert chosen.shape == (2, stored.sizes["token"], stored.sizes["hidden"]) and not chosen.variable._in_memory
    values = chosen.values
    assert touched == [["activation/c.2.2.0.0"]]
    monkeypatch.undo()
    np.testing.assert_array_equal(values, mp.capture(tiny, pictures, tokens="all").activation.values[[5, 4], 2])
    flipped = stored.activation.isel(sample=slice(None, None, -2), hidden=np.array([3, 0])).transpose("hidden", ...)
    np.testing.assert_array_equal(flipped.values, np.moveaxis(stored.activation.values[::-2][..., [3, 0]], -1, 0))


class Stopped(Exception):
    """The process ends here."""


def test_a_stopped_capture_goes_on_and_runs_no_block_twice(tiny, pictures, tmp_path, monkeypatch, forwards):
    path, original = tmp_path / "acts.zarr", UnitStore.write
    written = []

    def stopping(self, unit, *arguments, **options):
        if len(written) == 2:
            raise Stopped
        written.append(unit)
        return original(self, unit, *arguments, **options)

    with monkeypatch.context() as killed, pytest.raises(Stopped):
        killed.setattr(UnitStore, "write", stopping)
        mp.capture(tiny, pictures, store=path)
    with pytest.warns(UserWarning, match=r"1 of 3 parts of .* are not finished and hold no values"):
        half = open_zarr(path)
    lost = np.isnan(half.activation.values).all((1, 2, 3))
    assert lost.sum() == 2
    forwards.clear()
    monkeypatch.setattr(capturing, "_MOST_IMAGES", 5)  # a later release plans otherwise: the store's plan stays
    state = random.getstate()
    done = mp.capture(tiny, pictures, store=path)
    assert random.getstate() == state, "the caller's random numbers are left alone"
    ids = done.sample.values
    assert sum(forwards, []) == ids[lost].tolist()
    forwards.clear()
    again = mp.capture(tiny, pictures, store=path)
    assert not forwards
    np.testing.assert_allclose(again.activation.values, mp.capture(tiny, pictures).activation.values, atol=2e-5)


def test_the_same_block_has_the_same_bytes_whoever_computes_it(tiny, pictures, tmp_path):
    paths = [tmp_path / f"{number}.zarr" for number in range(2)]
    for path in paths:
        mp.capture(tiny, pictures[:5], RAGGED[:5], tokens="all", store=path)
    assert chunks_of(paths[0]) == chunks_of(paths[1]) and len(chunks_of(paths[0])) == 3 * len(tiny.layers) + 1


def test_a_process_that_was_first_with_other_blocks_is_followed(tiny, pictures, tmp_path, monkeypatch):
    path, original = tmp_path / "acts.zarr", UnitStore.create.__func__

    def second(cls, *arguments, **options):
        monkeypatch.setattr(UnitStore, "create", classmethod(original))
        with monkeypatch.context() as other:
            other.setattr(capturing, "_MOST_IMAGES", 3)
            mp.capture(tiny, pictures, store=path)
        return original(cls, *arguments, **options)

    monkeypatch.setattr(UnitStore, "create", classmethod(second))
    stored = mp.capture(tiny, pictures, store=path)
    assert UnitStore.open(path).plan["images_per_block"] == 3 and UnitStore.open(path).check() == {}
    np.testing.assert_allclose(stored.activation.values, mp.capture(tiny, pictures).activation.values, atol=2e-5)


OTHERS = {
    "images": lambda model, pictures: {"images": pictures[1:3]},
    "prompt": lambda model, pictures: {"prompt": "What?"},
    "layers": lambda model, pictures: {"layers": [1]},
    "tokens": lambda model, pictures: {"tokens": "image"},
    "steering": lambda model, pictures: {"steering": steering(model)},
    "continuation": lambda model, pictures: {"continuation": " a cat"},
    "batch_size": lambda model, pictures: {"batch_size": 1},
    "weights": lambda model, pictures: {"model": mp.randomised(model)},
    "dtype": lambda model, pictures: {
        "model": ProbeModel(copy.deepcopy(model.hf).half(), model.processor, name="half")
    },
}


@pytest.mark.parametrize("field", OTHERS)
def test_other_settings_are_refused_by_name(tiny, pictures, tmp_path, field, forwards):
    given = {"model": tiny, "images": pictures[:2], "store": tmp_path / "acts.zarr"}
    mp.capture(**given)
    before = chunks_of(tmp_path / "acts.zarr")
    forwards.clear()
    with pytest.raises(ValueError, match=rf"holds a capture with other settings \(.*{field}: stored .*, asked for "):
        mp.capture(**given | OTHERS[field](tiny, pictures))
    assert not forwards and chunks_of(tmp_path / "acts.zarr") == before


def test_steerings_are_told_apart_by_their_vectors_too(tiny, pictures, tmp_path):
    vectors = random_vectors(tiny).isel(concept=0)
    first = mp.Steering(vectors, layers=[1])
    mp.capture(tiny, pictures[:1], steering=first, store=tmp_path / "acts.zarr")
    other = mp.Steering(vectors.assign(vector=vectors.vector * 2), layers=[1])
    assert str(other) == str(first)
    with pytest.raises(ValueError, match="steering: stored"):
        mp.capture(tiny, pictures[:1], steering=other, store=tmp_path / "acts.zarr")
    both = mp.compose(first, other)
    assert both.identity != mp.compose(other, first).identity


def test_what_a_store_cannot_take_is_refused(tiny, pictures, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="device= keeps activations in memory and store= on the disk"):
        mp.capture(tiny, pictures[:1], device="cpu", store=tmp_path / "acts.zarr")
    monkeypatch.setattr(capturing, "require_single_edit", lambda edit: None)
    with pytest.raises(ValueError, match="steering of type object has no attribute 'identity'"):
        mp.capture(tiny, pictures[:1], steering=object(), store=tmp_path / "acts.zarr")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "text").write_text("mine")
    with pytest.raises(ValueError, match="thesis exists and holds no capture: give a new path"):
        mp.capture(tiny, pictures[:1], store=tmp_path / "thesis")
    assert [one.name for one in tmp_path.iterdir()] == ["thesis"]


def test_damaged_blocks_run_again_and_no_others(tiny, pictures, tmp_path, forwards):
    path = tmp_path / "acts.zarr"
    ids = mp.capture(tiny, pictures, store=path).sample.values
    before = chunks_of(path)
    (path / "activation" / "c.1.0.0.0").unlink()
    (path / "unit_markers" / "2.json").write_text("{")
    forwards.clear()
    with pytest.warns(UserWarning, match=r"2 of 3 blocks of .* are damaged and run again: chunk .* is missing"):
        mp.capture(tiny, pictures, store=path)
    assert sorted(sum(forwards, [])) == sorted(ids[2:6]) and chunks_of(path) == before
    file = path / "activation" / "c.0.0.0.0"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    stored = open_zarr(path)
    assert np.isfinite(stored.activation[2:].values).all()
    with pytest.raises(ValueError, match="'activation' of the store .* is damaged .* gives it back"):
        stored.activation.values  # noqa: B018


def test_a_finished_capture_that_is_read_only_is_opened(tiny, pictures, tmp_path, monkeypatch, forwards):
    import zarr

    mp.capture(tiny, pictures[:3], store=tmp_path / "acts.zarr")
    forwards.clear()

    async def refuse(self, *arguments, **options):
        raise PermissionError(13, "read-only")

    for name in ("set", "set_if_not_exists", "delete"):
        monkeypatch.setattr(zarr.storage.LocalStore, name, refuse)
    assert np.isfinite(mp.capture(tiny, pictures[:3], store=tmp_path / "acts.zarr").activation.values).all()
    with pytest.raises(PermissionError, match=r"the store .*new.zarr could not be written \(read-only\)"):
        mp.capture(tiny, pictures[:3], store=tmp_path / "new.zarr")
    assert [one.name for one in tmp_path.iterdir()] == ["acts.zarr"]


def test_a_store_says_what_it_is(tiny, pictures, tmp_path):
    ids = mp.capture(tiny, pictures[:3], store=tmp_path / "acts.zarr").sample.values.tolist()
    store = UnitStore.open(tmp_path / "acts.zarr", KIND)
    assert store.settings["weights"] == tiny.fingerprint and store.settings["images"] == ids
    marker = store.marker(1)
    assert marker["device"] == str(tiny.device) and marker["dtype"] == "float32" and marker["seconds"] >= 0
