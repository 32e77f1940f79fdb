"""Intervals against closed forms and other implementations."""

import numpy as np
import pytest
from scipy import stats

from mllm_probe.metrics import (
    bootstrap_interval,
    false_discovery_rate,
    median_interval,
    null_interval,
    wilson_interval,
)


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


def test_null_interval_is_the_prediction_interval_of_one_more_draw():
    draws = np.array([1.0, 2.0, 4.0, 3.0])
    mean, low, high = null_interval(draws)
    half = stats.t.ppf(0.975, 3) * draws.std(ddof=1) * np.sqrt(1 + 1 / 4)
    np.testing.assert_allclose([mean, low, high], [2.5, 2.5 - half, 2.5 + half])


def test_null_interval_covers_one_more_draw_at_its_level():
    draws = np.random.default_rng(0).normal(3.0, 2.0, size=(20_000, 9))
    _, low, high = null_interval(draws[:, :8], axis=1)
    inside = (low <= draws[:, 8]) & (draws[:, 8] <= high)
    assert inside.mean() == pytest.approx(0.95, abs=0.01)


def test_null_interval_of_one_draw_is_not_known():
    mean, low, high = null_interval(np.array([1.0, np.nan]))
    assert mean == 1.0 and np.isnan(low) and np.isnan(high)


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
