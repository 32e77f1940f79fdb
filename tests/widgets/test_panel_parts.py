"""What the panel is made of: its setting, doses, pictures, pins and code."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import ipywidgets
import numpy as np
import pytest
import xarray as xr
from PIL import Image

import mllm_probe as mp
from mllm_probe.concepts import scenes
from mllm_probe.widgets import SteeringPanel
from mllm_probe.widgets.base.choices import choices_from, drawn_choice, python, uploaded_choice
from mllm_probe.widgets.panel.answer_facts import prompt_note
from mllm_probe.widgets.panel.setting import SETTINGS, Setting, SettingTraits, following_from, weighed
from tests.widgets import fakes

SOON = 30
ROOT = Path(__file__).resolve().parents[2]
MODEL = fakes.FakeModel()
PICTURE = Image.new("RGB", (40, 30), "teal")
PLAIN = Setting(0, "what ?", "cat", "", 1.0, 3, (3, 3), 1.0, "last_prompt", (), (), 0)

PAINTED = {"patches": ((True,),), "scope": "painted"}
SELECTED = {"positions": (3,), "scope": "selected"}
DROPPED = "The selected tokens belonged to the previous prompt. The end of the prompt and the answer are steered now."
WIPED = "The painted patches belonged to the previous image. The whole image is steered now."


def png(colour="red"):
    buffer = io.BytesIO()
    Image.new("RGB", (12, 8), colour).save(buffer, format="PNG")
    return buffer.getvalue()


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
    return made


def doses_of(data, setting, unit="residual"):
    return weighed(data, setting, unit)["doses"]


def test_a_panel_whose_arguments_were_refused_closes_with_the_others(tiny):
    with pytest.raises(AttributeError):
        SteeringPanel(tiny, images=PICTURE, library=5)
    ipywidgets.Widget.close_all()  # closes the half-made panel too


def test_doses_are_those_that_were_run_for_this_setting_and_no_other():
    found = grid({-1: 1.5, 1: 1.2, 2: 4.0})
    assert doses_of(found, PLAIN) == [[-1, 1.5], [1, pytest.approx(1.2)], [2, 4.0]]
    for other in ({"concept": "dog"}, {"layer": 2, "window": (2, 2)}, {"window": (3, 4)}, {"second": "neon"}):
        assert doses_of(found, replace(PLAIN, **other)) == []
    assert doses_of(found, replace(PLAIN, scope="image")) == []
    asked = found.assign_attrs(prompt=PLAIN.prompt)
    assert doses_of(asked, PLAIN) and doses_of(asked, replace(PLAIN, prompt="another ?")) == []
    assert doses_of(found, PLAIN, "vector") == []
    assert doses_of(found.drop_vars("perplexity"), PLAIN) == [] == doses_of(None, PLAIN)
    found["perplexity"].loc[{"strength": 2}] = np.nan
    assert [dose for dose, _ in doses_of(found, PLAIN)] == [-1, 1], "a cell that was not run yet is no dose"


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


def test_a_second_concept_has_its_own_strength_and_the_seed_is_that_of_the_random_row(panel, streams):
    fakes.set_by_hand(panel, 1, second="neon", second_strength=0.5, seed=7)
    assert panel.wait(SOON)
    _, steered, random = streams.made[-1].steering
    assert [(part.directions.name, part.strength) for part in steered.parts] == [("cat", 1.0), ("neon", 0.5)]
    assert {part.kind for part in random.parts} == {"random"} and random.parts[0].seed != random.parts[1].seed
    fakes.set_by_hand(panel, 2, second="")
    assert panel.wait(SOON) and streams.made[-1].steering[2].seed == 7


def test_painted_patches_are_the_scope_until_they_are_wiped_off(panel, streams):
    panel.patches = [[True, False], [False, False]]
    assert panel.wait(SOON) and panel.scope == "painted" and ["painted", "painted"] in panel.scopes
    assert streams.made[-1].steering[1].tokens.tolist() == [[True, False], [False, False]]
    panel.patches = []
    assert panel.wait(SOON) and panel.scope == "image" and ["painted", "painted"] not in panel.scopes


def test_what_follows_from_a_change():
    before = replace(PLAIN, window=(3, 5))
    assert following_from({"strength": 2}, before) == {"strength": 2}
    assert following_from({"layer": 3}, before) == {"layer": 3}
    assert following_from({"layer": 4}, before)["window"] == [4, 4]
    assert following_from({"window": [5, 3]}, before) == {"window": [3, 5], "layer": 3}
    assert "scope" not in following_from({"patches": []}, before)


@pytest.mark.parametrize(
    ("held", "state", "scope", "note"),
    [
        (PAINTED, {"picture": 1}, "image", WIPED),
        (PAINTED, {"picture": 0}, "painted", ""),
        (PAINTED, {"prompt": "why ?"}, "painted", ""),
        (PAINTED, {"picture": 1, "patches": [[False, True]], "scope": "painted"}, "painted", ""),
        (PAINTED | {"scope": "text"}, {"picture": 1}, "text", ""),
        (SELECTED, {"prompt": "why ?"}, "last_prompt+generated", DROPPED),
        (SELECTED, {"picture": 1}, "last_prompt+generated", "previous image"),
        (SELECTED, {"positions": []}, "last_prompt+generated", ""),
        (SELECTED, {"positions": [4]}, "selected", ""),
        ({}, {"positions": [4]}, "selected", ""),
        ({}, {"patches": [[True, False]]}, "painted", ""),
    ],
)
def test_a_choice_by_hand_is_the_scope_as_long_as_it_has_a_meaning(held, state, scope, note):
    before = replace(PLAIN, **held)
    following = following_from(state, before)
    assert following.get("scope", before.scope) == scope
    assert note in following.get("scope_note", "") and bool(note) == bool(following.get("scope_note"))
    offered = dict(following.get("scopes", [[scope, ""]]))
    assert scope in offered
    if state.get("picture") == 1 and "patches" not in state:
        assert following.get("patches", []) == following.get("positions", []) == [] and "painted" not in offered


def test_a_dropped_file_is_chosen_and_asked_about(panel, streams):
    fakes.say(panel, "picture", png(), name="<b>red</b>.png")
    assert panel.wait(SOON)
    assert (panel.picture, panel.pictures[1]["label"]) == (1, "<b>red</b>.png")
    assert "Image.open('<b>red</b>.png')" in panel.code


def test_a_file_that_is_no_picture_is_named_beside_the_upload_and_the_answers_stay(panel, caplog):
    before = dict(panel.answers)
    fakes.say(panel, "picture", b"<svg/>", name="x.svg")
    assert panel.wait(SOON) and panel.status == "idle" and panel.answers == before
    assert panel.message.startswith("'x.svg' cannot be read as an image") and panel.cause == "picture"
    assert len(panel.pictures) == 1 and "Traceback" in caplog.text
    panel.comm.sent.clear()
    fakes.say(panel, "picture", b"<svg/>", name="x.svg")
    assert fakes.updates(panel, "message") == ["", panel.message], "the front-end sees that it was refused again"
    fakes.set_by_hand(panel, 2, strength=2)
    assert panel.wait(SOON) and (panel.message, panel.cause) == ("", "")


@pytest.mark.parametrize(
    ("state", "cause", "says"),
    [
        ({"picture": 7}, "picture", "no image 7; there are 1"),
        ({"concept": "unicorn"}, "concept", "no vector for concept 'unicorn'"),
        ({"second": "unicorn"}, "second", "no vector for concept 'unicorn'"),
        ({"layer": 99}, "layer", "99"),
        ({"window": [98, 99]}, "layer", "98"),
        ({"strength": float("nan")}, "strength", "finite number"),
        ({"scope": "everywhere"}, "scope", "everywhere"),
        ({"scope": "everywhere", "strength": float("nan")}, "", ""),
    ],
)
def test_an_error_is_one_sentence_and_names_the_control_that_caused_it(panel, state, cause, says, caplog):
    fakes.set_by_hand(panel, 1, **state)
    assert not panel.wait(SOON) and panel.status == "error" and panel.message
    assert panel.cause == cause and says in panel.message and "\n" not in panel.message
    assert "Traceback" in caplog.text


def test_words_that_the_model_does_not_know_are_reported_beside_the_prompt(panel):
    model, unknown = (
        mp.load("scenes-4l"),
        "The model does not know “siehst”, “du”: it reads an unknown-word token instead.",
    )
    assert prompt_note(model, "what siehst du ?") == unknown
    assert prompt_note(model, "what do you see ?") == "" == prompt_note(MODEL, "siehst")
    assert prompt_note(MODEL, " ") == "The prompt is empty: the model reads the image alone."
    fakes.set_by_hand(panel, 1, prompt="")
    assert panel.wait(SOON) and panel.prompt_note == "The prompt is empty: the model reads the image alone."
    fakes.set_by_hand(panel, 2, prompt="why ?")
    assert panel.wait(SOON) and panel.prompt_note == ""


def test_a_setting_is_listed_once_in_python_and_once_in_typescript(panel):
    """The two lists have the same names and begin with the same values; no other file has one."""
    source = (ROOT / "widgets" / "src" / "panel" / "setting.ts").read_text(encoding="utf-8")
    body = source.split("const SETTING = {")[1].split("};")[0]
    typescript = {}
    for name, value in re.findall(r"^  (\w+): (.+?)(?: as .+)?,$", body, re.MULTILINE):
        typescript[name] = json.loads(value)
    started = {name: SettingTraits.class_traits()[name].default() for name in SETTINGS}
    assert typescript == started and list(typescript) == list(SETTINGS)
    assert all(panel.trait_metadata(name, "sync") for name in SETTINGS)
    assert set(Setting.of(panel).plain()) == set(SETTINGS)
    files = [*(ROOT / "mllm_probe" / "widgets").rglob("*.py"), *(ROOT / "widgets" / "src").rglob("*.ts")]
    lists = re.compile(r'(?:"(?:' + "|".join(SETTINGS) + r')",\s*){5,}')
    assert [file.name for file in files if lists.search(file.read_text(encoding="utf-8"))] == []


def test_a_new_scene_is_the_same_for_its_seed(panel):
    fakes.say(panel, "scene", seed=41)
    assert panel.wait(SOON) and panel.scene_seed == 42 and panel.pictures[1]["label"] == "drawn scene, seed 41"
    panel.new_scene()
    panel.new_scene(41)
    assert panel.wait(SOON) and panel.scene_seed == 42 and panel.picture == 3
    assert panel.pictures[1] == panel.pictures[3] != panel.pictures[2]
    panel.add_picture(PICTURE, "mine")
    assert panel.pictures[4]["label"] == "mine"


def test_the_code_of_a_picture_draws_it_again():
    drawn = [drawn_choice(5, "scenes-4l"), *choices_from(scenes(concepts=["cat", "neon"], pairs=2))]
    of_emoji = [drawn_choice(5, "org/name"), *choices_from(None, "org/name")]
    assert all(isinstance(choice.source.source.scene, mp.emoji.EmojiScene) for choice in of_emoji[1:])
    for choice in (*drawn, *of_emoji):
        space = {"mp": mp}
        exec(choice.code, space)
        assert space["image"].tobytes() == choice.image.tobytes()
    assert choices_from([PICTURE, PICTURE])[1].code.startswith("image = images[1]")
    assert uploaded_choice(png(), "  ").label == "pasted image"


def test_code_says_names_as_literals_and_compiles():
    hostile = replace(PLAIN, concept="a'); import os; ('", second='"""', prompt="what\n'''?")
    rest = {"model": "m", "picture": "image = images[0]", "max_new_tokens": 4}
    text = python(hostile, "raw", [3], **rest)
    compile(text, "code", "exec")
    assert "mp.compose(" in text and repr(hostile.concept) in text and repr(hostile.prompt) in text
    painted = replace(PLAIN, scope="painted", patches=((True, False),))
    assert "np.array([[1, 0]], dtype=bool)" in python(painted, "raw", [3], **rest)


