"""The one selection of a lab: read and set, saved and restored, taken back and done again."""

from __future__ import annotations

import json

import pytest

from mllm_probe.studies.recommendation import Recommended
from mllm_probe.widgets import Explore, LayerConceptHeatmap, SteeringPanel
from mllm_probe.widgets.lab import lab_selection
from tests.widgets import fakes

SOON = 60
MODEL = fakes.FakeModel()
BEST = {
    name: Recommended("image+last_prompt", layer, dose, 0.9, 0.7, 1.0, 12)
    for name, layer, dose in (("dog", 2, 2.0), ("neon", 3, 3.0), ("awe", 1, 1.5))
}


def a_lab(grid=None):
    panel = SteeringPanel(MODEL, fakes.vectors(MODEL), concept="cat", layer=5, recommended=BEST)
    return Explore(MODEL, LayerConceptHeatmap(fakes.effect() if grid is None else grid, layer=5), panel)


@pytest.fixture
def clock(monkeypatch):
    """Seconds that stand still until they are moved."""
    now = [100.0]
    monkeypatch.setattr(lab_selection.time, "monotonic", lambda: now[0])

    def later(seconds=10.0):
        now[0] += seconds

    return later


@pytest.fixture
def lab(streams, clock):
    return a_lab()


MASK = [[False, True], [True, True]]
VALUES = {
    "concept": ("neon", "concept", "neon"),
    "second_concept": ("dog", "second", "dog"),
    "second_dose": (-0.5, "second_strength", -0.5),
    "layers": ([2, 4], "window", [2, 4]),
    "dose": (-1.25, "strength", -1.25),
    "unit": ("raw", "strength_unit", "raw"),
    "tokens": ("image+last_prompt", "scope", "image+last_prompt"),
    "picture": (3, "picture", 3),
    "prompt": ("how does it feel ?", "prompt", "how does it feel ?"),
    "seed": (7, "seed", 7),
}


@pytest.mark.parametrize("key", VALUES)
def test_each_key_is_read_and_written_with_one_notification(lab, streams, key, clock):
    value, control, shown = VALUES[key]
    before, told = dict(lab.selection), []
    assert list(before) == list(VALUES)
    lab.observe(lambda change: told.append(change.new), "selection")
    lab.selection = {key: value}
    assert getattr(lab.panel, control) == shown and told == [lab.selection] and lab.selection[key] == value
    others = {name for name in before if before[name] != lab.selection[name]} - {key}
    assert others <= ({"picture"} if key == "concept" else set())
    clock()
    lab.undo()
    assert lab.selection == before and len(told) == 2
    setattr(lab.panel, control, shown)
    assert lab.selection[key] == value and len(told) == 3
    lab.selection = dict(lab.selection)
    assert len(told) == 3


def test_a_saved_selection_is_restored_in_another_lab_and_moves_its_map(lab, streams):
    lab.select("neon", layers=(2, 4), dose=2, tokens=MASK, second_concept="dog", picture=1, prompt="why ?", seed=3)
    saved = json.dumps(lab.selection)
    other = a_lab()
    made = len(streams.made)
    other.selection = json.loads(saved)
    assert other.panel.wait(SOON) and len(streams.made) == made + 1
    assert other.selection == lab.selection and other.panel.patches == MASK and other.panel.scope == "painted"
    assert (other.heatmap.concept, other.heatmap.window, other.heatmap.strength) == ("neon", [2, 4], 2.0)


@pytest.mark.parametrize(
    ("given", "read", "scope"),
    [
        (("last_prompt", "generated"), "last_prompt+generated", "last_prompt+generated"),
        ("image", "image", "image"),
        ([1, -1], [1, -1], "selected"),
        (2, [2], "selected"),
        (MASK, MASK, "painted"),
    ],
)
def test_tokens_are_taken_as_a_steering_takes_them(lab, given, read, scope):
    lab.select(tokens=given)
    assert lab.selection["tokens"] == read and lab.panel.scope == scope


