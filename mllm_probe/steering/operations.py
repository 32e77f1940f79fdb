"""What steering does to an activation and what it is compared with: a declaration per operation and control.

An operation is a function (h, v, dose) → Δh. Where Δh is affine in h, its affine form is declared in place of it, or
with it: then rows with different doses, directions and operations are edited by the same few tensor operations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mllm_probe import schema
from mllm_probe.models.argument_checks import finite_number, require_function, require_one_of
from mllm_probe.models.fingerprints import code_hash
from mllm_probe.vectors.directions import Directions

Number = float | Tensor
ChangeFunction = Callable[..., Tensor]
USES = ("negative", "to")
"""What an operation may use besides the direction: μ₋ as ``negative``, the other concept's unit vector as ``to``."""


@dataclass(frozen=True)
class Affine:
    """The change (constant + gain · (h·along − mean)) · direction.

    Attributes
    ----------
    direction : Tensor [..., hidden]
        Along which the activation is changed; need not have length 1.
    constant, gain, mean : float or Tensor [...]
    along : Tensor [..., hidden], optional
        On which the activation is projected; without it the change is ``constant · direction``.
    """

    direction: Tensor
    constant: Number = 0.0
    along: Tensor | None = None
    gain: Number = 0.0
    mean: Number = 0.0

    def change(self, hidden: Tensor) -> Tensor:
        """Δh at activations [..., hidden]."""
        if self.along is None:
            size = torch.as_tensor(self.constant, dtype=hidden.dtype, device=hidden.device)
        else:
            size = affine_size(hidden, self.along, self.constant, self.gain, self.mean)
        return (size[..., None] * self.direction).expand_as(hidden)


def affine_size(hidden: Tensor, along: Tensor, constant: Number, gain: Number, mean: Number) -> Tensor:
    """Signed size constant + gain · (h·along − mean) [...] of an affine change at activations [..., hidden]."""
    return constant + gain * ((hidden * along).sum(-1) - mean)


@dataclass(frozen=True)
class Operation:
    """One way of editing an activation h along a unit vector v.

    Parameters
    ----------
    name : str
    change : callable, optional
        ``change(h, v, dose) -> Δh`` for h [places, hidden] (float32 or wider, on the model's device), v
        [places, hidden] of length 1 and dose [places]; gives [places, hidden]. Called on few or many places at once.
    affine : callable, optional
        ``affine(v, dose) -> Affine`` for v [..., hidden] and dose [...]: the same change in its affine form. Sweeps
        and the slider then run rows of this operation from fixed tensors. Without it every forward pass is edited by
        the general editor, which costs more; receipts name such operations. Give ``change``, ``affine`` or both.
    doses : (float, float)
        Least and largest strength.
    in_unit : bool
        Whether the dose is the strength times the length that the steering's ``unit`` means. Otherwise the dose is the
        strength itself, such as a fraction.
    removes : bool
        Whether every dose takes the concept away; otherwise negative doses do.
    fixed_size : bool
        Whether ‖Δh‖ is ``|dose|``, whatever h and v are. Random controls of such an operation are shared by all
        concepts.
    uses : tuple of str
        Keyword arguments that ``change`` and ``affine`` take besides the direction and the dose: ``"negative"`` for μ₋,
        the mean projection of images without the concept, [...]; ``"to"`` for the unit vector of the concept given as
        ``to=``, [..., hidden].

    Raises
    ------
    ValueError
        If the declaration is incomplete, or ``change`` and ``affine`` disagree on random activations.

    Examples
    --------
    >>> def clip(h, v, dose):
    ...     projection = (h * v).sum(-1)
    ...     return (projection.clamp(max=dose) - projection)[..., None] * v
    >>> steering = mp.Steering(vectors.sel(concept="cat"), [4], 0.5, operation=mp.Operation("clip", clip))
    """

    name: str
    change: ChangeFunction | None = field(default=None, repr=False)
    affine: Callable[..., Affine] | None = field(default=None, repr=False)
    doses: tuple[float, float] = (-math.inf, math.inf)
    in_unit: bool = True
    removes: bool = False
    fixed_size: bool = False
    uses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"operation: expected a name; got {self.name!r}.")
        if self.change is None and self.affine is None:
            raise ValueError(f"operation '{self.name}' needs change=, a function (h, v, dose) -> Δh, or affine=.")
        for role in ("change", "affine"):
            given = getattr(self, role)
            if given is not None:
                require_function(f"operation '{self.name}': {role}", given)
        for use in self.uses:
            require_one_of(f"operation '{self.name}': uses", use, USES)
        if not self.doses[0] < self.doses[1]:
            raise ValueError(f"operation '{self.name}': doses are (least, largest); got {self.doses}.")
        if self.change is not None and self.affine is not None:
            _require_agreement(self)

    def __call__(self, hidden: Tensor, direction: Tensor, dose: Tensor, **used: Any) -> Tensor:
        """Δh at activations.

        `hidden`, `direction`: Tensor [..., hidden]. `dose`: Tensor [...]. `**used`: ``negative`` [...] and ``to`` [...,
        hidden], where the operation uses them. Returns Tensor [..., hidden].
        """
        if self.affine is not None:
            return self.affine(direction, dose, **used).change(hidden)
        assert self.change is not None
        delta = self.change(hidden, direction, dose, **used)
        if not isinstance(delta, Tensor) or delta.shape != hidden.shape:
            got = tuple(delta.shape) if isinstance(delta, Tensor) else type(delta).__name__
            raise ValueError(
                f"operation '{self.name}' must return the change, a Tensor of the activations' shape "
                f"{tuple(hidden.shape)}; it returned {got}."
            )
        return delta

    def takes_away(self, strength: float) -> bool:
        """Whether a dose is meant to take the concept out of the answer."""
        return self.removes or strength < 0

    def checked_strength(self, strength: object) -> float:
        """The strength as a number within ``doses``; raises a ValueError otherwise."""
        value = finite_number("strength", strength)
        least, largest = self.doses
        if not least <= value <= largest:
            what = "a fraction between 0 and 1" if self.doses == (0, 1) else f"{least:g} to {largest:g}"
            raise ValueError(f"strength: operation '{self.name}' takes {what}; got {value:g}.")
        return value

    @property
    def identity(self) -> str:
        """The name, and for an operation that is not built in a hash of its functions' source code."""
        if OPERATIONS.get(self.name) is self:
            return self.name
        functions = (function for function in (self.change, self.affine) if function is not None)
        return f"{self.name} ({code_hash(*functions)})"


