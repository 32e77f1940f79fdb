"""A Zarr group from somebody else is opened only if its codecs are those of the package."""

import json
import os
import pickle
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import xarray as xr
import zarr

import mllm_probe as mp
from mllm_probe import sweeps
from mllm_probe.activations.store_layout import CODECS, open_group, write_group
from mllm_probe.activations.zarr_store import open_zarr, save_zarr
from mllm_probe.cli import main
from tests.sweeps.helpers import random_vectors

SMALL = {"layers": [0], "strengths": (0, 1), "draws": 4, "max_new_tokens": 2, "progress": False}
PICKLE = {"id": "pickle", "protocol": 5}


class Runs:
    """Unpickled, it makes a folder."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


@pytest.fixture(autouse=True)
def pickles_run(monkeypatch):
    """Give numcodecs its old codec, which unpickles; newer releases of it and of Zarr refuse by themselves."""

    def decode(self, buffer, out=None):
        return pickle.loads(bytes(buffer))

    monkeypatch.setattr(numcodecs.Pickle, "decode", decode)
    with zarr.config.set({"array.allow_unsafe_pickle_decode": True}):
        yield


@pytest.fixture
def sweep_of(tiny, pictures):
    """Run, or go on with, a small sweep whose grid has texts."""

    def run(store):
        return sweeps.sweep(tiny, random_vectors(tiny), pictures[:1], store=store, **SMALL)

    return run


@pytest.fixture
def store(sweep_of, tmp_path):
    """The grid of a sweep in format 2, as somebody else may have written it."""
    sweep_of(None).load().to_zarr(tmp_path / "grid.zarr", zarr_format=2, consolidated=True)
    return tmp_path / "grid.zarr"


@pytest.fixture
def own_store(sweep_of, tmp_path):
    """The store of a sweep."""
    sweep_of(tmp_path / "own.zarr")
    return tmp_path / "own.zarr"


def rewrite(store: Path, array: str, **changes) -> None:
    """Change an array's metadata, in its own file and in the consolidated one."""
    for file, key in ((store / array / ".zarray", None), (store / ".zmetadata", f"{array}/.zarray")):
        content = json.loads(file.read_text())
        (content if key is None else content["metadata"][key]).update(changes)
        file.write_text(json.dumps(content))


def poisoned(store: Path, marker: Path, **changes) -> None:
    """A text array whose every piece makes the marker when it is unpickled."""
    rewrite(store, "text", **changes)
    for piece in (store / "text").iterdir():
        if not piece.name.startswith("."):
            piece.write_bytes(pickle.dumps(Runs(marker)))


CHANGES = {
    "compressor": {"filters": [{"id": "vlen-utf8"}], "compressor": PICKLE},
    "filter": {"filters": [PICKLE]},
}


def test_the_attack_works_on_a_reader_that_does_not_look(store, tmp_path):
    poisoned(store, tmp_path / "ran", **CHANGES["compressor"])
    with pytest.raises((TypeError, ValueError, RuntimeError, AttributeError)):
        xr.open_zarr(store, chunks=None).text.load()
    assert (tmp_path / "ran").exists()


READERS = {
    "open_zarr": lambda store, run: open_zarr(store).load(),
    "open_grid": lambda store, run: sweeps.open_grid(store),
    "heatmap": lambda store, run: mp.LayerConceptHeatmap(store),
}
OWN_STORES = {
    "sweep": lambda store, run: run(store),
    "read_progress": lambda store, run: sweeps.read_progress(store),
    "store_status": lambda store, run: sweeps.store_status(store, check=True),
    "join_sweep": lambda store, run: sweeps.join_sweep(store),
    "monitor": lambda store, run: mp.SweepMonitor(store).grid.load(),
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("entry", (READERS | OWN_STORES).values(), ids=READERS | OWN_STORES)
def test_no_entry_runs_code_of_a_group(store, sweep_of, tmp_path, changes, entry):
    poisoned(store, tmp_path / "ran", **changes)
    with pytest.raises(ValueError, match="codec 'pickle'.*may run code|holds no"):
        entry(store, sweep_of)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("entry", (READERS | OWN_STORES).values(), ids=READERS | OWN_STORES)
def test_a_store_of_the_package_with_other_codecs_is_refused_before_it_is_read(own_store, sweep_of, tmp_path, entry):
    file = own_store / "text" / "zarr.json"
    content = json.loads(file.read_text())
    content["codecs"].append({"name": "numcodecs.pickle", "configuration": {}})
    file.write_text(json.dumps(content))
    for piece in (own_store / "text").glob("c.*"):
        piece.write_bytes(pickle.dumps(Runs(tmp_path / "ran")))
    with pytest.raises(ValueError, match=r"array 'text' of .* is stored with the codec 'numcodecs.pickle'"):
        entry(own_store, sweep_of)
    assert not (tmp_path / "ran").exists()


def test_the_command_line_runs_no_code_of_a_store(store, tmp_path, capsys):
    poisoned(store, tmp_path / "ran", **CHANGES["compressor"])
    assert main(["report", str(store), str(tmp_path / "page.html")]) == 2
    assert "codec 'pickle'" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists() and not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("file", [".zmetadata", ".zarray", "zarr.json"])
def test_every_file_that_names_codecs_is_read(tmp_path, file):
    store = tmp_path / "a.zarr"
    texts = xr.Dataset({"text": ("x", np.array(["a", "b"], object))})
    texts.to_zarr(store, zarr_format=3 if file == "zarr.json" else 2, consolidated=file == ".zmetadata")
    assert open_group(store).text.values.tolist() == ["a", "b"]
    target = store / file if file == ".zmetadata" else store / "text" / file
    content = json.loads(target.read_text())
    if file == "zarr.json":
        content["codecs"].append({"name": "numcodecs.pickle", "configuration": {}})
    else:
        (content["metadata"]["text/.zarray"] if file == ".zmetadata" else content)["compressor"] = PICKLE
    target.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="array 'text' of .*pickle"):
        open_group(store)


