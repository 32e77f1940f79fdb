"""The vectors of one concept as steering needs them, and how far other images are from those of the vectors."""

from __future__ import annotations

import functools
import json
import math
import operator
import weakref
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mllm_probe import schema
from mllm_probe.activations.device_array import lazy, parts_of, split_dimension, stacked_on_host, tensor_of
from mllm_probe.models import ProbeModel, require_model
from mllm_probe.models.inputs import Request
from mllm_probe.tokens.positions import KINDS, LAST_PROMPT
from mllm_probe.typing import Images, Picture
from mllm_probe.vectors.pooling import as_requests, pool

SCOPE_NORM = "residual_norm_at_{}"
"""Name of the variable (layer) for the residual norm of one scope, next to ``residual_norm`` (layer, scope)."""
_INNER = {"shuffled": (schema.DRAW,), "manifold": (schema.MANIFOLD_SAMPLE,)}
"""Variables with a further dimension."""
_DRAWS_AT_ONCE = 16


def longest(dtype: torch.dtype) -> float:
    """Largest length of an activation or vector of ``dtype``: models square it in float32 to normalise it."""
    return min(torch.finfo(dtype).max, math.sqrt(torch.finfo(torch.float32).max))


def require_length(which: str, length: float) -> None:
    """Raise a ValueError, which begins with ``which``, if the square of a vector's length overflows float32."""
    most = longest(torch.float32)
    if length > most:
        raise ValueError(
            f"{which} is too long: its length {length:.3g} is beyond the {most:.3g} whose square float32 can hold. "
            "Scale it; unit 'residual' takes its direction alone."
        )


