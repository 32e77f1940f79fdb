"""Text of answers: spans that mention a concept, whether they count as naming it, kept content, repetition."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from mllm_probe.metrics.assertion import asserted
from mllm_probe.metrics.wording import (
    DERIVED,
    IRREGULAR,
    NEGATIONS,
    NOT_DERIVED,
    NOT_MEN,
    PARTICLES,
    SENSES,
    THINGS_FOR,
    UNSPACED,
    any_of,
    phrase,
)

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
    forms = [word.removesuffix(line[0][0]) + line[0][1] for line in fitting]
    return [form for form in forms if form not in NOT_DERIVED]


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
        return [match.span(match.lastgroup) for match in self.pattern.finditer(text) if match.lastgroup]


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


_WORD = re.compile(r"\w+(?:['’]\w+)*")


class Span(NamedTuple):
    """A mention of a concept in an answer.

    Attributes
    ----------
    start, stop : int
        Characters (code points) of the answer: ``answer[start:stop]`` is the mention.
    negated : bool
        Whether the answer does not say that the concept is there: it denies it, leaves it open ("perhaps a cat", "is it
        a cat?") or only compares with it ("cat-like"). Such a mention does not count as naming it.
    """

    start: int
    stop: int
    negated: bool


def spans(text: str, words: Sequence[str], *, negations: Sequence[str] = NEGATIONS) -> list[Span]:
    """Spans at which an answer mentions a concept; every score, mark and page that speaks of naming uses these.

    A rule without a parser, for English and in small part for Chinese, Japanese, Korean and Thai. `answers.csv` in
    ``tests/metrics`` of the source tree has 311 answers that a careful reader has judged: the rule agrees on 187 of the
    188 that it was written for; of 74 and 49 further ones it had 61 and 46 right before it was mended for them.

    Parameters
    ----------
    text : str
        An answer.
    words : sequence of str
        Words of one concept; whole words count, in any case, and words made of them (:func:`forms`), but not phrases in
        which they have another sense ("in order to"). In scripts without spaces they are found inside of a text.
    negations : sequence of str
        Words that negate a mention after them: those of `NEGATIONS` as far as each reaches, any other as "not" does.

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
    cues = _checked_words(negations, "negations")
    places = finder(_checked_words(words, "words")).mentions(text)
    return [Span(start, stop, not asserted(text, start, stop, cues)) for start, stop in places]


def named(text: str, words: Sequence[str]) -> bool:
    """Whether an answer names a concept: at least one mention that is not negated.

    `text`: an answer. `words`: words of the concept.
    """
    return any(not span.negated for span in spans(text, words))


def _checked_words(words: Iterable[str], name: str) -> tuple[str, ...]:
    # A text is a sequence of its letters, so "cat" would count every "c", "a" and "t" as a mention.
    if isinstance(words, str):
        raise TypeError(f"{name} is a list of words, not one text: got {words!r}; write [{words!r}].")
    listed = tuple(words)
    wrong = [word for word in listed if not isinstance(word, str)]
    if wrong:
        raise TypeError(f"{name} is a list of words, which are texts, but got {wrong[0]!r} among them.")
    return listed


def kept(
    text: str,
    labels: Iterable[str] | None,
    words: Mapping[str, Sequence[str]],
    *,
    without: Iterable[str] = (),
) -> float:
    """Share of an image's true content that the answer names.

    `text`: an answer.
    `labels`: all true concepts of the image; None when it has no labels.
    `words`: words of each concept; a label that is not in it is its own word.
    `without`: labels that do not count: those in the slot of the steered concept (a style replaces a style).

    Returns: 0 … 1; NaN without labels, or when nothing is left to name.
    """
    hits, of = kept_labels(text, labels, words, without=without)
    return hits / of if of else float("nan")


def kept_labels(
    text: str,
    labels: Iterable[str] | None,
    words: Mapping[str, Sequence[str]],
    *,
    without: Iterable[str] = (),
) -> tuple[int, int]:
    """Number of labels that an answer names, and of those that count; arguments as for :func:`kept`."""
    counted = sorted(set(_checked_words(labels or (), "labels")) - set(without))
    return sum(named(text, words.get(label, (label,))) for label in counted), len(counted)


def repetition(text: str) -> float:
    """Share of words that repeat an earlier word of the same answer, 0 … 1; NaN for an empty answer."""
    words = [word.lower() for word in _WORD.findall(text)]
    return 1 - len(set(words)) / len(words) if words else float("nan")


def first_mention(
    tokens: Sequence[int], decode: Callable[[Sequence[int]], str], words: Sequence[str]
) -> tuple[int, int] | None:
    """Positions of the tokens that make up the first mention of a concept, negated or not.

    `tokens`: an answer without its end-of-sequence token. `decode`: token ids → text. `words`: the concept's words.
    Returns: ``tokens[start:stop]`` holds the mention; None when the answer does not mention the concept.
    """
    mentions = spans(decode(tokens), words)
    if not mentions:
        return None
    low, high, _ = mentions[0]
    ends = [len(decode(tokens[: i + 1])) for i in range(len(tokens))]
    start = next(i for i, end in enumerate(ends) if end > low)
    stop = next((i + 1 for i, end in enumerate(ends) if end >= high), len(tokens))
    return start, stop


def first_mention_tokens(tokens: Sequence[int], variants: Iterable[Sequence[int]]) -> tuple[int, int] | None:
    """Positions of the first of the token sequences in an answer; for models without a tokenizer."""
    answer = tuple(tokens)
    places = [
        (i, i + len(v))
        for v in map(tuple, variants)
        if v
        for i in range(len(answer) - len(v) + 1)
        if answer[i : i + len(v)] == v
    ]
    return min(places, default=None)
