"""Intervals against closed forms and other implementations."""

import numpy as np
import pytest
from scipy import stats

from mllm_probe.metrics import (
    Draws,
    bootstrap_interval,
    difference_interval,
    draw_interval,
    draw_test,
    false_discovery_rate,
    median_interval,
    rank_test,
    share_interval,
    summarise_draws,
    wilson_interval,
)
from mllm_probe.metrics.statistics import least_share_variance, sign_flip_test


def test_a_sign_flip_test_counts_the_sign_patterns_that_lie_as_far_out():
    # Of 16 patterns of 1, 2, 3, 4 only the two with equal signs reach the sum; of 1, 1, 1, -1 ten reach 2.
    assert sign_flip_test(np.array([1.0, 2, 3, 4])) == 2 / 16
    assert sign_flip_test(np.array([1.0, 1, 1, -1, np.nan])) == 10 / 16
    assert np.isnan(sign_flip_test(np.array([1.0, np.nan])))
    values = np.random.default_rng(0).normal(0.4, 1, 30)
    expected = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=20_000, rng=1).pvalue
    assert sign_flip_test(values) == pytest.approx(expected, abs=0.02)


def test_bootstrap_agrees_with_scipy():
    values = np.random.default_rng(1).normal(size=30)
    low, high = bootstrap_interval(values, resamples=20_000)
    other = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile").confidence_interval
    assert float(low) == pytest.approx(other.low, abs=0.03)
    assert float(high) == pytest.approx(other.high, abs=0.03)


def test_bootstrap_leaves_missing_images_out_and_needs_two():
    values = np.array([[1.0, 2.0, 4.0, np.nan], [1.0, np.nan, np.nan, np.nan]])
    low, high = bootstrap_interval(values, axis=1)
    assert low.shape == (2,) and np.isnan([low[1], high[1]]).all()
    assert 1.0 <= low[0] < 7 / 3 < high[0] <= 4.0


def test_bootstrap_of_equal_values_has_no_width():
    low, high = bootstrap_interval(np.full((5, 3), 2.5), axis=0)
    np.testing.assert_allclose([low, high], 2.5)


@pytest.mark.parametrize("count", [6, 8, 12, 25, 200])
def test_the_interval_of_a_median_is_the_narrowest_of_order_statistics_that_covers(count):
    low, high = median_interval(np.arange(float(count)))
    below = int(low)
    assert high == count - 1 - below
    assert 1 - 2 * stats.binom.cdf(below, count, 0.5) >= 0.95
    assert 1 - 2 * stats.binom.cdf(below + 1, count, 0.5) < 0.95


def test_too_few_images_give_no_interval_of_a_median():
    values = np.full((2, 9), np.nan)
    values[0, :5], values[1, 2:8] = 1.0, np.arange(6)
    low, high = median_interval(values)
    np.testing.assert_array_equal(low, [np.nan, 0.0])
    np.testing.assert_array_equal(high, [np.nan, 5.0])


def test_unpaired_draws_give_the_prediction_interval_of_one_more():
    draws = summarise_draws(np.array([1.0, 2.0, 4.0, 3.0]), antithetic=False)
    half = stats.t.ppf(0.975, 3) * np.std([1, 2, 4, 3], ddof=1) * np.sqrt(1 + 1 / 4)
    np.testing.assert_allclose([draws.mean, *draw_interval(draws)], [2.5, 2.5 - half, 2.5 + half])
    assert draw_test(2.5 + half, draws) == pytest.approx(0.05)
    assert draw_test(np.nan, draws) != draw_test(np.nan, draws)


def test_the_mean_of_antithetic_draws_has_no_odd_part():
    odd, even = np.array([3.0, -1.0, 2.0]), np.array([0.5, 0.7, 0.2])
    draws = summarise_draws(np.stack([even + odd, even - odd], 1).reshape(-1), antithetic=True)
    assert draws.mean == pytest.approx(even.mean())
    assert draws.spread == pytest.approx(even.var(ddof=1) / 3)
    assert draws.next_draw == pytest.approx((odd**2).mean() + even.var(ddof=1) * 4 / 3)


def test_half_a_pair_does_not_count():
    whole = summarise_draws(np.array([1.0, -1.0, 2.0, -1.5]), antithetic=True)
    half = summarise_draws(np.array([1.0, -1.0, 2.0, -1.5, 9.0, np.nan]), antithetic=True)
    np.testing.assert_allclose(whole, half)


def test_one_draw_has_no_interval():
    draws = summarise_draws(np.array([[1.0, np.nan], [np.nan, np.nan]]), antithetic=False)
    assert draws.mean[0] == 1 and np.isnan(draws.mean[1])
    assert np.isnan(draw_interval(draws)).all() and np.isnan(draw_test(np.ones(2), draws)).all()
    assert np.isnan(summarise_draws(np.array([1.0, 2.0]), antithetic=True).next_draw)


