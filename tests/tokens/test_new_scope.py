"""A new built-in scope is one declaration: captures, vectors, steering, sweeps and the panel take it from there."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import mllm_probe as mp
from mllm_probe.models.inputs import IMAGE
from mllm_probe.tokens.selection import SCOPES, NamedScope
from mllm_probe.widgets.panel.setting import scopes_for
from tests.sweeps.helpers import random_vectors

PROMPT = "what is it ?"


def _last_picture(where, lines):
    image = where.image[lines]
    return (where.roles[lines] == IMAGE) & (image == image.max(1, keepdims=True)) & ~where.is_generated


@pytest.fixture
def last_image(monkeypatch):
    """Image tokens of the last picture of a prompt."""
    scope = NamedScope(
        "last_image", _last_picture, early=True, needs_roles=True, norm="image", choice=("last_image", "last picture")
    )
    monkeypatch.setitem(SCOPES, "last_image", scope)


def test_a_new_scope_works_everywhere_from_its_declaration(tiny, pictures, last_image):
    two = [pictures[:2]]
    acts = mp.capture(tiny, two, PROMPT, tokens="last_image", layers=[1])
    assert acts.token.values.tolist() == list(range(17, 33)) and acts.attrs["scope"] == "last_image"

    cat = random_vectors(tiny).sel(concept="cat")
    edit = mp.Steering(cat, [1], 2.0, unit="vector", tokens=("last_image", "generated"))
    out = mp.generate(tiny, two, PROMPT, steering=edit, max_new_tokens=4, min_new_tokens=4)
    assert out.receipt[0].edited == tuple(range(17, 33)) and out.receipt[0].steps == 3
    edited = mp.capture(tiny, two, PROMPT, tokens="image", layers=[1], steering=edit)
    plain = mp.capture(tiny, two, PROMPT, tokens="image", layers=[1])
    change = (edited.activation.torch.tensor - plain.activation.torch.tensor)[0, 0].norm(dim=-1).cpu()
    assert (change[:16] == 0).all()
    length = torch.as_tensor(cat.vector.sel(layer=1, scope="image").values).norm()
    torch.testing.assert_close(change[16:], 2.0 * length.expand(16), rtol=1e-4, atol=1e-5)

    with pytest.raises(ValueError, match="tokens='last_image' can never be edited: the prompt of row 0 has no last_im"):
        mp.generate(tiny, None, PROMPT, steering=edit)
    with pytest.raises(ValueError, match="expected one or several of last_prompt, generated, image, text, all, last_i"):
        mp.capture(tiny, two, PROMPT, tokens="picture")
    assert ["last_image", "last picture"] in scopes_for(SimpleNamespace(scope="all", patches=(), positions=()))


def test_vectors_and_sweeps_take_a_new_scope(tiny, pictures, last_image):
    library = mp.concepts.scenes(concepts=["cat"], pairs=3)
    vectors = mp.concept_vectors(tiny, library, tokens=("last_image", "image"), shuffled_draws=0, probe_accuracy=False)
    ours, theirs = (vectors.vector.sel(scope=scope).values for scope in ("last_image", "image"))
    np.testing.assert_array_equal(ours, theirs)  # of prompts with one picture
    settings = {"layers": [1], "strengths": (1.0,), "draws": 4, "metrics": ("logprob",), "progress": False}
    grids = [
        mp.sweep(tiny, random_vectors(tiny), pictures[:2], PROMPT, tokens=scope, **settings).load()
        for scope in ("last_image", "image")
    ]
    assert grids[0].attrs["scope"] == "last_image"
    np.testing.assert_allclose(grids[0].logprob.values, grids[1].logprob.values, atol=1e-5)
