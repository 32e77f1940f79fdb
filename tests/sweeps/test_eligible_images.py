"""Too few eligible images among plain ones are said once, before the first steered run."""

import warnings

import numpy as np
import pytest

import mllm_probe as mp
from mllm_probe.concepts import Concept, ConceptLibrary, Picture
from tests.conftest import noise_picture
from tests.sweeps.helpers import random_vectors

SETTINGS = {"layers": [1], "draws": 4, "max_new_tokens": 4, "progress": False}
IMAGES = 8


@pytest.fixture(scope="module")
def images():
    return [noise_picture(seed) for seed in range(IMAGES)]


@pytest.fixture(scope="module")
def vectors(tiny, images):
    """Of 'cat', which every unsteered answer names, and of 'dog', which none does."""
    texts = mp.generate(tiny, images, max_new_tokens=4).text
    return random_vectors(
        tiny,
        words={"cat": sorted({word for text in texts for word in text.split() if word.isalpha()}), "dog": ["fish"]},
    )


def shortages(run):
    """Texts of the warnings about too few images."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = run()
    return [str(one.message) for one in caught if "Too few images" in str(one.message)], result


@pytest.mark.parametrize("metrics", [("logprob",), ("logprob", "named")])
@pytest.mark.parametrize("tokens", [("last_prompt", "generated"), "image"])
def test_one_warning_names_the_concepts_and_counts(tiny, vectors, images, tokens, metrics):
    settings = SETTINGS | {"tokens": tokens, "metrics": metrics, "strengths": (-1, 0, 1)}
    [text], grid = shortages(lambda: mp.sweep(tiny, vectors, images, **settings))
    bring, take = text.split("for doses that take a concept away: ")
    assert (
        "for doses that bring a concept: 'cat' (0 of 8: unsteered answers name it on 8 of 8 images without it)" in bring
    )
    assert take.startswith("'dog' (0 of 8: unsteered answers do not name it on 8 of 8 images that may show it)")
    assert "'dog'" not in bring and "'cat'" not in take
    assert "With fewer than 6 their cells have no interval and no verdict" in text and "library in place of" in text
    assert not grid.eligible.sel(concept="cat", strength=1).any()
    assert np.isnan(mp.effect(grid, "logprob").low.sel(concept="cat", strength=1)).all()
    assert np.isfinite(mp.effect(grid, "logprob").low.sel(concept="dog", strength=1)).all()


@pytest.mark.parametrize("tokens", [("last_prompt", "generated"), "image"])
def test_it_comes_before_the_first_steered_run(tiny, vectors, images, tokens):
    grids = mp.sweep_iter(tiny, vectors, images, tokens=tokens, strengths=(1,), metrics=("logprob",), **SETTINGS)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Too few images")
        with pytest.raises(UserWarning, match="'cat'"):
            next(grids)
    assert grids.engine.done == 0 and not np.isfinite(grids.engine.dataset().logprob).any()


def test_images_that_show_the_concept_are_counted_out_by_their_labels(tiny, vectors, images):
    shown = [Picture(image, labels=frozenset({"dog"} if number < 5 else ())) for number, image in enumerate(images)]
    [text], _ = shortages(lambda: mp.sweep(tiny, vectors, shown, strengths=(1,), metrics=("logprob",), **SETTINGS))
    assert "'dog' (3 of 8: unsteered answers name it on 0 of 3 images without it)" in text


def test_nothing_is_said_where_enough_count_or_the_images_are_few_or_of_a_library(tiny, vectors, images):
    settings = SETTINGS | {"strengths": (1,), "metrics": ("logprob",)}
    dog = vectors.sel(concept=["dog"])
    assert shortages(lambda: mp.sweep(tiny, dog, images, **settings))[0] == []
    assert shortages(lambda: mp.sweep(tiny, vectors, images[:5], **settings))[0] == []
    sides = [[Picture(image) for image in side] for side in (images[:4], images[4:])]
    library = ConceptLibrary([Concept("cat", "entity", ("cat",), *sides, paired=True)])
    assert shortages(lambda: mp.sweep(tiny, vectors, library, **settings))[0] == []


def test_a_sweep_that_goes_on_says_it_again_without_decoding_what_is_stored(tiny, vectors, images, tmp_path):
    settings = SETTINGS | {"strengths": (1,), "metrics": ("logprob",), "store": tmp_path / "s"}
    grids = mp.sweep_iter(tiny, vectors, images, **settings)
    first, _ = shortages(lambda: [next(grids), next(grids)])
    grids.close()
    again, grid = shortages(lambda: mp.sweep(tiny, vectors, images, **settings))
    assert len(first) == 1 and again in ([], first) and grid.attrs["progress"] == 1
    assert shortages(lambda: mp.sweep(tiny, vectors, images, **settings))[0] == []


@pytest.mark.parametrize("stored", [False, True])
def test_a_sweep_that_is_stopped_before_its_unsteered_answers_warns_of_none_until_it_has_them(
    tiny, vectors, images, stored, tmp_path
):
    settings = SETTINGS | {"strengths": (1,), "metrics": ("logprob",), "store": tmp_path / "s" if stored else None}
    grids = mp.sweep_iter(tiny, vectors, images, **settings)
    forwards = []

    def stop_at_the_second(*_):
        forwards.append(1)
        if len(forwards) == 2:
            grids.engine.stop()

    handle = tiny.hf.register_forward_pre_hook(stop_at_the_second)
    try:
        texts, _ = shortages(lambda: list(grids))
    finally:
        handle.remove()
    assert len(forwards) >= 2 and grids.engine.done < grids.engine.total
    assert texts == []
    [text], _ = shortages(lambda: list(grids.rest()))
    assert "'cat' (0 of 8: unsteered answers name it on 8 of 8 images without it)" in text and "'dog'" not in text
    assert grids.engine.done == grids.engine.total
