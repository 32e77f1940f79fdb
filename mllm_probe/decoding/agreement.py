"""How closely two ways to the same logits must agree."""

from __future__ import annotations

import torch
from torch import Tensor

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-6}
HALF_TOLERANCE = 0.05
REFUSALS = (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError, NotImplementedError)
"""What a model raises that cannot be run in some way; ``OutOfMemoryError``, one of them, does not mean that."""
_NEVER_SAID = 1e30


def tolerance(dtype: torch.dtype) -> float:
    """Largest difference allowed; in half precision it shows a wrong mask or position but not rounding."""
    return TOLERANCE.get(dtype, HALF_TOLERANCE)


def difference(found: Tensor, reference: Tensor) -> float:
    """Largest difference in units of the reference's largest value; infinite for other shapes and NaN.

    Logits that a family sets to the smallest number there is (tokens that it never says) must be the same in both, and
    do not count for the scale.
    """
    if found.shape != reference.shape:
        return float("inf")
    found, reference = found.float(), reference.float()
    said = reference.abs() < _NEVER_SAID
    if not torch.equal(said, found.abs() < _NEVER_SAID):
        return float("inf")
    found, reference = found.where(said, 0), reference.where(said, 0)
    scale = reference.abs().max().clamp_min(1e-12)
    return float((found - reference).abs().max().nan_to_num(torch.inf) / scale)
