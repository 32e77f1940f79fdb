"""Images unlike those of the vectors, by their distance in the residual stream."""

import warnings

import numpy as np
import pytest
from PIL import Image

import mllm_probe as mp
from mllm_probe.vectors.directions import unlike_note


@pytest.fixture(scope="module")
def model():
    return mp.load("scenes-4l")


@pytest.fixture(scope="module")
def halves():
    return mp.concepts.scenes(concepts=["cat", "neon", "order", "chaos"], pairs=16, seed=3).split(seed=0)


@pytest.fixture(scope="module")
def vectors(model, halves):
    return mp.concept_vectors(model, halves[0], shuffled_draws=0, probe_accuracy=False)


@pytest.fixture(scope="module")
def noise():
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)) for _ in range(4)]


def test_distances_are_those_to_the_nearest_activation_that_is_kept(model, vectors, halves):
    images = halves[1].pictures[:5]
    found = mp.vectors.likeness(model, vectors, images)
    acts = mp.capture(model, [p.image for p in images], tokens="last_prompt").activation.isel(token=0)
    manifold = vectors.manifold.sel(scope="last_prompt").astype("float64") + vectors.manifold_mean.sel(
        scope="last_prompt"
    ).astype("float64")
    logs, own_logs = [], []
    pair_of = np.array([f"{name} {p.pair}" for name, one in halves[0].items() for p in (*one.positive, *one.negative)])
    assert len(pair_of) == vectors.sizes["manifold_sample"], "all images are kept, in the library's order"
    for layer in vectors.layer.values:
        kept = manifold.sel(layer=layer).transpose("manifold_sample", "hidden").values
        asked = acts.sel(layer=layer).transpose("sample", "hidden").values
        kept, asked = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (kept, asked))
        apart = np.linalg.norm(kept[:, None] - kept[None], axis=-1)
        apart[pair_of[:, None] == pair_of] = np.inf
        typical = np.median(apart.min(1))
        own_logs.append(np.log(apart.min(1) / typical))
        logs.append(np.log(np.linalg.norm(asked[:, None] - kept[None], axis=-1).min(1) / typical))
    np.testing.assert_allclose(found.distance, np.exp(np.mean(logs, 0)), rtol=2e-3)
    as_far = (1 + (np.mean(own_logs, 0)[None] >= np.mean(logs, 0)[:, None]).sum(1)) / (1 + len(own_logs[0]))
    np.testing.assert_allclose(found.share_as_far, as_far, atol=0.02)


def test_noise_is_unlike_and_most_held_out_images_are_not(model, vectors, halves, noise):
    assert mp.vectors.likeness(model, vectors, noise).unlike.mean() >= 0.5
    assert mp.vectors.likeness(model, vectors, halves[1].pictures).unlike.mean() <= 0.2
    own = mp.vectors.likeness(model, vectors.sel(concept="cat"), halves[0].pictures[:3])
    assert not own.unlike.any() and (own.distance < 0.1).any()


def test_vectors_remember_the_images_they_were_made_with(model, vectors, halves, tmp_path):
    assert set(vectors.fit_image.values) == {picture.id for picture in halves[0].pictures}
    mp.save_vectors(vectors, tmp_path / "v.safetensors")
    again = mp.load_vectors(tmp_path / "v.safetensors", model=model)
    assert again.fit_image.values.tolist() == vectors.fit_image.values.tolist()
    images = halves[1].pictures[:2]
    both = [mp.vectors.likeness(model, one, images).distance.values for one in (vectors, again)]
    np.testing.assert_array_equal(*both)


def test_vectors_that_carry_too_few_activations_are_refused(model, halves):
    few = mp.concept_vectors(model, halves[0].subset(concepts=["cat"], pairs=8), layers=[1], probe_accuracy=False)
    with pytest.raises(ValueError, match="at least 20 activations of their images; got 16"):
        mp.vectors.likeness(model, few, halves[1].pictures[:1])
    assert unlike_note(model, few, halves[1].pictures[0].image) == ""


def test_generate_warns_of_an_image_that_is_unlike(model, vectors, halves, noise):
    steering = mp.Steering(vectors.sel(concept="cat"), [1])
    with pytest.warns(UserWarning, match="unlike those that the vectors were made with"):
        mp.generate(model, noise[0], steering=[None, steering], max_new_tokens=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mp.generate(model, noise[0], max_new_tokens=2)
        mp.generate(model, halves[0].pictures[0].image, steering=steering, max_new_tokens=2)


def test_check_says_how_many_images_are_unlike(model, vectors, halves):
    seen = mp.check(model, halves[1], vectors=vectors)
    found = mp.vectors.likeness(model, vectors, halves[1]["cat"].pictures)
    assert float(seen.unlike.sel(concept="cat")) == float(found.unlike.mean())
    assert "unlike" not in mp.check(model, halves[1].subset(concepts=["cat"]))
