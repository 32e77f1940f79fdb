"""Vectors made by hand, tiny families, and a single cell run through plain hooks."""

from __future__ import annotations

import json

import numpy as np
import torch
import xarray as xr

from mllm_probe import schema
from mllm_probe.activations.device_array import lazy

SCOPES = ("last_prompt", "image", "text")


def random_vectors(model, concepts=("cat", "dog"), *, draws=3, seed=0, words=None, scopes=SCOPES, norm=3.0):
    """A vectors dataset with random directions, as ``concept_vectors`` makes it."""
    generator = torch.Generator().manual_seed(seed)
    layers, width = len(model.layers), model.hidden_size
    shape = (len(concepts), len(scopes), layers)
    vector = torch.randn(*shape, width, generator=generator).to(model.device)
    shuffled = torch.randn(len(concepts), len(scopes), draws, layers, width, generator=generator).to(model.device)
    norms = norm * (1 + np.arange(layers)[:, None] * 0.1 + np.arange(len(scopes))[None] * 0.05)
    dims = (schema.CONCEPT, schema.SCOPE, schema.LAYER)
    variables = {
        "vector": lazy((*dims, schema.HIDDEN), vector),
        "shuffled": lazy((schema.CONCEPT, schema.SCOPE, schema.DRAW, schema.LAYER, schema.HIDDEN), shuffled),
        "residual_norm": ((schema.LAYER, schema.SCOPE), norms),
        "negative_projection": (dims, np.full(shape, 0.1)),
        "shuffled_negative_projection": ((*dims, schema.DRAW), np.full((*shape, draws), 0.1)),
        "words": (schema.CONCEPT, [json.dumps((words or {}).get(name, [name])) for name in concepts]),
    }
    coords = schema.layer_coordinates(model.layers, layers) | {
        schema.CONCEPT: list(concepts),
        schema.CATEGORY: (schema.CONCEPT, ["entity"] * len(concepts)),
        schema.SCOPE: list(scopes),
        schema.DRAW: np.arange(draws),
    }
    return xr.Dataset(variables, coords, schema.provenance(model, concepts="by hand"))
