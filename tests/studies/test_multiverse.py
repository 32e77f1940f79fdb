"""Questions asked in every way: the ways, one p for all of them and its level, and what may be concluded."""

import itertools

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from mllm_probe.studies import multiverse
from mllm_probe.studies.multiverse import (
    HALVES,
    Labels,
    Multiverse,
    Pairing,
    Signs,
    agreement,
    asked,
    concluded,
    conclusion,
    counted,
    curve_p,
    details_of,
    found,
    in_half,
    in_words,
    multiverse_rows,
    why_not,
)

MADE = Multiverse(
    "one minus other", "blocks", {"strength": (1.0, 2.0), "scope": ("image", "text"), "metric": ("logprob", "score")},
    {"strength": 1.0, "scope": "text", "metric": "logprob"}, {"control": ("random", "on_manifold"), "half": HALVES},
)  # fmt: skip
FIXED = [one for one in vars(multiverse).values() if isinstance(one, Multiverse)]
SOME = np.arange(16) / 100 + 1


def study(signs, units=16, **attrs):
    """A study of as many units whose ways have these signs, or are not known; values differ from unit to unit."""
    values = {tuple(way.values()): sign * SOME[:units] for way, sign in zip(MADE.ways(), signs, strict=True)}
    made = asked(MADE, lambda **way: values[tuple(way[name] for name in MADE.aspects)])
    return made.assign_attrs(attrs)


def test_every_combination_is_asked_once_and_the_headline_is_one_of_them():
    seen = []

    def by_unit(**way):
        seen.append(way)
        return np.full(3, len(seen))

    made = asked(MADE, by_unit)
    ways = [{name: way[name] for name in MADE.aspects} for way in seen]
    assert len({tuple(way.items()) for way in ways[:8]}) == 8 == made.sizes["specification"]
    assert all(way["control"] == "random" and way["half"] == "all" for way in seen[:8])
    assert made.setting.sel(aspect="metric").values[:2].tolist() == ["logprob", "score"]
    place = made.attrs["headline"]
    assert ways[place] == MADE.headline and made.verdict.values[place] == place + 1


def test_other_controls_and_halves_are_shown_beside_and_not_counted():
    def by_unit(control, half, **way):
        return SOME * (-1 if control == "on_manifold" and way["metric"] == "score" else 1)

    made = asked(MADE, by_unit)
    assert made.replication.values.tolist() == ["control on_manifold", "half first", "half second"]
    assert agreement(made) == (8, 0, 8)
    np.testing.assert_allclose(made.again.sel(replication="half first"), made.verdict)
    rows = dict(multiverse_rows(made))
    assert rows["asked again, control on_manifold"] == "the same sign in 4 of 8 ways"
    assert rows["asked again, half first"] == "the same sign in 8 of 8 ways"


@pytest.mark.parametrize("fixed", FIXED, ids=lambda one: one.question)
def test_what_is_fixed_has_its_headline_among_its_ways(fixed):
    assert fixed.headline in fixed.ways() and len(fixed.ways()) >= 4


def test_what_asks_the_same_again_is_no_way():
    """Ways that differ only in control or half agree in 94 to 100 %: they are copies."""
    for fixed in (multiverse.LOCALIZATION, multiverse.SCALING, multiverse.ATLAS, multiverse.RELIABILITY):
        assert not {"control", "half", "against"} & set(fixed.aspects)
        assert {"half"} <= set(fixed.again)


def test_the_list_has_a_version_and_a_hash_that_changes_with_it():
    said = MADE.fixed
    assert said.startswith("mllm_probe ") and len(said.split("list ")[1]) == 8
    other = Multiverse(MADE.question, MADE.units, MADE.aspects, {**MADE.headline, "strength": 2.0}, MADE.again)
    assert other.fixed != said and MADE.fixed == said
    assert f"fixed in {said}" in dict(multiverse_rows(study([1] * 8)))["ways to ask"]


