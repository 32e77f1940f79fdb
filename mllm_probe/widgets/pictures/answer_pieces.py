"""An answer cut into pieces that are painted alike; the front-end (``base/marks.ts``) cuts by the same rules.

One table of cases, ``tests/marking.json``, holds both.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

_WORD = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ufeff]+")
"""No space, control character or byte-order mark, which JavaScript counts among the spaces and Python does not."""


class Piece(NamedTuple):
    """A part of an answer that is painted in one way.

    `changed`: part of a word that is new against the unsteered answer. `kind` ({"", "named", "negated"}): part of a
    mention of a concept.
    """

    text: str
    changed: bool
    kind: str


def pieces(answer: str, baseline: str | None, spans: Sequence[Sequence[int]]) -> list[Piece]:
    """Cut an answer where a changed word or a mention begins or ends.

    `baseline`: the unsteered answer, of which a longest common subsequence is not marked; None marks nothing as
    changed. `spans` (sequence of [start, stop, negated]): mentions of the concepts, in UTF-16 code units.
    """
    words = list(_WORD.finditer(answer))
    bare = [_bare(word.group()) for word in words]
    reference = bare if baseline is None else [_bare(word) for word in _WORD.findall(baseline)]
    kept = _common(bare, reference)
    changed = [word.span() for place, word in enumerate(words) if place not in kept]
    mentions = [(_characters(answer, start), _characters(answer, stop)) for start, stop, _ in spans]
    kinds = ["negated" if negated else "named" for *_, negated in spans]
    cuts = sorted({0, len(answer), *(end for ends in [*changed, *mentions] for end in ends)})
    return [
        Piece(
            answer[start:stop],
            any(first <= start and stop <= last for first, last in changed),
            next(
                (kind for (first, last), kind in zip(mentions, kinds, strict=True) if first <= start and stop <= last),
                "",
            ),
        )
        for start, stop in pairwise(cuts)
    ]


def _characters(text: str, units: int) -> int:
    """Characters in the first UTF-16 code units of a text."""
    return len(text.encode("utf-16-le", "surrogatepass")[: 2 * units].decode("utf-16-le", "surrogatepass"))


def _bare(word: str) -> str:
    return "".join(letter for letter in word.lower() if letter.isalnum())


def _common(words: list[str], reference: list[str]) -> set[int]:
    """Places of the words that belong to a longest common subsequence with ``reference``."""
    length = np.zeros((len(words) + 1, len(reference) + 1), int)
    for i in reversed(range(len(words))):
        for j in reversed(range(len(reference))):
            same = words[i] == reference[j]
            length[i, j] = length[i + 1, j + 1] + 1 if same else max(length[i + 1, j], length[i, j + 1])
    kept: set[int] = set()
    i = j = 0
    while i < len(words) and j < len(reference):
        if words[i] == reference[j]:
            kept.add(i)
            i, j = i + 1, j + 1
        elif length[i + 1, j] >= length[i, j + 1]:
            i += 1
        else:
            j += 1
    return kept
