"""Directions fitted to pooled activations: component of paired differences, logistic probe and its accuracy."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import ThreadpoolController

_RESAMPLES = 1000
_POOLS = ThreadpoolController()
"""Fits this small run on one thread: sharing them out costs more than it saves, most of all on a busy machine."""


def principal_component(differences: np.ndarray) -> np.ndarray:
    """First uncentred principal component of paired differences, of length 1, on the side of their mean.

    `differences` (float array [..., pairs, hidden]): positive minus negative. Returns float64 array [..., hidden].
    """
    exact = differences.astype(np.float64)
    # Pairs are far fewer than hidden dimensions: D Dᵀ [pairs, pairs] has the non-zero spectrum of the scatter Dᵀ D, and
    # its last (largest) eigenvector u gives the component as Dᵀ u.
    _, vectors = np.linalg.eigh(exact @ exact.swapaxes(-1, -2))
    component = (vectors[..., :, -1:].swapaxes(-1, -2) @ exact)[..., 0, :]
    length = np.linalg.norm(component, axis=-1, keepdims=True)
    component = np.divide(component, length, out=np.zeros_like(component), where=length > 0)
    agreement = (component * exact.mean(-2)).sum(-1, keepdims=True)
    return np.where(agreement < 0, -component, component)


@dataclass(frozen=True)
class Probe:
    """A logistic probe in the units of the activation: ``activation @ weight + bias`` is the log odds.

    `weight`: float64 array [hidden].
    """

    weight: np.ndarray
    bias: float

    def predict(self, activations: np.ndarray) -> np.ndarray:
        """Predicted labels, bool [pictures]: True is with the concept."""
        return activations.astype(np.float64) @ self.weight + self.bias > 0


def fit_probe(activations: np.ndarray, labels: np.ndarray, penalty: float = 1.0) -> Probe:
    """Fit a standardised logistic regression.

    `activations`: float array [pictures, hidden]. `labels` (bool array [pictures]): both classes must be there; they
    weigh the same whatever their numbers. `penalty`: strength of the L2 penalty, the inverse of scikit-learn's ``C``.

    With an L2 penalty the solution lies in the span of the pictures, so the regression runs in at most as many
    dimensions as there are pictures; it is the same as in all of them, and much faster for wide models.
    """
    exact = activations.astype(np.float64)
    mean, scale = exact.mean(0), exact.std(0)
    # Constant dimensions become 0, not NaN, when divided by infinity, and get weight 0 on the way back.
    scale[scale < 1e-12 * max(1.0, float(np.abs(exact).max()))] = np.inf
    standard = (exact - mean) / scale
    values, rotation = np.linalg.eigh(standard @ standard.T)
    kept = values > max(values[-1], 0) * 1e-12
    if not kept.any():
        return Probe(np.zeros(exact.shape[1]), 0.0)
    # Orthonormal axes of the span of the pictures, from the Gram matrix: X = U S Vᵀ, so Vᵀ = S⁻¹ Uᵀ X.
    axes = standard.T @ (rotation[:, kept] / np.sqrt(values[kept]))
    regression = LogisticRegression(C=1 / penalty, class_weight="balanced", max_iter=1000)
    with warnings.catch_warnings(), _POOLS.limit(limits=1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        regression.fit(standard @ axes, labels)
    weight = (axes @ regression.coef_[0]) / scale
    # Undo the standardising: w·(x − mean)/scale + b = (w/scale)·x + (b − (w/scale)·mean).
    return Probe(weight, float(regression.intercept_[0] - weight @ mean))


def balanced_accuracy(correct: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int) -> tuple[float, ...]:
    """Mean of the two classes' accuracies with its 95 % interval from resampled groups.

    `correct`, `labels`: bool array [pictures]. `groups` (int array [pictures]): pictures that are drawn together
    (pairs).
    """
    names, member = np.unique(groups, return_inverse=True)
    counts = np.zeros((4, len(names)))
    for row, chosen in enumerate((correct & labels, labels, correct & ~labels, ~labels)):
        np.add.at(counts[row], member, chosen)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), _RESAMPLES)
    sums = drawn @ counts.T
    with np.errstate(invalid="ignore", divide="ignore"):
        resampled = (sums[:, 0] / sums[:, 1] + sums[:, 2] / sums[:, 3]) / 2
    right, positives, refused, negatives = counts.sum(1)
    low, high = np.nanquantile(resampled, [0.025, 0.975])
    return float((right / positives + refused / negatives) / 2), float(low), float(high)
