"""The evaluation of the emoji model counts what it says it counts."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mllm_probe.emoji.emoji_scene import is_unseen
from mllm_probe.emoji.lexicon import icons
from mllm_probe.loading.assembling import Assembly
from tests.training.conftest import TOOK
from training.emoji import emoji_evaluation, emoji_recognition, language_kept
from training.emoji.emoji_evaluation import evaluate_emoji, keep_results
from training.emoji.emoji_folder import export
from training.emoji.emoji_recognition import ROWS, is_right, majority_shares, recognition_scores, scenes_for
from training.emoji.emoji_run import EmojiPlan
from training.emoji.language_kept import Speaker, divergences, facts_kept, first_content_word, knowledge_scores
from training.emoji.low_rank_adapters import adapters
from training.emoji.seeing_decoder import ChatTokens, SeeingDecoder, seeing_decoder
from training.evaluation.answerer import Answerer
from training.model_evaluation import evaluate_listed

CPU = torch.device("cpu")
ARTWORK = {icon: np.full((96, 96, 4), 255, np.uint8) for icon in icons()}


@pytest.fixture(scope="module")
def adapted(tiny_cache: Path) -> SeeingDecoder:
    torch.manual_seed(0)
    model = seeing_decoder(tiny_cache, Assembly(), CPU)
    with torch.no_grad():
        for adapter in adapters(model.decoder).values():
            adapter.up.normal_(0, 0.2)
    return model


@pytest.fixture(scope="module")
def folder(adapted: SeeingDecoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated") / "emoji-135m"
    export(adapted, folder, EmojiPlan(), TOOK)
    return folder


class Oracle:
    """Answers every row's question with what its scenes show, or with something else."""

    def __init__(self, knows: bool) -> None:
        self.knows, self.asked = knows, list[str]()

    def __call__(self, images: list[Image.Image], prompts: list[str], most: int) -> list[str]:
        self.asked += prompts
        row = ROWS[self.row]
        truths = [row.truths(scene) for scene in scenes_for(row, len(images))]
        return [f"I see {' and '.join(true)}." if self.knows else "I see nothing." for true in truths]


@pytest.mark.parametrize("knows", [True, False])
def test_a_row_counts_answers_that_name_what_is_shown(knows: bool) -> None:
    oracle = Oracle(knows)
    for oracle.row, row in enumerate(ROWS):
        [score] = recognition_scores(oracle, 6, ARTWORK, (row,))
        assert (score.name, score.right, score.n) == (row.name, 6 * knows, 6)
        assert oracle.asked[-1] == row.prompt


def test_scenes_of_a_row_are_of_its_kind() -> None:
    for row in ROWS:
        scenes = scenes_for(row, 8)
        assert all(row.truths(scene) for scene in scenes)
        if row.combinations != "any":
            assert {is_unseen(scene) for scene in scenes} == {row.combinations == "unseen"}


def test_without_the_unseen_artist_its_rows_are_left_out() -> None:
    assert [row.name for row in ROWS if row.unseen_artist and recognition_scores(Oracle(True), 2, None, (row,))] == []
    assert sum(row.unseen_artist for row in ROWS) == 3


def test_the_unseen_artist_draws_its_rows() -> None:
    row = next(row for row in ROWS if row.unseen_artist)
    scene = replace(scenes_for(row, 1)[0], style="flat")
    own, other = (np.asarray(emoji_recognition.drawn(scene, artwork)) for artwork in (None, ARTWORK))
    assert not np.array_equal(own, other)


@pytest.mark.parametrize(
    ("answer", "truths", "right"),
    [
        ("I see an octopus.", ["octopus"], True),
        ("I see two octopuses.", ["octopus"], True),
        ("I do not see an octopus.", ["octopus"], False),
        ("An octopus.", ["octopus", "cat"], False),
        ("The cat is above the house.", ["above"], True),
        ("The cat is above and below the house.", ["above"], False),
    ],
)
def test_what_is_right(answer: str, truths: list[str], right: bool) -> None:
    assert is_right(answer, truths) is right


