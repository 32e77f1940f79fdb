"""What steering does to an activation: one declaration for each operation.

An operation is a function (h, v, dose) → Δh. Where Δh is affine in h, its affine form is declared in place of it, or
with it: then rows with different doses, directions and operations are edited by the same few tensor operations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mllm_probe.models.argument_checks import finite_number, require_function, require_one_of
from mllm_probe.models.fingerprints import code_hash

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
        the mean projection of pictures without the concept, [...]; ``"to"`` for the unit vector of the concept given as
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
    """H − f (h·v − μ₋) v, which brings the projection on v to that of pictures without the concept."""
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
