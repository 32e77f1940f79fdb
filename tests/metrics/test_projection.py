"""Projections of tokens: 0 is the mean without the concept, 1 with it, along the vector of each token's own scope."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mllm_probe.activations import capture
from mllm_probe.concepts import scenes
from mllm_probe.metrics import borrowed_scopes, concept_projection
from mllm_probe.tokens import captured_kinds
from mllm_probe.vectors import concept_vectors, vectors_from


@pytest.fixture(scope="module")
def library():
    return scenes(concepts=["cat"], pairs=3)


@pytest.fixture(scope="module")
def vectors(tiny, library):
    return concept_vectors(tiny, library, probe_accuracy=False)


@pytest.mark.parametrize("scope", ["image", "last_prompt"])
def test_means_of_the_two_classes_are_zero_and_one(tiny, library, vectors, scope):
    for pictures, expected in ((library["cat"].negative, 0.0), (library["cat"].positive, 1.0)):
        acts = capture(tiny, list(pictures), tokens=scope)
        found = concept_projection(acts, vectors.sel(concept="cat"))
        assert found.dims == ("sample", "layer", "token") and found.attrs["units"] == "× mean difference"
        np.testing.assert_allclose(found.mean(("sample", "token")).values, expected, atol=2e-4)


def test_every_token_is_measured_along_its_own_scope(tiny, library, vectors):
    acts = capture(tiny, [library["cat"].positive[0]], tokens="all", continuation="a cat")
    kinds = np.array(captured_kinds(acts))
    steps, roles = acts.step.values, acts.role.values
    assert set(kinds[steps >= 0]) == {"generated"} and set(kinds[roles == "image"]) == {"image"}
    assert (kinds[(steps < 0) & (roles != "image")] == "last_prompt").tolist() == [
        *[False] * (int(((steps < 0) & (roles != "image")).sum()) - 1),
        True,
    ]
    found = concept_projection(acts, vectors.sel(concept="cat"))
    for kind, scope in (("image", "image"), ("last_prompt", "last_prompt"), ("text", "last_prompt")):
        own = vectors.sel(concept="cat", scope=scope)
        token = int(np.flatnonzero(kinds == kind)[0])
        by_hand = acts.activation.isel(token=token).torch.project(own.vector)
        expected = (by_hand - own.negative_projection) / own.vector.torch.norm("hidden")
        np.testing.assert_allclose(found.isel(token=token).values, expected.values, rtol=1e-4, atol=1e-4)


def test_tokens_whose_scope_was_not_captured_say_whose_vector_they_borrow(tiny, library, vectors):
    acts = capture(tiny, [library["cat"].positive[0]], tokens="all", continuation="a cat")
    kinds, answer = np.array(captured_kinds(acts)), acts.step.values >= 0
    found = np.array(borrowed_scopes(acts, vectors.sel(concept="cat")))
    assert set(found[answer]) == {"last_prompt"} and set(found[kinds == "text"]) == {"last_prompt"}
    assert set(found[kinds == "image"]) == {""} and found[(kinds == "last_prompt") & ~answer].tolist() == [""]
    image = vectors.sel(concept="cat", scope=["image"])
    assert set(np.array(borrowed_scopes(acts, image))[kinds != "image"]) == {"image"}
    given = vectors_from(tiny, {"mine": torch.ones(tiny.hidden_size)})
    assert set(borrowed_scopes(acts, given.sel(concept="mine"))) == {""}


def test_layers_that_both_have_are_kept_and_none_in_common_is_said(tiny, library, vectors):
    acts = capture(tiny, [library["cat"].positive[0]], tokens="image", layers=[1, 2])
    found = concept_projection(acts, vectors.sel(concept="cat", layer=[2, 3]))
    assert found.layer.values.tolist() == [2]
    with pytest.raises(ValueError, match=r"layers \[3\], none of which was captured"):
        concept_projection(acts, vectors.sel(concept="cat", layer=[3]))


def test_given_vectors_are_in_units_of_their_length(tiny, library):
    direction = torch.randn(tiny.hidden_size)
    acts = capture(tiny, [library["cat"].positive[0]], tokens="image")
    found = concept_projection(acts, vectors_from(tiny, {"mine": direction}).sel(concept="mine"))
    expected = acts.activation.torch.tensor.cpu() @ direction / direction.norm() ** 2
    np.testing.assert_allclose(found.values, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_samples_of_different_roles_are_refused(tiny, library):
    acts = capture(tiny, [library["cat"].positive[0]] * 2, ["a", "a b c"], tokens="all")
    with pytest.raises(ValueError, match="capture them one by one"):
        captured_kinds(acts)
