"""The fingerprint follows the weights as they are now, so that what was made before a change is refused after it."""

import pytest
import torch

import mllm_probe as mp
from mllm_probe.generation import Live
from mllm_probe.loading import wrap
from mllm_probe.models.fingerprints import change_counters
from mllm_probe.steering import Steering
from tests.sweeps.helpers import random_vectors
from tests.zoo import tiny_llava

PROMPT = "what do you see ?"
SETTINGS = {"strengths": (-1, 1), "metrics": ("logprob",), "progress": False}


@torch.no_grad()
def scaled(model, factor):
    for parameter in model.hf.parameters():
        parameter.mul_(factor)


def scaled_behind_the_counters(model, factor):
    for parameter in model.hf.parameters():
        parameter.data.mul_(factor)


def exchanged(model, factor):
    head = model.hf.lm_head
    head.weight = torch.nn.Parameter(head.weight.detach() * factor, requires_grad=False)


CHANGES = (scaled, scaled_behind_the_counters, exchanged)


@pytest.mark.parametrize("change", CHANGES)
def test_weights_changed_in_place_have_another_fingerprint(change):
    model = tiny_llava()
    before = model.fingerprint
    change(model, 1.001)
    assert model.fingerprint != before
    assert model.fingerprint == wrap(model.hf).fingerprint
    assert model.fingerprint in model.describe()


@pytest.mark.parametrize("change", [scaled, exchanged])
def test_counters_alone_notice_a_change_while_a_person_waits(change):
    model = tiny_llava()
    before = model.weights.fingerprint(counted=True)
    assert model.weights.fingerprint(counted=True) == before
    change(model, 1.001)
    assert model.weights.fingerprint(counted=True) != before


def test_counters_reach_buffers_and_the_innermost_modules():
    model = tiny_llava()
    counters = change_counters(model.hf)
    inner = list(model.hf.modules())[-1]
    inner.register_buffer("mark", torch.zeros(1))
    with_buffer = change_counters(model.hf)
    inner.mark.add_(1)
    assert len({counters, with_buffer, change_counters(model.hf)}) == 3


def test_weights_that_are_put_back_have_their_fingerprint_back():
    model = tiny_llava()
    before, kept = model.fingerprint, {n: p.clone() for n, p in model.hf.named_parameters()}
    scaled(model, 2.0)
    other = model.fingerprint
    model.hf.load_state_dict(kept, strict=False)
    assert model.fingerprint == before != other


@pytest.mark.parametrize("change", CHANGES)
def test_vectors_and_stores_of_before_are_refused_with_both_fingerprints(change, pictures, tmp_path):
    model = tiny_llava()
    vectors, before, store = random_vectors(model), model.fingerprint, tmp_path / "store"
    mp.save_vectors(vectors, tmp_path / "v.safetensors")
    mp.sweep(model, vectors, pictures[:1], PROMPT, store=store, **SETTINGS)
    change(model, 1.001)
    both = rf"(?s){before}.*{model.fingerprint}"
    cat = Steering(vectors.sel(concept="cat"), [1])
    for refused in (
        lambda: mp.generate(model, pictures[0], PROMPT, steering=cat, max_new_tokens=2),
        lambda: mp.capture(model, pictures[:1], PROMPT, steering=cat),
        lambda: mp.sweep(model, vectors, pictures[:1], PROMPT, **SETTINGS),
        lambda: mp.load_vectors(tmp_path / "v.safetensors", model=model),
        lambda: mp.sweep(model, random_vectors(model), pictures[:1], PROMPT, store=store, **SETTINGS),
    ):
        with pytest.raises(ValueError, match=both):
            refused()


def test_a_live_session_refuses_vectors_of_before(pictures):
    model = tiny_llava()
    cat = Steering(random_vectors(model).sel(concept="cat"), [1])
    live = Live(model, pictures[0], PROMPT, rows=2, max_new_tokens=2)
    live.first_token([None, cat])
    before = model.fingerprint
    scaled(model, 1.001)
    with pytest.raises(ValueError, match=rf"{before}.*{model.fingerprint}"):
        live.first_token([None, cat])
    with pytest.raises(ValueError, match=rf"{before}.*{model.fingerprint}"):
        list(mp.stream(model, pictures[0], PROMPT, steering=cat, max_new_tokens=2))


def test_the_weights_are_not_looked_at_while_tokens_are_fed(pictures, monkeypatch):
    from mllm_probe.models import fingerprints

    model, looks = tiny_llava(), []
    counted = fingerprints.change_counters
    monkeypatch.setattr(fingerprints, "change_counters", lambda hf: looks.append(1) or counted(hf))
    vectors, seen = random_vectors(model), []
    mp.generate(model, pictures[0], PROMPT, max_new_tokens=1)
    mp.sweep(model, vectors, pictures[:1], PROMPT, **SETTINGS)  # the path is tried once, with vectors made for that
    for steps in (2, 12):
        looks.clear()
        mp.sweep(model, vectors, pictures[:1], PROMPT, max_new_tokens=steps, **SETTINGS | {"metrics": ("tokens",)})
        mp.generate(
            model, pictures[0], PROMPT, steering=Steering(vectors.sel(concept="cat"), [1]), max_new_tokens=steps
        )
        seen.append(len(looks))
    assert seen[0] == seen[1] > 0