def test_codecs_inside_consolidated_metadata_of_format_3_are_read(tmp_path):
    xr.Dataset({"a": ("x", [1.0, 2.0])}).to_zarr(tmp_path / "a.zarr", zarr_format=3, consolidated=True)
    root = tmp_path / "a.zarr" / "zarr.json"
    content = json.loads(root.read_text())
    content["consolidated_metadata"]["metadata"]["a"]["codecs"].insert(0, {"name": "numcodecs.json2"})
    root.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"array 'a' of .*codec 'numcodecs.json2'"):
        open_group(tmp_path / "a.zarr")


def test_an_array_behind_a_link_is_looked_at(tmp_path, store):
    poisoned(store, tmp_path / "ran", **CHANGES["compressor"])
    other = tmp_path / "linked.zarr"
    xr.Dataset({"a": ("x", [1.0])}).to_zarr(other, zarr_format=2, consolidated=False)
    (other / "text").symlink_to(store / "text")
    with pytest.raises(ValueError, match="codec 'pickle'"):
        open_group(other)


def test_the_package_writes_only_codecs_that_it_reads(tmp_path, own_store, tiny, pictures):
    save_zarr(mp.capture(tiny, pictures[:1], layers=[1]), tmp_path / "acts.zarr")
    named = set()
    for file in (tmp_path / "acts.zarr").rglob(".zarray"):
        array = json.loads(file.read_text())
        named |= {codec["id"] for codec in [array["compressor"], *(array["filters"] or [])] if codec}
    for file in own_store.rglob("zarr.json"):
        named |= {codec["name"] for codec in json.loads(file.read_text()).get("codecs", [])}
    assert {"blosc", "crc32c"} <= named <= CODECS


@pytest.mark.parametrize("consolidated", [False, True])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_chunks_of_no_length_are_refused_before_values_are_read(tmp_path, zarr_format, consolidated):
    store = tmp_path / "a.zarr"
    xr.Dataset({"a": ("x", [1.0, 2.0]), "empty": ("y", [])}).to_zarr(
        store, zarr_format=zarr_format, consolidated=consolidated
    )
    assert open_group(store).a.values.tolist() == [1, 2]
    file = (
        store
        / {(2, False): "a/.zarray", (2, True): ".zmetadata", (3, False): "a/zarr.json", (3, True): "zarr.json"}[
            zarr_format, consolidated
        ]
    )
    content = json.loads(file.read_text())
    found = content
    if consolidated:
        found = (
            content["metadata"]["a/.zarray"] if zarr_format == 2 else content["consolidated_metadata"]["metadata"]["a"]
        )
    if zarr_format == 2:
        found["chunks"] = [0]
    else:
        found["chunk_grid"]["configuration"]["chunk_shape"] = [0]
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"is not a readable Zarr store \(chunks of 'a' are \[0\]"):
        open_group(store)


@pytest.mark.parametrize("content", ["{", "[]", '{"metadata": {"text/.zarray": 3}}', '{"metadata": {"a/.zarray": {}}}'])
def test_damaged_metadata_is_named(store, content):
    (store / ".zmetadata").write_text(content)
    with pytest.raises(ValueError, match="is not a readable Zarr store .* damaged or incomplete. Copy it again"):
        open_group(store)


def test_a_metadata_file_that_is_a_pipe_is_not_waited_for(store):
    (store / "text" / ".zarray").unlink()
    os.mkfifo(store / "text" / ".zarray")
    with pytest.raises(ValueError, match="not a regular file"):
        open_group(store)


def test_what_is_no_group_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "nothing", tmp_path / "file", tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no Zarr store at"):
            open_group(path)
    for wrong in (None, 3, b"a"):
        with pytest.raises(TypeError, match="expected the path of a Zarr store as text or a pathlib.Path, not"):
            open_group(wrong)


def test_a_group_is_written_whole_with_texts_that_are_read_as_they_were(tmp_path):
    texts = np.array(["short", "a longer one"], object)
    data = xr.Dataset(
        {"value": (("concept", "layer"), np.ones((2, 3))), "said": ("concept", texts)},
        {"concept": texts, "category": ("concept", texts.astype(np.dtypes.StringDType()))},
        {"models": ["one", "two"], "n": 3},
    )
    path = tmp_path / "deep" / "study.zarr"
    write_group(data, path)
    read = open_group(path).load()
    assert [read[name].dtype.kind for name in ("concept", "category", "said")] == ["U"] * 3
    assert read.said.values.tolist() == texts.tolist() and read.attrs == data.attrs
    write_group(data.assign(value=data.value + 1), path)
    assert (open_group(path).value == 1).all(), "what is there stays"
    assert [one.name for one in path.parent.iterdir()] == ["study.zarr"]


def test_a_group_that_cannot_be_written_says_so_and_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError):
        write_group(xr.Dataset({"value": 1}), tmp_path / "file" / "study.zarr")
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OSError, match="could not be written"):
        write_group(xr.Dataset({"value": 1}), tmp_path / "taken")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "taken"]
