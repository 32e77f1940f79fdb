"""Each part of the rule of naming, by pairs of answers that differ in little: one says that the thing is there."""

import pytest

from mllm_probe.metrics.text import named, spans

PAIRS = [
    ("what becomes of the subject", "the cat on the roof is gone", "cat", "roof"),
    ("what is missing", "the cat is missing", "the cat is missing a leg", "cat"),
    ("gone or not", "the cat is missing", "the cat is not missing", "cat"),
    ("of which thing", "the cat and the dog are missing", "there is a cat and the dog is missing", "cat"),
    ("an entry of a list", "dog: yes, cat: no", "dog: yes, cat: no collar", "cat"),
    ("alternatives", "what is it, a cat or a dog?", "what is the cat doing?", "cat"),
    ("open questions", "is there a cat?", "why is there a cat?", "cat"),
    ("answered questions", "is it a cat? no", "is it a cat? yes", "cat"),
    ("questions about this", "is this meat? no", "is this meat fresh? no", "meat"),
    ("tags", "it's a cat?", "it's a cat, isn't it?", "cat"),
    ("questions in Chinese", "这是猫吗", "这是猫", "猫"),
    ("places of a sentence", "none of them is a cat", "none of them sits on the cat", "cat"),
    ("nothing with a verb", "nothing here is a cat", "nothing in the sky above a cat", "cat"),
    ("exceptions", "everything except a cat", "the room is empty except for a cat", "cat"),
    ("doubt about a definite thing", "perhaps it is a cat", "perhaps the cat is ill", "cat"),
    ("either", "either a cat or a dog", "cats on either side of a dog", "dog"),
    ("conditions", "if it is a cat we will see", "if you look closely you will see a cat", "cat"),
    ("likeness of it", "he looks like a cat", "it looks like a cat", "cat"),
    ("examples", "he is quick like a cat", "there are objects like a cat", "cat"),
    ("who sees", "i do not see the cat", "the dog does not see the cat", "cat"),
    ("relative clauses", "a girl who isn't holding a cat", "a girl who isn't smiling holds a cat", "cat"),
    ("lists", "no dogs, cats or birds", "no dogs, cats are here", "cat"),
    ("parts", "without any trace of a cat", "a picture without colour of a cat", "cat"),
    ("clauses", "i do not think that there is a cat", "i do not sleep when there is a cat", "cat"),
    ("subjects", "no animal in this picture is a cat", "no animal is bigger, and there is a cat", "cat"),
    ("degrees", "a not very happy cat", "a very happy cat", "happy"),
    ("doubled", "the picture is without a cat", "the picture is not without a cat", "cat"),
    ("interjections", "no cat", "no it is a cat", "cat"),
    ("contrasts", "not a dog or a cat", "not a dog but a cat", "cat"),
    ("compounds", "a cat-like drawing", "a cat-style drawing", "cat"),
    ("prefixes", "a non-cat", "a tom-cat", "cat"),
    ("derived words", "a handful of coins", "a hand of cards", "hand"),
    ("Chinese", "没有猫", "没有狗，只有猫", "猫"),
    ("Japanese", "猫はいません", "猫はいます", "猫"),
    ("Korean", "고양이가 없습니다", "고양이가 있습니다", "고양이"),
    ("Thai", "ไม่มีแมว", "มีแมว", "แมว"),
]


@pytest.mark.parametrize(("denied", "there", "word"), [row[1:] for row in PAIRS[1:]], ids=[row[0] for row in PAIRS[1:]])
def test_one_of_the_pair_says_that_it_is_there(denied, there, word):
    assert named(there, [word]) and not named(denied, [word])


def test_what_is_said_after_a_place_is_said_of_its_subject():
    _, answer, subject, place = PAIRS[0]
    assert not named(answer, [subject]) and named(answer, [place])


def test_an_answer_can_deny_and_say_it():
    assert [span.negated for span in spans("not a cat on the left, a cat on the right, no cat below", ["cat"])] == [
        True, False, True,
    ]  # fmt: skip
