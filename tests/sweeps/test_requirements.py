"""What a metric lacks of words and labels is said before a sweep runs, and a metric that lacks nothing needs none."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mllm_probe as mp
from mllm_probe.sweeps.engine import Engine
from tests.sweeps.helpers import random_vectors, wrapped_family

SMALL = {"layers": [2], "strengths": (1,), "draws": 4, "controls": "random", "max_new_tokens": 2, "progress": False}


@pytest.fixture(scope="module")
def model():
    return mp.load("scenes-8l")


@pytest.fixture(scope="module")
def picture():
    return mp.concepts.scenes(concepts=["cat"], pairs=1)["cat"].negative[0]


def vectors_with(model, **words):
    return random_vectors(model, tuple(words), words=words)


def texts(caught):
    return [str(one.message) for one in caught if issubclass(one.category, UserWarning)]


@pytest.mark.parametrize("metric", ["logprob", "logit", "named", "off_target"])
def test_a_metric_that_was_asked_for_raises_before_the_run(model, picture, metric, monkeypatch):
    monkeypatch.setattr(Engine, "run", lambda self: pytest.fail("the sweep runs"))
    vectors = vectors_with(model, sae_123=["zebra", "quagga"], none=[])
    with pytest.raises(ValueError) as raised:
        mp.sweep(model, vectors, [picture], metrics=(metric,), **SMALL)
    text = str(raised.value)
    assert text.startswith(f"'{metric}' cannot be computed.") and f"leave '{metric}' out" in text
    assert "'sae_123' has words unknown to the model ('zebra', 'quagga'); 'none' has no words" in text
    assert "mp.vectors_from(…, words={name: ['cat']})" in text


def test_one_concept_without_known_words_is_named_in_one_warning(model, picture):
    vectors = vectors_with(model, cat=["cat"], strange=["zebra"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        grid = mp.sweep(model, vectors, [picture], metrics=("logprob", "named"), **SMALL)
    (text,) = texts(caught)
    assert "'strange' has words unknown to the model ('zebra')" in text and "'cat' has" not in text
    assert "'logprob', 'named' cannot be computed" in text
    own = grid.logprob.sel(control="concept").isel(draw=0)
    assert np.isfinite(own.sel(concept="cat")).all() and np.isnan(own.sel(concept="strange")).all()


def test_defaults_that_cannot_be_computed_are_named_in_one_warning(model, picture):
    vectors = vectors_with(model, strange=["zebra"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        grid = mp.sweep(model, vectors, [picture.image], **SMALL)
    (text,) = texts(caught)
    assert "'strange' has words unknown to the model ('zebra')" in text and "None of the images has labels" in text
    assert (
        np.isnan(grid.logprob).all() and np.isnan(grid.kept).all() and np.isfinite(grid.kl.sel(control="concept")).any()
    )
    assert (
        Path(next(one.filename for one in caught if issubclass(one.category, UserWarning))).name == Path(__file__).name
    )


def test_kept_needs_labels(model, picture):
    vectors = vectors_with(model, cat=["cat"])
    with pytest.raises(
        ValueError, match=r"'kept' cannot be computed\. None of the images has labels.*leave 'kept' out"
    ):
        mp.sweep(model, vectors, [picture.image], metrics=("named", "kept"), **SMALL)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        grid = mp.sweep(model, vectors, [picture, Image.new("RGB", (64, 64))], metrics=("named", "kept"), **SMALL)
        mp.sweep(model, vectors, [picture], **SMALL)
    assert np.isnan(grid.kept.isel(sample=1)).all()


@pytest.mark.parametrize("metric", ["tokens", "kl", "perplexity", "repetition"])
def test_answers_alone_need_no_words(metric, device):
    model, inputs = wrapped_family("llava", device)
    vectors = mp.vectors_from(model, {"sae_123": np.ones(model.hidden_size)}, inputs=inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        grid = mp.sweep(model, vectors, inputs=inputs, metrics=(metric,), **SMALL)
    assert metric == "tokens" or np.isfinite(grid[metric].sel(control="concept")).any()
    with pytest.raises(ValueError, match="'logprob' cannot be computed.*'sae_123' has no words"):
        mp.sweep(model, vectors, inputs=inputs, metrics=("logprob",), **SMALL)
    ids = mp.vectors_from(model, {"sae_123": np.ones(model.hidden_size)}, inputs=inputs, words={"sae_123": [[7], 9]})
    assert np.isfinite(mp.sweep(model, ids, inputs=inputs, metrics=("logprob",), **SMALL).logprob).any()


def test_words_as_text_need_a_tokenizer(device):
    model, inputs = wrapped_family("llava", device)
    vectors = mp.vectors_from(model, {"mine": np.ones(model.hidden_size)}, inputs=inputs, words={"mine": ["cat"]})
    with pytest.raises(ValueError, match=r"'mine' has words as text \('cat'\) and a model without a tokenizer"):
        mp.sweep(model, vectors, inputs=inputs, metrics=("logprob",), **SMALL)


def test_the_words_of_a_library_stand_in_for_missing_ones(model):
    library = mp.concepts.scenes(concepts=["cat"], pairs=1)
    vectors = vectors_with(model, cat=[])
    grid = mp.sweep(model, vectors, library, metrics=("logprob",), **SMALL)
    same = mp.sweep(model, vectors_with(model, cat=list(library["cat"].words)), library, metrics=("logprob",), **SMALL)
    assert np.array_equal(grid.logprob, same.logprob, equal_nan=True)
