import numpy as np
import pytest

from mllm_probe.scenes import sample, true_concepts
from mllm_probe.scenes.language import DEFAULT_PROMPT, ask, caption, existence, parse_list, questions, suggestions

tokenizer = pytest.importorskip("training.scenes.architecture").tokenizer


def test_the_default_prompt_is_answered_with_all_true_concepts_each_of_which_can_come_first():
    scene = sample(np.random.default_rng(1), kind="face")
    rng = np.random.default_rng(0)
    lists = [parse_list(ask(scene, "list", rng).answer) for _ in range(60)]
    assert all(set(words) == set(true_concepts(scene)) for words in lists)
    assert {words[0] for words in lists} == set(true_concepts(scene))


def test_every_question_and_answer_is_in_the_vocabulary_and_survives_the_tokenizer():
    words, rng = tokenizer(), np.random.default_rng(0)
    for _ in range(300):
        for question in questions(sample(rng), rng, 20):
            for text in (question.text, question.answer):
                assert words.unk_token_id not in words(text)["input_ids"], text
            ids = words(question.answer, add_special_tokens=False)["input_ids"]
            assert words.decode(ids) == question.answer


def test_case_and_punctuation_do_not_matter():
    words = tokenizer()
    for text in [DEFAULT_PROMPT, *suggestions]:
        plain = text.lower().replace("?", "").replace(".", "")
        assert words(text)["input_ids"] == words(plain)["input_ids"] == words(text.upper() + "!!")["input_ids"]


def test_existence_is_answered_yes_about_as_often_as_no():
    rng = np.random.default_rng(0)
    answers = [existence(sample(rng), rng).answer for _ in range(2000)]
    assert 0.3 < np.mean([answer == "yes" for answer in answers]) < 0.6


def test_captions_name_every_true_concept():
    rng = np.random.default_rng(0)
    for _ in range(300):
        scene = sample(rng)
        assert set(true_concepts(scene)) <= set(caption(scene).split())
