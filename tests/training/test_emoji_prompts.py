"""Prompts that judge the language are fixed, and in no text that is trained on."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from mllm_probe.emoji.emoji_scene import sample
from training.emoji.captions import WORDINGS, questions
from training.emoji.language_prompts.evaluation_prompts import (
    closed_questions,
    every_prompt,
    facts,
    open_prompts,
)
from training.emoji.language_prompts.training_prompts import about, chats, single_chats
from training.emoji.teacher_answers import TeacherPlan, prompts

FIXED = "4508eb9112d165b6"
"""Hash of all prompts of the evaluation: whoever changes one trains anew."""


def normed(text: str) -> str:
    """Words of a text alone, between spaces."""
    return f" {' '.join(''.join(c if c.isalnum() else ' ' for c in text.lower()).split())} "


def leaks(trained: list[str]) -> set[str]:
    """Prompts of the evaluation that a text contains."""
    texts = {normed(text) for text in trained}
    return {prompt for prompt in every_prompt() if any(normed(prompt) in text for text in texts)}


def test_the_prompts_are_those_that_were_fixed() -> None:
    assert hashlib.sha256("\n".join(every_prompt()).encode()).hexdigest()[:16] == FIXED
    assert len(set(every_prompt())) == len(every_prompt())
    assert len(facts()) >= 200 and len(open_prompts()) >= 200 and len(closed_questions()) >= 8
    assert all(fact.answers and all(fact.answers) for fact in facts())


def test_no_chat_or_question_that_is_trained_on_is_one_of_the_evaluation() -> None:
    asked = [wording for wordings in WORDINGS.values() for wording in wordings]
    assert len(chats()) > 3000 and len(single_chats()) > 200
    assert not leaks([*chats(), *about(), *asked])


def test_nothing_that_the_teacher_is_told_or_a_caption_says_is_one_of_the_evaluation() -> None:
    g = np.random.default_rng(3)
    posed = [question for _ in range(400) for question in questions(sample(g), g, 8)]
    told = [text for one in prompts(TeacherPlan()) for text in (one.told, one.question)]
    assert not leaks([*(text for one in posed for text in (one.text, one.answer)), *told])


@pytest.mark.parametrize("text", ["Well: what is the capital of  France?", "I see a cat. Can you EAT it?"])
def test_the_check_sees_what_it_should(text: str) -> None:
    assert len(leaks([text])) == 1
