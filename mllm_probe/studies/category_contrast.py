"""Differences between categories of concepts, with concepts as the sampling unit: permutation tests and intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from mllm_probe.metrics.statistics import LEVEL

PERMUTATIONS = 9999
FEWEST_ON_A_SIDE = 2
"""Concepts with a value of each category without which there is no difference."""
_LEAST_LEFT = 1e-9
"""Share of a category's variance that a covariate must leave, for the two to be told apart."""


@dataclass(frozen=True)
class Contrast:
    """Mean of one category of concepts minus that of another.

    `difference`: of the means over concepts, without what the covariate explains.
    `low`, `high`: 95 % t interval over concepts (Welch); with a covariate, of its coefficient in the regression.
    `p`: two-sided, by permutation of the two categories' labels over their concepts.
    `n`: concepts of each that have a value.
    """

    difference: float
    low: float
    high: float
    p: float
    n: tuple[int, int]


def contrast(
    values: np.ndarray,
    categories: np.ndarray,
    one: str,
    other: str,
    *,
    covariate: np.ndarray | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Contrast:
    """Compare two categories.

    `values` (float array [concept]): NaN for a concept without a value, which does not count.
    `categories`: str array [concept].
    `one`, `other`: ``one`` minus ``other``.
    `covariate` (float array [concept]): what the concepts differ in besides, such as the number of changed image
        tokens: the difference is then the coefficient of the category in a linear regression on category and covariate.

    Returns: NaN with fewer than two concepts on a side, or where a covariate tells the two categories apart by itself.

    With a covariate, the residuals of a regression on it alone are permuted (Freedman and Lane, 1983).
    """
    chosen = np.isfinite(values) & np.isin(categories, (one, other))
    if covariate is not None:
        chosen &= np.isfinite(covariate)
    own, first = values[chosen].astype(np.float64), categories[chosen] == one
    n = (int(first.sum()), int((~first).sum()))
    if min(n) < FEWEST_ON_A_SIDE:
        return Contrast(np.nan, np.nan, np.nan, np.nan, n)
    rng = np.random.default_rng(seed)
    if covariate is None:
        labels = np.concatenate([first[None], rng.permuted(np.tile(first, (permutations, 1)), axis=1)])
        difference, half = _welch(own[first], own[~first])
        drawn = _differences(own, labels)
    else:
        difference, half, drawn = _adjusted(own, first, covariate[chosen].astype(np.float64), permutations, rng)
    p = float((np.abs(drawn) >= abs(drawn[0]) - 1e-12).mean()) if np.isfinite(drawn[0]) else np.nan
    return Contrast(difference, difference - half, difference + half, p, n)


def _differences(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Difference of the two means under every labelling [labelling]."""
    first = labels.sum(1)
    return (labels @ values) / first - (~labels @ values) / (labels.shape[1] - first)


def _welch(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Difference of the means and half of its 95 % interval."""
    shares = [side.var(ddof=1) / len(side) for side in (one, other)]
    total = sum(shares)
    if total == 0:
        return float(one.mean() - other.mean()), 0.0
    df = total**2 / sum(share**2 / (len(side) - 1) for share, side in zip(shares, (one, other), strict=True))
    return float(one.mean() - other.mean()), float(stats.t.ppf((1 + LEVEL) / 2, df) * np.sqrt(total))


def _adjusted(
    values: np.ndarray, first: np.ndarray, covariate: np.ndarray, permutations: int, rng: np.random.Generator
) -> tuple[float, float, np.ndarray]:
    """Coefficient of the category beside a covariate, half of its interval, and the permuted coefficients."""
    base = np.column_stack([np.ones(len(values)), covariate - covariate.mean()])

    def left(of: np.ndarray) -> np.ndarray:
        """What the covariate leaves unexplained."""
        return np.asarray(of - base @ np.linalg.lstsq(base, of, rcond=None)[0])

    inside, residuals = left(first.astype(np.float64)), left(values)
    size, df = float(inside @ inside), len(values) - 3
    if size < _LEAST_LEFT * len(values) or df < 1:
        return np.nan, np.nan, np.full(1 + permutations, np.nan)
    every = np.concatenate([residuals[None], rng.permuted(np.tile(residuals, (permutations, 1)), axis=1)])
    drawn = every @ inside / size
    rest = residuals - drawn[0] * inside
    error = np.sqrt(rest @ rest / df / size)
    return float(drawn[0]), float(stats.t.ppf((1 + LEVEL) / 2, df) * error), drawn
