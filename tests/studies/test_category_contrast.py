"""Differences between categories, with concepts as the sampling unit."""

import numpy as np
import pytest
from scipy import stats

from mllm_probe.studies.baselines import contrast

CATEGORIES = np.array(["entity"] * 8 + ["abstract"] * 8 + ["emotion"] * 4)


def values(shift=0.0, seed=0):
    own = np.random.default_rng(seed).standard_normal(20)
    own[8:16] += shift
    return own


def test_difference_and_interval_are_those_of_welch():
    own = values(4.0)
    found = contrast(own, CATEGORIES, "abstract", "entity")
    expected = stats.ttest_ind(own[8:16], own[:8], equal_var=False).confidence_interval()
    assert found.difference == pytest.approx(own[8:16].mean() - own[:8].mean())
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.n == (8, 8) and found.p < 0.01


def test_p_is_that_of_an_exact_permutation_test():
    own = values(0.8, seed=3)[[0, 1, 2, 3, 8, 9, 10, 11]]
    found = contrast(own, CATEGORIES[[0, 1, 2, 3, 8, 9, 10, 11]], "abstract", "entity", permutations=20_000)
    exact = stats.permutation_test(
        (own[4:], own[:4]), lambda a, b: a.mean() - b.mean(), permutation_type="independent"
    ).pvalue
    assert found.p == pytest.approx(exact, abs=0.02)


def test_false_positives_are_five_percent():
    p = [contrast(values(seed=seed), CATEGORIES, "abstract", "entity", permutations=199).p for seed in range(400)]
    assert 0.025 <= np.mean(np.array(p) <= 0.05) <= 0.085


def test_what_a_covariate_explains_is_no_difference():
    covariate = np.r_[np.linspace(0, 1, 8), np.linspace(0.6, 1.6, 8), np.zeros(4)]
    own = 3 * covariate + 0.05 * values()
    plain = contrast(own, CATEGORIES, "abstract", "entity")
    adjusted = contrast(own, CATEGORIES, "abstract", "entity", covariate=covariate)
    assert plain.p < 0.01 and plain.difference > 1.5
    assert abs(adjusted.difference) < 0.15
    own[8:16] += 2
    again = contrast(own, CATEGORIES, "abstract", "entity", covariate=covariate)
    assert again.difference == pytest.approx(2 + adjusted.difference) and again.low > 1 and again.p < 0.01


def test_a_covariate_that_is_the_category_leaves_nothing():
    found = contrast(values(2.0), CATEGORIES, "abstract", "entity", covariate=(CATEGORIES == "abstract") * 1.0)
    assert np.isnan([found.difference, found.low, found.p]).all()


def test_concepts_without_a_value_do_not_count():
    own = values(2.0)
    own[[0, 9, 10]] = np.nan
    assert contrast(own, CATEGORIES, "abstract", "entity").n == (6, 7)
    own[:7] = np.nan
    assert np.isnan(contrast(own, CATEGORIES, "abstract", "entity").p)
