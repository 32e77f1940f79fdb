"""Invariant 8: a sweep with a store loses at most the unit in flight, and is completed to the same bytes by anyone."""

import math
import signal
import time

import numpy as np
import pytest
import torch
import xarray as xr

import mllm_probe as mp
import mllm_probe.sweeps as sweeps
from mllm_probe import schema
from mllm_probe.activations.device_array import lazy, tensor_of
from mllm_probe.activations.unit_store import UnitStore
from mllm_probe.sweeps.record import Recording
from mllm_probe.sweeps.runner import Runner
from mllm_probe.sweeps.stored.unit_runs import UnitRuns
from mllm_probe.sweeps.stored.units import UNSTEERED
from tests.conftest import put
from tests.sweeps import killed
from tests.sweeps.helpers import forwards, random_vectors, same, wrapped_family
from tests.zoo import tiny_llava

SMALL = {"layers": [0, 2], "strengths": (0, 1), "draws": 4, "max_new_tokens": 3, "progress": False}


def exactly(found, expected):
    """Equal to the last bit, attributes too."""
    xr.testing.assert_identical(found.load(), expected.load())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Stores of the sweeps that are killed, filled without a break."""
    known = {}

    def get(scope):
        if scope not in known:
            store = tmp_path_factory.mktemp("whole") / scope
            with pytest.MonkeyPatch.context() as patch:
                killed.small_chunks(patch.setattr)
                known[scope] = sweeps.sweep(**killed.arguments(scope), store=store), xr.open_zarr(store).load()
        return known[scope]

    return get


def killed_run(store, scope, when, number, **more):
    process = killed.forked(killed.main, store, scope, when, number, **more)
    process.join(300)
    assert process.exitcode == -signal.SIGKILL


def only_where(grid, there):
    """What a grid says by cell where ``there``, and blanks elsewhere."""
    by_cell = grid[[name for name, variable in grid.items() if set(there.dims) <= set(variable.dims)]]
    blank = {"f": np.nan, "i": -1, "b": False}
    by_cell = by_cell.assign({name: one.astype(object) for name, one in by_cell.items() if one.dtype.kind in "TO"})
    return by_cell.map(lambda v: v.where(there, blank.get(v.dtype.kind, ""))).drop_attrs()


KILLED = [
    ("next", "chunk", 1),
    ("next", "chunk", 6),
    ("next", "write", 190),
    ("next", "rename", 248),
    ("image", "chunk", 5),
    ("image", "write", 209),
]


@pytest.mark.parametrize(("scope", "when", "number"), KILLED)
def test_a_killed_sweep_is_completed_to_the_same_bytes(tmp_path, undisturbed, monkeypatch, scope, when, number):
    killed.small_chunks(monkeypatch.setattr)
    store, (grid, whole) = tmp_path / "grid.zarr", undisturbed(scope)
    killed_run(store, scope, when, number)
    before, partial = sweeps.read_progress(store), xr.open_zarr(store).load()
    assert 0 < before.units_done < before.units and not before.finished
    if when != "chunk":
        assert list(store.rglob("*.partial")), "died in the middle of a file"
    there = partial.done
    assert 0 < int(there.sum()) < int(whole.done.sum()) and not (there & ~whole.done).any()
    exactly(only_where(partial, there), only_where(whole, there))
    again = sweeps.sweep(**killed.arguments(scope), store=store)
    exactly(xr.open_zarr(store).drop_attrs(), whole.drop_attrs())
    exactly(again.drop_attrs(), grid.drop_attrs())
    assert sweeps.read_progress(store).finished


def test_a_sweep_that_is_stopped_in_its_first_batch_goes_on_to_the_same_bytes(tmp_path, undisturbed, monkeypatch):
    killed.small_chunks(monkeypatch.setattr)
    given, store, (grid, whole) = killed.arguments("next"), tmp_path / "grid.zarr", undisturbed("next")
    begun = sweeps.sweep_iter(**given, store=store)
    handle = given["model"].layout.blocks[1].register_forward_pre_hook(lambda *_: begun._engine.stop())
    assert list(begun) == []
    handle.remove()
    assert not store.exists(), "what is laid out without a time fixes the smallest units for all who join"
    assert begun.engine.dataset().attrs["model"] == grid.attrs["model"]
    exactly(sweeps.sweep(**killed.arguments("next"), store=store).drop_attrs(), grid.drop_attrs())
    exactly(xr.open_zarr(store).drop_attrs(), whole.drop_attrs())


def test_what_timed_a_store_is_in_its_markers_and_in_the_grid_of_its_own_shard_alone(tmp_path, monkeypatch):
    """The first batch, which tells how large units are to be, is kept by the process whose unit it is of."""
    killed.small_chunks(monkeypatch.setattr)
    run, began = Runner.run_batches, []

    def slowly(self, *arguments, **named):
        if not began:
            began.append(time.sleep(0.5))
        return run(self, *arguments, **named)

    monkeypatch.setattr(Runner, "run_batches", slowly)
    given = killed.arguments("next") | {"record": (), "read_layers": None}
    for shard, longest in (("1/1", 0.5), ("3/3", 0)):
        store = tmp_path / f"{shard[0]}.zarr"
        began.clear()
        grid = sweeps.sweep(**given, store=store, shard=shard)
        filled = UnitStore.open(store)
        joined = sweeps.sweep_iter(**given, store=store, shard=shard)
        assert sum(joined.engine.run()) == joined.engine.expected == sweeps.read_progress(store).done
        markers = [filled.marker(unit) for unit in sorted(filled.finished())]
        assert max(marker["seconds"] for marker in markers) >= longest
        exactly(grid.drop_attrs(), sweeps.open_grid(store).drop_vars("done").load().drop_attrs())
        assert shard == "1/1" or len(markers) == len(filled.units) // 3


def test_running_out_of_memory_in_the_first_batch_is_remembered(tmp_path, monkeypatch):
    killed.small_chunks(monkeypatch.setattr)
    given, store = killed.arguments("next") | {"metrics": ("logprob",)}, tmp_path / "grid.zarr"
    seen = []

    def before(module, arguments, named):
        rows = named["inputs_embeds"].shape[0]
        seen.append(rows)
        if rows > 5:
            raise torch.OutOfMemoryError("injected")

    sweeps.sweep(**given)  # its ways are known
    handle = given["model"].layout.backbone.register_forward_pre_hook(before, with_kwargs=True)
    grid = sweeps.sweep(**given, store=store)
    handle.remove()
    assert sum(rows > 5 for rows in seen) == 1, "batches stay as small as they were found to fit"
    assert "ran out of memory" in grid.attrs["halved"] and grid.attrs["progress"] == 1


def test_a_broken_image_in_the_first_batch_does_not_decide_how_large_units_are(tmp_path, monkeypatch):
    """Batches of other images tell the time."""
    killed.small_chunks(monkeypatch.setattr)
    run, timed, calls = Runner.run_batches, UnitRuns._first_batch, []
    found = []

    def broken_at_first(self, *arguments, **named):
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("injected")
        return run(self, *arguments, **named)

    monkeypatch.setattr(Runner, "run_batches", broken_at_first)
    monkeypatch.setattr(UnitRuns, "_first_batch", lambda *given: found.append(timed(*given)) or found[0])
    grid = sweeps.sweep(**killed.arguments("next"), store=tmp_path / "grid.zarr")
    assert math.isfinite(found[0]) and grid.attrs["progress"] == 1


@pytest.mark.parametrize("strengths", [(0, 1), (-1, 1), (0,)])
def test_a_library_gives_the_same_with_a_store_in_batches_as_full(tmp_path, monkeypatch, strengths):
    """Of a library each image is run for its own concept alone: what goes through the model together counts those."""
    ran = []
    compute = Runner._compute

    def counted(self, blocks, *arguments):
        done = compute(self, blocks, *arguments)
        ran.append(sum(len(block.cells) for block in done))
        return done

    monkeypatch.setattr(Runner, "_compute", counted)
    model = mp.load("scenes-4l", device="cpu")
    names = list(mp.concepts.scenes(pairs=1))[:16]
    library = mp.concepts.scenes(concepts=names, pairs=2)
    given = (model, random_vectors(model, names), library)
    settings = {"strengths": strengths, "draws": 8, "controls": ("random",), "metrics": ("logprob",)}
    plain = sweeps.sweep(*given, **settings, max_new_tokens=2, progress=False)
    batches = len(ran)
    stored = sweeps.sweep(*given, **settings, max_new_tokens=2, progress=False, store=tmp_path / "grid.zarr")
    assert len(ran) - batches <= batches
    assert plain.logprob_unsteered.notnull().all()
    same(stored, plain)
    units = UnitStore.open(tmp_path / "grid.zarr").units
    assert strengths != (0,) or len(units) == math.ceil(plain.sizes["sample"] / UNSTEERED)


@pytest.mark.parametrize("scope", ["next", "image"])
def test_a_store_gives_what_the_sweep_gives_without_one(undisturbed, monkeypatch, scope):
    killed.small_chunks(monkeypatch.setattr)
    grid, _ = undisturbed(scope)
    same(grid, sweeps.sweep(**killed.arguments(scope)))


def test_shards_in_any_order_and_repetition_fill_the_same_store(tmp_path, undisturbed, monkeypatch):
    killed.small_chunks(monkeypatch.setattr)
    store, (grid, whole) = tmp_path / "new folder" / "grid.zarr", undisturbed("next")
    killed_run(store, "next", "chunk", 2, shard="2/3")
    for shard in ("3/3", "1/3", "3/3"):
        part = sweeps.sweep(**killed.arguments("next"), store=store, shard=shard)
        assert part.attrs["progress"] < 1
    last = sweeps.sweep(**killed.arguments("next"), store=store, shard="2/3")
    exactly(last.drop_attrs(), grid.drop_attrs())
    exactly(xr.open_zarr(store).drop_attrs(), whole.drop_attrs())


@pytest.mark.parametrize("shard", ["0/3", "4/3", "3", 3, "a/b"])
def test_a_shard_that_is_none_is_refused(tiny, pictures, tmp_path, shard):
    with pytest.raises(ValueError, match="expected a text such as '3/16'"):
        sweeps.sweep(tiny, random_vectors(tiny), pictures[:1], store=tmp_path / "s", shard=shard, **SMALL)
    with pytest.raises(ValueError, match="into a store that the others fill too: give store="):
        sweeps.sweep(tiny, random_vectors(tiny), pictures[:1], shard="1/2", **SMALL)


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


def test_progress_can_be_read_while_another_process_fills_the_store(tmp_path, tiny, pictures, monkeypatch):
    killed.small_chunks(monkeypatch.setattr)
    store, shares, runs = tmp_path / "grid.zarr", [], []
    with pytest.raises(FileNotFoundError, match="no store at .*first unit"):
        sweeps.read_progress(store)
    for grid in sweeps.sweep_iter(tiny, random_vectors(tiny), pictures[:2], store=store, **SMALL):
        progress, seen = sweeps.read_progress(store), sweeps.open_grid(store)
        runs.append(progress.done)
        shares.append(seen.attrs["progress"])
        assert shares[-1] <= grid.attrs["progress"] and (progress.rate > 0) == (progress.done > 0)
        own = seen.sel(control="concept", draw=0)
        assert np.isfinite(own.logprob.values[own.done.values]).all()
    assert shares == sorted(shares) and len(set(runs)) > 3
    last, seen = sweeps.read_progress(store), sweeps.open_grid(store)
    assert seen.attrs["progress"] == 1 and last.seconds > 0
    xr.testing.assert_equal(mp.effect(seen, "logprob"), mp.effect(grid, "logprob"))
    assert last.done == last.total == 2 * 2 * (2 + 4 + 4) and last.finished


def test_the_grid_of_few_cells_is_few_files(tmp_path, tiny, pictures):
    sweeps.sweep(tiny, random_vectors(tiny), pictures[:4], store=tmp_path / "grid.zarr", **SMALL)
    assert len(list((tmp_path / "grid.zarr").rglob("*"))) < 200


CHANGES = [
    ({"strengths": (0, 1, 2)}, r"strengths: stored \[0.0, 1.0\], asked for \[0.0, 1.0, 2.0\]"),
    (
        {"operation": "replace", "to": "dog"},
        r"operation: stored 'add', asked for 'replace'; to: stored None, asked for 'dog",
    ),
    ({"draws": 6}, r"draws: stored \[4, 4\], asked for \[6, 6\]"),
    ({"answer_prefix": "this is"}, r"answer_prefix: stored \[.*\], asked for \[.*\]"),
    ({"prompt": "what is this?"}, r"prompt: stored \['.*'\], asked for \['what is this\?'\]"),
    (
        {"record": ("residual_norm",), "read_layers": [1]},
        r"record: stored \['projection'\], asked for \['residual_norm'\]",
    ),
]


@pytest.fixture(scope="module")
def stored(tiny, pictures, tmp_path_factory):
    """Settings of a sweep, and its store."""
    settings = SMALL | {"record": "projection", "read_layers": [1]}
    store = tmp_path_factory.mktemp("stored") / "grid.zarr"
    sweeps.sweep(tiny, random_vectors(tiny), pictures[:1], store=store, **settings)
    return settings, store


@pytest.mark.parametrize(("changes", "message"), CHANGES)
def test_a_store_of_other_settings_names_the_field_and_both_values(tiny, pictures, stored, changes, message):
    settings, store = stored
    with pytest.raises(ValueError, match=rf"the store {store} holds a sweep with other settings.*{message}"):
        sweeps.sweep_iter(tiny, random_vectors(tiny), pictures[:1], store=store, **settings | changes)


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
        with pytest.raises(ValueError, match="exists and holds no sweep: give a new path"):
            sweeps.sweep(tiny, random_vectors(tiny), pictures[:1], store=path, **SMALL)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    sweeps.sweep(tiny, random_vectors(tiny), pictures[:1], store=tmp_path / "empty", **SMALL)
    assert sweeps.read_progress(tmp_path / "empty").finished


def test_other_libraries_are_warned_of_and_recorded(tmp_path, tiny, pictures, monkeypatch):
    killed.small_chunks(monkeypatch.setattr)
    store = tmp_path / "grid.zarr"
    with monkeypatch.context() as patch:
        patch.setattr(schema, "dependency_versions", lambda: {"torch": "1.0"})
        grids = sweeps.sweep_iter(tiny, random_vectors(tiny), pictures[:2], store=store, **SMALL)
        next(grids)
        grids.close()
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
    dims = (schema.SAMPLE, schema.READ_LAYER, schema.TOKEN, schema.HIDDEN)
    region = (slice(0, 2), slice(1, 3), slice(0, 2), slice(None))
    taken = Recording(lazy(dims, parts, schema.READ_LAYER), parts).take(region)
    np.testing.assert_array_equal(taken, whole[region])
    empty = [torch.zeros(2, 3, 2) for _ in parts]
    Recording(lazy(dims, empty, schema.READ_LAYER), empty).fill((slice(None),) * 4, whole)
    assert all(torch.equal(a, b) for a, b in zip(parts, empty, strict=True))
