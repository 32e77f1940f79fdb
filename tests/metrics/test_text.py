"""Naming, kept content and repetition of answers."""

import math

import pytest

from mllm_probe.metrics.text import forms, kept, mentions, named, named_tokens, repetition

CAT = ("cat", "kitten")


@pytest.mark.parametrize(
    "answer",
    [
        "a cat",
        "Cats on a roof.",
        "I see the CAT!",
        "two kittens",
        "no dog, but a cat",
        "not only a cat",
        "a house without trees. A cat sleeps.",
        "no dog and a cat",
        "the cat is not black",
        "a cat with no tail",
    ],
)
def test_a_mention_counts(answer):
    assert named(answer, CAT)


@pytest.mark.parametrize(
    "answer",
    [
        "no cat",
        "not a cat",
        "without a cat",
        "There isn't a big cat here",
        "neither dog nor cat",
        "no dog or cat",
        "the cat is not there",
        "The cat is missing",
        "a cat isn't visible",
        "concatenate the category",
        "caterpillar",
        "",
    ],
)
def test_a_negation_or_another_word_does_not(answer):
    assert not named(answer, CAT)


def test_one_positive_mention_is_enough():
    assert named("not a cat? No: it is a cat", CAT)


def test_plurals_and_underscores_are_forms():
    assert forms(["Van_Gogh", "butterfly", "fox"]) == (
        "van gogh", "butterfly", "fox", "van goghs", "butterflies", "foxes",
    )  # fmt: skip
    assert named("in the style of van-Gogh", ["Van_Gogh"])
    assert named("two butterflies", ["butterfly"])


def test_spans_include_negated_mentions_only_when_asked():
    assert mentions("no cat, a kitten", CAT) == [(3, 6), (10, 16)]
    assert mentions("no cat, a kitten", CAT, negated=False) == [(10, 16)]


def test_without_words_nothing_is_named():
    assert not named("anything", ())


def test_token_sequences_are_found():
    assert named_tokens([5, 6, 7, 8], [(9,), (6, 7)])
    assert not named_tokens([5, 6, 7, 8], [(7, 6), ()])


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
