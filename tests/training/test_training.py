"""The whole training in miniature: seconds, one process, a model of one block."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mllm_probe.scenes.language import Question
from tests.training.conftest import killed
from training.scenes import decoder, tower
from training.scenes.architecture import build, tokenizer
from training.scenes.card import write_card
from training.scenes.decoder import DecoderPlan
from training.scenes.model_folder import SETTINGS
from training.scenes.question_packing import PREFIX, pack
from training.scenes.rendered_pictures import training_pictures
from training.scenes.run import TrainingPlan, train
from training.scenes.targets import KINDS, SLOTS
from training.scenes.tower import TowerPlan
from training.scenes.train_scenes import train_scenes

PLAN = TrainingPlan(
    "scenes-4l",
    pictures=24,
    held=8,
    seed=0,
    tower=TowerPlan(steps=3, batch=4, save_every=2),
    decoder=DecoderPlan(blocks=1, steps=4, batch=4, save_every=2),
    processes=1,
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    took = train(PLAN, folder / "work", folder / "model")
    return folder, took


def _weights(folder):
    return load_file(folder / "model" / "model.safetensors")


def test_a_finished_training_is_not_done_again(finished):
    folder, took = finished
    before = (folder / "model" / "model.safetensors").stat().st_mtime_ns
    assert train(PLAN, folder / "work", folder / "model") == took
    assert (folder / "model" / "model.safetensors").stat().st_mtime_ns == before
    assert took.tower_wall > 0 and took.decoder_cpu > 0


@pytest.mark.parametrize(("stage", "name"), [(tower, "dense_loss"), (decoder, "answer_logits")])
def test_a_killed_training_goes_on_and_ends_with_the_same_weights(finished, tmp_path, monkeypatch, stage, name):
    with killed(monkeypatch, stage, name, 3):
        train(PLAN, tmp_path / "work", tmp_path / "model")
    train(PLAN, tmp_path / "work", tmp_path / "model")
    once, twice = _weights(finished[0]), _weights(tmp_path)
    for key, tensor in once.items():
        assert torch.allclose(tensor.float(), twice[key].float(), atol=1e-3), key


def test_a_tower_that_is_taken_stays_as_it_is_and_its_training_goes_on_too(finished, tmp_path, monkeypatch):
    donor = finished[0] / "model"
    plan = dataclasses.replace(PLAN, tower=donor, decoder=dataclasses.replace(PLAN.decoder, seed=1))
    once = train(plan, tmp_path / "once", tmp_path / "model")
    assert once.tower_wall == once.tower_cpu == 0 and once.decoder_cpu > 0
    given, taken = _weights(finished[0]), _weights(tmp_path)
    towers = [name for name in given if "vision_tower" in name]
    assert len(towers) > 50 and all(torch.equal(given[name], taken[name]) for name in towers)
    head = next(name for name in given if name.endswith("lm_head.weight"))
    assert not torch.equal(given[head], taken[head])

    with killed(monkeypatch, decoder, "answer_logits", 4):
        train(plan, tmp_path / "killed", tmp_path / "killed" / "model")
    train(plan, tmp_path / "killed", tmp_path / "killed" / "model")
    again = _weights(tmp_path / "killed")
    assert all(torch.allclose(taken[key].float(), again[key].float(), atol=1e-3) for key in taken)


def test_the_card_says_where_the_tower_is_from(finished, tmp_path):
    folder = finished[0] / "model"
    write_card(folder, PLAN, finished[1])
    assert "3 steps of 4 pictures" in (folder / "README.md").read_text()
    shutil.copytree(folder, tmp_path / "taken")
    write_card(tmp_path / "taken", dataclasses.replace(PLAN, tower=folder), finished[1])
    card = (tmp_path / "taken" / "README.md").read_text()
    assert "| vision tower | that of model, kept as it is" in card and "--tower model" in card


def test_a_tower_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="tower: expected a bundled name or a model's folder"):
        train_scenes("scenes-4l", tmp_path / "out", tmp_path / "work", tower=str(tmp_path / "nowhere"))


def test_the_folder_is_read_by_the_auto_classes_and_says_how_to_ask(finished):
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder = finished[0] / "model"
    model, processor = AutoModelForImageTextToText.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    assert type(model).__name__ == "LlavaForConditionalGeneration"
    assert model.generation_config.eos_token_id == processor.tokenizer.eos_token_id
    assert json.loads((folder / SETTINGS).read_text())["default_prompt"] == "What do you see?"


def test_only_safetensors_json_and_arrays_without_objects_are_written(finished):
    kinds = {path.suffix for path in finished[0].rglob("*") if path.is_file()}
    assert kinds <= {".safetensors", ".json", ".npy", ".jinja", ".md"}


def test_pictures_are_the_same_whoever_draws_them(tmp_path):
    first, second = (training_pictures(tmp_path / str(i), 4, 7, workers=1) for i in range(2))
    assert np.array_equal(first.images, second.images)
    assert first.patches.shape == (4, 64, len(KINDS)) and first.slots.shape == (4, len(SLOTS))
    assert first.scene(2) == second.scene(2)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_questions_are_answered_as_if_each_were_alone(attention):
    torch.manual_seed(0)
    model, words = build(blocks=2).eval(), tokenizer()
    model.model.language_model.set_attn_implementation(attention)

    def encode(text):
        return words(text, add_special_tokens=False)["input_ids"]

    asked = [
        Question("list", "What do you see?", "cat, sketch"),
        Question("style", "What is the style?", "sketch"),
        Question("caption", "Describe the picture.", "a sketch picture of a cat"),
    ]
    hidden = torch.randn(1, 64, 128)
    together = pack([asked], encode, 60)
    with torch.no_grad():
        logits = decoder.answer_logits(model, hidden, together)[0]
        for place in together.placements:
            alone = pack([[place.question]], encode, 60)
            single = alone.placements[0]
            expected = decoder.answer_logits(model, hidden, alone)[0, single.start : single.start + single.length]
            assert torch.allclose(logits[place.start : place.start + place.length], expected, atol=1e-4)
    assert together.positions.shape == (1, PREFIX + 60)