class Directions:
    """Tensors and numbers of a vectors dataset from which one concept is selected.

    `dataset`: as made by ``concept_vectors``, ``vectors_from`` or ``load_vectors``, with one concept; one scope or
        several.
    `name`: of the concept.
    `scopes`: where vectors were captured.
    `layers`: block number (``schema.INPUT`` for the input of block 0) → index along the dataset's layers.
    `total_layers`: decoder blocks of the model; 0 where only the input of block 0 is there, which does not say.
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        schema.require(dataset, "vector", dims=(schema.HIDDEN,), what="the vectors of a steering")
        self.dataset = _single_concept(dataset)
        self.name = str(self.dataset[schema.CONCEPT].item()) if schema.CONCEPT in self.dataset.coords else "vector"
        self.scopes = tuple(map(str, np.atleast_1d(self._coordinate(schema.SCOPE, "all"))))
        numbers = [int(n) for n in np.atleast_1d(self._coordinate(schema.LAYER, None))]
        self.layers = {number: index for index, number in enumerate(numbers)}
        self.total_layers = _total(numbers, np.atleast_1d(self._coordinate(schema.RELATIVE_DEPTH, np.nan)))
        self._cache: dict[tuple[str, int], Tensor] = {}
        self._units: dict[tuple[str, int], Tensor] = {}
        self._shuffled: dict[tuple[str, int, int], Tensor] = {}
        self._orthogonal: dict[tuple[str, int, int], tuple[Tensor, Tensor]] = {}
        self._drawn: dict[tuple[int, int], list[list[tuple[Tensor, ...]]]] = {}
        self._arrays: dict[str, np.ndarray] = {}

    def _coordinate(self, name: str, missing: object) -> Any:
        if name in self.dataset.coords:
            return self.dataset[name].values
        if missing is None:
            raise ValueError(
                f"the vectors of a steering need the coordinate '{name}'; they have {list(self.dataset.coords)}."
            )
        return missing

    def scope_for(self, kind: str) -> str:
        """Scope whose vector a position uses: its own, else all, else last_prompt, else the first."""
        for scope in (kind, "all", KINDS[LAST_PROMPT]):
            if scope in self.scopes:
                return scope
        return self.scopes[0]

    def vector(self, scope: str, layer: int) -> Tensor:
        """The concept's vector [hidden], float32, on its device."""
        return self._tensor("vector", scope, layer)

    def unit(self, scope: str, layer: int) -> Tensor:
        """The direction v̂ [hidden] of length 1."""
        key = (scope, layer)
        if key not in self._units:
            self._units[key] = self._tensor("vector", scope, layer) / self.length(scope, layer)
        return self._units[key]

    def shuffled(self, scope: str, layer: int, draw: int) -> Tensor:
        """Direction of a shuffled draw [hidden], of length 1."""
        key = (scope, layer, draw)
        if key not in self._shuffled:
            drawn = self._tensor("shuffled", scope, layer)[draw]
            self._shuffled[key] = drawn / drawn.norm()
        return self._shuffled[key]

    def orthogonal_to_concept(self, scope: str, layer: int, direction: Tensor) -> Tensor:
        """A direction [hidden] without its component along the concept's vector, of length 1, on the vector's device.

        The same tensor gives the same result object, so that many rows of one draw are uploaded once.
        """
        key = (scope, layer, id(direction))
        if key not in self._orthogonal:
            unit = self.unit(scope, layer)
            here = direction.to(unit.device)
            rest = here - (here @ unit) * unit
            # The direction is kept with the result: as long as it lives, no other tensor gets its id.
            self._orthogonal[key] = (direction, rest / rest.norm())
        return self._orthogonal[key][1]

    def length(self, scope: str, layer: int) -> float:
        """Length of the concept's vector."""
        at, index = self._at(scope, layer)
        return self._lengths[index][at]

    def raw_length(self, scope: str, layer: int) -> float:
        """Length of the vector as its method gave it, before it was rescaled to the mean difference's."""
        return self._number("raw_norm", scope, layer) if "raw_norm" in self.dataset else self.length(scope, layer)

    def on_manifold(self, scope: str, layer: int, seed: int, draw: int) -> Tensor:
        """Direction of an on-manifold draw [hidden], of length 1, on its device; of an odd draw, minus the one before.

        Σ g_i (h_i − mean) over the activations h_i that are kept with the vectors, with g ~ N(0, 1) from the seed, the
        same at every layer and scope: a direction in which activations themselves differ.
        """
        key = (seed, draw // _DRAWS_AT_ONCE)
        if key not in self._drawn:
            self._drawn[key] = self._drawn_on_manifold(*key)
        return self._drawn[key][self.layers[layer]][self.scopes.index(scope)][draw % _DRAWS_AT_ONCE]

    def kept(self, scope: str, layer: int) -> Tensor:
        """Pooled activations that are kept with the vectors, [manifold_sample, hidden] float32 on their device."""
        at = self.scopes.index(scope)
        return self._all("manifold", layer)[at] + self._all("manifold_mean", layer)[at]

    def _drawn_on_manifold(self, seed: int, block: int) -> list[list[tuple[Tensor, ...]]]:
        """Directions of `_DRAWS_AT_ONCE` draws, by layer and scope: numbers go to each device once for all of them."""
        kept = [self._all("manifold", layer) for layer in self.layers]
        pairs = range(block * _DRAWS_AT_ONCE // 2, (block + 1) * _DRAWS_AT_ONCE // 2)
        weights = np.stack([np.random.default_rng([seed, pair]).standard_normal(kept[0].shape[1]) for pair in pairs])
        # The same g at every layer and scope, so that one draw is one control of a whole profile; odd draws are minus
        # the even ones, see `summarise_draws`.
        signed = np.stack([weights, -weights], 1).reshape(-1, weights.shape[-1])
        on = functools.cache(torch.from_numpy(signed).float().to)
        return [[tuple(unit_rows(on(group.device) @ activations)) for activations in group] for group in kept]

    def negative(self, scope: str, layer: int) -> float:
        """Mean projection μ₋ of the negative images on v̂."""
        return self._number("negative_projection", scope, layer)

    def residual_norm(self, kind: str, layer: int) -> float:
        """Residual norm of a kind of position at a layer, NaN where it was not measured."""
        if "residual_norm" in self.dataset and kind in self.scopes:
            return float(self._values("residual_norm")[self._at(kind, layer)])
        name = SCOPE_NORM.format(kind)
        if name not in self.dataset:
            return float("nan")
        return float(np.atleast_1d(self.dataset[name].values)[self.layers[layer]])

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Forms that name the concept, empty where the vectors have none."""
        return tuple(json.loads(self.dataset["words"].item())) if "words" in self.dataset else ()

    def _at(self, scope: str, layer: int) -> tuple[int, int]:
        return self.scopes.index(scope), self.layers[layer]

    def _number(self, name: str, scope: str, layer: int) -> float:
        return float(self._values(name)[self._at(scope, layer)])

    @cached_property
    def _lengths(self) -> dict[int, list[float]]:
        """Lengths by index of layer and scope."""
        return _measured([self])[0]

    def _values(self, name: str, *trailing: str) -> np.ndarray:
        """Values as an array (scope, layer, …), whatever was selected before."""
        if name not in self._arrays:
            array = self.dataset[name]
            dims = (schema.SCOPE, schema.LAYER, *trailing)
            values = array.transpose(*[d for d in dims if d in array.dims]).values
            values = values.reshape([array.sizes.get(d, 1) for d in dims])
            shape = (len(self.scopes), len(self.layers), *values.shape[2:])
            self._arrays[name] = np.broadcast_to(values, shape)
        return self._arrays[name]

    def _tensor(self, name: str, scope: str, layer: int) -> Tensor:
        return self._all(name, layer)[self.scopes.index(scope)]

    def _all(self, name: str, layer: int) -> Tensor:
        """Tensor (scope, [draw or manifold sample,] hidden) of one layer, float32, on its device."""
        key = (name, self.layers[layer])
        if key not in self._cache:
            array = self.dataset[name]
            inner = [*_INNER.get(name, ()), schema.HIDDEN]
            whole = name == "vector" and schema.LAYER in array.dims and split_dimension(array) is None
            if schema.LAYER in array.dims and not whole:
                array = array.isel({schema.LAYER: self.layers[layer]})
            array = array.transpose(*[d for d in (schema.LAYER, schema.SCOPE, *inner) if d in array.dims])
            tensor = tensor_of(array).float()
            tensor = tensor if schema.SCOPE in array.dims else tensor.unsqueeze(-len(inner) - 1)
            tensors = {(name, index): tensor[index] for index in self.layers.values()} if whole else {key: tensor}
            self._cache |= tensors
        return self._cache[key]


def _total(numbers: Sequence[int], depths: np.ndarray) -> int:
    """Blocks of the model, from the relative depth of one of them."""
    known = [(n, float(depth)) for n, depth in zip(numbers, depths, strict=False) if n != schema.INPUT]
    if known and np.isfinite(known[0][1]):
        return round((known[0][0] + 1) / known[0][1])
    return max(numbers) + 1


_parsed: dict[int, tuple[weakref.ref[xr.Dataset], tuple[xr.Variable, ...], Directions]] = {}


def measure_together(datasets: Sequence[xr.Dataset]) -> None:
    """Read the lengths of several concepts' vectors with one transfer for each device, before each is asked for."""
    directions = [directions_of(dataset) for dataset in datasets]
    for member, lengths in zip(directions, _measured(directions), strict=True):
        member.__dict__["_lengths"] = lengths


def _measured(directions: Sequence[Directions]) -> list[dict[int, list[float]]]:
    """For each, its lengths by index of layer and scope."""
    alike: dict[tuple[torch.device, torch.Size], list[tuple[int, int, Tensor]]] = {}
    for number, member in enumerate(directions):
        for layer, index in member.layers.items():
            vector = member._all("vector", layer)
            alike.setdefault((vector.device, vector.shape), []).append((number, index, vector))
    lengths: list[dict[int, list[float]]] = [{} for _ in directions]
    for entries in alike.values():
        stacked = torch.stack([vector for _, _, vector in entries])
        # Squares of large numbers overflow float32, so the rest is measured in units of the largest.
        largest = stacked.abs().amax(-1)
        relative = (stacked / largest.clamp_min(torch.finfo(stacked.dtype).tiny)[..., None]).norm(dim=-1)
        for (number, index, _), *parts in zip(entries, *torch.stack([largest, relative]).tolist(), strict=True):
            lengths[number][index] = [a * b for a, b in zip(*parts, strict=True)]
    return lengths


def directions_of(dataset: xr.Dataset) -> Directions:
    """Parse a dataset once: the same object gives the same ``Directions`` until it dies or gets other variables."""
    if not isinstance(dataset, xr.Dataset):
        raise ValueError(
            f"expected a dataset of vectors, such as vectors.sel(concept='cat'); got {type(dataset).__name__}."
        )
    # The variables themselves are kept, not their ids: that of one which was exchanged may be given to another.
    key, content = id(dataset), tuple(dataset.variables.values())
    known = _parsed.get(key)
    same = known is not None and known[0]() is dataset and len(known[1]) == len(content)
    if known is not None and same and all(map(operator.is_, known[1], content)):
        return known[2]
    parsed = Directions(dataset)
    _parsed[key] = (weakref.ref(dataset, lambda _: _parsed.pop(key, None)), content, parsed)
    return parsed


def with_concepts(vectors: xr.Dataset) -> xr.Dataset:
    """Vectors of one selected concept as vectors (concept, …) of one; others as they are.

    Selecting a concept takes the dimension from every variable, words and category included, so all of them get it
    back: ``expand_dims`` alone drops coordinates.
    """
    if not isinstance(vectors, xr.Dataset) or "vector" not in vectors or vectors.sizes.get(schema.CONCEPT, 1) != 1:
        return vectors
    lacking = [n for n, v in vectors.variables.items() if schema.CONCEPT not in v.dims]
    if schema.CONCEPT in vectors.dims:  # dimensions of variables that are the same for all concepts stay
        lacking = [n for n in lacking if not vectors[n].dims]
    taken = [n for n in lacking if n in vectors.data_vars or n in (schema.CONCEPT, schema.CATEGORY)]
    variables = {name: _expanded(vectors[name].variable) for name in taken if name != schema.CONCEPT}
    name = vectors[schema.CONCEPT].values if schema.CONCEPT in vectors.coords else "vector"
    coords = {schema.CONCEPT: np.atleast_1d(name)}
    whole = vectors.drop_vars([*taken, schema.CONCEPT], errors="ignore").assign_coords(coords)
    whole = whole.assign(variables)
    return whole.set_coords(schema.CATEGORY) if schema.CATEGORY in whole else whole


def _expanded(variable: xr.Variable) -> xr.Variable:
    """A variable with dimension concept of length 1 in front; tensors stay on their devices."""
    dims = (schema.CONCEPT, *variable.dims)
    split = split_dimension(variable)
    if split is not None or schema.HIDDEN in variable.dims:
        parts = [part[None] for part in parts_of(variable)]
        return lazy(dims, parts[0] if split is None else parts, split, dict(variable.attrs))
    return variable.set_dims({schema.CONCEPT: 1, **variable.sizes})


def _single_concept(dataset: xr.Dataset) -> xr.Dataset:
    if schema.CONCEPT not in dataset.dims:
        return dataset.copy(deep=False)
    if dataset.sizes[schema.CONCEPT] != 1:
        names = ", ".join(map(str, dataset[schema.CONCEPT].values[:8]))
        raise ValueError(
            f"expected the vectors of one concept, got {dataset.sizes[schema.CONCEPT]} ({names} …): "
            "select one, such as vectors.sel(concept='cat')."
        )
    return dataset.isel({schema.CONCEPT: 0})


def unit_rows(vectors: Tensor) -> Tensor:
    """Vectors [..., hidden] scaled to length 1; a zero vector stays zero."""
    lengths = vectors.norm(dim=-1, keepdim=True)
    return vectors / torch.where(lengths == 0, torch.ones_like(lengths), lengths)


LEAST_KEPT = 20
"""Activations that have to be kept with the vectors: of fewer, none can be farther than 95 %."""
FARTHER_THAN = 0.95
"""Share of the vectors' own images that an image has to be farther away than, to be called unlike them."""
_PREFERRED = "last_prompt"
"""Scope that is compared where the vectors have it: with pooled image tokens fewer foreign images stood out."""
_LEAST = 1e-3


def can_compare(vectors: xr.Dataset) -> bool:
    """Whether vectors carry enough activations to say how unlike their images another one is."""
    return "manifold_group" in vectors and vectors.sizes.get(schema.MANIFOLD_SAMPLE, 0) >= LEAST_KEPT


def likeness(model: ProbeModel, vectors: xr.Dataset, images: Images, prompt: str | None = None) -> xr.Dataset:
    """Return the distance of images from those that vectors were made with, in the model's activations.

    Vectors say little about images that the model represents elsewhere. An image's pooled activation is compared with
    the activations that are kept with the vectors: the angle to the nearest one, as a ratio to the median of the same
    distance within the kept ones (each without its counterpart and near-duplicates), and its geometric mean over the
    layers. Nothing is trained.

    `vectors`: from :func:`mllm_probe.concept_vectors`, with at least 20 activations kept. `prompt`: the one of the
    vectors if None: distances of another prompt would be those of the prompt. Returns: ``distance``: 1 is what the
    vectors' own images have from each other; ``share_as_far``: of the vectors' own images, how many are at least as far
    from the others, (1 + those) / (1 + all); ``unlike``: at most 5 %. Raises ValueError if the vectors are another
    model's or carry too few activations.

    After Sun et al., "Out-of-distribution detection with deep nearest neighbors" (ICML 2022): nearest neighbours of
    normalised features. What a model cannot tell from its own images, such as an empty one, is not found.
    """
    require_model(model)
    schema.require(vectors, "vector", dims=(schema.LAYER,), what="vectors")
    schema.require_same_model(vectors, model, what="the vectors")
    if not can_compare(vectors):
        raise ValueError(
            f"expected vectors that carry at least {LEAST_KEPT} activations of their images; got "
            f"{vectors.sizes.get(schema.MANIFOLD_SAMPLE, 0)}. Make them with mp.concept_vectors(model, library)."
        )
    if prompt is None:
        prompt = vectors.attrs.get("prompt")
    listed = list(images) if isinstance(images, Sequence) and not isinstance(images, str) else [images]
    return _compared(model, vectors, as_requests(model, listed, prompt))


def _compared(model: ProbeModel, vectors: xr.Dataset, requests: Sequence[Request]) -> xr.Dataset:
    dataset = with_concepts(vectors).isel({schema.CONCEPT: 0})  # what is kept is the same for all concepts
    directions = directions_of(dataset)
    scope = _PREFERRED if _PREFERRED in directions.scopes else directions.scopes[0]
    layers = list(directions.layers)
    kept = {layer: unit_rows(directions.kept(scope, layer)) for layer in layers}
    nearest: dict[int, list[Tensor]] = {layer: [] for layer in layers}

    def add(_start: int, pooled: dict[int, Tensor]) -> None:
        for layer, batch in pooled.items():
            nearest[layer].append(torch.cdist(unit_rows(batch[:, 0]), kept[layer].to(batch.device)).amin(1))

    pool(model, requests, [scope], layers, add)
    within = stacked_on_host([_nearest_of_others(kept[layer], dataset["manifold_group"].values) for layer in layers])
    distances = stacked_on_host([torch.cat(nearest[layer]) for layer in layers])
    typical = np.median(within, 1, keepdims=True)
    # An image of the vectors themselves is at distance 0 from its own activation, but for rounding.
    within_logs, logs = (np.log(np.maximum(part / typical, _LEAST)).mean(0) for part in (within, distances))
    far = (1 + (within_logs[None] >= logs[:, None]).sum(1)) / (1 + len(within_logs))
    data = {
        "distance": (schema.SAMPLE, np.exp(logs), {"long_name": "distance from the vectors' images", "units": "1"}),
        "share_as_far": (schema.SAMPLE, far, {"long_name": "share of the vectors' images as far away", "units": "1"}),
        "unlike": (schema.SAMPLE, far <= 1 - FARTHER_THAN),
    }
    coords = {schema.SAMPLE: [request.id for request in requests]}
    return xr.Dataset(data, coords, schema.provenance(model, scope=scope, prompt=vectors.attrs.get("prompt")))


def _nearest_of_others(rows: Tensor, groups: np.ndarray) -> Tensor:
    """Distance of every row to the nearest one of another group [rows].

    An image's own counterpart differs in one thing only; a new image has none among those that are kept.
    """
    apart = torch.cdist(rows, rows)
    same = torch.from_numpy(groups[:, None] == groups[None]).to(rows.device)
    return apart.masked_fill(same, torch.inf).amin(1)


class UnlikeNotes:
    """Results of `unlike_note` for images of one model."""

    def __init__(self) -> None:
        self.notes: dict[tuple[object, ...], str] = {}


def unlike_note(model: ProbeModel, vectors: xr.Dataset, image: Picture) -> str:
    """Say that an image is unlike those of the vectors; empty where it is not, or vectors carry too few activations.

    Found out once for each image and set of vectors.
    """
    if not can_compare(vectors) or schema.FIT_IMAGE not in vectors.coords:
        return ""
    request = as_requests(model, [image], vectors.attrs.get("prompt"))[0]
    fitted = hash(tuple(vectors[schema.FIT_IMAGE].values.tolist()))
    key = vectors.attrs.get("weights"), request.prompt, fitted, request.id
    notes = model.state.of(UnlikeNotes).notes
    if key not in notes:
        result = likeness(model, vectors, image).isel({schema.SAMPLE: 0})
        notes[key] = _NOTE.format(FARTHER_THAN, float(result["distance"])) if bool(result["unlike"]) else ""
    return notes[key]


_NOTE = (
    "This image is unlike those that the vectors were made with: to the model it is farther from them than {:.0%} of "
    "them are from each other ({:.1f} times the usual distance). Steering may work differently on it."
)
