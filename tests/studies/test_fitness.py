"""Which concepts a model distinguishes and names before any steering."""

import shutil

import numpy as np
import pytest
from scipy import stats

import mllm_probe as mp
from mllm_probe.activations.store_layout import write_group
from mllm_probe.metrics.text import named
from mllm_probe.studies.study_runs import (
    CHECKED_PAIRS,
    fitness_text,
    nothing_to_study,
    subject_of,
    unfit_concepts,
)


@pytest.fixture(scope="module")
def library():
    return mp.concepts.scenes(concepts=["cat", "neon", "order"], pairs=8, seed=5)


@pytest.fixture(scope="module")
def model():
    return mp.load("scenes-4l")


def test_a_trained_model_distinguishes_and_names_its_concepts(model, library):
    seen = mp.check(model, library)
    assert seen.fit.all() and (seen.gap > 1).all() and (seen.gap_low > 0).all()
    assert (seen.named_positive >= 0.75).all() and (seen.named_negative <= 0.25).all()
    assert (seen.positives == 8).all() and seen.category.values.tolist() == ["entity", "visual_style", "abstract"]


def test_shares_and_gap_are_those_of_the_answers(model, library):
    seen, concept = mp.check(model, library).sel(concept="cat"), library["cat"]
    says = [named(mp.generate(model, one.image, max_new_tokens=8).text[0], concept.words) for one in concept.positive]
    assert float(seen.named_positive) == np.mean(says)
    directions = {"cat": np.ones(model.hidden_size)}
    vectors = mp.vectors_from(model, directions, words={"cat": concept.words})
    settings = {
        "strengths": (0,),
        "unit": "raw",
        "controls": (),
        "metrics": "logprob",
        "layers": [0],
        "progress": False,
    }
    sides = [
        mp.sweep(model, vectors, side, **settings).logprob_unsteered.values[0]
        for side in (concept.positive, concept.negative)
    ]
    difference = np.subtract(*sides, dtype=np.float64)
    interval = stats.ttest_1samp(difference, 0).confidence_interval(0.95)
    np.testing.assert_allclose([seen.gap, seen.gap_low, seen.gap_high], [difference.mean(), *interval], rtol=1e-4)


def test_nothing_is_fit_in_a_model_whose_weights_are_shuffled(model, library):
    for seed in range(2):
        assert not mp.check(mp.randomised(model, seed), library).fit.any()


def test_a_gap_without_names_is_distinguished_and_not_fit(model, library):
    """Of 8 pairs of a model that sees the concept and seldom says it, the gap holds, and Fisher's test does not."""
    shuffled = mp.concepts.scenes(concepts=["hatched"], pairs=24)
    seen = mp.check(mp.randomised(model), shuffled)
    assert (seen.gap_low > 0).all() and (seen.named_p > 0.05).all()
    assert seen.state.values.tolist() == ["distinguished, not named"] and not seen.fit.any()
    assert fitness_text(seen) == "distinguishes and names 0 of 1 concepts; distinguished, not named: hatched"
    assert unfit_concepts(seen) == {
        "hatched": "the model distinguishes its images, but does not name it more often on them"
    }
    assert "none on the library's images (mp.check), 1 it distinguishes without naming" in nothing_to_study(seen)


def test_the_three_states_and_their_sentences(model, library):
    seen = mp.check(model, library)
    assert seen.state.values.tolist() == ["distinguished and named"] * 3 and seen.fit.all()
    assert fitness_text(seen) == "distinguishes and names 3 of 3 concepts" and unfit_concepts(seen) == {}
    other = mp.check(model, library, minimum_gap=float(np.sort(seen.gap.values)[1]))
    lowest = str(seen.concept[int(seen.gap.values.argmin())].values)
    assert dict(zip(other.concept.values, other.state.values, strict=True))[lowest] == "not distinguished"
    assert fitness_text(other) == f"distinguishes and names 2 of 3 concepts; not distinguished: {lowest}"
    assert unfit_concepts(other) == {lowest: "the model does not distinguish its images"}
    unscored = other.assign(gap=other.gap * np.nan)
    assert unfit_concepts(unscored) == {lowest: "no word for it can be scored in this model"}


def test_nothing_is_said_of_too_few_images(model):
    seen = mp.check(model, mp.concepts.scenes(concepts=["cat"], pairs=5))
    assert seen.state.values.tolist() == [""] and unfit_concepts(seen) == {}
    assert fitness_text(seen) == "fewer than 6 images of each concept: not known which the model distinguishes"


def test_a_kept_check_without_states_is_given_them(model, library, tmp_path):
    first = subject_of(model, library, store=tmp_path, progress=False)
    (kept,) = tmp_path.glob("check *.zarr")
    write_group(first.seen.drop_vars("state"), tmp_path / "old.zarr")
    shutil.rmtree(kept)
    (tmp_path / "old.zarr").rename(kept)
    again = subject_of(model, library, store=tmp_path, progress=False)
    assert again.seen.state.values.tolist() == first.seen.state.values.tolist()


def test_progress_is_told_and_ends_the_run_by_an_error(model, library):
    told = []
    mp.check(model, library.subset(pairs=2), progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (12, 12) and [done for done, _ in told] == sorted(done for done, _ in told)

    def stop(done, total):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        mp.check(model, library, progress=stop)


def test_too_few_images_make_nothing_fit(model):
    seen = mp.check(model, mp.concepts.scenes(concepts=["cat"], pairs=5))
    assert np.isnan(seen.gap_low).all() and not seen.fit.any() and np.isfinite(seen.gap).all()


def test_what_is_no_library_is_refused(model):
    with pytest.raises(TypeError, match="library: expected a concept library.*got"):
        mp.check(model, ["cat"])


def test_a_study_finds_out_with_a_few_pairs_of_each_concept(model):
    whole = mp.concepts.scenes(concepts=["cat", "neon"], pairs=CHECKED_PAIRS + 2, seed=5)
    subject = subject_of(model, whole, progress=False)
    assert (subject.seen.positives == CHECKED_PAIRS).all() and (subject.seen.negatives == CHECKED_PAIRS).all()
    assert len(subject.fitted["cat"].positive) + len(subject.others["cat"].positive) == CHECKED_PAIRS + 2


def test_being_named_twice_by_chance_makes_no_concept_fit(model):
    shuffled, library = mp.randomised(model), mp.concepts.scenes(concepts=["hatched"], pairs=24)
    seen = mp.check(shuffled, library).sel(concept="hatched")
    assert seen.gap > 0.5 and seen.gap_low > 0 and seen.named_positive > seen.named_negative
    assert seen.named_p > 0.05 and not seen.fit


def test_a_study_of_another_model_is_told_which_concepts_to_look_at(tiny):
    with pytest.raises(ValueError, match=r"'tiny-llava' is not a bundled model, so a study needs .*give library="):
        mp.studies.atlas(tiny)
