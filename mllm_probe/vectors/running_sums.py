"""Running sums of pooled activations over pictures, and the directions of concepts with their qualities from them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mllm_probe import schema
from mllm_probe.activations.device_array import joined, lazy, stacked_on_host
from mllm_probe.activations.free_memory import require_room
from mllm_probe.models import ProbeModel
from mllm_probe.typing import DataVariables
from mllm_probe.vectors.classes import (
    HALF_A,
    HALF_B,
    NEGATIVE,
    POSITIVE,
    Classes,
    joined_groups,
    shuffled_weights,
    weights,
)
from mllm_probe.vectors.directions import unit_rows
from mllm_probe.vectors.fitting import balanced_accuracy, fit_probe, principal_component

MANIFOLD = 128
"""Activations that are kept at most for on-manifold controls, every second, third … of the images beyond."""


class Sums:
    """Running weighted sums over pictures, per layer on the layer's device."""

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
        """Keep one vector per picture, scope and layer on the CPU."""
        shape = (self.weights.shape[-1], len(self.scopes), len(self.layers), width)
        require_room(shape, torch.float32, torch.device("cpu"), "pooled activations for probes")
        pooled = self.pooled = torch.empty(shape)
        self.pooled_layer = lambda index: pooled[:, :, index].numpy()

    def read_pooled(self, pooled_layer: Callable[[int], np.ndarray]) -> None:
        """Have one vector per picture and scope read again for a layer [pictures, scopes, hidden], none kept."""
        self.pooled_layer = pooled_layer

    def add(self, start: int, pooled: dict[int, Tensor]) -> None:
        """Add a batch, relative to the first picture: large parts that all pictures share then cost no precision."""
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
                own = on(means.device)[..., index, :].to(means.dtype)
                whole, pair = own[:, 0], own[:, 1:]
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
        deviations = [(one - one.mean(0)).bfloat16() for one in kept]
        means = [one.mean(0) + self.sums.centre[layer] for layer, one in zip(self.sums.layers, kept, strict=True)]
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
        """Directions of PCA or probe from all pictures and from each half [concept, 3, scope, layer, hidden]."""
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
        """Direction [scope, hidden] of a part of the pictures, from pooled activations [pictures, scope, hidden]."""
        if self.method == "pca":
            pairs = part[: len(classes.positive)]
            differences = pooled[: len(pairs)][pairs] - pooled[len(pairs) :][pairs]
            return principal_component(np.moveaxis(differences, 0, -2))
        fits = [fit_probe(pooled[part, scope], classes.labels[part]).weight for scope in range(pooled.shape[1])]
        return np.array(fits)

    def _pooled_layers(self) -> Iterator[tuple[int, np.ndarray]]:
        """Number of each layer, and one vector per picture and scope there."""
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
