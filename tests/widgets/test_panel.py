"""The panel: every setting starts a generation, the newest wins, nothing is left behind; on the bundled model too."""

from __future__ import annotations

import gc
import random
import threading

import numpy as np
import pytest
import torch
from PIL import Image

import mllm_probe as mp
from mllm_probe.concepts import scenes
from mllm_probe.generation.decoders import prompts_of
from mllm_probe.studies.recommendation import Recommended
from mllm_probe.widgets import SteeringPanel
from mllm_probe.widgets.base.choices import drawn_choice
from tests.widgets import fakes

SOON = 120
MODEL = fakes.FakeModel()
PICTURE = Image.new("RGB", (40, 30), "teal")


@pytest.fixture
def panel(streams):
    made = SteeringPanel(MODEL, fakes.vectors(MODEL), [PICTURE], concept="cat", layer=5)
    assert made.wait(SOON)
    return made


def numbers_in_order(panel):
    sent = fakes.messages(panel)
    generations = [message["generation"] for message in sent]
    return generations == sorted(generations)


def test_it_answers_as_soon_as_it_has_vectors(panel, streams):
    assert (panel.status, panel.advice, panel.layer) == ("idle", "", 5)
    assert panel.answers["baseline"] == "a plain picture of two stars and a tree"
    assert panel.answers["steered"] == "a plain picture of a cat (1) and a tree"
    assert panel.receipt[0] == "layer 5, 1 of 1 prompt positions, 6 generated"
    assert panel.rate > 0 and panel.words["cat"] == ["cat", "cats"]
    none, steered, random = streams.made[0].steering
    assert none is None and steered.kind == "concept" and random.kind == "random"
    assert (steered.strength, list(steered.layers), steered.tokens) == (1.0, [5], ("last_prompt", "generated"))


def test_without_vectors_the_unsteered_answer_alone_is_there(streams):
    panel = SteeringPanel(MODEL, images=PICTURE)
    assert panel.wait(SOON) and streams.made[-1].steering == [None]
    assert panel.answers["baseline"] == "a plain picture of two stars and a tree" and "steered" not in panel.answers
    assert (panel.receipt, panel.code, panel.status, len(panel.recordings())) == ([], "", "idle", 0)
    fakes.say(panel, "pin")
    assert "not there yet" in panel.message and panel.cause == "pin"
    panel.vectors = fakes.vectors(MODEL)
    assert panel.wait(SOON) and panel.answers["steered"]


def test_a_moved_slider_starts_anew_and_is_not_sent_back(panel, streams):
    panel.comm.sent.clear()
    fakes.set_by_hand(panel, 1, strength=2)
    assert panel.wait(SOON)
    assert panel.answers["steered"] == "a plain picture of a cat (2) and a tree"
    assert panel.answers["serial"] == 1
    assert not fakes.updates(panel, "strength") and not fakes.updates(panel, "serial")
    start, *tokens = fakes.messages(panel)
    assert start == {"kind": "start", "generation": 2, "serial": 1}
    assert {token["row"] for token in tokens} == {0, 1, 2}
    assert all(token["generation"] == 2 for token in tokens)
    assert fakes.updates(panel, "status") == ["running", "idle"]


def test_a_move_cancels_the_running_generation(panel, streams):
    streams.pause = 0.05
    panel.comm.sent.clear()
    fakes.set_by_hand(panel, 1, strength=2)
    wait_for(lambda: len(streams.made) == 2 and streams.made[1].sent > 0)
    fakes.set_by_hand(panel, 2, strength=-1)
    assert panel.wait(SOON)
    assert streams.made[1].closed and streams.made[1].sent < 28
    assert fakes.updates(panel, "status") == ["running", "cancelled", "running", "idle"]
    assert panel.answers["generation"] == 3
    assert numbers_in_order(panel)


def test_stop_and_run_again(panel, streams):
    streams.pause = 0.05
    fakes.set_by_hand(panel, 1, strength=2)
    wait_for(lambda: len(streams.made) == 2 and streams.made[1].sent > 0)
    fakes.arrive(panel, {"method": "custom", "content": {"kind": "cancel"}})
    assert not panel.wait(SOON) and panel.status == "cancelled"
    fakes.set_by_hand(panel, 2)
    assert panel.wait(SOON) and panel.answers["serial"] == 2


def test_a_trait_set_in_python_and_a_chosen_cell_start_one_generation_each_and_the_same_cell_none(panel, streams):
    panel.comm.sent.clear()
    panel.strength = 0.5
    assert panel.wait(SOON) and panel.answers["steered"].count("(0.5)") == 1
    assert fakes.updates(panel, "strength") == [0.5]
    before = len(streams.made)
    panel.choose(concept="neon", layer=2)
    assert panel.wait(SOON) and len(streams.made) == before + 1
    assert streams.made[-1].steering[1].directions.name == "neon"
    panel.choose(concept="neon", layer=2)
    assert panel.wait(SOON) and len(streams.made) == before + 1