def _add(direction: Tensor, dose: Number) -> Affine:
    """H + dose · v."""
    return Affine(direction, constant=dose)


def _ablate(direction: Tensor, dose: Number, negative: Number) -> Affine:
    """H − f (h·v − μ₋) v, which brings the projection on v to that of images without the concept."""
    return Affine(direction, along=direction, gain=-dose, mean=negative)


def _replace(direction: Tensor, dose: Number, negative: Number, to: Tensor) -> Affine:
    """H − f (h·v − μ₋) (v − v_to), which turns the excess of one concept into another."""
    return Affine(direction - to.to(direction.device), along=direction, gain=-dose, mean=negative)


OPERATIONS: dict[str, Operation] = {
    operation.name: operation
    for operation in (
        Operation("add", affine=_add, fixed_size=True),
        Operation("ablate", affine=_ablate, doses=(0, 1), in_unit=False, removes=True, uses=("negative",)),
        Operation("replace", affine=_replace, doses=(0, 1), in_unit=False, removes=True, uses=("negative", "to")),
    )
}


def as_operation(operation: str | Operation | ChangeFunction) -> Operation:
    """The declaration that an ``operation`` argument means: a built-in by name, one given, or a function's.

    Raises ValueError if it is none of these.
    """
    if isinstance(operation, Operation):
        return operation
    if isinstance(operation, str) and operation in OPERATIONS:
        return OPERATIONS[operation]
    if callable(operation):
        return Operation(getattr(operation, "__name__", type(operation).__name__), operation)
    raise ValueError(
        f"operation: expected one of {', '.join(OPERATIONS)}, an mp.Operation, or a function "
        f"(h, v, dose) -> change; got {operation!r}."
    )


def _require_agreement(operation: Operation) -> None:
    """Compare both forms on random activations, in float64."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    hidden, direction, other = normal(6, 8), normal(6, 8), normal(6, 8)
    direction, other = direction / direction.norm(dim=-1, keepdim=True), other / other.norm(dim=-1, keepdim=True)
    least, largest = (max(operation.doses[0], -2.0), min(operation.doses[1], 2.0))
    dose = torch.linspace(least, largest, 6, dtype=torch.float64)
    used = {name: value for name, value in (("negative", normal(6)), ("to", other)) if name in operation.uses}
    assert operation.change is not None and operation.affine is not None
    wanted = operation.change(hidden, direction, dose, **used)
    error = float((operation.affine(direction, dose, **used).change(hidden) - wanted).abs().max())
    if not error <= 1e-6 * max(1.0, float(wanted.abs().max())):
        raise ValueError(
            f"operation '{operation.name}': its affine form gives another change than its function, by up to "
            f"{error:.2g} on random activations of size 1. Leave affine= out, or make them equal."
        )


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
    return directions.orthogonal_to_concept(scope, layer, _random(directions, scope, layer, draw))


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