def test_select_sets_part_and_the_line_of_python_all_of_it(lab, clock):
    lab.select("neon", layer=-3, dose=1, tokens="last_prompt", picture=0)
    assert lab.selection_code == "lab.select('neon', layer=5, dose=1.0, tokens='last_prompt', picture=0)"
    lab.select(layers=(4, 6), second_concept="dog", seed=2, unit="vector")
    code, wanted = lab.selection_code, dict(lab.selection)
    assert "layers=(4, 6)" in code and "second_concept='dog', unit='vector', seed=2)" in code
    other = a_lab()
    exec(code, {"lab": other})
    assert other.selection == wanted


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"strength": 1},
            "selection: expected keys of concept, .*seed; got 'strength'. Give what lab.selection returns",
        ),
        ({"concept": "umbrela"}, "concept: expected one of cat, .*; got 'umbrela'"),
        ({"concept": ""}, "concept: expected one of cat"),
        ({"second_concept": 3}, "second_concept: expected one of , cat, .*; got 3"),
        ({"layers": [5]}, "layers: expected the first and the last of layers 0, 1, .*; got .5."),
        ({"layers": [5, 8]}, "layers: expected the first and the last of layers 0, 1, .*; got .5, 8."),
        ({"layers": 5}, "layers: expected the first and the last of layers .*; got 5"),
        ({"dose": float("nan")}, "dose.* got nan"),
        ({"second_dose": "1"}, "second_dose.* got '1'"),
        ({"unit": "nats"}, "unit: expected one of residual, vector, raw; got 'nats'"),
        ({"tokens": "last_token"}, "tokens: expected one or several of .*; got 'last_token'"),
        ({"tokens": [True, False]}, "tokens: expected a mask .patch rows, patch columns. of one image; got one of 1"),
        ({"picture": 99}, "there is no image 99; there are"),
        ({"picture": -1}, "picture.* got -1"),
        ({"prompt": 3}, "prompt: expected text; got 3"),
        ({"seed": 0.5}, "seed.* got 0.5"),
        ({"concept": "dog", "dose": None}, "dose.* got None"),
    ],
)
def test_what_cannot_be_selected_is_refused_and_moves_nothing(lab, streams, given, text):
    before, made = dict(lab.selection), len(streams.made)
    with pytest.raises(ValueError, match=text):
        lab.selection = given
    assert lab.selection == before and len(streams.made) == made and not lab.bar.can_undo


def test_select_takes_one_layer_or_a_window_and_a_concept_only_of_vectors_that_are_there(lab):
    with pytest.raises(ValueError, match=r"select: expected layer or layers; got layer=1 and layers=\(1, 2\)"):
        lab.select(layer=1, layers=(1, 2))
    empty = Explore(MODEL, LayerConceptHeatmap(), SteeringPanel(MODEL))
    assert empty.selection["concept"] == empty.selection_code == ""
    with pytest.raises(ValueError, match=r"got 'cat' before there are any: call lab.wait\(\)"):
        empty.select("cat")
    with pytest.raises(ValueError, match="recommended: expected a setting for a concept; there is none"):
        empty.recommended()
    empty.panel.vectors = fakes.vectors(MODEL)
    assert empty.selection["concept"] == "cat" and not empty.bar.can_undo  # nobody goes back to a lab without vectors
    empty.select("dog")
    assert empty.bar.can_undo


def test_undo_and_redo_go_through_every_change_whoever_made_it(lab, clock):
    states = [dict(lab.selection)]
    for change in (
        lambda: fakes.set_by_hand(lab.panel, 1, strength=2.0),
        lambda: lab.select("neon"),
        lambda: lab.panel.choose(patches=MASK),
        lambda: setattr(lab.panel, "picture", 4),  # which takes the painted patches away
        lambda: fakes.select(lab.heatmap, concept="awe", layer=1, window=[1, 1], picked=1),
    ):
        clock()
        change()
        assert lab.selection != states[-1]
        states.append(dict(lab.selection))
    assert (lab.bar.can_undo, lab.bar.can_redo) == (True, False)
    for state in reversed(states[:-1]):
        fakes.say(lab.bar, "undo")
        assert lab.selection == state
    assert (lab.bar.can_undo, lab.bar.can_redo) == (False, True) and not lab.panel.image_chosen
    lab.undo()
    assert lab.selection == states[0]
    for state in states[1:3]:
        fakes.say(lab.bar, "redo")
        assert lab.selection == state
    assert lab.heatmap.concept == "neon"
    clock()
    lab.select(seed=9)
    assert not lab.bar.can_redo
    lab.redo()
    assert lab.selection["seed"] == 9
    lab.undo()
    assert lab.selection == states[2]