def test_pins_stay_beside_the_live_answers_until_they_are_removed(panel):
    fakes.say(panel, "pin")
    fakes.set_by_hand(panel, 1, strength=2)
    assert panel.wait(SOON)
    fakes.say(panel, "pin")
    first, second = panel.pins
    assert (first["setting"]["strength"], second["setting"]["strength"]) == (1.0, 2.0)
    assert "cat (1)" in first["answers"]["steered"] and "cat (2)" in second["answers"]["steered"]
    assert "strength=2.0" in second["code"] and first["picture"] == "image 1"
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
    assert "4 settings are pinned" in panel.message and (panel.status, panel.cause) == ("idle", "pin")
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


def test_what_is_shown_is_changed_by_a_message_and_starts_nothing(panel, streams):
    before = panel.get_state()
    fakes.say(panel, "show", state={"projector": True, "revealed": False, "strength": 9})
    after = panel.get_state()
    assert {name: after[name] for name in before if after[name] != before[name]} == {"projector": True}
    assert len(streams.made) == 1 and panel.status == "idle"


@pytest.mark.parametrize(
    ("content", "message", "cause"),
    [
        ({"kind": "set", "serial": 1}, "a message 'set' with nothing as 'state', where dict was expected", ""),
        ({"kind": "set", "serial": "x", "state": {}}, "with str as 'serial', where int", ""),
        ({"kind": "set", "serial": 1, "state": [1]}, "with list as 'state', where dict", ""),
        ({"kind": "set", "serial": 1, "state": {"strength": 2, "layer": "3"}}, "sent strength, layer that cannot", ""),
        ({"kind": "set", "serial": 1, "state": {"window": []}}, "sent window that cannot be used", ""),
        ({"kind": "set", "serial": 1, "state": {"strength": "strong"}}, "sent strength that cannot be used", ""),
        ({"kind": "set", "serial": 1, "state": {"patches": [[True], [True, False]]}}, "rows of equal length", ""),
        ({"kind": "picture", "name": "x"}, "no image came with the upload", "picture"),
        ({"kind": "scene", "seed": "x"}, "with str as 'seed', where int", "picture"),
        ({"kind": "scene", "seed": -1}, "the seed of a scene is a number from 0; got -1", "picture"),
        ({"kind": "unpin"}, "with nothing as 'id', where int", "pin"),
        ({"kind": "naming", "state": {"words": 5}}, "sent words that cannot be used", "words"),
        ({"kind": "show", "state": {"projector": 5}}, "sent projector that cannot be used", ""),
    ],
)
def test_a_broken_front_end_gets_a_plain_error_and_changes_nothing(panel, content, message, cause):
    before = Setting.of(panel), panel.projector, panel.words
    fakes.arrive(panel, {"method": "custom", "content": content})
    panel.wait(SOON)
    assert message in panel.message and panel.cause == cause
    assert (Setting.of(panel), panel.projector, panel.words) == before
    fakes.set_by_hand(panel, 5, strength=2)
    assert panel.wait(SOON) and panel.message == ""
