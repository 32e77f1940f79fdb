"""What a steering is compared with: one declaration for each control of a concept's direction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

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
    """One kind of control. At every position it adds ±‖Δh‖ along its own direction; Δh is the concept's change there.

    `name`: in ``Steering.control``, ``mp.sweep(controls=…)`` and the control dimension.
    `direction`: (directions, scope, layer, draw) → unit vector [hidden], float32.
    `antithetic`: draws 2j and 2j + 1 are a direction and its opposite, so that their mean has no part that is odd in
        it.
    `available`: (vectors) → how many draws the vectors carry; None where they may be any number.
    `how_to_get`: what makes vectors that carry the draws.
    `variables`: variables (concept, …, draw, …) of the vectors that are the draws; empty where they are made from the
        seed.
    `of_concept`: whether a draw from the seed depends on the concept's own vector besides.
    """

    name: str
    direction: Callable[[Directions, str, int, Draw], Tensor]
    antithetic: bool = False
    available: Callable[[xr.Dataset], int | None] = lambda vectors: None
    how_to_get: str = ""
    variables: tuple[str, ...] = ()
    of_concept: bool = False

    @property
    def seeded(self) -> bool:
        """Whether draws are made from the seed, as many as are asked for."""
        return not self.variables

    @property
    def shared(self) -> bool:
        """Whether draws are the same for every concept."""
        return self.seeded and not self.of_concept


@lru_cache(maxsize=4096)
def random_direction(seed: int, draw: int, width: int) -> Tensor:
    """Isotropic unit vector [width], float32 on the CPU, for all layers; an odd draw is minus the one before."""
    drawn = np.random.default_rng([seed, draw // 2]).standard_normal(width)
    return torch.from_numpy((drawn / np.linalg.norm(drawn) * (-1) ** draw).astype(np.float32))


def _random(directions: Directions, scope: str, layer: int, draw: Draw) -> Tensor:
    return random_direction(draw.seed, draw.number, directions.vector(scope, layer).shape[-1])


def _orthogonal(directions: Directions, scope: str, layer: int, draw: Draw) -> Tensor:
    return directions.without_own(scope, layer, _random(directions, scope, layer, draw))


CONTROLS: dict[str, Control] = {
    control.name: control
    for control in (
        Control("random", _random, antithetic=True),
        Control(
            "on_manifold",
            lambda directions, scope, layer, draw: directions.on_manifold(scope, layer, draw.seed, draw.number),
            antithetic=True,
            available=lambda vectors: None if vectors.sizes.get(schema.MANIFOLD_SAMPLE, 0) > 1 else 0,
            how_to_get="mp.concept_vectors from two images or more",
        ),
        Control(
            "shuffled",
            lambda directions, scope, layer, draw: directions.shuffled(scope, layer, draw.number),
            available=lambda vectors: vectors.sizes.get(schema.DRAW, 0) if "shuffled" in vectors else 0,
            how_to_get="mp.concept_vectors(…, shuffled_draws=8)",
            variables=("shuffled",),
        ),
        Control("orthogonal", _orthogonal, antithetic=True, of_concept=True),
    )
}
DEFAULT_CONTROLS = ("random", "on_manifold")
"""Controls of a sweep, those of them that the vectors carry."""


def is_seeded(kind: str) -> bool:
    """Whether a kind is a control whose draws are made from the seed."""
    return kind in CONTROLS and CONTROLS[kind].seeded


def is_shared(kind: str) -> bool:
    """Whether a kind is a control whose draws are the same for every concept."""
    return kind in CONTROLS and CONTROLS[kind].shared


def is_antithetic(kind: str) -> bool:
    """Whether a kind's draws come as pairs of opposite directions."""
    return kind in CONTROLS and CONTROLS[kind].antithetic


def available_controls(vectors: xr.Dataset) -> list[str]:
    """Kinds of control that vectors can give draws of."""
    return [name for name, control in CONTROLS.items() if control.available(vectors) != 0]
