"""What studies are given is what they would run: one model, one set of vectors, their settings and concepts."""

import pytest

import mllm_probe as mp
from mllm_probe.studies import reliability, study_runs
from tests.zoo import tiny_llava


@pytest.fixture(scope="module")
def planted():
    return mp.studies.truth.plant(layers=3, block=1, kinds=("local", "distributed"), pairs=16)


@pytest.fixture(scope="module")
def vectors(planted):
    return mp.concept_vectors(planted.model, planted.library.split()[0], tokens=("last_prompt",), probe_accuracy=False)


def swept(planted, vectors, **settings):
    images = mp.concepts.neutral_images(planted.library.split()[1], 6)
    usual = {"strengths": (-1, -0.5, 0.5, 1), "tokens": ("last_prompt",), "metrics": ("logprob",), "draws": 4}
    usual |= {"controls": ("random",), "progress": False}
    return mp.sweep(planted.model, vectors, images, **usual | settings)


def test_a_grid_with_other_settings_is_refused_by_name(planted, vectors):
    for setting, grid in (
        ("unit 'residual'", swept(planted, vectors, unit="vector")),
        ("scope 'last_prompt'", swept(planted, vectors, tokens=("last_prompt", "generated"))),
        ("prompt", swept(planted, vectors, prompt="what now ?")),
    ):
        with pytest.raises(ValueError, match=f"grid 'doses': expected {setting}.*Run it anew"):
            reliability(planted.model, planted.library, grids={"doses": grid}, progress=False)


def test_a_grid_without_one_of_the_concepts_is_refused(planted, vectors):
    grid = swept(planted, vectors.sel(concept=["local"]))
    with pytest.raises(ValueError, match="grid 'doses' lacks the concept 'distributed'"):
        reliability(planted.model, planted.library, grids={"doses": grid}, progress=False)


def test_grids_of_other_vectors_are_refused(planted, vectors):
    grid = swept(planted, vectors)
    other = mp.concept_vectors(
        planted.model, planted.library.split(seed=1)[0], tokens=("last_prompt",), probe_accuracy=False
    )
    with pytest.raises(ValueError, match="the vectors and grid 'doses' have vectors of different images"):
        reliability(planted.model, planted.library, vectors=other, grids={"doses": grid}, progress=False)


def test_which_concepts_are_fit_is_found_out_once(planted, tmp_path, monkeypatch):
    first = study_runs.subject_of(planted.model, planted.library, store=tmp_path, progress=False)
    monkeypatch.setattr(study_runs, "check", lambda *a, **k: pytest.fail("it was found out again"))
    again = study_runs.subject_of(planted.model, planted.library, store=tmp_path, progress=False)
    assert again.concepts == first.concepts == list(planted.library)
    with pytest.raises(pytest.fail.Exception):
        study_runs.subject_of(planted.model, planted.library, prompt="what now ?", store=tmp_path, progress=False)


STUDIES = ("atlas", "localization", "recognition_vs_reasoning", "reliability", "reverse_steering")


@pytest.mark.parametrize("name", STUDIES)
def test_a_model_that_tells_nothing_apart_has_no_study(name):
    library = mp.concepts.scenes(concepts=["left", "right", "cat", "neon"], pairs=12)
    found = getattr(mp.studies, name)(tiny_llava(), library, progress=False)
    assert found.attrs["n_concepts"] == 0 and not found.data_vars
    assert found.attrs["summary"].startswith("Nothing to study: of ")
