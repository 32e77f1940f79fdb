"""How often intervals cover the truth and p calls a direction that means nothing, on simulated scores of known truth.

Images and directions are crossed: score = image + direction + image × direction, the last of standard deviation 1.
Antithetic draws r and −r share the part of their effect that is even in r.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

import mllm_probe as mp
from mllm_probe.studies.effect import LARGEST_P
from validation.verdicts.grids import grid_of

IMAGES = (6, 8, 12, 24)
DRAWS = (4, 6, 8, 16, 32)
LEAST_DRAWS = 8
"""From which on coverage has a target."""
SPREADS = (0.0, 0.3, 1.0, 2.5)
SHARES = (0.05, 0.2, 0.5)
WIDE = 0.97
"""Coverage beyond which an interval may be too wide to be of use."""
_KEPT = (0.5, 1.0)
"""Of graded scores: what an answer that names the concept keeps of its content, uniformly."""


@dataclass(frozen=True)
class Setting:
    """One setting of the simulation.

    Attributes
    ----------
    noise : {"normal", "exponential", "lognormal", "binary", "graded"}
        Of images: the distribution of their part of the score; ``"binary"`` scores are 1 where a normal one is high,
        ``"graded"`` ones are then between .5 and 1.
    images, draws : int
    spread : float
        Standard deviation of the direction's effect, half of it (in variance) even in the direction.
    share : float
        Of binary and graded scores: how often an average direction scores more than 0.
    """

    noise: str
    images: int
    draws: int
    spread: float
    share: float = 0.5

    @property
    def bounded(self) -> bool:
        """Whether scores lie in 0 … 1."""
        return self.noise in ("binary", "graded")

    @property
    def name(self) -> str:
        """In the table."""
        return f"{self.noise}, {self.share:g}" if self.bounded else self.noise


@dataclass(frozen=True)
class Measured:
    """Shares over cells.

    Attributes
    ----------
    covered : float
        Intervals that hold the true difference, of all cells; a missing interval does not.
    width : float
        Mean.
    least_width : float
        Of the narrowest interval.
    false_positives : float
        p ≤ .05 where the concept is one more draw of its control; NaN where there is no p.
    """

    covered: float
    width: float
    least_width: float
    false_positives: float


def settings() -> Iterator[Setting]:
    """All settings of the table."""
    for draws in DRAWS:
        for spread in SPREADS:
            for images in IMAGES:
                yield from (Setting(noise, images, draws, spread) for noise in ("normal", "exponential", "lognormal"))
                if images >= 12:
                    yield from (Setting("binary", images, draws, spread, share) for share in SHARES)
                    yield Setting("graded", images, draws, spread)


def measure(setting: Setting, cells: int = 4000, seed: int = 0) -> Measured:
    """Simulate cells and ask :func:`mllm_probe.effect` about each."""
    own, drawn, truth = _scores(setting, cells, np.random.default_rng(seed))
    metric = {"binary": "named", "graded": "graded"}.get(setting.noise, "logprob")
    attrs = {"reads": "answer", "scale": "bounded", "direction": 1} if setting.noise == "graded" else {}
    rows = {"concept": own[:, None, None], "random": drawn[:, None]}
    effect = mp.effect(grid_of(rows, metric, "vector", attrs), metric).squeeze(drop=True)
    low, high, p = effect["low"].values, effect["high"].values, effect["p"].values
    tested = np.isfinite(p).any()
    return Measured(
        covered=float(((low <= truth) & (truth <= high)).mean()),
        width=float(np.nanmean(high - low)),
        least_width=float(np.nanmin(high - low)),
        false_positives=float((p <= LARGEST_P).mean()) if tested else float("nan"),
    )


def _scores(setting: Setting, cells: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of the concept [cells, images], of draws [cells, draws, images], and the true difference [cells]."""
    pairs, n = setting.draws // 2, setting.images
    odd, even = (setting.spread / np.sqrt(2) * rng.standard_normal((cells, pairs + 1)) for _ in range(2))
    directions = np.stack([even[:, 1:] + odd[:, 1:], even[:, 1:] - odd[:, 1:]], -1).reshape(cells, -1)
    own = even[:, :1] + odd[:, :1]
    effects = np.concatenate([own, directions], 1)[..., None]
    scores = _noise(setting.noise, rng, (cells, 1, n)) + effects
    scores = scores + _noise(setting.noise, rng, (cells, 1 + setting.draws, n))
    truth = own[:, 0]
    if setting.bounded:
        # Image and noise have variance 2, an average over directions 2 + spread².
        threshold = -stats.norm.ppf(setting.share) * np.sqrt(2 + setting.spread**2)
        truth = stats.norm.sf((threshold - truth) / np.sqrt(2)) - setting.share
        scores = (scores > threshold).astype(float)
    if setting.noise == "graded":
        truth, scores = truth * np.mean(_KEPT), scores * rng.uniform(*_KEPT, scores.shape)
    return scores[:, 0], scores[:, 1:], truth


def _noise(kind: str, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Noise of mean 0 and standard deviation 1."""
    if kind == "exponential":
        return rng.exponential(size=shape) - 1
    if kind == "lognormal":
        return (rng.lognormal(size=shape) - np.exp(0.5)) / np.sqrt((np.e - 1) * np.e)
    return rng.standard_normal(shape)
