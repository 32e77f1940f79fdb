"""Interchange interventions that train a model and measure it, on an untrained one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import mllm_probe as mp
from training.scenes.architecture import processor
from validation.truth import train
from validation.truth.interchange import (
    GROUPS,
    PROMPT,
    answer,
    carries,
    interchanged,
    pixels_to_input,
    positions,
    through_blocks,
)

PLAN = train.Plan(True, 0, steps=4, blocks=3, block=1, width=16, heads=2, mlp=16, batch=4, pictures=12, save_every=2)


@pytest.fixture(scope="module")
def model():
    return train.model_of(PLAN).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def images():
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def streams(model, images):
    first = pixels_to_input(model, images)
    return [first, *through_blocks(model, first)]


def test_the_unrolled_decoder_is_the_model(model, images, streams):
    wrapped = mp.wrap(model, processor())
    encoded = wrapped.encode([Image.fromarray(image.numpy()) for image in images], PROMPT)
    torch.testing.assert_close(answer(model, streams[-1]), wrapped.hf(**encoded.tensors).logits[:, -1])
    roles = encoded.roles[0].numpy()
    assert np.flatnonzero(roles == 1).tolist() == list(range(streams[0].shape[1]))[positions(streams[0], "image")]


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("layer", [-1, 0, 2])
def test_an_interchange_is_what_a_hook_on_the_model_does(model, images, streams, layer, group):
    source = torch.tensor([1, 0, 3, 2])
    chosen = positions(streams[0], group)
    blocks = model.model.language_model.layers

    def exchanged(hidden):
        hidden = hidden.clone()
        hidden[:, chosen] = streams[layer + 1][source][:, chosen]
        return hidden

    if layer < 0:
        handle = blocks[0].register_forward_pre_hook(lambda module, given: (exchanged(given[0]), *given[1:]))
    else:
        handle = blocks[layer].register_forward_hook(lambda module, given, output: exchanged(output))
    encoded = mp.wrap(model, processor()).encode([Image.fromarray(image.numpy()) for image in images], PROMPT)
    wanted = model(**encoded.tensors).logits[:, -1]
    handle.remove()
    torch.testing.assert_close(interchanged(model, streams, layer, group, source), wanted)
    same = interchanged(model, streams, layer, group, torch.arange(4))
    assert torch.equal(same, answer(model, streams[-1])), "an image's own run changes nothing"


def test_the_image_carries_a_concept_before_its_block_and_the_last_token_from_it_on():
    table = {group: [carries(layer, group, 1) for layer in range(-1, 3)] for group in GROUPS}
    assert table == {"image": [True, True, False, False], "last_prompt": [False, False, True, True]}


def test_held_out_pairs_differ_in_their_style():
    images, styles = train.held_pairs(2)
    assert images.shape == (8, 2, 2, 64, 64, 3) and (styles[..., 0] == torch.arange(8)[:, None]).all()
    assert (styles[..., 0] != styles[..., 1]).all()
    assert (images[:, :, 0] != images[:, :, 1]).flatten(2).any(-1).all()


def test_a_training_that_was_stopped_ends_with_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "measured", lambda model, pairs: ({"accuracy": 0.0}, None))
    train.train(PLAN, tmp_path, tmp_path / "whole")
    work = tmp_path / "again"
    calls = []

    def stop(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return own(*arguments)

    own = train.interchanged
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(train, "interchanged", stop)
        train.train(PLAN, work, tmp_path / "resumed")
    assert not (tmp_path / "resumed").exists()
    train.train(PLAN, work, tmp_path / "resumed")
    files = [tmp_path / folder / f"{PLAN.name}.safetensors" for folder in ("whole", "resumed")]
    whole, resumed = (train.load_file(file) for file in files)
    assert whole.keys() == resumed.keys() and all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert any((whole[name].float() != weight).any() for name, weight in train.model_of(PLAN).state_dict().items())
