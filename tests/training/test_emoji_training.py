"""The emoji model's training in miniature, on a made-up decoder of two blocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import LlamaForCausalLM

import mllm_probe as mp
from mllm_probe.loading.assembling import PARTS, Assembly
from mllm_probe.scenes.language import Question
from tests.training.conftest import TOOK, killed
from training import training_state
from training.emoji import emoji_run, language_training, teacher_answers, vision_training
from training.emoji.emoji_folder import export
from training.emoji.emoji_run import LANGUAGE, STEPS, TEACHER, TOWER, EmojiPlan, train
from training.emoji.language_training import LanguagePlan, step_data, weighted
from training.emoji.low_rank_adapters import adapters, without_adapters
from training.emoji.seeing_decoder import SeeingDecoder, seeing_decoder
from training.emoji.teacher_answers import TOP, Taught, TeacherPlan, divergence, prompts
from training.emoji.vision_training import VisionPlan, word_vectors
from training.emoji.word_vectors import WordVectors
from training.model_training import train_listed
from training.optimizer import HybridOptimizer
from training.parallel import Team
from training.pausing import PAUSE, Pause
from training.scenes.question_packing import pack

CPU = torch.device("cpu")
PLAN = EmojiPlan(
    VisionPlan(steps=3, batch=4, held=4, pretrained=False),
    TeacherPlan(chats=6, about=6, longest=5, batch=4),
    LanguagePlan(steps=4, images=2, questions=2, room=500, about=2, chats=2, seen=4, held=4, warmup=1),
)
pytestmark = pytest.mark.usefixtures("tiny_cache")


@pytest.fixture(scope="module")
def finished(tiny_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("emoji-training")
    assert train(PLAN, folder / "work", folder / "model")
    return folder


def untrained(tiny_cache: Path) -> tuple[SeeingDecoder, WordVectors]:
    """The made-up decoder with eyes, and the vectors of its words."""
    model = seeing_decoder(tiny_cache, Assembly(), CPU)
    return model, word_vectors(tiny_cache / "model.safetensors", tiny_cache)


@pytest.fixture(scope="module")
def taught(finished: Path, tiny_cache: Path) -> list[Taught]:
    """The teacher's answers of the finished training."""
    model, _ = untrained(tiny_cache)
    work, plan = finished / "work" / TEACHER, PLAN.teacher
    return teacher_answers.teacher_answers(model.decoder, model.tokens, prompts(plan), plan, work, Assembly().decoder)


@pytest.fixture
def model(tiny_cache: Path) -> SeeingDecoder:
    torch.manual_seed(0)
    made, _ = untrained(tiny_cache)
    with torch.no_grad():
        for adapter in adapters(made.decoder).values():
            adapter.up.normal_(0, 0.1)
    return made


def same_weights(one: Path, other: Path) -> bool:
    first, second = load_file(one / PARTS), load_file(other / PARTS)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_trained_model_is_loaded_and_answers(finished: Path) -> None:
    model = mp.load(finished / "model", device="cpu")
    assert model.verify().passed and model.default_prompt == "Describe the picture."
    assert (finished / "model" / PARTS).stat().st_size < 10_000_000
    card = (finished / "model" / "README.md").read_text()
    assert "A tiny decoder, dequantised from Q4_1" in card and "4 steps of 2 images" in card
    assert "Twemoji by Twitter, Inc. and other contributors, CC-BY-4.0" in card


