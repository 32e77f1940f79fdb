"""The training of the emoji model's vision tower in miniature, and what it learns from."""

import json
import logging
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from mllm_probe.emoji import EmojiScene, Item, sample
from mllm_probe.emoji.emoji_scene import is_unseen
from mllm_probe.emoji.lexicon import ARRANGEMENTS, COLOURED, FEELINGS, STYLES, icons
from mllm_probe.loading.assembling import IMAGE_TOKENS
from training import training_state
from training.emoji import evaluate_vision, vision_training
from training.emoji.augmentation import Strength, altered
from training.emoji.build_art import Package
from training.emoji.tower_examples import (
    NAMES,
    NOTHING,
    SHOWN,
    cells,
    examples,
    strength_for,
    training_batch,
)
from training.emoji.vision import Eyes
from training.emoji.vision_readouts import Readouts, accuracy, held_out_scenes, read
from training.emoji.vision_training import VisionPlan, target_words, vision_loss, word_vectors
from training.emoji.word_vectors import read_embeddings
from training.parallel import Team
from training.pausing import Pause

HIDDEN = 48
PLAN = VisionPlan(steps=4, batch=4, warmup=1, held=4)
WHITE = np.full((96, 96, 4), 255, np.uint8)
CPU = Team(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    """A decoder's embeddings and its tokenizer: one token a word."""
    folder = tmp_path_factory.mktemp("decoder")
    words = sorted({word for listed in target_words().values() for text in listed for word in text.split()})
    fast = Tokenizer(models.WordLevel({word: i for i, word in enumerate(["<unk>", *words])}, unk_token="<unk>"))
    fast.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=fast, unk_token="<unk>").save_pretrained(folder)
    torch.manual_seed(0)
    save_file({"model.embed_tokens.weight": torch.randn(len(words) + 1, HIDDEN)}, folder / "weights.safetensors")
    return folder


@pytest.fixture(scope="module")
def words(decoder):
    return word_vectors(decoder / "weights.safetensors", decoder)


def weights(path):
    return training_state.load(path)[0]


def test_cells_say_which_item_covers_them_the_front_one_first():
    beside = EmojiScene((Item("cat", 16, 16, 16), Item("star", 48, 48, 16)), "flat", "red", 0)
    assert cells(beside).reshape(4, 4).tolist() == [[0, 0, -1, -1]] * 2 + [[-1, -1, 1, 1]] * 2
    inside = cells(replace(beside, relation="inside")).reshape(4, 4)
    assert (inside[1:3, 1:3] == 0).all() and (inside == 1).sum() > 8
    small = cells(EmojiScene((Item("cat", 8, 8, 3),), "flat", "red", 0))
    assert small[0] == 0 and (small == 0).sum() == 1


def test_targets_are_those_of_the_scene():
    scenes = [sample(np.random.default_rng(i)) for i in range(40)]
    batch = examples(scenes)
    for i, scene in enumerate(scenes):
        covering = cells(scene)
        expected = [scene.items[n].name if n >= 0 else scene.ground for n in covering]
        assert [NAMES[n] for n in batch.names[i]] == expected
        shown = [icons()[n] if n >= 0 else None for n in batch.icons[i]]
        assert shown == [scene.items[n].icon if n >= 0 else None for n in covering]
        assert STYLES[batch.styles[i]] == scene.style
        arrangement = batch.arrangements[i]
        assert (ARRANGEMENTS[arrangement] if arrangement != NOTHING else None) == scene.arrangement
    assert batch.images.shape == (40, 64, 64, 3) and batch.images.dtype == np.uint8
    assert len(set(NAMES)) == len(NAMES), "a colour and a noun of one name would be one target"


def test_a_batch_depends_on_seed_and_step_alone_and_never_shows_a_held_out_combination(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "training.emoji.tower_examples.examples", lambda scenes, g, artists: seen.extend(scenes) or len(scenes)
    )
    for step in range(30):
        training_batch(0, step, 16)
    assert len(seen) == 480 and not any(map(is_unseen, seen))
    monkeypatch.undo()
    first, again, other, seeded = (training_batch(*which, 4).images for which in ((0, 3), (0, 3), (0, 4), (1, 3)))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other) and not np.array_equal(first, seeded)


