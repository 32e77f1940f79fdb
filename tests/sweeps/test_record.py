"""Recorded insides of steered runs against capture of the same runs."""

import numpy as np
import pytest
import torch

import mllm_probe.sweeps as sweeps
from mllm_probe.activations import capture
from mllm_probe.activations.device_array import tensor_of
from mllm_probe.steering import Steering
from mllm_probe.steering.operations import random_direction
from mllm_probe.sweeps import record as record_module
from tests.sweeps.helpers import plain_batch, plain_edit, random_vectors

EVERYTHING = ("activation", "projection", "residual_norm", "logit_lens")
SETTINGS = {"metrics": ("logprob",), "strengths": (0, 1), "layers": [1], "draws": 4, "progress": False}


@pytest.mark.parametrize(
    ("tokens", "read"), [(("last_prompt", "generated"), "last_prompt"), (("last_prompt",), [2, -1]), ("image", "image")]
)
def test_recorded_activations_equal_capture_of_the_same_cell(tiny, pictures, tokens, read):
    vectors = random_vectors(tiny)
    grid = sweeps.sweep(
        tiny,
        vectors,
        pictures[:2],
        tokens=tokens,
        record=EVERYTHING,
        read_layers=[0, 1, 3],
        read_tokens=read,
        **SETTINGS,
    )
    assert isinstance(tensor_of(grid.activation), torch.Tensor)
    for concept, control in (("cat", "concept"), ("dog", "concept"), ("dog", "random"), ("dog", "on_manifold")):
        steering = Steering(vectors.sel(concept=concept), [1], 1.0, tokens=tokens)
        steering = steering if control == "concept" else steering.control(control, 0, 1)
        draw = 0 if control == "concept" else 1
        acts = capture(tiny, pictures[:2], layers=[0, 1, 3], tokens=read, steering=steering)
        cell = grid.sel(concept=concept, layer=1, strength=1, control=control, draw=draw)
        expected = acts.activation.values
        np.testing.assert_allclose(
            cell.activation.transpose("sample", "read_layer", "token", "hidden").values, expected, atol=2e-5
        )
        norms = cell.residual_norm.transpose("sample", "read_layer", "token").values
        np.testing.assert_allclose(norms, np.linalg.norm(expected, axis=-1), rtol=1e-4)
        scope = "image" if read == "image" else "last_prompt"
        own = vectors.vector.sel(concept=concept, scope=scope, layer=[0, 1, 3]).values
        own = own / np.linalg.norm(own, axis=-1, keepdims=True)
        along = np.einsum("slth,lh->slt", expected, own)[..., -1]
        np.testing.assert_allclose(
            cell.projection.transpose("sample", "read_layer", "token").values[..., -1], along, atol=1e-4
        )


