"""What the panel is made of: its setting, doses, pictures, pins and code."""

from __future__ import annotations

import io

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from mllm_probe.concepts import scenes
from mllm_probe.widgets import SteeringPanel
from mllm_probe.widgets.choices import choices_from, drawn_choice, uploaded_choice
from mllm_probe.widgets.doses import fluent_range, tried
from mllm_probe.widgets.recipe import python
from mllm_probe.widgets.setting import Setting, following_from
from tests.widgets import fakes

SOON = 30
MODEL = fakes.FakeModel()
PICTURE = Image.new("RGB", (40, 30), "teal")
PLAIN = Setting(0, "what ?", "cat", "", 1.0, 3, (3, 3), 1.0, "last_prompt", (), 0)


def png(colour="red"):
    buffer = io.BytesIO()
    Image.new("RGB", (12, 8), colour).save(buffer, format="PNG")
    return buffer.getvalue()


def changed(setting, **values):
    return Setting(**{**setting.said(), "window": setting.window, "patches": setting.patches, **values})


def grid(ratios, **attrs):
    """A sweep of cat and neon at layers 3 and 4, whose perplexity ratios at layer 3 of cat are given by strength."""
    strengths = list(ratios)
    values = np.full((2, 2, len(strengths), 2, 1, 3), 9.0)
    values[0, 0, :, 0, 0] = np.array(list(ratios.values()))[:, None] * np.array([0.5, 1.0, 2.0])
    dims = ("concept", "layer", "strength", "control", "draw", "sample")
    coords = {"concept": ["cat", "neon"], "layer": [3, 4], "strength": strengths, "control": ["concept", "random"]}
    told = {"scope": "last_prompt", "unit": "residual", "operation": "add", "model": MODEL.name, "weights": "f" * 12}
    return xr.Dataset({"perplexity": (dims, values)}, coords, told | attrs)


@pytest.fixture
def panel(streams):
    made = SteeringPanel(MODEL, fakes.vectors(MODEL), [PICTURE], concept="cat", layer=3, scope="last_prompt")
    assert made.wait(SOON)
    yield made
    made.close()


def test_the_fluent_range_ends_at_the_last_dose_before_one_that_is_not():
    assert fluent_range([[-2, 3.0], [-1, 1.2], [1, 1.1], [2, 1.9], [3, 2.0]]) == (-1, 2)
    assert fluent_range([[1, 2.5], [2, 1.0]]) == (0, 0)
    assert fluent_range([[-2, 1.0], [-1, 2.5]]) == (0, 0)
    assert fluent_range([]) == (0, 0)


def test_doses_are_those_that_were_run_for_this_setting_and_no_other():
    found = grid({-1: 1.5, 1: 1.2, 2: 4.0})
    assert tried(found, PLAIN, "residual") == [[-1, 1.5], [1, pytest.approx(1.2)], [2, 4.0]]
    for other in ({"concept": "dog"}, {"layer": 2, "window": (2, 2)}, {"window": (3, 4)}, {"second": "neon"}):
        assert tried(found, changed(PLAIN, **other), "residual") == []
    assert tried(found, changed(PLAIN, scope="image"), "residual") == []
    asked = found.assign_attrs(prompt=PLAIN.prompt)
    assert tried(asked, PLAIN, "residual") and tried(asked, changed(PLAIN, prompt="another ?"), "residual") == []
    assert tried(found, PLAIN, "vector") == []
    assert tried(found.drop_vars("perplexity"), PLAIN, "residual") == [] == tried(None, PLAIN, "residual")


def test_cells_that_were_not_run_yet_are_no_doses():
    found = grid({1: 1.2, 2: 4.0})
    found["perplexity"].loc[{"strength": 2}] = np.nan
    assert [dose for dose, _ in tried(found, PLAIN, "residual")] == [1]