def test_strong_alterations_are_common_and_ink_hides_the_style_of_coloured_art_alone():
    g = np.random.default_rng(0)
    scene = EmojiScene((Item("cat", 32, 32, 20),), "flat", "red", 0)
    strengths = [strength_for(scene, g) for _ in range(600)]
    assert 0.65 < np.mean([one.strong for one in strengths]) < 0.75
    assert 0.19 < np.mean([one.inked for one in strengths]) < 0.31
    for style in set(STYLES) - set(COLOURED):
        assert not any(strength_for(replace(scene, style=style), g).inked for _ in range(60))
    inked = [examples([scene], np.random.default_rng(i)).styles[0] for i in range(60)]
    assert 0 < inked.count(NOTHING) < 60 and set(inked) == {NOTHING, STYLES.index("flat")}


def test_other_artists_draw_some_pictures_in_colour_which_then_have_no_style():
    black = np.zeros((96, 96, 4), np.uint8)
    black[8:-8, 8:-8, 3] = 255
    scenes = [EmojiScene((Item(icon, 32, 32, 24),), style, "white", 0) for icon in ("cat", "dog") for style in STYLES]
    styles = {(scene.items[0].icon, scene.style): [] for scene in scenes}
    for seed in range(40):
        batch = examples(scenes, np.random.default_rng(seed), artists=[{"cat": black}])
        for scene, style in zip(scenes, batch.styles, strict=True):
            styles[scene.items[0].icon, scene.style].append(style)
    hidden = {scene: float(np.mean(np.array(own) == NOTHING)) for scene, own in styles.items()}
    for style in STYLES:
        if style in COLOURED:
            assert 0.35 < hidden["cat", style] < 0.8 and hidden["dog", style] < 0.45, "no artist draws a dog"
        else:
            assert not hidden["cat", style] and not hidden["dog", style]


def test_an_icon_is_found_by_its_code_points_or_where_a_set_lists_none_by_its_name():
    listed = Package({"icons": {"honeybee": {}}, "prefix": "a"}, {"1f41d": "honeybee"})
    assert listed.name_of("bee", "1f41d") == "honeybee" and listed.name_of("honeybee", "1f41c") is None
    unlisted = Package({"icons": {"alarmclock": {}}, "aliases": {"cat-face": {"parent": "cat"}}}, {})
    assert unlisted.name_of("alarm-clock", "23f0") == "alarmclock" and unlisted.name_of("cat-face", "") == "cat-face"
    assert unlisted.name_of("dog", "1f415") is None


def test_an_altered_sprite_keeps_its_size_and_its_place():
    art = np.zeros((96, 96, 4), np.uint8)
    art[30:60, 30:60] = (200, 40, 40, 255)
    for i in range(40):
        out = altered(art, np.random.default_rng(i), Strength(True, i % 2 == 0))
        assert out.shape == art.shape and out.dtype == np.uint8
        y, x = np.nonzero(out[..., 3] > 128)
        assert abs(x.mean() - 44.5) < 6 and abs(y.mean() - 44.5) < 6
    assert (art[:30] == 0).all(), "the sprite itself stays as it is"


def test_eyes_give_sixteen_tokens_of_the_decoders_width():
    seen, tokens = Eyes(HIDDEN)(torch.zeros(2, 3, 64, 64))
    assert seen.shape == (2, IMAGE_TOKENS, 256) and tokens.shape == (2, IMAGE_TOKENS, HIDDEN)


def test_words_point_to_their_own_embeddings(words, decoder):
    listed = target_words()["names"]
    assert listed[listed.index("happy face")] == f"{SHOWN[listed.index('happy face')]} face"
    assert len(listed) == len(NAMES)
    embeddings = read_embeddings(decoder / "weights.safetensors")
    vocabulary = json.loads((decoder / "tokenizer.json").read_text())["model"]["vocab"]
    two = embeddings[[vocabulary["police"], vocabulary["car"]]].mean(0)
    for vector, name in ((embeddings[vocabulary["cat"]], "cat"), (two, "police car")):
        cosines = words.cosines(vector, "names")
        assert NAMES[int(cosines.argmax())] == name and cosines.max() == pytest.approx(1, abs=1e-5)
    assert words.relative_norm(words.centre + 0).item() == 0