def own_direction(vectors, concept, control, draw, scope, layer, seed):
    """Unit vector of an edit, written down again from the definitions."""
    at = vectors.sel(scope=scope, layer=layer)
    if control == "random":
        return random_direction(seed, draw, vectors.sizes["hidden"]).numpy()
    if control == "on_manifold":
        kept = at.manifold.transpose("manifold_sample", "hidden").values
        weights = np.random.default_rng([seed, draw // 2]).standard_normal(len(kept))
        whole = (-1) ** draw * weights @ kept
    elif control == "shuffled":
        whole = at.shuffled.sel(concept=concept, draw=draw).values
    else:
        other = {"cat": "dog", "dog": "cat"}[concept] if control == "concepts" else concept
        whole = at.vector.sel(concept=other).values
    return (whole / np.linalg.norm(whole)).astype(np.float32)


@pytest.mark.parametrize("tokens", [("last_prompt", "generated"), "image"])
def test_own_projections_are_along_the_direction_that_was_added(tiny, pictures, tokens):
    vectors, seed, read = random_vectors(tiny, norm=1.5, draws=4), 3, [2, 3]
    controls = ("random", "on_manifold", "concepts", "shuffled")
    settings = SETTINGS | {"strengths": (0, 1), "controls": controls, "seed": seed}
    grid = sweeps.sweep(
        tiny, vectors, pictures[:1], tokens=tokens, record="projection", read_layers=read, read_tokens=[4, -1],
        **settings,
    ).isel(sample=0, layer=0)  # fmt: skip
    assert {"projection", "own_projection"} == {n for n in grid if "projection" in n and "unsteered" not in n}
    encoded = tiny.encode(pictures[0], None)
    columns, scopes = [4, encoded.prompt_length - 1], ["image", "last_prompt"]
    edited = "image" if tokens == "image" else "last_prompt"
    for concept, control, draw in [
        ("dog", "concept", 0), ("cat", "random", 1), ("dog", "random", 2), ("dog", "on_manifold", 3),
        ("cat", "concepts", 0), ("dog", "shuffled", 1),
    ]:  # fmt: skip
        added = own_direction(vectors, concept, control, draw, edited, 1, seed)
        edits = plain_edit(tiny, vectors, encoded, concept, 1, 1.0, tokens, direction=torch.from_numpy(added))
        along = np.array(
            [[own_direction(vectors, concept, control, draw, s, layer, seed) for s in scopes] for layer in read]
        )
        cell = grid.sel(concept=concept, control=control, draw=draw)
        for strength, done in ((0, []), (1, edits)):
            states = []
            plain_batch(tiny, encoded, [[]], [done], states)
            expected = (np.stack([states[layer][0, columns].cpu().numpy() for layer in read]) * along).sum(-1)
            values = cell.own_projection.sel(strength=strength).transpose("read_layer", "token").values
            np.testing.assert_allclose(values, expected, atol=2e-5)
        plain = cell.own_projection_unsteered.transpose("read_layer", "token").values
        np.testing.assert_array_equal(plain, cell.own_projection.sel(strength=0).transpose("read_layer", "token"))
        if control == "concept":
            np.testing.assert_allclose(cell.own_projection, cell.projection, atol=1e-6)
    assert np.isnan(grid.own_projection.sel(control="concept", draw=1)).all()
    assert np.isnan(grid.own_projection_unsteered.sel(control="concept", draw=1)).all()


def test_strength_zero_and_unsteered_are_the_unedited_run(tiny, pictures):
    grid = sweeps.sweep(tiny, random_vectors(tiny), pictures[:2], record=EVERYTHING, **SETTINGS)
    plain = capture(tiny, pictures[:2]).activation.transpose("sample", "layer", "token", "hidden").values
    np.testing.assert_allclose(grid.activation_unsteered.values, plain, atol=2e-5)
    zero = grid.sel(strength=0, layer=1)
    for control, draw in (("concept", 0), ("random", 1), ("on_manifold", 1)):
        np.testing.assert_array_equal(
            zero.activation.sel(concept="dog", control=control, draw=draw).values, grid.activation_unsteered.values
        )
        np.testing.assert_array_equal(
            zero.logit_lens.sel(control=control, draw=draw).values, grid.logit_lens_unsteered.values
        )
    assert np.isnan(grid.residual_norm.sel(control="concept", draw=1).values).all()


def test_the_lens_ends_at_the_answer(tiny, pictures):
    settings = SETTINGS | {"record": "logit_lens", "answer_prefix": ""}
    own = sweeps.sweep(tiny, random_vectors(tiny), pictures[:2], **settings).sel(control="concept", draw=0, strength=1)
    last = own.logit_lens.sel(read_layer=3).isel(token=-1).transpose(*own.logprob.dims)
    np.testing.assert_allclose(last, own.logprob, atol=1e-4)


def test_what_does_not_fit_says_what_to_ask_for(tiny, pictures, monkeypatch):
    monkeypatch.setattr(record_module, "free_bytes", lambda device: 20_000)
    with pytest.raises(MemoryError, match=r"activation takes .* GB.*'projection', 'residual_norm' and 'logit_lens'"):
        sweeps.sweep(tiny, random_vectors(tiny), pictures[:2], record="activation", **SETTINGS)


def test_projections_need_directions_at_the_layers_that_are_read(tiny, pictures):
    vectors = random_vectors(tiny).sel(layer=[1, 2])
    with pytest.raises(ValueError, match=r"reads layer 0, where the vectors have no direction; they have \[1, 2\]"):
        sweeps.sweep(tiny, vectors, pictures[:1], record="projection", **SETTINGS)
