"""Naming, kept content and repetition of answers."""

import json
import math
from pathlib import Path

import pytest

from mllm_probe.metrics.text import first_mention_tokens, forms, kept, named, repetition, spans

CAT = ("cat", "kitten")


CASES = json.loads((Path(__file__).parents[1] / "naming.json").read_text(encoding="utf-8"))
"""Answers with the words of a concept, whether it counts as named, and every mention; the front-end paints the same."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["answer"] or "empty")
def test_mentions_and_what_counts_as_naming(case):
    answer, words = case["answer"], case["words"]
    assert [list(span) for span in spans(answer, words)] == case["spans"]
    assert named(answer, words) == case["named"]
    assert kept(answer, {"it"}, {"it": words}) == case["named"]


def test_the_table_has_each_kind_of_answer():
    kinds = {tuple(negated for _, _, negated in case["spans"]) for case in CASES}
    assert {(), (True,), (False,), (True, False), (False, True)} <= kinds and len(CASES) >= 40
    assert any(len(case["answer"]) != len(case["answer"].encode("utf-16-le")) // 2 for case in CASES)
    assert len({(case["answer"], *case["words"]) for case in CASES}) == len(CASES)


def test_negations_can_be_others():
    assert [span.negated for span in spans("not a cat", CAT, negations=[])] == [False]
    assert [span.negated for span in spans("Hardly any cat, ain’t a cat", CAT, negations=["hardly", "n't", " "])] == [
        True, True,
    ]  # fmt: skip
    assert [span.negated for span in spans("no cat, axb cat, a.b cat", CAT, negations=["a.b"])] == [
        False, False, True,
    ]  # fmt: skip
    assert [span.negated for span in spans("the cat is missing", CAT, negations=[])] == [True]


@pytest.mark.parametrize("call", [lambda: named("a cat", "cat"), lambda: spans("a cat", CAT, negations="no")])
def test_one_text_in_place_of_a_list_of_words_is_refused(call):
    with pytest.raises(TypeError, match=r"is a list of words, not one text: got '\w+'; write \['\w+'\]"):
        call()


def test_plurals_derived_words_and_underscores_are_forms():
    assert forms(["Van_Gogh", "fox"])[:4] == ("van gogh", "fox", "van goghs", "foxes")
    made = forms(["butterfly", "snowman", "human", "happy", "joy", "hand"])
    assert {"butterflies", "snowmen", "humans", "happily", "happiness", "joyful", "joyfully"} <= set(made)
    assert not {"butterflys", "snowmans", "humen", "joiful", "handful"} & set(made)
    assert named("in the style of van-Gogh", ["Van_Gogh"])
    assert named("two butterflies", ["butterfly"])


def test_a_word_in_another_sense_is_no_mention():
    assert spans("a hot dog", ["dog"]) == [] and named("a hot dog", ["dog", "hot dog"])
    assert spans("a bag of cat food", ["cat"]) == [] and named("a bus stops here", ["bus"])
    assert named("a house on the left in the image, a cat to the right by a tree", ["left"])
    assert named("a house on the left in the image, a cat to the right by a tree", ["right"])
    assert spans("a cat right by the tree that was left behind", ["left", "right"]) == []


def test_token_sequences_are_found():
    assert first_mention_tokens([5, 6, 7, 8], [(9,), (6, 7)]) == (1, 3)
    assert first_mention_tokens([5, 6, 7, 8], [(7, 6), ()]) is None


def test_kept_leaves_the_steered_slot_out():
    words = {"cat": CAT, "sketch": ("sketch", "sketched"), "fear": ("fear", "afraid")}
    answer = "a sketched kitten"
    assert kept(answer, {"cat", "sketch", "fear"}, words) == pytest.approx(2 / 3)
    assert kept(answer, {"cat", "sketch", "fear"}, words, without={"fear"}) == 1.0
    assert kept("a star", {"cat", "star"}, words) == 0.5
    assert math.isnan(kept(answer, None, words))
    assert math.isnan(kept(answer, {"cat"}, words, without={"cat"}))


def test_repetition_is_the_share_of_words_seen_before():
    assert repetition("a cat, a Cat a") == pytest.approx(3 / 5)
    assert repetition("a cat") == 0
    assert math.isnan(repetition(" ... "))