def test_a_grid_marks_the_slider_and_follows_the_setting(panel):
    panel.grid = grid({-1: 1.5, 1: 1.2, 2: 4.0})
    assert (panel.safe_low, panel.safe_high, len(panel.doses)) == (-1, 1, 3)
    fakes.set_by_hand(panel, 1, layer=4)
    assert panel.wait(SOON) and (panel.safe_low, panel.safe_high) == (0, 0) and len(panel.doses) == 3
    fakes.set_by_hand(panel, 2, layer=3, scope="image")
    assert panel.wait(SOON) and panel.doses == []
    with pytest.raises(ValueError, match=r"other.*fake-8l"):
        panel.grid = grid({1: 1.0}, model="other", weights="0" * 12)


def test_a_window_and_its_first_layer_follow_each_other(panel, streams):
    fakes.set_by_hand(panel, 1, window=[5, 2])
    assert panel.wait(SOON) and (panel.layer, panel.window) == (2, [2, 5])
    assert streams.made[-1].steering[1].layers == (2, 3, 4, 5)
    panel.layer = 6
    assert panel.wait(SOON) and panel.window == [6, 6] and streams.made[-1].steering[1].layers == (6,)
    panel.window = [1, 3]
    assert panel.wait(SOON) and panel.layer == 1
    before = len(streams.made)
    panel.choose(concept="dog", layer=1)
    assert panel.wait(SOON) and panel.window == [1, 3] and len(streams.made) == before + 1


def test_a_second_concept_has_its_own_strength(panel, streams):
    fakes.set_by_hand(panel, 1, second="neon", second_strength=0.5)
    assert panel.wait(SOON)
    _, steered, random = streams.made[-1].steering
    assert [(part.directions.name, part.strength) for part in steered.parts] == [("cat", 1.0), ("neon", 0.5)]
    assert {part.kind for part in random.parts} == {"random"} and random.parts[0].seed != random.parts[1].seed
    fakes.set_by_hand(panel, 2, second="unicorn")
    assert not panel.wait(SOON) and "no vector for concept 'unicorn'" in panel.message


def test_the_seed_is_that_of_the_random_row(panel, streams):
    fakes.set_by_hand(panel, 1, seed=7)
    assert panel.wait(SOON) and streams.made[-1].steering[2].seed == 7


def test_painted_patches_are_the_scope_until_they_are_wiped_off(panel, streams):
    panel.patches = [[True, False], [False, False]]
    assert panel.wait(SOON) and panel.scope == "painted" and ["painted", "painted"] in panel.scopes
    assert streams.made[-1].steering[1].tokens.tolist() == [[True, False], [False, False]]
    panel.patches = []
    assert panel.wait(SOON) and panel.scope == "image" and ["painted", "painted"] not in panel.scopes


def test_what_follows_from_a_change():
    assert following_from({"strength": 2}, [3, 3], "all") == {"strength": 2}
    assert following_from({"layer": 3}, [3, 5], "all") == {"layer": 3}
    assert following_from({"layer": 4}, [3, 5], "all")["window"] == [4, 4]
    assert following_from({"patches": []}, [0, 0], "text")["scope"] == "text"


def test_a_dropped_file_is_chosen_and_asked_about(panel, streams):
    fakes.say(panel, "picture", png(), serial=1, name="<b>red</b>.png")
    assert panel.wait(SOON)
    assert (panel.picture, panel.pictures[1]["label"]) == (1, "<b>red</b>.png")
    assert panel.answers["serial"] == 1 and "Image.open('<b>red</b>.png')" in panel.code


def test_a_file_that_is_no_picture_is_told_in_one_sentence(panel, caplog):
    fakes.say(panel, "picture", b"<svg/>", serial=1, name="x.svg")
    assert not panel.wait(SOON) and panel.status == "error" and "'x.svg' cannot be read as a picture" in panel.message
    assert len(panel.pictures) == 1 and "Traceback" in caplog.text
    fakes.set_by_hand(panel, 2, strength=2)
    assert panel.wait(SOON) and panel.message == ""


