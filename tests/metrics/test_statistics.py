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
from mllm_probe.metrics.statistics import t_interval, win_test


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


@pytest.mark.parametrize("antithetic, units", [(True, 4), (False, 8)])
def test_equal_draws_say_no_more_than_their_number(antithetic, units):
    draws = summarise_draws(np.ones(8), antithetic=antithetic)
    assert draw_test(1.0, draws) == 1 and draw_test(1.2, draws) == pytest.approx(1 / (units + 1))
    assert draw_interval(draws) == (1.0, 1.0)
    low, high = draw_interval(draws, least_variance=0.01)
    assert low < 0.8 and high > 1.2


def test_one_cell_of_shares_has_the_p_of_ranks():
    """Eight directions that never name the word are compatible with a ninth that does in a third of cases."""
    draws = np.zeros((1, 8))
    alone = win_test(np.array([1.0]), draws, antithetic=True)
    assert alone.p == pytest.approx(1 / 5) and alone.draws == 4
    assert win_test(np.array([1.0]), draws, antithetic=False).p == pytest.approx(1 / 9)
    assert win_test(np.array([0.0]), draws, antithetic=True).p == 1
    assert np.isnan(win_test(np.array([np.nan]), draws, antithetic=True).p).all()
    assert np.isnan(win_test(np.array([1.0]), draws[:, :6], antithetic=True).p).all()


def test_cells_that_draws_win_by_as_much_count_against_the_concepts():
    draws = np.zeros((20, 8))
    distance = np.zeros(20)
    distance[:6], draws[10, 0], draws[11, 1], draws[12, 2:4] = 0.5, 0.5, 0.4, (0.6, 0.8)
    result = win_test(distance, draws, antithetic=True)
    # By .5 or more the first directions of the pairs win cells 10 and 12, the other ones cell 12 alone.
    np.testing.assert_allclose(result.p[:6], (1 + 1.5) / (1 + 4 * 20))
    assert (result.p[6:] == 1).all()
    draws[0, 5] = 0.5
    assert win_test(distance, draws, antithetic=True).p[0] == 1
    draws[1, :2] = 0.3
    assert win_test(distance, draws, antithetic=True).p[1] == pytest.approx((1 + 2) / 81)


def test_cells_with_fewer_draws_weigh_more_and_half_a_pair_does_not_count():
    draws = np.zeros((4, 12))
    draws[0, :3], draws[1, 3:] = np.nan, 0.0
    draws[0, 4:6] = 0.9
    result = win_test(np.array([0.1, 0.5, 0.5, np.nan]), draws, antithetic=True)
    assert result.draws.tolist() == [4, 6, 6, 6] and np.isnan(result.p[3])
    np.testing.assert_allclose(result.p[1:3], (1 / 4 + 1 / 4) / (1 / 4 + 3))


@pytest.mark.parametrize("seed", range(3))
def test_p_by_wins_has_its_level_for_exchangeable_directions(seed):
    rng = np.random.default_rng(seed)
    score = (rng.random((48, 100, 9)) < 0.04) * rng.integers(1, 13, (48, 100, 9)) / 12
    p = win_test(score[..., 8], score[..., :8], antithetic=False).p
    for level in (0.001, 0.01, 0.05):
        assert (p <= level).mean() <= 1.2 * level


def test_the_mean_of_few_units_has_a_t_interval_and_of_two_none():
    values = np.array([[1.0, 2.0, 4.0], [1.0, 2.0, np.nan]])
    low, high = t_interval(values)
    expected = stats.ttest_1samp(values[0], 0).confidence_interval()
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high))
    assert np.isnan([low[1], high[1]]).all()
    np.testing.assert_allclose(t_interval(values.T, 0)[0], low)


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


@pytest.mark.parametrize("graded", [True, False])
def test_the_interval_of_scores_in_0_to_1_stays_within_its_bounds_and_is_never_of_width_0(graded):
    draws = summarise_draws(np.zeros(8), antithetic=True)
    scores = np.stack([np.ones(12), np.append(np.ones(11), 0.0), np.zeros(12)])
    low, high = share_interval(scores, np.zeros((3, 12)), draws, graded=graded)
    assert low.min() >= -1 and high.max() <= 1 and (high - low > 0.1).all()
    assert low[0] > 0.5 and low[2] < 0 < high[2]


@pytest.mark.parametrize("graded", [True, False])
@pytest.mark.parametrize("named", range(13))
def test_images_that_all_agree_with_their_controls_have_an_interval(graded, named):
    shares = np.repeat([1.0, 0.0], [named, 12 - named])
    draws = summarise_draws(np.full(8, shares.mean()), antithetic=True)
    low, high = share_interval(shares, shares, draws, graded=graded)
    assert low < -0.02 and high > 0.02


def test_graded_scores_in_the_middle_of_their_scale_have_the_interval_of_their_own_spread():
    scores = np.random.default_rng(0).normal(0.5, 0.02, 12)
    draws = summarise_draws(np.zeros(8), antithetic=True)
    low, high = share_interval(scores, np.full(12, 0.1), draws, graded=True)
    binary = share_interval(np.repeat([0.0, 1.0], 6), np.full(12, 0.1), draws)
    assert high - low < 0.8 * (binary[1] - binary[0])


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
