"""Text of answers: spans that name a concept and whether they are negated, kept true content, repetition."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

NEGATIONS = ("no", "not", "never", "without", "neither", "nor", "none of", "cannot", "lack", "lacks", "lacking", "n't")
"""Words that negate a mention a few words after them ("not a big cat"); one that begins with "n'" is an ending."""
REACH = 3
"""Words between a negation and its mention at most; punctuation ends the reach."""
CONTRASTS = ("but", "and", "only", "just", "merely", "with")
"""Words that end the reach of a negation: "no dog but a cat", "not only a cat"."""
BE = ("is", "are", "was", "were")
SEEN = ("there", "here", "visible", "present", "shown", "seen")
"""What a mention is not: "the cat is not there", "a cat isn't visible", "a cat not shown"."""
GONE = ("absent", "missing", "lacking", "nowhere")
"""What a mention is: "the cat is missing"."""

_FAR = 400
"""Characters before a mention that are searched for a negation, so that a long answer costs no square of its length."""
_WORD = re.compile(r"\w+(?:['’]\w+)*")


class Span(NamedTuple):
    """A mention of a concept in an answer.

    Attributes
    ----------
    start, stop : int
        Characters (code points) of the answer: ``answer[start:stop]`` is the mention.
    negated : bool
        Whether the answer says that the concept is not there; such a mention does not count as naming it.
    """

    start: int
    stop: int
    negated: bool


def spans(text: str, words: Sequence[str], *, negations: Sequence[str] = NEGATIONS) -> list[Span]:
    """Spans at which an answer mentions a concept; every score, mark and page that speaks of naming uses these.

    Parameters
    ----------
    text : str
        An answer.
    words : sequence of str
        Words of one concept; whole words count, in any case, and their regular plurals (`forms`).
    negations : sequence of str
        Words that negate a mention after them, with at most `REACH` words between.

    Returns
    -------
    list of Span
        In the order of the answer, without overlap.

    Raises
    ------
    TypeError
        If the answer is no text, or ``words`` or ``negations`` no list of texts.
    """
    if not isinstance(text, str):
        raise TypeError(f"an answer is a text, but got {type(text).__name__}.")
    before = _before(_listed(negations, "negations"))

    def negated(start: int, stop: int) -> bool:
        return bool(before.search(text, max(0, start - _FAR), start) or _AFTER.match(text, stop))

    mentions = _pattern(_listed(words, "words")).finditer(text)
    return [Span(*mention.span(), negated(*mention.span())) for mention in mentions]


def named(text: str, words: Sequence[str]) -> bool:
    """Whether an answer names a concept: at least one mention that is not negated.

    Parameters
    ----------
    text : str
        An answer.
    words : sequence of str
        Words of the concept.
    """
    return any(not span.negated for span in spans(text, words))


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


def _listed(words: Iterable[str], name: str) -> tuple[str, ...]:
    # A text is a sequence of its letters, so "cat" would count every "c", "a" and "t" as a mention.
    if isinstance(words, str):
        raise TypeError(f"{name} is a list of words, not one text: got {words!r}; write [{words!r}].")
    listed = tuple(words)
    wrong = [word for word in listed if not isinstance(word, str)]
    if wrong:
        raise TypeError(f"{name} is a list of words, which are texts, but got {wrong[0]!r} among them.")
    return listed


@lru_cache(maxsize=4096)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    alternatives = sorted(forms(words), key=len, reverse=True)
    body = "|".join(re.escape(form).replace(r"\ ", r"[\s_-]+") for form in alternatives) or r"(?!)"
    return re.compile(rf"(?<!\w)(?:{body})(?!\w)", re.IGNORECASE)


def _any(words: Iterable[str]) -> str:
    return "|".join(re.escape(word).replace("'", "['’]") for word in words)


@lru_cache(maxsize=256)
def _before(negations: tuple[str, ...]) -> re.Pattern[str]:
    """Pattern of a negation with its reach, ending where the mention begins."""
    plain = [word.strip().lower().replace("’", "'") for word in negations]
    endings = [word for word in plain if word.startswith("n'")]
    whole = [word for word in plain if word and word not in endings]
    kinds = [f"(?:{_any(whole)})"] * bool(whole) + [rf"\w+(?:{_any(endings)})"] * bool(endings)
    body = "|".join(kinds) or r"(?!)"
    between = rf"(?:\s+(?!(?:{_any(CONTRASTS)})\b)[\w'’-]+){{0,{REACH}}}\s+$"
    return re.compile(rf"(?<!\w)(?:{body})(?!\w){between}", re.IGNORECASE)


# "is not there", "is not clearly visible", "not shown", "isn't here"; or "is missing".
_AFTER = re.compile(
    rf"\s+(?:(?:(?:{_any(BE)})\s+not|not|(?:{_any(BE)})n['’]t)\s+(?:\w+\s+)?(?:{_any(SEEN)})"
    rf"|(?:{_any(BE)})\s+(?:{_any(GONE)}))\b",
    re.IGNORECASE,
)


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
        Words of each concept; a label that is not in it is its own word.
    without : iterable of str
        Labels that do not count: those in the slot of the steered concept (a style replaces a style).

    Returns
    -------
    float
        0 … 1; NaN without labels, or when nothing is left to name.
    """
    counted = sorted(set(_listed(labels or (), "labels")) - set(without))
    if not counted:
        return float("nan")
    return sum(named(text, words.get(label, (label,))) for label in counted) / len(counted)


def repetition(text: str) -> float:
    """Share of words that repeat an earlier word of the same answer, 0 … 1; NaN for an empty answer."""
    words = [word.lower() for word in _WORD.findall(text)]
    return 1 - len(set(words)) / len(words) if words else float("nan")
