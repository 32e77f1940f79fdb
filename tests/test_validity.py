"""A small form of the tables of ``python -m validation``."""

import numpy as np
import pytest

import mllm_probe as mp
from validation.verdicts import power, randomised
from validation.verdicts.coverage import Setting, measure


@pytest.mark.parametrize("images", [6, 8, 12, 24, 48])
@pytest.mark.parametrize("spread", [0.0, 1.0, 2.5])
def test_intervals_cover_the_difference_and_p_has_its_level(images, spread):
    found = measure(Setting("normal", images, 8, spread), 1500, seed=images)
    assert 0.92 <= found.covered <= 0.98 and 0.025 <= found.false_positives <= 0.065


@pytest.mark.parametrize(("images", "least"), [(8, 0.88), (12, 0.915), (24, 0.915)])
def test_intervals_of_skewed_scores_cover_it(images, least):
    found = measure(Setting("exponential", images, 8, 0.3), 1000, seed=1)
    assert least <= found.covered <= 0.98


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_intervals_of_shares_cover_it_and_p_is_no_more_than_liberal(share):
    for spread in (0.0, 1.0):
        found = measure(Setting("binary", 24, 8, spread, share), 1000, seed=2)
        assert 0.91 <= found.covered <= 0.995 and found.false_positives < 0.09


def test_an_interval_that_leaves_the_draws_out_does_not_cover():
    from mllm_probe.metrics import bootstrap_interval
    from validation.verdicts import coverage

    own, drawn, truth = coverage._scores(Setting("normal", 24, 8, 1.0), 400, np.random.default_rng(0))
    low, high = bootstrap_interval(own - drawn.mean(-2))
    assert ((low <= truth) & (truth <= high)).mean() < 0.8


def test_planted_effects_are_clear_of_controls_where_activations_have_many_dimensions():
    many = power.measure(96, seed=1, layers=3, width=256).of(metric="logit")
    caused = many.of(caused=True)
    assert many.rank >= 48 and caused.size == 11
    assert caused.share() >= 0.95 and not many.of(caused=False).share()


def test_on_manifold_controls_carry_the_concept_itself_where_they_have_few():
    one, other = (power.measure(1, seed, layers=2, width=256, pairs=24) for seed in (0, 1))
    few = (one + other).of(metric="logit", caused=True)
    assert few.rank < 4
    assert few.share() <= 0.3 <= 0.7 <= few.share("clear_of_random")


def test_permutation_finds_contrasts_that_are_there_and_has_its_level_where_none_is():
    rng, categories = np.random.default_rng(0), np.repeat(["abstract", "emotion", "entity"], 8)
    noise = rng.standard_normal((100, 24))
    shift = 2.0 * (categories == "abstract")
    there = [randomised.permuted(values + shift, categories, 0) for values in noise[:20]]
    assert sum(p <= 0.05 for _, p, _ in there) >= 18 and sum(largest <= 0.05 for _, _, largest in there) >= 17
    difference, _, _ = randomised.permuted(shift, categories, 0)
    assert difference == 2
    absent = [randomised.permuted(values, categories, 0) for values in noise]
    for number in (1, 2):
        assert 0.0 < np.mean([found[number] <= 0.05 for found in absent]) <= 0.12


def test_categories_do_not_differ_in_a_model_whose_weights_are_shuffled():
    found = randomised.contrasts(mp.load("scenes-4l"), seed=0, concepts=2, pairs=2)
    assert found.concepts == 10 and found.p > 0.05 and found.largest_p > 0.05