def test_an_error_of_the_model_is_shown_logged_and_gone_with_the_next_answer(panel, streams, caplog):
    streams.fails = "<img src=x onerror=alert(1)> out of memory\nmore"
    fakes.set_by_hand(panel, 1, strength=2)
    assert not panel.wait(SOON)
    assert panel.message == "<img src=x onerror=alert(1)> out of memory."
    assert "steered" not in panel.answers and panel.receipt == []
    assert "more" in caplog.text and streams.made[-1].closed
    streams.fails = None
    fakes.set_by_hand(panel, 2, strength=1)
    assert panel.wait(SOON) and panel.message == ""


def test_vectors_of_another_model_are_refused_by_name(streams):
    other = fakes.FakeModel(name="other", fingerprint="0" * 12)
    with pytest.raises(ValueError, match=r"other .*fake-8l"):
        SteeringPanel(MODEL, fakes.vectors(other), PICTURE)
    with pytest.raises(ValueError, match="no vector for concept 'unicorn'"):
        SteeringPanel(MODEL, fakes.vectors(MODEL), PICTURE, concept="unicorn")


def test_pictures_are_sent_as_small_png_with_a_name(streams):
    library = scenes(concepts=["cat", "neon"], pairs=3)
    panel, one, drawn = (SteeringPanel(MODEL, images=images) for images in (library, PICTURE, None))
    assert len(panel.pictures) == 6
    assert all(picture["png"].startswith(b"\x89PNG") for picture in panel.pictures)
    assert "image 1" in panel.pictures[0]["label"]
    assert len(one.pictures) == 1 and len(drawn.pictures) > 1
    for made in (panel, one, drawn):
        made.close()
    with pytest.raises(ValueError, match="at least one image"):
        SteeringPanel(MODEL, images=[])


def test_replies_go_where_messages_came_from(streams, monkeypatch):
    monkeypatch.setattr(fakes.Recorder, "_reply_subshell_for", lambda self, data, default: "busy", raising=False)
    panel = SteeringPanel(MODEL, images=PICTURE)
    assert panel.comm._reply_subshell_for({}, "slider's") == "slider's"


def test_close_leaves_no_thread_and_closes_the_stream(streams):
    before = set(threading.enumerate())
    streams.pause = 0.05
    panel = SteeringPanel(MODEL, fakes.vectors(MODEL), PICTURE)
    wait_for(lambda: streams.made and streams.made[0].sent > 0)
    panel.close()
    assert set(threading.enumerate()) <= before
    assert streams.made[0].closed


def wait_for(condition):
    for _ in range(2000):
        if condition():
            return
        threading.Event().wait(0.005)
    raise AssertionError("waited in vain")


RECOMMENDED = {
    "cat": Recommended("image", 2, 1.25, 0.97, 0.9, 1.0, 14),
    "neon": Recommended("last_prompt", 5, 2.0, 0.5, 0.2, 0.8, 12),
}


def place(panel):
    return panel.scope, panel.layer, list(panel.window), panel.strength


@pytest.fixture
def recommending(streams):
    made = SteeringPanel(MODEL, fakes.vectors(MODEL), [PICTURE], concept="cat", recommended=RECOMMENDED)
    assert made.wait(SOON)
    return made


def test_it_opens_at_the_recommended_setting_and_goes_to_that_of_the_next_concept(recommending, streams):
    assert place(recommending) == ("image", 2, [2, 2], 1.25) and len(streams.made) == 1
    assert "score 0.97 on 14 other images" in recommending.advice
    fakes.set_by_hand(recommending, 1, concept="neon")
    assert recommending.wait(SOON) and place(recommending) == ("last_prompt", 5, [5, 5], 2.0)
    assert streams.made[-1].steering[1].blocks == (5,) and "score 0.50" in recommending.advice
    recommending.concept = "cat"
    assert recommending.wait(SOON) and place(recommending) == ("image", 2, [2, 2], 1.25)
    recommending.concept = "awe"
    assert recommending.wait(SOON) and place(recommending) == ("image", 2, [2, 2], 1.25), "none is recommended for it"


def test_it_stays_where_a_person_has_put_it(recommending):
    fakes.set_by_hand(recommending, 1, strength=0.5)
    fakes.set_by_hand(recommending, 2, concept="neon")
    assert recommending.wait(SOON) and place(recommending) == ("image", 2, [2, 2], 0.5)
    assert recommending.advice == "Recommended for neon: last token, layer 5, strength 2."
    fakes.set_by_hand(recommending, 3, concept="awe")
    assert recommending.wait(SOON) and recommending.advice == ""


def test_an_image_that_is_unlike_those_of_the_vectors_is_reported():
    model = mp.load("scenes-4l")
    fit, held_out = mp.concepts.scenes(concepts=["cat", "neon", "order", "chaos"], pairs=16, seed=3).split()
    vectors = mp.concept_vectors(model, fit, shuffled_draws=0, probe_accuracy=False)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    known = fit.pictures[0].image
    panel = SteeringPanel(model, vectors, [noise, known], max_new_tokens=2)
    assert panel.wait(SOON) and "unlike those that the vectors were made with" in panel.picture_note
    panel.choose(picture=1)
    assert panel.wait(SOON) and panel.picture_note == ""


