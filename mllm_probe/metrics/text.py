"""Text of answers: spans that mention a concept and whether they count as naming it, kept true content, repetition."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from mllm_probe.metrics.assertion import asserted
from mllm_probe.metrics.word_forms import finder
from mllm_probe.metrics.wording import NEGATIONS

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
    cues = _listed(negations, "negations")
    places = finder(_listed(words, "words")).mentions(text)
    return [Span(start, stop, not asserted(text, start, stop, cues)) for start, stop in places]


def named(text: str, words: Sequence[str]) -> bool:
    """Whether an answer names a concept: at least one mention that is not negated.

    `text`: an answer. `words`: words of the concept.
    """
    return any(not span.negated for span in spans(text, words))


def _listed(words: Iterable[str], name: str) -> tuple[str, ...]:
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
    """Share of a picture's true content that the answer names.

    `text`: an answer.
    `labels`: all true concepts of the picture; None when it has no labels.
    `words`: words of each concept; a label that is not in it is its own word.
    `without`: labels that do not count: those in the slot of the steered concept (a style replaces a style).

    Returns: 0 … 1; NaN without labels, or when nothing is left to name.
    """
    there, of = kept_labels(text, labels, words, without=without)
    return there / of if of else float("nan")


def kept_labels(
    text: str,
    labels: Iterable[str] | None,
    words: Mapping[str, Sequence[str]],
    *,
    without: Iterable[str] = (),
) -> tuple[int, int]:
    """Number of labels that an answer names, and of those that count; arguments as for :func:`kept`."""
    counted = sorted(set(_listed(labels or (), "labels")) - set(without))
    return sum(named(text, words.get(label, (label,))) for label in counted), len(counted)


def repetition(text: str) -> float:
    """Share of words that repeat an earlier word of the same answer, 0 … 1; NaN for an empty answer."""
    words = [word.lower() for word in _WORD.findall(text)]
    return 1 - len(set(words)) / len(words) if words else float("nan")