def test_a_finding_needs_a_curve_that_is_not_chance_and_a_headline_of_its_sign():
    assert concluded(study([1] * 8)) == 1 and concluded(study([-1] * 8)) == -1
    assert conclusion(study([1] * 8)).startswith("Concluded")
    assert "Positive" not in found(study([1] * 8)) and "positive in 8 of 8 ways, negative in 0" in found(study([1] * 8))
    headline = MADE.ways().index(dict(MADE.headline))
    against = study([-1 if place == headline else 1 for place in range(8)])
    assert concluded(against) == 0 and "the headline does not have the sign of most ways" in counted(against)
    mixed = asked(MADE, lambda **way: SOME * np.where(np.arange(16) % 2, 1, -1))
    assert concluded(mixed) == 0 and "do not differ from chance (p " in counted(mixed)
    assert "Nothing is concluded" in counted(mixed)


@pytest.mark.parametrize("units", [3, 7])
def test_few_units_make_no_finding_however_much_the_ways_agree(units):
    few = study([1] * 8, units)
    assert concluded(few) == 0 and f"it compares {units} concepts, and 8 are needed" in counted(few)
    assert concluded(study([1] * 8, 8)) == 1


def test_a_study_that_lacks_something_says_so_first():
    made = study([1] * 8, lacking="a trend needs 5 models or more, and this ladder has 2")
    assert concluded(made) == 0 and why_not(made) == made.attrs["lacking"] and made.attrs["lacking"] in counted(made)


def test_what_cannot_be_computed_is_counted_apart_and_is_no_veto():
    some = study([1] * 6 + [np.nan] * 2)
    assert agreement(some) == (6, 0, 8) and concluded(some) == 1
    assert "positive in 6 of 8 ways, negative in 0, not known in 2" in found(some)
    assert "not known in" not in found(study([0] * 8)), "a verdict of 0 is known"
    nothing = study([np.nan] * 8)
    assert found(nothing) == "One minus other: not known in any of 8 ways."
    assert "it cannot be computed in any of 8 ways" in counted(nothing)
    headline = MADE.ways().index(dict(MADE.headline))
    lost = study([np.nan if place == headline else 1 for place in range(8)])
    assert "headline not known" in found(lost) and "the headline is not known" in counted(lost)


def test_the_aspect_that_decides_the_sign_is_named():
    by_scope = [1 if way["scope"] == "image" else -1 for way in MADE.ways()]
    said = dict(multiverse_rows(study(by_scope)))["the sign depends most on"]
    assert said == "scope: positive in 100% at image, 0% at text"
    assert "the sign depends most on" not in dict(multiverse_rows(study([1] * 8)))
    partly = [np.nan if way["scope"] == "text" and way["strength"] == 2 else 1 for way in MADE.ways()]
    assert "the sign depends most on" not in dict(multiverse_rows(study(partly))), "what is not known is not negative"


def test_halves_are_dealt_by_the_seed_and_are_no_category():
    first, second = (in_half(40, half, 1) for half in HALVES[1:])
    assert (first ^ second).all() and abs(int(first.sum()) - int(second.sum())) <= 1 and in_half(40, "all", 1).all()
    assert (first != in_half(40, "first", 2)).any() and (first == in_half(40, "first", 1)).all()
    of_one_category = np.arange(40) % 2 == 0  # neutral images go round the categories
    assert 0.2 < (first == of_one_category).mean() < 0.8


def test_signs_are_exchanged_in_every_pattern_of_few_units():
    values = np.array([1.0, 2.0, -0.5, np.nan])
    drawn = Signs().drawn(values[None], 9999, 0)
    assert drawn[0, 0] == pytest.approx(values[:3].mean()) and len(drawn) == 16
    # Of the eight patterns of 1, 2 and 0.5 four have a sum of at least 2.5: those with 1 and 2 of one sign.
    assert curve_p(drawn) == pytest.approx(0.5)
    assert curve_p(Signs().drawn(np.full((3, 20), 0.3), 999, 0)) == pytest.approx(0.001)


def test_labels_are_exchanged_over_units_and_a_side_of_one_is_not_known():
    first = np.arange(6) < 3
    values = np.array([3.0, 4, 5, 0, 1, np.nan])
    drawn = Labels(first).drawn(np.stack([values, np.r_[values[:1], [np.nan] * 2, values[3:]]]), 4000, 0)
    assert drawn[0, 0] == pytest.approx(4 - 0.5) and np.isnan(drawn[0, 1])
    patterns = [np.array(chosen) for chosen in itertools.combinations(range(6), 3)]
    other = [np.nanmean(values[list(c)]) - np.nanmean(np.delete(values, c)) for c in patterns]
    expected = np.mean(np.abs(other) >= 3.5 - 1e-9)
    assert curve_p(drawn[:, :1]) == pytest.approx(expected, abs=0.03)
    assert Labels(first).units(values) == 2