def test_a_constant_answer_gets_the_share_of_the_commonest_class() -> None:
    shares = majority_shares(40)
    assert {"arrangement", "relation", "style"} <= set(shares) and all(0 < share < 0.5 for share in shares.values())


@pytest.mark.parametrize(
    ("text", "word"), [("Yes, you can eat it.", "yes"), ("It is not a bear.", "bear"), ("The.", ""), ("", "")]
)
def test_the_first_content_word(text: str, word: str) -> None:
    assert first_content_word(text) == word


def test_divergence_is_zero_without_adapters_and_larger_with_them(tiny_cache: Path, folder: Path) -> None:
    answer = Answerer(folder, dtype=torch.float32)
    decoder = language_kept.untouched(tiny_cache, answer.processor.tokenizer, torch.float32)
    same = divergences(decoder, decoder, 3)
    assert same.shape == (3,) and np.abs(same).max() < 1e-9
    own = Speaker(answer.model, ChatTokens(answer.processor.tokenizer))
    assert (divergences(own, decoder, 3) > 1e-3).all()


def test_facts_are_counted_of_those_that_the_decoder_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    class Says:
        def __init__(self, *answers: str) -> None:
            self.answers = list(answers)

        def __call__(self, prompts: list[str], most: int) -> list[str]:
            return self.answers[: len(prompts)]

        def text(self, answers: list[str]) -> list[str]:
            return answers

    first = language_kept.facts()[:3]
    right = [fact.answers[0] for fact in first]
    decoder, own = Says(right[0], right[1], "no idea"), Says(right[0], "no idea", right[2])
    before, still = facts_kept(own, decoder, 3)  # type: ignore[arg-type]
    assert (before.right, before.n, still.right, still.n) == (2, 3, 1, 2)


def test_knowledge_is_agreement_with_the_decoder_that_is_told_the_noun() -> None:
    told: list[str] = []

    class Decoder:
        def __call__(self, chats: list[str], most: int) -> list[str]:
            told.extend(chats)
            return ["yes" if len(told) <= 6 else "no"] * len(chats)

        def text(self, answers: list[str]) -> list[str]:
            return answers

    seen, wrong = knowledge_scores(lambda images, asked, most: ["Yes."] * len(images), Decoder(), 6)  # type: ignore[arg-type]
    assert (seen.right, wrong.right, seen.n) == (6, 0, 6)
    assert all(text.startswith("I see ") for text in told)
    assert all(a.split(". ")[0] != b.split(". ")[0] for a, b in zip(told[:6], told[6:], strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_tables_of_a_model(folder: Path, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emoji_evaluation, "ROWS", ROWS[:1] + ROWS[2:3])
    printed: list[str] = []
    made = evaluate_emoji(folder, 2, ("recognition",), None, dtype, printed.append)
    tables = made["recognition"]
    assert (
        list(made) == ["recognition"] and tables == printed and "| entity named, trained styles | 0.000 |" in tables[0]
    )
    assert "OpenMoji was not at hand" in tables[0] and "A constant answer would get" in tables[0]
    keep_results(folder, {"steering": ["how it is steered"]})
    keep_results(folder, made)
    card = (folder / "README.md").read_text()
    assert card.index(tables[0]) < card.index("how it is steered"), "parts are kept, in their order"


def test_without_npm_the_unseen_artist_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OSError, match=r"OpenMoji .*\. Put that right, or leave it out: --without-unseen-artist"):
        evaluate_listed(str(folder), count=1)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nonesuch", {}, "There is no model 'nonesuch' to evaluate"),
        ("FOLDER", {"only": "taste"}, "only: expected one of recognition, language, steering; got 'taste'"),
        ("FOLDER", {"dtype": "int8"}, "dtype: expected one of bfloat16, float32; got 'int8'"),
    ],
)
def test_wrong_options(folder: Path, name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate_listed(str(folder) if name == "FOLDER" else name, **options)  # type: ignore[arg-type]


def test_a_share_of_nothing_is_no_number() -> None:
    assert math.isnan(language_kept.score("nothing", []).share)
