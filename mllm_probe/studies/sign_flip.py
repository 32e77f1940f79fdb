"""Whether paired differences are on one side: a permutation test that turns their signs."""

from __future__ import annotations

import itertools

import numpy as np

FLIPS = 9999
_ALL_UP_TO = 13
"""Differences of which all combinations of signs are tried."""


def sign_flip_p(differences: np.ndarray, *, flips: int = FLIPS, seed: int = 0) -> float:
    """Two-sided p of the mean of paired differences, by turning their signs.

    Parameters
    ----------
    differences : float array [pair]
        NaN does not count.
    flips : int
        Random combinations of signs; of up to 13 differences all are tried.
    seed : int

    Returns
    -------
    float
        Share of the combinations whose mean is as far from 0; NaN without any difference.
    """
    known = np.asarray(differences, np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return np.nan
    if len(known) <= _ALL_UP_TO:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(known))))
    else:
        drawn = np.random.default_rng(seed).choice((1.0, -1.0), (flips, len(known)))
        signs = np.concatenate([np.ones((1, len(known))), drawn])
    means = np.abs(signs @ known)
    return float((means >= abs(known.sum()) - 1e-12 * np.abs(known).sum()).mean())
