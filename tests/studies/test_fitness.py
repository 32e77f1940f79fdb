"""Which concepts a model tells apart before any steering."""

import numpy as np
import pytest
from scipy import stats

import mllm_probe as mp
from mllm_probe.metrics.text import named
from mllm_probe.studies.study_runs import CHECKED_PAIRS, fitness_text, subject_of, unfit_concepts


@pytest.fixture(scope="module")
def library():
    return mp.concepts.scenes(concepts=["cat", "neon", "order"], pairs=8, seed=5)


@pytest.fixture(scope="module")
def model():
    return mp.load("scenes-4l")


def test_a_trained_model_tells_its_concepts_apart(model, library):
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


def test_a_sentence_says_what_is_told_apart(model, library):
    seen = mp.check(model, library)
    assert fitness_text(seen) == "tells 3 of 3 concepts apart"
    seen["fit"][1] = False
    assert fitness_text(seen) == "tells 2 of 3 concepts apart; not neon"
    assert fitness_text(seen.assign(positives=seen.positives * 0 + 5)).startswith("fewer than 6 images")


def test_what_is_not_fit_has_a_reason_and_nothing_is_said_of_too_few_images(model, library):
    seen = mp.check(model, library)
    assert unfit_concepts(seen) == {}
    seen["fit"][:2] = False
    seen["gap"][0] = np.nan
    first, second, _ = library
    assert unfit_concepts(seen) == {
        first: "no word for it can be scored in this model",
        second: "the model does not tell its images apart",
    }
    seen["negatives"][1] = 5
    assert list(unfit_concepts(seen)) == [first]


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
