"""The bundled models as they lie in the package: their depth, their tower, their cards, and that they see."""

import shutil

import pytest
import torch
from safetensors.torch import load_file

import mllm_probe as mp
from mllm_probe.models import bundled_folder, bundled_names
from training.evaluation.accuracy import recognition, scenes
from training.evaluation.answerer import Answerer
from training.scenes.architecture import DEPTHS
from training.scenes.card import refresh_card

NAMES = list(DEPTHS)


def test_every_model_that_can_be_trained_comes_with_the_package():
    assert bundled_names() == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_has_the_depth_of_its_name_and_passes_every_check(name):
    model = mp.load(name)
    assert len(model.layers) == DEPTHS[name]
    report = model.verify()
    assert report.passed, report


@pytest.mark.parametrize("name", NAMES)
def test_a_model_names_what_new_scenes_show(name):
    scores = {one.name: one for one in recognition(Answerer(bundled_folder(name)), scenes(60, "seen"))}
    assert scores["whole list"].share >= 0.9 and scores["whole caption"].share >= 0.9


@pytest.mark.parametrize("name", NAMES)
def test_a_card_says_what_was_measured(name, tmp_path):
    folder = shutil.copytree(bundled_folder(name), tmp_path / name)
    said = (folder / "README.md").read_text()
    refresh_card(folder)
    assert (folder / "README.md").read_text() == said
    assert "Steerability by concept" in said and "Not measured yet" not in said


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"scenes-8l"}))
def test_models_of_other_depths_look_through_the_same_tower(name):
    one, other = (load_file(bundled_folder(each) / "model.safetensors") for each in ("scenes-8l", name))
    towers = [key for key in one if "vision_tower" in key]
    assert len(towers) > 50
    assert all(torch.equal(one[key], other[key]) for key in towers)
