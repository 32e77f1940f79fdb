"""Classes of images, running sums of their pooled activations, and the directions computed or fitted from them."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import ThreadpoolController
from torch import Tensor

from mllm_probe import schema
from mllm_probe.activations.device_array import joined, lazy, stacked_on_host
from mllm_probe.activations.device_memory import require_room
from mllm_probe.models import ProbeModel
from mllm_probe.models.images import content_hash
from mllm_probe.typing import DataVariables, Library
from mllm_probe.vectors.directions import unit_rows

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
        """Predicted labels, bool [images]: True is with the concept."""
        return activations.astype(np.float64) @ self.weight + self.bias > 0


def fit_probe(activations: np.ndarray, labels: np.ndarray, penalty: float = 1.0) -> Probe:
    """Fit a standardised logistic regression.

    `activations`: float array [images, hidden]. `labels` (bool array [images]): both classes must be there; they
    weigh the same whatever their numbers. `penalty`: strength of the L2 penalty, the inverse of scikit-learn's ``C``.

    With an L2 penalty the solution lies in the span of the images, so the regression runs in at most as many
    dimensions as there are images; it is the same as in all of them, and much faster for wide models.
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
    # Orthonormal axes of the span of the images, from the Gram matrix: X = U S Vᵀ, so Vᵀ = S⁻¹ Uᵀ X.
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

    `correct`, `labels`: bool array [images]. `groups` (int array [images]): images that are drawn together
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


POSITIVE, NEGATIVE, HALF_A, HALF_B = range(4)
"""Rows of ``weights``: mean of each class, and the difference of classes in each half of the images."""


@dataclass(frozen=True)
class Classes:
    """The images of one concept, as numbers in the list of distinct images.

    `positive`, `negative`: paired concepts: element i of both is a pair. `groups` (int array [positive + negative]):
    images that must not be torn apart have the same number. `half` (bool array [positive + negative]): True for the
    first half; whole groups.
    """

    name: str
    positive: np.ndarray
    negative: np.ndarray
    paired: bool
    groups: np.ndarray
    half: np.ndarray

    @property
    def pictures(self) -> np.ndarray:
        """Positives, then negatives."""
        return np.concatenate([self.positive, self.negative])

    @property
    def labels(self) -> np.ndarray:
        """True for positives, bool [positive + negative]."""
        return np.arange(len(self.groups)) < len(self.positive)

    @property
    def halves(self) -> bool:
        """True if both halves hold both classes."""
        sides = [(self.half[self.labels == c] == h).any() for c in (True, False) for h in (True, False)]
        return all(sides)


