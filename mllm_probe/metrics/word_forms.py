"""The spellings that count as a concept's words, and the pattern that finds them in an answer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from mllm_probe.metrics.patterns import any_of, phrase
from mllm_probe.metrics.wording import DERIVED, IRREGULAR, NOT_DERIVED, NOT_MEN, PARTICLES, SENSES, THINGS_FOR, UNSPACED

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
        -ly, -ness and -ful that are made of them ("happily" of happy, "fearful" of fear), also those that English does
        not have. Forms of verbs are not made: "parked" would name a park.
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
    keeps_y = re.search(r"[aeiou]y$", word)
    fitting = [
        [(end, new) for end, new in line if word.endswith(end) and not (end == "y" and keeps_y)] for line in DERIVED
    ]
    made = [word.removesuffix(line[0][0]) + line[0][1] for line in fitting]
    return [form for form in made if form not in NOT_DERIVED]


class Finder(NamedTuple):
    """Finds mentions of a concept.

    `stems`: beginnings of its spellings, lower-case: a text with none of them mentions nothing, which is quick to see.
    `pattern`: a match in a named group is a mention; one without is a word of the concept in another sense.
    """

    stems: tuple[str, ...]
    pattern: re.Pattern[str]

    def mentions(self, text: str) -> list[tuple[int, int]]:
        """Start and stop of every mention, in order, without overlap."""
        lower = text.lower()
        if not any(stem in lower for stem in self.stems):
            return []
        return [found.span(found.lastgroup) for found in self.pattern.finditer(text) if found.lastgroup]


@lru_cache(maxsize=4096)
def finder(words: tuple[str, ...]) -> Finder:
    """Return what finds a concept's words: whole words, but parts of a text in scripts without spaces."""
    every = sorted(forms(words), key=len, reverse=True)
    senses = sorted({sense for form in every for sense in SENSES.get(form, ()) if not _any_is(sense, every)})
    inside = [form for form in every if re.match(f"[{UNSPACED}]", form)]
    inflected = [form for form in every if re.search(f"[{PARTICLES}]$", form)]
    whole = [form for form in every if form not in inside and form not in inflected]
    pattern = re.compile(
        rf"{_BEFORE}(?:{any_of(s for s in senses if s.isascii())}(?!\w)"
        rf"|(?P<word>{_any_form(whole)}{_AFTER}|{_any_form(inflected)})(?!\s+{any_of(THINGS_FOR)}\b))"
        rf"|{any_of(s for s in senses if not s.isascii())}|(?P<inside>{_any_form(inside)})",
        re.IGNORECASE,
    )
    stems = {form.split()[0] for form in every}
    return Finder(tuple(s for s in stems if not any(s != t and s.startswith(t) for t in stems)), pattern)


def _any_is(sense: str, spellings: list[str]) -> bool:
    return any(re.fullmatch(phrase(sense), form) for form in spellings)


def _any_form(spellings: list[str]) -> str:
    bodies = [re.escape(form).replace(r"\ ", r"[\s_-]+") for form in spellings]
    return "(?:" + "|".join(bodies) + ")" if bodies else "(?!)"
