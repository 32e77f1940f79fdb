"""Accuracy on held-out scenes: per category, for whole answers, and for problems."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mllm_probe.metrics.statistics import wilson_interval
from mllm_probe.scenes.language import (
    CAPTION_PROMPT,
    DEFAULT_PROMPT,
    PROBLEMS,
    Question,
    caption,
    existence,
    missing_item,
    parse_list,
    row_questions,
)
from mllm_probe.scenes.rendering import draw
from mllm_probe.scenes.sampling import sample
from mllm_probe.scenes.scene import CATEGORIES, CONCEPTS, Scene, true_concepts
from training.evaluation.answerer import Answerer

_PICTURE_SIDE = 256
_SEED = 20_000


@dataclass(frozen=True)
class Score:
    """Number of right answers of `n`."""

    name: str
    right: int
    n: int

    @property
    def share(self) -> float:
        """Share of right answers, NaN without any."""
        return self.right / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the share."""
        low, high = wilson_interval(self.right, self.n)
        return float(low), float(high)


def score(name: str, right: Iterable[bool]) -> Score:
    """Return the score of a sequence of right and wrong answers."""
    answers = [bool(one) for one in right]
    return Score(name, sum(answers), len(answers))


def scenes(count: int, combinations: str, seed: int = _SEED, kind: str | None = None) -> list[Scene]:
    """Return scenes of seeds that training does not use."""
    offset = {"seen": 0, "unseen": 1}[combinations]
    return [sample(np.random.default_rng([seed, offset, i]), combinations, kind) for i in range(count)]


def _of(category: str, words: Iterable[str]) -> set[str]:
    return {word for word in words if CONCEPTS[word].category == category}


def _by_name(shown: Sequence[Scene], answers: Sequence[str], value: Callable[[Scene], str | None]) -> list[bool]:
    return [reply == value(scene) for scene, reply in zip(shown, answers, strict=True) if value(scene)]


def recognition(answer: Answerer, shown: Sequence[Scene]) -> list[Score]:
    """Return how often concepts, lists, captions and existence are right.

    Returns: of a category, over the scenes that show something of it: exactly that is named, and nothing else of the
    category, in the free answer to "What do you see?".
    """
    images = [draw(scene, _PICTURE_SIDE) for scene in shown]
    truths = [true_concepts(scene) for scene in shown]
    listed = [parse_list(text) for text in answer(images, [DEFAULT_PROMPT] * len(images))]
    scores = [
        score(
            category,
            [
                _of(category, t) == _of(category, names)
                for t, names in zip(truths, listed, strict=True)
                if _of(category, t)
            ],
        )
        for category in CATEGORIES
    ]
    scores.append(score("whole list", [set(t) == set(names) for t, names in zip(truths, listed, strict=True)]))
    captions = answer(images, [CAPTION_PROMPT] * len(images))
    scores.append(score("whole caption", [caption(s) == reply for s, reply in zip(shown, captions, strict=True)]))
    related = answer(images, ["What is the relation?"] * len(images))
    scores.append(score("relation, by name", _by_name(shown, related, lambda scene: scene.relation)))
    sideways = [scene.relation in ("left", "right") and scene.reference != "box" for scene in shown]
    named = zip(shown, related, sideways, strict=True)
    scores.append(score("left or right of a thing", [reply == s.relation for s, reply, side in named if side]))
    g = np.random.default_rng(7)
    posed = [existence(scene, g) for scene in shown]
    replies = answer(images, [question.text for question in posed], 3)
    for expected in ("yes", "no"):
        right = [a == q.answer for q, a in zip(posed, replies, strict=True) if q.answer == expected]
        scores.append(score(f"is it there: {expected}", right))
    return scores


def _score_questions(answer: Answerer, posed: Sequence[tuple[Scene, Question]]) -> list[bool]:
    images = [draw(scene, _PICTURE_SIDE) for scene, _ in posed]
    answers = answer(images, [question.text for _, question in posed], 6)
    return [a == question.answer for (_, question), a in zip(posed, answers, strict=True)]


def problems(answer: Answerer, count: int) -> list[Score]:
    """Return how often each problem is solved, on `count` images each."""
    patterns = scenes(count, "seen", kind="pattern")
    posed = [(scene, Question(PROBLEMS[0], "What is missing?", missing_item(scene))) for scene in patterns]
    scores = [score(PROBLEMS[0], _score_questions(answer, posed))]
    g = np.random.default_rng(11)
    rows = [(scene, row_questions(scene, g)) for scene in scenes(count, "seen", kind="row")]
    for i, name in enumerate(PROBLEMS[1:]):
        scores.append(score(name, _score_questions(answer, [(scene, row[i]) for scene, row in rows])))
    return scores


def table(title: str, scores: Sequence[Score]) -> str:
    """Return scores as a Markdown table with 95 % intervals."""
    lines = [f"### {title}", "", "| | right | 95 % interval | n |", "|---|---|---|---|"]
    for one in scores:
        low, high = one.interval
        lines.append(f"| {one.name} | {one.share:.3f} | {low:.3f} to {high:.3f} | {one.n} |")
    return "\n".join(lines)
