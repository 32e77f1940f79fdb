"""The words of concepts as token ids, and their scores from logits."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
import xarray as xr

from mllm_probe.models.inputs import special_ids
from mllm_probe.schema import CONCEPT, WORDS

if TYPE_CHECKING:
    from mllm_probe.models import ProbeModel

Word = str | int | Sequence[int]


def words_of(dataset: xr.Dataset) -> dict[str, list[str]]:
    """Words that name each concept of vectors or of a grid.

    `dataset`: with dimension ``concept``; its ``words`` are JSON texts. Returns: by concept. Words given as token ids
    are no text and are left out; a dataset without ``words`` gives each concept's name.
    """
    names = [str(name) for name in dataset[CONCEPT].values]
    if WORDS not in dataset:
        return {name: [name.replace("_", " ")] for name in names}
    listed = [json.loads(str(text)) for text in dataset[WORDS].values]
    return {name: [word for word in forms if isinstance(word, str)] for name, forms in zip(names, listed, strict=True)}


def word_variants(model: ProbeModel, words: Iterable[Word]) -> tuple[tuple[int, ...], ...]:
    """Token sequences with which an answer can begin when it begins with one of the words.

    `model`: its tokenizer gives the case variants (as given, lower, Capitalised, UPPER) with and without a leading
    space. `words`: a concept's words and synonyms; token ids where the model has no tokenizer. Returns: without
    repetitions. A sequence that begins with another of them is left out: it is part of the same event, and would be
    counted twice. Raises ValueError if a word is given as text to a model without a tokenizer.
    """
    variants: dict[tuple[int, ...], None] = {}
    for word in words:
        for variant in _spellings(model, word):
            if variant:
                variants.setdefault(variant)
    # With prefixes left out, variants are exclusive events, whose probabilities `Scorer` may add up.
    return tuple(v for v in variants if not any(v[:k] in variants for k in range(1, len(v))))


def _spellings(model: ProbeModel, word: Word) -> list[tuple[int, ...]]:
    if isinstance(word, int):
        return [(word,)]
    if not isinstance(word, str):
        return [tuple(int(i) for i in word)]
    if model.tokenizer is None:
        raise ValueError(
            f"the word {word!r} is text, but {model.name} was wrapped without a processor: give the words as token "
            "ids, for example [[3797], [8415, 29879]]."
        )
    plain = word.replace("_", " ").strip()
    cases = dict.fromkeys((plain, plain.lower(), plain.capitalize(), plain.upper()))
    # An unknown word is one special token, and no answer is made of those: neither can be scored as a word.
    special = special_ids(model)
    spellings = [tuple(model.text_ids(case, leading_space=space)) for case in cases for space in (False, True)]
    return [variant for variant in spellings if special.isdisjoint(variant)]


@dataclass(frozen=True)
class WordTable:
    """The words of several concepts as token ids, ready to be scored for many rows at once.

    `variants`: per concept its token sequences, see :func:`word_variants`; empty for a concept without words. `first`
    (Tensor of int64 [concepts, most]): first sub-tokens of each concept, without repetitions, padded with 0.
    `first_there`, `single_there` (Tensor of bool [concepts, most]): which entries of ``first`` are there, and which of
    them are a whole word by themselves.
    """

    variants: tuple[tuple[tuple[int, ...], ...], ...]
    first: torch.Tensor
    first_there: torch.Tensor
    single_there: torch.Tensor

    def to(self, device: torch.device) -> WordTable:
        """The same table with its tensors on a device."""
        tensors = {name: getattr(self, name).to(device) for name in ("first", "first_there", "single_there")}
        return replace(self, **tensors)

    @property
    def longest(self) -> int:
        """Number of sub-tokens of the longest word."""
        return max((len(v) for variants in self.variants for v in variants), default=0)

    def continuations(self, concept: int) -> dict[tuple[int, ...], tuple[int, ...]]:
        """Of the words of several sub-tokens: what must be fed, and the tokens that are read after it.

        Returns a word's sub-tokens without the last → the last sub-tokens of all words that begin so.
        """
        grouped: dict[tuple[int, ...], tuple[int, ...]] = {}
        for variant in self.variants[concept]:
            if len(variant) > 1:
                grouped[variant[:-1]] = (*grouped.get(variant[:-1], ()), variant[-1])
        return grouped


def word_table(model: ProbeModel, words: Sequence[Iterable[Word]]) -> WordTable:
    """Tokenise the words of several concepts.

    `words`: one entry per concept.
    """
    variants = tuple(word_variants(model, forms) for forms in words)
    firsts = [list(dict.fromkeys(v[0] for v in spellings)) for spellings in variants]
    most = max((len(ids) for ids in firsts), default=0) or 1
    first = torch.zeros(len(variants), most, dtype=torch.long)
    valid, single = torch.zeros_like(first, dtype=torch.bool), torch.zeros_like(first, dtype=torch.bool)
    for row, ids in enumerate(firsts):
        first[row, : len(ids)] = torch.tensor(ids, dtype=torch.long)
        valid[row, : len(ids)] = True
        single[row, : len(ids)] = torch.tensor([(i,) in variants[row] for i in ids], dtype=torch.bool)
    return WordTable(variants, first, valid, single)


def single_token_logprob(logits: torch.Tensor, table: WordTable) -> torch.Tensor:
    """Log-probability that the next token is a word of each concept, words of several sub-tokens left out.

    `logits`: Tensor [..., vocabulary]. Returns Tensor of float32 [..., concepts]: on the device of ``logits``; -inf for
    a concept all of whose words have several sub-tokens.
    """
    return _gathered(torch.log_softmax(logits.float(), -1), table.first, table.single_there)


def first_token_logit(logits: torch.Tensor, table: WordTable) -> torch.Tensor:
    """Log-sum-exp of the raw logits of the first sub-tokens of each concept's words, [..., concepts] float32."""
    return _gathered(logits.float(), table.first, table.first_there)


def first_token_logprob(logits: torch.Tensor, table: WordTable) -> torch.Tensor:
    """Log-probability that the next token begins a word of each concept, [..., concepts] float32."""
    return _gathered(torch.log_softmax(logits.float(), -1), table.first, table.first_there)


def _gathered(scores: torch.Tensor, ids: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    picked = scores[..., ids.to(scores.device)]
    return picked.masked_fill(~valid.to(scores.device), -torch.inf).logsumexp(-1)
