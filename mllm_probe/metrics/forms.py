"""The spellings that count as a concept's words, and the pattern that finds them in an answer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from mllm_probe.metrics.wording import ENDINGS, IRREGULAR, NOT_DERIVED, NOT_MEN, PARTICLES, SENSES, THINGS_FOR, UNSPACED

MENTION = "mention"
"""Name of the group that holds a mention; a match without it is one of the words in another sense."""

_BEFORE, _AFTER = rf"(?<![^\W{UNSPACED}])", rf"(?![^\W{UNSPACED}])"


def forms(words: Iterable[str]) -> tuple[str, ...]:
    """Every spelling that counts as one of the words: as given, underscores as spaces, plurals, derived words.

    Parameters
    ----------
    words : iterable of str
        A concept's words; case does not matter.

    Returns
    -------
    tuple of str
        Lower-case, without repetitions, the given words first, then their plurals ("mice" of mouse), then words in
        -ly, -ness and -ful that are made of them ("happily" of happy, "fearful" of fear). Forms of verbs are not made:
        "parked" would name a park.
    """
    given = [re.sub(r"[_\s]+", " ", word).strip().lower() for word in words]
    given = [word for word in given if word]
    return tuple(dict.fromkeys([*given, *map(_plural, given), *(form for word in given for form in _derived(word))]))


def _plural(word: str) -> str:
    head, last = re.fullmatch(r"(.*?)([^\W\d_]*)", word, re.DOTALL).groups()  # type: ignore[union-attr]
    for singular, plural in IRREGULAR.items():
        if last == singular or (len(singular) > 2 and last.endswith(singular) and last not in NOT_MEN):
            return head + last.removesuffix(singular) + plural
    if re.search(r"[^aeiou]y$", word):
        return word[:-1] + "ies"
    return word + ("es" if re.search(r"(?:s|x|z|ch|sh)$", word) else "s")


def _derived(word: str) -> list[str]:
    if not re.fullmatch(r"[a-z]{3,}", word):
        return []
    made = [word.removesuffix(end) + new for end, new in ENDINGS if word.endswith(end)]
    return [form for form in made if form not in NOT_DERIVED]


def phrase(text: str) -> str:
    """Pattern of a phrase of the tables in `wording`: a blank stands for any white space, an apostrophe for both."""
    return re.sub(r" (?!\?)", r"\\s+", text)


def any_of(phrases: Iterable[str]) -> str:
    """Pattern of any of several phrases, the longest first."""
    return "(?:" + "|".join(phrase(p) for p in sorted(phrases, key=len, reverse=True)) + ")" if phrases else "(?!)"


@lru_cache(maxsize=4096)
def mention_pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    """Pattern that finds the words in their own sense, as group `MENTION`, and in another sense, without it.

    Letters of scripts without spaces are found inside of a text, and Korean words with their particles.
    """
    alternatives = sorted(forms(words), key=len, reverse=True)
    if not alternatives:
        return re.compile(r"(?!)")
    own = set(alternatives)
    senses = {sense for word in words for sense in SENSES.get(word.strip().lower(), ()) if sense not in own}
    body = "|".join(map(_bounded, alternatives))
    things = rf"{_BEFORE}(?:{body})\s+{any_of(THINGS_FOR)}{_AFTER}"
    others = [rf"{_edge(sense)}{phrase(sense)}(?!\w)" if sense.isascii() else sense for sense in sorted(senses)]
    return re.compile("|".join([*others, things, rf"(?P<{MENTION}>{body})"]), re.IGNORECASE)


def _edge(sense: str) -> str:
    return r"(?<!\w)"


def _bounded(form: str) -> str:
    """Pattern of a form as a whole word, as far as its script has any."""
    first = "" if re.match(rf"[{UNSPACED}]", form) else _BEFORE
    last = "" if re.search(rf"[{UNSPACED}{PARTICLES}]$", form) else _AFTER
    return first + re.escape(form).replace(r"\ ", r"[\s_-]+") + last
