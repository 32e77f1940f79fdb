import math

import pytest

from mllm_probe.scenes import CATEGORIES, draw
from mllm_probe.scenes.language import CAPTION_PROMPT, DEFAULT_PROMPT, caption
from mllm_probe.scenes.scene import is_unseen, true_concepts
from training.evaluation.accuracy import problems, recognition, scenes, score, table
from training.evaluation.answerer import Answerer


def _oracle(asked, wrong=()):
    """Answers as if it knew every scene, except that it never says the words in `wrong`."""
    known = {draw(scene, 256).tobytes(): scene for scene in asked}

    def answer(images, questions, most=32):
        said = []
        for image, question in zip(images, questions, strict=True):
            scene = known[image.tobytes()]
            replies = {
                DEFAULT_PROMPT: ", ".join(word for word in true_concepts(scene) if word not in wrong),
                CAPTION_PROMPT: caption(scene),
                "What is the relation?": scene.relation or "none",
            }
            said.append(replies.get(question, "yes"))
        return said

    return answer


def test_an_oracle_is_right_about_everything_and_one_slip_costs_its_category():
    asked = scenes(60, "seen")
    scores = {one.name: one for one in recognition(_oracle(asked), asked)}
    assert all(scores[name].share == 1 for name in (*CATEGORIES, "whole list", "whole caption", "relation, by name"))
    slipped = {one.name: one for one in recognition(_oracle(asked, wrong=("neon", "sketch")), asked)}
    assert slipped["visual_style"].share < 1 and slipped["entity"].share == 1 and slipped["whole list"].share < 1


def test_problems_are_asked_on_as_many_pictures_as_asked_for():
    scores = problems(lambda images, questions, most: ["cat"] * len(images), 12)
    assert [one.n for one in scores] == [12] * 4 and all(one.share < 0.6 for one in scores)


def test_evaluation_scenes_keep_seen_and_unseen_apart_and_do_not_change():
    assert not any(map(is_unseen, scenes(20, "seen"))) and all(map(is_unseen, scenes(20, "unseen")))
    assert scenes(3, "seen") == scenes(3, "seen")


def test_a_table_shows_share_interval_and_count():
    text = table("New scenes", [score("entity", [True] * 9 + [False]), score("none", [])])
    assert "| entity | 0.900 | 0.596 to 0.982 | 10 |" in text
    assert math.isnan(score("none", []).share)


def test_a_model_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(OSError):
        Answerer(tmp_path / "no-such-folder")
