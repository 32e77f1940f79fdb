"""The spans of answers that front-ends highlight; the rule itself is `metrics.spans`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mllm_probe.metrics import NEGATIONS, Span, spans

Marks = list[list[int]]
"""``[start, stop, negated]`` of each mention, in UTF-16 code units, which is how JavaScript counts in a string."""


def marks(answer: str, concepts: Iterable[Sequence[str]], negations: Sequence[str] = NEGATIONS) -> Marks:
    """Spans of an answer that name one of several concepts.

    `concepts`: words of each concept. `negations`: as in `metrics.spans`. Returns list of [int, int, int]: in order and
    without overlap: mentions that overlap, such as "cat" in "black cat", become one, which is negated only if they all
    are.
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
