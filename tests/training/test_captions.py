"""Captions, questions and answers are true of their scenes and good English."""

import re

import numpy as np
import pytest

from mllm_probe.emoji import EmojiScene, Item, sample, true_concepts
from mllm_probe.emoji.emoji_scene import MIXTURE
from mllm_probe.emoji.lexicon import CONCEPTS, EMOTIONS, ENTITIES, FEELINGS, NOUNS, STYLES
from training.emoji import captions

SCENES = [sample(np.random.default_rng([7, i]), kind=kind) for kind in MIXTURE for i in range(80)]
AN = re.compile(r"\ban? [a-z]+", re.IGNORECASE)
LIKE_YOU, SILENT = {"unicorn", "ufo"}, {"hourglass"}


def texts(scene, seed=0):
    g = np.random.default_rng(seed)
    questions = captions.questions(scene, g, 30)
    return [text for question in questions for text in (question.text, question.answer)]


def right_article(found):
    article, word = found.lower().split()
    vowel = (word[0] in "aeiou" and word not in LIKE_YOU) or word in SILENT
    return (article == "an") == vowel


@pytest.mark.parametrize("name", [*ENTITIES, *FEELINGS])
def test_articles_are_right(name):
    for text in (captions.phrase(name), captions.qualified("lonely", name), captions.qualified("large", name)):
        assert all(right_article(found) for found in AN.findall(text)), text
    if name in NOUNS and NOUNS[name].use in ("mass", "plural", "name"):
        assert captions.phrase(name) == name


def test_examples_of_phrases():
    known = {"octopus": "an octopus", "unicorn": "a unicorn", "UFO": "a UFO", "hourglass": "an hourglass",
             "bread": "bread", "scissors": "scissors", "sun": "the sun", "Santa Claus": "Santa Claus",
             "angry": "an angry face", "X": None}  # fmt: skip
    assert {name: captions.phrase(name) for name in known if known[name]} == {n: p for n, p in known.items() if p}
    assert captions.plural("wolf") == "wolves" and captions.plural("sheep") == "sheep"
    assert captions.verb("scissors") == "are" and captions.verb("bread") == "is"
    assert captions.joined(["a", "b", "c"]) == "a, b and c"


@pytest.mark.parametrize("number", range(0, len(SCENES), 4))
def test_texts_are_whole_sentences_with_right_articles(number):
    for text in texts(SCENES[number]):
        assert re.fullmatch(r"[A-Z].*[.?]", text), text
        assert "{" not in text and "  " not in text and "None" not in text, text
        assert all(right_article(found) for found in AN.findall(text)), text
        assert not re.search(r"\b(a|an|the) (a|an|the)\b", text), text


@pytest.mark.parametrize("number", range(0, len(SCENES), 4))
def test_what_is_seen_names_everything_and_nothing_else(number):
    scene = SCENES[number]
    g = np.random.default_rng(number)
    for ask in (captions.see, captions.short, captions.describe):
        answer = ask(scene, g).answer.lower()
        for item in scene.items:
            forms = (item.name, captions.plural(item.name))
            assert any(form.lower() in answer for form in forms), answer
    caption = captions.describe(scene, g).answer
    assert scene.style in caption
    if scene.arrangement:
        assert any(word in caption for word in CONCEPTS[scene.arrangement].words), caption
    if scene.relation:
        assert captions.PHRASES[scene.relation] in caption


def test_a_scene_and_a_generator_decide_the_text():
    for scene in SCENES[::40]:
        assert texts(scene, 1) == texts(scene, 1)
    assert any(texts(scene, 1) != texts(scene, 2) for scene in SCENES[::40])


def test_yes_and_no_are_true_and_about_equally_common():
    yes = {"there": 0, "is style": 0, "feels": 0, "is there in relation": 0}
    count = dict.fromkeys(yes, 0)
    for number, scene in enumerate(SCENES):
        for question in captions.questions(scene, np.random.default_rng(number), 30):
            if question.kind not in yes:
                continue
            said = question.answer.startswith("Yes")
            count[question.kind] += 1
            yes[question.kind] += said
            asked = question.text.lower()
            if question.kind == "there":
                true = any(captions.phrase(item.name).lower() in asked for item in scene.items)
            elif question.kind == "is style":
                true = scene.style in asked
            elif question.kind == "feels":
                true = next(item.name for item in scene.items if item.is_face) in asked
            else:
                subject = captions.definite(scene.items[0].name).lower()
                reference = captions.definite(scene.items[1].name).lower()
                true = f"{subject} {captions.PHRASES[scene.relation]} {reference}" in asked
            assert said == true, (question, true_concepts(scene))
    for kind, n in count.items():
        assert n > 20 and 0.3 < yes[kind] / n < 0.7, (kind, yes[kind], n)


def test_where_is_true_both_ways():
    cats = EmojiScene((Item("cat", 10, 32, 10), Item("house", 50, 32, 10)), "flat", "red", 0, relation="left")
    answers = {captions.where(cats, np.random.default_rng(i)).answer for i in range(20)}
    assert answers == {"The cat is to the left of the house.", "The house is to the right of the cat."}


def test_questions_that_cannot_be_asked_say_so():
    bare = EmojiScene((Item("star", 32, 32, 20),), "flat", "red", 0)
    lonely = EmojiScene((Item("star", 32, 32, 20),), "flat", "red", 0, arrangement="loneliness")
    g = np.random.default_rng(0)
    for ask, scene, text in (
        (captions.feels, bare, "no face"),
        (captions.kind, bare, "no group"),
        (captions.number, lonely, "ask for its arrangement"),
    ):
        with pytest.raises(ValueError, match=text):
            ask(scene, g)
    two = EmojiScene((Item("star", 20, 20, 10), Item("cat", 44, 44, 10)), "flat", "red", 0)
    with pytest.raises(ValueError, match="kind='relation'"):
        captions.where(two, g)
    assert captions.emotion(bare, g).answer in captions.NO_FACE
    assert captions.relation(bare, g).answer in captions.NO_RELATION


def test_open_questions_fit_what_is_there():
    for number, scene in enumerate(SCENES):
        asked = captions.open_question(scene, np.random.default_rng(number))
        assert asked.premise.startswith("I see ") and asked.premise.endswith(".")
        pool = captions.OPEN_TWO if len(scene.items) == 2 else captions.OPEN_ONE
        pool = captions.OPEN_FACE if len(scene.items) == 1 and scene.items[0].is_face else pool
        assert asked.text in pool


def test_wordings_are_several_and_all_listed():
    assert all(len(set(wordings)) == len(wordings) >= 2 for wordings in captions.WORDINGS.values())
    kinds = {q.kind for s in SCENES for q in captions.questions(s, np.random.default_rng(0), 30)}
    assert kinds <= {*captions.WORDINGS, "is there in relation"}
    assert {*STYLES, *EMOTIONS} <= set(CONCEPTS)
