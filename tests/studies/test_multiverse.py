"""Questions asked in every way: the ways, the counts, what may be concluded from them, and the permutation of signs."""

import itertools

import numpy as np
import pytest

from mllm_probe.metrics.statistics import sign_flip_test
from mllm_probe.studies import multiverse
from mllm_probe.studies.multiverse import Multiverse, agreement, asked, concluded, counted

MADE = Multiverse(
    "one minus other", "blocks", {"strength": (1.0, 2.0), "scope": ("image", "text"), "half": ("first", "second")},
    {"strength": 1.0, "scope": "text", "half": "first"},
)  # fmt: skip
FIXED = [one for one in vars(multiverse).values() if isinstance(one, Multiverse)]


def study(values, p=0.001, **attrs):
    answers = iter(values)
    return asked(MADE, lambda **way: next(answers)).assign_attrs({"headline_p": p, "n_concepts": 16, **attrs})


def test_every_combination_is_asked_once_and_the_headline_is_one_of_them():
    seen = []
    made = asked(MADE, lambda **way: seen.append(way) or len(seen))
    assert len({tuple(way.items()) for way in seen}) == 8 == made.sizes["specification"]
    assert made.setting.sel(aspect="half").values[:2].tolist() == ["first", "second"]
    place = made.attrs["headline"]
    assert seen[place] == MADE.headline and made.verdict.values[place] == place + 1


@pytest.mark.parametrize("fixed", FIXED, ids=lambda one: one.question)
def test_what_is_fixed_has_its_headline_among_its_ways(fixed):
    assert fixed.headline in fixed.ways() and len(fixed.ways()) >= 16


def test_a_finding_needs_agreement_and_a_headline_that_holds():
    most = [1.0] * 7 + [-1.0]
    assert "most ways agree and the headline holds" in counted(study(most, 0.01))
    assert "nothing is concluded" in counted(study(most, 0.2))
    assert "nothing is concluded" in counted(study([1.0] * 5 + [-1.0] * 3, 0.001))
    assert "positive in 7 of 8, negative in 1" in counted(study(most, 0.01))


@pytest.mark.parametrize("few", [{"n_concepts": 4}, {"n_concepts": 16, "n_compared": 7}])
def test_few_concepts_make_no_finding_however_much_the_ways_agree(few):
    found = study([1.0] * 8, 0.001, **few)
    assert concluded(found) == 0 and "fewer than 8 concepts: nothing is concluded" in counted(found)
    assert concluded(study([1.0] * 8, 0.001, n_compared=8)) == 1


def test_a_headline_against_the_others_makes_no_finding():
    values = [1.0] * 8
    values[MADE.ways().index(dict(MADE.headline))] = -1.0
    assert "nothing is concluded" in counted(study(values, 0.001))


def test_what_cannot_be_computed_does_not_agree():
    values = [1.0] * 6 + [np.nan, np.nan]
    assert agreement(study(values)) == (6, 0, 8)
    said = counted(study(values, 0.001))
    assert "neither or not known in 2" in said and "nothing is concluded" in said


def test_the_aspect_that_decides_the_sign_is_named():
    by_scope = [1.0 if way["scope"] == "image" else -1.0 for way in MADE.ways()]
    assert "depends most on scope: positive in 100% at image, 0% at text" in counted(study(by_scope, 0.5))
    assert "depends most" not in counted(study([1.0] * 8, 0.5))


def test_signs_are_turned_in_every_way_and_p_is_the_share_as_far_out():
    values = np.array([1.0, 2.0, -0.5, np.nan])
    known = values[:3]
    sums = [abs((np.array(signs) * known).sum()) for signs in itertools.product((1, -1), repeat=3)]
    assert sign_flip_test(values) == pytest.approx(np.mean(np.array(sums) >= abs(known.sum()) - 1e-12))
    assert sign_flip_test(np.full(20, 0.3)) == pytest.approx(1e-4, abs=2e-4)
    assert np.isnan(sign_flip_test(np.array([np.nan])))


def test_p_of_nothing_is_uniform():
    g = np.random.default_rng(0)
    drawn = np.array([sign_flip_test(g.standard_normal(16), flips=199, seed=i) for i in range(300)])
    assert 0.02 <= (drawn <= 0.05).mean() <= 0.09


def test_a_question_that_cannot_be_asked_says_so():
    assert counted(study([np.nan] * 8)) == "one minus other: cannot be computed in any of 8 ways."
    values = [1.0] * 8
    values[MADE.ways().index(dict(MADE.headline))] = np.nan
    said = counted(study(values, np.nan))
    assert "neither or not known in 1; headline not known; most ways agree, but the headline does not hold" in said
