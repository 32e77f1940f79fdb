"""Models with shuffled weights."""

import copy

import numpy as np
import pytest
import torch

import mllm_probe as mp


def test_every_weight_holds_the_same_numbers_in_another_order(tiny):
    other = mp.randomised(tiny, seed=1)
    before, after = dict(tiny.hf.named_parameters()), dict(other.hf.named_parameters())
    assert list(before) == list(after)
    for name, weight in before.items():
        assert weight.dtype == after[name].dtype and weight.data_ptr() != after[name].data_ptr()
        assert torch.equal(weight.flatten().sort().values, after[name].flatten().sort().values), name
    moved = [name for name, weight in before.items() if not torch.equal(weight, after[name])]
    assert "model.language_model.embed_tokens.weight" in moved or any("embed_tokens" in name for name in moved)
    assert other.fingerprint != tiny.fingerprint and other.name.endswith("randomised 1")
    assert other.verify(quick=True).passed


def test_a_seed_gives_one_order(tiny):
    first, again, other = (mp.randomised(tiny, seed) for seed in (0, 0, 1))
    assert first.fingerprint == again.fingerprint != other.fingerprint


def test_shared_weights_stay_shared_and_the_model_is_left_alone(tiny):
    before = tiny.fingerprint
    other = mp.randomised(tiny)
    assert tiny.fingerprint == before
    shared = {name for name, _ in tiny.hf.named_parameters(remove_duplicate=False)} - set(
        dict(tiny.hf.named_parameters())
    )
    there = dict(other.hf.named_parameters(remove_duplicate=False))
    assert all(any(there[name] is weight for weight in other.hf.parameters()) for name in shared)


def test_half_precision_is_shuffled_as_it_is(tiny):
    half = mp.wrap(copy.deepcopy(tiny.hf).to(torch.bfloat16), tiny.processor)
    other = mp.randomised(half)
    for (name, weight), changed in zip(half.hf.named_parameters(), other.hf.parameters(), strict=True):
        bits = [np.sort(one.detach().cpu().view(torch.int16).numpy(), axis=None) for one in (weight, changed)]
        np.testing.assert_array_equal(*bits, err_msg=name)


def test_quantised_weights_are_refused(tiny):
    quantised = mp.wrap(copy.deepcopy(tiny.hf), tiny.processor)
    quantised.hf.register_parameter(
        "packed", torch.nn.Parameter(torch.zeros(3, dtype=torch.uint8), requires_grad=False)
    )
    with pytest.raises(ValueError, match=r"cannot be randomised: 'packed' is uint8, which is quantised"):
        mp.randomised(quantised)
