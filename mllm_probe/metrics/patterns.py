"""Regular expressions from lists of phrases."""

from __future__ import annotations

import re
from collections.abc import Iterable


def phrase(text: str) -> str:
    """Pattern of a phrase that is one itself: a blank stands for any white space."""
    return re.sub(r" (?!\?)", r"\\s+", text)


def any_of(phrases: Iterable[str]) -> str:
    """Pattern of any of several phrases, the longest first; of none, one that matches nothing."""
    listed = [phrase(text) for text in sorted(phrases, key=len, reverse=True)]
    return "(?:" + "|".join(listed) + ")" if listed else "(?!)"
