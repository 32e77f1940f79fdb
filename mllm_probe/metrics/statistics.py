"""Intervals and tests of an effect against its controls, of shares and of ratios; false discovery rate.

Scores are crossed: every image is run with every direction. So an effect has two sources of error, the images and the
directions that the control's draws sample, and every interval here counts both.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

LEVEL = 0.95
LEAST_IMAGES = 6
"""Images without which a score has no interval and no verdict."""
LEAST_SHARES = 10
"""The same for scores that are 0 or 1."""
LEAST_UNITS = 4
"""Pairs of opposite draws, or draws that are not in pairs, without which a control gives no verdict: with two pairs the
even part of their spread has one degree of freedom, and intervals cover 87 to 90 %."""
LEAST_OF_MANY = 3
"""Concepts, models or other units without which their mean has no interval."""
RANK_DRAWS = 99
"""Draws from which p is given by ranks too: fewer cannot give a p below .01."""
RESAMPLES = 2000

_EQUAL = 1e-6
"""Scores are kept as float32: means that differ by less are equal."""
_SKEWED = 1.0
_MOST_NORMAL = 12
_BLOCK = 4_000_000


class Draws(NamedTuple):
    """The draws of one kind of control in one cell, each averaged over images.

    `mean` (float array [...]): over the draws.
    `spread` (float array [...]): estimated variance of ``mean`` from draw to draw; NaN where there are too few draws.
    `spread_df` (float array [...]): its degrees of freedom.
    `next_draw` (float array [...]): variance of the difference between one more draw and ``mean``.
    `next_draw_df`: float array [...].
    """

    mean: np.ndarray
    spread: np.ndarray
    spread_df: np.ndarray
    next_draw: np.ndarray
    next_draw_df: np.ndarray


def summarise_draws(draws: object, *, antithetic: bool) -> Draws:
    """Mean and spread of a control's draws.

    `draws` (array-like of float [..., draws]): one mean over images per draw; NaN marks a draw that was not run.
    `antithetic`: whether draws 2j and 2j + 1 are a direction and its opposite. Their half sum b has only the part of
    the effect that is even in the direction, their half difference h the odd part; a pair of which one was not run is
    left out.

    One more draw differs from the mean by an odd part of variance Σh²/k, whose mean over directions is 0, and an even
    part of variance s²(b)(1 + 1/k), over k pairs; unpaired, by s²(1 + 1/D). Degrees of freedom after Satterthwaite
    (Biometrics Bulletin 2, 1946).
    """
    table = np.asarray(draws, dtype=np.float64)
    if not antithetic:
        count, centre, variance = _moments(table)
        share = variance / np.where(count > 0, count, np.nan)
        return Draws(centre, share, count - 1, variance + share, count - 1)
    table = table[..., : 2 * (table.shape[-1] // 2)].reshape(*table.shape[:-1], -1, 2)
    even, odd = table.mean(-1), (table[..., 0] - table[..., 1]) / 2
    count, centre, variance = _moments(even)
    # Not about its mean: that is 0 over directions by construction, so that all `count` pairs are degrees of freedom.
    odd_variance = mean(odd**2)
    share = variance / np.where(count > 0, count, np.nan)
    total, df = _satterthwaite((odd_variance, count), (variance + share, count - 1))
    # Draws that are all equal have no df of their own; a least variance in their place is tested with the pairs'.
    return Draws(centre, share, count - 1, total, np.where(total == 0, count - 1, df))


def difference_interval(
    paired: object, draws: Draws, *, level: float = LEVEL, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Interval of concept minus the mean of its control, from the spread over images and over directions.

    `paired` (array-like of float [..., images]): for each image, the concept's score minus the mean over draws; NaN
        marks an image that does not count.
    `draws`: of the same cells.
    `level`: coverage, 0.95 by default.
    `seed`: of the resamples.

    Returns float64 array [...]: NaN where fewer than ``LEAST_IMAGES`` images count, or too few draws.

    A t interval with SE² = s²(paired)/n + the variance of the draws' mean, degrees of freedom after Satterthwaite.
    Where 12 or more images are skewed beyond 1, the quantiles come from the bootstrap-t over images (Efron and
    Tibshirani, An Introduction to the Bootstrap, 1993, section 12.5), in which the draws' mean and its variance are
    redrawn from their normal theory.
    """
    table = np.asarray(paired, dtype=np.float64)
    count, centre, variance = _moments(table)
    squared, df = _satterthwaite((variance / count, count - 1), (draws.spread, draws.spread_df))
    half = _quantile(level, df) * np.sqrt(squared)
    low, high = np.where(squared == 0, centre, centre - half), np.where(squared == 0, centre, centre + half)
    skewed = (count >= _MOST_NORMAL) & (np.abs(_skewness(table)) > _SKEWED) & (squared > 0)
    if skewed.any():
        spread, spread_df = (np.broadcast_to(values, count.shape)[skewed] for values in (draws.spread, draws.spread_df))
        below, above = _bootstrap_t(table[skewed], spread, spread_df, level, seed)
        error = np.sqrt(squared[skewed])
        low[skewed], high[skewed] = centre[skewed] - above * error, centre[skewed] - below * error
    known = (count >= LEAST_IMAGES) & np.isfinite(draws.spread)
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def share_interval(
    steered: object, control: object, draws: Draws, *, level: float = LEVEL, graded: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Interval of the difference between a concept's share and its control's, never of width 0.

    `steered` (array-like of float [..., images]): 0 or 1; NaN marks an image that does not count.
    `control` (array-like of float [..., images]): mean over the control's draws of each image.
    `draws`: of the same cells.
    `level`: coverage, 0.95 by default.
    `graded`: scores are any numbers in 0 … 1; their share then has as many trials as give it its variance.

    Returns float64 array [...]: within −1 … 1; NaN where fewer than ``LEAST_SHARES`` images count, or too few draws.

    Newcombe, Statistics in Medicine 17, 1998 (two papers), method 10: the distances to the Wilson limits of both
    shares, squared and added. The control's Wilson limits take the number of independent trials that has its variance
    over images and draws.
    """
    steered, control = np.asarray(steered, dtype=np.float64), np.asarray(control, dtype=np.float64)
    count, share, steered_variance = _moments(steered)
    _, other, variance = _moments(np.where(np.isfinite(steered), control, np.nan))
    normal = stats.norm.ppf((1 + level) / 2)
    own_trials = _independent_trials(share, steered_variance / count, count) if graded else count
    own_quantile = np.where(steered_variance > 0, _quantile(level, count - 1), normal) if graded else normal
    steered_limits = _wilson_limits(share, own_trials, own_quantile)
    squared, df = _satterthwaite((variance / count, count - 1), (draws.spread, draws.spread_df))
    trials = _independent_trials(other, squared, count)
    other_limits = _wilson_limits(other, trials, np.where(squared == 0, normal, _quantile(level, df)))
    with np.errstate(invalid="ignore", divide="ignore"):
        # Both shares are of the same images: φ is their correlation over images, and the distances to the Wilson limits
        # combine as √(a² + b² − 2φab). Images that all agree must not give a width of 0: the covariance of shares loses
        # half an image, Newcombe's correction, that of graded scores its n-th part. A negative φ is taken as 0.
        covariance = mean((steered - share[..., None]) * (control - other[..., None]))
        together = (covariance - (covariance if graded else 0.5) / count) / (count - 1)
        correlation = np.nan_to_num(together / np.sqrt(steered_variance / count * squared)).clip(0, 1)

    def distance(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return np.sqrt(np.maximum(left**2 + right**2 - 2 * correlation * left * right, 0.0))

    low = share - other - distance(share - steered_limits[0], other_limits[1] - other)
    high = share - other + distance(steered_limits[1] - share, other - other_limits[0])
    known = (count >= LEAST_SHARES) & np.isfinite(draws.spread)
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def draw_test(value: object, draws: Draws) -> np.ndarray:
    """Two-sided p: whether one more draw of the control would lie as far out as the concept does.

    `value` (array-like of float [...]): the concept's mean over images. `draws`: of the same cells. Returns float64
    array [...]: 1 where the concept equals its control exactly; the p by ranks, 1 / (1 + draws), where the draws are
    all equal, whose spread is not known to be 0; NaN where there are too few draws.
    """
    distance = np.asarray(value, dtype=np.float64) - draws.mean
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stats.t.sf(np.abs(distance) / np.sqrt(draws.next_draw), draws.next_draw_df)
    # Equal draws have as many degrees of freedom as there are draws (or pairs), less one.
    p = np.where(draws.next_draw == 0, np.where(distance == 0, 1.0, 1 / (draws.next_draw_df + 2)), p)
    return np.where(np.isfinite(distance) & np.isfinite(draws.next_draw), p, np.nan)


class Won(NamedTuple):
    """P of scores in 0 … 1.

    `p`: float array [*cell].
    `draws` (int array [*cell]): directions that the concept competed with, a pair of opposite ones as one.
    """

    p: np.ndarray
    draws: np.ndarray


def win_test(distance: np.ndarray, draws: np.ndarray, *, antithetic: bool) -> Won:
    """One-sided p of scores in 0 … 1: (1 + cells that a draw wins by as much) / (1 + draws of all cells).

    A variance says little about shares: eight draws that all score 0 are compatible with a next one that scores 1 with
    probability .31. So directions are counted. In each cell the concept and its draws compete for the highest score;
    one that is like its draws wins as seldom as any of them, and by as much, whatever the cell's word, layer and dose.
    The cells that draws win tell how many are won falsely: Benjamini–Hochberg of this p is the estimate of target–decoy
    competition (Barber and Candès, Annals of Statistics 43, 2015, with several decoys), draws won over their number.

    `distance` (float array [*cell]): steered minus unsteered, averaged over images, positive in the intended sense; NaN
        where the cell is not tested. `draws` (float array [*cell, draws]): the same of the control's draws, scored for
        the same words; NaN marks one that was not run.
    `antithetic`: draws 2j and 2j + 1 are opposite directions, which often score alike. The concept competes with one of
        each pair, and with the other ones; it must win both times, by the smaller margin.

    Returns p of 1 where a draw reaches as far as the concept; NaN with fewer than ``LEAST_UNITS`` draws.
    """
    sides = draws[..., None]
    if antithetic:
        sides = draws[..., : 2 * (draws.shape[-1] // 2)].reshape(*draws.shape[:-1], -1, 2)
        sides = np.where(np.isfinite(sides).all(-1, keepdims=True), sides, np.nan)
    count = np.isfinite(sides[..., 0]).sum(-1)
    tested = np.isfinite(distance) & (count >= LEAST_UNITS)
    p = np.full(distance.shape, np.nan)
    if not tested.any():
        return Won(p, count)
    own, rivals, share = distance[tested], sides[tested], 1 / count[tested]
    margin, reached = np.full(own.shape, np.inf), np.zeros(own.shape)
    sets = []
    for side in range(sides.shape[-1]):
        everyone = np.concatenate([own[:, None], rivals[..., side]], -1)
        ordered = np.sort(np.where(np.isfinite(everyone), everyone, -np.inf), -1)
        by, wins = ordered[:, -1] - ordered[:, -2], own >= ordered[:, -1] - _EQUAL
        margin = np.minimum(margin, np.where(wins, by, 0.0))
        sets.append((by[~wins], share[~wins]))
    for by, shares in sets:
        order = np.argsort(by)
        above = np.append(np.cumsum(shares[order][::-1])[::-1], 0.0)
        reached += above[np.searchsorted(by[order], margin - _EQUAL)] / len(sets)
    found = (share.max() + reached) / (share.max() + len(own))
    p[tested] = np.where(margin > _EQUAL, np.minimum(found, 1.0), 1.0)
    return Won(p, count)


def t_interval(values: object, axis: int = -1, *, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Interval of the mean over concepts, models or other units: t with one degree of freedom fewer than there are.

    `values` (array-like of float): NaN marks a unit without a value. `axis`: that of the units. Returns: NaN with fewer
    than ``LEAST_OF_MANY`` units. (Percentile bootstraps over 2, 3, 4 and 8 units cover 51, 74, 80 and 89 %.)
    """
    count, centre, variance = _moments(np.moveaxis(np.asarray(values, dtype=np.float64), axis, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        half = _quantile(level, count - 1) * np.sqrt(variance / count)
    half = np.where(count >= LEAST_OF_MANY, half, np.nan)
    return centre - half, centre + half


def least_share_variance(share: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Variance of the share of 1 over images, for shares that were seen to be 0 or 1 too.

    `share` (float array [...]): mean over draws. `images`: array of int [...].
    """
    # Half an image is added to either side, since draws that all score 0 do not show that the next one must.
    held = (share * images + 0.5) / (images + 1)
    return held * (1 - held) / np.maximum(images, 1)


def draw_interval(draws: Draws, *, level: float = LEVEL, least_variance: object = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Where one more draw of the control would fall, the limits that `draw_test` goes by.

    `level`: coverage, 0.95 by default. `least_variance` (array-like of float [...]): below which the variance of one
    more draw is not taken to lie. Returns float64 array [...]: NaN where there are too few draws.
    """
    variance = np.maximum(draws.next_draw, np.asarray(least_variance, dtype=np.float64))
    half = np.where(variance == 0, 0.0, _quantile(level, draws.next_draw_df) * np.sqrt(variance))
    return draws.mean - half, draws.mean + half


def rank_test(value: object, draws: object) -> np.ndarray:
    """Two-sided p from ranks, without an assumption on the shape of the draws: (1 + as far out) / (1 + draws).

    `value` (array-like of float [...]): the concept's mean over images. `draws` (array-like of float [..., draws]): one
    mean over images per draw; NaN marks a draw that was not run. Distances are from their median. Returns float64 array
    [...]: NaN where fewer than ``RANK_DRAWS`` draws were run.

    Phipson and Smyth, Statistical Applications in Genetics and Molecular Biology 9, 2010.
    """
    table, value = np.asarray(draws, dtype=np.float64), np.asarray(value, dtype=np.float64)
    count = np.isfinite(table).sum(-1)
    enough = count >= RANK_DRAWS
    centre = median(table)
    with np.errstate(invalid="ignore"):
        as_far = (np.abs(table - centre[..., None]) >= np.abs(value - centre)[..., None]).sum(-1)
    return np.where(enough & np.isfinite(value), (1 + as_far) / (1 + count), np.nan)


def bootstrap_interval(
    values: object, axis: int = -1, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile bootstrap interval of the mean over images.

    `values`: one value per image along ``axis``; for a paired interval, the per-image difference of two conditions. NaN
        marks an image that does not count for that cell.
    `axis`: the axis of the images. The same resamples are used for every cell, so that cells stay comparable.
    `level`: coverage, 0.95 by default.
    `resamples`, `seed`: number of resamples and seed of the generator.

    Returns: shape of ``values`` without ``axis``; NaN where fewer than two images count.

    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    table = np.moveaxis(np.asarray(values, dtype=np.float64), axis, 0)
    images, shape = table.shape[0], table.shape[1:]
    table = table.reshape(images, -1)
    low, high = np.full(table.shape[1], np.nan), np.full(table.shape[1], np.nan)
    counted = np.isfinite(table).sum(0) >= 2
    if counted.any():
        generator = np.random.default_rng(seed)
        weights = generator.multinomial(images, np.full(images, 1 / images), size=resamples).astype(np.float64)
        tail = 100 * (1 - level) / 2
        for columns in np.array_split(np.flatnonzero(counted), 1 + int(counted.sum()) * resamples // _BLOCK):
            low[columns], high[columns] = np.nanpercentile(
                _weighted_means(weights, table[:, columns]), [tail, 100 - tail], axis=0
            )
    return low.reshape(shape), high.reshape(shape)


def _weighted_means(weights: np.ndarray, table: np.ndarray) -> np.ndarray:
    finite = np.isfinite(table)
    total = weights @ finite
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, weights @ np.where(finite, table, 0.0) / total, np.nan)


def median_interval(values: object, *, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Interval of the median over images from order statistics, as the sign test gives it; no assumption on the shape.

    `values` (array-like of float [..., images]): NaN marks an image that does not count for that cell. `level`:
    coverage at least, 0.95 by default. Returns: NaN where too few images count for that level (fewer than six for
    0.95).

    Conover, Practical Nonparametric Statistics, 1999, section 3.2.
    """
    table = np.sort(np.asarray(values, dtype=np.float64), -1)  # NaN last
    count = np.isfinite(table).sum(-1)
    # The interval from the (k+1)-th smallest to the (k+1)-th largest value covers the median with 1 − 2 P(X ≤ k),
    # X ~ Bin(n, ½); k is the largest with P(X ≤ k) ≤ tail, and −1 where there is none.
    below = stats.binom.ppf((1 - level) / 2, np.maximum(count, 1), 0.5).astype(int)
    below -= stats.binom.cdf(below, np.maximum(count, 1), 0.5) > (1 - level) / 2
    known = (count > 0) & (below >= 0)
    ends = [np.where(known, below, 0), np.where(known, count - 1 - below, 0)]
    low, high = (np.where(known, np.take_along_axis(table, end[..., None], -1)[..., 0], np.nan) for end in ends)
    return low, high


def wilson_interval(successes: object, n: object, *, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Wilson score interval of a share.

    `successes`, `n`: counts; they broadcast against each other. `level`: coverage, 0.95 by default. Returns: bounds in
    0 … 1, NaN where ``n`` is 0.
    """
    successes, n = np.broadcast_arrays(np.asarray(successes, dtype=np.float64), np.asarray(n, dtype=np.float64))
    with np.errstate(invalid="ignore", divide="ignore"):
        return _wilson_limits(successes / n, n, stats.norm.ppf((1 + level) / 2))


def _wilson_limits(share: np.ndarray, n: np.ndarray, quantile: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(invalid="ignore", divide="ignore"):
        squared = quantile**2 / n
        centre = (share + squared / 2) / (1 + squared)
        half = np.sqrt(squared * share * (1 - share) + squared**2 / 4) / (1 + squared)
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)


def false_discovery_rate(p_values: object) -> np.ndarray:
    """Benjamini–Hochberg adjusted p-values: reject below q to keep the false discovery rate at q.

    Parameters
    ----------
    p_values : array-like of float
        Any shape; NaN entries are no tests and stay NaN.

    Returns
    -------
    ndarray of float64
        Adjusted values in the shape of ``p_values``.

    References
    ----------
    Benjamini and Hochberg, Journal of the Royal Statistical Society B 57, 1995; computed by SciPy.
    """
    adjusted = np.array(p_values, dtype=np.float64)
    tests = np.isfinite(adjusted)
    if tests.any():
        adjusted[tests] = stats.false_discovery_control(adjusted[tests])
    return adjusted


def mean(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis without NaN; NaN where nothing is left, without a warning."""
    return _moments(values)[1]


def median(values: np.ndarray) -> np.ndarray:
    """Median over the last axis without NaN; NaN where nothing is left, without a warning."""
    ordered = np.sort(values, -1)  # NaN last
    count = np.isfinite(values).sum(-1)[..., None]
    ends = [np.take_along_axis(ordered, np.maximum(place, 0), -1)[..., 0] for place in ((count - 1) // 2, count // 2)]
    middle: np.ndarray = (ends[0] + ends[1]) / 2
    return middle


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number of finite values along the last axis, their mean, and their variance (NaN of fewer than two)."""
    finite = np.isfinite(values)
    count = finite.sum(-1).astype(np.float64)
    filled = np.where(finite, values, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = filled.sum(-1) / np.where(count > 0, count, np.nan)
        squares = np.where(finite, values - centre[..., None], 0.0) ** 2
        variance = squares.sum(-1) / np.where(count > 1, count - 1, np.nan)
    # Equal values differ from their mean by rounding, which is no spread.
    variance = np.where(variance <= (1e-12 * np.abs(centre)) ** 2, 0.0, variance)
    return count, centre, variance


def _skewness(values: np.ndarray) -> np.ndarray:
    count, centre, variance = _moments(values)
    cubes = np.where(np.isfinite(values), values - centre[..., None], 0.0) ** 3
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nan_to_num(cubes.sum(-1) / count / variance**1.5)


def _satterthwaite(*parts: tuple[Any, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Sum of independent estimates of variances (variance, df), and its degrees of freedom."""
    total = sum(variance for variance, _ in parts)
    with np.errstate(invalid="ignore", divide="ignore"):
        df = total**2 / sum(np.where(variance == 0, 0.0, variance**2 / df) for variance, df in parts)
    return np.asarray(total), np.asarray(df)


def _quantile(level: float, df: np.ndarray) -> np.ndarray:
    quantile: np.ndarray = stats.t.ppf((1 + level) / 2, df)
    return quantile


def _independent_trials(share: np.ndarray, variance: np.ndarray, least: np.ndarray) -> np.ndarray:
    """Number of independent trials whose share has this variance; at least the number of images."""
    with np.errstate(invalid="ignore", divide="ignore"):
        trials = share * (1 - share) / variance
    return np.where(np.isfinite(trials), np.maximum(trials, 1.0), least)


def _bootstrap_t(
    values: np.ndarray, spread: np.ndarray, df: np.ndarray, level: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper quantile of (mean − true mean) / SE, from resampled images and redrawn controls.

    `values`: float64 array [cells, images]. `spread`, `df` (float64 array [cells]): variance of the draws' mean and its
    degrees of freedom.
    """
    images, tail = values.shape[-1], 100 * (1 - level) / 2
    generator = np.random.default_rng(seed)
    # A resample is how often each image was drawn, so that all cells share one matrix product; the same resamples for
    # every cell keep cells comparable.
    weights = generator.multinomial(images, np.full(images, 1 / images), size=RESAMPLES).astype(np.float64)
    normal = generator.standard_normal(RESAMPLES)[:, None]
    ends = []
    for rows in np.array_split(np.arange(len(values)), 1 + len(values) * RESAMPLES // _BLOCK):
        centred = (values[rows] - mean(values[rows])[:, None]).T
        finite = np.isfinite(centred)
        filled = np.where(finite, centred, 0.0)
        count = weights @ finite
        with np.errstate(invalid="ignore", divide="ignore"):
            moved = weights @ filled / count
            # T* = (mean* − mean + error of the draws*) / SE*, with SE*² = s*²/n + variance of the draws' mean*. Mean
            # square minus squared mean, by n − 1, is s*²/n. Resamples of equal values divide by 0 and are left out.
            variance = (weights @ filled**2 / count - moved**2) / (count - 1)
            redrawn = spread[rows] * generator.chisquare(df[rows], (RESAMPLES, len(rows))) / df[rows]
            pivots = (moved + normal * np.sqrt(spread[rows])) / np.sqrt(variance + redrawn)
        ends.append(np.nanpercentile(np.where(np.isfinite(pivots), pivots, np.nan), [tail, 100 - tail], axis=0))
    below, above = np.concatenate(ends, axis=1)
    return below, above


_RATIO_BLOCK = 2_000_000


def ratio_interval(
    numerator: object, denominator: object, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ratio Σ numerator / Σ denominator over images, and its interval; both sums are resampled together.

    `numerator`: array-like of float [images, cells].
    `denominator` (array-like of float [images]): without NaN; its sum is not 0.
    `level`: coverage, 0.95 by default.
    `resamples`, `seed`: number of resamples and seed of the generator. The same resamples are used for every cell.

    Returns ndarray of float64 [cells]: the bounds are NaN with fewer than two images, and the ratio itself where all
    images have it exactly.

    The standard error of a ratio is that of the residuals n − r d about it, divided by the mean of d (Cochran, Sampling
    Techniques, 1977, chapter 6). The bootstrap-t takes the quantiles of (r* − r) / se* instead of those of r*, whose
    interval is too short by √(n / (n − 1)) and the tail of t: below 24 images it covers 80 to 92 % of what it should.

    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 12.
    """
    above, below = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    images = len(below)
    ratio = above.sum(0) / below.sum()
    low, high = np.full(ratio.shape, np.nan), np.full(ratio.shape, np.nan)
    if images < 2:
        return ratio, low, high
    weights = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=resamples)
    error = _errors(np.ones((1, images)), above, below)[1][0]
    tail = 100 * (1 - level) / 2
    for cells in np.array_split(np.arange(above.shape[1]), 1 + above.shape[1] * resamples // _RATIO_BLOCK):
        drawn, errors = _errors(weights.astype(np.float64), above[:, cells], below)
        with np.errstate(divide="ignore", invalid="ignore"):
            away = (drawn - ratio[cells]) / errors
        # A resample of one image only has no error of its own; a cell without error has the same ratio in every one.
        away[~np.isfinite(away) | (errors <= 1e-12 * np.maximum(np.abs(drawn), 1e-12))] = np.nan
        known = np.isfinite(away).sum(0) > resamples // 2
        ends = np.zeros((2, len(cells)))
        if known.any():
            ends[:, known] = np.nanpercentile(away[:, known], [100 - tail, tail], axis=0)
        low[cells], high[cells] = ratio[cells] - ends * error[cells]
    return ratio, low, high


def _errors(weights: np.ndarray, above: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ratio and its standard error in weighted samples [samples, cells]."""
    images = len(below)
    total = (weights @ below)[:, None]
    ratio = weights @ above / total
    crossed = ratio * (weights @ (above * below[:, None]))
    squares = weights @ above**2 - 2 * crossed + ratio**2 * (weights @ below**2)[:, None]
    variance = np.clip(squares, 0, None) / (images - 1) / images
    return ratio, np.sqrt(variance) / np.abs(total / images)
