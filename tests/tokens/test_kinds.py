"""The kind of a position is decided once: captures, projections, sweep records, receipts and the strip agree on it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mllm_probe as mp
from mllm_probe.activations.zarr_store import open_zarr, save_zarr
from mllm_probe.metrics import concept_projection
from mllm_probe.tokens import captured_kinds
from mllm_probe.vectors.directions import directions_of
from mllm_probe.widgets.inside.token_strip import described
from tests.sweeps.helpers import random_vectors

PROMPT = "what is it ?"
LENGTH = 23
"""Positions of the prompt: bos, 16 image tokens, a chat marker, four words, the assistant's marker."""
KINDS = ["text", *["image"] * 16, *["text"] * 5, "last_prompt"]


@pytest.fixture(scope="module")
def cat(tiny):
    return random_vectors(tiny).sel(concept="cat")


def _projection(tiny, picture, cat, tokens):
    acts = mp.capture(tiny, [picture], PROMPT, tokens=tokens)
    return concept_projection(acts, cat)


def test_one_activation_has_one_projection_however_it_was_chosen(tiny, pictures, cat):
    expected = _projection(tiny, pictures[0], cat, "last_prompt").values[..., -1]
    mask = np.zeros(LENGTH, bool)
    mask[-1] = True
    for tokens in ([-1], [LENGTH - 1], mask, "all", ("text", "last_prompt"), [3, -1]):
        found = _projection(tiny, pictures[0], cat, tokens).values[..., -1]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6, err_msg=str(tokens))


def test_a_token_keeps_its_kind_when_others_are_left_out_or_it_is_stored(tiny, pictures, cat, tmp_path):
    acts = mp.capture(tiny, [pictures[0]], PROMPT, tokens="all")
    assert captured_kinds(acts) == KINDS[1:]
    whole = concept_projection(acts, cat).values
    for kept in (list(range(len(KINDS) - 2)), [3], [-1]):
        found = concept_projection(acts.isel(token=kept), cat).values
        np.testing.assert_allclose(found, whole[..., kept], rtol=1e-5, atol=1e-6)
    save_zarr(acts, tmp_path / "acts.zarr")
    assert captured_kinds(open_zarr(tmp_path / "acts.zarr")) == KINDS[1:]


def test_a_capture_without_kinds_is_refused(tiny, pictures, cat):
    acts = mp.capture(tiny, [pictures[0]], PROMPT).drop_vars("kind")
    with pytest.raises(ValueError, match="no coordinate 'kind'.*capture them again"):
        concept_projection(acts, cat)


def test_a_sweep_records_the_projection_that_a_capture_gives(tiny, pictures):
    vectors = random_vectors(tiny)
    positions = [0, 3, LENGTH - 2, LENGTH - 1, -1]
    grid = mp.sweep(
        tiny,
        vectors,
        pictures[:1],
        PROMPT,
        layers=[1],
        strengths=(0.0, 1.0),
        draws=4,
        metrics=("logprob",),
        record=("projection",),
        read_tokens=positions,
        progress=False,
    ).load()
    acts = mp.capture(tiny, pictures[:1], PROMPT, tokens=positions)
    kinds = captured_kinds(acts)
    assert kinds == ["text", "image", "text", "last_prompt", "last_prompt"]
    for concept in ("cat", "dog"):
        own = directions_of(vectors.sel(concept=concept))
        for layer in acts.layer.values.tolist():
            hidden = acts.activation.sel(layer=layer).torch.tensor[0].float()
            by_hand = [float(hidden[i] @ own.unit(kind, layer)) for i, kind in enumerate(kinds)]
            found = grid.projection_unsteered.sel(concept=concept, read_layer=layer).isel(sample=0).values
            np.testing.assert_allclose(found, by_hand, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("column", range(LENGTH))
def test_steering_uses_the_vector_of_the_kind_that_a_capture_names(tiny, pictures, cat, column):
    acts = mp.capture(tiny, [pictures[0]], PROMPT, tokens=[column], layers=[2])
    (kind,) = captured_kinds(acts)
    assert kind == KINDS[column]
    edit = mp.Steering(cat, [2], 0.5, unit="vector", tokens=[column])
    edited = mp.capture(tiny, [pictures[0]], PROMPT, tokens=[column], layers=[2], steering=edit)
    change = (edited.activation.torch.tensor - acts.activation.torch.tensor).flatten()
    torch.testing.assert_close(change, 0.5 * directions_of(cat).vector(kind, 2), rtol=1e-4, atol=1e-5)


def test_tokens_of_the_answer_are_generated_and_the_strip_says_so(tiny, pictures):
    acts = mp.capture(tiny, [pictures[0]], PROMPT, tokens="all", continuation="a cat")
    assert captured_kinds(acts) == [*KINDS[1:], "generated", "generated"]
    assert [role for _, role, *_ in described(acts)][-3:] == ["special", "answer", "answer"]
