"""Numbers as people read them, the same in summaries, figures and widgets."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal


def fixed(value: float, digits: int) -> str:
    """A number with ``digits`` decimal places, halves rounded up as in browsers."""
    return f"{Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP):f}"


def signed(value: float, digits: int, units: str = "") -> str:
    """A difference as summaries write it, ``+1.2 blocks``; ``not known`` for NaN."""
    return f"{value:+.{digits}f} {units}".rstrip() if math.isfinite(value) else "not known"


def chance(p: float) -> str:
    """A probability, ".013" or "< .001"; below .1 rounded up to three digits, so that .0501 does not seem to pass."""
    if not math.isfinite(p):
        return "–"
    if p < 0.001:
        return "< .001"
    # Of float32, .05 lies a little above .05.
    text = f"{math.ceil(p * 1000 - 1e-3) / 1000:.3f}" if p < 0.1 else fixed(p, 2)
    return text.removeprefix("0")
