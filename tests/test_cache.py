"""Stores in a folder: listed with what they are, checked, and deleted only where this package wrote them."""

import datetime
import os
import warnings

import numpy as np
import pytest
import xarray as xr

import mllm_probe as mp
from mllm_probe.activations import capturing
from mllm_probe.activations.store_layout import write_group
from mllm_probe.activations.unit_store import UnitStore
from tests.activations.test_unit_store import create, regions


@pytest.fixture
def folder(tmp_path, tiny, pictures):
    """Two captures, one of them half done, what studies and earlier sweeps leave, and what is not ours."""
    create(tmp_path / "deep" / "half.zarr").write(0, regions(0))
    mp.activations.save_zarr(mp.capture(tiny, pictures[:1]), tmp_path / "saved.zarr")
    write_group(xr.Dataset({"x": 1}, attrs={"model": "tiny", "study": "atlas"}), tmp_path / "study.zarr")
    settings = {"store_settings": '{"strengths": [1]}', "store_state": "{}", "progress": 0.25, "model": "tiny"}
    xr.Dataset({"x": 1}, attrs=settings).to_zarr(tmp_path / "sweep.zarr", zarr_format=2, consolidated=True)
    patch = settings | {"store_settings": '{"groups": ["image"]}', "progress": 1.0}
    xr.Dataset({"x": 1}, attrs=patch).to_zarr(tmp_path / "patch.zarr", zarr_format=2, consolidated=True)
    for number in (2, 3):
        xr.Dataset({"mine": ("x", [1])}).to_zarr(tmp_path / f"theirs{number}", zarr_format=number, consolidated=False)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "text").write_text("mine")
    create(tmp_path / f".begun.zarr.{'0' * 32}.partial")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "zarr.json").write_text("{")
    return tmp_path


def names(table):
    return [os.path.basename(path) for path in table["path"]]


def test_the_table_says_what_each_store_is(folder):
    table = mp.cache.list(folder)
    assert table.columns.tolist() == ["path", "kind", "model", "bytes", "finished", "changed"]
    rows = {os.path.basename(row.path): row for row in table.itertuples()}
    assert {name: (row.kind, row.finished) for name, row in rows.items()} == {
        "half.zarr": ("capture", 0.5),
        "saved.zarr": ("capture", 1.0),
        "study.zarr": ("study", 1.0),
        "sweep.zarr": ("sweep", 0.25),
        "patch.zarr": ("patch", 1.0),
    }
    assert rows["half.zarr"].model == "tiny" and rows["saved.zarr"].model == "tiny-llava"
    files = [file for file in (folder / "deep").rglob("*") if file.is_file()]
    assert rows["half.zarr"].bytes == sum(file.stat().st_size for file in files)
    newest = max(file.stat().st_mtime for file in files)
    assert rows["half.zarr"].changed == datetime.datetime.fromtimestamp(int(newest))
    assert mp.cache.size(folder) == table["bytes"].sum() > 0


def test_a_folder_without_stores_gives_an_empty_table(tmp_path, monkeypatch):
    monkeypatch.setattr(mp.cache, "cache_root", lambda: tmp_path / "nothing")
    assert len(mp.cache.list()) == 0 and mp.cache.size() == 0 and len(mp.cache.prune(unfinished=True)) == 0


def test_pruning_deletes_what_was_asked_for_and_says_so(folder):
    before = sorted(one.name for one in folder.iterdir())
    assert sorted(names(mp.cache.prune(folder, unfinished=True, dry_run=True))) == ["half.zarr", "sweep.zarr"]
    assert sorted(one.name for one in folder.iterdir()) == before
    assert sorted(names(mp.cache.prune(folder, unfinished=True))) == ["half.zarr", "sweep.zarr"]
    assert sorted(names(mp.cache.list(folder))) == ["patch.zarr", "saved.zarr", "study.zarr"]
    assert sorted(one.name for one in folder.iterdir()) == sorted(set(before) - {"sweep.zarr"})
    long_ago = datetime.datetime.now().timestamp() - 40 * 86400
    for file in [*(folder / "study.zarr").rglob("*")]:
        os.utime(file, (long_ago, long_ago))
    assert names(mp.cache.prune(folder, older_than=30)) == ["study.zarr"]
    assert not names(mp.cache.prune(folder, older_than=datetime.timedelta(days=1)))
    assert len(mp.cache.prune(folder, older_than=0)) == 2 and len(mp.cache.list(folder)) == 0
    left = {one.name for one in folder.iterdir()}
    assert left == {"theirs2", "theirs3", "thesis", "broken", "deep", f".begun.zarr.{'0' * 32}.partial"}


