"""What of the package lies on which device, and that it is freed when nothing refers to it."""

import gc
from collections import Counter

import numpy as np
import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef

import mllm_probe as mp
from mllm_probe.activations.device_array import tensor_of
from tests import accelerator
from tests.conftest import quick_collections
from tests.sweeps.helpers import random_vectors


@pytest.fixture(scope="module", autouse=True)
def collections():
    """What earlier tests left behind in circles is gone."""
    with quick_collections():
        yield


def listed(*before):
    """Rows that were not there before, as (made_by, shape, bytes)."""
    rows = Counter((row.made_by, row.shape, row.bytes) for row in mp.memory().itertuples())
    return list((rows - Counter(before)).elements())


def test_a_capture_is_listed_once_with_its_bytes_and_is_gone_when_nothing_refers_to_it(tiny, pictures):
    before = listed()
    acts = mp.capture(tiny, pictures[:2], tokens="image")
    size = 2 * 4 * 16 * 32 * 4
    assert listed(*before) == [("capture", (2, 4, 16, 32), size)]
    part = acts.activation.isel(layer=1).transpose("hidden", ...)
    memory = StorageWeakRef(tensor_of(acts.activation).untyped_storage())
    assert len(listed(*before)) == 1, "a selection shares memory"
    del acts
    gc.collect()
    assert [row[::2] for row in listed(*before)] == [("capture", size)]
    del part
    assert listed(*before) == [] and memory.expired()


def test_the_accessor_does_not_keep_what_it_read(tiny, pictures):
    acts = mp.capture(tiny, pictures[:2])
    memory = StorageWeakRef(tensor_of(acts.activation).untyped_storage())
    gc.disable()
    try:
        acts.activation.torch.norm()
        del acts
        assert memory.expired()
    finally:
        gc.enable()


def test_vectors_recordings_and_results_name_the_function_that_made_them(tiny, pictures, tmp_path):
    before = listed()
    vectors = random_vectors(tiny)
    own = mp.vectors_from(tiny, {"a": np.ones((4, 32), np.float32)}, pictures[:1])
    mp.save_vectors(own, tmp_path / "v.safetensors")
    loaded = mp.load_vectors(tmp_path / "v.safetensors", model=tiny)
    grid = mp.sweep(
        tiny, vectors, pictures[:1], layers=[1], strengths=(1,), draws=4, metrics=("tokens",), max_new_tokens=1,
        record=("activation",), progress=False,
    )  # fmt: skip
    norm = mp.capture(tiny, pictures[:1]).activation.torch.norm()
    made = [row[0] for row in listed(*before)]
    assert {"vectors_from", "load_vectors", "sweep", "calculation"} <= set(made) and "capture" not in made
    del vectors, own, loaded, grid, norm
    gc.collect()
    assert listed(*before) == []


def test_a_concept_s_vectors_are_listed(tiny):
    before = listed()
    library = mp.concepts.scenes(concepts=["cat"], pairs=4)
    vectors = mp.concept_vectors(tiny, library, shuffled_draws=2, probe_accuracy=False)
    assert {row[0] for row in listed(*before)} == {"concept_vectors"}
    assert sum(row[2] for row in listed(*before)) >= vectors.vector.nbytes + vectors.shuffled.nbytes
    del vectors
    gc.collect()
    assert listed(*before) == []


def test_devices_are_told_apart_and_a_capture_can_be_kept_elsewhere(pictures):
    accelerator.install()
    from tests.zoo import tiny_llava

    model = tiny_llava()
    expected = mp.capture(model, pictures[:3], tokens="text").load()
    model.hf.to("sim")
    before = mp.memory().groupby("device").bytes.sum()
    there = mp.capture(model, pictures[:3], tokens="text", batch_size=2)
    with accelerator.counted() as traffic:
        here = mp.capture(model, pictures[:3], tokens="text", batch_size=2, device="cpu")
    added = mp.memory().groupby("device").bytes.sum().sub(before, fill_value=0)
    assert added["sim:0"] == there.activation.nbytes and added["cpu"] == here.activation.nbytes
    assert tensor_of(here.activation).device == torch.device("cpu")
    copies = sum(count for (_, place), count in traffic.waits.items() if "captured_rows" in place)
    assert copies == 2, "one copy for all layers of a batch"
    for acts in (there, here):
        np.testing.assert_allclose(acts.activation.values, expected.activation.values, atol=1e-5)


def test_an_empty_list_has_its_columns():
    assert list(mp.memory().columns) == ["made_by", "shape", "dtype", "device", "bytes"]


def test_a_device_that_is_none_is_refused(tiny, pictures):
    with pytest.raises(ValueError, match="device: expected 'cpu', 'cuda', 'cuda:1' or 'mps'; got 'gpu'"):
        mp.capture(tiny, pictures[:1], device="gpu")
