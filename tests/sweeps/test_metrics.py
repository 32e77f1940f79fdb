"""What the metrics of a sweep mean, worked out again from its answers and from plain forwards."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import mllm_probe as mp
import mllm_probe.sweeps as sweeps
from mllm_probe.concepts import Concept, ConceptLibrary, Picture
from mllm_probe.metrics.text import kept, named, repetition
from tests.conftest import noise_picture
from tests.sweeps.helpers import random_vectors, wrapped_family

WORDS = {"cat": ["cat", "tree"], "sketch": ["sketch", "red"], "order": ["order", "the"]}


def picture(seed: int, labels: set[str], pair: int) -> Picture:
    image: Image.Image = noise_picture(seed)
    return Picture(image, labels=frozenset(labels), pair=pair)


@pytest.fixture(scope="module")
def library():
    """Three concepts of two categories on a handful of labelled pictures."""
    with_cat = [picture(i, {"cat", "order"}, i) for i in range(2)]
    without = [picture(10 + i, {"order"}, i) for i in range(2)]
    sketched = [picture(20 + i, {"sketch", "order"}, 5 + i) for i in range(2)]
    plain = [picture(30 + i, {"order", "cat"}, 5 + i) for i in range(2)]
    return ConceptLibrary(
        [
            Concept("cat", "entity", tuple(WORDS["cat"]), with_cat, without, paired=True),
            Concept("sketch", "visual_style", tuple(WORDS["sketch"]), sketched, plain, paired=True),
            Concept("order", "visual_style", tuple(WORDS["order"]), sketched, without, paired=True),
        ]
    )


@pytest.fixture(scope="module")
def vectors(tiny):
    made = random_vectors(tiny, tuple(WORDS), words=WORDS)
    return made.assign_coords(category=("concept", ["entity", "visual_style", "visual_style"]))


@pytest.fixture(scope="module")
def grid(tiny, vectors, library):
    fit, _ = library.split(0.5)
    return sweeps.sweep(
        tiny, vectors, fit, layers=[0, 2], strengths=(-1, 0, 1), draws=4, max_new_tokens=6, progress=False,
        metrics=("logprob", "logit", "named", "kept", "kl", "perplexity"),
    )  # fmt: skip


def cells(grid):
    """All cells that were run, as (index, dataset)."""
    stacked = grid.stack(cell=("concept", "layer", "strength", "control", "draw", "sample"))
    return [stacked.isel(cell=i) for i in range(stacked.sizes["cell"]) if np.isfinite(stacked.repetition.values[i])]


def test_a_library_brings_its_pictures_labels_and_splits(grid, library):
    fit, _ = library.split(0.5)
    assert grid.sample.values.tolist() == [p.id for p in fit.pictures]
    assert set(grid.split.values.tolist()) == {"fit"} and grid.pair.dtype.kind == "i"
    assert grid.category.values.tolist() == ["entity", "visual_style", "visual_style"]


def test_named_kept_and_repetition_read_the_answer(grid, library):
    fit, _ = library.split(0.5)
    labels = {p.id: p.labels for p in fit.pictures}
    found = cells(grid)
    assert len(found) > 100
    for cell in found:
        concept, text = str(cell.concept.values), str(cell.text.values)
        assert float(cell.named) == named(text, WORDS[concept])
        same_slot = {"cat": {"cat"}, "sketch": {"sketch", "order"}, "order": {"sketch", "order"}}[concept]
        expected = kept(text, labels[str(cell.sample.values)], WORDS, without=same_slot)
        np.testing.assert_equal(float(cell.kept), np.float32(expected))
        np.testing.assert_equal(float(cell.repetition), np.float32(repetition(text)))
    assert {0.0, 1.0} <= {float(cell.named) for cell in found}
    assert any(np.isfinite(float(cell.kept)) for cell in found) and any(np.isnan(float(cell.kept)) for cell in found)


def test_a_grid_and_its_effect_say_which_words_name_each_concept(grid):
    for found in (grid, mp.effect(grid, "logprob")):
        assert [json.loads(words) for words in found.words.values] == [list(WORDS[name]) for name in WORDS]


def test_eligible_images_lack_the_concept_or_name_it(grid, library):
    fit, _ = library.split(0.5)
    for sample, one in zip(grid.sample.values, fit.pictures, strict=True):
        for concept in WORDS:
            says = bool(grid.named_unsteered.sel(concept=concept, sample=sample))
            here = grid.eligible.sel(concept=concept, sample=sample)
            negative, positive = (
                one.id in {p.id for p in side} for side in (fit[concept].negative, fit[concept].positive)
            )
            assert bool(here.sel(strength=1)) == (negative and not says)
            assert bool(here.sel(strength=-1)) == (positive and says)
            own = grid.logprob.sel(concept=concept, sample=sample, control="concept").isel(draw=0)
            assert (
                np.isfinite(own.sel(strength=1)).all() == negative
                and np.isfinite(own.sel(strength=-1)).all() == positive
            )
            assert np.isfinite(own.sel(strength=0)).all()


def test_perplexity_is_the_unsteered_models_without_the_first_mention(tiny, grid, library):
    fit, _ = library.split(0.5)
    checked = 0
    for cell in cells(grid.sel(strength=[1], control=["concept"], draw=[0])):
        concept, sample = str(cell.concept.values), str(cell.sample.values)
        ratio = plain_perplexity(tiny, fit, concept, cell.tokens) / plain_perplexity(
            tiny, fit, concept, grid.tokens_unsteered.sel(sample=sample)
        )
        np.testing.assert_allclose(float(cell.perplexity), ratio, rtol=1e-3)
        checked += 1
    assert checked == 2 * sum(len(fit[concept].negative) for concept in WORDS)
    assert "has the concept" in grid.attrs["perplexity_picture"]


def plain_perplexity(model, library, concept, tokens):
    answer = [int(t) for t in tokens.values if t >= 0]
    answer = answer[: answer.index(2)] if 2 in answer else answer
    prompt = model.encode([library[concept].positive[0]])
    ids = torch.cat([prompt.tensors["input_ids"], torch.tensor([answer], device=model.device)], 1)
    logits = model.hf(
        input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=prompt.tensors["pixel_values"]
    ).logits[0, prompt.prompt_length - 1 : -1]
    scores = logits.log_softmax(-1).gather(-1, torch.tensor(answer, device=model.device)[:, None])[:, 0].tolist()
    words = [model.decode([t]) for t in answer]
    mention = next((i for i, w in enumerate(words) if w in WORDS[concept]), None)
    scores = [s for i, s in enumerate(scores) if i != mention]
    return np.exp(-np.mean(scores)) if scores else np.nan


def test_without_labels_kept_is_not_defined_and_answers_are_read_without_picture(tiny, vectors, pictures):
    grid = sweeps.sweep(tiny, vectors, pictures[:2], layers=[1], strengths=(1,), draws=4, progress=False)
    assert np.isnan(grid.kept).all() and np.isfinite(grid.perplexity.sel(control="concept", draw=0)).all()
    assert grid.attrs["perplexity_picture"] == "one that has the concept, else none"
    assert "split" not in grid.coords


def test_an_empty_answer_is_not_a_number(tiny, vectors, pictures, monkeypatch):
    monkeypatch.setattr(type(tiny), "eos_token_ids", property(lambda self: set(range(200))))
    grid = sweeps.sweep(tiny, vectors, pictures[:1], layers=[1], strengths=(0, 1), draws=4, progress=False)
    assert np.isnan(grid.perplexity).all() and np.isnan(grid.repetition).all()
    assert (grid.named.sel(control="concept", draw=0) == 0).all() and (grid.text == "").all()
    assert np.isfinite(grid.kl.sel(control="concept", draw=0)).all()


def test_without_a_tokenizer_words_are_token_ids(device):
    model, inputs = wrapped_family("llava", device)
    vectors = random_vectors(model, words={"cat": [7, [8, 9]], "dog": []})
    grid = sweeps.sweep(model, vectors, inputs=inputs, layers=[1], strengths=(1,), draws=4, progress=False)
    own = grid.sel(control="concept", draw=0, layer=1, strength=1).isel(sample=0)
    assert np.isfinite(own.logprob.sel(concept="cat")) and np.isnan(own.logprob.sel(concept="dog"))
    answer = own.tokens.sel(concept="cat").values.tolist()
    assert bool(own.named.sel(concept="cat")) == (7 in answer or [8, 9] in [answer[i : i + 2] for i in range(8)])
    assert np.isfinite(own.perplexity.sel(concept="cat"))
