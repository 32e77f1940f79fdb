"""Words that name concepts, and the spans of answers that front-ends highlight; the rule itself is `metrics.spans`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import xarray as xr

from mllm_probe.metrics import NEGATIONS, Span, spans
from mllm_probe.schema import CONCEPT, WORDS

Marks = list[list[int]]
"""``[start, stop, negated]`` of each mention, in UTF-16 code units, which is how JavaScript counts in a string."""


def words_of(dataset: xr.Dataset) -> dict[str, list[str]]:
    """Words that name each concept of vectors or of a grid.

    Parameters
    ----------
    dataset : Dataset
        With dimension ``concept``; its ``words`` are JSON texts.

    Returns
    -------
    dict of str to list of str
        By concept. Words given as token ids are no text and are left out; a dataset without ``words`` gives each
        concept's name.
    """
    names = [str(name) for name in dataset[CONCEPT].values]
    if WORDS not in dataset:
        return {name: [name.replace("_", " ")] for name in names}
    listed = [json.loads(str(text)) for text in dataset[WORDS].values]
    return {name: [word for word in own if isinstance(word, str)] for name, own in zip(names, listed, strict=True)}


def marks(answer: str, concepts: Iterable[Sequence[str]], negations: Sequence[str] = NEGATIONS) -> Marks:
    """Spans of an answer that name one of several concepts.

    Parameters
    ----------
    answer : str
    concepts : iterable of sequence of str
        Words of each concept.
    negations : sequence of str
        As in `metrics.spans`.

    Returns
    -------
    list of [int, int, int]
        In order and without overlap: mentions that overlap, such as "cat" in "black cat", become one, which is
        negated only if they all are.
    """
    ordered = sorted(span for words in concepts for span in spans(answer, words, negations=negations))
    joined: list[Span] = []
    for span in ordered:
        last = joined[-1] if joined else None
        if last is not None and span.start < last.stop:
            joined[-1] = Span(last.start, max(last.stop, span.stop), last.negated and span.negated)
        else:
            joined.append(span)
    return [[_utf16(answer, span.start), _utf16(answer, span.stop), int(span.negated)] for span in joined]


def _utf16(text: str, characters: int) -> int:
    """UTF-16 code units in the first characters of a text: characters beyond U+FFFF, such as emoji, take two."""
    return len(text[:characters].encode("utf-16-le", "surrogatepass")) // 2
