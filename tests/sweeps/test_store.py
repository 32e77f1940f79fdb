"""Invariant 8: a sweep with a store loses at most the chunk in flight, and is completed to the same dataset."""

import itertools
import json
import multiprocessing
import os
import signal
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

import mllm_probe as mp
import mllm_probe.sweeps as sweeps
from mllm_probe.activations.device_array import tensor_of
from mllm_probe.activations.hooks import before_backbone
from mllm_probe.apps.zoo import tiny_llava
from mllm_probe.sweeps import api, chunk_size, sweep_store
from mllm_probe.sweeps import sweep_store as store_module
from mllm_probe.sweeps.chunk_size import Limits
from mllm_probe.sweeps.engine import Engine
from mllm_probe.sweeps.grid import Grid
from tests.conftest import put
from tests.hooks import active_hooks
from tests.sweeps import killed
from tests.sweeps.helpers import random_vectors, wrapped_family

SMALL = {"layers": [0, 2], "strengths": (0, 1), "draws": 4, "max_new_tokens": 3, "progress": False}


def exactly(found, expected):
    """Equal to the last bit, attributes too."""
    xr.testing.assert_identical(found.load(), expected.load())


def to_rounding(found, expected):
    """Equal attributes, coordinates, tokens and texts; numbers up to what another process rounds differently."""
    floats = [name for name, variable in expected.data_vars.items() if variable.dtype.kind == "f"]
    exactly(found.drop_vars(floats), expected.drop_vars(floats))
    for name in floats:
        np.testing.assert_allclose(found[name].values, expected[name].values, rtol=1e-5, atol=2e-5, err_msg=name)


@contextmanager
def forwards(model):
    """Calls of the text model."""
    seen = []
    with before_backbone(model, lambda arguments, named: seen.append(1)):
        yield seen


@contextmanager
def encoded_pictures(model):
    """Calls of the vision tower."""
    seen = []
    handle = model.layout.vision_tower.register_forward_pre_hook(lambda module, arguments: seen.append(1))
    try:
        yield seen
    finally:
        handle.remove()


@pytest.fixture(scope="module")
def undisturbed():
    """Whole grids of the sweeps that are killed."""
    known = {}

    def get(scope):
        if scope not in known:
            with pytest.MonkeyPatch.context() as patch:
                killed.small_chunks(patch.setattr)
                known[scope] = list(sweeps.sweep_iter(**killed.arguments(scope)))
        return known[scope]

    return get


def killed_run(store, scope, when, number):
    # The package is imported once, in the process from which those that are killed are forked.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([killed.__name__])
    process = context.Process(target=killed.main, args=(store, scope, when, number))
    process.start()
    process.join(300)
    assert process.exitcode == -signal.SIGKILL


def finished(grid, there):
    """What a grid says by cell, where these are finished."""
    by_cell = grid[[name for name, variable in grid.items() if set(there.dims) <= set(variable.dims)]].load()
    blank = {"f": np.nan, "i": -1}
    text = by_cell.text.astype(object)
    kept = by_cell.assign(text=text).map(lambda v: v.where(there, blank.get(v.dtype.kind, "")))
    return kept.drop_attrs()


KILLED = [
    ("next", "chunk", 1),
    ("next", "chunk", 6),
    ("next", "write", 20),
    ("next", "rename", 148),
    ("image", "chunk", 5),
    ("image", "write", 89),
]


@pytest.mark.parametrize(("scope", "when", "number"), KILLED)
def test_a_killed_sweep_is_completed_to_the_same_dataset(tmp_path, undisturbed, monkeypatch, scope, when, number):
    killed.small_chunks(monkeypatch.setattr)
    store, whole = tmp_path / "grid.zarr", undisturbed(scope)
    killed_run(store, scope, when, number)
    before, partial = sweeps.read_progress(store), xr.open_zarr(store).load()
    assert before.done < before.total and not before.finished and dict(partial.sizes) == dict(whole[-1].sizes)
    chunks = partial.attrs["chunks"]
    assert chunks == number if when == "chunk" else list(store.rglob("*.partial")), "died in the middle of a file"
    as_it_was = whole[max(chunks - 1, 0)]
    there = as_it_was.logprob.notnull() & (chunks > 0)
    np.testing.assert_array_equal(partial.done, there)
    to_rounding(finished(partial.drop_vars("done"), there), finished(as_it_was, there))
    grids = list(sweeps.sweep_iter(**killed.arguments(scope), store=store))
    assert len(grids) == (chunks > 0) + len(whole) - chunks, "what was finished must not be run again"
    if chunks:
        exactly(finished(grids[0], there), finished(partial.drop_vars("done"), there))
    to_rounding(grids[-1], whole[-1])
    exactly(xr.open_zarr(store).drop_vars("done").drop_attrs(), grids[-1].drop_attrs())
    assert not list(store.rglob("*.partial")) and sweeps.read_progress(store).finished