def distinct_images(library: Library) -> tuple[list[Any], dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Every image of a library once, and the numbers of each concept's positives and negatives.

    `library`: its pictures are images, objects with ``.image``, or dicts of processed tensors.
    """
    images: list[Any] = []
    numbers: dict[Hashable, int] = {}

    def number(picture: object) -> int:
        key = _key(picture)
        if key not in numbers:
            numbers[key] = len(images)
            images.append(picture)
        return numbers[key]

    members = {}
    for name, concept in library.items():
        sides = [np.array([number(p) for p in side], dtype=int) for side in (concept.positive, concept.negative)]
        if not len(sides[0]) or not len(sides[1]):
            raise ValueError(
                f"concept '{name}' has {len(sides[0])} positive and {len(sides[1])} negative images: "
                "a vector is the difference of two classes, so give at least one of each."
            )
        members[name] = (sides[0], sides[1])
    return images, members


def classes_of(
    name: str,
    positive: np.ndarray,
    negative: np.ndarray,
    paired: bool,
    seed: int,
    duplicates: Sequence[str | None] = (),
) -> Classes:
    """A concept's classes, with its images divided into halves that keep pairs and groups together.

    `positive`, `negative`: numbers of its images in the list of distinct images. `duplicates`: group of each
    distinct image, the same for near-duplicates.
    """
    if paired and len(positive) != len(negative):
        raise ValueError(
            f"concept '{name}' is paired but has {len(positive)} positive and {len(negative)} negative images."
        )
    groups = _groups(positive, negative, paired, duplicates)
    return Classes(name, positive, negative, paired, groups, _first_half(groups, positive, paired, seed, name))


def joined_groups(classes: Sequence[Classes], pictures: int) -> np.ndarray:
    """Number of each distinct image's group over all concepts, int [images]: pairs and near-duplicates together."""
    members = np.concatenate([side.pictures for side in classes])
    leaders = np.concatenate([side.groups for side in classes])
    edges = coo_array((np.ones(len(members)), (members, leaders)), shape=(pictures, pictures))
    groups: np.ndarray = connected_components(edges, directed=False)[1]
    return groups


def weights(classes: Classes, pictures: int, draws: Sequence[np.ndarray]) -> np.ndarray:
    """Weights of each image in the sums of one concept.

    `pictures`: number of distinct images. `draws` (sequence of float array [positive + negative]): from
    ``shuffled_weights``. Returns float array [4 + draws, images]: ``POSITIVE`` and ``NEGATIVE`` sum to 1; all others
    to 0.
    """
    labels, half = classes.labels, classes.half
    rows = [_mean(labels), _mean(~labels)]
    rows += [_mean(labels & side) - _mean(~labels & side) for side in (half, ~half)]
    result = np.zeros((4 + len(draws), pictures))
    for k, row in enumerate([*rows, *draws]):
        np.add.at(result[k], classes.pictures, row)
    return result


def shuffled_weights(classes: Classes, draw: int, seed: int) -> np.ndarray:
    """Weights of one shuffled draw, float [positive + negative]; they sum to 0 in each half of the labels.

    Exactly half of the pairs are swapped; of an odd number one is left out. In unpaired sets half of each class changes
    sides, one image of an odd class being left out.
    """
    rng = np.random.default_rng([seed, draw, *classes.name.encode()])
    n, m = len(classes.positive), len(classes.negative)
    # Equal shares of either sign cancel the true class difference exactly, so that a draw is no diluted concept vector.
    side = np.zeros(n + m)
    if classes.paired:
        signs = _balanced_signs(n, rng, classes.name)
        side[:n], side[n:] = signs, -signs
    else:
        side[:n], side[n:] = _balanced_signs(n, rng, classes.name), _balanced_signs(m, rng, classes.name)
    return _mean(side > 0) - _mean(side < 0)


def _balanced_signs(n: int, rng: np.random.Generator, name: str) -> np.ndarray:
    """As many +1 as −1 in random order, and one 0 if n is odd."""
    if n < 2:
        raise ValueError(
            f"concept '{name}' has too few images for a shuffled control: half of the pairs (or of each class) is "
            "exchanged, so at least two are needed. Give more images or shuffled_draws=0."
        )
    return rng.permutation(np.repeat([1.0, -1.0, 0.0], [n // 2, n // 2, n % 2]))


def _mean(chosen: np.ndarray) -> np.ndarray:
    return chosen / max(chosen.sum(), 1)


def _key(image: Any) -> Hashable:
    if isinstance(image, Mapping):
        return id(image)
    for name in ("key", "id"):
        value = getattr(image, name, None)
        if isinstance(value, str):
            return value
    return content_hash(image)


def _groups(positive: np.ndarray, negative: np.ndarray, paired: bool, duplicates: Sequence[str | None]) -> np.ndarray:
    """Number of each image's group: pairs, pairs that share an image, and near-duplicates."""
    images = np.concatenate([positive, negative]).tolist()
    joined = list(zip(positive.tolist(), negative.tolist(), strict=True)) if paired else []
    first: dict[str, int] = {}
    for image in images if len(duplicates) else ():
        name = duplicates[image]
        if name is not None:
            joined.append((first.setdefault(name, image), image))
    group = {p: p for p in images}
    for a, b in joined:
        old, new = group[b], group[a]
        group = {p: new if g == old else g for p, g in group.items()}
    return np.array([group[p] for p in images])


def _first_half(groups: np.ndarray, positive: np.ndarray, paired: bool, seed: int, name: str) -> np.ndarray:
    rng = np.random.default_rng([seed, *name.encode()])
    placed: dict[int, bool] = {}
    sides = [groups] if paired else [groups[: len(positive)], groups[len(positive) :]]
    for side in sides:
        # A group of both classes is placed with the positives; the negatives then fill up with what is free.
        distinct = rng.permutation(np.unique(side)).tolist()
        missing = len(distinct) // 2 - sum(placed.get(group, False) for group in distinct)
        free = [group for group in distinct if group not in placed]
        placed |= {group: rank < missing for rank, group in enumerate(free)}
    return np.array([placed[group] for group in groups.tolist()])


MANIFOLD = 128
"""Activations that are kept at most for on-manifold controls, every second, third … of the images beyond."""


class Sums:
    """Running weighted sums over images, per layer on the layer's device."""

    def __init__(
        self,
        model: ProbeModel,
        classes: list[Classes],
        pictures: int,
        scopes: tuple[str, ...],
        layers: list[int],
        draws: int,
        seed: int,
    ) -> None:
        self.layers, self.scopes, self.draws = layers, scopes, draws
        each = [weights(c, pictures, [shuffled_weights(c, d, seed) for d in range(draws)]) for c in classes]
        self.weights = torch.from_numpy(np.stack(each)).float()
        self.sums: dict[int, Tensor] = {}
        self.squares: dict[int, Tensor] = {}
        self.centre: dict[int, Tensor] = {}
        self.pooled: Tensor | None = None
        self.pooled_layer: Callable[[int], np.ndarray] | None = None
        self.stride = -(-pictures // MANIFOLD)
        self.manifold: dict[int, list[Tensor]] = {layer: [] for layer in layers}

    def keep_pooled(self, width: int) -> None:
        """Keep one vector per image, scope and layer on the CPU."""
        shape = (self.weights.shape[-1], len(self.scopes), len(self.layers), width)
        require_room(shape, torch.float32, torch.device("cpu"), "pooled activations for probes")
        pooled = self.pooled = torch.empty(shape)
        self.pooled_layer = lambda index: pooled[:, :, index].numpy()

    def read_pooled(self, pooled_layer: Callable[[int], np.ndarray]) -> None:
        """Have one vector per image and scope read again for a layer [images, scopes, hidden], none kept."""
        self.pooled_layer = pooled_layer

    def add(self, start: int, pooled: dict[int, Tensor]) -> None:
        """Add a batch, relative to the first image: large parts that all images share then cost no precision."""
        stop = start + len(pooled[self.layers[0]])
        shares = functools.cache(self.weights[..., start:stop].to)
        for layer in self.layers:
            batch = pooled[layer]
            share = shares(batch.device)
            if layer not in self.sums:
                self.centre[layer] = batch[0].clone()
                self.sums[layer] = batch.new_zeros((*share.shape[:2], *batch.shape[1:]))
                self.squares[layer] = batch.new_zeros((len(share), 2, batch.shape[1]))
            away = batch - self.centre[layer]
            # Cloned: a strided view would keep the whole batch on the device.
            self.manifold[layer].append(away[-start % self.stride :: self.stride].clone())
            self.sums[layer] += torch.einsum("ckb,bsd->cksd", share, away)
            self.squares[layer] += torch.einsum("ckb,bs->cks", share[:, :2], away.square().sum(-1))
        if self.pooled is not None:
            every = torch.from_numpy(stacked_on_host([pooled[layer] for layer in self.layers]))
            self.pooled[start : start + every.shape[1]] = every.permute(1, 2, 0, 3)

    def difference(self, layer: int) -> Tensor:
        """Mean difference [concept, scope, hidden]."""
        return self.sums[layer][:, POSITIVE] - self.sums[layer][:, NEGATIVE]

    def negative_mean(self, layer: int) -> Tensor:
        """Mean of the negatives [concept, scope, hidden]."""
        # Weights of POSITIVE and NEGATIVE sum to 1, all others to 0: the centre drops out of differences alone.
        return self.sums[layer][:, NEGATIVE] + self.centre[layer]

    def variances(self, layer: int) -> Tensor:
        """Mean squared distance from the class mean [concept, 2, scope]."""
        # E‖x‖² − ‖E x‖², which cancels badly unless x is relative to a typical activation: see ``add``.
        return (self.squares[layer] - self.sums[layer][:, :2].square().sum(-1)).clamp_min(0)


@dataclass
class ConceptDirections:
    """Directions and their qualities from the sums of one pass."""

    sums: Sums
    classes: list[Classes]
    method: str
    seed: int

    def __post_init__(self) -> None:
        self.dims = (schema.CONCEPT, schema.SCOPE, schema.LAYER)
        self.vectors, self.raw_norms, self.halves = [], [], []
        fitted = self._fitted() if self.method != "mean_difference" else None
        on = None if fitted is None else functools.cache(torch.from_numpy(fitted).to)
        for index, layer in enumerate(self.sums.layers):
            means = self.sums.difference(layer)
            pair = self.sums.sums[layer][:, HALF_A : HALF_B + 1]
            if on is None:
                vector, raw = means, means.norm(dim=-1)
            else:
                class_means = on(means.device)[..., index, :].to(means.dtype)
                whole, pair = class_means[:, 0], class_means[:, 1:]
                raw = whole.norm(dim=-1)
                # As long as the mean difference, so that a strength in unit "vector" means as much by every method.
                vector = unit_rows(whole) * means.norm(dim=-1, keepdim=True)
            self.vectors.append(vector)
            self.raw_norms.append(raw)
            self.halves.append((unit_rows(pair[:, 0]) * unit_rows(pair[:, 1])).sum(-1))

    def variables(self) -> DataVariables:
        """Vectors, their negative projections and their quality measures."""
        layers = self.sums.layers
        negative = [
            (self.sums.negative_mean(n) * unit_rows(v)).sum(-1) for n, v in zip(layers, self.vectors, strict=True)
        ]
        whole = np.array([c.halves for c in self.classes])[:, None, None]
        data: dict[str, Any] = {
            "vector": lazy((*self.dims, schema.HIDDEN), joined(self.vectors, 2), made_by="concept_vectors"),
            "negative_projection": (self.dims, _host(negative)),
            "split_half_cosine": (self.dims, np.where(whole, _host(self.halves), np.nan)),
            "spread": (self.dims, self._spread()),
        }
        if self.method != "mean_difference":
            data["raw_norm"] = (self.dims, _host(self.raw_norms))
        return data

    def shuffled_variables(self) -> DataVariables:
        """Directions from shuffled labels, how long they came out, and how much they lean on the concept."""
        if not self.sums.draws:
            return {}
        drawn, lengths, cosines = [], [], []
        for layer, vector in zip(self.sums.layers, self.vectors, strict=True):
            natural = self.sums.sums[layer][:, 4:].transpose(1, 2)
            units = unit_rows(natural)
            drawn.append(units * vector.norm(dim=-1)[:, :, None, None])
            lengths.append(natural.norm(dim=-1))
            cosines.append((units * unit_rows(vector)[:, :, None]).sum(-1).abs())
        dims = (schema.CONCEPT, schema.SCOPE, schema.DRAW, schema.LAYER)
        return {
            "shuffled": lazy((*dims, schema.HIDDEN), joined(drawn, 3), made_by="concept_vectors"),
            "shuffled_norm": (dims, _host(lengths)),
            "shuffled_cosine": (dims, _host(cosines)),
        }

    def manifold_variables(self) -> DataVariables:
        """Kept activations as deviations from their mean, and that mean: for on-manifold controls and `likeness`."""
        dims = (schema.MANIFOLD_SAMPLE, schema.SCOPE, schema.LAYER, schema.HIDDEN)
        kept = [torch.cat(self.sums.manifold[layer]) for layer in self.sums.layers]
        if len(kept[0]) < 2:
            return {}
        groups = joined_groups(self.classes, self.sums.weights.shape[-1])
        # bfloat16 holds any activation; rounding by .4 % does not matter to directions that are drawn at random.
        deviations = [(rows - rows.mean(0)).bfloat16() for rows in kept]
        means = [rows.mean(0) + self.sums.centre[layer] for layer, rows in zip(self.sums.layers, kept, strict=True)]
        return {
            "manifold": lazy(dims, joined(deviations, 2), made_by="concept_vectors"),
            "manifold_mean": lazy(dims[1:], joined(means, 1), made_by="concept_vectors"),
            "manifold_group": (schema.MANIFOLD_SAMPLE, groups[:: self.sums.stride]),
        }

    def probe_variables(self) -> DataVariables:
        """Held-out accuracy of probes: each half classified by the probe of the other."""
        scopes = len(self.sums.scopes)
        results = np.full((3, len(self.classes), scopes, len(self.sums.layers)), np.nan)
        for index, pooled in self._pooled_layers():
            for c, classes in enumerate(self.classes):
                for s in range(scopes if classes.halves else 0):
                    results[:, c, s, index] = self._probe_accuracy(classes, pooled[classes.pictures, s])
        return {
            name: (self.dims, values)
            for name, values in zip(("probe_accuracy", "probe_low", "probe_high"), results, strict=True)
        }

    def _probe_accuracy(self, classes: Classes, activations: np.ndarray) -> tuple[float, ...]:
        correct = np.zeros(len(activations), bool)
        for half in (classes.half, ~classes.half):
            probe = fit_probe(activations[half], classes.labels[half])
            correct[~half] = probe.predict(activations[~half]) == classes.labels[~half]
        return balanced_accuracy(correct, classes.labels, classes.groups, self.seed)

    def _fitted(self) -> np.ndarray:
        """Directions of PCA or probe from all images and from each half [concept, 3, scope, layer, hidden]."""
        layers = []
        for _, pooled in self._pooled_layers():
            directions = []
            for classes in self.classes:
                everything = np.ones(len(classes.half), bool)
                parts = [everything, classes.half, ~classes.half] if classes.halves else [everything] * 3
                directions.append([self._direction(classes, pooled[classes.pictures], part) for part in parts])
            layers.append(np.array(directions, dtype=np.float32))
        return np.stack(layers, 3)

    def _direction(self, classes: Classes, pooled: np.ndarray, part: np.ndarray) -> np.ndarray:
        """Direction [scope, hidden] of a part of the images, from pooled activations [images, scope, hidden]."""
        if self.method == "pca":
            pairs = part[: len(classes.positive)]
            differences = pooled[: len(pairs)][pairs] - pooled[len(pairs) :][pairs]
            return principal_component(np.moveaxis(differences, 0, -2))
        fits = [fit_probe(pooled[part, scope], classes.labels[part]).weight for scope in range(pooled.shape[1])]
        return np.array(fits)

    def _pooled_layers(self) -> Iterator[tuple[int, np.ndarray]]:
        """Number of each layer, and one vector per image and scope there."""
        assert self.sums.pooled_layer is not None
        for index in range(len(self.sums.layers)):
            yield index, self.sums.pooled_layer(index)

    def _spread(self) -> np.ndarray:
        counts = np.array([[len(c.positive), len(c.negative)] for c in self.classes], float)
        share = (counts / counts.sum(1, keepdims=True))[:, :, None, None]
        variances = _host([self.sums.variances(layer) for layer in self.sums.layers])
        return np.sqrt((variances * share).sum(1))


def _host(layers: list[Tensor]) -> np.ndarray:
    """Small results of every layer on the host, layers last."""
    return np.moveaxis(stacked_on_host(layers), 0, -1)
