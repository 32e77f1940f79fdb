"""The atlas: cosines of vectors, what they change besides their concept, and what sentences give."""

import re

import numpy as np
import pytest

import mllm_probe as mp
from mllm_probe.studies import atlas_study
from mllm_probe.studies.atlas_study import atlas, summary_of, within_and_across
from mllm_probe.studies.baselines import knows_the_words

NAMES = ["cat", "house", "tree", "neon", "sketch", "dotted"]


@pytest.fixture(scope="module")
def model():
    return mp.load("scenes-4l", device="cpu")


@pytest.fixture(scope="module")
def library():
    return mp.concepts.scenes(concepts=NAMES, pairs=16)


@pytest.fixture(scope="module")
def study(model, library):
    return atlas(model, library, progress=False)


def test_cosines_are_those_of_the_vectors(model, library, study):
    fit, _ = library.split()
    vectors = mp.concept_vectors(model, fit, tokens=("last_prompt",), probe_accuracy=False, progress=False)
    v = vectors.vector.sel(scope="last_prompt", layer=2).values.astype(np.float64)
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    np.testing.assert_allclose(study.cosine.sel(layer=2), v @ v.T, atol=1e-6)
    same = np.array([True, True, True, False, False, False])
    pairs = [(i, j) for i in range(6) for j in range(i + 1, 6)]
    within = np.mean([(v @ v.T)[i, j] for i, j in pairs if same[i] == same[j]])
    assert study.within.sel(layer=2) == pytest.approx(within, abs=1e-6)


def test_categories_that_are_no_groups_have_a_uniform_p():
    g = np.random.default_rng(0)
    p = []
    for seed in range(40):
        v = g.standard_normal((12, 32))
        v /= np.linalg.norm(v, axis=1, keepdims=True)
        p.append(within_and_across(v @ v.T, np.repeat(["a", "b"], 6), seed)[2])
    assert 0.3 < np.mean(p) < 0.7 and np.mean(np.array(p) <= 0.1) <= 0.3
    near = np.repeat(np.eye(2), 6, axis=0) + 0.01
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    within, across, smallest = within_and_across(near @ near.T, np.repeat(["a", "b"], 6))
    assert within > 0.9 > across and smallest < 0.01
    assert np.isnan(within_and_across(np.eye(3), np.array(["a", "a", "a"]))[2])
    assert np.isnan(within_and_across(np.eye(3), np.array(["a", "b", "c"]))[2])


def test_a_vector_causes_its_own_concept_more_than_others(study):
    effect = study.effect.sel(scored_concept=NAMES).values
    np.testing.assert_allclose(np.diag(effect), study.caused)
    assert (study.caused > 1).all()
    off = np.where(np.eye(6, dtype=bool), np.nan, effect)
    assert study.besides.sel(steered_category="entity", scored_category="visual_style") == pytest.approx(
        np.nanmean(off[:3, 3:])
    )
    assert "nothing can be concluded" in study.attrs["summary"]
    alone = study.sel(concept=NAMES[:1], scored_concept=NAMES[:1]).assign_attrs(study.attrs)
    assert "there is no other concept to compare with" in summary_of(alone)
    assert not re.search(r"\bnan\b", summary_of(alone) + study.attrs["summary"])


def test_a_vector_isolates_its_concept_in_every_way(model, library, study):
    """One way computed anew: block 1, against the unsteered scores, second half of the images."""
    fit, others = library.split()
    vectors = mp.concept_vectors(model, fit, tokens=("last_prompt",), probe_accuracy=False, progress=False)
    grid = mp.sweep(
        model, vectors, mp.concepts.neutral_images(others, 12), layers=[1], strengths=(1.0,), tokens=("last_prompt",),
        metrics=("off_target",), controls=("random",), draws=4, progress=False,
    )  # fmt: skip
    change = (grid.off_target - grid.off_target_unsteered).isel(strength=0, layer=0, drop=True)
    change = change.where(grid.eligible.isel(strength=0)).isel(sample=slice(1, None, 2))
    table = change.mean("sample").transpose("concept", "scored_concept").values
    own = [table[i, i] - np.mean([table[i, j] for j in range(6) if i != j and i // 3 == j // 3]) for i in range(6)]
    settings = study.setting.to_pandas()
    way = (settings["depth"] == "0.5") & (settings["against"] == "unsteered") & (settings["half"] == "second")
    assert float(study.verdict.values[way.values].item()) == pytest.approx(np.mean(own), abs=1e-4)
    late = settings["depth"].astype(float) >= 0.5
    assert (study.verdict.values[late.values] > 0.5).all(), "an early vector does little to any word"
    assert f"positive in {int((study.verdict > 0).sum())} of 16" in study.attrs["summary"]


def test_sentences_whose_words_are_unknown_are_not_compared(model, library, study, monkeypatch):
    assert not knows_the_words(model, [one.source.text for one in mp.concepts.from_text(library).pictures])
    assert np.isnan(study.told).all() and "does not know their words" in study.attrs["summary"]
    monkeypatch.setattr(atlas_study, "knows_the_words", lambda model, texts: True)
    compared = atlas(model, library, progress=False)
    assert np.isfinite(compared.told).all() and (abs(compared.told) <= 1).all()
    assert "sentences about the same concept" in compared.attrs["summary"]


def test_vectors_of_other_tokens_are_refused_and_not_made_anew(model, library):
    fit, _ = library.split()
    vectors = mp.concept_vectors(model, fit, tokens=("image",), probe_accuracy=False, progress=False)
    with pytest.raises(ValueError, match="expected a dimension 'scope' with last_prompt; it has image"):
        atlas(model, library, vectors=vectors, progress=False)
