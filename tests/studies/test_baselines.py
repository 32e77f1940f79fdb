"""Baselines of studies: a concept told in words, and a related concept's vector."""

import numpy as np
import pytest
import xarray as xr

import mllm_probe as mp
from mllm_probe.studies.baselines import IMAGES, baseline_rows, baselines, prompt_sentence, related_concepts
from mllm_probe.studies.study_runs import StudyRuns

NAMES = ["cat", "house", "neon", "sketch", "order"]


@pytest.fixture(scope="module")
def run():
    model, library = mp.load("scenes-4l", device="cpu"), mp.concepts.scenes(concepts=NAMES, pairs=14)
    names = dict.fromkeys(("vectors", "grids", "prompt", "store"))
    return StudyRuns("atlas", (), model, library, seed=0, progress=False, **names)


@pytest.fixture(scope="module")
def beside(run):
    return baselines(run, run.vectors("last_prompt"), ("last_prompt",), 2)


def test_the_sentence_is_the_first_whose_words_the_tokenizer_knows(run):
    model = run.model
    assert prompt_sentence(model, run.others["cat"]) == "There is a cat in the picture."
    assert prompt_sentence(model, run.others["cat"], denied=True) == "There is no cat in the picture."
    assert prompt_sentence(model, run.others["neon"]) == "The style of the picture is neon."
    assert prompt_sentence(model, run.others["order"]) is None


def test_a_related_concept_is_the_next_of_its_category(run):
    assert related_concepts(run.others) == {"cat": "house", "house": "cat", "neon": "sketch", "sketch": "neon"}


def test_numbers_are_those_of_prompts_and_edits_alone(run, beside):
    model, cat = run.model, run.others["cat"]
    images = cat.negative[:IMAGES]
    vectors = run.vectors("last_prompt")
    scores = []
    for prompt in (model.default_prompt, "There is a cat in the picture. " + model.default_prompt):
        grid = mp.sweep(
            model, vectors.sel(concept=["cat"]), images, prompt, layers=[0], strengths=(0,), controls=(),
            metrics=("logprob", "named"), progress=False,
        )  # fmt: skip
        scores.append(grid.isel(concept=0))
    one = beside.sel(concept="cat")
    change = scores[1].logprob_unsteered - scores[0].logprob_unsteered
    assert float(one.told_logprob) == pytest.approx(float(change.mean()), abs=1e-4)
    assert float(one.told_named) == pytest.approx(float(scores[1].named_unsteered.mean()))
    assert float(one.plain_named) == pytest.approx(float(scores[0].named_unsteered.mean()))
    other = vectors.sel(concept=["house"]).assign_coords(concept=["cat"])
    other["words"] = vectors.words.sel(concept=["cat"]).drop_vars("concept")
    for name, direction in (("own", vectors.sel(concept=["cat"])), ("related", other)):
        grid = mp.sweep(
            model, direction, images, layers=[2], strengths=(1,), tokens="last_prompt", metrics=("logprob",),
            controls=(), progress=False,
        ).isel(concept=0, layer=0, strength=0, control=0, draw=0)  # fmt: skip
        assert float(one[name]) == pytest.approx(float((grid.logprob - grid.logprob_unsteered).mean()), abs=1e-3)
    assert (beside.own > beside.related).sel(concept=["cat", "house", "neon", "sketch"]).all()


def test_what_is_not_known_is_named_with_its_reason(run, beside):
    assert np.isnan(beside.told_named.sel(concept="order")) and np.isnan(beside.told_logprob.sel(concept="order"))
    assert np.isnan(beside.related.sel(concept="order")) and beside.plain_named.notnull().all()
    told, related = (text for _, text in baseline_rows(beside))
    assert told.endswith("not known for order: the tokenizer lacks words of the sentences")
    assert "last_prompt, block 2, +1 residual norm" in related
    few = beside.sel(concept=["order"])
    assert [text for _, text in baseline_rows(few)] == [
        "no sentence is known; not known for order: the tokenizer lacks words of the sentences",
        "no category has two concepts",
    ]


def test_a_negative_dose_is_compared_with_a_sentence_that_denies_the_concept(run):
    found = baselines(run, run.vectors("last_prompt"), ("last_prompt", "generated"), 2, strength=-1.0)
    assert (found.plain_named > 0.8).all(), "images that show the concept"
    assert found.told_named.notnull().all(), "every category has a denial of known words"
    assert found.told_named.sel(concept="cat") <= found.plain_named.sel(concept="cat")
    assert (found.own.sel(concept=["cat", "neon"]) < -1).all()


def test_rows_speak_of_all_rungs_of_a_ladder(beside):
    names = xr.DataArray(["a", "b"], dims="rung", name="rung")
    ladder = xr.concat([beside, beside], names).assign_attrs(beside.attrs)
    assert baseline_rows(ladder) == baseline_rows(beside)
