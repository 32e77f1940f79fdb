"""The panel opens at recommended settings, follows them from concept to concept, and reports images that are unlike."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import mllm_probe as mp
from mllm_probe.studies.recommendation import Recommended
from mllm_probe.widgets import SteeringPanel
from tests.widgets import fakes

SOON = 60
MODEL = fakes.FakeModel()
PICTURE = Image.new("RGB", (40, 30), "teal")
RECOMMENDED = {
    "cat": Recommended("image", 2, 1.25, 0.97, 0.9, 1.0, 14),
    "neon": Recommended("last_prompt", 5, 2.0, 0.5, 0.2, 0.8, 12),
}


def place(panel):
    return panel.scope, panel.layer, list(panel.window), panel.strength


@pytest.fixture
def panel(streams):
    made = SteeringPanel(MODEL, fakes.vectors(MODEL), [PICTURE], concept="cat", recommended=RECOMMENDED)
    assert made.wait(SOON)
    return made


def test_it_opens_at_the_recommended_setting_and_goes_to_that_of_the_next_concept(panel, streams):
    assert place(panel) == ("image", 2, [2, 2], 1.25) and len(streams.made) == 1
    assert "score 0.97 on 14 other images" in panel.advice
    fakes.set_by_hand(panel, 1, concept="neon")
    assert panel.wait(SOON) and place(panel) == ("last_prompt", 5, [5, 5], 2.0)
    assert streams.made[-1].steering[1].blocks == (5,) and "score 0.50" in panel.advice
    panel.concept = "cat"
    assert panel.wait(SOON) and place(panel) == ("image", 2, [2, 2], 1.25)


def test_it_stays_where_a_person_has_put_it(panel):
    fakes.set_by_hand(panel, 1, strength=0.5)
    fakes.set_by_hand(panel, 2, concept="neon")
    assert panel.wait(SOON) and place(panel) == ("image", 2, [2, 2], 0.5)
    assert panel.advice == "Recommended for neon: last token, layer 5, strength 2."
    fakes.set_by_hand(panel, 3, concept="awe")
    assert panel.wait(SOON) and panel.advice == ""


def test_a_concept_without_a_recommended_setting_keeps_the_present_one(panel):
    fakes.set_by_hand(panel, 1, concept="awe")
    assert panel.wait(SOON) and place(panel) == ("image", 2, [2, 2], 1.25)


def test_without_recommended_settings_nothing_is_said(streams):
    panel = SteeringPanel(MODEL, fakes.vectors(MODEL), [PICTURE], concept="cat", layer=3)
    assert panel.wait(SOON) and panel.advice == "" and panel.layer == 3


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
    assert lab.bar.title.endswith("tells 2 of 2 concepts apart")
    lab.panel.choose(strength=0.5)
    lab.panel.choose(concept="neon")
    assert lab.wait(SOON) and lab.panel.strength == 0.5


def test_a_saved_page_has_the_advice_of_each_recorded_setting(panel):
    fakes.set_by_hand(panel, 1, concept="neon")
    assert panel.wait(SOON)
    fakes.set_by_hand(panel, 2, concept="awe")
    assert panel.wait(SOON)
    told = {one.when["concept"]: one.shown["advice"] for one in panel.recordings()}
    assert told["cat"].startswith("Recommended setting for cat: score 0.97")
    assert told["neon"].startswith("Recommended setting for neon: score 0.50") and told["awe"] == ""
