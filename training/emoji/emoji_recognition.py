"""What the emoji model sees: things, feelings, styles, arrangements and relations on images that it never saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mllm_probe.emoji.emoji_drawing import draw
from mllm_probe.emoji.emoji_scene import EmojiScene, sample
from mllm_probe.emoji.lexicon import CONCEPTS, EMOTIONS, NOUNS, RELATIONS
from mllm_probe.metrics.text import named
from training.emoji.captions import SEE_PROMPT
from training.evaluation.accuracy import Score, score
from training.evaluation.answerer import Answerer

Artwork = Mapping[str, np.ndarray]
_SEED, _SIDE, _LONGEST = 30_000, 128, 24
_STYLE, _EMOTION = "What is the style?", "What is the emotion?"
_ARRANGEMENT, _RELATION = "What is the arrangement?", "What is the relation?"


@dataclass(frozen=True)
class Row:
    """One row of the table: which scenes, what is asked of them, and what has to be named.

    `combinations`, `kind`: as for `sample`. `truths`: from a scene to the concepts that a right answer names; a scene
    with none is not asked about. `unseen_artist`: whether the scenes are drawn in the artwork of an artist that
    training never saw.
    """

    name: str
    combinations: str
    kind: str
    prompt: str
    truths: Callable[[EmojiScene], Sequence[str]]
    unseen_artist: bool = False


def _things(scene: EmojiScene) -> list[str]:
    names = [item.name for item in scene.items]
    return names if all(name in NOUNS for name in names) else []


def _feelings(scene: EmojiScene) -> list[str]:
    return [item.name for item in scene.items if item.name in EMOTIONS]


def _style(scene: EmojiScene) -> list[str]:
    return [scene.style]


def _arrangement(scene: EmojiScene) -> list[str]:
    return [scene.arrangement] if scene.arrangement else []


def _relation(scene: EmojiScene) -> list[str]:
    return [scene.relation] if scene.relation else []


ROWS = (
    Row("entity named, trained styles", "seen", "one", SEE_PROMPT, _things),
    Row("entity named, concept and style never trained together", "unseen", "one", SEE_PROMPT, _things),
    Row("entity named, OpenMoji (unseen artist)", "any", "one", SEE_PROMPT, _things, True),
    Row("emotion, trained", "seen", "one", _EMOTION, _feelings),
    Row("emotion, never trained together with the style", "unseen", "one", _EMOTION, _feelings),
    Row("emotion, OpenMoji (unseen artist)", "any", "one", _EMOTION, _feelings, True),
    Row("style", "seen", "one", _STYLE, _style),
    Row("style, never trained together with the thing", "unseen", "one", _STYLE, _style),
    Row("arrangement", "seen", "arrangement", _ARRANGEMENT, _arrangement),
    Row("relation", "seen", "relation", _RELATION, _relation),
    Row("two objects, both named", "seen", "two", SEE_PROMPT, _things),
    Row("two objects, both named, OpenMoji (unseen artist)", "any", "two", SEE_PROMPT, _things, True),
)
"""The recognition rows of the evaluation."""


def scenes_for(row: Row, count: int) -> list[EmojiScene]:
    """Return scenes of a seed that training does not use, which the row's question suits."""
    g = np.random.default_rng([_SEED, ROWS.index(row)])
    chosen: list[EmojiScene] = []
    while len(chosen) < count:
        scene = sample(g, row.combinations, row.kind)
        if row.truths(scene):
            chosen.append(scene)
    return chosen


def is_right(answer: str, truths: Sequence[str]) -> bool:
    """Return whether an answer names all of these concepts, and of a relation no other one."""
    others = [other for other in RELATIONS if other not in truths] if set(truths) & set(RELATIONS) else []
    return all(named(answer, CONCEPTS[name].words) for name in truths) and not any(
        named(answer, CONCEPTS[name].words) for name in others
    )


def recognition_scores(
    answer: Answerer, count: int, artwork: Artwork | None, rows: Sequence[Row] = ROWS
) -> list[Score]:
    """Return the score of every row.

    `count`: images of each row. `artwork`: sprites of the unseen artist by icon; without them its rows are left out.
    Returns an answer is right if it names what is shown (:func:`mllm_probe.metrics.spans`); "What do you see?" is asked
    for things, and a question for the category for everything else.
    """
    scores = []
    for row in rows:
        if row.unseen_artist and artwork is None:
            continue
        scenes = scenes_for(row, count)
        images = [drawn(scene, artwork if row.unseen_artist else None) for scene in scenes]
        answers = answer(images, [row.prompt] * count, _LONGEST)
        truths = [row.truths(scene) for scene in scenes]
        scores.append(score(row.name, [is_right(text, true) for text, true in zip(answers, truths, strict=True)]))
    return scores


def drawn(scene: EmojiScene, artwork: Artwork | None) -> Image.Image:
    """Return the image of a scene, larger than the model sees it."""
    return draw(scene, _SIDE, artwork=artwork)


def majority_shares(count: int) -> dict[str, float]:
    """Return for each row with few classes the share of its commonest one: what a constant answer gets."""
    shares = {}
    for row in ROWS:
        if row.truths in (_style, _arrangement, _relation, _feelings):
            classes = Counter(row.truths(scene)[0] for scene in scenes_for(row, count))
            shares[row.name] = classes.most_common(1)[0][1] / count
    return shares