def test_draws_without_spread_tell_any_difference():
    draws = summarise_draws(np.ones(8), antithetic=True)
    assert draw_test(1.0, draws) == 1 and draw_test(1.2, draws) == 0
    assert draw_interval(draws) == (1.0, 1.0)


@pytest.mark.parametrize("antithetic", [True, False])
def test_draws_that_all_score_0_are_compared_by_the_variance_that_images_allow(antithetic):
    """No answer under a control names the concept: those under the concept, all of which do, are told from them."""
    draws = summarise_draws(np.zeros((2, 8)), antithetic=antithetic)
    least = least_share_variance(np.zeros(2), np.full(2, 12))
    every, one = draw_test(np.array([1.0, 1 / 12]), draws, least_variance=least)
    assert every < 0.001 and 0.05 < one < 0.5


def test_the_interval_of_a_difference_counts_images_and_draws():
    rng = np.random.default_rng(0)
    paired, draws = rng.normal(2, 1, 12), summarise_draws(rng.normal(size=8), antithetic=True)
    low, high = difference_interval(paired, draws)
    a, b = paired.var(ddof=1) / 12, draws.spread
    df = (a + b) ** 2 / (a**2 / 11 + b**2 / 3)
    half = stats.t.ppf(0.975, df) * np.sqrt(a + b)
    np.testing.assert_allclose([low, high], [paired.mean() - half, paired.mean() + half])
    none = summarise_draws(np.zeros(8), antithetic=True)
    np.testing.assert_allclose(
        difference_interval(paired, none), stats.ttest_1samp(paired, 0).confidence_interval(), rtol=1e-6
    )


def test_skewed_scores_have_an_interval_of_uneven_arms():
    skewed = np.append(np.linspace(0, 0.2, 15), [5.0, 7.0])
    draws = summarise_draws(np.zeros(8), antithetic=True)
    low, high = difference_interval(np.stack([skewed, -skewed]), draws)
    up, down = high[0] - skewed.mean(), skewed.mean() - low[0]
    assert up > 1.5 * down
    np.testing.assert_allclose([low[1], high[1]], [-high[0], -low[0]], rtol=0.1)


def test_the_interval_of_bounded_scores_stays_within_its_bounds():
    scores = np.append(np.ones(11), [0.0])
    draws = summarise_draws(np.array([0.1, 0.1, 0.2, 0.2]), antithetic=True)
    low, high = difference_interval(np.stack([scores - 0.15, 0.1 * scores]), draws, bounded=True)
    assert low.min() >= -1 and high.max() <= 1 and low[0] > 0.5
    wild, _ = difference_interval(scores - 0.15, draws)
    assert wild < low[0]


@pytest.mark.parametrize("least, interval", [(6, difference_interval), (10, None)])
def test_too_few_images_give_no_interval(least, interval):
    rng, draws = np.random.default_rng(1), summarise_draws(np.arange(8.0), antithetic=True)
    for count in (least - 1, least):
        if interval:
            ends = interval(np.append(rng.normal(size=count), np.nan), draws)
        else:
            own = np.append(np.arange(count) % 2.0, np.nan)
            ends = share_interval(own, np.append(np.zeros(count), np.nan), draws)
        assert np.isfinite(ends).all() == (count == least)


def test_the_interval_of_shares_is_newcombes_where_draws_agree():
    # Newcombe's example of independent shares (1998, table II, case a): 56/70 and 48/80 give .0524 to .3339.
    own, control = np.repeat([1.0, 0.0], [56, 14]), np.full(70, 0.6)
    limits = [wilson_interval(56, 70), wilson_interval(48, 80)]
    square = 0.6 * 0.4 / 80
    low, high = share_interval(own, control, Draws(*map(np.asarray, (0.6, square, 1e9, square, 1e9))))
    np.testing.assert_allclose([low, high], [0.0524, 0.3339], atol=2e-4)
    assert limits[0][0] < 0.8 < limits[0][1]


def test_ranks_give_p_from_99_draws_on():
    draws = np.random.default_rng(2).normal(size=(2, 99))
    draws[1, 0] = np.nan
    p = rank_test(np.array([50.0, 50.0]), draws)
    assert p[0] == pytest.approx(1 / 100) and np.isnan(p[1])
    assert rank_test(np.median(draws[0]), draws[0]) == 1


def test_wilson_agrees_with_scipy():
    low, high = wilson_interval([0, 7, 10], [10, 10, 10])
    for i, k in enumerate((0, 7, 10)):
        other = stats.binomtest(k, 10).proportion_ci(method="wilson")
        assert (low[i], high[i]) == pytest.approx((other.low, other.high))
    assert np.isnan(wilson_interval(0, 0)[0])


def test_false_discovery_rate_agrees_with_scipy():
    p = np.array([[0.01, 0.04, np.nan], [0.03, 0.5, 0.005]])
    adjusted = false_discovery_rate(p)
    there = np.isfinite(p)
    np.testing.assert_allclose(adjusted[there], stats.false_discovery_control(p[there]))
    assert np.isnan(adjusted[0, 2])