def test_moves_of_one_control_without_a_pause_are_one_step(lab, clock):
    for dose in (1.25, 1.5, 1.0, 2.0):
        clock(0.4)
        fakes.set_by_hand(lab.panel, 1, strength=dose)
    fakes.set_by_hand(lab.panel, 2, layer=2)
    clock(0.6)
    fakes.set_by_hand(lab.panel, 3, layer=3)
    seen = []
    while lab.bar.can_undo:
        lab.undo()
        seen.append((lab.selection["dose"], lab.selection["layers"][0]))
    assert seen == [(2.0, 2), (2.0, 5), (1.0, 5)]
    lab.redo()
    fakes.set_by_hand(lab.panel, 4, strength=2.5)  # a move after an undo is a step of its own
    lab.undo()
    assert lab.selection["dose"] == 2.0


def test_a_drag_that_ends_where_it_began_is_passed_over(lab, clock):
    lab.select(seed=5)
    clock()
    for dose in (2.0, 1.0):
        lab.select(dose=dose)
    lab.undo()
    assert lab.selection["seed"] == 0
    clock()
    moves = lab.panel.moves
    lab.undo()
    assert lab.panel.moves == moves and not lab.bar.can_undo
    for dose in (2.0, 1.0):
        lab.select(dose=dose)
    lab.undo()
    assert not lab.bar.can_undo and lab.bar.can_redo


def test_two_hundred_steps_are_remembered(lab, clock):
    for seed in range(1, 260):
        clock()
        lab.panel.choose(seed=seed)
    undone = 0
    while lab.bar.can_undo:
        lab.undo()
        undone += 1
    assert undone == lab_selection.LONGEST == 200 and lab.selection["seed"] == 59


def test_a_click_on_the_map_is_one_step_of_concept_layers_dose_and_tokens(streams, clock):
    lab, told = a_lab(fakes.effect().assign_attrs(scope="last_prompt")), []
    lab.panel.choose(strength=1.5, scope="image")
    before = dict(lab.selection)
    clock()
    lab.observe(lambda change: told.append(change.new), "selection")
    fakes.select(lab.heatmap, concept="neon", layer=2, window=[2, 3], strength=2.0, picked=1)
    clicked = {"concept": "neon", "layers": [2, 3], "dose": 2.0, "tokens": "last_prompt"}
    assert len(told) == 1 and clicked.items() <= lab.selection.items()
    lab.undo()
    assert lab.selection == before


def test_recommended_goes_to_the_setting_of_the_concept_in_hand(lab):
    fakes.say(lab.bar, "recommended")
    assert lab.bar.message.startswith("recommended: expected a setting for cat; there is none. mp.recommend(")
    lab.select("neon", dose=0.5, second_concept="dog", unit="raw")
    assert lab.bar.message == ""
    fakes.say(lab.bar, "recommended")
    shown = {"concept": "neon", "second_concept": "", "layers": [3, 3], "dose": 3.0, "unit": "residual"}
    assert (shown | {"tokens": "image+last_prompt"}).items() <= lab.selection.items()


def test_surprise_is_another_concept_that_is_told_apart_and_its_seed_decides(lab):
    lab.panel.unfit = {"dog": "not distinguished"}
    seen = []
    for seed in range(16):
        lab.select("cat")
        lab.surprise(seed)
        seen.append(lab.selection["concept"])
        best = BEST[seen[-1]]
        assert (lab.selection["dose"], lab.selection["layers"]) == (best.strength, [best.layer] * 2)
    assert set(seen) == {"neon", "awe"}
    lab.select("cat")
    lab.surprise(0)
    assert lab.selection["concept"] == seen[0]
    lab.surprise()
    assert lab.selection["concept"] == ({"neon", "awe"} - {seen[0]}).pop()
    lab.panel.recommended = {"awe": BEST["awe"]}
    lab.select("awe")
    with pytest.raises(
        ValueError, match="surprise: expected another concept with a recommended setting; there is none"
    ):
        lab.surprise()


def test_labs_of_one_seed_surprise_alike_and_never_with_the_concept_in_hand(streams):
    runs = []
    for _ in range(2):
        lab, seen = a_lab(), []
        for _ in range(12):
            fakes.say(lab.bar, "surprise")
            seen.append(lab.selection["concept"])
        runs.append(seen)
    assert runs[0] == runs[1] and all(one != two for one, two in zip(seen, seen[1:], strict=False))
