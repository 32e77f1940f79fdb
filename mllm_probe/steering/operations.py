"""What steering does to an activation: pure functions from (activation, vector) to the change that is added."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


def add(hidden: Tensor, direction: Tensor, dose: Tensor) -> Tensor:
    """Change that adds a dose along a direction, whatever the activation.

    Parameters
    ----------
    hidden : Tensor [..., width]
        Activations; only their shape matters.
    direction : Tensor [..., width]
        Unit vectors.
    dose : Tensor [...]
        Signed length of the change, in the units of the activation.

    Returns
    -------
    Tensor [..., width]
    """
    return (dose[..., None] * direction).expand_as(hidden)


def exchange(hidden: Tensor, along: Tensor, towards: Tensor, negative: Tensor, fraction: Tensor) -> Tensor:
    """Change that takes the excess projection on one direction and moves it along another vector.

    Parameters
    ----------
    hidden : Tensor [..., width]
    along : Tensor [..., width]
        Unit vector v̂ on which the activation is projected.
    towards : Tensor [..., width]
        Vector w along which the excess is taken away.
    negative : Tensor [...]
        μ₋, the projection that pictures without the concept have.
    fraction : Tensor [...]
        f, the share of the excess that is moved, 0 … 1.

    Returns
    -------
    Tensor [..., width]
        −f (h·v̂ − μ₋) w
    """
    excess = (hidden * along).sum(-1) - negative
    return -(fraction * excess)[..., None] * towards


def ablate(hidden: Tensor, direction: Tensor, negative: Tensor, fraction: Tensor) -> Tensor:
    """Change that brings the projection on a direction to that of pictures without the concept: −f (h·v̂ − μ₋) v̂."""
    return exchange(hidden, direction, direction, negative, fraction)


def replace(hidden: Tensor, direction: Tensor, other: Tensor, negative: Tensor, fraction: Tensor) -> Tensor:
    """Change that turns the excess of one concept into another: −f (h·v̂ − μ₋) (v̂ − v̂_other)."""
    return exchange(hidden, direction, direction - other, negative, fraction)


@lru_cache(maxsize=4096)
def random_direction(seed: int, draw: int, layer: int, width: int) -> Tensor:
    """Isotropic unit vector [width], float32 on the CPU: its own for every (seed, draw, layer), the same everywhere."""
    drawn = np.random.default_rng([seed, draw, layer]).standard_normal(width)
    return torch.from_numpy((drawn / np.linalg.norm(drawn)).astype(np.float32))