class Died(BaseException):
    """Stands for the end of a process."""


def test_at_whichever_file_a_process_dies_what_is_done_is_complete(tmp_path, tiny, pictures, monkeypatch):
    killed.small_chunks(monkeypatch.setattr)
    vectors, settings = random_vectors(tiny), SMALL | {"metrics": ("logprob",), "layers": [1]}
    whole = sweeps.sweep(tiny, vectors, pictures[:2], **settings).load()
    replace, count = os.replace, [0]

    def dies(number, store):
        def at(source, target):
            count[0] += store in Path(target).parents
            if count[0] >= number:  # also files that Zarr writes beside it
                os.truncate(source, os.path.getsize(source) // 2)
                raise Died
            replace(source, target)

        return at

    finished = []
    for number in range(1, 200):
        store, count[0] = tmp_path / f"{number}.zarr", 0
        monkeypatch.setattr(os, "replace", dies(number, store))
        try:
            sweeps.sweep(tiny, vectors, pictures[:2], store=store, **settings)
            break
        except Died:
            partial = xr.open_zarr(store).load()
        finished.append(int(partial.done.sum()))
        for name in ("logprob", "edited"):
            there = partial.done.values
            np.testing.assert_array_equal(partial[name].values[there], whole[name].values[there], err_msg=name)
        if number % 4 == 0:
            monkeypatch.setattr(os, "replace", replace)
            again = sweeps.sweep(tiny, vectors, pictures[:2], store=store, **settings)
            assert again.attrs["chunks"] in (whole.attrs["chunks"], whole.attrs["chunks"] - 1)
            exactly(again.assign_attrs(chunks=whole.attrs["chunks"]), whole)
    assert number > 25 and finished == sorted(finished) and len(set(finished)) > 3


def test_a_finished_store_runs_no_forward(tmp_path, tiny, pictures):
    settings = SMALL | {"record": ("activation", "projection"), "read_layers": [1]}
    vectors = random_vectors(tiny)
    whole = sweeps.sweep(tiny, vectors, pictures[:2], store=tmp_path / "a.zarr", **settings)
    with forwards(tiny) as seen:
        again = sweeps.sweep(tiny, vectors, pictures[:2], store=str(tmp_path / "a.zarr"), **settings)
        *_, last = sweeps.sweep_iter(tiny, vectors, pictures[:2], store=tmp_path / "a.zarr", **settings)
    assert not seen
    exactly(again, whole)
    exactly(last, whole)
    assert isinstance(tensor_of(again.activation), torch.Tensor)
    exactly(whole, sweeps.sweep(tiny, vectors, pictures[:2], **settings))


def test_images_that_are_done_are_not_encoded_again(tmp_path, tiny, pictures, monkeypatch):
    killed.small_chunks(monkeypatch.setattr)
    vectors = random_vectors(tiny)
    whole = sweeps.sweep(tiny, vectors, pictures[:3], **SMALL)
    store, chunks = tmp_path / "grid.zarr", whole.attrs["chunks"]

    def some(engine):
        """Two thirds of the chunks: two images, and no more."""
        return itertools.islice(run(engine), 2 * chunks // 3)

    run = Engine.run
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "run", some)
        patch.setattr(api, "closing", nullcontext)
        partial = sweeps.sweep(tiny, vectors, pictures[:3], store=store, **SMALL)
    assert partial.attrs["progress"] == pytest.approx(2 / 3)
    with encoded_pictures(tiny) as seen:
        exactly(sweeps.sweep(tiny, vectors, pictures[:3], store=store, **SMALL), whole)
    assert len(seen) == 1


def test_a_sweep_that_was_closed_goes_on_from_its_store(tmp_path, tiny, pictures, monkeypatch):
    killed.small_chunks(monkeypatch.setattr)
    vectors, store = random_vectors(tiny), tmp_path / "new folder" / "grid.zarr"
    whole = list(sweeps.sweep_iter(tiny, vectors, pictures[:2], **SMALL))
    grids = sweeps.sweep_iter(tiny, vectors, pictures[:2], store=store, **SMALL)
    for _ in range(3):
        last = next(grids)
    with pytest.raises(RuntimeError, match="being filled by another run: wait for it, close its iterator"):
        sweeps.sweep(tiny, vectors, pictures[:2], store=store, **SMALL)
    grids.close()
    assert not list(grids) and active_hooks(tiny) == 0
    exactly(last, whole[2])
    exactly(next(sweeps.sweep_iter(tiny, vectors, pictures[:2], store=store, **SMALL)), whole[2])
    exactly(sweeps.sweep(tiny, vectors, pictures[:2], store=store, **SMALL), whole[-1])


def test_a_resume_deletes_only_the_partial_files_of_zarr(tmp_path, tiny, pictures, monkeypatch):
    killed.small_chunks(monkeypatch.setattr)
    store, vectors = tmp_path / "grid.zarr", random_vectors(tiny)
    grids = sweeps.sweep_iter(tiny, vectors, pictures[:2], store=store, **SMALL)
    next(grids)
    grids.close()
    theirs = [store / "draft.partial", store / "logprob" / "0.0.partial", store / "notes" / "a.partial"]
    left_over = [store / f".zattrs.{'0a' * 16}.partial", store / "logprob" / f"0.0.0.0.0.{'f1' * 16}.partial"]
    (store / "notes").mkdir()
    for file in theirs + left_over:
        file.write_text("mine")
    sweeps.sweep(tiny, vectors, pictures[:2], store=store, **SMALL)
    assert all(file.read_text() == "mine" for file in theirs) and not any(file.exists() for file in left_over)


def test_an_interrupted_sweep_keeps_what_it_has(tmp_path, tiny, pictures, monkeypatch):
    killed.small_chunks(monkeypatch.setattr)
    vectors, store = random_vectors(tiny), tmp_path / "grid.zarr"
    whole = sweeps.sweep(tiny, vectors, pictures[:2], **SMALL)
    put, count = Grid.put, []

    def interrupted(*arguments):
        count.append(1)
        if len(count) == 3:
            raise KeyboardInterrupt
        put(*arguments)

    monkeypatch.setattr(Grid, "put", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sweeps.sweep(tiny, vectors, pictures[:2], store=store, **SMALL)
    assert xr.open_zarr(store).attrs["chunks"] == 2 and active_hooks(tiny) == 0
    to_rounding(sweeps.sweep(tiny, vectors, pictures[:2], store=store, **SMALL), whole)


def test_progress_can_be_read_while_another_process_fills_the_store(tmp_path, tiny, pictures, monkeypatch):
    killed.small_chunks(monkeypatch.setattr)
    store, shares, runs = tmp_path / "grid.zarr", [], []
    with pytest.raises(FileNotFoundError, match="no store at .*first chunk"):
        sweeps.read_progress(store)
    for grid in sweeps.sweep_iter(tiny, random_vectors(tiny), pictures[:2], store=store, **SMALL):
        progress, seen = sweeps.read_progress(store), xr.open_zarr(store)
        runs.append(progress.done)
        shares.append(seen.attrs["progress"])
        assert seen.attrs["progress"] == grid.attrs["progress"] and progress.rate > 0 and progress.seconds > 0
        own = seen.sel(control="concept", draw=0)
        assert np.isfinite(own.logprob.values[own.done.values]).all()
        xr.testing.assert_equal(mp.effect(seen, "logprob"), mp.effect(grid, "logprob"))
    assert shares == sorted(shares) and shares[-1] == 1 and len(set(runs)) == len(runs)
    last = sweeps.read_progress(store)
    assert last.done == last.total == 2 * 2 * (2 + 4 + 4) and last.finished


def test_a_chunk_rewrites_little_of_a_large_grid():
    sizes = {"concept": 8, "layer": 64, "strength": 9, "control": 3, "draw": 8, "sample": 100}
    empty = xr.DataArray(np.broadcast_to(np.float32(np.nan), tuple(sizes.values())), dims=tuple(sizes))
    chunks = store_module._chunks("logprob", empty)
    assert np.prod(chunks) * 4 <= store_module._PIECE and np.prod(chunks) * 4 > store_module._PIECE / 4
    touched = {
        "concept": [0, 7],
        "layer": [0, 63],
        "strength": [4, 4],
        "control": [0, 1],
        "draw": [0, 7],
        "sample": [3, 3],
    }
    places = {name: np.array(values) for name, values in touched.items()}
    assert len(list(store_module._touched_blocks(list(sizes), list(sizes.values()), list(chunks), places))) == 1
    done = store_module._chunks("done", empty.astype(bool))
    assert done[:5] == (8, 64, 9, 3, 8), "what a chunk has finished must stand in one file"


def test_the_grid_of_few_cells_is_few_files(tmp_path, tiny, pictures):
    sweeps.sweep(tiny, random_vectors(tiny), pictures[:4], store=tmp_path / "grid.zarr", **SMALL)
    assert len(list((tmp_path / "grid.zarr").rglob("*"))) < 200


CHANGES = [
    ({"layers": [0, 1]}, r"layers: stored \[0, 2\], asked for \[0, 1\]"),
    ({"strengths": (0, 1, 2)}, r"strengths: stored \[0.0, 1.0\], asked for \[0.0, 1.0, 2.0\]"),
    ({"tokens": "last_prompt"}, r"tokens: stored \['last_prompt', 'generated'\], asked for \['last_prompt'\]"),
    ({"unit": "raw"}, r"unit: stored 'residual', asked for 'raw'"),
    ({"operation": "ablate"}, r"operation: stored 'add', asked for 'ablate'"),
    (
        {"operation": "replace", "to": "dog"},
        r"operation: stored 'add', asked for 'replace'; to: stored None, asked for 'dog",
    ),
    ({"metrics": ("logprob",)}, r"metrics: stored \['logprob', 'named', .*asked for \['logprob'\]"),
    ({"controls": "random"}, r"controls: stored \['random', 'on_manifold'\], asked for \['random'\]"),
    ({"draws": 6}, r"draws: stored \[4, 4\], asked for \[6, 6\]"),
    ({"seed": 1}, r"seed: stored 0, asked for 1"),
    ({"max_new_tokens": 4}, r"max_new_tokens: stored 3, asked for 4"),
    ({"answer_prefix": "this is"}, r"answer_prefix: stored \[.*\], asked for \[.*\]"),
    ({"prompt": "what is this?"}, r"prompt: stored \['.*'\], asked for \['what is this\?'\]"),
    (
        {"record": ("residual_norm",), "read_layers": [1]},
        r"record: stored \['projection'\], asked for \['residual_norm'\]",
    ),
    ({"read_layers": [2]}, r"read_layers: stored \[1\], asked for \[2\]"),
    ({"read_tokens": [-2]}, r"read_tokens: stored \['last_prompt'\], asked for \[-2\]"),
]


@pytest.fixture(scope="module")
def stored(tiny, pictures, tmp_path_factory):
    """Settings of a sweep, and its store."""
    settings = SMALL | {"record": "projection", "read_layers": [1]}
    store = tmp_path_factory.mktemp("stored") / "grid.zarr"
    sweeps.sweep(tiny, random_vectors(tiny), pictures[:1], store=store, **settings)
    return settings, store


@pytest.mark.parametrize(("changes", "message"), CHANGES)
@pytest.mark.parametrize("function", [sweeps.sweep, sweeps.sweep_iter])
def test_a_store_of_other_settings_names_the_field_and_both_values(tiny, pictures, stored, changes, message, function):
    settings, store = stored
    with pytest.raises(ValueError, match=rf"the store {store} holds a sweep with other settings.*{message}"):
        function(tiny, random_vectors(tiny), pictures[:1], store=store, **settings | changes)


def test_a_store_of_other_images_vectors_words_or_another_model_is_refused(tiny, pictures, stored, device):
    settings, store = stored
    refused = [
        (r"images: stored \['[0-9a-f]{16}'\], asked for \[", tiny, random_vectors(tiny), pictures[1:2]),
        (r"vectors: stored '[0-9a-f]+', asked for '[0-9a-f]+'", tiny, random_vectors(tiny, seed=1), pictures[:1]),
        (r"words: stored", tiny, random_vectors(tiny, words={"cat": ["kitten"]}), pictures[:1]),
        (r"concepts: stored \['cat', 'dog'\], asked for \['cat'\]", tiny, random_vectors(tiny, ("cat",)), pictures[:1]),
    ]
    other = put(tiny_llava(seed=1), device)
    weights = rf"weights: stored '{tiny.fingerprint}', asked for '{other.fingerprint}'"
    refused.append((weights, other, random_vectors(other), pictures[:1]))
    for message, model, vectors, images in refused:
        with pytest.raises(ValueError, match=message):
            sweeps.sweep(model, vectors, images, store=store, **settings)
    named = random_vectors(tiny).assign_attrs(concepts="another set")
    with pytest.raises(ValueError, match=r"concept set: stored 'by hand', asked for 'another set'"):
        sweeps.sweep(tiny, named, pictures[:1], store=store, **settings)


def test_the_same_weights_under_another_name_are_the_same_model(tiny, pictures, stored, monkeypatch):
    settings, store = stored
    monkeypatch.setattr(tiny, "name", "moved")
    assert sweeps.sweep(tiny, random_vectors(tiny), pictures[:1], store=store, **settings).attrs["progress"] == 1


def test_what_is_no_store_is_left_alone(tiny, pictures, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    sweeps.sweep(tiny, random_vectors(tiny), pictures[:1], **SMALL).to_zarr(tmp_path / "grid", zarr_format=2)
    for path in (tmp_path, tmp_path / "notes.txt", tmp_path / "grid"):
        with pytest.raises(ValueError, match="exists and is not the store of a sweep or of patch: give a new path"):
            sweeps.sweep(tiny, random_vectors(tiny), pictures[:1], store=path, **SMALL)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    sweeps.sweep(tiny, random_vectors(tiny), pictures[:1], store=tmp_path / "empty", **SMALL)
    assert sweeps.read_progress(tmp_path / "empty").finished


def test_other_libraries_are_warned_of_and_recorded(tmp_path, tiny, pictures, monkeypatch):
    monkeypatch.setattr(chunk_size, "DEFAULT", Limits(packed_rows=0))
    store = tmp_path / "grid.zarr"
    grids = sweeps.sweep_iter(tiny, random_vectors(tiny), pictures[:2], store=store, **SMALL)
    next(grids)
    grids.close()
    for name in (".zattrs", ".zmetadata"):
        text = (store / name).read_text()
        torch_version = json.loads((store / ".zattrs").read_text())["version_torch"]
        (store / name).write_text(text.replace(torch_version, "1.0"))
    with pytest.warns(UserWarning, match=r"goes on with other versions .*torch .* \(begun with 1.0\)"):
        grid = sweeps.sweep(tiny, random_vectors(tiny), pictures[:2], store=store, **SMALL)
    assert grid.attrs["version_torch"] == "1.0" and "begun with 1.0" in grid.attrs["resumed_with"][0]


def test_half_precision_recordings_come_back_as_they_were(tmp_path, device):
    model, inputs = wrapped_family("llava", device)
    model.hf.to(torch.bfloat16)
    vectors = random_vectors(model, words={"cat": [7], "dog": [11]})
    settings = {"strengths": (0, 1), "layers": [1], "draws": 4, "metrics": ("logprob",), "progress": False}
    settings |= {"record": "activation", "inputs": inputs, "store": tmp_path / "grid.zarr"}
    whole = sweeps.sweep(model, vectors, **settings)
    again = sweeps.sweep(model, vectors, **settings)
    assert tensor_of(again.activation).dtype == torch.bfloat16
    assert torch.equal(tensor_of(again.activation).nan_to_num(), tensor_of(whole.activation).nan_to_num())


def test_recordings_of_a_sharded_model_are_written_and_filled_layer_by_layer():
    parts = [torch.arange(12.0).reshape(2, 3, 2) + 100 * layer for layer in range(4)]
    whole = torch.stack(parts, 1).numpy()
    take = sweep_store._take(parts, 1)
    region = (slice(0, 2), slice(1, 3), slice(0, 2), slice(None))
    np.testing.assert_array_equal(take(region), whole[region])
    empty = [torch.zeros(2, 3, 2) for _ in parts]
    sweep_store._fill(empty, whole, 1)
    assert all(torch.equal(a, b) for a, b in zip(parts, empty, strict=True))
