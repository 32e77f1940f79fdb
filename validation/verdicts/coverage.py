"""How often intervals cover the truth and p calls a direction that means nothing, on simulated scores of known truth.

Images and directions are crossed: score = image + direction + image × direction, the last of standard deviation 1.
Antithetic draws r and −r share the part of their effect that is even in r.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from mllm_probe.metrics.statistics import (
    difference_interval,
    draw_test,
    least_share_variance,
    mean,
    share_interval,
    summarise_draws,
)

IMAGES = (6, 8, 12, 24, 48)
DRAWS = (8, 32)
SPREADS = (0.0, 0.3, 1.0, 2.5)
SHARES = (0.05, 0.2, 0.5)


@dataclass(frozen=True)
class Setting:
    """One setting of the simulation.

    Attributes
    ----------
    noise : {"normal", "exponential", "binary"}
        Of images: the distribution of their part of the score; ``"binary"`` scores are 1 where a normal one is high.
    images, draws : int
    spread : float
        Standard deviation of the direction's effect, half of it (in variance) even in the direction.
    share : float
        Of binary scores: how often an average direction scores 1.
    """

    noise: str
    images: int
    draws: int
    spread: float
    share: float = 0.5


@dataclass(frozen=True)
class Measured:
    """Shares over cells.

    Attributes
    ----------
    covered : float
        Intervals that hold the true difference, of all cells; a missing interval does not.
    half_width : float
        Median.
    false_positives : float
        p ≤ .05 where the concept is one more draw of its control.
    """

    covered: float
    half_width: float
    false_positives: float


def settings() -> Iterator[Setting]:
    """All settings of the table."""
    for draws in DRAWS:
        for spread in SPREADS:
            for images in IMAGES:
                yield Setting("normal", images, draws, spread)
                yield Setting("exponential", images, draws, spread)
                if images >= 12:
                    yield from (Setting("binary", images, draws, spread, share) for share in SHARES)


def measure(setting: Setting, cells: int = 4000, seed: int = 0) -> Measured:
    """Simulate cells and ask `mllm_probe.metrics.statistics` about each."""
    own, drawn, truth = _scores(setting, cells, np.random.default_rng(seed))
    draws = summarise_draws(drawn.mean(-1), antithetic=True)
    if setting.noise == "binary":
        low, high = share_interval(own, drawn.mean(-2), draws)
    else:
        low, high = difference_interval(own - drawn.mean(-2), draws)
    least = least_share_variance(draws.mean, setting.images) if setting.noise == "binary" else 0.0
    p = draw_test(mean(own), draws, least_variance=least)
    covered = (low <= truth) & (truth <= high)
    return Measured(float(covered.mean()), float(np.nanmedian(high - low) / 2), float((p <= 0.05).mean()))


def _scores(setting: Setting, cells: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of the concept [cells, images], of draws [cells, draws, images], and the true difference [cells]."""
    pairs, n = setting.draws // 2, setting.images
    odd, even = (setting.spread / np.sqrt(2) * rng.standard_normal((cells, pairs + 1)) for _ in range(2))
    directions = np.stack([even[:, 1:] + odd[:, 1:], even[:, 1:] - odd[:, 1:]], -1).reshape(cells, -1)
    own = even[:, :1] + odd[:, :1]
    image = (
        (rng.exponential(size=(cells, 1, n)) - 1)
        if setting.noise == "exponential"
        else rng.standard_normal((cells, 1, n))
    )
    effects = np.concatenate([own, directions], 1)[..., None]
    if setting.noise == "exponential":
        crossed = rng.exponential(size=(cells, 1 + setting.draws, n)) - 1
    else:
        crossed = rng.standard_normal((cells, 1 + setting.draws, n))
    scores = image + effects + crossed
    truth = own[:, 0]
    if setting.noise == "binary":
        # Image and noise have variance 2, an average over directions 2 + spread².
        threshold = -stats.norm.ppf(setting.share) * np.sqrt(2 + setting.spread**2)
        truth = stats.norm.sf((threshold - truth) / np.sqrt(2)) - setting.share
        scores = (scores > threshold).astype(float)
    return scores[:, 0], scores[:, 1:], truth
