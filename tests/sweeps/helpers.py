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


def wrapped_family(name):
    """A tiny model of a family without processor, and processed tensors of one sample."""
    from mllm_probe.loading import wrap
    from mllm_probe.loading.zoo import FAMILIES, build

    hf, inputs = build(FAMILIES[name])
    return wrap(hf), inputs


def plain_logits(model, encoded, following, edits):
    """Logits [1, 1 + n, vocabulary] of one row by plain forward hooks and one whole forward of ``model.hf``.

    ``edits`` are (block, columns of the prompt, whether what follows is edited too, function hidden → hidden).
    """
    from mllm_probe.models.families import family_of
    from mllm_probe.models.inputs import append_tokens

    tensors = dict(encoded.tensors)
    if len(following):
        kind = family_of(model.hf.config).continuation_type
        tensors = append_tokens(tensors, [list(following)], model.pad_token_id, kind)
    handles = []
    for layer, columns, goes_on, change in edits:

        def hook(module, arguments, output, columns=columns, goes_on=goes_on, change=change):
            whole = output[0] if isinstance(output, tuple) else output
            new = whole.clone()
            view = new if model.layout.stream_index is None else new[model.layout.stream_index]
            here = [*columns, *range(encoded.prompt_length, view.shape[1])] if goes_on else list(columns)
            for column in here:
                view[:, column] = change(view[:, column], column)
            return (new, *output[1:]) if isinstance(output, tuple) else new

        handles.append(model.layout.blocks[layer].register_forward_hook(hook))
    try:
        with torch.no_grad():
            logits = model.hf(**tensors, use_cache=False).logits
    finally:
        for handle in handles:
            handle.remove()
    return logits[:, encoded.prompt_length - 1 :]


def plain_edit(model, vectors, encoded, concept, layer, strength, tokens, operation="add", to=None, direction=None):
    """The edit of a cell, written down again from the definitions."""
    roles = np.array(schema.ROLES)[encoded.roles[0].numpy()]
    last = encoded.prompt_length - 1
    names = (tokens,) if isinstance(tokens, str) else tokens
    begin = model.hf.config.get_text_config(decoder=True).bos_token_id
    ids = encoded.tensors["input_ids"][0].tolist()
    chosen = [
        c
        for c in range(encoded.prompt_length)
        if ("last_prompt" in names and c == last)
        or ("image" in names and roles[c] == "image")
        or ("text" in names and roles[c] == "text")
        or ("all" in names and ids[c] != begin)
    ]
    own = vectors.sel(concept=concept)

    def kind(column):
        return "last_prompt" if column >= last else "image" if roles[column] == "image" else "text"

    def unit(which, column):
        v = torch.from_numpy(np.array(which.vector.sel(scope=kind(column), layer=layer).values))
        return v / v.norm()

    def change(hidden, column):
        v = unit(own, column) if direction is None else direction
        if operation == "add":
            return hidden + strength * float(vectors.residual_norm.sel(scope=kind(column), layer=layer)) * v
        excess = (hidden @ v - float(own.negative_projection.sel(scope=kind(column), layer=layer)))[:, None]
        away = v if operation == "ablate" else v - unit(vectors.sel(concept=to), column)
        return hidden - strength * excess * away

    return [(layer, chosen, "generated" in names or "all" in names, change)]
