"""How unlike the images of concept vectors another image is, to the model: its distance in the residual stream."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from mllm_probe import schema
from mllm_probe.activations.device_array import stacked_on_host
from mllm_probe.models import ProbeModel, require_model
from mllm_probe.models.inputs import Request
from mllm_probe.typing import Images, Picture
from mllm_probe.vectors.directions import directions_of, unit_rows, with_concepts
from mllm_probe.vectors.pooling import as_requests, pool

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
    """How far images are from those that vectors were made with, in the eyes of the model.

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
    one = with_concepts(vectors).isel({schema.CONCEPT: 0})  # what is kept is the same for all concepts
    directions = directions_of(one)
    scope = _PREFERRED if _PREFERRED in directions.scopes else directions.scopes[0]
    layers = list(directions.layers)
    kept = {layer: unit_rows(directions.kept(scope, layer)) for layer in layers}
    found: dict[int, list[Tensor]] = {layer: [] for layer in layers}

    def add(_start: int, pooled: dict[int, Tensor]) -> None:
        for layer, batch in pooled.items():
            found[layer].append(torch.cdist(unit_rows(batch[:, 0]), kept[layer].to(batch.device)).amin(1))

    pool(model, requests, [scope], layers, add)
    own = stacked_on_host([_nearest_of_others(kept[layer], one["manifold_group"].values) for layer in layers])
    distances = stacked_on_host([torch.cat(found[layer]) for layer in layers])
    typical = np.median(own, 1, keepdims=True)
    # An image of the vectors themselves is at distance 0 from its own activation, but for rounding.
    own_logs, logs = (np.log(np.maximum(part / typical, _LEAST)).mean(0) for part in (own, distances))
    far = (1 + (own_logs[None] >= logs[:, None]).sum(1)) / (1 + len(own_logs))
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


class _Told:
    """What `unlike_note` has found out about images of one model."""

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
    notes = model.state.of(_Told).notes
    if key not in notes:
        found = likeness(model, vectors, image).isel({schema.SAMPLE: 0})
        notes[key] = _NOTE.format(FARTHER_THAN, float(found["distance"])) if bool(found["unlike"]) else ""
    return notes[key]


_NOTE = (
    "This image is unlike those that the vectors were made with: to the model it is farther from them than {:.0%} of "
    "them are from each other ({:.1f} times the usual distance). Steering may work differently on it."
)
