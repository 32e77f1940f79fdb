"""Concept vectors from a capture, in memory or on the disk: those of forward passes, without loading it whole."""

import numpy as np
import pytest

import mllm_probe as mp
from mllm_probe.activations import capturing
from mllm_probe.activations.unit_store import UnitStore
from mllm_probe.vectors import pooling
from tests.conftest import noise_picture
from tests.vectors.test_vectors import Library, concept

METHODS = ("mean_difference", "pca", "probe")


@pytest.fixture(scope="module")
def images():
    return [noise_picture(seed) for seed in range(12)]


@pytest.fixture(scope="module")
def library(images):
    return Library(cat=concept(images[:4], images[4:8]), dog=concept(images[6:9], images[9:12], words=("dog",)))


@pytest.fixture(scope="module")
def store(tiny, images, tmp_path_factory):
    """Every token of the images, in another order than the library's, four units of three."""
    path = tmp_path_factory.mktemp("captured") / "acts.zarr"
    with pytest.MonkeyPatch.context() as small:
        small.setattr(capturing, "_MOST_IMAGES", 3)
        mp.capture(tiny, [*images[5:], *images[:5]], tokens="all", store=path)
    return path


def agree(found, wanted, tolerance=1e-6):
    assert found.data_vars.keys() == wanted.data_vars.keys() and found.attrs == wanted.attrs
    for name in wanted.variables:
        one, other = found[name].values, wanted[name].values
        if other.dtype.kind != "f":
            assert one.tolist() == other.tolist(), name
        else:
            # manifold is kept in bfloat16, which rounds a difference of 1e-7 to one of its last digit
            close = 0.008 if name == "manifold" else tolerance
            size = np.nanmax(np.abs(other), initial=1e-30)
            np.testing.assert_allclose(one, other, rtol=0, atol=close * size, err_msg=name)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_the_vectors_of_forward_passes(tiny, library, store, method, monkeypatch):
    tokens = ("last_prompt", "image", "text", "all") if method == "mean_difference" else ("last_prompt", "image")
    options = {"method": method, "tokens": tokens, "shuffled_draws": 2, "seed": 1, "probe_accuracy": method == "pca"}
    wanted = mp.concept_vectors(tiny, library, **options)
    monkeypatch.setattr(pooling, "_MOST_IMAGES", 2)
    monkeypatch.setattr(type(tiny.hf), "forward", None)  # the model runs no more
    agree(mp.concept_vectors(tiny, library, activations=store, **options), wanted)
    opened = mp.activations.open_zarr(store)
    agree(mp.concept_vectors(tiny, library, activations=opened, layers=[2], **options), wanted.sel(layer=[2]))


@pytest.mark.parametrize("method", METHODS)
def test_a_store_is_never_loaded_whole(tiny, library, store, method, monkeypatch):
    sizes, original = [], UnitStore.read
    monkeypatch.setattr(
        UnitStore, "read", lambda s, *arguments: sizes.append((v := original(s, *arguments)).nbytes) or v
    )
    monkeypatch.setattr(pooling, "_MOST_IMAGES", 2)
    accuracy = method == "mean_difference"
    mp.concept_vectors(tiny, library, method=method, activations=store, probe_accuracy=accuracy, layers=[0, 3])
    whole = mp.activations.open_zarr(store).activation.nbytes
    assert sum(sizes) >= whole // 2 and max(sizes) == whole // len(tiny.layers) // 6, "two of twelve images, one layer"


def test_a_capture_in_memory_is_taken_too(tiny, library, images):
    acts = mp.capture(tiny, images, tokens=("last_prompt", "image"))
    found = mp.concept_vectors(tiny, library, activations=acts, probe_accuracy=False)
    wanted = mp.concept_vectors(tiny, library, probe_accuracy=False)
    agree(found.drop_vars(["residual_norm_at_text"]), wanted.drop_vars(["residual_norm_at_text"]))
    assert found.residual_norm_at_text.isnull().all(), "not every text token was captured"


def test_ragged_prompts_of_sentences_are_pooled_at_their_own_tokens(tiny):
    texts = ["What?", "What do you see?", "Is the cat left of the dog?", "Is the dog red?"]
    acts = mp.capture(tiny, None, texts, tokens="all", batch_size=4)
    captured = pooling.CapturedActivations(acts, tiny, ("last_prompt", "text", "all"), [0, 3])
    captured.select(tiny.samples(None, texts[::-1]))
    alone = [mp.capture(tiny, None, text, tokens="all", layers=[3]).activation.values[0, 0] for text in texts[::-1]]
    found = captured.pooled_layer(1)
    for one, values in zip(found, alone, strict=True):
        np.testing.assert_allclose(one[0], values[-1], atol=2e-5)
        np.testing.assert_allclose(one[2], values.mean(0), atol=2e-5)


def test_progress_counts_images(tiny, library, store):
    seen = []
    mp.concept_vectors(
        tiny, library, activations=store, probe_accuracy=False, progress=lambda done, total: seen.append((done, total))
    )
    assert seen[-1] == (12, 12) and seen == sorted(seen)


def test_what_does_not_fit_is_refused(tiny, library, images, store, tmp_path):
    def made(**options):
        return mp.concept_vectors(tiny, library, probe_accuracy=False, **options)

    few = mp.capture(tiny, images[:10], tokens="all", layers=[1])
    with pytest.raises(ValueError, match=r"captured at layers \[1\], not at \[0, 2, 3\]"):
        made(activations=few)
    with pytest.raises(ValueError, match="2 of the 12 images of the library were not captured"):
        made(activations=few, layers=[1])
    with pytest.raises(ValueError, match="captured at last_prompt, which does not hold every token of 'image'"):
        made(activations=mp.capture(tiny, images))
    with pytest.raises(ValueError, match="the activations were captured with 'What do you see.'; got 'What.'"):
        made(activations=store, prompt="What?")
    several = mp.capture(tiny, images, ["What?", "Is the dog red?"] * 6, tokens="all")
    with pytest.raises(ValueError, match="captured with several prompts; vectors are made with one"):
        made(activations=several)
    edits = mp.Steering(made(activations=store).sel(concept="cat"), layers=[1])
    with pytest.raises(ValueError, match="captured while steering .*; vectors are made without"):
        made(activations=mp.capture(tiny, images, tokens="all", steering=edits))
    with pytest.raises(ValueError, match="these activations were made with .* but are used with"):
        mp.concept_vectors(mp.randomised(tiny), library, activations=store)
    with pytest.raises(FileNotFoundError, match="there is no Zarr store at"):
        made(activations=tmp_path / "nothing")
