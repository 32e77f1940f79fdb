"""The atlas: cosines of vectors, what they change besides their concept, and what sentences give."""

import re

import numpy as np
import pytest
import xarray as xr

import mllm_probe as mp
from mllm_probe.studies import atlas_study
from mllm_probe.studies.atlas_study import atlas, within_and_across, words_of
from mllm_probe.studies.baselines import knows_the_words
from mllm_probe.studies.multiverse import in_half
from mllm_probe.sweeps import store_status

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
    assert (study.caused > 0.2).all() and study.effect.attrs["units"] == "of the gap"
    off = np.where(np.eye(6, dtype=bool), np.nan, effect)
    assert study.besides.sel(steered_category="entity", scored_category="visual_style") == pytest.approx(
        np.nanmean(off[:3, 3:])
    )
    summary = study.attrs["summary"].splitlines()
    assert len(summary) == 3 and "it compares 6 concepts, and 8 are needed" in summary[2]
    alone = words_of(study.sel(concept=NAMES[:1], scored_concept=NAMES[:1]).assign_attrs(study.attrs))
    assert "there is none to compare with" in alone["details"]
    every = [*alone.values(), study.attrs["summary"], study.attrs["details"]]
    assert not re.search(r"\bnan\b", "".join(every))


def test_the_layer_is_chosen_on_other_images_than_it_is_reported_on(model, library, study, monkeypatch):
    grids, measured = [], atlas_study.effect
    monkeypatch.setattr(atlas_study, "effect", lambda grid, metric: grids.append(grid) or measured(grid, metric))
    found = atlas(model, library, progress=False)
    choosing, reported = (set(grid.sample.values.tolist()) for grid in grids)
    assert not choosing & reported and 2 * len(choosing) - len(reported) in range(3) and len(reported) >= 12
    assert grids[0].sizes["layer"] == 4 and grids[1].layer.values.tolist() == [found.attrs["headline_layer"]]
    gap = mp.check(model, library.subset(pairs=12)).gap.sel(concept="cat")
    again = measured(grids[1], "off_target").difference.isel(layer=0, strength=0)
    assert found.effect.sel(concept="neon", scored_concept="cat") == pytest.approx(
        float(again.sel(concept="neon", scored_concept="cat") / gap), rel=1e-4
    )


def test_a_vector_isolates_its_concept_in_every_way(model, library, study):
    """One way computed anew: block 1, against the unsteered scores, in shares of the gap of each scored concept."""
    fit, others = library.split()
    vectors = mp.concept_vectors(model, fit, tokens=("last_prompt",), probe_accuracy=False, progress=False)
    grid = mp.sweep(
        model, vectors, mp.concepts.neutral_images(others, 18), layers=[1], strengths=(1.0,), tokens=("last_prompt",),
        metrics=("off_target",), controls=("random",), draws=8, progress=False,
    )  # fmt: skip
    change = (grid.off_target - grid.off_target_unsteered).isel(strength=0, layer=0, drop=True)
    change = change.where(grid.eligible.isel(strength=0)) / mp.check(model, library.subset(pairs=12)).gap.values
    tables = [some.mean("sample").transpose("concept", "scored_concept").values
              for some in (change, change.isel(sample=in_half(change.sizes["sample"], "second", 0)))]  # fmt: skip
    whole, half = (
        np.mean([t[i, i] - np.mean([t[i, j] for j in range(6) if i != j and i // 3 == j // 3]) for i in range(6)])
        for t in tables
    )
    depths = study.setting.sel(aspect="depth").values.astype(float)
    again = study.again.isel(specification=int(np.flatnonzero(depths == 0.5).item()))
    assert float(again.sel(replication="against unsteered")) == pytest.approx(whole, abs=1e-4)
    assert abs(float(again.sel(replication="half second")) - half) < 0.3, "against random directions"
    assert (study.verdict.values[depths >= 0.5] > 0.1).all(), "an early vector does little to any word"
    assert f"positive in {int((study.verdict > 0).sum())} of 4 ways" in study.attrs["summary"]


def test_sentences_whose_words_are_unknown_are_not_compared(model, library, study, monkeypatch):
    assert not knows_the_words(model, [one.source.text for one in mp.concepts.from_text(library).pictures])
    assert np.isnan(study.told).all() and "does not know their words" in study.attrs["details"]
    monkeypatch.setattr(atlas_study, "knows_the_words", lambda model, texts: True)
    compared = atlas(model, library, progress=False)
    assert np.isfinite(compared.told).all() and (abs(compared.told) <= 1).all()
    assert "about the same concept" in compared.attrs["details"]


def test_vectors_of_other_tokens_are_refused_and_not_made_anew(model, library):
    fit, _ = library.split()
    vectors = mp.concept_vectors(model, fit, tokens=("image",), probe_accuracy=False, progress=False)
    with pytest.raises(ValueError, match="expected a dimension 'scope' with last_prompt; it has image"):
        atlas(model, library, vectors=vectors, progress=False)


def test_a_study_that_was_stopped_goes_on_from_its_folder(model, library, study, tmp_path):
    fit, _ = library.split()
    vectors = mp.concept_vectors(model, fit, tokens=("last_prompt",), probe_accuracy=False, progress=False)
    others = library.where(lambda image: image.id not in vectors.fit_image.values)
    settings = {
        "layers": [0, 1, 2, 3], "strengths": (1.0,), "tokens": ("last_prompt",), "metrics": ("off_target",),
        "controls": ("random",), "draws": 8, "progress": False,
    }  # fmt: skip
    store = tmp_path / "off_target.zarr"
    mp.sweep(model, vectors, mp.concepts.neutral_images(others, 18), store=store, shard="1/2", **settings)
    before = store_status(store).progress
    found = atlas(model, library, vectors=vectors, store=tmp_path, progress=False)
    after = store_status(store).progress
    assert 0 < before.units_done < before.units == after.units == after.units_done
    xr.testing.assert_allclose(found.drop_attrs(), study.drop_attrs(), rtol=1e-4, atol=1e-5)
