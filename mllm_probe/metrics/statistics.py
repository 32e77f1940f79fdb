"""Intervals and tests: bootstrap over images, the null interval of control draws, Wilson, false discovery rate."""

from __future__ import annotations

import numpy as np
from scipy import stats

LEVEL = 0.95
RESAMPLES = 2000
_BLOCK = 4_000_000


def bootstrap_interval(
    values: object, axis: int = -1, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile bootstrap interval of the mean over images.

    Parameters
    ----------
    values : array-like of float
        One value per image along ``axis``; for a paired interval, the per-image difference of two conditions. NaN
        marks an image that does not count for that cell.
    axis : int
        The axis of the images. The same resamples are used for every cell, so that cells stay comparable.
    level : float
        Coverage, 0.95 by default.
    resamples, seed : int
        Number of resamples and seed of the generator.

    Returns
    -------
    low, high : ndarray of float64
        Shape of ``values`` without ``axis``; NaN where fewer than two images count.

    References
    ----------
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
    there = np.isfinite(table)
    total = weights @ there
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, weights @ np.where(there, table, 0.0) / total, np.nan)


def median_interval(values: object, *, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Interval of the median over images from order statistics, as the sign test gives it; no assumption on the shape.

    Parameters
    ----------
    values : array-like of float [..., images]
        NaN marks an image that does not count for that cell.
    level : float
        Coverage at least, 0.95 by default.

    Returns
    -------
    low, high : ndarray of float64
        NaN where too few images count for that level (fewer than six for 0.95).

    References
    ----------
    Conover, Practical Nonparametric Statistics, 1999, section 3.2.
    """
    table = np.sort(np.asarray(values, dtype=np.float64), -1)  # NaN last
    count = np.isfinite(table).sum(-1)
    below = stats.binom.ppf((1 - level) / 2, np.maximum(count, 1), 0.5).astype(int)
    below -= stats.binom.cdf(below, np.maximum(count, 1), 0.5) > (1 - level) / 2
    there = (count > 0) & (below >= 0)
    ends = [np.where(there, below, 0), np.where(there, count - 1 - below, 0)]
    low, high = (np.where(there, np.take_along_axis(table, end[..., None], -1)[..., 0], np.nan) for end in ends)
    return low, high


def null_interval(draws: object, axis: int = -1, *, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where one more draw of a control would fall: mean ± t(D-1) · sd · √(1 + 1/D).

    Parameters
    ----------
    draws : array-like of float
        One mean per draw along ``axis``; NaN marks a draw that was not run.
    axis : int
        The axis of the draws.
    level : float
        Coverage, 0.95 by default.

    Returns
    -------
    mean, low, high : ndarray of float64
        Shape of ``draws`` without ``axis``; the bounds are NaN where fewer than two draws were run.
    """
    table = np.moveaxis(np.asarray(draws, dtype=np.float64), axis, 0)
    there = np.isfinite(table)
    count = there.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(count > 0, np.where(there, table, 0.0).sum(0) / count, np.nan)
        variance = np.where(there, (table - mean) ** 2, 0.0).sum(0) / (count - 1)
        quantile = stats.t.ppf((1 + level) / 2, np.maximum(count - 1, 1))
        half = np.where(count >= 2, quantile * np.sqrt(np.where(count >= 2, variance, 0.0) * (1 + 1 / count)), np.nan)
    return mean, mean - half, mean + half


def wilson_interval(successes: object, n: object, *, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Wilson score interval of a share.

    Parameters
    ----------
    successes, n : array-like of float
        Counts; they broadcast against each other.
    level : float
        Coverage, 0.95 by default.

    Returns
    -------
    low, high : ndarray of float64
        Bounds in 0 … 1, NaN where ``n`` is 0.
    """
    successes, n = np.broadcast_arrays(np.asarray(successes, dtype=np.float64), np.asarray(n, dtype=np.float64))
    z = stats.norm.ppf((1 + level) / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = successes / n
        centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
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
    Benjamini and Hochberg, Journal of the Royal Statistical Society B 57, 1995.
    """
    flat = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(flat.size, np.nan)
    tests = np.flatnonzero(np.isfinite(flat.ravel()))
    if tests.size:
        order = tests[np.argsort(flat.ravel()[tests], kind="stable")]
        scaled = flat.ravel()[order] * tests.size / np.arange(1, tests.size + 1)
        adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return adjusted.reshape(flat.shape)
