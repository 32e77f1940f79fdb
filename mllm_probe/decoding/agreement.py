"""Tolerances of the package: largest allowed differences between two computations of the same logits."""

from __future__ import annotations

import torch
from torch import Tensor

PATH_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-6, torch.float16: 0.05, torch.bfloat16: 0.05}
"""Of a way of sharing a prompt against whole forwards, by dtype, in units of the reference's largest value."""
# A path that disagrees is replaced by a slower one; a model that fails its verification is refused. So verification
# distinguishes the two half precisions by their rounding (10 and 7 bits of mantissa).
VERIFICATION_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-8, torch.float16: 2e-2, torch.bfloat16: 8e-2}
"""Of the checks of a loaded model, by dtype, in the same unit."""
REFUSALS = (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError, NotImplementedError)
"""Errors of a model that cannot be run in some way; ``OutOfMemoryError``, a RuntimeError, is to be raised again."""
_MASKED = 1e30


def tolerance(dtype: torch.dtype) -> float:
    """Largest difference allowed of a path; in half precision it shows a wrong mask or position but not rounding."""
    return PATH_TOLERANCE.get(dtype, PATH_TOLERANCE[torch.bfloat16])


def difference(values: Tensor, reference: Tensor) -> float:
    """Largest difference in units of the reference's largest value; infinite for other shapes and NaN.

    Logits that a family masks with the smallest number of the dtype (tokens that it never generates) must be masked in
    both, and do not count for the scale.
    """
    if values.shape != reference.shape:
        return float("inf")
    values, reference = values.float(), reference.float()
    if values.isnan().any() or reference.isnan().any():  # neither masked nor equal to anything
        return float("inf")
    unmasked = reference.abs() < _MASKED
    if not torch.equal(unmasked, values.abs() < _MASKED):
        return float("inf")
    values, reference = values.where(unmasked, 0), reference.where(unmasked, 0)
    scale = reference.abs().max().clamp_min(1e-12)
    return float((values - reference).abs().max() / scale)
