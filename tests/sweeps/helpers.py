"""Vectors made by hand, tiny families, and a single cell run through plain hooks."""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import cache

import numpy as np
import pytest
import torch
import transformers
import xarray as xr

from mllm_probe import schema
from mllm_probe.activations.device_array import lazy
from mllm_probe.activations.hooks import before_backbone
from tests.conftest import put

SCOPES = ("last_prompt", "image", "text")
JOINABLE = {"layers": [1, 3], "strengths": (0, 1, -0.5), "draws": 4, "max_new_tokens": 4, "progress": False}
"""Settings of a sweep of several units."""


def same(found, expected, rtol=1e-5, atol=2e-5):
    """Floating-point variables are equal up to rounding, all else but attributes to the bit."""
    floats = [name for name, variable in expected.data_vars.items() if variable.dtype.kind == "f"]
    xr.testing.assert_identical(found.drop_vars(floats).drop_attrs(), expected.drop_vars(floats).drop_attrs())
    for name in floats:
        np.testing.assert_allclose(found[name].values, expected[name].values, rtol=rtol, atol=atol, err_msg=name)


@contextmanager
def forwards(model):
    """Calls of the text model."""
    seen = []
    with before_backbone(model, lambda arguments, named: seen.append(1)):
        yield seen


@contextmanager
def encoded_pictures(model):
    """How many pictures each call of the vision tower has."""
    seen = []
    handle = model.layout.vision_tower.register_forward_pre_hook(
        lambda module, arguments, named: seen.append(len(named.get("pixel_values", arguments and arguments[0]))),
        with_kwargs=True,
    )
    try:
        yield seen
    finally:
        handle.remove()


def random_vectors(model, concepts=("cat", "dog"), *, draws=3, seed=0, words=None, scopes=SCOPES, norm=3.0):
    """A vectors dataset with random directions, as ``concept_vectors`` makes it; ``norm`` for all layers or each."""
    generator = torch.Generator().manual_seed(seed)
    layers, width = len(model.layers), model.hidden_size
    shape = (len(concepts), len(scopes), layers)
    vector = torch.randn(*shape, width, generator=generator).to(model.device)
    shuffled = torch.randn(len(concepts), len(scopes), draws, layers, width, generator=generator).to(model.device)
    manifold = torch.randn(5, len(scopes), layers, width, generator=generator).to(model.device)
    growth = 1 + np.arange(layers)[:, None] * 0.1 + np.arange(len(scopes))[None] * 0.05
    norms = np.broadcast_to(norm, layers)[:, None] * growth
    dims = (schema.CONCEPT, schema.SCOPE, schema.LAYER)
    variables = {
        "vector": lazy((*dims, schema.HIDDEN), vector),
        "shuffled": lazy((schema.CONCEPT, schema.SCOPE, schema.DRAW, schema.LAYER, schema.HIDDEN), shuffled),
        "residual_norm": ((schema.LAYER, schema.SCOPE), norms),
        "negative_projection": (dims, np.full(shape, 0.1)),
        "manifold": lazy((schema.MANIFOLD_SAMPLE, schema.SCOPE, schema.LAYER, schema.HIDDEN), manifold),
        "words": (schema.CONCEPT, [json.dumps((words or {}).get(name, [name])) for name in concepts]),
    }
    coords = schema.layer_coordinates(model.layers, layers) | {
        schema.CONCEPT: list(concepts),
        schema.CATEGORY: (schema.CONCEPT, ["entity"] * len(concepts)),
        schema.SCOPE: list(scopes),
        schema.DRAW: np.arange(draws),
    }
    return xr.Dataset(variables, coords, schema.provenance(model, concepts="by hand"))


def wrapped_family(name, device):
    """A tiny model of a family without processor, and processed tensors of one sample."""
    from mllm_probe.loading import wrap
    from tests.zoo import FAMILIES, build

    hf, inputs = build(FAMILIES[name])
    return put(wrap(hf), device), inputs


def verified_family(name, device):
    """A tiny model of any verified family, with or without a builder of its own, and tensors of one sample."""
    from mllm_probe.loading import wrap
    from tests.zoo import FAMILIES
    from tests.zoo.family_survey import family_names
    from tests.zoo.shrink import pictures, sample, shrunk

    if name not in family_names():
        pytest.skip(f"Transformers {transformers.__version__} has no family {name}")
    if name in FAMILIES:
        model, inputs = wrapped_family(name, device)
        for parameter in model.hf.parameters():
            if parameter.numel() == 1 and not parameter.any():
                parameter.data.fill_(0.5)  # a gate that begins shut lets no picture in
        return model, inputs
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = wrap(shrunk(name), name=name)
        for picture in pictures(model.hf):
            try:
                inputs = sample(model.hf, picture)
                if model.verify(inputs=inputs).passed:
                    return put(model, device), inputs
            except (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError):
                continue
    raise AssertionError(f"{name} takes none of the pictures")


def residual_norms(model, encoded):
    """Length of the residual stream at the last prompt token after every block, by plain hooks."""
    states = []
    plain_batch(model, encoded, [[]], [[]], states)
    return np.array([float(one[0, encoded.prompt_length - 1].norm()) for one in states])