def test_without_a_recommended_setting_the_lab_opens_at_the_largest_fluent_dose():
    library = mp.concepts.scenes(concepts=["cat", "neon"], pairs=16)
    lab = mp.explore("scenes-4l", library, strengths=(0.5, 0.75), draws=4)
    assert lab.wait(SOON) and lab.panel.safe_high == 0.75 == lab.panel.strength
    assert lab.bar.title.endswith("distinguishes and names 2 of 2 concepts")
    lab.panel.choose(strength=0.5)
    lab.panel.choose(concept="neon")
    assert lab.wait(SOON) and lab.panel.strength == 0.5


def test_a_saved_page_has_the_advice_of_each_recorded_setting(recommending):
    fakes.set_by_hand(recommending, 1, concept="neon")
    assert recommending.wait(SOON)
    fakes.set_by_hand(recommending, 2, concept="awe")
    assert recommending.wait(SOON)
    told = {one.when["concept"]: one.shown["advice"] for one in recommending.recordings()}
    assert told["cat"].startswith("Recommended setting for cat: score 0.97")
    assert told["neon"].startswith("Recommended setting for neon: score 0.50") and told["awe"] == ""


ROWS = ("baseline", "steered", "random")


@pytest.fixture(scope="module")
def model():
    return mp.load("scenes-8l")


@pytest.fixture(scope="module")
def vectors(model):
    library = mp.concepts.scenes(concepts=["cat", "neon", "symmetry"], pairs=6)
    return mp.concept_vectors(model, library, probe_accuracy=False)


@pytest.fixture
def live(model, vectors):
    made = SteeringPanel(model, vectors, concept="cat", layer=3, scope="last_prompt", max_new_tokens=12)
    assert made.wait(SOON)
    return made


@pytest.mark.parametrize("block", ["mp.steer", "lock.held"])
def test_waiting_where_the_model_is_held_is_refused_at_once(live, model, vectors, block, tmp_path):
    """The answers need the model, which the block keeps until it ends: waiting in it would never end."""
    cat = mp.Steering(vectors.sel(concept="cat"), [3])
    with mp.steer(model, cat) if block == "mp.steer" else model.lock.held():
        assert live.wait(5)
        fakes.set_by_hand(live, 1, strength=2.0)
        for wait in (live.wait, live.wait_until_free, lambda _: live.to_svg(tmp_path / "panel.svg")):
            with pytest.raises(RuntimeError, match="with mp.steer.*would never end. Leave the with block"):
                wait(5)
    assert live.wait(SOON) and live.answers["serial"] == 1


def shown(live):
    return [live.answers[name] for name in ROWS]


def test_a_thousand_moves_give_the_answer_of_the_last_alone(live, model, vectors):
    dice = random.Random(0)
    for serial in range(1, 1001):
        state = {"strength": dice.choice([-2, -1, 0.5, 1, 2]), "layer": dice.choice([2, 3, 4])}
        fakes.set_by_hand(live, serial, **state)
    fakes.set_by_hand(live, 1001, strength=2.0, layer=4, second="neon", second_strength=0.75)
    assert live.wait(SOON) and live.answers["serial"] == 1001
    tokens = ("last_prompt",)
    cat = mp.Steering(vectors.sel(concept="cat"), [4], 2.0, tokens=tokens)
    both = mp.compose(cat, mp.Steering(vectors.sel(concept="neon"), [4], 0.75, tokens=tokens))
    rows = [None, both, both.control("random")]
    alone = mp.generate(model, live._choices[0].image, live.prompt, steering=rows, max_new_tokens=12)
    assert shown(live) == alone.text
    numbers = [message["generation"] for message in fakes.messages(live)]
    assert numbers == sorted(numbers)
    assert fakes.messages(live)[-1]["serial"] == 1001


def test_a_moved_slider_does_not_look_at_the_picture_again(live, model):
    looked = []
    hook = model.hf.model.vision_tower.register_forward_hook(lambda *_: looked.append(1))
    try:
        fakes.set_by_hand(live, 1, strength=0.5)
        assert live.wait(SOON)
        looked.clear()
        for serial, strength in enumerate((1, 1.5, 2, -1), start=2):
            fakes.set_by_hand(live, serial, strength=strength, layer=serial % 4 + 2)
            assert live.wait(SOON)
        assert not looked
        fakes.set_by_hand(live, 9, picture=1)
        assert live.wait(SOON) and looked
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
def test_its_code_gives_the_same_three_answers(live, model, vectors, state):
    fakes.say(live, "scene", serial=1, seed=3)
    assert live.wait(SOON)
    fakes.set_by_hand(live, 2, **state)
    assert live.wait(SOON), live.message
    space = {"model": model, "vectors": vectors}
    exec(live.code, space)
    assert space["out"].text == shown(live)


def test_close_leaves_no_tensor(model, vectors):
    def tensors():
        gc.collect()
        return {id(found) for found in gc.get_objects() if issubclass(type(found), torch.Tensor)}

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
    before = tensors()
    closed = used(seed=2)
    assert tensors() <= before
    assert closed.vectors is None and closed.grid is None
