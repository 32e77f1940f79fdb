"""What the p of a study's ways together is worth: its level where there is nothing, its power where there is.

Ways share noise, as those of the bundled models do, have unlike units, and some of them are not known. What they do not
share is exponential, which is the worst case for the exchange of signs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from mllm_probe.studies.multiverse import Exchange, Labels, Pairing, Signs, curve_p

UNITS, PERMUTATIONS = 16, 499
EXCHANGES: dict[str, Exchange] = {
    "signs over concepts": Signs(), "labels of categories": Labels(np.arange(UNITS) < UNITS // 2),
    "pairing with a predictor": Pairing(),
}  # fmt: skip
LARGEST_P = 0.05
_AGREEING = 0.8


@dataclass(frozen=True)
class Setting:
    """One simulation.

    `exchange`: one of `EXCHANGES`. `ways`: of which a quarter are not known where `missing`. `together`: share of the
    variance of units that all ways share. `effect`: in standard deviations of a unit, of every way (a correlation for
    pairing).
    """

    exchange: str
    ways: int
    together: float
    missing: bool
    effect: float


@dataclass(frozen=True)
class Found:
    """Share of simulated studies, in 0 … 1, that each rule calls a finding, and how many there are."""

    curve: float
    share: float
    headline: float
    four_in_five: float
    studies: int

    @property
    def limits(self) -> tuple[float, float]:
        """95 % Wilson limits of ``curve``."""
        interval = stats.binomtest(round(self.curve * self.studies), self.studies).proportion_ci(method="wilson")
        return float(interval.low), float(interval.high)


def settings(effect: float) -> list[Setting]:
    """Of every exchange: ways that go together or not, with and without some that are not known."""
    return [
        Setting(exchange, ways, together, missing, effect)
        for exchange in EXCHANGES
        for ways, together, missing in ((8, 0.9, False), (8, 0.9, True), (16, 0.5, True), (16, 0.0, True))
    ]


def _values(g: np.random.Generator, setting: Setting) -> np.ndarray:
    """Values of units in every way, of skewed noise (float array [way, …, unit])."""
    pairing = isinstance(EXCHANGES[setting.exchange], Pairing)
    shape = (setting.ways, *([2] if pairing else []), UNITS)
    own = g.exponential(1, shape) - 1
    values = np.sqrt(setting.together) * g.standard_normal(shape[1:]) + np.sqrt(1 - setting.together) * own
    if pairing:
        values[:, 1] = setting.effect * values[:, 0] + np.sqrt(1 - setting.effect**2) * values[:, 1]
    else:
        chosen = EXCHANGES[setting.exchange]
        values = values + setting.effect * (chosen.first if isinstance(chosen, Labels) else 1.0)
    values = values * np.exp(g.normal(0, 2, (setting.ways, *[1] * (len(shape) - 1))))  # nats, shares, blocks
    values[g.random(shape) < 0.05] = np.nan
    if setting.missing:
        values[1 + g.choice(setting.ways - 1, setting.ways // 4, replace=False)] = np.nan
    return values


def measure(setting: Setting, studies: int, seed: int = 0) -> Found:
    """Simulate studies, and count the findings of this rule and of others that were or could be taken."""
    g, exchange = np.random.default_rng(seed), EXCHANGES[setting.exchange]
    rows = []
    for number in range(studies):
        drawn = exchange.drawn(_values(g, setting), PERMUTATIONS, number)
        surplus = np.sign(np.nan_to_num(drawn)).sum(1)
        share_p = (np.abs(surplus) >= abs(surplus[0])).mean()
        headline = curve_p(drawn[:, :1]) <= LARGEST_P
        most = headline and abs(surplus[0]) >= (2 * _AGREEING - 1) * setting.ways
        rows.append((curve_p(drawn) <= LARGEST_P, headline, share_p <= LARGEST_P, most))
    curve, headline, share, four_in_five = np.mean(rows, 0).tolist()
    return Found(curve, share, headline, four_in_five, studies)