def test_pairing_is_spearmans_and_exchanges_which_two_belong_together():
    g = np.random.default_rng(3)
    one, other = g.standard_normal(12), g.standard_normal(12)
    one[3] = one[4]
    table = np.stack([[one, other], [one, one**3], [one, np.ones(12)]])
    drawn = Pairing().drawn(table, 4000, 0)
    np.testing.assert_allclose(drawn[0, :2], [stats.spearmanr(one, other).statistic, 1.0])
    assert np.isnan(drawn[:, 2]).all() and curve_p(drawn[:, [1]]) < 0.001
    expected = stats.permutation_test((other,), lambda x: stats.spearmanr(one, x).statistic, n_resamples=2000,
                                      permutation_type="pairings", rng=0).pvalue  # fmt: skip
    assert curve_p(drawn[:, [0]]) == pytest.approx(expected, abs=0.04)
    assert np.isnan(Pairing().drawn(np.stack([[one[:3], other[:3]]]), 99, 0)).all(), "four pairs at least"
    assert Pairing().units(np.stack([one, np.where(other > 0, other, np.nan)])) == int((other > 0).sum())


WAYS, UNITS, TRIES, FEW = 16, 16, 400, 199
EXCHANGES = {"signs": Signs(), "labels": Labels(np.arange(UNITS) < 8), "pairing": Pairing()}


def curves(g, exchange, together):
    """Values of units in ways that share most of their noise, in unlike units, some of them not known."""
    shape = (WAYS, 2, UNITS) if isinstance(exchange, Pairing) else (WAYS, UNITS)
    shared = g.standard_normal(shape[1:])
    values = np.sqrt(together) * shared + np.sqrt(1 - together) * g.exponential(1, shape) * g.choice([-1, 1], shape)
    values = values * np.exp(g.normal(0, 2, (WAYS, *[1] * (len(shape) - 1))))
    values[g.random(shape) < 0.1] = np.nan
    values[g.choice(WAYS, 4, replace=False)] = np.nan
    return values


@pytest.mark.parametrize("together", [0.0, 0.9])
@pytest.mark.parametrize("kind", EXCHANGES)
def test_the_p_of_a_whole_curve_has_its_level(kind, together):
    """Of 400 curves of nothing, the share with p ≤ .05 lies within the 99.9 % limits of a binomial of .05."""
    g, exchange = np.random.default_rng(7), EXCHANGES[kind]
    p = np.array([curve_p(exchange.drawn(curves(g, exchange, together), FEW, i)) for i in range(TRIES)])
    low, high = stats.binom.interval(0.999, TRIES, 0.05)
    assert low <= (p <= 0.05).sum() <= high
    assert stats.kstest(p, "uniform").pvalue > 1e-3


def test_ways_that_go_together_are_no_more_than_one():
    """Copies neither make a finding of chance nor hide one, as a share of positive ways in four in five does."""
    g = np.random.default_rng(8)
    values = np.repeat(g.standard_normal((1, UNITS)), WAYS, axis=0)
    assert curve_p(Signs().drawn(values, 999, 0)) == pytest.approx(curve_p(Signs().drawn(values[:1], 999, 0)))
    real = values + 1
    real[12:] = np.nan
    assert curve_p(Signs().drawn(real, 999, 0)) <= 0.01 and curve_p(Signs().drawn(-real, 999, 0)) <= 0.01


def test_a_summary_has_sentences_and_a_table():
    made = xr.Dataset(attrs=in_words(["Asked.", "Found.", "Open."], [("block", "3"), ("two\nlines", "a\tb")]))
    assert made.attrs["summary"].splitlines() == ["Asked.", "Found.", "Open."]
    assert details_of(made) == [("block", "3"), ("two lines", "a b")]
    assert details_of(xr.Dataset()) == []
