"""The lab opens in one line on a model that is not bundled, and greys the concepts that it does not tell apart."""

from __future__ import annotations

import pytest

import mllm_probe as mp
from mllm_probe.concepts.drawn import library_call
from mllm_probe.emoji.lexicon import FIRST_CONCEPTS
from mllm_probe.widgets.base.choices import drawn_choice
from tests import zoo

SOON = 400


@pytest.mark.parametrize("make", [zoo.tiny_llava, zoo.tiny_qwen, zoo.tiny_gemma])
def test_a_random_model_of_any_family_fills_the_lab_and_every_concept_is_greyed(make):
    model = make()
    lab = mp.explore(model, strengths=(1,), draws=4)
    assert lab.wait(SOON), lab.bar.message
    assert lab.heatmap.progress == 1.0 and lab.bar.message == lab.heatmap.message == lab.panel.message == ""
    assert sorted(lab.vectors["concept"].values) == sorted(lab.heatmap.concepts) == sorted(FIRST_CONCEPTS)
    assert lab.grid.attrs["scope"] == "last_prompt+generated" and lab.grid.sizes["layer"] == len(model.layers)
    assert "tells 0 of 24 concepts apart" in lab.bar.title
    assert lab.heatmap.unfit == lab.panel.unfit and sorted(lab.panel.unfit) == sorted(FIRST_CONCEPTS)
    assert lab.panel.unfit["cat"] == "the model does not tell its images apart"
    assert lab.panel.unfit["octopus"] == "no word for it can be scored in this model", "it is no word of the zoo's"
    lab.panel.choose(concept="octopus")
    assert lab.panel.wait(SOON) and lab.panel.answers["steered"] and "octopus" in lab.panel.receipt[0]


def test_the_code_of_such_a_lab_makes_its_library_and_new_scenes_are_of_the_same_world():
    model = zoo.tiny_llava()
    lab = mp.explore(model, strengths=(1,), draws=4)
    lab.stop()
    space: dict[str, object] = {"model": model}
    exec(lab.code.partition("vectors = ")[0], space)
    assert space["held_out"].fingerprint == lab._library.fingerprint
    assert space["library"].fingerprint == library_call(model.name)().fingerprint
    lab.panel.new_scene(3)
    assert lab.panel.chosen(lab.panel.picture).image.tobytes() == drawn_choice(3, "org/name").image.tobytes()
    assert "emoji" in lab.panel.chosen(lab.panel.picture).code


def test_concepts_that_are_told_apart_are_not_greyed():
    lab = mp.explore("scenes-4l", mp.concepts.scenes(concepts=["cat", "neon"], pairs=12), strengths=(1,), draws=4)
    assert lab.wait(SOON), lab.bar.message
    assert "tells 2 of 2 concepts apart" in lab.bar.title and lab.heatmap.unfit == lab.panel.unfit == {}
