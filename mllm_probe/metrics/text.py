"""What an answer says: whether a concept is named, which true content is kept, how much is repeated."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

_NEGATORS = r"(?:no|not|never|without|neither|nor|none of|cannot|lacks?|lacking|\w+n['’]t)"
# A negator reaches over up to three words ("not a big cat", "no dog or cat"), not over punctuation or a contrast.
_REACH = r"(?:\s+(?!but\b|and\b|only\b|just\b|merely\b|with\b)[\w'’-]+){0,3}\s+$"
_BEFORE = re.compile(rf"\b{_NEGATORS}\b{_REACH}", re.IGNORECASE)
_SEEN = r"(?:there|here|visible|present|shown|seen)"
_AFTER = re.compile(
    rf"^\s+(?:(?:is|are|was|were)\s+not\s+(?:\w+\s+)?{_SEEN}|not\s+(?:\w+\s+)?{_SEEN}"
    rf"|(?:is|are|was|were)n['’]t\s+(?:\w+\s+)?{_SEEN}|(?:is|are|was|were)\s+(?:absent|missing|lacking|nowhere))\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+(?:['’]\w+)*")


def forms(words: Iterable[str]) -> tuple[str, ...]:
    """Every spelling that counts as one of the words: as given, underscores as spaces, regular plurals.

    Parameters
    ----------
    words : iterable of str
        A concept's words; case does not matter.

    Returns
    -------
    tuple of str
        Lower-case, without repetitions, the given words first.
    """
    given = [re.sub(r"[_\s]+", " ", word).strip().lower() for word in words]
    plurals = [form for word in given if word for form in _plurals(word)]
    return tuple(dict.fromkeys(form for form in (*given, *plurals) if form))


def _plurals(word: str) -> tuple[str, ...]:
    if re.search(r"[^aeiou]y$", word):
        return (word[:-1] + "ies",)
    return (word + "es",) if re.search(r"(?:s|x|z|ch|sh)$", word) else (word + "s",)


@lru_cache(maxsize=4096)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    alternatives = sorted(forms(words), key=len, reverse=True)
    body = "|".join(re.escape(form).replace(r"\ ", r"[\s_-]+") for form in alternatives) or r"(?!)"
    return re.compile(rf"(?<!\w)(?:{body})(?!\w)", re.IGNORECASE)


def mentions(text: str, words: Sequence[str], *, negated: bool = True) -> list[tuple[int, int]]:
    """Character spans at which ``text`` contains one of the words, whole, in order.

    Parameters
    ----------
    text : str
    words : sequence of str
        Words of one concept; their regular plurals count too.
    negated : bool
        Whether to include mentions such as "no cat", "not a cat", "without a cat", "the cat is not there".
    """
    found = _pattern(tuple(words)).finditer(text)
    return [m.span() for m in found if negated or not _is_negated(text, *m.span())]


def _is_negated(text: str, start: int, end: int) -> bool:
    return bool(_BEFORE.search(text[:start]) or _AFTER.search(text[end:]))


def named(text: str, words: Sequence[str]) -> bool:
    """Whether the answer names the concept: a whole word or form of it that is not negated.

    Parameters
    ----------
    text : str
        An answer.
    words : sequence of str
        Words of the concept.
    """
    return bool(mentions(text, words, negated=False))


def named_tokens(tokens: Sequence[int], variants: Iterable[Sequence[int]]) -> bool:
    """Whether one of the token sequences stands in the answer; for models without a tokenizer.

    Parameters
    ----------
    tokens : sequence of int
        An answer.
    variants : iterable of sequence of int
        The concept's words as token ids.
    """
    answer = list(tokens)
    wanted = [list(variant) for variant in variants if len(variant)]
    return any(answer[i : i + len(v)] == v for v in wanted for i in range(len(answer) - len(v) + 1))


def kept(
    text: str,
    labels: Iterable[str] | None,
    words: Mapping[str, Sequence[str]],
    *,
    without: Iterable[str] = (),
) -> float:
    """Share of a picture's true content that the answer names.

    Parameters
    ----------
    text : str
        An answer.
    labels : iterable of str or None
        All true concepts of the picture; None when it has no labels.
    words : mapping of str to sequence of str
        Words of each concept; a label that is not in it stands for itself.
    without : iterable of str
        Labels that do not count: those in the slot of the steered concept (a style replaces a style).

    Returns
    -------
    float
        0 … 1; NaN without labels, or when nothing is left to name.
    """
    counted = sorted(set(labels or ()) - set(without))
    if not counted:
        return float("nan")
    return sum(named(text, words.get(label, (label,))) for label in counted) / len(counted)


def repetition(text: str) -> float:
    """Share of words that repeat an earlier word of the same answer, 0 … 1; NaN for an empty answer."""
    found = [word.lower() for word in _WORD.findall(text)]
    return 1 - len(set(found)) / len(found) if found else float("nan")
