"""Limits for names, words and counts of a concept set."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

import numpy as np

MOST_WORDS = 256
"""Forms that may count as naming one concept; each is scored in some eight spellings."""
LONGEST_WORD = 100
"""Characters of the longest word."""
LONGEST_NAME = 255
"""Characters of the longest name of a concept, a category or a group: that of a folder."""

_INVISIBLE = {"Cc", "Cs", "Zl", "Zp"}
_DIRECTION = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def checked_name(what: str, name: Any) -> str:
    """Return a name without blanks around it.

    Raises ValueError if it is no text, empty, too long, or holds control characters, which could rewrite what a
    terminal shows.
    """
    if not isinstance(name, str):
        raise ValueError(f"{what}: expected text; got {type(name).__name__} {name!r}.")
    plain = name.strip()
    if not plain:
        raise ValueError(f"{what}: expected at least one visible character; got {name!r}.")
    if len(plain) > LONGEST_NAME:
        raise ValueError(f"{what}: {plain[:20]!r}… has {len(plain)} characters; at most {LONGEST_NAME} are allowed.")
    _refuse_invisible(what, plain)
    return plain


def checked_words(owner: str, words: Any) -> tuple[str, ...]:
    """Return the forms that count as naming a concept, without blanks around them.

    `owner`: whose they are, for errors. Raises ValueError if they are none, one string, too many, empty, too long, or
    hold control characters.
    """
    if isinstance(words, (str, bytes)):
        raise ValueError(f"{owner}: words is a list, not one string: write [{words!r}] for one word.")
    if not isinstance(words, Iterable):
        raise ValueError(f"{owner}: words is a list of text; got {type(words).__name__}.")
    listed = tuple(words)
    if not listed or not all(isinstance(word, str) and word.strip() for word in listed):
        shown = listed if len(listed) <= 8 else f"{len(listed)} with an empty one among them"
        raise ValueError(f"{owner} needs at least one word, and none of them empty; got {shown}.")
    if len(listed) > MOST_WORDS:
        raise ValueError(
            f"{owner} has {len(listed)} words; at most {MOST_WORDS} are allowed, since each is scored in every run. "
            "Keep the words that an answer would use."
        )
    for word in listed:
        if len(word) > LONGEST_WORD:
            raise ValueError(
                f"{owner}: the word {word[:20]!r}… has {len(word)} characters; at most {LONGEST_WORD} are allowed. "
                "Write one word or short phrase a line."
            )
        _refuse_invisible(f"{owner}: the word", word.strip())
    return tuple(word.strip() for word in listed)


def checked_count(what: str, value: Any, most: int | None = None, why: str = "", least: int = 1) -> int:
    """Return a whole number of at least ``least`` and at most ``most``; ``why`` gives the reason of the limit."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ValueError(f"{what}: expected a whole number of at least {least}, not {value!r}.")
    if value < least:
        raise ValueError(f"{what}: expected a whole number of at least {least}, not {value}.")
    if most is not None and value > most:
        raise ValueError(f"{what}: at most {most:,}, not {int(value):,}{': ' + why if why else ''}.")
    return int(value)


def _refuse_invisible(what: str, text: str) -> None:
    odd = next((c for c in text if unicodedata.category(c) in _INVISIBLE or c in _DIRECTION), None)
    if odd is not None:
        raise ValueError(
            f"{what} {text!r} holds the control character {odd!r}, which cannot be seen or turns the text around it; "
            "write it without."
        )
