"""A process that knows nothing but the address of a store works on its sweep."""

import json

import numpy as np
import pytest
import xarray as xr

import mllm_probe as mp
import mllm_probe.sweeps as sweeps
from mllm_probe.activations.unit_store import UnitStore
from mllm_probe.sweeps.stored import store_inputs
from tests.sweeps.helpers import JOINABLE as SETTINGS
from tests.sweeps.helpers import random_vectors

pytestmark = pytest.mark.usefixtures("short_units")


def images_of(kind, library, folder):
    """What is steered: a library, images in memory or files."""
    pictures = library.pictures[:3]
    if kind == "library":
        return library
    if kind == "in memory":
        return [np.asarray(one.image) for one in pictures]
    for number, one in enumerate(pictures):
        one.image.save(folder / f"{number}.png")
    return [folder / f"{number}.png" for number in range(len(pictures))]


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("library", {"controls": ("random", "on_manifold", "concepts")}),
        ("in memory", {"operation": "replace", "to": "house", "strengths": (0, 0.5, 1)}),
        ("files", {"tokens": "last_prompt", "unit": "vector", "metrics": ("logprob", "tokens"), "answer_prefix": "a"}),
        ("files", {"record": ("projection",), "read_layers": [2], "prompt": ["What do you see?", "Where?", "Who?"]}),
    ],
)
def test_who_joins_gives_what_the_line_that_began_it_gives(tmp_path, model, vectors, library, kind, more):
    given = (model, vectors, images_of(kind, library, tmp_path))
    settings = SETTINGS | more
    whole = sweeps.sweep(*given, **settings, store=tmp_path / "whole.zarr")
    begun = sweeps.sweep(*given, **settings, store=tmp_path / "half.zarr", shard="1/3")
    assert begun.attrs["progress"] < 1
    joined = sweeps.join_sweep(tmp_path / "half.zarr", device="cpu", progress=False)
    xr.testing.assert_identical(joined.load().drop_attrs(), whole.load().drop_attrs())
    stores = [xr.open_zarr(tmp_path / name).load().drop_attrs() for name in ("half.zarr", "whole.zarr")]
    xr.testing.assert_identical(*stores)


def test_a_shard_is_joined_with_a_model_that_is_there(tmp_path, model, vectors, library):
    store = tmp_path / "grid.zarr"
    sweeps.sweep(model, vectors, library, **SETTINGS, store=store, shard="1/2")
    assert sweeps.join_sweep(store, shard="2/2", model=model, progress=False).attrs["progress"] == 1
    with pytest.raises(ValueError, match="begun with scenes-4l of weights"):
        sweeps.join_sweep(store, model=mp.load("scenes-8l", device="cpu"), progress=False)


def test_what_only_its_own_process_knows_cannot_be_joined(tmp_path, tiny, pictures, model, vectors, library):
    mine = mp.Metric("length", "answer", lambda answer, concept: float(len(answer.text)), "length")
    sweeps.sweep(model, vectors, library, **SETTINGS, metrics=(mine,), store=tmp_path / "mine")
    sweeps.sweep(tiny, random_vectors(tiny), pictures[:1], **SETTINGS, store=tmp_path / "wrapped")
    for store, what in (("mine", "metric 'length'"), ("wrapped", "which was not loaded by its name")):
        with pytest.raises(ValueError, match=f"only be joined by the Python line that began it.*{what}"):
            sweeps.join_sweep(tmp_path / store, progress=False)


def test_inputs_that_are_gone_or_changed_are_named(tmp_path, model, vectors, library):
    files = images_of("files", library, tmp_path)
    store = tmp_path / "grid.zarr"
    sweeps.sweep(model, vectors, files, **SETTINGS, store=store, shard="1/2")
    library.pictures[3].image.save(files[0])
    with pytest.raises(ValueError, match="has other pixels than then"):
        sweeps.join_sweep(store, model=model, progress=False)
    files[0].unlink()
    with pytest.raises(ValueError, match="0.png, which is not there"):
        sweeps.join_sweep(store, model=model, progress=False)
    (store / "inputs" / "vectors.safetensors").unlink()
    with pytest.raises(ValueError, match="lacks inputs/vectors.safetensors"):
        sweeps.join_sweep(store, model=model, progress=False)
    told = store / "inputs" / "sweep.json"
    assert json.loads(told.read_text())["model"]["load"]["name"] == "scenes-4l"
    told.unlink()
    with pytest.raises(ValueError, match="does not hold what it was begun with"):
        sweeps.join_sweep(store, model=model, progress=False)
    with pytest.raises(FileNotFoundError, match="no store at"):
        sweeps.join_sweep(tmp_path / "none", progress=False)


def test_what_cannot_be_kept_leaves_no_store(tmp_path, model, vectors, library):
    store, given = tmp_path / "grid.zarr", (library.pictures[:2],)
    with pytest.raises(TypeError, match="attribute of type object cannot be saved with vectors"):
        sweeps.sweep(model, vectors.assign_attrs(mine=object()), *given, **SETTINGS, store=store)
    assert not store.exists()
    assert sweeps.sweep(model, vectors, *given, **SETTINGS, store=store).attrs["progress"] == 1


def test_a_store_whose_inputs_could_not_be_written_is_completed_by_the_same_call(
    tmp_path, monkeypatch, model, vectors, library
):
    def full(*_):
        raise OSError("no space left on device")

    store, given = tmp_path / "grid.zarr", (model, vectors, library.pictures[:2])
    with monkeypatch.context() as patched, pytest.raises(OSError, match="no space left"):
        patched.setattr(UnitStore, "put_file", full)
        sweeps.sweep(*given, **SETTINGS, store=store)
    with pytest.raises(ValueError, match="Run the line that began it once more"):
        sweeps.join_sweep(store, progress=False)
    assert sweeps.sweep(*given, **SETTINGS, store=store).attrs["progress"] == 1
    assert sweeps.join_sweep(store, model=model, progress=False).attrs["progress"] == 1


def test_what_a_process_that_died_at_its_beginning_had_not_written_is_written_by_the_next(
    tmp_path, model, vectors, library
):
    store = tmp_path / "grid.zarr"
    sweeps.sweep(model, vectors, library, **SETTINGS, store=store, shard="1/40")
    whole = {file.name: file.read_bytes() for file in (store / "inputs").iterdir()}
    for file in (store / "inputs").iterdir():
        if file.name != "zarr.json":
            file.unlink()
    sweeps.sweep(model, vectors, library, **SETTINGS, store=store, shard="2/40")
    assert {file.name: file.read_bytes() for file in (store / "inputs").iterdir()} == whole
    assert store_inputs.origin_of(UnitStore.open(store)).name == model.name