def test_adapters_learn_at_their_own_rate_and_a_tower_that_goes_on_at_half(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[HybridOptimizer] = []

    def kept(*arguments: object) -> HybridOptimizer:
        made.append(HybridOptimizer(*arguments))
        return made[-1]

    for module in (vision_training, language_training):
        monkeypatch.setattr(module, "HybridOptimizer", kept)
    plan = replace(PLAN, tower=replace(PLAN.tower, after=finished / "work" / TOWER))
    assert train(plan, tmp_path / "work", tmp_path / "model")
    tower, language = (sorted({g["peak"] for o in one.optimizers.values() for g in o.param_groups}) for one in made)
    own = PLAN.language
    assert tower == pytest.approx(sorted([PLAN.tower.muon_rate / 2, PLAN.tower.adam_rate / 2]))
    assert language == pytest.approx(sorted([own.adapter_rate, own.adam_rate, own.muon_rate]))


def test_a_finished_training_is_not_done_again(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((language_training, "_losses"), (teacher_answers, "_answers")):
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("trained again"))
    assert train(PLAN, finished / "work", finished / "model")


@pytest.mark.parametrize(
    ("module", "name", "at"), [(language_training, "_losses", 3), (teacher_answers, "_answers", 2)]
)
def test_a_killed_training_goes_on_and_ends_with_the_same_weights(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: object, name: str, at: int
) -> None:
    plan = replace(PLAN, language=replace(PLAN.language, save_seconds=0.0))
    with killed(monkeypatch, module, name, at):
        train(plan, tmp_path / "work", tmp_path / "model")
    assert train(plan, tmp_path / "work", tmp_path / "model")
    assert same_weights(finished / "model", tmp_path / "model")


def test_a_paused_training_saves_and_goes_on(finished: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    asked = iter([*[False] * 4, True])  # after each of the tower's three steps, after the tower, after one batch
    assert not train(PLAN, work, tmp_path / "model", paused=lambda: next(asked))
    assert len(list((work / TEACHER).glob("answers-*"))) == 1 and not (work / LANGUAGE).exists()
    (work / PAUSE).touch()
    assert not train(PLAN, work, tmp_path / "model", paused=Pause(work))
    (work / PAUSE).unlink()
    assert train(PLAN, work, tmp_path / "model", paused=Pause(work))
    assert same_weights(finished / "model", tmp_path / "model")


def test_language_pauses_after_a_step(finished: Path, tmp_path: Path) -> None:
    assert train(PLAN, tmp_path / "work", tmp_path / "model", ("tower", "teacher"))
    (tmp_path / "work" / PAUSE).touch()
    assert not train(PLAN, tmp_path / "work", tmp_path / "model", ("language",), Pause(tmp_path / "work"))
    assert training_state.load(tmp_path / "work" / LANGUAGE)[1]["step"] == 1 and not (tmp_path / "model").exists()
    (tmp_path / "work" / PAUSE).unlink()
    assert train(PLAN, tmp_path / "work", tmp_path / "model", ("language",), Pause(tmp_path / "work"))
    assert same_weights(finished / "model", tmp_path / "model")


def test_minutes_become_steps_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emoji_run, "seconds_per_step", lambda *_: 30.0)
    plan = replace(PLAN, minutes=1.01)
    assert train(plan, tmp_path / "work", tmp_path / "model")
    assert training_state.load(tmp_path / "work" / LANGUAGE)[1]["step"] == 2
    monkeypatch.setattr(emoji_run, "seconds_per_step", lambda *_: pytest.fail("measured again"))
    assert (
        train(plan, tmp_path / "work", tmp_path / "model") and '"steps": 2' in (tmp_path / "work" / STEPS).read_text()
    )


def test_measuring_leaves_no_trace(finished: Path, tiny_cache: Path, taught: list[Taught]) -> None:
    model, words = untrained(tiny_cache)
    tower = finished / "work" / TOWER
    measured = language_training.seconds_per_step(Team(0, 1, CPU), model, words, taught, PLAN.language, tower, count=2)
    assert measured > 0
    before = language_training._begin(model, words, PLAN.language, tower).state()
    again = language_training._begin(untrained(tiny_cache)[0], words, PLAN.language, tower).state()
    assert all(torch.equal(before["adapters"][name], again["adapters"][name]) for name in before["adapters"])


def test_every_loss_falls(finished: Path, tiny_cache: Path, taught: list[Taught]) -> None:
    """Of one batch, seen again and again by adapters, projector and tower."""
    model, words = untrained(tiny_cache)
    plan = replace(PLAN.language, steps=60, adam_rate=2e-2, muon_rate=1e-2, chats=1)
    learning = language_training._begin(model, words, plan, finished / "work" / TOWER)
    data = step_data(model, plan, taught, 0)
    first = language_training._losses(learning, plan, data)
    for number in range(40):
        losses = language_training._losses(learning, plan, data)
        learning.optimizer.descend(weighted(losses, plan), number, Team(0, 1, CPU))
    last = language_training._losses(learning, plan, data)
    assert first["chats"].item() < 0.01, "the untouched decoder agrees with itself"
    assert last["answers"] < 0.9 * first["answers"] and last["seen"] < 0.9 * first["seen"]
    assert last["about"] < first["about"]
    assert all(parameter.grad is None for parameter in model.decoder.model.embed_tokens.parameters())


def test_the_same_step_has_the_same_data(model: SeeingDecoder, taught: list[Taught]) -> None:
    one, same, other = (step_data(model, PLAN.language, taught, step) for step in (1, 1, 2))
    assert np.array_equal(one.images, same.images) and torch.equal(one.packed.ids, same.packed.ids)
    assert not np.array_equal(one.images, other.images)
    assert len(one.images) == PLAN.language.images + PLAN.language.about
    assert all(answer.asked.shown is not None for answer in one.about)
    assert all(answer.asked.shown is None for answer in one.chats)


def test_training_computes_what_the_released_model_computes(model: SeeingDecoder, tmp_path: Path) -> None:
    """Packed, in a row of its own, and by the processor and the merged weights of the model's folder."""
    question = Question("see", "an a?", "an an.")
    export(model, tmp_path / "model", PLAN, TOOK)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    with torch.no_grad():
        seen, shown = model.look(np.asarray(image)[None])
        packed = pack([[Question("see", "a", "a a"), question]], model.tokens.encode, 100, model.tokens.turn)
        place = packed.placements[1]
        chosen = torch.zeros_like(packed.ids, dtype=torch.bool)
        chosen[0, place.start : place.start + place.length] = True
        together = model.packed_logits(shown, packed, chosen)
        prompt = model.tokens.about_image(question.text)
        row = [*prompt, *model.tokens.encode(question.answer)]
        longer = model.tokens.chat("a longer row, so that the other one is padded an an an an an an an an an an an an")
        alone = model.row_logits(shown, [row, longer], [range(len(prompt) - 1, len(row)), range(0)])
        released = mp.load(tmp_path / "model", device="cpu")
        encoded = released.encode(image, question.text)
        assert encoded.tensors["input_ids"][0].tolist() == [
            model.tokens.words.image_token_id if token == -1 else token for token in prompt
        ]
        merged = released.hf(**encoded.tensors).logits[0, -1, :-1]
    assert seen.shape == (1, 16, 256)
    scale = merged.abs().max()
    assert (together - alone).abs().max() < 0.03 * scale
    assert (alone[0] - merged).abs().max() < 0.03 * scale
    with torch.no_grad(), without_adapters(model.decoder):
        bare = model.row_logits(shown, [row], [range(len(prompt) - 1, len(row))])
    assert (bare - alone).abs().max() > 0.1 * scale


def test_without_adapters_the_decoder_is_untouched(model: SeeingDecoder, tiny_cache: Path) -> None:
    ids = torch.tensor([model.tokens.chat("an a")])
    plain = LlamaForCausalLM.from_pretrained(tiny_cache, dtype=torch.bfloat16)
    plain.set_attn_implementation("eager")
    with torch.no_grad():
        adapted = model.decoder(input_ids=ids).logits
        with without_adapters(model.decoder):
            assert torch.equal(model.decoder(input_ids=ids).logits, plain(input_ids=ids).logits)
        assert torch.equal(model.decoder(input_ids=ids).logits, adapted)
        assert not torch.allclose(adapted, plain(input_ids=ids).logits, atol=0.01)


def test_the_divergence_is_that_of_two_distributions() -> None:
    torch.manual_seed(0)
    teacher, student = torch.randn(3, TOP), torch.randn(3, TOP)
    full = torch.nn.functional.kl_div(
        student.log_softmax(-1), teacher.log_softmax(-1), log_target=True, reduction="none"
    )
    best = teacher.log_softmax(-1).topk(TOP)
    torch.testing.assert_close(divergence(student, best.indices, best.values), full.sum(1), atol=1e-4, rtol=1e-3)
    assert divergence(teacher, best.indices, best.values).abs().max() < 1e-5
    few = teacher.log_softmax(-1).topk(4)
    below = divergence(student, few.indices, few.values)
    assert (below <= full.sum(1) + 1e-5).all() and (below > 0).all()


def test_answers_of_the_teacher_are_its_own(finished: Path, tiny_cache: Path, model: SeeingDecoder) -> None:
    """Greedy ones are its likeliest tokens; each batch's rows are those of the prompt alone."""
    plan = replace(PLAN.teacher, sampled=0.0, seed=5)
    asked = prompts(plan)
    taught = teacher_answers.teacher_answers(
        model.decoder, model.tokens, asked, plan, finished / "greedy", Assembly().decoder
    )
    assert [one.asked for one in taught] == asked and sum(one.shown is not None for one in asked) == plan.about
    plain = LlamaForCausalLM.from_pretrained(tiny_cache, dtype=torch.bfloat16)
    for one in taught[:5]:
        assert np.array_equal(one.answer, one.likely[:, 0]) and one.likely.shape == (len(one.answer), TOP)
        row = [*model.tokens.chat(one.asked.told), *one.answer[:-1].tolist()]
        with torch.no_grad():
            chances = plain(input_ids=torch.tensor([row])).logits[0, -len(one.answer) :].float().log_softmax(-1)
        alone = chances.gather(1, torch.from_numpy(one.likely)).numpy()
        assert np.abs(alone - one.log_probabilities).max() < 0.05


def test_prompts_are_kept_with_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = teacher_answers.kept_prompts(PLAN.teacher, tmp_path)
    assert first == prompts(PLAN.teacher)
    monkeypatch.setattr(teacher_answers, "sample", lambda *_: pytest.fail("drawn again"))
    assert teacher_answers.kept_prompts(PLAN.teacher, tmp_path) == first


def test_two_trainings_in_one_folder(finished: Path) -> None:
    from filelock import FileLock

    with (
        FileLock(finished / "work" / "training.lock"),
        pytest.raises(BlockingIOError, match=r"Another process trains in .*: let it finish"),
    ):
        train(PLAN, finished / "work", finished / "model")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nonesuch", {}, "There is no model 'nonesuch' to train; expected one of scenes-4l"),
        ("emoji-135m", {"only": "hands"}, "only: expected one of tower, teacher, language; got 'hands'"),
        ("emoji-135m", {"steps": 1, "minutes": 1.0}, "Expected steps or minutes, not both"),
        ("scenes-4l", {"minutes": 1.0}, "minutes: not an option of scenes-4l, only of emoji-135m"),
    ],
)
def test_wrong_options(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train_listed(name, **options)  # type: ignore[arg-type]


def test_the_language_needs_a_tower(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no trained vision tower"):
        train(PLAN, tmp_path / "work", tmp_path / "model", ("language",))
