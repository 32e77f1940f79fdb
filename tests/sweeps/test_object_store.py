"""Stores in an object store: the same sweeps on a real S3 server, in a process of its own."""

import json
import os
import signal
import sys

import numpy as np
import obstore
import pytest
import xarray as xr
from obstore.store import from_url
from zarr.storage import ObjectStore

import mllm_probe as mp
import mllm_probe.sweeps as sweeps
from mllm_probe.activations import store_places
from mllm_probe.activations.store_places import Bucket, Folder, place_of
from mllm_probe.activations.unit_store import UnitStore
from mllm_probe.cli import main
from mllm_probe.cli.commands_common import write_settings
from tests import object_server
from tests.object_server import AT
from tests.sweeps import killed


@pytest.fixture(scope="module")
def server():
    """A server whose address is in the environment, as its variables."""
    with object_server.running() as variables, pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield variables


def objects(address):
    """All objects below an address, by their keys."""
    store = from_url(address)
    return {one["path"]: bytes(obstore.get(store, one["path"]).bytes()) for one in obstore.list(store).collect()}


def files(folder):
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def written_by_units(content):
    """Chunks and coordinates: all but what names hosts, times and shapes."""
    return {key: value for key, value in content.items() if "/c." in key or key.endswith("/c") or "/c/" in key}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of the sweep, filled by one process without a break."""
    folder = tmp_path_factory.mktemp("local") / "whole.zarr"
    with pytest.MonkeyPatch.context() as patch:
        killed.small_chunks(patch.setattr)
        sweeps.sweep(**killed.arguments("few"), store=folder)
    return folder


@pytest.fixture(scope="module")
def address(server, tmp_path_factory):
    """The sweep in the object store, begun and filled by two processes at once, of which one is killed."""
    at, told = f"{AT}/two/map.zarr", tmp_path_factory.mktemp("told") / "told.json"
    dies = killed.forked(killed.with_environment, server, killed.main, at, "few", "chunk", 3)
    ends = killed.forked(killed.with_environment, server, killed.fill, at, "few", told)
    for process in (dies, ends):
        process.join(300)
    assert (dies.exitcode, ends.exitcode) == (-signal.SIGKILL, 0)
    assert json.loads(told.read_text())["progress"] == 1
    return at


def test_two_workers_one_of_whom_is_killed_give_the_store_of_a_folder(address, whole):
    there, here = objects(address), files(whole)
    assert written_by_units(there) and written_by_units(there) == written_by_units(here)
    assert set(there) - {"unit_markers/layout.packed"} == set(here) - {"unit_markers/layout.packed"}
    opened = xr.open_zarr(ObjectStore(from_url(address), read_only=True)).load()
    xr.testing.assert_identical(opened.drop_attrs(), xr.open_zarr(whole).load().drop_attrs())
    grid, local = sweeps.open_grid(address).load(), sweeps.open_grid(whole).load()
    xr.testing.assert_identical(grid.drop_attrs(), local.drop_attrs())
    assert grid.attrs["progress"] == 1


def test_a_killed_worker_leaves_what_the_next_goes_on_with(server, whole, monkeypatch):
    killed.small_chunks(monkeypatch.setattr)
    at = f"{AT}/alone.zarr"
    dies = killed.forked(killed.with_environment, server, killed.main, at, "few", "chunk", 2)
    dies.join(300)
    assert dies.exitcode == -signal.SIGKILL
    before = sweeps.read_progress(at)
    assert 0 < before.units_done < before.units
    part = xr.open_zarr(ObjectStore(from_url(at), read_only=True)).load()
    assert 0 < int(part.done.sum()) < int(xr.open_zarr(whole).done.sum())
    sweeps.sweep(**killed.arguments("few"), store=at)
    assert written_by_units(objects(at)) == written_by_units(files(whole))


def test_damaged_and_deleted_objects_are_found_and_given_back(address, whole, monkeypatch, capsys):
    killed.small_chunks(monkeypatch.setattr)
    store = from_url(address)
    first, second = sorted(key for key in objects(address) if key.startswith("logprob/c."))[:2]
    content = bytes(obstore.get(store, second).bytes())
    obstore.delete(store, first)
    obstore.put(store, second, content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ValueError, match=f"'logprob' of the store {address} is damaged"):
        sweeps.open_grid(address).load()
    assert main(["status", address, "--check", "--json"]) == 1
    damaged = json.loads(capsys.readouterr().out)["damaged"]
    assert f"{first} is missing" in str(damaged) and f"{second} was changed" in str(damaged)
    assert main(["status", address]) == 3
    sweeps.sweep(**killed.arguments("few"), store=address)
    assert main(["status", address, "--check"]) == 0
    assert written_by_units(objects(address)) == written_by_units(files(whole))


def test_a_store_of_other_settings_is_refused_by_name(address):
    with pytest.raises(ValueError, match=rf"the store {address} holds a sweep with other settings \(seed: stored 0"):
        sweeps.sweep(**killed.arguments("few"), seed=1, store=address)
    with pytest.raises(ValueError, match="exists and holds no capture but a sweep"):
        UnitStore.open(address, "capture")


def small(path, rows):
    template = xr.Dataset({"value": ("x", np.full(6, np.nan, np.float32))}, {"x": np.arange(6)})
    return UnitStore.create(
        path, template, {"value": (rows,)}, kind="capture", settings={"a": 1}, units=6 // rows, plan={"rows": rows}
    )


def test_a_layout_that_its_process_did_not_finish_is_finished_by_the_next(server, monkeypatch):
    at = f"{AT}/begun.zarr"

    def dies(self):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "complete", dies)
        with pytest.raises(SystemExit):
            small(at, 2)
    assert set(objects(at)) == {store_places._PACKED}
    known, answers = Bucket.is_free, iter([True])  # at the first look nothing was there
    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "is_free", lambda self: next(answers, None) or known(self))
        store = small(at, 3)  # it would cut it in another way: who was first decides
    assert store.plan == {"rows": 2} and store.array("value").chunks == (2,) and store.remaining() == ["0", "1", "2"]
    region = {"value": [((slice(2, 4),), np.array([5, 6], np.float32))]}
    assert store.write(1, region, device="cpu") is True and UnitStore.open(at).write(1, region) is False
    assert store.marker(1)["device"] == "cpu"
    np.testing.assert_array_equal(store.read("value"), np.array([np.nan, np.nan, 5, 6, np.nan, np.nan], np.float32))


def test_a_layout_whose_process_dies_between_two_files_is_finished_by_the_next(server, monkeypatch):
    at, whole, plain, left = f"{AT}/half.zarr", f"{AT}/undisturbed.zarr", store_places.write_new_key, iter(range(3))

    def dies(*arguments):
        if next(left, None) is None:
            raise SystemExit
        return plain(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(store_places, "write_new_key", dies)
        with pytest.raises(SystemExit):
            small(at, 2)
    small(whole, 2)
    assert len(objects(at)) == 3 < len(objects(whole))
    UnitStore.open(at)
    assert set(objects(at)) == set(objects(whole))


def test_a_capture_is_kept_there(server, tiny, pictures):
    held = mp.capture(tiny, pictures[:2], layers=[1])
    stored = mp.capture(tiny, pictures[:2], layers=[1], store=f"{AT}/acts.zarr")
    np.testing.assert_array_equal(stored.activation.values, held.activation.values)
    again = mp.activations.open_zarr(f"{AT}/acts.zarr", tiny)
    np.testing.assert_array_equal(again.activation.values, held.activation.values)
    assert mp.cache.check(f"{AT}/acts.zarr") == {}


@pytest.mark.usefixtures("server", "short_units")
def test_a_command_joins_with_nothing_but_the_address_and_finds_the_images_there(given, tmp_path, capsys):
    model, vectors, library = given
    library.pictures[0].image.save(tmp_path / "0.png")
    at = f"{AT}/joined.zarr"
    settings = {"layers": [1], "strengths": (0, 1), "draws": 4, "metrics": ("logprob",), "progress": False}
    given = (model, vectors, [tmp_path / "0.png"])
    plain = sweeps.sweep(*given, **settings, store=tmp_path / "plain.zarr")
    sweeps.sweep(*given, **settings, store=at, shard="1/2")
    (tmp_path / "0.png").unlink()
    assert main(["work", at]) == 0
    assert at in capsys.readouterr().out
    xr.testing.assert_identical(sweeps.open_grid(at)[["logprob"]].load().drop_attrs(),
                                plain[["logprob"]].drop_attrs())  # fmt: skip
    written = write_settings("sweep", at, {"model": "scenes-4l", "layers": [1]})
    assert written == f"{at}.toml" and b'model = "scenes-4l"' in objects(AT)["joined.zarr.toml"]
    assert main(["sweep", f"{at}.toml", "--no-such-option"]) == 2
    assert main(["sweep", f"{AT}/none.toml"]) == 2
    assert f"there is no settings file at {AT}/none.toml" in capsys.readouterr().err


def test_what_is_missing_is_said(server, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=f"no store at {AT}/none.zarr"):
        sweeps.read_progress(f"{AT}/none.zarr")
    with pytest.raises(ConnectionError, match="nowhere.*404 Not Found.*Look at the bucket, the endpoint"):
        small(f"{object_server.scheme()}://nowhere/map.zarr", 2)
    monkeypatch.setenv(object_server.ENDPOINTS[object_server.scheme()], f"http://127.0.0.1:{object_server.free_port()}")
    monkeypatch.setattr(store_places, "RETRIES", {"max_retries": 0})
    with pytest.raises(ConnectionError, match="does not do what was asked .*Look at the bucket, the endpoint"):
        small(f"{AT}/map.zarr", 2)


def test_addresses_are_told_from_paths(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    assert isinstance(place_of("maps/cats.zarr"), Folder) and isinstance(place_of(tmp_path / "a"), Folder)
    assert place_of("gs://maps/cats.zarr/").address == "gs://maps/cats.zarr"
    with pytest.raises(ValueError, match=r"az://maps/cats.zarr: .*Account must be specified.*AZURE_STORAGE_"):
        place_of("az://maps/cats.zarr")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "mine")
    assert place_of("az://maps/cats.zarr").address == "az://maps/cats.zarr"
    with pytest.raises(ValueError, match="expected s3://BUCKET/NAME"):
        place_of("s3://maps")
    with pytest.raises(ValueError, match="a Path cannot hold an address; give it as text, 's3://maps/cats.zarr'"):
        place_of(tmp_path.__class__("s3://maps/cats.zarr"))
    with pytest.raises(ValueError, match="begins with s3://, gs://, az://; got ftp://"):
        place_of("ftp://maps/cats.zarr")
    for call in (lambda: mp.cache.list(f"{AT}/maps"), lambda: mp.activations.save_zarr(DATA, f"{AT}/a.zarr")):
        with pytest.raises(ValueError, match="is in an object store, .* give a folder of this machine here"):
            call()


DATA = xr.Dataset({"a": 1}, attrs={"weights": "0"})


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ImportError, match=r"cats.zarr is in an object store: pip install 'mllm-probe\[object\]'"):
        place_of("s3://maps/cats.zarr")
