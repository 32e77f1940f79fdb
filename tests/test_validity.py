"""A small form of the tables of ``python -m validation``."""

import numpy as np
import pytest

import mllm_probe as mp
from mllm_probe.concepts.drawn import library_call
from validation.truth.live_plants import KINDS, live_plants
from validation.verdicts import clicks, power, randomised, share_nulls
from validation.verdicts.coverage import Setting, measure
from validation.verdicts.share_nulls import World


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


@pytest.mark.parametrize("noise", ["binary", "graded"])
@pytest.mark.parametrize("spread", [0.0, 2.5])
def test_no_interval_of_scores_between_0_and_1_has_width_0(noise, spread):
    found = measure(Setting(noise, 12, 8, spread, 0.05), 1000, seed=3)
    assert found.covered >= 0.91 and found.least_width > 0.05


NULLS = {
    "one concept": World(1, 8, 0.05),
    "three concepts": World(3, 20, 0.05),
    "twelve concepts": World(12, 32, 0.02),
    "many concepts": World(48, 8, 0.02),
    "unequal words": World(48, 8, 0.24, words=4),
    "alike": World(48, 8, 0.02, opposites="alike"),
    "two kinds": World(48, 20, 0.02, kinds=("random", "on_manifold")),
    "own draws": World(48, 8, 0.05, shared=False),
    "latent": World(48, 8, 0.05, latent=True, shared=False, images=24),
}


@pytest.mark.parametrize("name", NULLS)
def test_nothing_passes_in_most_grids_of_shares_without_effects(name):
    assert share_nulls.measure(NULLS[name], 20).nothing_false >= 0.9


@pytest.mark.parametrize("draws", [8, 20])
def test_of_passing_cells_of_shares_few_are_false(draws):
    for rate in (0.0, 0.005, 0.02):
        found = share_nulls.measure(World(48, draws, rate, true=40), 20)
        assert found.discovery_rate <= 0.05
        assert rate > 0 or (found.found == 40).all()


def test_shares_of_few_concepts_pass_where_no_direction_names_the_word():
    assert (share_nulls.measure(World(12, 8, true=48), 3).found == 48).all()
    assert (share_nulls.measure(World(3, 32, true=12), 3).found == 12).all()


def test_grids_of_shares_are_drawn_as_their_world_says():
    rng = np.random.default_rng(0)
    scores, true = share_nulls.drawn(World(48, 32, 0.02, true=40), rng)
    assert true.sum() == 40 and scores["concept"][true].mean() == pytest.approx(share_nulls.NAMED, abs=0.05)
    for opposites, both in (("alike", 0.02), ("apart", 0.0)):
        drawn, _ = share_nulls.drawn(World(48, 32, 0.02, opposites=opposites, shared=False), rng)
        names = drawn["random"].max(-1)
        assert names.mean() == pytest.approx(0.02, abs=0.005)
        assert (names[..., ::2] * names[..., 1::2]).mean() == pytest.approx(both, abs=0.005)
    latent, _ = share_nulls.drawn(World(48, 8, 0.2, latent=True), rng)
    assert latent["concept"].mean() == pytest.approx(0.2, abs=0.06)
    assert latent["random"].mean() == pytest.approx(0.2, abs=0.03)


def test_live_plants_reach_their_words_up_to_the_block_that_reads_them():
    plants = live_plants(1)
    fit, held_out = plants.library.split(seed=0)
    sites = ["input", *range(len(plants.model.layers))]
    vectors = mp.concept_vectors(plants.model, fit, tokens="image", layers=sites, probe_accuracy=False)
    grid = mp.sweep(
        plants.model, vectors, held_out, layers=sites, strengths=(1,), tokens="image", unit="vector",
        metrics=("logprob",), controls=("random",), draws=4, progress=False,
    )  # fmt: skip
    value = mp.effect(grid, "logprob")["value"].sel(strength=1.0)
    for name in KINDS:
        reached = np.array([plants.caused(name, int(layer)) for layer in value["layer"].values])
        values = value.sel(concept=name).values
        assert (values[reached] > 0.8).all() and (abs(values[~reached]) < 0.3).all()


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


@pytest.mark.parametrize(
    ("facts", "well"),
    [
        (["names cat", "kept 1 of 2"], True),
        (["names cat"], True),
        (["names cat", "kept 1 of 3"], False),
        (["does not name cat", "kept 3 of 3"], False),
        (["names cat", "broken: improbable text"], False),
    ],
)
def test_an_answer_reads_well_that_names_the_concept_whole_and_keeps_half(facts, well):
    one = clicks.Click("cat", 5, "", "", "", {}, {"steered": facts})
    assert one.reads_well == well


def test_live_answers_are_of_images_that_neither_vectors_nor_grid_used():
    concepts = ["cat", "neon", "cat"]
    _, images = clicks.unseen_images(concepts)
    lab = library_call("scenes-8l")().subset(concepts=["cat", "neon"])
    used = {image.key for concept in lab.values() for image in (*concept.positive, *concept.negative)}
    assert len({image.key for image in images} - used) == 3
    assert all(name not in image.labels for name, image in zip(concepts, images, strict=True))