def test_a_file_without_embeddings_is_refused(tmp_path):
    save_file({"weight": torch.zeros(2, 2)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"one tensor that ends in embed_tokens.weight, and holds 0"):
        read_embeddings(tmp_path / "other.safetensors")


def test_the_loss_falls_on_a_batch_and_every_part_gets_a_gradient(words):
    torch.manual_seed(0)
    eyes, batch = Eyes(HIDDEN), training_batch(0, 0, 16)
    readouts = Readouts(eyes.width)
    optimizer = torch.optim.AdamW([*eyes.parameters(), *readouts.parameters()], 2e-3)
    losses = []
    for _ in range(12):
        loss = vision_loss(eyes, readouts, words, batch, CPU.device)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.85 * losses[0]
    still = {"vision_tower.layernorm.weight", "vision_tower.layernorm.bias"}  # behind the hidden state that is read
    assert {name for name, p in eyes.named_parameters() if p.grad is None} == still
    assert all(p.grad is not None for p in readouts.parameters())


def test_pictures_without_a_value_teach_nothing_of_it(words):
    eyes, batch = Eyes(HIDDEN), examples([EmojiScene((Item("cat", 32, 32, 20),), "flat", "red", 0)])
    readouts = Readouts(eyes.width)
    vision_loss(eyes, readouts, words, batch, CPU.device).backward()
    assert readouts.slots["relations"].weight.grad.abs().max() == 0
    assert readouts.slots["styles"].weight.grad.abs().max() > 0


def test_accuracy_is_that_of_the_readouts(words):
    eyes = Eyes(HIDDEN)
    readouts = Readouts(eyes.width)
    star = [EmojiScene((Item("star", 32, 32, 25),), style, "red", 0) for style in ("flat", "neon")]
    for layer, index in ((readouts.names, SHOWN.index("star")), (readouts.slots["styles"], STYLES.index("neon"))):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
        layer.bias.data[index] = 9
    result = accuracy(eyes, readouts, words, {"seen": star}, CPU)
    assert result["seen named"] == 1 and result["seen styles"] == 0.5


def test_each_of_two_items_is_read_from_the_cells_that_it_covers(words):
    eyes = Eyes(HIDDEN)
    readouts = Readouts(eyes.width)
    for parameter in (readouts.names.weight, readouts.names.bias):
        torch.nn.init.zeros_(parameter)
    readouts.names.bias.data[SHOWN.index("star")] = 9
    pair = (Item("star", 16, 16, 15), Item("cat", 48, 48, 15))
    hidden = (Item("star", 32, 32, 31), Item("cat", 32, 32, 1))
    scenes = [EmojiScene(items, "flat", "red", 0) for items in (pair, pair[::-1], hidden)]
    assert read(eyes, readouts, words, scenes, CPU).named.tolist() == [[True, False], [False, True], [True, False]]


def test_the_evaluation_prints_a_row_for_every_question(finished, decoder, capsys, monkeypatch):
    monkeypatch.setattr(evaluate_vision, "sprites_of", lambda art, folder: dict.fromkeys(icons(), WHITE))
    options = ["--decoder", str(decoder / "weights.safetensors"), "--tokenizer", str(decoder), "--images", "8"]
    evaluate_vision.main([*options, "--checkpoint", str(finished), "--packages", "unused"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "vision.safetensors, 4 steps"
    heads = [line[:42].strip() for line in lines[2:]]
    assert {"entity, OpenMoji", "emotion, never-trained combinations", "both of two", "relation"} <= set(heads)
    assert len(heads) == 27 and all("nan" not in line or "(" in line or "style of" in line for line in lines[2:])
    with pytest.raises(FileNotFoundError, match="train it first"):
        evaluate_vision.main([*options, "--checkpoint", str(finished.with_name("none.safetensors"))])


def test_held_out_scenes_are_of_the_kinds_that_they_are_named_after():
    scenes = held_out_scenes(6)
    assert all(map(is_unseen, scenes["unseen"]))
    assert not any(is_unseen(scene) for name, listed in scenes.items() if name != "unseen" for scene in listed)
    assert all(scene.relation for scene in scenes["relation"])
    assert all(scene.arrangement for scene in scenes["arrangement"])
    assert {len(scene.items) for scene in scenes["two"]} == {2}


@pytest.fixture(scope="module")
def finished(words, tmp_path_factory):
    path = tmp_path_factory.mktemp("vision") / "vision.safetensors"
    vision_training.train_vision(CPU, PLAN, words, path)
    return path


def test_a_checkpoint_holds_everything_that_is_trained(finished):
    groups, progress = training_state.load(finished)
    assert set(groups) == {"tower", "projector", "readouts", "optimizer"}
    assert progress["step"] == PLAN.steps and "unseen named" in progress["accuracy"]
    eyes = Eyes(HIDDEN)
    eyes.load_weights(groups)
    assert torch.equal(eyes.multi_modal_projector.linear_1.bias, groups["projector"]["linear_1.bias"])
    assert len(FEELINGS) + 339 == len(SHOWN)


def test_a_paused_training_goes_on_and_ends_with_the_same_weights(finished, words, tmp_path, caplog):
    path, asked = tmp_path / "vision.safetensors", []

    def paused():
        asked.append(None)
        return len(asked) == 2

    with caplog.at_level(logging.INFO):
        vision_training.train_vision(CPU, PLAN, words, path, paused)
    assert training_state.load(path)[1]["step"] == 2 and "start it again to resume" in caplog.text
    vision_training.train_vision(CPU, PLAN, words, path)
    once, twice = weights(finished), weights(path)
    for group in ("tower", "projector", "readouts"):
        for name, tensor in once[group].items():
            assert torch.allclose(tensor, twice[group][name], atol=1e-5), name


def test_checkpoints_are_written_when_their_time_has_come(words, tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(training_state, "save", lambda path, groups, progress: saved.append(progress["step"]))
    vision_training.train_vision(CPU, replace(PLAN, save_seconds=-1.0), words, tmp_path / "vision.safetensors")
    assert saved == [1, 2, 3, 4]


def test_a_training_begins_with_an_earlier_tower_and_other_pictures(words, tmp_path, monkeypatch):
    few = held_out_scenes(2)
    monkeypatch.setattr(vision_training, "held_out_scenes", lambda count: few)
    earlier, later = tmp_path / "earlier.safetensors", tmp_path / "later.safetensors"
    vision_training.train_vision(CPU, replace(PLAN, steps=3), words, earlier)
    asked, begun = [], []

    def batch(seed, step, count, artists):
        asked.append(step)
        return training_batch(seed, step, count, artists)

    def loss(eyes, *rest):
        begun.append({name: tensor.detach().clone() for name, tensor in eyes.weights()["tower"].items()})
        return real_loss(eyes, *rest)

    real_loss = vision_training.vision_loss
    monkeypatch.setattr(vision_training, "training_batch", batch)
    monkeypatch.setattr(vision_training, "vision_loss", loss)
    vision_training.train_vision(CPU, replace(PLAN, steps=2, after=earlier), words, later)
    assert asked == [3, 4], "not the pictures that the earlier training saw"
    kept = weights(earlier)["tower"]
    assert kept and all(torch.equal(begun[0][name], tensor) for name, tensor in kept.items())
    assert any(not torch.equal(begun[1][name], tensor) for name, tensor in kept.items())
    with pytest.raises(FileNotFoundError, match="no trained vision tower at .*none.safetensors to begin with"):
        vision_training.train_vision(CPU, replace(PLAN, after=tmp_path / "none.safetensors"), words, later)


def test_a_signal_pauses_after_the_step(words, tmp_path, monkeypatch):
    steps = []

    def batch(seed, step, count, artists):
        steps.append(step)
        if step == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return training_batch(seed, step, 4)

    monkeypatch.setattr(vision_training, "training_batch", batch)
    few = held_out_scenes(2)
    monkeypatch.setattr(vision_training, "held_out_scenes", lambda count: few)
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    path = tmp_path / "vision.safetensors"
    try:
        pause = Pause(tmp_path).on_signals()
        vision_training.train_vision(CPU, replace(PLAN, steps=50), words, path, pause)
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(number, handler)
    assert steps == [0, 1] and training_state.load(path)[1]["step"] == 2