def longer(inputs, words):
    """The same sample with more words at the end of its prompt."""
    from mllm_probe.models.inputs import PER_TOKEN

    grown = {}
    for name, value in inputs.items():
        if name not in PER_TOKEN or name == "decoder_input_ids":
            grown[name] = value
            continue
        added = value[:, -1:].expand(-1, len(words), *value.shape[2:])
        grown[name] = torch.cat([value, torch.tensor([words]) if name == "input_ids" else added], 1)
    return grown


def other_picture(inputs):
    """The same sample with other pixels in its picture."""
    changed = {name: value.clone() for name, value in inputs.items()}
    for value in changed.values():
        if value.is_floating_point():
            value[..., 2:] *= -0.7  # the first two columns of a patch may be its place
    return changed


def plain_batch(model, encoded, following, edits, states=None):
    """Logits [rows, 1 + n, vocabulary] by plain forward hooks and one forward of ``model.hf``.

    ``following`` are lists of tokens behind the prompt, one per row; ``edits`` the lists of edits of each row: (block,
    columns of the prompt, whether what follows is edited too, function hidden → hidden). Where a row's tokens end
    first, what comes behind is without meaning. ``states``, a list, gets the edited stream after every block.
    """
    from mllm_probe.models.inputs import append_tokens, join_inputs
    from mllm_probe.models.layout import family_of

    tensors = join_inputs([encoded.tensors] * len(following), model.pad_token_id)
    if max(map(len, following)):
        kind = family_of(model.hf.config).continuation_type
        longest = max(map(len, following))
        filled = [[*tokens, *[5] * (longest - len(tokens))] for tokens in following]
        tensors = append_tokens(tensors, filled, model.pad_token_id, kind)
    by_layer = {}
    for row, own in enumerate(edits):
        for layer, columns, goes_on, change in own:
            by_layer.setdefault(layer, []).append((row, columns, goes_on, change))

    def hook_of(layer):
        def hook(module, arguments, output):
            whole = output[0] if isinstance(output, tuple) else output
            new = whole.clone()
            view = new if model.layout.stream_index is None else new[model.layout.stream_index]
            for row, columns, goes_on, change in by_layer[layer]:
                here = [*columns, *range(encoded.prompt_length, view.shape[1])] if goes_on else list(columns)
                for column in here:
                    view[row, column] = change(view[row : row + 1, column], column)[0]
            return (new, *output[1:]) if isinstance(output, tuple) else new

        return hook

    def keep(module, arguments, output):
        whole = output[0] if isinstance(output, tuple) else output
        states.append(whole if model.layout.stream_index is None else whole[model.layout.stream_index])

    handles = [model.layout.blocks[layer].register_forward_hook(hook_of(layer)) for layer in by_layer]
    handles += [block.register_forward_hook(keep) for block in model.layout.blocks if states is not None]
    try:
        with torch.no_grad():
            logits = model.hf(**tensors, use_cache=False).logits
    finally:
        for handle in handles:
            handle.remove()
    return logits[:, encoded.prompt_length - 1 :].float()


def plain_logits(model, encoded, following, edits):
    """Logits [1, 1 + n, vocabulary] of one row, see ``plain_batch``."""
    return plain_batch(model, encoded, [list(following)], [edits])


def plain_edit(model, vectors, encoded, concept, layer, strength, tokens, operation="add", to=None, direction=None):
    """The edit of a cell, written down again from the definitions."""
    roles = np.array(schema.ROLES)[encoded.roles[0].numpy()]
    last = encoded.prompt_length - 1
    names = (tokens,) if isinstance(tokens, str) else tokens
    begin = getattr(model.hf.config.get_text_config(decoder=True), "bos_token_id", None)
    ids = encoded.sequence[0].tolist()
    chosen = [
        c
        for c in range(encoded.prompt_length)
        if c in names
        or ("last_prompt" in names and c == last)
        or ("image" in names and roles[c] == "image")
        or ("text" in names and roles[c] == "text")
        or ("all" in names and ids[c] != begin)
    ]
    own = vectors.sel(concept=concept)

    def kind(column):
        return "last_prompt" if column >= last else "image" if roles[column] == "image" else "text"

    @cache
    def unit(name, scope):
        v = torch.from_numpy(np.array(vectors.vector.sel(concept=name, scope=scope, layer=layer).values))
        return (v / v.norm()).to(model.device)

    @cache
    def number(name, scope):
        whole = vectors if name == "residual_norm" else own
        return float(whole[name].sel(scope=scope, layer=layer))

    def change(hidden, column):
        scope = kind(column)
        v = unit(concept, scope) if direction is None else direction.to(model.device)
        if operation == "add":
            return hidden + strength * number("residual_norm", scope) * v
        excess = (hidden @ v - number("negative_projection", scope))[:, None]
        away = v if operation == "ablate" else v - unit(to, scope)
        return hidden - strength * excess * away

    return [(layer, chosen, "generated" in names or "all" in names, change)]


def rounded(edits):
    """Edits computed in float32 and rounded to what the model computes in."""

    def of(change):
        return lambda hidden, column: change(hidden.float(), column).to(hidden.dtype)

    return [(layer, columns, goes_on, of(change)) for layer, columns, goes_on, change in edits]