def test_a_new_scene_is_the_same_for_its_seed(panel):
    fakes.say(panel, "scene", serial=1, seed=41)
    assert panel.wait(SOON) and panel.scene_seed == 42 and panel.pictures[1]["label"] == "drawn scene, seed 41"
    panel.new_scene()
    panel.new_scene(41)
    assert panel.wait(SOON) and panel.scene_seed == 42 and panel.picture == 3
    assert panel.pictures[1] == panel.pictures[3] != panel.pictures[2]
    panel.add_picture(PICTURE, "mine")
    assert panel.pictures[4]["label"] == "mine"


def test_the_code_of_a_picture_draws_it_again():
    import mllm_probe as mp

    for choice in (drawn_choice(5), *choices_from(scenes(concepts=["cat", "neon"], pairs=2))):
        space = {"mp": mp}
        exec(choice.code, space)
        assert space["image"].tobytes() == choice.image.tobytes()
    assert choices_from([PICTURE, PICTURE])[1].code.startswith("image = images[1]")
    assert uploaded_choice(png(), "  ").label == "pasted picture"


def test_code_says_names_as_literals_and_compiles():
    hostile = changed(PLAIN, concept="a'); import os; ('", second='"""', prompt="what\n'''?")
    text = python(hostile, "raw", [3], model="m", picture="image = images[0]", max_new_tokens=4)
    compile(text, "code", "exec")
    assert "mp.compose(" in text and repr(hostile.concept) in text and repr(hostile.prompt) in text
    painted = changed(PLAIN, scope="painted", patches=((True, False),))
    assert "np.array([[1, 0]], dtype=bool)" in python(
        painted, "raw", [3], model="m", picture="image = images[0]", max_new_tokens=4
    )


def test_pins_stay_beside_the_live_answers_until_they_are_removed(panel):
    fakes.say(panel, "pin")
    fakes.set_by_hand(panel, 1, strength=2)
    assert panel.wait(SOON)
    fakes.say(panel, "pin")
    first, second = panel.pins
    assert (first["setting"]["strength"], second["setting"]["strength"]) == (1.0, 2.0)
    assert "cat (1)" in first["answers"]["steered"] and "cat (2)" in second["answers"]["steered"]
    assert "strength=2.0" in second["code"] and first["picture"] == "picture 1"
    fakes.say(panel, "pin")
    assert len(panel.pins) == 2
    fakes.say(panel, "unpin", id=first["id"])
    assert panel.pins == [second]


def test_what_cannot_be_pinned_is_said_and_cancels_nothing(panel, streams):
    for serial in range(1, 5):
        fakes.say(panel, "pin")
        fakes.set_by_hand(panel, serial, strength=serial / 2 + 1)
        assert panel.wait(SOON)
    fakes.say(panel, "pin")
    assert "4 settings are pinned" in panel.message and panel.status == "idle"
    streams.pause = 0.05
    fakes.set_by_hand(panel, 9, strength=-1)
    with pytest.raises(ValueError, match="not there yet"):
        panel.pin()
    assert panel.wait(SOON) and panel.answers["serial"] == 9


def test_the_projector_hides_the_answer_of_every_new_setting(panel):
    panel.projector = panel.revealed = True
    panel.run()
    assert panel.wait(SOON) and panel.revealed
    fakes.set_by_hand(panel, 1, strength=2)
    assert not panel.revealed and panel.wait(SOON)
    assert fakes.updates(panel, "revealed")[-1] is False


def test_edited_words_are_kept_by_concept(panel):
    fakes.arrive(panel, {"method": "update", "state": {"words": {"cat": ["feline"]}, "negations": ["nope"]}})
    assert panel.words == {"cat": ["feline"]} and panel.negations == ["nope"]
    assert len(panel.answers["steered"]) and panel.status == "idle"