def test_a_store_with_other_files_in_its_folder_is_left(folder):
    for place in (folder / "saved.zarr" / "notes.txt", folder / "deep" / "half.zarr" / "value" / "thesis.tex"):
        place.write_text("mine")
    with pytest.warns(UserWarning, match="is left: it holds '.*(notes.txt|thesis.tex)', which is no file of a store"):
        gone = mp.cache.prune(folder, older_than=0)
    assert sorted(names(gone)) == ["patch.zarr", "study.zarr", "sweep.zarr"]
    assert (folder / "deep" / "half.zarr" / "value" / "thesis.tex").read_text() == "mine"


def test_pruning_everything_has_to_be_asked_for(folder):
    for arguments, message in (
        ({}, "say which stores, older_than= .days. or unfinished=True"),
        ({"older_than": -1}, "older_than: expected 0 days or more; got -1"),
        ({"older_than": "a week"}, "older_than: expected a number; got 'a week'"),
    ):
        with pytest.raises(ValueError, match=message):
            mp.cache.prune(folder, **arguments)
    assert len(mp.cache.list(folder)) == 5


def test_every_file_that_a_store_leaves_is_known(folder, tiny, pictures, monkeypatch):
    monkeypatch.setattr(capturing, "_MOST_IMAGES", 1)
    path = folder / "acts.zarr"
    mp.capture(tiny, pictures[:2], ["What?", "Is the dog red?"], tokens="all", store=path)
    (path / "activation" / f"c.0.{'0' * 32}.partial").write_text("left by a kill")
    assert "acts.zarr" in names(mp.cache.prune(folder, older_than=0)) and not path.exists()


def test_images_and_vectors_that_a_sweep_was_begun_with_go_with_it(tmp_path):
    model, library = mp.load("scenes-4l", device="cpu"), mp.concepts.scenes(concepts=["cat"], pairs=2)
    vectors = mp.concept_vectors(model, library, layers=[1], probe_accuracy=False)
    path, settings = tmp_path / "cats.zarr", {"metrics": ("logprob",), "draws": 4, "progress": False}
    mp.sweep(model, vectors, library, strengths=(1,), **settings, store=path)
    assert {file.suffix for file in (path / "inputs").iterdir()} == {".json", ".png", ".safetensors"}
    (path / "inputs" / "mine.txt").write_text("mine")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not len(mp.cache.prune(tmp_path, unfinished=True)), "nothing is said of what was not asked for"
    with pytest.warns(UserWarning, match="is left: it holds 'inputs/mine.txt'"):
        assert not len(mp.cache.prune(tmp_path, older_than=0))
    (path / "inputs" / "mine.txt").unlink()
    assert names(mp.cache.prune(tmp_path, older_than=0)) == ["cats.zarr"] and not path.exists()


def test_checking_gives_damaged_parts_back(tiny, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(capturing, "_MOST_IMAGES", 1)
    path = tmp_path / "acts.zarr"
    wanted = mp.capture(tiny, pictures[:3], store=path).activation.values
    assert mp.cache.check(path) == {}
    file = path / "activation" / "c.1.0.0.0"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    damaged = mp.cache.check(path, give_back=False)
    assert list(damaged) == ["1"] and "was changed" in damaged["1"]
    assert UnitStore.open(path).remaining() == []
    assert mp.cache.check(path) == damaged and UnitStore.open(path).remaining() == ["1"]
    np.testing.assert_array_equal(mp.capture(tiny, pictures[:3], store=path).activation.values, wanted)
    with pytest.raises(FileNotFoundError, match="there is no store at"):
        mp.cache.check(tmp_path / "nothing")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "text").write_text("mine")
    with pytest.raises(ValueError, match="holds no store of this package"):
        mp.cache.check(tmp_path / "thesis")
