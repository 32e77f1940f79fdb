"""The panel on the bundled model: bursts, kept prompts, code that reproduces, and nothing left behind."""

from __future__ import annotations

import gc
import random
import threading

import pytest
import torch

import mllm_probe as mp
from mllm_probe.generation.decoders import prompts_of
from mllm_probe.widgets import SteeringPanel
from mllm_probe.widgets.base.choices import drawn_choice
from tests.widgets import fakes

SOON = 120
ROWS = ("baseline", "steered", "random")


@pytest.fixture(scope="module")
def model():
    return mp.load("scenes-8l")


@pytest.fixture(scope="module")
def vectors(model):
    library = mp.concepts.scenes(concepts=["cat", "neon", "symmetry"], pairs=6)
    return mp.concept_vectors(model, library, probe_accuracy=False)


@pytest.fixture
def panel(model, vectors):
    made = SteeringPanel(model, vectors, concept="cat", layer=3, scope="last_prompt", max_new_tokens=12)
    assert made.wait(SOON)
    return made


@pytest.mark.parametrize("block", ["mp.steer", "lock.held"])
def test_waiting_where_the_model_is_held_is_refused_at_once(panel, model, vectors, block, tmp_path):
    """The answers need the model, which the block keeps until it ends: waiting in it would never end."""
    cat = mp.Steering(vectors.sel(concept="cat"), [3])
    with mp.steer(model, cat) if block == "mp.steer" else model.lock.held():
        assert panel.wait(5)
        fakes.set_by_hand(panel, 1, strength=2.0)
        for wait in (panel.wait, panel.wait_until_free, lambda _: panel.to_svg(tmp_path / "panel.svg")):
            with pytest.raises(RuntimeError, match="with mp.steer.*would never end. Leave the with block"):
                wait(5)
    assert panel.wait(SOON) and panel.answers["serial"] == 1


def shown(panel):
    return [panel.answers[name] for name in ROWS]


def test_a_thousand_moves_give_the_answer_of_the_last_alone(panel, model, vectors):
    dice = random.Random(0)
    for serial in range(1, 1001):
        state = {"strength": dice.choice([-2, -1, 0.5, 1, 2]), "layer": dice.choice([2, 3, 4])}
        fakes.set_by_hand(panel, serial, **state)
    fakes.set_by_hand(panel, 1001, strength=2.0, layer=4, second="neon", second_strength=0.75)
    assert panel.wait(SOON) and panel.answers["serial"] == 1001
    tokens = ("last_prompt",)
    cat = mp.Steering(vectors.sel(concept="cat"), [4], 2.0, tokens=tokens)
    both = mp.compose(cat, mp.Steering(vectors.sel(concept="neon"), [4], 0.75, tokens=tokens))
    rows = [None, both, both.control("random")]
    alone = mp.generate(model, panel._choices[0].image, panel.prompt, steering=rows, max_new_tokens=12)
    assert shown(panel) == alone.text
    numbers = [message["generation"] for message in fakes.messages(panel)]
    assert numbers == sorted(numbers)
    assert fakes.messages(panel)[-1]["serial"] == 1001


def test_a_moved_slider_does_not_look_at_the_picture_again(panel, model):
    looked = []
    hook = model.hf.model.vision_tower.register_forward_hook(lambda *_: looked.append(1))
    try:
        fakes.set_by_hand(panel, 1, strength=0.5)
        assert panel.wait(SOON)
        looked.clear()
        for serial, strength in enumerate((1, 1.5, 2, -1), start=2):
            fakes.set_by_hand(panel, serial, strength=strength, layer=serial % 4 + 2)
            assert panel.wait(SOON)
        assert not looked
        fakes.set_by_hand(panel, 9, picture=1)
        assert panel.wait(SOON) and looked
    finally:
        hook.remove()


def test_a_closed_panel_that_is_collected_leaves_the_prompts_of_others(model, vectors):
    first = SteeringPanel(model, vectors, max_new_tokens=4)
    assert first.wait(SOON)
    first.close()
    second = SteeringPanel(model, vectors, max_new_tokens=4)
    assert second.wait(SOON) and len(prompts_of(model)) == 1
    del first
    gc.collect()
    assert len(prompts_of(model)) == 1
    second.close()
    assert len(prompts_of(model)) == 0


@pytest.mark.parametrize(
    "state",
    [
        {"strength": 2.0},
        {"second": "neon", "second_strength": 1.5, "window": [2, 4], "scope": "image", "seed": 3},
        {"patches": [[row < 4 and column < 4 for column in range(8)] for row in range(8)], "layer": 0, "strength": 2.0},
    ],
)
def test_its_code_gives_the_same_three_answers(panel, model, vectors, state):
    fakes.say(panel, "scene", serial=1, seed=3)
    assert panel.wait(SOON)
    fakes.set_by_hand(panel, 2, **state)
    assert panel.wait(SOON), panel.message
    space = {"model": model, "vectors": vectors}
    exec(panel.code, space)
    assert space["out"].text == shown(panel)


def test_close_leaves_no_thread_no_hook_and_no_tensor(model, vectors):
    def tensors():
        gc.collect()
        return {id(found) for found in gc.get_objects() if issubclass(type(found), torch.Tensor)}

    def hooks():
        return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.hf.modules())

    def used(seed):
        picture = drawn_choice(seed).image
        panel = SteeringPanel(model, vectors, picture, concept="cat", layer=3, max_new_tokens=8)
        for serial, scope in enumerate(("last_prompt", "image", "last_prompt+generated", "all"), start=1):
            fakes.set_by_hand(panel, serial, scope=scope)
            assert panel.wait(SOON), panel.message
        fakes.set_by_hand(panel, 9, strength=2)
        panel.close()
        return panel

    used(seed=1)
    threads, before, attached = set(threading.enumerate()), tensors(), hooks()
    closed = used(seed=2)
    assert set(threading.enumerate()) <= threads
    assert hooks() == attached
    assert tensors() <= before
    assert closed.vectors is None and closed.grid is None
