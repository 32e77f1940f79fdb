"""What a steering is compared with: one declaration for each control of a concept's direction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mllm_probe import schema
from mllm_probe.vectors.directions import Directions

CONCEPT = "concept"
"""The steering itself, in the control dimension of a grid."""


@dataclass(frozen=True)
class Draw:
    """One draw of a control."""

    seed: int
    number: int


@dataclass(frozen=True)
class Control:
    """One kind of control.

    Attributes
    ----------
    name : str
        In ``Steering.control``, ``mp.sweep(controls=…)`` and the control dimension.
    direction : callable
        (directions, scope, layer, draw) → unit vector [hidden], float32.
    keeps : {"size", "operation"}
        ``"size"``: at every position the change is ±‖Δh‖ along the control's direction, where Δh is the concept's own
        change there. ``"operation"``: the concept's operation, along the control's direction instead of the concept's.
    negative : callable, optional
        (directions, scope, layer, draw) → mean projection of the negative pictures on the control's direction; needed
        by a control that keeps the operation.
    available : callable
        (vectors) → how many draws the vectors carry; None where they may be any number.
    how_to_get : str
        What makes vectors that carry the draws.
    variables : tuple of str
        Variables (concept, …, draw, …) of the vectors on which a draw depends; empty where it depends on none.
    """

    name: str
    direction: Callable[[Directions, str, int, Draw], Tensor]
    keeps: Literal["size", "operation"]
    negative: Callable[[Directions, str, int, Draw], float] | None = None
    available: Callable[[xr.Dataset], int | None] = lambda vectors: None
    how_to_get: str = ""
    variables: tuple[str, ...] = ()

    @property
    def seeded(self) -> bool:
        """Whether draws are made from the seed, so that there are as many as are asked for."""
        return not self.variables


_SEEDS = 2**32
"""Numbers that seed a generator lie below this; the input of block 0, layer -1, takes the last."""


@lru_cache(maxsize=4096)
def random_direction(seed: int, draw: int, layer: int, width: int) -> Tensor:
    """Isotropic unit vector [width], float32 on the CPU: its own for every (seed, draw, layer), the same everywhere."""
    drawn = np.random.default_rng([seed, draw, layer % _SEEDS]).standard_normal(width)
    return torch.from_numpy((drawn / np.linalg.norm(drawn)).astype(np.float32))


def _random(directions: Directions, scope: str, layer: int, draw: Draw) -> Tensor:
    return random_direction(draw.seed, draw.number, layer, directions.vector(scope, layer).shape[-1])


CONTROLS: dict[str, Control] = {
    control.name: control
    for control in (
        Control("random", _random, keeps="size"),
        Control(
            "shuffled",
            lambda directions, scope, layer, draw: directions.shuffled(scope, layer, draw.number),
            keeps="operation",
            negative=lambda directions, scope, layer, draw: directions.negative(scope, layer, draw.number),
            available=lambda vectors: vectors.sizes.get(schema.DRAW, 0) if "shuffled" in vectors else 0,
            how_to_get="mp.concept_vectors(…, shuffled_draws=8)",
            variables=("shuffled", "shuffled_negative_projection"),
        ),
    )
}


def is_seeded(kind: str) -> bool:
    """Whether a kind is a control whose draws are made from the seed."""
    return kind in CONTROLS and CONTROLS[kind].seeded
