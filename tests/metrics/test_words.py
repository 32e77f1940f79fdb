"""Word variants, log-probabilities of words, KL and perplexity."""

import math
from types import SimpleNamespace

import pytest
import torch

from mllm_probe.metrics.kl import kl_divergence
from mllm_probe.metrics.perplexity import answer_perplexity
from mllm_probe.metrics.text import first_mention
from mllm_probe.metrics.words import (
    first_token_logit,
    first_token_logprob,
    single_token_logprob,
    word_table,
    word_variants,
)

VOCABULARY = ["<unk>", "cat", " cat", "Cat", " k", "itten", "s", " a", " the", "."]


def text_ids(text, *, leading_space):
    """Longest-match tokeniser over the vocabulary above."""
    rest, ids = (" " if leading_space else "") + text, []
    while rest:
        match = max((t for t in VOCABULARY[1:] if rest.startswith(t)), key=len, default=rest[0])
        ids.append(VOCABULARY.index(match) if match in VOCABULARY else 0)
        rest = rest[len(match) :]
    return ids


MODEL = SimpleNamespace(name="toy", tokenizer=SimpleNamespace(unk_token_id=0, all_special_ids=[0]), text_ids=text_ids)


def test_variants_cover_case_and_space_without_unknown_words():
    assert set(word_variants(MODEL, ["cat"])) == {(1,), (2,), (3,)}
    assert word_variants(MODEL, ["kitten"]) == ((4, 5),)


def test_a_variant_that_begins_with_another_is_one_event_with_it():
    assert set(word_variants(MODEL, ["cats", "cat"])) == {(1,), (2,), (3,)}


def test_token_ids_pass_and_text_without_tokenizer_says_what_to_do():
    bare = SimpleNamespace(name="toy", tokenizer=None)
    assert word_variants(bare, [7, [3, 4], (7,)]) == ((7,), (3, 4))
    with pytest.raises(ValueError, match="token ids"):
        word_variants(bare, ["cat"])


def test_logprob_is_the_probability_of_any_variant():
    table = word_table(MODEL, [["cat"], ["kitten"], []])
    logits = torch.randn(3, len(VOCABULARY))
    p = logits.softmax(-1)
    got = single_token_logprob(logits, table)
    torch.testing.assert_close(got[:, 0].exp(), p[:, [1, 2, 3]].sum(-1))
    assert torch.isneginf(got[:, 1:]).all()
    torch.testing.assert_close(first_token_logprob(logits, table)[:, 1].exp(), p[:, 4])
    torch.testing.assert_close(first_token_logit(logits, table)[:, 0], logits[:, [1, 2, 3]].logsumexp(-1))


def test_words_of_several_tokens_list_what_is_fed():
    table = word_table(MODEL, [[(4, 5), (4, 6), (1,), (7, 8, 9)]])
    assert table.continuations(0) == {(4,): (5, 6), (7, 8): (9,)}
    assert table.longest == 3


def test_kl_against_torch():
    a, b = torch.randn(2, 4, 7)
    expected = torch.nn.functional.kl_div(b.log_softmax(-1), a.log_softmax(-1), log_target=True, reduction="none").sum(
        -1
    )
    torch.testing.assert_close(kl_divergence(a, b), expected)
    assert kl_divergence(a, a).abs().max() == 0


def test_perplexity_leaves_uncounted_tokens_out():
    logprobs = torch.tensor([[0.5, 0.25, 0.001], [0.1, 0.1, 0.1]]).log()
    counted = torch.tensor([[True, True, False], [False, False, False]])
    first, second = answer_perplexity(logprobs, counted).tolist()
    assert first == pytest.approx(1 / math.sqrt(0.5 * 0.25)) and math.isnan(second)


def test_first_mention_in_tokens():
    def decode(ids):
        return "".join(VOCABULARY[i] for i in ids).lstrip()

    assert first_mention([7, 4, 5, 9], decode, ["kitten"]) == (1, 3)
    assert first_mention([1, 9, 2], decode, ["cat"]) == (0, 1)
    assert first_mention([7, 4, 5, 6, 9, 2], decode, ["kitten", "cat"]) == (1, 4)
    assert first_mention([7, 9], decode, ["cat"]) is None
