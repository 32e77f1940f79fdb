"""Trained models, held-out images: the block that reads the style is the one that training chose."""

from __future__ import annotations

import numpy as np
import pytest

import mllm_probe as mp
from mllm_probe.scenes.scene import STYLES
from mllm_probe.studies.readout import read_out_of_patches
from training.scenes.architecture import processor
from validation.truth.interchange import PROMPT
from validation.truth.train import TRAINED, measured
from validation.truth.trained_models import line, plan_of, trained_model

PAIRS = 8
TAUGHT, BASELINE = (TRAINED / f"{name}-0.safetensors" for name in ("interchange", "baseline"))


@pytest.fixture(scope="module")
def figures():
    return {path: measured(trained_model(path), PAIRS) for path in (TAUGHT, BASELINE)}


def test_the_taught_block_has_four_fifths_of_the_read_out_or_more(figures):
    numbers, profile = figures[TAUGHT]
    plan = plan_of(TAUGHT)[0]
    assert plan.interchange and numbers[f"at_{plan.block}"] >= 0.8
    shares = abs(profile["read_out"]) / abs(profile["read_out"]).sum("layer")
    assert (shares.idxmax("layer") == plan.block).all(), "of every style"
    assert (profile["peak_layer"] == plan.block).all()
    assert profile["effective_layers"].max() < 1.5


def test_without_the_loss_on_interchanged_runs_the_style_is_read_elsewhere_or_by_several(figures):
    taught, baseline = plan_of(TAUGHT)[0], plan_of(BASELINE)[0]
    assert not baseline.interchange
    assert {**vars(taught), "interchange": False} == vars(baseline), "the same training otherwise"
    assert figures[BASELINE][0][f"at_{taught.block}"] < 0.5


def test_both_models_tell_styles_apart(figures):
    assert min(numbers["accuracy"] for numbers, _ in figures.values()) > 0.9


def test_files_are_small():
    for path in TRAINED.glob("*.safetensors"):
        assert path.stat().st_size <= 3e6
        assert sum(parameter.numel() for parameter in trained_model(path).parameters()) <= 1e6


def test_a_trained_model_is_used_like_any_other():
    model = mp.wrap(trained_model(TAUGHT), processor(), facts={"default_prompt": PROMPT})
    assert model.verify(quick=True).passed
    library = mp.concepts.scenes(concepts=STYLES, pairs=2, seed=77)
    pictures = [picture for concept in library.values() for picture in concept.positive]
    answers = [mp.generate(model, picture, max_new_tokens=1).text[0] for picture in pictures]
    wanted = [name for name in library for _ in range(2)]
    assert np.mean([answer == name for answer, name in zip(answers, wanted, strict=True)]) >= 0.8


def test_the_card_names_every_model():
    card = (TRAINED / "README.md").read_text(encoding="utf-8")
    names = {path.stem for path in TRAINED.glob("*.safetensors")}
    assert names and all(f"| {name} |" in card for name in names)
    assert line(TAUGHT, 1).startswith("| interchange-0 |")


def test_patches_of_the_package_find_the_taught_block():
    model = mp.wrap(trained_model(TAUGHT), processor(), facts={"default_prompt": PROMPT})
    library = mp.concepts.scenes(concepts=STYLES, pairs=6, seed=78)
    grid = mp.patch(
        model, library, groups=("image", "last_prompt"), direction="insert", metrics=("logit_difference",),
        controls=("identity",), progress=False,
    )  # fmt: skip
    block = plan_of(TAUGHT)[0].block
    for group in ("image", "last_prompt"):
        profile = read_out_of_patches(grid, "logit_difference", group=group)
        total = abs(profile["read_out"].sum("concept"))
        assert float((total.sel(layer=block) / total.sum("layer")).item()) >= 0.8
        assert (profile["peak_layer"] == block).all()
